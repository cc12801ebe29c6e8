package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
)

// EnvelopedData is a parsed message of that type (RFC 5652 section 6). It refers to the bytes that were parsed.
type EnvelopedData struct {
	Version     int
	Recipients  []RecipientInfo // in the order of the message
	ContentType OID
	Algorithm   Algorithm // of the content encryption
	Ciphertext  Octets
}

// RecipientInfo is one wrapped content key. Exactly one field is set, or none for a kind that CMS knows and this package
// does not (key agreement, password).
type RecipientInfo struct {
	KeyTrans *KeyTransRecipient
	KEK      *KEKRecipient
}

// KeyTransRecipient is the content key under the public key of a certificate.
type KeyTransRecipient struct {
	Version   int
	ID        Identifier
	Algorithm Algorithm
	Key       []byte // encrypted
}

// KEKRecipient is the content key under a symmetric key that both sides have.
type KEKRecipient struct {
	Version   int
	ID        []byte // key identifier
	Algorithm Algorithm
	Key       []byte // encrypted
}

// ParseEnvelopedData parses a ContentInfo that holds an EnvelopedData, in BER or DER. Nothing may follow it. Errors are
// [ErrContentType], [ErrSyntax] and [ErrLimit].
func ParseEnvelopedData(msg []byte, l Limits) (*EnvelopedData, error) {
	e := new(EnvelopedData)
	l = l.withDefaults()
	err := contentInfo(msg, l, OIDEnvelopedData, func(r *reader) error { return e.parse(r, l) })
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *EnvelopedData) parse(r *reader, l Limits) (err error) {
	if e.Version, err = r.small(); err != nil {
		return err
	}
	if r.tag() == context0|constructed { // originator's certificates, not looked at
		if _, err = r.raw(); err != nil {
			return err
		}
	}
	err = r.inside(tagSet, func() error {
		for r.more() {
			if len(e.Recipients) == l.Recipients {
				return r.limit("too many recipients")
			}
			i, err := r.recipient()
			if err != nil {
				return err
			}
			e.Recipients = append(e.Recipients, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = r.inside(tagSequence, func() (err error) {
		if e.ContentType, err = r.oid(); err != nil {
			return err
		}
		if e.Algorithm, err = r.algorithm(tagSequence); err != nil {
			return err
		}
		e.Ciphertext, err = r.octets(context0)
		return err
	})
	if err != nil {
		return err
	}
	if r.tag() == context1|constructed { // unprotected attributes, not looked at
		_, err = r.raw()
	}
	return err
}

func (r *reader) recipient() (RecipientInfo, error) {
	switch r.tag() {
	case tagSequence:
		k := new(KeyTransRecipient)
		err := r.inside(tagSequence, func() (err error) {
			if k.Version, err = r.small(); err != nil {
				return err
			}
			if k.ID, err = r.identifier(); err != nil {
				return err
			}
			k.Algorithm, k.Key, err = r.wrapped()
			return err
		})
		return RecipientInfo{KeyTrans: k}, err
	case context2 | constructed:
		k := new(KEKRecipient)
		err := r.inside(context2|constructed, func() (err error) {
			if k.Version, err = r.small(); err != nil {
				return err
			}
			if k.ID, err = r.kekID(); err != nil {
				return err
			}
			k.Algorithm, k.Key, err = r.wrapped()
			return err
		})
		return RecipientInfo{KEK: k}, err
	case 0:
		return RecipientInfo{}, r.fail("recipient missing")
	}
	_, err := r.raw()
	return RecipientInfo{}, err
}

// kekID reads a KEKIdentifier; its date and other attribute are not looked at.
func (r *reader) kekID() (id []byte, err error) {
	err = r.inside(tagSequence, func() error {
		o, err := r.octets(tagOctetString)
		if err != nil {
			return err
		}
		if o.Len() > 1024 {
			return r.limit("key identifier too long")
		}
		id = o.Bytes()
		for r.more() {
			if _, err := r.raw(); err != nil {
				return err
			}
		}
		return nil
	})
	return id, err
}

func (r *reader) wrapped() (a Algorithm, key []byte, err error) {
	if a, err = r.algorithm(tagSequence); err != nil {
		return a, nil, err
	}
	o, err := r.octets(tagOctetString)
	if err != nil {
		return a, nil, err
	}
	if o.Len() > maxSignature {
		return a, nil, r.limit("encrypted key too long")
	}
	return a, o.Bytes(), nil
}

// Cipher is a content encryption; 0 = unknown.
type Cipher uint8

// The ciphers (RFC 3565).
const (
	AES128CBC Cipher = iota + 1
	AES192CBC
	AES256CBC
)

var ciphers = [...]struct {
	oid  OID
	size int
}{AES128CBC: {OIDAES128CBC, 16}, AES192CBC: {OIDAES192CBC, 24}, AES256CBC: {OIDAES256CBC, 32}}

// KeySize is the length of the content key in bytes, 0 when the cipher is unknown.
func (c Cipher) KeySize() int {
	if int(c) >= len(ciphers) {
		return 0
	}
	return ciphers[c].size
}

// Cipher returns the content encryption, 0 when unknown.
func (e *EnvelopedData) Cipher() Cipher {
	for c, known := range ciphers {
		if c > 0 && known.oid == e.Algorithm.OID {
			return Cipher(c)
		}
	}
	return 0
}

// Decrypt decrypts the content into new memory. Errors are [ErrAlgorithm] for what can be seen before decryption, and
// [ErrDecrypt]. Padding is checked in full, but nothing else: without a signature around the message an attacker who is
// told of the error can decrypt it. Verify first.
func (e *EnvelopedData) Decrypt(key []byte) ([]byte, error) {
	copied := *e
	b := e.Ciphertext.Bytes()
	copied.Ciphertext = Octets{b: b, n: len(b), whole: true}
	return copied.DecryptInPlace(key)
}

// DecryptInPlace is Decrypt over the bytes that were parsed: e and what was parsed must not be used afterwards.
func (e *EnvelopedData) DecryptInPlace(key []byte) ([]byte, error) {
	c := e.Cipher()
	if c == 0 || len(key) != c.KeySize() {
		return nil, fmt.Errorf("%w: content encryption", ErrAlgorithm)
	}
	iv, err := newReader(e.Algorithm.Parameters, Limits{}.withDefaults()).octets(tagOctetString)
	if err != nil || iv.Len() != aes.BlockSize {
		return nil, fmt.Errorf("%w: initialisation vector", ErrAlgorithm)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: content key", ErrKey)
	}
	b := e.Ciphertext.Compact()
	if len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil, ErrDecrypt
	}
	cipher.NewCBCDecrypter(block, iv.Bytes()).CryptBlocks(b, b)
	n := unpad(b)
	if n < 0 {
		clear(b)
		return nil, ErrDecrypt
	}
	return b[:n:n], nil
}

// unpad returns the length without padding (RFC 5652 section 6.3), -1 when the padding is wrong, always looking at the
// whole last block.
func unpad(b []byte) int {
	last := b[len(b)-aes.BlockSize:]
	pad := int(last[aes.BlockSize-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, aes.BlockSize)
	for i, v := range last {
		inPad := subtle.ConstantTimeLessOrEq(aes.BlockSize, i+pad)
		good &= subtle.ConstantTimeSelect(inPad, subtle.ConstantTimeByteEq(v, byte(pad)), 1)
	}
	return subtle.ConstantTimeSelect(good, len(b)-pad, -1)
}
