// Package resilience holds what one call to a remote service needs to end, within its
// deadline, in a definite answer. It knows nothing of SOAP, XML or eHealth.
//
// Most users need only this: make one [Engine] per process with [New], put a [Pipeline]
// around whatever sends a request, and describe each operation by a [Call] with its [Class].
//
//	engine, err := resilience.New(resilience.Config{})
//	p := resilience.NewPipeline(engine, resilience.Layers[Question, Answer]{}, send)
//	answer, info, err := p.Do(ctx, &resilience.Call{
//		Op: "insurability.Check", Service: id, Class: resilience.Read, Endpoints: addresses,
//	}, question)
//
// The chain is fixed and says itself: [Pipeline.Describe]. Once per call come the event, the
// [Bulkhead] and the [RateLimit] of the service, and the retry loop; once per attempt the hedge
// of a slow read, the [Breaker] and the [Limiter] of the address, and the event of the attempt.
// What may be repeated, and where, is one pure function: [Decide]. Retries and hedges of a
// service share one [Budget].
//
// [Health] turns the evidence into what a person wants to know: which function works, slowly,
// by other means, or not, since when, and where the fault is.
//
// What is guaranteed: a call ends at its deadline or earlier; a write is repeated only when it
// was certainly not executed; an outage is not made worse than the budget allows; nothing that is
// reported holds personal data. The error of a call is always a *fault.Error made of all its
// attempts; what this package refused by itself is a [Refusal] in its chain.
//
// Every number has a name, a default and its reason in defaults.go; 0 means the default, negative
// means off.
package resilience
