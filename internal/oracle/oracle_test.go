package oracle

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	soapNS = "http://schemas.xmlsoap.org/soap/envelope/"
	wsseNS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	wsuNS  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	dsNS   = "http://www.w3.org/2000/09/xmldsig#"
)

// envelope has two signable elements and room for what stands after the
// timestamp.
func envelope(extra string) string {
	return `<s:Envelope xmlns:s="` + soapNS + `" xmlns:u="` + wsuNS + `" xmlns:unused="urn:unused"><s:Header><w:Security xmlns:w="` + wsseNS + `">` +
		`<u:Timestamp u:Id="TS"><u:Created>2000-01-01T00:00:00Z</u:Created></u:Timestamp>` + extra +
		`</w:Security></s:Header><s:Body u:Id="B"><q xmlns="urn:q">text&#13;</q></s:Body></s:Envelope>`
}

type identity struct{ key, cert, keyPEM, certPEM []byte }

func newIdentity(t *testing.T, signer crypto.Signer) identity {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "judge"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return identity{
		key, cert,
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
	}
}

func identities(t *testing.T) map[string]identity {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]identity{"RSA": newIdentity(t, r), "ECDSA": newIdentity(t, e)}
}

func TestJDKSignsAndBothVerify(t *testing.T) {
	str := []byte(`<w:SecurityTokenReference xmlns:w="` + wsseNS + `"><w:Reference URI="#X"/></w:SecurityTokenReference>`)
	for name, id := range identities(t) {
		for _, job := range []SignJob{
			{},
			{Prefixes: []string{"s", "unused"}},
			{KeyInfo: str},
			{Enveloped: true, Prefixes: []string{"#default"}},
		} {
			job.Doc, job.Key, job.Cert, job.IDs = []byte(envelope("")), id.key, id.cert, []string{"TS", "B"}
			signed := JavaSign(t, job)
			if has := bytes.Contains(signed, []byte("PrefixList=")); has != (job.Prefixes != nil) {
				t.Errorf("%s: InclusiveNamespaces present: %v", name, has)
			}
			XMLSecVerify(t, signed, id.certPEM)

			broken := bytes.Replace(signed, []byte(">text"), []byte(">tEXT"), 1)
			if err := XMLSecError(t, broken, id.certPEM); err == nil {
				t.Errorf("%s: xmlsec1 accepts a changed body", name)
			}
			forged := bytes.Replace(signed, []byte(`URI="#TS"`), []byte(`URI="#B"`), 1)
			got := JavaVerify(
				t,
				VerifyJob{Doc: signed, Cert: id.cert},
				VerifyJob{Doc: broken, Cert: id.cert},
				VerifyJob{Doc: forged, Cert: id.cert, Signature: 1},
				VerifyJob{Doc: []byte(envelope("")), Cert: id.cert},
			)
			if r := got[0]; !r.Valid || !r.SignatureValue || len(r.References) != 2 || !r.References[0].Valid || r.References[0].URI != "#TS" {
				t.Errorf("%s: JDK on its own signature: %+v", name, r)
			}
			if r := got[1]; r.Valid || !r.SignatureValue || !r.References[0].Valid || r.References[1].Valid {
				t.Errorf("%s: JDK on a changed body: %+v", name, r)
			}
			if r := got[2]; r.Valid || r.SignatureValue {
				t.Errorf("%s: JDK on a changed SignedInfo: %+v", name, r)
			}
			if got[3].Error == "" {
				t.Errorf("%s: JDK found a signature where there is none", name)
			}
		}
	}
}

// template returns a ds:Signature for xmlsec1 to fill.
func template(method, digest, keyInfo string) string {
	ref := func(id string) string {
		return `<d:Reference URI="#` + id + `"><d:Transforms><d:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></d:Transforms>` +
			`<d:DigestMethod Algorithm="` + digest + `"/><d:DigestValue/></d:Reference>`
	}
	return `<d:Signature xmlns:d="` + dsNS + `"><d:SignedInfo><d:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
		`<d:SignatureMethod Algorithm="` + method + `"/>` + ref("TS") + ref("B") + `</d:SignedInfo><d:SignatureValue/>` + keyInfo + `</d:Signature>`
}

func TestXMLSecSignsAndBothVerify(t *testing.T) {
	for name, id := range identities(t) {
		method := "http://www.w3.org/2001/04/xmldsig-more#" + strings.ToLower(name) + "-sha256"
		signed := XMLSecSign(t, []byte(envelope(template(method, "http://www.w3.org/2001/04/xmlenc#sha256", ""))), id.keyPEM, IDBody, IDTimestamp)
		XMLSecVerify(t, signed, id.certPEM, IDBody, IDTimestamp, "--node-xpath", "//*[local-name()='Security']/*[local-name()='Signature']")
		if r := JavaVerify(t, VerifyJob{Doc: signed, Cert: id.cert})[0]; !r.Valid || len(r.References) != 2 {
			t.Errorf("%s: JDK: %+v", name, r)
		}
	}
}

func TestSHA1IsASwitch(t *testing.T) {
	id := identities(t)["RSA"]
	signed := XMLSecSign(t, []byte(envelope(template(dsNS+"rsa-sha1", dsNS+"sha1", ""))), id.keyPEM)
	got := JavaVerify(t, VerifyJob{Doc: signed, Cert: id.cert}, VerifyJob{Doc: signed, Cert: id.cert, AllowSHA1: true})
	if got[0].Valid || got[0].Error == "" {
		t.Errorf("secure validation accepts SHA-1: %+v", got[0])
	}
	if !got[1].Valid {
		t.Errorf("SHA-1 refused although allowed: %+v", got[1])
	}
}

// TestMessageKeysAreNotTrusted: a message that brings its own key must be
// judged by the key of the caller.
func TestMessageKeysAreNotTrusted(t *testing.T) {
	mallory, alice := identities(t)["RSA"], identities(t)["RSA"]
	value := `<d:KeyInfo><d:KeyValue/></d:KeyInfo>`
	doc := XMLSecSign(t, []byte(envelope(template("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", value))), mallory.keyPEM)
	if !bytes.Contains(doc, []byte("Modulus>")) {
		t.Fatal("xmlsec1 wrote no KeyValue")
	}
	XMLSecVerify(t, doc, mallory.certPEM)
	if XMLSecError(t, doc, alice.certPEM) == nil {
		t.Error("xmlsec1 took the key from the message")
	}
	if r := JavaVerify(t, VerifyJob{Doc: doc, Cert: alice.cert})[0]; r.Valid {
		t.Error("the JDK took the key from the message")
	}
}

func TestC14NJudges(t *testing.T) {
	doc := []byte(`<r xmlns:p="urn:p" xmlns:q="urn:q" xml:lang="nl"><p:a b="1" a="2"><!--c--><q:b/></p:a></r>`)
	jobs := []C14NJob{
		{Doc: doc, Apex: 1},
		{Doc: doc, Apex: 1, Comments: true},
		{Doc: doc, Apex: 1, Prefixes: []string{"q"}},
		{Doc: doc, Apex: 1, Inclusive: true},
		{Doc: doc, Apex: 1, Inclusive: true, Comments: true},
	}
	want := []string{
		`<p:a xmlns:p="urn:p" a="2" b="1"><q:b xmlns:q="urn:q"></q:b></p:a>`,
		`<p:a xmlns:p="urn:p" a="2" b="1"><!--c--><q:b xmlns:q="urn:q"></q:b></p:a>`,
		`<p:a xmlns:p="urn:p" xmlns:q="urn:q" a="2" b="1"><q:b></q:b></p:a>`,
		`<p:a xmlns:p="urn:p" xmlns:q="urn:q" a="2" b="1" xml:lang="nl"><q:b></q:b></p:a>`,
		`<p:a xmlns:p="urn:p" xmlns:q="urn:q" a="2" b="1" xml:lang="nl"><!--c--><q:b></q:b></p:a>`,
	}
	for i, got := range JavaC14N(t, jobs) {
		if string(got) != want[i] {
			t.Errorf("JDK, job %d:\n got %s\nwant %s", i, got, want[i])
		}
	}
	docs := [][]byte{doc, []byte(`<a/>`)}
	for _, inclusive := range []bool{false, true} {
		got := XMLLintC14N(t, docs, inclusive)
		if len(got) != 2 || string(got[1]) != "<a></a>" || bytes.Contains(got[0][:40], []byte("urn:q")) != inclusive {
			t.Errorf("xmllint, inclusive %v: %q", inclusive, got)
		}
	}
}

func TestXSD(t *testing.T) {
	schema := tempFile(t, "s.xsd", []byte(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="n" type="xs:int"/></xs:schema>`))
	ValidateXSD(t, schema, []byte(`<n>1</n>`))
	if XSDError(t, schema, []byte(`<n>one</n>`)) == nil || XSDError(t, schema, []byte(`<n`)) == nil {
		t.Error("an invalid document was accepted")
	}
}

func TestSharedAndModuleRoot(t *testing.T) {
	if _, err := os.Stat(filepath.Join(ModuleRoot(t), "go.mod")); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	t.Setenv("EHEALTH_SHARED", dir)
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Shared(t, "x"); got != filepath.Join(dir, "x") {
		t.Errorf("Shared = %s", got)
	}
}

// TestAbsent runs TestAbsentChild in a process of its own: what is missing skips,
// but fails with CI=true.
func TestAbsent(t *testing.T) {
	for _, tc := range []struct{ ci, want string }{
		{"", "--- SKIP"},
		{"true", "--- FAIL"},
	} {
		for _, what := range []string{"tool", "shared", "javac"} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestAbsentChild$", "-test.v")
			cmd.Env = append(os.Environ(), "CI="+tc.ci, "ORACLE_ABSENT="+what, "PATH=/nonexistent", "EHEALTH_SHARED=/nonexistent")
			out, _ := cmd.CombinedOutput()
			if !strings.Contains(string(out), tc.want) || !strings.Contains(string(out), "oracle: ") {
				t.Errorf("CI=%q, %s absent: %s", tc.ci, what, out)
			}
		}
	}
}

func TestAbsentChild(t *testing.T) {
	switch os.Getenv("ORACLE_ABSENT") {
	case "tool":
		Tool(t, "xmllint")
	case "shared":
		Shared(t, "schemas")
	case "javac":
		JavaVerify(t, VerifyJob{})
	}
}
