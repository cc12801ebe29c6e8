package insurability

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Source says where an answer comes from.
type Source uint8

// The values of Source; the zero value is none.
const (
	Live      Source = iota + 1 // the service's usual address
	Alternate                   // another address of the service: the insurers' own line
	Stored                      // no address answered; this is what one said less than 30 days ago
	Unknown                     // no address answered, and nothing is stored: ask the patient
)

// String returns "live", "alternate", "stored" or "unknown".
func (s Source) String() string {
	switch s {
	case Live:
		return "live"
	case Alternate:
		return "alternate"
	case Stored:
		return "stored"
	case Unknown:
		return "unknown"
	default:
		return "none"
	}
}

// MarshalText writes the form of String.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// NoticeDirect is the id of the text to show with an answer from an alternate address: insurability is checked through
// the mutualities' backup line (dossier 06 part D).
const NoticeDirect = "D-INS-DIRECT"

// NoticeUnknown is the id of the text to show when no address gave an answer: rely on what the patient states, in doubt
// charge the public price and hand over Annex 30 (dossier 06 part D). It stands in fault.Error.Notice.
const NoticeUnknown = "D-INS-UNKNOWN"

// Provenance says where, when and how an answer was obtained.
type Provenance struct {
	Source      Source
	Endpoint    string    // URL that answered
	ConsultedAt time.Time // when the answer was complete, on this computer's clock
	Attempts    int       // how often the question was sent
	MessageID   string    // wsa:MessageID of the answer, for support; "" when it had none
	// Notice is the id of the text to show: "" for Live, NoticeDirect, NoticeStored, NoticeUnknown. Message makes the text.
	Notice string

	// Age is how old a stored answer is; 0 for the others.
	Age time.Duration
	// PaymentGuaranteed: the insurer has bound himself to pay. It is set by [Client.Check] with [WithStored] only, when the
	// answer is positive and holds a payment approval and the procedure gives the caller's profession that guarantee.
	PaymentGuaranteed bool
	// Cause is why no address answered, a *fault.Error; set for Stored and Unknown.
	Cause error
	// Recheck names the check that follows when the service is back, for [Client.Recheck]; "" when there is none.
	Recheck string
}

// References of one question, for the invoice and for support.
type References struct {
	Ours    string // our 14 digits
	Caller  string // InsurabilityReference or UserReference: the query's, or the one made for it
	NIP     string // NIPReference of MyCareNet (GenIns)
	Output  string // OutputReference of MyCareNet; Reference of the message for pharmacists
	Record  string // OutputReference of the record; IoReference of the record for pharmacists
	Insurer string // IoReference of the message (pharmacists)
}

// Answer is what is known about a patient's insurability on the asked day.
type Answer struct {
	Provenance
	References References

	// Asked is the day or period asked about.
	Asked Period
	// Insured: Yes when the answer covers every asked day, No when it covers none and says so, else NotKnown. See the
	// rules at the package comment.
	Insured Tristate

	// The following describe the asked day (of a period: its last day) and are empty when it is not covered.
	Mutuality       string // 3 digits
	RegNr           Private
	CT1, CT2        string // as received; never interpret the middle digit
	Preferential    Tristate
	Coverage        Period       // the insurer's period that covers the day
	Communicated    Date         // date of the information
	PaymentApproval Verification // keep it with the sale or visit; GenIns fills only the approval itself, if ever

	// ThirdPartyPayer tells whether the insurer pays the provider directly. Regime is the pharmacists' finer answer.
	ThirdPartyPayer       Tristate
	Regime                ThirdPartyPayer
	MaxInvoiced           []int // years in which the maximum bill is reached
	SpecialSocialCategory Tristate
	MedicalHouse          *MedicalHouse
	Hospitalized          *Hospitalized
	Situation             *GeneralSituation
	Items                 []InsurabilityItem // all periods of a GenIns answer
	Truncated             Tristate           // Yes: there are more periods than Items

	// SSIN and Person as the insurer knows them; Person.Deceased is the day of death if it lies in the asked period.
	SSIN   Private
	Person Person

	// The whole message: one of the two is set.
	GenIns     *GenInsResponse
	Pharmacist *PharmacistResponse
}

// String tells source and result, and nothing about the patient.
func (a Answer) String() string {
	var b strings.Builder
	b.WriteString("insurability answer: ")
	b.WriteString(a.Source.String())
	b.WriteString(", insured: ")
	b.WriteString(a.Insured.String())
	return b.String()
}

// Format implements [fmt.Formatter] with the form of String for every verb.
func (a Answer) Format(f fmt.State, _ rune) { redact(f, a.String()) }

// LogValue implements [slog.LogValuer] with the form of String.
func (a Answer) LogValue() slog.Value { return slog.StringValue(a.String()) }

// preferential reads the increased reimbursement from the last digit of CT1: 1 = increased, 0 = ordinary (dossier 05
// section 1.6). Anything else is not known.
func preferential(ct1 string) Tristate {
	if len(ct1) != 3 || !isDigits(ct1) {
		return NotKnown
	}
	switch ct1[2] {
	case '0':
		return No
	case '1':
		return Yes
	default:
		return NotKnown
	}
}

// answerGenIns reads a correlated answer that is no refusal.
func answerGenIns(req *GenInsRequest, r *GenInsResponse) *Answer {
	a := &Answer{
		Provenance: r.Provenance, Asked: req.Request.Detail.Period, GenIns: r,
		References: References{
			Ours: req.CommonInput.InputReference, Caller: req.Request.Detail.Reference,
			NIP: r.CommonOutput.NIPReference, Output: r.CommonOutput.OutputReference, Record: r.RecordCommonOutput.OutputReference,
		},
	}
	if p := r.Response.Patient; p != nil {
		a.SSIN, a.Person = p.SSIN, p.Person
	}
	d := r.Response.Detail
	if d == nil {
		return a // an identification and nothing else: the schema allows it, and it says nothing
	}
	a.ThirdPartyPayer, a.MaxInvoiced = Is(d.Payment.ByIO), d.Payment.MaxInvoiced
	a.SpecialSocialCategory = d.Payment.SpecialSocialCategory
	a.MedicalHouse, a.Hospitalized, a.Situation = d.MedicalHouse, d.Hospitalized, d.Situation
	if d.List != nil {
		a.Items, a.Truncated = d.List.Items, d.List.Truncated
	}
	a.Insured = insured(a.Asked, a.Items, a.Truncated == Yes, a.Situation)
	for _, i := range a.Items {
		if i.Period.Covers(a.Asked.End) {
			a.Mutuality, a.RegNr, a.CT1, a.CT2 = i.Mutuality, i.RegNr, i.CT1, i.CT2
			a.Coverage, a.Communicated = i.Period, i.Date
			a.PaymentApproval.PaymentApproval = i.PaymentApproval
			a.Preferential = preferential(i.CT1)
			break
		}
	}
	return a
}

// insured decides over the asked days (dossier 05 section 1.5, "how to read it"). Only an answer that speaks about the
// days is believed: an empty list without an event that explains it is not a no.
func insured(asked Period, items []InsurabilityItem, truncated bool, s *GeneralSituation) Tristate {
	day, any, vague := asked.Start, false, truncated
	for moved := true; moved; {
		moved = false
		for _, i := range items {
			switch {
			case !i.Period.Covers(day):
			case i.Period.Covers(asked.End):
				return Yes
			default:
				day, moved = i.Period.End.AddDays(1), true
			}
		}
	}
	for _, i := range items {
		any = any || overlap(i.Period, asked)
		vague = vague || i.Period.IsZero()
	}
	closed := s != nil && (s.Event == ClosedBefore || s.Event == StartLater)
	switch {
	case any || vague:
		return NotKnown
	case len(items) > 0 || closed:
		return No
	default:
		return NotKnown
	}
}

func overlap(p, q Period) bool {
	if p.IsZero() {
		return false
	}
	return (p.End.IsZero() || !p.End.Before(q.Start)) && (q.End.IsZero() || !p.Start.After(q.End))
}

// answerPharmacist reads a correlated answer that is no refusal.
func answerPharmacist(req *PharmacistRequest, r *PharmacistResponse) *Answer {
	b := r.Body
	a := &Answer{
		Provenance: r.Provenance, Asked: OneDay(req.Request.Date), Pharmacist: r,
		References: References{
			Ours: req.Record.Reference, Caller: req.Record.UserReference, Output: b.CommonOutput.Reference,
			Record: b.RecordCommonOutput.IOReference, Insurer: b.CommonOutput.IOReference,
		},
		SSIN: b.Response.CareReceiver.ID.SSIN, Person: b.Response.CareReceiver.Person,
	}
	if v := b.Response.Verification; v != nil {
		a.PaymentApproval = *v
	}
	c := b.Response.Coverage
	if c == nil {
		return a
	}
	a.Insured = Is(c.Period.Covers(req.Request.Date))
	a.Regime, a.ThirdPartyPayer = c.ThirdParty, thirdParty(c.ThirdParty)
	if a.Insured == Yes {
		id := b.Response.CareReceiver.ID
		a.Mutuality, a.RegNr, a.CT1, a.CT2 = id.Mutuality, id.RegNr, c.Code1, c.Code2
		a.Coverage, a.Communicated, a.Preferential = c.Period, c.Communicated, preferential(c.Code1)
	}
	return a
}

func thirdParty(t ThirdPartyPayer) Tristate {
	switch t {
	case ThirdPartyNone:
		return No
	case ThirdPartyStandard, ThirdPartyElevated:
		return Yes
	default:
		return NotKnown
	}
}
