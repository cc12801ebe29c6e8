package drill

import (
	"context"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

// rxSeen is what one create came to: requests at the default address of the prescriber's service (A) and at its alternate
// (B), prescriptions made, and requests to the depot and to the key service.
type rxSeen struct {
	seen
	etk, kgss int
	rid       string
}

func (sc *scene) rxTotals() rxSeen {
	st := sc.s.State()
	return rxSeen{
		seen: seen{a: st.Requests["recipe-presc"], b: st.Requests["recipe-direct"], w: st.Effects["recipe.created"], sts: st.Requests["sts"]},
		etk:  st.Requests["etk"], kgss: st.Requests["kgss"],
	}
}

// create lets a practice of other software make a prescription, and counts what it caused until it was answered.
func (sc *scene) create(r *plainRecipe, patient int) (v rxSeen) {
	before, began := sc.rxTotals(), time.Now()
	p := sc.rxPatient(patient)
	rid, _, err := r.create(context.Background(), p, "label", []byte("content"), began.Add(recipeValid))
	v.took, v.err, v.rid, v.got.of = time.Since(began), err, rid, rid
	return sc.rxSince(before, v)
}

func (sc *scene) rxSince(before, v rxSeen) rxSeen {
	time.Sleep(time.Millisecond)
	now := sc.rxTotals()
	v.a, v.b, v.w, v.sts = now.a-before.a, now.b-before.b, now.w-before.w, now.sts-before.sts
	v.etk, v.kgss = now.etk-before.etk, now.kgss-before.kgss
	return v
}

// rxPatient is the n-th patient, insured or not.
func (sc *scene) rxPatient(n int) sandbox.Patient { return sc.s.Patients()[n] }

// belongs tells whether a RID is that of a patient's prescription.
func (sc *scene) belongs(rid string, patient int) bool {
	p, ok := sc.s.Prescription(rid)
	return ok && p.Patient == sc.rxPatient(patient).SSIN.Reveal()
}

// prescriptions counts those of a patient.
func (sc *scene) prescriptions(patient int) (n int) {
	for _, p := range sc.s.Prescriptions() {
		if p.Patient == sc.rxPatient(patient).SSIN.Reveal() {
			n++
		}
	}
	return n
}

// doctorAt is the practice of the n-th doctor.
func (sc *scene) doctorAt(n int) station {
	sc.Helper()
	at, err := doctor(sc.s, n)
	if err != nil {
		sc.Fatal(err)
	}
	return at
}

// practice starts the official module's like in a practice, and opens its session.
func (sc *scene) practice(opt connectorOptions) *plainRecipe {
	sc.Helper()
	at := sc.doctorAt(0)
	c, err := startConnectorAt(sc.s, at, opt)
	if err != nil {
		sc.Fatal(err)
	}
	sc.Cleanup(c.close)
	if _, err := c.session(context.Background()); err != nil {
		sc.Fatal(err)
	}
	r, err := c.recipe(sc.s, at)
	if err != nil {
		sc.Fatal(err)
	}
	return r
}

// single starts one whose services have one address each.
func (sc *scene) single() *plainRecipe {
	sc.Helper()
	defer sc.fault("servicelist 0 to_end http status=404;body=empty")()
	return sc.practice(connectorOptions{})
}

// made compares the requests at A and B and the prescriptions made.
func (sc *scene) made(what string, v rxSeen, a, b, w int) {
	sc.Helper()
	sc.asked(what, v.seen, a, b, w)
}

// rid checks that a create was answered with a RID of that patient.
func (sc *scene) rid(what string, v rxSeen, patient int) {
	sc.Helper()
	if v.err != nil || !sc.belongs(v.rid, patient) {
		sc.Errorf("%s: no RID of this patient after %v: %v", what, v.took, v.err)
	}
}

// both starts the same fault at both addresses of the prescriber's service.
func (sc *scene) both(fault string) (heal func()) {
	sc.Helper()
	return sc.fault(fmt.Sprintf("recipe-presc 0 to_end %s", fault), fmt.Sprintf("recipe-direct 0 to_end %s", fault))
}
