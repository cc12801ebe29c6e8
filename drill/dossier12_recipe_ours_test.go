package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
)

// The tests of this file play the rows of dossier 12 about recipe-create with our client, against the same stand-in, which
// carries out everything that arrives.

const (
	// createLimit is how long a doctor waits to be told something (dossier 06 B.5, BCP-01).
	createLimit = recipe.DefaultTimeout + slack
	// settleLimit is how long it takes to find out what became of a create once Recip-e answers.
	settleLimit = 30 * time.Minute
)

// oursAt opens the practice of the n-th doctor. dial nil = that of the sandbox.
func (sc *scene) oursAt(n int, change func(*ehealth.Config)) *prescriptions {
	sc.Helper()
	at := sc.doctorAt(n)
	cfg, err := at.config(sc.s)
	if err != nil {
		sc.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	p, err := ehealth.Open(context.Background(), withRecipe(cfg, at))
	if err != nil {
		sc.Fatal(err)
	}
	r := recipeOf(p, at)
	sc.Cleanup(r.close)
	return r
}

// oursOver opens it on a wire, with HTTP/2 or without.
func (sc *scene) oursOver(w *wire, h2 bool) (*prescriptions, *http.Transport) {
	sc.Helper()
	tr := transport(sc.s, connectLimit)
	tr.DialContext, tr.ForceAttemptHTTP2, tr.TLSClientConfig.RootCAs = w.dial, h2, w.pool
	return sc.oursAt(0, func(cfg *ehealth.Config) { cfg.Transport = witness{tr, w} }), tr
}

// visitOf is a visit of the n-th patient.
func (sc *scene) visitOf(n int, ref string) *visit {
	return &visit{reference: ref, patient: sc.rxPatient(n), medicine: n % len(medicines)}
}

// prescribed lets ours create one prescription, and counts what it caused until it was answered.
func (sc *scene) prescribed(r *prescriptions, patient int, ref string) (v rxSeen) {
	before, began := sc.rxTotals(), time.Now()
	made, err := r.prescriber.Create(context.Background(), r.request(sc.visitOf(patient, ref)))
	v.took, v.err = time.Since(began), err
	if err == nil {
		v.rid = made.RID.Reveal()
	}
	return sc.rxSince(before, v)
}

// settledAs waits until it is known what became of a create, and compares that with what the sandbox made.
func (sc *scene) settledAs(what string, r *prescriptions, patient int, ref string, want recipe.OutcomeState) {
	sc.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	o, err := r.prescriber.Wait(ctx, ref)
	if o.State == recipe.OutcomeNotTried { // nothing was put that could have been sent
		o.State = recipe.OutcomeNotCreated
	}
	if err != nil || o.State != want {
		sc.Errorf("%s: in the end %v, want %v (%v)", what, o.State, want, err)
	}
	n := sc.prescriptions(patient)
	switch {
	case want == recipe.OutcomeCreated && (n != 1 || !sc.belongs(o.RID.Reveal(), patient)):
		sc.Errorf("%s: %d prescriptions, and the RID is that of this patient: %v", what, n, sc.belongs(o.RID.Reveal(), patient))
	case want == recipe.OutcomeNotCreated && n != 0:
		sc.Errorf("%s: %d prescriptions although there is none", what, n)
	}
	_, err = r.prescriber.Paper(context.Background(), ref)
	if (err == nil) != (want == recipe.OutcomeNotCreated) {
		sc.Errorf("%s: paper: %v", what, err)
	}
}

// ready lets ours make one prescription, so that everything that a create needs is there, and compares what it took.
func (sc *scene) ready(r *prescriptions, patient int, ref string) {
	sc.Helper()
	v := sc.prescribed(r, patient, ref)
	sc.rid(ref, v, patient)
	sc.made(ref, v, 1, 0, 1)
}

// TestOursRecipe1Refuses: where A refuses connections, the other address is asked in the same call.
func TestOursRecipe1Refuses(t *testing.T) {
	play(t, func(sc *scene) {
		r := sc.oursAt(0, nil)
		sc.ready(r, 0, "before")
		heal := sc.fault("recipe-presc 0 to_end refuse")
		v := sc.prescribed(r, 1, "A refuses")
		sc.rid("A refuses", v, 1)
		sc.within("A refuses", v.seen, 0, createLimit)
		sc.made("A refuses", v, 0, 1, 1)
		heal()
		heal = sc.both("refuse")
		v = sc.prescribed(r, 2, "both refuse")
		sc.failed("both refuse", v.seen)
		sc.within("both refuse", v.seen, 0, createLimit)
		sc.made("both refuse", v, 0, 0, 0)
		sc.settledAs("both refuse", r, 2, "both refuse", recipe.OutcomeNotCreated)
		heal()
	})
}

// TestOursRecipe2Hangs: the connector takes 30 s, or 60 s where both hang, and executes twice what is executed late. Ours
// answers within its deadline, and executes once.
func TestOursRecipe2Hangs(t *testing.T) {
	if testing.Short() {
		t.Skip("many rows of one path")
	}
	for _, row := range []struct {
		name string
		rows []string
		made int // prescriptions that come to exist by the message to A; -1 = that depends on when it expires
	}{
		{"A hangs", []string{"recipe-presc 0 to_end hang"}, 0},
		{"A hangs, executes", []string{"recipe-presc 0 to_end hang exec=1"}, 1},
		{"A answers late", []string{"recipe-presc 0 to_end slow median_ms=50000;sigma=0"}, 1},
		{"A executes late", []string{"recipe-presc 0 to_end slow median_ms=50000;sigma=0;late=1"}, -1},
		{"both hang", []string{"recipe-presc 0 to_end hang", "recipe-direct 0 to_end hang"}, 0},
		{"both hang, execute", []string{"recipe-presc 0 to_end hang exec=1", "recipe-direct 0 to_end hang exec=1"}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			play(t, func(sc *scene) {
				r := sc.oursAt(0, nil)
				sc.ready(r, 0, "before")
				heal := sc.fault(row.rows...)
				v := sc.prescribed(r, 1, "ref")
				sc.within(row.name, v.seen, 0, createLimit)
				if v.a > 1 || v.err == nil {
					sc.Errorf("%s: %d requests to A, error %v", row.name, v.a, v.err)
				}
				if _, unsure := errors.AsType[*recipe.UnsureError](v.err); !unsure {
					sc.Errorf("%s: %v", row.name, v.err)
				}
				if _, err := r.prescriber.Paper(context.Background(), "ref"); err == nil {
					sc.Errorf("%s: paper while nobody knows", row.name)
				}
				again := sc.prescribed(r, 1, "ref")
				sc.within(row.name+": by hand once more", again.seen, 0, createLimit)
				time.Sleep(2 * time.Minute)
				heal()
				want, made := recipe.OutcomeNotCreated, row.made
				if made < 0 {
					made = sc.prescriptions(1)
				}
				if made > 0 {
					want = recipe.OutcomeCreated
				}
				sc.settledAs(row.name, r, 1, "ref", want)
				if n := sc.s.State().Effects["recipe.created"]; n != 1+made || made > 1 {
					sc.Errorf("%s: %d prescriptions made", row.name, n)
				}
			})
		})
	}
}

// TestOursRecipe4LostAnswer: the connector sends two or three times, makes as many prescriptions and reports success. Ours
// sends once, over HTTP/1.1 and HTTP/2, on new and on reused connections, however the connection ends, and finds the RID.
func TestOursRecipe4LostAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("many rows of one path")
	}
	for _, h2 := range []bool{false, true} {
		proto := map[bool]int{false: 1, true: 2}[h2]
		t.Run(fmt.Sprintf("HTTP/%d", proto), func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetAcceptReplays(true)
				patient := 0
				for _, reused := range []bool{false, true} {
					for _, end := range []ending{{fin, false}, {notify, false}, {rst, false}, {fin, true}, {notify, true}, {rst, true}} {
						what := fmt.Sprintf("reused=%v, %v", reused, end)
						w := newWireTo(sc, prescHost)
						r, tr := sc.oursOver(w, h2) // one that has not seen a failure yet
						sc.ready(r, patient, "before "+what)
						if p, cut := w.seen(); len(p) != 1 || p[0].proto != proto || cut != 0 {
							sc.Errorf("%s: messages %+v, %d cut, want HTTP/%d", what, p, cut, proto)
						}
						if !reused {
							tr.CloseIdleConnections()
							time.Sleep(time.Second)
						}
						heal := func() {}
						if !end.middle {
							heal = sc.fault("recipe-presc 0 to_end lost_ack p=1;max=1")
						}
						before := sc.s.State().Effects["recipe.created"]
						w.set(&end)
						v := sc.prescribed(r, patient+1, what)
						passed, cut := w.seen()
						if len(passed) == 0 || cut == 0 || passed[0].reused != reused || passed[0].began != end.middle {
							sc.Errorf("%s: messages %+v, %d cut: the row was not played", what, passed, cut)
						}
						sc.within(what, v.seen, 0, createLimit)
						if v.w != 1 {
							sc.Errorf("%s: %d prescriptions made while the doctor waited (%v)", what, v.w, v.err)
						}
						w.set(nil)
						heal()
						sc.settledAs(what, r, patient+1, what, recipe.OutcomeCreated)
						if n := sc.s.State().Effects["recipe.created"] - before; n != 1 {
							sc.Errorf("%s: %d prescriptions made", what, n)
						}
						patient += 2
					}
				}
			})
		})
	}
}

// TestOursRecipeNotAvailable: where A says that Recip-e is not available, the connector sends again, or reports a failure at once.
// That it was not carried out cannot be seen from such an answer, so ours neither sends it again nor gives paper before it knows.
// What that costs is logged: the one patient waits until the message cannot be carried out any more and the lists do not have
// it. Whoever comes next does not wait: a read goes first from then on, and the prescription to the address that answers it.
func TestOursRecipeNotAvailable(t *testing.T) {
	for _, how := range []string{"http status=503;body=html", "http status=429;body=html", "fault code=SOA-02001", "fault code=SOA-02002"} {
		t.Run(how, func(t *testing.T) {
			play(t, func(sc *scene) {
				r := sc.oursAt(0, nil)
				sc.ready(r, 0, "before")
				heal := sc.fault("recipe-presc 0 to_end " + how)
				v := sc.prescribed(r, 1, "first")
				began := time.Now()
				sc.within(how, v.seen, 0, createLimit)
				if _, unsure := errors.AsType[*recipe.UnsureError](v.err); !unsure || v.w != 0 {
					sc.Errorf("%s: %d made, %v", how, v.w, v.err)
				}
				if _, err := r.prescriber.Paper(context.Background(), "first"); err == nil {
					sc.Errorf("%s: paper while nobody knows", how)
				}
				next := sc.prescribed(r, 2, "next")
				sc.rid(how+": the next patient", next, 2)
				sc.within(how+": the next patient", next.seen, 0, createLimit)
				sc.settledAs(how, r, 1, "first", recipe.OutcomeNotCreated)
				sc.Logf("%s: told after %v, known after %v; the next patient waited %v", how, short(v.took), short(time.Since(began)), short(next.took))
				heal()
			})
		})
	}
}

// TestOursRecipe8Session: an STS that does not answer does not matter while there is a token; without one nothing is sent, and
// paper may be given.
func TestOursRecipe8Session(t *testing.T) {
	play(t, func(sc *scene) {
		r := sc.oursAt(0, nil)
		sc.ready(r, 0, "before")
		heal := sc.fault("sts 0 to_end hang")
		v := sc.prescribed(r, 1, "valid")
		sc.rid("STS hangs, token valid", v, 1)
		sc.made("STS hangs, token valid", v, 1, 0, 1)
		time.Sleep(tokenValidity)
		v = sc.prescribed(r, 2, "expired")
		sc.failed("expired", v.seen)
		sc.within("expired", v.seen, 0, createLimit)
		sc.made("expired", v, 0, 0, 0)
		sc.settledAs("expired", r, 2, "expired", recipe.OutcomeNotCreated)
		heal()
	})
}

// TestOursRecipe9Misrouted: the answer to another question is not shown, whoever asked that. What was created is found out.
func TestOursRecipe9Misrouted(t *testing.T) {
	play(t, func(sc *scene) {
		r := sc.oursAt(0, nil)
		first := sc.prescribed(r, 0, "first")
		sc.rid("first", first, 0)
		heal := sc.fault("recipe-presc 0 to_end misroute p=1;max=1")
		v := sc.prescribed(r, 1, "misrouted")
		if v.err == nil && !sc.belongs(v.rid, 1) {
			sc.Error("misrouted: somebody else's RID was shown")
		}
		if v.err != nil && fault.OutcomeOf(v.err) != fault.Unknown {
			sc.Errorf("misrouted: %v", v.err)
		}
		if sc.s.State().Hits["recipe-presc"]["misroute"] == 0 {
			sc.Error("no answer was swapped")
		}
		heal()
		sc.settledAs("misrouted", r, 1, "misrouted", recipe.OutcomeCreated)
		if n := sc.s.State().Effects["recipe.created"]; n != 2 {
			sc.Errorf("%d prescriptions made", n)
		}
	})
}

// TestOursRecipeKeys is the row about the ETK depot and the key service: without a key nothing is sent and paper may be given,
// within the deadline; with a key made ready both may be down.
func TestOursRecipeKeys(t *testing.T) {
	for _, service := range []string{"etk", "kgss"} {
		for _, how := range []string{"hang", "http status=503;body=html", "fault code=SOA-02002"} {
			t.Run(service+" "+how, func(t *testing.T) {
				play(t, func(sc *scene) {
					r := sc.oursAt(0, nil)
					heal := sc.fault(fmt.Sprintf("%s 0 to_end %s", service, how))
					v := sc.prescribed(r, 0, "cold")
					sc.failed("cold", v.seen)
					sc.within("cold", v.seen, 0, createLimit)
					sc.made("cold", v, 0, 0, 0)
					sc.settledAs("cold", r, 0, "cold", recipe.OutcomeNotCreated)
					heal()
					time.Sleep(5 * time.Minute) // what failed is tried again
					ctx, cancel := context.WithTimeout(context.Background(), createLimit)
					defer cancel()
					if err := r.prescriber.Prepare(ctx, sc.rxPatient(1).SSIN, 1); err != nil {
						sc.Fatal(err)
					}
					heal = sc.fault("etk 0 to_end "+how, "kgss 0 to_end "+how)
					v = sc.prescribed(r, 1, "warm")
					sc.rid("warm, both down", v, 1)
					sc.within("warm, both down", v.seen, 0, instant)
					sc.made("warm, both down: one round trip", v, 1, 0, 1)
					if v.etk+v.kgss+v.sts != 0 {
						sc.Errorf("warm: %d, %d and %d requests to others", v.etk, v.kgss, v.sts)
					}
					heal()
				})
			})
		}
	}
}

// TestOursRecipeDepotRow: with both down from the start of the process, and nothing made ready, the doctor is told in time.
func TestOursRecipeDepotRow(t *testing.T) {
	play(t, func(sc *scene) {
		r := sc.oursAt(0, nil)
		sc.fault("etk 0 to_end hang", "kgss 0 to_end hang")
		for n := range 3 {
			v := sc.prescribed(r, n, fmt.Sprint(n))
			sc.failed("cold", v.seen)
			sc.within("cold", v.seen, 0, createLimit)
			if e, ok := errors.AsType[*fault.Error](v.err); !ok || e.Notice != recipe.NoticePaper || e.Outcome != fault.NotSent {
				sc.Errorf("cold: %v", v.err)
			}
		}
		if n := len(sc.s.Prescriptions()); n != 0 {
			sc.Errorf("%d prescriptions", n)
		}
	})
}
