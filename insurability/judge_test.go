package insurability

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// TestGoldenRequestsJudged secures every golden request with an RSA and with an ECDSA key, has
// the message verified by xmlsec1 and by the JDK, and checks that the request in it is still the
// golden one, byte for byte.
func TestGoldenRequestsJudged(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*/*/request.xml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d golden requests, %v", len(files), err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []oracle.VerifyJob
	var labels []string
	for _, key := range []crypto.Signer{rsaKey, ecKey} {
		cert := holder(t, key)
		for _, file := range files {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			msg := secured(t, bytes.TrimSpace(golden), cert, key)
			oracle.XMLSecVerify(t, msg, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), oracle.IDBody, oracle.IDTimestamp)
			jobs = append(jobs, oracle.VerifyJob{Doc: msg, Cert: cert.Raw})
			labels = append(labels, file)
		}
	}
	for i, r := range oracle.JavaVerify(t, jobs...) {
		if !r.Valid || len(r.References) != 2 {
			t.Errorf("%s: the JDK says %+v", labels[i], r)
		}
	}
}

// secured puts a request into a holder-of-key message and checks that it stands there unchanged.
func secured(t *testing.T, request []byte, cert *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	if bytes.HasPrefix(request, []byte("<?xml")) {
		_, request, _ = bytes.Cut(request, []byte("?>"))
		request = bytes.TrimSpace(request)
	}
	assertion := []byte(`<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="_1" IssueInstant="2026-01-01T00:00:00Z" Issuer="urn:be:fgov:ehealth:sts:1_0" MajorVersion="1" MinorVersion="1">` +
		`<Conditions NotBefore="2026-01-01T00:00:00Z" NotOnOrAfter="2027-01-01T00:00:00Z"/><AuthenticationStatement AuthenticationInstant="2026-01-01T00:00:00Z" AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:X509-PKI">` +
		`<Subject><NameIdentifier>x</NameIdentifier><SubjectConfirmation><ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:holder-of-key</ConfirmationMethod>` +
		`<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` + base64.StdEncoding.EncodeToString(cert.Raw) + `</X509Certificate></X509Data></KeyInfo>` +
		`</SubjectConfirmation></Subject></AuthenticationStatement></Assertion>`)
	msg, err := wsse.HolderOfKey(request, assertion, "_1", wsse.Credential{Certificate: cert, Signer: key}, wsse.Stamp{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := soap.Parse(msg, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Payload.Source(), request) {
		t.Error("the request changed on its way into the message")
	}
	return msg
}

func holder(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "judge"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
