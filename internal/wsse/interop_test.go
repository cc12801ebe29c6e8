package wsse_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

func certPEM(who identity) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: who.cred.Certificate.Raw})
}

func keyDER(t *testing.T, who identity) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(who.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Our messages of both profiles, judged by xmlsec1 and, reference by reference, by the JDK.
func TestOursJudgedByOthers(t *testing.T) {
	type message struct {
		doc  string
		refs int
	}
	for _, who := range []identity{rsaID(), ec(), ec384()} {
		for name, m := range map[string]message{"X.509": {x509Message(t, who), 3}, "HoK": {hokMessage(t, who), 2}} {
			bad := []byte(edit(t, m.doc, "<Patient>caf", "<Patient>cof"))
			oracle.XMLSecVerify(t, []byte(m.doc), certPEM(who))
			if oracle.XMLSecError(t, bad, certPEM(who)) == nil {
				t.Errorf("%s %s: xmlsec1 accepts a changed message", who.name, name)
			}
			cert := who.cred.Certificate.Raw
			got := oracle.JavaVerify(t, oracle.VerifyJob{Doc: []byte(m.doc), Cert: cert}, oracle.VerifyJob{Doc: bad, Cert: cert})
			if !got[0].Valid || len(got[0].References) != m.refs {
				t.Errorf("%s %s: JDK refuses: %+v", who.name, name, got[0])
			}
			for _, r := range got[0].References {
				if !r.Valid {
					t.Errorf("%s %s: JDK refuses %s", who.name, name, r.URI)
				}
			}
			if got[1].Valid || !got[1].SignatureValue || got[1].References[0].Valid {
				t.Errorf("%s %s: JDK on a changed message: %+v", who.name, name, got[1])
			}
		}
	}
}

// foreign is what the other signers get: layouts of both profiles without a signature.
func foreign(who identity) map[string]layout {
	return map[string]layout{
		"X.509": {before: "%TS%" + bst(who), ids: []string{"id-1", "TS-1", "X509-1"}, str: bstSTR},
		"HoK":   {before: "%TS%" + assertion(who), ids: []string{"id-1", "TS-1"}, str: samlSTR},
	}
}

// accept checks a message of a foreign signer, as it is and changed.
func accept(t *testing.T, what, doc string) {
	t.Helper()
	v, err := verify(t, doc, now)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if want := strings.Contains(doc, "<Assertion "); want != (v.Profile == wsse.HolderOfKeyToken) {
		t.Errorf("%s: taken for %v", what, v.Profile)
	}
	if _, err := verify(t, edit(t, doc, "<Patient>caf", "<Patient>cof"), now); !errors.Is(err, dsig.ErrDigest) {
		t.Errorf("%s changed: %v", what, err)
	}
}

func TestMessagesSignedByTheJDK(t *testing.T) {
	for _, who := range []identity{rsaID(), ec(), ec384()} {
		for name, l := range foreign(who) {
			for _, prefixes := range [][]string{nil, {"S", "wsse", "xsd"}} {
				doc := oracle.JavaSign(t, oracle.SignJob{
					Doc: []byte(strings.Replace(l.envelope(), "%SIG%", "", 1)), IDs: l.ids, Key: keyDER(t, who), Cert: who.cred.Certificate.Raw,
					KeyInfo: []byte(withNamespaces(l.str)), Prefixes: prefixes,
				})
				accept(t, "JDK "+who.name+" "+name+" "+strings.Join(prefixes, ","), string(doc))
			}
		}
	}
}

func TestMessagesSignedByXMLSec(t *testing.T) {
	for who, method := range map[identity]string{rsaID(): dsig.RSASHA256, ec(): dsig.ECDSASHA256} {
		for name, l := range foreign(who) {
			for _, list := range []string{"", `<ec:InclusiveNamespaces xmlns:ec="` + dsig.ExcC14N + `" PrefixList="S wsse xsd"/>`} {
				c14n := ` Algorithm="` + dsig.ExcC14N + `">` + list
				sig := `<ds:Signature xmlns:ds="` + dsig.NS + `"><ds:SignedInfo><ds:CanonicalizationMethod` + c14n + `</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="` + method + `"/>`
				for _, id := range l.ids {
					sig += `<ds:Reference URI="#` + id + `"><ds:Transforms><ds:Transform` + c14n + `</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="` + dsig.SHA256 + `"/><ds:DigestValue/></ds:Reference>`
				}
				sig += `</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo>` + l.str + `</ds:KeyInfo></ds:Signature>`
				key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER(t, who)})
				doc := oracle.XMLSecSign(t, []byte(strings.Replace(l.envelope(), "%SIG%", sig, 1)), key)
				accept(t, "xmlsec1 "+who.name+" "+name, string(doc))
			}
		}
	}
}
