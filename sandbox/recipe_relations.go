package sandbox

import (
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Relations (mandates) and reservations of Recip-e (dossier 04 7.2 and 7.3). What the dossier does not know is decided so:
//
//   - only the patient makes a relation; patient and holder may each end it. A second one with the same holder is refused.
//   - the holder sees and does with the patient's prescriptions what the patient does, but for relations. He names the patient
//     in patientId where the param has it.
//   - a patient's listRelations has those that he gave and those that he holds.
//   - a reservation is for what nobody has. A new one replaces the former; it is not the same thing as a vision, and ends
//     with neither.
const recipeRelationLimit = 100 // relations of one patient

// recipeRelation is a mandate. The state's lock guards it.
type recipeRelation struct {
	patient, first, last string
	holder               string
	end                  time.Time // zero: none
}

// recipeReservation is a pharmacy that keeps a prescription. The state's lock guards it.
type recipeReservation struct {
	pharmacy         string // 8 digits
	created, updated time.Time
}

// inForce tells whether a relation counts at an instant.
func (r *recipeRelation) inForce(now time.Time) bool { return r.end.IsZero() || now.Before(r.end) }

// relationsOf lists the relations in force that pass.
func (x *recipeCall) relationsOf(pass func(*recipeRelation) bool) []*recipeRelation {
	var out []*recipeRelation
	for _, r := range x.st.rest.relations {
		if r.inForce(x.at) && pass(r) {
			out = append(out, r)
		}
	}
	return out
}

// mandated tells whether holder may act for patient.
func (x *recipeCall) mandated(holder, patient string) bool {
	return len(x.relationsOf(func(r *recipeRelation) bool { return r.holder == holder && r.patient == patient })) > 0
}

// holderID is the SSIN of the field mandateHolderId.
func (x *recipeCall) holderID() (string, *recipeRefusal) {
	id := x.text("mandateHolderId")
	if _, err := identity.ParseSSIN(id); err != nil || len(id) != identity.TypeSSIN.Digits() {
		return "", x.refuse(recipeBadHolder)
	}
	return id, nil
}

// instant reads a field of type dateTime; without offset it is Brussels time.
func (x *recipeCall) instant(local string) (at time.Time, ok bool) {
	text := x.text(local)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", text, brussels)
	return t, err == nil
}

// createRelation is the patient's.
func (x *recipeCall) createRelation() (recipeBody, *recipeRefusal) {
	holder, r := x.holderID()
	if r != nil {
		return nil, r
	}
	made := &recipeRelation{
		patient: x.who.number, first: x.text("patientFirstname"), last: x.text("patientLastname"), holder: holder,
	}
	if x.field("endDate") != nil {
		var ok bool
		if made.end, ok = x.instant("endDate"); !ok || !made.end.After(x.at) {
			return nil, x.refuse(recipeBadEnd)
		}
	}
	id := x.text("patientId")
	mine := x.relationsOf(func(r *recipeRelation) bool { return r.patient == made.patient })
	switch {
	case id != "" && id != x.who.number:
		return nil, x.refuse(recipeNotAllowed)
	case holder == x.who.number:
		return nil, x.refuse(recipeBadHolder)
	case made.first == "" || made.last == "":
		return nil, x.refuse(recipeBadName)
	case slices.ContainsFunc(mine, func(r *recipeRelation) bool { return r.holder == holder }):
		return nil, x.refuse(recipeRelationExists)
	case len(mine) >= recipeRelationLimit:
		return nil, x.refuse(recipeFull)
	}
	rest := &x.st.rest
	rest.relations = slices.DeleteFunc(rest.relations, func(r *recipeRelation) bool { return !r.inForce(x.at) })
	rest.relations = append(rest.relations, made)
	x.did("recipe.related")
	return nil, nil
}

// revokeRelation ends a relation, for the patient or the holder.
func (x *recipeCall) revokeRelation() (recipeBody, *recipeRefusal) {
	holder, r := x.holderID()
	if r != nil {
		return nil, r
	}
	patient := x.who.number
	if id := x.text("patientId"); id != "" {
		if patient, r = x.patientID(); r != nil {
			return nil, r
		}
	}
	if x.who.number != patient && x.who.number != holder {
		return nil, x.refuse(recipeNotAllowed)
	}
	rest := &x.st.rest
	for i, r := range rest.relations {
		if r.inForce(x.at) && r.patient == patient && r.holder == holder {
			rest.relations = slices.Delete(rest.relations, i, i+1)
			x.did("recipe.unrelated")
			return nil, nil
		}
	}
	return nil, x.refuse(recipeRelationUnknown)
}

// listRelationsByPatient is the patient's listRelations.
func (x *recipeCall) listRelationsByPatient() (recipeBody, *recipeRefusal) {
	if id := x.text("patientId"); id != "" && id != x.who.number {
		return nil, x.refuse(recipeNotAllowed)
	}
	return x.listRelations("", func(r *recipeRelation) bool { return r.patient == x.who.number || r.holder == x.who.number })
}

// listRelationsByExecutor is the executor's listRelations: for whom somebody may fetch prescriptions.
func (x *recipeCall) listRelationsByExecutor() (recipeBody, *recipeRefusal) {
	holder, r := x.holderID()
	if r != nil {
		return nil, r
	}
	return x.listRelations(holder, func(r *recipeRelation) bool { return r.holder == holder })
}

func (x *recipeCall) listRelations(about string, pass func(*recipeRelation) bool) (recipeBody, *recipeRefusal) {
	page, r := recipePaged(x, about, x.relationsOf(pass), func(r *recipeRelation) string { return r.patient + " " + r.holder })
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, r := range page.items {
			w.Start("", "items")
			w.Leaf("", "patientId", r.patient)
			w.Leaf("", "patientFirstname", r.first)
			w.Leaf("", "patientLastname", r.last)
			w.Leaf("", "mandateHolderId", r.holder)
			if x.role == recipePatient && !r.end.IsZero() {
				w.Leaf("", "endDate", recipeTime(r.end))
			}
			w.End()
		}
		page.write(w)
	}, nil
}

// createReservation is the patient's: a pharmacy that keeps the prescription for him.
func (x *recipeCall) createReservation() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	if r != nil {
		return nil, r
	}
	pharmacy, r := x.pharmacy()
	switch {
	case r != nil:
		return nil, r
	case p.status != NotDelivered:
		return nil, x.conflict(p)
	}
	rest := &x.st.rest
	if rest.reservations == nil {
		rest.reservations = map[string]*recipeReservation{}
	}
	have := rest.reservations[p.rid]
	if have == nil {
		have = &recipeReservation{created: x.at}
		rest.reservations[p.rid] = have
	}
	have.pharmacy, have.updated = pharmacy, x.at
	x.did("recipe.kept")
	return nil, nil
}

// pharmacy is the pharmacy of the field executorId, as 8 digits.
func (x *recipeCall) pharmacy() (string, *recipeRefusal) {
	id := x.text("executorId")
	if len(id) == 11 {
		id = id[:8]
	}
	if _, ok := x.s.people.organisation(string(identity.TypePharmacy), id); !ok {
		return "", x.refuse(recipeBadExecutor)
	}
	return id, nil
}

// listReservations is the executor's: what the pharmacy keeps since startDate, changes counted as new.
func (x *recipeCall) listReservations() (recipeBody, *recipeRefusal) {
	since, ok := x.instant("startDate")
	if !ok {
		return nil, x.refuse(recipeBadStart)
	}
	all := x.st.rest.reservations
	found := x.find(func(p *prescription) bool {
		r := all[p.rid]
		return r != nil && sameNumber(r.pharmacy, x.who.number) && !r.updated.Before(since)
	})
	page, r := recipePaged(x, x.text("startDate"), found, ridOf)
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			x.writeReservation(w, p, all[p.rid])
		}
		page.write(w)
	}, nil
}

func (x *recipeCall) writeReservation(w *xmltree.Writer, p *prescription, r *recipeReservation) {
	w.Start("", "items")
	w.Leaf("", "rid", p.rid)
	w.Leaf("", "executorId", r.pharmacy)
	w.Leaf("", "creationDateReservation", recipeTime(r.created))
	w.Leaf("", "lastUpdateReservation", recipeTime(r.updated))
	if p.open() {
		p.writeOpen(w, "prescription")
	}
	w.Leaf("", "creationDate", recipeTime(p.created))
	w.Leaf("", "expirationDate", recipeMidnight(p.expires))
	w.Leaf("", "prescriptionStatus", string(p.status))
	w.Leaf("", "patientId", p.patient)
	w.Leaf("", "prescriberId", p.prescriber)
	w.Leaf("", "contactPreference", "NO_PREFERENCE")
	w.End()
}
