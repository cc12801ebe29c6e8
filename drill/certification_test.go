package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// certification is the list of dossier 06 B.6. A test without run is part of the one named in with.
var certification = []struct {
	id, what string
	run      func(*house)
	with     string
}{
	{"T01", "the list switches insurability to Order 1 while calls run", (*house).t01, ""},
	{"T02", "the list goes back to Order 0", nil, "T01"},
	{"T03", "bad signature, older list, wrong environment", (*house).t03, ""},
	{"T04", "list server down, process restarts", (*house).t04, ""},
	{"T05", "STS unreachable, token valid", (*house).t05, ""},
	{"T06", "STS unreachable, token expires", (*house).t06, ""},
	{"T07", "eID refused, keystore present", (*house).t07, ""},
	{"T08", "both insurability paths down, stored answer 29 d 23 h, 30 d 0 h and 31 d old", (*house).t08, ""},
	{"T09", "Recip-e down while prescribing", (*house).t09, ""},
	{"T10", "Recip-e down while dispensing", (*house).t10, ""},
	{"T11", "lost answer on eHealthBox send", (*house).t11, ""},
	{"T12", "attest queued at 23:50, service back at 00:10 (the sandbox's application)", (*house).t12, ""},
	{"T13", "wrong-asker answer: insurability", (*house).t13, ""},
	{"T13", "wrong-asker answer: Recip-e", (*house).t13Recipe, ""},
	{"T14", "SOA-01002 storm", (*house).t14, ""},
	{"T15", "recovery of a fleet (with 500 users: package sts)", (*house).t15, ""},
	{"T16", "poison message", (*house).t16, ""},
	{"T17", "ETK changed: letters, the key service", (*house).t17, ""},
	{"T17", "ETK changed: Recip-e", (*house).t17Recipe, ""},
	{"T18", "process killed at each step of a send (real processes: internal/crashtest)", (*house).t18, ""},
}

// TestCertification runs them on virtual time through the whole platform, and prints the table.
func TestCertification(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	warm(t)
	var table strings.Builder
	states := map[string]string{}
	for _, c := range certification {
		passed := t.Run(c.id, func(t *testing.T) {
			if c.run == nil {
				t.Logf("with %s", c.with)
				return
			}
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, time.Now(), sandbox.Config{Seed: 6, Patients: 50})
				defer h.close()
				c.run(h)
			})
		})
		state := states[c.with]
		if c.run != nil {
			if state = "pass"; !passed {
				state = "FAIL"
			}
			states[c.id] = state
		}
		fmt.Fprintf(&table, "\n%s  %-7s  %s", c.id, state, c.what)
		if c.with != "" {
			fmt.Fprintf(&table, "; asserted by %s", c.with)
		}
	}
	t.Log(table.String())
}

// ask makes one check and tells the time and where the answer came from.
func (h *house) ask(m *member, n int) (a *insurability.Answer, took time.Duration, err error) {
	began := time.Now()
	a, err = m.p.Insurability.Check(context.Background(), insurability.Query{Patient: h.patients[n%len(h.patients)].SSIN})
	if took = time.Since(began); took > checkLimit {
		h.Errorf("a check took %v", took)
	}
	if err == nil && a.SSIN.Reveal() != h.patients[n%len(h.patients)].SSIN.Reveal() {
		h.Error("somebody else's answer was shown")
	}
	return a, took, err
}

// answered is ask for a check that must be answered.
func (h *house) answered(m *member, n int) *insurability.Answer {
	h.Helper()
	a, _, err := h.ask(m, n)
	if err != nil {
		h.Fatal(err)
	}
	return a
}

// row starts a fault as inject does, a moment later: connections made at this instant are older.
func (h *house) row(row string) (cancel func()) {
	h.Helper()
	time.Sleep(time.Millisecond)
	return h.inject(row)
}

// notice compares the notice and the outcome of an error.
func (h *house) notice(err error, want string, outcome fault.Outcome) {
	h.Helper()
	if fe, ok := errors.AsType[*fault.Error](err); !ok || fe.Notice != want || fe.Outcome != outcome {
		h.Errorf("error %v, want notice %s, outcome %v", err, want, outcome)
	}
}

// t01: calls run all the time. None is lost, nobody does anything, and the way back is gradual.
func (h *house) t01() {
	m := h.join("pharmacy", h.pharmacy(0))
	h.answered(m, 0)
	run := func(d, every time.Duration) (sources []insurability.Source) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(every) {
			a := h.answered(m, len(sources))
			sources = append(sources, a.Source)
		}
		return sources
	}
	back := h.row("servicelist 0 to_end list set=genins=1:ACTIVE")
	const every = 15 * time.Second
	away := run(listLag+2*time.Minute, every)
	first := 0
	for away[first] != insurability.Alternate {
		first++
		if first == len(away) {
			h.Fatal("the order to switch was not obeyed")
		}
	}
	if at := time.Duration(first) * every; at > listLag {
		h.Errorf("switched after %v", at)
	}
	for _, s := range away[first:] {
		if s != insurability.Alternate {
			h.Error("asked Order 0 although the list says Order 1")
		}
	}
	back()
	home := run(20*time.Minute, 5*time.Second) // often enough to see a share of the calls grow
	live, turns, share := 0, 0, 0
	for i, s := range home {
		if s == insurability.Live {
			live++
		}
		if i > 0 && s != home[i-1] {
			turns++
		}
		if turns > 0 && s != insurability.Live {
			share++
		}
	}
	if home[len(home)-1] != insurability.Live || share == 0 {
		h.Errorf("not back, or not slowly: %d of %d live, %d turns", live, len(home), turns)
	}
	h.Logf("away after %v; on the way back %d changes of address, %d calls elsewhere after the first one home", time.Duration(first)*every, turns, share)
}

// t03: the old list stays in force, and one event tells of each.
func (h *house) t03() {
	m := h.join("pharmacy", h.pharmacy(0))
	time.Sleep(listLag)
	for n, defect := range []string{"bad_signature", "old", "environment"} {
		cancel := h.row("servicelist 0 to_end list set=genins=1:ACTIVE;defect=" + defect)
		time.Sleep(2 * listLag)
		if got := m.refusedLists(); got != n+1 {
			h.Errorf("%s: %d events, want %d", defect, got, n+1)
		}
		if a := h.answered(m, n); a.Source != insurability.Live {
			h.Errorf("%s: obeyed", defect)
		}
		cancel()
		time.Sleep(listLag)
	}
}

// t04: the order that was on disk is obeyed from the first call on.
func (h *house) t04() {
	cfg := h.pharmacy(0)
	cfg.DataDir = h.TempDir()
	m := h.join("pharmacy", cfg)
	h.row("servicelist 0 to_end list set=genins=1:ACTIVE")
	time.Sleep(listLag)
	h.answered(m, 0)
	if err := m.p.Close(); err != nil {
		h.Fatal(err)
	}
	h.row("servicelist 0 to_end refuse")
	again := h.pharmacy(0)
	again.DataDir = cfg.DataDir
	m = h.join("pharmacy", again)
	if a := h.answered(m, 1); a.Source != insurability.Alternate || a.Attempts != 1 {
		h.Errorf("after the restart: %v, %d attempts", a.Source, a.Attempts)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.lists) == 0 || m.lists[0].Kind != bcp.Loaded || m.lists[0].Source != bcp.FromDisk {
		h.Errorf("events of the list: %+v", m.lists)
	}
}

// t05: work goes on to the end of the token, with the end time told; then it stops with a clear message and nothing is
// sent; and it goes on by itself.
func (h *house) t05() {
	m := h.join("doctor", h.doctor(0))
	h.answered(m, 0)
	heal := h.row("sts 0 to_end hang")
	end := m.p.Tokens.Session().Until
	for n := 0; time.Until(end) > time.Minute; n++ {
		if _, took, err := h.ask(m, n); err != nil || took > time.Second {
			h.Fatalf("%v before the end: %v after %v", time.Until(end), err, took)
		}
		time.Sleep(min(10*time.Minute, time.Until(end)-time.Second))
	}
	if _, _, err := h.ask(m, 0); err != nil {
		h.Error("the last second:", err)
	}
	if kept := m.events(sts.KeptUntil); len(kept) != 1 || kept[0].Notice != "D-AUTH-KEPT" || !kept[0].Until.Equal(end) {
		h.Errorf("events: %+v", kept)
	}
	time.Sleep(time.Minute)
	before := h.s.State().Requests["genins"]
	_, _, err := h.ask(m, 0)
	h.notice(err, "D-AUTH-NONE", fault.NotSent)
	if n := h.s.State().Requests["genins"] - before; n != 0 {
		h.Errorf("%d requests without a token", n)
	}
	if s, _ := m.p.Health.Function(ehealth.FunctionLogin); s.Condition == resilience.OK {
		h.Error("the health of the login is good")
	}
	heal()
	for began := time.Now(); ; time.Sleep(10 * time.Second) {
		if _, _, err = h.ask(m, 0); err == nil {
			break
		}
		if time.Since(began) > loginLimit {
			h.Fatal("not back:", err)
		}
	}
}

// t07: the card is refused; the same call that needed the login gets its token by the certificate.
func (h *house) t07() {
	h.row("idvalid 0 to_end refuse_auth scope=eid;code=generic")
	m := h.join("doctor", h.doctor(0))
	if err := h.logIn(m, false); err != nil {
		h.Fatal(err)
	}
	if used := m.events(sts.FallbackUsed); len(used) != 1 || used[0].Notice != "D-AUTH-USED" || used[0].Login == "" {
		h.Errorf("events: %+v", used)
	}
	if n := h.s.State().Effects["sts.issued"]; n != 1 {
		h.Errorf("%d tokens", n)
	}
	time.Sleep(10 * time.Second) // the messages that were refused first look like a fault of the STS, until an answer has lasted
	if s, _ := m.p.Health.Function(ehealth.FunctionLogin); s.Notice != "D-AUTH-USED" {
		h.Errorf("health of the login: %+v", s)
	}
	h.answered(m, 0)
}

// t08: both addresses are down, and the program was started anew since the patient was asked about. The stored answer
// stands in for less than 30 days, with its age and its guarantee, and then nothing is known: in time, with what to do.
func (h *house) t08() {
	const day = 24 * time.Hour
	cfg := h.pharmacy(0)
	cfg.DataDir, cfg.Trust.ServiceList = h.TempDir(), nil // a month of polls would take longer than everything else
	m := h.join("pharmacy", cfg)
	live := h.answered(m, 0)
	h.row("genins 0 to_end fault code=SOA-02001")
	h.row("genins-direct 0 to_end refuse")
	for _, tt := range []struct {
		age    time.Duration
		want   insurability.Source
		notice string
	}{
		{29*day + 23*time.Hour, insurability.Stored, "D-INS-CACHED"},
		{30 * day, insurability.Unknown, "D-INS-UNKNOWN"},
		{31 * day, insurability.Unknown, "D-INS-UNKNOWN"},
	} {
		if err := m.p.Close(); err != nil {
			h.Fatal(err)
		}
		time.Sleep(time.Until(live.ConsultedAt.Add(tt.age - time.Minute)))
		again := h.pharmacy(0)
		again.DataDir, again.Trust.ServiceList = cfg.DataDir, nil
		m = h.join("pharmacy", again)
		time.Sleep(time.Until(live.ConsultedAt.Add(tt.age)))
		a, _, err := h.ask(m, 0)
		if a == nil || a.Source != tt.want || a.Notice != tt.notice || (err == nil) != (tt.want == insurability.Stored) {
			h.Fatalf("age %v: %v, %v", tt.age, a, err)
		}
		text, ok := a.Message()
		if !ok || string(text.ID()) != tt.notice {
			h.Errorf("age %v: text %v", tt.age, text)
		}
		if tt.want == insurability.Unknown {
			if !strings.Contains(text.Text(notice.NL), "bijlage 30") || a.Insured != insurability.NotKnown || a.PaymentGuaranteed {
				h.Errorf("age %v: %+v", tt.age, a)
			}
			continue
		}
		if a.Insured != live.Insured || a.References != live.References || a.PaymentApproval != live.PaymentApproval ||
			a.Age < tt.age || a.Age > tt.age+checkLimit || a.PaymentGuaranteed != live.PaymentGuaranteed {
			h.Errorf("age %v: %+v, was %+v", tt.age, a, live)
		}
		if b, _, err := h.ask(m, 1); b == nil || b.Source != insurability.Unknown || err == nil {
			h.Errorf("a patient who was never asked about: %v, %v", b, err)
		}
	}
}

// counted is a connection that tells when it is closed.
type counted struct {
	net.Conn
	once   sync.Once
	closed *atomic.Int64
}

// Close counts once.
func (c *counted) Close() error {
	c.once.Do(func() { c.closed.Add(1) })
	return c.Conn.Close()
}

// t13: every answer is that to another question. None is shown, no number of a patient is logged, and the connections
// that brought them are closed.
func (h *house) t13() {
	var opened, closed atomic.Int64
	var mu sync.Mutex
	var log bytes.Buffer
	cfg := h.pharmacy(0)
	cfg.Trust.ServiceList = nil
	cfg.Logger = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	tr, ok := cfg.Transport.(*http.Transport)
	if !ok {
		h.Fatal("the sandbox's transport is of another type")
	}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := h.s.Dial(ctx, network, addr)
		if err != nil || !strings.HasPrefix(addr, "genins") {
			return c, err
		}
		opened.Add(1)
		return &counted{Conn: c, closed: &closed}, nil
	}
	m := h.join("pharmacy", cfg)
	if err := h.logIn(m, false); err != nil {
		h.Fatal(err)
	}
	h.row("genins 0 to_end misroute p=1")
	h.row("genins-direct 0 to_end misroute p=1")
	wrong := 0
	for range 10 {
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				_, _, err := h.ask(m, n)
				if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Kind == fault.Security && fe.Notice == "D-WRONG" {
					mu.Lock()
					wrong++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
	}
	hits := h.s.State().Hits["genins"]["misroute"] + h.s.State().Hits["genins-direct"]["misroute"]
	if hits == 0 || wrong == 0 {
		h.Fatalf("%d answers swapped, %d noticed", hits, wrong)
	}
	if got := int(closed.Load()); got < min(hits, int(opened.Load())) {
		h.Errorf("%d answers swapped, %d connections opened, %d closed", hits, opened.Load(), got)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, p := range h.patients {
		if strings.Contains(log.String(), p.SSIN.Reveal()) || strings.Contains(log.String(), p.RegNr) {
			h.Error("the log names a patient")
		}
	}
	if log.Len() == 0 {
		h.Error("nothing was logged")
	}
	h.Logf("%d answers swapped, %d calls told D-WRONG, %d connections opened, %d closed", hits, wrong, opened.Load(), closed.Load())
}

// writer is a function that writes.
type writer func([]byte) (int, error)

// Write calls it.
func (w writer) Write(b []byte) (int, error) { return w(b) }

// t14: everybody is refused at once. It is told as an outage after a few refusals, and nobody logs in again.
func (h *house) t14() {
	m := h.join("doctor", h.doctor(0))
	h.answered(m, 0)
	asked := h.s.State().Requests["sts"]
	heal := h.row("access 0 to_end refuse_auth scope=all;code=SOA-01002")
	plain, group := 0, 0
	for n := range 100 {
		_, _, err := h.ask(m, n)
		fe, ok := errors.AsType[*fault.Error](err)
		switch {
		case !ok:
			h.Fatal("served:", err)
		case fe.Notice == "D-AUTH-GROUP":
			group++
		case group > 0 && fe.Outcome != fault.NotSent:
			h.Errorf("taken for a lost right again: %v", err)
		default:
			plain++
		}
		time.Sleep(10 * time.Second)
	}
	if plain > sts.GroupRepeats+2 || group == 0 {
		h.Errorf("%d refusals taken for a lost right, %d for an outage", plain, group)
	}
	if e := m.events(sts.GroupRefusal); len(e) == 0 || e[0].Notice != "D-AUTH-GROUP" {
		h.Errorf("events: %+v", e)
	}
	if n := h.s.State().Requests["sts"] - asked; n != 0 {
		h.Errorf("%d messages to the STS", n)
	}
	heal()
	time.Sleep(recoverLimit)
	h.answered(m, 0)
	h.Logf("%d refusals taken for a lost right, %d for an outage", plain, group)
}

// t15: the STS is away in the hours in which a fleet wants to renew. When it is back, it is not asked more than in the
// minutes in which all of them logged in.
func (h *house) t15() {
	const users = 24
	began := time.Now()
	for n := range users {
		m := h.join(fmt.Sprintf("user %d", n), h.user(n))
		if err := h.logIn(m, false); err != nil {
			h.Fatal(err)
		}
		time.Sleep(normalSpan / users)
	}
	normal := h.sts.busiest(began, time.Now())
	time.Sleep(tokenValidity / 2)
	heal := h.row("sts 0 to_end http status=503;body=html")
	time.Sleep(3 * time.Hour)
	heal()
	end := time.Now()
	time.Sleep(time.Hour)
	after := h.sts.busiest(end, time.Now())
	h.Logf("messages to the STS in 5 minutes: %d normally, %d during, %d afterwards", normal, h.sts.busiest(end.Add(-3*time.Hour), end), after)
	if after == 0 || float64(after) > stsRecovery*float64(normal) { // a small fleet is a noisy one
		h.Errorf("%d messages to the STS, normally %d", after, normal)
	}
}
