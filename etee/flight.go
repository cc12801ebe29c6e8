package etee

import (
	"context"
	"sync"

	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

// flights lets callers who want the same at the same time share one call. The zero value is ready for use.
type flights[K comparable, V any] struct {
	mu   sync.Mutex
	open map[K]*flight[V]
}

type flight[V any] struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int
	value   V
	err     error
}

// do returns what f returns, called by us or by whoever came before. A caller whose context ends stops waiting with its
// error; the call goes on for the others and is canceled when nobody waits any more. It is not bound by the message that the
// first caller is about to send.
func (g *flights[K, V]) do(ctx context.Context, key K, f func(context.Context) (V, error)) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	g.mu.Lock()
	fl := g.open[key]
	if fl == nil {
		shared, cancel := context.WithCancel(exchange.WithoutExpires(context.WithoutCancel(ctx)))
		fl = &flight[V]{done: make(chan struct{}), cancel: cancel}
		if g.open == nil {
			g.open = map[K]*flight[V]{}
		}
		g.open[key] = fl
		go g.run(shared, key, fl, f)
	}
	fl.waiting++
	g.mu.Unlock()
	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if fl.waiting--; fl.waiting == 0 {
		fl.cancel()
		if g.open[key] == fl {
			delete(g.open, key) // who comes now must not wait for a call that was given up
		}
	}
	return none, ctx.Err()
}

func (g *flights[K, V]) run(ctx context.Context, key K, fl *flight[V], f func(context.Context) (V, error)) {
	fl.value, fl.err = f(ctx)
	g.mu.Lock()
	if g.open[key] == fl {
		delete(g.open, key)
	}
	g.mu.Unlock()
	fl.cancel()
	close(fl.done)
}
