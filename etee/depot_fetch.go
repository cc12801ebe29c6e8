package etee

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// fetchShared asks the depot, together with whoever asks the same. hurry: there is an old answer that will do.
func (d *Depot) fetchShared(ctx context.Context, id Identifier, hurry bool) (*entry, error) {
	timeout := d.conf.Timeout
	if hurry {
		timeout = min(timeout, staleTimeout)
	}
	e, err := d.flights.do(ctx, id, func(ctx context.Context) (*entry, error) {
		e, err := d.fetch(ctx, id, timeout)
		if err == nil {
			d.keep(ctx, e)
			return e, nil
		}
		// That there is no token, or none that may be used, is an answer too: what was kept is no longer true.
		switch k := fault.KindOf(err); {
		case k == fault.NotFound:
			d.keep(ctx, &entry{id: id, fetched: wallClock(), missing: err})
		case errors.As(err, new(*Refusal)):
			d.drop(ctx, id, func(*entry) bool { return true })
		}
		return nil, err
	})
	return e, given(opDepot, ServiceDepot, err)
}

// given makes the error of one caller of what several wait for: a *fault.Error of its own, which it may change, also when
// the caller stopped waiting.
func given(op, service string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		own := *e
		return &own
	}
	e := &fault.Error{Op: op, Service: service, Kind: fault.Canceled, Outcome: fault.Unknown, Err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Kind = fault.Timeout
	}
	return e
}

// fetch asks for a holder and, when there are several tokens, for each of them (dossier 02 A.3).
func (d *Depot) fetch(ctx context.Context, id Identifier, timeout time.Duration) (*entry, error) {
	a, ans, err := d.ask(ctx, question{Identifier: id}, timeout)
	if err != nil {
		return nil, err
	}
	e := &entry{id: id, fetched: wallClock()}
	if a.etk != nil {
		h, err := parsed(id, a, ans)
		if err != nil {
			return nil, err
		}
		e.tokens = []held{h}
	} else if e.tokens, err = d.walk(ctx, id, a.matches, timeout); err != nil {
		return nil, err
	}
	if len(e.tokens) == 0 {
		return nil, depotFailure(ans, &DepotError{Status: statusOK})
	}
	if _, err := d.judge(e, e.fetched); err != nil {
		return nil, err
	}
	return e, nil
}

// walk asks for each token of a list. One that is gone meanwhile, or is another holder's, is left out; any other failure
// fails the whole, because a message that is not sealed for an application cannot be read there.
func (d *Depot) walk(ctx context.Context, id Identifier, matches []question, timeout time.Duration) (out []held, _ error) {
	if id.Application != "" { // the application was told, so there is nothing to choose from
		return nil, nil
	}
	for _, q := range matches {
		a, ans, err := d.ask(ctx, q, timeout)
		switch k := fault.KindOf(err); {
		case k == fault.NotFound, k == fault.Security && errors.Is(err, errHolder):
			continue
		case err != nil:
			return nil, err
		case a.etk == nil: // again a list
			continue
		}
		h, err := parsed(q.Identifier, a, ans)
		if err != nil {
			return nil, err
		}
		if s, err := h.etk.Holder(); err == nil && id.holds(s) {
			out = append(out, h)
		}
	}
	return out, nil
}

func parsed(id Identifier, a *depotAnswer, ans *exchange.Answer) (held, error) {
	k, err := ParseETKBase64(a.etk)
	if err != nil {
		return held{}, damaged(ans, err)
	}
	return held{id, k}, nil
}

// ask sends one question.
func (d *Depot) ask(ctx context.Context, q question, timeout time.Duration) (*depotAnswer, *exchange.Answer, error) {
	body, err := q.encode()
	if err != nil {
		return nil, nil, &fault.Error{Op: opDepot, Service: ServiceDepot, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err}
	}
	ans, err := d.x.Do(ctx, &exchange.Call{
		Op: opDepot, Service: ServiceDepot, Class: resilience.Read, Body: body, Security: plain{}, Correlate: q.correlate,
		Timeout: timeout,
	})
	if err != nil {
		return nil, nil, err
	}
	a, err := decodeDepot(ans.Payload)
	if err != nil {
		return nil, nil, damaged(ans, err)
	}
	if v := a.verdict(); v != nil {
		return nil, nil, depotFailure(ans, v)
	}
	return a, ans, nil
}

func depotFailure(ans *exchange.Answer, v *DepotError) error {
	code := v.Code
	if code == "" {
		code = "STATUS/" + v.Status
	}
	return &fault.Error{
		Op: opDepot, Service: ServiceDepot, Endpoint: ans.Endpoint.URL, Kind: v.kind(), Code: plainCode(code),
		Attempts: ans.Attempts, Outcome: fault.Rejected, Err: v,
	}
}

// plainCode keeps a prefix of our own in front of a code of the platform.
func plainCode(code string) string {
	const prefix = "STATUS/"
	if len(code) > len(prefix) && code[:len(prefix)] == prefix {
		return prefix + safeCode(code[len(prefix):])
	}
	return safeCode(code)
}

// damaged is the error of an answer that cannot be read.
func damaged(ans *exchange.Answer, err error) error {
	return &fault.Error{
		Op: opDepot, Service: ServiceDepot, Endpoint: ans.Endpoint.URL, Kind: fault.Protocol, Attempts: ans.Attempts,
		Outcome: fault.Unknown, Err: fault.AsSafe(err),
	}
}
