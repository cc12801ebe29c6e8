package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// The moves of the machine, pure: each changes a record or refuses. Whoever stores the result
// does so with compare-and-set, so a move is made on what the store holds or not at all.

// to changes the state; a move that the machine does not have is a defect and is refused.
func (r *record) to(s State, now time.Time, reason Reason) error {
	if !r.State.CanBecome(s) {
		return &StateError{ID: r.ID, State: r.State, Pending: r.Pending}
	}
	r.State, r.Changed, r.Reason = s, now, reason
	return nil
}

// begin writes down the intent of the next attempt. Its Expires is fixed here, before anything
// can pause, and lies neither beyond the lease nor beyond the item's own expiry.
func (r *record) begin(now, leaseEnd time.Time, p Policy) (Attempt, error) {
	if err := r.to(Sending, now, ""); err != nil {
		return Attempt{}, err
	}
	valid := earliest(now.Add(p.TTL), leaseEnd, r.Expires)
	r.Attempt++
	r.Pending, r.Asks = true, 0
	r.Begun, r.Valid, r.Horizon = now, valid, valid.Add(p.horizon())
	r.Due = leaseEnd
	r.History = append(r.History, Try{N: int(r.Attempt), Begun: now})
	if extra := len(r.History) - maxHistory; extra > 0 {
		r.History = append([]Try(nil), r.History[extra:]...)
	}
	return r.attempt(), nil
}

func (r *record) attempt() Attempt {
	return Attempt{ID: r.ID, N: int(r.Attempt), Begun: r.Begun, Expires: r.Valid}
}

// earliest ignores zero times.
func earliest(first time.Time, more ...time.Time) time.Time {
	for _, t := range more {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// ended writes what became of attempt n into the history.
func (r *record) ended(n int, now time.Time, o fault.Outcome, err error) {
	for i := range r.History {
		if t := &r.History[i]; t.N == n {
			t.Ended, t.Outcome, t.Failure = now, o, failureOf(err)
		}
	}
}

// current tells whether attempt n is the one whose outcome is open: the comparison of rule 3.
func (r *record) current(n int) bool { return r.Pending && int(r.Attempt) == n }

// concluded applies what the sender brought back from attempt n.
func (r *record) concluded(n int, err error, now time.Time, p Policy, jitter float64) error {
	o := fault.OutcomeOf(err)
	if !r.current(n) {
		if o == fault.Done && r.State != Done {
			r.Doubled = true // it happened after all: say so, do not hide it
		}
		return ErrStale
	}
	r.ended(n, now, o, err)
	if err != nil {
		r.Last = failureOf(err)
	}
	switch o {
	case fault.Done:
		return r.happened(now)
	case fault.Unknown:
		r.Due = now.Add(p.Ask)
		return r.to(Unknown, now, "")
	case fault.Rejected:
		return r.rejected(err, now, p, jitter)
	}
	return r.notSent(err, now, p, jitter)
}

func (r *record) happened(now time.Time) error {
	r.Pending, r.Fails, r.Due = false, 0, time.Time{}
	return r.to(Done, now, "")
}

// rejected: the service answered that it did not do it.
func (r *record) rejected(err error, now time.Time, p Policy, jitter float64) error {
	r.Pending = false
	switch fault.KindOf(err) {
	case fault.Throttled, fault.Unavailable, fault.Timeout, fault.Canceled, fault.Denied, 0:
		// May help later: a right may be given back, a service may recover. Not for ever.
		return r.again(err, now, p, jitter, true)
	}
	r.Due = time.Time{}
	return r.to(Rejected, now, ReasonRefused)
}

// notSent: nothing reached the service.
func (r *record) notSent(err error, now time.Time, p Policy, jitter float64) error {
	r.Pending = false
	switch fault.KindOf(err) {
	case fault.Throttled, fault.Unavailable, fault.Timeout, fault.Canceled, fault.Denied:
		return r.again(err, now, p, jitter, false) // an outage or a missing login: it waits
	case fault.Invalid, fault.NotFound, fault.Conflict:
		r.Due = time.Time{}
		return r.to(Parked, now, ReasonUnsendable)
	}
	return r.again(err, now, p, jitter, true)
}

// again makes the item ready after a pause; counted attempts are limited.
func (r *record) again(err error, now time.Time, p Policy, jitter float64, counted bool) error {
	r.Fails++
	if counted {
		r.Tries++
	}
	if p.Tries > 0 && r.Tries >= p.Tries {
		r.Due = time.Time{}
		return r.to(Parked, now, ReasonTries)
	}
	pause := p.backoff(r.Fails, jitter)
	if fe, ok := errors.AsType[*fault.Error](err); ok {
		if fe.Kind == fault.Canceled {
			pause = 0
		}
		pause = max(pause, min(fe.RetryAfter, 24*time.Hour))
	}
	r.Due = now.Add(pause)
	return r.to(Ready, now, "")
}

// lapsed: whoever was sending is gone, its lease is over.
func (r *record) lapsed(now time.Time) error {
	r.Due = now
	return r.to(Unknown, now, "")
}

// unresolvable applies what follows an unknown outcome for classes that cannot ask.
func (r *record) unresolvable(now time.Time, p Policy, jitter float64) error {
	if p.Class == resilience.IdempotentWrite {
		r.Pending = false
		r.ended(int(r.Attempt), now, fault.Unknown, r.Last.err("outbox"))
		return r.again(nil, now, p, jitter, true)
	}
	r.Due = time.Time{}
	return r.to(Parked, now, ReasonPerson)
}

// resolved applies an answer to the question that was sent at asked, about attempt n. "Not there"
// counts only when asked is after the horizon (rules 1 and 4) and n is still the open attempt
// (rule 3).
func (r *record) resolved(n int, v Verdict, err error, asked, now time.Time, p Policy, jitter float64) error {
	if !r.current(n) || r.State != Unknown {
		return ErrStale
	}
	if _, ok := err.(panicked); ok {
		r.Due = time.Time{}
		return r.to(Parked, now, ReasonPanic)
	}
	switch {
	case err == nil && v.Found == Happened:
		r.ended(n, now, fault.Done, nil)
		return r.happened(now)
	case err == nil && v.Found == NotThere && asked.After(r.Horizon):
		r.Pending = false
		r.ended(n, now, fault.NotSent, nil)
		return r.again(nil, now, p, jitter, true)
	}
	if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Kind == fault.Canceled && fe.RetryAfter > 0 && now.Sub(r.Horizon) < absent {
		r.Due = now.Add(min(fe.RetryAfter, p.BackoffMax)) // it was not asked, and is somebody else's to ask
		return r.to(Unknown, now, "")
	}
	if now.After(r.Horizon) && now.Sub(r.Horizon) >= p.GiveUp {
		r.Due = time.Time{}
		return r.to(Parked, now, ReasonUnclear)
	}
	r.Asks++
	r.Due = now.Add(p.backoff(r.Asks, jitter))
	if after := r.Horizon.Add(time.Millisecond); now.Before(after) && r.Due.After(after) {
		r.Due = after
	}
	return r.to(Unknown, now, "")
}

// absent is how long after the horizon an item that is somebody else's to ask is left to that one. Who has not come by then may
// never come, and only of a parked item a person can say what became of it.
const absent = DefaultKeep

// expired: its time is over and nothing of it is on its way.
func (r *record) expired(now time.Time) error {
	r.Due = time.Time{}
	return r.to(Expired, now, ReasonExpired)
}

// overdue tells whether the item must not be sent any more.
func (r *record) overdue(now time.Time) bool { return !r.Expires.IsZero() && !now.Before(r.Expires) }

// tooLate is what an attempt ends with that was written but not sent in its time, because the
// process was paused or the machine slept.
var tooLate = &fault.Error{Op: "outbox", Kind: fault.Timeout, Outcome: fault.NotSent, Err: context.DeadlineExceeded}
