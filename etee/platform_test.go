package etee_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// party is a holder in the world of the tests.
type party struct {
	auth, enc keystore.Credential
	id        etee.Identifier
	token     []byte
}

// Encryption and EncryptionBySerial make the party its own key store.
func (p *party) Encryption() []keystore.Credential { return []keystore.Credential{p.enc} }

func (p *party) EncryptionBySerial(serial *big.Int) (keystore.Credential, bool) {
	return p.enc, p.enc.Certificate.SerialNumber.Cmp(serial) == 0
}

// world issues certificates and tokens for the tests of the clients. Its keys are those of our vectors, which saves making
// new ones.
type world struct {
	*mint
	trust                  etee.Trust
	doctor, hospital, kgss *party
}

var theWorld = sync.OnceValue(func() *world {
	t := &testing.T{} // only marks failures, which the keys of our vectors do not cause
	key := func(c keystore.Credential) *rsa.PrivateKey { return c.Signer.(*rsa.PrivateKey) }
	m := &mint{TB: t, keys: map[string]*rsa.PrivateKey{
		"root": key(auth(t, "eid")), "ca": key(auth(t, "pharmacy")), "ra": key(encryption(t, "pharmacy")),
		"doctor": key(auth(t, "doctor")), "doctor-enc": key(encryption(t, "doctor")),
		"hospital": key(auth(t, "hospital")), "hospital-enc": key(encryption(t, "hospital")),
		"kgss": key(ownKeys(t, "hospital").Encryption()[1]), "kgss-enc": key(auth(t, "eid-signature")),
	}, serial: 500}
	m.root = m.issue(spec{subject: name("C=BE", "CN=World root"), key: m.keys["root"], ca: true, usage: x509.KeyUsageCertSign}, nil, nil)
	m.ca = m.issue(spec{subject: name("C=BE", "CN=World CA"), key: m.keys["ca"], ca: true, usage: x509.KeyUsageCertSign}, m.root, m.keys["root"])
	m.ra = m.issue(spec{subject: name("C=BE", "CN=ETK-RA"), key: m.keys["ra"], usage: x509.KeyUsageDigitalSignature}, m.ca, m.keys["ca"])
	w := &world{mint: m, trust: etee.Trust{Roots: x509.NewCertPool()}}
	w.trust.Roots.AddCert(m.root)
	w.doctor = w.party("SSIN=70010100188", "doctor", spec{})
	w.hospital = w.party("NIHII-HOSPITAL=79999957", "hospital", spec{})
	w.kgss = w.party("CBE=0809394427, KGSS", "kgss", spec{})
	return w
})

// party makes a holder; enc changes its encryption certificate. The subject is TYPE=number or TYPE=number, application.
func (w *world) party(who, key string, enc spec) *party {
	number, application, _ := strings.Cut(who, ", ")
	parts := []string{"C=BE", "O=Federal Government"}
	if application != "" {
		parts = append(parts, "OU="+application)
	}
	subject := name(append(parts, "OU="+number, "OU=OWNER", "OU=eHealth-platform Belgium", "CN="+who)...)
	p := &party{auth: w.authentication(spec{subject: subject, key: w.keys[key]})}
	enc.subject, enc.key = subject, w.keys[key+"-enc"]
	p.enc = w.encryption(p.auth, enc)
	p.token = signed(w, p.enc.Certificate.Raw, cms.SignOptions{
		Certificate: w.ra, Signer: w.keys["ra"], Scheme: cms.PKCS1v15WithSHA256, NoAttributes: true, BareRSA: true,
		Include: []*x509.Certificate{w.ra, p.auth.Certificate, w.ca},
	})
	p.id, _ = etee.IdentifierOf(p.auth.Certificate)
	return p
}

func id(t testing.TB, kind identity.IdentifierType, number, application string) etee.Identifier {
	t.Helper()
	i, err := etee.NewIdentifier(kind, number, application)
	check(t, err)
	return i
}

// platform is what stands behind the network in a test.
type platform struct {
	mu     sync.Mutex
	once   bool           // questions are not repeated
	asked  map[string]int // by what was asked: TYPE/number/application, or the name of the payload
	answer func(n *xmltree.Node) (string, error)
}

var (
	errRefused = errors.New("connection refused")
	errHangs   = errors.New("hangs")
)

// asks is how often one thing was asked.
func (p *platform) asks(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[what]
}

func (p *platform) set(f func(n *xmltree.Node) (string, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := soap.Parse(b, xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	what := m.Payload.Local()
	if what == "GetEtkRequest" {
		what = asked(m.Payload)
	}
	p.mu.Lock()
	if p.asked == nil {
		p.asked = map[string]int{}
	}
	p.asked[what]++
	answer := p.answer
	p.mu.Unlock()
	payload, err := answer(m.Payload)
	if errors.Is(err, errHangs) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if strings.Contains(payload, ":Fault") {
		status = http.StatusInternalServerError
	}
	body, err := soap.Envelope(nil, []byte(payload))
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}, err
}

// asked is TYPE/number/application of a question; "-" stands for an application that is absent.
func asked(n *xmltree.Node) string {
	const ns = "urn:be:fgov:ehealth:etkdepot:1_0:protocol"
	i := n.Child(ns, "SearchCriteria").Child(ns, "Identifier")
	kind, _ := i.Child(ns, "Type").Text()
	value, _ := i.Child(ns, "Value").Text()
	application := "-"
	if a := i.Child(ns, "ApplicationID"); a != nil {
		application, _ = a.Text()
	}
	return kind + "/" + value + "/" + application
}

func (p *platform) exchanger(t testing.TB) *exchange.Exchanger {
	t.Helper()
	var engine *resilience.Engine
	if p.once {
		var err error
		engine, err = resilience.New(resilience.Config{Policy: resilience.Policy{MaxAttempts: 1}})
		check(t, err)
		t.Cleanup(engine.Close)
	}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: p}, Engine: engine, UserAgent: "test/1.0", From: "support@example.test",
		Directory: resilience.Static{
			etee.ServiceDepot: {{URL: "https://depot.example.test/EtkDepot/v1", Active: true}},
			etee.ServiceKGSS:  {{URL: "https://kgss.example.test/Kgss/v1", Active: true}},
		},
	})
	check(t, err)
	return x
}

func (p *platform) depot(t testing.TB, conf etee.DepotConfig) *etee.Depot {
	t.Helper()
	conf.Trust = theWorld().trust
	d, err := etee.NewDepot(p.exchanger(t), conf)
	check(t, err)
	return d
}

// criteria repeats a question in an answer.
func criteria(n *xmltree.Node) string {
	parts := strings.Split(asked(n), "/")
	application := ""
	if parts[2] != "-" {
		application = "<e:ApplicationID>" + html.EscapeString(parts[2]) + "</e:ApplicationID>"
	}
	return "<e:Identifier><e:Type>" + parts[0] + "</e:Type><e:Value>" + parts[1] + "</e:Value>" + application + "</e:Identifier>"
}

// response is a GetEtkResponse as the real one is: a qualified Status with unqualified children.
func response(status, given, rest string) string {
	if given != "" {
		given = "<e:GivenSearchCriteria>" + given + "</e:GivenSearchCriteria>"
	}
	return `<e:GetEtkResponse xmlns:e="urn:be:fgov:ehealth:etkdepot:1_0:protocol" xmlns:c="urn:be:fgov:ehealth:commons:1_0:core" Id="_1">` +
		`<c:Status><Code>` + status + `</Code><Message Lang="EN">text</Message></c:Status>` + given + rest + `</e:GetEtkResponse>`
}

func etkElement(token []byte) string {
	return "<e:ETK>" + base64.StdEncoding.EncodeToString(token) + "</e:ETK>"
}

func failureElement(code string) string {
	return "<e:Error><e:Code>" + code + "</e:Code><e:Message>text</e:Message></e:Error>"
}

const soaFault = `<s:Fault xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><faultcode>s:Server</faultcode><faultstring>SOA-02002</faultstring></s:Fault>`

// registry is a depot that has these tokens, by TYPE/number/application.
func registry(tokens map[string][]byte) func(*xmltree.Node) (string, error) {
	return func(n *xmltree.Node) (string, error) {
		q := strings.TrimSuffix(asked(n), "/-")
		if token := tokens[strings.TrimSuffix(q, "/")]; token != nil {
			return response("200", criteria(n), etkElement(token)), nil
		}
		return response("200", criteria(n), failureElement("NO_MATCHING_ETK")), nil
	}
}

func down(*xmltree.Node) (string, error) { return "", errRefused }

func hangs(*xmltree.Node) (string, error) { return "", errHangs }

// later brings the clock of a synctest bubble to a time at which the certificates of the world are valid.
func later() { time.Sleep(time.Until(issued.AddDate(0, 2, 0))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprint("test: ", err))
	}
	return v
}
