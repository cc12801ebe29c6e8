package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"
)

// SignOptions says how to sign. Certificate and Signer are required.
type SignOptions struct {
	Certificate *x509.Certificate // the signer's, with an RSA key
	Signer      crypto.Signer     // its private key, in memory or in a card; one signature is asked per message
	Scheme      Scheme            // zero = [PSSWithSHA256]; PSS has a salt as long as the digest
	Encoding    Encoding
	SigningTime time.Time // to the second, in UTC; zero = no such attribute
	// Include are the certificates to put into the message, in this order; may be empty. Certificate is not added by
	// itself.
	Include []*x509.Certificate
	ByKeyID bool // name the signer by the subject key identifier of Certificate
	// NoAttributes signs the content itself, without signed attributes: ETKs (dossier 02 A.1) and very old messages.
	NoAttributes bool
	// NoProtection leaves the algorithm-protection attribute out, as senders before 2.0 of the official library.
	NoProtection bool
	// BareRSA writes rsaEncryption as signature algorithm of PKCS #1 v1.5, without the hash, as ETKs have it.
	BareRSA bool
}

// SignedWriter writes a SignedData around what is written to it. Its errors are those of the writer below and of the
// signer, [ErrKey] and [ErrAlgorithm]. After an error the output is of no use.
type SignedWriter struct {
	w       io.Writer
	o       SignOptions
	digest  hash.Hash
	content io.WriteCloser
	size    int64 // announced, DER only
	written int64
	closed  bool
}

// errSize is the caller's mistake of announcing another size than it writes.
var errSize = errors.New("cms: content is not as long as announced")

// NewSignedWriter begins a message on w. Size is that of the content, needed in DER and not looked at in BER. Close ends
// the message and does not close w.
func NewSignedWriter(w io.Writer, size int64, o SignOptions) (*SignedWriter, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	s := &SignedWriter{w: w, o: o, digest: o.Scheme.Hash.New(), size: size}
	var head []byte
	if o.Encoding == BER {
		s.content = newSegmenter(w)
		head = s.headBER()
	} else {
		s.content = nopCloser{w}
		head = s.headDER()
	}
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	return s, nil
}

// SignedSize is the length of a DER message with so much content.
func SignedSize(size int64, o SignOptions) (int64, error) {
	o, err := o.check()
	if err != nil {
		return 0, err
	}
	o.Encoding = DER
	s := &SignedWriter{o: o, size: size}
	return int64(len(s.headDER())) + size + int64(len(s.tail(o.blank()))), nil
}

func (o SignOptions) check() (SignOptions, error) {
	if o.Certificate == nil || o.Signer == nil {
		return o, fmt.Errorf("%w: signer or certificate missing", ErrKey)
	}
	public, ok := o.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return o, fmt.Errorf("%w: not RSA", ErrKey)
	}
	if !public.Equal(o.Signer.Public()) {
		return o, fmt.Errorf("%w: the signer has another key than the certificate", ErrKey)
	}
	if o.ByKeyID && len(o.Certificate.SubjectKeyId) == 0 {
		return o, fmt.Errorf("%w: certificate without subject key identifier", ErrKey)
	}
	if o.Scheme == (Scheme{}) {
		o.Scheme = PSSWithSHA256
	}
	switch o.Scheme.Hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return o, fmt.Errorf("%w: digest", ErrAlgorithm)
	}
	if o.Scheme.Padding != PSS && o.Scheme.Padding != PKCS1v15 {
		return o, fmt.Errorf("%w: padding", ErrAlgorithm)
	}
	return o, nil
}

func (o SignOptions) digestAlgorithm() Algorithm {
	return Algorithm{hashOID(o.Scheme.Hash), derNull}
}

func (o SignOptions) signatureAlgorithm() Algorithm {
	switch {
	case o.Scheme.Padding == PSS:
		return Algorithm{OIDRSAPSS, pssParameters(o.Scheme.Hash)}
	case o.BareRSA:
		return Algorithm{OIDRSAEncryption, derNull}
	case o.Scheme.Hash == crypto.SHA384:
		return Algorithm{OIDSHA384WithRSA, derNull}
	case o.Scheme.Hash == crypto.SHA512:
		return Algorithm{OIDSHA512WithRSA, derNull}
	}
	return Algorithm{OIDSHA256WithRSA, derNull}
}

// fixed are the elements of a SignerInfo that follow from the scheme.
type fixed struct{ digest, signature, protection []byte }

// usual are those that nearly all messages have. Nobody changes them.
var usual = SignOptions{Scheme: PSSWithSHA256}.makeFixed()

func (o SignOptions) fixed() fixed {
	if o.Scheme == PSSWithSHA256 {
		return usual
	}
	return o.makeFixed()
}

func (o SignOptions) makeFixed() fixed {
	digest, a := o.digestAlgorithm().der(), o.signatureAlgorithm()
	protection := der(tagSequence, digest, der(context1|constructed, derOID(a.OID), a.Parameters))
	return fixed{digest, a.der(), signedAttribute(OIDAlgorithmProtection, protection)}
}

func pssParameters(h crypto.Hash) []byte {
	return der(tagSequence, paddingParameters(h, h), der(context2|constructed, derInt(h.Size())))
}

// paddingParameters is what PSS and OAEP parameters begin with. Values that are the default (SHA-1) are left out, as DER
// demands.
func paddingParameters(h, mgf crypto.Hash) []byte {
	var out []byte
	if h != crypto.SHA1 {
		out = der(context0|constructed, Algorithm{hashOID(h), derNull}.der())
	}
	if mgf != crypto.SHA1 {
		inner := Algorithm{hashOID(mgf), derNull}.der()
		out = append(out, der(context1|constructed, Algorithm{OIDMGF1, inner}.der())...)
	}
	return out
}

// version of SignedData and of SignerInfo alike (RFC 5652 sections 5.1 and 5.3).
func (o SignOptions) version() []byte {
	if o.ByKeyID {
		return derInt(3)
	}
	return derInt(1)
}

func (s *SignedWriter) headBER() []byte {
	h := append(make([]byte, 0, 64), tagSequence, 0x80)
	h = append(h, derOID(OIDSignedData)...)
	h = append(h, context0|constructed, 0x80, tagSequence, 0x80)
	h = append(h, s.o.version()...)
	h = append(h, der(tagSet, s.o.fixed().digest)...)
	h = append(h, tagSequence, 0x80)
	h = append(h, derOID(OIDData)...)
	return append(h, context0|constructed, 0x80, tagOctetString|constructed, 0x80)
}

// headDER works from the content outwards, since each length holds those within.
func (s *SignedWriter) headDER() []byte {
	octets := wrapSize(s.size)
	id := derOID(OIDData)
	encap := int64(len(id)) + wrapSize(octets)
	algorithms := der(tagSet, s.o.fixed().digest)
	body := int64(len(s.o.version())+len(algorithms)) + wrapSize(encap) +
		int64(len(s.tail(s.o.blank())))
	kind := derOID(OIDSignedData)
	h := appendHeader(nil, tagSequence, int(int64(len(kind))+wrapSize(wrapSize(body))))
	h = append(h, kind...)
	h = appendHeader(h, context0|constructed, int(wrapSize(body)))
	h = appendHeader(h, tagSequence, int(body))
	h = append(h, s.o.version()...)
	h = append(h, algorithms...)
	h = appendHeader(h, tagSequence, int(encap))
	h = append(h, id...)
	h = appendHeader(h, context0|constructed, int(octets))
	return appendHeader(h, tagOctetString, int(s.size))
}

var eoc = []byte{0, 0}

// tail is what follows the content.
func (s *SignedWriter) tail(signer []byte) []byte {
	certs, size := s.o.Include, 0
	for _, c := range certs {
		size += len(c.Raw)
	}
	t := make([]byte, 0, size+len(signer)+32)
	ber := s.o.Encoding == BER
	if ber {
		t = append(t, 0, 0, 0, 0, 0, 0) // string, [0], encapContentInfo
	}
	switch {
	case size == 0:
	case ber:
		t = append(t, context0|constructed, 0x80)
	default:
		t = appendHeader(t, context0|constructed, size)
		certs = slices.Clone(certs)
		slices.SortFunc(certs, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	}
	for _, c := range certs {
		t = append(t, c.Raw...)
	}
	if size > 0 && ber {
		t = append(t, eoc...)
	}
	t = append(appendHeader(t, tagSet, len(signer)), signer...)
	if ber {
		t = append(t, 0, 0, 0, 0, 0, 0) // SignedData, [0], ContentInfo
	}
	return t
}

// Write takes content in.
func (s *SignedWriter) Write(p []byte) (int, error) {
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.written += int64(len(p))
	if s.o.Encoding == DER && s.written > s.size {
		return 0, errSize
	}
	n := len(p)
	for len(p) > 0 { // piece by piece, so that the second reader finds it in the processor's cache
		piece := p[:min(len(p), 16<<10)]
		p = p[len(piece):]
		s.digest.Write(piece)
		if _, err := s.content.Write(piece); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Close signs and writes the end of the message.
func (s *SignedWriter) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.o.Encoding == DER && s.written != s.size {
		return errSize
	}
	if err := s.content.Close(); err != nil {
		return err
	}
	digest := s.digest.Sum(nil)
	signed := digest
	attributes := s.o.attributes(digest)
	if attributes != nil {
		d := s.o.Scheme.Hash.New()
		d.Write(attributes)
		signed = d.Sum(nil)
	}
	var opts crypto.SignerOpts = s.o.Scheme.Hash
	if s.o.Scheme.Padding == PSS {
		opts = &rsa.PSSOptions{SaltLength: s.o.Scheme.Hash.Size(), Hash: s.o.Scheme.Hash}
	}
	value, err := s.o.Signer.Sign(rand.Reader, signed, opts)
	if err != nil {
		return fmt.Errorf("cms: sign: %w", err)
	}
	if len(value) != s.o.size() {
		return fmt.Errorf("%w: signature of another length than the key", ErrKey)
	}
	_, err = s.w.Write(s.tail(s.o.signerInfo(attributes, value)))
	return err
}

// size is that of a signature.
func (o SignOptions) size() int {
	return o.Certificate.PublicKey.(*rsa.PublicKey).Size() //nolint:forcetypeassert // checked
}

// blank is a SignerInfo of the right length, to measure with.
func (o SignOptions) blank() []byte {
	return o.signerInfo(o.attributes(make([]byte, o.Scheme.Hash.Size())), make([]byte, o.size()))
}

// signerInfo takes the attributes as they were signed, and changes them into what is sent.
func (o SignOptions) signerInfo(attributes, value []byte) []byte {
	sid := der(tagSequence, o.Certificate.RawIssuer, derSerial(o.Certificate.SerialNumber))
	if o.ByKeyID {
		sid = der(context0, o.Certificate.SubjectKeyId)
	}
	if attributes != nil {
		attributes[0] = context0 | constructed
	}
	f := o.fixed()
	return der(tagSequence, o.version(), sid, f.digest, attributes, f.signature, der(tagOctetString, value))
}

func signedAttribute(t OID, value []byte) []byte {
	return der(tagSequence, derOID(t), der(tagSet, value))
}

var dataAttribute = signedAttribute(OIDContentType, derOID(OIDData))

// attributes is the list of signed attributes as it is signed, a SET; nil when there is none.
func (o SignOptions) attributes(digest []byte) []byte {
	if o.NoAttributes {
		return nil
	}
	list := append(make([][]byte, 0, 4), dataAttribute, signedAttribute(OIDMessageDigest, der(tagOctetString, digest)))
	if !o.SigningTime.IsZero() {
		list = append(list, signedAttribute(OIDSigningTime, derTime(o.SigningTime)))
	}
	if !o.NoProtection {
		list = append(list, o.fixed().protection)
	}
	return derSet(tagSet, list)
}

// derTime writes a Time: UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5652 section 11.3).
func derTime(t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y < 1950 || y >= 2050 {
		return der(tagGenTime, []byte(t.Format("20060102150405Z")))
	}
	return der(tagUTCTime, []byte(t.Format("060102150405Z")))
}
