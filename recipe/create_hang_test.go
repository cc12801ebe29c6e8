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

// hung is a store whose calls hang from the n-th on: until their caller gives up, or, when it is deaf, until it is well again.
type hung struct {
	outbox.Store

	mu            sync.Mutex
	calls, misses int
	from          int // 0 = never
	deaf          bool
	well          chan struct{}
}

func (h *hung) hang(from int, deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls, h.misses, h.from, h.deaf, h.well = 0, 0, from, deaf, make(chan struct{})
}

func (h *hung) heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.from = 0
	close(h.well)
}

// wait counts a call. What is looked for in vain counts twice only: one more shows nothing new.
func (h *hung) wait(ctx context.Context, miss bool) error {
	h.mu.Lock()
	if miss {
		if h.misses++; h.misses > 2 && (h.from == 0 || h.calls < h.from) {
			h.mu.Unlock()
			return nil
		}
	}
	h.calls++
	hangs, deaf, well := h.from > 0 && h.calls >= h.from, h.deaf, h.well
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
	if err := h.wait(ctx, false); err != nil {
		return outbox.Inserted{}, err
	}
	return h.Store.Insert(ctx, e, c)
}

func (h *hung) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	e, err := h.Store.Load(ctx, id)
	if err := h.wait(ctx, errors.Is(err, outbox.ErrNotFound)); err != nil {
		return outbox.Entry{}, err
	}
	return e, err
}

func (h *hung) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := h.wait(ctx, false); err != nil {
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
	bad := &hung{Store: disk}
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
		from int  // the call of the store that hangs
		deaf bool // it does not even end when its caller does
		down bool // Recip-e takes no connection
	}{
		{1, true, false},  // looking the reference up
		{4, false, true},  // writing that it is about to be sent
		{5, false, false}, // writing what became of it
		{6, true, false},
		{7, false, true}, // taking it back
	} {
		t.Run(fmt.Sprintf("%+v", row), func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				disk := seize(s)
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
				case row.from == 1 && f.Outcome != fault.NotSent, row.from > 1 && !errors.As(err, new(*recipe.UnsureError)):
					t.Errorf("error %v", err)
				}
				disk.heal()
				up()
				s.honest("hung", err)
				if row.from != 6 {
					return
				}
				if e := <-s.events; e.Kind != recipe.EventSettled || e.Reference != "hung" || e.Outcome.State != recipe.OutcomeCreated || e.RID.IsZero() {
					t.Errorf("event %s %s", e.Kind, e.Outcome.State)
				}
			})
		})
	}
	inSandbox(t, func(t *testing.T, s *surgery) {
		disk := seize(s)
		disk.hang(4, true)
		began := time.Now()
		permit, err := s.p.Paper(t.Context(), "hung")
		if took := time.Since(began); took > 10*time.Second+more || err == nil || !permit.IsZero() {
			t.Errorf("paper: took %s: %v", took, err)
		}
		disk.heal()
		time.Sleep(time.Minute)
		if _, err := s.p.Paper(t.Context(), "hung"); err != nil {
			t.Errorf("paper afterwards: %v", err)
		}
	})
}
