package dsig_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func TestSignThenVerify(t *testing.T) {
	for _, who := range []identity{rsaKey(), p256(), p384(), p521()} {
		for _, prefixes := range [][]string{nil, {"o", "m"}, {"#default", "unknown", "u", "xml"}} {
			doc := sign(t, who, prefixes)
			root := parse(t, doc)
			v, err := dsig.Verify(find(t, root, "Signature"), as(who))
			if err != nil {
				t.Fatalf("%s %v: %v", who.name, prefixes, err)
			}
			if len(v.Refs) != 2 || !v.Covers(find(t, root, "Body")) || !v.Covers(find(t, root, "Stamp")) {
				t.Errorf("%s %v: signed parts not reported: %+v", who.name, prefixes, v.Refs)
			}
			if v.Covers(find(t, root, "Payload")) || v.Covers(root) || v.Covers(nil) || (*dsig.Verified)(nil).Covers(root) {
				t.Errorf("%s: Covers must be about that very node", who.name)
			}
			if v.Refs[0].URI != "#id-1" || v.Certificate != who.cert || v.Digest == [32]byte{} {
				t.Errorf("%s: %+v", who.name, v)
			}
			if want := map[bool]string{true: dsig.RSASHA256, false: dsig.ECDSASHA256}[who.name == "RSA-2048"]; v.SignatureMethod != want {
				t.Errorf("%s: method %s", who.name, v.SignatureMethod)
			}
		}
	}
}

// The signature must not depend on where it is put: a ds:Signature that is self-contained has the same SignedInfo under any
// parent.
func TestSignatureIsSelfContained(t *testing.T) {
	doc := sign(t, p256(), nil)
	sig := find(t, parse(t, doc), "Signature").Source()
	alone := c14n.Append(nil, find(t, parse(t, string(sig)), "SignedInfo"), c14n.Options{})
	inside := c14n.Append(nil, find(t, parse(t, doc), "SignedInfo"), c14n.Options{})
	if string(alone) != string(inside) {
		t.Error("canonical SignedInfo depends on the parent")
	}
	if strings.Contains(string(sig), "\n") || strings.Contains(string(sig), "  ") {
		t.Error("insignificant white space in the signature")
	}
}

func TestECDSAValueHasFixedLength(t *testing.T) {
	for who, want := range map[identity]int{p256(): 64, p384(): 96, p521(): 132} {
		for range 20 { // a leading zero byte in r or s turns up now and then
			text, _ := find(t, parse(t, sign(t, who, nil)), "SignatureValue").Text()
			if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) != want {
				t.Fatalf("%s: %d bytes, %v", who.name, len(raw), err)
			}
		}
	}
	// A signer whose r and s are tiny: both must be padded.
	who := identity{"tiny", fixedSigner{p256().key, []byte{0x30, 6, 2, 1, 5, 2, 1, 7}}, p256().cert}
	text, _ := find(t, parse(t, sign(t, who, nil)), "SignatureValue").Text()
	raw, _ := base64.StdEncoding.DecodeString(text)
	if len(raw) != 64 || raw[31] != 5 || raw[63] != 7 || raw[0] != 0 {
		t.Errorf("not padded: %x", raw)
	}
}

const typeSignedProperties = "http://uri.etsi.org/01903#SignedProperties"

// signList makes a document of the kind of the service list: enveloped, the second reference into its own ds:Object.
func signList(t *testing.T, who identity) string {
	t.Helper()
	list := `<l:List xmlns:l="urn:l" Id="_1"><l:Entry>a</l:Entry></l:List>`
	objects := func(w *xmltree.Writer) {
		w.Start("ds", "Object")
		w.Start("xades", "QualifyingProperties")
		w.NS("xades", "http://uri.etsi.org/01903/v1.3.2#")
		w.Attr("", "Target", "#SIG")
		w.Start("xades", "SignedProperties")
		w.Attr("", "Id", "SP")
		w.Leaf("xades", "SigningTime", "2026-01-01T10:00:00Z")
		w.End()
		w.End()
		w.End()
	}
	sig, err := dsig.Sign(who.key, []dsig.Ref{
		{Node: parse(t, list), URI: "#_1", Enveloped: true},
		{URI: "#SP", Type: typeSignedProperties},
	}, dsig.SignOptions{ID: "SIG", KeyInfo: func(w *xmltree.Writer) { dsig.WriteX509Data(w, who.cert) }, Objects: objects})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(list, "</l:List>", string(sig)+"</l:List>", 1)
}

func TestSignOwnObject(t *testing.T) {
	for _, who := range []identity{rsaKey(), p256()} {
		doc := signList(t, who)
		signed := parse(t, doc)
		v, err := dsig.Verify(find(t, signed, "Signature"), as(who))
		if err != nil {
			t.Fatal(err)
		}
		if !v.Covers(signed) || !v.Covers(find(t, signed, "SignedProperties")) || !v.Refs[0].Enveloped || v.Refs[1].Enveloped || v.Refs[1].Type != typeSignedProperties {
			t.Errorf("%+v", v.Refs)
		}
		for _, change := range [][2]string{{"<l:Entry>a", "<l:Entry>b"}, {"10:00:00", "10:00:01"}} {
			bad := parse(t, strings.Replace(doc, change[0], change[1], 1))
			if _, err := dsig.Verify(find(t, bad, "Signature"), as(who)); !errors.Is(err, dsig.ErrDigest) {
				t.Errorf("change of %s: %v", change[0], err)
			}
		}
	}
}

// fixedSigner answers every request with the same bytes.
type fixedSigner struct {
	crypto.Signer
	answer []byte
}

func (f fixedSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	if f.answer == nil {
		return nil, errCard
	}
	return f.answer, nil
}

var errCard = errors.New("card removed")

func TestSignRefuses(t *testing.T) {
	root := parse(t, withSignature(plain, nil))
	body := find(t, root, "Body")
	good := []dsig.Ref{{Node: body, URI: "#id-1"}}
	ed, edKey, _ := ed25519.GenerateKey(rand.Reader)
	_ = ed
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	order := elliptic.P256().Params().N
	tooBig := append([]byte{0x30, 38, 2, 33, 0}, new(big.Int).Add(order, big.NewInt(0)).Bytes()...)
	tooBig = append(tooBig, 2, 1, 1)
	sp := func(w *xmltree.Writer) { w.Start("ds", "Object"); w.Attr("", "Id", "SP"); w.End() }
	for name, c := range map[string]struct {
		key  crypto.Signer
		refs []dsig.Ref
		o    dsig.SignOptions
		want error
	}{
		"no key":                {nil, good, dsig.SignOptions{}, dsig.ErrKey},
		"Ed25519":               {edKey, good, dsig.SignOptions{}, dsig.ErrKey},
		"P-224":                 {p224, good, dsig.SignOptions{}, dsig.ErrKey},
		"no reference":          {p256().key, nil, dsig.SignOptions{}, dsig.ErrReference},
		"empty URI":             {p256().key, []dsig.Ref{{Node: root}}, dsig.SignOptions{}, dsig.ErrReference},
		"external URI":          {p256().key, []dsig.Ref{{Node: body, URI: "cid:1"}}, dsig.SignOptions{}, dsig.ErrReference},
		"XPointer":              {p256().key, []dsig.Ref{{Node: body, URI: "#xpointer(id('id-1'))"}}, dsig.SignOptions{}, dsig.ErrReference},
		"other id":              {p256().key, []dsig.Ref{{Node: body, URI: "#TS-1"}}, dsig.SignOptions{}, dsig.ErrReference},
		"id in no id attribute": {p256().key, []dsig.Ref{{Node: body, URI: "#2"}}, dsig.SignOptions{}, dsig.ErrReference},
		"Type that is markup":   {p256().key, []dsig.Ref{{Node: body, URI: "#id-1", Type: `x"><y`}}, dsig.SignOptions{}, dsig.ErrReference},
		"own id missing":        {p256().key, []dsig.Ref{{URI: "#SP"}}, dsig.SignOptions{}, dsig.ErrReference},
		"own id twice":          {p256().key, []dsig.Ref{{URI: "#SP"}}, dsig.SignOptions{Objects: func(w *xmltree.Writer) { sp(w); sp(w) }}, dsig.ErrDuplicateID},
		"own with PrefixList":   {p256().key, []dsig.Ref{{URI: "#SP", Prefixes: []string{"ds"}}}, dsig.SignOptions{Objects: sp}, dsig.ErrReference},
		"undeclared prefix":     {p256().key, good, dsig.SignOptions{KeyInfo: func(w *xmltree.Writer) { w.Leaf("no", "X", "") }}, dsig.ErrFormat},
		"unclosed KeyInfo":      {p256().key, good, dsig.SignOptions{Objects: func(w *xmltree.Writer) { w.Start("ds", "Object") }}, dsig.ErrFormat},
		"signer fails":          {fixedSigner{p256().key, nil}, good, dsig.SignOptions{}, errCard},
		"signer: not ASN.1":     {fixedSigner{p256().key, make([]byte, 64)}, good, dsig.SignOptions{}, dsig.ErrKey},
		"signer: zero":          {fixedSigner{p256().key, []byte{0x30, 6, 2, 1, 0, 2, 1, 7}}, good, dsig.SignOptions{}, dsig.ErrKey},
		"signer: negative":      {fixedSigner{p256().key, []byte{0x30, 6, 2, 1, 0xff, 2, 1, 7}}, good, dsig.SignOptions{}, dsig.ErrKey},
		"signer: beyond order":  {fixedSigner{p256().key, tooBig}, good, dsig.SignOptions{}, dsig.ErrKey},
		"signer: short RSA":     {fixedSigner{rsaKey().key, make([]byte, 255)}, good, dsig.SignOptions{}, dsig.ErrKey},
	} {
		if sig, err := dsig.Sign(c.key, c.refs, c.o); !errors.Is(err, c.want) || sig != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
