package sts

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
)

const testContext = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"

// goldenHolder is the certificate in the golden requests; nobody has its key any more.
func goldenHolder(t *testing.T) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile("testdata/holder.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	return must(x509.ParseCertificate(block.Bytes))
}

// goldenBodies are the payloads of all requests, by the name of their golden file.
func goldenBodies(t *testing.T) map[string][]byte {
	t.Helper()
	created := time.Date(2026, 1, 1, 10, 0, 0, 123_000_000, time.FixedZone("", 3600))
	out := map[string][]byte{}
	for _, q := range []identity.Quality{
		identity.Doctor, identity.Nurse, identity.Pharmacist, identity.Hospital, identity.Enterprise,
		identity.EHPOrganisation, identity.GroupOfNurses, identity.SortingCenter,
	} {
		a, r, err := ClaimsFor(whole(q))
		if err != nil {
			t.Fatal(err)
		}
		out["issue-"+string(q)] = must(issueBody(testContext, a, r, created, created.Add(24*time.Hour), goldenHolder(t)))
	}
	extra := []Claim{
		{Name: "urn:example:several", Values: []string{"a & b", "c<d", `"e"`}},
		{Name: "urn:example:asked"},
		{Name: "urn:example:asked"}, // a name stands there once
		{Name: "urn:example:several"},
	}
	a, r, err := merge(nil, nil, extra)
	if err != nil {
		t.Fatal(err)
	}
	out["issue-custom"] = must(issueBody(testContext, a, r, created, created.Add(time.Hour), goldenHolder(t)))
	out["challenge"] = must(challengeBody(testContext, " Zm9v<&>bar==\r\n\t"))
	assertion, err := os.ReadFile("testdata/assertion.xml")
	if err != nil {
		t.Fatal(err)
	}
	out["renew"] = must(renewBody(testContext, "token-"+testContext, bytes.TrimSpace(assertion)))
	return out
}

func TestRequestsGolden(t *testing.T) {
	for name, body := range goldenBodies(t) {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".xml", body)
		})
	}
}

// TestRequestsSchema judges the requests by the errata schema of WS-Trust 1.3, and the claims in
// them by the schema of the dialect.
func TestRequestsSchema(t *testing.T) {
	trust := oracle.Shared(t, "schemas", "external", "XSD", "ws-trust-1.3-errata-cd-01.xsd")
	auth := oracle.Shared(t, "schemas", "external", "XSD", "ws-authorization-1.2.xsd")
	for name, body := range goldenBodies(t) {
		t.Run(name, func(t *testing.T) {
			oracle.ValidateXSD(t, trust, body)
			for n := range must(xmltree.Parse(body, xmltree.Limits{})).Descendants() {
				if n.Is(nsAuth, "ClaimType") {
					claim := strings.Replace(string(n.Source()), "<auth:ClaimType", `<auth:ClaimType xmlns:auth="`+nsAuth+`"`, 1)
					oracle.ValidateXSD(t, auth, []byte(claim))
				}
			}
		})
	}
}

// TestRequestOrder spells the fixed order out (dossier 01 A.5.1).
func TestRequestOrder(t *testing.T) {
	want := map[string]string{
		"issue-doctor": "TokenType RequestType Claims Lifetime KeyType UseKey",
		"renew":        "TokenType RequestType RenewTarget",
		"challenge":    "SignChallengeResponse",
	}
	bodies := goldenBodies(t)
	for name, order := range want {
		var got []string
		for n := range must(xmltree.Parse(bodies[name], xmltree.Limits{})).Elements() {
			got = append(got, n.Local())
		}
		if strings.Join(got, " ") != order {
			t.Errorf("%s: %v", name, got)
		}
	}
	if b := bodies["issue-doctor"]; !bytes.Contains(b, []byte("/ws-sx/wstrust/200512/PublicKey<")) || bytes.ContainsAny(b, "\r\n") {
		t.Error("KeyType or white space")
	}
	root := must(xmltree.Parse(bodies["challenge"], xmltree.Limits{}))
	if text, _ := root.Child(nsTrust, "SignChallengeResponse").Child(nsTrust, "Challenge").Text(); text != " Zm9v<&>bar==\r\n\t" {
		t.Errorf("the challenge became %q", text)
	}
}

// TestMessagesJudged signs whole messages with RSA and ECDSA and has them verified by
// xmlsec1 and by the JDK.
func TestMessagesJudged(t *testing.T) {
	bodies := goldenBodies(t)
	var jobs []oracle.VerifyJob
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		for kind, cred := range map[string]keystore.Credential{"RSA": world().card, "ECDSA": world().ehealth} {
			msg, err := wsse.X509(bodies[name], wsse.Credential{Certificate: cred.Certificate, Signer: cred.Signer}, wsse.Stamp{Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			// In a renewal the old assertion has a signature too: the one in Security is meant.
			cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cred.Certificate.Raw})
			oracle.XMLSecVerify(t, msg, cert, oracle.IDBody, oracle.IDTimestamp, oracle.IDToken, oracle.IDAssertion)
			jobs = append(jobs, oracle.VerifyJob{Doc: msg, Cert: cred.Certificate.Raw})
			labels = append(labels, name+" "+kind)
		}
	}
	for i, r := range oracle.JavaVerify(t, jobs...) {
		if !r.Valid || len(r.References) != 3 {
			t.Errorf("%s: the JDK says %+v", labels[i], r)
		}
	}
}

func TestTrustDefaults(t *testing.T) {
	for cn, want := range map[string]bool{
		"CBE=0809394427, IAMACC":     true,
		"CBE=0809394427,IAMPRD":      true,
		"CBE=0809394427":             false,
		"CBE=0809394427, MYIAM":      false,
		"CBE=0809394427, ":           false,
		"CBE=08093944270, IAMACC":    false,
		"CBE=0404000000, IAMACC":     false,
		"SSIN=1, CBE=0809394427, IA": false,
		"":                           false,
	} {
		if got := PlatformSigner(cn); got != want {
			t.Errorf("PlatformSigner(%q) = %v", cn, got)
		}
	}
	s := Trust{Roots: world().roots, AllowSHA1: true}.saml()
	if s.Issuer != saml.IssuerSTS || s.SignerCN("CBE=1, IAM") || !s.AllowSHA1 || s.Roots == nil {
		t.Error("defaults")
	}
	s = Trust{Issuer: "urn:x", SignerCN: func(string) bool { return true }}.saml()
	if s.Issuer != "urn:x" || !s.SignerCN("") || s.AllowSHA1 {
		t.Error("values")
	}
}

func TestUUID(t *testing.T) {
	a, b := uuid(), uuid()
	if a == b || len(a) != 36 || a[14] != '4' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Error(a, b)
	}
}

// FuzzReadAnswer: whatever the STS sends ends in a token node, a challenge or an error.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(rstr("<SignChallenge><Challenge>a</Challenge></SignChallenge>")))
	f.Add([]byte(rstr("<RequestedSecurityToken><Assertion xmlns='" + saml.NS + "'/></RequestedSecurityToken>")))
	f.Add([]byte(fmt.Sprintf(`<a:RequestSecurityTokenResponseCollection xmlns:a=%q>%s</a:RequestSecurityTokenResponseCollection>`, nsTrust, rstr(""))))
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 20})
		if err != nil {
			return
		}
		a, err := readAnswer(root)
		if err != nil {
			return
		}
		if a.challenged == (a.assertion != nil) || a.challenged && (a.challenge == "" || len(a.challenge) > maxChallenge) {
			t.Errorf("%+v", a)
		}
		if a.challenged {
			body, err := challengeBody("c", a.challenge)
			if err != nil {
				t.Fatal(err)
			}
			m := must(soap.Parse(must(soap.Envelope(nil, body)), xmltree.Limits{}))
			if got, _ := m.Payload.Child(nsTrust, "SignChallengeResponse").Child(nsTrust, "Challenge").Text(); got != a.challenge {
				t.Errorf("the challenge %q went back as %q", a.challenge, got)
			}
		}
	})
}
