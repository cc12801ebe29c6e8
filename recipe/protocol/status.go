package protocol

import (
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Codes of a Status (dossier 04 section 13.3).
const (
	CodeOK     = "100"
	CodeOKToo  = "200"
	CodeRefuse = "300" // refused: see MessageCode, Messages, PrescriptionStatus, StatusUpdater
)

// Status is the judgement inside the seal. Success of a call is the outer status, this one, and for create a RID.
type Status struct {
	Code        string
	MessageCode string // technical, no catalogue is published; see SafeCode for logs
	Messages    []Message
	// StatusUpdater is the number of who brought the prescription where it stands; compare with [SameNIHII].
	StatusUpdater      identity.Private
	PrescriptionStatus PrescriptionStatus // where it stands, when the refusal is about that
}

func (s *Status) wire(c *codec) {
	text(c, "code", &s.Code, must)
	text(c, "messageCode", &s.MessageCode, optional)
	many(c, &s.Messages, (*Message).wire, "messages")
	c.party("statusUpdater", &s.StatusUpdater, optional)
	c.status("prescriptionStatus", &s.PrescriptionStatus, optional)
}

// OK tells that the operation was carried out: code 100 or 200.
func (s *Status) OK() bool { return s.Code == CodeOK || s.Code == CodeOKToo }

// Refused tells that the server says it did not carry the operation out. Other codes say nothing for certain.
func (s *Status) Refused() bool { return s.Code == CodeRefuse }

// Text returns the message in a language (FR, NL, EN, DE, in any case; longer tags such as nl-BE are cut), else one in no
// particular language, else the first, else the message code, else the code.
func (s *Status) Text(lang string) identity.Private {
	lang, _, _ = strings.Cut(strings.TrimSpace(lang), "-")
	for _, l := range []string{lang, "NA", ""} {
		i := slices.IndexFunc(s.Messages, func(m Message) bool { return strings.EqualFold(m.Lang, l) && !m.Text.IsZero() })
		if i >= 0 {
			return s.Messages[i].Text
		}
	}
	for _, m := range s.Messages {
		if !m.Text.IsZero() {
			return m.Text
		}
	}
	if s.MessageCode != "" {
		return identity.Hide(s.MessageCode)
	}
	return identity.Hide(s.Code)
}

// SafeCode returns the message code, or the code when there is none, for logs and errors. A text that may be something
// else than a code (white space, five digits in a row, longer than 100 characters) becomes "unprintable".
func (s *Status) SafeCode() string {
	code := s.MessageCode
	if code == "" {
		code = s.Code
	}
	digits := 0
	for i, r := range code {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune("._-:", r):
			digits = 0
		default:
			return "unprintable"
		}
		if digits > 4 || i >= 100 {
			return "unprintable"
		}
	}
	return code
}
