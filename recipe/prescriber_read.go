package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

var (
	getPrescription      = operate(protocol.Prescriber, "getPrescription", NoticeDown)
	getStatus            = operate(protocol.Prescriber, "getPrescriptionStatus", NoticeDown)
	listOpen             = operate(protocol.Prescriber, "listOpenRids", NoticeDown)
	listHistory          = operate(protocol.Prescriber, "listRidsHistory", NoticeDown)
	listPrescriptions    = operate(protocol.Prescriber, "listPrescriptions", NoticeDown)
	listFeedbacks        = operate(protocol.Prescriber, "listFeedbacks", NoticeDown)
	validationProperties = operate(protocol.Prescriber, "getValidationProperties", "")
)

// Prescription is an electronic prescription as a prescriber reads it.
type Prescription struct {
	protocol.Fetched
	// Message is the document.
	Message *kmehr.Message
	// Report says who sealed it.
	Report *etee.Report
}

const shownPrescription = "recipe.Prescription(redacted)"

// Format writes no content, whatever the verb.
func (Prescription) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownPrescription) }

// LogValue holds no content.
func (Prescription) LogValue() slog.Value { return slog.StringValue(shownPrescription) }

// MarshalJSON holds no content.
func (Prescription) MarshalJSON() ([]byte, error) { return json.Marshal(shownPrescription) }

// Get fetches a prescription and opens it.
func (p *Prescriber) Get(ctx context.Context, rid identity.RID) (*Prescription, error) {
	a, err := p.get(ctx, rid)
	if err != nil {
		return nil, err
	}
	out := &Prescription{Fetched: a.Result.Fetched}
	out.Message, out.Report, err = p.readSealed(ctx, getPrescription.name, out.EncryptionKeyID, out.Fetched.Prescription, received(out.CreationDate))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// readSealed opens and reads a sealed document.
func (c *client) readSealed(ctx context.Context, op, keyID string, sealed []byte, received time.Time) (*kmehr.Message, *etee.Report, error) {
	s, err := c.open(ctx, op, keyID, sealed, received)
	if err != nil {
		return nil, nil, err
	}
	m, err := kmehr.Parse(s.plain)
	if err != nil {
		return nil, nil, c.damaged(op, err)
	}
	return m, s.report, nil
}

func (p *Prescriber) get(ctx context.Context, rid identity.RID) (*answered[*protocol.GetPrescriptionForPrescriberResult], error) {
	if rid.IsZero() {
		return nil, p.invalid(getPrescription.name, ErrRequest)
	}
	return ask(ctx, p.client, p.getQuestion(rid))
}

func (p *Prescriber) getQuestion(rid identity.RID) question[*protocol.GetPrescriptionForPrescriberResult] {
	return question[*protocol.GetPrescriptionForPrescriberResult]{
		op: getPrescription, result: func() *protocol.GetPrescriptionForPrescriberResult {
			return &protocol.GetPrescriptionForPrescriberResult{}
		},
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.GetPrescriptionForPrescriberParam{RID: rid, Keyed: k}
		},
		about: func(r *protocol.GetPrescriptionForPrescriberResult) bool { return concerns(r.RID, rid) },
	}
}

// Status tells where a prescription stands, and which pharmacy has it.
func (p *Prescriber) Status(ctx context.Context, rid identity.RID) (*Standing, error) {
	return p.client.status(ctx, getStatus, rid, protocol.Party{})
}

// OpenRIDs lists the open prescriptions of a patient by this prescriber: all pages. An error ends the list.
func (p *Prescriber) OpenRIDs(ctx context.Context, patient identity.SSIN) iter.Seq2[identity.RID, error] {
	return func(yield func(identity.RID, error) bool) {
		for a, err := range p.openRIDs(ctx, patient) {
			if err != nil {
				yield(identity.RID{}, err)
				return
			}
			for _, rid := range a.Result.RIDs() {
				if !yield(rid, nil) {
					return
				}
			}
		}
	}
}

func (p *Prescriber) openRIDs(ctx context.Context, patient identity.SSIN) iter.Seq2[*answered[*protocol.ListOpenRidsResult], error] {
	return pages(ctx, p.client, listing[*protocol.ListOpenRidsResult]{
		op: listOpen, result: func() *protocol.ListOpenRidsResult { return &protocol.ListOpenRidsResult{} },
		param: func(k protocol.Keyed, at protocol.Paged) protocol.Param {
			return &protocol.ListOpenRidsParam{Party: protocol.Party{PatientID: patient}, Keyed: k, Paged: at}
		},
		more: func(r *protocol.ListOpenRidsResult) protocol.More { return r.More },
	})
}

// History lists the prescriptions of a patient with their state: those that are active, or those of the past (dossier 04
// section 6.1). An error ends the list.
func (p *Prescriber) History(ctx context.Context, patient identity.SSIN, active bool) iter.Seq2[protocol.RidStatus, error] {
	return ridHistory(ctx, p.client, listHistory, protocol.Party{PatientID: patient}, active)
}

// ListQuery says which prescriptions [Prescriber.List] looks for. Zero fields do not limit.
type ListQuery struct {
	Patient                identity.SSIN
	Status                 []protocol.PrescriptionStatus
	From, To               protocol.Date // days of creation, both included
	ExpiresFrom, ExpiresTo protocol.Date
	Own                    bool // by this prescriber only
	Newest                 bool // newest first; else in Recip-e's order
	WithoutContent         bool // do not open what is found
}

// Listed is one prescription of a list.
type Listed struct {
	protocol.ListedPrescription
	// Message is the document; nil when Err says why it could not be opened, which does not concern the others: the key service
	// refuses keys of prescriptions that the caller may not read.
	Message *kmehr.Message
	Err     error
	// Hidden tells that there are others that the caller may not see.
	Hidden bool
}

const shownListed = "recipe.Listed(redacted)"

// Format writes no content, whatever the verb.
func (Listed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownListed) }

// LogValue holds no content.
func (Listed) LogValue() slog.Value { return slog.StringValue(shownListed) }

// MarshalJSON holds no content.
func (Listed) MarshalJSON() ([]byte, error) { return json.Marshal(shownListed) }

// List searches prescriptions (generation of 2023) and opens them. An error ends the list; one that concerns a single
// prescription is in its Err.
func (p *Prescriber) List(ctx context.Context, q ListQuery) iter.Seq2[*Listed, error] {
	return func(yield func(*Listed, error) bool) {
		for l, err := range p.list(ctx, q) {
			if err == nil && !q.WithoutContent && len(l.EncryptedContent) > 0 {
				l.Message, _, l.Err = p.readSealed(ctx, listPrescriptions.name, l.EncryptionKey, l.EncryptedContent, time.Time{})
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func (p *Prescriber) list(ctx context.Context, q ListQuery) iter.Seq2[*Listed, error] {
	param := protocol.ListPrescriptionsParam{PatientID: q.Patient, Status: q.Status}
	if q.From != (protocol.Date{}) || q.To != (protocol.Date{}) {
		param.Between = &protocol.Between{From: q.From, To: q.To}
	}
	if q.ExpiresFrom != (protocol.Date{}) || q.ExpiresTo != (protocol.Date{}) {
		param.ExpiringBetween = &protocol.Between{From: q.ExpiresFrom, To: q.ExpiresTo}
	}
	if q.Own {
		param.PrescriberID = p.who.NIHII
	}
	if q.Newest {
		param.SortOptions = []protocol.SortedBy{{Attribute: protocol.ByPrescriptionDate, Order: protocol.Descending}}
	}
	all := pages(ctx, p.client, listing[*protocol.ListPrescriptionsResult]{
		op: listPrescriptions, result: func() *protocol.ListPrescriptionsResult { return &protocol.ListPrescriptionsResult{} },
		param: func(k protocol.Keyed, at protocol.Paged) protocol.Param {
			one := param
			one.Keyed, one.Page = k, at.Page
			return &one
		},
		more: func(r *protocol.ListPrescriptionsResult) protocol.More {
			return protocol.More{HasMoreResults: r.Partial != nil && r.Partial.HasMoreResults}
		},
	})
	return func(yield func(*Listed, error) bool) {
		shown := map[string]bool{} // the first page comes twice where pages are counted from 1
		for a, err := range all {
			if err != nil {
				yield(nil, err)
				return
			}
			if a.Result.Partial == nil {
				return
			}
			for _, l := range a.Result.Partial.Prescriptions {
				if rid := l.RID.Reveal(); rid != "" && shown[rid] {
					continue
				}
				shown[l.RID.Reveal()] = true
				if !yield(&Listed{ListedPrescription: l, Hidden: a.Result.Partial.HasHidden}, nil) {
					return
				}
			}
		}
	}
}

// ReceivedFeedback is what a pharmacy wrote about a prescription.
type ReceivedFeedback struct {
	RID    identity.RID
	SentBy identity.Private // number of the pharmacy
	SentAt time.Time
	Text   identity.Private
	Report *etee.Report // who sealed it
	Err    error        // it could not be opened; the others could
}

const shownReceivedFeedback = "recipe.ReceivedFeedback(redacted)"

// Format writes no content, whatever the verb.
func (ReceivedFeedback) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownReceivedFeedback) }

// LogValue holds no content.
func (ReceivedFeedback) LogValue() slog.Value { return slog.StringValue(shownReceivedFeedback) }

// MarshalJSON holds no content.
func (ReceivedFeedback) MarshalJSON() ([]byte, error) { return json.Marshal(shownReceivedFeedback) }

// Feedbacks lists what pharmacies wrote back. What read selects is not published (dossier 04 section 18).
func (p *Prescriber) Feedbacks(ctx context.Context, read bool) ([]ReceivedFeedback, error) {
	a, err := ask(ctx, p.client, question[*protocol.ListFeedbacksResult]{
		op: listFeedbacks, result: func() *protocol.ListFeedbacksResult { return &protocol.ListFeedbacksResult{} },
		param: func(k protocol.Keyed) protocol.Param { return &protocol.ListFeedbacksParam{ReadFlag: read, Keyed: k} },
	})
	if err != nil {
		return nil, err
	}
	out := make([]ReceivedFeedback, len(a.Result.Feedbacks))
	for i, f := range a.Result.Feedbacks {
		out[i] = ReceivedFeedback{RID: f.RID, SentBy: f.SentBy, SentAt: f.SentDate}
		s, err := p.openOwn(listFeedbacks.name, f.Content, received(f.SentDate))
		if err != nil {
			out[i].Err = err
			continue
		}
		v, _, err := protocol.DecodeFeedback(s.plain)
		if err != nil {
			out[i].Err = p.damaged(listFeedbacks.name, err)
			continue
		}
		out[i].Text, out[i].Report = v.Text, s.report
	}
	return out, nil
}
