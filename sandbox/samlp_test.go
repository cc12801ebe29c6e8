package sandbox

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	goxmldsig "github.com/russellhaering/goxmldsig"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const samlpID = "request-0a1b"

// samlpRequest is a request after dossier 01 A.7. list is as in claims; every name is also a designator.
func samlpRequest(key Credential, until time.Time, list ...string) string {
	var asserted, designators strings.Builder
	for _, c := range list {
		name, value, ok := strings.Cut(c, "=")
		space := nsCertified
		if ok {
			space = nsIdentification
			asserted.WriteString(`<saml:Attribute AttributeName="` + name + `" AttributeNamespace="` + space + `"><saml:AttributeValue>` + value + `</saml:AttributeValue></saml:Attribute>`)
		}
		designators.WriteString(`<saml:AttributeDesignator AttributeName="` + name + `" AttributeNamespace="` + space + `"/>`)
	}
	subject := `<saml:NameIdentifier Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName" NameQualifier="issuer">subject</saml:NameIdentifier>`
	now := wireTime(time.Now())
	return `<samlp:Request xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" RequestID="` + samlpID +
		`" IssueInstant="` + now + `" MajorVersion="1" MinorVersion="1"><samlp:AttributeQuery><saml:Subject>` + subject +
		`<saml:SubjectConfirmation><saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:holder-of-key</saml:ConfirmationMethod><saml:SubjectConfirmationData>` +
		`<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="assertion-1" Issuer="x" IssueInstant="` + now + `"><saml:Conditions NotBefore="` + now +
		`" NotOnOrAfter="` + wireTime(until) + `"/><saml:AttributeStatement><saml:Subject>` + subject + `</saml:Subject>` + asserted.String() +
		`</saml:AttributeStatement></saml:Assertion></saml:SubjectConfirmationData><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>` +
		base64.StdEncoding.EncodeToString(key.Certificate.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></saml:SubjectConfirmation></saml:Subject>` +
		designators.String() + `</samlp:AttributeQuery></samlp:Request>`
}

// signRequest adds the inner signature as first child.
func (w *world) signRequest(request string, key Credential) string {
	w.t.Helper()
	ctx, err := goxmldsig.NewSigningContext(key.Key, [][]byte{key.Certificate.Raw})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx.IdAttribute = "RequestID"
	ctx.Canonicalizer = goxmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	d := read(w.t, []byte(request))
	sig, err := ctx.ConstructSignature(d.Root(), true)
	if err != nil {
		w.t.Fatal(err)
	}
	d.Root().InsertChildAt(0, sig)
	out, err := d.WriteToString()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// samlpStatus reads the codes of an answer.
func samlpStatus(n *xmltree.Node) (code, sub string) {
	c := nodeAt(n, saml.NSProtocol, "Status", "StatusCode")
	code, _ = c.Attr("", "Value")
	sub, _ = nodeAt(c, saml.NSProtocol, "StatusCode").Attr("", "Value")
	return strings.TrimPrefix(code, "samlp:"), strings.TrimPrefix(sub, "samlp:")
}

func TestSamlp(t *testing.T) {
	w := newWorld(t)
	hour := time.Now().Add(time.Hour)
	p, c := w.person(identity.Doctor, 0)
	before := time.Now()
	for _, path := range []string{pathSamlp, "/IAM/Saml11TokenService/Legacy/v1"} {
		for _, action := range []string{"", actionIssue, "urn:be:fgov:ehealth:sts:protocol:v1:RequestSecureToken"} {
			r := w.call(path, action, w.x509Message(samlpRequest(c, hour, doctorClaims(p)...), c))
			n := w.answered(r)
			if code, _ := samlpStatus(n); code != "Success" || r.Effect != "sts.issued" {
				t.Fatalf("status %s, effect %q", code, r.Effect)
			}
			if to, _ := n.Attr("", "InResponseTo"); to != samlpID {
				t.Errorf("InResponseTo = %q", to)
			}
			oracle.ValidateXSD(t, sharedXSD(t, "external", "oasis-sstc-saml-schema-protocol-1.1.xsd"), n.Source())
			tk := w.assertionIn(n, c)
			w.checkAssertion(tk, before)
			if got, _ := tk.Attribute(claimPSE + "doctor:nihii11"); !slices.Equal(got, []string{p.NIHII.Full()}) {
				t.Errorf("number of the doctor: %d values", len(got))
			}
			if len(tk.Attributes) != len(doctorClaims(p)) {
				t.Errorf("%d attributes", len(tk.Attributes))
			}
		}
	}
	w.refusedWith(w.call(pathSamlp, actionChallenge, w.x509Message(samlpRequest(c, hour), c)), "SOA-03004")
	w.refusedWith(w.call(pathTrust, "", w.x509Message(samlpRequest(c, hour), c)), "SOA-03005")
	w.refusedWith(w.call(pathSamlp, "", w.x509Message(rstFor(c), c)), "SOA-03005")
}

func TestSamlpInnerSignature(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Pharmacist, 0)
	key := w.must(p.Pharmacy.Authentication())
	request := samlpRequest(key, time.Now().Add(time.Hour), pharmacyClaims(p)...)
	ask := func(request string) *xmltree.Node {
		t.Helper()
		return w.answered(w.call(pathSamlp, "", w.x509Message(request, c)))
	}
	signed := w.signRequest(request, key)
	n := ask(signed)
	if code, _ := samlpStatus(n); code != "Success" {
		t.Fatalf("status %s", code)
	}
	w.checkAssertion(w.assertionIn(n, key), time.Now())

	_, other := w.person(identity.Doctor, 0)
	for name, bad := range map[string]string{
		"no inner signature":      request,
		"signed by another":       w.signRequest(request, other),
		"signed by who asks":      w.signRequest(request, c),
		"changed after signing":   strings.Replace(signed, "pharmacy-holder:certified", "pharmacy-holder:Certified", 1),
		"claim that is not true":  w.signRequest(strings.Replace(request, p.Pharmacy.Number, "21999999", 1), key),
		"certified and asserted":  w.signRequest(strings.Replace(request, nsIdentification, nsCertified, 1), key),
		"sender-vouches":          w.signRequest(strings.Replace(request, "cm:holder-of-key", "cm:sender-vouches", 1), key),
		"key of nobody we know":   samlpRequest(w.must(w.s.Foreign(p)), time.Now().Add(time.Hour)),
		"lifetime that is over":   w.signRequest(samlpRequest(key, time.Now().Add(-time.Hour)), key),
		"version of other SAML":   w.signRequest(strings.Replace(request, `MinorVersion="1"><samlp`, `MinorVersion="0"><samlp`, 1), key),
		"certificate unreadable":  w.signRequest(strings.Replace(request, "<ds:X509Certificate>", "<ds:X509Certificate>AA", 1), key),
		"signature of a fragment": strings.Replace(strings.Replace(signed, `RequestID="`, `RequestID="x`, 1), `AssertionID="assertion-1"`, `AssertionID="`+samlpID+`"`, 1),
	} {
		n := ask(bad)
		if code, _ := samlpStatus(n); code == "Success" || code == "" || n.Child(saml.NS, "Assertion") != nil {
			t.Errorf("%s: status %q", name, code)
		}
	}
	for name, bad := range map[string]string{
		"no RequestID":    strings.Replace(signed, `RequestID="`+samlpID+`"`, "", 1),
		"no name":         strings.Replace(strings.Replace(signed, "<saml:NameIdentifier ", "<saml:Name ", 1), "</saml:NameIdentifier>", "</saml:Name>", 1),
		"signature last":  strings.Replace(signed, "</samlp:Request>", signed[strings.Index(signed, "<ds:Signature"):strings.Index(signed, "</ds:Signature>")+15]+"</samlp:Request>", 1),
		"no query at all": signed[:strings.Index(signed, "<samlp:AttributeQuery>")] + "</samlp:Request>",
	} {
		t.Run(name, func(t *testing.T) {
			(&world{t, w.s}).refusedWith(w.call(pathSamlp, "", w.x509Message(bad, c)), "SOA-03006")
		})
	}
}
