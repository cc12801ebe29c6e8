package dsig

import "errors"

// What can be wrong with a signature. Every error of this package is one of these under errors.Is; the texts around
// them never quote the document.
var (
	// ErrFormat: the ds:Signature does not have the structure of the XML-DSig schema, or bears comments,
	// processing instructions or text where none belong.
	ErrFormat = errors.New("xml signature: malformed")
	// ErrAlgorithm: an algorithm that the policy does not accept.
	ErrAlgorithm = errors.New("xml signature: algorithm not accepted")
	// ErrReference: a reference that is empty, external, unresolved, or one of too many.
	ErrReference = errors.New("xml signature: reference not accepted")
	// ErrDuplicateID: two elements of the document bear the same id.
	ErrDuplicateID = errors.New("xml signature: duplicate id")
	// ErrKey: no key, or a key of the wrong kind or strength.
	ErrKey = errors.New("xml signature: key not accepted")
	// ErrSignature: the signature value does not match SignedInfo and the key.
	ErrSignature = errors.New("xml signature: invalid signature")
	// ErrDigest: a referenced element is not the one that was signed.
	ErrDigest = errors.New("xml signature: digest mismatch")
)
