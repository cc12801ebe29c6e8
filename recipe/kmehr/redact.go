package kmehr

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Whatever holds what was prescribed, or to whom, prints as its name only: as a value and behind a pointer, with every verb, in
// logs and as JSON. What is to be stored is the document: [Write] and [Message.Bytes].

const (
	shownCompound = "kmehr.Compound(redacted)"
	shownQuantity = "kmehr.Quantity(redacted)"
	shownDuration = "kmehr.Duration(redacted)"
	shownRenewal  = "kmehr.Renewal(redacted)"
	shownIntake   = "kmehr.Intake(redacted)"
)

// Format writes the redacted form whatever the verb.
func (Compound) Format(f fmt.State, _ rune) { redact(f, shownCompound) }

// LogValue returns the redacted form.
func (Compound) LogValue() slog.Value { return slog.StringValue(shownCompound) }

// Format writes the redacted form whatever the verb.
func (Quantity) Format(f fmt.State, _ rune) { redact(f, shownQuantity) }

// LogValue returns the redacted form.
func (Quantity) LogValue() slog.Value { return slog.StringValue(shownQuantity) }

// Format writes the redacted form whatever the verb.
func (Duration) Format(f fmt.State, _ rune) { redact(f, shownDuration) }

// LogValue returns the redacted form.
func (Duration) LogValue() slog.Value { return slog.StringValue(shownDuration) }

// Format writes the redacted form whatever the verb.
func (Renewal) Format(f fmt.State, _ rune) { redact(f, shownRenewal) }

// LogValue returns the redacted form.
func (Renewal) LogValue() slog.Value { return slog.StringValue(shownRenewal) }

// Format writes the redacted form whatever the verb.
func (Intake) Format(f fmt.State, _ rune) { redact(f, shownIntake) }

// LogValue returns the redacted form.
func (Intake) LogValue() slog.Value { return slog.StringValue(shownIntake) }

// MarshalJSON writes the redacted form.
func (Message) MarshalJSON() ([]byte, error) { return json.Marshal(shownMessage) }

// MarshalJSON writes the redacted form.
func (Prescription) MarshalJSON() ([]byte, error) { return json.Marshal(shownPrescription) }

// MarshalJSON writes the redacted form.
func (Author) MarshalJSON() ([]byte, error) { return json.Marshal(shownAuthor) }

// MarshalJSON writes the redacted form.
func (Patient) MarshalJSON() ([]byte, error) { return json.Marshal(shownPatient) }

// MarshalJSON writes the redacted form.
func (Element) MarshalJSON() ([]byte, error) { return json.Marshal(shownElement) }

// MarshalJSON writes the redacted form.
func (Item) MarshalJSON() ([]byte, error) { return json.Marshal(shownItem) }

// MarshalJSON writes the redacted form.
func (Medicine) MarshalJSON() ([]byte, error) { return json.Marshal(shownMedicine) }

// MarshalJSON writes the redacted form.
func (Group) MarshalJSON() ([]byte, error) { return json.Marshal(shownGroup) }

// MarshalJSON writes the redacted form.
func (Magistral) MarshalJSON() ([]byte, error) { return json.Marshal(shownMagistral) }

// MarshalJSON writes the redacted form.
func (Line) MarshalJSON() ([]byte, error) { return json.Marshal(shownLine) }

// MarshalJSON writes the redacted form.
func (Compound) MarshalJSON() ([]byte, error) { return json.Marshal(shownCompound) }

// MarshalJSON writes the redacted form.
func (Quantity) MarshalJSON() ([]byte, error) { return json.Marshal(shownQuantity) }

// MarshalJSON writes the redacted form.
func (Duration) MarshalJSON() ([]byte, error) { return json.Marshal(shownDuration) }

// MarshalJSON writes the redacted form.
func (Renewal) MarshalJSON() ([]byte, error) { return json.Marshal(shownRenewal) }

// MarshalJSON writes the redacted form.
func (Intake) MarshalJSON() ([]byte, error) { return json.Marshal(shownIntake) }
