package sandbox

import (
	"regexp"
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// The patient service (dossier 04 4.3, 7.3): for a patient and for the holders of his mandates. What the dossier does not know
// is decided so:
//
//   - open is what is not delivered or in process, whatever its vision: who locks something still sees it.
//   - a patient revokes what nobody has, and sets visions while the prescription is open.
//   - patientId and prescriberId of getPrescription are numbers and not text, so that they have no leading zeros.

// onBehalf is the patient whom the field patientId names, or the caller when it is absent.
func (x *recipeCall) onBehalf() (string, *recipeRefusal) {
	if x.text("patientId") == "" {
		return x.who.number, nil
	}
	id, r := x.patientID()
	if r == nil && id != x.who.number && !x.mandated(x.who.number, id) {
		r = x.refuse(recipeNotAllowed)
	}
	return id, r
}

// ofPatient is the prescription of the field rid, when it is the caller's or that of somebody who gave him a mandate.
func (x *recipeCall) ofPatient() (*prescription, *recipeRefusal) {
	p, r := x.rid()
	switch {
	case r != nil:
		return nil, r
	case p.patient != x.who.number && !x.mandated(x.who.number, p.patient):
		return nil, x.refuse(recipeNotAllowed)
	}
	if id := x.text("patientId"); id != "" && id != p.patient {
		return nil, x.refuse(recipeBadPatient)
	}
	return p, nil
}

// listOpenRidsForPatient is the patient's listOpenRids.
func (x *recipeCall) listOpenRidsForPatient() (recipeBody, *recipeRefusal) {
	page, r := x.openOfPatient()
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			w.Start("", "items")
			w.Leaf("", "rid", p.rid)
			if kept := x.st.rest.reservations[p.rid]; kept != nil {
				w.Leaf("", "reservedAtNihii", kept.pharmacy)
			}
			w.Leaf("", "vision", p.vision)
			w.Leaf("", "creationDate", recipeTime(p.created))
			w.Leaf("", "expirationDate", recipeMidnight(p.expires))
			w.Leaf("", "prescriptionStatus", string(p.status))
			w.Leaf("", "patientId", p.patient)
			w.Leaf("", "prescriberId", p.prescriber)
			w.End()
		}
		page.write(w)
	}, nil
}

// openOfPatient is a page of the open prescriptions of a patient.
func (x *recipeCall) openOfPatient() (recipePage[*prescription], *recipeRefusal) {
	patient, r := x.onBehalf()
	if r != nil {
		return recipePage[*prescription]{}, r
	}
	found := x.find(func(p *prescription) bool { return p.patient == patient && p.open() })
	return recipePaged(x, patient, found, ridOf)
}

// listForPatient is listOpenPrescriptions.
func (x *recipeCall) listForPatient() (recipeBody, *recipeRefusal) {
	page, r := x.openOfPatient()
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			w.Start("", "prescriptions")
			w.Leaf("", "rid", p.rid)
			w.Leaf("", "prescriberLabel", p.label)
			w.Leaf("", "creationDate", recipeTime(p.created))
			w.Leaf("", "prescriberId", p.prescriber)
			w.End()
		}
		page.write(w)
	}, nil
}

// listHistoryForPatient is listRidsHistory.
func (x *recipeCall) listHistoryForPatient() (recipeBody, *recipeRefusal) {
	patient, r := x.onBehalf()
	if r != nil {
		return nil, r
	}
	return x.listHistory("item", patient, func(p *prescription) bool { return p.patient == patient })
}

// getForPatient is getPrescription.
func (x *recipeCall) getForPatient() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	switch {
	case r != nil:
		return nil, r
	case x.text("version") == "":
		return nil, x.refuse(recipeBadVersion)
	}
	return func(w *xmltree.Writer) {
		w.Leaf("", "creationDate", recipeTime(p.created))
		w.Leaf("", "encryptionKeyId", p.keyID)
		leafFlag(w, "feedbackAllowed", p.feedback)
		w.Leaf("", "patientId", asLong(p.patient))
		w.Leaf("", "prescriberId", asLong(p.prescriber))
		leafBinary(w, "prescription", p.sealed)
		w.Leaf("", "prescriptionType", p.typ)
		w.Leaf("", "rid", p.rid)
		w.Leaf("", "expirationDate", recipeMidnight(p.expires))
	}, nil
}

// asLong is how a number of digits comes out of a field of type long (dossier 04 7.2).
func asLong(digits string) string {
	if s := strings.TrimLeft(digits, "0"); s != "" {
		return s
	}
	return "0"
}

// statusForPatient is getPrescriptionStatus.
func (x *recipeCall) statusForPatient() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	if r != nil {
		return nil, r
	}
	return writeStatusOf(p), nil
}

// revokeByPatient is revokePrescription.
func (x *recipeCall) revokeByPatient() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	if r == nil {
		r = x.revoke(p, p.status == NotDelivered)
	}
	return nil, r
}

// putFlagByPatient is putFeedbackFlag.
func (x *recipeCall) putFlagByPatient() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	if r == nil {
		r = x.setFlag(p)
	}
	return nil, r
}

var pharmacyVisionForm = regexp.MustCompile(`^[0-9]{8}` + regexp.QuoteMeta(pharmacyVision) + `$`)

// putVisionByPatient is putVisionForPatient: open, locked or one pharmacy (dossier 04 11.3).
func (x *recipeCall) putVisionByPatient() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	if r != nil {
		return nil, r
	}
	vision := x.text("vision")
	switch {
	case x.field("vision") == nil:
		return nil, x.refuse(recipeBadVision)
	case vision == "", strings.EqualFold(vision, "null"):
		vision = ""
	case strings.EqualFold(vision, visionLocked):
		vision = visionLocked
	case !pharmacyVisionForm.MatchString(vision):
		return nil, x.refuse(recipeBadVision)
	default:
		if _, ok := x.s.people.organisation(string(identity.TypePharmacy), visionOf(vision)); !ok {
			return nil, x.refuse(recipeBadVision)
		}
	}
	if !p.open() {
		return nil, x.conflict(p)
	}
	p.vision = vision
	x.did("recipe.vision")
	return nil, nil
}

// getVision tells the vision, "" for open.
func (x *recipeCall) getVision() (recipeBody, *recipeRefusal) {
	p, r := x.ofPatient()
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) { w.Leaf("", "vision", p.vision) }, nil
}
