package etee

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"math/big"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// MaxSealed is the longest sealed message that is opened: 64 MiB, six times the largest of eHealthBox.
const MaxSealed = 64 << 20

// Keys are the private keys that open messages; [keystore.Store] is one. The keys may be in a card.
type Keys interface {
	Encryption() []keystore.Credential
	EncryptionBySerial(serial *big.Int) (keystore.Credential, bool)
}

// Opener opens messages under one policy (dossier 02 B.4). It does not change and is safe for concurrent use if its keys
// are.
type Opener struct {
	keys   Keys
	trust  Trust
	policy Policy
}

// NewOpener makes an opener. Keys may be nil for who opens messages with KEKs only. The error is [ErrTrust].
func NewOpener(keys Keys, trust Trust, policy Policy) (*Opener, error) {
	if trust.Roots == nil {
		return nil, ErrTrust
	}
	policy.Profiles, policy.Refuse = slices.Clone(policy.Profiles), slices.Clone(policy.Refuse)
	return &Opener{keys, trust, policy}, nil
}

// OpenOption is about one message.
type OpenOption func(*opening)

// WithKEK opens the message with this key instead of the private keys: a message sealed for an unknown recipient.
func WithKEK(k KEK) OpenOption { return func(o *opening) { o.kek = &k } }

// ReceivedAt tells when the message was received, from who carried it: the publication date of eHealthBox, the creation
// date of Recip-e. Certificates are then validated at that time, which the sender cannot choose, and the claimed signing
// time is compared with it instead of with the clock. The zero time changes nothing.
func ReceivedAt(t time.Time) OpenOption { return func(o *opening) { o.received = t } }

// From accepts messages of these signers only, compared by public key. Without it anybody whom the trust anchors vouch
// for may be the sender. An empty list accepts nobody.
func From(certificates ...*x509.Certificate) OpenOption {
	return func(o *opening) { o.from = append([]*x509.Certificate{}, certificates...) }
}

// opening is the state of opening one message.
type opening struct {
	*Opener
	report   *Report
	now      time.Time
	received time.Time
	kek      *KEK
	from     []*x509.Certificate
}

// Open opens a message. The error is a [*Refusal], with a report that says why; there is then no content. A message is
// held twice in memory: sealed is not changed and not referred to afterwards.
func (o *Opener) Open(sealed []byte, opts ...OpenOption) (*Message, error) {
	if len(sealed) > MaxSealed {
		sealed = nil // refused as malformed, without a copy
	}
	return o.OpenInPlace(bytes.Clone(sealed), opts...)
}

// OpenInPlace is Open in the memory of the message itself, which the caller must not use afterwards: the content is
// part of it.
func (o *Opener) OpenInPlace(sealed []byte, opts ...OpenOption) (*Message, error) {
	run := &opening{Opener: o, now: time.Now(), report: &Report{Policy: o.policy.Name()}}
	for _, opt := range opts {
		opt(run)
	}
	if len(sealed) > MaxSealed {
		sealed = nil
	}
	content := run.open(sealed)
	if !run.report.Accepted() {
		clear(sealed) // nobody shall find in it what was refused
		return nil, &Refusal{run.report}
	}
	return &Message{content, run.report}, nil
}

// open goes from the outer layer inwards. What it returns is good only if the report has no errors.
func (o *opening) open(sealed []byte) []byte {
	outer := o.parse(sealed, &outerSide)
	if outer == nil {
		return nil
	}
	o.report.Profile = outer.profile
	o.times(outer.signer)
	authentication, others := outer.own()
	content := outer.data.Content.Compact()
	if good := outer.algorithms(); authentication != nil {
		o.report.Authentication = authentication
		if good {
			outer.verify(content, authentication)
		}
		outer.usage(authentication, signs)
		outer.trusted(authentication, others, o.report.ValidatedAt)
		outer.expected(authentication)
	}
	if !o.report.Accepted() && o.policy.is(VerifyFirst) {
		return nil
	}
	plain := o.decrypt(content)
	if plain == nil {
		return nil
	}
	return o.inner(plain, outer.profile, authentication)
}

// times decides at which time certificates are looked at, and whether the claimed signing time deserves a warning
// (step 2).
func (o *opening) times(signer *cms.SignerInfo) {
	reference := o.now
	if !o.received.IsZero() {
		reference = o.received
	}
	o.report.ValidatedAt = reference
	claimed, ok, err := signer.SigningTime()
	switch {
	case err != nil:
		o.report.fail(OuterNotVerified)
		return
	case !ok:
		o.report.warn(SigningTimeMissing, o.policy)
		return
	}
	o.report.SigningTime = claimed
	if o.received.IsZero() {
		o.report.ValidatedAt = claimed
	}
	window, skew := o.policy.Window, o.policy.Skew
	if window < 0 {
		return
	}
	if window == 0 {
		window = DefaultWindow
	}
	if skew == 0 {
		skew = DefaultSkew
	}
	if claimed.Before(reference.Add(-window-skew)) || claimed.After(reference.Add(skew)) {
		o.report.warn(SigningTimeExpired, o.policy)
	}
}

// decrypt undoes the middle layer (step 6); nil after a finding. All that depends on the private key and on the
// ciphertext gives one finding: that the inner layer is not as it should be.
func (o *opening) decrypt(b []byte) []byte {
	e, err := cms.ParseEnvelopedData(b, cms.Limits{})
	if err != nil {
		o.report.fail(EnvelopeStructureIncorrect)
		return nil
	}
	keks := 0
	for _, r := range e.Recipients {
		if r.KEK != nil {
			keks++
		}
	}
	if keks > 1 && o.policy.is(SingleKEK) {
		o.report.fail(EnvelopeStructureIncorrect)
		return nil
	}
	if e.Cipher() != cms.AES128CBC {
		o.report.fail(ContentCipherUnauthorized)
		return nil
	}
	var key []byte
	if o.kek != nil {
		key = o.unwrapKEK(e, keks)
	} else {
		key = o.unwrapPrivate(e)
	}
	if key == nil {
		return nil
	}
	defer clear(key)
	plain, err := e.DecryptInPlace(key)
	if err != nil {
		o.report.fail(InnerStructureIncorrect)
		return nil
	}
	return plain
}

func (o *opening) unwrapKEK(e *cms.EnvelopedData, keks int) []byte {
	if keks == 0 {
		o.report.fail(NoKEKRecipients)
		return nil
	}
	if len(o.kek.key()) < kekSize {
		o.report.fail(DecryptionSymmetricKeyLength)
		return nil
	}
	for _, r := range e.Recipients {
		if r.KEK == nil {
			continue
		}
		if r.KEK.KeySize() != kekSize {
			o.report.fail(KeyTransportUnauthorized)
			return nil
		}
		if o.policy.is(KEKIdentifier) && len(o.kek.id) > 0 && !bytes.Equal(o.kek.id, r.KEK.ID) {
			continue
		}
		if key, err := r.KEK.Unwrap(o.kek.secret); err == nil && len(key) == cms.AES128CBC.KeySize() {
			return key
		}
	}
	o.report.fail(SecretKeyCannotDecrypt)
	return nil
}

func (o *opening) unwrapPrivate(e *cms.EnvelopedData) []byte {
	recipient, credential, ok := o.find(e)
	if !ok {
		return nil
	}
	o.report.Recipient = credential.Certificate
	decrypter, ok := credential.Signer.(crypto.Decrypter)
	if !ok {
		o.report.fail(DecryptionPrivateKeyNotFound)
		return nil
	}
	if padding, _, _ := recipient.Padding(); padding != cms.PKCS1v15 {
		o.report.fail(KeyTransportUnauthorized)
		return nil
	}
	if rsaBits(credential.Certificate) < minRecipientBits {
		o.report.fail(DecryptionKeyTooShort)
		return nil
	}
	key, err := recipient.Unwrap(decrypter, cms.AES128CBC.KeySize())
	if err != nil {
		o.report.fail(KeyTransportUnauthorized)
		return nil
	}
	return key
}

// find returns the first recipient for which there is a private key: by issuer and serial number or by subject key
// identifier, and else by serial number alone, as the official library does it and old key stores need it.
func (o *opening) find(e *cms.EnvelopedData) (*cms.KeyTransRecipient, keystore.Credential, bool) {
	var list []*cms.KeyTransRecipient
	for _, r := range e.Recipients {
		if r.KeyTrans != nil {
			list = append(list, r.KeyTrans)
		}
	}
	if len(list) == 0 {
		o.report.fail(NoKeyTransRecipients)
		return nil, keystore.Credential{}, false
	}
	if o.keys != nil {
		mine := o.keys.Encryption()
		for _, r := range list {
			for _, c := range mine {
				if r.ID.Matches(c.Certificate) {
					return r, c, true
				}
			}
		}
		for _, r := range list {
			if o.policy.is(ExactRecipient) || r.ID.Serial == nil {
				continue
			}
			if c, ok := o.keys.EncryptionBySerial(r.ID.Serial); ok {
				return r, c, true
			}
		}
	}
	o.report.fail(DecryptionPrivateKeyNotFound)
	return nil, keystore.Credential{}, false
}

// inner checks the inner layer (steps 7 and 8) and returns the content.
func (o *opening) inner(plain []byte, profile Profile, authentication *x509.Certificate) []byte {
	l := o.parse(plain, &innerSide)
	if l == nil {
		return nil
	}
	if l.profile != profile && l.profile != 0 && profile != 0 {
		o.report.fail(MessageIntegrityInvalid)
	}
	allowed := x509.KeyUsage(signs)
	if o.policy.NonRepudiation {
		allowed = x509.KeyUsageContentCommitment
	}
	signer, own := authentication, len(l.data.Certificates) > 0
	var others []*x509.Certificate
	if own {
		signer, others = l.own()
	}
	content := l.data.Content.Compact()
	if good := l.algorithms(); signer != nil {
		o.report.Signature = signer
		if good {
			l.verify(content, signer)
		}
		l.usage(signer, allowed)
		if own {
			if authentication == nil || !sameParty(authentication, signer) {
				o.report.fail(MessageIntegrityInvalid)
			}
			l.trusted(signer, others, o.report.ValidatedAt)
			l.expected(signer)
		}
	}
	return content
}
