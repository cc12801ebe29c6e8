package figures

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// The scenario of figure 14: the default address is up and down every 20 s, the alternate works. One process makes ten
// calls a second.
const (
	flapEvery  = 20 * time.Second
	flapFor    = 6 * time.Hour
	flapCalls  = 100 * time.Millisecond
	naiveWatch = time.Second // how often the naive client looks whether the default address is back
)

// switching is a client that says when it moved its calls to another address.
type switching struct {
	client
	stop func()

	mu sync.Mutex
	at []time.Time
}

func (s *switching) switched() {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	s.mu.Unlock()
}

// flapping measures figure 14.
func (m *measurement) flapping() error {
	lasts := flapFor
	if m.quick {
		lasts /= 6
	}
	for _, kind := range Clients() {
		begin := time.Now()
		up := func() bool { return time.Since(begin)/flapEvery%2 == 0 }
		var calls, wrong int
		var first bool          // no address was asked in this call yet
		var before string       // address asked first by the call before
		var changes []time.Time // of that address
		send := func(ctx context.Context, url string) error {
			down := url == addresses(1)[0].URL && !up()
			if first && down {
				wrong++
			}
			if first && before != "" && before != url {
				changes = append(changes, time.Now())
			}
			if first {
				before = url
			}
			first = false
			time.Sleep(transit)
			if down {
				return errRefused
			}
			return nil
		}
		s, err := m.switching(kind, send, up)
		if err != nil {
			return err
		}
		for time.Since(begin) < lasts {
			calls, first = calls+1, true
			_ = s.call(context.Background())
			time.Sleep(flapCalls - transit)
		}
		s.stop()
		s.close()
		m.put(Row{Figure: "14", Name: "switches in the worst hour", Unit: Count, Target: atMost(6)}, kind, float64(busiest(s.at, time.Hour)))
		m.put(Row{Figure: "14", Name: "changes of the address asked first in the worst hour, trials included", Unit: Count}, kind, float64(busiest(changes, time.Hour)))
		m.put(Row{Figure: "14", Name: "calls that went first to the address that was down", Unit: Percent, Target: atMost(0.1)}, kind, float64(wrong)/float64(calls))
	}
	return nil
}

// switching makes a client of two addresses.
func (m *measurement) switching(kind string, send exchanger, up func() bool) (*switching, error) {
	s := &switching{stop: func() {}}
	switch kind {
	case Naive:
		f := &follower{send: send, moved: s.switched, watch: up, done: make(chan struct{})}
		f.wg.Go(f.run)
		s.client, s.stop = f, func() { close(f.done); f.wg.Wait() }
	case ConnectorLike:
		s.client = &connector{send: send, known: addresses(2), moved: s.switched}
	default:
		o, err := newOurs(build{addresses: 2, policy: scenarioPolicy(), draw: random(m.seed, 14), onMode: func(c bcp.ModeChange) {
			if c.To != bcp.Normal { // the end of a slow return moves no call
				s.switched()
			}
		}}, send)
		if err != nil {
			return nil, err
		}
		s.client = o
	}
	return s, nil
}

// follower is a naive fallback mode: to the alternate at the first failure, back as soon as the default address answers
// a look every second.
type follower struct {
	send  exchanger
	moved func()
	watch func() bool
	done  chan struct{}
	wg    sync.WaitGroup

	mu   sync.Mutex
	away bool
}

func (f *follower) run() {
	t := time.NewTicker(naiveWatch)
	defer t.Stop()
	for {
		select {
		case <-f.done:
			return
		case <-t.C:
			if f.watch() {
				f.move(false)
			}
		}
	}
}

func (f *follower) move(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != away {
		f.away = away
		f.moved()
	}
}

func (f *follower) call(ctx context.Context) error {
	known := slices.Clone(addresses(2))
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if !away {
		if f.send(ctx, known[0].URL) == nil {
			return nil
		}
		f.move(true)
	}
	return f.send(ctx, known[1].URL)
}

func (f *follower) close() {}
