package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// archiver marks prescriptions as archived at a service that is down at first.
type archiver struct{ down bool }

func (a *archiver) Send(_ context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
	if a.down {
		return nil, &fault.Error{Op: "recipe.Archive", Service: "recipe", Kind: fault.Unavailable, Outcome: fault.NotSent}
	}
	return outbox.Answer("archived as " + string(it.Payload)), nil
}

func (a *archiver) Resolve(context.Context, outbox.Item, outbox.Attempt) (outbox.Verdict, error) {
	return outbox.Verdict{Found: outbox.NotThere}, nil
}

func Example() {
	dir, _ := os.MkdirTemp("", "outbox")
	defer os.RemoveAll(dir)
	ctx := context.Background()

	key, _ := outbox.KeyFromBytes(make([]byte, 32)) // a real one is random, or derived from the key store
	store, err := outbox.OpenBolt(filepath.Join(dir, "outbox.db"))
	if err != nil {
		panic(err)
	}
	service := &archiver{down: true}
	box, err := outbox.Open(ctx, store, outbox.NewKeys(key),
		outbox.Handle("recipe.archive", service, outbox.Policy{Class: resilience.ResolvableWrite}),
		outbox.WithPace(-1, -1, -1)) // no pauses, for the sake of the example
	if err != nil {
		panic(err)
	}
	defer box.Close()

	inTime, cancel := context.WithTimeout(ctx, 2*time.Second) // so long a person waits
	defer cancel()
	_, err = box.Do(inTime, outbox.Item{
		Kind: "recipe.archive", Key: "BEP0000000001", Ref: "archive/BEP0000000001", Payload: []byte("delivered"), Expiry: outbox.Days(60),
	})
	var queued *outbox.QueuedError
	if errors.As(err, &queued) {
		fmt.Println("kept for later")
	}

	service.down = false
	_ = box.Retry(ctx, queued.ID) // do not wait for the next try
	_ = box.Drain(ctx, nil)
	res, err := box.Result(ctx, queued.ID)
	fmt.Println(string(res.Answer), err)
	// Output:
	// kept for later
	// archived as delivered <nil>
}
