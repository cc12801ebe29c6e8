package etee_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const nsKGSS = "urn:be:fgov:ehealth:etee:kgss:1_0:protocol"

// acl is that of a prescription (dossier 02 C.4).
func acl(patient string) etee.ACL {
	return etee.ACL{
		Allowed: []etee.Reader{
			{Namespace: etee.NamespaceCertified, Name: "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"},
			{Namespace: etee.NamespaceIdentification, Name: "urn:be:fgov:person:ssin", Values: []string{patient}},
		},
	}
}

// keyService is a KGSS behind a depot.
type keyService struct {
	platform
	t      testing.TB
	at     *party // who answers
	tokens map[string][]byte

	mu       sync.Mutex
	requests [][]byte // what was sealed in requests
	outer    [][]byte
	keys     map[string][]byte
	made     int
	bend     func(inner string) string // changes the plaintext of answers
	instead  string                    // an answer without content
	sealFor  []etee.Recipient          // instead of whom the request names
}

func newKeyService(t testing.TB) *keyService {
	w := theWorld()
	s := &keyService{t: t, at: w.kgss, keys: map[string][]byte{}, tokens: map[string][]byte{
		"CBE/0809394427/KGSS": w.kgss.token, "SSIN/70010100188": w.doctor.token,
	}}
	s.set(s.handle)
	return s
}

// tied is a Security for tests: it signs nothing.
type tied struct{}

func (tied) Secure(_ context.Context, body []byte) ([]byte, error) {
	return soap.Envelope([]byte("<token/>"), body)
}

func (tied) Refused(context.Context, *fault.Error) bool { return false }

func (s *keyService) client(change func(*etee.KGSSConfig)) *etee.KGSS {
	s.t.Helper()
	w := theWorld()
	sealer, err := etee.NewSealer(w.doctor.auth)
	check(s.t, err)
	conf := etee.KGSSConfig{
		Depot: s.depot(s.t, etee.DepotConfig{}), Sealer: sealer, Keys: w.doctor, Trust: w.trust, Security: tied{},
	}
	if change != nil {
		change(&conf)
	}
	k, err := etee.NewKGSS(s.exchanger(s.t), conf)
	check(s.t, err)
	return k
}

func (s *keyService) handle(n *xmltree.Node) (string, error) {
	if n.Local() == "GetEtkRequest" {
		return registry(s.tokens)(n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outer = append(s.outer, bytes.Clone(n.Source()))
	kind := strings.TrimSuffix(strings.TrimPrefix(n.Local(), "Get"), "Request") // NewKey or Key
	if s.instead != "" {
		return kgssResponse(kind, s.instead), nil
	}
	text, err := n.Child(nsKGSS, "Sealed"+kind+"Request").Child(nsKGSS, "SealedContent").Text()
	check(s.t, err)
	opener, err := etee.NewOpener(s.at, theWorld().trust, etee.Policy{})
	check(s.t, err)
	m, err := opener.Open(must(base64.StdEncoding.DecodeString(text)))
	if err != nil {
		return kgssResponse(kind, "<Status><Code>300</Code><Message>x</Message></Status><Error><Code>CANNOT_OPEN</Code><Message Lang=\"EN\">x</Message></Error>"), nil
	}
	s.requests = append(s.requests, m.Content)
	inner, to := s.answer(must(xmltree.Parse(m.Content, xmltree.Limits{})))
	if s.bend != nil {
		inner = s.bend(inner)
	}
	if s.sealFor != nil {
		to = s.sealFor
	}
	sealed, err := must(etee.NewSealer(s.at.auth)).Seal([]byte(inner), to...)
	check(s.t, err)
	return kgssResponse(kind, "<Status><Code>200</Code><Message>OK</Message></Status><k:Sealed"+kind+"Response><k:SealedContent>"+
		base64.StdEncoding.EncodeToString(sealed)+"</k:SealedContent></k:Sealed"+kind+"Response>"), nil
}

func kgssResponse(kind, content string) string {
	return `<k:Get` + kind + `Response xmlns:k="` + nsKGSS + `" Id="_1">` + content + `</k:Get` + kind + `Response>`
}

// answer is the plaintext of an answer, and whom it is for.
func (s *keyService) answer(n *xmltree.Node) (string, []etee.Recipient) {
	get := func(name string) []byte {
		c := n.Child(nsKGSS, name)
		if c == nil {
			return nil
		}
		text, err := c.Text()
		check(s.t, err)
		return must(base64.StdEncoding.DecodeString(text))
	}
	text := base64.StdEncoding.EncodeToString
	if n.Is(nsKGSS, "GetNewKeyRequestContent") {
		s.made++
		id, key := fmt.Appendf(nil, "identifier %5d", s.made), fmt.Appendf(nil, "secret of %6d", s.made)
		s.keys[string(id)] = key
		r, err := must(etee.ParseETK(get("ETK"))).Check(theWorld().trust, etee.Policy{}, time.Now())
		check(s.t, err)
		return `<k:GetNewKeyResponseContent xmlns:k="` + nsKGSS + `"><k:NewKeyIdentifier>` + text(id) + `</k:NewKeyIdentifier><k:NewKey>` + text(key) +
			`</k:NewKey></k:GetNewKeyResponseContent>`, []etee.Recipient{r}
	}
	kek := must(etee.NewKEK([]byte("dummy"), get("KeyEncryptionKey")))
	return `<k:GetKeyResponseContent xmlns:k="` + nsKGSS + `"><k:Key>` + text(s.keys[string(get("KeyIdentifier"))]) + `</k:Key></k:GetKeyResponseContent>`,
		[]etee.Recipient{etee.ForKEK(kek)}
}

func validKGSS(t *testing.T, schema string, doc []byte) {
	t.Helper()
	oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "ehealth-etee", "XSD", schema), doc)
}

// TestKeys is the whole way of a message to an unknown recipient, and the requests byte for byte (dossier 02 C.3).
func TestKeys(t *testing.T) {
	s := newKeyService(t)
	k := s.client(nil)
	list := acl("70010100287")
	list.Excluded = []etee.Reader{{Namespace: "n", Name: "<name>", Values: []string{"a", "b"}}}
	kek, err := k.NewKey(t.Context(), list)
	check(t, err)
	if string(kek.ID()) != "identifier     1" {
		t.Errorf("%q", kek.ID())
	}
	sealed, err := sealer(t).Seal([]byte("prescription"), etee.ForKEK(kek))
	check(t, err)

	same, err := k.Key(t.Context(), kek.ID())
	check(t, err)
	o, err := etee.NewOpener(nil, ownTrust(t), etee.Policy{})
	check(t, err)
	m, err := o.Open(sealed, etee.WithKEK(same))
	if err != nil || string(m.Content) != "prescription" {
		t.Fatal(err)
	}
	if _, err = k.Key(t.Context(), kek.ID()); err != nil || s.asks("GetKeyRequest") != 1 {
		t.Errorf("remembered: %v, %d questions", err, s.asks("GetKeyRequest"))
	}
	k.Forget()
	if _, err = k.Key(t.Context(), kek.ID()); err != nil || s.asks("GetKeyRequest") != 2 {
		t.Errorf("forgotten: %v, %d questions", err, s.asks("GetKeyRequest"))
	}

	want := `<k:GetNewKeyRequestContent xmlns:k="` + nsKGSS + `"><k:AllowedReader><k:Namespace>urn:be:fgov:certified-namespace:ehealth</k:Namespace>` +
		`<k:Name>urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11</k:Name><k:Value/></k:AllowedReader>` +
		`<k:AllowedReader><k:Namespace>urn:be:fgov:identification-namespace</k:Namespace><k:Name>urn:be:fgov:person:ssin</k:Name>` +
		`<k:Value>70010100287</k:Value></k:AllowedReader><k:ExludedReader><k:Namespace>n</k:Namespace><k:Name>&lt;name&gt;</k:Name>` +
		`<k:Value>a</k:Value><k:Value>b</k:Value></k:ExludedReader><k:ETK>` + base64.StdEncoding.EncodeToString(theWorld().doctor.token) +
		`</k:ETK></k:GetNewKeyRequestContent>`
	if string(s.requests[0]) != want {
		t.Errorf("%s\nwant %s", s.requests[0], want)
	}
	const inner, outer = "ehealth-etee-kgss-schema-inner-protocol-1_2.xsd", "ehealth-etee-kgss-schema-protocol-1_2.xsd"
	for i := range s.requests {
		validKGSS(t, inner, s.requests[i])
		validKGSS(t, outer, s.outer[i])
	}
	a, b := must(xmltree.Parse(s.requests[1], xmltree.Limits{})), must(xmltree.Parse(s.requests[2], xmltree.Limits{}))
	if x, y := text(t, a, "KeyEncryptionKey"), text(t, b, "KeyEncryptionKey"); x == y || len(must(base64.StdEncoding.DecodeString(x))) != 16 {
		t.Error("the key for the answer is not a new one of 16 bytes")
	}
	if text(t, a, "KeyIdentifier") != base64.StdEncoding.EncodeToString(kek.ID()) {
		t.Error("another identifier")
	}
}

func text(t testing.TB, n *xmltree.Node, name string) string {
	t.Helper()
	s, err := n.Child(nsKGSS, name).Text()
	check(t, err)
	return s
}

// TestKeyAnswers: what the service may answer, and what must not be believed.
func TestKeyAnswers(t *testing.T) {
	w := theWorld()
	other := must(etee.ParseETK(w.hospital.token))
	hospital, err := other.Check(w.trust, etee.Policy{}, time.Now())
	check(t, err)
	wrongKEK := etee.ForKEK(must(etee.NewKEK(nil, bytes.Repeat([]byte{1}, 16))))
	impostor := *w.hospital
	impostor.enc, impostor.token = w.kgss.enc, w.kgss.token
	status := func(code string) string { return "<Status><Code>" + code + "</Code><Message>x</Message></Status>" }
	for _, tt := range []struct {
		name     string
		change   func(*keyService)
		newKey   fault.Kind // 0 = good
		known    fault.Kind
		wantCode string
	}{
		{"good", func(*keyService) {}, 0, 0, ""},
		{"status", func(s *keyService) { s.instead = status("400") }, fault.Invalid, fault.Invalid, "?"},
		{"down", func(s *keyService) { s.instead = status("500") }, fault.Unavailable, fault.Unavailable, "?"},
		{"denied", func(s *keyService) { s.instead = status("403") }, fault.Denied, fault.Denied, "?"},
		{"unknown status", func(s *keyService) { s.instead = status("300") }, fault.Invalid, fault.Invalid, "?"},
		{"error", func(s *keyService) {
			s.instead = status("200") + `<Error><Code>SOME_CODE</Code><Message Lang="EN">x</Message></Error>`
		}, fault.Invalid, fault.Invalid, "SOME_CODE"},
		{"no content", func(s *keyService) { s.instead = status("200") }, fault.Protocol, fault.Protocol, ""},
		{"no status", func(s *keyService) { s.instead = "<x/>" }, fault.Protocol, fault.Protocol, ""},
		{"key too short", func(s *keyService) {
			s.bend = func(in string) string {
				return strings.NewReplacer("Key>c2VjcmV0", "Key>", `<k:Key>c2VjcmV0`, "<k:Key>").Replace(in)
			}
		}, fault.Protocol, fault.Protocol, ""},
		{"not XML", func(s *keyService) { s.bend = func(string) string { return "x" } }, fault.Protocol, fault.Protocol, ""},
		{"answer of the other operation", func(s *keyService) {
			s.bend = func(in string) string {
				return strings.NewReplacer("GetNewKeyResponseContent", "GetKeyResponseContent", "GetKeyResponseContent", "GetNewKeyResponseContent").Replace(in)
			}
		}, fault.Security, fault.Security, ""},
		{"for somebody else", func(s *keyService) { s.sealFor = []etee.Recipient{hospital, wrongKEK} }, fault.Security, fault.Security, ""},
		{"from somebody else", func(s *keyService) { s.at = &impostor }, fault.Security, fault.Security, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newKeyService(t)
			s.once = true
			k := s.client(nil)
			tt.change(s)
			_, err := k.NewKey(t.Context(), acl("70010100287"))
			judgeKey(t, "NewKey", err, tt.newKey, tt.wantCode)
			s.keys["known"] = []byte("secret of ninety")
			_, err = k.Key(t.Context(), []byte("known"))
			judgeKey(t, "Key", err, tt.known, tt.wantCode)
		})
	}
}

func judgeKey(t *testing.T, what string, err error, want fault.Kind, code string) {
	t.Helper()
	if want == 0 {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	var e *etee.KGSSError
	if fault.KindOf(err) != want || errors.As(err, &e) != (code != "") || e != nil && code != "?" && e.Code != code {
		t.Errorf("%s: %v", what, err)
	}
}

// TestKeyRepeated: the answer to an earlier question is no new key (dossier 12, scenario 9).
func TestKeyRepeated(t *testing.T) {
	s := newKeyService(t)
	k := s.client(nil)
	first := ""
	s.bend = func(inner string) string {
		if first == "" {
			first = inner
		}
		return first
	}
	check(t, second(k.NewKey(t.Context(), acl("70010100287"))))
	if got, err := k.NewKey(t.Context(), acl("70010100386")); !errors.Is(err, fault.ErrSecurity) || got.ID() != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestKeyAccess: what GetKey needs, and who is refused.
func TestKeyAccess(t *testing.T) {
	s := newKeyService(t)
	if _, err := s.client(func(c *etee.KGSSConfig) { c.Security = nil }).Key(t.Context(), []byte("x")); !errors.Is(err, fault.ErrLocal) {
		t.Error(err)
	}
	k := s.client(nil)
	for _, id := range [][]byte{nil, bytes.Repeat([]byte("x"), 2000)} {
		if _, err := k.Key(t.Context(), id); !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, etee.ErrKEK) {
			t.Error(err)
		}
	}
	s.set(func(n *xmltree.Node) (string, error) {
		if n.Local() == "GetEtkRequest" {
			return registry(s.tokens)(n)
		}
		return `<s:Fault xmlns:s="` + soap.NS + `" xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">` +
			`<faultcode>w:InvalidSecurity</faultcode><faultstring>x</faultstring></s:Fault>`, nil
	})
	if _, err := k.Key(t.Context(), []byte("x")); !errors.Is(err, fault.ErrDenied) || !errors.Is(err, fault.ErrRejected) {
		t.Error(err)
	}
}

func TestACLs(t *testing.T) {
	k := newKeyService(t).client(nil)
	many := make([]etee.Reader, 65)
	for i := range many {
		many[i] = etee.Reader{Namespace: "n", Name: "n"}
	}
	for name, list := range map[string]etee.ACL{
		"nobody":       {},
		"too many":     {Allowed: many},
		"too many out": {Allowed: many[:1], Excluded: many},
		"no name":      {Allowed: []etee.Reader{{Namespace: "n"}}},
		"no namespace": {Allowed: []etee.Reader{{Name: "n"}}},
		"values":       {Allowed: []etee.Reader{{Namespace: "n", Name: "n", Values: make([]string, 65)}}},
		"control":      {Allowed: []etee.Reader{{Namespace: "n", Name: "n\x00"}}},
	} {
		_, err := k.NewKey(t.Context(), list)
		if !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, fault.ErrNotSent) || name != "control" && !errors.Is(err, etee.ErrACL) {
			t.Errorf("%s: %v", name, err)
		}
		if err := k.Prepare(t.Context(), list, 1); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeysReady: keys fetched beforehand serve their own list and no other, for a day, while everything is down.
func TestKeysReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		s := newKeyService(t)
		k := s.client(func(c *etee.KGSSConfig) { c.MaxPool = 5 })
		one, two := acl("70010100287"), acl("70010100386")
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { check(t, k.Prepare(t.Context(), one, 2)) })
		}
		wg.Wait()
		if s.made != 2 {
			t.Errorf("%d keys made", s.made)
		}
		s.set(down)
		seen := map[string]bool{}
		for range 2 {
			key, err := k.NewKey(t.Context(), one)
			check(t, err)
			seen[string(key.ID())] = true
		}
		if len(seen) != 2 {
			t.Error("a key was used twice")
		}
		if _, err := k.NewKey(t.Context(), one); !errors.Is(err, fault.ErrUnavailable) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		s.set(s.handle)
		check(t, k.Prepare(t.Context(), one, 2))
		s.set(down)
		if _, err := k.NewKey(t.Context(), two); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("key of another list: %v", err)
		}
		time.Sleep(13 * time.Hour)
		if _, err := k.NewKey(t.Context(), one); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("too old: %v", err)
		}
		// Bounded over all lists: the newest win.
		time.Sleep(time.Minute)
		s.set(s.handle)
		for i := range 6 {
			check(t, k.Prepare(t.Context(), acl(fmt.Sprint("list ", i)), 1))
			time.Sleep(time.Second)
		}
		s.set(down)
		if _, err := k.NewKey(t.Context(), acl("list 0")); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("more than MaxPool: %v", err)
		}
		check(t, second(k.NewKey(t.Context(), acl("list 1"))))
		k.Forget()
		if _, err := k.NewKey(t.Context(), acl("list 5")); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("forgotten: %v", err)
		}
	})
}

// TestKeysBounded: keys remembered stop growing.
func TestKeysBounded(t *testing.T) {
	s := newKeyService(t)
	k := s.client(func(c *etee.KGSSConfig) { c.MaxKeys = 2 })
	ask := func(id string, questions int) {
		t.Helper()
		before := s.asks("GetKeyRequest")
		s.keys[id] = []byte("secret of " + id + "     ")[:16]
		check(t, second(k.Key(t.Context(), []byte(id))))
		if n := s.asks("GetKeyRequest") - before; n != questions {
			t.Errorf("%s: %d questions, want %d", id, n, questions)
		}
	}
	ask("a", 1)
	ask("b", 1)
	ask("a", 0)
	ask("c", 1)
	ask("a", 0)
	ask("b", 1)
}

// TestServiceKeyChanged: the service changed its key and cannot open what was sealed for the old one. One refresh of its token,
// then success, with no user action (T17).
func TestServiceKeyChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		s := newKeyService(t)
		k := s.client(nil)
		check(t, second(k.NewKey(t.Context(), acl("70010100287"))))
		time.Sleep(time.Hour)
		s.at = w.party("CBE=0809394427, KGSS", "hospital", spec{})
		if _, err := k.NewKey(t.Context(), acl("70010100287")); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("the depot lags behind: %v", err)
		}
		s.tokens["CBE/0809394427/KGSS"] = s.at.token
		time.Sleep(2 * time.Minute)
		before := maps.Clone(s.asked)
		check(t, second(k.NewKey(t.Context(), acl("70010100287"))))
		if s.asks("GetNewKeyRequest")-before["GetNewKeyRequest"] != 2 || s.asks("CBE/0809394427/KGSS")-before["CBE/0809394427/KGSS"] != 1 {
			t.Errorf("%v, before %v", s.asked, before)
		}
	})
}

// TestKeysWithoutDepot: without the service's token nothing is asked of it; with a kept one an outage of the depot does not matter.
func TestKeysWithoutDepot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		s := newKeyService(t)
		half := func(n *xmltree.Node) (string, error) {
			if n.Local() == "GetEtkRequest" {
				return "", errRefused
			}
			return s.handle(n)
		}
		s.set(half)
		k := s.client(nil)
		_, err := k.NewKey(t.Context(), acl("70010100287"))
		if !errors.Is(err, fault.ErrUnavailable) || !errors.Is(err, fault.ErrNotSent) || s.asks("GetNewKeyRequest") != 0 {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		s.set(s.handle)
		check(t, second(k.NewKey(t.Context(), acl("70010100287"))))
		time.Sleep(9 * time.Hour)
		s.set(half)
		check(t, second(k.NewKey(t.Context(), acl("70010100287"))))
	})
}

func TestKGSSNeeds(t *testing.T) {
	if _, err := etee.NewKGSS(nil, etee.KGSSConfig{}); err == nil {
		t.Error("nothing is needed")
	}
	s := newKeyService(t)
	w := theWorld()
	_, err := etee.NewKGSS(s.exchanger(t), etee.KGSSConfig{Depot: s.depot(t, etee.DepotConfig{}), Sealer: sealer(t), Keys: w.doctor})
	if !errors.Is(err, etee.ErrTrust) {
		t.Error(err)
	}
}

var _ exchange.Security = tied{}
