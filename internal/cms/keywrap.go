package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// keyWrapIV is the initial value of RFC 3394 section 2.2.3.1, which shows at the end that the key was the right one.
const keyWrapIV = 0xa6a6a6a6a6a6a6a6

// WrapKey wraps a key under a key-encryption key of 16, 24 or 32 bytes (RFC 3394 section 2.2.1). The result is 8 bytes
// longer. The key must be a multiple of 8 bytes, at least 16. The error is [ErrKey].
func WrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil || len(key) < 16 || len(key)%8 != 0 {
		return nil, fmt.Errorf("%w: length", ErrKey)
	}
	out := make([]byte, 8+len(key))
	copy(out[8:], key)
	var b [aes.BlockSize]byte
	a, n := uint64(keyWrapIV), len(key)/8
	for j := range 6 {
		for i := 1; i <= n; i++ {
			binary.BigEndian.PutUint64(b[:8], a)
			copy(b[8:], out[8*i:8*i+8])
			block.Encrypt(b[:], b[:])
			a = binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			copy(out[8*i:8*i+8], b[8:])
		}
	}
	binary.BigEndian.PutUint64(out, a)
	return out, nil
}

// UnwrapKey undoes [WrapKey] (RFC 3394 section 2.2.2). The error is [ErrDecrypt] when the key-encryption key is another
// one or the wrapped key was changed, and [ErrKey] when lengths are wrong.
func UnwrapKey(kek, wrapped []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil || len(wrapped) < 24 || len(wrapped)%8 != 0 || len(wrapped) > 72 {
		return nil, fmt.Errorf("%w: length", ErrKey)
	}
	out := make([]byte, len(wrapped)-8)
	copy(out, wrapped[8:])
	var b [aes.BlockSize]byte
	a, n := binary.BigEndian.Uint64(wrapped), len(out)/8
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(b[:8], a^uint64(n*j+i))
			copy(b[8:], out[8*i-8:8*i])
			block.Decrypt(b[:], b[:])
			a = binary.BigEndian.Uint64(b[:8])
			copy(out[8*i-8:8*i], b[8:])
		}
	}
	var got, want [8]byte
	binary.BigEndian.PutUint64(got[:], a)
	binary.BigEndian.PutUint64(want[:], keyWrapIV)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		clear(out)
		return nil, ErrDecrypt
	}
	return out, nil
}
