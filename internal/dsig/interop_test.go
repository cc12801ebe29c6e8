package dsig_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func certPEM(who identity) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: who.cert.Raw})
}

func keyDER(t *testing.T, who identity) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(who.key.(opaque).key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var xmlsecIDs = []string{"Id=urn:m:Body", "Id=urn:m:Stamp"}

// What we sign is accepted by xmlsec1 and by the JDK, reference by reference, and refused by both when changed.
func TestOursJudgedByOthers(t *testing.T) {
	for _, who := range []identity{rsaKey(), p256(), p384(), p521()} {
		for _, prefixes := range [][]string{nil, {"o", "m", "#default"}} {
			doc := []byte(sign(t, who, prefixes))
			oracle.XMLSecVerify(t, doc, certPEM(who), xmlsecIDs...)
			bad := []byte(strings.Replace(string(doc), "more</", "less</", 1))
			if oracle.XMLSecError(t, bad, certPEM(who), xmlsecIDs...) == nil {
				t.Errorf("%s: xmlsec1 accepts a changed document", who.name)
			}
			got := oracle.JavaVerify(t, oracle.VerifyJob{Doc: doc, Cert: who.cert.Raw}, oracle.VerifyJob{Doc: bad, Cert: who.cert.Raw})
			if !got[0].Valid || len(got[0].References) != 2 || !got[0].References[0].Valid || !got[0].References[1].Valid {
				t.Errorf("%s %v: JDK refuses: %+v", who.name, prefixes, got[0])
			}
			if got[1].Valid {
				t.Errorf("%s: JDK accepts a changed document", who.name)
			}
		}
	}
}

// What the JDK signs is accepted by us, with and without InclusiveNamespaces.
func TestJDKSignatures(t *testing.T) {
	for _, who := range []identity{rsaKey(), p256(), p384(), p521()} {
		for _, prefixes := range [][]string{nil, {"o", "m", "u"}} {
			doc := string(oracle.JavaSign(t, oracle.SignJob{
				Doc: []byte(withSignature(plain, nil)), IDs: []string{"TS-1", "id-1"}, Key: keyDER(t, who), Cert: who.cert.Raw,
				ParentSpace: "urn:m", ParentLocal: "Security", Prefixes: prefixes,
			}))
			root := parse(t, doc)
			p := as(who)
			p.Key = func(ki *xmltree.Node) (*x509.Certificate, error) {
				certs, err := dsig.Certificates(ki)
				if err != nil || len(certs) != 1 {
					return nil, errors.New("KeyInfo of the JDK not read")
				}
				return certs[0], nil
			}
			v, err := dsig.Verify(find(t, root, "Signature"), p)
			if err != nil {
				t.Errorf("%s %v: %v", who.name, prefixes, err)
				continue
			}
			if !v.Covers(find(t, root, "Body")) || !v.Covers(find(t, root, "Stamp")) {
				t.Errorf("%s %v: %+v", who.name, prefixes, v.Refs)
			}
			if err := verify(t, edit(t, doc, "more</", "less</"), p); !errors.Is(err, dsig.ErrDigest) {
				t.Errorf("%s %v changed: %v", who.name, prefixes, err)
			}
		}
	}
}

// What xmlsec1 signs is accepted by us, with and without InclusiveNamespaces, line breaks of its base64 included.
func TestXMLSecSignatures(t *testing.T) {
	list := `<ec:InclusiveNamespaces xmlns:ec="` + dsig.ExcC14N + `" PrefixList="o m"/>`
	for who, method := range map[identity]string{rsaKey(): dsig.RSASHA256, p256(): dsig.ECDSASHA256} {
		for _, inclusive := range []string{"", list} {
			tr := strings.Replace(excTransforms, `#"/>`, `#">`+inclusive+`</ds:Transform>`, 1)
			sig := shape(dsig.ExcC14N, method, tr, dsig.SHA256)
			sig = strings.NewReplacer(">?<", "><", ">!<", "><").Replace(sig)
			keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER(t, who)})
			doc := string(oracle.XMLSecSign(t, []byte(withSignature(plain, []byte(sig))), keyPEM, xmlsecIDs...))
			if err := verify(t, doc, as(who)); err != nil {
				t.Errorf("%s %q: %v", who.name, inclusive, err)
			}
			if err := verify(t, edit(t, doc, "more</", "less</"), as(who)); !errors.Is(err, dsig.ErrDigest) {
				t.Errorf("%s changed: %v", who.name, err)
			}
		}
	}
}

func TestOwnObjectJudgedByOthers(t *testing.T) {
	for _, who := range []identity{rsaKey(), p256()} {
		doc := []byte(signList(t, who))
		oracle.XMLSecVerify(t, doc, certPEM(who), "Id=urn:l:List", "Id=http://uri.etsi.org/01903/v1.3.2#:SignedProperties")
		if got := oracle.JavaVerify(t, oracle.VerifyJob{Doc: doc, Cert: who.cert.Raw}); !got[0].Valid || len(got[0].References) != 2 {
			t.Errorf("%s: JDK: %+v", who.name, got[0])
		}
	}
}
