package protocol

import (
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
)

const timestamped = `<?xml version="1.0" encoding="UTF-8"?>
<e:timestampedPrescription xmlns:e="http:/services.recipe.be/executor"><prescriptionWithSecurityToken>` +
	`<creationDate>2030-01-15T09:30:00.000+01:00</creationDate><rid>BEP0ABCDEFGH</rid><feedbackRequested>true</feedbackRequested>` +
	`<encryptionKeyId>AAECAwQFBgcICQoLDA0ODw==</encryptionKeyId><prescriptionSealed>U0VBTA==</prescriptionSealed>` +
	`<prescriptionType>P0</prescriptionType><patientId>196</patientId><prescriberId IdType="NIHII11" Type="persphysician">10000007004</prescriberId>` +
	`<securityToken><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="a"/></securityToken>` +
	`<properties><entry/></properties></prescriptionWithSecurityToken>` +
	`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo/></ds:Signature></e:timestampedPrescription>`

func TestTimestamped(t *testing.T) {
	if !IsTimestamped([]byte(timestamped)) || !IsTimestamped([]byte("\ufeff\n <a/>")) || IsTimestamped(nil) || IsTimestamped([]byte("0\x80\x06")) {
		t.Error("not told apart from sealed bytes")
	}
	p, dev, err := DecodeTimestamped([]byte(timestamped))
	if err != nil || !dev.None() {
		t.Fatal(err, dev)
	}
	check := func(p *TimestampedPrescription) {
		t.Helper()
		if p.RID != identity.MustRID("BEP0ABCDEFGH") || !p.FeedbackRequested || string(p.PrescriptionSealed) != "SEAL" ||
			p.EncryptionKeyID != "AAECAwQFBgcICQoLDA0ODw==" || p.PrescriptionType != identity.PrescriptionP0 ||
			p.PatientID.Reveal() != "00000000196" || p.PrescriberID.Reveal() != "10000007004" ||
			p.PrescriberIDType != "NIHII11" || p.PrescriberType != "persphysician" || DateOf(p.CreationDate) != Day(2030, 1, 15) ||
			p.SecurityToken.Local() != "Assertion" || p.Signature.Child(nsSignature, "SignedInfo") == nil {
			t.Errorf("%+v", p)
		}
	}
	check(p)
	if string(p.Raw) != timestamped {
		t.Error("the legal record was changed")
	}
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if p, dev, err = DecodeTimestamped(b); err != nil || !dev.None() {
		t.Fatal(err, dev)
	}
	check(p)
}

func TestTimestampedDeviations(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"<prescriptionSealed>U0VBTA==</prescriptionSealed>", "", "!prescriptionSealed: part is missing"},
		{"U0VBTA==", "", "!prescriptionSealed: part is missing"},
		{"<ds:Signature", "<ds:Signature Id='x'", ""},
		{"http://www.w3.org/2000/09/xmldsig#", "urn:x", "Signature: not a value"},
		{`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="a"/>`, "text", "securityToken: part is missing"},
		{"<securityToken>", "<securityToken><b/>", "securityToken: part stands twice"},
		{">10000007004<", "><", "prescriberId: part is missing"},
	} {
		p, dev, err := DecodeTimestamped([]byte(strings.Replace(timestamped, c.from, c.to, 1)))
		var got string
		switch {
		case err != nil:
			got = "!" + err.Error()
		case len(dev.List) > 0:
			got = dev.List[0].Path + ": " + dev.List[0].Reason
		}
		want, refused := strings.CutPrefix(c.want, "!")
		if refused != (err != nil) || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q: %s, want %s", c.to, got, c.want)
		}
		if err == nil && p.Raw == nil {
			t.Errorf("%q: nothing to keep", c.to)
		}
	}
	for _, doc := range []string{"", "<a/>", "<timestampedPrescription/>", "<"} {
		if _, _, err := DecodeTimestamped([]byte(doc)); err == nil {
			t.Errorf("%q passed", doc)
		}
	}
}

// The document stays as it was when the caller uses its buffer again.
func TestTimestampedOwnsItsBytes(t *testing.T) {
	buf := []byte(timestamped)
	p, _, err := DecodeTimestamped(buf)
	if err != nil {
		t.Fatal(err)
	}
	clear(buf)
	if string(p.Raw) != timestamped || p.SecurityToken.Local() != "Assertion" {
		t.Error("changed from outside")
	}
}
