package insurability

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/fault"
)

// FaultCode is the class of a business fault of GenIns.
type FaultCode string

// The values of FaultCode.
const (
	InputError   FaultCode = "INPUT_ERROR"   // the question is wrong
	NoIOError    FaultCode = "NO_IO_ERROR"   // no insurer found
	MultiIOError FaultCode = "MULTIIO_ERROR" // several insurers found: ask again with one Mutuality, chosen by the user
)

// MessageFault is a business fault: the platform understood the question and refuses to answer it (dossier 05 section
// 1.7). It is found with [errors.As] in the *fault.Error of a call. Its texts may name the patient; Error does not
// show them.
type MessageFault struct {
	FaultCode FaultCode
	Source    string   // MYCARENET or an insurer
	MultiIO   []string // insurers found, one character each (identity.ParseUnion reads it); only with MULTIIO_ERROR
	Message   Text
	Details   []FaultDetail
}

// FaultDetail is one reason of a business fault.
type FaultDetail struct {
	Code     string
	Location string // relative path to the field, as received; never evaluated
	Message  *Text
}

func (f *MessageFault) wire(c *codec) {
	text(c, "FaultCode", &f.FaultCode, required)
	text(c, "FaultSource", &f.Source, required)
	c.multiIO(&f.MultiIO)
	one(c, "Message", &f.Message, (*Text).wireXMLLang)
	one(c, "Details", &f.Details, func(d *[]FaultDetail, c *codec) { many(c, "Detail", d, (*FaultDetail).wire) })
}

func (c *codec) multiIO(list *[]string) {
	var p *[]string
	if len(*list) > 0 {
		p = list
	}
	maybe(c, "MultiIO", &p, func(l *[]string, c *codec) { c.texts("IO", l) })
	if p != nil {
		*list = *p
	}
}

func (d *FaultDetail) wire(c *codec) {
	text(c, "DetailCode", &d.Code, required)
	text(c, "Location", &d.Location, optional)
	maybe(c, "Message", &d.Message, (*Text).wireXMLLang)
}

func (f *MessageFault) code() string { return f.Code() }

// Code returns the code of the fault with that of its first detail, for example "INPUT_ERROR/12".
func (f *MessageFault) Code() string {
	if len(f.Details) == 0 {
		return safeCode(string(f.FaultCode))
	}
	return safeCode(string(f.FaultCode)) + "/" + safeCode(f.Details[0].Code)
}

// Error says what is wrong in our own words; the platform's may contain personal data.
func (f *MessageFault) Error() string {
	s := "insurability: refused: " + f.Code()
	if len(f.Details) > 0 {
		if m := f.Details[0].Meaning(); m != "" {
			s += ": " + m
		}
	}
	return s
}

// SafeError is Error: it may be logged.
func (f *MessageFault) SafeError() string { return f.Error() }

// Field returns the path of the field at fault below the Request element, for example "CareReceiverId/Inss"; "" when
// the fault names none.
func (d FaultDetail) Field() string {
	return strings.TrimPrefix(strings.TrimSpace(d.Location), "../../../../")
}

// Meaning returns what the detail code says, in English; "" for a code that is not in the table.
func (d FaultDetail) Meaning() string { return details[d.Code].text }

type meaning struct {
	kind fault.Kind
	text string
}

// details is the table of dossier 05 section 1.7. None of these is worth a retry of the same question.
var details = map[string]meaning{
	"10": {fault.Invalid, "a mandatory field is missing"},
	"11": {fault.Invalid, "a field has an invalid format"},
	"12": {fault.Invalid, "the check digits of the patient's number are wrong"},
	"21": {fault.Invalid, "the insurer is unknown"},
	"23": {fault.NotFound, "the patient's number is not in the routing table"},
	"30": {fault.Invalid, "the period starts in the future or is invalid"},
	"31": {fault.Invalid, "the period ends before it starts"},
	"32": {fault.Invalid, "this sector may not ask for such a period"},
	"40": {fault.NotFound, "no data go that far into the past"},
	"42": {fault.Conflict, "the patient was not hospitalised on these dates"},
	"43": {fault.NotFound, "no insurer was found"},
	"44": {fault.Conflict, "several insurers were found"},
	"99": {fault.Invalid, "a field has a value that is not allowed"},
}

// kind of the call's error: by the first known detail, else by the fault code.
func (f *MessageFault) kind() fault.Kind {
	for _, d := range f.Details {
		if m, ok := details[d.Code]; ok {
			return m.kind
		}
	}
	switch f.FaultCode {
	case NoIOError:
		return fault.NotFound
	case MultiIOError:
		return fault.Conflict
	default:
		return fault.Invalid
	}
}

// Refusal is a pharmacist answer whose return code is not success. The table of the codes is not published (dossier 05
// section 10), so the three parts are given as they are.
type Refusal struct {
	ReturnCode
	MultipleIO []string // insurers found, one character each, when there were several
}

// Error shows the three parts.
func (r *Refusal) Error() string { return "insurability: refused with return code " + r.Code() }

// SafeError is Error: it may be logged.
func (r *Refusal) SafeError() string { return r.Error() }

// Code returns the three parts as "02-00-00000".
func (r *Refusal) Code() string {
	return safeCode(r.Major) + "-" + safeCode(r.Minor) + "-" + safeCode(r.Detail)
}

func (r *Refusal) code() string { return r.Code() }

func (r *Refusal) kind() fault.Kind {
	if len(r.MultipleIO) > 0 {
		return fault.Conflict
	}
	return fault.Invalid
}

// StatusError is an answer whose technical status is neither 200 nor 100.
type StatusError struct{ Code string }

// Error shows the code.
func (e *StatusError) Error() string { return "insurability: refused with status " + safeCode(e.Code) }

// SafeError is Error: it may be logged.
func (e *StatusError) SafeError() string { return e.Error() }

func (e *StatusError) code() string { return "STATUS/" + safeCode(e.Code) }

func (e *StatusError) kind() fault.Kind {
	switch {
	case strings.HasPrefix(e.Code, "4"):
		return fault.Invalid
	case strings.HasPrefix(e.Code, "5"):
		return fault.Unavailable
	default:
		return fault.Protocol
	}
}

// refusal is a business answer that is an error to the caller.
type refusal interface {
	error
	kind() fault.Kind
	code() string
}

// verdict returns why the answer is a refusal, nil when it is not.
func (r *GenInsResponse) verdict() refusal {
	switch {
	case !r.Status.Accepted():
		return &StatusError{Code: r.Status.Code}
	case r.Response.Fault != nil:
		return r.Response.Fault
	default:
		return nil
	}
}

var errNoBody = reason("insurability: accepted answer without content")

func (r *PharmacistResponse) verdict() refusal {
	switch {
	case !r.Status.Accepted():
		return &StatusError{Code: r.Status.Code}
	case r.Body != nil && r.Body.ReturnInfo.Code.Major != majorSuccess:
		return &Refusal{ReturnCode: r.Body.ReturnInfo.Code, MultipleIO: r.Body.ReturnInfo.MultipleIO}
	default:
		return nil
	}
}

// majorSuccess is the only known return code (dossier 05 section 2.3).
const majorSuccess = "01"

// safeCode lets a code of the platform into a text only when it looks like one: what a peer writes where a code belongs
// could be anything.
func safeCode(s string) string {
	if s == "" || len(s) > 24 {
		return "?"
	}
	digits := 0
	for i := range len(s) {
		b := s[i]
		switch {
		case b >= '0' && b <= '9':
			digits++
		case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b == '_', b == '-', b == '.':
		default:
			return "?"
		}
	}
	if digits > 6 { // long enough to be somebody's number
		return "?"
	}
	return s
}
