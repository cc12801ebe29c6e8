package figures

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// The clients that are compared.
const (
	Ours          = "ours"
	Naive         = "naive"
	ConnectorLike = "connector-like"
)

// Clients lists them in the order of the table.
func Clients() []string { return []string{Ours, Naive, ConnectorLike} }

// What is known of the connector-like client: dossier 12.
const (
	connectorTimeout = 30 * time.Second      // for connecting, and for every read
	connectorResend  = 50 * time.Millisecond // between a failure and the next address: 30 to 80 ms
	naiveTries       = 4
)

const serviceID = "s"

// addresses are those of the service: A is the default, B the alternate.
func addresses(n int) []resilience.Endpoint {
	return []resilience.Endpoint{{URL: "https://a.example/s", Active: true}, {URL: "https://b.example/s", Order: 1}}[:n]
}

// client is one process at one counter. call makes one read and returns nil for an answer.
type client interface {
	call(ctx context.Context) error
	close()
}

// exchanger is what a client sends to.
type exchanger func(ctx context.Context, url string) error

// build is how to make the clients of a scenario.
type build struct {
	kind      string
	addresses int               // 1 or 2
	policy    resilience.Policy // of ours
	draw      func() float64    // seeded
	onMode    func(bcp.ModeChange)
}

func (b build) client(send exchanger) (client, error) {
	switch b.kind {
	case Naive:
		return &naive{send}, nil
	case ConnectorLike:
		return &connector{send: send, known: addresses(b.addresses)}, nil
	}
	return newOurs(b, send)
}

// scenarioPolicy is the default policy with the one number that the scenario sets.
func scenarioPolicy() resilience.Policy { return resilience.Policy{AttemptMax: perTry} }

func withoutBreaker() resilience.Policy {
	p := scenarioPolicy()
	p.Breaker = resilience.BreakerPolicy{Consecutive: -1, Ratio: -1}
	return p
}

// ours is the real engine with the real router of addresses, wired as the platform wires them.
type ours struct {
	engine *resilience.Engine
	pipe   *resilience.Pipeline[struct{}, struct{}]
	op     *resilience.Call
}

func newOurs(b build, send exchanger) (*ours, error) {
	known := addresses(b.addresses)
	var router *bcp.Router
	e, err := resilience.New(resilience.Config{
		Policy: b.policy, Random: b.draw,
		Order: func(service string, class resilience.Class, _ []resilience.Endpoint) []resilience.Endpoint {
			return router.Route(service, class).Order()
		},
	})
	if err != nil {
		return nil, err
	}
	router = bcp.NewRouter(bcp.RouterConfig{Directory: resilience.Static{serviceID: known}, Breakers: e, Policy: bcp.WhenUnanswered, OnMode: b.onMode})
	o := &ours{engine: e, op: &resilience.Call{Op: "read", Service: serviceID, Class: resilience.Read, Endpoints: known}}
	o.pipe = resilience.NewPipeline(e, resilience.Layers[struct{}, struct{}]{}, func(ctx context.Context, a *resilience.Attempt, _ struct{}) (struct{}, error) {
		return struct{}{}, classified(send(ctx, a.Endpoint.URL))
	})
	return o, nil
}

func (o *ours) call(ctx context.Context) error {
	_, _, err := o.pipe.Do(ctx, o.op, struct{}{})
	return err
}

func (o *ours) close() { o.engine.Close() }

// classified says what the exchange says of the same failures.
func classified(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errRefused):
		return &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent, Err: err}
	case errors.Is(err, errCut):
		return &fault.Error{Kind: fault.Unavailable, Outcome: fault.Unknown, Err: err}
	case errors.Is(err, errStatus):
		r := fault.HTTPStatus(503, false)
		return &resilience.Failure{Fault: r.Error(err), Rule: r}
	}
	k, o := fault.Transport(err, fault.Written)
	return &fault.Error{Kind: k, Outcome: o, Err: err}
}

// naive knows one address and asks it four times at once.
type naive struct{ send exchanger }

func (n *naive) call(ctx context.Context) (err error) {
	for range naiveTries {
		try, cancel := context.WithTimeout(ctx, perTry)
		err = n.send(try, addresses(1)[0].URL)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (n *naive) close() {}

// connector behaves as dossier 12 measured the official connector: no breaker, no budget, no pause. With two addresses every
// failure moves the whole process to the other one, and the message is sent there at once; it comes back only when
// that one fails too. A connection that ends without an answer makes Java's HTTP client send once more, silently, first.
type connector struct {
	send  exchanger
	known []resilience.Endpoint
	moved func() // nil = nobody wants to know

	mu     sync.Mutex
	active int
}

func (c *connector) call(ctx context.Context) error {
	var err error
	for round := range c.known {
		if round > 0 {
			time.Sleep(connectorResend)
		}
		c.mu.Lock()
		at := c.active
		c.mu.Unlock()
		if err = c.post(ctx, c.known[at].URL); err == nil {
			return nil
		}
		c.mu.Lock()
		if c.active == at {
			c.active = (at + 1) % len(c.known)
			if c.moved != nil && len(c.known) > 1 {
				c.moved()
			}
		}
		c.mu.Unlock()
	}
	return err
}

// post is Java's HTTP client.
func (c *connector) post(ctx context.Context, url string) error {
	err := c.once(ctx, url)
	if errors.Is(err, errCut) {
		err = c.once(ctx, url)
	}
	return err
}

func (c *connector) once(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectorTimeout)
	defer cancel()
	return c.send(ctx, url)
}

func (c *connector) close() {}
