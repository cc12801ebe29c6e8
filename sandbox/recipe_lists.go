package sandbox

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// The executor's lists (dossier 04 7.2, 11.3). What the dossier does not know is decided so:
//
//   - listOpenPrescriptions has what nobody has and what the pharmacy itself has in process, but for what the patient or the
//     prescriber locked and for what is kept for another pharmacy, by vision or by reservation.
//   - it needs a patientId or a mandateHolderId. With both, the holder must have a mandate of that patient; with a holder only, it
//     has what the holder may fetch for others.
//   - listRidsHistory has what the pharmacy had to do with, of one patient when patientId is given.
const pharmacyVision = "-PHARMACY.NIHII"

// visionOf is the pharmacy that a vision names, "" for none.
func visionOf(vision string) string {
	number, ok := strings.CutSuffix(vision, pharmacyVision)
	if !ok {
		return ""
	}
	return number
}

// shownTo tells whether a pharmacy finds p by its patient.
func (x *recipeCall) shownTo(p *prescription) bool {
	only := visionOf(p.vision)
	kept := x.st.rest.reservations[p.rid]
	switch {
	case p.status != NotDelivered && (p.status != InProcess || !p.at(x)), p.locked():
		return false
	case only != "" && !sameNumber(only, x.who.number):
		return false
	}
	return kept == nil || sameNumber(kept.pharmacy, x.who.number)
}

// writeOpen writes p as lists for pharmacies have it, with its sealed content.
func (p *prescription) writeOpen(w *xmltree.Writer, element string) {
	w.Start("", element)
	writeRecipeStatus(w, nil)
	w.Leaf("", "creationDate", recipeTime(p.created))
	w.Leaf("", "encryptionKeyId", p.keyID)
	leafFlag(w, "feedbackAllowed", p.feedback)
	w.Leaf("", "patientId", p.patient)
	w.Leaf("", "prescriberId", p.prescriber)
	leafBinary(w, "prescription", p.sealed)
	w.Leaf("", "prescriptionType", p.typ)
	w.Leaf("", "rid", p.rid)
	w.Leaf("", "expirationDate", recipeMidnight(p.expires))
	w.Leaf("", "prescriptionStatus", string(p.status))
	w.End()
}

// listOpenForExecutor is listOpenPrescriptions.
func (x *recipeCall) listOpenForExecutor() (recipeBody, *recipeRefusal) {
	patients, about, r := x.whose()
	if r != nil {
		return nil, r
	}
	found := x.find(func(p *prescription) bool { return slices.Contains(patients, p.patient) && x.shownTo(p) })
	page, r := recipePaged(x, about, found, ridOf)
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			p.writeOpen(w, "prescriptions")
		}
		page.write(w)
	}, nil
}

// whose is the patients that patientId and mandateHolderId mean.
func (x *recipeCall) whose() (patients []string, about string, r *recipeRefusal) {
	patient, holder := "", ""
	if x.text("patientId") != "" || x.text("mandateHolderId") == "" {
		if patient, r = x.patientID(); r != nil {
			return nil, "", r
		}
	}
	if x.text("mandateHolderId") != "" {
		if holder, r = x.holderID(); r != nil {
			return nil, "", r
		}
	}
	about = patient + " " + holder
	switch {
	case holder == "":
		return []string{patient}, about, nil
	case patient != "" && !x.mandated(holder, patient):
		return nil, "", x.refuse(recipeRelationUnknown)
	case patient != "":
		return []string{patient}, about, nil
	}
	for _, r := range x.relationsOf(func(r *recipeRelation) bool { return r.holder == holder }) {
		patients = append(patients, r.patient)
	}
	return patients, about, nil
}

// listInProcess is listRidsInProcess: what the pharmacy has in process.
func (x *recipeCall) listInProcess() (recipeBody, *recipeRefusal) {
	found := x.find(func(p *prescription) bool { return p.status == InProcess && p.at(x) })
	page, r := recipePaged(x, "", found, ridOf)
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			w.Leaf("", "rids", p.rid)
		}
		page.write(w)
	}, nil
}

// listHistoryForExecutor is listRidsHistory.
func (x *recipeCall) listHistoryForExecutor() (recipeBody, *recipeRefusal) {
	patient := ""
	if x.text("patientId") != "" {
		var r *recipeRefusal
		if patient, r = x.patientID(); r != nil {
			return nil, r
		}
	}
	return x.listHistory("items", patient, func(p *prescription) bool {
		return (patient == "" || p.patient == patient) &&
			slices.ContainsFunc(p.history, func(e PrescriptionEvent) bool { return sameNumber(e.By, x.who.number) })
	})
}

// listHistory writes one partition of what passes. The name of the items differs between roles.
func (x *recipeCall) listHistory(element, about string, pass func(*prescription) bool) (recipeBody, *recipeRefusal) {
	active, _ := x.flag("activeResults")
	found := x.find(func(p *prescription) bool { return p.past() != active && pass(p) })
	page, r := recipePaged(x, about+" "+strconv.FormatBool(active), found, ridOf)
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			w.Start("", element)
			w.Leaf("", "rid", p.rid)
			w.Leaf("", "prescriptionStatus", string(p.status))
			w.End()
		}
		page.write(w)
	}, nil
}
