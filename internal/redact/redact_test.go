package redact

import (
	"strings"
	"testing"
)

// All of these are synthetic.
const (
	ssin      = "85073199704" // before 2000
	ssin2000  = "15073199817"
	aToken    = "PHNhbWw6QXNzZXJ0aW9uIEFzc2VydGlvbklEPSJfYTFiMmMzIj4xMjM0NTY3ODk"
	aJWT      = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl-_x"
	aHex      = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	aUUID     = "4f1c2a9e-77d1-4c52-9f0a-2f6f3c7f0b11"
	aTrace    = "4bf92f3577b34da6a3ce929d0e0e4736"
	aCommit   = "83df04c0c8a29d1e6a3b1f0e2d4c5b6a79880716"
	anAddress = "jan.janssens@example.be"
)

func TestString(t *testing.T) {
	for _, w := range []struct{ in, want string }{
		{"", ""},
		{"insurability.Check: unavailable, service genericinsurability", "insurability.Check: unavailable, service genericinsurability"},

		// SSIN
		{ssin, "[ssin]"},
		{ssin2000, "[ssin]"},
		{"85.07.31-997.04", "[ssin]"},
		{"85 07 31 997 04.", "[ssin]."},
		{"850731-997-04", "[ssin]"},
		{"850731 99704", "[ssin]"},
		{"850731997 04", "[ssin]"},
		{"85/07/31-997/04", "[ssin]"},
		{"850731 - 997 04", "[ssin]"},
		{"850731\u00a0997\u202f04", "[ssin]"},
		{"85.07.31\u2013997.04", "[ssin]"},
		{"x" + ssin + "y," + ssin2000 + "!", "x[ssin]y,[ssin]!"},
		{"on 2018-08-09 " + ssin + " 12", "on 2018-08-09 [ssin] 12"},
		{"12." + "85.07.31-997.04", "12.[ssin]"},
		{"12.34.56-85.07.31-997.04", "12.34.56-[ssin]"},
		{"https://h.example/p/" + ssin + "/x", "https://h.example/p/[ssin]/x"},
		{"id_" + ssin + "_" + ssin, "id_[ssin]_[ssin]"},
		{"85073199705", "85073199705"},                 // wrong check digits
		{"1" + ssin, "1" + ssin},                       // twelve digits
		{"8507319970", "8507319970"},                   // ten
		{"85.073199704", "85.073199704"},               // a fraction
		{"850.731.997-04", "850.731.997-04"},           // not how it is written
		{"192.168.100.12:8443", "192.168.100.12:8443"}, // eleven digits and more
		{"85\n0731997\n04", "85\n0731997\n04"},
		{ssin[:10], ssin[:10]},

		// XML
		{"got <a/> back", "got [xml] back"},
		{"got <soap:Envelope><b>Jan</b></soap:Envelope>.", "got [xml]."},
		{"cut <soap:Envelope><b>Ja", "cut [xml]"},
		{"cut <soap:Envelope><b>Ja</b> Jan", "cut [xml]"},
		{"<a><b/><!-- x --></a> fine", "[xml] fine"},
		{"<?xml version='1.0'?>", "[xml]"},
		{"&lt;Patient&gt;Jan&lt;/Patient&gt; x", "[xml] x"},
		{`{"x":"\u003cPatient\u003eJan\u003c/Patient\u003e"}`, `{"x":"[xml]"}`},
		{`\u003CPatient\u003EJan`, `[xml]`},
		{"q=%3CPatient%3EJan%3C%2FPatient%3E&x=1", "q=[xml]&x=1"},
		{"%3cPatient%3eJan%3c/Patient%3e", "[xml]"},
		{"err <nil>, 3 < 4, x <- c, a<", "err <nil>, 3 < 4, x <- c, a[xml]"},
		{"p95 < 20 ms & more; 100%", "p95 < 20 ms & more; 100%"},

		// PEM
		{"key -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nend", "key [pem]\nend"},
		{"-----BEGIN CERTIFICATE-----\nMIIE", "[pem]"},
		{"-----BEGIN A-----x-----END A", "[pem]"},
		{"----- BEGIN", "----- BEGIN"},

		// tokens
		{"saml " + aToken + ".", "saml [token]."},
		{"a=" + aToken, "a=[token]"},
		{aToken + "==", "[token]"},
		{"Authorization " + aJWT + " x", "Authorization [token] x"},
		{"Bearer abc123def", "Bearer [token]"},
		{"bearer insurance", "bearer insurance"},
		{"basic dXNlcjpw", "basic [token]"},
		{"Basic auth", "Basic auth"},
		{aHex, "[token]"},
		{aToken + "\n" + aToken + "\r\nMIIE\nplain text", "[token]\nplain text"},
		{strings.Repeat("Ab", 100), "[token]"},
		{strings.Repeat("a", 300), "[token]"},
		{strings.Repeat("-", 300), strings.Repeat("-", 300)},
		{aUUID, aUUID},
		{"urn:uuid:" + aUUID, "urn:uuid:" + aUUID},
		{"session-" + aUUID, "session-" + aUUID},
		{aTrace, aTrace},
		{aCommit, aCommit},
		{"services.ehealth.fgov.be/GenericInsurability/v1/SecurityTokenServiceLegacy", "services.ehealth.fgov.be/GenericInsurability/v1/SecurityTokenServiceLegacy"},
		{"uddi:ehealth-fgov-be:business:genericinsurability:v1", "uddi:ehealth-fgov-be:business:genericinsurability:v1"},
		{"github.com/ehealth-continuity/ehealth/internal/redact", "github.com/ehealth-continuity/ehealth/internal/redact"},
		{"x509: CertificateSignedByUnknownAuthorityOrSomethingElse", "x509: CertificateSignedByUnknownAuthorityOrSomethingElse"},

		// e-mail and users in URLs
		{"mail " + anAddress + ".", "mail [email]."},
		{"<" + anAddress + ">", "[xml]"},
		{"mailto:" + anAddress, "mailto:[email]"},
		{"from=" + anAddress + ", x", "from=[email], x"},
		{ssin + "@example.be", "[ssin][email]"},
		{"https://user:hunter2@h.example/p", "https://[masked]@h.example/p"},
		{"golang.org/x/crypto@v0.40.0", "golang.org/x/crypto@v0.40.0"},
		{"a @ b, x@y, @example.be", "a @ b, x@y, @example.be"},

		// telling names
		{"password=hunter2 x", "password=[masked] x"},
		{"password: hunter2 x", "password: [masked] x"},
		{"Password = hunter2", "Password = [masked]"},
		{"?token=abc&x=1", "?token=[masked]&x=1"},
		{`{"token":"a\"b","x":1}`, `{"token":[masked],"x":1}`},
		{`{\"token\":\"ab\",\"x\":1}`, `{\"token\":[masked],\"x\":1}`},
		{`{"token": "ab"}`, `{"token": [masked]}`},
		{`{"patient":{"name":"J}n","a":[1,{}]},"x":1}`, `{"patient":[masked],"x":1}`},
		{"{Patient:&{Name:Jan Janssens} X:1}", "{Patient:[masked] X:1}"},
		{"map[pin:map[a:b c:d] x:1]", "map[pin:[masked] x:1]"},
		{"{Password:hunter2}", "{Password:[masked]}"},
		{"PIN:1234, next", "PIN:[masked] next"},
		{"sts: token: refused", "sts: token: refused"},
		{"token://x, token_count=3, mapping=x, pin=", "token://x, token_count=3, mapping=x, pin="},
		{"password=[masked]", "password=[masked]"},
		{`password="open`, "password=[masked]"},
		{"token=<nil>", "token=<nil>"},
	} {
		if got := String(w.in); got != w.want {
			t.Errorf("%q:\n got %q\nwant %q", w.in, got, w.want)
		}
	}
}

func TestSensitive(t *testing.T) {
	for _, key := range []string{
		"password", "Password", "userPassword", "keystore_password", "passphrase", "pin", "PIN", "card_pin", "cardPIN", "pin-code", "PINEntry", "pin2",
		"token", "access_token", "accessToken", "SAMLToken", "assertion", "saml", "ssin", "SSIN", "patientSSIN", "patient.ssin", "niss", "inss", "INSZ",
		"secret", "Authorization", "Set-Cookie", "api_key", "private-key", "body", "xml", "patient", "first_name", "birthDate", "mot_de_passe",
		strings.Repeat("x_", 100) + "pin",
	} {
		if !Sensitive(key) {
			t.Errorf("%q is not", key)
		}
	}
	for _, key := range []string{
		"", "mapping", "ping", "spinner", "processing", "admission", "op", "service", "endpoint", "ticket", "kind", "code", "outcome", "notice", "key",
		"name", "somebody", "url", "err", "trace_id", "pinned", "patients", "2", "é",
	} {
		if Sensitive(key) {
			t.Errorf("%q is", key)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, s := range []string{
		"", "call done", "insurability.Check: unavailable at services.example/GenericInsurability/v1 (outcome rejected, code SOA-02002, attempts 2)",
		"2018-08-09T10:00:00.123456789+02:00 " + aUUID, "key=value a:b",
	} {
		if n := testing.AllocsPerRun(100, func() { _ = String(s) }); n != 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
}
