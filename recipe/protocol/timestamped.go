package protocol

import (
	"bytes"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const nsSignature = "http://www.w3.org/2000/09/xmldsig#"

// TimestampedPrescription is what the prescription of getPrescriptionForExecutor holds for version "v2": the sealed
// prescription together with the token of its prescriber, signed and time-stamped by the platform (dossier 04 section
// 7.2). The document is the legal record and is kept as received. The signature is not verified here.
type TimestampedPrescription struct {
	Raw []byte // the whole document as received

	CreationDate       time.Time
	RID                identity.RID
	FeedbackRequested  bool
	EncryptionKeyID    string
	PrescriptionSealed []byte
	PrescriptionType   identity.PrescriptionType
	PatientID          identity.Private
	PrescriberID       identity.Private
	PrescriberIDType   string // attribute IdType, such as "NIHII11"
	PrescriberType     string // attribute Type

	// SecurityToken is the assertion of the prescriber in the tree of Raw, nil when absent or not XML.
	SecurityToken *xmltree.Node
	// Signature is the ds:Signature in the tree of Raw, nil when absent.
	Signature *xmltree.Node
}

// IsTimestamped tells whether the content of a prescription is a TimestampedPrescription rather than sealed bytes.
func IsTimestamped(content []byte) bool { return xmlStart(content) }

// DecodeTimestamped reads the document. It fails with a *[MessageError] when the sealed prescription is not in it.
func DecodeTimestamped(doc []byte) (*TimestampedPrescription, Deviations, error) {
	raw := bytes.Clone(doc)
	n, err := parse(raw)
	if err != nil {
		return nil, Deviations{}, err
	}
	t := &TimestampedPrescription{Raw: raw}
	dev, err := readRoot(n, []string{"timestampedPrescription"}, t.wire)
	return t, dev, err
}

// Encode writes a document with the two trees as they stand in Raw's tree. It is for tests and simulations.
func (t *TimestampedPrescription) Encode() ([]byte, error) {
	return writeRoot(&codec{role: Executor}, "r", Executor.Namespace(), "timestampedPrescription", t.wire)
}

func (t *TimestampedPrescription) wire(c *codec) {
	one(c, "prescriptionWithSecurityToken", t, must, (*TimestampedPrescription).wireContent)
	switch {
	case c.err != nil:
	case !c.writing():
		t.Signature = c.find("Signature", wanted)
		if t.Signature != nil && t.Signature.Space() != nsSignature {
			c.deviate("Signature", errValue)
		}
	case t.Signature != nil:
		c.w.Raw(t.Signature.Source())
	}
}

func (t *TimestampedPrescription) wireContent(c *codec) {
	c.time("creationDate", &t.CreationDate, wanted)
	c.rid("rid", &t.RID, wanted)
	c.boolean("feedbackRequested", &t.FeedbackRequested, wanted)
	text(c, "encryptionKeyId", &t.EncryptionKeyID, wanted)
	c.bytes("prescriptionSealed", &t.PrescriptionSealed, must)
	text(c, "prescriptionType", &t.PrescriptionType, wanted)
	c.person("patientId", &t.PatientID, wanted)
	one(c, "prescriberId", t, wanted, func(t *TimestampedPrescription, c *codec) {
		attrText(c, "IdType", &t.PrescriberIDType, optional)
		attrText(c, "Type", &t.PrescriberType, optional)
		c.content(wanted, func() (string, error) { return present(t.PrescriberID.Reveal(), must) },
			filled(wanted, func(s string) error { t.PrescriberID = identity.Hide(padNIHII(s)); return nil }))
	})
	t.wireToken(c)
	if !c.writing() {
		c.known = append(c.known, "properties")
	}
}

// wireToken finds the assertion: the element securityToken itself has no meaning.
func (t *TimestampedPrescription) wireToken(c *codec) {
	if c.err != nil {
		return
	}
	if c.writing() {
		if t.SecurityToken != nil {
			c.w.Start("", "securityToken")
			c.w.Raw(t.SecurityToken.Source())
			c.w.End()
		}
		return
	}
	holder := c.find("securityToken", wanted)
	if holder == nil {
		return
	}
	for e := range holder.Elements() {
		if t.SecurityToken != nil {
			c.deviate("securityToken", errRepeated)
			return
		}
		t.SecurityToken = e
	}
	if t.SecurityToken == nil {
		c.deviate("securityToken", errMissing)
	}
}
