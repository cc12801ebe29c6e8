package insurability

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
)

const (
	// MaxRechecks bounds the questions that wait to be asked again, and the results that are remembered: a busy counter
	// for a day. What comes beyond is not checked, and its answer has no reference for it.
	MaxRechecks = 1000
	// RecheckTimeout bounds one question in the background (dossier 06 B.5, BCP-01: at most 60 s).
	RecheckTimeout = 30 * time.Second
	// RecheckRetryMin and RecheckRetryMax bound the pause before the next try while the service does not answer: it
	// doubles. An answer to somebody at the counter ends it.
	RecheckRetryMin = time.Minute
	RecheckRetryMax = 15 * time.Minute
	// RecheckSpread is the time over which the first question after a recovery is spread, so that all counters of the
	// country do not come at once.
	RecheckSpread = 30 * time.Second
	// RecheckPace is how many times the last answer took is paused before the next question, and RecheckPause the least:
	// checks never take more than a twentieth of what one caller could.
	RecheckPace  = 20
	RecheckPause = time.Second
	// RecheckFor is how long a question waits for an answer before it is given up.
	RecheckFor = 7 * 24 * time.Hour
)

// Finding is what was told, without whom about.
type Finding struct {
	Source      Source
	Insured     Tristate
	ConsultedAt time.Time // zero for Unknown
}

// Recheck is the check that follows when a question was answered from the store, or not at all, and the service is back
// (dossier 06 B.4.2). It changes nothing that was decided: it tells the person where to look. It names the question only
// by the reference that its answer carried.
type Recheck struct {
	Ref     string // [Provenance.Recheck] of the answer
	Service string
	Done    bool // false: it still waits
	Before  Finding
	After   Finding // Unknown when it was given up, or refused: see Err
	// Differs: the platform now says something else than the answer did; after Unknown, that it says something at all.
	// Fields names what: insured, mutuality, ct1, ct2, thirdPartyPayer, refused.
	Differs bool
	Fields  []string
	At      time.Time // when it was done
	Err     error     // why there is no answer: the platform refuses the question, or it was given up

	answer any
}

// Answer returns the answer of the check, nil when there is none or the question was one to MemberData. It holds personal
// data, and the Recheck that [OnRecheck] is told does not have it: ask [Client.Recheck].
func (r Recheck) Answer() *Answer { a, _ := r.answer.(*Answer); return a }

// MemberData is Answer for questions to MemberData.
func (r Recheck) MemberData() *MemberDataAnswer { a, _ := r.answer.(*MemberDataAnswer); return a }

// OnRecheck is told the result of every check in the background, one at a time. f must return soon.
func OnRecheck(f func(Recheck)) Option {
	return func(c *Config) error { c.hooks.onRecheck = f; return nil }
}

// recheckTask is one question that waits.
type recheckTask struct {
	id     cache.AnswerID // of the question
	result *Recheck
	since  time.Time
	run    func(ctx context.Context) (after laddered, err error)
	before essence
}

// rechecks asks again, one question at a time, and only while nobody at the counter waits. Its goroutine runs while
// something waits.
type rechecks struct {
	on   func(Recheck)
	base context.Context
	end  context.CancelFunc
	wake chan struct{} // the service answered, or nobody at the counter waits any more
	done sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	running bool
	waiting []*recheckTask
	results map[string]*Recheck
	order   []string // of results, oldest first
	calls   int      // of the counter, under way
	works   bool     // the last call of the counter, or the last check, was answered
	backoff time.Duration
	took    time.Duration
}

func newRechecks(on func(Recheck)) *rechecks {
	r := &rechecks{on: on, wake: make(chan struct{}, 1), results: map[string]*Recheck{}, works: true}
	r.base, r.end = context.WithCancel(context.Background())
	return r
}

// recheckOf makes the task of a question.
func recheckOf[A laddered](c *Client, q *question[A], before A) *recheckTask {
	p := before.provenance()
	return &recheckTask{
		id: c.id(q.service, q.scope, q.asked, Date{}), since: time.Now(), before: before.essence(),
		result: &Recheck{Service: q.service, Before: Finding{p.Source, before.essence().insured, p.ConsultedAt}},
		run: func(ctx context.Context) (laddered, error) {
			a, err := q.again(ctx, c.within(RecheckTimeout))
			now := *q
			now.today = Today() // tomorrow it is a question about yesterday
			if err != nil {
				c.forget(ctx, now.service, now.scope, now.asked, now.today, err)
				return nil, err
			}
			keep(ctx, c, &now, a)
			return a, nil
		},
	}
}

// add queues a task and returns its reference; that of the same question, when it waits already.
func (r *rechecks) add(t *recheckTask) string {
	var id [8]byte
	_, _ = crand.Read(id[:]) // never fails
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.waiting {
		if w.id == t.id && w.result.Before == t.result.Before {
			return w.result.Ref
		}
	}
	if r.closed || len(r.waiting) >= MaxRechecks {
		return ""
	}
	t.result.Ref = hex.EncodeToString(id[:])
	r.remember(t.result)
	r.waiting = append(r.waiting, t)
	if !r.running {
		r.running = true
		r.done.Go(r.work)
	}
	return t.result.Ref
}

// remember keeps a bounded number of results; those that still wait are never forgotten.
func (r *rechecks) remember(result *Recheck) {
	r.results[result.Ref] = result
	r.order = append(r.order, result.Ref)
	for i := 0; len(r.order) > 2*MaxRechecks && i < len(r.order); {
		if ref := r.order[i]; r.results[ref].Done {
			delete(r.results, ref)
			r.order = append(r.order[:i], r.order[i+1:]...)
			continue
		}
		i++
	}
}

// interactive tells that somebody waits at the counter, until the returned function is called.
func (r *rechecks) interactive() func() {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.calls--
		r.mu.Unlock()
		r.signal()
	}
}

func (r *rechecks) worked() {
	r.mu.Lock()
	r.works, r.backoff = true, 0
	r.mu.Unlock()
	r.signal()
}

func (r *rechecks) failed() {
	r.mu.Lock()
	r.works = false
	r.mu.Unlock()
}

func (r *rechecks) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *rechecks) work() {
	for {
		t := r.next()
		if t == nil {
			return
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(r.base, RecheckTimeout)
		after, err := t.run(ctx)
		cancel()
		if r.base.Err() != nil {
			r.stop()
			return
		}
		r.settle(t, after, err, time.Since(began))
	}
}

func (r *rechecks) stop() {
	r.mu.Lock()
	r.running = false
	r.mu.Unlock()
}

// next waits until a question may be asked and takes it; nil: there is none, or it is the end.
func (r *rechecks) next() *recheckTask {
	works := false // as of the pause: a recovery while it lasts is followed by a pause of its own
	var due time.Time
	for {
		r.mu.Lock()
		if len(r.waiting) == 0 || r.closed {
			r.running = false
			r.mu.Unlock()
			return nil
		}
		now := time.Now()
		if due.IsZero() || r.works && !works {
			due, works = now.Add(r.pause(due.IsZero())), r.works
		}
		if r.calls == 0 && !now.Before(due) {
			t := r.waiting[0]
			r.waiting = r.waiting[1:]
			r.mu.Unlock()
			return t
		}
		busy := r.calls > 0
		r.mu.Unlock()
		r.sleep(time.Until(due), busy)
	}
}

// pause is the time before the next question. first is false when the service came back while we were waiting.
func (r *rechecks) pause(first bool) time.Duration {
	jitter := 0.5 + rand.Float64()
	switch {
	case !r.works:
		r.backoff = min(max(2*r.backoff, RecheckRetryMin), RecheckRetryMax)
		return time.Duration(jitter * float64(r.backoff))
	case !first:
		return time.Duration(rand.Float64() * float64(RecheckSpread))
	default:
		return time.Duration(jitter * float64(max(RecheckPace*r.took, RecheckPause)))
	}
}

// sleep ends when its time is over, unless somebody at the counter waits; when something changed; and with the client.
func (r *rechecks) sleep(d time.Duration, busy bool) {
	var over <-chan time.Time
	if !busy {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
	case <-r.wake:
	case <-r.base.Done():
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
	}
}

// settle notes how a check ended. Without an answer the question goes to the end of the line.
func (r *rechecks) settle(t *recheckTask, after laddered, err error, took time.Duration) {
	now := time.Now()
	again := err != nil && stepsDown(err) && now.Sub(t.since) < RecheckFor
	r.mu.Lock()
	r.works = err == nil || !stepsDown(err)
	if r.works {
		r.backoff, r.took = 0, took
	}
	if again {
		r.waiting = append(r.waiting, t)
		r.mu.Unlock()
		return
	}
	res := t.result
	res.Done, res.At, res.Err = true, now, err
	if err == nil {
		p := after.provenance()
		res.After = Finding{p.Source, after.essence().insured, p.ConsultedAt}
		res.Fields, res.answer = t.before.differences(after.essence(), res.Before.Source == Unknown), after
	} else {
		res.After = Finding{Source: Unknown}
		if !stepsDown(err) && fault.OutcomeOf(err) == fault.Rejected {
			res.Fields = []string{"refused"}
		}
	}
	res.Differs = len(res.Fields) > 0
	public := *res
	public.answer = nil
	r.mu.Unlock()
	if r.on != nil {
		r.on(public)
	}
}

// differences names what the platform says otherwise now.
func (e essence) differences(now essence, unknown bool) (fields []string) {
	add := func(name string, differs bool) {
		if differs {
			fields = append(fields, name)
		}
	}
	add("insured", e.insured != now.insured)
	if unknown {
		return fields
	}
	add("mutuality", e.mutuality != now.mutuality)
	add("ct1", e.ct1 != now.ct1)
	add("ct2", e.ct2 != now.ct2)
	add("thirdPartyPayer", e.tpp != now.tpp)
	return fields
}

func (r *rechecks) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.done.Wait()
}

// Recheck returns the check behind an answer by its [Provenance.Recheck]; false when there is none of that name, or it was
// done long ago. Checks live in the process: after a restart none waits.
func (c *Client) Recheck(ref string) (Recheck, bool) {
	r := c.rechecks
	r.mu.Lock()
	defer r.mu.Unlock()
	res, ok := r.results[ref]
	if !ok {
		return Recheck{}, false
	}
	return *res, true
}

// RechecksWaiting returns how many questions wait to be asked again.
func (c *Client) RechecksWaiting() int {
	c.rechecks.mu.Lock()
	defer c.rechecks.mu.Unlock()
	return len(c.rechecks.waiting)
}

// Close ends what goes on in the background. Calls go on working.
func (c *Client) Close() error { c.rechecks.close(); return nil }
