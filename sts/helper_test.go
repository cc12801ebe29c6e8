package sts

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
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// certificates of one small world; made once, valid in the years of synctest and in ours.
type certificates struct {
	roots           *x509.CertPool
	ca, foreign     keystore.Credential
	sts, foreignSTS keystore.Credential // same name, other authority
	card, ehealth   keystore.Credential // of one person: identity card (RSA), eHealth certificate
	other           keystore.Credential // of another person, under the same authority
}

var world = sync.OnceValue(func() *certificates {
	w := &certificates{roots: x509.NewCertPool()}
	w.ca = certificate("CA", ecKey(), nil)
	w.foreign = certificate("CA", ecKey(), nil)
	w.roots.AddCert(w.ca.Certificate)
	w.sts = certificate("CBE=0809394427, IAMACC", ecKey(), &w.ca)
	w.foreignSTS = certificate("CBE=0809394427, IAMACC", ecKey(), &w.foreign)
	w.card = certificate("card", must(rsa.GenerateKey(rand.Reader, 2048)), &w.ca)
	w.ehealth = certificate("SSIN="+testSSIN.Reveal(), ecKey(), &w.ca)
	w.other = certificate("SSIN="+otherSSIN.Reveal(), ecKey(), &w.ca)
	return w
})

func ecKey() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func certificate(cn string, key crypto.Signer, by *keystore.Credential) keystore.Credential {
	tmpl := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))),
		Subject:      pkix.Name{CommonName: cn, Organization: []string{"Federal Government"}, Country: []string{"BE"}},
		NotBefore:    time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	parent, signer := tmpl, key
	if by != nil {
		parent, signer = by.Certificate, by.Signer
	} else {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer))
	return keystore.Credential{Certificate: must(x509.ParseCertificate(der)), Signer: key}
}

const (
	testURL    = "https://sts.test/IAM/SecurityTokenService/v1"
	serviceURL = "https://service.test/v1"
	service    = "uddi:test:service"
)

// fakeSTS answers as the platform does, unless the test bends it. It is an http.RoundTripper.
type fakeSTS struct {
	// order changes what is about to be issued.
	order func(*order)
	// wrap changes the whole answer's payload.
	wrap func(payload string) string
	// first answers instead of the STS; nil result = the STS answers. n counts from 1.
	first func(n int, action string) *http.Response

	mu         sync.Mutex
	seen       []seen
	challenges map[string]pending // by challenge text
}

type seen struct {
	action  string
	message []byte
	payload string
	signer  *x509.Certificate
}

type pending struct {
	context string
	order   order
}

// order is what is issued.
type order struct {
	issuer             string
	hok                *x509.Certificate
	notBefore, notOn   time.Time
	attributes         []Attribute
	signer             keystore.Credential
	unsigned, prefixed bool
	tamper             func(assertion string) string // after signing
}

func (f *fakeSTS) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func (f *fakeSTS) RoundTrip(req *http.Request) (*http.Response, error) {
	message, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := seen{action: strings.Trim(req.Header.Get("SOAPAction"), `"`), message: message}
	m, v, err := open(message)
	if err != nil {
		f.seen = append(f.seen, s)
		return fault500("Client", "", err.Error()), nil
	}
	s.payload, s.signer = string(m.Payload.Source()), v.Certificate
	f.seen = append(f.seen, s)
	if f.first != nil {
		if resp := f.first(len(f.seen), s.action); resp != nil {
			return resp, nil
		}
	}
	payload, err := f.answer(s.action, m.Payload, v.Certificate)
	if err != nil {
		return fault500("FailedAuthentication", nsTrust, err.Error()), nil
	}
	if f.wrap != nil {
		payload = f.wrap(payload)
	}
	return reply(http.StatusOK, must(soap.Envelope(nil, []byte(payload)))), nil
}

func open(message []byte) (*soap.Message, *wsse.Verified, error) {
	m, err := soap.Parse(message, xmltree.Limits{})
	if err != nil {
		return nil, nil, err
	}
	v, err := wsse.Verify(m.Root, wsse.Policy{Now: time.Now()})
	return m, v, err
}

func (f *fakeSTS) answer(action string, p *xmltree.Node, signer *x509.Certificate) (string, error) {
	context, _ := p.Attr("", "Context")
	switch {
	case action == actionRequest && p.Is(nsTrust, "RequestSecurityToken"):
		o, err := f.read(p, signer)
		if err != nil {
			return "", err
		}
		if o.hok.Equal(signer) {
			return f.issue(context, o), nil
		}
		text := fmt.Sprintf(" %x <&>\r\n\t", must(io.ReadAll(io.LimitReader(rand.Reader, 12))))
		if f.challenges == nil {
			f.challenges = map[string]pending{}
		}
		f.challenges[text] = pending{context, o}
		w := xmltree.NewWriter()
		w.Start("", "RequestSecurityTokenResponse")
		w.NS("", nsTrust)
		w.Attr("", "Context", context)
		w.Start("", "SignChallenge")
		w.Leaf("", "Challenge", text)
		w.End()
		w.End()
		return string(must(w.Bytes())), nil
	case action == actionChallenge && p.Is(nsTrust, "RequestSecurityTokenResponse"):
		text, err := p.Child(nsTrust, "SignChallengeResponse").Child(nsTrust, "Challenge").Text()
		if err != nil {
			return "", err
		}
		c, ok := f.challenges[text]
		delete(f.challenges, text)
		if !ok || c.context != context || !c.order.hok.Equal(signer) {
			return "", fmt.Errorf("challenge refused")
		}
		return f.issue(context, c.order), nil
	}
	return "", fmt.Errorf("not an operation")
}

// read turns a request into what the STS would issue: everything asked for is granted.
func (f *fakeSTS) read(p *xmltree.Node, signer *x509.Certificate) (order, error) {
	now := time.Now()
	o := order{issuer: Issuer, signer: world().sts, notBefore: now.Add(-5 * time.Minute), hok: signer}
	for n := range p.Descendants() {
		switch {
		case n.Is(saml.NS, "Assertion"): // Renew
			a, err := saml.Parse(n)
			if err != nil {
				return o, err
			}
			o.hok, o.notOn = a.HolderOfKey, now.Add(6*time.Hour)
			for _, at := range a.Attributes {
				o.attributes = append(o.attributes, Attribute{at.Namespace, at.Name, at.Values})
			}
			return o, nil
		case n.Is(dsig.NS, "X509Data"):
			certs, err := dsig.Certificates(n.Parent())
			if err != nil || len(certs) != 1 {
				return o, fmt.Errorf("UseKey: %v", err)
			}
			o.hok = certs[0]
		case n.Is(wsse.NSWSU, "Expires"):
			text, _ := n.Text()
			var err error
			if o.notOn, err = saml.ParseTime(text); err != nil {
				return o, err
			}
		case n.Is(nsAuth, "ClaimType"):
			a := Attribute{Namespace: NSCertified}
			a.Name, _ = n.Attr("", "Uri")
			if v := n.Child(nsAuth, "Value"); v != nil {
				text, _ := v.Text()
				a.Namespace, a.Values = NSIdentification, strings.Split(text, ";")
			} else if strings.HasSuffix(a.Name, ":boolean") {
				a.Values = []string{"true"}
			} else {
				a.Values = []string{"value"}
			}
			o.attributes = append(o.attributes, a)
		}
	}
	return o, nil
}

func (f *fakeSTS) issue(context string, o order) string {
	if f.order != nil {
		f.order(&o)
	}
	assertion := o.assertion()
	declared := ""
	if o.prefixed {
		declared = ` xmlns:saml="` + saml.NS + `"`
	}
	return `<wst:RequestSecurityTokenResponse xmlns:wst="` + nsTrust + `"` + declared + ` Context="` + context + `">` +
		`<wst:TokenType>` + tokenType + `</wst:TokenType><wst:RequestedSecurityToken>` + assertion +
		`</wst:RequestedSecurityToken></wst:RequestSecurityTokenResponse>`
}

// assertion writes and signs the assertion, laid out as in dossier 01 A.8.
func (o *order) assertion() string {
	w := xmltree.NewWriter()
	id := fmt.Sprintf("_%x", must(io.ReadAll(io.LimitReader(rand.Reader, 16))))
	w.Start("", "Assertion")
	w.NS("", saml.NS)
	for k, v := range map[string]string{
		"AssertionID": id, "Issuer": o.issuer, "MajorVersion": "1", "MinorVersion": "1",
		"IssueInstant": time.Now().UTC().Format(instant),
	} {
		w.Attr("", k, v)
	}
	w.Start("", "Conditions")
	w.Attr("", "NotBefore", o.notBefore.UTC().Format(instant))
	w.Attr("", "NotOnOrAfter", o.notOn.UTC().Format(instant))
	w.End()
	w.Start("", "AuthenticationStatement")
	w.Attr("", "AuthenticationInstant", time.Now().UTC().Format(instant))
	w.Attr("", "AuthenticationMethod", saml.AuthMethodX509)
	o.subject(w, true)
	w.End()
	w.Start("", "AttributeStatement")
	o.subject(w, false)
	for _, a := range o.attributes {
		w.Start("", "Attribute")
		w.Attr("", "AttributeName", a.Name)
		w.Attr("", "AttributeNamespace", a.Namespace)
		for _, v := range a.Values {
			w.Leaf("", "AttributeValue", v)
		}
		w.End()
	}
	w.End()
	w.End()
	doc := must(w.Bytes())
	if o.prefixed {
		doc = prefixed(doc)
	}
	if !o.unsigned {
		doc = signed(doc, id, o.signer)
	}
	if o.prefixed { // the declaration stands on an outer element
		doc = bytes.Replace(doc, []byte(` xmlns:saml="`+saml.NS+`"`), nil, 1)
	}
	if o.tamper != nil {
		return o.tamper(string(doc))
	}
	return string(doc)
}

func (o *order) subject(w *xmltree.Writer, confirmed bool) {
	w.Start("", "Subject")
	w.Start("", "NameIdentifier")
	w.Attr("", "Format", saml.FormatX509SubjectName)
	w.Attr("", "NameQualifier", "CN=CA")
	w.Text(o.hok.Subject.String())
	w.End()
	if confirmed {
		w.Start("", "SubjectConfirmation")
		w.Leaf("", "ConfirmationMethod", saml.MethodHolderOfKey)
		w.Start("ds", "KeyInfo")
		w.NS("ds", dsig.NS)
		w.Start("ds", "X509Data")
		w.Leaf("ds", "X509Certificate", chunked(o.hok.Raw))
		w.End()
		w.End()
		w.End()
	}
	w.End()
}

// chunked is base64 in lines, as the real STS writes it.
func chunked(der []byte) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(der)), 76) {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// prefixed moves an assertion from the default namespace to the prefix saml.
func prefixed(doc []byte) []byte {
	s := strings.Replace(string(doc), `xmlns="`, `xmlns:saml="`, 1)
	s = strings.ReplaceAll(s, "</", "</saml:")
	s = strings.ReplaceAll(s, "</saml:ds:", "</ds:")
	for _, n := range []string{"Assertion", "Conditions", "Auth", "Attribute", "Subject", "Name", "Confirmation"} {
		s = strings.ReplaceAll(s, "<"+n, "<saml:"+n)
	}
	return []byte(s)
}

// signed puts an enveloped signature at the end of the assertion.
func signed(doc []byte, id string, by keystore.Credential) []byte {
	sig := must(dsig.Sign(by.Signer, []dsig.Ref{{Node: must(xmltree.Parse(doc, xmltree.Limits{})), URI: "#" + id, Enveloped: true}}, dsig.SignOptions{
		KeyInfo: func(w *xmltree.Writer) { dsig.WriteX509Data(w, by.Certificate) },
	}))
	end := bytes.LastIndex(doc, []byte("</"))
	return slices.Concat(doc[:end], sig, doc[end:])
}

func reply(status int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {soap.ContentType}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func fault500(code, space, text string) *http.Response {
	if space == "" {
		space = soap.NS
	}
	f := &soap.Fault{FaultCode: code, FaultSpace: space, FaultString: text}
	return reply(http.StatusInternalServerError, must(f.Encode()))
}

func soaFault(code string) *http.Response {
	f := &soap.Fault{FaultCode: "Server", FaultString: code, SOA: &soap.SOAError{
		ID: "ticket-1", Origin: "Consumer", Code: code, Environment: "Acceptation",
		Messages: []soap.Text{{Lang: "en", Value: "about " + testSSIN.Reveal()}},
	}}
	return reply(http.StatusInternalServerError, must(f.Encode()))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// exchanger sends to the fake STS, and to the service when there is one.
func exchanger(sts http.RoundTripper, svc roundTripper) *exchange.Exchanger {
	return must(exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "service.test" {
				return svc(r)
			}
			return sts.RoundTrip(r)
		})},
		Directory: resilience.Static{
			ServiceID: {{URL: testURL, Active: true}},
			service:   {{URL: serviceURL, Active: true}},
		},
		UserAgent: "test/1", From: "test@example.org",
	}))
}

// newClient is a client whose identification and holder-of-key certificates are the same,
// unless change says otherwise.
func newClient(t testing.TB, f http.RoundTripper, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Identification: world().ehealth, Trust: Trust{Roots: world().roots}}
	if change != nil {
		change(&cfg)
	}
	c, err := New(exchanger(f, nil), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func challenged(cfg *Config) {
	cfg.Identification, cfg.HolderOfKey = world().card, world().ehealth
}

// twoAddresses lists the STS with an alternate.
func twoAddresses(b string) resilience.Static {
	return resilience.Static{ServiceID: {{URL: testURL, Active: true}, {URL: b, Order: 1}}}
}
