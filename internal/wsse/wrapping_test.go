package wsse_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// Signature wrapping: an attacker without any key rearranges a message that was validly signed, so that the signature still holds for
// what it covered while the receiver reads something else. Each test first makes sure that the message is accepted as it was.

// evil is what the attacker wants to be read.
const evil = `<p:Request xmlns:p="urn:p"><Patient>somebody else</Patient></p:Request>`

// refused checks that an edited message is refused for the stated reason.
func refused(t *testing.T, what, doc string, want error) {
	t.Helper()
	v, err := verify(t, doc, now)
	if !errors.Is(err, want) || v != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	if err != nil && (strings.Contains(err.Error(), assertionID) || strings.Contains(err.Error(), "Patient")) {
		t.Errorf("%s: the error quotes the message: %v", what, err)
	}
}

// both runs a test on a message of each profile.
func both(t *testing.T, f func(t *testing.T, msg string)) {
	t.Helper()
	for name, msg := range map[string]string{"X509": x509Message(t, ec()), "HolderOfKey": hokMessage(t, ec())} {
		t.Run(name, func(t *testing.T) {
			if _, err := verify(t, msg, now); err != nil {
				t.Fatalf("refused before the attack: %v", err)
			}
			f(t, msg)
		})
	}
}

func TestWrapMovedBody(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		body, id := source(t, msg, "Body"), idOf(t, msg, "Body")
		moved := strings.Replace(body, "<soapenv:Body", `<soapenv:Body xmlns:soapenv="`+soap.NS+`"`, 1)
		newBody := func(attrs string) string {
			return `<soapenv:Body xmlns:wsu="` + wsse.NSWSU + `"` + attrs + `>` + evil + `</soapenv:Body>`
		}
		place := func(where, attrs string) string {
			doc := strings.Replace(msg, body, newBody(attrs), 1)
			switch where {
			case "header":
				return edit(t, doc, "</wsse:Security>", "</wsse:Security><w:Wrapper xmlns:w=\"urn:w\">"+moved+"</w:Wrapper>")
			case "security":
				return edit(t, doc, "</wsse:Security>", "<w:Wrapper xmlns:w=\"urn:w\">"+moved+"</w:Wrapper></wsse:Security>")
			case "object":
				return edit(t, doc, "</ds:KeyInfo></ds:Signature></wsse:", "</ds:KeyInfo><ds:Object>"+moved+"</ds:Object></ds:Signature></wsse:")
			case "payload":
				return edit(t, doc, "</p:Request>", moved+"</p:Request>")
			}
			return edit(t, doc, "</soapenv:Envelope>", moved+"</soapenv:Envelope>")
		}
		for _, where := range []string{"header", "object", "payload"} {
			refused(t, where+", no id", place(where, ""), wsse.ErrUnsigned)
			refused(t, where+", another id", place(where, ` wsu:Id="id-evil"`), wsse.ErrUnsigned)
			refused(t, where+", same id", place(where, ` wsu:Id="`+id+`"`), dsig.ErrDuplicateID)
			refused(t, where+", same id without namespace", place(where, ` Id="`+id+`"`), dsig.ErrDuplicateID)
		}
		refused(t, "inside Security", place("security", ""), wsse.ErrShape)
		refused(t, "second Body", place("envelope", ""), wsse.ErrShape)
		first := edit(t, msg, body, newBody("")+body)
		refused(t, "new Body first", first, wsse.ErrShape)
	})
}

func TestWrapDuplicatedID(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		for _, part := range []string{"Body", "Timestamp"} {
			id := idOf(t, msg, part)
			refused(t, part+" in the header", edit(t, msg, "</soapenv:Header>", `<w:W xmlns:w="urn:w" xmlns:wsu="`+wsse.NSWSU+`" wsu:Id="`+id+`"/></soapenv:Header>`), dsig.ErrDuplicateID)
		}
		// Not referenced, but a resolver that keeps the last one of each id must not be led astray either.
		refused(t, "not referenced", edit(t, msg, "</soapenv:Header>",
			`<w:W xmlns:w="urn:w" xmlns:wsu="`+wsse.NSWSU+`"><w:A wsu:Id="q"/><w:B wsu:Id="q"/></w:W></soapenv:Header>`), dsig.ErrDuplicateID)
	})
}

func TestWrapIDInForeignNamespace(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		id := idOf(t, msg, "Body")
		for name, attr := range map[string]string{
			"foreign Id": `w:Id="`, "foreign ID": `w:ID="`, "foreign id": `w:id="`, "xml:id": `xml:id="`, "plain Id": `Id="`, "plain ID": `ID="`, "plain id": `id="`,
		} {
			decoy := `<w:W xmlns:w="urn:w" ` + attr + id + `"/>`
			refused(t, name, edit(t, msg, "</soapenv:Header>", decoy+"</soapenv:Header>"), dsig.ErrDuplicateID)
			only := strings.Replace(msg, `wsu:Id="`+id+`"`, `xmlns:w="urn:w" `+attr+id+`"`, 1)
			refused(t, name+" instead", only, dsig.ErrReference)
		}
		// The right prefix, bound to another namespace.
		refused(t, "rebound prefix", edit(t, msg, `<soapenv:Body xmlns:wsu="`+wsse.NSWSU, `<soapenv:Body xmlns:wsu="urn:not-wsu`), dsig.ErrReference)
	})
}

func TestWrapSignedFragmentUnderWrapper(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		stamp := source(t, msg, "Timestamp")
		fresh := strings.NewReplacer("TS-", "TS-evil-", "10:00:00", "10:00:30", "10:01:00", "10:04:30").Replace(stamp)
		moved := strings.Replace(stamp, "<wsu:Timestamp", `<wsu:Timestamp xmlns:wsu="`+wsse.NSWSU+`"`, 1)
		doc := edit(t, msg, stamp, fresh)
		refused(t, "Timestamp in the header", edit(t, doc, "</soapenv:Header>", `<w:W xmlns:w="urn:w">`+moved+`</w:W></soapenv:Header>`), wsse.ErrUnsigned)
		refused(t, "Timestamp in Security", edit(t, doc, "</wsse:Security>", `<w:W xmlns:w="urn:w">`+moved+`</w:W></wsse:Security>`), wsse.ErrShape)
		refused(t, "whole envelope", `<w:W xmlns:w="urn:w">`+msg+`</w:W>`, wsse.ErrShape)
	})
	wrapped := parse(t, `<w:W xmlns:w="urn:w">`+x509Message(t, ec())+`</w:W>`)
	if _, err := wsse.Verify(find(t, wrapped, "Envelope"), wsse.Policy{Now: now}); !errors.Is(err, wsse.ErrShape) {
		t.Errorf("an envelope that is not the root: %v", err)
	}
}

// The token that was signed is moved away and the attacker's stands in its place.
func TestWrapSignedTokenUnderWrapper(t *testing.T) {
	msg := x509Message(t, ec())
	token, id := source(t, msg, "BinarySecurityToken"), idOf(t, msg, "BinarySecurityToken")
	moved := `<w:W xmlns:w="urn:w">` + withNamespaces(token) + `</w:W></soapenv:Header>`
	other := strings.Replace(token, b64(ec().cred.Certificate), b64(mallet().cred.Certificate), 1)
	refused(t, "same id", edit(t, edit(t, msg, token, other), "</soapenv:Header>", moved), dsig.ErrDuplicateID)
	other = strings.Replace(other, id, "X509-evil", 1)
	refused(t, "other id", edit(t, edit(t, msg, token, other), "</soapenv:Header>", moved), wsse.ErrToken)
	refused(t, "none left", edit(t, edit(t, msg, token, ""), "</soapenv:Header>", moved), wsse.ErrShape)
}

func TestWrapSecondSecurityHeader(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		security := source(t, msg, "Security")
		empty := `<wsse:Security xmlns:wsse="` + wsse.NSWSSE + `"/>`
		actor := `<wsse:Security xmlns:wsse="` + wsse.NSWSSE + `" soapenv:actor="urn:other"/>`
		refused(t, "empty, first", edit(t, msg, "<soapenv:Header>", "<soapenv:Header>"+empty), wsse.ErrShape)
		refused(t, "empty, last", edit(t, msg, "</soapenv:Header>", empty+"</soapenv:Header>"), wsse.ErrShape)
		refused(t, "for another actor", edit(t, msg, "</soapenv:Header>", actor+"</soapenv:Header>"), wsse.ErrShape)
		refused(t, "copy", edit(t, msg, "</soapenv:Header>", security+"</soapenv:Header>"), wsse.ErrShape)
		refused(t, "in the payload", edit(t, msg, "</p:Request>", empty+"</p:Request>"), wsse.ErrShape)
		refused(t, "moved into a wrapper", edit(t, msg, security, `<w:W xmlns:w="urn:w">`+security+`</w:W>`), wsse.ErrShape)
		refused(t, "moved into the payload", edit(t, edit(t, msg, security, ""), "</p:Request>", security+"</p:Request>"), wsse.ErrShape)
		refused(t, "none", edit(t, msg, security, ""), wsse.ErrNoSecurity)
	})
}

func TestWrapSecondAssertion(t *testing.T) {
	msg := hokMessage(t, ec())
	own, other := assertion(ec()), assertion(mallet())
	for name, second := range map[string]string{"copy": own, "same id": other, "other id": strings.Replace(other, assertionID, "_evil", 1)} {
		refused(t, name+" before", edit(t, msg, "<Assertion ", second+"<Assertion "), wsse.ErrShape)
		refused(t, name+" after", edit(t, msg, "</Assertion>", "</Assertion>"+second), wsse.ErrShape)
		refused(t, name+" in the header", edit(t, msg, "</wsse:Security>", "</wsse:Security>"+second), wsse.ErrShape)
		refused(t, name+" in a wrapper", edit(t, msg, "</wsse:Security>", `</wsse:Security><w:W xmlns:w="urn:w">`+second+"</w:W>"), wsse.ErrShape)
		refused(t, name+" in Advice", edit(t, msg, "<AttributeStatement>", "<Advice>"+second+"</Advice><AttributeStatement>"), wsse.ErrShape)
	}
	refused(t, "replaced", edit(t, msg, own, other), dsig.ErrSignature)
	refused(t, "renamed", edit(t, msg, `AssertionID="`+assertionID, `AssertionID="_evil`), wsse.ErrToken)
	refused(t, "beside a token", edit(t, x509Message(t, ec()), "</wsse:Security>", own+"</wsse:Security>"), wsse.ErrShape)
	refused(t, "SAML 2", edit(t, msg, own, strings.Replace(own, saml.NS, "urn:oasis:names:tc:SAML:2.0:assertion", 1)), wsse.ErrShape)
}

func TestWrapSecondTimestamp(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		stamp := source(t, msg, "Timestamp")
		fresh := strings.NewReplacer("TS-", "TS-evil-", "10:00:00", "10:04:00", "10:01:00", "10:05:00").Replace(stamp)
		refused(t, "before", edit(t, msg, stamp, fresh+stamp), wsse.ErrShape)
		refused(t, "after", edit(t, msg, stamp, stamp+fresh), wsse.ErrShape)
		refused(t, "at the end", edit(t, msg, "</wsse:Security>", fresh+"</wsse:Security>"), wsse.ErrShape)
		refused(t, "none", edit(t, msg, stamp, ""), wsse.ErrShape)
		refused(t, "another namespace", edit(t, msg, "<wsu:Timestamp ", `<wsu:Timestamp xmlns:wsu="urn:x" `), wsse.ErrShape)
	})
}

func TestWrapSecondToken(t *testing.T) {
	msg := x509Message(t, ec())
	token := source(t, msg, "BinarySecurityToken")
	other := strings.NewReplacer("X509-", "X509-evil-", b64(ec().cred.Certificate), b64(mallet().cred.Certificate)).Replace(token)
	refused(t, "before", edit(t, msg, token, other+token), wsse.ErrShape)
	refused(t, "after", edit(t, msg, token, token+other), wsse.ErrShape)
	refused(t, "beside an assertion", edit(t, hokMessage(t, ec()), "<Assertion ", other+"<Assertion "), wsse.ErrShape)
}

func TestWrapSecondSignature(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		sig := source(t, msg, "Security")
		sig = sig[strings.LastIndex(sig, "<ds:Signature xmlns"):strings.LastIndex(sig, "</wsse:Security>")]
		refused(t, "copy", edit(t, msg, sig, sig+sig), wsse.ErrShape)
		refused(t, "none", edit(t, msg, sig, ""), wsse.ErrShape)
	})
}

// Validly signed, but not what must be signed.
func TestWrapReferencesThatDoNotCover(t *testing.T) {
	who := ec()
	inner := `<S:Body wsu:Id="id-1"><p wsu:Id="inner"/></S:Body>`
	for name, l := range map[string]layout{
		"Timestamp and token":           {before: "%TS%" + bst(who), ids: []string{"TS-1", "X509-1"}},
		"Body and token":                {before: "%TS%" + bst(who), ids: []string{"id-1", "X509-1"}},
		"Body and Timestamp":            {before: "%TS%" + bst(who), ids: []string{"id-1", "TS-1"}},
		"payload instead of Body":       {before: "%TS%" + bst(who), ids: []string{"inner", "TS-1", "X509-1"}, body: inner},
		"assertion: Timestamp only":     {before: "%TS%" + assertion(who), ids: []string{"TS-1"}, str: samlSTR},
		"assertion: Body only":          {before: "%TS%" + assertion(who), ids: []string{"id-1"}, str: samlSTR},
		"assertion: payload, not Body":  {before: "%TS%" + assertion(who), ids: []string{"inner", "TS-1"}, str: samlSTR, body: inner},
		"Created instead of Timestamp":  {before: "%TS%" + bst(who), ids: []string{"id-1", "c", "X509-1"}, timestamp: strings.Replace(aMinute, "<wsu:Created>", `<wsu:Created wsu:Id="c">`, 1)},
		"the same part again and again": {before: "%TS%" + bst(who), ids: []string{"id-1", "id-1", "id-1"}},
	} {
		refused(t, name, l.sign(t, who), wsse.ErrUnsigned)
	}
}

// A comment is not signed, so an attacker may put one anywhere; a reader that stops at it reads something else.
func TestWrapCommentsInsideText(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		for _, place := range []string{"2026-01-01T10:00:00.000", "2026-01-01T10:01:00.000"} {
			refused(t, place, edit(t, msg, place, place[:10]+"<!-- x -->"+place[10:]), wsse.ErrShape)
		}
		refused(t, "before the date", edit(t, msg, "<wsu:Created>", "<wsu:Created><!-- x -->"), wsse.ErrShape)
		refused(t, "in the Timestamp", edit(t, msg, "<wsu:Created>", "<!-- x --><wsu:Created>"), wsse.ErrShape)
		refused(t, "in Security", edit(t, msg, "</wsse:Security>", "<!-- x --></wsse:Security>"), wsse.ErrShape)
		refused(t, "in DigestValue", edit(t, msg, "<ds:DigestValue>", "<ds:DigestValue><!-- x -->"), dsig.ErrFormat)
		refused(t, "in SignatureValue", edit(t, msg, "</ds:SignatureValue>", "<!-- x --></ds:SignatureValue>"), dsig.ErrFormat)
		refused(t, "in SignedInfo", edit(t, msg, "</ds:SignedInfo>", "<!-- x --></ds:SignedInfo>"), dsig.ErrFormat)
		refused(t, "in KeyInfo", edit(t, msg, "</wsse:SecurityTokenReference>", "</wsse:SecurityTokenReference><!-- x -->"), wsse.ErrToken)
		refused(t, "in the STR", edit(t, msg, "</wsse:SecurityTokenReference>", "<!-- x --></wsse:SecurityTokenReference>"), wsse.ErrToken)
	})
	msg := x509Message(t, ec())
	cert := b64(ec().cred.Certificate)
	refused(t, "in the token", edit(t, msg, cert, cert[:40]+"<!-- x -->"+cert[40:]), wsse.ErrToken)
	msg = hokMessage(t, ec())
	refused(t, "in the KeyIdentifier", edit(t, msg, ">"+assertionID, ">"+assertionID[:9]+"<!-- x -->"+assertionID[9:]), wsse.ErrToken)
	refused(t, "in the holder's certificate", edit(t, msg, "<ds:X509Certificate>", "<ds:X509Certificate><!-- x -->"), wsse.ErrToken)
	refused(t, "in an attribute value", edit(t, msg, "<AttributeValue>v", "<AttributeValue><!-- x -->v"), wsse.ErrToken)
	// In the payload the comment is harmless to the signature; that the reader of the payload sees it is the tree's business.
	v, err := verify(t, edit(t, msg, "<Patient>caf", "<Patient><!-- x -->caf"), now)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := find(t, v.Body, "Patient").Text(); err == nil {
		t.Errorf("half a value: %q", text)
	}
}

func TestWrapEmptyReference(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		ref := `URI="#` + idOf(t, msg, "Body") + `"`
		for name, uri := range map[string]string{
			"empty": `URI=""`, "none": ``, "hash only": `URI="#"`, "root pointer": `URI="#xpointer(/)"`, "external": `URI="http://attacker.example/body.xml"`, "attachment": `URI="cid:body"`,
		} {
			refused(t, name, edit(t, msg, ref, uri), dsig.ErrReference)
		}
	})
}

func TestWrapTokenReference(t *testing.T) {
	who := ec()
	tok := assertion(who)
	x := func(str string) layout {
		return layout{before: "%TS%" + bst(who), ids: []string{"id-1", "TS-1", "X509-1"}, str: str}
	}
	h := func(str string) layout {
		return layout{before: "%TS%" + tok, ids: []string{"id-1", "TS-1"}, str: str}
	}
	x509Data := `<ds:X509Data xmlns:ds="` + dsig.NS + `"><ds:X509Certificate>` + b64(mallet().cred.Certificate) + `</ds:X509Certificate></ds:X509Data>`
	for name, l := range map[string]layout{
		"certificate in KeyInfo":      x(x509Data),
		"certificate in the STR":      x(`<wsse:SecurityTokenReference>` + x509Data + `</wsse:SecurityTokenReference>`),
		"two STRs":                    x(bstSTR + withNamespaces(bstSTR)),
		"empty STR":                   x(`<wsse:SecurityTokenReference></wsse:SecurityTokenReference>`),
		"two references":              x(strings.Replace(bstSTR, "</wsse:Sec", `<wsse:Reference URI="#X509-1"/></wsse:Sec`, 1)),
		"reference elsewhere":         x(strings.Replace(bstSTR, "#X509-1", "#TS-1", 1)),
		"external reference":          x(strings.Replace(bstSTR, "#X509-1", "http://attacker.example/X509-1", 1)),
		"wrong ValueType":             x(strings.Replace(bstSTR, "#X509v3", "#X509PKIPathv1", 1)),
		"KeyIdentifier for a token":   x(samlSTR),
		"Reference for an assertion":  h(strings.Replace(bstSTR, "X509-1", assertionID, 1)),
		"another assertion":           h(strings.Replace(samlSTR, assertionID, "_other", 1)),
		"empty KeyIdentifier":         h(strings.Replace(samlSTR, assertionID, "", 1)),
		"1.1 ValueType":               h(strings.Replace(samlSTR, "saml-token-profile-1.0#", "saml-token-profile-1.1#", 1)),
		"EncodingType":                h(strings.Replace(samlSTR, "<wsse:KeyIdentifier ", `<wsse:KeyIdentifier EncodingType="`+wsse.EncodingBase64+`" `, 1)),
		"SAML 2 TokenType":            h(strings.Replace(samlSTR, "#SAMLV1.1", "#SAMLV2.0", 1)),
		"token of another type":       {before: "%TS%" + strings.Replace(bst(who), "#X509v3", "#PKCS7", 1), ids: []string{"id-1", "TS-1", "X509-1"}},
		"token in hexadecimal":        {before: "%TS%" + strings.Replace(bst(who), "#Base64Binary", "#HexBinary", 1), ids: []string{"id-1", "TS-1", "X509-1"}},
		"token that is none":          {before: "%TS%" + bstOpen + "AAAA</wsse:BinarySecurityToken>", ids: []string{"id-1", "TS-1", "X509-1"}},
		"token not base64":            {before: "%TS%" + bstOpen + "?</wsse:BinarySecurityToken>", ids: []string{"id-1", "TS-1", "X509-1"}},
		"huge token":                  {before: "%TS%" + bstOpen + strings.Repeat("AAAA", 5000) + "</wsse:BinarySecurityToken>", ids: []string{"id-1", "TS-1", "X509-1"}},
		"assertion without a holder":  {before: "%TS%" + strings.Replace(tok, "holder-of-key", "sender-vouches", 1), ids: []string{"id-1", "TS-1"}, str: samlSTR},
		"assertion that is malformed": {before: "%TS%" + strings.Replace(tok, `MinorVersion="1"`, "", 1), ids: []string{"id-1", "TS-1"}, str: samlSTR},
	} {
		refused(t, name, l.sign(t, who), wsse.ErrToken)
	}
	noKeyInfo := x509Message(t, who)
	refused(t, "no KeyInfo", edit(t, noKeyInfo, source(t, noKeyInfo, "KeyInfo"), ""), wsse.ErrToken)
}

// A message signed by one key that claims the token of another.
func TestWrapForeignToken(t *testing.T) {
	refused(t, "token", layout{before: "%TS%" + bst(ec()), ids: []string{"id-1", "TS-1", "X509-1"}}.sign(t, mallet()), dsig.ErrSignature)
	refused(t, "assertion", layout{before: "%TS%" + assertion(ec()), ids: []string{"id-1", "TS-1"}, str: samlSTR}.sign(t, mallet()), dsig.ErrSignature)
}

func TestTamperedBody(t *testing.T) {
	both(t, func(t *testing.T, msg string) {
		refused(t, "text", edit(t, msg, "<Patient>caf", "<Patient>cof"), dsig.ErrDigest)
		refused(t, "attribute", edit(t, msg, `a="&lt;"`, `a="&gt;"`), dsig.ErrDigest)
		refused(t, "white space", edit(t, msg, "<Empty/>", "<Empty/> "), dsig.ErrDigest)
		refused(t, "time", edit(t, msg, "10:01:00.000", "10:09:00.000"), dsig.ErrDigest)
		refused(t, "namespace", edit(t, msg, `xmlns="urn:q"`, `xmlns="urn:r"`), dsig.ErrDigest)
		for name, same := range map[string][2]string{
			"empty element": {"<Empty/>", "<Empty></Empty>"}, "CDATA": {"&amp; 1", "<![CDATA[& 1]]>"}, "quotes": {`a="&lt;"`, `a='&lt;'`}, "spare declaration": {"<soapenv:Body ", `<soapenv:Body xmlns:spare="urn:spare" `},
		} {
			if _, err := verify(t, edit(t, msg, same[0], same[1]), now); err != nil {
				t.Errorf("%s means the same and is refused: %v", name, err)
			}
		}
	})
}

func TestNotAnEnvelope(t *testing.T) {
	good := x509Message(t, ec())
	for name, doc := range map[string]string{
		"something else": "<a/>",
		"SOAP 1.2":       strings.ReplaceAll(good, soap.NS, "http://www.w3.org/2003/05/soap-envelope"),
		"no body":        edit(t, good, source(t, good, "Body"), ""),
		"two payloads":   edit(t, good, "</soapenv:Body>", "<more/></soapenv:Body>"),
		"unknown child":  edit(t, good, "</wsse:Security>", "<x/></wsse:Security>"),
		"text":           edit(t, good, "</wsse:Security>", "x</wsse:Security>"),
	} {
		refused(t, name, doc, wsse.ErrShape)
	}
	if _, err := wsse.Verify(nil, wsse.Policy{Now: now}); !errors.Is(err, wsse.ErrShape) {
		t.Errorf("nil: %v", err)
	}
	refused(t, "header without security", edit(t, good, source(t, good, "Security"), "<x/>"), wsse.ErrNoSecurity)
	refused(t, "no header", edit(t, good, source(t, good, "Header"), ""), wsse.ErrNoSecurity)
}
