package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// View is an item as people and logs may see it: without key, reference, payload and answer.
type View struct {
	ID       ID        `json:"id"`
	Kind     Kind      `json:"kind"`
	State    State     `json:"state"`
	Reason   Reason    `json:"reason,omitempty"`
	Priority Priority  `json:"priority"`
	Pending  bool      `json:"pending,omitempty"` // the outcome of the last attempt is not known
	Doubled  bool      `json:"doubled,omitempty"` // an answer came for an attempt that was believed not to have happened: look for a double
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Due      time.Time `json:"due,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Rule     string    `json:"rule"`
	Horizon  time.Time `json:"horizon,omitzero"` // with Pending: a question asked after this settles it
	Attempts int       `json:"attempts"`
	Last     *Failure  `json:"last,omitempty"`
	History  []Try     `json:"history,omitempty"` // the latest 20
	Foreign  bool      `json:"foreign,omitempty"` // another author put it, see [WithAuthor]
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText implements encoding.TextMarshaler.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (b *Box) view(r *record) View {
	v := View{
		ID: r.ID, Kind: r.Kind, State: r.State, Reason: r.Reason, Priority: r.Priority, Pending: r.Pending, Doubled: r.Doubled,
		Created: r.Created, Changed: r.Changed, Expires: r.Expires, Rule: r.Rule, Attempts: int(r.Attempt), Last: r.Last, History: r.History,
		Foreign: b.foreign(r),
	}
	if r.State.Open() {
		v.Due = r.Due
	}
	if r.Pending {
		v.Horizon = r.Horizon
	}
	return v
}

// Filter selects items of a list. The zero value selects all.
type Filter struct {
	State State // 0 = any
	Kind  Kind  // "" = any
}

// List goes through the items. Damaged ones come as an error between the others and do not end
// the list; any other error does.
func (b *Box) List(ctx context.Context, f Filter) iter.Seq2[View, error] {
	return func(yield func(View, error) bool) {
		q := Query{State: f.State, Limit: 500}
		for {
			page, err := b.page(ctx, q)
			if err != nil {
				yield(View{}, err)
				return
			}
			for _, e := range page.Entries {
				if f.Kind != "" && e.Kind != f.Kind {
					continue
				}
				r, err := b.keys.decode(e)
				if err != nil && !yield(View{ID: e.ID, Kind: e.Kind, State: e.State}, err) {
					return
				}
				if err == nil && !yield(b.view(r), nil) {
					return
				}
			}
			if page.More == nil {
				return
			}
			q.After = page.More
		}
	}
}

func (b *Box) page(ctx context.Context, q Query) (Page, error) {
	done, err := b.enter()
	if err != nil {
		return Page{}, err
	}
	defer done()
	return b.store.List(ctx, q)
}

// Stats returns the numbers of items by kind and state.
func (b *Box) Stats(ctx context.Context) (Counts, error) {
	done, err := b.enter()
	if err != nil {
		return Counts{}, err
	}
	defer done()
	return b.store.Count(ctx)
}

// Show returns one item without its contents.
func (b *Box) Show(ctx context.Context, id ID) (View, error) {
	done, err := b.enter()
	if err != nil {
		return View{}, err
	}
	defer done()
	r, err := b.read(ctx, id)
	if err != nil {
		return View{}, err
	}
	return b.view(r), nil
}

// ShowAll is [Box.Show] of several items, at most [MaxHeaders], in one read of the store. They are as
// they were at one moment: what was put before another one changed is there when that change is seen.
// Those that are not there are left out; one that was set aside before has a view with its ID and no
// State: nobody knows what became of it. When one cannot be opened there is an error and no view;
// damaged ones are set aside, as Show does.
func (b *Box) ShowAll(ctx context.Context, ids ...ID) (map[ID]View, error) {
	done, err := b.enter()
	if err != nil {
		return nil, err
	}
	defer done()
	es, err := b.store.Headers(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[ID]View, len(es))
	var bad []error
	for _, e := range es {
		switch r, err := b.opened(ctx, e); {
		case errors.Is(err, ErrNotFound):
			out[e.ID] = View{ID: e.ID}
		case err != nil:
			bad = append(bad, err)
		default:
			out[e.ID] = b.view(r)
		}
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	return out, nil
}

func (b *Box) look(ctx context.Context, id ID) (*record, error) {
	done, err := b.enter()
	if err != nil {
		return nil, err
	}
	defer done()
	return b.readWhole(ctx, id)
}

// Result returns what is known of an item, as [Box.Do] does, without sending anything.
func (b *Box) Result(ctx context.Context, id ID) (*Result, error) {
	done, err := b.enter()
	if err != nil {
		return nil, err
	}
	defer done()
	r, err := b.readWhole(ctx, id)
	if err != nil {
		return nil, err
	}
	return b.result(ctx, r, nil, true)
}

// Reveal returns the item with its contents, for a person who is entitled to them. The payload of
// a done item is gone unless its policy keeps it.
func (b *Box) Reveal(ctx context.Context, id ID) (Item, error) {
	r, err := b.look(ctx, id)
	if err != nil {
		return Item{}, err
	}
	return b.item(r)
}

// personal makes a move that a person asked for.
func (b *Box) personal(ctx context.Context, id ID, move func(*record, time.Time) error) error {
	done, err := b.enter()
	if err != nil {
		return err
	}
	defer done()
	r, err := b.change(ctx, id, guard{}, nil, func(r *record) error { return move(r, now()) })
	if err != nil {
		return err
	}
	b.stir(r.Kind)
	return nil
}

// Release lets a held item be sent. It takes its place in the line from the moment it was put. One whose time
// is over expires instead, with a [StateError].
func (b *Box) Release(ctx context.Context, id ID) error {
	late := false
	err := b.personal(ctx, id, func(r *record, at time.Time) error {
		switch late = r.State == Held && r.overdue(at); {
		case r.State != Held:
			return &StateError{ID: r.ID, State: r.State, Pending: r.Pending}
		case late:
			return r.expired(at)
		}
		return r.to(Prepared, at, "")
	})
	if err == nil && late {
		return &StateError{ID: id, State: Expired}
	}
	return err
}

// Retry takes a parked or rejected item up again, with all its tries. An item whose outcome is
// not known is asked for first, never sent blindly. An item that waits for a later time is tried
// at once.
func (b *Box) Retry(ctx context.Context, id ID) error {
	return b.personal(ctx, id, func(r *record, at time.Time) error {
		next := r.State
		switch {
		case r.State == Parked && r.Pending:
			next = Unknown
		case r.State == Parked, r.State == Rejected:
			if r.overdue(at) {
				return &StateError{ID: r.ID, State: Expired}
			}
			next = Ready
		case r.State != Prepared && r.State != Ready && r.State != Unknown:
			return &StateError{ID: r.ID, State: r.State, Pending: r.Pending}
		}
		if next != r.State {
			if err := r.to(next, at, ""); err != nil {
				return err
			}
		}
		r.Tries, r.Fails, r.Asks, r.Due = 0, 0, 0, at
		return nil
	})
}

// Cancel takes back an item that was not sent. One that is being sent, or whose outcome is not
// known, cannot be cancelled: see [Box.Decide].
func (b *Box) Cancel(ctx context.Context, id ID) error {
	return b.personal(ctx, id, func(r *record, at time.Time) error {
		if r.Pending {
			return &StateError{ID: r.ID, State: r.State, Pending: true}
		}
		r.Due = time.Time{}
		return r.to(Cancelled, at, "")
	})
}

// Decide records what a person found out about a parked item whose outcome is not known. When it
// happened the item is done; when it did not it stays parked, to be retried or cancelled.
func (b *Box) Decide(ctx context.Context, id ID, happened bool) error {
	return b.personal(ctx, id, func(r *record, at time.Time) error {
		if r.State != Parked || !r.Pending {
			return &StateError{ID: r.ID, State: r.State, Pending: r.Pending}
		}
		if happened {
			r.ended(int(r.Attempt), at, fault.Done, nil)
			return r.happened(at)
		}
		r.Pending = false
		r.ended(int(r.Attempt), at, fault.NotSent, nil)
		return r.to(Parked, at, ReasonDecided)
	})
}

// Forget removes done and cancelled items that were settled before t, and returns how many. The
// worker does so by itself, see [WithKeep].
func (b *Box) Forget(ctx context.Context, t time.Time) (int, error) {
	n := 0
	for _, s := range []State{Done, Cancelled} {
		for {
			page, err := b.page(ctx, Query{State: s, Before: t, Limit: 500})
			if err != nil {
				return n, err
			}
			gone := 0
			for _, e := range page.Entries {
				switch err := b.store.Remove(ctx, e.ID, e.Rev, ""); {
				case err == nil:
					gone++
				case !errors.Is(err, ErrStale) && !errors.Is(err, ErrNotFound):
					return n + gone, err
				}
			}
			n += gone
			if gone == 0 || page.More == nil {
				break
			}
		}
	}
	return n, nil
}

// exported is one line of an export.
type exported struct {
	View
	Key     string `json:"key,omitempty"`
	Ref     string `json:"ref"`
	Payload []byte `json:"payload,omitempty"`
	Answer  []byte `json:"answer,omitempty"`
}

// Export writes the selected items IN CLEAR, one JSON object per line, with their contents: for
// work that must go on by other means. Whoever calls it answers for where w leads.
func (b *Box) Export(ctx context.Context, w io.Writer, f Filter) error {
	enc := json.NewEncoder(w)
	for v, err := range b.List(ctx, f) {
		if errors.Is(err, ErrCorrupt) {
			continue // Verify tells of those
		}
		if err != nil {
			return err
		}
		r, err := b.look(ctx, v.ID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		it, err := b.item(r)
		if err != nil {
			return err
		}
		ans, err := b.keys.part(bucketAnswer, r.ID, r.Answer)
		if err != nil {
			return err
		}
		if err := enc.Encode(exported{View: b.view(r), Key: r.Key, Ref: r.Ref, Payload: it.Payload, Answer: ans}); err != nil {
			return err
		}
	}
	return nil
}
