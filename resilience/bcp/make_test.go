package bcp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

const (
	nsXAdES  = "http://uri.etsi.org/01903/v1.3.2#"
	typeProp = "http://uri.etsi.org/01903#SignedProperties"
	genins   = "uddi:ehealth-fgov-be:business:genericinsurability:v1"
	pharma   = "uddi:ehealth-fgov-be:business:insurability:v2"
	esb      = "https://esb.example"
	mcn      = "https://mcn.example:9443"
)

// actor is a certificate with its key and what issued it.
type actor struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain []*x509.Certificate
}

// pki is a root, the issuing CA, and the list's signer.
type pki struct{ root, issuing, signer actor }

var serial atomic.Int64

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// kind is what differs between certificates.
type kind struct {
	ca       bool
	from, to time.Duration // relative to now; 0 = one day before, one year after
	usage    x509.KeyUsage
}

func issue(by *actor, subject []byte, k kind) actor {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	if k.from == 0 {
		k.from = -24 * time.Hour
	}
	if k.to == 0 {
		k.to = 365 * 24 * time.Hour
	}
	if k.ca {
		k.usage = x509.KeyUsageCertSign
	} else if k.usage == 0 {
		k.usage = x509.KeyUsageDigitalSignature
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), RawSubject: subject, NotBefore: time.Now().Add(k.from), NotAfter: time.Now().Add(k.to),
		IsCA: k.ca, BasicConstraintsValid: true, KeyUsage: k.usage,
	}
	parent, signer := t, crypto.Signer(key)
	var chain []*x509.Certificate
	if by != nil {
		parent, signer, chain = by.cert, by.key, append([]*x509.Certificate{by.cert}, by.chain...)
	}
	der := must(x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer))
	return actor{must(x509.ParseCertificate(der)), key, chain}
}

var oids = map[string]asn1.ObjectIdentifier{"C": {2, 5, 4, 6}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "CN": {2, 5, 4, 3}}

// name encodes "C=BE|O=…|OU=…".
func name(s string) []byte {
	var seq pkix.RDNSequence
	for _, part := range strings.Split(s, "|") {
		k, v, _ := strings.Cut(part, "=")
		seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: oids[k], Value: v}})
	}
	return must(asn1.Marshal(seq))
}

const platform = "C=BE|O=Federal Government|OU=SERVICELIST|OU=CBE=0809394427|OU=EHEALTH-PLATFORM|OU=eHealth-platform Belgium|CN=CBE=0809394427, SERVICELIST"

func newPKI() *pki {
	p := &pki{root: issue(nil, name("C=BE|CN=Test root"), kind{ca: true})}
	p.issuing = issue(&p.root, name("C=BE|CN=Test issuing CA"), kind{ca: true})
	p.signer = issue(&p.issuing, name(platform), kind{})
	return p
}

func (p *pki) trust() bcp.Trust {
	pool := x509.NewCertPool()
	pool.AddCert(p.issuing.cert)
	return bcp.Trust{Roots: pool}
}

// draft is a list to be made. The zero value of a field is what is right.
type draft struct {
	version  int // 0 = 1
	env      string
	issued   time.Time
	services string // inner XML; "" = normal
	by       *actor

	reference string // "service": the reference names a service; "comment": no enveloped transform is possible
	noXAdES   bool   // signed properties are not signed
	certOf    *actor // whose certificate the properties name
	target    string // QualifyingProperties/@Target
}

const normal = `<Service Id="` + genins + `" Name="GenIns"><Endpoint Order="0" Status="ACTIVE">` + esb + `/GenericInsurability/v1</Endpoint>` +
	`<Endpoint Order="1" Status="INACTIVE">` + mcn + `/genins</Endpoint></Service>`

var (
	switched = strings.NewReplacer("INACTIVE", "ACTIVE", "ACTIVE", "INACTIVE").Replace(normal)
	normalV2 = strings.NewReplacer(`"GenIns">`, `"GenIns"><EndpointList>`, `</Service>`, `</EndpointList></Service>`).Replace(normal)
)

// make writes and signs a list.
func (p *pki) make(d draft) []byte {
	ns := bcp.NSv1
	if d.version == 2 {
		ns = bcp.NSv2
	}
	if d.env == "" {
		d.env = bcp.Production
	}
	if d.issued.IsZero() {
		d.issued = time.Now().Add(-time.Minute)
	}
	if d.services == "" {
		if d.services = normal; d.version == 2 {
			d.services = normalV2
		}
	}
	if d.by == nil {
		d.by = &p.signer
	}
	doc := []byte(`<ServiceList xmlns="` + ns + `" Id="_list" IssueInstant="` + d.issued.UTC().Format("2006-01-02T15:04:05.000Z") +
		`" Environment="` + d.env + `">` + d.services + `</ServiceList>`)
	return d.sign(doc)
}

func (d draft) sign(doc []byte) []byte {
	root := must(xmltree.Parse(doc, xmltree.Limits{}))
	ref := dsig.Ref{Node: root, URI: "#_list", Enveloped: true}
	if d.reference == "service" {
		s := root.FirstChild()
		id, _ := s.Attr("", "Id")
		ref = dsig.Ref{Node: s, URI: "#" + id}
	}
	refs := []dsig.Ref{ref}
	if !d.noXAdES {
		refs = append(refs, dsig.Ref{URI: "#_props", Type: typeProp})
	}
	named := d.certOf
	if named == nil {
		named = d.by
	}
	sig := must(dsig.Sign(d.by.key, refs, dsig.SignOptions{
		ID: "_sig",
		KeyInfo: func(w *xmltree.Writer) {
			dsig.WriteX509Data(w, d.by.cert)
			if len(d.by.chain) > 0 {
				dsig.WriteX509Data(w, d.by.chain[0])
			}
		},
		Objects: func(w *xmltree.Writer) {
			sum := sha256.Sum256(named.cert.Raw)
			target := d.target
			if target == "" {
				target = "#_sig"
			}
			w.Raw([]byte(`<ds:Object xmlns:ds="` + dsig.NS + `"><x:QualifyingProperties xmlns:x="` + nsXAdES + `" Target="` + target +
				`"><x:SignedProperties Id="_props"><x:SignedSignatureProperties><x:SigningTime>2026-01-01T00:00:00Z</x:SigningTime>` +
				`<x:SigningCertificate><x:Cert><x:CertDigest><ds:DigestMethod Algorithm="` + dsig.SHA256 + `"/><ds:DigestValue>` +
				base64.StdEncoding.EncodeToString(sum[:]) + `</ds:DigestValue></x:CertDigest></x:Cert></x:SigningCertificate>` +
				`</x:SignedSignatureProperties></x:SignedProperties></x:QualifyingProperties></ds:Object>`))
		},
	}))
	return insert(doc, sig)
}

// insert puts content before the last end tag.
func insert(doc, content []byte) []byte {
	i := bytes.LastIndexByte(doc, '<')
	return bytes.Join([][]byte{doc[:i], content, doc[i:]}, nil)
}

func replace(t testing.TB, doc []byte, old, with string) []byte {
	t.Helper()
	if !bytes.Contains(doc, []byte(old)) {
		t.Fatalf("document has no %q", old)
	}
	return bytes.Replace(doc, []byte(old), []byte(with), 1)
}

func replaceOnce(doc []byte, old, with string) []byte {
	return bytes.Replace(doc, []byte(old), []byte(with), 1)
}
