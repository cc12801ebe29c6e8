package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// OpenPrescription is a prescription that a pharmacy found by its patient.
type OpenPrescription struct {
	Fetched
	State protocol.PrescriptionStatus
	// Err is why its content is not here: its own status, a key that was refused, or damage. Other prescriptions of the list
	// are not touched by it.
	Err error
}

const shownOpen = "recipe.OpenPrescription(redacted)"

// Format writes a fixed text whatever the verb.
func (OpenPrescription) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownOpen) }

// LogValue returns a fixed text.
func (OpenPrescription) LogValue() slog.Value { return slog.StringValue(shownOpen) }

// MarshalJSON writes a fixed text.
func (OpenPrescription) MarshalJSON() ([]byte, error) { return json.Marshal(shownOpen) }

// OpenPrescriptions goes through the open prescriptions of a patient with their content, all pages. mandateHolder is who asks
// for the patient; zero = the patient. What cannot be opened comes with its Err; an error of the list ends it.
func (x *Executor) OpenPrescriptions(ctx context.Context, patient, mandateHolder identity.SSIN) iter.Seq2[OpenPrescription, error] {
	party := x.party()
	party.PatientID = patient
	if patient.IsZero() && mandateHolder.IsZero() {
		return failing[OpenPrescription](x.invalid(opExecutorOpen.name, ErrRequest))
	}
	return each(pages(ctx, x.client, listing[*protocol.ListOpenPrescriptionsResult]{
		op: opExecutorOpen, result: func() *protocol.ListOpenPrescriptionsResult { return new(protocol.ListOpenPrescriptionsResult) },
		param: func(k protocol.Keyed, p protocol.Paged) protocol.Param {
			return &protocol.ListOpenPrescriptionsParam{Party: party, Keyed: k, MandateHolderID: mandateHolder, Paged: p}
		},
		more: func(r *protocol.ListOpenPrescriptionsResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListOpenPrescriptionsResult], yield func(OpenPrescription) bool) {
		for i := range a.Result.Prescriptions {
			if !yield(x.opened(ctx, &a.Result.Prescriptions[i])) {
				return
			}
		}
	})
}

// opened opens one prescription of a list.
func (x *Executor) opened(ctx context.Context, p *protocol.OpenPrescription) OpenPrescription {
	out := OpenPrescription{Fetched: *fetchedOf(p.RID, &p.Fetched), State: p.PrescriptionStatus}
	status := p.Outcome()
	switch {
	case !status.OK():
		out.Err = &fault.Error{
			Op: opExecutorOpen.name, Service: x.service, Kind: fault.Invalid, Outcome: fault.Rejected, Code: status.SafeCode(), Err: &RefusedError{*status},
		}
	case out.Document != nil: // some lists leave the content out
		out.Err = x.openFetched(ctx, opExecutorOpen.name, &out.Fetched)
	}
	return out
}

// RIDsInProcess goes through the prescriptions that this pharmacy has in process, all pages.
func (x *Executor) RIDsInProcess(ctx context.Context) iter.Seq2[identity.RID, error] {
	return each(pages(ctx, x.client, listing[*protocol.ListRidsInProcessResult]{
		op: opExecutorInProcess, result: func() *protocol.ListRidsInProcessResult { return new(protocol.ListRidsInProcessResult) },
		param: func(k protocol.Keyed, p protocol.Paged) protocol.Param {
			return &protocol.ListRidsInProcessParam{Party: x.party(), Keyed: k, Paged: p}
		},
		more: func(r *protocol.ListRidsInProcessResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListRidsInProcessResult], yield func(identity.RID) bool) {
		for _, rid := range a.Result.RIDs {
			if !yield(rid) {
				return
			}
		}
	})
}

// History goes through prescriptions of a patient with their state, all pages: the active ones, or those that are over.
func (x *Executor) History(ctx context.Context, patient identity.SSIN, active bool) iter.Seq2[protocol.RidStatus, error] {
	party := x.party()
	party.PatientID = patient
	return ridHistory(ctx, x.client, opExecutorHistory, party, active)
}

func ridHistory(ctx context.Context, c *client, op operation, party protocol.Party, active bool) iter.Seq2[protocol.RidStatus, error] {
	return each(pages(ctx, c, listing[*protocol.ListRidsHistoryResult]{
		op: op, result: func() *protocol.ListRidsHistoryResult { return new(protocol.ListRidsHistoryResult) },
		param: func(k protocol.Keyed, p protocol.Paged) protocol.Param {
			return &protocol.ListRidsHistoryParam{Party: party, Keyed: k, ActiveResults: active, Paged: p}
		},
		more: func(r *protocol.ListRidsHistoryResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListRidsHistoryResult], yield func(protocol.RidStatus) bool) {
		for _, s := range a.Result.Items {
			if !yield(s) {
				return
			}
		}
	})
}

// Reservation is a prescription that a patient asked this pharmacy to keep ready. How to reach the patient is in it.
type Reservation struct {
	protocol.Reservation
	// Prescription is the prescription itself, opened as in OpenPrescriptions; nil when the list left it out.
	Prescription *OpenPrescription
}

const shownReservation = "recipe.Reservation(redacted)"

// Format writes a fixed text whatever the verb.
func (Reservation) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownReservation) }

// LogValue returns a fixed text.
func (Reservation) LogValue() slog.Value { return slog.StringValue(shownReservation) }

// MarshalJSON writes a fixed text.
func (Reservation) MarshalJSON() ([]byte, error) { return json.Marshal(shownReservation) }

// Reservations goes through the reservations at this pharmacy since a time, all pages.
func (x *Executor) Reservations(ctx context.Context, since time.Time) iter.Seq2[Reservation, error] {
	if since.IsZero() {
		return failing[Reservation](x.invalid(opExecutorReserved.name, ErrRequest))
	}
	return each(pages(ctx, x.client, listing[*protocol.ListReservationsResult]{
		op: opExecutorReserved, result: func() *protocol.ListReservationsResult { return new(protocol.ListReservationsResult) },
		param: func(k protocol.Keyed, p protocol.Paged) protocol.Param {
			return &protocol.ListReservationsParam{Party: x.party(), Keyed: k, StartDate: since, Paged: p}
		},
		more: func(r *protocol.ListReservationsResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListReservationsResult], yield func(Reservation) bool) {
		for _, r := range a.Result.Items {
			out := Reservation{Reservation: r}
			if r.Prescription != nil {
				p := x.opened(ctx, r.Prescription)
				out.Prescription = &p
			}
			out.Reservation.Prescription = nil // sealed: opened it is above
			if !yield(out) {
				return
			}
		}
	})
}

// Relations goes through the mandates of a mandate holder, all pages.
func (x *Executor) Relations(ctx context.Context, mandateHolder identity.SSIN) iter.Seq2[protocol.Relation, error] {
	if mandateHolder.IsZero() {
		return failing[protocol.Relation](x.invalid(opExecutorRelations.name, ErrRequest))
	}
	return relationList(ctx, x.client, opExecutorRelations, x.party(), mandateHolder)
}

func relationList(ctx context.Context, c *client, op operation, party protocol.Party, holder identity.SSIN) iter.Seq2[protocol.Relation, error] {
	return each(pages(ctx, c, listing[*protocol.ListRelationsResult]{
		op: op, result: func() *protocol.ListRelationsResult { return new(protocol.ListRelationsResult) },
		param: func(k protocol.Keyed, p protocol.Paged) protocol.Param {
			return &protocol.ListRelationsParam{Party: party, Keyed: k, MandateHolderID: holder, Paged: p}
		},
		more: func(r *protocol.ListRelationsResult) protocol.More { return r.More },
	}), func(a *answered[*protocol.ListRelationsResult], yield func(protocol.Relation) bool) {
		for _, r := range a.Result.Items {
			if !yield(r) {
				return
			}
		}
	})
}

// each goes through the entries of pages.
func each[R protocol.Result, T any](all iter.Seq2[*answered[R], error], entries func(*answered[R], func(T) bool)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for a, err := range all {
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			on := true
			entries(a, func(v T) bool {
				on = on && yield(v, nil)
				return on
			})
			if !on {
				return
			}
		}
	}
}

// failing is a list that is an error.
func failing[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}
