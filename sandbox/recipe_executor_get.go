package sandbox

import (
	"crypto/x509"
	"encoding/base64"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// recipeStampedVersion is the version of getPrescriptionForExecutorParam that asks for the time-stamped document.
const recipeStampedVersion = "v2"

// getForExecutor is getPrescriptionForExecutor. It puts the prescription into process for the caller.
func (x *recipeCall) getForExecutor() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	if r == nil {
		r = x.mayTake(p)
	}
	if r != nil {
		return nil, r
	}
	content, err := x.content(p)
	if err == nil {
		x.tail, err = x.insurability(p)
	}
	if err != nil {
		return nil, x.refuse(recipeInternal)
	}
	x.take(p)
	return func(w *xmltree.Writer) {
		w.Leaf("", "rid", p.rid)
		w.Leaf("", "creationDate", recipeTime(p.created))
		w.Leaf("", "patientId", p.patient)
		leafFlag(w, "feedbackAllowed", p.feedback)
		leafBinary(w, "prescription", content)
		w.Leaf("", "prescriptionType", p.typ)
		w.Leaf("", "encryptionKeyId", p.keyID)
		w.Leaf("", "timestampingId", stampID(p))
		w.Leaf("", "prescriberId", p.prescriber)
		w.Leaf("", "expirationDate", recipeMidnight(p.expires))
	}, nil
}

// content is the prescription in the form that the request asks for.
func (x *recipeCall) content(p *prescription) ([]byte, error) {
	if x.text("version") != recipeStampedVersion {
		return p.sealed, nil
	}
	if p.stamped == nil {
		var err error
		if p.stamped, err = x.s.stamp(p); err != nil {
			return nil, err
		}
	}
	return p.stamped, nil
}

// insurability writes what follows the Secured element: the type, and what the insurer says for today unless the request does
// not want to know. The element of that answer stands in no namespace, its children in theirs (dossier 04 4.4).
func (x *recipeCall) insurability(p *prescription) (func(*xmltree.Writer), error) {
	typ := p.typ
	switch collapse(textOf(x.outer.Child("", "DisablePatientInsurabilityCheckParam"))) {
	case "true", "1":
		return func(w *xmltree.Writer) { w.Leaf("", "PrescriptionType", typ) }, nil
	}
	q := &pharmaRequest{date: dayIn(x.at), ssin: &p.patient}
	doc, err := x.v.encodePharma(q, x.s.insurePharma(q, x.at), x.who.caller)
	if err != nil {
		return nil, err
	}
	answer, err := xmltree.Parse(doc, requestLimits)
	if err != nil {
		return nil, err
	}
	return func(w *xmltree.Writer) {
		w.Leaf("", "PrescriptionType", typ)
		w.Start("", answer.Local())
		for _, ns := range answer.Namespaces() {
			w.NS(ns.Prefix, ns.URI)
		}
		for c := range answer.Elements() {
			w.Raw(c.Source())
		}
		w.End()
	}, nil
}

// stamp makes the document with which Recip-e testifies what was prescribed when, and by whom (dossier 04 7.2): an enveloped
// signature by a certificate of the sandbox over everything.
func (s *Sandbox) stamp(p *prescription) ([]byte, error) {
	keys, err := s.central("CBE", recipeCBE, "").credentials()
	if err != nil {
		return nil, err
	}
	unsigned, err := p.timestamped(nil)
	if err != nil {
		return nil, err
	}
	doc, err := xmltree.Parse(unsigned, requestLimits)
	if err != nil {
		return nil, err
	}
	signature, err := dsig.Sign(keys[0].Key, []dsig.Ref{{Node: doc, URI: "#" + stampID(p), Enveloped: true}}, dsig.SignOptions{
		KeyInfo: func(w *xmltree.Writer) {
			dsig.WriteX509Data(w, append([]*x509.Certificate{keys[0].Certificate}, keys[0].Chain...)...)
		},
	})
	if err != nil {
		return nil, err
	}
	return p.timestamped(signature)
}

func stampID(p *prescription) string { return "TS-" + p.rid }

// timestamped writes the document around a signature, nil for none.
func (p *prescription) timestamped(signature []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("r", "timestampedPrescription")
	w.NS("r", nsRecipeSealed+string(recipeExecutor))
	w.Attr("", "Id", stampID(p))
	w.Start("", "prescriptionWithSecurityToken")
	w.Leaf("", "creationDate", recipeTime(p.created))
	w.Leaf("", "rid", p.rid)
	leafFlag(w, "feedbackRequested", p.feedback)
	w.Leaf("", "encryptionKeyId", p.keyID)
	w.Leaf("", "prescriptionSealed", base64.StdEncoding.EncodeToString(p.sealed))
	w.Leaf("", "prescriptionType", p.typ)
	w.Leaf("", "patientId", p.patient)
	w.Start("", "prescriberId")
	w.Attr("", "IdType", "NIHII11")
	w.Attr("", "Type", p.kind)
	w.Text(p.prescriber)
	w.End()
	w.Start("", "securityToken")
	w.Raw(p.assertion)
	w.End()
	w.Start("", "properties")
	w.End()
	w.End()
	if signature != nil {
		w.Raw(signature)
	}
	w.End()
	return w.Bytes()
}
