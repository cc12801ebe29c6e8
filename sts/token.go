package sts

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/keystore"
)

// Token is a SAML 1.1 assertion that was checked against the configured trust, with the key
// that proves it is ours. It is shared between callers: treat it as read-only.
//
// No way of printing a Token shows more than its validity.
type Token struct {
	// ID is the AssertionID.
	ID string
	// Raw is the assertion as the STS wrote it. It is signed: copy it into a message
	// unchanged, never parse and write it again.
	Raw []byte
	// Issuer is the assertion's issuer, the one that [Trust] names.
	Issuer string
	// IssuedAt is the assertion's IssueInstant.
	IssuedAt time.Time
	// NotBefore is the beginning of the validity, usually five minutes before the request.
	NotBefore time.Time
	// NotOnOrAfter is its end: at that instant the token is no longer valid.
	NotOnOrAfter time.Time
	// AuthenticationMethod is what the STS says about how the person was identified, for
	// example "urn:oasis:names:tc:SAML:1.0:am:X509-PKI". It is recorded, not judged.
	AuthenticationMethod string
	// Attributes are all attributes of the assertion, in its order.
	Attributes []Attribute
	// Refused are the claims of the request that were not granted: absent, empty or "false".
	// A token with refused claims is valid; the services that need those claims will refuse it.
	// Asserted values are left out.
	Refused []Claim
	// Credential is the holder-of-key credential: it signs the messages that carry the token.
	Credential keystore.Credential
	// Via says by which of several logins it was obtained; zero without a [Chain].
	Via Via

	asserted, requested []Claim // of the request, for Renew
}

// Valid tells whether the token is valid at now and stays so for margin longer.
// The zero margin asks about now alone.
func (t *Token) Valid(now time.Time, margin time.Duration) bool {
	return t != nil && now.Add(margin).Before(t.NotOnOrAfter)
}

// Attribute returns the values of the attribute with this name and whether it is there.
// Values of attributes with the same name in several namespaces are returned together.
func (t *Token) Attribute(name string) (values []string, ok bool) {
	for _, a := range t.Attributes {
		if a.Name == name {
			values, ok = append(values, a.Values...), true
		}
	}
	return values, ok
}

// Has tells whether the claim with this name was granted: it is there with a value other than
// "" and "false".
func (t *Token) Has(name string) bool {
	values, _ := t.Attribute(name)
	return granted(values)
}

// String returns the end of the validity and nothing about the holder.
func (t *Token) String() string {
	if t == nil {
		return "sts.Token(none)"
	}
	return fmt.Sprintf("sts.Token(until %s, %d attributes, %d refused)",
		t.NotOnOrAfter.UTC().Format(time.RFC3339), len(t.Attributes), len(t.Refused))
}

// Format implements fmt.Formatter, so that no verb prints the token.
func (t *Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// LogValue implements slog.LogValuer.
func (t *Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
