package protocol

import (
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Codes of the official module for what it refuses before sending (dossier 04 section 13.4). Service desks know them.
const (
	CodePatientID         = "4000099"
	CodeRID               = "4001018"
	CodeExpirationMissing = "500017"
	CodeExpirationLate    = "500018"
	CodeExpirationPast    = "500019"
	CodeExpirationFormat  = "500020"
	CodeVision            = "500023"
	CodeTooManyRIDs       = "500024"
)

// ValidationError says why something may not be sent. It never quotes the value.
type ValidationError struct {
	Field  string // local name of the element
	Code   string // of the official module
	Reason string
}

// Error names field, reason and code.
func (e *ValidationError) Error() string {
	return "recipe: " + e.Field + ": " + e.Reason + " (" + e.Code + ")"
}

// SafeError is Error: it may be logged.
func (e *ValidationError) SafeError() string { return e.Error() }

// CheckPatient reads the number of a patient or mandate holder as typed. Code 4000099.
func CheckPatient(s string) (identity.SSIN, error) {
	n, err := identity.ParseSSIN(strings.TrimSpace(s))
	if err != nil {
		return identity.SSIN{}, &ValidationError{Field: "patientId", Code: CodePatientID, Reason: "not a number of a person"}
	}
	return n, nil
}

// CheckRID reads the number of a prescription as typed or scanned. Code 4001018.
func CheckRID(s string) (identity.RID, error) {
	r, err := identity.ParseRID(strings.TrimSpace(s))
	if err != nil {
		return identity.RID{}, &ValidationError{Field: "rid", Code: CodeRID, Reason: "not a number of a prescription"}
	}
	return r, nil
}

// CheckVision accepts absent, "null" and "locked" in any case, and for patients a pharmacy. Code 500023.
func CheckVision(r Role, v Vision) error {
	if v.Open() || v.Locked() {
		return nil
	}
	if s, ok := strings.CutSuffix(string(v), visionPharmacy); ok && r == Patient && s != "" && strings.Trim(s, "0123456789") == "" {
		return nil
	}
	return &ValidationError{Field: "vision", Code: CodeVision, Reason: "not a value that this role may set"}
}

// CheckExpiration accepts the days from today to one year less a day from today, in Belgium. Codes 500017, 500018, 500019.
func CheckExpiration(d Date, now time.Time) error {
	code, why := "", ""
	today := DateOf(now)
	switch {
	case d.IsZero():
		code, why = CodeExpirationMissing, "is missing"
	case d.Compare(today) < 0:
		code, why = CodeExpirationPast, "is past"
	case d.Compare(today.before(12)) > 0:
		code, why = CodeExpirationLate, "is more than a year away"
	default:
		return nil
	}
	return &ValidationError{Field: "expirationDate", Code: code, Reason: why}
}

// DefaultExpiration is three months less a day from the day of creation (dossier 04 section 11.2).
func DefaultExpiration(created time.Time) Date { return DateOf(created).before(3) }

// before is the day before the same day so many months later; a shorter month has its last day in the place of one that it lacks,
// as calendars of other programs do.
func (d Date) before(months int) Date {
	last := Day(int(d.year), time.Month(int(d.month)+months+1), 0)
	return Day(int(last.year), time.Month(last.month), min(int(d.day), int(last.day))-1)
}

// CheckRIDs accepts one to ten numbers. Code 500024; 4001018 when there is none or an absent one.
func CheckRIDs(rids []identity.RID) error {
	if len(rids) > MaxRIDsInProcess {
		return &ValidationError{Field: "rids", Code: CodeTooManyRIDs, Reason: "more than ten"}
	}
	for _, r := range rids {
		if err := sendable(r); err != nil {
			return err
		}
	}
	if len(rids) == 0 {
		return sendable(identity.RID{})
	}
	return nil
}

// sendable refuses an absent number. Others are not held to the strict form here: a value was either parsed strictly, or
// given out by the server, and a prescription with an unusual number must not become impossible to revoke.
func sendable(r identity.RID) error {
	if r.IsZero() {
		_, err := CheckRID("")
		return err
	}
	return nil
}

// Check applies the rules of dossier 04 section 9.7 that concern p itself, as far as types do not keep them already. It
// fails with a *[ValidationError]. What concerns the KMEHR document is not judged here.
func Check(r Role, p Param, now time.Time) error {
	switch p := p.(type) {
	case *CreatePrescriptionParam:
		if p.PatientID.IsZero() {
			_, err := CheckPatient("")
			return err
		}
		if err := CheckVision(r, p.Vision); err != nil {
			return err
		}
		return CheckExpiration(p.ExpirationDate, now)
	case *PutVisionParam:
		if p.Vision != nil {
			if err := CheckVision(r, *p.Vision); err != nil {
				return err
			}
		}
		return sendable(p.RID)
	case *PutRidsInProcessParam:
		return CheckRIDs(p.RIDs)
	}
	return checkRID(p)
}

// checkRID judges the params that name one prescription.
func checkRID(p Param) error {
	switch p := p.(type) {
	case *RevokePrescriptionParam:
		return sendable(p.RID)
	case *GetPrescriptionStatusParam:
		return sendable(p.RID)
	case *UpdateFeedbackFlagParam:
		return sendable(p.RID)
	case *GetPrescriptionForPrescriberParam:
		return sendable(p.RID)
	case *GetPrescriptionForExecutorParam:
		return sendable(p.RID)
	case *MarkAsDeliveredParam:
		return sendable(p.RID)
	case *MarkAsArchivedParam:
		return sendable(p.RID)
	case *MarkAsUndeliveredParam:
		return sendable(p.RID)
	case *CreateFeedbackParam:
		return sendable(p.RID)
	case *GetPrescriptionForPatientParam:
		return sendable(p.RID)
	case *GetVisionParam:
		return sendable(p.RID)
	case *CreateReservationParam:
		return sendable(p.RID)
	}
	return nil
}
