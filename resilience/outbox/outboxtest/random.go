package outboxtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// random makes the same moves on the store and on Memory and wants the same answers. The seed is
// new in every run and printed; OUTBOXTEST_SEED repeats one.
func random(t *testing.T, b Backend) {
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("OUTBOXTEST_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("OUTBOXTEST_SEED=%d", seed)
	steps := 3000
	if testing.Short() {
		steps = 500
	}
	r := &runner{t: t, rng: rand.New(rand.NewPCG(seed, 1)), real: b.Open(t), model: NewMemory(), leases: map[string][2]outbox.Lease{}}
	for i := range steps {
		if b.Again != nil && r.rng.IntN(500) == 0 {
			r.real = b.Again(t)
		}
		r.step()
		if t.Failed() {
			t.Fatalf("at step %d", i)
		}
	}
}

type runner struct {
	t      *testing.T
	rng    *rand.Rand
	real   outbox.Store
	model  *Memory
	at     time.Duration
	leases map[string][2]outbox.Lease // by owner: the last one, of the real store and of the model
}

func (r *runner) id() outbox.ID { return outbox.ID{0: byte(r.rng.IntN(24)), 15: 7} }

func (r *runner) state() outbox.State {
	all := outbox.States()
	return all[r.rng.IntN(len(all))]
}

func (r *runner) owner() string { return "w" + strconv.Itoa(r.rng.IntN(3)) }

func (r *runner) step() {
	if r.rng.IntN(3) == 0 {
		r.at += time.Duration(r.rng.IntN(40)) * time.Second
	}
	switch r.rng.IntN(10) {
	case 0, 1:
		r.insert()
	case 2, 3, 4:
		r.swap()
	case 5, 6:
		r.claim()
	case 7:
		o := r.owner()
		l := r.leases[o]
		r.agree("release", r.real.Release(ctx, l[0]), r.model.Release(ctx, l[1]))
	case 8:
		id, rev, reason := r.id(), uint64(r.rng.IntN(3)), []string{"", "", "header"}[r.rng.IntN(3)]
		r.agree("remove", r.real.Remove(ctx, id, rev, reason), r.model.Remove(ctx, id, rev, reason))
	case 9:
		r.compare()
	}
}

func (r *runner) insert() {
	e := entry(byte(r.rng.IntN(24)), byte(r.rng.IntN(5)), in(r.state()), due(r.at+time.Duration(r.rng.IntN(90)-60)*time.Second), prio(outbox.Priority(r.rng.IntN(3))))
	e.Changed = noon.Add(r.at)
	if r.rng.IntN(2) == 0 {
		e.Expires = noon.Add(r.at + time.Duration(r.rng.IntN(600))*time.Second)
	}
	if r.rng.IntN(2) == 0 {
		e.Kind = "kind.b"
	}
	var c *outbox.Claim
	if r.rng.IntN(2) == 0 {
		c = &outbox.Claim{Owner: r.owner(), Now: noon.Add(r.at), For: time.Minute}
	}
	a, err := r.real.Insert(ctx, e, c)
	b, merr := r.model.Insert(ctx, e, c)
	r.agree("insert", err, merr)
	if (a.Lease == nil) != (b.Lease == nil) {
		r.t.Errorf("insert: lease %v, model %v", a.Lease, b.Lease)
	}
	if a.Lease != nil && b.Lease != nil {
		r.leases[c.Owner] = [2]outbox.Lease{*a.Lease, *b.Lease}
	}
}

func (r *runner) swap() {
	id := r.id()
	e, err := r.model.Load(ctx, id)
	if err != nil {
		e.ID = id
	}
	e.Rev += uint64(1 + r.rng.IntN(8)/7)
	if s := r.state(); e.State == 0 || e.State.CanBecome(s) || r.rng.IntN(4) == 0 {
		e.State, e.Changed = s, noon.Add(r.at)
	}
	e.Due = noon.Add(r.at + time.Duration(r.rng.IntN(90)-60)*time.Second)
	e.Payload, e.Answer = nil, nil
	if r.rng.IntN(4) == 0 {
		e.Answer = []byte("answer")
	}
	g, m := outbox.Guard{Drop: r.rng.IntN(5) == 0, Release: r.rng.IntN(2) == 0}, outbox.Guard{}
	m.Drop, m.Release = g.Drop, g.Release
	if l, ok := r.leases[r.owner()]; ok && l[0].Line == e.Line && r.rng.IntN(3) > 0 {
		g.Lease, m.Lease = &l[0], &l[1]
	}
	r.agree("swap", r.real.Swap(ctx, e, g), r.model.Swap(ctx, e, m))
}

func (r *runner) claim() {
	c := outbox.Claim{
		Owner: r.owner(), Now: noon.Add(r.at), For: time.Duration(1+r.rng.IntN(90)) * time.Second,
		Kinds: []outbox.Kind{"kind.a", "kind.b"}[:1+r.rng.IntN(2)], Urgent: r.rng.IntN(4) == 0,
	}
	if r.rng.IntN(2) == 0 {
		c.Line = &outbox.Line{0: byte(r.rng.IntN(5)), 15: 9}
	}
	a, err := r.real.Claim(ctx, c)
	b, merr := r.model.Claim(ctx, c)
	r.agree("claim", err, merr)
	if !a.Next.Equal(b.Next) {
		r.t.Errorf("claim: next %v, model %v", a.Next, b.Next)
	}
	if err == nil && merr == nil {
		if !same(a.Head, b.Head) || !a.Lease.Until.Equal(b.Lease.Until) || a.Lease.Owner != b.Lease.Owner || a.Lease.Line != b.Lease.Line {
			r.t.Errorf("claim: item %v until %v, model %v until %v", a.Head.ID, a.Lease.Until, b.Head.ID, b.Lease.Until)
		}
		r.leases[c.Owner] = [2]outbox.Lease{a.Lease, b.Lease}
	}
}

// kinds of refusal that a store may give.
var refusals = []error{
	outbox.ErrExists, outbox.ErrNotFound, outbox.ErrStale, outbox.ErrLeaseLost, outbox.ErrLeased, outbox.ErrNothing, outbox.ErrInvalid,
}

func (r *runner) agree(what string, got, want error) {
	r.t.Helper()
	if (got == nil) != (want == nil) {
		r.t.Errorf("%s: %v, model: %v", what, got, want)
		return
	}
	for _, one := range refusals {
		if errors.Is(got, one) != errors.Is(want, one) {
			r.t.Errorf("%s: %v, model: %v", what, got, want)
		}
	}
}

// compare looks at everything that can be seen.
func (r *runner) compare() {
	a, err := r.real.Count(ctx)
	b, merr := r.model.Count(ctx)
	r.agree("count", err, merr)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		r.t.Errorf("counts %v, model %v", a, b)
	}
	var all24 []outbox.ID
	for n := range byte(24) {
		id := outbox.ID{0: n, 15: 7}
		all24 = append(all24, id)
		a, err := r.real.Load(ctx, id)
		b, merr := r.model.Load(ctx, id)
		r.agree("load", err, merr)
		if err == nil && !same(a, b) {
			r.t.Errorf("item %d: %s rev %d, model %s rev %d", n, a.State, a.Rev, b.State, b.Rev)
		}
	}
	heads, err := r.real.Headers(ctx, all24)
	want, merr := r.model.Headers(ctx, all24)
	r.agree("headers", err, merr)
	if !slices.EqualFunc(heads, want, same) {
		r.t.Errorf("headers of %v, model %v", ids(heads), ids(want))
	}
	for _, q := range []outbox.Query{{Limit: 5}, {State: outbox.Done, Limit: 2}, {State: outbox.Held}, {Overdue: noon.Add(r.at), Limit: 3}, {State: outbox.Parked, Before: noon.Add(r.at)}} {
		if got, want := all(r.t, r.real, q), all(r.t, r.model, q); string(got) != string(want) {
			r.t.Errorf("list %+v: %v, model %v", q, got, want)
		}
	}
	if ck, ok := r.real.(outbox.Checker); ok {
		if err := ck.Check(ctx); err != nil {
			r.t.Errorf("check: %v", err)
		}
	}
}
