package ehealth

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Queue is how the outbox stands.
type Queue struct {
	Waiting  int       // items that are sent, or found out about, without a person
	Unknown  int       // of them, sent without an answer: being found out
	Since    time.Time // since when something waits without a break; zero = nothing does
	Parked   int       // items that cannot go on without a person
	Rejected int       // items that the service refused
	// Closed: something waits and none of it is tried before NextTry, because there is no login or
	// no address that works. A zero NextTry is not known.
	Closed  bool
	NextTry time.Time
	// Notice is what to tell the person: that there is no login and the work is kept, how many
	// items wait, how long the rest will take. Zero = nothing.
	Notice notice.Notice
	// Err is why nothing is sent any more, until the program opens the platform again: the disk
	// failed. nil = it is.
	Err error
}

const (
	// queueLate is how long something may wait before the health feed tells.
	queueLate = 30 * time.Second
	// queueEvery is how often the queue is looked at while something waits, and queueIdle while
	// nothing does.
	queueEvery = 15 * time.Second
	queueIdle  = time.Minute
	// queuePause is the shortest time between two looks.
	queuePause = time.Second
	// drainSeen is how many items must have been sent before the rest is estimated.
	drainSeen = 3
	// tellPause is how long whoever let an item expire has to tell of it.
	tellPause = 5 * time.Second
)

// Queue tells how the outbox stands. It is the zero Queue without Config.Outbox.
func (p *Platform) Queue(ctx context.Context) (Queue, error) {
	if p.Outbox == nil {
		return Queue{}, nil
	}
	return p.queue.status(ctx)
}

func (q *queue) status(ctx context.Context) (Queue, error) {
	c, err := q.box.Stats(ctx)
	if err != nil {
		return Queue{}, err
	}
	s := Queue{Waiting: c.Open(), Unknown: c.Of(outbox.Unknown), Parked: c.Of(outbox.Parked), Rejected: c.Of(outbox.Rejected)}
	now := time.Now()
	most, ready := Queued{}, 0
	for k, by := range q.kinds {
		n := c.Open(k)
		if n == 0 {
			continue
		}
		if ok, next := q.look(k, now); ok {
			ready++
		} else if s.NextTry.IsZero() || next.Before(s.NextTry) {
			s.NextTry = next
		}
		if by.Waiting != nil && (most.Kind == "" || n > c.Open(most.Kind)) {
			most = by
		}
	}
	s.Closed = s.Waiting > 0 && ready == 0 && len(q.kinds) > 0
	if !s.Closed {
		s.NextTry = time.Time{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case s.Waiting == 0:
		q.since, q.freed = time.Time{}, time.Time{}
	case q.since.IsZero():
		q.since = now
	}
	s.Since, s.Err = q.since, q.failed
	if s.Waiting > 0 {
		s.Notice = q.tell(s, most, c.Open(most.Kind), now)
	}
	return s, nil
}

// tell chooses what a person is told about what waits; most is the kind of which most does.
func (q *queue) tell(s Queue, most Queued, n int, now time.Time) notice.Notice {
	switch {
	case q.loggedOut(now):
		return notice.NoSession()
	case !s.Closed && !q.freed.IsZero() && q.sent >= drainSeen:
		left := time.Duration(float64(now.Sub(q.freed)) * float64(s.Waiting) / float64(q.sent))
		return notice.Draining(most.Name, s.Waiting, left)
	case most.Waiting != nil:
		return most.Waiting(n)
	}
	return notice.Notice{}
}

// gate is asked before anything of a kind is tried.
func (q *queue) gate(k outbox.Kind) (bool, time.Time) {
	now := time.Now()
	ok, next := q.look(k, now)
	q.mu.Lock()
	was := q.closed[k]
	q.closed[k] = !ok
	if was && ok {
		q.freed, q.sent = now, 0
	}
	q.mu.Unlock()
	if was == ok {
		q.stir()
	}
	return ok, next
}

// look tells whether a kind may be tried, and when to look again.
func (q *queue) look(k outbox.Kind, now time.Time) (bool, time.Time) {
	service := q.kinds[k].Service
	if service == "" {
		return true, time.Time{}
	}
	if next := q.p.Tokens.Session().NextTry; q.loggedOut(now) && next.After(now) {
		return false, next
	}
	eps := q.p.directory.Endpoints(service)
	shut := map[string]bool{}
	for _, e := range eps {
		if !q.p.Resilience.Open(e.URL) {
			return true, time.Time{}
		}
		shut[e.URL] = true
	}
	if len(eps) == 0 {
		return true, time.Time{} // the attempt says what is wrong
	}
	var next time.Time
	for _, b := range q.p.Resilience.Breakers() {
		if shut[b.Endpoint] && !b.Until.IsZero() && (next.IsZero() || b.Until.Before(next)) {
			next = b.Until
		}
	}
	return false, next
}

// loggedOut tells whether there is no session and logging in was tried in vain. Before the first try
// nobody knows: then an item is tried, and logs in; so is one when the next login is due.
func (q *queue) loggedOut(now time.Time) bool {
	s := q.p.Tokens.Session()
	return !s.Until.After(now) && s.Failures > 0
}

// changed is told of every change of an item.
func (q *queue) changed(e outbox.Event) {
	if e.To == outbox.Done {
		q.mu.Lock()
		q.sent++
		q.mu.Unlock()
	}
	q.p.telemetry.Item(e)
	q.tellOf(e)
	q.stir()
}

// tellOf tells of a change whom it concerns.
func (q *queue) tellOf(e outbox.Event) {
	q.p.Recipe.observe(e)
	if q.event != nil {
		tell := itemNotice
		if t := q.kinds[e.Kind].Tell; t != nil {
			tell = t
		}
		q.event(QueueEvent{Event: e, Notice: tell(e)})
	}
	if e.To == outbox.Expired && q.kinds[e.Kind].expiry && !e.Foreign {
		q.mu.Lock()
		q.told[e.ID] = true
		q.mu.Unlock()
	}
}

// expired tells of what expired under the eyes of another process that shares the store, or while this one was away, and takes off
// the list what was told. It stays on it while nobody listens.
func (q *queue) expired(ctx context.Context) {
	if q.event == nil && !q.p.config.Recipe.heard() {
		return
	}
	for v, err := range q.box.List(ctx, outbox.Filter{State: outbox.Expired}) {
		if err != nil || v.Foreign || !q.kinds[v.Kind].expiry {
			continue
		}
		if !q.wasTold(v.ID) {
			if time.Since(v.Changed) < tellPause {
				continue
			}
			from := outbox.Held
			if v.Attempts > 0 {
				from = outbox.Ready
			}
			q.tellOf(outbox.Event{
				ID: v.ID, Kind: v.Kind, From: from, To: v.State, Reason: v.Reason, At: v.Changed, Expires: v.Expires, Priority: v.Priority,
			})
		}
		if err := q.box.Cancel(ctx, v.ID); err == nil || errors.Is(err, outbox.ErrState) || errors.Is(err, outbox.ErrNotFound) {
			q.mu.Lock()
			delete(q.told, v.ID)
			q.mu.Unlock()
		}
	}
}

func (q *queue) wasTold(id outbox.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.told[id]
}

// itemNotice is what to tell the person about one item (dossier 06 part D).
func itemNotice(e outbox.Event) notice.Notice {
	switch {
	case e.To == outbox.Unknown:
		return notice.Unsure()
	case e.From == outbox.Unknown && e.To == outbox.Done:
		return notice.Received(e.At)
	case e.From == outbox.Unknown && e.To == outbox.Ready:
		return notice.NotReceived(notice.Write)
	case e.To == outbox.Expired:
		return notice.Expired(e.Expires.Add(-time.Second)) // midnight belongs to the day it ends
	}
	return notice.Notice{}
}

func (q *queue) stir() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// watch keeps the health feed right.
func (q *queue) watch(ctx context.Context) {
	for ctx.Err() == nil {
		wait := queueIdle
		if q.expiries {
			q.expired(ctx)
		}
		s, err := q.status(ctx)
		switch late := s.Closed || !s.Since.IsZero() && time.Since(s.Since) >= queueLate; {
		case err != nil:
			wait = queueEvery // the store is busy or gone; the worker says which
		case s.Err != nil:
			q.p.Health.Report(FunctionOutbox, "stopped", "")
		case s.Waiting > 0 && late:
			q.p.Health.Report(FunctionOutbox, "queue", string(s.Notice.ID()))
			wait = queueEvery
		default:
			q.p.Health.Report(FunctionOutbox, "", "")
			if s.Waiting > 0 {
				wait = queueEvery
			}
		}
		if pause(ctx, queuePause, nil) {
			pause(ctx, wait-queuePause, q.wake)
		}
	}
}

// pause waits for d, at most until wake; false when ctx ended.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-t.C:
	}
	return true
}

// Write puts an item into the outbox and sends it at once, as [outbox.Box.Do] does. The result is
// a write that was carried out, its answer on disk.
//
// The error is a *[Error] in whose tree is that of the Box. errors.Is(err, outbox.ErrQueued): it is
// kept and will be sent; Outcome is NotSent, and the notice says why it waits or how many do.
// errors.Is(err, outbox.ErrUnknown): it was sent and is being found out (D-UNSURE). All others are
// final: refused by the service, too late (D-EXPIRED), or not accepted.
func (p *Platform) Write(ctx context.Context, it outbox.Item) (*outbox.Result, error) {
	if p.Outbox == nil {
		return nil, &fault.Error{Op: label(it.Kind), Kind: fault.Local, Outcome: fault.NotSent, Err: errNoOutbox}
	}
	res, err := p.Outbox.Do(ctx, it)
	if err != nil {
		return nil, p.queue.failure(ctx, it.Kind, err)
	}
	return res, nil
}

var errNoOutbox = fault.AsSafe(errors.New("ehealth: Config.Outbox is not set"))

// failure makes one error of what the Box and the attempt said.
func (q *queue) failure(ctx context.Context, k outbox.Kind, err error) *fault.Error {
	e := &fault.Error{Op: label(k), Service: q.kinds[k].Service, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
	if tried, ok := errors.AsType[*fault.Error](err); ok {
		*e = *tried
		e.Err = err
	}
	late, isLate := errors.AsType[*outbox.TooLateError](err)
	stopped, isState := errors.AsType[*outbox.StateError](err)
	switch {
	case errors.Is(err, outbox.ErrQueued):
		e.Outcome, e.Notice = fault.NotSent, ""
		if e.Kind == fault.Local {
			e.Kind = fault.Unavailable
		}
		q.waiting(ctx, k, e)
	case errors.Is(err, outbox.ErrUnknown):
		e.Outcome, e.Notice = fault.Unknown, noticeUnsure
		if e.Kind == fault.Local {
			e.Kind = fault.Timeout
		}
	case isState && stopped.State == outbox.Expired:
		e.Kind, e.Outcome = fault.Timeout, fault.NotSent
		if v, err := q.box.Show(context.WithoutCancel(ctx), stopped.ID); err == nil {
			say(e, notice.Expired(v.Expires.Add(-time.Second)))
		}
	case isLate:
		e.Kind, e.Outcome = fault.Timeout, fault.NotSent
		say(e, notice.Expired(late.Expires.Add(-time.Second)))
	case errors.Is(err, outbox.ErrInvalid), errors.Is(err, outbox.ErrConflict):
		e.Kind = fault.Invalid
	}
	if e.Outcome == fault.Unknown && e.Notice == "" {
		e.Notice = noticeUnsure // the store itself does not know whether it kept the write
	}
	return e
}

// waiting says what a person is told about a write that was kept.
func (q *queue) waiting(ctx context.Context, k outbox.Kind, e *fault.Error) {
	n := notice.Notice{}
	if q.loggedOut(time.Now()) {
		n = notice.NoSession()
	} else if w := q.kinds[k].Waiting; w != nil {
		if c, err := q.box.Stats(context.WithoutCancel(ctx)); err == nil {
			n = w(max(c.Open(k), 1))
		}
	}
	say(e, n)
	queued, ok := errors.AsType[*outbox.QueuedError](e.Err)
	if ok && !queued.Next.IsZero() {
		e.RetryAfter = cmp.Or(e.RetryAfter, max(time.Until(queued.Next), 0))
	}
}

// say lets an error carry a notice with its parameters.
func say(e *fault.Error, n notice.Notice) {
	e.Notice, e.Err = string(n.ID()), &told{error: e.Err, params: n.Params()}
}

// told is a cause with the parameters of its notice.
type told struct {
	error
	params notice.Params
}

// NoticeParams implements notice.Detailed.
func (t *told) NoticeParams() notice.Params { return t.params }

// SafeError is that of the cause.
func (t *told) SafeError() string {
	if s, ok := t.error.(interface{ SafeError() string }); ok { //nolint:errorlint // the cause itself, not what it wraps
		return s.SafeError()
	}
	return "outbox"
}

// Unwrap returns the cause.
func (t *told) Unwrap() error { return t.error }
