package sandbox

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// PrescriptionStatus is where a prescription is (dossier 04 11.1).
type PrescriptionStatus string

// The states of a prescription, spelled as on the wire.
const (
	NotDelivered PrescriptionStatus = "NotDelivered"
	InProcess    PrescriptionStatus = "InProcess"
	Delivered    PrescriptionStatus = "Delivered"
	Archived     PrescriptionStatus = "Archived"
	Revoked      PrescriptionStatus = "Revoked"
	Expired      PrescriptionStatus = "Expired"
)

// Values of vision and visionOtherPrescribers (dossier 04 11.3).
const (
	visionLocked = "locked"
	visionOpen   = "open"
	visionGMD    = "gmd_prescriber"
)

// RecipeBehaviour is how Recip-e behaves where the facts are not known. The zero value is the default.
type RecipeBehaviour struct {
	// ListLag is how long a new prescription stays out of every list; what is asked by RID is there at once.
	ListLag time.Duration
	// PageSize is how many entries a page of a list has; 0 = 50.
	PageSize int
	// ArchiveEarly lets a pharmacy archive what it has in process, without having delivered it.
	ArchiveEarly bool
	// PagesFromZero is how listPrescriptions, which has no session, counts its pages: the second one is 1 instead of 2.
	PagesFromZero bool
}

// SetRecipe changes how Recip-e behaves from now on.
func (s *Sandbox) SetRecipe(b RecipeBehaviour) {
	s.recipe.mu.Lock()
	defer s.recipe.mu.Unlock()
	s.recipe.behaviour = b
}

// recipeState is all prescriptions. The zero value is ready. Both hosts and the three services share it.
type recipeState struct {
	mu        sync.Mutex
	behaviour RecipeBehaviour
	records   map[string]*prescription // by RID
	order     []*prescription          // in the order of creation
	done      map[string]bool          // Ids of writes that were executed
	due       time.Time                // before this, nothing expires
	rest      recipeRest               // what is not a prescription
}

// prescription is one prescription. The state's lock guards it.
type prescription struct {
	rid, typ   string
	patient    string // SSIN
	prescriber string // NIHII, 11 digits
	kind       string // CD-HCPARTY of the prescriber
	assertion  []byte // the prescriber's token, for the timestamped form
	label      string // prescriberLabel
	keyID      string // base64 of the KGSS identifier
	sealed     []byte // as it came
	feedback   bool   // whether feedback is welcome
	vision     string // "", "locked" or <number>-PHARMACY.NIHII
	others     string // visionOtherPrescribers
	created    time.Time
	expires    time.Time // last day, as midnight UTC

	status   PrescriptionStatus
	updater  string // who put it there; "" after expiry
	executor string // pharmacy that has it, has delivered or archived it
	stamped  []byte // timestampedPrescription, made once
	history  []PrescriptionEvent
	delivers int
}

// PrescriptionEvent is one step in the life of a prescription.
type PrescriptionEvent struct {
	Status  PrescriptionStatus // where it went
	By      string             // NIHII or SSIN of who did it; "" = expiry
	At      time.Time
	Request string // Id of the request, which the central system knows as Mguid
	Program string // ProgramId of the request
}

// executed notes that a write with that Id was executed, and tells whether one was before.
func (st *recipeState) executed(id string) bool {
	if id == "" {
		return false
	}
	if st.done[id] {
		return true
	}
	if st.done == nil {
		st.done = map[string]bool{}
	}
	st.done[id] = true
	return false
}

// add puts a new prescription into the store.
func (st *recipeState) add(p *prescription) {
	if st.records == nil {
		st.records = map[string]*prescription{}
	}
	st.records[p.rid] = p
	st.order = append(st.order, p)
	st.watch(p)
}

// watch makes settle look again when the day of p is over.
func (st *recipeState) watch(p *prescription) {
	if end := p.end(); st.due.IsZero() || end.Before(st.due) {
		st.due = end
	}
}

// settle lets everything expire whose day is over.
func (st *recipeState) settle(now time.Time) {
	if st.due.IsZero() || now.Before(st.due) {
		return
	}
	st.due = time.Time{}
	for _, p := range st.order {
		if !p.open() {
			continue
		}
		end := p.end()
		if !now.Before(end) {
			p.status, p.updater = Expired, ""
			p.history = append(p.history, PrescriptionEvent{Status: Expired, At: end})
			continue
		}
		st.watch(p)
	}
}

// end is the midnight in Brussels with which the last day ends.
func (p *prescription) end() time.Time {
	y, m, d := p.expires.Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, brussels)
}

// open tells whether somebody may still deliver p.
func (p *prescription) open() bool { return p.status == NotDelivered || p.status == InProcess }

// past tells whether p is in the history partition of listRidsHistory.
func (p *prescription) past() bool {
	return p.status == Archived || p.status == Revoked || p.status == Expired
}

// locked tells whether no pharmacy may find p by its patient.
func (p *prescription) locked() bool { return strings.EqualFold(p.vision, visionLocked) }

// by tells whether the caller wrote p.
func (p *prescription) by(x *recipeCall) bool {
	return x.role == recipePrescriber && sameNumber(p.prescriber, x.who.number)
}

// at tells whether p is with the calling pharmacy.
func (p *prescription) at(x *recipeCall) bool {
	return x.role == recipeExecutor && p.executor != "" && sameNumber(p.executor, x.who.number)
}

// move puts p into a state. The executor stays until it is set anew.
func (x *recipeCall) move(p *prescription, to PrescriptionStatus) {
	p.status, p.updater = to, x.who.number
	p.history = append(p.history, PrescriptionEvent{Status: to, By: x.who.number, At: x.at, Request: x.id, Program: x.program})
	if p.open() {
		x.st.watch(p)
	}
}

// listed tells whether p is in lists yet.
func (x *recipeCall) listed(p *prescription) bool {
	return !x.at.Before(p.created.Add(max(x.st.behaviour.ListLag, x.verdict.lag)))
}

// find lists the prescriptions that pass, in the order of creation, without those that lists do not have yet.
func (x *recipeCall) find(pass func(*prescription) bool) []*prescription {
	var out []*prescription
	for _, p := range x.st.order {
		if x.listed(p) && pass(p) {
			out = append(out, p)
		}
	}
	return out
}

// writeStatusOf writes the result of getPrescriptionStatus, which is the same for all roles.
func writeStatusOf(p *prescription) recipeBody {
	return func(w *xmltree.Writer) {
		w.Leaf("", "prescriptionStatus", string(p.status))
		leafText(w, "executorId", p.executor)
	}
}

// Prescription is a prescription as those who drive the sandbox see it.
type Prescription struct {
	RID              string
	Type             string // "P0", "P1", …
	Patient          string // SSIN
	Prescriber       string // NIHII, 11 digits
	Status           PrescriptionStatus
	Updater          string // who put it there: NIHII of 11 or 8 digits, or SSIN; "" after expiry
	Executor         string // pharmacy that has it, has delivered or archived it; "" = none
	KeyID            string // base64 of the identifier of the KGSS key
	Sealed           []byte // the sealed KMEHR as it came
	Vision           string // "", "locked" or <number>-PHARMACY.NIHII
	OtherPrescribers string // "open", "locked" or "gmd_prescriber"
	FeedbackAllowed  bool
	Created          time.Time
	Expires          time.Time           // last day, as midnight UTC
	Events           []PrescriptionEvent // the first is the creation
	Deliveries       int                 // how often it was marked as delivered
}

// Prescriptions lists all prescriptions in the order of creation, at this instant: whatever has expired is so.
func (s *Sandbox) Prescriptions() []Prescription {
	st := &s.recipe
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(time.Now())
	out := make([]Prescription, 0, len(st.order))
	for _, p := range st.order {
		out = append(out, p.public())
	}
	return out
}

// Prescription returns one prescription by RID.
func (s *Sandbox) Prescription(rid string) (Prescription, bool) {
	st := &s.recipe
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(time.Now())
	p := st.records[rid]
	if p == nil {
		return Prescription{}, false
	}
	return p.public(), true
}

func (p *prescription) public() Prescription {
	return Prescription{
		RID: p.rid, Type: p.typ, Patient: p.patient, Prescriber: p.prescriber, Status: p.status, Updater: p.updater,
		Executor: p.executor, KeyID: p.keyID, Sealed: slices.Clone(p.sealed), Vision: p.vision, OtherPrescribers: p.others,
		FeedbackAllowed: p.feedback, Created: p.created, Expires: p.expires, Events: slices.Clone(p.history), Deliveries: p.delivers,
	}
}
