package recipe

import (
	"context"
	"errors"
	"slices"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
)

// another is a token that was not tried yet: the depot's, a newer one of the same holder, that of another candidate, what Recip-e
// could open last, or what the depot had before.
func (c *client) another(ctx context.Context, to etee.Found, tried []etee.Found) (etee.Found, bool) {
	fresh := func(f etee.Found) bool {
		return !slices.ContainsFunc(tried, func(t etee.Found) bool { return t.Key() == f.Key() })
	}
	if fresh(to) {
		return to, true
	}
	if newer, ok := c.p.Depot.Instead(ctx, to, nil); ok && fresh(newer) {
		return newer, true
	}
	for _, id := range c.conf.Recipients {
		if found, err := c.p.Depot.Get(ctx, id); err == nil && fresh(found) {
			return found, true
		}
	}
	if last, ok := c.lastOpened(tried...); ok {
		return last, true
	}
	return c.former(ctx, fresh)
}

// former are tokens that the depot had before: the key of one may still be in use.
func (c *client) former(ctx context.Context, fresh func(etee.Found) bool) (etee.Found, bool) {
	for _, id := range c.conf.Recipients {
		if found, ok := c.p.Depot.Former(ctx, id); ok && fresh(found) {
			return found, true
		}
	}
	return etee.Found{}, false
}

// recipients are the tokens to seal for: what the depot has, else those that Recip-e could open last, else what the depot had.
func (c *client) recipients(ctx context.Context, known *etee.Found) (etee.Found, error) {
	if known != nil {
		return *known, nil
	}
	found, err := c.p.Depot.Find(ctx, c.conf.Recipients...)
	if err == nil || fault.KindOf(err) != fault.NotFound {
		return found, err
	}
	if last, ok := c.lastOpened(); ok {
		return last, nil
	}
	if before, ok := c.former(ctx, func(etee.Found) bool { return true }); ok {
		return before, nil
	}
	return found, err
}

// opened is what is known about the tokens of Recip-e from its answers. The depot may have a token whose private key Recip-e
// does not use yet, and not have any more the one whose key it does (INC-2026-02-04-ETK).
type opened struct {
	with    etee.Found
	refused string // the key of what the depot has, which Recip-e could not open; "" = none
}

// preferred is what Recip-e could open last, when it could not open what the depot has.
func (c *client) preferred(found etee.Found) etee.Found {
	if o := c.opened.Load(); o != nil && o.refused != "" && o.refused == found.Key() {
		if last, err := c.p.Depot.Recheck(o.with); err == nil {
			return last
		}
	}
	return found
}

// lastOpened is what Recip-e could open last, unless it was just tried, or may not be used any more.
func (c *client) lastOpened(tried ...etee.Found) (etee.Found, bool) {
	o := c.opened.Load()
	if o == nil || slices.ContainsFunc(tried, func(f etee.Found) bool { return f.Key() == o.with.Key() }) {
		return etee.Found{}, false
	}
	last, err := c.p.Depot.Recheck(o.with)
	return last, err == nil
}

// opens notes that Recip-e opened a param sealed with some tokens, when err does not leave that open, while the depot has others.
func (c *client) opens(with, depot etee.Found, err error) error {
	if err != nil && !errors.As(err, new(*RefusedError)) {
		return err
	}
	o := &opened{with: with}
	if with.Key() != depot.Key() {
		o.refused = depot.Key()
	}
	c.opened.Store(o)
	return err
}

// wrongToken tells that a request was refused by who may not have been able to open it (INC-2026-02-04-ETK): without the
// param it does not have the key of the answer, so it answers in clear.
func wrongToken(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && e.Outcome == fault.Rejected && e.Kind == fault.Invalid && !errors.As(err, new(*RefusedError))
}
