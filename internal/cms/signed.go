package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
)

// SignedData is a parsed message of that type (RFC 5652 section 5). It refers to the bytes that were parsed.
type SignedData struct {
	Version      int
	ContentType  OID
	Content      Octets
	Detached     bool     // there is no content, which is something else than an empty one
	Certificates [][]byte // DER, in the order of the message; attribute certificates and other kinds are left out
	Signers      []SignerInfo
}

// Identifier names a certificate: by issuer and serial number, or by its subject key identifier.
type Identifier struct {
	Issuer []byte // DER of the name, nil when KeyID is given
	Serial *big.Int
	KeyID  []byte // nil when Issuer is given
}

// Matches reports whether the certificate is the one that is named. Issuers are compared byte by byte.
func (id Identifier) Matches(c *x509.Certificate) bool {
	if id.Issuer == nil {
		return len(id.KeyID) > 0 && bytes.Equal(id.KeyID, c.SubjectKeyId)
	}
	return c.SerialNumber != nil && id.Serial.Cmp(c.SerialNumber) == 0 && bytes.Equal(id.Issuer, c.RawIssuer)
}

// SignerInfo is one signature.
type SignerInfo struct {
	Version   int
	ID        Identifier
	Digest    Algorithm
	Signature Algorithm
	Value     []byte
	// Signed holds the signed attributes; HasSigned tells none from an absent list.
	Signed    []Attribute
	HasSigned bool
	Unsigned  []Attribute

	signedBytes []byte // content of the signed attributes as received
	contentType OID
}

// Attribute is an attribute with the content of its SET OF values.
type Attribute struct {
	Type   OID
	Values []byte
}

// ParseSignedData parses a ContentInfo that holds a SignedData, in BER or DER. Nothing may follow it. Errors are
// [ErrContentType], [ErrSyntax] and [ErrLimit].
func ParseSignedData(msg []byte, l Limits) (*SignedData, error) {
	s := new(SignedData)
	l = l.withDefaults()
	err := contentInfo(msg, l, OIDSignedData, func(r *reader) error { return s.parse(r, l) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// contentInfo calls body for the content of a ContentInfo of type want.
func contentInfo(msg []byte, l Limits, want OID, body func(*reader) error) error {
	if len(msg) > l.Bytes {
		return &SyntaxError{Reason: "message too long", Limit: true}
	}
	r := newReader(msg, l)
	err := r.inside(tagSequence, func() error {
		got, err := r.oid()
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%w: %v", ErrContentType, got)
		}
		return r.inside(context0|constructed, func() error {
			return r.inside(tagSequence, func() error { return body(r) })
		})
	})
	if err != nil {
		return err
	}
	return r.done()
}

func (s *SignedData) parse(r *reader, l Limits) (err error) {
	if s.Version, err = r.small(); err != nil {
		return err
	}
	if err = r.digestAlgorithms(l); err != nil {
		return err
	}
	if err = r.inside(tagSequence, func() error { return s.encapsulated(r) }); err != nil {
		return err
	}
	if r.tag() == context0|constructed {
		if err = r.inside(context0|constructed, func() error { return s.certificates(r, l) }); err != nil {
			return err
		}
	}
	if r.tag() == context1|constructed { // revocation lists, not looked at
		if _, err = r.raw(); err != nil {
			return err
		}
	}
	return r.inside(tagSet, func() error {
		for r.more() {
			if len(s.Signers) == l.Signers {
				return r.limit("too many signers")
			}
			i := SignerInfo{contentType: s.ContentType}
			if err := r.inside(tagSequence, func() error { return i.parse(r, l) }); err != nil {
				return err
			}
			s.Signers = append(s.Signers, i)
		}
		return nil
	})
}

// digestAlgorithms skips the list, which only announces what the signers name again.
func (r *reader) digestAlgorithms(l Limits) error {
	return r.inside(tagSet, func() error {
		for n := 0; r.more(); n++ {
			if n == l.Signers {
				return r.limit("too many digest algorithms")
			}
			if _, err := r.algorithm(tagSequence); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *SignedData) encapsulated(r *reader) (err error) {
	if s.ContentType, err = r.oid(); err != nil {
		return err
	}
	if s.Detached = !r.more(); s.Detached {
		return nil
	}
	return r.inside(context0|constructed, func() (err error) {
		s.Content, err = r.octets(tagOctetString)
		return err
	})
}

func (s *SignedData) certificates(r *reader, l Limits) error {
	for n := 0; r.more(); n++ {
		if n == l.Certificates {
			return r.limit("too many certificates")
		}
		isX509 := r.tag() == tagSequence
		c, err := r.raw()
		if err != nil {
			return err
		}
		if len(c) > maxCertificate {
			return r.limit("certificate too long")
		}
		if isX509 {
			s.Certificates = append(s.Certificates, c)
		}
	}
	return nil
}

// Signer finds the certificate that a signer names, among those of the message and then those given. Equal certificates
// count once. Bad is the number of certificates in the message that cannot be read.
//
// The certificates returned, the signer's first, do not refer to the message. When none or more than one fits,
// signer is nil.
func (s *SignedData) Signer(i *SignerInfo, given ...*x509.Certificate) (signer *x509.Certificate, all []*x509.Certificate, bad int) {
	seen := make(map[string]bool, len(s.Certificates))
	for _, raw := range s.Certificates {
		if seen[string(raw)] {
			continue
		}
		c, err := ParseCertificate(bytes.Clone(raw))
		if err != nil {
			bad++
			continue
		}
		seen[string(c.Raw)] = true
		all = append(all, c)
	}
	for _, c := range given {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			all = append(all, c)
		}
	}
	at := -1
	for n, c := range all {
		if i.ID.Matches(c) {
			if at >= 0 {
				return nil, all, bad
			}
			at = n
		}
	}
	if at < 0 {
		return nil, all, bad
	}
	all[0], all[at] = all[at], all[0]
	return all[0], all, bad
}

// ParseCertificate is x509.ParseCertificate for certificates that may come from anybody. That one passes over elements after
// the third of a Certificate, which nothing signs: one certificate would have many encodings, and as many fingerprints.
// The error matches [ErrSyntax].
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	r := newReader(der, Limits{}.withDefaults())
	err := r.inside(tagSequence, func() error {
		for range 3 { // tbsCertificate, signatureAlgorithm, signature
			if _, err := r.raw(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = r.done()
	}
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate", ErrSyntax) // the library's text may quote the certificate
	}
	return c, nil
}

func (i *SignerInfo) parse(r *reader, l Limits) (err error) {
	if i.Version, err = r.small(); err != nil {
		return err
	}
	if i.ID, err = r.identifier(); err != nil {
		return err
	}
	if i.Digest, err = r.algorithm(tagSequence); err != nil {
		return err
	}
	if r.tag() == context0|constructed {
		i.HasSigned = true
		start := r.pos
		if i.Signed, err = r.attributes(context0|constructed, l); err != nil {
			return err
		}
		i.signedBytes = content(r.b[start:r.pos])
	}
	if i.Signature, err = r.algorithm(tagSequence); err != nil {
		return err
	}
	value, err := r.octets(tagOctetString)
	if err != nil {
		return err
	}
	if value.Len() > maxSignature {
		return r.limit("signature too long")
	}
	i.Value = value.Bytes()
	if r.tag() == context1|constructed { // may be empty against the letter of RFC 5652: the official library does it
		i.Unsigned, err = r.attributes(context1|constructed, l)
	}
	return err
}

// maxCertificate is the longest certificate, some twenty times a usual one: what package x509 makes of a certificate is
// many times larger than the certificate.
const maxCertificate = 32 << 10

// maxSignature is the longest signature value: RSA-16384.
const maxSignature = 2048

// content returns what is inside a constructed element that was parsed before.
func content(element []byte) []byte {
	r := newReader(element, Limits{}.withDefaults())
	h, err := r.header()
	if err != nil {
		return nil
	}
	if h.end == indefinite {
		return element[h.body : len(element)-2]
	}
	return element[h.body:]
}

// identifier reads a SignerIdentifier or RecipientIdentifier.
func (r *reader) identifier() (id Identifier, err error) {
	if r.tag() == context0 || r.tag() == context0|constructed {
		key, err := r.octets(context0)
		if err == nil && (key.Len() == 0 || key.Len() > 64) {
			err = r.fail("subject key identifier")
		}
		if err == nil {
			id.KeyID = key.Bytes()
		}
		return id, err
	}
	err = r.inside(tagSequence, func() (err error) {
		if r.tag() != tagSequence {
			return r.fail("issuer name")
		}
		if id.Issuer, err = r.raw(); err != nil {
			return err
		}
		id.Serial, err = r.integer()
		return err
	})
	return id, err
}

// integer reads a serial number, which may be negative in old certificates.
func (r *reader) integer() (*big.Int, error) {
	b, err := r.primitive(tagInteger)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || len(b) > 64 {
		return nil, r.fail("integer")
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v, nil
}

func (r *reader) attributes(tag byte, l Limits) (list []Attribute, err error) {
	err = r.inside(tag, func() error {
		for r.more() {
			if len(list) == l.Attributes {
				return r.limit("too many attributes")
			}
			var a Attribute
			err := r.inside(tagSequence, func() (err error) {
				if a.Type, err = r.oid(); err != nil {
					return err
				}
				if r.tag() != tagSet {
					return r.fail("attribute values")
				}
				set, err := r.raw()
				a.Values = content(set)
				return err
			})
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return nil
	})
	return list, err
}

// Scheme is how a signature is made.
type Scheme struct {
	Padding Padding
	Hash    crypto.Hash
}

// Padding of an RSA signature or of a key under RSA; 0 = unknown.
type Padding uint8

// The paddings. PSS and OAEP are of RFC 4055 with MGF1.
const (
	PKCS1v15 Padding = iota + 1
	PSS
	OAEP
)

// The schemes of eHealth (dossier 02 B.2): PSS for eHealth certificates, PKCS #1 v1.5 for identity cards and ETKs.
var (
	PSSWithSHA256      = Scheme{PSS, crypto.SHA256}
	PKCS1v15WithSHA256 = Scheme{PKCS1v15, crypto.SHA256}
)
