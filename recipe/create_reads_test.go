package recipe_test

import (
	"context"
	"slices"
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// noted is a store that writes down what it is asked.
type noted struct {
	outbox.Store
	calls []string
}

func (s *noted) note(call string) { s.calls = append(s.calls, call) }

func (s *noted) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	s.note("insert")
	return s.Store.Insert(ctx, e, c)
}

func (s *noted) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	s.note("load")
	return s.Store.Load(ctx, id)
}

func (s *noted) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	s.note("headers")
	return s.Store.Headers(ctx, ids)
}

func (s *noted) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	s.note("claim")
	return s.Store.Claim(ctx, c)
}

func (s *noted) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	s.note("swap")
	return s.Store.Swap(ctx, e, g)
}

func (s *noted) Release(ctx context.Context, l outbox.Lease) error {
	s.note("release")
	return s.Store.Release(ctx, l)
}

// A new prescription needs one read of the store before it is kept, and one whether paper was given before it is sent. On a store at the
// other end of a network each call is a round trip.
func TestStoreCallsOfACreate(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.close()
		key, err := outbox.KeyFromBytes(make([]byte, 32))
		ok(t, err)
		store := &noted{Store: outboxtest.NewMemory()}
		s.box, err = outbox.Open(t.Context(), store, outbox.NewKeys(key), s.p.Handle()...)
		ok(t, err)
		s.p.Use(s.box)
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		store.calls = nil
		s.mustCreate("new")
		t.Log(store.calls)
		if n := slices.Index(store.calls, "insert"); n != 1 || store.calls[0] != "headers" {
			t.Errorf("before it is kept: %v", store.calls[:max(n, 0)])
		}
	})
}
