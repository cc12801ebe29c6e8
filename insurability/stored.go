package insurability

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// storedAnswer is an answer on its way to a store and back. The message itself is kept, so that reading it again
// concludes what the software of that day concludes.
type storedAnswer struct {
	Version     int       `json:"v"`
	Source      Source    `json:"source"`
	Endpoint    string    `json:"endpoint"`
	ConsultedAt time.Time `json:"at"`
	Attempts    int       `json:"attempts"`
	MessageID   string    `json:"messageId,omitempty"`
	Ours        string    `json:"ours"`   // our reference of the question
	Caller      string    `json:"caller"` // the caller's
	Start       Date      `json:"start"`  // of the asked days
	End         Date      `json:"end"`
	Message     []byte    `json:"message"`
}

const storedAnswerVersion = 1

// UnmarshalText reads the form of String; what is not one of them is none.
func (s *Source) UnmarshalText(text []byte) error {
	*s = 0
	for v := Live; v <= Unknown; v++ {
		if v.String() == string(text) {
			*s = v
		}
	}
	return nil
}

// pack writes an answer of the first two services.
func (a *Answer) pack() ([]byte, error) {
	s := storedAnswer{
		Version: storedAnswerVersion, Source: a.Source, Endpoint: a.Endpoint, ConsultedAt: a.ConsultedAt, Attempts: a.Attempts,
		MessageID: a.MessageID, Ours: a.References.Ours, Caller: a.References.Caller, Start: a.Asked.Start, End: a.Asked.End,
	}
	var err error
	if a.Pharmacist != nil {
		s.Message, err = encode(pharmacistProtocol, pharmacistCore, "GetInsurabilityForPharmacistResponse", a.Pharmacist, (*PharmacistResponse).wire)
	} else {
		s.Message, err = encode(genInsProtocol, genInsCore, "GetInsurabilityResponse", a.GenIns, (*GenInsResponse).wire)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

// unpacked reads what pack wrote, for the days wanted now. It returns false for what it cannot read, for an answer that
// does not speak of these days, and for a no to another question.
func unpacked(b []byte, want Period, read func(*storedAnswer, *xmltree.Node, Provenance) func(Period) *Answer) (*Answer, bool) {
	var s storedAnswer
	if json.Unmarshal(b, &s) != nil || s.Version != storedAnswerVersion {
		return nil, false
	}
	n, err := xmltree.Parse(s.Message, xmltree.Limits{})
	if err != nil {
		return nil, false
	}
	answer := read(&s, n, Provenance{
		Source: s.Source, Endpoint: s.Endpoint, ConsultedAt: s.ConsultedAt, Attempts: s.Attempts, MessageID: s.MessageID,
	})
	if answer == nil {
		return nil, false
	}
	had := Period{s.Start, s.End}
	a := answer(had)
	if a.Insured != Yes {
		return a, had == want
	}
	if covered := answer(want); covered.Insured == Yes {
		return covered, true
	}
	if later(had, want, a.Coverage, s.ConsultedAt) {
		a.Asked = want
		return a, true
	}
	return nil, false
}

func unpackGenIns(b []byte, want Period) (*Answer, bool) {
	return unpacked(b, want, func(s *storedAnswer, n *xmltree.Node, p Provenance) func(Period) *Answer {
		r, err := decodeGenIns(n)
		if err != nil || r.verdict() != nil || r.bare {
			return nil
		}
		r.Provenance = p
		return func(days Period) *Answer {
			req := &GenInsRequest{CommonInput: CommonInput{InputReference: s.Ours}}
			req.Request.Detail.Reference, req.Request.Detail.Period = s.Caller, days
			return answerGenIns(req, r)
		}
	})
}

func unpackPharmacist(b []byte, want Period) (*Answer, bool) {
	return unpacked(b, want, func(s *storedAnswer, n *xmltree.Node, p Provenance) func(Period) *Answer {
		r, err := decodePharmacist(n)
		if err != nil || r.verdict() != nil || r.Body == nil {
			return nil
		}
		r.Provenance = p
		return func(days Period) *Answer {
			req := &PharmacistRequest{Record: PharmacistRecord{Reference: s.Ours, UserReference: s.Caller}}
			req.Request.Date = days.Start
			return answerPharmacist(req, r)
		}
	})
}

// patientScope names the patient as the question does.
func patientScope(r CareReceiverID) []string {
	if r.SSIN.IsZero() {
		return []string{"number", registration(r.RegNr), r.Mutuality}
	}
	return []string{"ssin", r.SSIN.Reveal(), r.Mutuality}
}

// about is the question about the same days, whenever it is asked.
func (q Query) about(p Period) Query {
	q.Date, q.Period = Date{}, p
	if p.Start == p.End {
		q.Date, q.Period = p.Start, Period{}
	}
	q.Reference = ""
	return q
}

func (c *Client) genInsQuestion(q Query, req *GenInsRequest, today Date) *question[*Answer] {
	d := req.Request.Detail
	ask := func(ctx context.Context, c *Client, req *GenInsRequest) (*Answer, error) {
		r, err := c.askGenIns(ctx, opCheck, req)
		if err != nil {
			return nil, err
		}
		return answerGenIns(req, r), nil
	}
	return &question[*Answer]{
		service: ServiceGenIns, asked: d.Period, today: today,
		scope: append(patientScope(req.Request.CareReceiver), string(d.RequestType), string(d.ContactType)),
		live:  func(ctx context.Context, c *Client) (*Answer, error) { return ask(ctx, c, req) },
		again: func(ctx context.Context, c *Client) (*Answer, error) {
			req, err := c.NewGenInsRequest(q.about(d.Period))
			if err != nil {
				return nil, err
			}
			return ask(ctx, c, req)
		},
		pack: (*Answer).pack, unpack: unpackGenIns, unknown: unknownAnswer,
	}
}

func (c *Client) pharmacistQuestion(q Query, req *PharmacistRequest, today Date) *question[*Answer] {
	days := OneDay(req.Request.Date)
	ask := func(ctx context.Context, c *Client, req *PharmacistRequest) (*Answer, error) {
		r, err := c.askPharmacist(ctx, opCheck, req)
		if err != nil {
			return nil, err
		}
		return answerPharmacist(req, r), nil
	}
	return &question[*Answer]{
		service: ServicePharmacist, asked: days, today: today,
		scope: append(patientScope(req.Request.CareReceiver), req.Request.RequestType),
		live:  func(ctx context.Context, c *Client) (*Answer, error) { return ask(ctx, c, req) },
		again: func(ctx context.Context, c *Client) (*Answer, error) {
			req, err := c.NewPharmacistRequest(q.about(days))
			if err != nil {
				return nil, err
			}
			return ask(ctx, c, req)
		},
		pack: (*Answer).pack, unpack: unpackPharmacist, unknown: unknownAnswer,
	}
}

func unknownAnswer(p Provenance, asked Period) *Answer { return &Answer{Provenance: p, Asked: asked} }
