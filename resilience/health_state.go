package resilience

import (
	"slices"
	"sync"
	"time"
)

// evaluate brings every function up to date. It is called with the lock held, after every piece
// of evidence that may matter; there are few functions and few addresses.
func (h *Health) evaluate(now time.Time) {
	network := h.networkDown(now)
	h.waiting = 0
	for _, f := range h.functions {
		want := h.judge(f, network)
		switch {
		case want.same(f.now) || want.Condition == OK && f.now.Condition == OK:
			f.better = time.Time{}
		case want.Condition >= f.now.Condition:
			h.set(f, want, now)
		default:
			h.improve(f, want, now)
		}
		if !f.better.IsZero() {
			h.waiting++
		}
	}
}

// judge says how well a function works by the evidence of this moment.
func (h *Health) judge(f *function, network bool) Status {
	s := Status{Function: f.Name}
	if network {
		s.Condition, s.Where, s.Notice = Down, Network, noticeNet
		return s
	}
	for _, n := range f.Needs {
		if c, with := h.need(n); c > s.Condition {
			s.Condition, s.With, s.Service = c, with, n.Service
			s.Where = h.where(n)
		}
	}
	if f.fixed != nil && s.Condition < Degraded {
		s = *f.fixed
	}
	switch s.Condition {
	case OK:
		s.Where = Nowhere
		if f.now.Condition != OK {
			s.Notice = noticeOK
		}
	case Slow:
		s.Notice = noticeSlow
	case Degraded:
		if f.fixed == nil || s.With != f.fixed.With {
			s.Notice = f.Alternate
		}
	case Down:
		s.Notice = noticeDown
	}
	return s
}

// need says how well one service works: by its first choice, by another address, or not at all.
func (h *Health) need(n Need) (c Condition, with string) {
	sites := h.sitesOf(n)
	if len(sites) == 0 {
		return OK, ""
	}
	for i, s := range sites {
		switch {
		case h.bad(s) || h.replaced(s, sites[i+1:]):
			continue
		case i > 0 && !s.worked.IsZero():
			return Degraded, "alternate"
		case i > 0:
			continue // it never worked yet
		case s.slow:
			return Slow, ""
		}
		return OK, ""
	}
	return Down, ""
}

// replaced tells whether an address failed and another one has answered since. It is asked last then, so that two more
// failures, which bad waits for, take longer than a person should wait for the news.
func (h *Health) replaced(s *site, others []*site) bool {
	return s.fails >= 1 && slices.ContainsFunc(others, func(o *site) bool { return !h.bad(o) && !o.worked.Before(s.failed) })
}

// sitesOf returns the addresses of a service, first choice first.
func (h *Health) sitesOf(n Need) []*site {
	var out []*site
	if len(n.Endpoints) > 0 {
		for _, u := range n.Endpoints {
			out = append(out, h.site(n.Service, u))
		}
		return out
	}
	for _, s := range h.seen {
		if s.service == n.Service && s.asked {
			out = append(out, s)
		}
	}
	// Without a list nobody says which one is the first choice: then a good one is good.
	for i, s := range out {
		if !h.bad(s) {
			out[0], out[i] = out[i], out[0]
			break
		}
	}
	return out
}

// where says whose failure it is: the partner's when other services of the platform answer.
func (h *Health) where(n Need) Place {
	if !n.Partner {
		return Platform
	}
	for _, s := range h.seen {
		if s.service != n.Service && s.asked && !h.bad(s) {
			return Partner
		}
	}
	return Platform
}

// networkDown tells whether nothing at all can be reached. Of the addresses that failed since
// anything worked, every one must have failed before a server was reached, at least three times
// together; and either only a missing network explains it, or there are at least two hosts and
// no other one that worked lately and was not asked since.
func (h *Health) networkDown(now time.Time) bool {
	var worked time.Time
	for _, s := range h.seen {
		if s.worked.After(worked) {
			worked = s.worked
		}
	}
	hosts, fails, offline, silent := map[string]bool{}, 0, true, false
	for _, s := range h.seen {
		switch {
		case s.fails > 0 && s.failed.After(worked) && now.Sub(s.failed) <= h.p.Memory:
			if !s.dialing {
				return false
			}
			hosts[hostOf(s.url)] = true
			fails += s.fails
			offline = offline && s.offline
		case !s.worked.IsZero() && now.Sub(s.worked) <= h.p.Memory:
			silent = true
		}
	}
	return fails >= h.p.DownAfter && (offline || len(hosts) >= 2 && !silent)
}

// improve lets a function become better once that has lasted.
func (h *Health) improve(f *function, want Status, now time.Time) {
	if f.better.IsZero() || f.next.Condition < want.Condition {
		f.better = now
	}
	f.next = want
	left := h.hold(f, now) - now.Sub(f.better)
	if left <= 0 {
		h.set(f, want, now)
		return
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	if !h.closed {
		f.timer = time.AfterFunc(left, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !h.closed {
				h.evaluate(time.Now())
			}
		})
	}
}

// hold is how long better evidence must last: Hold after the first turn for the worse within
// an hour, twelve times as long after each further one, at most HoldMax.
func (h *Health) hold(f *function, now time.Time) time.Duration {
	if h.p.Hold < 0 {
		return 0
	}
	f.forget(now)
	d := h.p.Hold
	for i := 1; i < len(f.worse) && d < h.p.HoldMax; i++ {
		d *= healthFlapFactor
	}
	return min(d, h.p.HoldMax)
}

func (f *function) forget(now time.Time) {
	for len(f.worse) > 0 && now.Sub(f.worse[0]) > healthFlapWindow {
		f.worse = f.worse[1:]
	}
}

// set makes a status the current one and tells the watchers.
func (h *Health) set(f *function, s Status, now time.Time) {
	if s.Condition > f.now.Condition {
		f.forget(now)
		f.worse = append(f.worse, now)
	}
	s.Since = now
	if s.Condition == f.now.Condition {
		s.Since = f.now.Since
	}
	f.now, f.better = s, time.Time{}
	if f.timer != nil {
		f.timer.Stop()
	}
	s = h.filled(s)
	for w := range h.watchers {
		w.push(s)
	}
}

// Watch calls f with every change of a function's status, one after the other, from a goroutine
// of its own. A watcher that is slow gets the latest status of a function instead of every one
// between. After stop f is not called again; a call under way is not waited for, so that f may
// call stop itself. A panic in f is contained.
func (h *Health) Watch(f func(Status)) (stop func()) {
	w := &watcher{h: h, f: f, wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return func() {}
	}
	h.watchers[w] = struct{}{}
	go w.run()
	return w.stop
}

type watcher struct {
	h     *Health
	f     func(Status)
	wake  chan struct{}
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once

	mu     sync.Mutex
	queue  []Status // at most one per function
	inside bool     // f is running
}

func (w *watcher) push(s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.queue {
		if w.queue[i].Function == s.Function {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			break
		}
	}
	w.queue = append(w.queue, s)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) run() {
	defer close(w.ended)
	for {
		select {
		case <-w.quit:
			return
		case <-w.wake:
		}
		for s, ok := w.pop(); ok; s, ok = w.pop() {
			call(w.f, s)
			w.left()
		}
	}
}

func (w *watcher) pop() (s Status, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.quit:
		return s, false
	default:
	}
	if len(w.queue) == 0 {
		return s, false
	}
	s, w.queue = w.queue[0], w.queue[1:]
	w.inside = true
	return s, true
}

func (w *watcher) left() {
	w.mu.Lock()
	w.inside = false
	w.mu.Unlock()
}

func (w *watcher) stop() {
	w.once.Do(func() {
		w.h.mu.Lock()
		delete(w.h.watchers, w)
		w.h.mu.Unlock()
		close(w.quit)
	})
	w.mu.Lock()
	inside := w.inside
	w.mu.Unlock()
	if !inside {
		<-w.ended
	}
}
