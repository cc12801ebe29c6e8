package bcp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// recheckEvery bounds how long the change token alone is believed: a server that forgets to change it must not hide
	// an order for ever.
	recheckEvery = time.Hour
	// tokenTries bounds how often a list is fetched again because its hash is not the token that came before it. The
	// two can differ because a list was published in between, or because the token is no such hash.
	tokenTries = 3
)

// site is what is remembered of one base URL.
type site struct {
	token   string     // of the list in force
	pending string     // token whose list did not hash to it
	tries   int        // fetches of pending
	fetched time.Time  // when the list was last fetched and found to be the one in force
	cond    conditions // of the list in force
}

// Start begins to poll, the first time at once, in a goroutine of its own. Starting twice, or after Close, does nothing.
func (d *Directory) Start() {
	d.life.Lock()
	defer d.life.Unlock()
	if d.closed || d.done != nil || len(d.cfg.URLs) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.done = cancel, make(chan struct{})
	go d.run(ctx)
}

// Close ends polling, a fetch under way included, and waits until the goroutine is gone. Lookups still work. Closing
// twice is harmless. The error is always nil.
func (d *Directory) Close() error {
	d.life.Lock()
	defer d.life.Unlock()
	d.closed = true
	if d.done != nil {
		d.stop()
		<-d.done
	}
	return nil
}

// Alert says that something is wrong with an address: until nothing was said for AlertHold, the list is polled every
// AlertPoll, the first time within that time. It may be called as often as calls fail; it costs nothing.
func (d *Directory) Alert() {
	now := time.Now()
	was := d.alertUntil.Swap(now.Add(d.cfg.AlertHold).UnixNano())
	if was > now.UnixNano() {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Alerted tells whether an alert lasts.
func (d *Directory) Alerted() bool { return d.alertUntil.Load() > time.Now().UnixNano() }

func (d *Directory) run(ctx context.Context) {
	defer close(d.done)
	t := time.NewTimer(0)
	defer t.Stop()
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
			// An alert begins: poll within AlertPoll, at a moment that differs between clients.
			if at := time.Now().Add(jitter(0, d.cfg.AlertPoll)); at.Before(next) {
				next = at
				t.Reset(time.Until(at))
			}
			continue
		case <-t.C:
		}
		_ = d.Refresh(ctx) // told as an event
		next = time.Now().Add(d.pause())
		t.Reset(time.Until(next))
	}
}

// pause draws the time until the next poll.
func (d *Directory) pause() time.Duration {
	if d.Alerted() {
		a := d.cfg.AlertPoll
		return jitter(a-a/4, a+a/4)
	}
	return jitter(d.cfg.PollMin, d.cfg.PollMax)
}

// jitter draws a duration from low to high.
func jitter(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(rand.Int64N(int64(high-low)+1))
}

// Refresh polls now. nil: the list in force is the published one. Errors are the sentinels Err…; what is in force has
// not changed then. It ends when ctx does, and in any case after two timeouts per URL.
func (d *Directory) Refresh(ctx context.Context) error {
	if len(d.cfg.URLs) == 0 {
		return fmt.Errorf("%w: no URL configured", ErrUnreachable)
	}
	select {
	case d.polling <- struct{}{}:
		defer func() { <-d.polling }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
	var first error
	for _, base := range d.cfg.URLs {
		err := d.poll(ctx, base)
		if err == nil {
			d.reached(nil)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
		}
		if first == nil || errors.Is(first, ErrUnreachable) && !errors.Is(err, ErrUnreachable) {
			first = err
		}
	}
	d.reached(first)
	return first
}

// reached tells when the list became unreachable and when it could be fetched again, be it a good one or not.
func (d *Directory) reached(err error) {
	d.install.Lock()
	defer d.install.Unlock()
	lost := errors.Is(err, ErrUnreachable)
	switch {
	case lost && !d.lost:
		d.tell(Event{Kind: Unreachable, Source: FromNetwork, Err: err})
	case !lost && d.lost:
		d.tell(Event{Kind: Reachable, Source: FromNetwork})
	}
	d.lost = lost
}

// poll asks one base URL. It is the only poll under way.
func (d *Directory) poll(ctx context.Context, base string) error {
	s := d.sites[base]
	if s == nil {
		s = &site{}
		d.sites[base] = s
	}
	token, known, err := d.fetchToken(ctx, base)
	if err != nil {
		return err
	}
	list := d.view.Load().list
	fresh := list != nil && (s.fetched.IsZero() || time.Since(s.fetched) < recheckEvery)
	if known && fresh && (token == s.token || list.matches(token)) {
		s.token = token
		if s.fetched.IsZero() {
			s.fetched = time.Now()
		}
		d.forgive()
		return nil
	}
	cond := s.cond
	if list == nil {
		cond = conditions{}
	}
	a, unchanged, err := d.fetchList(ctx, base, cond)
	if err != nil {
		if !errors.Is(err, ErrUnreachable) {
			d.install.Lock()
			d.refuse(err, base+token)
			d.install.Unlock()
		}
		return err
	}
	if !unchanged {
		if err := d.accept(a.body, base); err != nil {
			return err
		}
		s.cond = conditions{a.etag, a.lastModified}
	}
	d.forgive()
	s.remember(token, known, d.view.Load().list.matches(token))
	return nil
}

// forgive ends a streak of refusals: the published list is the one in force.
func (d *Directory) forgive() {
	d.install.Lock()
	defer d.install.Unlock()
	d.refused = nil
}

// remember keeps the token of the list in force.
func (s *site) remember(token string, known, hash bool) {
	s.fetched = time.Now()
	if !known || hash {
		s.token, s.pending, s.tries = token, "", 0
		return
	}
	if s.pending != token {
		s.pending, s.tries = token, 0
	}
	if s.tries++; s.tries >= tokenTries {
		s.token = token
	}
}
