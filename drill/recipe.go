package drill

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// The kinds of traffic about prescriptions.
const (
	// Prescribe: a patient leaves a practice with an electronic prescription or with paper. Services recipe-presc,
	// recipe-direct, kgss and etk of the sandbox.
	Prescribe Traffic = "prescribe"
	// Dispense: a pharmacy scans the proof of a prescription that the practices of the same fleet made, fetches it, and says
	// that it was delivered and archived. Services recipe-exec and recipe-direct of the sandbox.
	Dispense Traffic = "dispense"
)

const (
	// recipePace is how much rarer prescriptions are than questions.
	recipePace = 4
	// recipeWalk is how long a patient takes from the practice to the pharmacy.
	recipeWalk = 10 * time.Minute
	// recipeBefore is how many proofs per desk are from the day before.
	recipeBefore = 4
	// recipeSettle is how long after the end the outboxes get to find out and to send what is left.
	recipeSettle = 24 * time.Hour
	// recipeValid is how long a prescription is valid.
	recipeValid = 30 * 24 * time.Hour
)

func (t Traffic) recipe() bool { return t == Prescribe || t == Dispense }

// visit is one patient in a practice, and later in a pharmacy.
type visit struct {
	reference string // names the visit in the prescription
	patient   sandbox.Patient
	medicine  int           // number of the medicine prescribed
	at        time.Duration // offset
	prescribed
	left    time.Time // when the patient left the practice
	scanned bool      // the proof was brought to a pharmacy
	handed  bool      // and the medicine was given
}

// prescribed is what a patient left a practice with.
type prescribed struct {
	rid       string // of the proof that was printed
	otherwise bool   // not made by the default address
	unsure    bool   // the doctor was told first that it is not known
	paper     bool
	answered  time.Duration // until the doctor was told something
	err       error         // what the doctor was told; nil = the RID at once
}

// practice is the program of a doctor, of one kind of client.
type practice interface {
	// prescribe makes one prescription and returns when the patient can leave.
	prescribe(ctx context.Context, v *visit) prescribed
	settle(limit time.Duration)
	close()
}

// dispensed is what a scan in a pharmacy came to.
type dispensed struct {
	shown     string // RID that the answer names; "" = none came
	otherwise bool
	handed    bool  // the medicine was given
	kept      bool  // and what is not told to Recip-e yet is kept
	err       error // not everything was fetched and told at once
}

// dispensary is the program of a pharmacy, of one kind of client.
type dispensary interface {
	// dispense scans the proof of a visit.
	dispense(ctx context.Context, v *visit) dispensed
	settle(limit time.Duration)
	close()
}

// recipeJoins start the programs of a kind of client.
var recipeJoins = map[string]struct {
	practice func(*sandbox.Sandbox, station, watch) (practice, error)
	pharmacy func(*sandbox.Sandbox, station, watch) (dispensary, error)
}{
	Ours:          {joinPracticeOurs, joinDispensaryOurs},
	Naive:         {joinPlainPractice(naiveRecipe), joinPlainDispensary(naiveRecipe)},
	ConnectorLike: {joinPlainPractice(connectorRecipe), joinPlainDispensary(connectorRecipe)},
}

// recipeFleet is the practices and pharmacies of one fleet.
type recipeFleet struct {
	f          *fleet
	s          *sandbox.Sandbox
	patients   []sandbox.Patient
	practices  []practice
	pharmacies []dispensary

	mu     sync.Mutex
	visits []*visit
}

// openRecipe starts the programs, when there is traffic for them, and lets each practice prescribe what patients have from
// the day before.
func (f *fleet) openRecipe(s *sandbox.Sandbox) (*recipeFleet, error) {
	r := &recipeFleet{f: f, s: s, patients: s.Patients()}
	if !slices.ContainsFunc(f.tables, func(t *Fleet) bool { return t.Traffic.recipe() }) {
		return r, nil
	}
	join := recipeJoins[f.name]
	for i := range f.o.Pharmacies {
		at, err := doctor(s, i%2)
		if err != nil {
			return r, err
		}
		p, err := join.practice(s, at, f.o.watch)
		if err != nil {
			return r, err
		}
		r.practices = append(r.practices, p)
		if f.tableOf(Dispense) == nil {
			continue
		}
		d, err := join.pharmacy(s, atPharmacy(s.Organisation(identity.Pharmacy, i%2)), f.o.watch)
		if err != nil {
			return r, err
		}
		r.pharmacies = append(r.pharmacies, d)
		rnd := rand.New(rand.NewPCG(f.o.Seed, 7<<32|uint64(i))) //nolint:gosec // repeatable on purpose
		for n := range recipeBefore {
			v := r.patient(rnd, -recipeWalk, fmt.Sprintf("before %d, %d", i, n))
			if v.prescribed = p.prescribe(context.Background(), v); v.rid == "" {
				return r, fmt.Errorf("drill: before the incident: %w", v.err)
			}
			v.left = time.Now().Add(-recipeWalk)
			r.visits = append(r.visits, v)
		}
	}
	return r, nil
}

func (r *recipeFleet) close() {
	for _, p := range r.practices {
		p.close()
	}
	for _, d := range r.pharmacies {
		d.close()
	}
}

// population is how many patients a sandbox must have. Each needs one prescription only, so that what exists can be compared
// with what each of them left with.
func (f *fleet) population(script sandbox.Script) int {
	if f.tableOf(Prescribe) == nil && f.tableOf(Dispense) == nil {
		return 500
	}
	mean := float64(f.o.Pharmacies) * (script.End() + f.o.After).Seconds() / (recipePace * f.o.Every).Seconds()
	return 500 + f.o.Pharmacies*recipeBefore + int(mean+10*math.Sqrt(mean))
}

// patient is the next one, and what is prescribed.
func (r *recipeFleet) patient(rnd *rand.Rand, at time.Duration, reference string) *visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.patients[0]
	r.patients = r.patients[1:]
	return &visit{reference: reference, patient: p, medicine: rnd.IntN(len(medicines)), at: at}
}

// work lives one desk's day, as fleet.work does.
func (r *recipeFleet) work(desk int, t *Fleet, start time.Time, rnd *rand.Rand) {
	end := t.Phases[len(t.Phases)-1].To
	var wg sync.WaitGroup
	defer wg.Wait()
	next := time.Duration(0)
	for n := 1; ; n++ {
		next += time.Duration(rnd.ExpFloat64() * float64(recipePace*r.f.o.Every))
		if next >= end {
			return
		}
		at := next
		var v *visit
		if t.Traffic == Prescribe {
			v = r.patient(rnd, at, fmt.Sprintf("visit %d, %d", desk, n))
		}
		time.Sleep(time.Until(start.Add(at)))
		wg.Go(func() {
			if t.Traffic == Prescribe {
				r.prescribe(t, desk, v)
			} else if v := r.scan(); v != nil {
				r.dispense(t, at, desk, v)
			}
		})
	}
}

// prescribe is one patient in a practice.
func (r *recipeFleet) prescribe(t *Fleet, desk int, v *visit) {
	began := time.Now()
	got := r.practices[desk].prescribe(context.Background(), v)
	r.told(got.err)
	waited := time.Since(began)
	r.mu.Lock()
	v.prescribed, v.left = got, time.Now()
	r.visits = append(r.visits, v)
	r.mu.Unlock()
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	ph := t.called(v.at, got.answered)
	ph.Waited = max(ph.Waited, waited)
	if got.unsure {
		ph.Unsure++
	}
	if got.paper {
		ph.Paper++
	}
	switch {
	case got.rid == "":
		ph.Failed++
	case got.otherwise || got.unsure:
		ph.Otherwise++
	default:
		ph.Live++
	}
}

// told shows a test what a person was told.
func (r *recipeFleet) told(err error) {
	if told := r.f.o.watch.told; err != nil && told != nil && r.f.name == Ours {
		told(err)
	}
}

// scan chooses the oldest proof that a patient can have brought by now; nil when there is none.
func (r *recipeFleet) scan() *visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.visits {
		if !v.scanned && v.rid != "" && time.Since(v.left) >= recipeWalk {
			v.scanned = true
			return v
		}
	}
	return nil
}

// dispense is one patient in a pharmacy.
func (r *recipeFleet) dispense(t *Fleet, at time.Duration, desk int, v *visit) {
	began := time.Now()
	got := r.pharmacies[desk].dispense(context.Background(), v)
	r.told(got.err)
	took := time.Since(began)
	r.mu.Lock()
	v.handed = got.handed
	r.mu.Unlock()
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	ph := t.called(at, took)
	if got.kept {
		ph.Kept++
	}
	switch {
	case got.shown != "" && got.shown != v.rid:
		ph.WrongAsker++
	case got.err != nil:
		ph.Failed++
	case got.otherwise:
		ph.Otherwise++
	default:
		ph.Live++
	}
}

// sumUp lets the outboxes finish, and compares what everybody left with, and was given, with what the sandbox holds.
func (r *recipeFleet) sumUp(start time.Time) error {
	if r.practices == nil {
		return nil
	}
	for _, p := range r.practices {
		p.settle(recipeSettle)
	}
	for _, d := range r.pharmacies {
		d.settle(recipeSettle)
	}
	if end := r.f.o.watch.end; end != nil && r.f.name == Ours {
		end(r.s)
	}
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	if t := r.f.tableOf(Prescribe); t != nil {
		r.compare(t, start)
	}
	if t := r.f.tableOf(Dispense); t != nil {
		r.settleUp(t)
	}
	return nil
}

// compare counts, per patient, what exists against what was left with.
func (r *recipeFleet) compare(t *Fleet, start time.Time) {
	exist := map[string][]sandbox.Prescription{}
	for _, p := range r.s.Prescriptions() {
		exist[p.Patient] = append(exist[p.Patient], p)
	}
	for _, v := range r.visits {
		ph := t.phase(max(v.at, 0))
		if v.at < 0 {
			continue
		}
		valid, shown := 0, v.rid == ""
		for _, p := range exist[v.patient.SSIN.Reveal()] {
			t.phase(p.Created.Sub(start)).Done++
			if p.RID == v.rid {
				shown = true
			} else {
				t.phase(p.Created.Sub(start)).Ghosts++
			}
			if p.Status != sandbox.Revoked {
				valid++
			}
		}
		switch {
		case !shown: // the RID on the proof is that of somebody else's prescription, or of none
			ph.WrongAsker++
			if v.otherwise || v.unsure {
				ph.Otherwise--
			} else {
				ph.Live--
			}
		case valid > 0 && v.paper:
			ph.Both++
		case v.rid == "" && !v.paper:
			ph.Neither++
		}
	}
}

// settleUp counts what became of each medicine that was given on a proof.
func (r *recipeFleet) settleUp(t *Fleet) {
	byRID := map[string]sandbox.Prescription{}
	for _, p := range r.s.Prescriptions() {
		byRID[p.RID] = p
	}
	last := &t.Phases[len(t.Phases)-1]
	for _, v := range r.visits {
		p, ok := byRID[v.rid]
		if !ok {
			continue
		}
		archived := 0
		for _, e := range p.Events {
			if e.Status == sandbox.Archived {
				archived++
			}
		}
		last.Done += archived
		last.Doubled += max(p.Deliveries-1, 0) + max(archived-1, 0)
		if v.handed && archived == 0 {
			last.Lost++
		}
	}
}
