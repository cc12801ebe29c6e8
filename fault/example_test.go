package fault_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/fault"
)

// How a caller reads a failure: first whether the request may have been carried
// out, then what can be done.
func Example() {
	act := func(err error) string {
		switch {
		case err == nil:
			return "show the answer"
		case errors.Is(err, fault.ErrSecurity):
			return "show nothing, call the helpdesk"
		case errors.Is(err, fault.ErrUnknownOutcome):
			return "look it up before sending again"
		case errors.Is(err, fault.ErrDenied):
			return "tell which right is missing"
		case errors.Is(err, fault.ErrUnavailable), errors.Is(err, fault.ErrTimeout):
			return "it was not carried out: queue it or use paper"
		}
		return "correct the request"
	}

	var e *fault.Error
	err := error(&fault.Error{
		Op: "recipe.Create", Service: "recipe", Endpoint: "https://services.recip-e.example/prescriber/v4",
		Kind: fault.Timeout, Outcome: fault.Unknown, Attempts: 1, Notice: "D-UNSURE", Err: context.DeadlineExceeded,
	})
	fmt.Println(act(err))
	fmt.Println(errors.As(err, &e), e.Notice)
	fmt.Println(err)

	refused, rule := fault.FromSOA(fault.SOAFault{Code: "SOA-02002", ID: "7f1c"})
	fmt.Println(act(refused))
	fmt.Println("same endpoint:", rule.Retry, "/ other endpoint:", rule.Switch)
	// Output:
	// look it up before sending again
	// true D-UNSURE
	// recipe.Create: timeout, service recipe at services.recip-e.example/prescriber/v4 (outcome unknown, attempts 1): context deadline exceeded
	// it was not carried out: queue it or use paper
	// same endpoint: with backoff / other endpoint: after repeat
}

func ExampleHTTPStatus() {
	r := fault.HTTPStatus(502, false)
	fmt.Println(r.Kind, "/", r.Outcome, "/", r.Switch)
	r = fault.HTTPStatus(500, true)
	fmt.Println(r.ByBody)
	// Output:
	// unavailable / unknown / reads only
	// true
}
