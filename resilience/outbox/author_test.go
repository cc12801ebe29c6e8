package outbox_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// Of several who share a store each learns what is another's, and whoever gives no name takes all for his own.
func TestAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := outboxtest.NewMemory()
		key, err := outbox.KeyFromBytes(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		var last outbox.Event
		join := func(name string) *outbox.Box {
			b, err := outbox.Open(t.Context(), store, outbox.NewKeys(key), outbox.WithAuthor(name), outbox.WithEvents(func(e outbox.Event) { last = e }),
				outbox.Handle("x", outbox.SendFunc(nil), outbox.Policy{Class: resilience.IdempotentWrite}))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		one, two, nobody := join("one"), join("two"), join("")
		for _, w := range []struct {
			by, seen *outbox.Box
			foreign  bool
		}{{one, one, false}, {one, two, true}, {one, nobody, false}, {nobody, one, false}, {two, one, true}} {
			id, err := w.by.Put(t.Context(), outbox.Item{Kind: "x", Held: true, Expiry: outbox.At(time.Now().Add(time.Hour))})
			if err != nil {
				t.Fatal(err)
			}
			view, err := w.seen.Show(t.Context(), id)
			if err != nil || view.Foreign != w.foreign {
				t.Errorf("foreign %v, %v", view.Foreign, err)
			}
			if err := w.seen.Cancel(t.Context(), id); err != nil || last.ID != id || last.Foreign != w.foreign || last.Priority != outbox.Normal {
				t.Errorf("told %+v, %v", last, err)
			}
		}
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
