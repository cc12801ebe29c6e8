package cache_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
)

func BenchmarkAnswers(b *testing.B) {
	value := answer(strings.Repeat("x", 2000), time.Hour)
	for name, opts := range map[string][]cache.AnswersOption{"memory": nil, "disk": {cache.WithMemory(-1)}} {
		b.Run("Get/"+name, func(b *testing.B) {
			a := openAnswers(b, filepath.Join(b.TempDir(), "answers.db"), opts...)
			id := a.ID("x")
			if err := a.Put(b.Context(), id, value); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Get(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("ID", func(b *testing.B) {
		a := openAnswers(b, filepath.Join(b.TempDir(), "answers.db"))
		b.ReportAllocs()
		for b.Loop() {
			a.ID("insurability", "production", "pharmacy", "21999994", "85073199704")
		}
	})
	b.Run("Keep", func(b *testing.B) {
		a := openAnswers(b, filepath.Join(b.TempDir(), "answers.db"))
		ids := make([]cache.AnswerID, 1000)
		for i := range ids {
			ids[i] = a.ID(fmt.Sprint(i))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			a.Keep(ids[i%len(ids)], value)
			i++
		}
	})
}
