package p12

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of RFC 7292 (bags), RFC 2985 (attributes), RFC 5652
// (content types) and RFC 8018 (PBES2).
var (
	oidData            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidShroudedKeyBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509Certificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oidPBES2           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256      = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// explicit0 is the tag [0] EXPLICIT.
var explicit0 = cbasn1.Tag(0).ContextSpecific().Constructed()

// addContentInfo adds a ContentInfo (RFC 5652 section 3).
func addContentInfo(b *cryptobyte.Builder, contentType asn1.ObjectIdentifier, content cryptobyte.BuilderContinuation) {
	addSequence(b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(contentType)
		b.AddASN1(explicit0, content)
	})
}

// addData adds a ContentInfo of type data.
func addData(b *cryptobyte.Builder, content []byte) {
	addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
}

// addBag adds a SafeBag (RFC 7292 section 4.2); attributes are encoded already.
func addBag(b *cryptobyte.Builder, bag asn1.ObjectIdentifier, attributes [][]byte, value cryptobyte.BuilderContinuation) {
	addSequence(b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(bag)
		b.AddASN1(explicit0, value)
		if len(attributes) == 0 {
			return
		}
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			for _, a := range attributes {
				b.AddBytes(a)
			}
		})
	})
}

// attribute encodes a bag attribute with one value.
func attribute(id asn1.ObjectIdentifier, tag cbasn1.Tag, value []byte) []byte {
	var b cryptobyte.Builder
	addSequence(&b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
		})
	})
	return b.BytesOrPanic() // fails only on a value of more than 4 GiB
}

// addAlgorithm adds an AlgorithmIdentifier.
func addAlgorithm(b *cryptobyte.Builder, id asn1.ObjectIdentifier, parameters func(*cryptobyte.Builder)) {
	addSequence(b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		parameters(b)
	})
}

// addSequence adds a SEQUENCE.
func addSequence(b *cryptobyte.Builder, content cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, content)
}
