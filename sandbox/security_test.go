package sandbox

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// TestFaultsAreValid: the detail of every fault conforms to the platform's schema.
func TestFaultsAreValid(t *testing.T) {
	w := newWorld(t)
	v := newServices()
	schema := sharedXSD(t, "ehealth-errors", "ehealth-errors-schema-soa-1_1.xsd")
	for code, text := range faultTexts {
		r := v.fault(w.s, &request{Service: "genins"}, refuse(code, "a reason"))
		m, err := soap.Parse(r.Body, xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f, _ := m.Fault()
		if got, want := f.FaultCode == "Client", text.origin == "Consumer"; got != want || f.SOA.Origin != text.origin || f.FaultSpace != soap.NS {
			t.Errorf("%s: faultcode %s, origin %s", code, f.FaultCode, f.SOA.Origin)
		}
		if (f.SOA.Retry != nil) != (code == "SOA-02002") {
			t.Errorf("%s: Retry = %v", code, f.SOA.Retry)
		}
		for e := range f.Detail.Elements() {
			oracle.ValidateXSD(t, schema, e.Source())
		}
	}
	m, err := soap.Parse(v.fault(w.s, &request{Service: "sts"}, refuse("generic", "")).Body, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := m.Fault(); !ok || f.SOA != nil || f.FaultString == "" {
		t.Errorf("generic fault is %+v", f)
	}
}

// TestShapeAndDispatch walks the first steps of the validation order with messages that never reach the token.
func TestShapeAndDispatch(t *testing.T) {
	w := newWorld(t)
	const env = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">`
	request := env + `<s:Body><p:GetInsurabilityRequest xmlns:p="` + nsGenIns + `"/></s:Body></s:Envelope>`
	for _, c := range []struct{ name, path, action, body, code string }{
		{"empty", pathGenIns, "", "", "SOA-03001"},
		{"not XML", pathGenIns, "", "hello", "SOA-03001"},
		{"cut short", pathGenIns, "", request[:len(request)-5], "SOA-03001"},
		{"DOCTYPE", pathGenIns, "", `<!DOCTYPE x [<!ENTITY a "aaaa">]>` + request, "SOA-03001"},
		{"too deep", pathGenIns, "", env + "<s:Body>" + strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100) + "</s:Body></s:Envelope>", "SOA-03001"},
		{"not SOAP", pathGenIns, "", "<x/>", "SOA-03002"},
		{"SOAP 1.2", pathGenIns, "", strings.ReplaceAll(request, "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"), "SOA-03002"},
		{"two bodies", pathGenIns, "", env + "<s:Body><a/></s:Body><s:Body><a/></s:Body></s:Envelope>", "SOA-03002"},
		{"no body", pathGenIns, "", env + "<s:Header/></s:Envelope>", "SOA-03003"},
		{"empty body", pathGenIns, "", env + "<s:Body> </s:Body></s:Envelope>", "SOA-03003"},
		{"other operation's action", pathGenIns, nsGenIns + ":GetInsurabilityAsFlat", request, "SOA-03004"},
		{"any other action", pathGenIns, "urn:x", request, "SOA-03004"},
		{"unknown operation", pathGenIns, "", strings.Replace(request, "GetInsurabilityRequest", "AliveCheckRequest", 1), "SOA-03005"},
		{"AliveCheck", pathPharma, "", env + `<s:Body><p:AliveCheckRequest xmlns:p="` + nsPharma + `"/></s:Body></s:Envelope>`, "SOA-03005"},
		{"other namespace", pathGenIns, "", strings.Replace(request, "protocol:v1", "protocol:v2", 1), "SOA-03005"},
		{"service of another address", pathPharma, "", request, "SOA-03005"},
		{"own action", pathGenIns, nsGenIns + ":GetInsurability", request, "SOA-01001"},
		{"no action", pathGenIns, "", request, "SOA-01001"},
		{"direct", pathGenInsDirect, "", request, "SOA-01001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			(&world{t, w.s}).refusedWith(w.call(c.path, c.action, []byte(c.body)), c.code)
		})
	}
}

// TestTokenRefused: everything that is wrong with a token or the message that bears it.
func TestTokenRefused(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	_, other := w.doctorToken(1)
	q := geninsQuestion(doctorOrigin(p), "85073199704")
	now := time.Now()
	stolen := token{tk.Assertion, other.key}
	stolenMsg, err := wsse.HolderOfKey([]byte(q), tk.Raw, tk.ID, wire(stolen.key), wsse.Stamp{Now: now})
	if err == nil { // a signer that lets itself be used like this; the sandbox must notice
		w.refusedWith(w.call(pathGenIns, "", stolenMsg), "SOA-01001")
	}
	once := w.message(q, tk)
	w.answered(w.call(pathGenIns, "", once))
	w.answered(w.call(pathGenInsDirect, "", once)) // another system
	changed := func(old, put string) []byte {
		msg := w.message(q, tk)
		if !bytes.Contains(msg, []byte(old)) {
			t.Fatalf("message has no %s", old)
		}
		return bytes.Replace(msg, []byte(old), []byte(put), 1)
	}
	expired := w.issue(tk.key, doctorClaims(p)...)
	later := now.Add(2 * time.Hour)
	for _, c := range []struct {
		name, why string
		r         *response
	}{
		{"replayed", "received before", w.call(pathGenIns, "", once)},
		{"replayed at the other address", "received before", w.call(pathGenInsDirect, "", once)},
		{"body changed", "changed", w.call(pathGenIns, "", changed("85073199704", "15073199817"))},
		{"claim changed", "issued by the STS", w.call(pathGenIns, "", changed(">"+p.NIHII.Full()+"</AttributeValue>", ">"+w.s.Person(identity.Doctor, 1).NIHII.Full()+"</AttributeValue>"))},
		{"life prolonged", "issued by the STS", w.call(pathGenIns, "", changed(`NotOnOrAfter="2`, `NotOnOrAfter="3`))},
		{"expired", "token expired", w.callAt(pathGenIns, "", w.messageAt(q, expired, wsse.Stamp{Now: later}), later)},
		{"not yet", "not valid yet", w.callAt(pathGenIns, "", w.messageAt(q, expired, wsse.Stamp{Now: now.Add(-time.Hour)}), now.Add(-time.Hour))},
		{"stale", "expired", w.call(pathGenIns, "", w.messageAt(q, tk, wsse.Stamp{Now: now.Add(-10 * time.Minute)}))},
		{"future", "future", w.call(pathGenIns, "", w.messageAt(q, tk, wsse.Stamp{Now: now.Add(10 * time.Minute)}))},
		{"X.509 profile", "another kind", w.call(pathGenIns, "", w.x509Message(q, tk.key))},
	} {
		if why := w.refusedWith(c.r, "SOA-01001"); !strings.Contains(why, c.why) {
			t.Errorf("%s: %q does not say %q", c.name, why, c.why)
		}
	}
	// A token that another authority made in the same words.
	o := &tokenOrder{ident: tk.key.Certificate, key: tk.key.Certificate}
	for _, a := range tk.Attributes {
		o.claims = append(o.claims, attribute{a.Namespace, a.Name, a.Values})
	}
	elsewhere, err := New(Config{Keys: FreshKeys(), Patients: -1}) // shared keys would make it the same authority
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = elsewhere.Close() })
	raw, _, err := elsewhere.newAssertion(o, now)
	if err != nil {
		t.Fatal(err)
	}
	n, err := xmltree.Parse([]byte(`<x>`+string(raw)+`</x>`), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	w.refusedWith(w.call(pathGenIns, "", w.message(q, w.assertionIn(n, tk.key))), "SOA-01001")
	// And a token of a certificate that signs no assertions: the signature is good, the chain is ours.
	self, err := signEnveloped(read(t, unsigned(t, raw)).Root(), tk.key)
	if err != nil {
		t.Fatal(err)
	}
	n, err = xmltree.Parse([]byte(`<x>`+string(self)+`</x>`), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	w.refusedWith(w.call(pathGenIns, "", w.message(q, w.assertionIn(n, tk.key))), "SOA-01001")
}

// unsigned cuts the signature out of an assertion.
func unsigned(t *testing.T, raw []byte) []byte {
	t.Helper()
	d := read(t, raw)
	d.Root().RemoveChild(d.Root().SelectElement("ds:Signature"))
	out, err := d.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestScriptsRefuse: refuse_auth steps hit the STS and the services where the grammar says.
func TestScriptsRefuse(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	card := w.must(p.EID())
	byCard := w.assertionIn(w.answered(w.call(pathTrust, "", w.x509Message(challengeAnswer(w.answered(
		w.call(pathTrust, "", w.x509Message(rstFor(tk.key, doctorClaims(p)...), card)))), tk.key))), tk.key)
	q := geninsQuestion(doctorOrigin(p), "85073199704")
	withFault := func(service string, f RefuseAuth, do func()) {
		t.Helper()
		cancel, err := w.s.Inject(Step{Service: service, Fault: f})
		if err != nil {
			t.Fatal(err)
		}
		do()
		cancel()
	}
	order := func(by Credential) *response {
		return w.call(pathTrust, "", w.x509Message(rstFor(by, doctorClaims(p)...), by))
	}
	withFault("idvalid", RefuseAuth{Scope: "eid", Code: "SOA-01002"}, func() {
		w.refusedWith(order(card), "SOA-01002")
		w.answered(order(tk.key))
		w.answered(w.call(pathGenIns, "", w.message(q, byCard)))
	})
	withFault("idvalid", RefuseAuth{Scope: "eid", Code: "generic"}, func() {
		m, err := soap.Parse(order(card).Body, xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := m.Fault(); !ok || f.SOA != nil {
			t.Errorf("generic refusal is %+v", f)
		}
	})
	withFault("access", RefuseAuth{Scope: "all", Code: "SOA-01002"}, func() {
		w.answered(order(tk.key))
		w.refusedWith(w.call(pathGenIns, "", w.message(q, tk)), "SOA-01002")
	})
	withFault("genins", RefuseAuth{Scope: "eid", Code: "SOA-01001"}, func() {
		w.refusedWith(w.call(pathGenIns, "", w.message(q, byCard)), "SOA-01001")
		w.answered(w.call(pathGenIns, "", w.message(q, tk)))
		w.answered(w.call(pathGenInsDirect, "", w.message(q, byCard)))
	})
	w.answered(order(card))
}

func TestReplayGuardForgets(t *testing.T) {
	var g replayGuard
	now := time.Unix(1_900_000_000, 0)
	if g.again("a", "x", now.Add(time.Minute), now) || !g.again("a", "x", now.Add(time.Minute), now) || g.again("b", "x", now.Add(time.Minute), now) {
		t.Error("a value is a replay the second time at one address, and only then")
	}
	for i := range 3 * replayFloor {
		at := now.Add(time.Duration(i) * time.Second)
		g.again("a", wireTime(at), at.Add(time.Minute), at)
	}
	if len(g.seen) > 2*replayFloor {
		t.Errorf("guard holds %d values, 60 of which matter", len(g.seen))
	}
}
