package ehealth_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/paper"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func storeOf(t *testing.T, file []byte, err error) *keystore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Load(file, "password")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prescribing is the configuration of a doctor who prescribes, pharmacy that of a pharmacy that dispenses.
func prescribing(t *testing.T, sb *sandbox.Sandbox, cfg ehealth.Config) ehealth.Config {
	t.Helper()
	file, err := sb.Person(identity.Doctor, 0).Keystore("password")
	cfg.Identity = storeOf(t, file, err)
	cfg.DataDir, cfg.Outbox, cfg.Recipe = t.TempDir(), &ehealth.Outbox{}, &ehealth.Recipe{}
	return cfg
}

func pharmacy(t *testing.T, sb *sandbox.Sandbox, cfg ehealth.Config, n int) ehealth.Config {
	t.Helper()
	o := sb.Organisation(identity.Pharmacy, n)
	file, err := o.Keystore("password")
	cfg.Identity = storeOf(t, file, err)
	file, err = o.Holder.Keystore("password")
	cfg.Login = storeOf(t, file, err)
	cfg.Caller = insurability.Caller{
		Quality: identity.Pharmacy, NIHII: identity.MustNIHII(o.Number), Name: o.Name,
		Holder: &insurability.Holder{NIHII: o.Holder.NIHII, Name: o.Holder.Name(), SSIN: o.Holder.SSIN},
	}
	cfg.DataDir, cfg.Outbox, cfg.Recipe = t.TempDir(), &ehealth.Outbox{}, &ehealth.Recipe{}
	return cfg
}

// prescription is one of a product for the n-th patient.
func prescription(sb *sandbox.Sandbox, n int) kmehr.Prescription {
	doctor, patient := sb.Person(identity.Doctor, 0), sb.Patients()[n]
	y, m, d := patient.Birth.Date()
	return kmehr.Prescription{
		Author: kmehr.Author{
			NIHII: doctor.NIHII, FirstName: kmehr.Hide(doctor.FirstName), FamilyName: kmehr.Hide(doctor.LastName), Phone: kmehr.Hide("+3220000000"),
			Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Brussel"), Street: kmehr.Hide("Straat"), Number: kmehr.Hide("1")},
		},
		Software: kmehr.Software{Name: "MyPractice", Version: "4.2", Phone: "+3220000000", Email: "support@example.be"},
		Source:   kmehr.Source{Version: "SAMPLE"},
		Patient: kmehr.Patient{
			SSIN: patient.SSIN, FirstName: kmehr.Hide(patient.FirstName), FamilyName: kmehr.Hide(patient.LastName), Birth: kmehr.NewDay(y, m, d),
		},
		Items: []kmehr.Item{{
			Medicine: &kmehr.Medicine{CNK: product, Name: kmehr.Hide("Sampelium 10 mg")}, Posology: kmehr.Text{Lang: "nl", Text: kmehr.Hide("1 per dag")},
			Quantity: kmehr.Quantity{Value: "1"},
		}},
	}
}

var product = func() identity.CNK {
	c, err := identity.NewCNK("123456")
	if err != nil {
		panic(err)
	}
	return c
}()

// TestPrescribeAndDispense: a prescription goes from a doctor through the patient's hands to a pharmacy and its archive, and
// a second one does so while Recip-e does not answer the pharmacy.
func TestPrescribeAndDispense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		d, ph := open(t, prescribing(t, sb, plain)), open(t, pharmacy(t, sb, plain, 0))
		if d.Recipe.Executor != nil || d.Recipe.Patient != nil || ph.Recipe.Prescriber != nil {
			t.Error("a caller has a role that is not his")
		}
		var rids []identity.RID
		for _, ref := range []string{"visit 1", "visit 2"} {
			made, err := d.Recipe.Prescriber.Create(t.Context(), recipe.CreateRequest{Reference: ref, Prescription: prescription(sb, 1), Type: identity.PrescriptionP0})
			if err != nil {
				t.Fatal(err)
			}
			rids = append(rids, made.RID)
		}
		got, err := ph.Recipe.Executor.Get(t.Context(), rids[0])
		if err != nil {
			t.Fatal(err)
		}
		given := []recipe.DispensedItem{{CNK: product, Quantity: 1}}
		done, err := ph.Recipe.Dispenser.Dispense(t.Context(), recipe.Dispensing{RID: rids[0], Items: given, Fetched: got, Archive: recipe.ArchiveNow})
		if err != nil || done.State != recipe.DispensedConfirmed {
			t.Fatalf("%+v, %v", done, err)
		}
		heal := inject(t, sb, "recipe-exec 0 to_end fault code=SOA-02001")
		other := inject(t, sb, "recipe-direct 0 to_end fault code=SOA-02001")
		_, err = ph.Recipe.Executor.Get(t.Context(), rids[1])
		if n, ok := notice.FromError(err, notice.RecipE); !ok || n.ID() != notice.IDRxProof {
			t.Errorf("the pharmacist is told %v (%v)", n, err)
		}
		late, err := ph.Recipe.Dispenser.Dispense(t.Context(), recipe.Dispensing{RID: rids[1], Items: given, ForceMajeure: true})
		if !errors.Is(err, outbox.ErrQueued) || late == nil || late.State != recipe.DispensedQueued {
			t.Fatalf("%+v, %v", late, err)
		}
		if s := status(t, ph); s.Waiting != 1 || s.Notice != notice.PrescriptionsPending(1) {
			t.Errorf("one dispensing waits, but %+v", s)
		}
		heal()
		other()
		emptied(t, ph, time.Hour)
		for i, p := range sb.Prescriptions() {
			if p.Status != sandbox.Archived || p.Deliveries != 1 {
				t.Errorf("prescription %d is %s, delivered %d times", i, p.Status, p.Deliveries)
			}
		}
	})
}

// TestPrescribeInAnOutage: when there certainly is no electronic prescription paper is given, and never both; when nobody
// knows neither is, until it is known.
func TestPrescribeInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg := prescribing(t, sb, plain)
		var mu sync.Mutex
		var told []notice.ID
		cfg.Outbox.OnEvent = func(e ehealth.QueueEvent) {
			mu.Lock()
			defer mu.Unlock()
			if !e.Notice.IsZero() {
				told = append(told, e.Notice.ID())
			}
		}
		settled := make(chan recipe.Event, 4)
		cfg.Recipe.OnEvent = func(e recipe.Event) { settled <- e }
		p := open(t, cfg)
		rx := p.Recipe.Prescriber
		ask := func(ref string) error {
			_, err := rx.Create(t.Context(), recipe.CreateRequest{Reference: ref, Prescription: prescription(sb, 2), Type: identity.PrescriptionP0})
			return err
		}
		down := inject(t, sb, "recipe-presc 0 to_end refuse -")
		also := inject(t, sb, "recipe-direct 0 to_end refuse -")
		err := ask("visit 1")
		wants(t, err, err, fault.NotSent, notice.IDRxPaper)
		permit, err := rx.Paper(t.Context(), "visit 1")
		if err != nil {
			t.Fatal(err)
		}
		v, err := prescription(sb, 2).Fill(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		content, err := paper.Of(paper.NL, &v)
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if err := paper.Fallback(&page, paper.Form{Content: content, Permit: permit}); err != nil || !bytes.HasPrefix(page.Bytes(), []byte("%PDF")) {
			t.Errorf("no form: %v", err)
		}
		down()
		also()
		time.Sleep(2 * time.Minute)
		if err := ask("visit 1"); !errors.Is(err, recipe.ErrPaperGiven) {
			t.Errorf("paper was given, and then %v", err)
		}
		if err := ask("visit 0"); err != nil { // until one was made, a read goes before each
			t.Fatal(err)
		}
		before := sb.Prescriptions()
		lost := inject(t, sb, "recipe-presc 0 to_end lost_ack p=1")
		also = inject(t, sb, "recipe-direct 0 to_end lost_ack p=1")
		err = ask("visit 2")
		wants(t, err, outbox.ErrUnknown, fault.Unknown, notice.IDUnsure)
		if _, err := rx.Paper(t.Context(), "visit 2"); err == nil {
			t.Error("paper beside a prescription of which nobody knows")
		}
		if err := ask("visit 2"); !errors.Is(err, outbox.ErrUnknown) {
			t.Errorf("asked again: %v", err)
		}
		lost()
		also()
		out, err := rx.Wait(t.Context(), "visit 2")
		if err != nil || out.State != recipe.OutcomeCreated {
			t.Fatalf("%+v, %v", out, err)
		}
		made := sb.Prescriptions()
		if len(before) != 1 || len(made) != 2 || !slices.ContainsFunc(made, func(p sandbox.Prescription) bool { return p.RID == out.RID.Reveal() }) || before[0].RID == out.RID.Reveal() {
			t.Errorf("%d prescriptions, then %d", len(before), len(made))
		}
		if e := <-settled; e.Kind != recipe.EventSettled || e.RID != out.RID || e.Reference != "visit 2" {
			t.Errorf("the program is told of something else: %v, %q, %v", e.Kind, e.Reference, e.Outcome.State)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := []notice.ID{notice.IDUnsure, notice.IDRxPrint}; !slices.Equal(told, want) {
			t.Errorf("the person is told %v, not %v", told, want)
		}
	})
}

// TestPaperInTheEnd: of a prescription that nobody knew of it becomes certain that there is none, and the person is told.
func TestPaperInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg := prescribing(t, sb, plain)
		told := make(chan notice.ID, 4)
		cfg.Outbox.OnEvent = func(e ehealth.QueueEvent) {
			if !e.Notice.IsZero() {
				told <- e.Notice.ID()
			}
		}
		rx := open(t, cfg).Recipe.Prescriber
		silent, also := inject(t, sb, "recipe-presc 0 to_end hang"), inject(t, sb, "recipe-direct 0 to_end hang")
		_, err := rx.Create(t.Context(), recipe.CreateRequest{Reference: "visit", Prescription: prescription(sb, 2), Type: identity.PrescriptionP0})
		wants(t, err, outbox.ErrUnknown, fault.Unknown, notice.IDUnsure)
		silent()
		also()
		out, err := rx.Wait(t.Context(), "visit")
		if err != nil || out.State != recipe.OutcomeNotCreated {
			t.Errorf("%+v, %v", out, err)
		}
		if first, last := <-told, <-told; first != notice.IDUnsure || last != notice.IDRxPaper {
			t.Errorf("the person is told %v, then %v", first, last)
		}
		if n := len(sb.Prescriptions()); n != 0 {
			t.Errorf("%d prescriptions", n)
		}
	})
}

// TestPatient: a patient sees what was prescribed.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		d := open(t, prescribing(t, sb, plain))
		made, err := d.Recipe.Prescriber.Create(t.Context(), recipe.CreateRequest{Prescription: prescription(sb, 3), Type: identity.PrescriptionP0})
		if err != nil {
			t.Fatal(err)
		}
		who := sb.Citizen(sb.Patients()[3].SSIN)
		cfg := plain
		file, err := who.Keystore("password")
		cfg.Identity, cfg.Recipe = storeOf(t, file, err), &ehealth.Recipe{}
		cfg.Caller = insurability.Caller{SSIN: who.SSIN, Name: who.Name()}
		p := open(t, cfg)
		if p.Insurability != nil {
			t.Error("a patient may not ask whether others are insured")
		}
		at, err := p.Recipe.Patient.Status(t.Context(), made.RID)
		if err != nil || at.State != "NotDelivered" {
			t.Fatalf("%+v, %v", at, err)
		}
	})
}
