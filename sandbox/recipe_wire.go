package sandbox

import (
	"cmp"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what Recip-e answers with (dossier 04 9.4)
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Message codes of inner status 300, of our own making: no catalogue is known (dossier 04 13.3).
const (
	recipeBadParam       = "error.validation.param"
	recipeNotCaller      = "error.validation.caller"
	recipeBadRID         = "error.validation.rid"
	recipeBadPatient     = "error.validation.patient"
	recipeBadType        = "error.validation.type"
	recipeBadKey         = "error.validation.key"
	recipeBadContent     = "error.validation.prescription"
	recipeBadExpiration  = "error.validation.expirationdate"
	recipeBadVision      = "error.validation.vision"
	recipeBadFlag        = "error.validation.flag"
	recipeBadReason      = "error.validation.reason"
	recipeTooManyRIDs    = "error.validation.toomanyrids"
	recipeBadPage        = "error.validation.page"
	recipeUnknownRID     = "error.rid.unknown"
	recipeNotAllowed     = "error.access.denied"
	recipeWrongState     = "error.status"
	recipeStateOfAnother = "error.status.other"
	recipeInternal       = "error.internal"

	recipeBadHolder       = "error.validation.mandateholder"
	recipeBadName         = "error.validation.name"
	recipeBadEnd          = "error.validation.enddate"
	recipeBadStart        = "error.validation.startdate"
	recipeBadExecutor     = "error.validation.executor"
	recipeBadPrescriber   = "error.validation.prescriber"
	recipeBadVersion      = "error.validation.version"
	recipeBadNote         = "error.validation.content"
	recipeRelationExists  = "error.relation.exists"
	recipeRelationUnknown = "error.relation.unknown"
	recipeNoFeedback      = "error.feedback.refused"
	recipeFull            = "error.capacity"
)

// recipeTexts are the messages in French, Dutch, German and English.
var recipeTexts = map[string][4]string{
	recipeBadParam:        {"Demande non valide", "Ongeldige vraag", "Ungültige Anfrage", "Request not valid"},
	recipeNotCaller:       {"Demandeur différent du jeton", "Aanvrager verschilt van het token", "Anfragender weicht vom Token ab", "Caller differs from the token"},
	recipeBadRID:          {"RID non valide", "Ongeldig RID", "Ungültige RID", "RID not valid"},
	recipeBadPatient:      {"Patient non valide", "Ongeldige patiënt", "Ungültiger Patient", "Patient not valid"},
	recipeBadType:         {"Type de prescription non valide", "Ongeldig voorschrifttype", "Ungültiger Verordnungstyp", "Prescription type not valid"},
	recipeBadKey:          {"Clé non valide", "Ongeldige sleutel", "Ungültiger Schlüssel", "Key identifier not valid"},
	recipeBadContent:      {"Prescription absente", "Voorschrift ontbreekt", "Verordnung fehlt", "Prescription missing"},
	recipeBadExpiration:   {"Date d'expiration non valide", "Ongeldige vervaldatum", "Ungültiges Ablaufdatum", "Expiration date not valid"},
	recipeBadVision:       {"Visibilité non valide", "Ongeldige zichtbaarheid", "Ungültige Sichtbarkeit", "Vision not valid"},
	recipeBadFlag:         {"Indicateur non valide", "Ongeldige vlag", "Ungültiger Schalter", "Flag not valid"},
	recipeBadReason:       {"Raison absente", "Reden ontbreekt", "Grund fehlt", "Reason missing"},
	recipeTooManyRIDs:     {"Trop de RID", "Te veel RID's", "Zu viele RID", "Too many RIDs"},
	recipeBadPage:         {"Page non valide", "Ongeldige pagina", "Ungültige Seite", "Page not valid"},
	recipeUnknownRID:      {"Prescription inconnue", "Onbekend voorschrift", "Unbekannte Verordnung", "Prescription unknown"},
	recipeNotAllowed:      {"Accès refusé", "Toegang geweigerd", "Zugriff verweigert", "Access denied"},
	recipeWrongState:      {"Statut de la prescription non valide", "Ongeldige status van het voorschrift", "Ungültiger Status der Verordnung", "Status of the prescription does not allow this"},
	recipeBadHolder:       {"Mandataire non valide", "Ongeldige mandaathouder", "Ungültiger Bevollmächtigter", "Mandate holder not valid"},
	recipeBadName:         {"Nom absent", "Naam ontbreekt", "Name fehlt", "Name missing"},
	recipeBadEnd:          {"Date de fin non valide", "Ongeldige einddatum", "Ungültiges Enddatum", "End date not valid"},
	recipeBadStart:        {"Date de début non valide", "Ongeldige begindatum", "Ungültiges Anfangsdatum", "Start date not valid"},
	recipeBadExecutor:     {"Pharmacie inconnue", "Onbekende apotheek", "Unbekannte Apotheke", "Pharmacy unknown"},
	recipeBadPrescriber:   {"Prescripteur différent", "Andere voorschrijver", "Anderer Verordner", "Prescriber is another one"},
	recipeBadVersion:      {"Version absente", "Versie ontbreekt", "Version fehlt", "Version missing"},
	recipeBadNote:         {"Contenu absent", "Inhoud ontbreekt", "Inhalt fehlt", "Content missing"},
	recipeRelationExists:  {"Mandat déjà existant", "Mandaat bestaat al", "Vollmacht besteht schon", "Relation exists already"},
	recipeRelationUnknown: {"Mandat inconnu", "Onbekend mandaat", "Unbekannte Vollmacht", "Relation unknown"},
	recipeNoFeedback:      {"Feedback non souhaité", "Feedback niet gewenst", "Rückmeldung nicht erwünscht", "Feedback is not welcome"},
	recipeFull:            {"Capacité atteinte", "Capaciteit bereikt", "Kapazität erreicht", "Capacity reached"},
	recipeStateOfAnother:  {"Prescription traitée par un autre", "Voorschrift door een ander behandeld", "Verordnung bei einem anderen", "Prescription is with another party"},
	recipeInternal:        {"Erreur interne", "Interne fout", "Interner Fehler", "Internal error"},
}

// recipeRefusal is an inner status 300 (dossier 04 5.1).
type recipeRefusal struct {
	code    string // messageCode
	number  int    // code; 0 = 300
	status  string // prescriptionStatus, "" = not told
	updater string // statusUpdater, "" = not told
}

// refuse refuses without telling of a prescription.
func (x *recipeCall) refuse(code string) *recipeRefusal { return &recipeRefusal{code: code} }

// conflict refuses because of the state of p, and tells it with who put it there.
func (x *recipeCall) conflict(p *prescription) *recipeRefusal {
	r := &recipeRefusal{code: recipeWrongState, status: string(p.status), updater: p.updater}
	if p.updater != "" && !sameNumber(p.updater, x.who.number) {
		r.code = recipeStateOfAnother
	}
	return r
}

// field is the first child of the param with that name, in no namespace and in whatever place.
func (x *recipeCall) field(local string) *xmltree.Node { return recipeChild(x.param, local) }

func recipeChild(n *xmltree.Node, local string) *xmltree.Node {
	if n == nil {
		return nil
	}
	for c := range n.Elements() {
		if c.Is("", local) {
			return c
		}
	}
	return nil
}

// text is the text of a field without the white space around it, "" when it is absent.
func (x *recipeCall) text(local string) string { return collapse(textOf(x.field(local))) }

// texts are the texts of all fields of that name.
func (x *recipeCall) texts(local string) []string {
	var out []string
	for c := range x.param.Elements() {
		if c.Is("", local) {
			out = append(out, collapse(textOf(c)))
		}
	}
	return out
}

// binary decodes a field of base64, nil when it is absent or not base64.
func (x *recipeCall) binary(local string) []byte {
	b, err := decodeBase64(textOf(x.field(local)))
	if err != nil {
		return nil
	}
	return b
}

// flag reads a boolean field.
func (x *recipeCall) flag(local string) (value, ok bool) {
	switch x.text(local) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// rid finds the prescription of the field rid.
func (x *recipeCall) rid() (*prescription, *recipeRefusal) { return x.lookup(x.text("rid")) }

func (x *recipeCall) lookup(rid string) (*prescription, *recipeRefusal) {
	if _, err := identity.ParseRID(rid); err != nil {
		return nil, x.refuse(recipeBadRID)
	}
	p := x.st.records[rid]
	if p == nil {
		return nil, x.refuse(recipeUnknownRID)
	}
	return p, nil
}

// patientID is the SSIN of the field patientId.
func (x *recipeCall) patientID() (string, *recipeRefusal) {
	id := x.text("patientId")
	if _, err := identity.ParseSSIN(id); err != nil || len(id) != identity.TypeSSIN.Digits() {
		return "", x.refuse(recipeBadPatient)
	}
	return id, nil
}

// inner writes the result: its root is in the role's namespace, everything else in none.
func (x *recipeCall) inner(body recipeBody, r *recipeRefusal) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("r", x.op.result)
	w.NS("r", nsRecipeSealed+string(x.role))
	w.Attr("", "id", x.s.ticket())
	writeRecipeStatus(w, r)
	if body != nil {
		body(w)
	}
	w.End()
	return w.Bytes()
}

// writeRecipeStatus writes the inner status: 100, or 300 with everything that r has.
func writeRecipeStatus(w *xmltree.Writer, r *recipeRefusal) {
	w.Start("", "status")
	defer w.End()
	if r == nil {
		w.Leaf("", "code", "100")
		return
	}
	w.Leaf("", "code", strconv.Itoa(cmp.Or(r.number, 300)))
	w.Leaf("", "messageCode", r.code)
	for i, lang := range []string{"FR", "NL", "DE", "EN"} {
		text := recipeTexts[r.code][i]
		if text == "" {
			text = r.code
		}
		w.Start("", "messages")
		w.Attr("", "lang", lang)
		w.Text(text)
		w.End()
	}
	if r.updater != "" {
		w.Leaf("", "statusUpdater", r.updater)
	}
	if r.status != "" {
		w.Leaf("", "prescriptionStatus", r.status)
	}
}

// encode writes the outer answer. secured is the encrypted result, nil for none; text is the StatusMessage, "" for none.
func (x *recipeCall) encode(code, text string, secured []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("v4", x.op.stem+"Response")
	w.NS("v4", nsRecipe)
	w.NS("c", nsCommons20)
	w.Attr("", "Id", "id"+randomHex(16))
	if x.id != "" {
		w.Attr("", "InResponseTo", x.id)
	}
	w.Attr("", "IssueInstant", recipeTime(x.at))
	w.Start("c", "Status")
	w.Start("c", "StatusCode")
	w.Attr("", "Value", code)
	w.End()
	if text != "" {
		w.Leaf("c", "StatusMessage", text)
	}
	w.End()
	if secured != nil {
		w.Start("", "Secured"+x.op.stem+"Response")
		w.Leaf("", "SecuredContent", base64.StdEncoding.EncodeToString(secured))
		w.End()
		if x.tail != nil {
			x.tail(w)
		}
	}
	w.End()
	return w.Bytes()
}

// outerFailure answers that nothing was done (dossier 04 13.1, step 3).
func (x *recipeCall) outerFailure(code, text string) *response {
	x.s.count(x.rq.Service + ".status." + code[strings.LastIndexByte(code, ':')+1:])
	payload, err := x.encode(code, text, nil)
	if err == nil {
		payload, err = soap.Envelope(nil, payload)
	}
	if err != nil {
		return x.v.fault(x.s, x.rq, refuse("SOA-00001", "answer not encodable"))
	}
	return &response{Status: http.StatusOK, ContentType: soap.ContentType, Body: payload, Asker: askerKey(x.who.cert, x.op.stem)}
}

// recipeEncrypt is 3DES-EDE in ECB mode with PKCS #5 padding (dossier 04 9.4).
func recipeEncrypt(plain, key []byte) ([]byte, error) {
	block, err := des.NewTripleDESCipher(key) //nolint:gosec // the protocol
	if err != nil {
		return nil, err
	}
	pad := des.BlockSize - len(plain)%des.BlockSize
	out := make([]byte, len(plain)+pad)
	for i := copy(out, plain); i < len(out); i++ {
		out[i] = byte(pad)
	}
	eachBlock(out, block, cipher.Block.Encrypt)
	return out, nil
}

// eachBlock works on the blocks of b one by one, in place.
func eachBlock(b []byte, block cipher.Block, do func(cipher.Block, []byte, []byte)) {
	for i := 0; i+des.BlockSize <= len(b); i += des.BlockSize {
		do(block, b[i:i+des.BlockSize], b[i:i+des.BlockSize])
	}
}

// recipeTime writes an instant as the samples have it: Brussels time, milliseconds, offset.
func recipeTime(t time.Time) string { return t.In(brussels).Format("2006-01-02T15:04:05.000-07:00") }

// recipeMidnight writes a day, held as midnight UTC, as the instant at which it begins in Brussels.
func recipeMidnight(day time.Time) string {
	y, m, d := day.Date()
	return recipeTime(time.Date(y, m, d, 0, 0, 0, 0, brussels))
}

// leafText writes a leaf unless it is empty, leafFlag and leafBinary as they say.
func leafText(w *xmltree.Writer, local, text string) {
	if text != "" {
		w.Leaf("", local, text)
	}
}

func leafFlag(w *xmltree.Writer, local string, value bool) {
	w.Leaf("", local, strconv.FormatBool(value))
}

func leafBinary(w *xmltree.Writer, local string, b []byte) {
	w.Leaf("", local, base64.StdEncoding.EncodeToString(b))
}
