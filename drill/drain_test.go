package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// The recovery of figures 8 and 9 at a sixth of its size, through everything: whole platforms with their outboxes, login
// and signatures, and a sandbox of limited capacity that people ask at the same time. The full size, against a bare
// service, is TestDrainOfManyClients of package outbox, with the targets as bounds; here a smaller crowd is a noisier one: seen are
// efficiencies of 0.71 to 0.77, and 0 to 12 of 1076 people who got no answer.
const (
	drainClients = 60
	drainEach    = 20
	drainRate    = 20.0 // capacity, per second
	drainPeople  = 8.0  // questions of people, per second
)

// TestDrain: after an outage the queues empty at about four fifths of the ideal pace, each item once, and people hardly
// notice.
func TestDrain(t *testing.T) {
	if testing.Short() {
		t.Skip("eighty platforms take half a minute")
	}
	warm(t)
	synctest.Test(t, func(t *testing.T) {
		d := &drained{house: newDrainHouse(t)}
		defer d.close()
		var clients []*member
		for n := range drainClients {
			cfg := d.pharmacy(n)
			cfg.Trust.ServiceList = nil
			cfg.Services[ServiceApp] = cfg.Services[ServiceApp][:1] // one address, so that its capacity is that of the service
			m := d.join(fmt.Sprintf("client %d", n), cfg)
			clients = append(clients, m)
			if err := d.logIn(m, false); err != nil {
				t.Fatal(err)
			}
		}
		d.play(clients)
	})
}

// drained is one recovery.
type drained struct {
	*house
	mu     sync.Mutex
	people []time.Duration
	failed int
}

func newDrainHouse(t *testing.T) *house {
	s, err := sandbox.New(sandbox.Config{Seed: 8, Patients: 20})
	if err != nil {
		t.Fatal(err)
	}
	return &house{T: t, s: s, t0: time.Now(), patients: patients(s)}
}

func (d *drained) play(clients []*member) {
	down := d.inject("app 0 to_end fault code=SOA-02001")
	for n, m := range clients {
		for i := range drainEach {
			it := outbox.Item{Kind: appclient.Kind, Ref: fmt.Sprintf("%d/%d", n, i), Payload: payload}
			if _, err := m.p.Outbox.Put(context.Background(), it); err != nil {
				d.Fatal(err)
			}
		}
	}
	time.Sleep(time.Minute)
	down()
	d.inject(fmt.Sprintf("app 0 to_end capacity rps=%g;queue=250;over=SOA-02002", drainRate))
	began := time.Now()
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	crowd.Go(func() { d.crowd(clients, stop, &crowd) })
	waiting, parked := d.emptied(time.Hour)
	took := time.Since(began)
	close(stop)
	crowd.Wait()
	d.judge(took, began, waiting+parked)
}

// crowd are people who look something up in the same application, at one of the counters.
func (d *drained) crowd(clients []*member, stop chan struct{}, crowd *sync.WaitGroup) {
	rnd := rand.New(rand.NewPCG(8, 9)) //nolint:gosec // repeatable on purpose
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rnd.ExpFloat64() / drainPeople * float64(time.Second))):
		}
		m := clients[n%len(clients)]
		crowd.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			at := time.Now()
			_, _, err := m.app.Query(ctx, "0/0")
			d.mu.Lock()
			defer d.mu.Unlock()
			d.people = append(d.people, time.Since(at))
			if err != nil {
				d.failed++
			}
		})
	}
}

func (d *drained) judge(took time.Duration, began time.Time, left int) {
	ideal := drainClients * drainEach / (drainRate - drainPeople) // seconds
	slices.Sort(d.people)
	p95 := d.people[len(d.people)*95/100]
	peak := d.app.peak(began, time.Second)
	d.Logf("%d clients of %d items: efficiency %.2f, busiest second %.2f of the capacity, %d people, %d failed, p95 %v",
		drainClients, drainEach, ideal/took.Seconds(), float64(peak)/drainRate, len(d.people), d.failed, p95)
	doubled := 0
	for _, e := range d.s.AppExecutions() {
		if e.Nth > 1 {
			doubled++
		}
	}
	if n := len(d.s.AppExecutions()); left > 0 || n != drainClients*drainEach || doubled > 0 {
		d.Errorf("%d executions, %d of them doubled, %d items left", n, doubled, left)
	}
	if eff := ideal / took.Seconds(); eff < 0.65 {
		d.Errorf("efficiency %.2f", eff)
	}
	if d.failed*50 > len(d.people) || p95 > 1200*time.Millisecond || float64(peak) > 2.5*drainRate {
		d.Errorf("%d of %d people failed, p95 %v, busiest second %d", d.failed, len(d.people), p95, peak)
	}
}

// peak is the largest number of messages within a span, from an instant on.
func (m *meter) peak(from time.Time, span time.Duration) (best int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := 0
	for last := range m.at {
		for m.at[last].Sub(m.at[first]) >= span || m.at[first].Before(from) && first < last {
			first++
		}
		best = max(best, last-first+1)
	}
	return best
}
