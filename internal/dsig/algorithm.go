package dsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha1" // #nosec G505 -- registered for Policy.AllowSHA1 only
	_ "crypto/sha256"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// NS is the XML-DSig namespace.
const NS = "http://www.w3.org/2000/09/xmldsig#"

// Algorithm identifiers (XML-DSig section 6, RFC 6931; dossier 01 A.6 and D.5).
const (
	ExcC14N            = "http://www.w3.org/2001/10/xml-exc-c14n#"
	C14N10             = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	EnvelopedSignature = NS + "enveloped-signature"
	RSASHA256          = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	ECDSASHA256        = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	RSASHA1            = NS + "rsa-sha1"
	SHA256             = "http://www.w3.org/2001/04/xmlenc#sha256"
	SHA1               = NS + "sha1"
)

// Bounds on RSA moduli when verifying, in bits.
const (
	minRSABits   = 2048 // below: only with Policy.AllowShortRSA
	shortRSABits = 1024 // the floor with Policy.AllowShortRSA
	maxRSABits   = 8192 // a public operation grows with the cube of this, so a message may not choose it freely
)

// method is one signature algorithm that can be verified.
type method struct {
	uri   string
	hash  crypto.Hash
	ecdsa bool
}

// signatureMethod finds the algorithm that a message names, if the policy accepts it.
func signatureMethod(uri string, p *Policy) (method, error) {
	switch {
	case uri == RSASHA256:
		return method{uri, crypto.SHA256, false}, nil
	case uri == ECDSASHA256:
		return method{uri, crypto.SHA256, true}, nil
	case uri == RSASHA1 && p.AllowSHA1:
		return method{uri, crypto.SHA1, false}, nil
	}
	return method{}, fmt.Errorf("%w: signature method", ErrAlgorithm)
}

// digestMethod finds the hash that a reference names, if the policy accepts it.
func digestMethod(uri string, p *Policy) (crypto.Hash, error) {
	switch {
	case uri == SHA256:
		return crypto.SHA256, nil
	case uri == SHA1 && p.AllowSHA1:
		return crypto.SHA1, nil
	}
	return 0, fmt.Errorf("%w: digest method", ErrAlgorithm)
}

// checkKey tells whether pub is a key of the method's kind and of acceptable strength.
func (m method) checkKey(pub crypto.PublicKey, p *Policy) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if m.ecdsa {
			return fmt.Errorf("%w: an RSA key with an ECDSA signature method", ErrKey)
		}
		low := minRSABits
		if p.AllowShortRSA {
			low = shortRSABits
		}
		if bits := k.N.BitLen(); bits < low || bits > maxRSABits {
			return fmt.Errorf("%w: RSA key size out of bounds", ErrKey)
		}
		return nil
	case *ecdsa.PublicKey:
		if !m.ecdsa {
			return fmt.Errorf("%w: an EC key with an RSA signature method", ErrKey)
		}
		if !namedCurve(k.Curve) {
			return fmt.Errorf("%w: curve", ErrKey)
		}
		return nil
	}
	return fmt.Errorf("%w: neither RSA nor ECDSA", ErrKey)
}

// verify checks the signature value over a hash. The key has passed checkKey.
func (m method) verify(pub crypto.PublicKey, hashed, sig []byte) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(k, m.hash, hashed, sig) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		if len(sig) != 2*size {
			break // XML-DSig wants both integers at the full length of the order
		}
		if der, err := derECDSA(sig); err == nil && ecdsa.VerifyASN1(k, hashed, der) {
			return nil
		}
	}
	return fmt.Errorf("%w: value does not match SignedInfo", ErrSignature)
}

func namedCurve(c elliptic.Curve) bool {
	return c == elliptic.P256() || c == elliptic.P384() || c == elliptic.P521()
}

// rawECDSA turns the ASN.1 signature of a crypto.Signer into r‖s, both padded to the length of the curve's order
// (RFC 6931 section 2.3.6).
func rawECDSA(der []byte, c elliptic.Curve) ([]byte, error) {
	r, s := new(big.Int), new(big.Int)
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(s) || !seq.Empty() {
		return nil, fmt.Errorf("%w: the signer did not return an ASN.1 ECDSA signature", ErrKey)
	}
	order := c.Params().N
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(order) >= 0 || s.Cmp(order) >= 0 {
		return nil, fmt.Errorf("%w: the signer returned numbers outside the curve's order", ErrKey)
	}
	size := (c.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out, nil
}

// derECDSA turns r‖s into the ASN.1 form that crypto/ecdsa verifies.
func derECDSA(raw []byte) ([]byte, error) {
	half := len(raw) / 2
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:half]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[half:]))
	})
	return b.Bytes()
}
