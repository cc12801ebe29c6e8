package insurability

import (
	"fmt"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Reasons why a question is not sent. Each is found with [errors.Is] in a *fault.Error of Kind Invalid and Outcome
// NotSent.
var (
	ErrNoPatient       error = reason("insurability: no patient: give the SSIN, or registration number and mutuality")
	ErrPeriod          error = reason("insurability: a period needs both ends")
	ErrPeriodReversed  error = reason("insurability: the period ends before it starts")
	ErrPeriodInFuture  error = reason("insurability: the period starts in the future")
	ErrPeriodForSector error = reason("insurability: only organisations may ask more than one day")
	ErrReference       error = reason("insurability: a reference is too long or holds characters that do not survive the way")
	ErrContactType     error = reason("insurability: contact type missing, or not for this service")
	ErrRequestType     error = reason("insurability: request type missing or malformed")
	ErrCaller          error = reason("insurability: care provider incomplete or not admitted to this service")
	ErrLicence         error = reason("insurability: the MyCareNet licence needs user name and password")
	ErrRegNr           error = reason("insurability: a registration number has at most 13 characters")
	ErrUnwritable      error = reason("insurability: the question holds characters that XML cannot carry")
)

// Query is a question about one patient. The zero values of everything but the patient mean: today, ambulatory care.
type Query struct {
	// Patient is the SSIN. Without it RegNr and Mutuality are needed.
	Patient identity.SSIN
	// RegNr is the patient's registration number with the mutuality; see [Hide].
	RegNr Private
	// Mutuality goes with RegNr. Together with Patient it picks one insurer after several were found.
	Mutuality identity.Mutuality

	// Date is the day asked about; zero means today in Belgium. Not together with Period.
	Date Date
	// Period is for organisations, which may ask more than one day; both ends are needed.
	Period Period
	// ContactType is [AmbulatoryCare] when empty. The pharmacist service has none.
	ContactType ContactType
	// Reference is the caller's own, echoed in the answer: at most 25 capitals, digits and some punctuation (for
	// pharmacies only "-"). When empty, a unique one is made.
	Reference string
}

// Format implements [fmt.Formatter]: no verb shows the patient.
func (q Query) Format(f fmt.State, _ rune) { redact(f, "insurability query [patient withheld]") }

// period returns the days asked about.
func (q Query) period(today Date) (Period, error) {
	switch {
	case q.Period.IsZero() && q.Date.IsZero():
		return OneDay(today), nil
	case q.Period.IsZero():
		return OneDay(q.Date), nil
	case !q.Date.IsZero():
		return Period{}, fmt.Errorf("%w, and no Date beside it", ErrPeriod)
	default:
		return q.Period, nil
	}
}

func (q Query) careReceiver() CareReceiverID {
	return CareReceiverID{SSIN: Hide(q.Patient.Reveal()), RegNr: q.RegNr, Mutuality: q.Mutuality.Reveal()}
}

// validate checks the identification of the patient.
func (r CareReceiverID) validate() error {
	if r.SSIN.IsZero() && (r.RegNr.IsZero() || r.Mutuality == "") {
		return ErrNoPatient
	}
	if len([]rune(r.RegNr.Reveal())) > 13 {
		return ErrRegNr
	}
	if !r.SSIN.IsZero() {
		if _, err := identity.ParseSSIN(r.SSIN.Reveal()); err != nil {
			return fmt.Errorf("%w: %w", ErrNoPatient, err)
		}
	}
	if r.Mutuality != "" {
		if _, err := identity.ParseMutuality(r.Mutuality); err != nil {
			return fmt.Errorf("%w: %w", ErrNoPatient, err)
		}
	}
	return nil
}

// validate checks the period by the rules of the sector (details 10, 30, 31 and 32 of dossier 05 section 1.7).
func (p Period) validate(today Date, severalDays bool) error {
	switch {
	case p.Start.IsZero() || p.End.IsZero():
		return ErrPeriod
	case p.End.Before(p.Start):
		return ErrPeriodReversed
	case p.Start.After(today):
		return ErrPeriodInFuture
	case p.Start != p.End && !severalDays:
		return ErrPeriodForSector
	default:
		return nil
	}
}

// validate checks a request before it is sent.
func (r *GenInsRequest) validate(today Date) error {
	if err := r.Request.CareReceiver.validate(); err != nil {
		return err
	}
	d, in := &r.Request.Detail, &r.CommonInput
	switch {
	case !in.Origin.Package.Licence.complete():
		return ErrLicence
	case d.RequestType == "":
		return ErrRequestType
	case d.ContactType == "":
		return ErrContactType
	case !validReference(d.Reference), len(in.InputReference) > referenceDigits, len(in.NIPReference) > referenceDigits,
		!validNumber(r.RecordCommonInput.InputReference):
		return ErrReference
	}
	severalDays := true // whose sector is not said, the platform judges
	if p := in.Origin.CareProvider; p != nil {
		severalDays = !identity.Quality(p.NIHII.Quality).IsPerson()
	}
	return d.Period.validate(today, severalDays)
}

// validate checks a request before it is sent.
func (r *PharmacistRequest) validate(today Date) error {
	if err := r.Request.CareReceiver.validate(); err != nil {
		return err
	}
	switch {
	case !r.Origin.Package.Licence.complete():
		return ErrLicence
	case len([]rune(r.Request.RequestType)) != 1:
		return ErrRequestType
	case r.Origin.SiteID != "":
		return fmt.Errorf("%w: a site has no place in this message", ErrCaller)
	case !validUserReference(r.Record.UserReference), !validNumber(r.Record.Reference):
		return ErrReference
	}
	return OneDay(r.Request.Date).validate(today, false)
}
