package figures

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/sts"
)

// The scenario of figure 13: users who log on in the same ten minutes, with tokens that live equally long.
const (
	renewUsers = 500
	logonSpan  = 10 * time.Minute
	renewLife  = 24 * time.Hour
	renewCalls = time.Minute // mean time between two calls of a user
)

// renewals measures figure 13.
func (m *measurement) renewals() error {
	mean := renewUsers / logonSpan.Seconds()
	for _, kind := range Clients() {
		at, err := m.renewing(kind, renewUsers)
		if err != nil {
			return err
		}
		m.put(Row{Figure: "13", Name: "busiest minute of renewals / mean rate of the logins", Unit: Ratio, Target: atMost(3)}, kind,
			float64(busiest(at, time.Minute))/60/mean)
		m.put(Row{Figure: "13", Name: "requests in the busiest second", Unit: Count, Target: atMost(3 * mean)}, kind, float64(busiest(at, time.Second)))
	}
	return nil
}

// renewing lets the users log on and work until every token has been replaced once, and returns when that happened.
func (m *measurement) renewing(kind string, users int) ([]time.Time, error) {
	draw := random(m.seed, 13)
	src := &counted{TokenSource: &issuer{life: renewLife}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	begin := time.Now()
	var wg sync.WaitGroup
	var open []*sts.DurableSource
	for range users {
		at := time.Duration(draw() * float64(logonSpan))
		switch kind {
		case Ours:
			d, err := sts.Durable(src, sts.Idle(-1))
			if err != nil {
				return nil, err
			}
			open = append(open, d)
			wg.Go(func() {
				if sleep(ctx, at) {
					_, _ = d.Token(ctx)
				}
			})
		case Naive: // asks for a token when a call finds none that is valid
			wg.Go(func() {
				if sleep(ctx, at) {
					_, _ = src.Token(ctx)
					if sleep(ctx, renewLife+exponential(draw, 1/renewCalls.Seconds())) {
						_, _ = src.Token(ctx)
					}
				}
			})
		default: // renews at exactly half of the life, when that is switched on (dossier 12, scenario 8)
			wg.Go(func() {
				if sleep(ctx, at) {
					_, _ = src.Token(ctx)
					if sleep(ctx, renewLife/2) {
						_, _ = src.Token(ctx)
					}
				}
			})
		}
	}
	time.Sleep(renewLife + 2*logonSpan)
	stop()
	wg.Wait()
	for _, d := range open {
		if err := d.Close(); err != nil {
			return nil, err
		}
	}
	at := slices.Clone(src.at)
	slices.SortFunc(at, time.Time.Compare)
	return at[startOf(at, begin.Add(2*logonSpan)):], nil
}
