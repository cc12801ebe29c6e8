package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
)

// Padding returns how the content key is padded, 0 when unknown, and for OAEP its two hashes.
func (k *KeyTransRecipient) Padding() (p Padding, hash, mgf crypto.Hash) {
	switch k.Algorithm.OID {
	case OIDRSAEncryption:
		if k.Algorithm.plain() {
			return PKCS1v15, 0, 0
		}
	case OIDRSAOAEP:
		if o, err := k.Algorithm.oaep(); err == nil {
			return OAEP, o.Hash, o.MGFHash
		}
	}
	return 0, 0, 0
}

// oaep reads RSAES-OAEP-params (RFC 4055 section 4.1).
func (a Algorithm) oaep() (*rsa.OAEPOptions, error) {
	o := new(rsa.OAEPOptions)
	err := a.inParameters(func(r *reader) (err error) {
		if o.Hash, o.MGFHash, err = r.padding(); err != nil {
			return err
		}
		if r.tag() != context2|constructed {
			return nil
		}
		return r.inside(context2|constructed, func() error {
			source, err := r.algorithm(tagSequence)
			if err != nil || source.OID != OIDPSpecified {
				return ErrAlgorithm
			}
			label, err := newReader(source.Parameters, Limits{}.withDefaults()).octets(tagOctetString)
			o.Label = label.Bytes()
			return err
		})
	})
	if err == nil && (!o.Hash.Available() || !o.MGFHash.Available()) {
		err = fmt.Errorf("%w: digest not available", ErrAlgorithm)
	}
	return o, err
}

// Unwrap decrypts the content key with the private key, in memory or in a card. Size is the length that the key must
// have.
//
// When the padding is wrong, or the key inside has another length, Unwrap returns a random key and no error: the
// content then cannot be decrypted, and nobody learns whether it was the padding (RFC 3218 section 2.3.2). The errors
// are [ErrAlgorithm] and [ErrKey], both for what anybody can see.
func (k *KeyTransRecipient) Unwrap(d crypto.Decrypter, size int) ([]byte, error) {
	public, ok := d.Public().(*rsa.PublicKey)
	if !ok || size < 16 || public.Size() < size+11 {
		return nil, fmt.Errorf("%w: cannot decrypt a content key", ErrKey)
	}
	key := make([]byte, size)
	rand.Read(key)
	if len(k.Key) != public.Size() {
		return key, nil
	}
	p, _, _ := k.Padding()
	switch p {
	case PKCS1v15:
		decryptPKCS1v15(d, k.Key, key)
	case OAEP:
		o, err := k.Algorithm.oaep()
		if err != nil {
			return nil, err
		}
		got, err := d.Decrypt(rand.Reader, k.Key, o)
		replace(key, got, err)
	default:
		return nil, fmt.Errorf("%w: key transport %v", ErrAlgorithm, k.Algorithm.OID)
	}
	return key, nil
}

// decryptPKCS1v15 puts the content key into key, or leaves it alone. Keys in memory do that in constant time. Keys in
// cards and security modules may not know of session keys (crypto11 refuses the option before it looks at the
// ciphertext), so they are asked again without, and their result, whether good or bad, takes the same way.
func decryptPKCS1v15(d crypto.Decrypter, ciphertext, key []byte) {
	//lint:ignore SA1019 the platform's messages have this padding and no other (dossier 02 summary 3)
	got, err := d.Decrypt(rand.Reader, ciphertext, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: len(key)})
	if _, inMemory := d.(*rsa.PrivateKey); err != nil && !inMemory {
		//lint:ignore SA1019 see above
		got, err = d.Decrypt(rand.Reader, ciphertext, &rsa.PKCS1v15DecryptOptions{})
	}
	replace(key, got, err)
}

// replace copies got over key when there was no error and the length fits.
func replace(key, got []byte, err error) {
	good := subtle.ConstantTimeEq(int32(len(got)), int32(len(key)))
	if err != nil {
		good = 0
	}
	padded := make([]byte, len(key))
	copy(padded, got)
	subtle.ConstantTimeCopy(good, key, padded)
	clear(got)
	clear(padded)
}

// Unwrap decrypts the content key with the key-encryption key. The error is [ErrAlgorithm], [ErrKey] when the key has not
// the length of the algorithm, or [ErrDecrypt] when it is another key.
func (k *KEKRecipient) Unwrap(kek []byte) ([]byte, error) {
	size := k.KeySize()
	if size == 0 {
		return nil, fmt.Errorf("%w: key wrap %v", ErrAlgorithm, k.Algorithm.OID)
	}
	if len(kek) != size {
		return nil, fmt.Errorf("%w: key-encryption key of another length", ErrKey)
	}
	return UnwrapKey(kek, k.Key)
}

// KeySize is the length of the key-encryption key in bytes, 0 when the algorithm is unknown.
func (k *KEKRecipient) KeySize() int {
	if k.Algorithm.plain() {
		switch k.Algorithm.OID {
		case OIDAES128Wrap:
			return 16
		case OIDAES192Wrap:
			return 24
		case OIDAES256Wrap:
			return 32
		}
	}
	return 0
}
