package cms

import (
	"crypto"
	_ "crypto/sha256" // linked for crypto.Hash
	_ "crypto/sha512"
	"fmt"
	"strconv"
	"strings"
)

// OID is an object identifier as the content octets of its encoding, so that two can be compared with ==.
type OID string

// Object identifiers of RFC 5652, 4055, 3565, 3394, 5126 and 6211.
const (
	OIDData          OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	OIDSignedData    OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	OIDEnvelopedData OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"

	OIDContentType         OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
	OIDMessageDigest       OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
	OIDSigningTime         OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"
	OIDAlgorithmProtection OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34"

	OIDRSAEncryption OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	OIDRSAOAEP       OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"
	OIDMGF1          OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
	OIDPSpecified    OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x09"
	OIDRSAPSS        OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
	OIDSHA1WithRSA   OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
	OIDSHA256WithRSA OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
	OIDSHA384WithRSA OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"
	OIDSHA512WithRSA OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"

	OIDSHA1   OID = "\x2b\x0e\x03\x02\x1a"
	OIDSHA256 OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	OIDSHA384 OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x02"
	OIDSHA512 OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x03"

	OIDAES128CBC  OID = "\x60\x86\x48\x01\x65\x03\x04\x01\x02"
	OIDAES128Wrap OID = "\x60\x86\x48\x01\x65\x03\x04\x01\x05"
	OIDAES192CBC  OID = "\x60\x86\x48\x01\x65\x03\x04\x01\x16"
	OIDAES192Wrap OID = "\x60\x86\x48\x01\x65\x03\x04\x01\x19"
	OIDAES256CBC  OID = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a"
	OIDAES256Wrap OID = "\x60\x86\x48\x01\x65\x03\x04\x01\x2d"
)

// String returns the dotted form.
func (o OID) String() string {
	var parts []string
	var v uint64
	for i := range len(o) {
		v = v<<7 | uint64(o[i]&0x7f)
		if o[i] >= 0x80 {
			continue
		}
		if parts == nil {
			top := min(v/40, 2)
			parts, v = append(parts, strconv.FormatUint(top, 10)), v-40*top
		}
		parts, v = append(parts, strconv.FormatUint(v, 10)), 0
	}
	return strings.Join(parts, ".")
}

// Algorithm is an AlgorithmIdentifier. Parameters is the whole element, nil when absent.
type Algorithm struct {
	OID        OID
	Parameters []byte
}

func (r *reader) oid() (OID, error) {
	b, err := r.primitive(tagOID)
	if err != nil {
		return "", err
	}
	if len(b) == 0 || len(b) > 64 || b[len(b)-1] >= 0x80 {
		return "", r.fail("object identifier")
	}
	return OID(b), nil
}

// algorithm reads an AlgorithmIdentifier with that tag, which is SEQUENCE unless it is implicitly tagged.
func (r *reader) algorithm(tag byte) (Algorithm, error) {
	var a Algorithm
	err := r.inside(tag, func() (err error) {
		if a.OID, err = r.oid(); err != nil || !r.more() {
			return err
		}
		a.Parameters, err = r.raw()
		return err
	})
	return a, err
}

// inside enters an element, calls f and leaves the element.
func (r *reader) inside(tag byte, f func() error) error {
	if err := r.enter(tag); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return r.leave()
}

// inParameters calls f inside the SEQUENCE of algorithm parameters. Errors become ErrAlgorithm.
func (a Algorithm) inParameters(f func(*reader) error) error {
	r := newReader(a.Parameters, Limits{}.withDefaults())
	err := r.inside(tagSequence, func() error { return f(r) })
	if err == nil {
		err = r.done()
	}
	if err != nil {
		return fmt.Errorf("%w: parameters of %v", ErrAlgorithm, a.OID)
	}
	return nil
}

// plain reports whether parameters are absent or NULL.
func (a Algorithm) plain() bool {
	if a.Parameters == nil {
		return true
	}
	r := newReader(a.Parameters, Limits{}.withDefaults())
	b, err := r.primitive(tagNull)
	return err == nil && len(b) == 0
}

// hash returns the digest algorithm, 0 when unknown. SHA-1 is known so that a refusal can name it.
func (a Algorithm) hash() crypto.Hash {
	if !a.plain() {
		return 0
	}
	switch a.OID {
	case OIDSHA1:
		return crypto.SHA1
	case OIDSHA256:
		return crypto.SHA256
	case OIDSHA384:
		return crypto.SHA384
	case OIDSHA512:
		return crypto.SHA512
	}
	return 0
}

func hashOID(h crypto.Hash) OID {
	switch h {
	case crypto.SHA1:
		return OIDSHA1
	case crypto.SHA256:
		return OIDSHA256
	case crypto.SHA384:
		return OIDSHA384
	case crypto.SHA512:
		return OIDSHA512
	}
	return ""
}

// mgf reads a MaskGenAlgorithm, which must be MGF1, and returns its hash.
func (a Algorithm) mgf() (crypto.Hash, error) {
	if a.OID != OIDMGF1 {
		return 0, fmt.Errorf("%w: mask generation", ErrAlgorithm)
	}
	r := newReader(a.Parameters, Limits{}.withDefaults())
	inner, err := r.algorithm(tagSequence)
	if err != nil || r.done() != nil || inner.hash() == 0 {
		return 0, fmt.Errorf("%w: mask generation", ErrAlgorithm)
	}
	return inner.hash(), nil
}

// explicit reads the algorithm in [n] EXPLICIT, if it is there.
func (r *reader) explicitAlgorithm(tag byte) (a Algorithm, ok bool, err error) {
	if r.tag() != tag|constructed {
		return a, false, nil
	}
	err = r.inside(tag|constructed, func() (err error) {
		a, err = r.algorithm(tagSequence)
		return err
	})
	return a, true, err
}

// padding reads what PSS and OAEP parameters begin with (RFC 4055 sections 3.1 and 4.1): hash and mask generation, both
// SHA-1 when absent.
func (r *reader) padding() (hash, mgf crypto.Hash, err error) {
	hash, mgf = crypto.SHA1, crypto.SHA1
	a, ok, err := r.explicitAlgorithm(context0)
	if err != nil {
		return 0, 0, err
	}
	if ok {
		if hash = a.hash(); hash == 0 {
			return 0, 0, ErrAlgorithm
		}
	}
	a, ok, err = r.explicitAlgorithm(context1)
	if err != nil {
		return 0, 0, err
	}
	if ok {
		mgf, err = a.mgf()
	}
	return hash, mgf, err
}

// small reads a non-negative INTEGER below 2^31.
func (r *reader) small() (int, error) {
	b, err := r.primitive(tagInteger)
	if err != nil {
		return 0, err
	}
	if len(b) == 0 || len(b) > 4 || b[0] >= 0x80 {
		return 0, r.fail("integer")
	}
	v := 0
	for _, c := range b {
		v = v<<8 | int(c)
	}
	return v, nil
}
