package outbox_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// counting counts the reads of a store.
type counting struct {
	outbox.Store
	mu           sync.Mutex
	loads, heads int
}

func (c *counting) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	c.mu.Lock()
	c.loads++
	c.mu.Unlock()
	return c.Store.Load(ctx, id)
}

func (c *counting) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	c.mu.Lock()
	c.heads++
	c.mu.Unlock()
	return c.Store.Headers(ctx, ids)
}

// Contents, which may be some megabytes, are loaded only for who gets them.
func TestReadsOfAStore(t *testing.T) {
	store := &counting{Store: outboxtest.NewMemory()}
	b := openBox(t, store, &platform{next: []string{"reject"}}, resolvable)
	defer b.Close()
	held := put(t, b, item("held", func(i *outbox.Item) { i.Held, i.Key = true, "" }))
	ctx := t.Context()
	for _, c := range []struct {
		name         string
		do           func() error
		heads, loads int
	}{
		{"show", func() error { _, err := b.Show(ctx, held); return err }, 1, 0},
		{"show all", func() error { _, err := b.ShowAll(ctx, held, outbox.ID{1}, outbox.ID{2}); return err }, 1, 0},
		{"put again", func() error {
			_, err := b.Put(ctx, item("held", func(i *outbox.Item) { i.Held, i.Key = true, "" }))
			return err
		}, 1, 0},
		{"reveal", func() error { _, err := b.Reveal(ctx, held); return err }, 0, 1},
		{"release", func() error { return b.Release(ctx, held) }, 1, 0},
		{"cancel", func() error { return b.Cancel(ctx, held) }, 1, 0},
		{"do, refused", func() error {
			if _, err := b.Do(ctx, item("r1")); !errors.Is(err, outbox.ErrState) {
				return err
			}
			return nil
		}, 0, 0},
		{"do", func() error { _, err := b.Do(ctx, item("r2")); return err }, 0, 0}, // what was stored is not read back
		{"result", func() error { _, err := b.Result(ctx, b.ID("k", "r2")); return err }, 0, 1},
	} {
		store.loads, store.heads = 0, 0
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if store.heads != c.heads || store.loads != c.loads {
			t.Errorf("%s: %d times headers, %d times contents; want %d, %d", c.name, store.heads, store.loads, c.heads, c.loads)
		}
	}
}

func TestShowAll(t *testing.T) {
	b := openBox(t, outboxtest.NewMemory(), &platform{}, resolvable)
	one, two := put(t, b, item("r1")), put(t, b, item("r2", func(i *outbox.Item) { i.Held = true }))
	for name, c := range map[string]struct{ asked, want []outbox.ID }{
		"nothing": {}, "not there": {asked: []outbox.ID{{1}}}, "some": {[]outbox.ID{{1}, two, one, {2}}, []outbox.ID{one, two}},
		"twice": {[]outbox.ID{two, two}, []outbox.ID{two}},
	} {
		got, err := b.ShowAll(t.Context(), c.asked...)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %d of %d: %v", name, len(got), len(c.want), err)
		}
		for _, id := range c.want {
			want, err := b.Show(t.Context(), id)
			if err != nil || got[id].ID != id || got[id].State != want.State || !got[id].Created.Equal(want.Created) {
				t.Errorf("%s: %+v, want %+v (%v)", name, got[id], want, err)
			}
		}
	}
	if _, err := b.ShowAll(t.Context(), make([]outbox.ID, outbox.MaxHeaders+1)...); !errors.Is(err, outbox.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ShowAll(t.Context(), one); !errors.Is(err, outbox.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Damaged items are set aside by who asks for them among others, all of them; what only a missing key opens is left alone.
func TestShowAllOfDamagedItems(t *testing.T) {
	path := dbPath(t)
	p := &platform{}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	ids := []outbox.ID{put(t, b, item("r1")), put(t, b, item("r2")), put(t, b, item("r3")), put(t, b, item("r4"))}
	b.Close()
	raw(t, path, func(tx *bolt.Tx) error {
		items := tx.Bucket([]byte("item"))
		flip := func(id outbox.ID, at int) error {
			v := append([]byte{}, items.Get(id[:])...)
			v[(at+len(v))%len(v)] ^= 1
			return items.Put(id[:], v)
		}
		return errors.Join(flip(ids[0], 0), flip(ids[2], -1))
	})
	b = boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	views, err := b.ShowAll(t.Context(), ids...)
	var damage *outbox.CorruptError
	if views != nil || !errors.As(err, &damage) || !damage.Aside || damage.ID != ids[0] || damage.Part != "header" {
		t.Errorf("damaged: %d views, %v", len(views), err)
	}
	for range 2 {
		views, err := b.ShowAll(t.Context(), append(ids, outbox.ID{1})...)
		if err != nil || len(views) != 4 || views[ids[1]].State != outbox.Prepared || views[ids[3]].State != outbox.Prepared {
			t.Errorf("afterwards: %d views, %v", len(views), err)
		}
		for _, id := range []outbox.ID{ids[0], ids[2]} {
			if v, there := views[id]; !there || v.ID != id || v.State != 0 {
				t.Errorf("set aside: %+v", v)
			}
			if _, err := b.Show(t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
				t.Errorf("set aside: %v", err)
			}
		}
	}
	if rep, err := b.Verify(t.Context()); err != nil || len(rep.Damaged) != 0 || rep.Aside != 2 || rep.Index != nil {
		t.Errorf("%+v %v", rep, err)
	}
	b.Close()
	rotateSecretOnly(t, path)
	b = boltBox(t, path, p, outbox.NewKeys(testKey('b')))
	defer b.Close()
	young := put(t, b, item("r5"))
	if views, err := b.ShowAll(t.Context(), young, ids[1]); views != nil || !errors.Is(err, outbox.ErrKey) {
		t.Errorf("another key: %d views, %v", len(views), err)
	}
	if c, err := b.Stats(t.Context()); err != nil || c.Aside != 2 || c.Of(outbox.Prepared) != 3 {
		t.Errorf("%+v %v", c, err)
	}
}

// overtaken is a store in which an item is put between a read and what is done about it.
type overtaken struct {
	outbox.Store
	put func()
}

func (o *overtaken) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	out, err := o.Store.Headers(ctx, ids)
	if put := o.put; put != nil {
		o.put = nil
		put()
	}
	return out, err
}

// Who has seen that an item was set aside does not set the one aside that somebody puts under its name at that moment.
func TestPutAgainWhileItIsLookedAt(t *testing.T) {
	path := dbPath(t)
	bolted := openBolt(t, path)
	for name, under := range map[string]outbox.Store{"memory": outboxtest.NewMemory(), "bolt": bolted} {
		store := &overtaken{Store: under}
		b := openBox(t, store, &platform{}, resolvable)
		id := put(t, b, item("r1"))
		if err := under.Remove(t.Context(), id, 0, "header"); err != nil {
			t.Fatal(err)
		}
		store.put = func() { put(t, b, item("r1")) }
		if views, err := b.ShowAll(t.Context(), id); err != nil || views[id].State != 0 {
			t.Errorf("%s: then: %v %v", name, views[id].State, err)
		}
		if v, err := b.Show(t.Context(), id); err != nil || v.State != outbox.Prepared {
			t.Errorf("%s: afterwards: %v %v", name, v.State, err)
		}
		b.Close()
	}
}
