package recipe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Who caused a state is read in whatever form it comes; what is no number says nothing.
func TestHolderOf(t *testing.T) {
	own := identity.MustNIHII("20000014")
	for by, want := range map[string]holder{
		"20000014": ours, "20000014000": ours, "2000.0014": ours, "2-00000-14": ours, " 2000 0014 ": ours, "\n\t20000014\n": ours,
		"2000\u00a00014": ours, "urn:be:fgov:ehealth:1.0:pharmacy:nihii-number:20000014": ours, "NIHII 20000014/000": ours, "20000014abc": ours,
		"": unsaid, "-": unsaid, "UNKNOWN": unsaid, "2000001": unsaid, "system": unsaid, "0": unsaid,
		"20000113": another, "2000.0113": another, "10000007004": another, "NIHII 20000113": another, "00000000196": another,
	} {
		if got := holderOf(identity.Hide(by), own); got != want {
			t.Errorf("%q: %d, want %d", by, got, want)
		}
	}
}

// An own delivery that Recip-e reports in an odd form is archived all the same.
func TestOddUpdater(t *testing.T) {
	for _, by := range []string{"\n20000014\n", "NIHII 2000.0014", "unknown"} {
		atDesk(t, func(t *testing.T) {
			p := newDesk(t)
			rid := someRIDs(t, 1)[0]
			p.fake.add(rid)
			p.fake.named = identity.Hide(by)
			lost := true
			p.fake.trip = func(op string, _ int, after bool) error {
				if op == "deliver" && after && lost {
					lost = false
					return failed(fault.Timeout, fault.Unknown)
				}
				return nil
			}
			if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow}); !errors.Is(err, outbox.ErrUnknown) {
				t.Fatal(err)
			}
			p.drain()
			p.fake.once(t, rid)
			if n := len(p.all()); n != 0 {
				t.Errorf("%q: %d reports", by, n)
			}
		})
	}
}

// Who scans again what another pharmacy had in process is served as soon as that one lets go, and not in an hour.
func TestElsewhereScannedAgain(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.set(rid, protocol.InProcess, otherPharmacy)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		p.fake.set(rid, protocol.NotDelivered, otherPharmacy)
		got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
		if err != nil || got.State != DispensedConfirmed {
			t.Fatalf("got %+v, %v", got, err)
		}
		p.fake.once(t, rid)
	})
}

// Prescribed and dispensed amounts are compared as numbers, and the same product asked for twice is one amount.
func TestCompareAmounts(t *testing.T) {
	item := func(q kmehr.Quantity) kmehr.Item {
		return kmehr.Item{Medicine: &kmehr.Medicine{CNK: gaveItem(t, "271145", 1).CNK}, Quantity: q}
	}
	pkg := func(v string) kmehr.Item { return item(kmehr.Quantity{Value: kmehr.Decimal(v)}) }
	for name, c := range map[string]struct {
		items []kmehr.Item
		gave  []int
		want  string
	}{
		"a point": {[]kmehr.Item{pkg("1.0")}, []int{1}, "[]"}, "a point, another": {[]kmehr.Item{pkg("1.0")}, []int{2}, "[{quantity 0 0}]"},
		"a half is one":    {[]kmehr.Item{pkg("0.5")}, []int{1}, "[]"},
		"a half, two":      {[]kmehr.Item{pkg("0.5")}, []int{2}, "[{quantity 0 0}]"},
		"zeros before":     {[]kmehr.Item{pkg("02")}, []int{2}, "[]"},
		"twice":            {[]kmehr.Item{pkg("1"), pkg("1")}, []int{2}, "[]"},
		"twice, in lines":  {[]kmehr.Item{pkg("1"), pkg("1")}, []int{1, 1}, "[]"},
		"twice, one given": {[]kmehr.Item{pkg("1"), pkg("1")}, []int{1}, "[{quantity 0 0}]"},
		"twice, none":      {[]kmehr.Item{pkg("1"), pkg("1")}, nil, "[{missing 0 -1} {missing 1 -1}]"},
		"no number":        {[]kmehr.Item{pkg("x")}, []int{5}, "[]"}, "endless": {[]kmehr.Item{pkg("Inf")}, []int{5}, "[]"},
		"another unit": {[]kmehr.Item{item(kmehr.Quantity{Value: "30", Unit: "tbl"})}, []int{1}, "[]"},
		"both units":   {[]kmehr.Item{item(kmehr.Quantity{Value: "30", Unit: "tbl"}), pkg("1")}, []int{2}, "[]"},
	} {
		var items []DispensedItem
		for _, n := range c.gave {
			items = append(items, gaveItem(t, "271145", n))
		}
		if got := fmt.Sprint(compareItems(c.items, items)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// stuck is a store that answers nothing for a while.
type stuck struct {
	outbox.Store
	mu  sync.Mutex
	now bool
}

func (s *stuck) set(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = on
}

func (s *stuck) wait(ctx context.Context) error {
	s.mu.Lock()
	on := s.now
	s.mu.Unlock()
	if !on {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	if err := s.wait(ctx); err != nil {
		return outbox.Inserted{}, err
	}
	return s.Store.Insert(ctx, e, c)
}

func (s *stuck) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	if err := s.wait(ctx); err != nil {
		return outbox.Entry{}, err
	}
	return s.Store.Load(ctx, id)
}

func (s *stuck) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Headers(ctx, ids)
}

func (s *stuck) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Store.Swap(ctx, e, g)
}

func (s *stuck) Count(ctx context.Context) (outbox.Counts, error) {
	if err := s.wait(ctx); err != nil {
		return outbox.Counts{}, err
	}
	return s.Store.Count(ctx)
}

func (s *stuck) Close() error { return nil }

// A store that answers nothing, from any call on, leaves nobody without an answer, and loses nothing that was accepted.
func TestStoreHangs(t *testing.T) {
	for _, op := range []string{"", "status", "get", "deliver", "archive"} {
		t.Run("from "+op, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				bad := &stuck{Store: p.store}
				p.store = bad
				p.open()
				rid := someRIDs(t, 1)[0]
				p.fake.add(rid)
				bad.set(op == "")
				p.fake.trip = func(o string, _ int, after bool) error {
					if o == op && after {
						bad.set(true)
					}
					return nil
				}
				began := time.Now()
				got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow})
				if err == nil {
					t.Errorf("got %+v", got)
				}
				if e, ok := errors.AsType[*fault.Error](err); got == nil && (!ok || e.Notice == "") {
					t.Errorf("no word for the person: %v", err)
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("waited %v", took)
				}
				p.fake.trip = nil
				bad.set(false)
				time.Sleep(5 * time.Minute)
				if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow}); err != nil && !errors.Is(err, outbox.ErrQueued) {
					t.Error(err)
				}
				p.drain()
				p.fake.once(t, rid)
			})
		})
	}
}

// A store that is full accepts nothing: that is said, with what to show.
func TestStoreIsFull(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		p.store = &full{p.store}
		p.open()
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		_, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || !errors.Is(err, outbox.ErrFull) || e.Outcome != fault.NotSent || e.Op != opDispense {
			t.Errorf("got %v", err)
		}
	})
}

type full struct{ outbox.Store }

func (full) Insert(context.Context, outbox.Entry, *outbox.Claim) (outbox.Inserted, error) {
	return outbox.Inserted{}, outbox.ErrFull
}

// Two computers of one pharmacy on one store, each scanning and taking back at the same instants, while answers are lost: each
// prescription is delivered and archived once.
func TestTwoDesks(t *testing.T) {
	for seed := range 6 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				q := &pharmacyDesk{t: t, fake: p.fake, store: p.store}
				q.open()
				rids := someRIDs(t, 15)
				p.fake.add(rids...)
				p.fake.trip = func(_ string, n int, after bool) error {
					switch {
					case n%(5+seed) == 0 && after:
						return failed(fault.Timeout, fault.Unknown)
					case n%(4+seed) == 0 && !after:
						return failed(fault.Unavailable, fault.NotSent)
					}
					return nil
				}
				ctx, stop := context.WithCancel(t.Context())
				var all sync.WaitGroup
				for _, desk := range []*pharmacyDesk{p, q} {
					all.Go(func() { _ = desk.box.Run(ctx) })
				}
				var people sync.WaitGroup
				for i, rid := range rids {
					for _, desk := range []*pharmacyDesk{p, q} {
						people.Go(func() {
							time.Sleep(time.Duration(i*seed) * 100 * time.Millisecond)
							_, err := desk.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow, Reference: "a"})
							if err != nil && !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) {
								t.Error(err)
							}
						})
					}
				}
				people.Wait()
				time.Sleep(4 * time.Hour)
				stop()
				all.Wait()
				p.fake.once(t, rids...)
				if n := len(p.all()); n != 0 {
					t.Errorf("%d reports, first %v", n, p.all()[0].Conflict)
				}
			})
		})
	}
}

// Two pharmacies dispense the same prescriptions on the proof: one confirms each, the other is told of each.
func TestTwoPharmacies(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rids := startOutage(t, p, 14)
		// The other one comes first with some, and has others in process only, which it lets go of in the end.
		for i, rid := range rids {
			switch i % 3 {
			case 0:
				p.fake.set(rid, protocol.Delivered, otherPharmacy)
			case 1:
				p.fake.set(rid, protocol.InProcess, otherPharmacy)
			}
		}
		p.fake.setDown(false)
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- p.box.Run(ctx) }()
		time.Sleep(90 * time.Minute)
		for i, rid := range rids {
			if i%3 == 1 && i%2 == 0 {
				p.fake.set(rid, protocol.Archived, otherPharmacy)
			} else if i%3 == 1 {
				p.fake.set(rid, protocol.NotDelivered, otherPharmacy)
			}
		}
		time.Sleep(3 * time.Hour)
		stop()
		<-running
		twice := map[string]bool{}
		for _, r := range p.all() {
			if r.Conflict == ConflictTwice {
				twice[r.RID.Reveal()] = true
			}
		}
		for i, rid := range rids {
			lost := i%3 == 0 || i%3 == 1 && i%2 == 0
			if lost != twice[rid.Reveal()] {
				t.Errorf("prescription %d: told %v", i, !lost)
			}
			if !lost {
				p.fake.once(t, rid)
			}
		}
	})
}

// startOutage dispenses on the proof.
func startOutage(t *testing.T, p *pharmacyDesk, n int) []identity.RID {
	t.Helper()
	rids := someRIDs(t, n)
	p.fake.add(rids...)
	p.fake.setDown(true)
	for _, rid := range rids {
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, ForceMajeure: true}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
	}
	return rids
}
