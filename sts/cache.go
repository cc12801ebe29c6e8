package sts

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

const (
	// DefaultMargin is how long before its end a token is replaced: longer than a signed
	// message lives (60 s, dossier 01 A.6), so that no message outlives its token.
	DefaultMargin = 60 * time.Second
	// DefaultIssueTimeout bounds one shared issue, whoever waits for it. It leaves room for
	// two legs, a restart and the exchange's own deadline of 15 s each way.
	DefaultIssueTimeout = 30 * time.Second
	// DefaultMinDelay is the shortest time between a failed issue and the next one.
	DefaultMinDelay = time.Second
	// MaxRetryAfter bounds how long a cache obeys a Retry-After of the STS: a person may log
	// in again sooner than an overlong hint says.
	MaxRetryAfter = time.Minute
	// DefaultDropDelay is the shortest time between two refusals that each cost a token.
	DefaultDropDelay = time.Minute
)

// ErrExpired reports a token that is past its end. It is never sent.
var ErrExpired error = reason("sts: the token has expired")

// TokenSource gives a token that is valid now. [Client.Source] asks the STS each time;
// [Cached] makes many callers share one token.
type TokenSource interface {
	Token(ctx context.Context) (*Token, error)
}

// TokenSourceFunc is a function that is a [TokenSource].
type TokenSourceFunc func(ctx context.Context) (*Token, error)

// Token calls f.
func (f TokenSourceFunc) Token(ctx context.Context) (*Token, error) { return f(ctx) }

// Dropper is a [TokenSource] that can forget a token that a service did not accept.
type Dropper interface {
	// Drop forgets tok and tells whether Token may now give another one that is worth trying.
	Drop(tok *Token) bool
}

// Cache is a [TokenSource] that keeps one token in memory. It is safe for concurrent use.
type Cache struct {
	src       TokenSource
	margin    time.Duration
	timeout   time.Duration
	minDelay  time.Duration
	dropDelay time.Duration

	group singleflight.Group

	mu        sync.Mutex
	tok       *Token
	useUntil  time.Time // tok is given out before this instant
	droppedAt time.Time
	failed    error     // the last failure, given to callers until retryAt
	retryAt   time.Time //
}

// Option changes a [Cache]. For durations 0 means the default and negative means off.
type Option func(*Cache) error

// Margin sets how long before its end a token is no longer given out; 0 = [DefaultMargin],
// negative = none. Of a token that lives shortly the margin is at most a quarter of the life
// it had left on arrival, so that short tokens are shared too.
func Margin(d time.Duration) Option {
	return func(c *Cache) error { c.margin = orDefault(d, DefaultMargin); return nil }
}

// IssueTimeout sets how long one shared issue may take; 0 = [DefaultIssueTimeout]. It cannot
// be off: a hanging source would hold up every later caller.
func IssueTimeout(d time.Duration) Option {
	return func(c *Cache) error {
		if d < 0 {
			return errors.New("sts: IssueTimeout cannot be off")
		}
		c.timeout = orDefault(d, DefaultIssueTimeout)
		return nil
	}
}

// MinDelay sets the shortest time between a failed issue and the next one; 0 =
// [DefaultMinDelay], negative = none. Meanwhile callers get the last error at once, so that
// a failing STS is not hammered. A longer Retry-After of the STS counts, up to [MaxRetryAfter].
func MinDelay(d time.Duration) Option {
	return func(c *Cache) error { c.minDelay = orDefault(d, DefaultMinDelay); return nil }
}

// DropDelay sets how long a refusal of the replacement of a refused token is not blamed on
// the token; 0 = [DefaultDropDelay], negative = every refusal costs the token. A service that
// refuses fresh tokens one after the other is itself the fault, and asking the STS anew for
// every call would spread it.
func DropDelay(d time.Duration) Option {
	return func(c *Cache) error { c.dropDelay = orDefault(d, DefaultDropDelay); return nil }
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0)
}

// Cached returns a Cache in front of src. Without options the defaults named beside each
// option hold.
func Cached(src TokenSource, opts ...Option) (*Cache, error) {
	if src == nil {
		return nil, errors.New("sts: Cached needs a source")
	}
	c := &Cache{
		src: src, margin: DefaultMargin, timeout: DefaultIssueTimeout,
		minDelay: DefaultMinDelay, dropDelay: DefaultDropDelay,
	}
	for _, o := range opts {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Token gives the kept token, or asks the source for one. However many callers wait, the
// source is asked once. A caller whose ctx ends stops waiting; the shared work goes on within
// its own time limit, and its result serves the others. A token is never given out at or after
// its NotOnOrAfter. The error is that of the source, or a *fault.Error of Kind Canceled or
// Timeout when ctx ended first.
func (c *Cache) Token(ctx context.Context) (*Token, error) {
	if tok, err, done := c.kept(time.Now()); done {
		return tok, err
	}
	if err := ctx.Err(); err != nil {
		return nil, waitEnded(err)
	}
	// The shared work keeps the values of the first caller's context, neither its end nor that of its message.
	shared := exchange.WithoutExpires(context.WithoutCancel(ctx))
	ch := c.group.DoChan("", func() (any, error) { return c.issue(shared) })
	select {
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*Token), nil
	case <-ctx.Done():
		return nil, waitEnded(ctx.Err())
	}
}

// kept returns what can be answered without the source: the token, or the last failure while
// it is too early to ask again.
func (c *Cache) kept(now time.Time) (tok *Token, err error, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.tok != nil && now.Before(c.useUntil):
		return c.tok, nil, true
	case now.Before(c.retryAt):
		return nil, c.failed, true
	}
	return nil, nil, false
}

func (c *Cache) issue(ctx context.Context) (*Token, error) {
	// Another flight may have landed between the caller's look and this one.
	if tok, err, done := c.kept(time.Now()); done {
		return tok, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	tok, err := c.src.Token(ctx)
	now := time.Now()
	switch {
	case err == nil && tok == nil:
		err = localError(errors.New("sts: the source gave no token"))
	case err == nil && !tok.Valid(now, 0):
		err = &fault.Error{Op: "sts.Token", Service: ServiceID, Kind: fault.Security, Outcome: fault.Unknown, Notice: noticeClock, Err: ErrExpired}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed, c.retryAt = err, now.Add(max(c.minDelay, min(retryAfter(err), MaxRetryAfter)))
		return nil, err
	}
	c.failed, c.retryAt = nil, time.Time{}
	c.tok = tok
	left := tok.NotOnOrAfter.Sub(now)
	c.useUntil = tok.NotOnOrAfter.Add(-min(c.margin, left/4))
	return tok, nil
}

// Drop forgets tok if it is still the kept token; another token, already newer, stays. It tells
// whether Token may give one that is worth trying. It says no, and forgets nothing, when tok
// is the replacement of a token dropped less than DropDelay ago.
func (c *Cache) Drop(tok *Token) bool {
	if tok == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tok != tok {
		return true
	}
	now := time.Now()
	if !c.droppedAt.IsZero() && now.Before(c.droppedAt.Add(c.dropDelay)) {
		return false
	}
	c.tok, c.useUntil, c.droppedAt = nil, time.Time{}, now
	return true
}

func waitEnded(err error) error {
	fe := &fault.Error{Op: "sts.Token", Service: ServiceID, Kind: fault.Canceled, Outcome: fault.NotSent, Err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		fe.Kind, fe.Notice = fault.Timeout, noticeNoLogin
	}
	return fe
}

func retryAfter(err error) time.Duration {
	if fe, ok := errors.AsType[*fault.Error](err); ok {
		return fe.RetryAfter
	}
	return 0
}
