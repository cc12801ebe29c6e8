package p12

import (
	"crypto/sha256"
	"errors"
	"unicode/utf8"
)

// purposeMAC is the "ID" byte of RFC 7292 appendix B.3 for an integrity key. (1
// and 2, key and IV, belong to the older encryption schemes that we do not write.)
const purposeMAC byte = 3

// Sizes of SHA-256 in RFC 7292 appendix B.2: u is its output, v its block.
const (
	kdfU = sha256.Size
	kdfV = sha256.BlockSize
)

// deriveSHA256 is the key derivation of RFC 7292 appendix B.2 with SHA-256. The
// password is already in the form of appendix B.1 (see bmpPassword); letters in
// the comments are those of the RFC.
func deriveSHA256(purpose byte, password, salt []byte, iterations, size int) []byte {
	d := make([]byte, kdfV)
	for i := range d {
		d[i] = purpose
	}
	in := append(repeatToBlock(salt), repeatToBlock(password)...) // I = S || P
	out := make([]byte, 0, size+kdfU)
	for {
		a := sha256.Sum256(append(d[:kdfV:kdfV], in...))
		for range iterations - 1 {
			a = sha256.Sum256(a[:])
		}
		out = append(out, a[:]...)
		if len(out) >= size {
			return out[:size]
		}
		// B is A repeated to one block; every block of I becomes I_j + B + 1.
		var b [kdfV]byte
		for i := range b {
			b[i] = a[i%kdfU]
		}
		for j := 0; j < len(in); j += kdfV {
			addOne(in[j:j+kdfV], b[:])
		}
	}
}

// repeatToBlock repeats p to a whole number of hash blocks; nothing stays
// nothing.
func repeatToBlock(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	out := make([]byte, (len(p)+kdfV-1)/kdfV*kdfV)
	for i := range out {
		out[i] = p[i%len(p)]
	}
	return out
}

// addOne sets x = x + y + 1 modulo 2^(8·len(x)), both big-endian.
func addOne(x, y []byte) {
	carry := uint16(1)
	for i := len(x) - 1; i >= 0; i-- {
		carry += uint16(x[i]) + uint16(y[i])
		x[i] = byte(carry)
		carry >>= 8
	}
}

var errBMP = errors.New("text cannot be written as BMPString (only characters of the basic multilingual plane)")

// bmp encodes s as the content of a BMPString: two bytes a character, big-endian,
// no surrogates.
func bmp(s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, errBMP
	}
	out := make([]byte, 0, 2*len(s)+2)
	for _, r := range s {
		if r > 0xFFFF {
			return nil, errBMP
		}
		out = append(out, byte(r>>8), byte(r))
	}
	return out, nil
}

// bmpPassword is the password form of RFC 7292 appendix B.1: a BMPString with
// two zero bytes after it.
func bmpPassword(s string) ([]byte, error) {
	b, err := bmp(s)
	if err != nil {
		return nil, err
	}
	return append(b, 0, 0), nil
}
