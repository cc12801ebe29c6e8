package sandbox

import (
	"bytes"
	"encoding/pem"
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

func TestTrustDirect(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Doctor, 0)
	before := time.Now()
	r := w.call(pathTrust, actionIssue, w.x509Message(rstFor(c, doctorClaims(p)...), c))
	rstr := w.answered(r)
	if r.Effect != "sts.issued" || r.Asker == "" {
		t.Errorf("effect %q, asker %q", r.Effect, r.Asker)
	}
	if context, _ := rstr.Attr("", "Context"); !rstr.Is(nsTrust, "RequestSecurityTokenResponse") || context != "urn:uuid:1" {
		t.Errorf("answer is %s with context %q", rstr.Local(), context)
	}
	tk := w.assertionIn(rstr, c)
	w.checkAssertion(tk, before)
	for name, want := range map[string]string{
		claimPS: p.SSIN.Reveal(), claimHolderSSIN: p.SSIN.Reveal(), claimPS + ":doctor:boolean": "true",
		claimPSE + "doctor:nihii11": p.NIHII.Full(), claimPSE + "givenname": p.FirstName, claimPSE + "surname": p.LastName,
		claimPSE + "fpsph:doctor:boolean": "true",
	} {
		if got, _ := tk.Attribute(name); len(got) != 1 || got[0] != want {
			t.Errorf("claim %s = %q, want %q", name, got, want)
		}
	}
	for _, a := range tk.Attributes {
		want := nsCertified
		if a.Name == claimPS || a.Name == claimHolderSSIN {
			want = nsIdentification
		}
		if a.Namespace != want {
			t.Errorf("%s stands in %s", a.Name, a.Namespace)
		}
	}
}

// checkAssertion checks what dossier 01 A.8 says of every token of one hour, and asks three independent judges.
func (w *world) checkAssertion(tk token, before time.Time) {
	t := w.t
	t.Helper()
	raw := string(tk.Raw)
	for _, want := range []string{
		`<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="_`, `Issuer="urn:be:fgov:ehealth:sts:1_0"`,
		`AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:X509-PKI"`, `#rsa-sha256"`, `xmlenc#sha256"`, `</ds:Signature></Assertion>`,
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("assertion lacks %s", want)
		}
	}
	if len(tk.ID) != 33 || strings.Trim(tk.ID[1:], "0123456789abcdef") != "" {
		t.Errorf("AssertionID is not _ and 32 hexadecimal digits")
	}
	near := func(got, want time.Time) bool { return got.Sub(want).Abs() < 10*time.Second }
	if !near(tk.NotBefore, before.Add(-5*time.Minute)) || !near(tk.NotOnOrAfter, before.Add(time.Hour)) || !near(tk.IssueInstant, before) {
		t.Errorf("times %v %v %v", tk.NotBefore, tk.NotOnOrAfter, tk.IssueInstant)
	}
	if !bytes.Equal(tk.HolderOfKey.Raw, tk.key.Certificate.Raw) {
		t.Errorf("holder-of-key is not the certificate of UseKey")
	}
	if err := tk.Verify(saml.Trust{Roots: w.s.Roots(), SignerCN: isSTSSigner}, time.Now()); err != nil {
		t.Errorf("Verify: %v", err)
	}
	oracle.ValidateXSD(t, sharedXSD(t, "external", "oasis-sstc-saml-schema-assertion-1.1.xsd"), tk.Raw)
	signer, err := w.s.pki.stsSigner()
	if err != nil {
		t.Fatal(err)
	}
	oracle.XMLSecVerify(t, tk.Raw, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Certificate.Raw}), oracle.IDAssertion)
}

func TestTrustChallenge(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Pharmacist, 0)
	key := w.must(p.Pharmacy.Authentication())
	before := time.Now()
	order := func() *xmltree.Node {
		t.Helper()
		return w.answered(w.call(pathTrust, actionIssue, w.x509Message(rstFor(key, pharmacyClaims(p)...), c)))
	}
	answer := func(text string, by Credential) *response {
		t.Helper()
		return w.call(pathTrust, actionChallenge, w.x509Message(text, by))
	}

	first := order()
	if nodeAt(first, nsTrust, "SignChallenge", "Challenge") == nil || first.Child(nsTrust, "RequestedSecurityToken") != nil {
		t.Fatal("first answer is not a challenge")
	}
	w.checkAssertion(w.assertionIn(w.answered(answer(challengeAnswer(first), key)), key), before)
	w.refusedWith(answer(challengeAnswer(first), key), "SOA-01001") // one time

	challenge := func(n *xmltree.Node) string { return textOf(nodeAt(n, nsTrust, "SignChallenge", "Challenge")) }
	second := order()
	if challenge(first) == challenge(second) {
		t.Error("challenge repeats")
	}
	w.answered(answer(rstrAnswer("", challenge(second)), key)) // no Context

	third := order()
	w.refusedWith(answer(rstrAnswer("urn:uuid:other", challenge(third)), key), "SOA-01001")
	fourth := order()
	w.refusedWith(answer(challengeAnswer(fourth), c), "SOA-01001")   // signed by the identification key
	w.refusedWith(answer(challengeAnswer(fourth), key), "SOA-01001") // and burnt by that
	w.refusedWith(answer(rstrAnswer("", "made up"), key), "SOA-01001")
	w.refusedWith(answer(strings.Replace(challengeAnswer(order()), "SignChallengeResponse>", "SignChallenge>", 2), key), "SOA-03006")

	late := order()
	at := time.Now().Add(challengeLife + time.Second)
	w.refusedWith(w.callAt(pathTrust, actionChallenge, w.x509At(challengeAnswer(late), key, wsse.Stamp{Now: at}), at), "SOA-01001")
}

func TestTrustLifetime(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Doctor, 0)
	now := time.Now()
	order := func(created, expires time.Time) *response {
		return w.call(pathTrust, actionIssue, w.x509Message(rstIssue("c", claims(doctorClaims(p)...), c.Certificate, created, expires), c))
	}
	long := w.assertionIn(w.answered(order(now, now.Add(72*time.Hour))), c)
	if got := long.NotOnOrAfter.Sub(now); got > maxTokenLife+time.Minute || got < maxTokenLife-time.Minute {
		t.Errorf("72 hours asked, %v granted", got)
	}
	for name, r := range map[string]*response{
		"over":          order(now.Add(-2*time.Hour), now.Add(-time.Hour)),
		"turned around": order(now, now.Add(-time.Second)),
		"later":         order(now.Add(time.Hour), now.Add(2*time.Hour)),
	} {
		if why := w.refusedWith(r, "SOA-03007"); !strings.Contains(why, "Lifetime") {
			t.Errorf("%s: %s", name, why)
		}
	}
}

func TestTrustRefusesRequests(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Doctor, 0)
	nurse, nurseCred := w.person(identity.Nurse, 0)
	good := rstFor(c, doctorClaims(p)...)
	swap := func(old, put string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("template has no %s", old)
			}
			return strings.Replace(s, old, put, 1)
		}
	}
	cut := func(from, to string) func(string) string {
		return func(s string) string {
			a, b := strings.Index(s, from), strings.Index(s, to)
			return s[:a] + s[b+len(to):]
		}
	}
	move := func(from, to string) func(string) string { // to the end
		return func(s string) string {
			a, b := strings.Index(s, from), strings.Index(s, to)+len(to)
			end := strings.Index(s, "</wst:RequestSecurityToken>")
			return s[:a] + s[b:end] + s[a:b] + s[end:]
		}
	}
	ssin := p.SSIN.Reveal()
	for _, c2 := range []struct {
		name, code string
		change     func(string) string
	}{
		{"as the template", "", func(s string) string { return s }},
		{"KeyType spelt right", "", swap("ws-sx/wstrust/", "ws-sx/ws-trust/")},
		{"white space between elements", "", func(s string) string { return strings.ReplaceAll(s, "><", ">\n  <") }},
		{"unused declaration", "", swap("<wst:RequestSecurityToken ", `<wst:RequestSecurityToken xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" `)},
		{"local offset", "", func(s string) string { return strings.ReplaceAll(s, "Z</wsu:", "+00:00</wsu:") }},
		{"unknown claim asked", "", swap(`<auth:ClaimType Uri="`+claimPSE+`givenname">`, `<auth:ClaimType Uri="urn:be:fgov:unheard:of">`)},
		{"TokenType missing", "SOA-03006", cut("<wst:TokenType>", "</wst:TokenType>")},
		{"Claims missing", "SOA-03006", cut("<wst:Claims ", "</wst:Claims>")},
		{"Lifetime missing", "SOA-03006", cut("<wst:Lifetime>", "</wst:Lifetime>")},
		{"KeyType missing", "SOA-03006", cut("<wst:KeyType>", "</wst:KeyType>")},
		{"UseKey missing", "SOA-03006", cut("<wst:UseKey>", "</wst:UseKey>")},
		{"Lifetime last", "SOA-03006", move("<wst:Lifetime>", "</wst:Lifetime>")},
		{"TokenType last", "SOA-03006", move("<wst:TokenType>", "</wst:TokenType>")},
		{"Dialect missing", "SOA-03006", swap(`Dialect="http://docs.oasis-open.org/wsfed/authorization/200706/authclaims"`, "")},
		{"Uri missing", "SOA-03006", swap(` Uri="`+claimPS+`:doctor:boolean"`, "")},
		{"certificate not base64", "SOA-03006", swap("<ds:X509Certificate>", "<ds:X509Certificate>*")},
		{"certificate not one", "SOA-03007", swap("<ds:X509Certificate>", "<ds:X509Certificate>AAAA")},
		{"other TokenType", "SOA-03007", swap("#SAMLV1.1", "#SAMLV2.0")},
		{"other RequestType", "SOA-03007", swap("200512/Issue", "200512/Cancel")},
		{"other KeyType", "SOA-03007", swap("/PublicKey", "/SymmetricKey")},
		{"other dialect", "SOA-03007", swap("/authclaims", "/other")},
		{"claim twice", "SOA-03007", swap(claimPSE+"givenname", claimPSE+"surname")},
		{"sender-vouches", "SOA-03007", swap("<wst:KeyType>", "<wst:OnBehalfOf/><wst:KeyType>")},
		{"somebody else's number", "SOA-01002", swap("<auth:Value>"+ssin, "<auth:Value>"+nurse.SSIN.Reveal())},
		{"two numbers", "SOA-01002", swap("<auth:Value>"+ssin, "<auth:Value>"+ssin+";"+ssin)},
		{"no number", "SOA-01002", swap("<auth:Value>"+ssin, "<auth:Value>")},
		{"certified claim asserted", "SOA-01002", swap(`doctor:boolean"></auth:ClaimType>`, `doctor:boolean"><auth:Value>true</auth:Value></auth:ClaimType>`)},
		{"a pharmacy", "SOA-01002", swap(claimHolderSSIN, claimPharmacy)},
		{"a holder", "SOA-01002", swap(claimHolderSSIN, claimOwner)},
		{"renewal of nothing", "SOA-03006", swap("200512/Issue", "200512/Renew")},
	} {
		r := w.call(pathTrust, "", w.x509Message(c2.change(good), c))
		if c2.code == "" {
			if r.Status != 200 {
				t.Errorf("%s: refused: %s", c2.name, r.Body)
			}
			continue
		}
		t.Run(c2.name, func(t *testing.T) { (&world{t, w.s}).refusedWith(r, c2.code) })
	}
	// A true token whose key is somebody else's: a challenge, which the thief cannot answer.
	stolen := w.answered(w.call(pathTrust, actionIssue, w.x509Message(rstFor(c, claimPS+"="+nurse.SSIN.Reveal()), nurseCred)))
	w.refusedWith(w.call(pathTrust, actionChallenge, w.x509Message(challengeAnswer(stolen), nurseCred)), "SOA-01001")
}

func TestTrustRefusesCertificates(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Doctor, 0)
	expired, foreign := w.must(w.s.Expired(p)), w.must(w.s.Foreign(p))
	enc, err := p.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	order := func(by, key Credential) *response {
		return w.call(pathTrust, actionIssue, w.x509Message(rstFor(key, doctorClaims(p)...), by))
	}
	for name, r := range map[string]*response{
		"expired": order(expired, expired), "foreign": order(foreign, foreign), "encryption": order(enc[0], enc[0]),
		"expired key": order(c, expired), "foreign key": order(c, foreign), "encryption key": order(c, enc[0]),
	} {
		if why := w.refusedWith(r, "SOA-01001"); !strings.Contains(why, "certificate") {
			t.Errorf("%s: %s", name, why)
		}
	}
}

func TestTrustSecurity(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Doctor, 0)
	rst := rstFor(c, doctorClaims(p)...)
	now := time.Now()
	send := func(msg []byte) *response { return w.call(pathTrust, actionIssue, msg) }
	plain, err := wsse.Plain([]byte(rst))
	if err != nil {
		t.Fatal(err)
	}
	once := w.x509Message(rst, c)
	w.answered(send(once))
	_, tk := w.doctorToken(1)
	for _, c := range []struct {
		name string
		msg  []byte
		why  string
	}{
		{"no header", plain, "no security header"},
		{"replayed", once, "received before"},
		{"stale", w.x509At(rst, c, wsse.Stamp{Now: now.Add(-10 * time.Minute)}), "expired"},
		{"old with a long life", w.x509At(rst, c, wsse.Stamp{Now: now.Add(-10 * time.Minute), TTL: time.Hour}), "expired"},
		{"future", w.x509At(rst, c, wsse.Stamp{Now: now.Add(10 * time.Minute)}), "future"},
		{"body changed", bytes.Replace(w.x509Message(rst, c), []byte("urn:uuid:1"), []byte("urn:uuid:2"), 1), "changed"},
		{"holder-of-key", w.message(rst, tk), "another kind"},
	} {
		if why := w.refusedWith(send(c.msg), "SOA-01001"); !strings.Contains(why, c.why) {
			t.Errorf("%s: %q does not say %q", c.name, why, c.why)
		}
	}
}

func TestTrustRenew(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	renew := func(assertion []byte, id string) string {
		return `<wst:RequestSecurityToken xmlns:wst="` + nsTrust + `"><wst:TokenType>` + tokenTypeSAML11 + `</wst:TokenType><wst:RequestType>` +
			requestRenew + `</wst:RequestType><wst:RenewTarget><wsse:SecurityTokenReference xmlns:wsse="` + wsse.NSWSSE + `"><wsse:Embedded` + id + `>` +
			string(assertion) + `</wsse:Embedded></wsse:SecurityTokenReference></wst:RenewTarget></wst:RequestSecurityToken>`
	}
	again := w.assertionIn(w.answered(w.call(pathTrust, actionIssue, w.x509Message(renew(tk.Raw, ` xmlns:wsu="`+wsse.NSWSU+`" wsu:Id="token-1"`), tk.key))), tk.key)
	if again.ID == tk.ID || len(again.Attributes) != len(tk.Attributes) || !bytes.Equal(again.HolderOfKey.Raw, tk.HolderOfKey.Raw) {
		t.Error("renewed token is not the old one with a new life")
	}
	if life := time.Until(again.NotOnOrAfter); life < maxTokenLife-time.Minute {
		t.Errorf("renewed for %v", life)
	}
	w.answered(w.call(pathTrust, "", w.x509Message(renew(again.Raw, ""), tk.key)))

	_, other := w.person(identity.Doctor, 1)
	w.refusedWith(w.call(pathTrust, "", w.x509Message(renew(tk.Raw, ""), other)), "SOA-01002")
	changed := bytes.Replace(tk.Raw, []byte(">true<"), []byte(">TRUE<"), 1)
	w.refusedWith(w.call(pathTrust, "", w.x509Message(renew(changed, ""), tk.key)), "SOA-01002")
	w.refusedWith(w.call(pathTrust, "", w.x509Message(renew([]byte(`<Assertion xmlns="`+saml.NS+`"/>`), ""), tk.key)), "SOA-03007")
	late := time.Now().Add(2 * time.Hour)
	w.refusedWith(w.callAt(pathTrust, "", w.x509At(renew(tk.Raw, ""), tk.key, wsse.Stamp{Now: late}), late), "SOA-01002")

	// With the identity card the same person holds another key: renewing needs the challenge.
	card := w.must(p.EID())
	first := w.answered(w.call(pathTrust, "", w.x509Message(rstFor(tk.key, doctorClaims(p)...), card)))
	byCard := w.assertionIn(w.answered(w.call(pathTrust, "", w.x509Message(challengeAnswer(first), tk.key))), tk.key)
	first = w.answered(w.call(pathTrust, "", w.x509Message(renew(byCard.Raw, ""), card)))
	w.assertionIn(w.answered(w.call(pathTrust, "", w.x509Message(challengeAnswer(first), tk.key))), tk.key)
}

// TestTrustFaultCodes: with the switch on, the STS says what WS-Trust 1.3 says instead of a SOA code.
func TestTrustFaultCodes(t *testing.T) {
	w := newWorld(t)
	v := newServices()
	v.wstFaults.Store(true)
	p, c := w.person(identity.Doctor, 0)
	now := time.Now()
	for want, payload := range map[string]string{
		"RequestFailed":    rstFor(c, claimPS+"=85073199704"),
		"InvalidTimeRange": rstIssue("c", claims(doctorClaims(p)...), c.Certificate, now, now.Add(-time.Hour)),
		"BadRequest":       strings.Replace(rstFor(c), "#SAMLV1.1", "#X", 1),
		"InvalidRequest":   strings.Replace(rstFor(c), "wst:KeyType", "wst:KeySort", 2),
	} {
		r := v.trust(t.Context(), w.s, &request{Service: "sts", Path: pathTrust, Body: w.x509Message(payload, c), At: time.Now()})
		m, err := soap.Parse(r.Body, xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f, ok := m.Fault()
		if !ok || f.FaultCode != want || f.FaultSpace != nsTrust || f.SOA != nil {
			t.Errorf("fault %+v, want wst:%s", f, want)
		}
	}
}

func TestNamesOfCertificates(t *testing.T) {
	w := newWorld(t)
	p, c := w.person(identity.Doctor, 0)
	want := `CN="SSIN=` + p.SSIN.Reveal() + `", OU=eHealth-platform Belgium, OU=` + strings.ToUpper(p.LastName+" "+p.FirstName) +
		`, OU="SSIN=` + p.SSIN.Reveal() + `", O=Federal Government, C=BE`
	if got := dnText(c.Certificate.RawSubject); got != want {
		t.Errorf("dnText = %s\nwant     %s", got, want)
	}
	if got := certHolderOf(c.Certificate); got != (certHolder{"SSIN", p.SSIN.Reveal(), false}) {
		t.Error("holder of an eHealth certificate is read wrong")
	}
	if got := certHolderOf(w.must(p.EID()).Certificate); got != (certHolder{"SSIN", p.SSIN.Reveal(), true}) {
		t.Error("holder of an identity card is read wrong")
	}
	o, oc := w.organisation(identity.Pharmacy, 0)
	if got := certHolderOf(oc.Certificate); got != (certHolder{"NIHII-PHARMACY", o.Number, false}) {
		t.Error("holder of a pharmacy's certificate is read wrong")
	}
}
