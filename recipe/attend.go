package recipe

import (
	"context"
	"sync/atomic"
	"time"
)

// grace is how much longer than its caller's time a call through the outbox may take. An outbox stores what it knows whatever the
// caller does, and a store that hangs would keep who has to tell the patient something.
const grace = 5 * time.Second

// attend runs f and waits for it until ctx is over and grace has passed. Then ok is false, f goes on by itself, and late gets what
// it ends with.
func attend[T any](ctx context.Context, f func() T, late func(T)) (v T, ok bool) {
	var told atomic.Bool // by f, or by who did not wait any longer: whoever comes first
	done := make(chan T, 1)
	go func() {
		v := f()
		if told.CompareAndSwap(false, true) {
			done <- v
		} else {
			late(v)
		}
	}()
	select {
	case v = <-done:
		return v, true
	case <-ctx.Done():
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case v = <-done:
		return v, true
	case <-t.C:
	}
	if told.CompareAndSwap(false, true) {
		return v, false
	}
	return <-done, true
}
