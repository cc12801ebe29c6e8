package recipe

import (
	"context"
	"errors"
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// emptied is a store that has lost the contents of its entries.
type emptied struct{ outbox.Store }

func (s emptied) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	e, err := s.Store.Load(ctx, id)
	e.Payload = nil
	return e, err
}

// Of a paper whose record is gone although it is not settled nobody hears that it was settled: who hears that looks again, and
// would do so for ever.
func TestGivenOfAnEmptyRecord(t *testing.T) {
	settle := outbox.SendFunc(func(context.Context, outbox.Item, outbox.Attempt) (outbox.Answer, error) {
		return outbox.Answer("{}"), nil
	})
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	box, err := outbox.Open(t.Context(), emptied{outboxtest.NewMemory()}, outbox.NewKeys(key),
		outbox.Handle(KindPaper, settle, outbox.Policy{Class: resilience.IdempotentWrite}))
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	waits, err := box.Put(t.Context(), outbox.Item{Kind: KindPaper, Ref: "a/1", Held: true, Payload: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := given(t.Context(), box, waits); err == nil || errors.Is(err, errSettled) {
		t.Errorf("it waits, and is empty: %v", err)
	}
	if err := box.Cancel(t.Context(), waits); err != nil {
		t.Fatal(err)
	}
	if _, err := given(t.Context(), box, waits); !errors.Is(err, errSettled) {
		t.Errorf("it was taken back: %v", err)
	}
}
