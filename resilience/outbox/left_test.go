package outbox_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// Who releases what is too late hears so.
func TestReleasedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBox(t, outboxtest.NewMemory(), &platform{}, resolvable)
		defer b.Close()
		id := put(t, b, item("r1", func(i *outbox.Item) { i.Held, i.Expiry = true, outbox.At(time.Now().Add(time.Hour)) }))
		time.Sleep(time.Hour)
		for range 2 {
			var e *outbox.StateError
			if err := b.Release(t.Context(), id); !errors.As(err, &e) || e.State != outbox.Expired {
				t.Errorf("error %v", err)
			}
		}
	})
}

// notMine leaves what it is asked about to another one.
type notMine struct{ asked int }

func (*notMine) Send(context.Context, outbox.Item, outbox.Attempt) (outbox.Answer, error) {
	return nil, &fault.Error{Op: "x", Kind: fault.Timeout, Outcome: fault.Unknown}
}

func (n *notMine) Resolve(context.Context, outbox.Item, outbox.Attempt) (outbox.Verdict, error) {
	n.asked++
	return outbox.Verdict{}, &fault.Error{Op: "x", Kind: fault.Canceled, Outcome: fault.NotSent, RetryAfter: 20 * time.Minute}
}

// What is left to another one waits as long as the backoff allows, and is not given up for weeks, however often it is looked at.
func TestLeftToAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		n := &notMine{}
		b, err := outbox.Open(t.Context(), outboxtest.NewMemory(), outbox.NewKeys(testKey('a')), outbox.Handle("x", n, outbox.Policy{Class: resilience.ResolvableWrite}), outbox.WithPace(-1, -1, -1))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		id := put(t, b, outbox.Item{Kind: "x", Ref: "1"})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
		defer cancel()
		_ = b.Run(ctx)
		v, err := b.Show(t.Context(), id)
		if err != nil || v.State != outbox.Unknown || n.asked < 500 || time.Until(v.Due) > outbox.DefaultBackoffMax {
			t.Errorf("%s after %d questions, due %v, error %v", v.State, n.asked, v.Due, err)
		}
		// That one may never come again: then a person decides.
		ctx, cancel = context.WithTimeout(t.Context(), outbox.DefaultKeep)
		defer cancel()
		_ = b.Run(ctx)
		if v, err := b.Show(t.Context(), id); err != nil || v.State != outbox.Parked || !v.Pending || v.Reason != outbox.ReasonUnclear {
			t.Errorf("much later: %s, error %v", v.State, err)
		}
		if err := b.Decide(t.Context(), id, false); err != nil {
			t.Error(err)
		}
	})
}
