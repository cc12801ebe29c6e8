package insurability

import (
	"fmt"
	"io"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Private is a piece of text about a person, or a secret; only Reveal shows it. See [identity.Private].
type Private = identity.Private

// Hide makes a Private of s; the empty string gives the zero value.
func Hide(s string) Private { return identity.Hide(s) }

// redact prints s whatever the verb: the types that hold a patient's data use it as their Format.
func redact(f fmt.State, s string) { _, _ = io.WriteString(f, s) }
