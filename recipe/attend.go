package recipe

import (
	"context"
	"sync/atomic"
	"time"
)

// grace is how much longer than its caller's time a call through the outbox may take. An outbox stores what it knows whatever the
// caller does, and a store that hangs would keep who has to tell the patient something.
const grace = 5 * time.Second

// ending is how a function ended: with a value or a panic.
type ending[T any] struct {
	v     T
	panic any
}

func caught[T any](f func() T) (e ending[T]) {
	defer func() { e.panic = recover() }()
	e.v = f()
	return e
}

// attend runs f and waits for it until ctx is over and grace has passed. Then ok is false, f goes on by itself, and late gets what
// it ends with. A panic of f is one of the caller, as long as there is one.
func attend[T any](ctx context.Context, f func() T, late func(T)) (v T, ok bool) {
	var told atomic.Bool // by f, or by who did not wait any longer: whoever comes first
	done := make(chan ending[T], 1)
	go func() {
		e := caught(f)
		switch {
		case told.CompareAndSwap(false, true):
			done <- e
		case e.panic != nil:
			panic(e.panic)
		default:
			late(e.v)
		}
	}()
	var e ending[T]
	select {
	case e = <-done:
	case <-ctx.Done():
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case e = <-done:
		case <-t.C:
			if told.CompareAndSwap(false, true) {
				return v, false
			}
			e = <-done
		}
	}
	if e.panic != nil {
		panic(e.panic)
	}
	return e.v, true
}
