package sandbox

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Paths of the services.
const (
	pathTrust        = "/IAM/SecurityTokenService/v1"
	pathSamlp        = "/IAM/Saml11TokenService/v1"
	pathGenIns       = "/GenericInsurability/v1"
	pathGenInsDirect = "/ehealth/bcp/genericinsurability/v1"
	pathPharma       = "/Insurability/v2"
	pathPharmaDirect = "/ehealth/bcp/insurability"
)

// world is a sandbox whose services are called without HTTP.
type world struct {
	t testing.TB
	s *Sandbox
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := New(Config{Seed: 7, Patients: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{t, s}
}

// call sends a message to a service now.
func (w *world) call(path, action string, body []byte) *response {
	return w.callAt(path, action, body, time.Now())
}

func (w *world) callAt(path, action string, body []byte, at time.Time) *response {
	w.t.Helper()
	for _, r := range w.s.routes {
		if r.Path == path {
			return r.Handle(context.Background(), w.s, &request{
				Service: r.Service, Path: path, Action: action, HasAction: action != "", Header: http.Header{}, Body: body, At: at,
			})
		}
	}
	w.t.Fatalf("no service at %s", path)
	return nil
}

// answered returns the payload of a good answer.
func (w *world) answered(r *response) *xmltree.Node {
	w.t.Helper()
	m, err := soap.Parse(r.Body, xmltree.Limits{})
	if err != nil {
		w.t.Fatalf("answer is not SOAP: %v", err)
	}
	if f, ok := m.Fault(); ok || r.Status != http.StatusOK {
		w.t.Fatalf("status %d, fault %+v", r.Status, f)
	}
	return m.Payload
}

// refusedWith checks that r is a well-shaped fault with that code, and returns its English text.
func (w *world) refusedWith(r *response, code string) string {
	w.t.Helper()
	m, err := soap.Parse(r.Body, xmltree.Limits{})
	if err != nil {
		w.t.Fatalf("answer is not SOAP: %v", err)
	}
	f, ok := m.Fault()
	if !ok || r.Status != http.StatusInternalServerError {
		w.t.Fatalf("status %d, no fault; want %s", r.Status, code)
	}
	if f.SOA == nil || f.SOA.Code != code {
		w.t.Fatalf("fault %q %+v, want %s", f.FaultString, f.SOA, code)
	}
	if f.SOA.ID == "" || f.SOA.Environment != "Simulation" || f.SOA.Origin == "" || len(f.SOA.Messages) != 3 || f.SOA.Messages[0].Lang != "en" {
		w.t.Errorf("fault is incomplete: %+v", f.SOA)
	}
	if r.Effect != "" {
		w.t.Errorf("refusal has effect %q", r.Effect)
	}
	return f.SOA.Messages[0].Value
}

func (w *world) must(c Credential, err error) Credential {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) person(role identity.Quality, n int) (*Person, Credential) {
	w.t.Helper()
	p := w.s.Person(role, n)
	return p, w.must(p.Authentication())
}

func (w *world) organisation(role identity.Quality, n int) (*Organisation, Credential) {
	w.t.Helper()
	o := w.s.Organisation(role, n)
	return o, w.must(o.Authentication())
}

func wire(c Credential) wsse.Credential {
	return wsse.Credential{Certificate: c.Certificate, Signer: c.Key}
}

// x509Message signs a payload as STS messages are signed.
func (w *world) x509Message(payload string, by Credential) []byte {
	w.t.Helper()
	return w.x509At(payload, by, wsse.Stamp{Now: time.Now()})
}

func (w *world) x509At(payload string, by Credential, at wsse.Stamp) []byte {
	w.t.Helper()
	msg, err := wsse.X509([]byte(payload), wire(by), at)
	if err != nil {
		w.t.Fatal(err)
	}
	return msg
}

// token is an assertion with the credential that it names.
type token struct {
	*saml.Assertion
	key Credential
}

// message signs a payload as business messages are signed.
func (w *world) message(payload string, tk token) []byte {
	w.t.Helper()
	return w.messageAt(payload, tk, wsse.Stamp{Now: time.Now()})
}

func (w *world) messageAt(payload string, tk token, at wsse.Stamp) []byte {
	w.t.Helper()
	msg, err := wsse.HolderOfKey([]byte(payload), tk.Raw, tk.ID, wire(tk.key), at)
	if err != nil {
		w.t.Fatal(err)
	}
	return msg
}

// claims makes ClaimType elements: "name=value" asserts, "name" asks.
func claims(list ...string) string {
	var b strings.Builder
	for _, c := range list {
		name, value, asserted := strings.Cut(c, "=")
		fmt.Fprintf(&b, `<auth:ClaimType Uri=%q>`, name)
		if asserted {
			fmt.Fprintf(&b, `<auth:Value>%s</auth:Value>`, value)
		}
		b.WriteString(`</auth:ClaimType>`)
	}
	return b.String()
}

// rstIssue is a RequestSecurityToken after the template of dossier 01 A.5.1.
func rstIssue(context, claims string, key *x509.Certificate, created, expires time.Time) string {
	return `<wst:RequestSecurityToken Context="` + context + `" xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"` +
		` xmlns:auth="http://docs.oasis-open.org/wsfed/authorization/200706"` +
		` xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"` +
		` xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"` +
		` xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` +
		`<wst:TokenType>http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1</wst:TokenType>` +
		`<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType>` +
		`<wst:Claims Dialect="http://docs.oasis-open.org/wsfed/authorization/200706/authclaims">` + claims + `</wst:Claims>` +
		`<wst:Lifetime><wsu:Created>` + wireTime(created) + `</wsu:Created><wsu:Expires>` + wireTime(expires) + `</wsu:Expires></wst:Lifetime>` +
		`<wst:KeyType>http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey</wst:KeyType>` +
		`<wst:UseKey><wsse:SecurityTokenReference><ds:X509Data><ds:X509Certificate>` +
		base64.StdEncoding.EncodeToString(key.Raw) + `</ds:X509Certificate></ds:X509Data></wsse:SecurityTokenReference></wst:UseKey>` +
		`</wst:RequestSecurityToken>`
}

// rstFor is an ordinary order: one hour from now.
func rstFor(key Credential, list ...string) string {
	now := time.Now()
	return rstIssue("urn:uuid:1", claims(list...), key.Certificate, now, now.Add(time.Hour))
}

// assertionIn reads the token out of an answer of the STS.
func (w *world) assertionIn(payload *xmltree.Node, key Credential) token {
	w.t.Helper()
	for n := range payload.Descendants() {
		if n.Is(saml.NS, "Assertion") {
			a, err := saml.Parse(n)
			if err != nil {
				w.t.Fatal(err)
			}
			return token{a, key}
		}
	}
	w.t.Fatal("answer holds no assertion")
	return token{}
}

// Claims of the qualities, as clients ask for them (dossier 01 A.12).
func doctorClaims(p *Person) []string {
	ssin := p.SSIN.Reveal()
	return []string{
		claimHolderSSIN + "=" + ssin, claimPS + "=" + ssin, claimPS + ":doctor:boolean", claimPSE + "doctor:nihii11",
		claimPSE + "givenname", claimPSE + "surname", claimPSE + "fpsph:doctor:boolean",
	}
}

func pharmacyClaims(p *Person) []string {
	ssin := p.SSIN.Reveal()
	return []string{
		claimHolderSSIN + "=" + ssin, claimPharmacy + "=" + p.Pharmacy.Number, claimPS + "=" + ssin,
		claimOwner + "=" + p.Pharmacy.Holder.SSIN.Reveal(), claimIsPharmacy, claimOwnerNIHII, claimIsOwner,
	}
}

// issue gets a token whose key signs the request itself.
func (w *world) issue(by Credential, list ...string) token {
	w.t.Helper()
	return w.assertionIn(w.answered(w.call(pathTrust, actionIssue, w.x509Message(rstFor(by, list...), by))), by)
}

// doctorToken is a token of the n-th doctor.
func (w *world) doctorToken(n int) (*Person, token) {
	w.t.Helper()
	p, c := w.person(identity.Doctor, n)
	return p, w.issue(c, doctorClaims(p)...)
}

// pharmacyToken is a token of the n-th pharmacist, by way of the challenge: the pharmacy's certificate holds the key.
func (w *world) pharmacyToken(n int) (*Person, token) {
	w.t.Helper()
	p, c := w.person(identity.Pharmacist, n)
	key := w.must(p.Pharmacy.Authentication())
	first := w.answered(w.call(pathTrust, actionIssue, w.x509Message(rstFor(key, pharmacyClaims(p)...), c)))
	return p, w.assertionIn(w.answered(w.call(pathTrust, actionChallenge, w.x509Message(challengeAnswer(first), key))), key)
}

// challengeAnswer repeats the challenge of an answer.
func challengeAnswer(rstr *xmltree.Node) string {
	context, _ := rstr.Attr("", "Context")
	return rstrAnswer(context, textOf(nodeAt(rstr, nsTrust, "SignChallenge", "Challenge")))
}

func rstrAnswer(context, challenge string) string {
	attr := ""
	if context != "" {
		attr = ` Context="` + context + `"`
	}
	return `<wst:RequestSecurityTokenResponse xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"` + attr + `>` +
		`<wst:SignChallengeResponse><wst:Challenge>` + challenge + `</wst:Challenge></wst:SignChallengeResponse></wst:RequestSecurityTokenResponse>`
}

// sharedXSD is a schema among the reference material.
func sharedXSD(t testing.TB, dir, name string) string {
	t.Helper()
	return oracle.Shared(t, "schemas", dir, "XSD", name)
}
