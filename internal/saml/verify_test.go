package saml_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
)

func verify(t testing.TB, doc string, tr saml.Trust, at time.Time) error {
	t.Helper()
	a, err := saml.Parse(assertion(t, parse(t, doc)))
	if err != nil {
		t.Fatal(err)
	}
	return a.Verify(tr, at)
}

func TestVerify(t *testing.T) {
	for name, by := range map[string]issuer{"EC": pki().sts, "RSA": pki().stsRSA} {
		doc := signed(t, unsigned(pki().holder.cert), by)
		if err := verify(t, doc, trust(), now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// The intermediate may come from the configuration instead of the signature.
		alone := signed(t, unsigned(pki().holder.cert), by, by.cert)
		tr := trust()
		if err := verify(t, alone, tr, now); !errors.Is(err, saml.ErrTrust) {
			t.Errorf("%s without intermediate: %v", name, err)
		}
		tr.Intermediates = x509.NewCertPool()
		tr.Intermediates.AddCert(pki().inter.cert)
		if err := verify(t, alone, tr, now); err != nil {
			t.Errorf("%s with configured intermediate: %v", name, err)
		}
	}
}

// The assertion stays valid inside a response, and as Raw in a document of its own.
func TestVerifyWhereverItStands(t *testing.T) {
	inner := signed(t, unsigned(pki().holder.cert), pki().sts)
	doc := `<r:Response xmlns:r="urn:r" xmlns="urn:default" xmlns:x="urn:x"><r:Token>` + inner + `</r:Token></r:Response>`
	a, err := saml.Parse(assertion(t, parse(t, doc)))
	if err != nil {
		t.Fatal(err)
	}
	if string(a.Raw) != inner {
		t.Error("Raw is not what was received")
	}
	if err := a.Verify(trust(), now); err != nil {
		t.Error(err)
	}
}

// An assertion that leans on declarations around it is copied, and the copy verifies on its own.
func TestRawIsSelfContained(t *testing.T) {
	own := unsigned(pki().holder.cert)
	inherit := strings.Replace(own, ` xmlns="`+saml.NS+`"`, "", 1)
	xsi := strings.Replace(own, "<AttributeValue>true", `<AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">true`, 1)
	prefixed := strings.NewReplacer("<ds:", "<ds:", "</ds:", "</ds:", "</", "</s:", "<", "<s:").Replace(inherit)
	for name, c := range map[string]struct {
		open, inner string
		copied      bool
	}{
		"all its own":            {`<w>`, own, false},
		"unrelated declarations": {`<w xmlns="urn:d" xmlns:s="urn:s">`, own, false},
		"default namespace":      {`<w:w xmlns:w="urn:w" xmlns="` + saml.NS + `">`, inherit, true},
		"prefix":                 {`<w xmlns:s="` + saml.NS + `">`, prefixed, true},
		"ds prefix":              {`<w xmlns:ds="` + dsig.NS + `">`, strings.Replace(own, ` xmlns:ds="`+dsig.NS+`"`, "", 1), true},
		"type name in a value":   {`<w xmlns:xs="http://www.w3.org/2001/XMLSchema">`, xsi, true},
	} {
		end := strings.Fields(strings.Trim(c.open, "<>"))[0]
		doc := signed(t, c.open+c.inner+"</"+end+">", pki().sts)
		n := assertion(t, parse(t, doc))
		a, err := saml.Parse(n)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if copied := string(a.Raw) != string(n.Source()); copied != c.copied {
			t.Errorf("%s: copied = %v", name, copied)
		}
		if err := a.Verify(trust(), now); err != nil {
			t.Errorf("%s in place: %v", name, err)
		}
		b, err := saml.Parse(parse(t, string(a.Raw)))
		if err != nil {
			t.Errorf("%s: Raw does not parse: %v", name, err)
			continue
		}
		if err := b.Verify(trust(), now); err != nil {
			t.Errorf("%s: Raw does not verify: %v", name, err)
		}
		if string(b.Raw) != string(a.Raw) {
			t.Errorf("%s: Raw of Raw differs", name)
		}
	}
}

// A PrefixList makes declarations around the assertion part of what is signed: the copy must take them along.
func TestRawKeepsThePrefixList(t *testing.T) {
	doc := `<w xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:unused="urn:unused">` + unsigned(pki().holder.cert) + `</w>`
	n := assertion(t, parse(t, strings.Replace(doc, "%SIG%", "", 1)))
	sig, err := dsig.Sign(pki().sts.key, []dsig.Ref{{Node: n, URI: "#" + assertionID, Enveloped: true, Prefixes: []string{"xs", "none", "#default"}}},
		dsig.SignOptions{KeyInfo: keyInfo(pki().sts.cert, pki().inter.cert)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := saml.Parse(assertion(t, parse(t, strings.Replace(doc, "%SIG%", string(sig), 1))))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(a.Raw), "xmlns:xs=") || strings.Contains(string(a.Raw), "unused") {
		t.Error("wrong declarations in the copy")
	}
	if err := verify(t, string(a.Raw), trust(), now); err != nil {
		t.Errorf("Raw does not verify: %v", err)
	}
	if err := verify(t, string(n.Source()), trust(), now); err == nil {
		t.Error("the test proves nothing: the octets verify without the declaration")
	}
}

func TestVerifyRefuses(t *testing.T) {
	good := signed(t, unsigned(pki().holder.cert), pki().sts)
	sig := string(parse(t, good).Child(dsig.NS, "Signature").Source())
	stripped := strings.Replace(good, sig, "", 1)
	stranger := signed(t, unsigned(pki().holder.cert), pki().stranger, pki().stranger.cert)
	any := trust()
	any.SignerCN = nil
	otherIssuer := trust()
	otherIssuer.Issuer = "urn:other"
	for name, c := range map[string]struct {
		doc   string
		trust saml.Trust
		at    time.Time
		want  error
	}{
		"no signature":         {stripped, trust(), now, saml.ErrUnsigned},
		"changed value":        {edit(t, good, ">true<", ">false<"), trust(), now, dsig.ErrDigest},
		"changed time":         {edit(t, good, "T14:59:10", "T23:59:10"), trust(), now, dsig.ErrDigest},
		"changed id":           {edit(t, good, assertionID, "_other"), trust(), now, dsig.ErrReference},
		"changed signature":    {edit(t, good, "<ds:SignatureValue>", "<ds:SignatureValue>AAAA"), trust(), now, dsig.ErrSignature},
		"no KeyInfo":           {strings.Replace(good, string(parse(t, sig).Child(dsig.NS, "KeyInfo").Source()), "", 1), trust(), now, dsig.ErrKey},
		"wrong Issuer":         {edit(t, good, saml.IssuerSTS, "urn:evil"), trust(), now, saml.ErrIssuer},
		"another Issuer asked": {good, otherIssuer, now, saml.ErrIssuer},
		"no roots":             {good, saml.Trust{}, now, saml.ErrTrust},
		"stranger":             {stranger, any, now, saml.ErrTrust},
		"before certification": {good, trust(), now.Add(-48 * time.Hour), saml.ErrTrust},
		"after certification":  {good, trust(), now.Add(48 * time.Hour), saml.ErrTrust},
		"another signer":       {signed(t, unsigned(pki().holder.cert), pki().holder), trust(), now, saml.ErrTrust},
		"two signatures":       {edit(t, good, "<AuthenticationStatement", "<Advice>"+sig+"</Advice><AuthenticationStatement"), trust(), now, saml.ErrUnsigned},
		"signature in Advice":  {edit(t, stripped, "<AuthenticationStatement", "<Advice>"+sig+"</Advice><AuthenticationStatement"), trust(), now, saml.ErrUnsigned},
		"twice in a document":  {"<w>" + good + good + "</w>", trust(), now, dsig.ErrDuplicateID},
	} {
		err := verify(t, c.doc, c.trust, c.at)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "CBE") || strings.Contains(err.Error(), "7902")) {
			t.Errorf("%s: the error quotes: %v", name, err)
		}
	}
}

// The signature of one assertion is put into another one, the original hidden in its Object: both reference and digest
// hold, but for the wrong element.
func TestSignatureOverAnotherAssertion(t *testing.T) {
	good := signed(t, unsigned(pki().holder.cert), pki().sts)
	sig := string(parse(t, good).Child(dsig.NS, "Signature").Source())
	forged := edit(t, unsigned(pki().holder2.cert), assertionID, "_forged")
	// As a detached signature: the reference has enveloped-signature, so the signature must stand inside its target.
	detached := strings.Replace(forged, "%SIG%", strings.Replace(sig, "</ds:Signature>", "<ds:Object>"+good+"</ds:Object></ds:Signature>", 1), 1)
	if err := verify(t, detached, trust(), now); !errors.Is(err, saml.ErrUnsigned) {
		t.Errorf("two signatures inside: %v", err)
	}
	hidden := strings.Replace(good, sig, "", 1)
	detached = strings.Replace(forged, "%SIG%", strings.Replace(sig, "</ds:Signature>", "<ds:Object>"+hidden+"</ds:Object></ds:Signature>", 1), 1)
	if err := verify(t, detached, trust(), now); !errors.Is(err, dsig.ErrReference) {
		t.Errorf("original in the Object: %v", err)
	}
	// In the Advice of the forged one.
	around := strings.Replace(forged, "%SIG%", "", 1)
	around = edit(t, around, "<AuthenticationStatement", "<Advice>"+good+"</Advice><AuthenticationStatement")
	if err := verify(t, around, trust(), now); !errors.Is(err, saml.ErrUnsigned) {
		t.Errorf("original in the Advice: %v", err)
	}
	// A detached signature of the STS over something else that bears an AssertionID, without enveloped-signature.
	plainRef, err := dsig.Sign(pki().sts.key, []dsig.Ref{{Node: parse(t, hidden), URI: "#" + assertionID}}, dsig.SignOptions{KeyInfo: keyInfo(pki().sts.cert, pki().inter.cert)})
	if err != nil {
		t.Fatal(err)
	}
	doc := "<w>" + strings.Replace(forged, "%SIG%", string(plainRef), 1) + hidden + "</w>"
	if err := verify(t, doc, trust(), now); !errors.Is(err, saml.ErrUnsigned) {
		t.Errorf("detached over a sibling: %v", err)
	}
}

// Tokens of 2020 are signed with SHA-1: only when asked for.
func TestSHA1(t *testing.T) {
	doc := unsigned(pki().holder.cert)
	h := sha1.Sum(c14n.Append(nil, parse(t, strings.Replace(doc, "%SIG%", "", 1)), c14n.Options{}))
	info := `<ds:SignedInfo xmlns:ds="` + dsig.NS + `"><ds:CanonicalizationMethod Algorithm="` + dsig.ExcC14N + `"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="` + dsig.RSASHA1 + `"></ds:SignatureMethod>` +
		`<ds:Reference URI="#` + assertionID + `"><ds:Transforms><ds:Transform Algorithm="` + dsig.EnvelopedSignature + `"></ds:Transform><ds:Transform Algorithm="` + dsig.ExcC14N + `"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + dsig.SHA1 + `"></ds:DigestMethod><ds:DigestValue>` + base64.StdEncoding.EncodeToString(h[:]) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	hi := sha1.Sum([]byte(info))
	value, err := rsa.SignPKCS1v15(rand.Reader, pki().stsRSA.key.(*rsa.PrivateKey), crypto.SHA1, hi[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := `<ds:Signature xmlns:ds="` + dsig.NS + `">` + info + `<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) + `</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` +
		b64(pki().stsRSA.cert) + `</ds:X509Certificate><ds:X509Certificate>` + b64(pki().inter.cert) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
	doc = strings.Replace(doc, "%SIG%", sig, 1)
	if err := verify(t, doc, trust(), now); !errors.Is(err, dsig.ErrAlgorithm) {
		t.Errorf("by default: %v", err)
	}
	tr := trust()
	tr.AllowSHA1 = true
	if err := verify(t, doc, tr, now); err != nil {
		t.Errorf("when allowed: %v", err)
	}
}
