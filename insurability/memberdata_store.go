package insurability

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// memberKey says which question an answer may stand in for: the same asker, about the same patient named in the same way,
// asking for the same things. The asked days and our references are no part of it.
type memberKey struct {
	asker, patient Private // kind and value
	scope          string  // facets with their dimensions, one a line
}

func (q *AttributeQuery) key() memberKey {
	m := memberOf(q.Subject.NameID)
	return memberKey{
		asker:   Hide(q.Issuer.Format + " " + q.Issuer.Value.Reveal()),
		patient: Hide(q.Subject.NameID.Format + " " + m.ssin + m.regNr + "@" + m.mutuality),
		scope:   q.scope(),
	}
}

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

// UnmarshalBinary reads what MarshalBinary wrote. Whether the answer belongs to a question it does not judge.
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

func (a *MemberDataAnswer) provenance() *Provenance { return &a.Provenance }
func (a *MemberDataAnswer) days() Period            { return a.Asked }
func (a *MemberDataAnswer) approval() string        { return a.PaymentApproval }
func (a *MemberDataAnswer) essence() essence {
	return essence{
		insured: a.Insured, mutuality: a.Mutuality, ct1: a.CT1, ct2: a.CT2,
		tpp: a.ThirdPartyPayer.String(), deceased: !a.Person.Deceased.IsZero(),
	}
}

// memberDataQuestion takes a question up the ladder.
func (c *Client) memberDataQuestion(q MemberDataQuery, req *MemberDataRequest, today Date) *question[*MemberDataAnswer] {
	asked := Assertion{Subject: &req.Query.Subject}
	days, key := asked.Period(), req.Query.key()
	return &question[*MemberDataAnswer]{
		service: ServiceMemberData, asked: days, today: today,
		scope: []string{key.patient.Reveal(), key.scope},
		live: func(ctx context.Context, c *Client) (*MemberDataAnswer, error) {
			return c.memberData(ctx, req)
		},
		again: func(ctx context.Context, c *Client) (*MemberDataAnswer, error) {
			q.Date, q.Period = Date{}, days
			req, err := c.NewMemberDataRequest(q)
			if err != nil {
				return nil, err
			}
			return c.memberData(ctx, req)
		},
		pack: (*MemberDataAnswer).MarshalBinary,
		unpack: func(b []byte, want Period) (*MemberDataAnswer, bool) {
			return unpackMemberData(b, want, key)
		},
		unknown: func(p Provenance, asked Period) *MemberDataAnswer {
			a := &MemberDataAnswer{Provenance: p, Asked: asked, question: req.Query}
			for _, f := range req.Query.Facets {
				a.Facets = append(a.Facets, f.ID)
			}
			return a
		},
	}
}

// unpackMemberData reads a stored answer for the days wanted now. It returns false for what it cannot read, for an answer
// to another question or that does not speak of these days.
func unpackMemberData(b []byte, want Period, key memberKey) (*MemberDataAnswer, bool) {
	a := new(MemberDataAnswer)
	if a.UnmarshalBinary(b) != nil || a.question.key() != key {
		return nil, false
	}
	if a.Insured != Yes {
		return a, a.Asked == want
	}
	if covered := a.on(want); covered.Insured == Yes {
		return covered, true
	}
	if later(a.Asked, want, a.Coverage, a.ConsultedAt) {
		a.Asked = want
		return a, true
	}
	return nil, false
}

// on is what the answer says about other days.
func (a *MemberDataAnswer) on(days Period) *MemberDataAnswer {
	out := *a
	out.Asked = days
	out.Mutuality, out.RegNr, out.CT1, out.CT2, out.PaymentApproval = "", Private{}, "", "", ""
	out.Coverage, out.Communicated, out.Preferential = Period{}, Date{}, NotKnown
	out.conclude()
	return &out
}
