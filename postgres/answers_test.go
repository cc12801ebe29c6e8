package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/cache/cachetest"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
)

func TestAnswersPassTheSuite(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cache.RecordStore { return open(t, pgtest.DSN(t)).Answers() })
}

func TestAnswersAreSharedAndPurgedInParts(t *testing.T) {
	dsn := pgtest.DSN(t)
	a, b := open(t, dsn).Answers(), open(t, dsn).Answers()
	at := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := a.Save(t.Context(), [32]byte{1}, []byte("kept"), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, dsn), "INSERT INTO ehealth.answer SELECT sha256(n::text::bytea), 'old', 7 FROM generate_series(1, 2500) n")
	if n, err := b.Purge(t.Context(), at); n != 2500 || err != nil {
		t.Fatalf("%d purged: %v", n, err)
	}
	if got, err := b.Load(t.Context(), [32]byte{1}); string(got) != "kept" || err != nil {
		t.Fatalf("%q: %v", got, err)
	}
}

func TestAnswersOfAClosedDB(t *testing.T) {
	db := open(t, pgtest.DSN(t))
	a := db.Answers()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove(t.Context(), [32]byte{}); !errors.Is(err, cache.ErrClosed) {
		t.Fatal(err)
	}
}
