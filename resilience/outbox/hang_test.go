package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// hanging is a store whose calls hang from the n-th on until their context is over, or until it is healed.
type hanging struct {
	outbox.Store
	mu   sync.Mutex
	n    int
	from int // 0 = never
}

func (h *hanging) wait(ctx context.Context) error {
	h.mu.Lock()
	h.n++
	hangs := h.from > 0 && h.n >= h.from
	h.mu.Unlock()
	if !hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h *hanging) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	if err := h.wait(ctx); err != nil {
		return outbox.Inserted{}, err
	}
	return h.Store.Insert(ctx, e, c)
}

func (h *hanging) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	if err := h.wait(ctx); err != nil {
		return outbox.Entry{}, err
	}
	return h.Store.Load(ctx, id)
}

func (h *hanging) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	return h.Store.Headers(ctx, ids)
}

func (h *hanging) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := h.wait(ctx); err != nil {
		return err
	}
	return h.Store.Swap(ctx, e, g)
}

func (h *hanging) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	if err := h.wait(ctx); err != nil {
		return outbox.Claimed{}, err
	}
	return h.Store.Claim(ctx, c)
}

func (h *hanging) Release(ctx context.Context, l outbox.Lease) error {
	if err := h.wait(ctx); err != nil {
		return err
	}
	return h.Store.Release(ctx, l)
}

// A store that hangs at any of its calls: Do ends, says of what was accepted that nobody knows, and nothing is lost or done twice.
func TestStoreHangs(t *testing.T) {
	const deadline = 10 * time.Second
	accepted := 0
	for _, answer := range []string{"done", "lost", "unsent"} {
		for from := 1; from <= 10; from++ {
			t.Run(fmt.Sprint(answer, " ", from), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &platform{next: []string{answer}}
					h := &hanging{Store: outboxtest.NewMemory(), from: from}
					b := openBox(t, h, p, resolvable)
					defer b.Close()
					h.mu.Lock()
					h.n = 0
					h.mu.Unlock()
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					began := time.Now()
					res, err := b.Do(ctx, item("r1"))
					if took := time.Since(began); took > deadline+50*time.Second { // storing a result may take 30 s of it
						t.Errorf("took %v", took)
					}
					h.mu.Lock()
					reached := h.n >= from
					h.from = 0
					h.mu.Unlock()
					if reached && from > 1 && res == nil && !errors.Is(err, outbox.ErrUnknown) && !errors.Is(err, outbox.ErrQueued) {
						t.Errorf("it was accepted: %v", err)
					}
					if errors.Is(err, outbox.ErrUnknown) {
						accepted++
					}
					if from > 1 {
						drain(t, b)
						if n := p.count("r1"); n != 1 {
							t.Errorf("carried out %d times", n)
						}
					}
				})
			})
		}
	}
	if accepted == 0 {
		t.Error("no store hung")
	}
}
