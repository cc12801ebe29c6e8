package wsse

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Namespaces (dossier 01 A.3).
const (
	NSWSSE   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	NSWSU    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	NSWSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
)

// URIs of the token profiles (dossier 01 A.6, C.2). KeyIdentifier takes the 1.0 form, TokenType the 1.1 form.
const (
	EncodingBase64       = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
	ValueX509v3          = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
	ValueSAMLAssertionID = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID"
	TokenSAML11          = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
)

// DefaultTTL is the life of a message: the official connector's (dossier 01 A.6).
const DefaultTTL = 60 * time.Second

// What can be wrong with a secured message, besides the errors of package dsig.
var (
	// ErrNoSecurity: there is no wsse:Security header.
	ErrNoSecurity = errors.New("wsse: no security header")
	// ErrShape: parts of the header or the envelope are missing, doubled, out of place or not plain text.
	ErrShape = errors.New("wsse: malformed security header")
	// ErrUnsigned: the signature is valid but does not cover a part that must be signed. It is an ErrShape.
	ErrUnsigned = fmt.Errorf("%w: a required part is not signed", ErrShape)
	// ErrToken: the security token or the reference to it is not what the profile says.
	ErrToken = errors.New("wsse: security token not accepted")
	// ErrExpired: the message is older than it may be, by its own Expires or by Policy.MaxAge.
	ErrExpired = errors.New("wsse: message expired")
	// ErrFuture: the message was made in the future; one of the two clocks is wrong.
	ErrFuture = errors.New("wsse: message from the future")
	// ErrReplay: this message was seen before.
	ErrReplay = errors.New("wsse: message replayed")
)

// ErrCredential reports a credential that cannot sign: certificate or key missing, or not belonging together.
var ErrCredential = errors.New("wsse: unusable credential")

// Credential signs messages. The key may live anywhere: only Public and Sign of the Signer are called.
type Credential struct {
	Certificate *x509.Certificate
	Signer      crypto.Signer
}

// check tells whether the key is the certificate's. A message signed with another key would be refused far away, with an
// error that does not say why.
func (c Credential) check() error {
	if c.Certificate == nil || c.Signer == nil {
		return fmt.Errorf("%w: certificate or key missing", ErrCredential)
	}
	pub, ok := c.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(c.Certificate.PublicKey) {
		return fmt.Errorf("%w: the key does not belong to the certificate", ErrCredential)
	}
	return nil
}

// Stamp says when a message is made and how long it lives.
type Stamp struct {
	// Now becomes Created, cut to the millisecond.
	Now time.Time
	// TTL is the distance of Expires from Created; 0 = DefaultTTL, negative = error.
	TTL time.Duration
}
