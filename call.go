package ehealth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Security says how the messages of a [Call] prove who sends them.
type Security uint8

// The choices.
const (
	// HolderOfKey: the login token, and a signature with the key of the eHealth certificate
	// (dossier 01 C.2). The token is fetched, kept and renewed as for every other call.
	HolderOfKey Security = iota
	// NoSecurity: the message has no Security header.
	NoSecurity
)

// Call is one question to, or one write at, a service for which this module has no typed client.
type Call struct {
	// Service is its UDDI id. Its addresses are those of the service list, of Config.Services or of
	// the Environment. Required.
	Service string
	// Op names the operation in errors, metrics and traces, such as "vaccination.Get"; it must not
	// name a person. "" = "call".
	Op string
	// Action is the SOAP action; "" = none.
	Action string
	// Class decides what may be repeated. The zero value is a read.
	Class resilience.Class
	// Body is the request: one well-formed element. Required.
	Body []byte
	// Security is how the message proves who sends it.
	Security Security
	// Correlate tells whether the answer is the one to this request: the same patient, the same
	// reference. It gets the answer's payload. An error drops the answer unseen and closes its
	// connection (dossier 06 A.0.3); its text is printed only when it is known to be safe, see
	// [fault.AsSafe]. Required: an answer that cannot be correlated must say so here.
	Correlate func(payload []byte) error
	// Timeout bounds the whole call; 0 = 15 s.
	Timeout time.Duration
	// Expires is when a signed message becomes worthless, however late it arrives: the
	// [outbox.Attempt.Expires] of a queued write. Zero = a minute after it was signed.
	Expires time.Time
	// Notice is the id of what to tell the person when there is no answer (dossier 06 part D); "" = D-DOWN.
	Notice string
}

// Reply is the answer to a [Call]: correlated, and no fault.
type Reply struct {
	// Payload is the answer's one element as a document of its own: what it inherits of namespaces
	// is declared on it (Canonical XML 1.0).
	Payload   []byte
	Endpoint  string    // the address that answered
	Alternate bool      // it is not the address of first choice
	Attempts  int       // made, this one included
	At        time.Time // when it was complete
}

// Call makes one call through the whole pipeline: addresses, breakers, deadline, login,
// signature, correlation, classification, repeats where the class allows them.
//
// The error is a *[Error]. Its Outcome says whether the request may have been executed; after
// Unknown a write must not be made again before the service was asked what became of it, which is
// what [Platform.Outbox] is for.
func (p *Platform) Call(ctx context.Context, c Call) (*Reply, error) {
	op := cmp.Or(c.Op, "call")
	if err := c.check(); err != nil {
		return nil, &fault.Error{Op: op, Service: c.Service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err}
	}
	security := p.security
	if c.Security == NoSecurity {
		security = unsecured{}
	}
	ans, err := p.exchange.Do(exchange.WithExpires(ctx, c.Expires), &exchange.Call{
		Op: op, Service: c.Service, Action: c.Action, Class: c.Class, Body: c.Body, Security: security,
		Correlate: func(n *xmltree.Node) error { return c.Correlate(document(n)) },
		Timeout:   c.Timeout, Notice: cmp.Or(c.Notice, noticeDown),
	})
	if err != nil {
		return nil, unsure(err, c.Class)
	}
	return &Reply{
		Payload: document(ans.Payload), Endpoint: ans.Endpoint.URL, Alternate: ans.Alternate, Attempts: ans.Attempts, At: ans.At,
	}, nil
}

func (c *Call) check() error {
	var errs []error
	for _, need := range []struct {
		ok   bool
		what string
	}{
		{c.Service != "", "Service is required"},
		{c.Correlate != nil, "Correlate is required"},
		{c.Security <= NoSecurity, "no such Security"},
		{c.Timeout >= 0, "Timeout must not be negative"},
	} {
		if !need.ok {
			errs = append(errs, errors.New(need.what))
		}
	}
	if _, err := wsse.Plain(c.Body); err != nil {
		errs = append(errs, fmt.Errorf("the body: %w", err))
	}
	return errors.Join(errs...)
}

// document is an element as a document of its own.
func document(n *xmltree.Node) []byte {
	return c14n.Append(nil, n, c14n.Options{Inclusive: true})
}

// unsure gives a write of unknown outcome the notice that says so: whatever else the caller wanted
// to be told, it must not be sent again by hand.
func unsure(err error, class resilience.Class) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || class == resilience.Read || e.Outcome != fault.Unknown {
		return err
	}
	out := *e
	out.Notice = noticeUnsure
	return &out
}

// unsecured is the security of messages without any.
type unsecured struct{}

// Secure implements exchange.Security. The bound on the message's life holds although nothing in
// the message says so.
func (unsecured) Secure(ctx context.Context, body []byte) ([]byte, error) {
	if _, err := exchange.Stamp(ctx); err != nil {
		return nil, err
	}
	return wsse.Plain(body)
}

// Refused has nothing to renew.
func (unsecured) Refused(context.Context, *fault.Error) bool { return false }
