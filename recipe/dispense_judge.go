package recipe

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// weighed tells apart what is said about a question itself, which is final, and what is said about something else. The
// first is refused, whatever number it came with; that Recip-e could not read the question (INC-2026-02-04-ETK) is no statement
// about the prescription, which is dispensed on the proof and confirmed when its token is the right one.
func weighed(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	switch out := *e; {
	case neverValid(err):
		if e.Kind == fault.Invalid {
			return err
		}
		out.Kind, out.Outcome, out.Notice, out.Err = fault.Invalid, fault.Rejected, "", err
		return &out
	case wrongToken(err):
		out.Kind, out.Outcome, out.Notice, out.Err = fault.Unavailable, fault.NotSent, NoticeProof, err
		return &out
	}
	return err
}

// codeInvalid is an inner status that is to be treated as a refusal (dossier 04 section 13.3).
const codeInvalid = "400"

// argumentCodes begin the message codes that speak of an argument (dossier 04 sections 13.3 and 13.4), in whatever inner status.
var argumentCodes = []string{"error.validation.", protocol.CodeRID, protocol.CodePatientID, protocol.CodeTooManyRIDs}

// neverValid tells that asking the same again changes nothing: Recip-e refuses what is asked, or it cannot be asked at all. A
// refusal because of the state is another matter.
func neverValid(err error) bool {
	if errors.As(err, new(*protocol.ValidationError)) {
		return fault.OutcomeOf(err) == fault.NotSent
	}
	r, ok := errors.AsType[*RefusedError](err)
	if !ok || r.Status.PrescriptionStatus != "" || errors.As(err, new(*StateError)) {
		return false
	}
	return r.Status.Refused() || r.Status.Code == codeInvalid ||
		slices.ContainsFunc(argumentCodes, func(c string) bool { return strings.HasPrefix(r.Status.MessageCode, c) })
}

// refusedForGood tells that an item ends with this error because of what it asks.
func refusedForGood(err error) bool {
	o := fault.OutcomeOf(err)
	return fault.KindOf(err) == fault.Invalid && (o == fault.Rejected || o == fault.NotSent) && neverValid(err)
}

// refusal is the report of an item that was refused for another reason than the state; nil when the item cannot be read.
func refusal(payload []byte, id outbox.ID, found time.Time) *Report {
	rec, err := decodeDispense(payload)
	if err != nil {
		return nil
	}
	rid, err := rec.rid()
	if err != nil {
		return nil
	}
	return &Report{ID: id, RID: rid, Reference: rec.Reference, At: rec.At, Found: found.Round(0).UTC(), Force: rec.Force, Conflict: ConflictRefused}
}
