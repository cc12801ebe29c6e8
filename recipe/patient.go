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
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// Patient speaks with Recip-e for one patient, who logs in himself, or whose mandate holder does: see [Patient.For]. It is safe for
// concurrent use.
type Patient struct {
	*client
	of identity.SSIN // the patient; who logs in, but for For
}

// NewPatient makes a client for the person who (whose SSIN is required). Nothing is asked.
func NewPatient(p Platform, who Caller, opts ...Option) (*Patient, error) {
	c, err := newClient(protocol.Patient, ServicePatient, p, who, opts)
	if err != nil {
		return nil, err
	}
	if who.SSIN.IsZero() {
		return nil, reason("recipe: a patient has a number of the national register")
	}
	return &Patient{c, who.SSIN}, nil
}

// Config returns the resolved configuration.
func (p *Patient) Config() Config { return p.conf }

const errNotFor reason = "recipe: nobody else can be named in this question: a mandate holder cannot ask it for a patient"

// For returns the client of somebody who gave whoever logs in here a mandate (see [Patient.Relate]; [Patient.Relations] of the patient
// lists them). The mandate holder stays who he is: his token, his keys. Recip-e judges whether there is a mandate that is in force,
// at every question; when there is none it refuses. The zero number is not a patient's: an error of Kind Invalid.
//
// OpenRIDs, Prescriptions, Get, Revoke and SetFeedback name the patient in patientId of the param (dossier 04 section 7.3). Status,
// Vision, PutVision and Reserve name the prescription alone. The other questions fail with Kind Invalid and are not sent: History
// cannot name a patient, so that the answer would be about the mandate holder; mandates are the patient's own to give, list and
// take back.
//
// What is not published: whether more than patientId is wanted of a mandate holder, and whether he can open what was prescribed. Keys are
// for prescribers, pharmacies and the patient (dossier 04 section 9.3), so that Get may return a PatientFetched without
// Message and an error of Kind Denied.
func (p *Patient) For(patient identity.SSIN) (*Patient, error) {
	if patient.IsZero() {
		return nil, p.invalid("recipe.patient.For", ErrRequest)
	}
	return &Patient{p.client, patient}, nil
}

// himself refuses what a mandate holder cannot do for the patient.
func (p *Patient) himself(op operation) error {
	if p.of.Reveal() == p.who.SSIN.Reveal() {
		return nil
	}
	return p.invalid(op.name, errNotFor)
}

func patientOp(name string) operation { return operate(protocol.Patient, name, NoticeDown) }

// The operations of a patient (dossier 04 section 4.3).
var (
	opPatientOpen         = patientOp("listOpenRids")
	opPatientList         = patientOp("listOpenPrescriptions")
	opPatientGet          = patientOp("getPrescription")
	opPatientStatus       = patientOp("getPrescriptionStatus")
	opPatientHistory      = patientOp("listRidsHistory")
	opPatientRevoke       = patientOp("revokePrescription")
	opPatientFeedbackFlag = patientOp("putFeedbackFlag")
	opPatientVision       = patientOp("putVisionForPatient")
	opPatientGetVision    = patientOp("getVision")
	opPatientReserve      = patientOp("createReservation")
	opPatientRelations    = patientOp("listRelations")
	opPatientRelate       = patientOp("createRelation")
	opPatientUnrelate     = patientOp("revokeRelation")
)

func (p *Patient) party() protocol.Party { return protocol.Party{PatientID: p.of} }

// OpenRIDs goes through the patient's open prescriptions with who finds them and where they are reserved, all pages.
func (p *Patient) OpenRIDs(ctx context.Context) iter.Seq2[protocol.OpenRid, error] {
	return p.own(each(pages(ctx, p.client, listing[*protocol.ListOpenRidsResult]{
		op: opPatientOpen, result: func() *protocol.ListOpenRidsResult { return new(protocol.ListOpenRidsResult) },
		param: func(k protocol.Keyed, at protocol.Paged) protocol.Param {
			return &protocol.ListOpenRidsParam{Party: p.party(), Keyed: k, Paged: at}
		},
		more: func(r *protocol.ListOpenRidsResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListOpenRidsResult], yield func(protocol.OpenRid) bool) {
		for _, i := range a.Result.Items {
			if !yield(i) {
				return
			}
		}
	}))
}

// own ends a list with [ErrWrongAsker] where it names another patient: then Recip-e listed for somebody else than it was asked for.
func (p *Patient) own(all iter.Seq2[protocol.OpenRid, error]) iter.Seq2[protocol.OpenRid, error] {
	return func(yield func(protocol.OpenRid, error) bool) {
		for r, err := range all {
			if err == nil && !p.isOf(r.PatientID) {
				yield(protocol.OpenRid{}, p.damaged(opPatientOpen.name, ErrWrongAsker))
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// isOf tells that an answer is about the patient, as far as it names one.
func (p *Patient) isOf(named identity.Private) bool {
	return named.IsZero() || named.Reveal() == p.of.Reveal()
}

// Prescriptions goes through the patient's open prescriptions with their prescribers, all pages.
func (p *Patient) Prescriptions(ctx context.Context) iter.Seq2[protocol.PatientPrescription, error] {
	return each(pages(ctx, p.client, listing[*protocol.ListPatientPrescriptionsResult]{
		op: opPatientList, result: func() *protocol.ListPatientPrescriptionsResult { return new(protocol.ListPatientPrescriptionsResult) },
		param: func(k protocol.Keyed, at protocol.Paged) protocol.Param {
			return &protocol.ListPatientPrescriptionsParam{Party: p.party(), Keyed: k, Paged: at}
		},
		more: func(r *protocol.ListPatientPrescriptionsResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListPatientPrescriptionsResult], yield func(protocol.PatientPrescription) bool) {
		for _, i := range a.Result.Prescriptions {
			if !yield(i) {
				return
			}
		}
	})
}

// PatientFetched is a prescription for its patient. No way of printing it shows anything of it.
type PatientFetched struct {
	RID             identity.RID
	Type            identity.PrescriptionType
	Created         time.Time
	Expires         time.Time // the beginning of its last day in Belgium
	Prescriber      identity.Private
	FeedbackAllowed bool
	Message         *kmehr.Message // nil when it could not be opened
	Seal            *etee.Report   // who sealed it
}

const shownPatientFetched = "recipe.PatientFetched(redacted)"

// Format writes a fixed text whatever the verb.
func (PatientFetched) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownPatientFetched) }

// LogValue returns a fixed text.
func (PatientFetched) LogValue() slog.Value { return slog.StringValue(shownPatientFetched) }

// MarshalJSON writes a fixed text.
func (PatientFetched) MarshalJSON() ([]byte, error) { return json.Marshal(shownPatientFetched) }

// Get fetches a prescription and opens it. When it came and cannot be opened, there is a PatientFetched without Message
// together with the error.
func (p *Patient) Get(ctx context.Context, rid identity.RID) (*PatientFetched, error) {
	op := opPatientGet
	if rid.IsZero() {
		return nil, p.noRID(op)
	}
	a, err := ask(ctx, p.client, p.getQuestion(rid))
	if err != nil {
		return nil, err
	}
	f := fetchedOf(rid, &a.Result.Fetched)
	out := &PatientFetched{
		RID: rid, Type: f.Type, Created: f.Created, Expires: f.Expires, Prescriber: f.Prescriber, FeedbackAllowed: f.FeedbackAllowed,
	}
	x := &Executor{client: p.client} // opens the same forms
	err = x.openFetched(ctx, op.name, f)
	out.Message, out.Seal = f.Message, f.Seal
	return out, err
}

func (p *Patient) getQuestion(rid identity.RID) question[*protocol.GetPrescriptionForPatientResult] {
	return question[*protocol.GetPrescriptionForPatientResult]{
		op: opPatientGet, result: func() *protocol.GetPrescriptionForPatientResult { return new(protocol.GetPrescriptionForPatientResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.GetPrescriptionForPatientParam{Party: p.party(), RID: rid, Keyed: k, Version: stampedVersion}
		},
		about: func(r *protocol.GetPrescriptionForPatientResult) bool {
			return concerns(r.RID, rid) && p.isOf(r.PatientID)
		},
	}
}

// Status asks where a prescription stands.
func (p *Patient) Status(ctx context.Context, rid identity.RID) (*Standing, error) {
	return p.status(ctx, opPatientStatus, rid, protocol.Party{})
}

// History goes through the patient's prescriptions with their state, all pages: the active ones, or those that are over.
func (p *Patient) History(ctx context.Context, active bool) iter.Seq2[protocol.RidStatus, error] {
	if err := p.himself(opPatientHistory); err != nil {
		return failing[protocol.RidStatus](err)
	}
	return ridHistory(ctx, p.client, opPatientHistory, protocol.Party{}, active)
}

// Revoke takes a prescription away for good. The reason is free text, and required. That it is revoked already is a success;
// a state that forbids it is a [*StateError].
func (p *Patient) Revoke(ctx context.Context, rid identity.RID, why identity.Private) error {
	return p.revokeAs(ctx, opPatientRevoke, rid, why, p.party())
}

// SetFeedback allows or forbids feedback to the prescriber. It can be repeated: the last one counts.
func (p *Patient) SetFeedback(ctx context.Context, rid identity.RID, allow bool) error {
	return askAbout(ctx, p.client, rid, question[*protocol.UpdateFeedbackFlagResult]{
		op: opPatientFeedbackFlag, result: func() *protocol.UpdateFeedbackFlagResult { return new(protocol.UpdateFeedbackFlagResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.UpdateFeedbackFlagParam{Party: p.party(), RID: rid, AllowFeedback: allow, Keyed: k}
		},
	})
}

// PutVision says which pharmacies find a prescription: all, none, or one. It can be repeated: the last one counts.
func (p *Patient) PutVision(ctx context.Context, rid identity.RID, v protocol.Vision) error {
	if err := protocol.CheckVision(protocol.Patient, v); err != nil {
		return p.invalid(opPatientVision.name, err)
	}
	return askAbout(ctx, p.client, rid, question[*protocol.PutVisionResult]{
		op: opPatientVision, result: func() *protocol.PutVisionResult { return new(protocol.PutVisionResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.PutVisionParam{RID: rid, Vision: &v, Keyed: k}
		},
	})
}

// Vision asks which pharmacies find a prescription.
func (p *Patient) Vision(ctx context.Context, rid identity.RID) (protocol.Vision, error) {
	if rid.IsZero() {
		return "", p.noRID(opPatientGetVision)
	}
	a, err := ask(ctx, p.client, question[*protocol.GetVisionResult]{
		op: opPatientGetVision, result: func() *protocol.GetVisionResult { return new(protocol.GetVisionResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.GetVisionParam{RID: rid, Keyed: k}
		},
	})
	if err != nil {
		return "", err
	}
	return a.Result.Vision, nil
}

// Relations goes through the patient's mandates: who may fetch what is prescribed to the patient; all pages.
func (p *Patient) Relations(ctx context.Context) iter.Seq2[protocol.Relation, error] {
	if err := p.himself(opPatientRelations); err != nil {
		return failing[protocol.Relation](err)
	}
	return relationList(ctx, p.client, opPatientRelations, p.party(), identity.SSIN{})
}

// Mandate lets somebody fetch what is prescribed to the patient.
type Mandate struct {
	Holder              identity.SSIN
	FirstName, LastName identity.Private // of the patient
	Until               time.Time        // zero = no end
}

// Reserve asks a pharmacy to keep a prescription ready, unless it does already. When an answer was lost, the list tells
// whether it was carried out (dossier 04 section 14.3); the error is of Outcome Unknown only when the list cannot be had.
func (p *Patient) Reserve(ctx context.Context, rid identity.RID, pharmacy identity.NIHII) error {
	op := opPatientReserve
	switch {
	case rid.IsZero():
		return p.noRID(op)
	case pharmacy.IsZero():
		return p.invalid(op.name, ErrRequest)
	}
	return reconciled(func() (bool, error) { return p.reservedAt(ctx, rid, pharmacy) }, func() error {
		return askAbout(ctx, p.client, rid, question[*protocol.CreateReservationResult]{
			op: op, result: func() *protocol.CreateReservationResult { return new(protocol.CreateReservationResult) },
			param: func(k protocol.Keyed) protocol.Param {
				return &protocol.CreateReservationParam{RID: rid, ExecutorID: pharmacy, Keyed: k}
			},
		})
	})
}

func (p *Patient) reservedAt(ctx context.Context, rid identity.RID, pharmacy identity.NIHII) (bool, error) {
	for r, err := range p.OpenRIDs(ctx) {
		if err != nil {
			return false, err
		}
		if r.RID.Reveal() == rid.Reveal() {
			return protocol.SameNIHII(r.ReservedAtNIHII, pharmacy), nil
		}
	}
	return false, nil
}

// Relate makes a mandate, unless there is one already; as Reserve when an answer was lost.
func (p *Patient) Relate(ctx context.Context, m Mandate) error {
	op := opPatientRelate
	if m.Holder.IsZero() || m.FirstName.IsZero() || m.LastName.IsZero() {
		return p.invalid(op.name, ErrRequest)
	}
	if err := p.himself(op); err != nil {
		return err
	}
	return reconciled(func() (bool, error) { return p.related(ctx, m.Holder) }, func() error {
		_, err := ask(ctx, p.client, question[*protocol.CreateRelationResult]{
			op: op, result: func() *protocol.CreateRelationResult { return new(protocol.CreateRelationResult) },
			param: func(k protocol.Keyed) protocol.Param {
				return &protocol.CreateRelationParam{
					Party: p.party(), PatientFirstname: m.FirstName, PatientLastname: m.LastName, MandateHolderID: m.Holder, EndDate: m.Until, Keyed: k,
				}
			},
		})
		return err
	})
}

// Unrelate takes a mandate back, if there is one; as Reserve when an answer was lost.
func (p *Patient) Unrelate(ctx context.Context, holder identity.SSIN) error {
	op := opPatientUnrelate
	if holder.IsZero() {
		return p.invalid(op.name, ErrRequest)
	}
	if err := p.himself(op); err != nil {
		return err
	}
	gone := func() (bool, error) {
		there, err := p.related(ctx, holder)
		return !there && err == nil, err
	}
	return reconciled(gone, func() error {
		_, err := ask(ctx, p.client, question[*protocol.RevokeRelationResult]{
			op: op, result: func() *protocol.RevokeRelationResult { return new(protocol.RevokeRelationResult) },
			param: func(k protocol.Keyed) protocol.Param {
				return &protocol.RevokeRelationParam{Party: p.party(), MandateHolderID: holder, Keyed: k}
			},
		})
		return err
	})
}

func (p *Patient) related(ctx context.Context, holder identity.SSIN) (bool, error) {
	for r, err := range p.Relations(ctx) {
		if err != nil {
			return false, err
		}
		if inForce(r, holder, time.Now()) {
			return true, nil
		}
	}
	return false, nil
}

// inForce tells that a mandate is that of the holder and has not ended: whether lists leave out those that have is not published.
func inForce(r protocol.Relation, holder identity.SSIN, now time.Time) bool {
	return r.MandateHolderID.Reveal() == holder.Reveal() && (r.EndDate.IsZero() || now.Before(r.EndDate))
}

// reconciled writes unless the list says that it is so already, and asks the list again when the answer was lost. That the
// list does not show it then says nothing for certain: it may lag behind, or the request may still be under way.
func reconciled(there func() (bool, error), write func() error) error {
	done, err := there()
	if err != nil {
		return unsent(err)
	}
	if done {
		return nil
	}
	err = write()
	if err == nil || fault.OutcomeOf(err) != fault.Unknown {
		return err
	}
	if done, again := there(); again == nil && done {
		return nil
	}
	return err
}

// unsent says of a write what an error says of the question that had to come before it: whatever became of that, nothing was
// written.
func unsent(err error) error {
	return outcome(err, fault.NotSent)
}
