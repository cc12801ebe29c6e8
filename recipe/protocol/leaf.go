package protocol

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// present makes an error of a value that must not be absent.
func present(s string, n need) (string, error) {
	if s == "" && n != optional {
		return "", errMissing
	}
	return s, nil
}

// filled is set for values that cannot be empty: nothing leaves the value absent, which is reported unless optional.
func filled(n need, set func(string) error) func(string) error {
	return func(s string) error {
		if s = trim(s); s != "" {
			return set(s)
		}
		if n != optional {
			return errMissing
		}
		return nil
	}
}

// text handles a leaf of any string type. What is read is copied: a value must not keep the whole message alive.
func text[T ~string](c *codec, local string, v *T, n need) {
	c.leaf(local, n,
		func() (string, error) { return string(*v), nil },
		func(s string) error { *v = T(strings.Clone(trim(s))); return nil })
}

// private handles text that may name somebody; white space in it is kept.
func (c *codec) private(local string, v *identity.Private, n need) {
	c.leaf(local, n,
		func() (string, error) { return v.Reveal(), nil },
		func(s string) error { *v = identity.Hide(strings.Clone(s)); return nil })
}

// person handles the number of a person in an answer: zeros that a numeric type lost are put back.
func (c *codec) person(local string, v *identity.Private, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(v.Reveal(), n) },
		filled(n, func(s string) error { *v = identity.Hide(padSSIN(s)); return nil }))
}

// party handles the number of a care provider in an answer: zeros that a numeric type lost are put back.
func (c *codec) party(local string, v *identity.Private, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(v.Reveal(), n) },
		filled(n, func(s string) error { *v = identity.Hide(padNIHII(s)); return nil }))
}

func (c *codec) ssin(local string, v *identity.SSIN, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(v.Reveal(), n) },
		filled(n, func(s string) (err error) { *v, err = identity.ParseSSIN(padSSIN(s)); return err }))
}

func (c *codec) nihii(local string, v *identity.NIHII, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(v.Reveal(), n) },
		filled(n, func(s string) (err error) { *v, err = identity.ParseNIHIILenient(padNIHII(s)); return err }))
}

func setRID(v *identity.RID, n need) func(string) error {
	return filled(n, func(s string) (err error) { *v, err = identity.ParseRIDLenient(strings.Clone(s)); return err })
}

func (c *codec) rid(local string, v *identity.RID, n need) {
	c.leaf(local, n, func() (string, error) { return present(v.Reveal(), n) }, setRID(v, n))
}

// rids handles a repeated RID. It returns how many could not be read.
func (c *codec) rids(local string, v *[]identity.RID) (unread int) {
	many(c, v, func(r *identity.RID, c *codec) {
		c.content(wanted, func() (string, error) { return present(r.Reveal(), must) }, setRID(r, wanted))
	}, local)
	if c.writing() {
		return 0
	}
	// An entry that could not be read has its deviation; an absent number in the list would only mislead.
	all := len(*v)
	*v = slices.DeleteFunc(*v, identity.RID.IsZero)
	return all - len(*v)
}

func (c *codec) key(local string, v *ResponseKey) {
	c.leaf(local, must,
		func() (string, error) {
			if v.IsZero() {
				return "", errMissing
			}
			return base64.StdEncoding.EncodeToString(v.Bytes()), nil
		},
		func(s string) error {
			b, err := parseBase64(s)
			if err != nil {
				return err
			}
			if *v, err = ParseResponseKey(b); err != nil {
				return errKey
			}
			return nil
		})
}

// bytes handles base64 content.
func (c *codec) bytes(local string, v *[]byte, n need) {
	if c.err == nil && c.writing() && len(*v) > 0 { // as below, without looking for what base64 does not have
		c.w.Start("", local)
		c.w.Base64(*v)
		c.w.End()
		return
	}
	c.leaf(local, n,
		func() (string, error) { return present(base64.StdEncoding.EncodeToString(*v), n) },
		filled(n, func(s string) (err error) { *v, err = parseBase64(s); return err }))
}

// parseBase64 accepts line breaks and missing padding; nothing gives nil.
func parseBase64(s string) ([]byte, error) {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\r', '\n', '=':
		default:
			b = append(b, s[i])
		}
	}
	if len(b) == 0 {
		return nil, nil
	}
	n, err := base64.RawStdEncoding.Decode(b, b)
	if err != nil {
		return nil, errBase64
	}
	return b[:n:n], nil
}

func (c *codec) date(local string, v *Date, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(v.String(), n) },
		filled(n, func(s string) (err error) { *v, err = parseDate(s); return err }))
}

func (c *codec) time(local string, v *time.Time, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(formatTime(*v), n) },
		filled(n, func(s string) (err error) { *v, err = parseTime(s); return err }))
}

func (c *codec) boolean(local string, v *bool, n need) {
	c.leaf(local, n,
		func() (string, error) {
			if n == optional && !*v {
				return "", nil
			}
			return strconv.FormatBool(*v), nil
		},
		func(s string) (err error) { *v, err = parseBool(s); return err })
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(trim(s)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errBoolean
}

func (c *codec) number(local string, v *int) {
	c.leaf(local, wanted,
		func() (string, error) { return strconv.Itoa(*v), nil },
		func(s string) error {
			i, err := strconv.ParseInt(strings.TrimPrefix(trim(s), "+"), 10, 32)
			if err != nil {
				return errNumber
			}
			*v = int(i)
			return nil
		})
}

// status handles a state of a prescription; what is not one word is dropped, because it may be anything.
func (c *codec) status(local string, v *PrescriptionStatus, n need) {
	c.leaf(local, n,
		func() (string, error) { return present(string(*v), n) },
		filled(n, func(s string) (err error) { *v, err = parseStatus(s); return err }))
}

// attr handles an attribute of the current element; an empty one is not written.
func (c *codec) attr(local string, n need, get func() string, set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		s, err := present(get(), n)
		switch {
		case err != nil:
			c.fail("@"+local, err)
		case s != "":
			c.w.Attr("", local, s)
		}
		return
	}
	s, ok := c.n.Attr("", local)
	if !ok {
		if n != optional {
			c.deviate("@"+local, errMissing)
		}
		return
	}
	if err := set(strings.Clone(s)); err != nil {
		c.deviate("@"+local, err)
	}
}

func attrText[T ~string](c *codec, local string, v *T, n need) {
	c.attr(local, n, func() string { return string(*v) }, func(s string) error { *v = T(s); return nil })
}

func (c *codec) attrBool(local string, v *bool) {
	c.attr(local, wanted,
		func() string { return strconv.FormatBool(*v) },
		func(s string) (err error) { *v, err = parseBool(s); return err })
}

func (c *codec) attrDate(local string, v *Date, n need) {
	c.attr(local, n, v.String, func(s string) (err error) { *v, err = parseDate(s); return err })
}

func encodeBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
