package recipe_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// hung is a store whose calls hang from the n-th write on, or from the first read on: until their caller gives up, or, when it is deaf,
// until it is well again.
type hung struct {
	outbox.Store

	mu     sync.Mutex
	writes int
	from   int // 0 = the first read; -1 = never
	deaf   bool
	well   chan struct{}
}

func (h *hung) hang(from int, deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes, h.from, h.deaf, h.well = 0, from, deaf, make(chan struct{})
}

func (h *hung) heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.from = -1
	close(h.well)
}

func (h *hung) wait(ctx context.Context, write bool) error {
	h.mu.Lock()
	if write {
		h.writes++
	}
	hangs, deaf, well := h.from >= 0 && h.writes >= h.from, h.deaf, h.well
	h.mu.Unlock()
	switch {
	case !hangs:
	case deaf:
		<-well
	default:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-well:
		}
	}
	return nil
}

func (h *hung) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	if err := h.wait(ctx, true); err != nil {
		return outbox.Inserted{}, err
	}
	return h.Store.Insert(ctx, e, c)
}

func (h *hung) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	if err := h.wait(ctx, false); err != nil {
		return outbox.Entry{}, err
	}
	return h.Store.Load(ctx, id)
}

func (h *hung) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	if err := h.wait(ctx, false); err != nil {
		return nil, err
	}
	return h.Store.Headers(ctx, ids)
}

func (h *hung) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := h.wait(ctx, true); err != nil {
		return err
	}
	return h.Store.Swap(ctx, e, g)
}

func (h *hung) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	if err := h.wait(ctx, false); err != nil {
		return outbox.Claimed{}, err
	}
	return h.Store.Claim(ctx, c)
}

func (h *hung) Release(ctx context.Context, l outbox.Lease) error {
	if err := h.wait(ctx, false); err != nil {
		return err
	}
	return h.Store.Release(ctx, l)
}

// seize puts such a store under the outbox.
func seize(s *surgery) *hung {
	s.t.Helper()
	s.close()
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(s.t, err)
	disk, err := outbox.OpenBolt(s.file)
	ok(s.t, err)
	bad := &hung{Store: disk, from: -1}
	s.box, err = outbox.Open(s.t.Context(), bad, outbox.NewKeys(key), append(s.p.Handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1))...)
	ok(s.t, err)
	s.p.Use(s.box)
	return bad
}

// Wherever the store hangs, whoever waits for a prescription or a permit hears something true within five seconds after the
// time that there was.
func TestHungStore(t *testing.T) {
	const deadline, more = 2 * time.Second, 5 * time.Second
	for _, row := range []struct {
		from int  // the write that hangs, and all that comes then; 0 = the first read
		deaf bool // it does not even end when its caller does
		down bool // Recip-e takes no connection
	}{
		{0, true, false},
		{2, false, true}, // that it is about to be sent
		{3, true, false}, // what became of it
	} {
		t.Run(fmt.Sprintf("%+v", row), func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				disk := seize(s)
				if row.from == 0 {
					s.paperFrom(disk)
				}
				ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
				up := func() {}
				r := s.request("hung")
				if row.down {
					r.Hold, up = true, s.inject(refusing)
				}
				disk.hang(row.from, row.deaf)
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				began := time.Now()
				_, err := s.p.Create(ctx, r)
				if took := time.Since(began); took > deadline+more {
					t.Errorf("took %s", took)
				}
				switch f, typed := errors.AsType[*fault.Error](err); {
				case !typed:
					t.Errorf("error %T", err)
				case row.from == 0 && f.Outcome != fault.NotSent, row.from > 0 && !errors.As(err, new(*recipe.UnsureError)):
					t.Errorf("error %v", err)
				}
				disk.heal()
				up()
				s.honest("hung", err)
				if row.from != 3 || !row.deaf {
					return
				}
				if e := <-s.events; e.Kind != recipe.EventSettled || e.Reference != "hung" || e.Outcome.State != recipe.OutcomeCreated || e.RID.IsZero() {
					t.Errorf("event %s %s", e.Kind, e.Outcome.State)
				}
			})
		})
	}
}

// paperFrom wants no permit while writing it hangs, and one afterwards.
func (s *surgery) paperFrom(disk *hung) {
	s.t.Helper()
	disk.hang(2, true)
	began := time.Now()
	permit, err := s.p.Paper(s.t.Context(), "paper")
	if took := time.Since(began); took > 15*time.Second || err == nil || !permit.IsZero() {
		s.t.Errorf("paper: took %s: %v", took, err)
	}
	disk.heal()
	time.Sleep(time.Minute)
	_, err = s.p.Paper(s.t.Context(), "paper")
	ok(s.t, err)
}
