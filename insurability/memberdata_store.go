package insurability

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// MemberDataKey says which question an answer may stand in for: the same asker, about the same patient named in the same
// way, asking for the same things. The asked days and our references are no part of it; see [MemberDataAnswer.Covers].
type MemberDataKey struct {
	Asker   Private // kind and value of the asker's number
	Patient Private // kind and value of the patient's number, with the mutuality when one was named
	Scope   string  // facets with their dimensions, one a line
}

// Bytes returns the key in one form without ambiguity. It names a patient and can be guessed from a plain digest: what
// leaves the process must be a keyed one (dossier 05 section 5.5).
func (k MemberDataKey) Bytes() []byte {
	var out []byte
	for _, s := range []string{ServiceMemberData, k.Asker.Reveal(), k.Patient.Reveal(), k.Scope} {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return out
}

// Format implements [fmt.Formatter]: no verb shows the patient.
func (k MemberDataKey) Format(f fmt.State, _ rune) { redact(f, "member data key [patient withheld]") }

func (q *AttributeQuery) key() MemberDataKey {
	return MemberDataKey{
		Asker:   Hide(q.Issuer.Format + " " + q.Issuer.Value.Reveal()),
		Patient: Hide(q.Subject.NameID.Format + " " + q.Subject.NameID.Value.Reveal()),
		Scope:   q.scope(),
	}
}

// Key returns the key of the answers that may stand in for this question's.
func (r *MemberDataRequest) Key() MemberDataKey { return r.Query.key() }

// Key returns the key of the questions that this answer may be used for.
func (a *MemberDataAnswer) Key() MemberDataKey { return a.question.key() }

// Positive tells that the patient was found to be insured on every asked day. Only such an answer may be kept to stand in
// for a later one (dossier 06 B.4.2).
func (a *MemberDataAnswer) Positive() bool { return a.Insured == Yes }

// Covers tells that a period of the answer covers the day. How long beyond its own days an answer may be used is for the
// procedure of continuity to say, counted from ConsultedAt.
func (a *MemberDataAnswer) Covers(d Date) bool {
	for _, i := range a.Items {
		if i.Period.Covers(d) {
			return true
		}
	}
	return false
}

// storedMemberData is an answer on its way to a store and back. The messages themselves are kept, so that reading it
// again concludes what the software of that day concludes.
type storedMemberData struct {
	Version     int       `json:"v"`
	Source      uint8     `json:"source"`
	Endpoint    string    `json:"endpoint"`
	ConsultedAt time.Time `json:"at"`
	Attempts    int       `json:"attempts"`
	MessageID   string    `json:"messageId,omitempty"`
	Notice      string    `json:"notice,omitempty"`
	Reference   string    `json:"reference"`
	Question    []byte    `json:"question"`
	Answer      []byte    `json:"answer"`
}

const storedMemberDataVersion = 1

// ErrStoredAnswer reports bytes that are no stored answer.
var ErrStoredAnswer error = reason("insurability: not a stored answer of MemberData")

// MarshalBinary writes the answer without loss, licence and token excepted, which are not in it. The bytes are personal
// data in clear: a store must seal them.
func (a *MemberDataAnswer) MarshalBinary() ([]byte, error) {
	if a.Message == nil {
		return nil, ErrStoredAnswer
	}
	q, err := a.question.encode()
	if err != nil {
		return nil, err
	}
	m, err := encodeMemberData("MemberDataConsultationResponse", a.Message, (*MemberDataResponse).wire)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedMemberData{
		Version: storedMemberDataVersion, Source: uint8(a.Source), Endpoint: a.Endpoint, ConsultedAt: a.ConsultedAt,
		Attempts: a.Attempts, MessageID: a.MessageID, Notice: a.Notice, Reference: a.References.Ours, Question: q, Answer: m,
	})
}

// UnmarshalBinary reads what MarshalBinary wrote. Whether the answer belongs to a question is for its [MemberDataKey] to
// say.
func (a *MemberDataAnswer) UnmarshalBinary(b []byte) error {
	var s storedMemberData
	if err := json.Unmarshal(b, &s); err != nil || s.Version != storedMemberDataVersion {
		return ErrStoredAnswer
	}
	req := &MemberDataRequest{CommonInput: CommonInput{InputReference: s.Reference}}
	if err := req.Query.decode(s.Question); err != nil {
		return fmt.Errorf("%w: %w", ErrStoredAnswer, err)
	}
	n, err := xmltree.Parse(s.Answer, xmltree.Limits{})
	if err != nil {
		return ErrStoredAnswer
	}
	r, err := decodeMemberDataResponse(n)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStoredAnswer, err)
	}
	r.Provenance = Provenance{
		Source: Source(s.Source), Endpoint: s.Endpoint, ConsultedAt: s.ConsultedAt, Attempts: s.Attempts,
		MessageID: s.MessageID, Notice: s.Notice,
	}
	read, err := answerMemberData(req, r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStoredAnswer, err)
	}
	*a = *read
	return nil
}
