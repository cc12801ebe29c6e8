package figures

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sts"
)

const (
	cancelRounds = 20
	// cancelSettle is how long a call is given to come to the place where it waits, before it is canceled.
	cancelSettle = 5 * time.Millisecond
	cancelTarget = 5.0 // milliseconds
	// stripePause is the longest pause of a client that sleeps without watching its context (dossier 08 section 1.7).
	stripePause = 5 * time.Second
)

// waiting is a place in which a call waits, and how to bring one there.
type waiting struct {
	layer string
	call  func(ctx context.Context) error
}

// Cancellation measures figure 15 of ours: for every layer in which a call can wait, the time from the end of its
// context until it returns. Outside a bubble that is time on the wall clock; inside one it is 0 or a mistake.
func Cancellation(o Options) (*Table, error) {
	return o.measure([]part{{[]string{"15"}, (*measurement).cancellation}})
}

func (m *measurement) cancellation() error {
	before := runtime.NumGoroutine()
	layers, end, err := layers()
	if err != nil {
		return err
	}
	all := make([]float64, 0, len(layers)*cancelRounds)
	for _, l := range layers {
		for range cancelRounds {
			took, waited := canceled(l.call)
			for again := 0; !waited && again < cancelAgain; again++ {
				took, waited = canceled(l.call) // a random pause may have been shorter than the settling time
			}
			if !waited {
				return errors.New("figures: a call in " + l.layer + " did not wait")
			}
			all = append(all, took.Seconds()*1000)
		}
	}
	end()
	m.put(Row{Figure: "15", Name: "from cancel to return, 99 % of the calls, all layers", Unit: Millis, Target: atMost(cancelTarget)}, Ours, quantile(all, 0.99))
	left := 0
	for range 100 {
		if left = runtime.NumGoroutine() - before; left <= 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.put(Row{Figure: "15", Name: "goroutines left", Unit: Count, Target: atMost(0)}, Ours, float64(max(left, 0)))
	return nil
}

// cancelAgain is how often a call that did not wait is tried again.
const cancelAgain = 50

// canceled begins a call, ends its context and tells how long it then took to return; waited is false when it had
// returned before.
func canceled(call func(context.Context) error) (took time.Duration, waited bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() { _ = call(ctx); close(done) }()
	select {
	case <-done:
		return 0, false
	case <-time.After(cancelSettle):
	}
	began := time.Now()
	cancel()
	<-done
	return time.Since(began), true
}

// hang is a server that never answers.
func hang(ctx context.Context, _ *resilience.Attempt, _ struct{}) (struct{}, error) {
	<-ctx.Done()
	return struct{}{}, ctx.Err()
}

// layers brings a call to each place in which it may wait. end frees everything.
func layers() (out []waiting, end func(), err error) {
	var work sync.WaitGroup
	background, stop := context.WithCancel(context.Background())
	ends := []func(){stop, work.Wait}
	end = func() {
		for _, f := range ends {
			f()
		}
	}
	pipe := func(p resilience.Policy, send resilience.Send[struct{}, struct{}]) (func(ctx context.Context) error, error) {
		e, err := resilience.New(resilience.Config{Policy: p})
		if err != nil {
			return nil, err
		}
		ends = append(ends, e.Close)
		line := resilience.NewPipeline(e, resilience.Layers[struct{}, struct{}]{}, send)
		call := &resilience.Call{Op: "read", Service: serviceID, Endpoints: addresses(1), Timeout: -1}
		return func(ctx context.Context) error { _, _, err := line.Do(ctx, call, struct{}{}); return err }, nil
	}
	for _, l := range []struct {
		layer  string
		policy resilience.Policy
		send   resilience.Send[struct{}, struct{}]
		first  bool // one call is under way before
	}{
		{"bulkhead", resilience.Policy{Bulkhead: resilience.BulkheadPolicy{InFlight: 1, Waiting: 10}}, hang, true},
		{"rate", resilience.Policy{Rate: resilience.RatePolicy{PerSecond: 0.001, Burst: 1}}, hang, true},
		{"limit", resilience.Policy{Limit: resilience.LimitPolicy{Initial: 1, Min: 1, Max: 1}}, hang, true},
		{"retry", resilience.Policy{Backoff: resilience.BackoffPolicy{Base: time.Hour, Max: time.Hour}, Breaker: resilience.BreakerPolicy{Consecutive: -1, Ratio: -1}, Budget: resilience.BudgetPolicy{Capacity: -1}}, refusing, false},
		{"send", resilience.Policy{}, hang, false},
	} {
		call, err := pipe(l.policy, l.send)
		if err != nil {
			end()
			return nil, nil, err
		}
		if l.first {
			work.Go(func() { _ = call(background) })
		}
		out = append(out, waiting{l.layer, call})
	}
	time.Sleep(cancelSettle) // for the first ones to take their places
	more, err := moreLayers(&ends, pipe)
	if err != nil {
		end()
		return nil, nil, err
	}
	return append(out, more...), end, nil
}

func refusing(context.Context, *resilience.Attempt, struct{}) (struct{}, error) {
	return struct{}{}, &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent}
}

// moreLayers are those that need something before: latencies for the hedge, a login for the token, a connection.
func moreLayers(ends *[]func(), pipe func(resilience.Policy, resilience.Send[struct{}, struct{}]) (func(context.Context) error, error)) ([]waiting, error) {
	var slow sync.Map
	hedged, err := pipe(resilience.Policy{Hedge: resilience.HedgePolicy{MinSamples: 10, MinDelay: -1}}, func(ctx context.Context, a *resilience.Attempt, _ struct{}) (struct{}, error) {
		if _, now := slow.Load("now"); now {
			return hang(ctx, a, struct{}{})
		}
		return struct{}{}, nil
	})
	if err != nil {
		return nil, err
	}
	for range 100 {
		if err := hedged(context.Background()); err != nil {
			return nil, err
		}
	}
	slow.Store("now", true)
	d, err := sts.Durable(stuck{})
	if err != nil {
		return nil, err
	}
	*ends = append(*ends, func() { _ = d.Close() })
	post, end, err := posting()
	if err != nil {
		return nil, err
	}
	*ends = append(*ends, end)
	return []waiting{
		{"hedge", hedged},
		{"token", func(ctx context.Context) error { _, err := d.Token(ctx); return err }},
		{"exchange", post},
	}, nil
}

// stuck is a login that does not end by itself.
type stuck struct{}

// Token implements sts.TokenSource.
func (stuck) Token(ctx context.Context) (*sts.Token, error) { <-ctx.Done(); return nil, ctx.Err() }

// posting is a whole exchange over HTTP, with a server that reads and never answers.
func posting() (call func(context.Context) error, end func(), err error) {
	var servers sync.WaitGroup
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		servers.Go(func() { _, _ = io.Copy(io.Discard, theirs); _ = theirs.Close() })
		return ours, nil
	}}
	known := []resilience.Endpoint{{URL: "http://a.example/s", Active: true}}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: t}, Directory: resilience.Static{serviceID: known}, UserAgent: "Figures/1.0", From: "support@example.be",
	})
	c := &exchange.Call{
		Op: "read", Service: serviceID, Body: []byte("<q/>"), Security: unsecured{}, Correlate: func(*xmltree.Node) error { return nil },
		Timeout: time.Hour,
	}
	return func(ctx context.Context) error { _, err := x.Do(ctx, c); return err }, func() { t.CloseIdleConnections(); servers.Wait() }, err
}

// unsecured sends what it is given.
type unsecured struct{}

// Secure implements exchange.Security.
func (unsecured) Secure(_ context.Context, body []byte) ([]byte, error) { return body, nil }

// Refused implements exchange.Security.
func (unsecured) Refused(context.Context, *fault.Error) bool { return false }

// others measures figure 15 of the other clients, on virtual time: neither watches its caller.
func (m *measurement) others() error {
	draw := random(m.seed, 15)
	dead := func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	for kind, call := range map[string]func(context.Context) error{
		Naive: func(ctx context.Context) error { // it is in a pause between two tries
			time.Sleep(time.Duration(draw() * float64(stripePause)))
			return ctx.Err()
		},
		ConnectorLike: (&connector{send: dead, known: addresses(1)}).call,
	} {
		var all []float64
		for range cancelRounds {
			if took, waited := canceled(call); waited { // else the pause was over before
				all = append(all, took.Seconds()*1000)
			}
		}
		m.put(Row{Figure: "15", Name: "from cancel to return, 99 % of the calls, all layers", Unit: Millis, Target: atMost(cancelTarget)}, kind, quantile(all, 0.99))
	}
	return nil
}
