package p12

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"

	"golang.org/x/crypto/cryptobyte"
)

// pbes2 is one use of PBES2 (RFC 8018 section 6.2) with PBKDF2-HMAC-SHA256 and
// AES-256-CBC. Salt and IV are fresh, so a value encrypts one thing only.
type pbes2 struct {
	salt, iv   []byte
	iterations int
	block      cipher.Block
}

// newCipher derives a key from the password, which PBES2 takes as UTF-8 (RFC
// 8018 section 3), unlike the MAC.
func newCipher(password string, iterations int) (*pbes2, error) {
	c := &pbes2{salt: make([]byte, saltSize), iv: make([]byte, aes.BlockSize), iterations: iterations}
	rand.Read(c.salt)
	rand.Read(c.iv)
	key, err := pbkdf2.Key(sha256.New, password, c.salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	c.block, err = aes.NewCipher(key)
	return c, err
}

// encrypt pads (RFC 8018 section 6.1.1 step 4) and encrypts.
func (c *pbes2) encrypt(plain []byte) []byte {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(c.block, c.iv).CryptBlocks(out, out)
	return out
}

// addAlgorithm adds the AlgorithmIdentifier. The key length is left out, as
// OpenSSL does: AES-256 implies it.
func (c *pbes2) addAlgorithm(b *cryptobyte.Builder) {
	addAlgorithm(b, oidPBES2, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) {
				addSequence(b, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(c.salt)
					b.AddASN1Int64(int64(c.iterations))
					addAlgorithm(b, oidHMACSHA256, (*cryptobyte.Builder).AddASN1NULL)
				})
			})
			addAlgorithm(b, oidAES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.iv) })
		})
	})
}
