package dsig_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const (
	nsU   = "urn:test:utility"
	nsWSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
)

var ids = []dsig.IDAttr{{Space: nsWSU, Local: "Id"}, {Local: "Id"}}

// opaque hides everything of a key but crypto.Signer, as a card does.
type opaque struct{ key crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }
func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, digest, opts)
}

type identity struct {
	name string
	key  crypto.Signer
	cert *x509.Certificate
}

func rsaIdentity(name string, bits int) func() identity {
	return sync.OnceValue(func() identity {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return newIdentity(name, k)
	})
}

func ecIdentity(name string, c elliptic.Curve) func() identity {
	return sync.OnceValue(func() identity {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		return newIdentity(name, k)
	})
}

func newIdentity(name string, key crypto.Signer) identity {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return identity{name, opaque{key}, cert}
}

var (
	rsaKey = rsaIdentity("RSA-2048", 2048)
	p256   = ecIdentity("P-256", elliptic.P256())
	p384   = ecIdentity("P-384", elliptic.P384())
	p521   = ecIdentity("P-521", elliptic.P521())
)

// as returns a policy that accepts the key of one identity.
func as(who identity) dsig.Policy {
	return dsig.Policy{IDs: ids, Key: func(*xmltree.Node) (*x509.Certificate, error) { return who.cert, nil }}
}

func parse(t testing.TB, doc string) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse([]byte(doc), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// find returns the first element with that local name.
func find(t testing.TB, root *xmltree.Node, local string) *xmltree.Node {
	t.Helper()
	for n := range root.Descendants() {
		if n.Local() == local {
			return n
		}
	}
	t.Fatalf("no element %s", local)
	return nil
}

// plain is a document with two things to sign; %SIG% is where the signature goes.
const plain = `<m:Message xmlns:m="urn:m" xmlns:o="urn:only-in-scope" xmlns:u="` + nsWSU + `"><m:Security>%SIG%</m:Security>` +
	`<m:Stamp u:Id="TS-1">2026-01-01T10:00:00Z</m:Stamp><m:Body m:b="2" u:Id="id-1" a="1"><Payload xmlns="urn:p">caf` + "\u00e9" + ` &amp; more</Payload></m:Body></m:Message>`

func withSignature(doc string, sig []byte) string {
	return strings.Replace(doc, "%SIG%", string(sig), 1)
}

// sign signs Body and Stamp of plain.
func sign(t testing.TB, who identity, prefixes []string) string {
	t.Helper()
	root := parse(t, withSignature(plain, nil))
	sig, err := dsig.Sign(who.key, []dsig.Ref{
		{Node: find(t, root, "Body"), URI: "#id-1", Prefixes: prefixes},
		{Node: find(t, root, "Stamp"), URI: "#TS-1"},
	}, dsig.SignOptions{
		ID:       "SIG-1",
		Prefixes: prefixes,
		Parent:   find(t, root, "Security"),
		KeyInfo:  func(w *xmltree.Writer) { dsig.WriteX509Data(w, who.cert) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return withSignature(plain, sig)
}

// template completes and signs a hand-written ds:Signature whose DigestValue elements read "?" and whose SignatureValue
// reads "!": the way to make valid signatures of a shape that Sign does not make.
func template(t testing.TB, who identity, hash crypto.Hash, doc string) string {
	t.Helper()
	for strings.Contains(doc, ">?<") {
		root := parse(t, doc)
		ref := find(t, root, "SignedInfo").Child(dsig.NS, "Reference")
		for text, _ := ref.Child(dsig.NS, "DigestValue").Text(); text != "?"; text, _ = ref.Child(dsig.NS, "DigestValue").Text() {
			ref = ref.NextSibling()
		}
		uri, _ := ref.Attr("", "URI")
		var target *xmltree.Node
		for n := range root.Descendants() {
			for _, a := range n.Attrs() {
				if "#"+a.Value == uri && a.Local == "Id" {
					target = n
				}
			}
		}
		o := c14n.Options{Inclusive: true}
		for tr := range ref.Child(dsig.NS, "Transforms").Elements() {
			switch alg, _ := tr.Attr("", "Algorithm"); alg {
			case dsig.EnvelopedSignature:
				o.Omit = find(t, root, "Signature")
			default:
				o = optionsOf(tr, o.Omit)
			}
		}
		h := hash.New()
		h.Write(c14n.Append(nil, target, o))
		doc = strings.Replace(doc, ">?<", ">"+base64.StdEncoding.EncodeToString(h.Sum(nil))+"<", 1)
	}
	info := find(t, parse(t, doc), "SignedInfo")
	h := hash.New()
	h.Write(c14n.Append(nil, info, optionsOf(info.Child(dsig.NS, "CanonicalizationMethod"), nil)))
	value, err := who.key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(doc, ">!<", ">"+base64.StdEncoding.EncodeToString(value)+"<", 1)
}

func optionsOf(n *xmltree.Node, omit *xmltree.Node) c14n.Options {
	alg, _ := n.Attr("", "Algorithm")
	list, _ := n.Child(dsig.ExcC14N, "InclusiveNamespaces").Attr("", "PrefixList")
	return c14n.Options{Inclusive: alg == dsig.C14N10, Prefixes: strings.Fields(list), Omit: omit}
}

// shape writes a signature template over "#id-1".
func shape(canon, method, transforms, digest string) string {
	return `<ds:Signature xmlns:ds="` + dsig.NS + `"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + canon + `"/>` +
		`<ds:SignatureMethod Algorithm="` + method + `"/><ds:Reference URI="#id-1">` + transforms +
		`<ds:DigestMethod Algorithm="` + digest + `"/><ds:DigestValue>?</ds:DigestValue></ds:Reference></ds:SignedInfo>` +
		`<ds:SignatureValue>!</ds:SignatureValue></ds:Signature>`
}

const excTransforms = `<ds:Transforms><ds:Transform Algorithm="` + dsig.ExcC14N + `"/></ds:Transforms>`
