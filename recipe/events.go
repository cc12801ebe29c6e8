package recipe

import (
	"context"

	"github.com/ehealth-continuity/ehealth/identity"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	// EventSettled: it became known what became of a prescription whose call had ended without knowing, or had held it.
	EventSettled EventKind = iota + 1
	// EventSurplus: the prescription exists although paper was given, or exists twice: RID is the one too many. It is revoked
	// unless a pharmacy has it.
	EventSurplus
	// EventRevoked: a surplus one was revoked.
	EventRevoked
	// EventNotRevoked: a surplus one is not revoked, because a pharmacy has it, or Recip-e refuses, or nobody knows its number
	// (zero RID). Somebody must see to it, and call the pharmacy that has it.
	EventNotRevoked
)

// String returns a lower-case English word.
func (k EventKind) String() string {
	switch k {
	case EventSettled:
		return "settled"
	case EventSurplus:
		return "surplus"
	case EventRevoked:
		return "revoked"
	case EventNotRevoked:
		return "not revoked"
	}
	return "unknown"
}

// Event tells what became of a prescription after its call had ended.
type Event struct {
	Kind      EventKind
	Reference string
	RID       identity.RID // zero = none, or not known
	Outcome   Outcome      // with EventSettled
}

// PropertiesStore keeps the rules that the platform publishes over a restart. They hold no personal data.
type PropertiesStore interface {
	// Load returns what was kept last; nil when nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Save keeps it.
	Save(ctx context.Context, properties []byte) error
}

// Outcome is what is known of a prescription with a reference.
type Outcome struct {
	State OutcomeState
	// RID is the prescription's number, with OutcomeCreated (zero with D-UNSURE: a person said that it was created, and not which
	// it is); and with OutcomePaper when there was one all the same.
	RID identity.RID
	// Confirmed tells of a held one that it is to be sent.
	Confirmed bool
	// Notice is what to tell the person; "" = nothing.
	Notice string
}

// OutcomeState is where a prescription with a reference stands.
type OutcomeState uint8

// The states.
const (
	// OutcomeNotTried: nothing is known of the reference.
	OutcomeNotTried OutcomeState = iota
	// OutcomeCreated: there is an electronic prescription.
	OutcomeCreated
	// OutcomeNotCreated: there certainly is none. Paper may be given, or it may be tried again.
	OutcomeNotCreated
	// OutcomeUnsure: nobody knows yet. Neither paper nor another one.
	OutcomeUnsure
	// OutcomeHeld: it is kept until the prescriber confirms that no paper was given.
	OutcomeHeld
	// OutcomePaper: paper was given.
	OutcomePaper
)

// String returns lower-case English words.
func (s OutcomeState) String() string {
	switch s {
	case OutcomeCreated:
		return "created"
	case OutcomeNotCreated:
		return "not created"
	case OutcomeUnsure:
		return "unsure"
	case OutcomeHeld:
		return "held"
	case OutcomePaper:
		return "paper given"
	}
	return "not tried"
}
