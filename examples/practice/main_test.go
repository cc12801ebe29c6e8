package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := run(t.Context(), &out, desk{lang: notice.EN}); err != nil {
		t.Fatal(err)
	}
	want := "new: Result 1: haemoglobin 13.2 g/dl\nletter of visit 1: accepted\nletter of visit 2: 1 message is waiting and will be sent by itself. Urgent? Please phone.\n"
	if got := out.String(); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files left behind, %v", len(left), err)
	}
}

// config is that of the first doctor of a sandbox.
func config(t *testing.T, sb *sandbox.Sandbox) ehealth.Config {
	t.Helper()
	who := sb.Person(identity.Doctor, 0)
	file, err := who.Keystore("password")
	if err != nil {
		t.Fatal(err)
	}
	store, err := keystore.Load(file, "password")
	if err != nil {
		t.Fatal(err)
	}
	services := map[string][]resilience.Endpoint{}
	for id, eps := range sb.Services() {
		for _, e := range eps {
			services[id] = append(services[id], resilience.Endpoint(e))
		}
	}
	return ehealth.Config{
		Environment: ehealth.Sandbox, Identity: store, Services: services, DataDir: t.TempDir(), Transport: sb.HTTPClient().Transport,
		Software: ehealth.Software{Name: "Practice/1.0", Contact: "support@example.be", Licence: insurability.NewLicence("user", "password")},
		Caller:   insurability.Caller{Quality: identity.Doctor, NIHII: who.NIHII, SSIN: who.SSIN, Name: who.Name()},
		Trust:    ehealth.Trust{STS: sb.Roots(), ServiceList: sb.Roots()}, ServiceList: ehealth.ServiceList{URLs: []string{sb.ListURL(2), sb.ListURL(1)}},
	}
}

// compressed is a script in a twelfth of its time: a day becomes two hours.
func compressed(t *testing.T, id string) sandbox.Script {
	t.Helper()
	script, ok := incident.Get(id)
	if !ok {
		t.Fatal("no such incident")
	}
	script.Steps = slices.Clone(script.Steps)
	for i := range script.Steps {
		script.Steps[i].At /= 12
		script.Steps[i].For /= 12
	}
	return script
}

// TestStorageFailure is INC-2018-08-09-SAN, two waves in one day, over a practice that writes a letter every three minutes
// and looks for results every two. The laboratory goes on, and the practice's computer is restarted in the middle of
// the second wave. Each letter arrives once, each result is filed once and read once.
func TestStorageFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := compressed(t, "INC-2018-08-09-SAN")
		time.Sleep(time.Until(script.T0))
		sb, err := sandbox.New(sandbox.Config{Seed: 9})
		if err != nil {
			t.Fatal(err)
		}
		defer sb.Close()
		day := &day{t: t, sb: sb, cfg: config(t, sb), hospital: sb.Organisation(identity.Hospital, 0).Mailbox()}
		day.open()
		if _, err := sb.Apply(script); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		const minutes = 80
		for minute := range minutes {
			if minute == 40 {
				day.restart()
			}
			day.minute(minute)
			time.Sleep(time.Until(start.Add(time.Duration(minute+1) * time.Minute)))
		}
		if hits := sb.State().Hits; hits["ehbox-pub"]["hang"] == 0 || hits["ehbox-cons"]["hang"] == 0 || day.waited == 0 {
			t.Errorf("the incident was not felt: %v, %d letters waited", hits, day.waited)
		}
		day.end()
	})
}

// day is a day of the practice.
type day struct {
	t        *testing.T
	sb       *sandbox.Sandbox
	cfg      ehealth.Config
	hospital sandbox.Mailbox
	p        *practice

	letters, results, waited int
	filed                    []ehbox.MessageID
	told                     []notice.ID
}

func (d *day) open() {
	d.t.Helper()
	var err error
	if d.p, err = openPractice(d.t.Context(), d.cfg, desk{lang: notice.EN}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *day) close() {
	d.t.Helper()
	if err := d.p.Close(); err != nil {
		d.t.Error(err)
	}
	d.told = append(d.told, d.p.screen...)
}

// restart ends the program and starts it again, which gives the last letter once more: it does not know whether it did.
func (d *day) restart() {
	d.t.Helper()
	d.close()
	d.open()
	d.letter(d.letters)
}

func (d *day) letter(n int) {
	d.t.Helper()
	status, err := d.p.write(d.t.Context(), fmt.Sprint("visit ", n), boxOf(d.hospital), fmt.Sprint("about visit ", n))
	if err != nil {
		d.t.Errorf("letter %d: %v", n, err)
	}
	if status != ehbox.SentAccepted.String() {
		d.waited++
	}
}

func (d *day) minute(n int) {
	d.t.Helper()
	if n%5 == 0 {
		d.results++
		if err := result(d.sb, fmt.Sprint("Result ", d.results), fmt.Sprint("value ", d.results)); err != nil {
			d.t.Fatal(err)
		}
	}
	if n%3 == 0 {
		d.letters++
		d.letter(d.letters)
	}
	if n%2 == 0 { // a failure is told, and the next run goes on
		ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
		defer cancel()
		filed, err := d.p.receive(ctx)
		if d.filed = append(d.filed, filed...); err != nil && d.sb.Faults() == nil {
			d.t.Errorf("minute %d: %v", n, err)
		}
	}
}

// end waits until nothing waits any more, and counts.
func (d *day) end() {
	t := d.t
	t.Helper()
	for limit := time.Now().Add(3 * time.Hour); ; time.Sleep(time.Minute) {
		q, err := d.p.platform.Queue(t.Context())
		if err != nil || q.Parked+q.Rejected > 0 || time.Now().After(limit) {
			t.Fatalf("%+v, %v", q, err)
		}
		if q.Waiting == 0 {
			break
		}
	}
	time.Sleep(time.Minute)
	failed, err := d.p.undelivered(t.Context())
	if err != nil || len(failed) > 0 {
		t.Errorf("%d letters not delivered, %v", len(failed), err)
	}
	filed, err := d.p.receive(t.Context())
	d.filed = append(d.filed, filed...)
	texts := map[string]bool{}
	for _, id := range d.filed {
		doc, err := d.p.archive.read(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		texts[doc.Text] = true
	}
	if err != nil || len(d.filed) != d.results || len(texts) != d.results {
		t.Errorf("%d of %d results filed, %d texts, %v", len(d.filed), d.results, len(texts), err)
	}
	d.close()

	arrived, err := d.sb.Mail(d.hospital, "INBOX")
	if err != nil || len(arrived) != d.letters {
		t.Errorf("%d of %d letters arrived, %v", len(arrived), d.letters, err)
	}
	publications := map[string]bool{}
	for _, m := range arrived {
		publications[m.PublicationID] = true
	}
	effects := d.sb.State().Effects
	if len(publications) != d.letters || effects["ehbox.send"] != d.letters+d.results || effects["ehbox.double"] != 0 {
		t.Errorf("%d publications of %d letters, effects %v", len(publications), d.letters, effects)
	}
	// The laboratory asked to be told when a result is read: it was told once for each.
	read := map[string]int{}
	receipts, err := d.sb.Mail(d.sb.Organisation(identity.Labo, 0).Mailbox(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range receipts {
		read[m.About]++
	}
	if len(receipts) != d.results || len(read) != d.results {
		t.Errorf("%d receipts about %d results, want %d", len(receipts), len(read), d.results)
	}
	t.Logf("%d letters, %d of which waited; %d results; told %v", d.letters, d.waited, d.results, d.told)
}
