package sandbox

import (
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// recipeTypes are the types that a create may have (dossier 04 section 10).
var recipeTypes = []string{"P0", "P1", "P2", "PP", "PK", "PN"}

// create is createPrescription. Whoever sends it twice has two prescriptions.
func (x *recipeCall) create() (recipeBody, *recipeRefusal) {
	p, r := x.draft()
	if r != nil {
		return nil, r
	}
	rid, err := x.st.newRID(p.typ)
	if err != nil {
		return nil, x.refuse(recipeBadType)
	}
	p.rid, p.created = rid, x.at
	x.move(p, NotDelivered)
	x.st.add(p)
	x.did("recipe.created")
	return func(w *xmltree.Writer) { w.Leaf("", "rid", rid) }, nil
}

// draft is the prescription of a createPrescriptionParam of either generation.
func (x *recipeCall) draft() (*prescription, *recipeRefusal) {
	p := &prescription{
		prescriber: x.who.number, kind: x.who.kind, assertion: x.who.token.Raw, label: x.text("prescriberLabel"),
		typ: x.text("prescriptionType"), keyID: x.text("keyId"), sealed: x.binary("prescription"),
	}
	var r *recipeRefusal
	if p.patient, r = x.patientID(); r != nil {
		return nil, r
	}
	admin := x.outer.Child("", "AdministrativeInformation")
	outerKey, _ := decodeBase64(textOf(admin.Child("", "KeyIdentifier"))) // the schema was checked
	key, keyErr := decodeBase64(p.keyID)
	var ok bool
	switch {
	case !slices.Contains(recipeTypes, p.typ), collapse(textOf(admin.Child("", "PrescriptionType"))) != p.typ:
		return nil, x.refuse(recipeBadType)
	case keyErr != nil, len(key) == 0, string(outerKey) != p.keyID:
		return nil, x.refuse(recipeBadKey)
	case len(p.sealed) == 0:
		return nil, x.refuse(recipeBadContent)
	}
	if p.feedback, ok = x.flag("feedbackRequested"); !ok {
		return nil, x.refuse(recipeBadFlag)
	}
	if p.expires, ok = x.expiration(); !ok {
		return nil, x.refuse(recipeBadExpiration)
	}
	if p.vision, p.others, r = x.visions(); r != nil {
		return nil, r
	}
	if p.others == "" {
		p.others = visionOpen
	}
	return p, nil
}

// expiration is the field expirationDate: ten characters, from today to a year less a day from now (dossier 04 9.7 and 11.2).
func (x *recipeCall) expiration() (time.Time, bool) {
	text := x.text("expirationDate")
	day, err := time.Parse(time.DateOnly, text)
	today := dayIn(x.at)
	return day, err == nil && len(text) == len(time.DateOnly) && !day.Before(today) && !day.After(lastExpiration(today))
}

// lastExpiration is a year less a day from today. A year from 29 February is 28 February.
func lastExpiration(today time.Time) time.Time {
	next := today.AddDate(1, 0, 0)
	if next.Day() != today.Day() {
		next = next.AddDate(0, 0, -next.Day())
	}
	return next.AddDate(0, 0, -1)
}

// visions reads vision and visionOtherPrescribers as a prescriber may set them; "" = absent or open.
func (x *recipeCall) visions() (vision, others string, r *recipeRefusal) {
	switch vision = x.text("vision"); {
	case vision == "", strings.EqualFold(vision, "null"):
		vision = ""
	case strings.EqualFold(vision, visionLocked):
		vision = visionLocked
	default:
		return "", "", x.refuse(recipeBadVision)
	}
	others = x.text("visionOtherPrescribers")
	if !slices.Contains([]string{"", visionOpen, visionLocked, visionGMD}, others) {
		return "", "", x.refuse(recipeBadVision)
	}
	return vision, others, nil
}

// mine is the prescription of the field rid, when the caller wrote it.
func (x *recipeCall) mine() (*prescription, *recipeRefusal) {
	p, r := x.rid()
	if r == nil && !p.by(x) {
		return nil, x.refuse(recipeNotAllowed)
	}
	return p, r
}

// revokeByPrescriber is revokePrescription: only what nobody has.
func (x *recipeCall) revokeByPrescriber() (recipeBody, *recipeRefusal) {
	p, r := x.mine()
	if r == nil {
		r = x.revoke(p, p.status == NotDelivered)
	}
	return nil, r
}

// revoke revokes p for a caller who has the right to, when its state allows it.
func (x *recipeCall) revoke(p *prescription, allowed bool) *recipeRefusal {
	switch {
	case x.text("reason") == "":
		return x.refuse(recipeBadReason)
	case !allowed:
		return x.conflict(p)
	}
	p.executor = ""
	x.move(p, Revoked)
	x.did("recipe.revoked")
	return nil
}

// visible tells whether a prescriber may see p: the author always, others what is open and open to them (dossier 04 11.3).
func (p *prescription) visible(x *recipeCall) bool {
	return p.by(x) || (p.open() && p.others == visionOpen)
}

// getForPrescriber is getPrescription.
func (x *recipeCall) getForPrescriber() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	switch {
	case r != nil:
		return nil, r
	case !p.visible(x):
		return nil, x.refuse(recipeNotAllowed)
	}
	return func(w *xmltree.Writer) {
		w.Leaf("", "creationDate", recipeTime(p.created))
		w.Leaf("", "encryptionKeyId", p.keyID)
		leafFlag(w, "feedbackAllowed", p.feedback)
		w.Leaf("", "patientId", p.patient)
		leafBinary(w, "prescription", p.sealed)
		w.Leaf("", "rid", p.rid)
		w.Leaf("", "expirationDate", recipeMidnight(p.expires))
	}, nil
}

// status is getPrescriptionStatus. A prescriber sees what he may get; a pharmacy that has the RID sees everything.
func (x *recipeCall) status() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	switch {
	case r != nil:
		return nil, r
	case x.role == recipePrescriber && !p.visible(x):
		return nil, x.refuse(recipeNotAllowed)
	}
	return writeStatusOf(p), nil
}

// putFlagByPrescriber is putFeedbackFlag.
func (x *recipeCall) putFlagByPrescriber() (recipeBody, *recipeRefusal) {
	p, r := x.mine()
	if r == nil {
		r = x.setFlag(p)
	}
	return nil, r
}

// setFlag sets whether feedback on p is welcome.
func (x *recipeCall) setFlag(p *prescription) *recipeRefusal {
	allowed, ok := x.flag("allowFeedback")
	if !ok {
		return x.refuse(recipeBadFlag)
	}
	p.feedback = allowed
	x.did("recipe.flag")
	return nil
}

// putVisionByPrescriber is putVisionForPrescriber of either generation. What the 2023 form leaves out stays as it is. With
// visionOtherPrescribers it is that form, which failed without the attribute type (dossier 04 11.3).
func (x *recipeCall) putVisionByPrescriber() (recipeBody, *recipeRefusal) {
	p, r := x.mine()
	if r != nil {
		return nil, r
	}
	typ, _ := x.param.Attr("", "type")
	if !slices.Contains([]string{"", "prescriber", "executor"}, typ) {
		return nil, x.refuse(recipeBadVision)
	}
	vision, others, r := x.visions()
	switch {
	case r != nil:
		return nil, r
	case x.field("vision") == nil && others == "", others != "" && typ == "":
		return nil, x.refuse(recipeBadVision)
	}
	if x.field("vision") != nil {
		p.vision = vision
	}
	if others != "" {
		p.others = others
	}
	x.did("recipe.vision")
	return nil, nil
}
