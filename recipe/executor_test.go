package recipe

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// What is not complete is refused before anything is sent: these clients have no platform.
func TestRefusedBeforeSending(t *testing.T) {
	x := &Executor{client: &client{role: protocol.Executor, service: ServiceExecutor, who: Caller{NIHII: identity.MustNIHII("20000014")}}}
	p := &Patient{client: &client{role: protocol.Patient, service: ServicePatient, who: Caller{SSIN: identity.MustSSIN("00000000196")}}, of: identity.MustSSIN("00000000196")}
	d, err := NewDispenser(x)
	if err != nil {
		t.Fatal(err)
	}
	ctx, none, rid := t.Context(), identity.RID{}, someRIDs(t, 1)[0]
	second := func(_ any, err error) error { return err }
	listed := func(err error) error { return err }
	var fromOpen, fromReserved, fromRelations error
	for _, fromOpen = range x.OpenPrescriptions(ctx, identity.SSIN{}, identity.SSIN{}) {
	}
	for _, fromReserved = range x.Reservations(ctx, time.Time{}) {
	}
	for _, fromRelations = range x.Relations(ctx, identity.SSIN{}) {
	}
	for name, err := range map[string]error{
		"get":           second(x.Get(ctx, none)),
		"status":        second(x.Status(ctx, none)),
		"deliver":       x.Deliver(ctx, none),
		"archive":       x.Archive(ctx, none),
		"undeliver":     x.Undeliver(ctx, none),
		"revoke":        x.Revoke(ctx, none, identity.Hide("why")),
		"revoke, why":   x.Revoke(ctx, rid, identity.Private{}),
		"reserve":       second(x.Reserve(ctx, nil)),
		"reserve zero":  second(x.ReserveAll(ctx, []identity.RID{none})),
		"open":          second(x.Open(ctx, nil)),
		"feedback":      x.Feedback(ctx, Feedback{RID: rid, Prescriber: identity.MustNIHII("10000007004")}),
		"long feedback": x.Feedback(ctx, Feedback{RID: rid, Prescriber: identity.MustNIHII("10000007004"), Text: identity.Hide(strings.Repeat("x", maxNote+1))}),
		"list":          listed(fromOpen), "reservations": listed(fromReserved), "relations": listed(fromRelations),
		"patient get": second(p.Get(ctx, none)), "vision": second(p.Vision(ctx, none)), "put vision": p.PutVision(ctx, rid, "everybody"),
		"put vision of none": p.PutVision(ctx, none, protocol.VisionLocked), "relate": p.Relate(ctx, Mandate{}), "unrelate": p.Unrelate(ctx, identity.SSIN{}),
		"reserve none": p.Reserve(ctx, none, identity.MustNIHII("20000014")), "patient status": second(p.Status(ctx, none)),
		"patient revoke": p.Revoke(ctx, none, identity.Hide("why")), "feedback flag": p.SetFeedback(ctx, none, true),
		"dispense":           second(d.Dispense(ctx, Dispensing{})),
		"dispense without":   second(d.Dispense(ctx, Dispensing{RID: rid})),
		"another's document": second(d.Dispense(ctx, Dispensing{RID: rid, Fetched: &Fetched{RID: someRIDs(t, 2)[1]}})),
		"waiting":            second(d.Waiting(ctx)), "acknowledge": d.Acknowledge(ctx, Report{}), "queued feedback": d.Feedback(ctx, "", Feedback{}),
	} {
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Invalid || e.Outcome != fault.NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewDispenser(nil); err == nil {
		t.Error("a dispenser of nothing")
	}
	if _, err := NewExecutor(Platform{}, Caller{}); err == nil {
		t.Error("an executor of nobody")
	}
	if _, err := NewPatient(Platform{}, Caller{}); err == nil {
		t.Error("a patient of nothing")
	}
}

// A write that is looked up first, and again when its answer was lost.
func TestReconciled(t *testing.T) {
	lost, refused := failed(fault.Timeout, fault.Unknown), failed(fault.Invalid, fault.Rejected)
	type look struct {
		there bool
		err   error
	}
	for name, c := range map[string]struct {
		looks  []look
		write  error
		writes int
		end    fault.Outcome // Done = no error
	}{
		"there already":       {[]look{{true, nil}}, nil, 0, fault.Done},
		"written":             {[]look{{false, nil}}, nil, 1, fault.Done},
		"list is down":        {[]look{{false, lost}}, nil, 0, fault.NotSent},
		"refused":             {[]look{{false, nil}}, refused, 1, fault.Rejected},
		"lost and there":      {[]look{{false, nil}, {true, nil}}, lost, 1, fault.Done},
		"lost and not there":  {[]look{{false, nil}, {false, nil}}, lost, 1, fault.Unknown},
		"lost and not known":  {[]look{{false, nil}, {false, lost}}, lost, 1, fault.Unknown},
		"lost, list lies too": {[]look{{false, nil}, {true, lost}}, lost, 1, fault.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			looks, writes := 0, 0
			err := reconciled(func() (bool, error) {
				looks++
				return c.looks[looks-1].there, c.looks[looks-1].err
			}, func() error {
				writes++
				return c.write
			})
			if writes != c.writes || looks != len(c.looks) || (err == nil) != (c.end == fault.Done) || err != nil && fault.OutcomeOf(err) != c.end {
				t.Errorf("%d writes, %d looks, %v", writes, looks, err)
			}
		})
	}
}

// A refusal because of the state is a success when the state is the one that was wanted and the caller caused it.
func TestMarked(t *testing.T) {
	c := &client{who: Caller{NIHII: identity.MustNIHII("20000014")}}
	for _, r := range []struct {
		want, is protocol.PrescriptionStatus
		by       string
		ok       bool
		twice    bool
	}{
		{protocol.Delivered, protocol.Delivered, "20000014", true, false},
		{protocol.Delivered, protocol.Delivered, "20000014000", true, false},
		{protocol.Delivered, protocol.Delivered, "2000.0014", true, false},
		{protocol.Delivered, protocol.Delivered, "20000113", false, true},
		{protocol.Delivered, protocol.Delivered, "", false, false},
		{protocol.Delivered, protocol.Archived, "20000014", false, false},
		{protocol.Delivered, protocol.Archived, "20000113", false, true},
		{protocol.Delivered, protocol.InProcess, "20000113", false, false},
		{protocol.Archived, protocol.Archived, "20000014", true, false},
		{protocol.Archived, protocol.Delivered, "20000113", false, true},
		{protocol.Revoked, protocol.Revoked, "10000007004", true, false},
		{protocol.Revoked, protocol.Delivered, "20000113", false, true},
		{protocol.NotDelivered, protocol.NotDelivered, "20000113", true, false},
		{protocol.NotDelivered, protocol.NotDelivered, "", true, false},
		{"", protocol.Delivered, "20000014", false, false},
	} {
		t.Run(fmt.Sprint(r.want, " ", r.is, " ", r.by), func(t *testing.T) {
			given := &fault.Error{Kind: fault.Conflict, Outcome: fault.Rejected, Err: &StateError{State: r.is, Updater: identity.Hide(r.by)}}
			err := marked(c, someRIDs(t, 1)[0], r.want, given)
			if (err == nil) != r.ok {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			state, _ := errors.AsType[*StateError](err)
			if state.Twice != r.twice || (given.Notice == NoticeTwice) != r.twice {
				t.Errorf("twice %v, notice %q", state.Twice, given.Notice)
			}
		})
	}
	if err := marked(c, identity.RID{}, protocol.Delivered, nil); err != nil {
		t.Error(err)
	}
}

// Words of programs are stable, and no value has none.
func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		ConflictTwice.String(): "twice", Conflict(0).String(): "none", ConflictTooLate.String(): "too late", Conflict(99).String(): "conflict(?)",
		DifferentMissing.String(): "missing", DifferentQuantity.String(): "quantity", DifferenceKind(9).String(): "?",
		StampVerified.String(): "verified", Stamp(9).String(): "stamp(?)", DispensedQueued.String(): "queued",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
