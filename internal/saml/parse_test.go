package saml_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/saml"
)

func TestParse(t *testing.T) {
	doc := signed(t, unsigned(pki().holder.cert), pki().sts)
	n := parse(t, doc)
	a, err := saml.Parse(n)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time { v, _ := time.Parse(time.RFC3339Nano, s); return v }
	for name, ok := range map[string]bool{
		"ID":           a.ID == assertionID,
		"Issuer":       a.Issuer == saml.IssuerSTS,
		"IssueInstant": a.IssueInstant.Equal(at("2026-01-01T09:59:12.454Z")),
		"NotBefore":    a.NotBefore.Equal(at("2026-01-01T09:54:10.427Z")),
		"NotOnOrAfter": a.NotOnOrAfter.Equal(at("2026-01-01T14:59:10.427Z")),
		"AuthInstant":  a.AuthInstant.Equal(a.IssueInstant),
		"AuthMethod":   a.AuthMethod == saml.AuthMethodX509,
		"Subject":      a.Subject == `CN="SSIN=79021802145", OU=eHealth-platform Belgium, C=BE`,
		"Qualifier":    a.SubjectQualifier == "CN=issuing CA, C=BE",
		"Format":       a.SubjectFormat == saml.FormatX509SubjectName,
		"HolderOfKey":  a.HolderOfKey.Equal(pki().holder.cert),
		"Raw":          string(a.Raw) == doc,
		"Node":         a.Node() == n,
		"Attributes":   len(a.Attributes) == 3 && a.Attributes[0].Namespace == "urn:be:fgov:identification-namespace",
	} {
		if !ok {
			t.Errorf("%s is wrong", name)
		}
	}
	if v, ok := a.Attribute("urn:be:fgov:person:ssin"); !ok || len(v) != 1 || v[0] != "79021802145" {
		t.Error("ssin attribute")
	}
	if v, ok := a.Attribute("urn:two"); !ok || len(v) != 2 || v[0] != "a" || v[1] != "" {
		t.Error("two values")
	}
	if _, ok := a.Attribute("urn:none"); ok {
		t.Error("an attribute that is not there")
	}
}

// Layouts that must be read alike.
func TestParseAccepts(t *testing.T) {
	holder := pki().holder.cert
	base := strings.Replace(unsigned(holder), "%SIG%", "", 1)
	conf := confirmation(holder)
	inAttribute := edit(t, edit(t, base, conf, ""), "C=BE</NameIdentifier></Subject><Attribute ", "C=BE</NameIdentifier>"+conf+"</Subject><Attribute ")
	prefixed := strings.NewReplacer("<ds:", "<ds:", "</ds:", "</ds:", "</", "</s:", "<", "<s:").Replace(base)
	prefixed = strings.Replace(prefixed, `xmlns="`+saml.NS, `xmlns:s="`+saml.NS, 1)
	for name, doc := range map[string]string{
		"as the STS writes it":         base,
		"any prefix":                   prefixed,
		"confirmed by attributes only": inAttribute,
		"confirmed in both":            edit(t, base, "C=BE</NameIdentifier></Subject><Attribute ", "C=BE</NameIdentifier>"+conf+"</Subject><Attribute "),
		"statements the other way":     swap(t, base),
		"Advice":                       edit(t, base, "<AuthenticationStatement", "<Advice/><AuthenticationStatement"),
		"audience":                     edit(t, base, `14:59:10.427Z"/>`, `14:59:10.427Z"><AudienceRestrictionCondition><Audience>x</Audience></AudienceRestrictionCondition><DoNotCacheCondition/></Conditions>`),
		"locality":                     edit(t, base, "</AuthenticationStatement>", `<SubjectLocality IPAddress="10.0.0.1"/></AuthenticationStatement>`),
		"white space":                  strings.ReplaceAll(base, "><", ">\n\t<"),
		"local offset":                 edit(t, base, `"2026-01-01T09:59:12.454Z"`, `"2026-01-01T10:59:12.454+01:00"`),
	} {
		a, err := saml.Parse(parse(t, doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !a.HolderOfKey.Equal(holder) || len(a.Attributes) != 3 || !a.IssueInstant.Equal(a.AuthInstant) || string(a.Raw) != doc {
			t.Errorf("%s: read differently", name)
		}
	}
}

// swap puts the attribute statement before the authentication statement.
func swap(t *testing.T, doc string) string {
	t.Helper()
	i, j, k := strings.Index(doc, "<AuthenticationStatement"), strings.Index(doc, "<AttributeStatement"), strings.Index(doc, "</Assertion>")
	return doc[:i] + doc[j:k] + doc[i:j] + doc[k:]
}

func TestParseWithoutOptionalParts(t *testing.T) {
	doc := `<saml:Assertion xmlns:saml="` + saml.NS + `" MajorVersion="1" MinorVersion="1" AssertionID="x" Issuer="CN=me" IssueInstant="2026-01-01T10:00:00Z">` +
		`<saml:AttributeStatement><saml:Subject><saml:SubjectConfirmation><saml:ConfirmationMethod>` + saml.MethodSenderVouches + `</saml:ConfirmationMethod></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Attribute AttributeName="n" AttributeNamespace="ns"><saml:AttributeValue> <x:v xmlns:x="urn:x">1</x:v></saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>`
	a, err := saml.Parse(parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	if a.HolderOfKey != nil || !a.NotBefore.IsZero() || !a.NotOnOrAfter.IsZero() || a.Subject != "" || !a.AuthInstant.IsZero() {
		t.Error("something out of nothing")
	}
	if v, _ := a.Attribute("n"); v[0] != `<x:v xmlns:x="urn:x">1</x:v>` {
		t.Errorf("XML value: %q", v)
	}
}

func TestParseRefuses(t *testing.T) {
	holder, other := pki().holder.cert, pki().holder2.cert
	base := strings.Replace(unsigned(holder), "%SIG%", "", 1)
	second := "C=BE</NameIdentifier></Subject><Attribute "
	for name, c := range map[string][2]string{
		"another element":              {"<Assertion ", `<Other `},
		"another namespace":            {saml.NS, "urn:oasis:names:tc:SAML:2.0:assertion"},
		"SAML 1.0":                     {`MinorVersion="1"`, `MinorVersion="0"`},
		"no AssertionID":               {"AssertionID", "ID"},
		"no Issuer":                    {" Issuer=", " Isuer="},
		"no IssueInstant":              {"IssueInstant", "Instant"},
		"time without offset":          {"09:59:12.454Z", "09:59:12.454"},
		"time with comma":              {"09:59:12.454Z", "09:59:12,454Z"},
		"time that is none":            {"09:54:10.427Z", "tomorrow"},
		"bad NotOnOrAfter":             {"14:59:10.427Z", "x"},
		"ends before it begins":        {"14:59:10.427Z", "09:54:10.427Z"},
		"unknown condition":            {`14:59:10.427Z"/>`, `14:59:10.427Z"><Only when="raining"/></Conditions>`},
		"conditions twice":             {"<AuthenticationStatement", "<Conditions/><AuthenticationStatement"},
		"two authentications":          {"<AttributeStatement>", `<AuthenticationStatement AuthenticationInstant="2026-01-01T10:00:00Z"><Subject>` + nameIdentifier + `</Subject></AuthenticationStatement><AttributeStatement>`},
		"bad AuthenticationInstant":    {`AuthenticationInstant="2026`, `AuthenticationInstant="26`},
		"unknown statement":            {"<AttributeStatement>", "<MyStatement/><AttributeStatement>"},
		"text":                         {"<AttributeStatement>", "x<AttributeStatement>"},
		"processing instruction":       {"<AttributeStatement>", "<?x?><AttributeStatement>"},
		"comment":                      {"<AttributeStatement>", "<!-- x --><AttributeStatement>"},
		"element after the end":        {"</Assertion>", "<Conditions/></Assertion>"},
		"no subject":                   {"<AttributeStatement><Subject>" + nameIdentifier + "</Subject>", "<AttributeStatement>"},
		"another subject":              {"<AttributeStatement><Subject>" + nameIdentifier, "<AttributeStatement><Subject>" + strings.Replace(nameIdentifier, "79021802145", "79021802146", 1)},
		"another qualifier":            {"<AttributeStatement><Subject>" + nameIdentifier, "<AttributeStatement><Subject>" + strings.Replace(nameIdentifier, "issuing CA", "CA", 1)},
		"comment in the name":          {"79021802145", "7902<!-- -->1802145"},
		"empty name":                   {nameIdentifier, "<NameIdentifier/>"},
		"more in the subject":          {second, "C=BE</NameIdentifier><X/></Subject><Attribute "},
		"another holder":               {second, "C=BE</NameIdentifier>" + confirmation(other) + "</Subject><Attribute "},
		"two certificates":             {"</ds:X509Certificate>", "</ds:X509Certificate><ds:X509Certificate>" + b64(other) + "</ds:X509Certificate>"},
		"certificate is none":          {lines(b64(holder)), "AAAA"},
		"comment in the certificate":   {"<ds:X509Certificate>", "<ds:X509Certificate><!-- -->"},
		"no method":                    {"<ConfirmationMethod>" + saml.MethodHolderOfKey + "</ConfirmationMethod>", ""},
		"comment in the method":        {saml.MethodHolderOfKey, saml.MethodHolderOfKey + "<!-- -->"},
		"more in the confirmation":     {"</SubjectConfirmation>", "<X/></SubjectConfirmation>"},
		"not an attribute":             {"<Attribute ", "<X/><Attribute "},
		"not a value":                  {"<AttributeValue>true", "<X/><AttributeValue>true"},
		"comment in a value":           {">true<", ">tr<!-- -->ue<"},
		"mixed value":                  {">true<", ">tr<b/>ue<"},
		"two elements in a value":      {">true<", "><a/><b/><"},
		"text among values":            {"<AttributeValue>true", "x<AttributeValue>true"},
		"text in the subject":          {"<Subject><Name", "<Subject>x<Name"},
		"text in the confirmation":     {"<SubjectConfirmation>", "<SubjectConfirmation>x"},
		"text in a statement":          {"<AttributeStatement>", "<AttributeStatement>x"},
		"signature before a statement": {"<AttributeStatement>", `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/><AttributeStatement>`},
	} {
		doc := edit(t, base, c[0], c[1])
		if name == "another element" {
			doc = strings.Replace(doc, "</Assertion>", "</Other>", 1)
		}
		a, err := saml.Parse(parse(t, doc))
		if !errors.Is(err, saml.ErrFormat) || a != nil {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "7902") {
			t.Errorf("%s: the error quotes the assertion: %v", name, err)
		}
	}
	if _, err := saml.Parse(nil); !errors.Is(err, saml.ErrFormat) {
		t.Errorf("nil: %v", err)
	}
	empty := base[:strings.Index(base, "<AuthenticationStatement")] + "</Assertion>"
	if _, err := saml.Parse(parse(t, empty)); !errors.Is(err, saml.ErrFormat) {
		t.Errorf("no statement: %v", err)
	}
}

func TestNothingIsShown(t *testing.T) {
	a, err := saml.Parse(parse(t, strings.Replace(unsigned(pki().holder.cert), "%SIG%", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		A *saml.Assertion
		B []saml.Attribute
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", a, "b", a.Attributes[0], "s", holder{a, a.Attributes})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", a, "b", a.Attributes[0])
	shown := log.String() + a.String() + a.Attributes[0].String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb+verb+verb, a, a.Attributes, holder{a, a.Attributes})
	}
	for _, secret := range []string{"7902", "doctor", assertionID, "eHealth-platform"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	for _, s := range []string{"2026-01-01T10:00:00Z", "2026-01-01T10:00:00.000Z", "2026-01-01T11:00:00+01:00", "2026-01-01T12:00:00.000000000+02:00"} {
		if got, err := saml.ParseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "2026-01-01", "2026-01-01T10:00:00", "2026-01-01T10:00:00,0Z", "2026-13-01T10:00:00Z", " 2026-01-01T10:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01 10:00:00Z"} {
		if got, err := saml.ParseTime(s); !errors.Is(err, saml.ErrFormat) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
}
