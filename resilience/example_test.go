package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// A read whose first address refuses the connection is answered by the second one, and the
// caller is told so.
func Example() {
	engine, err := resilience.New(resilience.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	send := func(_ context.Context, a *resilience.Attempt, question string) (string, error) {
		if a.Endpoint.Order == 0 {
			return "", &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent}
		}
		return "answer to " + question, nil
	}
	p := resilience.NewPipeline(engine, resilience.Layers[string, string]{}, send)
	answer, info, err := p.Do(context.Background(), &resilience.Call{
		Op: "insurability.Check", Service: "genins", Class: resilience.Read,
		Endpoints: []resilience.Endpoint{{URL: "https://a.example/v1", Active: true}, {URL: "https://b.example/v1", Order: 1}},
	}, "question")
	fmt.Println(answer, err)
	fmt.Println(info.Attempts, "attempts, alternate:", info.Alternate)
	// Output:
	// answer to question <nil>
	// 2 attempts, alternate: true
}

// A write whose answer was lost is not sent again: its outcome is unknown.
func ExampleDecide() {
	d := resilience.Decide(resilience.Situation{
		Class: resilience.UnsafeWrite, Rule: fault.TransportRule(context.DeadlineExceeded, fault.Written),
		Attempts: 1, MaxAttempts: 4, Budget: true, There: resilience.Target{Exists: true},
	})
	fmt.Println(d.Verb, "/", d.Why)
	// Output:
	// stop / outcome unknown
}

// An address that is closed by hand is not asked, and the error says until when.
func ExampleEngine_ForceOpen() {
	engine, err := resilience.New(resilience.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	const url = "https://a.example/v1"
	engine.ForceOpen("genins", url, "planned work", time.Time{})
	p := resilience.NewPipeline(engine, resilience.Layers[int, int]{}, func(context.Context, *resilience.Attempt, int) (int, error) {
		return 1, nil
	})
	_, info, err := p.Do(context.Background(), &resilience.Call{Op: "op", Service: "genins", Endpoints: []resilience.Endpoint{{URL: url}}}, 1)
	fmt.Println(errors.Is(err, resilience.ErrBreakerOpen), errors.Is(err, fault.ErrNotSent), info.Attempts)
	engine.CloseBreaker("genins", url)
	// Output:
	// true true 0
}
