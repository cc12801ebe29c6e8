package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
)

// Target is whom a content key is wrapped for: [ForCertificate] or [ForKEK].
type Target interface {
	// recipientInfo wraps the content key. plain is true for a structure of version 0.
	recipientInfo(key []byte) (info []byte, plain bool, err error)
}

// ForCertificate wraps the content key under the RSA key of a certificate.
type ForCertificate struct {
	Certificate *x509.Certificate
	ByKeyID     bool    // name it by its subject key identifier instead of issuer and serial number
	Padding     Padding // zero = PKCS1v15, which eHealth demands
	// Hash and MGFHash are for OAEP; zero = SHA-256 and the same as Hash. Java's default is SHA-256 with MGF1-SHA-1.
	Hash, MGFHash crypto.Hash
}

// ForKEK wraps the content key under a symmetric key of 16, 24 or 32 bytes, with AES key wrap.
type ForKEK struct {
	ID  []byte // by which the receiver finds the key
	Key []byte
}

// EnvelopeOptions says how to encrypt.
type EnvelopeOptions struct {
	Encoding Encoding
	Cipher   Cipher   // zero = AES128CBC
	Targets  []Target // at least one
}

// EnvelopedWriter writes an EnvelopedData around what is written to it.
type EnvelopedWriter struct {
	w       io.Writer
	mode    cipher.BlockMode
	content io.WriteCloser
	der     bool
	size    int64
	written int64
	buf     []byte // waits for a full block
	closed  bool
}

// cbcBuffer is how much is encrypted at once at most; a multiple of the block size.
const cbcBuffer = 16 << 10

// NewEnvelopedWriter begins a message on w with a random content key and initialisation vector. Size is that of the
// content, needed in DER and not looked at in BER. Close ends the message and does not close w.
//
// Errors are those of w, [ErrKey] and [ErrAlgorithm].
func NewEnvelopedWriter(w io.Writer, size int64, o EnvelopeOptions) (*EnvelopedWriter, error) {
	if o.Cipher == 0 {
		o.Cipher = AES128CBC
	}
	if o.Cipher.KeySize() == 0 || len(o.Targets) == 0 {
		return nil, fmt.Errorf("%w: cipher or recipient missing", ErrAlgorithm)
	}
	key, iv := make([]byte, o.Cipher.KeySize()), make([]byte, aes.BlockSize)
	rand.Read(key)
	rand.Read(iv)
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: content key", ErrKey)
	}
	infos, version, err := wrapFor(key, o.Targets)
	if err != nil {
		return nil, err
	}
	e := &EnvelopedWriter{
		w: w, mode: cipher.NewCBCEncrypter(block, iv), der: o.Encoding == DER, size: size,
		buf: borrow(),
	}
	algorithm := Algorithm{ciphers[o.Cipher].oid, der(tagOctetString, iv)}.der()
	var head []byte
	if e.der {
		e.content = nopCloser{w}
		head = envelopeHeadDER(version, infos, algorithm, PaddedSize(size))
	} else {
		e.content = newSegmenter(w)
		head = envelopeHeadBER(version, infos, algorithm)
	}
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	return e, nil
}

// wrapFor makes the recipientInfos and the version that follows from them (RFC 5652 section 6.1).
func wrapFor(key []byte, targets []Target) (infos []byte, version int, err error) {
	list := make([][]byte, len(targets))
	for i, t := range targets {
		info, plain, err := t.recipientInfo(key)
		if err != nil {
			return nil, 0, err
		}
		if !plain {
			version = 2
		}
		list[i] = info
	}
	return derSet(tagSet, list), version, nil
}

// PaddedSize is the length of the ciphertext of so much content.
func PaddedSize(size int64) int64 { return (size/aes.BlockSize + 1) * aes.BlockSize }

// EnvelopedSize is the length of a DER message with so much content. The options must be those of the message; they are
// measured by wrapping a key that is thrown away, which costs one operation with each public key.
func EnvelopedSize(size int64, o EnvelopeOptions) (int64, error) {
	c := counter{}
	o.Encoding = DER
	if _, err := NewEnvelopedWriter(&c, size, o); err != nil {
		return 0, err
	}
	return c.n + PaddedSize(size), nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func envelopeHeadBER(version int, infos, algorithm []byte) []byte {
	h := append(make([]byte, 0, len(infos)+len(algorithm)+64), tagSequence, 0x80)
	h = append(h, derOID(OIDEnvelopedData)...)
	h = append(h, context0|constructed, 0x80, tagSequence, 0x80)
	h = append(h, derInt(version)...)
	h = append(h, infos...)
	h = append(h, tagSequence, 0x80)
	h = append(h, derOID(OIDData)...)
	h = append(h, algorithm...)
	return append(h, context0|constructed, 0x80)
}

func envelopeHeadDER(version int, infos, algorithm []byte, size int64) []byte {
	id := derOID(OIDData)
	encrypted := int64(len(id)+len(algorithm)) + wrapSize(size)
	body := int64(len(derInt(version))+len(infos)) + wrapSize(encrypted)
	kind := derOID(OIDEnvelopedData)
	h := appendHeader(nil, tagSequence, int(int64(len(kind))+wrapSize(wrapSize(body))))
	h = append(h, kind...)
	h = appendHeader(h, context0|constructed, int(wrapSize(body)))
	h = appendHeader(h, tagSequence, int(body))
	h = append(h, derInt(version)...)
	h = append(h, infos...)
	h = appendHeader(h, tagSequence, int(encrypted))
	h = append(h, id...)
	h = append(h, algorithm...)
	return appendHeader(h, context0, int(size))
}

// Write takes content in.
func (e *EnvelopedWriter) Write(p []byte) (int, error) {
	if e.closed {
		return 0, io.ErrClosedPipe
	}
	n := len(p)
	e.written += int64(n)
	if e.der && e.written > e.size {
		return 0, errSize
	}
	for len(p) > 0 {
		take := min(len(p), cbcBuffer-len(e.buf))
		e.buf = append(e.buf, p[:take]...)
		p = p[take:]
		if len(e.buf) == cbcBuffer {
			if err := e.encrypt(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// encrypt writes the buffer, whole blocks, encrypted.
func (e *EnvelopedWriter) encrypt() error {
	e.mode.CryptBlocks(e.buf, e.buf)
	_, err := e.content.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

// Close writes the padding and the end of the message.
func (e *EnvelopedWriter) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	if e.der && e.written != e.size {
		return errSize
	}
	pad := aes.BlockSize - len(e.buf)%aes.BlockSize
	for range pad {
		e.buf = append(e.buf, byte(pad))
	}
	used := len(e.buf)
	if e.written >= cbcBuffer {
		used = cbcBuffer
	}
	err := e.encrypt()
	giveBack(e.buf, used)
	e.buf = nil
	if err != nil {
		return err
	}
	if err := e.content.Close(); err != nil || e.der {
		return err
	}
	_, err = e.w.Write(eocs[:]) // [0], encryptedContentInfo, EnvelopedData, [0], ContentInfo
	return err
}

var eocs [5 * 2]byte

func (t ForCertificate) recipientInfo(key []byte) ([]byte, bool, error) {
	if t.Certificate == nil {
		return nil, false, fmt.Errorf("%w: certificate missing", ErrKey)
	}
	public, ok := t.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, false, fmt.Errorf("%w: recipient's key is not RSA", ErrKey)
	}
	rid, version := der(tagSequence, t.Certificate.RawIssuer, derSerial(t.Certificate.SerialNumber)), derInt(0)
	if t.ByKeyID {
		if len(t.Certificate.SubjectKeyId) == 0 {
			return nil, false, fmt.Errorf("%w: certificate without subject key identifier", ErrKey)
		}
		rid, version = der(context0, t.Certificate.SubjectKeyId), derInt(2)
	}
	algorithm, wrapped, err := t.wrap(public, key)
	if err != nil {
		return nil, false, err
	}
	return der(tagSequence, version, rid, algorithm.der(), der(tagOctetString, wrapped)), !t.ByKeyID, nil
}

func (t ForCertificate) wrap(public *rsa.PublicKey, key []byte) (Algorithm, []byte, error) {
	var algorithm Algorithm
	var wrapped []byte
	var err error
	switch t.Padding {
	case 0, PKCS1v15:
		algorithm = Algorithm{OIDRSAEncryption, derNull}
		//lint:ignore SA1019 the platform's receivers know this padding and no other (dossier 02 summary 3)
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, public, key)
	case OAEP:
		o := rsa.OAEPOptions{Hash: t.Hash, MGFHash: t.MGFHash}
		if o.Hash == 0 {
			o.Hash = crypto.SHA256
		}
		if o.MGFHash == 0 {
			o.MGFHash = o.Hash
		}
		if hashOID(o.Hash) == "" || hashOID(o.MGFHash) == "" || !o.Hash.Available() || !o.MGFHash.Available() {
			return algorithm, nil, fmt.Errorf("%w: OAEP digest", ErrAlgorithm)
		}
		algorithm = Algorithm{OIDRSAOAEP, der(tagSequence, paddingParameters(o.Hash, o.MGFHash))}
		wrapped, err = rsa.EncryptOAEPWithOptions(rand.Reader, public, key, &o)
	default:
		return algorithm, nil, fmt.Errorf("%w: key transport", ErrAlgorithm)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrKey, err)
	}
	return algorithm, wrapped, err
}

func (t ForKEK) recipientInfo(key []byte) ([]byte, bool, error) {
	wrapped, err := WrapKey(t.Key, key)
	if err != nil {
		return nil, false, err
	}
	algorithm := Algorithm{OID: OIDAES128Wrap}
	switch len(t.Key) {
	case 24:
		algorithm.OID = OIDAES192Wrap
	case 32:
		algorithm.OID = OIDAES256Wrap
	}
	id := der(tagSequence, der(tagOctetString, t.ID))
	return der(context2|constructed, derInt(4), id, algorithm.der(), der(tagOctetString, wrapped)), false, nil
}
