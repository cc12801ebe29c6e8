package recipe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// stampedVersion asks for the time-stamped form of a prescription (dossier 04 section 7.1).
const stampedVersion = "v2"

// Document is a prescription as Recip-e gave it to a pharmacy: sealed, and mostly with the token of its prescriber, signed
// and time-stamped. It is what a pharmacy archives; its bytes must not change. No way of printing it shows them.
type Document struct {
	raw     []byte
	keyID   string
	created time.Time // when Recip-e took it in
}

// NewDocument makes a Document of what [Document.Bytes] and [Document.KeyID] returned.
func NewDocument(raw []byte, keyID string, created time.Time) *Document {
	return &Document{raw: bytes.Clone(raw), keyID: keyID, created: created}
}

// Bytes returns a copy of the document.
func (d *Document) Bytes() []byte { return bytes.Clone(d.raw) }

// KeyID names the key of the key service that opens it.
func (d *Document) KeyID() string { return d.keyID }

// Created is when Recip-e took the prescription in.
func (d *Document) Created() time.Time { return d.created }

// Timestamped tells whether it is the signed form.
func (d *Document) Timestamped() bool { return protocol.IsTimestamped(d.raw) }

const (
	shownDocument = "recipe.Document(redacted)"
	shownFetched  = "recipe.Fetched(redacted)"
)

// Format writes a fixed text whatever the verb.
func (Document) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownDocument) }

// LogValue returns a fixed text.
func (Document) LogValue() slog.Value { return slog.StringValue(shownDocument) }

// MarshalJSON writes a fixed text: use Bytes to store it.
func (Document) MarshalJSON() ([]byte, error) { return json.Marshal(shownDocument) }

// Fetched is a prescription for a pharmacy. No way of printing it shows anything of it.
type Fetched struct {
	RID             identity.RID
	Type            identity.PrescriptionType
	Created         time.Time
	Expires         time.Time // the beginning of its last day in Belgium
	Patient         identity.Private
	Prescriber      identity.Private
	FeedbackAllowed bool
	TimestampingID  string
	KeyID           string
	// Document is the prescription as it came, for the archive; nil when the answer had none.
	Document *Document
	// Message is what was prescribed; nil when it could not be opened.
	Message *kmehr.Message
	// Seal is who sealed it.
	Seal *etee.Report
	// Stamp tells about the signature of the Document.
	Stamp Stamp
	// Insurability is the element GetInsurabilityForPharmacistResponse as it came (of namespace
	// urn:be:fgov:ehealth:insurability:protocol:v2 in its content), as a document of its own; nil when it was not asked for.
	Insurability []byte
}

// Format writes a fixed text whatever the verb.
func (Fetched) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownFetched) }

// LogValue returns a fixed text.
func (Fetched) LogValue() slog.Value { return slog.StringValue(shownFetched) }

// MarshalJSON writes a fixed text.
func (Fetched) MarshalJSON() ([]byte, error) { return json.Marshal(shownFetched) }

// Get fetches a prescription and takes it into process for this pharmacy. It can be repeated by the same pharmacy.
//
// When the prescription came and cannot be opened, or something about it is wrong, there is a Fetched together with the error:
// without Message when its key was refused (Kind Denied) or the key service does not answer (the Document can be opened later,
// see [Executor.Open]), with Message after an [*AuthorMismatchError] or a [*StampError], which are alarms (Kind Security): it
// must not be dispensed before somebody has asked the prescriber.
func (x *Executor) Get(ctx context.Context, rid identity.RID) (*Fetched, error) {
	return x.get(ctx, rid, true)
}

// GetWithInsurability is Get, and asks Recip-e to ask for the insurability of the patient too.
func (x *Executor) GetWithInsurability(ctx context.Context, rid identity.RID) (*Fetched, error) {
	return x.get(ctx, rid, false)
}

func (x *Executor) get(ctx context.Context, rid identity.RID, alone bool) (*Fetched, error) {
	op := opExecutorGet
	if rid.IsZero() {
		return nil, x.noRID(op)
	}
	a, err := ask(ctx, x.client, x.getQuestion(rid, alone))
	if err != nil {
		// Nobody needs to know whether it is in process: fetching it again tells. That Recip-e cannot read the question says
		// nothing about the prescription either.
		if e, ok := errors.AsType[*fault.Error](err); ok && (e.Kind.Temporary() && e.Notice == NoticeUnsure || wrongToken(err)) {
			e.Notice = NoticeProof
		}
		return nil, marked(x.client, rid, "", err)
	}
	r := a.Result
	out := fetchedOf(rid, &r.Fetched)
	out.TimestampingID = r.TimestampingID
	if out.Type == "" {
		out.Type = identity.PrescriptionType(a.Response.PrescriptionType)
	}
	out.Insurability = standalone(a.Response.Insurability)
	return out, x.openFetched(ctx, op.name, out)
}

func (x *Executor) getQuestion(rid identity.RID, alone bool) question[*protocol.GetPrescriptionForExecutorResult] {
	return question[*protocol.GetPrescriptionForExecutorResult]{
		op: opExecutorGet, result: func() *protocol.GetPrescriptionForExecutorResult {
			return new(protocol.GetPrescriptionForExecutorResult)
		},
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.GetPrescriptionForExecutorParam{Party: x.party(), RID: rid, Keyed: k, Version: stampedVersion}
		},
		about: func(r *protocol.GetPrescriptionForExecutorResult) bool { return concerns(r.RID, rid) },
		clear: func(r *protocol.Request) { r.DisableInsurabilityCheck = alone },
	}
}

// concerns tells that an answer is about the prescription that was asked for, as far as it names one. Of an answer about another
// one nothing is shown.
func concerns(got, asked identity.RID) bool { return got.IsZero() || got.Reveal() == asked.Reveal() }

func fetchedOf(rid identity.RID, p *protocol.Fetched) *Fetched {
	out := &Fetched{
		RID: rid, Type: p.PrescriptionType, Created: p.CreationDate, Expires: p.ExpirationDate, Patient: p.PatientID, Prescriber: p.PrescriberID,
		FeedbackAllowed: p.FeedbackAllowed, KeyID: p.EncryptionKeyID,
	}
	if len(p.Prescription) > 0 {
		out.Document = NewDocument(p.Prescription, p.EncryptionKeyID, received(p.CreationDate))
	}
	return out
}

// standalone makes a document of an element within another one, nil of none.
func standalone(n *xmltree.Node) []byte {
	if n == nil {
		return nil
	}
	return c14n.Append(nil, n, c14n.Options{})
}

// Open opens a document that was fetched before, with its key: the same checks as in Get, the number of the prescriber in the
// answer excepted, which is not part of it.
func (x *Executor) Open(ctx context.Context, d *Document) (*Fetched, error) {
	if d == nil || len(d.raw) == 0 {
		return nil, x.invalid("recipe.executor.Open", ErrRequest)
	}
	out := &Fetched{KeyID: d.keyID, Created: d.created, Document: d}
	if err := x.openFetched(ctx, "recipe.executor.Open", out); err != nil {
		return out, err
	}
	return out, nil
}

// openFetched opens the document of f and compares who prescribed according to its parts.
func (x *Executor) openFetched(ctx context.Context, op string, f *Fetched) error {
	if f.Document == nil {
		return x.damaged(op, ErrAnswer)
	}
	sealed, keyID := f.Document.raw, f.KeyID
	var stamped *protocol.TimestampedPrescription
	if f.Document.Timestamped() {
		var err error
		if stamped, _, err = protocol.DecodeTimestamped(sealed); err != nil {
			return x.damaged(op, err)
		}
		if !f.RID.IsZero() && !stamped.RID.IsZero() && stamped.RID.Reveal() != f.RID.Reveal() {
			return x.damaged(op, ErrWrongAsker)
		}
		sealed = stamped.PrescriptionSealed
		if keyID == "" {
			keyID = stamped.EncryptionKeyID
		}
		if f.RID.IsZero() {
			f.RID = stamped.RID
		}
	}
	content, err := x.open(ctx, op, keyID, sealed, f.Document.created)
	if err != nil {
		return err
	}
	f.Seal = content.report
	if f.Message, err = kmehr.Parse(content.plain); err != nil {
		return x.damaged(op, err)
	}
	return x.alarm(op, x.checkStamp(f, stamped), checkAuthor(f, stamped))
}

// alarm puts what is wrong with a prescription that was read into one error.
func (x *Executor) alarm(op string, found ...error) error {
	if err := errors.Join(found...); err != nil {
		return &fault.Error{Op: op, Service: x.service, Kind: fault.Security, Outcome: fault.Done, Err: err}
	}
	return nil
}
