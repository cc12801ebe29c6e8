package figures

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// The scenario of figures 8 and 9: after an outage 500 clients have 20 operations each in their queues, beside
// interactive operations whose persons wait for two seconds.
const (
	drainClients     = 500
	drainQueued      = 20
	drainLoad        = 50.0
	drainPatience    = 2 * time.Second
	naiveParallel    = 5
	naivePause       = 2 * time.Second  // random up to this, between two rounds of an operation
	drainSpread      = time.Minute      // start of a paced drain
	drainFactor      = 20               // pause after an operation, in latencies of that operation
	drainPauseMax    = time.Minute      // longest such pause
	drainBackoff     = 5 * time.Second  // first pause after a failed one
	drainBackoffMax  = 10 * time.Minute // longest such pause
	drainCallTimeout = time.Minute
)

// queue is what the clients have put aside, and what was delivered of it. It stands for the outbox, whose pace it keeps:
// that of outbox.WithPace by default, with draws that a seed repeats. TestDrainOfManyClients has the outbox itself.
type queue struct {
	draw func() float64

	mu   sync.Mutex
	done []time.Time
}

func (q *queue) delivered() {
	q.mu.Lock()
	q.done = append(q.done, time.Now())
	q.mu.Unlock()
}

func (q *queue) instants() []time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.done)
}

// paced drains one client's queue as the outbox does: it starts at a random moment of the first minute and pauses after
// each operation for twenty times what that operation took.
func (q *queue) paced(ctx context.Context, o *ours, n int) {
	item := *o.op
	item.Op, item.Class, item.Timeout = "queued", resilience.IdempotentWrite, drainCallTimeout
	pause, failures := time.Duration(q.draw()*float64(drainSpread)), 0
	for n > 0 {
		if !sleep(ctx, pause) {
			return
		}
		began := time.Now()
		if _, _, err := o.pipe.Do(ctx, &item, struct{}{}); err != nil {
			pause = time.Duration((0.5 + q.draw()/2) * float64(min(drainBackoff<<min(failures, 10), drainBackoffMax)))
			failures++
			continue
		}
		q.delivered()
		n, failures = n-1, 0
		// Half up or down: clients that were slowed down together must not come back together.
		pause = time.Duration((0.5 + q.draw()) * float64(min(drainFactor*time.Since(began), drainPauseMax)))
	}
}

// rush drains one client's queue as fast as it can, five operations at a time.
func (q *queue) rush(ctx context.Context, c client, n int) {
	var wg sync.WaitGroup
	for i := range naiveParallel {
		wg.Go(func() {
			for range (n + naiveParallel - 1 - i) / naiveParallel {
				for c.call(ctx) != nil {
					if !sleep(ctx, time.Duration(q.draw()*float64(naivePause))) {
						return
					}
				}
				q.delivered()
			}
		})
	}
	wg.Wait()
}

// sleep waits and tells whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drain is what was seen of one recovery.
type drain struct {
	outcome
	ideal, actual float64 // seconds; actual +Inf when it was not over in three times the ideal
}

// recoveries measures figures 8 and 9.
func (m *measurement) recoveries() error {
	for _, kind := range Clients() {
		clients := drainClients
		if m.quick && kind != Ours { // and a server as much smaller
			clients /= 5
		}
		scale := float64(clients) / drainClients
		d, err := m.recover(kind, clients, drainQueued, scale)
		if err != nil {
			return err
		}
		at := d.attempts[startOf(d.attempts, d.t1):]
		m.put(Row{Figure: "8", Name: "busiest second after the outage, share of the capacity", Unit: Ratio, Target: atMost(2)}, kind,
			float64(busiest(at, time.Second))/(scale*capacity))
		m.put(Row{Figure: "9", Name: "ideal time of the drain / actual", Unit: Ratio, Low: true, Target: atLeast(0.8)}, kind, d.ideal/d.actual)
		good, ops := 0, d.between(d.t1, d.end)
		for _, p := range ops {
			if p.ok {
				good++
			}
		}
		m.put(Row{Figure: "9", Name: "interactive operations answered within 2 s", Unit: Percent, Low: true, Target: atLeast(0.99)}, kind, float64(good)/float64(len(ops)))
		m.put(Row{Figure: "9", Name: "95 % of them have an answer or an error after", Unit: Seconds, Target: atMost(1)}, kind, d.p95(d.t1, d.end))
	}
	return nil
}

func startOf(at []time.Time, from time.Time) int {
	i, _ := slices.BinarySearchFunc(at, from, time.Time.Compare)
	return i
}

// recover plays an outage of a minute and the drain after it.
func (m *measurement) recover(kind string, clients, queued int, scale float64) (*drain, error) {
	draw := random(m.seed, 9)
	srv := newServer(scale*capacity, m.seed)
	defer srv.close()
	t, q := &traffic{}, &queue{draw: draw}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var all []client
	for range clients {
		c, err := build{kind: kind, addresses: 1, policy: scenarioPolicy(), draw: draw}.client(func(ctx context.Context, _ string) error { return srv.exchange(ctx) })
		if err != nil {
			stop()
			return nil, err
		}
		defer c.close()
		all = append(all, c)
		t.add(c, draw, scale*drainLoad/float64(clients), drainPatience)
	}
	time.Sleep(warm)
	srv.set(refuse, scale*capacity)
	time.Sleep(outage)
	srv.set(healthy, scale*capacity)
	d := &drain{ideal: float64(clients*queued) / (scale * (capacity - drainLoad)), actual: math.Inf(1)}
	d.t1 = time.Now()
	for _, c := range all {
		switch c := c.(type) {
		case *ours:
			work.Go(func() { q.paced(ctx, c, queued) })
		case *naive:
			work.Go(func() { q.rush(ctx, c, queued) })
		} // the connector has no queue: what failed is lost (dossier 12, scenario 12)
	}
	for limit := d.t1.Add(time.Duration(3 * d.ideal * float64(time.Second))); time.Now().Before(limit); {
		time.Sleep(time.Second)
		if done := q.instants(); len(done) == clients*queued {
			d.actual = done[len(done)-1].Sub(d.t1).Seconds()
			break
		}
	}
	d.end = time.Now()
	stop()
	d.ops = t.halt()
	work.Wait()
	d.attempts = srv.attempts
	return d, nil
}
