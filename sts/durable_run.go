package sts

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// run is the background: it renews the token when its time has come and announces its end. It
// sleeps in between.
func (d *DurableSource) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.base.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
		if next := d.attend(time.Now().Round(0)); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// attend does what is due and returns when to look again, zero when nothing is to come.
func (d *DurableSource) attend(now time.Time) (next time.Time) {
	d.mu.Lock()
	var events []Event
	defer func() {
		d.mu.Unlock()
		d.events.emit(events...)
	}()
	if d.tok == nil || d.closed {
		return time.Time{}
	}
	until := d.tok.NotOnOrAfter
	if !now.Before(until) {
		d.tok = nil
		if d.failures > 0 {
			events = d.announce(now)
		}
		return time.Time{}
	}
	if d.failures > 0 {
		events = d.announce(now)
	}
	next = until
	if soon := until.Add(-SoonBefore); d.failures > 0 && now.Before(soon) {
		next = soon
	}
	if d.flight != nil || d.idle >= 0 && now.Sub(d.used) >= d.idle {
		return next
	}
	due := d.renewAt
	if d.retryAt.After(due) {
		due = d.retryAt
	}
	if !now.Before(due) {
		d.start(context.Background(), false)
		return next
	}
	if due.Before(next) {
		next = due
	}
	return next
}

// settle ends a flight: it keeps the token or the failure, and announces it. What it returns is for
// those who wait.
func (d *DurableSource) settle(tok *Token, stored bool, err error, now time.Time) (*Token, error) {
	d.mu.Lock()
	d.flight = nil
	var events []Event
	switch {
	case err == nil:
		d.take(tok, now)
		kind := Renewed
		if stored {
			kind = Adopted
		}
		events = arrival(kind, tok, now)
	case d.closed:
		err = localError(ErrClosed)
	case errors.Is(err, errNotThere):
		if d.failed != nil {
			err = d.failed
		}
	default:
		events = d.fail(err, now)
	}
	d.mu.Unlock()
	d.events.emit(events...)
	return tok, err
}

// take makes tok the token at hand, with the lock held.
func (d *DurableSource) take(tok *Token, now time.Time) {
	d.tok, d.renewAt = tok, renewTime(tok, now)
	d.failures, d.failed, d.failedAt, d.retryAt = 0, nil, time.Time{}, time.Time{}
	d.told = told{}
}

// fail keeps a failure, with the lock held.
func (d *DurableSource) fail(err error, now time.Time) []Event {
	d.failures++
	d.failed, d.failedAt = err, now
	left := time.Duration(0)
	if d.tok.Valid(now, 0) {
		left = d.tok.NotOnOrAfter.Sub(now)
	}
	d.retryAt = now.Add(pauseAfter(d.failures, left, retryAfter(err)))
	return append([]Event{d.event(RenewalFailed, now, "")}, d.announce(now)...)
}

// announce tells the person, once each, what a series of failures means, with the lock held.
func (d *DurableSource) announce(now time.Time) (events []Event) {
	mend := noticeOf(d.failed)
	if !d.tok.Valid(now, 0) {
		if !d.told.lost {
			d.told.lost = true
			if mend == "" {
				mend = noticeNoLogin
			}
			events = append(events, d.event(Lost, now, mend))
		}
		return events
	}
	if !d.told.kept {
		d.told.kept = true
		if mend == "" || mend == noticeFallback {
			mend = noticeKept
		}
		events = append(events, d.event(KeptUntil, now, mend))
	}
	if !d.told.soon && !now.Before(d.tok.NotOnOrAfter.Add(-SoonBefore)) {
		d.told.soon = true
		events = append(events, d.event(EndsSoon, now, noticeUntil))
	}
	return events
}

// noticeOf is the notice of a failure that the person can do something about, "" for others.
func noticeOf(err error) string {
	if fe, ok := errors.AsType[*fault.Error](err); ok {
		switch fe.Notice {
		case noticeClock, noticeKey, noticeFallback:
			return fe.Notice
		}
	}
	return ""
}

func (d *DurableSource) event(k EventKind, now time.Time, notice string) Event {
	e := Event{Kind: k, At: now, Notice: notice, Cause: fault.KindOf(d.failed)}
	if d.tok.Valid(now, 0) {
		e.Until, e.Login = d.tok.NotOnOrAfter, d.tok.Via.Login
	}
	return e
}

// arrival are the events of a new token.
func arrival(k EventKind, tok *Token, now time.Time) []Event {
	events := []Event{{Kind: k, At: now, Until: tok.NotOnOrAfter, Login: tok.Via.Login}}
	if tok.Via.Fallback {
		events = append(events, Event{
			Kind: FallbackUsed, At: now, Notice: noticeUsed, Until: tok.NotOnOrAfter, Login: tok.Via.Login, Cause: tok.Via.Why,
		})
	}
	return events
}

// drops is what is known of refused tokens.
type drops struct {
	id    string        // of the last one dropped: not to be taken from the store again
	at    time.Time     // when
	delay time.Duration // before the next one may be dropped
	asked time.Time     // last refusal
}

// Drop forgets tok, which a service did not accept, if it is still the token at hand, and tells
// whether Token may give one that is worth trying. A service that refuses one fresh token after
// the other is itself the fault: the time that must pass before the next one is given up for
// it grows from [DefaultDropDelay] to [MaxDropDelay].
func (d *DurableSource) Drop(tok *Token) bool {
	if tok == nil {
		return false
	}
	now := time.Now().Round(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tok == nil || d.tok.ID != tok.ID {
		return true
	}
	quiet := now.Sub(d.drops.asked)
	d.drops.asked = now
	switch {
	case d.drops.at.IsZero(), quiet >= MaxDropDelay:
		d.drops.delay = DefaultDropDelay
	case now.Before(d.drops.at.Add(d.drops.delay)):
		return false
	default:
		d.drops.delay = min(2*d.drops.delay, MaxDropDelay)
	}
	d.drops.id, d.drops.at = tok.ID, now
	d.tok = nil
	return true
}

// Session is the state of a [DurableSource]. It holds nothing about a person.
type Session struct {
	Until       time.Time  // end of the token at hand; zero = there is none
	RenewAt     time.Time  // when it is to be renewed
	Via         Via        // how it was obtained
	Failures    int        // failures in a row, 0 = none
	LastFailure fault.Kind // of the last of them
	NextTry     time.Time  // not before; zero = at once
}

// Session returns the present state.
func (d *DurableSource) Session() Session {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Session{Failures: d.failures, LastFailure: fault.KindOf(d.failed), NextTry: d.retryAt}
	if d.tok.Valid(now, 0) {
		s.Until, s.RenewAt, s.Via = d.tok.NotOnOrAfter, d.renewAt, d.tok.Via
	}
	return s
}

var (
	_ TokenSource = (*DurableSource)(nil)
	_ Dropper     = (*DurableSource)(nil)
)
