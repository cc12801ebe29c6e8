package recipe_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// chemist is a pharmacy of the sandbox with its dispenser.
type chemist struct {
	t      *testing.T
	sb     *sandbox.Sandbox
	number identity.NIHII
	x      *recipe.Executor
	d      *recipe.Dispenser
	box    *outbox.Box
	file   string
	stop   func()
}

func newChemist(t *testing.T, sb *sandbox.Sandbox, n int, opts ...recipe.Option) *chemist {
	t.Helper()
	org := sb.Organisation(identity.Pharmacy, n)
	number, err := identity.ParseNIHII(org.Number)
	ok(t, err)
	http := sb.HTTPClient()
	t.Cleanup(http.CloseIdleConnections)
	link, _ := linkAs(t, sb, org, org.Holder, http, sts.Identity{
		Quality: identity.Pharmacist, SSIN: org.Holder.SSIN, NIHII: number, Holder: org.Holder.SSIN,
	})
	c := &chemist{t: t, sb: sb, number: number, file: filepath.Join(t.TempDir(), "outbox.db")}
	c.x, err = recipe.NewExecutor(link, recipe.Caller{NIHII: number, Quality: identity.Pharmacy}, append(opts, recipe.WithProgramID("test/1.0"))...)
	ok(t, err)
	c.x = c.x.WithStampTrust(recipe.StampTrust{Roots: sb.Roots()})
	c.open()
	t.Cleanup(c.close)
	return c
}

func (c *chemist) open() {
	c.t.Helper()
	var err error
	c.d, err = recipe.NewDispenser(c.x)
	ok(c.t, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(c.t, err)
	disk, err := outbox.OpenBolt(c.file)
	ok(c.t, err)
	c.box, err = outbox.Open(c.t.Context(), disk, outbox.NewKeys(key), append(c.d.Handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1))...)
	ok(c.t, err)
	c.d.Use(c.box)
	c.stop = func() {}
}

func (c *chemist) close() {
	c.stop()
	c.stop = func() {}
	_ = c.box.Close()
}

func (c *chemist) work() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.box.Run(ctx) }()
	c.stop = func() { cancel(); <-done }
}

func (c *chemist) reports() []recipe.Report {
	c.t.Helper()
	var out []recipe.Report
	for r, err := range c.d.Reports(c.t.Context()) {
		ok(c.t, err)
		out = append(out, r)
	}
	return out
}

// later accepts an error that only says that it is done later.
func later(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) {
		t.Fatal(err)
	}
}

// at wants a prescription in a state, delivered and archived so often by the end of it.
func at(t *testing.T, sb *sandbox.Sandbox, rid identity.RID, want sandbox.PrescriptionStatus, deliveries int) {
	t.Helper()
	p, there := sb.Prescription(rid.Reveal())
	if !there || p.Status != want || p.Deliveries != deliveries {
		t.Errorf("there %v, %s, delivered %d times", there, p.Status, p.Deliveries)
	}
	archived := 0
	for _, e := range p.Events {
		if e.Status == sandbox.Archived {
			archived++
		}
	}
	if archived > 1 {
		t.Errorf("archived %d times", archived)
	}
}

func (s *surgery) several(n int) []identity.RID {
	s.t.Helper()
	var out []identity.RID
	for i := range n {
		out = append(out, s.mustCreate(fmt.Sprint("rx ", i)).RID)
		time.Sleep(time.Minute)
	}
	return out
}

func items(t *testing.T, six string) []recipe.DispensedItem {
	t.Helper()
	cnk, err := identity.NewCNK(six)
	ok(t, err)
	return []recipe.DispensedItem{{CNK: cnk, Quantity: 1}}
}

// The life of a prescription in a pharmacy, over the wire.
func TestExecutor(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c, other := newChemist(t, s.sb, 0), newChemist(t, s.sb, 1)
		ctx := t.Context()
		rids := s.several(4)
		got, err := c.x.Get(ctx, rids[0])
		ok(t, err)
		v := got.Message.Prescription()
		if v.Patient.SSIN != s.patient.SSIN || v.Items[0].Medicine.Name.Reveal() != "Sampelium 10 mg" || got.Stamp != recipe.StampVerified ||
			!got.Document.Timestamped() || got.Insurability != nil || got.RID != rids[0] || got.Type != identity.PrescriptionP0 {
			t.Errorf("got stamp %v, type %v", got.Stamp, got.Type)
		}
		again, err := c.x.Open(ctx, recipe.NewDocument(got.Document.Bytes(), got.Document.KeyID(), got.Document.Created()))
		ok(t, err)
		if again.Message.AuthorNIHII() != s.person.NIHII || again.RID != rids[0] {
			t.Error("the document does not open again")
		}
		got, err = c.x.GetWithInsurability(ctx, rids[0])
		ok(t, err)
		if len(got.Insurability) == 0 {
			t.Error("no insurability")
		}
		strange := c.x.WithStampTrust(recipe.StampTrust{})
		got, err = strange.Get(ctx, rids[0])
		if e := new(recipe.StampError); !errors.As(err, &e) || got == nil || got.Stamp != recipe.StampInvalid || !errors.Is(err, fault.ErrSecurity) {
			t.Errorf("strange signer: %v", err)
		}
		forged := []byte(strings.Replace(string(again.Document.Bytes()), "<feedbackRequested>false<", "<feedbackRequested>true<", 1))
		got, err = c.x.Open(ctx, recipe.NewDocument(forged, again.Document.KeyID(), again.Document.Created()))
		if !errors.As(err, new(*recipe.StampError)) || got.Stamp != recipe.StampInvalid {
			t.Errorf("forged: %v", err)
		}
		silent(t, s, rids, got, *got, err, got.Document, *got.Document, again)

		// Another pharmacy cannot have it.
		_, err = other.x.Get(ctx, rids[0])
		state, is := errors.AsType[*recipe.StateError](err)
		if !is || state.State != protocol.InProcess || state.Own || state.Twice || !errors.Is(err, fault.ErrConflict) {
			t.Errorf("other pharmacy: %v", err)
		}
		where, err := c.x.Status(ctx, rids[0])
		ok(t, err)
		if where.State != protocol.InProcess || !where.Own {
			t.Errorf("state %s, own %v", where.State, where.Own)
		}
		for range 2 { // repeating is no conflict
			ok(t, c.x.Deliver(ctx, rids[0]))
		}
		for range 2 {
			ok(t, c.x.Archive(ctx, rids[0]))
		}
		at(t, s.sb, rids[0], sandbox.Archived, 1)
		err = other.x.Deliver(ctx, rids[0])
		state, is = errors.AsType[*recipe.StateError](err)
		e, _ := errors.AsType[*fault.Error](err)
		if !is || !state.Twice || e.Notice != recipe.NoticeTwice || e.Outcome != fault.Rejected {
			t.Errorf("delivered twice: %v", err)
		}

		silent(t, s, rids, err, state, where, *where)

		// Reservations of several, each with its own result.
		taken, err := other.x.Reserve(ctx, rids[1:2])
		ok(t, err)
		all, err := c.x.Reserve(ctx, rids)
		ok(t, err)
		if !taken[0].Got() || all[0].Got() || all[1].Got() || !all[2].Got() || !all[3].Got() || all[1].Own || all[0].State != protocol.Archived {
			t.Errorf("got %v %v %v %v", all[0].Got(), all[1].Got(), all[2].Got(), all[3].Got())
		}
		if _, err := c.x.Reserve(ctx, make([]identity.RID, 11)); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("eleven: %v", err)
		}
		if got, err := c.x.ReserveAll(ctx, append(rids, rids...)); err != nil || len(got) != 8 {
			t.Errorf("%d reserved, %v", len(got), err)
		}
		mine := 0
		for rid, err := range c.x.RIDsInProcess(ctx) {
			ok(t, err)
			if mine++; rid != rids[2] && rid != rids[3] {
				t.Error("another one is in process")
			}
		}
		if mine != 2 {
			t.Errorf("%d in process", mine)
		}
		for range 2 {
			ok(t, c.x.Undeliver(ctx, rids[2]))
		}
		at(t, s.sb, rids[2], sandbox.NotDelivered, 0)
		for range 2 {
			ok(t, c.x.Revoke(ctx, rids[2], identity.Hide("wrong patient")))
		}
		at(t, s.sb, rids[2], sandbox.Revoked, 0)
		if err := c.x.Revoke(ctx, rids[0], identity.Hide("too late")); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("revoked: %v", err)
		}
	})
}

// silent asserts that printing values in any way tells nothing about people, products and prescriptions.
func silent(t *testing.T, s *surgery, rids []identity.RID, values ...any) {
	t.Helper()
	var out strings.Builder
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		for _, v := range values {
			slog.New(h).Info("test", "value", v)
		}
	}
	for _, v := range values {
		fmt.Fprintf(&out, "%v %+v %#v %s %d %x", v, v, v, v, v, v)
		b, err := json.Marshal(v)
		fmt.Fprint(&out, string(b), err)
	}
	secrets := []string{s.patient.SSIN.Reveal(), "Sampelium", s.patient.LastName, s.person.NIHII.Reveal(), "Please order", "<r:"}
	for _, r := range rids {
		secrets = append(secrets, r.Reveal(), base64.StdEncoding.EncodeToString([]byte(r.Reveal())), hex.EncodeToString([]byte(r.Reveal())))
	}
	for _, x := range secrets {
		if strings.Contains(out.String(), x) {
			t.Errorf("%q is printed: %.2000s", x, out.String())
		}
	}
}

// Lists in pages, with content; notes in both directions.
func TestExecutorLists(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.sb.SetRecipe(sandbox.RecipeBehaviour{PageSize: 2})
		c := newChemist(t, s.sb, 0)
		ctx := t.Context()
		rids := s.several(5)
		open := 0
		for p, err := range c.x.OpenPrescriptions(ctx, s.patient.SSIN, identity.SSIN{}) {
			ok(t, err)
			silent(t, s, rids, p, &p)
			if open++; p.Err != nil || p.Message == nil || p.State != protocol.NotDelivered {
				t.Errorf("error %v, state %s", p.Err, p.State)
			}
		}
		_, err := c.x.ReserveAll(ctx, rids[:3])
		ok(t, err)
		past := 0
		for r, err := range c.x.History(ctx, s.patient.SSIN, true) {
			ok(t, err)
			if past++; r.PrescriptionStatus != protocol.InProcess {
				t.Errorf("state %s", r.PrescriptionStatus)
			}
		}
		if open != 5 || past != 3 { // what the pharmacy had in its hands
			t.Errorf("%d open, %d in the history", open, past)
		}
		for range c.x.OpenPrescriptions(ctx, s.patient.SSIN, identity.SSIN{}) {
			break // a list may be left
		}

		ok(t, s.p.SendNotification(ctx, recipe.OutgoingNotification{Pharmacy: c.number, Patient: s.patient.SSIN, Text: identity.Hide("Please order")}))
		notes, err := c.x.Notifications(ctx, false)
		ok(t, err)
		if len(notes) != 1 || notes[0].Err != nil || notes[0].Notification.Text.Reveal() != "Please order" {
			t.Errorf("%d notes", len(notes))
		}
		silent(t, s, rids, notes, notes[0])
		_, err = c.x.Get(ctx, rids[0])
		ok(t, err)
		ok(t, s.p.SetFeedback(ctx, rids[0], true))
		ok(t, c.x.Feedback(ctx, recipe.Feedback{RID: rids[0], Prescriber: s.person.NIHII, Text: identity.Hide("Not in stock")}))
		back, err := s.p.Feedbacks(ctx, false)
		ok(t, err)
		if len(back) != 1 {
			t.Errorf("%d feedbacks", len(back))
		}
	})
}

// What a patient does: visibility, reservation, mandates, each looked up before it is repeated.
func TestPatient(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c := newChemist(t, s.sb, 0)
		person := s.sb.Citizen(s.patient.SSIN)
		http := s.sb.HTTPClient()
		t.Cleanup(http.CloseIdleConnections)
		link, _ := linkAs(t, s.sb, person, person, http, sts.Identity{SSIN: person.SSIN})
		p, err := recipe.NewPatient(link, recipe.Caller{SSIN: person.SSIN}, recipe.WithProgramID("test/1.0"))
		ok(t, err)
		ctx := t.Context()
		rids := s.several(3)
		n := 0
		for r, err := range p.OpenRIDs(ctx) {
			ok(t, err)
			if n++; !r.Vision.Open() || r.PrescriptionStatus != protocol.NotDelivered {
				t.Errorf("vision %v, %s", r.Vision, r.PrescriptionStatus)
			}
		}
		for _, err := range p.Prescriptions(ctx) {
			ok(t, err)
			n++
		}
		for _, err := range p.History(ctx, true) {
			ok(t, err)
			n++
		}
		if n != 9 {
			t.Errorf("%d entries in three lists of three", n)
		}
		got, err := p.Get(ctx, rids[0])
		ok(t, err)
		if got.Message.Prescription().Items[0].Medicine.Name.Reveal() != "Sampelium 10 mg" {
			t.Error("another prescription")
		}
		silent(t, s, rids, got, *got)
		for _, v := range []protocol.Vision{protocol.VisionLocked, protocol.VisionPharmacy(c.number), protocol.VisionOpen} {
			ok(t, p.PutVision(ctx, rids[0], v))
			now, err := p.Vision(ctx, rids[0])
			ok(t, err)
			if now.Locked() != v.Locked() || now.Pharmacy() != v.Pharmacy() || now.Open() != v.Open() {
				t.Errorf("vision %v after %v", now, v)
			}
		}
		ok(t, p.SetFeedback(ctx, rids[0], true))

		// An answer that is lost is looked up.
		cancel := s.inject("recipe-presc 0 to_end lost_ack p=1 max=1")
		err = p.Reserve(ctx, rids[1], c.number)
		cancel()
		if err != nil {
			t.Errorf("reserve: %v", err)
		}
		ok(t, p.Reserve(ctx, rids[1], c.number))
		found := 0
		for r, err := range c.x.Reservations(ctx, time.Now().Add(-time.Hour)) {
			ok(t, err)
			silent(t, s, rids, r, &r)
			if found++; r.RID != rids[1] || r.Prescription == nil || r.Prescription.Err != nil || r.Prescription.Message == nil {
				t.Error("another reservation")
			}
		}
		if found != 1 {
			t.Errorf("%d reservations", found)
		}

		holder := s.sb.Patients()[3].SSIN
		m := recipe.Mandate{Holder: holder, FirstName: identity.Hide(s.patient.FirstName), LastName: identity.Hide(s.patient.LastName)}
		for range 2 {
			ok(t, p.Relate(ctx, m))
		}
		found = 0
		for r, err := range c.x.Relations(ctx, holder) {
			ok(t, err)
			if found++; r.PatientID.Reveal() != s.patient.SSIN.Reveal() {
				t.Error("another relation")
			}
		}
		if found != 1 {
			t.Errorf("%d relations", found)
		}
		for range 2 {
			ok(t, p.Unrelate(ctx, holder))
		}
		ok(t, p.Revoke(ctx, rids[2], identity.Hide("not needed")))
		where, err := p.Status(ctx, rids[2])
		ok(t, err)
		if where.State != protocol.Revoked {
			t.Errorf("state %s", where.State)
		}
		if err := p.Reserve(ctx, rids[2], identity.NIHII{}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("no pharmacy: %v", err)
		}
	})
}

// dropping loses the answers to some operations, after they were carried out.
type dropping struct {
	http.RoundTripper
	operations map[string]int // how often each was asked for
}

func (d *dropping) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := d.RoundTripper.RoundTrip(r)
	_, operation, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), ":protocol:v4:")
	n, drops := d.operations[operation]
	if err != nil || !drops {
		return a, err
	}
	d.operations[operation] = n + 1
	_ = a.Body.Close()
	return nil, io.ErrUnexpectedEOF
}

// The answers to what a patient writes are lost themselves: each is carried out once, and the list tells.
func TestLostAnswersToAPatient(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c := newChemist(t, s.sb, 0)
		person := s.sb.Citizen(s.patient.SSIN)
		client := s.sb.HTTPClient()
		t.Cleanup(client.CloseIdleConnections)
		drop := &dropping{client.Transport, map[string]int{"createReservation": 0, "createRelation": 0, "revokeRelation": 0}}
		client.Transport = drop
		link, _ := linkAs(t, s.sb, person, person, client, sts.Identity{SSIN: person.SSIN})
		p, err := recipe.NewPatient(link, recipe.Caller{SSIN: person.SSIN}, recipe.WithProgramID("test/1.0"))
		ok(t, err)
		rid, holder := s.mustCreate("one").RID, s.sb.Patients()[3].SSIN
		relations := func() (n int) {
			for _, err := range p.Relations(t.Context()) {
				ok(t, err)
				n++
			}
			return n
		}
		for range 2 { // the second time it is found in the list before
			ok(t, p.Reserve(t.Context(), rid, c.number))
			ok(t, p.Relate(t.Context(), recipe.Mandate{Holder: holder, FirstName: identity.Hide(s.patient.FirstName), LastName: identity.Hide(s.patient.LastName)}))
		}
		reserved := 0
		for _, err := range c.x.Reservations(t.Context(), time.Now().Add(-time.Hour)) {
			ok(t, err)
			reserved++
		}
		if n := relations(); n != 1 || reserved != 1 {
			t.Errorf("%d relations, %d reservations", n, reserved)
		}
		for range 2 {
			ok(t, p.Unrelate(t.Context(), holder))
		}
		if n := relations(); n != 0 {
			t.Errorf("%d relations", n)
		}
		for operation, n := range drop.operations {
			if n != 1 {
				t.Errorf("%s was sent %d times", operation, n)
			}
		}
	})
}

// T10 and INC-2019-08-RECIPE over the wire, with a restart in the outage: what was dispensed on the proof is delivered and
// archived exactly once, what went wrong is told, and nothing of it lies in clear on the disk.
func TestPharmacyInAnOutage(t *testing.T) {
	for name, rows := range map[string]string{
		"refused":    "recipe-exec 0 7200 refuse\nrecipe-direct 0 7200 refuse",
		"SOA-02001":  "recipe-exec 0 7200 fault code=SOA-02001;p=0.95\nrecipe-direct 0 7200 fault code=SOA-02001;p=0.95",
		"hangs":      "recipe-exec 0 7200 hang p=1;exec=0.5\nrecipe-direct 0 7200 hang p=1;exec=0.5",
		"lost acks":  "recipe-exec 0 7200 lost_ack p=0.7\nrecipe-direct 0 7200 lost_ack p=0.7",
		"everything": "esb 0 7200 refuse\nrecipe-direct 0 7200 refuse",
	} {
		t.Run(name, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				c, other := newChemist(t, s.sb, 0), newChemist(t, s.sb, 1)
				rids := s.several(6)
				_, err := c.x.Status(t.Context(), rids[0]) // logged in before it begins
				ok(t, err)
				_, err = other.x.Get(t.Context(), rids[5]) // delivered elsewhere before it begins
				ok(t, err)
				ok(t, other.x.Deliver(t.Context(), rids[5]))
				ok(t, s.p.Revoke(t.Context(), rids[4], identity.Hide("mistake")))
				s.inject(rows)
				over := time.Now().Add(2 * time.Hour)
				c.work()
				for i, rid := range rids {
					began := time.Now()
					given := items(t, "123456")
					if i == 3 {
						given = items(t, "654321")
					}
					got, err := c.d.Dispense(t.Context(), recipe.Dispensing{RID: rid, ForceMajeure: true, Reference: fmt.Sprint("sale ", i), Items: given})
					if err != nil && got == nil || err != nil && got.State != recipe.DispensedConflict && (len(got.Notices) != 2 || got.Notices[0].ID() != notice.IDRxProof || got.Notices[1].ID() != notice.IDRxLater) {
						t.Fatalf("sale %d: %+v, %v", i, got, err)
					}
					if took := time.Since(began); took > 16*time.Second {
						t.Errorf("waited %v", took)
					}
					time.Sleep(5 * time.Minute)
				}
				c.close()
				raw, err := os.ReadFile(c.file)
				ok(t, err)
				for _, secret := range []string{rids[0].Reveal(), "123456", s.patient.SSIN.Reveal(), "sale 0"} {
					if strings.Contains(string(raw), secret) {
						t.Errorf("%q lies on the disk in clear", secret)
					}
				}
				c.open()
				c.work()
				time.Sleep(time.Until(over) + time.Hour)
				if n, err := c.d.Waiting(t.Context()); err != nil || n != 0 {
					t.Errorf("%d wait, %v", n, err)
				}
				for _, rid := range rids[:4] {
					p, _ := s.sb.Prescription(rid.Reveal())
					if p.Status == sandbox.Delivered { // confirmed at once in spite of it all: archived by the pharmacy's own order
						_, err := c.d.Archive(t.Context(), rid)
						later(t, err)
					}
					at(t, s.sb, rid, sandbox.Archived, 1)
				}
				at(t, s.sb, rids[4], sandbox.Revoked, 0)
				at(t, s.sb, rids[5], sandbox.Delivered, 1)
				told := map[identity.RID]recipe.Conflict{}
				for _, r := range c.reports() {
					told[r.RID] = r.Conflict
					if r.RID == rids[3] && len(r.Difference) == 0 {
						t.Error("another product was dispensed, and nobody is told")
					}
				}
				if _, there := told[rids[3]]; !there || told[rids[4]] != recipe.ConflictRevoked || told[rids[5]] != recipe.ConflictTwice || len(told) != 3 {
					t.Errorf("%d reports: %v", len(told), told)
				}
			})
		})
	}
}

// A lost answer at any of the requests of a dispensing: one delivery, one archive.
func TestLostAnswerInAPharmacy(t *testing.T) {
	for _, row := range []string{
		"recipe-exec 0 to_end lost_ack p=1 max=1", "recipe-exec 0 to_end lost_ack p=1 max=2", "recipe-exec 0 to_end lost_ack p=0.5 max=5",
		"recipe-exec 0 600 hang p=1;exec=1", "recipe-exec 0 600 http status=503;body=html;exec=1", "recipe-exec 0 to_end corrupt how=bytes max=2",
	} {
		t.Run(row, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				c := newChemist(t, s.sb, 0)
				rids := s.several(2)
				f, err := c.x.Get(t.Context(), rids[0])
				ok(t, err)
				s.inject(row)
				_, err = c.d.Dispense(t.Context(), recipe.Dispensing{RID: rids[0], Fetched: f, Archive: recipe.ArchiveNow})
				later(t, err)
				_, err = c.d.Dispense(t.Context(), recipe.Dispensing{RID: rids[1], Archive: recipe.ArchiveNow, Items: items(t, "123456")})
				later(t, err)
				c.work()
				time.Sleep(2 * time.Hour)
				for _, rid := range rids {
					at(t, s.sb, rid, sandbox.Archived, 1)
				}
				if r := c.reports(); len(r) != 0 {
					t.Errorf("%d reports: %s", len(r), r[0].Conflict)
				}
			})
		})
	}
}

// T13: an answer that was made for another pharmacy is shown to nobody, and what was asked is carried out once all the same.
func TestMisroutedInAPharmacy(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		a, b := newChemist(t, s.sb, 0), newChemist(t, s.sb, 1)
		rids := s.several(2)
		for i, c := range []*chemist{a, b} {
			_, err := c.x.Get(t.Context(), rids[i])
			ok(t, err)
		}
		cancel := s.inject("recipe-exec 0 to_end misroute p=1")
		for range 3 {
			for i, c := range []*chemist{a, b} {
				got, err := c.x.Status(t.Context(), rids[i])
				if err == nil && (got.State != protocol.InProcess || !got.Own) {
					t.Errorf("shown: %s, own %v", got.State, got.Own)
				}
				if f, err := c.x.Get(t.Context(), rids[i]); err == nil && f.RID != rids[i] || err != nil && f != nil {
					t.Errorf("shown: %v", err)
				}
			}
		}
		for i, c := range []*chemist{a, b} {
			_, err := c.d.Dispense(t.Context(), recipe.Dispensing{RID: rids[i], Archive: recipe.ArchiveNow})
			later(t, err)
			c.work()
		}
		if s.sb.State().Hits["recipe-exec"]["misroute"] == 0 {
			t.Fatal("nothing was swapped")
		}
		cancel()
		time.Sleep(time.Hour)
		for _, rid := range rids {
			at(t, s.sb, rid, sandbox.Archived, 1)
		}
	})
}
