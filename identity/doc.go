// Package identity holds the numbers that name people, organisations,
// products, insurers and prescriptions in Belgian eHealth messages.
//
// Every number is an opaque, comparable value. It is made by a strict parser
// that checks length, digits and check digits, it can be a map key, and its
// zero value means "absent":
//
//	patient, err := identity.ParseSSIN(input)
//	if errors.Is(err, identity.ErrCheck) {
//		// the number was mistyped
//	}
//	log.Print(patient)           // SSIN(redacted)
//	send(patient.Reveal())       // the eleven digits
//
// # Redaction
//
// A number appears in text only through Reveal (and Base, Full and the other
// methods whose comment says so). All of package fmt's verbs, log/slog and
// GoString print "SSIN(redacted)" or "SSIN(absent)". An outer struct that holds
// a number in an unexported field prints an address, because the digits live
// behind a [unique.Handle].
//
// MarshalText of a value that is present returns [ErrReveal] instead of the
// redacted text: a number that a JSON or XML encoder silently replaced by
// "SSIN(redacted)" would be lost, and one that it wrote would be leaked. Code
// that stores or transmits a number says so with Reveal. UnmarshalText parses
// strictly; empty text and the zero value stand for each other.
//
// Programs that walk memory with package unsafe (debuggers, deep printers) do
// see the digits: redaction protects against accidents, not against code in the
// same process.
//
// # Errors
//
// Parsers return a [*ParseError], which matches [ErrLength], [ErrDigits],
// [ErrCheck] or [ErrForm] with errors.Is. No error contains the input.
//
// Parsers whose name ends in Lenient accept what other software is known to
// write: separators, or numbers from series whose check digits follow rules
// that were never published. Where they let a wrong check digit pass, CheckOK
// tells, so that the caller can warn.
//
// # Synthetic numbers
//
// The New functions compute check digits. Tests, examples and the sandbox use
// them; they make valid-looking numbers, not existing ones.
//
// Rules: dossier 05 section 6 (SSIN, NIHII, CBE, CNK, insurers), 04 section 10
// (RID), 11 section 1.2 (EHP), 02 section A.4 (identifier types).
package identity
