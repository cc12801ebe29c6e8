package bcp_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

var world = sync.OnceValue(newPKI)

func TestVerifyAcceptsBothVersions(t *testing.T) {
	p := world()
	want := []resilience.Endpoint{{URL: esb + "/GenericInsurability/v1", Active: true}, {URL: mcn + "/genins", Order: 1}}
	for version := 1; version <= 2; version++ {
		doc := p.make(draft{version: version})
		l, err := bcp.Verify(doc, p.trust(), nil, bcp.Production)
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		s := l.Service(genins)
		if l.Version != version || s == nil || s.Name != "GenIns" || fmt.Sprint(s.Endpoints) != fmt.Sprint(want) || l.Environment != bcp.Production {
			t.Errorf("version %d: %+v", version, l)
		}
		for i := range doc {
			doc[i] = 'x' // the list must not live in the document
		}
		if s.Endpoints[0] != want[0] || l.ID != "_list" {
			t.Errorf("version %d: the list changed with the document", version)
		}
	}
}

func TestVerifyIsTolerant(t *testing.T) {
	p := world()
	services := `<!-- c --><Service Id=" a " Name="A" x:Future="1" xmlns:x="urn:x"><x:New><Endpoint Order="7" Status="ACTIVE">https://no.example/</Endpoint></x:New>` +
		`<Endpoint Order=" +2 " Status="ACTIVE" Weight="3">` + "\n https://a.example/x \n" + `</Endpoint>` +
		`<Endpoint Order="1" Status="STANDBY">https://a.example/y</Endpoint><Endpoint Order="5" Status="ACTIVE">https://a.example/x</Endpoint></Service>` +
		`<Service xmlns="` + bcp.NSv2 + `" Id="b" Name="B"><EndpointList><Endpoint Order="0" Status="ACTIVE">https://a.example/b</Endpoint></EndpointList>` +
		`<Cache Strategy="CACHE_FIRST"><Key Tranform="xslt" Inline="true">&lt;xsl:stylesheet/></Key><Expiry Type="ttl">P1DT2H</Expiry></Cache></Service>` +
		`<Service Id="c" Name="C"/><Other xmlns="urn:x"/>` +
		`<Service xmlns="` + bcp.NSv2 + `" Id="d" Name=""><Cache Strategy="S"><Key Transform="xslt" Inline="0">https://a.example/k</Key><Expiry Type="ttl" Duration="soon">P1D</Expiry></Cache></Service>`
	l, err := bcp.Verify(p.make(draft{services: services}), p.trust(), nil, bcp.Production)
	if err != nil {
		t.Fatal(err)
	}
	a := l.Service("a")
	if len(l.Services) != 4 || len(a.Endpoints) != 2 || a.Endpoints[0] != (resilience.Endpoint{URL: "https://a.example/x", Order: 2, Active: true}) || a.Endpoints[1].Active {
		t.Errorf("%+v", l.Services)
	}
	if c := l.Service("b").Cache; c == nil || *c != (bcp.Cache{
		Strategy: "CACHE_FIRST", KeyInline: true, KeyRule: "<xsl:stylesheet/>", Transform: "xslt", Expiry: "ttl", Duration: 26 * time.Hour,
	}) {
		t.Errorf("%+v", c)
	}
	if c := l.Service("d").Cache; c.Transform != "xslt" || c.KeyInline || c.KeyRule != "https://a.example/k" || !c.BadDuration || c.Duration != 0 {
		t.Errorf("%+v", c)
	}
}

func TestVerifyRefuses(t *testing.T) {
	p, other := world(), newPKI()
	good := p.make(draft{})
	self := issue(nil, name(platform), kind{})
	person := issue(&p.issuing, name("C=BE|O=Federal Government|OU=SSIN=00000000097|CN=SSIN=00000000097"), kind{})
	rogueOrg := issue(&p.issuing, name(strings.Replace(platform, "Federal Government", "Evil", 1)), kind{})
	twoCN := issue(&p.issuing, name("C=BE|O=Federal Government|OU=SERVICELIST|OU=CBE=0809394427|CN=x|CN=CBE=0809394427, SERVICELIST"), kind{})
	expired := issue(&p.issuing, name(platform), kind{from: -48 * time.Hour, to: -time.Hour})
	unborn := issue(&p.issuing, name(platform), kind{from: time.Hour})
	sealer := issue(&p.issuing, name(platform), kind{usage: x509.KeyUsageKeyEncipherment})
	subCA := issue(&p.issuing, name(platform), kind{ca: true})
	now := time.Now()
	previous, err := bcp.Verify(p.make(draft{issued: now.Add(-time.Minute).Truncate(time.Second)}), p.trust(), nil, bcp.Production)
	if err != nil {
		t.Fatal(err)
	}
	at := previous.IssueInstant
	wrapped := []byte(`<ServiceList xmlns="` + bcp.NSv1 + `" Id="_w" IssueInstant="2026-01-01T00:00:00Z" Environment="Production">` +
		string(good) + switched + `</ServiceList>`)
	inside := bytes.Replace(good, []byte("<Service "), append([]byte("<Wrap>"), append(bytes.Clone(good), "</Wrap><Service "...)...), 1)
	ep := func(url string) string {
		return `<Service Id="s" Name="S"><Endpoint Order="0" Status="ACTIVE">` + url + `</Endpoint></Service>`
	}
	for _, c := range []struct {
		name string
		doc  []byte
		want error
	}{
		{"digest", replace(t, good, ">"+esb, ">https://evil.example"), bcp.ErrBadSignature},
		{"signature value", replace(t, good, "<ds:SignatureValue>", "<ds:SignatureValue>AAAA"), bcp.ErrBadSignature},
		{"attribute of the root", replace(t, good, `Environment="Production"`, `Environment="Production" x="y"`), bcp.ErrBadSignature},
		{"unsigned", good[:bytes.Index(good, []byte("<ds:Signature"))], bcp.ErrSyntax},
		{"no signature", append(good[:bytes.Index(good, []byte("<ds:Signature")):bytes.Index(good, []byte("<ds:Signature"))], "</ServiceList>"...), bcp.ErrUnsigned},
		{"wrapped", wrapped, bcp.ErrWrapped},
		{"two signatures", inside, bcp.ErrWrapped},
		{"another signature inside", p.make(draft{services: normal + `<x xmlns="urn:x"><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></x>`}), bcp.ErrWrapped},
		{"signature first", moveSignature(good), bcp.ErrWrapped},
		{"same id twice", replace(t, good, `<Service Id="`+genins, `<Service Id="_list`), bcp.ErrWrapped},
		{"other element", p.make(draft{reference: "service", services: strings.Replace(normal, genins, "s1", 1)}), bcp.ErrOtherElement},
		{"properties not signed", p.make(draft{noXAdES: true}), bcp.ErrXAdES},
		{"properties of another certificate", p.make(draft{certOf: &person}), bcp.ErrXAdES},
		{"properties of another signature", p.make(draft{target: "#other"}), bcp.ErrXAdES},
		{"self-signed", p.make(draft{by: &self}), bcp.ErrSelfSigned},
		{"foreign authority", other.make(draft{}), bcp.ErrUntrusted},
		{"a person", p.make(draft{by: &person}), bcp.ErrSigner},
		{"another organisation", p.make(draft{by: &rogueOrg}), bcp.ErrSigner},
		{"two common names", p.make(draft{by: &twoCN}), bcp.ErrSigner},
		{"expired signer", p.make(draft{by: &expired}), bcp.ErrExpired},
		{"signer not valid yet", p.make(draft{by: &unborn}), bcp.ErrExpired},
		{"encryption certificate", p.make(draft{by: &sealer}), bcp.ErrSigner},
		{"a CA as signer", p.make(draft{by: &subCA}), bcp.ErrSigner},
		{"older", p.make(draft{issued: at.Add(-time.Second), services: switched}), bcp.ErrOlder},
		{"same instant", p.make(draft{issued: at, services: switched}), bcp.ErrConflict},
		{"future", p.make(draft{issued: now.Add(bcp.MaxSkew + time.Minute)}), bcp.ErrFuture},
		{"environment", p.make(draft{env: bcp.Acceptance}), bcp.ErrEnvironment},
		{"doctype", append([]byte(`<!DOCTYPE ServiceList [<!ENTITY e "e">]>`), good...), bcp.ErrDoctype},
		{"large", bytes.Repeat([]byte(" "), bcp.MaxBytes+1), bcp.ErrTooLarge},
		{"deep", []byte(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)), bcp.ErrTooLarge},
		{"many services", p.make(draft{services: many(2001)}), bcp.ErrTooLarge},
		{"empty", nil, bcp.ErrSyntax},
		{"html", []byte("<html><body/></html>"), bcp.ErrFormat},
		{"no service", p.make(draft{services: "<x/>"}), bcp.ErrFormat},
		{"order", p.make(draft{services: strings.Replace(normal, `Order="1"`, `Order="99999999999999999999"`, 1)}), bcp.ErrFormat},
		{"comment in an address", p.make(draft{services: strings.Replace(normal, "https://", "https://<!-- -->", 1)}), bcp.ErrFormat},
		{"http, known service", p.make(draft{services: strings.Replace(normal, esb, "http://esb.example", 1)}), bcp.ErrScheme},
		{"unknown host, known service", p.make(draft{services: strings.Replace(normal, esb, "https://evil.example", 1)}), bcp.ErrHost},
		{"unknown host, one service of two", p.make(draft{services: strings.Replace(normal, esb, "https://evil.example", 1) + ep(esb+"/s")}), bcp.ErrHost},
		{"other port, known service", p.make(draft{services: strings.Replace(normal, esb, esb+":8443", 1)}), bcp.ErrHost},
		{"nothing but unknown hosts", p.make(draft{services: ep("https://evil.example/x")}), bcp.ErrHost},
	} {
		prev := previous
		if c.want == bcp.ErrOtherElement {
			prev = nil
		}
		l, err := bcp.Verify(c.doc, p.trust(), prev, bcp.Production)
		if !errors.Is(err, c.want) || l != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		for _, secret := range []string{"evil", "SSIN", "00000000097"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error quotes the list: %v", c.name, err)
			}
		}
	}
}

// moveSignature puts the signature before the services.
func moveSignature(doc []byte) []byte {
	i, j := bytes.Index(doc, []byte("<ds:Signature")), bytes.LastIndex(doc, []byte("</ServiceList>"))
	at := bytes.Index(doc, []byte("<Service "))
	return bytes.Join([][]byte{doc[:at], doc[i:j], doc[at:i], doc[j:]}, nil)
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<Service Id="s%d" Name="S"/>`, i)
	}
	return b.String()
}

func TestVerifyTrust(t *testing.T) {
	p := world()
	doc := p.make(draft{})
	leafPinned, rootOnly := x509.NewCertPool(), x509.NewCertPool()
	leafPinned.AddCert(p.signer.cert)
	rootOnly.AddCert(p.root.cert)
	for _, c := range []struct {
		name  string
		trust bcp.Trust
		want  error
	}{
		{"no roots", bcp.Trust{}, bcp.ErrUntrusted},
		{"the leaf itself is no authority", bcp.Trust{Roots: leafPinned}, bcp.ErrUntrusted},
		{"root, issuing CA brought along", bcp.Trust{Roots: rootOnly}, nil},
		{"issuer by name", bcp.Trust{Roots: rootOnly, Issuer: func(cn string) bool { return cn == "Test issuing CA" }}, nil},
		{"another issuer", bcp.Trust{Roots: rootOnly, Issuer: func(cn string) bool { return cn == bcp.IssuerProduction }}, bcp.ErrUntrusted},
		{"signer by own rule", bcp.Trust{Roots: rootOnly, Signer: func(*x509.Certificate) bool { return false }}, bcp.ErrSigner},
		{"hosts, exact", bcp.Trust{Roots: rootOnly, Hosts: []string{"ESB.example", "mcn.example:9443"}}, nil},
		{"hosts, domain", bcp.Trust{Roots: rootOnly, Hosts: []string{".example"}}, nil},
		{"hosts, other", bcp.Trust{Roots: rootOnly, Hosts: []string{"esb.example"}}, bcp.ErrHost},
		{"hosts of the addresses known before", bcp.Trust{Roots: rootOnly, Addresses: resilience.Static{"x": {{URL: esb}, {URL: mcn}}}}, nil},
	} {
		if _, err := bcp.Verify(doc, c.trust, nil, bcp.Production); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestVerifyForeignServices: the list names services of other owners, whose hosts nobody told us.
func TestVerifyForeignServices(t *testing.T) {
	p := world()
	trust := p.trust()
	trust.Addresses = resilience.Static{genins: {{URL: esb + "/GenericInsurability/v1"}, {URL: mcn + "/genins"}}}
	foreign := normal + `<Service Id="uddi:vaccinnet-vlanderen-be:business:vacination:v2" Name="V"><Endpoint Order="0" Status="ACTIVE">https://vaccinnet.example/v2</Endpoint></Service>`
	l, err := bcp.Verify(p.make(draft{services: foreign}), trust, nil, bcp.Production)
	if err != nil || len(l.Services) != 1 || len(l.Ignored) != 1 || l.Ignored[0] != "uddi:vaccinnet-vlanderen-be:business:vacination:v2" {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestVerifySuccession(t *testing.T) {
	p := world()
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	first := p.make(draft{issued: at})
	previous, err := bcp.Verify(first, p.trust(), nil, bcp.Production)
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string][]byte{
		"same bytes":                     first,
		"same instant, signed again":     p.make(draft{issued: at}),
		"same instant, other version":    p.make(draft{issued: at, version: 2}),
		"later":                          p.make(draft{issued: at.Add(time.Millisecond), services: switched}),
		"issued within the clock's skew": p.make(draft{issued: time.Now().Add(bcp.MaxSkew - time.Minute), services: switched}),
	} {
		if _, err := bcp.Verify(doc, p.trust(), previous, bcp.Production); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestActive(t *testing.T) {
	for _, c := range []struct {
		eps  []resilience.Endpoint
		want string
	}{
		{nil, ""},
		{[]resilience.Endpoint{{URL: "b", Order: 1}, {URL: "a"}}, "a"},
		{[]resilience.Endpoint{{URL: "a"}, {URL: "c", Order: 2, Active: true}, {URL: "b", Order: 1, Active: true}}, "b"},
		{[]resilience.Endpoint{{URL: "a", Active: true}, {URL: "b", Order: 1, Active: true}}, "a"},
	} {
		if e, ok := bcp.Active(c.eps); e.URL != c.want || ok != (c.want != "") {
			t.Errorf("%v: %v", c.eps, e)
		}
	}
}
