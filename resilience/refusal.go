package resilience

import (
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// sentinel is an error whose text is constant and safe to print.
type sentinel string

func (s sentinel) Error() string     { return string(s) }
func (s sentinel) SafeError() string { return string(s) }

// Why this package refused something by itself, without asking the service. Every one stands
// in the chain of a *fault.Error whose Outcome is NotSent; [Refusal] has the details.
const (
	// ErrBreakerOpen: the address failed lately, or was closed by hand. Kind Unavailable.
	ErrBreakerOpen sentinel = "resilience: breaker is open"
	// ErrBulkheadFull: too many calls of the service are under way and waiting. Kind Throttled.
	ErrBulkheadFull sentinel = "resilience: too many calls under way"
	// ErrLimited: the address is at its adaptive limit. Kind Throttled.
	ErrLimited sentinel = "resilience: address is at its limit"
	// ErrRateLimited: the rate limit would let the call start only after its deadline. Kind
	// Throttled.
	ErrRateLimited sentinel = "resilience: rate limit"
	// ErrNoEndpoint: the service has no address. Kind Local.
	ErrNoEndpoint sentinel = "resilience: no address to ask"
	// ErrBudget stands beside the cause of a failed call that would have been retried, had the
	// budget had a token.
	ErrBudget sentinel = "resilience: no retry, budget is empty"
)

// Refusal says that and why this package did not let a call through.
type Refusal struct {
	By         error         // one of the sentinels of this package
	Reason     string        // more words, safe to print; "" = none
	RetryAfter time.Duration // when to come back, 0 = not known
}

// Error returns the reason.
func (r *Refusal) Error() string {
	if r.Reason == "" {
		return r.By.Error()
	}
	return r.By.Error() + ": " + r.Reason
}

// SafeError is Error.
func (r *Refusal) SafeError() string { return r.Error() }

// Unwrap returns the sentinel.
func (r *Refusal) Unwrap() error { return r.By }

// failure makes the refusal the failure of an attempt that never left: another address may be
// asked when the breaker of this one is open; load is not moved elsewhere.
func (r *Refusal) failure() *Failure {
	e := &fault.Error{Kind: fault.Throttled, Outcome: fault.NotSent, RetryAfter: r.RetryAfter, Err: r}
	rule := fault.Rule{Outcome: fault.NotSent}
	switch r.By {
	case ErrBreakerOpen:
		e.Kind, rule.Switch = fault.Unavailable, fault.SwitchYes
	case ErrNoEndpoint:
		e.Kind = fault.Local
	}
	rule.Kind = e.Kind
	return &Failure{Fault: e, Rule: rule}
}
