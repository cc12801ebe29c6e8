package sts

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Namespaces of the claims (dossier 01 A.12). They are not sent in WS-Trust, where a claim is
// known by its name alone, but they stand in the returned assertion (dossier 01 A.5.1).
const (
	// NSIdentification holds what identifies somebody.
	NSIdentification = "urn:be:fgov:identification-namespace"
	// NSCertified holds what the platform certifies about them.
	NSCertified = "urn:be:fgov:certified-namespace:ehealth"
)

// Claim is one statement about the holder of a token: asserted by us when it has values,
// asked for when it has none.
//
// Values may identify a person, so every way of printing a Claim leaves them out.
type Claim struct {
	Namespace string   // NSIdentification, NSCertified or ""
	Name      string   // the claim's URN, for example "urn:be:fgov:person:ssin"
	Values    []string // none = the claim is asked for
}

// String returns the name and the number of values, never a value.
func (c Claim) String() string { return redacted(c.Name, len(c.Values)) }

// Format implements fmt.Formatter, so that no verb prints a value.
func (c Claim) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue implements slog.LogValuer.
func (c Claim) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Attribute is one attribute of a returned assertion. Every way of printing it leaves the
// values out.
type Attribute struct {
	Namespace string
	Name      string
	Values    []string
}

// String returns the name and the number of values, never a value.
func (a Attribute) String() string { return redacted(a.Name, len(a.Values)) }

// Format implements fmt.Formatter, so that no verb prints a value.
func (a Attribute) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(a.String())) }

// LogValue implements slog.LogValuer.
func (a Attribute) LogValue() slog.Value { return slog.StringValue(a.String()) }

func redacted(name string, values int) string { return fmt.Sprintf("%s (%d values)", name, values) }

// granted tells whether an attribute's values mean yes: the STS leaves a claim out, or says
// "false", when the requester is not entitled to it (dossier 01 A.8).
func granted(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		v = strings.TrimSpace(v)
		return v != "" && !strings.EqualFold(v, "false")
	})
}

// sameValues compares two sets of values, order and surrounding white space aside.
func sameValues(a, b []string) bool {
	return slices.Equal(normal(a), normal(b))
}

func normal(values []string) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		// Several values travel as one, joined with ';' (dossier 01 A.5.1), and may come
		// back in either form.
		for part := range strings.SplitSeq(v, ";") {
			out = append(out, strings.TrimSpace(part))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// merge puts the extra claims behind those of the identity and checks the whole.
func merge(asserted, requested, extra []Claim) (a, r []Claim, err error) {
	a, r = slices.Clone(asserted), slices.Clone(requested)
	for _, c := range extra {
		c.Values = slices.Clone(c.Values)
		if len(c.Values) > 0 {
			a = append(a, c)
		} else {
			r = append(r, c)
		}
	}
	if len(a)+len(r) == 0 {
		return nil, nil, fmt.Errorf("%w: no claim at all", ErrClaims)
	}
	if len(a)+len(r) > maxClaims {
		return nil, nil, fmt.Errorf("%w: more than %d", ErrClaims, maxClaims)
	}
	seen := make(map[string]bool, len(a))
	for _, c := range a {
		if seen[c.Name] {
			return nil, nil, fmt.Errorf("%w: %s asserted twice", ErrClaims, c.Name)
		}
		seen[c.Name] = true
	}
	for _, c := range slices.Concat(a, r) {
		if err := c.check(); err != nil {
			return nil, nil, err
		}
	}
	return a, r, nil
}

// maxClaims bounds one request; the longest row of the dossier's tables has 11.
const maxClaims = 64

func (c Claim) check() error {
	if !strings.HasPrefix(c.Name, "urn:") || strings.ContainsAny(c.Name, " \t\r\n") {
		return fmt.Errorf("%w: a name must be a URN", ErrClaims)
	}
	for _, v := range c.Values {
		if v == "" || v != strings.TrimSpace(v) || strings.Contains(v, ";") {
			// ';' separates values on the wire: one inside a value would become two.
			return fmt.Errorf("%w: %s has a value that is empty, padded or holds ';'", ErrClaims, c.Name)
		}
	}
	return nil
}
