package recipe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// tally is a store that writes down what it is asked: "headers", "load", "insert" and so on.
type tally struct {
	outbox.Store
	mu    sync.Mutex
	calls []string
}

func (s *tally) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

func (s *tally) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.calls
	s.calls = nil
	return out
}

func (s *tally) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	s.note("insert")
	return s.Store.Insert(ctx, e, c)
}

func (s *tally) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	s.note("load")
	return s.Store.Load(ctx, id)
}

func (s *tally) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	s.note("headers")
	return s.Store.Headers(ctx, ids)
}

func (s *tally) List(ctx context.Context, q outbox.Query) (outbox.Page, error) {
	s.note("list")
	return s.Store.List(ctx, q)
}

// The latest item of a reference is found behind as many as may be forgotten, in few reads.
func TestLatestOf(t *testing.T) {
	some := func(from, to int) (out []int) {
		for n := from; n <= to; n++ {
			out = append(out, n)
		}
		return out
	}
	for name, c := range map[string]struct {
		kept, cancelled []int
		n, last         int // the latest, and the latest that is kept
		reads           int
	}{
		"never tried":                   {reads: 1},
		"tried once":                    {kept: []int{1}, n: 1, last: 1, reads: 1},
		"taken back once":               {cancelled: []int{1}, n: 1, reads: 1},
		"tried twice":                   {cancelled: []int{1}, kept: []int{2}, n: 2, last: 2, reads: 2},
		"the first are forgotten":       {cancelled: []int{maxGap}, n: maxGap, reads: 2},
		"as many between as there are":  {kept: []int{1, 1 + maxGap}, n: 1 + maxGap, last: 1 + maxGap, reads: 2},
		"behind a second gap":           {kept: []int{5, 17, 29}, n: 29, last: 29, reads: 4},
		"as often as it may be":         {kept: some(1, maxTries), n: maxTries, last: maxTries, reads: 10},
		"not as far as nobody would go": {kept: []int{1, 3 + maxGap}, n: 1, last: 1, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := &tally{Store: outboxtest.NewMemory()}
			key, err := outbox.KeyFromBytes(make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			box, err := outbox.Open(t.Context(), store, outbox.NewKeys(key))
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			for _, n := range slices.Concat(c.kept, c.cancelled) {
				id, err := box.Put(t.Context(), outbox.Item{Kind: KindCreate, Ref: refOf("some/1", n), Held: true})
				if err == nil && slices.Contains(c.cancelled, n) {
					err = box.Cancel(t.Context(), id)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			store.taken()
			got, err := latestOf(t.Context(), box, "some/1", KindHeld, KindCreate, KindPaper)
			if err != nil {
				t.Fatal(err)
			}
			if got[0].n != 0 || got[1].n != c.n || got[1].kept != c.last || got[2].n != 0 {
				t.Errorf("found %d, %d (kept %d), %d; want %d (kept %d)", got[0].n, got[1].n, got[1].kept, got[2].n, c.n, c.last)
			}
			if c.n > 0 && (got[1].id != box.ID(KindCreate, refOf("some/1", c.n)) || got[1].view.ID != got[1].id) {
				t.Error("the id, or the view, is another's")
			}
			if reads := store.taken(); len(reads) != c.reads {
				t.Errorf("%d reads, want %d", len(reads), c.reads)
			}
		})
	}
}

// What an outbox forgets after some weeks, or whoever tells of it makes it forget, is not relied upon to find what comes after it.
func TestWhatIsForgotten(t *testing.T) {
	id := outbox.ID{1}
	for state := outbox.Prepared; state <= outbox.Cancelled; state++ {
		forgotten := state == outbox.Done || state == outbox.Cancelled || state == outbox.Expired
		i := item{}
		i.advance(1, []outbox.ID{id}, map[outbox.ID]outbox.View{id: {ID: id, State: state}}, true)
		if i.n != 1 || (i.kept == 0) != forgotten {
			t.Errorf("%s: %d, kept %d", state, i.n, i.kept)
		}
	}
}

// Whoever scans a prescription waits for one question to the store before it is kept, which may be at the other end of a network.
func TestReadsBeforeADispensingIsKept(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, p *pharmacyDesk, x Dispensing){
		"for the first time": func(*testing.T, *pharmacyDesk, Dispensing) {},
		"again, after it was taken back": func(t *testing.T, p *pharmacyDesk, x Dispensing) {
			if _, err := p.d.Dispense(t.Context(), x); err != nil {
				t.Error(err)
			}
			if _, err := p.d.Undeliver(t.Context(), x.RID); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rid := someRIDs(t, 1)[0]
				p.fake.add(rid)
				before(t, p, Dispensing{RID: rid})
				store := &tally{Store: p.store}
				p.store = store
				p.open()
				store.taken()
				if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); err != nil {
					t.Fatal(err)
				}
				if calls := store.taken(); len(calls) < 2 || calls[0] != "headers" || calls[1] != "insert" {
					t.Errorf("the store was asked %v", calls)
				}
			})
		})
	}
}

// What was kept of a prescription for a dispensing that came too late goes when a person has read of it, and not only when the
// program is started anew.
func TestKeptDocumentGoesWithTheReport(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		p.fake.trip = func(op string, _ int, _ bool) error {
			if op == "deliver" {
				return failed(fault.Unavailable, fault.NotSent)
			}
			return nil
		}
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); err == nil {
			t.Fatal("it was delivered")
		}
		time.Sleep((DispenseDays + 2) * 24 * time.Hour)
		p.drain()
		all := p.all()
		if len(all) != 1 || all[0].Conflict != ConflictTooLate {
			t.Fatalf("%d reports", len(all))
		}
		kept := p.box.ID(kindKeptRecord, keptRef(all[0].ID, all[0].At))
		if it, err := p.box.Reveal(t.Context(), kept); err != nil || len(it.Payload) == 0 {
			t.Fatalf("before it is read: %d bytes, %v", len(it.Payload), err)
		}
		if err := p.d.Acknowledge(t.Context(), all[0]); err != nil {
			t.Fatal(err)
		}
		for _, id := range []outbox.ID{kept, all[0].ID} {
			if it, err := p.box.Reveal(t.Context(), id); err != nil || len(it.Payload) != 0 {
				t.Errorf("%s after it was read: %d bytes, %v", it.Kind, len(it.Payload), err)
			}
		}
	})
}

// What was damaged and set aside is not taken for what never was, in the first of the windows or in a later one.
func TestLatestOfDamaged(t *testing.T) {
	for name, c := range map[string]struct {
		there, aside []int
		n            int
		refused      bool
	}{
		"the only one":              {aside: []int{1}, refused: true},
		"before one not sent":       {there: []int{2}, aside: []int{1}, n: 2, refused: true},
		"behind one not sent":       {there: []int{1}, aside: []int{2}, n: 1, refused: true},
		"between, beyond a window":  {there: []int{12, 30}, aside: []int{20}, n: 30, refused: true},
		"none is as far as that":    {there: []int{1}, aside: []int{40}, n: 1},
		"one was put where it was":  {there: []int{1}, aside: []int{1}, n: 1},
		"none of another reference": {there: []int{1}, n: 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := outboxtest.NewMemory()
			key, err := outbox.KeyFromBytes(make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			box, err := outbox.Open(t.Context(), store, outbox.NewKeys(key))
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			put := func(kind outbox.Kind, ref string, n int) outbox.ID {
				id, err := box.Put(t.Context(), outbox.Item{Kind: kind, Ref: refOf(ref, n), Held: true})
				if err != nil {
					t.Fatal(err)
				}
				return id
			}
			for _, n := range c.aside {
				for _, kind := range []outbox.Kind{KindCreate, KindHeld, KindNumber} {
					if err := store.Remove(t.Context(), put(kind, "one", n), 0, "header"); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := store.Remove(t.Context(), put(KindCreate, "other", 1), 0, "header"); err != nil {
				t.Fatal(err)
			}
			for _, n := range c.there {
				put(KindCreate, "one", n)
			}
			got, err := latest(t.Context(), box, KindCreate, "one")
			if errors.Is(err, outbox.ErrCorrupt) != c.refused || err != nil && !c.refused || got.n != c.n {
				t.Errorf("found %d: %v; want %d", got.n, err, c.n)
			}
			if err := intact(t.Context(), box, "one"); errors.Is(err, outbox.ErrCorrupt) != c.refused {
				t.Errorf("intact: %v", err)
			}
			for _, kind := range []outbox.Kind{KindHeld, KindNumber} { // neither was sent by itself
				if got, err := latest(t.Context(), box, kind, "one"); err != nil || got.n != 0 {
					t.Errorf("%s: found %d: %v", kind, got.n, err)
				}
			}
		})
	}
}

// A dispensing that was damaged on disk does not keep the prescription from being scanned again: Recip-e knows whether it was
// delivered.
func TestScannedAgainAfterDamage(t *testing.T) {
	for name, down := range map[string]bool{"it waited": true, "it was done": false} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rid := someRIDs(t, 1)[0]
				p.fake.add(rid)
				p.fake.setDown(down)
				got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow})
				if (err != nil) != down {
					t.Fatal(err)
				}
				if err := p.store.Remove(t.Context(), got.ID, 0, "header"); err != nil {
					t.Fatal(err)
				}
				p.fake.setDown(false)
				time.Sleep(time.Hour)
				if again, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow}); err != nil || again.Before == down {
					t.Errorf("%+v, %v", again, err)
				}
				p.fake.once(t, rid)
			})
		})
	}
}
