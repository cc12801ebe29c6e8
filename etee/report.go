package etee

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// Report is what was found about a sealed message. When it has errors, nothing in it may be relied upon: certificates and
// times are then what the message claims.
//
// It prints codes and times, never names; Signer and the certificates have those.
type Report struct {
	Policy string // the one applied, as [ParsePolicy] reads it
	// Errors are why the message is refused, in the order in which they were found; empty = accepted.
	Errors []Code
	// Warnings do not refuse a message; a program should show or log them.
	Warnings []Code
	// Profile follows from the signature algorithm of the outer layer; 0 when it fits none.
	Profile Profile
	// Authentication is the certificate of the outer signature: who sent the message. Nil when there is none.
	Authentication *x509.Certificate
	// Signature is the certificate of the inner signature: who signed the content. It is Authentication unless the inner
	// layer brought its own, as with identity cards; nil when the inner layer was not reached.
	Signature *x509.Certificate
	// SigningTime is when the sender says it signed, to the second; zero when it does not say.
	SigningTime time.Time
	// ValidatedAt is the time at which the certificates had to be valid: the one of [ReceivedAt], else SigningTime, else
	// when the message was opened.
	ValidatedAt time.Time
	// Recipient is the certificate of the private key that opened the message; nil with a KEK.
	Recipient *x509.Certificate
}

// Accepted reports whether there are no errors.
func (r *Report) Accepted() bool { return len(r.Errors) == 0 }

// Has reports whether a code is among the errors or the warnings.
func (r *Report) Has(c Code) bool {
	return slices.Contains(r.Errors, c) || slices.Contains(r.Warnings, c)
}

// Sender is whom the outer certificate speaks for. The error is [keystore.ErrSubject].
func (r *Report) Sender() (keystore.Subject, error) {
	if r.Authentication == nil {
		return keystore.Subject{}, keystore.ErrSubject
	}
	return keystore.ParseSubject(r.Authentication)
}

func (r *Report) fail(c Code) {
	if !slices.Contains(r.Errors, c) {
		r.Errors = append(r.Errors, c)
	}
}

func (r *Report) warn(c Code, p Policy) {
	if slices.Contains(p.Refuse, c) {
		r.fail(c)
	} else if !slices.Contains(r.Warnings, c) {
		r.Warnings = append(r.Warnings, c)
	}
}

// String lists the codes.
func (r *Report) String() string {
	verdict := "accepted"
	if !r.Accepted() {
		verdict = "refused: " + join(r.Errors)
	}
	if len(r.Warnings) > 0 {
		verdict += "; warnings: " + join(r.Warnings)
	}
	return "etee.Report(" + verdict + ")"
}

func join(codes []Code) string {
	texts := make([]string, len(codes))
	for i, c := range codes {
		texts[i] = string(c)
	}
	return strings.Join(texts, ", ")
}

// Format writes String whatever the verb: others would print certificates.
func (r *Report) Format(f fmt.State, verb rune) { format(f, verb, r.String()) }

// LogValue returns a group of policy, profile, errors, warnings, signing_time and validated_at.
func (r *Report) LogValue() slog.Value {
	v := r.view()
	return slog.GroupValue(
		slog.String("policy", v.Policy), slog.String("profile", v.Profile), slog.Any("errors", v.Errors),
		slog.Any("warnings", v.Warnings), slog.String("signing_time", v.SigningTime), slog.String("validated_at", v.ValidatedAt),
	)
}

// MarshalJSON writes the fields of LogValue and accepted. Names and numbers of persons are not among them.
func (r *Report) MarshalJSON() ([]byte, error) { return json.Marshal(r.view()) }

type reportView struct {
	Accepted    bool   `json:"accepted"`
	Policy      string `json:"policy"`
	Profile     string `json:"profile"`
	Errors      []Code `json:"errors"`
	Warnings    []Code `json:"warnings"`
	SigningTime string `json:"signing_time,omitempty"`
	ValidatedAt string `json:"validated_at,omitempty"`
}

func (r *Report) view() reportView {
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return reportView{
		r.Accepted(), r.Policy, r.Profile.String(), append([]Code{}, r.Errors...), append([]Code{}, r.Warnings...),
		text(r.SigningTime), text(r.ValidatedAt),
	}
}

// Message is an opened message.
type Message struct {
	Content []byte // what was sealed
	Report  *Report
}

// String says how long the content is and what the report is.
func (m *Message) String() string {
	return "etee.Message(" + strconv.Itoa(len(m.Content)) + " bytes, " + m.Report.String() + ")"
}

// Format writes String whatever the verb: others would print the content.
func (m *Message) Format(f fmt.State, verb rune) { format(f, verb, m.String()) }

// LogValue is String.
func (m *Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// Refusal is the error of a message that is not opened, or of an ETK that must not be used. It matches
// [fault.ErrSecurity] and each code of its report under errors.Is.
//
// Its text is the same for every reason, and so should be an answer to whoever sent the message: reasons help an attacker.
// The report is for the own log.
type Refusal struct{ Report *Report }

// Error does not tell the reason.
func (r *Refusal) Error() string { return "etee: refused" }

// SafeError is Error.
func (r *Refusal) SafeError() string { return r.Error() }

// Is matches fault.ErrSecurity.
func (r *Refusal) Is(target error) bool { return target == fault.ErrSecurity }

// Unwrap returns the codes of the errors.
func (r *Refusal) Unwrap() []error {
	out := make([]error, len(r.Report.Errors))
	for i, c := range r.Report.Errors {
		out[i] = c
	}
	return out
}

// LogValue is that of the report.
func (r *Refusal) LogValue() slog.Value { return r.Report.LogValue() }

// format writes text for any verb, quoted for %q.
func format(f fmt.State, verb rune, text string) {
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}
