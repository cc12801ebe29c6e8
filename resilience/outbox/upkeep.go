package outbox

import (
	"bytes"
	"context"
	"errors"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
)

// Report is what Verify found.
type Report struct {
	Items   int   // read and found whole
	Damaged []ID  // a part does not open: the next use sets it aside
	NoKey   int   // written with a key that is not in the ring
	Old     int   // written, in part, with an older key: Rotate renews them
	Aside   int   // set aside earlier
	Index   error // the store's indexes disagree with its entries; nil = they agree or cannot be compared
}

// OK tells whether nothing is wrong.
func (r Report) OK() bool {
	return len(r.Damaged) == 0 && r.NoKey == 0 && r.Aside == 0 && r.Index == nil
}

// Verify opens every part of every item and compares the store's indexes. It changes nothing.
func (b *Box) Verify(ctx context.Context) (Report, error) {
	done, err := b.enter()
	if err != nil {
		return Report{}, err
	}
	defer done()
	var rep Report
	err = b.each(ctx, func(id ID) error {
		e, err := b.store.Load(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			err = b.whole(e)
		}
		switch {
		case errors.Is(err, ErrKey):
			rep.NoKey++
		case errors.Is(err, ErrCorrupt):
			rep.Damaged = append(rep.Damaged, id)
		case err != nil:
			return err
		default:
			rep.Items++
			if b.isOld(e) {
				rep.Old++
			}
		}
		return nil
	})
	if err != nil {
		return rep, err
	}
	c, err := b.store.Count(ctx)
	rep.Aside = c.Aside
	if ck, ok := b.store.(Checker); ok && err == nil {
		if rep.Index = ck.Check(ctx); rep.Index != nil && !errors.Is(rep.Index, ErrCorrupt) {
			return rep, rep.Index
		}
	}
	return rep, err
}

// whole opens all parts of an entry.
func (b *Box) whole(e Entry) error {
	r, err := b.keys.decode(e)
	if err != nil {
		return err
	}
	if _, err := b.keys.part(bucketAnswer, e.ID, e.Answer); err != nil {
		return err
	}
	payload, err := b.keys.part(bucketPayload, e.ID, e.Payload)
	if err != nil {
		return err
	}
	settled := r.State == Done || r.State == Cancelled
	if e.Payload == nil && settled {
		return nil
	}
	if e.Payload == nil || !bytes.Equal(b.index.sum(payload), r.Sum) {
		return &CorruptError{ID: e.ID, Part: bucketPayload}
	}
	return nil
}

func (b *Box) isOld(e Entry) bool {
	return b.keys.old(e.Meta) || b.keys.old(e.Payload) || b.keys.old(e.Answer)
}

// each calls f for the id of every entry.
func (b *Box) each(ctx context.Context, f func(ID) error) error {
	q := Query{Limit: 1000}
	for {
		page, err := b.store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := f(e.ID); err != nil {
				return err
			}
		}
		if page.More == nil {
			return nil
		}
		q.After = page.More
	}
}

// Rotate seals everything anew that was sealed with an older key, and returns how many items it
// renewed. It may run beside the workers and may be interrupted: what is left is done by the
// next run. When it returned nil, the older keys are needed no more.
func (b *Box) Rotate(ctx context.Context) (int, error) {
	done, err := b.enter()
	if err != nil {
		return 0, err
	}
	defer done()
	if err := b.rotateSecret(ctx); err != nil {
		return 0, err
	}
	fail.Point("rotate.secret")
	n := 0
	err = b.each(ctx, func(id ID) error {
		renewed, err := b.renew(ctx, id)
		if renewed {
			n++
			fail.Point("rotate.item")
		}
		return err
	})
	return n, err
}

func (b *Box) rotateSecret(ctx context.Context) error {
	for {
		sealed, err := b.store.Mark(ctx, secretName, nil, nil)
		if err != nil || !b.keys.old(sealed) {
			return err
		}
		if _, err := b.store.Mark(ctx, secretName, sealed, b.keys.seal(bucketSecret, nil, b.index.secret)); err != nil {
			return err
		}
	}
}

// renew seals one item anew. A damaged one is set aside, one that is gone is no failure.
func (b *Box) renew(ctx context.Context, id ID) (bool, error) {
	for {
		e, err := b.store.Load(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err == nil {
			if !b.isOld(e) {
				return false, nil
			}
			err = b.reseal(ctx, e)
		}
		switch {
		case errors.Is(err, ErrStale):
			continue
		case errors.Is(err, ErrNotFound):
			return false, nil
		case errors.Is(err, ErrCorrupt):
			if err := b.aside(ctx, e, err); !errors.Is(err, ErrCorrupt) {
				return false, err
			}
			return false, nil
		}
		return err == nil, err
	}
}

func (b *Box) reseal(ctx context.Context, e Entry) error {
	r, err := b.keys.decode(e)
	if err != nil {
		return err
	}
	r.Rev++
	next, err := b.keys.encode(r)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		bucket string
		sealed *[]byte
	}{{bucketPayload, &next.Payload}, {bucketAnswer, &next.Answer}} {
		if *p.sealed == nil {
			continue
		}
		plain, err := b.keys.part(p.bucket, e.ID, *p.sealed)
		if err != nil {
			return err
		}
		*p.sealed = b.keys.seal(p.bucket, e.ID[:], plain)
	}
	return b.store.Swap(ctx, next, Guard{})
}
