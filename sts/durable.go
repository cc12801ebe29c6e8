package sts

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

const (
	// RenewFrom is the part of a token's life after which it is renewed: half, as the official
	// connector's sliding window (dossier 01 B.2).
	RenewFrom = 0.5
	// RenewSpread is the part of what is then left over which renewals are spread, so that users
	// who logged in together do not come back together. The other half is for repeats.
	RenewSpread = 0.5

	// RenewRetryBase and RenewRetryMax bound the pause after a failed renewal while there is a
	// token: a random part of a bound that doubles each time (full jitter). There is no hurry,
	// and a recovering STS needs its capacity for those who have none.
	RenewRetryBase = time.Minute
	RenewRetryMax  = 30 * time.Minute
	// LoginRetryBase and LoginRetryMax bound the same pause without a token, when a person waits.
	LoginRetryBase = DefaultMinDelay
	LoginRetryMax  = 5 * time.Minute
	// LoginRetryLong is what LoginRetryMax grows to when the STS has been down for hours, so that a
	// whole country without sessions does not return within five minutes (dossier 06 B.6, T15). A
	// person who asks, [DurableSource.Login], waits for none of them.
	LoginRetryLong = 20 * time.Minute

	// SoonBefore is how long before the end of a token that cannot be renewed the person is
	// told (dossier 06 part D, D-AUTH-UNTIL).
	SoonBefore = 30 * time.Minute
	// DefaultIdle is how long after its last use a token is still renewed: over a weekend with a
	// holiday, so that the first morning hour needs no STS.
	DefaultIdle = 4 * 24 * time.Hour
	// MaxDropDelay bounds the growing time between two refusals that each cost a token, which begins
	// with DefaultDropDelay and starts anew when nothing was refused for that long.
	MaxDropDelay = time.Hour

	// storeTimeout bounds one access to the store.
	storeTimeout = 5 * time.Second
	// lockGrace is how much longer than an issue the lock of the store is waited for. The other
	// process is done by then, or is stuck; then the login goes on without the lock.
	lockGrace = 5 * time.Second
)

// ErrClosed reports a [DurableSource] that has no valid token and was closed.
var ErrClosed error = reason("sts: the token source is closed")

// errNotThere ends the first look into the store if it found nothing; no caller sees it.
var errNotThere = reason("sts: no token in the store")

// DurableSource is a [TokenSource] for whoever must keep working while the STS is down: see
// [Durable]. It is safe for concurrent use. Close ends it.
type DurableSource struct {
	src          TokenSource
	keep         *keeper // nil = memory only
	issueTimeout time.Duration
	idle         time.Duration // negative = never idle
	events       emitter

	base context.Context // ends with Close
	end  context.CancelFunc
	wake chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	tok      *Token
	renewAt  time.Time // when tok should be renewed
	used     time.Time // last Token
	flight   *flight
	failures int       // in a row
	failed   error     // the last of them
	failedAt time.Time //
	retryAt  time.Time // the source is not asked before
	lookedAt time.Time // last look into the store
	told     told
	drops    drops
	broken   bool // the store failed last time
}

// flight is one shared attempt to get a token.
type flight struct {
	lookOnly bool      // into the store; the source is not asked
	past     time.Time // end of the token at hand at the start: one that ends later is wanted
	done     chan struct{}
	tok      *Token
	err      error
}

// told is what was announced about the present series of failures.
type told struct{ kept, soon, lost bool }

// DurableOption changes a [DurableSource].
type DurableOption func(*DurableSource) error

// WithStore keeps the token in s, so that a restart and other processes with the same store and
// Binding need no login of their own.
func WithStore(s Store, b Binding) DurableOption {
	return func(d *DurableSource) (err error) { d.keep, err = newKeeper(s, b); return err }
}

// OnEvent announces what happens to the session. f is called one event at a time, from the
// goroutine in which it happened: it must return soon, and it may call the DurableSource, except
// for Close.
func OnEvent(f func(Event)) DurableOption {
	return func(d *DurableSource) error { d.events.to = f; return nil }
}

// LoginTimeout sets how long the source may take for one token; 0 = [DefaultIssueTimeout]. It
// cannot be off.
func LoginTimeout(t time.Duration) DurableOption {
	return func(d *DurableSource) error {
		if t < 0 {
			return errors.New("sts: LoginTimeout cannot be off")
		}
		d.issueTimeout = orDefault(t, DefaultIssueTimeout)
		return nil
	}
}

// Idle sets how long after its last use a token is still renewed; 0 = [DefaultIdle], negative =
// for ever. When it then ends, the next use logs in.
func Idle(t time.Duration) DurableOption {
	return func(d *DurableSource) error {
		d.idle = t
		if t == 0 {
			d.idle = DefaultIdle
		}
		return nil
	}
}

// Durable returns a source in front of src that goes on without the STS for as long as the
// platform's tokens allow:
//
//   - The token is shared by all callers and used until its NotOnOrAfter, never beyond.
//   - It is renewed in the background, at a random moment from half of its life on. A failed
//     renewal costs nothing but an event; the pause before the next grows.
//   - With [WithStore] it survives a restart, and processes that share the store share it: whoever
//     renews does so under a lock, after a look whether another one already has. What comes
//     from the store is checked as if it came from the STS.
//   - A store that fails does not stop a login.
//   - Without a token, Token asks src once however many callers wait. After a failure callers get
//     the same error at once until the growing pause is over; [DurableSource.Login] passes over it.
//
// The token is renewed with src, so the login of a [Chain] that failed is tried again then.
func Durable(src TokenSource, opts ...DurableOption) (*DurableSource, error) {
	if src == nil {
		return nil, errors.New("sts: Durable needs a source")
	}
	d := &DurableSource{
		src: src, issueTimeout: DefaultIssueTimeout, idle: DefaultIdle,
		wake: make(chan struct{}, 1), used: time.Now().Round(0),
	}
	for _, o := range opts {
		if err := o(d); err != nil {
			return nil, err
		}
	}
	d.base, d.end = context.WithCancel(context.Background())
	if d.keep != nil {
		d.mu.Lock()
		d.start(d.base, true) // at once, so that a renewal that is due is not missed
		d.mu.Unlock()
	}
	d.work.Go(d.run)
	return d, nil
}

// Close ends the background work, a login under way included, and waits for it. The token at
// hand may be used until its end. Closing twice is harmless.
func (d *DurableSource) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.end()
	d.work.Wait()
	return nil
}

// Token gives the token at hand, or gets one from the store or from the source. A caller whose ctx
// ends stops waiting; the shared work goes on. The error is that of the source, or a *fault.Error of
// Kind Canceled or Timeout when ctx ended first, or of Kind Local after Close.
func (d *DurableSource) Token(ctx context.Context) (*Token, error) { return d.token(ctx, false) }

// Login is Token for a person who asks now: it does not wait for the end of the pause after a
// failure, save [DefaultMinDelay]. Software must not call it on its own, or the pause is worth
// nothing.
func (d *DurableSource) Login(ctx context.Context) (*Token, error) { return d.token(ctx, true) }

func (d *DurableSource) token(ctx context.Context, person bool) (*Token, error) {
	tok, fl, err := d.atHand(ctx, person, time.Now().Round(0))
	if fl == nil {
		return tok, err
	}
	select {
	case <-fl.done:
	case <-ctx.Done():
		return nil, waitEnded(ctx.Err())
	}
	if fl.err != nil && fl.lookOnly && (person || errors.Is(fl.err, errNotThere)) {
		return d.token(ctx, person) // the store has none: now the source is asked
	}
	return fl.tok, fl.err
}

// atHand returns the token, or the error to give at once, or the flight to wait for.
func (d *DurableSource) atHand(ctx context.Context, person bool, now time.Time) (*Token, *flight, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = now
	if d.tok.Valid(now, 0) {
		if !now.Before(d.renewAt) {
			d.poke() // a computer that slept is late for its renewal
		}
		return d.tok, nil, nil
	}
	pause := d.retryAt
	if person {
		pause = d.failedAt.Add(min(DefaultMinDelay, d.retryAt.Sub(d.failedAt)))
	}
	switch {
	case ctx.Err() != nil:
		return nil, nil, waitEnded(ctx.Err())
	case d.flight != nil:
		return nil, d.flight, nil
	case d.closed:
		return nil, nil, localError(ErrClosed)
	case d.failed != nil && now.Before(pause):
		if d.keep == nil || now.Before(d.lookedAt.Add(DefaultMinDelay)) {
			return nil, nil, d.failed
		}
		return nil, d.start(ctx, true), nil // another process may have logged in meanwhile
	}
	return nil, d.start(ctx, false), nil
}

// start begins a flight, with the lock held.
func (d *DurableSource) start(ctx context.Context, lookOnly bool) *flight {
	fl := &flight{lookOnly: lookOnly, done: make(chan struct{})}
	if d.tok != nil {
		fl.past = d.tok.NotOnOrAfter
	}
	d.flight = fl
	// The work keeps the values of the first caller's context, neither its end nor that of its message.
	ctx, cancel := context.WithCancel(exchange.WithoutExpires(context.WithoutCancel(ctx)))
	stop := context.AfterFunc(d.base, cancel)
	d.work.Go(func() {
		defer cancel()
		defer stop()
		tok, stored, err := d.obtain(ctx, fl)
		fl.tok, fl.err = d.settle(tok, stored, err, time.Now().Round(0))
		close(fl.done)
		d.poke()
	})
	return fl
}

// poke lets the background look at the state again.
func (d *DurableSource) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// obtain gets a token from the store, or from the source and puts it into the store. stored tells
// which. The lock is taken only when the store has none, and the store is read again under it:
// whoever held it before may just have put one there.
func (d *DurableSource) obtain(ctx context.Context, fl *flight) (tok *Token, stored bool, err error) {
	if d.keep != nil {
		if tok := d.read(ctx, fl.past); tok != nil {
			return tok, true, nil
		}
		if fl.lookOnly {
			return nil, false, errNotThere
		}
		lock, cancel := context.WithTimeout(ctx, d.issueTimeout+lockGrace)
		unlock, err := d.keep.store.Lock(lock, d.keep.key)
		cancel()
		if err == nil {
			defer unlock()
			if tok := d.read(ctx, fl.past); tok != nil {
				return tok, true, nil
			}
		} else {
			d.storeWorks(err)
		}
	}
	issue, cancel := context.WithTimeout(ctx, d.issueTimeout)
	defer cancel()
	tok, err = d.src.Token(issue)
	switch {
	case err != nil:
		return nil, false, err
	case tok == nil:
		return nil, false, localError(reason("sts: the source gave no token"))
	case !tok.Valid(time.Now(), 0):
		return nil, false, &fault.Error{Op: "sts.Token", Service: ServiceID, Kind: fault.Security, Outcome: fault.Unknown, Notice: noticeClock, Err: ErrExpired}
	}
	if d.keep != nil {
		access, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		d.storeWorks(d.keep.save(access, tok))
	}
	return tok, false, nil
}

// read returns the token of the store if it ends after past and was not dropped.
func (d *DurableSource) read(ctx context.Context, past time.Time) *Token {
	access, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now := time.Now().Round(0)
	tok, err := d.keep.load(access, now)
	d.storeWorks(err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookedAt = now
	if tok == nil || tok.ID == d.drops.id || !tok.NotOnOrAfter.After(past) {
		return nil
	}
	return tok
}

// storeWorks notes whether the store does, and announces when it stops to.
func (d *DurableSource) storeWorks(err error) {
	d.mu.Lock()
	was := d.broken
	d.broken = err != nil
	d.mu.Unlock()
	if err != nil && !was {
		d.events.emit(Event{Kind: StoreFailed, At: time.Now().Round(0), Cause: storeKind(err)})
	}
}

// pauseAfter is how long the source is left alone after n failures in a row: a random part of a
// bound that doubles. left is the life of the token at hand, 0 when there is none; half of it
// bounds the pause, so that renewal is tried to the end.
func pauseAfter(n int, left, asked time.Duration) time.Duration {
	// An outage of hours has time: the longer it lasts, the wider the fleet that has no session any more comes back.
	base, bound, hint := LoginRetryBase, min(LoginRetryMax+LoginRetryMax*time.Duration(n)/32, LoginRetryLong), MaxRetryAfter
	if left > 0 {
		base, bound, hint = RenewRetryBase, min(RenewRetryMax, left/2), left/2
	}
	for range min(n, 30) - 1 {
		base *= 2
		if base >= bound {
			break
		}
	}
	bound = max(min(base, bound), DefaultMinDelay)
	least := DefaultMinDelay
	if left == 0 && n > 32 {
		least = bound / 2 // full jitter would bring half of a fleet back in the first quarter of the bound
	}
	return max(least, time.Duration(rand.Int64N(int64(bound))), min(asked, hint))
}

// renewTime is when a token should be renewed: at a random moment after half of its life, or from
// now on when that is over.
func renewTime(tok *Token, now time.Time) time.Time {
	from := tok.IssuedAt.Add(time.Duration(RenewFrom * float64(tok.NotOnOrAfter.Sub(tok.IssuedAt))))
	if tok.IssuedAt.IsZero() || from.Before(now) {
		from = now
	}
	spread := time.Duration(RenewSpread * float64(tok.NotOnOrAfter.Sub(from)))
	if spread <= 0 {
		return from
	}
	return from.Add(time.Duration(rand.Int64N(int64(spread))))
}
