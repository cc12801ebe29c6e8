package xmltree

import (
	"errors"
	"strconv"
)

// Reasons for which Parse refuses a document. Each error of Parse is a
// *SyntaxError that wraps exactly one of them.
var (
	// ErrSyntax: not well-formed XML 1.0, or not UTF-8.
	ErrSyntax = errors.New("xmltree: not well-formed")
	// ErrDoctype: the document has a document type declaration.
	ErrDoctype = errors.New("xmltree: DOCTYPE refused")
	// ErrLimit: a bound of Limits was exceeded.
	ErrLimit = errors.New("xmltree: limit exceeded")
	// ErrNamespace: a rule of Namespaces in XML 1.0 was broken: unbound or
	// reserved prefix, a name with two colons, xmlns:p="".
	ErrNamespace = errors.New("xmltree: namespace rule broken")
	// ErrDuplicateAttr: two attributes of one element have the same expanded
	// name, or a prefix was declared twice on one element.
	ErrDuplicateAttr = errors.New("xmltree: duplicate attribute")
)

// ErrContent is returned by [Node.Text] when the element is not a plain leaf.
var ErrContent = errors.New("xmltree: element content where text was expected")

// SyntaxError tells why and where a document was refused.
type SyntaxError struct {
	// Offset counts bytes from the start of the document.
	Offset int
	// Reason names the rule that was broken. It never quotes the document.
	Reason string
	// Err is one of the sentinels: ErrSyntax, ErrDoctype, ErrLimit,
	// ErrNamespace, ErrDuplicateAttr.
	Err error
}

func (e *SyntaxError) Error() string {
	return e.Err.Error() + ": " + e.Reason + " at byte " + strconv.Itoa(e.Offset)
}

// Unwrap returns the sentinel.
func (e *SyntaxError) Unwrap() error { return e.Err }
