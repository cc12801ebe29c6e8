package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// Scheme returns the scheme of the signature as far as it is known: Padding and Hash are 0 when they are not, and salt is
// -1 without PSS. Nothing is verified by it.
//
// The error is [ErrAlgorithm] when the signature algorithm contradicts the digest algorithm or has parameters that make
// no sense.
func (i *SignerInfo) Scheme() (s Scheme, salt int, err error) {
	s.Hash = i.Digest.hash()
	var named crypto.Hash // by the signature algorithm
	salt = -1
	switch i.Signature.OID {
	case OIDRSAEncryption:
		named, s.Padding = s.Hash, PKCS1v15
	case OIDSHA1WithRSA:
		named, s.Padding = crypto.SHA1, PKCS1v15
	case OIDSHA256WithRSA:
		named, s.Padding = crypto.SHA256, PKCS1v15
	case OIDSHA384WithRSA:
		named, s.Padding = crypto.SHA384, PKCS1v15
	case OIDSHA512WithRSA:
		named, s.Padding = crypto.SHA512, PKCS1v15
	case OIDRSAPSS:
		s.Padding = PSS
		named, salt, err = i.Signature.pss()
		if err != nil {
			return s, salt, err
		}
	default:
		return s, salt, nil
	}
	if named != s.Hash || s.Padding == PKCS1v15 && !i.Signature.plain() {
		return s, salt, fmt.Errorf("%w: signature and digest algorithms differ", ErrAlgorithm)
	}
	return s, salt, nil
}

// pss reads RSASSA-PSS-params (RFC 4055 section 3.1). Mask generation must use the hash of the message: nobody writes
// anything else, and crypto/rsa knows nothing else.
func (a Algorithm) pss() (hash crypto.Hash, salt int, err error) {
	salt = 20
	err = a.inParameters(func(r *reader) error {
		h, mgf, err := r.padding()
		if err != nil {
			return err
		}
		if h != mgf {
			return ErrAlgorithm
		}
		hash = h
		if r.tag() == context2|constructed {
			err = r.inside(context2|constructed, func() (err error) {
				salt, err = r.small()
				return err
			})
			if err != nil {
				return err
			}
		}
		if r.tag() != context3|constructed {
			return nil
		}
		return r.inside(context3|constructed, func() error {
			if trailer, err := r.small(); err != nil || trailer != 1 {
				return ErrAlgorithm
			}
			return nil
		})
	})
	return hash, salt, err
}

// VerifyOptions says what [SignerInfo.Verify] accepts.
type VerifyOptions struct {
	Accept []Scheme // nothing else is accepted; empty = nothing at all
	Salt   int      // the salt length that PSS must have; 0 = any
	// IgnoreProtection accepts an algorithm-protection attribute that says something else.
	IgnoreProtection bool
}

// Verify checks the signature with that key. Digest is the one of the content, made with the hash of i.Scheme. It says
// nothing about whose key it is.
//
// Errors, in the order of the checks: [ErrAlgorithm], [ErrAttributes], [ErrProtection], [ErrDigest], [ErrKey],
// [ErrSignature].
func (i *SignerInfo) Verify(digest []byte, key crypto.PublicKey, o VerifyOptions) error {
	s, salt, err := i.Scheme()
	if err != nil {
		return err
	}
	if !accepted(s, o.Accept) || s.Padding == PSS && o.Salt != 0 && salt != o.Salt {
		return fmt.Errorf("%w: signature", ErrAlgorithm)
	}
	if !s.Hash.Available() {
		return fmt.Errorf("%w: digest not available", ErrAlgorithm)
	}
	if i.HasSigned {
		if digest, err = i.checkAttributes(digest, s.Hash, o); err != nil {
			return err
		}
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: not RSA", ErrKey)
	}
	if len(i.Value) != public.Size() {
		return ErrSignature // before any work, which grows with the square of a key that the message may bring itself
	}
	if s.Padding == PSS {
		if salt == 0 {
			salt = rsa.PSSSaltLengthAuto // crypto/rsa cannot ask for exactly none
		}
		err = rsa.VerifyPSS(public, s.Hash, digest, i.Value, &rsa.PSSOptions{SaltLength: salt})
	} else {
		err = rsa.VerifyPKCS1v15(public, s.Hash, digest, i.Value)
	}
	if errors.Is(err, rsa.ErrVerification) {
		return ErrSignature
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

func accepted(s Scheme, list []Scheme) bool {
	for _, a := range list {
		if a == s && s.Padding != 0 && s.Hash != 0 {
			return true
		}
	}
	return false
}

// checkAttributes checks what RFC 5652 section 11 asks of signed attributes and returns the digest that is signed: of
// their DER encoding as SET OF, that is with tag 31 instead of A0. They are hashed as received, never sorted anew.
func (i *SignerInfo) checkAttributes(digest []byte, h crypto.Hash, o VerifyOptions) ([]byte, error) {
	kind, err := i.single(OIDContentType)
	if err != nil {
		return nil, err
	}
	if kind == nil {
		return nil, fmt.Errorf("%w: content type missing", ErrAttributes)
	}
	r := newReader(kind, Limits{}.withDefaults())
	if id, err := r.oid(); err != nil || id != i.contentType {
		return nil, fmt.Errorf("%w: content type", ErrAttributes)
	}
	if !o.IgnoreProtection {
		if err := i.checkProtection(); err != nil {
			return nil, err
		}
	}
	value, err := i.single(OIDMessageDigest)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fmt.Errorf("%w: message digest missing", ErrAttributes)
	}
	signed, err := newReader(value, Limits{}.withDefaults()).octets(tagOctetString)
	if err != nil {
		return nil, fmt.Errorf("%w: message digest", ErrAttributes)
	}
	if subtle.ConstantTimeCompare(signed.Bytes(), digest) != 1 {
		return nil, ErrDigest
	}
	d := h.New()
	d.Write(appendHeader(nil, tagSet, len(i.signedBytes)))
	d.Write(i.signedBytes)
	return d.Sum(nil), nil
}

// single returns the only value of a signed attribute, nil when the attribute is absent.
func (i *SignerInfo) single(t OID) ([]byte, error) {
	var found []byte
	for _, a := range i.Signed {
		if a.Type != t {
			continue
		}
		r := newReader(a.Values, Limits{}.withDefaults())
		v, err := r.raw()
		if found != nil || err != nil || r.done() != nil {
			return nil, fmt.Errorf("%w: %v must have one value", ErrAttributes, t)
		}
		found = v
	}
	return found, nil
}

// checkProtection compares the algorithm-protection attribute, when there is one, with the algorithms of the signer
// information (RFC 6211 section 2).
func (i *SignerInfo) checkProtection() error {
	value, err := i.single(OIDAlgorithmProtection)
	if err != nil || value == nil {
		return err
	}
	r := newReader(value, Limits{}.withDefaults())
	var digest, signature Algorithm
	err = r.inside(tagSequence, func() (err error) {
		if digest, err = r.algorithm(tagSequence); err != nil {
			return err
		}
		signature, err = r.algorithm(context1 | constructed)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: algorithm protection", ErrAttributes)
	}
	if !digest.equal(i.Digest) || !signature.equal(i.Signature) {
		return ErrProtection
	}
	return nil
}

// equal compares algorithms; NULL and absent parameters are the same.
func (a Algorithm) equal(b Algorithm) bool {
	return a.OID == b.OID && (bytes.Equal(a.Parameters, b.Parameters) || a.plain() && b.plain())
}

// SigningTime returns the signed attribute of that name, to the second; ok is false when there is none. It is what the
// signer claims. The error is [ErrAttributes].
func (i *SignerInfo) SigningTime() (t time.Time, ok bool, err error) {
	v, err := i.single(OIDSigningTime)
	if err != nil || v == nil {
		return time.Time{}, false, err
	}
	r := newReader(v, Limits{}.withDefaults())
	layout, tag := "060102150405Z", byte(tagUTCTime)
	if r.tag() == tagGenTime {
		layout, tag = "20060102150405Z", tagGenTime
	}
	text, err := r.primitive(tag)
	if err == nil {
		t, err = time.Parse(layout, string(text))
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("%w: signing time", ErrAttributes)
	}
	// RFC 5652 section 11.3: two digits mean 1950 to 2049; package time has 1969 to 2068.
	if tag == tagUTCTime && t.Year() >= 2050 {
		t = t.AddDate(-100, 0, 0)
	}
	return t, true, nil
}

// LooksLikeAttributes reports whether a content is itself the encoding of signed attributes. A signature without signed
// attributes over such a content may have been made for another message with them: the two are told apart by nothing
// that is signed. Who accepts signatures without signed attributes refuses such contents.
func LooksLikeAttributes(content []byte) bool {
	r := newReader(content, Limits{}.withDefaults())
	list, err := r.attributes(tagSet, Limits{}.withDefaults())
	if err != nil || r.done() != nil {
		return false
	}
	for _, a := range list {
		if a.Type == OIDMessageDigest {
			return true
		}
	}
	return false
}
