package recipe

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// holder is who brought a prescription where it stands, as seen from one pharmacy.
type holder uint8

const (
	unsaid  holder = iota // the platform does not say
	ours                  // this pharmacy
	another               // somebody else
)

// holderOf compares the number that the platform gives with the caller's, by its first eight digits, whatever stands around
// and between them.
func holderOf(updater identity.Private, own identity.NIHII) holder {
	if protocol.SameNIHII(updater, own) {
		return ours
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, updater.Reveal())
	base := own.Base()
	switch {
	case len(digits) < 8:
		return unsaid // what is not a number names nobody
	case base != "" && (strings.HasPrefix(digits, base) || strings.Contains(updater.Reveal(), base)):
		return ours
	}
	return another
}

// Conflict is why a dispensing does not end as the pharmacy wanted.
type Conflict uint8

// The conflicts. The zero value is none.
const (
	// ConflictTwice: another pharmacy has delivered or archived the prescription (notice D-RX-TWICE).
	ConflictTwice Conflict = iota + 1
	// ConflictElsewhere: another pharmacy has the prescription in process. It is tried again: that pharmacy may let it go.
	ConflictElsewhere
	// ConflictRevoked: the prescription was revoked. What was delivered on the proof was delivered in good faith.
	ConflictRevoked
	// ConflictExpired: the time of the prescription was over.
	ConflictExpired
	// ConflictUnclear: Recip-e names a state and not who caused it, or a state that does not fit.
	ConflictUnclear
	// ConflictRefused: Recip-e refused for a reason that is not the state. The item in the outbox is rejected or parked.
	ConflictRefused
	// ConflictTooLate: Recip-e did not answer as long as the item lived.
	ConflictTooLate
	// ConflictBefore: this pharmacy itself had delivered the prescription before, and this outbox did not know: with another
	// program or computer, or so long ago that it was forgotten. Recip-e knows one delivery; who gave two must take one back.
	ConflictBefore
	// ConflictFeedback: a feedback did not arrive, or nobody knows whether it did. Reference is its own.
	ConflictFeedback
	// ConflictArchived: a delivery was to be taken back, and this pharmacy itself had archived it already, which is final.
	ConflictArchived
)

// String returns a lower-case English word, "none" for the zero value.
func (c Conflict) String() string {
	words := [...]string{"none", "twice", "elsewhere", "revoked", "expired", "unclear", "refused", "too late", "before", "feedback", "archived"}
	if int(c) >= len(words) {
		return "conflict(?)"
	}
	return words[c]
}

// goal is how far a dispensing is to be brought.
type goal uint8

const (
	goalDelivered goal = iota + 1
	goalArchived
	goalNotDelivered // a delivery is taken back
	goalSettled      // it is to be taken back next: only where it stands is found out
)

// step is what to do next with one prescription.
type step uint8

const (
	stepFetch step = iota + 1
	stepDeliver
	stepArchive
	stepUndeliver
	stepEnd      // the goal is reached
	stepConflict // it cannot be reached
)

// next decides what to do with a prescription that stands at "at", brought there by who, to reach g. fetched tells that its
// content is here, or cannot be had. Recip-e is the memory: whatever was done before this call shows in at and who, so the
// decision is the same after a crash (dossier 04 sections 11.1, 14.3 and 15.2).
//
// When it is not said who caused a state, the operation is tried: its refusal may name who.
func next(g goal, at protocol.PrescriptionStatus, who holder, fetched bool) (step, Conflict) {
	switch g {
	case goalNotDelivered:
		return nextBack(at, who)
	case goalSettled:
		return nextSettled(at, who)
	}
	switch at {
	case protocol.NotDelivered:
		return stepFetch, 0 // which takes it into process too
	case protocol.InProcess:
		switch {
		case who == another:
			return stepConflict, ConflictElsewhere
		case !fetched:
			return stepFetch, 0
		}
		return stepDeliver, 0
	case protocol.Delivered:
		switch {
		case who == another:
			return stepConflict, ConflictTwice
		case g == goalArchived:
			return stepArchive, 0
		case who == ours:
			return stepEnd, 0
		}
		return stepDeliver, 0
	case protocol.Archived:
		switch who {
		case another:
			return stepConflict, ConflictTwice
		case ours:
			return stepEnd, 0
		}
		return stepArchive, 0
	}
	return closed(at)
}

// nextBack is next for a delivery that is taken back.
func nextBack(at protocol.PrescriptionStatus, who holder) (step, Conflict) {
	switch at {
	case protocol.NotDelivered:
		return stepEnd, 0
	case protocol.InProcess:
		if who == another {
			return stepConflict, ConflictElsewhere
		}
		return stepUndeliver, 0
	case protocol.Delivered:
		if who == another {
			return stepConflict, ConflictTwice
		}
		return stepUndeliver, 0
	case protocol.Archived:
		if who == another {
			return stepConflict, ConflictTwice
		}
		if who == ours {
			return stepConflict, ConflictArchived
		}
		return stepConflict, ConflictUnclear
	}
	return closed(at)
}

// nextSettled is next for what is done as it stands. Whoever takes it back finds out the rest.
func nextSettled(at protocol.PrescriptionStatus, who holder) (step, Conflict) {
	switch {
	case at == protocol.NotDelivered, at == protocol.InProcess:
		return stepEnd, 0
	case at != protocol.Delivered && at != protocol.Archived:
		return closed(at)
	case who == another:
		return stepConflict, ConflictTwice
	}
	return stepEnd, 0
}

// closed judges the states that nothing leads out of.
func closed(at protocol.PrescriptionStatus) (step, Conflict) {
	switch at {
	case protocol.Revoked:
		return stepConflict, ConflictRevoked
	case protocol.Expired:
		return stepConflict, ConflictExpired
	}
	return stepConflict, ConflictUnclear
}
