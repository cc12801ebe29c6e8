package drill

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// dispenseLimit is how long a patient waits in a pharmacy: for the prescription, and for it to be confirmed or kept.
const dispenseLimit = 2*recipe.DefaultTimeout + time.Second

// recipeTables are those of one fleet, checked for what must hold of every drill with prescriptions of ours.
func recipeTables(t *testing.T, r *Report, name string) (rx, out Phase) {
	t.Helper()
	rx, out = table(t, r, name, Prescribe).Total(), table(t, r, name, Dispense).Total()
	if slices.ContainsFunc(r.LeftOut, func(s string) bool { return strings.HasPrefix(s, "recipe") }) {
		t.Errorf("left out: %v", r.LeftOut)
	}
	if name != Ours {
		return rx, out
	}
	if rx.Ghosts != 0 || rx.Both != 0 || rx.Neither != 0 || rx.WrongAsker != 0 || rx.Done != rx.Live+rx.Otherwise || rx.Paper != rx.Failed {
		t.Errorf("%s: somebody left with both, with nothing, or with another's: %+v", r.Incident, rx)
	}
	if rx.Slowest > createLimit {
		t.Errorf("%s: a doctor waited %v to be told something", r.Incident, rx.Slowest)
	}
	if out.Doubled != 0 || out.Lost != 0 || out.WrongAsker != 0 {
		t.Errorf("%s: dispensed twice, or never archived: %+v", r.Incident, out)
	}
	if out.Done != out.Calls || out.Kept != out.Failed {
		t.Errorf("%s: not each prescription delivered and archived once: %+v", r.Incident, out)
	}
	if out.Slowest > dispenseLimit {
		t.Errorf("%s: a patient waited %v in a pharmacy", r.Incident, out.Slowest)
	}
	return rx, out
}

// rxTraffic is what the drills about Recip-e need to run.
func rxTraffic() []Traffic { return []Traffic{Prescribe, Dispense} }

// TestRecipeMonday is INC-2019-08-RECIPE: the pharmacies' service fails and the doctors' is slow, for twelve hours; the second
// host works. What the programs of ours logged, told, traced, measured and wrote to disk in these hours is searched for what
// must not be there; see secrets.
func TestRecipeMonday(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	x, rec := newSecrets(), newRecorder(t)
	r := replay(t, Options{
		Incident: "INC-2019-08-RECIPE", Seed: 33, Pharmacies: 2, Every: 10 * time.Minute, Traffic: rxTraffic(),
		watch: watch{configure: rec.configure, told: rec.told, end: x.learn},
	})
	t.Run("Privacy", func(t *testing.T) { rec.silent(t, x) })
	rx, out := recipeTables(t, r, Ours)
	if rx.Unsure == 0 || out.Failed != 0 {
		t.Errorf("ours: %+v, %+v", rx, out)
	}
	naive, given := recipeTables(t, r, Naive)
	if naive.Ghosts == 0 || given.Lost == 0 {
		t.Errorf("naive: the incident was not replayed: %+v, %+v", naive, given)
	}
}

// TestRecipeUnreachable is INC-2020-01-28-RECIPE: nothing of Recip-e answers for three and a half hours.
func TestRecipeUnreachable(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "INC-2020-01-28-RECIPE", Seed: 35, Pharmacies: 2, Every: 10 * time.Minute, Traffic: rxTraffic(), Fleets: []string{Ours, Naive, ConnectorLike}})
	rx, out := recipeTables(t, r, Ours)
	if rx.Paper == 0 || out.Kept == 0 {
		t.Errorf("ours: the incident was not replayed: %+v, %+v", rx, out)
	}
	for _, name := range []string{Naive, ConnectorLike} {
		if rx, out := recipeTables(t, r, name); rx.Slowest < 2*oneTimeout || out.Lost == 0 {
			t.Errorf("%s: the incident was not replayed: %+v, %+v", name, rx, out)
		}
	}
}

// TestRecipeFlood is INC-2024-01-09-MCN: MyCareNet is flooded, and Recip-e answers one in five.
func TestRecipeFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "INC-2024-01-09-MCN", Seed: 18, Pharmacies: 2, Every: 10 * time.Minute})
	recipeTables(t, r, Ours)
	if got := table(t, r, Ours, Insurability).Total(); got.Slowest > checkLimit {
		t.Errorf("ours, insurability: %+v", got)
	}
}

// TestRecipeKeys is INC-2026-02-04-ETK: for 29 hours the depot has a token of Recip-e under another number only, whose key
// Recip-e does not have yet, and then the former one again. Ours asks the depot anew after eight hours, is refused once with the
// new token, and goes on with the former one, with which Recip-e could open its last message: nobody notices, as with a client
// that keeps a token for as long as it runs.
func TestRecipeKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "INC-2026-02-04-ETK", Seed: 31, Pharmacies: 2, Every: 30 * time.Minute, After: 6 * time.Hour, Traffic: rxTraffic(), Fleets: []string{Ours}})
	rx, out := recipeTables(t, r, Ours)
	if rx.Slowest > time.Second {
		t.Errorf("a doctor waited %v", rx.Slowest)
	}
	if rx.Calls == 0 || out.Calls == 0 || rx.Failed != 0 || out.Failed != 0 {
		t.Errorf("somebody noticed: %+v, %+v", rx, out)
	}
}

// TestRecipeLostAnswer is SYN-LOSTACK-RECIPE: one prescription is made and its RID never arrives.
func TestRecipeLostAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "SYN-LOSTACK-RECIPE", Seed: 5, Pharmacies: 2, Every: 2 * time.Minute, Fleets: []string{Ours, Naive, ConnectorLike}})
	if rx, _ := recipeTables(t, r, Ours); rx.Failed != 0 {
		t.Errorf("ours: %+v", rx)
	}
	for _, name := range []string{Naive, ConnectorLike} {
		if rx, _ := recipeTables(t, r, name); rx.Ghosts == 0 {
			t.Errorf("%s: the incident was not replayed: %+v", name, rx)
		}
	}
}

// TestRecipeUntouched measures what prescribing takes while insurability is ill, in the ways of INC-2024-01-09-MCN and SYN-HALF,
// against what it takes before.
func TestRecipeUntouched(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	for _, id := range []string{"INC-2024-01-09-MCN", "SYN-HALF"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			warm(t)
			synctest.Test(t, func(t *testing.T) { untouched(t, id) })
		})
	}
}

func untouched(t *testing.T, id string) {
	const (
		counters = 2
		healthy  = 10 * time.Minute
		ill      = 10 * time.Minute
		every    = 20 * time.Second
	)
	script, ok := incident.Get(id)
	if !ok {
		t.Fatal("no such incident")
	}
	time.Sleep(time.Until(script.T0))
	h := newHouse(t, time.Now().Add(healthy+time.Minute), sandbox.Config{Seed: 18, Patients: 400, Scale: 0.02})
	defer h.close()
	h.inject("recipe-presc 0 to_end slow dist=lognormal;median_ms=300;sigma=0.05;cap_ms=1000")
	r := h.prescribing(0, nil)
	for n := range counters { // those who make the flood, in the same process as the doctor's prescriptions too
		h.join("pharmacy", h.pharmacy(n))
	}
	for _, st := range script.Steps {
		if strings.HasPrefix(st.Service, "genins") {
			st.At, st.For = 0, ill
			h.calls.Go(func() {
				time.Sleep(time.Until(h.t0))
				if _, err := h.s.Inject(st); err != nil {
					h.Error(err)
				}
			})
		}
	}
	prescribe := func(n int) {
		v := &visit{reference: id + time.Now().String(), patient: h.s.Patients()[n], medicine: n % len(medicines)}
		_ = h.note(Prescribe, createLimit, func() (bool, error) {
			_, err := r.prescriber.Create(h.Context(), r.request(v))
			return false, err
		})
	}
	prescribe(0) // everything that a create needs is there from now on
	n := 1
	for from := time.Now(); time.Since(from) < healthy+ill; time.Sleep(every) {
		now := n
		for _, c := range h.all() {
			for k := range 2 {
				h.calls.Go(func() { _ = h.check(c, h.patients[(now+k)%len(h.patients)]) })
			}
		}
		h.calls.Go(func() { prescribe(now) })
		n++
	}
	h.calls.Wait()
	before, during := h.waits(Prescribe, -healthy, 0), h.waits(Prescribe, 0, ill)
	p, q := percentile(before, 95), percentile(during, 95)
	h.Logf("%s: prescribing p95 %v before (%d), %v during (%d), ratio %.2f; checks up to %v", id, short(p), len(before), short(q), len(during), q.Seconds()/p.Seconds(),
		short(percentile(h.waits(Insurability, 0, ill), 100)))
	if len(before) < 20 || len(during) < 20 || q.Seconds() > steadyRatio*p.Seconds() {
		h.Errorf("%s: p95 of prescribing %v before, %v during", id, p, q)
	}
	if slow := percentile(h.waits(Insurability, 0, ill), 100); slow < 2*percentile(h.waits(Insurability, -healthy, 0), 100) {
		h.Errorf("%s: checks took %v: the incident was not replayed", id, slow)
	}
	for _, v := range h.measured {
		if v.of == Prescribe && v.err != nil {
			h.Errorf("%s: %v", id, v.err)
		}
	}
}

// TestMedicines: their numbers are numbers.
func TestMedicines(t *testing.T) {
	for _, m := range medicines {
		if _, err := identity.ParseCNK(m.cnk); err != nil {
			t.Error(m.cnk, err)
		}
	}
}
