package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// rxTotals is what the campaigns of prescriptions saw besides. A prescription that left the practice neither electronically
// nor on paper, in both ways, or electronically without the prescriber's knowledge is a failure.
type rxTotals struct {
	Electronic int // settled as created, with the RID that the platform gave
	Paper      int // settled as not created, paper permitted
	Unsure     int // times that a caller was told that nobody knows
	Both       int
	Neither    int
	Ghosts     int // created, and settled otherwise or with another RID
	Archived   int // told to be dispensed, and so
	Revoked    int // told to be revoked, and so
}

// everything tells whether each thing happened that should be seen.
func (r *rxTotals) everything() bool {
	return r.Electronic > 0 && r.Paper > 0 && r.Unsure > 0 && r.Archived > 0 && r.Revoked > 0
}

func (r *rxTotals) print(w io.Writer) {
	fmt.Fprintf(w, "  electronic %d, paper %d, unsure in between %d times; archived %d, revoked %d\n", r.Electronic, r.Paper, r.Unsure, r.Archived, r.Revoked)
	fmt.Fprintf(w, "  paper and electronic %d, neither %d, ghosts %d\n", r.Both, r.Neither, r.Ghosts)
}

// What a task asks for.
const (
	taskCreate   = "create"   // ends electronically or on paper
	taskDispense = "dispense" // deliver and archive, as one item
	taskDeliver  = "deliver"  // deliver, and archive as an item of its own
	taskRevoke   = "revoke"
)

// rxTask is one thing that a caller in a child wants.
type rxTask struct {
	What    string `json:"what"`
	Ref     string `json:"ref"`
	Patient string `json:"patient"`
	Until   string `json:"until"` // last day of validity
	RID     string `json:"rid,omitempty"`
	Unsure  bool   `json:"unsure,omitempty"` // a caller was told so
	Then    string `json:"then,omitempty"`   // what is to follow at once when it is created
}

// rxPlan is what a child is to do instead of putting references.
type rxPlan struct {
	Tasks    []rxTask `json:"tasks"`
	Careless bool     `json:"careless,omitempty"` // prescribe again when unsure
}

// rxCase is one prescription as its people know it.
type rxCase struct {
	rxTask
	paper  bool
	second string // what is to become of it once created; "" = nothing
	asked  bool   // a caller was told that this is done or will be
	done   bool   // a caller was told that it is done
}

func (r *rxCase) settled() bool { return r.RID != "" || r.paper }

// rxCases are those of one campaign.
type rxCases struct {
	no    int
	all   []*rxCase
	byRef map[string]*rxCase
	today time.Time
	told  rxTotals
}

// rxPerPatient is how many prescriptions one patient gets, so that finding the right one is no gift.
const rxPerPatient = 3

// maxRxCampaigns is how many campaigns have patients of their own.
const maxRxCampaigns = 80

// cases makes the ledger of campaign i; nil when the store is one of the application.
func (f *fleet) cases(i int) *rxCases {
	if f.store != rxStore {
		return nil
	}
	return &rxCases{no: i, byRef: map[string]*rxCase{}, today: time.Now().UTC()}
}

// patientOf is the patient of the n-th prescription of a campaign.
func patientOf(no, n int) (identity.SSIN, error) {
	g := n / rxPerPatient
	return identity.NewSSIN(1910+no%maxRxCampaigns, 1+g%12, 1+g/12%28, 1+g/336%900)
}

// seconds are what becomes of prescriptions, in turn.
var seconds = []string{taskDispense, taskRevoke, taskDeliver, taskDispense, ""}

// more adds what the next child is asked for and returns how many there are.
func (r *rxCases) more(rng *rand.Rand) int {
	n := 2 + rng.IntN(2)
	for range n {
		i := len(r.all)
		patient, err := patientOf(r.no, i)
		if err != nil {
			return 0
		}
		k := &rxCase{rxTask: rxTask{
			What: taskCreate, Ref: fmt.Sprintf("%03d%06d", r.no, i), Patient: patient.Reveal(),
			Until: r.today.AddDate(0, 0, 30+i%rxPerPatient).Format(time.DateOnly),
		}}
		k.second = seconds[i%len(seconds)]
		r.all, r.byRef[k.Ref] = append(r.all, k), k
	}
	return n
}

// rxPerChild bounds the tasks of a child that is to die: it should come to its point soon.
const rxPerChild = 8

// tasks are what callers still want, the oldest first.
func (r *rxCases) tasks(all bool) (out []rxTask) {
	for _, k := range r.all {
		t := k.rxTask
		switch {
		case k.RID != "" && k.second != "" && !k.asked:
			t.What = k.second
		case k.settled():
			continue
		case all:
			t.Then = k.second
		}
		out = append(out, t)
	}
	if !all && len(out) > rxPerChild {
		out = slices.Concat(out[:rxPerChild/2], out[len(out)-rxPerChild/2:])
	}
	return out
}

// rxAccount is what a child said of its box at the end.
type rxAccount struct {
	parked []string
	states map[string]int
	wrong  []error
}

// hear notes what a caller was told and tells whether the report is one of these.
func (r *rxCases) hear(p report, said *rxAccount) bool {
	k := r.byRef[p.Ref]
	switch p.What {
	case "rx-state":
		said.state(p)
		return true
	case "created", "paper", "unsure", "asked", "finished":
	default:
		return false
	}
	if k == nil {
		said.wrong = append(said.wrong, fmt.Errorf("a child spoke of %q", p.Ref))
		return true
	}
	switch p.What {
	case "created":
		if k.RID != "" && k.RID != p.Answer || k.paper {
			said.wrong = append(said.wrong, fmt.Errorf("%s: told to be created after it was settled otherwise", k.Ref))
		}
		k.RID = p.Answer
	case "paper":
		if k.RID != "" {
			said.wrong = append(said.wrong, fmt.Errorf("%s: paper was permitted after it was created", k.Ref))
		}
		k.paper = true
	case "unsure":
		k.Unsure = true
		r.told.Unsure++
	case "finished":
		k.done = true
		fallthrough
	case "asked":
		k.asked = true
	}
	return true
}

func (a *rxAccount) state(p report) {
	if a.states == nil {
		a.states = map[string]int{}
	}
	a.states[p.Ref+" "+p.Text]++
	if p.Answer != "" {
		a.parked = append(a.parked, p.Ref+" "+p.Text+": "+p.Answer)
	}
}

// account compares what the platform did with what its callers were told.
func (r *rxCases) account(c *totals, made map[string][]sandbox.Prescription, said *rxAccount) error {
	c.Checks++
	c.Lost, c.Doubled, c.Told, c.Seen, c.Effects, c.Refs = 0, 0, 0, 0, 0, len(r.all)
	sum := rxTotals{Unsure: r.told.Unsure}
	errs := said.wrong
	bad := func(n *int, k *rxCase, format string, args ...any) {
		*n++
		errs = append(errs, fmt.Errorf("%s: %s", k.Ref, fmt.Sprintf(format, args...)))
	}
	for _, p := range said.parked {
		errs = append(errs, fmt.Errorf("left in the box: %s", p))
	}
	for _, k := range r.all {
		mine := made[k.Patient+" "+k.Until]
		c.Effects += len(mine)
		if k.settled() {
			c.Told++
		}
		switch {
		case len(mine) > 1:
			bad(&c.Doubled, k, "created %d times", len(mine))
		case k.paper && len(mine) > 0:
			bad(&sum.Both, k, "on paper and electronic, created at %v", mine[0].Created)
		case k.paper:
			sum.Paper++
		case k.RID == "" && len(mine) > 0:
			bad(&sum.Ghosts, k, "created and nobody knows")
		case k.RID == "":
			bad(&sum.Neither, k, "neither electronic nor on paper")
		case len(mine) == 0:
			bad(&c.Lost, k, "told to be created, and it is not there")
		case mine[0].RID != k.RID:
			bad(&sum.Ghosts, k, "its RID is not the one that was told")
		default:
			sum.Electronic++
			afterwards(c, &sum, k, mine[0], bad)
		}
	}
	c.Rx = sum
	return errors.Join(errs...)
}

// afterwards looks at what became of a prescription.
func afterwards(c *totals, sum *rxTotals, k *rxCase, p sandbox.Prescription, bad func(*int, *rxCase, string, ...any)) {
	times := map[sandbox.PrescriptionStatus]int{}
	for _, e := range p.Events {
		times[e.Status]++
	}
	for _, s := range []sandbox.PrescriptionStatus{sandbox.NotDelivered, sandbox.Delivered, sandbox.Archived, sandbox.Revoked} {
		if times[s] > 1 {
			bad(&c.Doubled, k, "%d times %s", times[s], s)
		}
	}
	if p.Deliveries > 1 {
		bad(&c.Doubled, k, "delivered %d times", p.Deliveries)
	}
	if k.done {
		c.Seen++
	}
	switch want := map[string]sandbox.PrescriptionStatus{taskDispense: sandbox.Archived, taskDeliver: sandbox.Archived, taskRevoke: sandbox.Revoked}[k.second]; {
	case !k.asked && k.second != "":
		bad(&c.Lost, k, "nobody took up %q", k.second)
	case !k.asked:
		if len(p.Events) > 1 {
			bad(&c.Doubled, k, "it is %s and nobody asked for it", p.Status)
		}
	case p.Status != want:
		bad(&c.Lost, k, "told to be %s, and it is %s", want, p.Status)
	case want == sandbox.Archived:
		sum.Archived++
	default:
		sum.Revoked++
	}
}

// prescribed lists all prescriptions by patient and last day, which together belong to one case.
func (p *platform) prescribed() map[string][]sandbox.Prescription {
	out := map[string][]sandbox.Prescription{}
	for _, rx := range p.Prescriptions() {
		key := rx.Patient + " " + rx.Expires.Format(time.DateOnly)
		out[key] = append(out[key], rx)
	}
	return out
}
