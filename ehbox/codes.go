package ehbox

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Code is a status or an error of eHealthBox (dossier 03 section 7). The platform gives each in an answer's status or in a
// fault, and both are read alike. The list grows: an unknown code of three digits is a permanent refusal.
type Code string

// The codes.
const (
	Success              Code = "100"
	SuccessCitizen       Code = "101" // of eH2eBox
	SuccessOther         Code = "200"
	TooLarge             Code = "801"
	RecipientInvalid     Code = "802"
	QualityUnknown       Code = "803"
	TypeUnknown          Code = "804"
	SubTypeUnknown       Code = "805"
	MessageUnknown       Code = "806"
	WindowReversed       Code = "807"
	WindowTooLarge       Code = "808"
	NotSender            Code = "809"
	BoxRefused           Code = "810"
	MoveForbidden        Code = "812"
	NotAllMoved          Code = "813"
	QualityForbidden     Code = "814"
	NotAllDeleted        Code = "815"
	DigestMismatch       Code = "816"
	AbsenceOverlaps      Code = "820"
	AbsenceTooFar        Code = "821"
	AbsenceReversed      Code = "822"
	AbsencePast          Code = "823"
	SubstituteAbsent     Code = "824"
	TooManySubstitutes   Code = "825"
	RecipientOutOfOffice Code = "826" // after SendMessage
	TooManyAbsences      Code = "826" // after InsertOoO: the same number says something else
	SubstituteUnknown    Code = "827"
	UserUnknown          Code = "828"
	SubstituteNoPerson   Code = "829"
	SubstituteSelf       Code = "830"
	AbsenceUnknown       Code = "840"
)

// Class says what to do about a code.
type Class uint8

const (
	// Accepted: the operation was carried out.
	Accepted Class = iota + 1
	// Permanent: the same request will be refused again.
	Permanent
	// Defect: the program asked wrongly.
	Defect
	// Partial: it was carried out for all but those listed.
	Partial
	// Dialogue: the user must decide, then ask again.
	Dialogue
	// Reauthenticate: log in again, then ask once more.
	Reauthenticate
	// RetryOnce: what was transmitted was damaged, or the program computed wrongly; once more with the same content.
	RetryOnce
)

// String returns a lower-case English word.
func (c Class) String() string {
	words := [...]string{"unclassified", "accepted", "permanent", "defect", "partial", "dialogue", "reauthenticate", "retry once"}
	if int(c) >= len(words) {
		return words[0]
	}
	return words[c]
}

// CodeRule is one row of the table of codes.
type CodeRule struct {
	Code    Code
	Op      string // name of the operation for which alone the row stands, "" = all
	Class   Class
	Kind    fault.Kind
	Outcome fault.Outcome
	Meaning string // short English description
}

// codeTable is dossier 03 section 7.
var codeTable = []CodeRule{
	{Success, "", Accepted, 0, fault.Done, "success"},
	{SuccessCitizen, "", Accepted, 0, fault.Done, "success"},
	{SuccessOther, "", Accepted, 0, fault.Done, "success"},
	{TooLarge, "", Permanent, fault.Invalid, fault.Rejected, "the message is larger than allowed"},
	{RecipientInvalid, "", Permanent, fault.Invalid, fault.Rejected, "a recipient's number is invalid"},
	{QualityUnknown, "", Permanent, fault.Invalid, fault.Rejected, "a recipient's quality is not known"},
	{TypeUnknown, "", Permanent, fault.Invalid, fault.Rejected, "a recipient's type is not known"},
	{SubTypeUnknown, "", Permanent, fault.Invalid, fault.Rejected, "a recipient's subtype is not known"},
	{MessageUnknown, "", Permanent, fault.NotFound, fault.Rejected, "no such message in that folder: moved, deleted or expired"},
	{WindowReversed, "", Defect, fault.Invalid, fault.Rejected, "the window of the list ends before it starts"},
	{WindowTooLarge, "", Defect, fault.Invalid, fault.Rejected, "the window of the list is larger than 100"},
	{NotSender, "", Permanent, fault.NotFound, fault.Rejected, "no such message, or sent by somebody else"},
	{BoxRefused, "", Permanent, fault.Denied, fault.Rejected, "the box does not exist or is not the caller's"},
	{MoveForbidden, "", Defect, fault.Invalid, fault.Rejected, "messages cannot be moved between these folders"},
	{NotAllMoved, "", Partial, fault.NotFound, fault.Done, "some messages were not moved"},
	{QualityForbidden, "", Permanent, fault.Denied, fault.Rejected, "not authorised to send to this quality"},
	{NotAllDeleted, "", Partial, fault.NotFound, fault.Done, "some messages were not deleted"},
	{DigestMismatch, "", RetryOnce, fault.Invalid, fault.Rejected, "a digest does not fit what was transmitted"},
	{AbsenceOverlaps, "", Permanent, fault.Conflict, fault.Rejected, "the absence overlaps another one"},
	{AbsenceTooFar, "", Permanent, fault.Invalid, fault.Rejected, "the absence ends more than a year ahead"},
	{AbsenceReversed, "", Permanent, fault.Invalid, fault.Rejected, "the absence ends before it starts"},
	{AbsencePast, "", Permanent, fault.Invalid, fault.Rejected, "the absence starts in the past"},
	{SubstituteAbsent, "", Permanent, fault.Conflict, fault.Rejected, "a substitute is absent too"},
	{TooManySubstitutes, "", Permanent, fault.Invalid, fault.Rejected, "more than 5 substitutes"},
	{RecipientOutOfOffice, opSend, Dialogue, fault.Conflict, fault.Rejected, "a recipient is out of office; nothing was sent"},
	{TooManyAbsences, opInsertOoO, Permanent, fault.Conflict, fault.Rejected, "more than 10 absences"},
	{SubstituteUnknown, "", Permanent, fault.Invalid, fault.Rejected, "a substitute is not known"},
	{UserUnknown, "", Reauthenticate, fault.Denied, fault.Rejected, "the user is not known"},
	{SubstituteNoPerson, "", Permanent, fault.Invalid, fault.Rejected, "a substitute is not a person"},
	{SubstituteSelf, "", Permanent, fault.Invalid, fault.Rejected, "nobody can be the own substitute"},
	{AbsenceUnknown, "", Partial, fault.NotFound, fault.Done, "some absences do not exist"},
}

// Codes returns the table.
func Codes() []CodeRule { return append([]CodeRule(nil), codeTable...) }

// OK tells whether the code is success.
func (c Code) OK() bool { return c == Success || c == SuccessCitizen || c == SuccessOther }

// Rule returns what is known of the code as an answer to op ("ehbox.SendMessage"); known is false for codes that are
// not in the table.
func (c Code) Rule(op string) (r CodeRule, known bool) {
	for _, r := range codeTable {
		if r.Code == c && (r.Op == "" || r.Op == op) {
			return r, true
		}
	}
	return CodeRule{Code: c, Op: op, Class: Permanent, Kind: fault.Invalid, Outcome: fault.Rejected, Meaning: "a code that is not known"}, false
}

// business tells whether a code is one of the three-digit ones.
func (c Code) business() bool {
	return len(c) == 3 && strings.Trim(string(c), "0123456789") == ""
}

// LateCode says why a publication failed after it had been accepted (dossier 03 section 6).
type LateCode string

// The codes.
const (
	LateTechnical LateCode = "700"
	LateInvalid   LateCode = "701"
	LateDuplicate LateCode = "702"
	LateRecipient LateCode = "703"
)

// LateAction says what to do about a late error.
type LateAction uint8

const (
	// ActInspect: permanent; a person must look at recipients and content.
	ActInspect LateAction = iota
	// ActResend: send again after a while, as a new letter: under a new PublicationId.
	ActResend
	// ActNothing: the publication had been accepted before; the error is about our own repeat.
	ActNothing
	// ActWait: the letter is ours, and what became of it is still being found out. That its number is known already says that it
	// arrived: sending it under another one would deliver it twice.
	ActWait
)

// Action says what to do; accepted tells whether a publication of that number is known to have been accepted.
func (c LateCode) Action(accepted bool) LateAction {
	switch {
	case c == LateTechnical, c == LateDuplicate && !accepted:
		return ActResend
	case c == LateDuplicate:
		return ActNothing
	}
	return ActInspect
}
