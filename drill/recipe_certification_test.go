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
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// prescribing starts the program of the n-th doctor.
func (h *house) prescribing(n int, change func(*ehealth.Config)) *prescriptions {
	h.Helper()
	at, err := doctor(h.s, n)
	if err != nil {
		h.Fatal(err)
	}
	return h.recipe(at, h.doctor(n), change)
}

// dispensing starts the program of the n-th pharmacy.
func (h *house) dispensing(n int, change func(*ehealth.Config)) *prescriptions {
	h.Helper()
	return h.recipe(atPharmacy(h.s.Organisation(identity.Pharmacy, n)), h.pharmacy(n), change)
}

func (h *house) recipe(at station, cfg ehealth.Config, change func(*ehealth.Config)) *prescriptions {
	h.Helper()
	if change != nil {
		change(&cfg)
	}
	m := h.join(fmt.Sprintf("recipe %d", len(h.all())), withRecipe(cfg, at))
	if m == nil {
		h.FailNow()
	}
	r := recipeOf(m.p, at)
	if err := h.logIn(m, false); err != nil {
		h.Fatal(err)
	}
	return r
}

// visitOf is a visit of the n-th patient.
func (h *house) visitOf(n int, ref string) *visit {
	return &visit{reference: ref, patient: h.s.Patients()[n], medicine: n % len(medicines)}
}

// prescribed lets a doctor prescribe, within the deadline.
func (h *house) prescribed(r *prescriptions, v *visit) error {
	h.Helper()
	began := time.Now()
	made, err := r.prescriber.Create(context.Background(), r.request(v))
	if took := time.Since(began); took > createLimit {
		h.Errorf("%s: told after %v", v.reference, took)
	}
	if err == nil {
		v.rid = made.RID.Reveal()
	}
	return err
}

// electronic are the prescriptions of a patient.
func (h *house) electronic(v *visit) (out []sandbox.Prescription) {
	for _, p := range h.s.Prescriptions() {
		if p.Patient == v.patient.SSIN.Reveal() {
			out = append(out, p)
		}
	}
	return out
}

// t09: Recip-e is down in every way it can be. The doctor is told in time, may give paper when it is certain that there is no
// electronic prescription, with the text that says so, and none appears later. An answer that Recip-e is not available makes
// nothing certain: the patient who got it waits, at most for as long as the log says.
func (h *house) t09() {
	r := h.prescribing(0, nil)
	if err := h.prescribed(r, h.visitOf(0, "before")); err != nil {
		h.Fatal(err)
	}
	certain, waited := 0, time.Duration(0)
	for n, how := range []string{"refuse", "blackhole", "hang", "hang exec=1", "http status=503;body=html", "fault code=SOA-02001", "fault code=SOA-02002"} {
		v := h.visitOf(n+1, how)
		heal1, heal2 := h.row("recipe-presc 0 to_end "+how), h.row("recipe-direct 0 to_end "+how)
		err := h.prescribed(r, v)
		switch _, unsure := errors.AsType[*recipe.UnsureError](err); {
		case err == nil:
			h.Errorf("%s: created", how)
		case unsure:
			h.notice(err, string(notice.IDUnsure), fault.Unknown)
			if _, err := r.prescriber.Paper(context.Background(), v.reference); err == nil {
				h.Errorf("%s: paper while nobody knows", how)
			}
		default:
			certain++
			h.notice(err, recipe.NoticePaper, fault.NotSent)
			h.paper(r, v)
		}
		time.Sleep(time.Minute)
		heal1()
		heal2()
		began := time.Now()
		o, err := r.prescriber.Wait(context.Background(), v.reference)
		waited = max(waited, time.Since(began))
		exist := len(h.electronic(v))
		switch {
		case err != nil:
			h.Errorf("%s: %v", how, err)
		case o.State == recipe.OutcomeCreated && (exist != 1 || how != "hang exec=1"):
			h.Errorf("%s: created, and %d exist", how, exist)
		case o.State == recipe.OutcomeNotCreated:
			h.paper(r, v)
		case o.State == recipe.OutcomeUnsure:
			h.Errorf("%s: nobody knows in the end", how)
		}
		time.Sleep(10 * time.Minute) // the service is tried again by then
	}
	time.Sleep(48 * time.Hour)
	for n := range 8 {
		v := h.visitOf(n, "")
		if got := len(h.electronic(v)); got > 1 || got == 1 && n != 0 && n != 4 {
			h.Errorf("patient %d has %d electronic prescriptions", n, got)
		}
	}
	if certain == 0 {
		h.Error("nothing was certain at once")
	}
	h.Logf("7 ways to fail: %d doctors told at once that there is none, the others within %v of recovery", certain, waited)
}

// paper gets the permit, shows the text, and sees that there will be no electronic prescription any more.
func (h *house) paper(r *prescriptions, v *visit) {
	h.Helper()
	if _, err := r.prescriber.Paper(context.Background(), v.reference); err != nil {
		h.Errorf("%s: no permit for paper: %v", v.reference, err)
	}
	if text := notice.PrescriptionPaper().Text(notice.NL); text == "" {
		h.Error("no text")
	}
	if err := h.prescribed(r, v); !errors.Is(err, recipe.ErrPaperGiven) {
		h.Errorf("%s: created although paper was given: %v", v.reference, err)
	}
	if n := len(h.electronic(v)); n != 0 {
		h.Errorf("%s: paper and %d electronic prescriptions", v.reference, n)
	}
}

// t10: Recip-e is down for the pharmacy. What is dispensed on the proof is kept with what to tell, and delivered and archived
// once each when Recip-e is back, oldest first.
func (h *house) t10() {
	r, out := h.prescribing(0, nil), h.dispensing(0, nil)
	const n = 4
	var visits []*visit
	for i := range n {
		v := h.visitOf(i, fmt.Sprintf("t10, %d", i))
		if err := h.prescribed(r, v); err != nil {
			h.Fatal(err)
		}
		visits = append(visits, v)
	}
	heal1, heal2 := h.row("recipe-exec 0 to_end blackhole"), h.row("recipe-direct 0 to_end blackhole")
	const both = recipe.NoticeProof + " " + recipe.NoticeLater
	for i, v := range visits {
		rid, err := identity.ParseRID(v.rid)
		if err != nil {
			h.Fatal(err)
		}
		began := time.Now()
		_, err = out.executor.Get(context.Background(), rid)
		if fe, ok := errors.AsType[*fault.Error](err); !ok || fe.Notice != recipe.NoticeProof {
			h.Errorf("get: %v", err)
		}
		for scan := range 2 { // the second time by mistake
			got, err := out.dispenser.Dispense(context.Background(), recipe.Dispensing{RID: rid, Reference: v.reference, ForceMajeure: true, Archive: recipe.ArchiveNow})
			if !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) || got == nil {
				h.Fatalf("not kept: %v", err)
			}
			var ids []string
			for _, n := range got.Notices {
				ids = append(ids, string(n.ID()))
			}
			if told := strings.Join(ids, " "); told != both {
				h.Errorf("%d, scan %d: notices %q", i, scan+1, told)
			}
		}
		if took := time.Since(began); took > dispenseLimit+recipe.DefaultTimeout {
			h.Errorf("told after %v", took)
		}
		time.Sleep(5 * time.Minute)
	}
	time.Sleep(6 * time.Hour)
	heal1()
	heal2()
	began := time.Now()
	out.settle(24 * time.Hour)
	took := time.Since(began)
	time.Sleep(24 * time.Hour)
	var last time.Time
	for i, v := range visits {
		p := h.electronic(v)
		if len(p) != 1 || p[0].Status != sandbox.Archived || p[0].Deliveries != 1 || times(p[0], sandbox.Archived) != 1 {
			h.Fatalf("%d: %d prescriptions, %+v", i, len(p), p[0].Events)
		}
		at := p[0].Events[len(p[0].Events)-1].At
		if at.Before(last) {
			h.Errorf("%d was archived before an older one", i)
		}
		last = at
	}
	h.Logf("%d dispensed on the proof, %s; delivered and archived once each, within %v of recovery", n, both, took)
}

// times counts how often a prescription came into a state.
func times(p sandbox.Prescription, s sandbox.PrescriptionStatus) (n int) {
	for _, e := range p.Events {
		if e.Status == s {
			n++
		}
	}
	return n
}

// t13Recipe: every answer of Recip-e is that to another question. None is shown, no number is logged, and the connections that
// brought them are closed; what was created is found out.
func (h *house) t13Recipe() {
	w := &watched{h: h}
	doctors := []*prescriptions{h.prescribing(0, w.configure), h.prescribing(1, w.configure)}
	pharmacy := h.dispensing(0, w.configure)
	var visits []*visit
	for n := range 4 {
		v := h.visitOf(n, fmt.Sprintf("before %d", n))
		if err := h.prescribed(doctors[n%2], v); err != nil {
			h.Fatal(err)
		}
		visits = append(visits, v)
	}
	heals := []func(){
		h.row("recipe-presc 0 to_end misroute p=1"), h.row("recipe-exec 0 to_end misroute p=1"), h.row("recipe-direct 0 to_end misroute p=1"),
	}
	var wg sync.WaitGroup
	var unsure, security atomic.Int64
	for n := range 4 {
		v := h.visitOf(4+n, fmt.Sprintf("t13, %d", n))
		visits = append(visits, v)
		wg.Go(func() {
			err := h.prescribed(doctors[n%2], v)
			if _, ok := errors.AsType[*recipe.UnsureError](err); ok {
				unsure.Add(1)
			}
		})
		rid, err := identity.ParseRID(visits[n].rid)
		if err != nil {
			h.Fatal(err)
		}
		wg.Go(func() {
			got, err := pharmacy.executor.Get(context.Background(), rid)
			if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Kind == fault.Security {
				security.Add(1)
			}
			if err == nil && (got.RID.Reveal() != visits[n].rid || got.Patient.Reveal() != visits[n].patient.SSIN.Reveal()) {
				h.Error("somebody else's prescription was shown")
			}
		})
	}
	wg.Wait()
	hits := w.swapped()
	if unsure.Load()+security.Load() == 0 {
		h.Errorf("%d answers swapped, none noticed", hits)
	}
	for _, heal := range heals {
		heal()
	}
	for n, v := range visits[4:] {
		o, err := doctors[n%2].prescriber.Wait(context.Background(), v.reference)
		exist := h.electronic(v)
		if err != nil || o.State == recipe.OutcomeCreated && (len(exist) != 1 || exist[0].RID != o.RID.Reveal()) || o.State == recipe.OutcomeNotCreated && len(exist) != 0 {
			h.Errorf("%d: in the end %v, %d exist: %v", n, o.State, len(exist), err)
		}
	}
	w.silent(visits)
	h.Logf("%d answers swapped, %d creates unsure and settled, %d answers refused, %d connections opened, %d closed", hits, unsure.Load(), security.Load(), w.opened.Load(), w.closed.Load())
}

// watched keeps the log of programs, and counts their connections to Recip-e.
type watched struct {
	h              *house
	opened, closed atomic.Int64

	mu  sync.Mutex
	log bytes.Buffer
}

func (w *watched) configure(cfg *ehealth.Config) {
	cfg.Logger = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.log.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	tr, ok := cfg.Transport.(*http.Transport)
	if !ok {
		w.h.Fatal("the sandbox's transport is of another type")
	}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := w.h.s.Dial(ctx, network, addr)
		if err != nil || !strings.HasPrefix(addr, "recipe") {
			return c, err
		}
		w.opened.Add(1)
		return &counted{Conn: c, closed: &w.closed}, nil
	}
}

// swapped is how many answers of Recip-e were. The connections that brought them must be closed.
func (w *watched) swapped() (hits int) {
	w.h.Helper()
	for service, kinds := range w.h.s.State().Hits {
		if strings.HasPrefix(service, "recipe") {
			hits += kinds["misroute"]
		}
	}
	if hits == 0 {
		w.h.Error("no answer was swapped")
	}
	if got := int(w.closed.Load()); got < min(hits, int(w.opened.Load())) {
		w.h.Errorf("%d answers swapped, %d connections opened, %d closed", hits, w.opened.Load(), got)
	}
	return hits
}

// silent sees that the log names nobody and nothing.
func (w *watched) silent(visits []*visit) {
	w.h.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.log.Len() == 0 {
		w.h.Error("nothing was logged")
	}
	for _, v := range visits {
		for _, secret := range []string{v.patient.SSIN.Reveal(), v.rid, medicines[v.medicine].name} {
			if secret != "" && strings.Contains(w.log.String(), secret) {
				w.h.Error("the log names a patient, a prescription or a medicine")
			}
		}
	}
}

// t17Recipe: the identity of Recip-e moves, as in INC-2026-02-04-ETK, and back. Each time one question per name, then success.
func (h *house) t17Recipe() {
	r, out := h.prescribing(0, nil), h.dispensing(0, nil)
	ctx, cancel := context.WithTimeout(context.Background(), createLimit)
	defer cancel()
	n := 0
	step := func(when string, most int) {
		h.Helper()
		v := h.visitOf(n, when)
		n++
		before := h.s.State().Requests["etk"]
		if err := h.prescribed(r, v); err != nil {
			h.Errorf("%s: %v", when, err)
			return
		}
		if got := h.s.State().Requests["etk"] - before; got > most {
			h.Errorf("%s: %d questions to the depot, want at most %d", when, got, most)
		}
		rid, err := identity.ParseRID(v.rid)
		if err != nil {
			h.Fatal(err)
		}
		if got, err := out.executor.Get(context.Background(), rid); err != nil || got.Message == nil {
			h.Errorf("%s: in the pharmacy: %v", when, err)
		}
		if len(h.electronic(v)) != 1 {
			h.Errorf("%s: %d prescriptions", when, len(h.electronic(v)))
		}
	}
	if err := r.prescriber.Prepare(ctx, h.s.Patients()[0].SSIN, 1); err != nil {
		h.Fatal(err)
	}
	step("before", 0)
	step("kept", 0)
	back := h.row("etk 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=0")
	step("moved: each name asked for once", 2)
	step("moved, kept", 0)
	back()
	step("moved back: each name asked for once", 2)
	step("moved back, kept", 0)
	h.Logf("Recip-e's identity moved and came back: %d prescriptions created once each and opened in the pharmacy", n)
}
