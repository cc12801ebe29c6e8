package etee

import (
	"context"
	"slices"
)

// formerOf is what the depot had before it gave now, if that is something else. What was dropped is not worth keeping.
func formerOf(before, now *entry) *entry {
	switch {
	case before == nil:
		return nil
	case before.missing != nil, before.dropped, now.missing == nil && sameTokens(before.tokens, now.tokens):
		return before.former
	}
	return &entry{id: before.id, fetched: before.fetched, tokens: before.tokens}
}

func sameTokens(a, b []held) bool {
	return slices.EqualFunc(a, b, func(x, y held) bool { return fingerprint(x.etk) == fingerprint(y.etk) })
}

// Former returns the tokens that the depot had of a holder before those that it has now, also over a restart: for a service that may
// not use the key of its new one yet, or that the depot does not know any more although it goes on (INC-2026-02-04-ETK). All checks
// are made anew. ok is false when there are none that may be used, or none so young as to be used while the depot does not answer.
func (d *Depot) Former(ctx context.Context, id Identifier) (found Found, ok bool) {
	now := wallClock()
	e := d.kept(ctx, id, now)
	if e == nil || e.former == nil || d.conf.MaxStale < 0 || now.Sub(e.former.fetched) >= d.conf.TTL+d.conf.MaxStale {
		return Found{}, false
	}
	found, err := d.judge(e.former, now)
	return found, err == nil
}
