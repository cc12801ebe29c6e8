package cms

import (
	"errors"
	"fmt"
)

// What can be wrong with a message. Every error of this package is one of these under errors.Is; no error text quotes the
// message.
var (
	// ErrSyntax: not BER, or not the structure that RFC 5652 asks for.
	ErrSyntax = errors.New("cms: malformed")
	// ErrLimit: larger, deeper or with more parts than [Limits] allows.
	ErrLimit = errors.New("cms: beyond the limits")
	// ErrContentType: a ContentInfo of another type than the one asked for.
	ErrContentType = errors.New("cms: other content type")
	// ErrAlgorithm: an algorithm that is unknown, or not among those the caller accepts.
	ErrAlgorithm = errors.New("cms: algorithm not accepted")
	// ErrAttributes: signed attributes that RFC 5652 section 5.3 forbids: a mandatory one missing, one given twice or of
	// the wrong form, or a content type that is not that of the content.
	ErrAttributes = errors.New("cms: invalid signed attributes")
	// ErrProtection: the algorithm-protection attribute (RFC 6211) names other algorithms than the signer information.
	ErrProtection = errors.New("cms: algorithms differ from the protected ones")
	// ErrDigest: the content is not the one that was signed.
	ErrDigest = errors.New("cms: digest mismatch")
	// ErrSignature: the signature value does not match.
	ErrSignature = errors.New("cms: invalid signature")
	// ErrKey: a key of the wrong kind or length.
	ErrKey = errors.New("cms: key not usable")
	// ErrDecrypt: the content cannot be decrypted. Nothing tells why, since reasons would help an attacker who may try
	// many messages (Bleichenbacher 1998, Vaudenay 2002).
	ErrDecrypt = errors.New("cms: cannot decrypt")
)

// SyntaxError says where the reader stopped. It matches [ErrSyntax], or [ErrLimit] when Limit is true.
type SyntaxError struct {
	Offset int    // in bytes from the begin of what was being parsed
	Reason string // never quotes content
	Limit  bool
}

// Error gives reason and place.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%v at byte %d: %s", e.Unwrap(), e.Offset, e.Reason)
}

// Unwrap returns ErrSyntax or ErrLimit.
func (e *SyntaxError) Unwrap() error {
	if e.Limit {
		return ErrLimit
	}
	return ErrSyntax
}
