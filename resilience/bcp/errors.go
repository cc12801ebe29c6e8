package bcp

import "errors"

// Reasons for which a service list is refused. Each error of [Verify] is exactly one of them under errors.Is, and none
// of their texts quotes the list. A list that is refused changes nothing.
var (
	// ErrTooLarge: the list exceeds a bound (bytes, depth, services, addresses, length of a text).
	ErrTooLarge = errors.New("service list: too large")
	// ErrEndless: the list did not end within the time allowed for one fetch.
	ErrEndless = errors.New("service list: did not end in time")
	// ErrSyntax: not well-formed XML.
	ErrSyntax = errors.New("service list: not well-formed XML")
	// ErrDoctype: the document has a document type declaration.
	ErrDoctype = errors.New("service list: DOCTYPE refused")
	// ErrFormat: well-formed, but not a service list, or one whose fields make no sense.
	ErrFormat = errors.New("service list: not a service list")
	// ErrUnsigned: there is no signature.
	ErrUnsigned = errors.New("service list: unsigned")
	// ErrWrapped: the signature is not the one last child of the element that would be read, or ids are ambiguous.
	ErrWrapped = errors.New("service list: wrapped signature")
	// ErrOtherElement: a valid signature, but over another element than the list itself.
	ErrOtherElement = errors.New("service list: signature over another element")
	// ErrBadSignature: the signature value or a digest does not fit, or uses an algorithm or key that is not accepted.
	ErrBadSignature = errors.New("service list: bad signature")
	// ErrXAdES: the signed properties are absent, not signed, or name another certificate than the signer's.
	ErrXAdES = errors.New("service list: signed properties")
	// ErrSelfSigned: the signer's certificate was issued by itself.
	ErrSelfSigned = errors.New("service list: self-signed signer")
	// ErrUntrusted: the signer's certificate does not stand under the pinned authorities.
	ErrUntrusted = errors.New("service list: signer of an unknown authority")
	// ErrExpired: a certificate of the chain is expired or not valid yet.
	ErrExpired = errors.New("service list: signer's certificate not valid now")
	// ErrSigner: a good certificate, but not that of the platform's service list, or one not meant for signing.
	ErrSigner = errors.New("service list: signed by somebody else")
	// ErrEnvironment: the list of another environment.
	ErrEnvironment = errors.New("service list: other environment")
	// ErrOlder: issued before the list in use.
	ErrOlder = errors.New("service list: older than the one in use")
	// ErrConflict: issued at the very instant of the list in use, with other content.
	ErrConflict = errors.New("service list: same instant, other content")
	// ErrFuture: issued in the future, beyond the tolerated clock skew.
	ErrFuture = errors.New("service list: issued in the future")
	// ErrScheme: an address that is not https.
	ErrScheme = errors.New("service list: address is not https")
	// ErrHost: an address on a host that is not known.
	ErrHost = errors.New("service list: address on an unknown host")
	// ErrUnreachable: the list could not be fetched; the cause is wrapped. Only in events and from [Directory.Refresh].
	ErrUnreachable = errors.New("service list: not reachable")
	// ErrStore: the list could not be written to disk or read from it. Only in events.
	ErrStore = errors.New("service list: disk")
)

// reasons lists the sentinels in the order in which they are looked for.
var reasons = []error{
	ErrTooLarge, ErrEndless, ErrSyntax, ErrDoctype, ErrFormat, ErrUnsigned, ErrWrapped, ErrOtherElement, ErrBadSignature,
	ErrXAdES, ErrSelfSigned, ErrUntrusted, ErrExpired, ErrSigner, ErrEnvironment, ErrOlder, ErrConflict, ErrFuture,
	ErrScheme, ErrHost, ErrUnreachable, ErrStore,
}

// reason returns the sentinel that err is, nil when it is none.
func reason(err error) error {
	for _, r := range reasons {
		if errors.Is(err, r) {
			return r
		}
	}
	return nil
}
