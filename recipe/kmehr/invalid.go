package kmehr

import (
	"strconv"
	"strings"
)

// Violation is one rule that a prescription or a document breaks. It holds no content of the document.
type Violation struct {
	// Rule is "input" for a field of a [Prescription] that cannot be written, "schema" for the structure of the document, or
	// the number of an assert rule of the platform, such as "P0.67".
	Rule string
	// Field is the field of a Prescription that the rule is about, such as "Items[0].Posology"; "" when there is none.
	Field string
	// XPath is where in the document, such as /kmehrmessage/folder/patient/id[2]; "" when there is no document yet.
	XPath string
	// Message says in English what is required.
	Message string
}

// String returns rule, place and message.
func (v Violation) String() string {
	place := v.Field
	if place == "" {
		place = v.XPath
	}
	if place != "" {
		place += ": "
	}
	return v.Rule + ": " + place + v.Message
}

// InvalidError lists what is wrong: first the structure, then broken rules in the order of their numbers. It holds no content and may be logged.
type InvalidError struct {
	Violations []Violation
}

// maxShown bounds the text of an InvalidError.
const maxShown = 5

// Error names the first violations.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("kmehr: invalid prescription")
	for k, v := range e.Violations {
		if k == maxShown {
			b.WriteString("; and " + strconv.Itoa(len(e.Violations)-k) + " more")
			break
		}
		sep := "; "
		if k == 0 {
			sep = ": "
		}
		b.WriteString(sep + v.String())
	}
	return b.String()
}

// SafeError is Error: the text is free of personal data.
func (e *InvalidError) SafeError() string { return e.Error() }
