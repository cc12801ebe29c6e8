package outbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// floor is the raw rate of this disk, measured beside each figure: an append of 4 kB and an
// fsync, one after another.
func floor(b *testing.B, d time.Duration) (perSecond float64) {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	began, n := time.Now(), 0
	for ; time.Since(began) < d; n++ {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

// BenchmarkPut measures durable puts of 4 kB as a ratio to raw fsyncs in the same run (figure 11 of
// dossier 08): at least 0.5 with one writer, 2.0 with 64. Puts and raw syncs take turns, because the
// disk of a shared machine is not equally fast all the time.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			box := boltBox(b, dbPath(b), &platform{}, outbox.NewKeys(testKey('a')))
			defer box.Close()
			payload := make([]byte, 4096)
			var raw, puts float64
			rounds := 0
			for b.Loop() {
				raw += floor(b, 200*time.Millisecond)
				puts += putFor(b, box, payload, writers, 400*time.Millisecond)
				rounds++
			}
			b.ReportMetric(puts/raw, "x-fsync")
			b.ReportMetric(puts/float64(rounds), "puts/s")
			b.ReportMetric(raw/float64(rounds), "fsyncs/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func putFor(b *testing.B, box *outbox.Box, payload []byte, writers int, d time.Duration) (perSecond float64) {
	b.Helper()
	var wg sync.WaitGroup
	counts := make([]int, writers)
	began := time.Now()
	for w := range writers {
		wg.Go(func() {
			for time.Since(began) < d {
				if _, err := box.Put(context.Background(), outbox.Item{Kind: "k", Payload: payload}); err != nil {
					b.Error(err)
					return
				}
				counts[w]++
			}
		})
	}
	wg.Wait()
	n := 0
	for _, c := range counts {
		n += c
	}
	return float64(n) / time.Since(began).Seconds()
}

// BenchmarkDo is the interactive path on disk: how many raw fsyncs one call costs.
func BenchmarkDo(b *testing.B) {
	box := boltBox(b, dbPath(b), &platform{}, outbox.NewKeys(testKey('a')))
	defer box.Close()
	raw := floor(b, 500*time.Millisecond)
	n := 0
	for b.Loop() {
		if _, err := box.Do(context.Background(), item(fmt.Sprint(n), func(i *outbox.Item) { i.Key = "" })); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(raw*b.Elapsed().Seconds()/float64(b.N), "fsyncs/op")
}

// BenchmarkSeal is the processor's part of a put: sealing, encoding, digests.
func BenchmarkSeal(b *testing.B) {
	box := openBox(b, nopStore{}, &platform{}, resolvable)
	payload := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := box.Prepare(outbox.Item{Kind: "k", Key: "key", Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}

type nopStore struct{ outbox.Store }

func (nopStore) Mark(_ context.Context, _ string, _, next []byte) ([]byte, error) { return next, nil }

// BenchmarkID is the digest under which one item is looked for.
func BenchmarkID(b *testing.B) {
	box := openBox(b, nopStore{}, &platform{}, resolvable)
	b.ReportAllocs()
	for b.Loop() {
		box.ID("recipe.create", "a reference of thirty-two bytes/1")
	}
}

// BenchmarkDoInMemory is the processor's part of the interactive path: what a call costs besides the disk and the service. The
// store is a new one now and then: the one in memory looks through all that it holds.
func BenchmarkDoInMemory(b *testing.B) {
	payload, answer := make([]byte, 7500), make(outbox.Answer, 84) // as of a prescription
	h := outbox.SendFunc(func(context.Context, outbox.Item, outbox.Attempt) (outbox.Answer, error) { return answer, nil })
	var box *outbox.Box
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%16 == 0 {
			b.StopTimer()
			box = openBox(b, outboxtest.NewMemory(), h, outbox.Policy{Class: resilience.IdempotentWrite})
			b.StartTimer()
		}
		if _, err := box.Do(context.Background(), outbox.Item{Kind: "k", Key: "key", Ref: fmt.Sprint(n), Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}
