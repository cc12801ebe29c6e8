package insurability

import (
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Status codes of MemberData answers (dossier 05 section 3.5).
const (
	statusSuccess   = "urn:oasis:names:tc:SAML:2.0:status:Success"
	statusRequester = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	statusResponder = "urn:oasis:names:tc:SAML:2.0:status:Responder"
)

// MemberDataFault explains an answer of MemberData that is not a plain success. With status Success it is a warning,
// found in [MemberDataAnswer].Warnings; else it is a refusal, found with [errors.As] in the *fault.Error of the call.
// Its texts may name the patient; Error does not show them.
type MemberDataFault struct {
	Top, Sub string // status of the answer, URNs
	Code     string // INPUT_ERROR, SEND_ERROR, WARNING, …
	Source   string // MYCARENET or an insurer (IO-BE-300)
	Message  *Text
	Details  []MemberDataDetail

	unqualified bool // Fault stands in no namespace
}

// MemberDataDetail is one reason in a [MemberDataFault].
type MemberDataDetail struct {
	Code     string // MISSING_FACETS, SEND_TO_IM_EXCEPTION, …
	Source   string
	Location string // a path in one of two notations; text only
	Message  *Text
}

func (f *MemberDataFault) wire(c *codec) {
	if c.writing() {
		c.w.NS(cinTypes.prefix, cinTypes.uri)
	}
	c.under(cinTypes, func() { // whatever Fault itself stands in
		text(c, "FaultCode", &f.Code, required)
		text(c, "FaultSource", &f.Source, optional)
		maybe(c, "Message", &f.Message, (*Text).wireXMLLang)
		details := f
		if c.writing() && len(f.Details) == 0 {
			details = nil
		}
		maybe(c, "Details", &details, func(t *MemberDataFault, c *codec) {
			many(c, "Detail", &t.Details, (*MemberDataDetail).wire)
		})
		if details != nil {
			f.Details = details.Details
		}
	})
}

func (d *MemberDataDetail) wire(c *codec) {
	text(c, "DetailCode", &d.Code, required)
	text(c, "DetailSource", &d.Source, optional)
	text(c, "Location", &d.Location, optional)
	maybe(c, "Message", &d.Message, (*Text).wireXMLLang)
}

// Meaning returns what the code says, in English; "" for a code that is not in the table.
func (d MemberDataDetail) Meaning() string { return memberDetails[d.Code].text }

// FullCode returns the code of the fault with that of its first detail, for example "SEND_ERROR/SEND_TO_IM_EXCEPTION".
func (f *MemberDataFault) FullCode() string {
	if len(f.Details) == 0 {
		return memberCode(f.Code)
	}
	return memberCode(f.Code) + "/" + memberCode(f.Details[0].Code)
}

func (f *MemberDataFault) code() string { return f.FullCode() }

// Error says what is wrong in our own words; the platform's may contain personal data.
func (f *MemberDataFault) Error() string {
	s := "insurability: refused: " + f.FullCode()
	for _, d := range f.Details {
		if m := d.Meaning(); m != "" {
			return s + ": " + m
		}
	}
	return s
}

// SafeError is Error: it may be logged.
func (f *MemberDataFault) SafeError() string { return f.Error() }

// Format implements [fmt.Formatter] with the form of Error for every verb.
func (f MemberDataFault) Format(s fmt.State, _ rune) { redact(s, f.Error()) }

// Format implements [fmt.Formatter]: every verb shows the code only.
func (d MemberDataDetail) Format(s fmt.State, _ rune) { redact(s, memberCode(d.Code)) }

// MarshalText writes the form of Error.
func (f MemberDataFault) MarshalText() ([]byte, error) { return []byte(f.Error()), nil }

// MarshalText writes the code only.
func (d MemberDataDetail) MarshalText() ([]byte, error) { return []byte(memberCode(d.Code)), nil }

// InsurerDown tells that the insurer behind the platform gave no usable answer. The same question may be asked again
// later; another address of the service leads to the same insurer.
func (f *MemberDataFault) InsurerDown() bool { return f.kind() == fault.Unavailable }

// kind of the call's error: by the first known detail, else by the status.
func (f *MemberDataFault) kind() fault.Kind {
	for _, d := range f.Details {
		if m, ok := memberDetails[d.Code]; ok && m.kind != 0 {
			return m.kind
		}
	}
	if f.Top == statusResponder && strings.HasSuffix(f.Sub, ":InternalError") && f.Code != "INPUT_ERROR" {
		return fault.Unavailable
	}
	return fault.Invalid
}

// memberCode lets a code into a text when it is known or looks like one: a single word could be a name.
func memberCode(s string) string {
	if _, known := memberDetails[s]; known {
		return s
	}
	if !strings.Contains(s, "_") {
		return "?"
	}
	return safeCode(s)
}

// memberDetails is the table of dossier 05 section 3.6. Only the Unavailable ones are worth asking again.
var memberDetails = func() map[string]meaning {
	m := map[string]meaning{
		"CROSSCHECK_ISSUER": {fault.Denied, "the asker is not the one of the token or of the envelope"},
		"CROSSCHECK_ID":     {fault.Invalid, "the id of the question does not follow from the reference"},
		"UNAUTHORIZED_FACET": {
			fault.Denied, "this sector may not see one of the facets; the whole question is refused for it",
		},
		"UNAUTHORIZED_REQUESTTYPE": {fault.Denied, "this sector may not ask for this request type"},
		"UNAUTHORIZED_CONTACTTYPE": {fault.Denied, "this sector may not ask for this contact type"},

		"START_DATE_IN_FUTURE":          {fault.Invalid, "the period starts in the future"},
		"INVALID_PERIOD_FOR_SECTOR":     {fault.Invalid, "this sector may not ask for such a period"},
		"PERIOD_TOO_FAR_IN_PAST":        {fault.NotFound, "no data go that far into the past"},
		"BO_PERIOD_TOO_FAR_IN_THE_PAST": {fault.NotFound, "the insurer has no data that far in the past"},

		"UNKNOWN_NISS_ROUTING": {fault.NotFound, "the patient's number is not in the routing table"},
		"UNKNOWN_IO":           {fault.NotFound, "the insurer is unknown"},
		"MULTIPLE_IO":          {fault.Conflict, "several insurers were found"},
		"BO_UNKNOWN_NISS":      {fault.NotFound, "the insurer does not know the patient's number"},
		"BO_INVALID_REGNBR":    {fault.Invalid, "the registration number has wrong check digits"},
		"BO_UNKNOWN_REGNBR":    {fault.NotFound, "the insurer does not know the registration number"},
		"MISMATCHED_CONTACTTYPE": {
			fault.Conflict, "the patient was not in hospital on these dates",
		},

		"NO_FACET":                 {fault.NotFound, "no facet could be answered"},
		"INVALID_RESPONSE_FROM_IO": {fault.Unavailable, "the insurer's answer was not usable"},
		"BO_EXCEPTION":             {fault.Unavailable, "the insurer failed"},
		"IOSM_EXCEPTION":           {fault.Unavailable, "the insurer failed"},
		"SEND_TO_IM_EXCEPTION":     {fault.Unavailable, "the insurer cannot be reached"},

		"MISSING_FACETS":      {0, "not all facets were answered"},
		"BO_MISSING_FACET":    {0, "the insurer did not answer a facet"},
		"FACET_EXCEPTION":     {0, "a facet could not be answered"},
		"MUTATION":            {0, "the patient changed insurer within the period"},
		warnFivePeriods:       {0, "there are more periods than the answer holds"},
		"VALIDATION_ERROR":    {},
		"AUTHORIZATION_ERROR": {},
		"INPUT_ERROR":         {},
		"GENERIC_ERROR":       {},
		"SEND_ERROR":          {},
		"WARNING":             {},
	}
	for code, text := range map[string]string{
		"FORBIDDEN_ATTRIBUTES": "attributes have no place in a question",
		"MISSING_ISSUER_TAG":   "the asker is missing", "MISSING_ISSUER_FORMAT": "the kind of the asker's number is missing",
		"INVALID_ISSUER_FORMAT": "the kind of the asker's number is not known", "INVALID_ISSUER_VALUE": "the asker's number is wrong",
		"MISSING_OR_BAD_EXTENSIONS_TYPE": "the type of the extensions is missing or wrong",
		"MISSING_EXTENSIONS_TAG":         "the extensions are missing",
		"DUPLICATED_FACET":               "a facet is asked twice", "UNKNOWN_FACET": "a facet is unknown",
		"INVALID_FACET_COMBINATION": "these facets cannot be asked together",
		"INVALID_DIMENSION_ID":      "a dimension is unknown", "MISSING_DIMENSION": "a dimension is missing",
		"DUPLICATED_DIMENSION": "a dimension stands twice", "INCONSISTENT_DIMENSIONS": "the dimensions contradict each other",
		"MISSING_NAMEID": "the patient is missing", "MISSING_NAMEID_FORMAT": "the kind of the patient's number is missing",
		"INVALID_NAMEID_FORMAT": "the kind of the patient's number is not known",
		"INVALID_NAMEID_VALUE":  "the patient's number has an invalid format",
		"EMPTY_INSS":            "the patient's number is missing", "EMPTY_IO": "the insurer is missing",
		"EMPTY_REG_NUM": "the registration number is missing", "INVALID_INSS_FORMAT": "the patient's number has an invalid format",
		"INVALID_IO_FORMAT":  "the insurer has an invalid format",
		"INVALID_INSS_VALUE": "the check digits of the patient's number are wrong", "INVALID_IO_VALUE": "the insurer is not one",
		"INVALID_SUBJECT_CONFIRMATION_METHOD_VALUE": "the method of identification is wrong",
		"MISSING_SUBJECT_CONFIRMATION_TAG":          "the method of identification is missing",
		"MISSING_SUBJECT_CONFIRMATION_DATA_TAG":     "the period is missing",
		"SUBJECT_CONFIRMATION_WITH_ID":              "an identification stands beside the period",
		"EMPTY_STARTDATE":                           "the start of the period is missing", "EMPTY_ENDDATE": "the end of the period is missing",
		"INVALID_PERIOD":    "the period ends before it starts",
		"EMPTY_REQUESTTYPE": "the request type is missing", "UNALLOWED_REQUESTTYPE": "the request type is not allowed",
		"EMPTY_CONTACTTYPE": "the contact type is missing", "UNALLOWED_CONTACTTYPE": "the contact type is not allowed",
		"EMPTY_CAREPATHTYPE": "the care path is missing", "UNALLOWED_CAREPATHTYPE": "the care path is not allowed",
	} {
		m[code] = meaning{fault.Invalid, text}
	}
	return m
}()

// warnFivePeriods is the warning that an answer was cut short.
const warnFivePeriods = "ONLY_FIVE_PERIODS_RETURNED"

var errStatus = reason("insurability: answer with a status that is not known")

// verdict returns why the answer is a refusal, nil when it is not; err when the status is none that exists.
func (r *MemberDataResponse) verdict() (v refusal, err error) {
	s := r.Response.Status
	switch s.Top {
	case statusSuccess:
		return nil, nil
	case statusRequester, statusResponder:
		if s.Fault == nil {
			return &MemberDataFault{Top: s.Top, Sub: s.Sub}, nil
		}
		return s.Fault, nil
	default:
		return nil, errStatus
	}
}
