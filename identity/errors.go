package identity

import "errors"

// Reasons why a parser refuses its input. They are matched with errors.Is and
// say nothing about the input itself.
var (
	// ErrLength: the number of characters is wrong.
	ErrLength = errors.New("wrong length")
	// ErrDigits: something else than the digits 0 to 9 stands where digits belong.
	ErrDigits = errors.New("not only digits")
	// ErrCheck: the check digits do not fit the rest; usually a typing mistake.
	ErrCheck = errors.New("wrong check digits")
	// ErrForm: length and alphabet may be right, but no number of this kind looks like this.
	ErrForm = errors.New("wrong form")
)

// ErrReveal is returned by MarshalText of every identifier that is present.
// Write the result of Reveal where the number really has to leave the process.
var ErrReveal = errors.New("identifiers are not serialised implicitly, use Reveal")

// ParseError is the error of all parsers and constructors of this package.
// It carries no part of the input.
type ParseError struct {
	Type string // "SSIN", "NIHII", "CBE", "EHP", "CNK", "mutuality", "RID", "union", "quality" or "identifier type"
	Err  error  // ErrLength, ErrDigits, ErrCheck or ErrForm
}

// Error names the kind of identifier and the reason.
func (e *ParseError) Error() string { return "identity: " + e.Type + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *ParseError) Unwrap() error { return e.Err }

// SafeError is Error: the text is free of personal data and may be logged.
func (e *ParseError) SafeError() string { return e.Error() }
