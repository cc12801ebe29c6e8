package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func kgssReaderXML(element, namespace, name string, values ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<k:%s><k:Namespace>%s</k:Namespace><k:Name>%s</k:Name>", element, namespace, name)
	for _, v := range values {
		fmt.Fprintf(&b, "<k:Value>%s</k:Value>", v)
	}
	return b.String() + "</k:" + element + ">"
}

// kgssMessage seals a content for the KGSS and puts it into its outer message.
func (w *world) kgssMessage(operation, content string, by Credential) string {
	w.t.Helper()
	keys, err := w.s.serviceKeys("CBE", eHealthCBE, kgssApp)
	if err != nil {
		w.t.Fatal(err)
	}
	doc := fmt.Sprintf(`<k:%sContent xmlns:k="%s">%s</k:%sContent>`, operation, nsKGSS, content, operation)
	sealed, err := seal([]byte(doc), by, time.Now(), cms.ForCertificate{Certificate: keys[1].Certificate})
	if err != nil {
		w.t.Fatal(err)
	}
	return kgssOuter(operation, sealed)
}

func kgssOuter(operation string, sealed []byte) string {
	inner := "Sealed" + strings.TrimPrefix(operation, "Get")
	return fmt.Sprintf(`<k:%s xmlns:k="%s"><k:%s><k:SealedContent>%s</k:SealedContent></k:%s></k:%s>`,
		operation, nsKGSS, inner, b64(sealed), inner, operation)
}

// kgssAnswer is the sealed part of an answer, or the code of its error.
func (w *world) kgssAnswer(r *response) (sealed []byte, code string) {
	w.t.Helper()
	n := w.answered(r)
	if e := n.Child("", "Error"); e != nil {
		if textOf(nodeAt(n, "", "Status", "Code")) != "300" {
			w.t.Error("an error under a status of success")
		}
		return nil, textOf(e.Child("", "Code"))
	}
	for c := range n.Descendants() {
		if c.Is(nsKGSS, "SealedContent") {
			return binaryOf(c), ""
		}
	}
	w.t.Fatal("neither content nor error")
	return nil, ""
}

func parsed(t testing.TB, doc []byte) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newKGSSKey creates a key for these readers and opens the answer as its owner does.
func (w *world) newKGSSKey(p *Person, readersXML string) (id, key []byte) {
	w.t.Helper()
	etk, err := w.s.ETK(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()})
	if err != nil {
		w.t.Fatal(err)
	}
	auth := w.must(p.Authentication())
	msg := w.kgssMessage("GetNewKeyRequest", readersXML+"<k:ETK>"+b64(etk)+"</k:ETK>", auth)
	rs := w.call(pathKGSS, "", envelope(w.t, msg))
	if rs.Effect != "kgss.new" {
		w.t.Errorf("effect %q", rs.Effect)
	}
	sealed, code := w.kgssAnswer(rs)
	if code != "" {
		w.t.Fatal(code)
	}
	mine, err := p.Encryption()
	if err != nil {
		w.t.Fatal(err)
	}
	content, signer, err := w.s.unseal(sealed, mine, time.Now())
	if err != nil || !strings.Contains(signer.Subject.CommonName, "KGSS") {
		w.t.Fatalf("answer: %v", err)
	}
	n := parsed(w.t, content)
	return binaryOf(n.Child(nsKGSS, "NewKeyIdentifier")), binaryOf(n.Child(nsKGSS, "NewKey"))
}

func TestKGSS(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	certified := "urn:be:fgov:certified-namespace:ehealth"
	doctors := kgssReaderXML("AllowedReader", certified, claimPSE+"doctor:nihii11", "")
	auth := w.must(p.Authentication())
	etk, err := w.s.ETK(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := p.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	kek := make([]byte, 16)
	_, _ = rand.Read(kek)
	for name, tc := range map[string]struct {
		acl    string
		denied bool
	}{
		"empty value":  {doctors, false},
		"no value":     {kgssReaderXML("AllowedReader", certified, claimPSE+"doctor:nihii11"), false},
		"right value":  {kgssReaderXML("AllowedReader", nsIdentification, claimPS, "x", p.SSIN.Reveal()), false},
		"other value":  {kgssReaderXML("AllowedReader", nsIdentification, claimPS, "85073199704"), true},
		"other space":  {kgssReaderXML("AllowedReader", nsIdentification, claimPSE+"doctor:nihii11"), true},
		"one of two":   {kgssReaderXML("AllowedReader", certified, "x") + doctors, false},
		"excluded too": {doctors + kgssReaderXML("ExludedReader", nsIdentification, claimPS, p.SSIN.Reveal()), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t, w.s}
			id, key := w.newKGSSKey(p, tc.acl)
			ask := "<k:KeyIdentifier>" + b64(id) + "</k:KeyIdentifier>"
			rs := w.call(pathKGSS, "", w.message(w.kgssMessage("GetKeyRequest", ask+"<k:ETK>"+b64(etk)+"</k:ETK>", auth), tk))
			if tc.denied {
				m, err := soap.Parse(rs.Body, xmltree.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if f, ok := m.Fault(); !ok || rs.Status != http.StatusInternalServerError || f.FaultCode != "InvalidSecurity" || f.FaultSpace != nsWSSE || rs.Effect != "" {
					t.Errorf("status %d, fault %+v", rs.Status, f)
				}
				return
			}
			sealed, code := w.kgssAnswer(rs)
			content, _, err := w.s.unseal(sealed, mine, time.Now())
			if code != "" || err != nil || rs.Effect != "kgss.get" {
				t.Fatalf("%s %v, effect %q", code, err, rs.Effect)
			}
			if got := binaryOf(parsed(t, content).Child(nsKGSS, "Key")); string(got) != string(key) {
				t.Error("another key")
			}
			ask += "<k:KeyEncryptionKey>" + b64(kek) + "</k:KeyEncryptionKey>"
			sealed, code = w.kgssAnswer(w.call(pathKGSS, "", w.message(w.kgssMessage("GetKeyRequest", ask, auth), tk)))
			if got := binaryOf(parsed(t, openKEK(t, sealed, kek)).Child(nsKGSS, "Key")); code != "" || string(got) != string(key) {
				t.Errorf("with a key-encryption key: %s", code)
			}
		})
	}
}

// openKEK opens a message for an unknown recipient, without looking at the signatures.
func openKEK(t testing.TB, sealed, kek []byte) []byte {
	t.Helper()
	outer, err := cms.ParseSignedData(sealed, cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := cms.ParseEnvelopedData(outer.Content.Bytes(), cms.Limits{})
	if err != nil || len(e.Recipients) != 1 || e.Recipients[0].KEK == nil {
		t.Fatalf("envelope: %v", err)
	}
	key, err := e.Recipients[0].KEK.Unwrap(kek)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := e.Decrypt(key)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := cms.ParseSignedData(plain, cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return inner.Content.Bytes()
}

func TestKGSSRefusals(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	auth := w.must(p.Authentication())
	acl := kgssReaderXML("AllowedReader", "n", "m")
	etk, err := w.s.ETK(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	etkXML := "<k:ETK>" + b64(etk) + "</k:ETK>"
	sealedFor := func(enc Credential, by Credential) string {
		sealed, err := seal([]byte("x"), by, time.Now(), cms.ForCertificate{Certificate: enc.Certificate})
		if err != nil {
			t.Fatal(err)
		}
		return kgssOuter("GetNewKeyRequest", sealed)
	}
	mine, err := p.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := w.s.serviceKeys("CBE", eHealthCBE, kgssApp)
	if err != nil {
		t.Fatal(err)
	}
	unknown := "<k:KeyIdentifier>AAAA</k:KeyIdentifier>"
	for name, tc := range map[string]struct{ msg, want string }{
		"not sealed":       {kgssOuter("GetNewKeyRequest", []byte("hello")), "UNSEAL_FAILED"},
		"for somebody":     {sealedFor(mine[0], auth), "UNSEAL_FAILED"},
		"by a foreigner":   {sealedFor(keys[1], w.must(w.s.Foreign(p))), "UNSEAL_FAILED"},
		"no XML":           {sealedFor(keys[1], auth), "INVALID_REQUEST"},
		"no ETK":           {w.kgssMessage("GetNewKeyRequest", acl, auth), "INVALID_REQUEST"},
		"ETK first":        {w.kgssMessage("GetNewKeyRequest", etkXML+acl, auth), "INVALID_REQUEST"},
		"no readers":       {w.kgssMessage("GetNewKeyRequest", etkXML, auth), "INVALID_REQUEST"},
		"not an ETK":       {w.kgssMessage("GetNewKeyRequest", acl+"<k:ETK>AAAA</k:ETK>", auth), "INVALID_REQUEST"},
		"unknown key":      {w.kgssMessage("GetKeyRequest", unknown+etkXML, auth), "UNKNOWN_KEY"},
		"neither":          {w.kgssMessage("GetKeyRequest", unknown, auth), "INVALID_REQUEST"},
		"both":             {w.kgssMessage("GetKeyRequest", unknown+etkXML+"<k:KeyEncryptionKey>"+b64(make([]byte, 16))+"</k:KeyEncryptionKey>", auth), "INVALID_REQUEST"},
		"a KEK of 32":      {w.kgssMessage("GetKeyRequest", unknown+"<k:KeyEncryptionKey>"+b64(make([]byte, 32))+"</k:KeyEncryptionKey>", auth), "INVALID_REQUEST"},
		"other operation":  {strings.ReplaceAll(w.kgssMessage("GetKeyRequest", unknown+etkXML, auth), "KeyRequest", "NewKeyRequest"), "INVALID_REQUEST"},
		"with a strategy":  {w.kgssMessage("GetNewKeyRequest", acl+etkXML+"<k:DeletionStrategy/>", auth), ""},
		"values and blank": {w.kgssMessage("GetNewKeyRequest", kgssReaderXML("AllowedReader", "n", "m", "", "y")+etkXML, auth), ""},
	} {
		body := envelope(t, tc.msg)
		if strings.Contains(tc.msg, ":GetKeyRequest") {
			body = w.message(tc.msg, tk)
		}
		if _, code := w.kgssAnswer(w.call(pathKGSS, "", body)); code != tc.want {
			t.Errorf("%s: %q, want %q", name, code, tc.want)
		}
	}
	msg := w.kgssMessage("GetKeyRequest", unknown+etkXML, auth)
	w.refusedWith(w.call(pathKGSS, "", envelope(t, msg)), "SOA-01001")
	w.refusedWith(w.call(pathKGSS, "", envelope(t, strings.ReplaceAll(msg, "SealedContent", "Sealed"))), "SOA-01001")
	w.refusedWith(w.call(pathKGSS, "", envelope(t, `<k:GetNewKeyRequest xmlns:k="`+nsKGSS+`"/>`)), "SOA-03006")
}

// TestKGSSRotation: what is sealed for the former key is not opened.
func TestKGSSRotation(t *testing.T) {
	w := newWorld(t)
	p, _ := w.doctorToken(0)
	auth := w.must(p.Authentication())
	etk, err := w.s.ETK(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	content := kgssReaderXML("AllowedReader", "n", "m") + "<k:ETK>" + b64(etk) + "</k:ETK>"
	former := w.kgssMessage("GetNewKeyRequest", content, auth)
	cancel, err := w.s.Inject(Step{Service: "etk", Fault: KeyRotate{Old: eHealthCBE, New: eHealthCBE}})
	if err != nil {
		t.Fatal(err)
	}
	if _, code := w.kgssAnswer(w.call(pathKGSS, "", envelope(t, former))); code != "UNSEAL_FAILED" {
		t.Errorf("under the former key: %q", code)
	}
	if _, code := w.kgssAnswer(w.call(pathKGSS, "", envelope(t, w.kgssMessage("GetNewKeyRequest", content, auth)))); code != "" {
		t.Errorf("under the new key: %q", code)
	}
	cancel()
	if _, code := w.kgssAnswer(w.call(pathKGSS, "", envelope(t, former))); code != "" {
		t.Errorf("afterwards: %q", code)
	}
	// A renewal is no such thing: both keys open.
	if err := w.s.RotateKey(Holder{Type: identity.TypeCBE, Number: eHealthCBE, Application: kgssApp}); err != nil {
		t.Fatal(err)
	}
	for _, msg := range []string{former, w.kgssMessage("GetNewKeyRequest", content, auth)} {
		if _, code := w.kgssAnswer(w.call(pathKGSS, "", envelope(t, msg))); code != "" {
			t.Errorf("after a renewal: %q", code)
		}
	}
}

func TestKGSSAnswersConform(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	auth := w.must(p.Authentication())
	id, _ := w.newKGSSKey(p, kgssReaderXML("AllowedReader", nsIdentification, claimPS))
	etk, err := w.s.ETK(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	ask := w.kgssMessage("GetKeyRequest", "<k:KeyIdentifier>"+b64(id)+"</k:KeyIdentifier><k:ETK>"+b64(etk)+"</k:ETK>", auth)
	good := w.call(pathKGSS, "", w.message(ask, tk))
	sealed, _ := w.kgssAnswer(good)
	mine, err := p.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	content, _, err := w.s.unseal(sealed, mine, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bad := w.call(pathKGSS, "", envelope(t, kgssOuter("GetNewKeyRequest", []byte("hello"))))
	conformsTo(t, oracle.Shared(t, "schemas", "ehealth-etee", "XSD", "ehealth-etee-kgss-schema-protocol-1_2.xsd"), payloadOf(t, good), payloadOf(t, bad))
	conformsTo(t, oracle.Shared(t, "schemas", "ehealth-etee", "XSD", "ehealth-etee-kgss-schema-inner-protocol-1_2.xsd"), content)
}
