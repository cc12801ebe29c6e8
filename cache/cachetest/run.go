package cachetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
)

// epoch is when the suite's records are written; stores take times from their callers.
var epoch = time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)

// Run tests the stores that open returns: each call must give an empty one, of its own. Run
// closes them.
func Run(t *testing.T, open func(t *testing.T) cache.RecordStore) {
	for name, test := range map[string]func(*testing.T, cache.RecordStore){
		"LoadSave":   loadSave,
		"Ownership":  ownership,
		"Remove":     remove,
		"Purge":      purge,
		"Each":       each,
		"Bounds":     bounds,
		"Concurrent": concurrent,
		"Context":    ended,
		"Close":      closed,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error("closing:", err)
				}
			}()
			test(t, s)
		})
	}
}

func newID() (id [32]byte) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

func save(t *testing.T, s cache.RecordStore, id [32]byte, record string, expires time.Time) {
	t.Helper()
	if err := s.Save(t.Context(), id, []byte(record), expires); err != nil {
		t.Fatal("saving:", err)
	}
}

func load(t *testing.T, s cache.RecordStore, id [32]byte) []byte {
	t.Helper()
	b, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatal("loading:", err)
	}
	return b
}

func loadSave(t *testing.T, s cache.RecordStore) {
	a, b := newID(), newID()
	if got := load(t, s, a); got != nil {
		t.Errorf("a record of %d bytes where there is none", len(got))
	}
	save(t, s, a, "one", epoch)
	save(t, s, b, "\x00binary\xff", epoch.Add(time.Hour))
	save(t, s, a, "two, which is longer", epoch.Add(time.Hour))
	if got := load(t, s, a); string(got) != "two, which is longer" {
		t.Errorf("%q", got)
	}
	if got := load(t, s, b); string(got) != "\x00binary\xff" {
		t.Errorf("%q", got)
	}
}

func ownership(t *testing.T, s cache.RecordStore) {
	id, record := newID(), []byte("mine")
	if err := s.Save(t.Context(), id, record, epoch); err != nil {
		t.Fatal(err)
	}
	record[0] = 'X'
	got := load(t, s, id)
	if string(got) != "mine" {
		t.Fatalf("%q: the store kept the caller's slice", got)
	}
	got[0] = 'Y'
	if again := load(t, s, id); string(again) != "mine" {
		t.Errorf("%q: the store gave away its own slice", again)
	}
}

func remove(t *testing.T, s cache.RecordStore) {
	a, b := newID(), newID()
	save(t, s, a, "a", epoch)
	save(t, s, b, "b", epoch)
	for range 2 {
		if err := s.Remove(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if load(t, s, a) != nil || string(load(t, s, b)) != "b" {
		t.Error("the wrong record went")
	}
	save(t, s, a, "again", epoch)
	if string(load(t, s, a)) != "again" {
		t.Error("no record after a removed one")
	}
}

func purge(t *testing.T, s cache.RecordStore) {
	var ids [40][32]byte
	for i := range ids {
		ids[i] = newID()
		save(t, s, ids[i], fmt.Sprint(i), epoch.Add(time.Duration(i)*time.Minute))
	}
	// A record saved again lives by its new time, longer or shorter.
	save(t, s, ids[0], "0", epoch.Add(time.Hour))
	save(t, s, ids[39], "39", epoch.Add(-time.Hour))
	if err := s.Remove(t.Context(), ids[1]); err != nil {
		t.Fatal(err)
	}
	n := 0
	for { // a store may do it in parts
		k, err := s.Purge(t.Context(), epoch.Add(20*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if n += k; k == 0 {
			break
		}
	}
	if n != 19 { // 2 to 19, and 39
		t.Errorf("%d were purged, want 19", n)
	}
	for i, id := range ids {
		gone := i >= 1 && i < 20 || i == 39
		if got := load(t, s, id); (got == nil) != gone {
			t.Errorf("record %d: %q", i, got)
		}
	}
}

func each(t *testing.T, s cache.RecordStore) {
	want := map[[32]byte]string{}
	for i := range 300 {
		id := newID()
		want[id] = fmt.Sprintf("record %d", i)
		save(t, s, id, want[id], epoch.Add(time.Hour))
	}
	err := s.Each(t.Context(), func(id [32]byte, record []byte) error {
		if want[id] != string(record) {
			t.Errorf("%q where %q was saved, or twice", record, want[id])
		}
		delete(want, id)
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Errorf("%d records were left out, %v", len(want), err)
	}
	stop, n := errors.New("stop"), 0
	err = s.Each(t.Context(), func([32]byte, []byte) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d calls after the first failed, %v", n-1, err)
	}
}

func bounds(t *testing.T, s cache.RecordStore) {
	id := newID()
	big := make([]byte, cache.MaxRecord)
	_, _ = rand.Read(big) // never fails
	if err := s.Save(t.Context(), id, big, epoch); err != nil {
		t.Fatal("the largest record:", err)
	}
	err := s.Save(t.Context(), id, make([]byte, cache.MaxRecord+1), epoch)
	if !errors.Is(err, cache.ErrTooLarge) {
		t.Error("a record beyond the bound:", err)
	}
	if !bytes.Equal(load(t, s, id), big) {
		t.Error("the record is not the one that fitted")
	}
	for _, at := range []time.Time{{}, time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		if err := s.Save(t.Context(), newID(), []byte("x"), at); err != nil {
			t.Errorf("expires %v: %v", at, err)
		}
	}
}

func concurrent(t *testing.T, s cache.RecordStore) {
	var wg sync.WaitGroup
	shared := newID()
	for w := range 8 {
		wg.Go(func() {
			own := newID()
			for i := range 8 {
				text := fmt.Sprintf("%d/%d", w, i)
				if err := s.Save(t.Context(), own, []byte(text), epoch); err != nil {
					t.Error(err)
				}
				if err := s.Save(t.Context(), shared, bytes.Repeat([]byte{byte('a' + w)}, 100+w), epoch); err != nil {
					t.Error(err)
				}
				if got, err := s.Load(t.Context(), own); err != nil || string(got) != text {
					t.Errorf("%q, want %q, %v", got, text, err)
				}
			}
		})
	}
	wg.Wait()
	got := load(t, s, shared)
	if len(got) < 100 || len(got) != 100+int(got[0]-'a') || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) {
		t.Errorf("%q: a record of two writers", got)
	}
}

func ended(t *testing.T, s cache.RecordStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id := newID()
	if err := s.Save(ctx, id, []byte("x"), epoch); !errors.Is(err, context.Canceled) {
		t.Error("Save:", err)
	}
	if _, err := s.Load(ctx, id); !errors.Is(err, context.Canceled) {
		t.Error("Load:", err)
	}
	if load(t, s, id) != nil {
		t.Error("a Save that failed did save")
	}
}

func closed(t *testing.T, s cache.RecordStore) {
	id := newID()
	save(t, s, id, "x", epoch)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error("a second Close:", err)
	}
	_, errLoad := s.Load(t.Context(), id)
	_, errPurge := s.Purge(t.Context(), epoch)
	for name, err := range map[string]error{
		"Load":   errLoad,
		"Save":   s.Save(t.Context(), id, []byte("y"), epoch),
		"Remove": s.Remove(t.Context(), id),
		"Purge":  errPurge,
		"Each":   s.Each(t.Context(), func([32]byte, []byte) error { return nil }),
	} {
		if !errors.Is(err, cache.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}
