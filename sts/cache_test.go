package sts

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// counter is a source that counts, takes its time and gives tokens of some life.
type counter struct {
	n     atomic.Int32
	takes time.Duration
	life  time.Duration
	err   func(n int32) error
	ctx   context.Context //nolint:containedctx // looked at by the test
}

func (c *counter) Token(ctx context.Context) (*Token, error) {
	n := c.n.Add(1)
	c.ctx = ctx
	if c.takes > 0 {
		select {
		case <-time.After(c.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.err != nil {
		if err := c.err(n); err != nil {
			return nil, err
		}
	}
	return &Token{NotOnOrAfter: time.Now().Add(c.life)}, nil
}

func (c *counter) want(t *testing.T, n int32) {
	t.Helper()
	if got := c.n.Load(); got != n {
		t.Errorf("%d tokens were asked for, want %d", got, n)
	}
}

func cached(t *testing.T, src TokenSource, opts ...Option) *Cache {
	t.Helper()
	c, err := Cached(src, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCacheSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counter{takes: time.Second, life: time.Hour}
		c := cached(t, src)
		var wg sync.WaitGroup
		var got [100]*Token
		for i := range got {
			wg.Go(func() { got[i], _ = c.Token(t.Context()) })
		}
		wg.Wait()
		for _, tok := range got {
			if tok == nil || tok != got[0] {
				t.Fatal("not everybody got the one token")
			}
		}
		src.want(t, 1)
	})
}

// TestCacheCancel: the first caller gives up; the others still get the token.
func TestCacheCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counter{takes: 10 * time.Second, life: time.Hour}
		c := cached(t, src)
		ctx, cancel := context.WithCancel(t.Context())
		first, others := make(chan error, 1), make(chan error, 99)
		go func() { _, err := c.Token(ctx); first <- err }()
		synctest.Wait()
		for range cap(others) {
			go func() { _, err := c.Token(t.Context()); others <- err }()
		}
		time.Sleep(time.Second)
		start := time.Now()
		cancel()
		checkError(t, <-first, fault.Canceled)
		if time.Since(start) != 0 {
			t.Error("the caller had to wait")
		}
		for range cap(others) {
			if err := <-others; err != nil {
				t.Fatal(err)
			}
		}
		src.want(t, 1)
	})
}

// TestCacheAbandoned: when everybody gave up, the work is still of use to the next caller.
func TestCacheAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counter{takes: 10 * time.Second, life: time.Hour}
		c := cached(t, src)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Token(ctx)
		if fe := checkError(t, err, fault.Timeout); fe.Notice != "D-AUTH-NONE" || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(fe.Notice, err)
		}
		time.Sleep(10 * time.Second)
		if _, err := c.Token(t.Context()); err != nil {
			t.Error(err)
		}
		src.want(t, 1)
		// With a context that is over, a kept token is given and nothing new is begun.
		if _, err := c.Token(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		_, err = c.Token(ctx)
		checkError(t, err, fault.Timeout)
		src.want(t, 1)
	})
}

func TestCacheExpiry(t *testing.T) {
	tests := map[string]struct {
		life, margin, until time.Duration
	}{
		"default":    {life: time.Hour, until: 59 * time.Minute},
		"own":        {life: time.Hour, margin: 5 * time.Minute, until: 55 * time.Minute},
		"off":        {life: time.Hour, margin: -1, until: time.Hour},
		"short life": {life: 40 * time.Second, until: 30 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &counter{life: tt.life}
				c := cached(t, src, Margin(tt.margin))
				first, err := c.Token(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.until - 1)
				if tok, _ := c.Token(t.Context()); tok != first {
					t.Error("replaced too early")
				}
				time.Sleep(time.Nanosecond)
				tok, err := c.Token(t.Context())
				if err != nil || tok == first || !tok.Valid(time.Now(), 0) {
					t.Error("not replaced", err)
				}
				src.want(t, 2)
			})
		})
	}
}

// TestCacheNeverExpired: what the source gives is not passed on when it is over.
func TestCacheNeverExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cached(t, &counter{life: 0})
		tok, err := c.Token(t.Context())
		if tok != nil || !errors.Is(err, ErrExpired) {
			t.Error(tok, err)
		}
		checkError(t, err, fault.Security)
		c = cached(t, TokenSourceFunc(func(context.Context) (*Token, error) { return nil, nil }))
		_, err = c.Token(t.Context())
		checkError(t, err, fault.Local)
	})
}

func TestCacheDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counter{life: time.Hour}
		c := cached(t, src)
		first, _ := c.Token(t.Context())
		if c.Drop(nil) {
			t.Error("nil was dropped")
		}
		if !c.Drop(&Token{}) {
			t.Error("a token that is not kept is worth replacing")
		}
		if tok, _ := c.Token(t.Context()); tok != first {
			t.Error("another token was dropped")
		}
		if !c.Drop(first) {
			t.Error("not dropped")
		}
		next, _ := c.Token(t.Context())
		if next == first || next == nil {
			t.Error("still there")
		}
		// Others who used the first token hear of its refusal later.
		for range 10 {
			if !c.Drop(first) {
				t.Error("the newer token is worth trying")
			}
		}
		if tok, _ := c.Token(t.Context()); tok != next {
			t.Error("the newer token was dropped")
		}
		// The service refuses the replacement as well: the token is not to blame.
		if c.Drop(next) {
			t.Error("the replacement was dropped at once")
		}
		if tok, _ := c.Token(t.Context()); tok != next {
			t.Error("the replacement is gone")
		}
		src.want(t, 2)
		time.Sleep(DefaultDropDelay)
		if !c.Drop(next) {
			t.Error("not dropped after the delay")
		}
	})
}

func TestCacheDropDelayOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cached(t, &counter{life: time.Hour}, DropDelay(-1))
		for range 3 {
			tok, _ := c.Token(t.Context())
			if !c.Drop(tok) {
				t.Error("not dropped")
			}
		}
	})
}

func TestCacheMinDelay(t *testing.T) {
	failure := &fault.Error{Kind: fault.Unavailable}
	hint := func(d time.Duration) *fault.Error {
		return &fault.Error{Kind: fault.Throttled, RetryAfter: d}
	}
	tests := map[string]struct {
		err   error
		delay time.Duration // option
		pause time.Duration
	}{
		"default":       {failure, 0, time.Second},
		"own":           {failure, 5 * time.Second, 5 * time.Second},
		"hint":          {hint(20 * time.Second), 0, 20 * time.Second},
		"short hint":    {hint(time.Millisecond), 0, time.Second},
		"overlong hint": {hint(time.Hour), 0, MaxRetryAfter},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &counter{life: time.Hour, err: func(n int32) error {
					if n == 1 {
						return tt.err
					}
					return nil
				}}
				c := cached(t, src, MinDelay(tt.delay))
				for range 10 {
					if _, err := c.Token(t.Context()); !errors.Is(err, tt.err) {
						t.Fatal(err)
					}
				}
				src.want(t, 1)
				time.Sleep(tt.pause - 1)
				if _, err := c.Token(t.Context()); !errors.Is(err, tt.err) {
					t.Fatal(err)
				}
				src.want(t, 1)
				time.Sleep(time.Nanosecond)
				if _, err := c.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				src.want(t, 2)
			})
		})
	}
	t.Run("off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			src := &counter{err: func(int32) error { return failure }}
			c := cached(t, src, MinDelay(-1))
			for range 3 {
				_, _ = c.Token(t.Context())
			}
			src.want(t, 3)
		})
	})
}

// TestCacheTimeout: a source that hangs ends in the cache's own time.
func TestCacheTimeout(t *testing.T) {
	for name, tt := range map[string]struct{ option, want time.Duration }{
		"default": {0, DefaultIssueTimeout}, "own": {time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cached(t, &counter{takes: time.Hour}, IssueTimeout(tt.option))
				start := time.Now()
				_, err := c.Token(context.Background())
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != tt.want {
					t.Error(err, time.Since(start))
				}
			})
		})
	}
}

type key struct{}

// TestCacheValues: the shared work sees the values of the first caller's context.
func TestCacheValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counter{life: time.Hour}
		if _, err := cached(t, src).Token(context.WithValue(t.Context(), key{}, "v")); err != nil {
			t.Fatal(err)
		}
		if src.ctx.Value(key{}) != "v" {
			t.Error("no value")
		}
	})
}

func TestCachedInvalid(t *testing.T) {
	if _, err := Cached(nil); err == nil {
		t.Error("no source")
	}
	if _, err := Cached(&counter{}, IssueTimeout(-1)); err == nil {
		t.Error("endless issue")
	}
}
