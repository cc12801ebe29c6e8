// One file on purpose, though a long one: whoever writes a store reads it from top to bottom.

package outboxtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Backend is one empty place where a store keeps its data.
type Backend struct {
	// Open returns a handle, as another process would get one, on the same data. A store for one
	// process returns the handle it has. The suite closes what it opens, each handle once or twice.
	Open func(t testing.TB) outbox.Store
	// Again closes what is open and opens the data anew, as after a restart. nil: this store
	// cannot be reopened.
	Again func(t testing.TB) outbox.Store
}

// Run checks a store. factory makes a new, empty Backend for each test.
func Run(t *testing.T, factory func(t testing.TB) Backend) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Backend)
	}{
		{"InsertLoad", insertLoad},
		{"InsertTwice", insertTwice},
		{"Headers", headers},
		{"HeadersOfOneMoment", headersOfOneMoment},
		{"SwapComparesAndSets", swapCompares},
		{"SwapKeepsAndDropsParts", swapParts},
		{"ClaimGivesTheHead", claimHead},
		{"ClaimOrder", claimOrder},
		{"ClaimNext", claimNext},
		{"LeaseExcludes", leaseExcludes},
		{"LeaseFences", leaseFences},
		{"LeaseExtends", leaseExtends},
		{"LeaseOfTheSameOwnerAfterItsEnd", leaseSameOwner},
		{"InsertTakesAFreeLine", insertClaims},
		{"EmptyLineHasNoLease", emptyLine},
		{"LineReopens", lineReopens},
		{"ListPages", listPages},
		{"ListOverdue", listOverdue},
		{"ListSettled", listSettled},
		{"CountAndRemove", countRemove},
		{"Aside", setAside},
		{"Mark", mark},
		{"Reopen", reopen},
		{"Concurrent", concurrent},
		{"Closed", closed},
		{"RandomAgainstModel", random},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, factory(t)) })
	}
}

var (
	ctx  = context.Background()
	noon = time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)
)

// entry makes a prepared entry; n decides its id and line decides its line.
func entry(n, line byte, change ...func(*outbox.Entry)) outbox.Entry {
	e := outbox.Entry{
		ID: outbox.ID{0: n, 15: 7}, Line: outbox.Line{0: line, 15: 9}, Rev: 1, Kind: "kind.a", State: outbox.Prepared,
		Due: noon, Changed: noon, Meta: []byte{'m', n}, Payload: []byte{'p', n},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func due(d time.Duration) func(*outbox.Entry) { return func(e *outbox.Entry) { e.Due = noon.Add(d) } }

func in(s outbox.State) func(*outbox.Entry) { return func(e *outbox.Entry) { e.State = s } }

func kind(k outbox.Kind) func(*outbox.Entry) { return func(e *outbox.Entry) { e.Kind = k } }

func prio(p outbox.Priority) func(*outbox.Entry) { return func(e *outbox.Entry) { e.Priority = p } }

func put(t *testing.T, s outbox.Store, es ...outbox.Entry) {
	t.Helper()
	for _, e := range es {
		if _, err := s.Insert(ctx, e, nil); err != nil {
			t.Fatalf("insert: %v", err)
		}
	}
}

// next is the entry's next revision, changed.
func next(t *testing.T, s outbox.Store, id outbox.ID, change ...func(*outbox.Entry)) outbox.Entry {
	t.Helper()
	e, err := s.Load(ctx, id)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	e.Rev++
	e.Payload, e.Answer = nil, nil
	for _, c := range change {
		c(&e)
	}
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

func claim(owner string, at time.Duration, change ...func(*outbox.Claim)) outbox.Claim {
	c := outbox.Claim{Owner: owner, Now: noon.Add(at), For: time.Minute, Kinds: []outbox.Kind{"kind.a"}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func onLine(line byte) func(*outbox.Claim) {
	return func(c *outbox.Claim) { c.Line = &outbox.Line{0: line, 15: 9} }
}

func kinds(k ...outbox.Kind) func(*outbox.Claim) { return func(c *outbox.Claim) { c.Kinds = k } }

func urgent(c *outbox.Claim) { c.Urgent = true }

// take claims and wants the head n.
func take(t *testing.T, s outbox.Store, c outbox.Claim, n byte) outbox.Lease {
	t.Helper()
	got, err := s.Claim(ctx, c)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	if got.Head.ID[0] != n {
		t.Fatalf("claimed item %d, want %d", got.Head.ID[0], n)
	}
	return got.Lease
}

func same(a, b outbox.Entry) bool {
	return a.ID == b.ID && a.Line == b.Line && a.Rev == b.Rev && a.Kind == b.Kind && a.State == b.State && a.Priority == b.Priority &&
		a.Attempt == b.Attempt && a.Due.Equal(b.Due) && a.Expires.Equal(b.Expires) && a.Changed.Equal(b.Changed) &&
		bytes.Equal(a.Meta, b.Meta) && bytes.Equal(a.Payload, b.Payload) && bytes.Equal(a.Answer, b.Answer) &&
		(a.Answer == nil) == (b.Answer == nil) && (a.Payload == nil) == (b.Payload == nil)
}

func insertLoad(t *testing.T, b Backend) {
	s := b.Open(t)
	e := entry(1, 1, prio(outbox.Background), func(e *outbox.Entry) { e.Expires, e.Attempt = noon.Add(time.Hour), 3 })
	put(t, s, e)
	got, err := s.Load(ctx, e.ID)
	must(t, err)
	if !same(got, e) || got.Seq == 0 {
		t.Fatalf("loaded something else: seq %d, rev %d, state %s", got.Seq, got.Rev, got.State)
	}
	_, err = s.Load(ctx, outbox.ID{9})
	want(t, err, outbox.ErrNotFound)
}

func headers(t *testing.T, b Backend) {
	s, other := b.Open(t), b.Open(t)
	put(t, s,
		entry(1, 1), entry(2, 1, in(outbox.Held), prio(outbox.Background)), entry(3, 2, kind("kind.b"), func(e *outbox.Entry) { e.Expires, e.Attempt = noon.Add(time.Hour), 3 }),
		entry(4, 4), entry(5, 5),
	)
	must(t, s.Swap(ctx, next(t, s, entry(4, 4).ID, in(outbox.Done), func(e *outbox.Entry) { e.Answer, e.Meta = []byte("yes"), []byte("new") }), outbox.Guard{}))
	must(t, s.Remove(ctx, entry(5, 5).ID, 0, "header"))
	put(t, s, entry(6, 6))
	must(t, s.Remove(ctx, entry(6, 6).ID, 0, "header"))
	put(t, s, entry(6, 6))
	for _, c := range []struct{ asked, want []byte }{
		{nil, nil},
		{[]byte{9}, nil},
		{[]byte{5}, []byte{5}},
		{[]byte{4}, []byte{4}},
		{[]byte{3, 9, 1, 6, 5, 4, 2}, []byte{3, 1, 6, 5, 4, 2}},
		{[]byte{2, 1, 2, 9, 9}, []byte{2, 1, 2}},
	} {
		var asked []outbox.ID
		for _, n := range c.asked {
			asked = append(asked, entry(n, 0).ID)
		}
		got, err := other.Headers(ctx, asked)
		must(t, err)
		if !bytes.Equal(ids(got), c.want) {
			t.Errorf("asked for %v: %v, want %v", c.asked, ids(got), c.want)
		}
		for _, e := range got {
			want, err := s.Load(ctx, e.ID)
			if errors.Is(err, outbox.ErrNotFound) && e.ID[0] == 5 { // set aside
				want, err = outbox.Entry{ID: e.ID}, nil
			}
			must(t, err)
			want.Payload, want.Answer = nil, nil
			if !same(e, want) || e.Seq != want.Seq {
				t.Errorf("item %d is another when it is loaded", e.ID[0])
			}
		}
	}
	many := make([]outbox.ID, outbox.MaxHeaders)
	many[outbox.MaxHeaders-1] = entry(1, 1).ID
	got, err := s.Headers(ctx, many)
	must(t, err)
	if !bytes.Equal(ids(got), []byte{1}) {
		t.Errorf("of as many as may be asked for: %v", ids(got))
	}
	_, err = s.Headers(ctx, append(many, outbox.ID{}))
	want(t, err, outbox.ErrInvalid)
}

// headersOfOneMoment: a worker inserts an entry and then settles the one before it. Who sees one settled sees the one after it,
// also when it asks for that one first.
func headersOfOneMoment(t *testing.T, b Backend) {
	const moves = 60
	s, reader := b.Open(t), b.Open(t)
	put(t, s, entry(0, 0))
	var asked []outbox.ID
	for n := moves; n >= 0; n-- {
		asked = append(asked, entry(byte(n), 0).ID)
	}
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ended)
		for n := range byte(moves) {
			e := entry(n, n, in(outbox.Done))
			e.Rev = 2
			_, err := s.Insert(ctx, entry(n+1, n+1), nil)
			if err = errors.Join(err, s.Swap(ctx, e, outbox.Guard{})); err != nil {
				t.Errorf("moving on: %v", err)
				return
			}
		}
	})
	for last := false; !last; {
		select {
		case <-ended:
			last = true
		default:
		}
		got, err := reader.Headers(ctx, asked)
		if err != nil {
			t.Errorf("headers: %v", err)
			break
		}
		if len(got) == 0 || got[0].State != outbox.Prepared {
			t.Errorf("of %d the last one is settled, and the one after it is not there", len(got))
			break
		}
	}
	wg.Wait()
}

func insertTwice(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1))
	_, err := s.Insert(ctx, entry(1, 2), nil)
	want(t, err, outbox.ErrExists)
	if got, _ := s.Load(ctx, entry(1, 1).ID); got.Line[0] != 1 {
		t.Fatal("a refused insert changed the entry")
	}
}

func swapCompares(t *testing.T, b Backend) {
	s, other := b.Open(t), b.Open(t)
	put(t, s, entry(1, 1))
	first, second := next(t, s, entry(1, 1).ID, in(outbox.Sending)), next(t, other, entry(1, 1).ID, in(outbox.Cancelled))
	must(t, s.Swap(ctx, first, outbox.Guard{}))
	want(t, other.Swap(ctx, second, outbox.Guard{}), outbox.ErrStale)
	second.Rev = 9
	want(t, other.Swap(ctx, second, outbox.Guard{}), outbox.ErrStale)
	got, err := other.Load(ctx, first.ID)
	must(t, err)
	if got.State != outbox.Sending || got.Rev != 2 {
		t.Fatalf("state %s rev %d", got.State, got.Rev)
	}
	second.ID[0] = 77
	want(t, s.Swap(ctx, second, outbox.Guard{}), outbox.ErrNotFound)
}

func swapParts(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1))
	id := entry(1, 1).ID
	must(t, s.Swap(ctx, next(t, s, id, in(outbox.Sending)), outbox.Guard{}))
	must(t, s.Swap(ctx, next(t, s, id, in(outbox.Done), func(e *outbox.Entry) { e.Answer = []byte("yes") }), outbox.Guard{}))
	got, _ := s.Load(ctx, id)
	if string(got.Payload) != "p\x01" || string(got.Answer) != "yes" {
		t.Fatalf("payload %q answer %q", got.Payload, got.Answer)
	}
	must(t, s.Swap(ctx, next(t, s, id, func(e *outbox.Entry) { e.Meta = []byte("new") }), outbox.Guard{Drop: true}))
	got, _ = s.Load(ctx, id)
	if got.Payload != nil || string(got.Answer) != "yes" || string(got.Meta) != "new" {
		t.Fatalf("payload %q answer %q meta %q", got.Payload, got.Answer, got.Meta)
	}
}

func claimHead(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(2, 1), entry(1, 1), entry(3, 1, in(outbox.Held)))
	l := take(t, s, claim("a", 0), 2)
	if !l.Until.Equal(noon.Add(time.Minute)) {
		t.Fatalf("lease until %v", l.Until)
	}
	for _, st := range []outbox.State{outbox.Sending, outbox.Unknown} {
		must(t, s.Swap(ctx, next(t, s, entry(2, 1).ID, in(st)), outbox.Guard{Lease: &l}))
		take(t, s, claim("a", 0, onLine(1)), 2) // still the head
	}
	must(t, s.Swap(ctx, next(t, s, entry(2, 1).ID, in(outbox.Parked)), outbox.Guard{Lease: &l, Release: true}))
	take(t, s, claim("b", 0), 1) // a parked one holds up nobody
}

func claimOrder(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s,
		entry(1, 1, due(-time.Hour), prio(outbox.Background)),
		entry(2, 2, due(-time.Minute)),
		entry(3, 3, due(-2*time.Minute)),
		entry(4, 4, due(-time.Second), prio(outbox.Interactive)),
		entry(5, 5, due(-time.Hour), kind("kind.b"), prio(outbox.Interactive)),
		entry(6, 6, due(time.Second), prio(outbox.Interactive)),
	)
	for i, n := range []byte{4, 3, 2, 1} {
		take(t, s, claim("w"+string(rune('0'+i)), 0), n)
	}
	take(t, s, claim("v", 0, kinds("kind.c", "kind.b")), 5)
	_, err := s.Claim(ctx, claim("u", 0, kinds("kind.a", "kind.b")))
	want(t, err, outbox.ErrNothing)
	take(t, s, claim("u", time.Second, urgent), 6)
}

func claimNext(t *testing.T, b Backend) {
	s := b.Open(t)
	got, err := s.Claim(ctx, claim("a", 0))
	want(t, err, outbox.ErrNothing)
	if !got.Next.IsZero() {
		t.Fatalf("next %v in an empty store", got.Next)
	}
	put(t, s, entry(1, 1, due(time.Hour)), entry(2, 2, due(2*time.Hour), prio(outbox.Interactive)), entry(3, 3, due(time.Minute), kind("kind.b")))
	for _, c := range []struct {
		claim outbox.Claim
		next  time.Duration
	}{{claim("a", 0), time.Hour}, {claim("a", 0, urgent), 2 * time.Hour}, {claim("a", 0, kinds("kind.a", "kind.b")), time.Minute}} {
		got, err := s.Claim(ctx, c.claim)
		want(t, err, outbox.ErrNothing)
		if !got.Next.Equal(noon.Add(c.next)) {
			t.Fatalf("next %v, want +%v", got.Next, c.next)
		}
	}
	take(t, s, claim("a", time.Minute, kinds("kind.b")), 3)
	got, err = s.Claim(ctx, claim("b", time.Minute, kinds("kind.b")))
	want(t, err, outbox.ErrNothing)
	if !got.Next.After(noon.Add(2*time.Minute)) || got.Next.After(noon.Add(2*time.Minute+time.Millisecond)) {
		t.Fatalf("next %v, want just after the end of the lease", got.Next)
	}
}

func leaseExcludes(t *testing.T, b Backend) {
	s, other := b.Open(t), b.Open(t)
	put(t, s, entry(1, 1), entry(2, 1))
	l := take(t, s, claim("a", 0), 1)
	_, err := other.Claim(ctx, claim("b", 0))
	want(t, err, outbox.ErrNothing)
	_, err = other.Claim(ctx, claim("b", time.Minute, onLine(1)))
	want(t, err, outbox.ErrLeased)
	must(t, s.Release(ctx, l))
	must(t, s.Release(ctx, l))
	l2 := take(t, other, claim("b", 0, onLine(1)), 1)
	if l2.Epoch == l.Epoch {
		t.Fatal("two leases with one epoch")
	}
	must(t, s.Release(ctx, l)) // not ours any more: no effect
	_, err = s.Claim(ctx, claim("a", 0, onLine(1)))
	want(t, err, outbox.ErrLeased)
}

func leaseFences(t *testing.T, b Backend) {
	s, other := b.Open(t), b.Open(t)
	put(t, s, entry(1, 1))
	id := entry(1, 1).ID
	l := take(t, s, claim("a", 0), 1)
	must(t, s.Swap(ctx, next(t, s, id, in(outbox.Sending)), outbox.Guard{Lease: &l}))
	// Its time is over, but nobody else came: still good.
	must(t, s.Swap(ctx, next(t, s, id, in(outbox.Unknown)), outbox.Guard{Lease: &l}))
	l2 := take(t, other, claim("b", time.Minute+1), 1)
	e := next(t, s, id, in(outbox.Ready))
	want(t, s.Swap(ctx, e, outbox.Guard{Lease: &l}), outbox.ErrLeaseLost)
	if got, _ := other.Load(ctx, id); got.State != outbox.Unknown {
		t.Fatalf("a fenced write changed the state to %s", got.State)
	}
	must(t, other.Swap(ctx, e, outbox.Guard{Lease: &l2, Release: true}))
	want(t, other.Swap(ctx, next(t, s, id, in(outbox.Sending)), outbox.Guard{Lease: &l2}), outbox.ErrLeaseLost)
}

func leaseExtends(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1))
	l := take(t, s, claim("a", 0), 1)
	l2 := take(t, s, claim("a", 30*time.Second, onLine(1)), 1)
	if l2.Epoch != l.Epoch || !l2.Until.Equal(noon.Add(90*time.Second)) {
		t.Fatalf("epoch %d until %v", l2.Epoch, l2.Until)
	}
	l3 := take(t, s, claim("a", 0, onLine(1)), 1)
	if !l3.Until.Equal(l2.Until) {
		t.Fatal("a lease was shortened")
	}
	_, err := s.Claim(ctx, claim("b", 90*time.Second, onLine(1)))
	want(t, err, outbox.ErrLeased)
}

func leaseSameOwner(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1))
	l := take(t, s, claim("a", 0), 1)
	l2 := take(t, s, claim("a", 2*time.Minute, onLine(1)), 1)
	if l2.Epoch == l.Epoch {
		t.Fatal("a lease that was over came to life again")
	}
}

func insertClaims(t *testing.T, b Backend) {
	s := b.Open(t)
	c := claim("a", 0)
	got, err := s.Insert(ctx, entry(1, 1), &c)
	must(t, err)
	if got.Lease == nil || got.Lease.Owner != "a" || got.Lease.Line != entry(1, 1).Line {
		t.Fatal("no lease of a free and empty line")
	}
	lent := *got.Lease
	_, err = s.Claim(ctx, claim("b", 0))
	want(t, err, outbox.ErrNothing)
	got, err = s.Insert(ctx, entry(2, 1), &c)
	must(t, err)
	if got.Lease != nil {
		t.Fatal("a lease of a line in which others wait")
	}
	got, err = s.Insert(ctx, entry(3, 3, in(outbox.Held)), &c)
	must(t, err)
	if got.Lease != nil {
		t.Fatal("a lease for a held item")
	}
	same, err := s.Claim(ctx, claim("a", 0, onLine(1)))
	must(t, err)
	if same.Head.ID != entry(1, 1).ID || same.Head.Rev != 1 || same.Lease.Epoch != lent.Epoch || same.Lease.Until.Before(lent.Until) {
		t.Fatalf("a claim of what was lent gives %v, revision %d, lease %v, want lease %v", same.Head.ID, same.Head.Rev, same.Lease, lent)
	}
	must(t, s.Swap(ctx, next(t, s, entry(1, 1).ID, in(outbox.Sending)), outbox.Guard{Lease: &outbox.Lease{Line: entry(1, 1).Line, Owner: "a"}}))
}

func emptyLine(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1))
	l := take(t, s, claim("a", 0), 1)
	must(t, s.Swap(ctx, next(t, s, entry(1, 1).ID, in(outbox.Sending)), outbox.Guard{Lease: &l}))
	must(t, s.Swap(ctx, next(t, s, entry(1, 1).ID, in(outbox.Done)), outbox.Guard{Lease: &l}))
	_, err := s.Claim(ctx, claim("a", 0, onLine(1)))
	want(t, err, outbox.ErrNothing)
	put(t, s, entry(2, 1))
	take(t, s, claim("b", 0), 2)
}

func lineReopens(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1, in(outbox.Held)), entry(2, 1))
	take(t, s, claim("a", 0), 2)
	must(t, s.Swap(ctx, next(t, s, entry(1, 1).ID, in(outbox.Prepared)), outbox.Guard{}))
	take(t, s, claim("a", 0, onLine(1)), 1) // in the place it had
	_, err := s.Claim(ctx, claim("b", 0))
	want(t, err, outbox.ErrNothing)
}

func ids(es []outbox.Entry) []byte {
	var out []byte
	for _, e := range es {
		out = append(out, e.ID[0])
	}
	return out
}

// all goes through the pages of a query.
func all(t *testing.T, s outbox.Store, q outbox.Query) []byte {
	t.Helper()
	var out []byte
	for range 1000 {
		p, err := s.List(ctx, q)
		must(t, err)
		for _, e := range p.Entries {
			if e.Payload != nil || e.Answer != nil {
				t.Fatal("a list carries contents")
			}
		}
		out = append(out, ids(p.Entries)...)
		if p.More == nil {
			return out
		}
		q.After = p.More
	}
	t.Fatal("a list without end")
	return nil
}

func listPages(t *testing.T, b Backend) {
	s := b.Open(t)
	for n := byte(1); n <= 9; n++ {
		put(t, s, entry(n, n%3, in([]outbox.State{outbox.Prepared, outbox.Parked, outbox.Held}[n%3])))
	}
	for limit := 0; limit <= 10; limit++ {
		got := all(t, s, outbox.Query{Limit: limit})
		slices.Sort(got)
		if !bytes.Equal(got, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Fatalf("limit %d: %v", limit, got)
		}
		got = all(t, s, outbox.Query{State: outbox.Prepared, Limit: limit})
		slices.Sort(got)
		if !bytes.Equal(got, []byte{3, 6, 9}) {
			t.Fatalf("prepared, limit %d: %v", limit, got)
		}
	}
	if p, err := s.List(ctx, outbox.Query{Limit: 4}); err != nil || len(p.Entries) != 4 {
		t.Fatalf("page of %d: %v", len(p.Entries), err)
	}
}

func listOverdue(t *testing.T, b Backend) {
	s := b.Open(t)
	exp := func(d time.Duration) func(*outbox.Entry) {
		return func(e *outbox.Entry) { e.Expires = noon.Add(d) }
	}
	put(t, s, entry(1, 1, exp(3)), entry(2, 1, exp(1)), entry(3, 1, exp(2), in(outbox.Held)), entry(4, 1), entry(5, 1, exp(1), in(outbox.Unknown)))
	for _, c := range []struct {
		at   time.Duration
		want []byte
	}{{0, nil}, {1, []byte{2}}, {2, []byte{2, 3}}, {time.Hour, []byte{2, 3, 1}}} {
		for limit := 1; limit < 4; limit++ {
			if got := all(t, s, outbox.Query{Overdue: noon.Add(c.at), Limit: limit}); !bytes.Equal(got, c.want) {
				t.Fatalf("at +%d: %v, want %v", c.at, got, c.want)
			}
		}
	}
	must(t, s.Swap(ctx, next(t, s, entry(2, 1).ID, in(outbox.Expired)), outbox.Guard{}))
	if got := all(t, s, outbox.Query{Overdue: noon.Add(2)}); !bytes.Equal(got, []byte{3}) {
		t.Fatalf("%v after one expired", got)
	}
}

func listSettled(t *testing.T, b Backend) {
	s := b.Open(t)
	at := func(d time.Duration) func(*outbox.Entry) {
		return func(e *outbox.Entry) { e.Changed = noon.Add(d) }
	}
	put(t, s, entry(1, 1, in(outbox.Done), at(3)), entry(2, 1, in(outbox.Done), at(1)), entry(3, 1, in(outbox.Done), at(2)), entry(4, 1, in(outbox.Parked), at(0)))
	if got := all(t, s, outbox.Query{State: outbox.Done, Limit: 2}); !bytes.Equal(got, []byte{2, 3, 1}) {
		t.Fatalf("%v", got)
	}
	if got := all(t, s, outbox.Query{State: outbox.Done, Before: noon.Add(3)}); !bytes.Equal(got, []byte{2, 3}) {
		t.Fatalf("%v before", got)
	}
	if got := all(t, s, outbox.Query{State: outbox.Rejected}); len(got) != 0 {
		t.Fatalf("%v rejected", got)
	}
}

func countRemove(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1), entry(2, 1), entry(3, 2, kind("kind.b"), in(outbox.Parked)))
	check := func(prepared, sending, parked int) {
		t.Helper()
		c, err := s.Count(ctx)
		must(t, err)
		if c.Of(outbox.Prepared) != prepared || c.By["kind.a"][outbox.Sending] != sending || c.By["kind.b"][outbox.Parked] != parked || c.Open() != prepared+sending {
			t.Fatalf("counts %v", c)
		}
	}
	check(2, 0, 1)
	must(t, s.Swap(ctx, next(t, s, entry(1, 1).ID, in(outbox.Sending)), outbox.Guard{}))
	check(1, 1, 1)
	want(t, s.Remove(ctx, entry(1, 1).ID, 1, ""), outbox.ErrStale)
	check(1, 1, 1)
	must(t, s.Remove(ctx, entry(1, 1).ID, 2, ""))
	must(t, s.Remove(ctx, entry(3, 2).ID, 0, ""))
	want(t, s.Remove(ctx, entry(3, 2).ID, 0, ""), outbox.ErrNotFound)
	check(1, 0, 0)
	take(t, s, claim("a", 0), 2)
}

func setAside(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1), entry(2, 1))
	take(t, s, claim("a", 0), 1)
	must(t, s.Remove(ctx, entry(1, 1).ID, 1, "header"))
	take(t, s, claim("a", 0, onLine(1)), 2)
	_, err := s.Claim(ctx, claim("b", 0))
	want(t, err, outbox.ErrNothing) // the lease stayed
	_, err = s.Load(ctx, entry(1, 1).ID)
	want(t, err, outbox.ErrNotFound)
	if got := all(t, s, outbox.Query{Aside: true}); !bytes.Equal(got, []byte{1}) {
		t.Fatalf("aside: %v", got)
	}
	c, err := s.Count(ctx)
	must(t, err)
	if c.Aside != 1 || c.Of(outbox.Prepared) != 1 {
		t.Fatalf("counts %v", c)
	}
	put(t, s, entry(3, 3))
}

func mark(t *testing.T, b Backend) {
	s, other := b.Open(t), b.Open(t)
	step := func(s outbox.Store, old, next, want string) {
		t.Helper()
		or := func(v string) []byte {
			if v == "" {
				return nil
			}
			return []byte(v)
		}
		got, err := s.Mark(ctx, "name", or(old), or(next))
		must(t, err)
		if string(got) != want {
			t.Fatalf("mark is %q, want %q", got, want)
		}
	}
	step(s, "", "", "")
	step(s, "old", "x", "")
	step(s, "", "one", "one")
	step(other, "", "two", "one")
	step(other, "wrong", "two", "one")
	step(other, "one", "two", "two")
	step(s, "", "", "two")
}

func reopen(t *testing.T, b Backend) {
	if b.Again == nil {
		t.Skip("this store cannot be reopened")
	}
	s := b.Open(t)
	put(t, s, entry(1, 1), entry(2, 1), entry(3, 3, in(outbox.Parked)))
	l := take(t, s, claim("a", 0), 1)
	must(t, s.Swap(ctx, next(t, s, entry(1, 1).ID, in(outbox.Sending)), outbox.Guard{Lease: &l}))
	s = b.Again(t)
	_, err := s.Claim(ctx, claim("b", 0, onLine(1)))
	want(t, err, outbox.ErrLeased) // leases survive
	take(t, s, claim("b", time.Minute+1), 1)
	put(t, s, entry(4, 1))
	c, err := s.Count(ctx)
	must(t, err)
	if c.Open() != 3 || c.Of(outbox.Parked) != 1 {
		t.Fatalf("counts %v", c)
	}
	e2, _ := s.Load(ctx, entry(2, 1).ID)
	e4, _ := s.Load(ctx, entry(4, 1).ID)
	if e4.Seq <= e2.Seq {
		t.Fatal("places in a line went backwards")
	}
}

// concurrent lets several workers, each with its own handle, work off lines. Invariants: 1. no line
// has two holders at a time; 2. each item is taken from prepared exactly once; 3. the order within
// each line is that of inserting.
func concurrent(t *testing.T, b Backend) {
	const lines, per, workers = 5, 6, 4
	s := b.Open(t)
	for i := range byte(lines * per) {
		put(t, s, entry(i, i%lines))
	}
	var mu sync.Mutex
	holder, order := map[byte]string{}, map[byte][]byte{}
	var wg sync.WaitGroup
	for w := range workers {
		h, me := b.Open(t), "w"+string(rune('0'+w))
		wg.Go(func() {
			for {
				got, err := h.Claim(ctx, claim(me, 0))
				if errors.Is(err, outbox.ErrNothing) {
					if c, err := h.Count(ctx); err != nil || c.Open() == 0 {
						return
					}
					continue
				}
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				line := got.Head.Line[0]
				mu.Lock()
				if holder[line] != "" {
					t.Errorf("line %d is held by %s and %s", line, holder[line], me)
				}
				holder[line] = me
				order[line] = append(order[line], got.Head.ID[0])
				mu.Unlock()
				e := got.Head
				e.Rev, e.State = e.Rev+1, outbox.Done
				mu.Lock()
				holder[line] = ""
				mu.Unlock()
				if err := h.Swap(ctx, e, outbox.Guard{Lease: &got.Lease, Release: true}); err != nil {
					t.Errorf("swap: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for l := range byte(lines) {
		if len(order[l]) != per || !slices.IsSorted(order[l]) {
			t.Errorf("line %d was served as %v", l, order[l])
		}
	}
}

func closed(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, entry(1, 1))
	must(t, s.Close())
	must(t, s.Close())
	_, err := s.Insert(ctx, entry(2, 1), nil)
	want(t, err, outbox.ErrClosed)
	_, err = s.Load(ctx, entry(1, 1).ID)
	want(t, err, outbox.ErrClosed)
	_, err = s.Headers(ctx, []outbox.ID{entry(1, 1).ID})
	want(t, err, outbox.ErrClosed)
}
