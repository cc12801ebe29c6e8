package saml_test

import (
	"encoding/pem"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// A signed assertion with default namespace and line breaks in its certificate, as others see it.
func TestAssertionJudgedByOthers(t *testing.T) {
	for name, by := range map[string]issuer{"EC": pki().sts, "RSA": pki().stsRSA} {
		doc := []byte(signed(t, unsigned(pki().holder.cert), by))
		bad := []byte(edit(t, string(doc), ">true<", ">false<"))
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: by.cert.Raw})
		oracle.XMLSecVerify(t, doc, cert)
		if oracle.XMLSecError(t, bad, cert) == nil {
			t.Errorf("%s: xmlsec1 accepts a changed assertion", name)
		}
		got := oracle.JavaVerify(t, oracle.VerifyJob{Doc: doc, Cert: by.cert.Raw}, oracle.VerifyJob{Doc: bad, Cert: by.cert.Raw})
		if !got[0].Valid || got[1].Valid {
			t.Errorf("%s: JDK: %+v", name, got)
		}
	}
}

// The assertion is valid against the OASIS schema.
func TestAssertionIsSchemaValid(t *testing.T) {
	doc := []byte(signed(t, unsigned(pki().holder.cert), pki().sts))
	oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "external", "XSD", "oasis-sstc-saml-schema-assertion-1.1.xsd"), doc)
}
