package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

func entry(n int, line byte) outbox.Entry {
	at := time.Now().Add(-time.Minute).Round(0).UTC()
	return outbox.Entry{
		ID: outbox.ID{0: byte(n), 1: byte(n >> 8), 15: 7}, Line: outbox.Line{0: line, 15: 9}, Rev: 1, Kind: "kind.a", State: outbox.Prepared,
		Due: at, Changed: at, Meta: fmt.Appendf(nil, "sealed %d", n), Payload: []byte("sealed"),
	}
}

func insert(t testing.TB, s outbox.Store, es ...outbox.Entry) {
	t.Helper()
	for _, e := range es {
		if _, err := s.Insert(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func claimAt(owner string, now time.Time) outbox.Claim {
	return outbox.Claim{Owner: owner, Now: now.Round(0).UTC(), For: time.Minute, Kinds: []outbox.Kind{"kind.a"}}
}

// TestLeasesGoByTheServersClock: a node whose clock is an hour ahead takes nothing from the others,
// and each is told the end of its lease on its own clock, never too late.
func TestLeasesGoByTheServersClock(t *testing.T) {
	dsn := pgtest.DSN(t)
	a, b := open(t, dsn).Outbox(), open(t, dsn).Outbox()
	insert(t, a, entry(1, 1), entry(2, 2))
	now := time.Now().Round(0)
	got, err := a.Claim(t.Context(), claimAt("a", now))
	if err != nil || !got.Lease.Until.Equal(now.Add(time.Minute)) {
		t.Fatalf("until %v: %v", got.Lease.Until.Sub(now), err)
	}
	ahead := now.Add(time.Hour)
	c := claimAt("b", ahead)
	c.Line = &got.Lease.Line
	if _, err := b.Claim(t.Context(), c); !errors.Is(err, outbox.ErrLeased) {
		t.Fatalf("an hour ahead, that line: %v", err)
	}
	other, err := b.Claim(t.Context(), claimAt("b", ahead))
	if err != nil || other.Head.ID == got.Head.ID || !other.Lease.Until.Equal(ahead.Add(time.Minute)) {
		t.Fatalf("an hour ahead: %v", err)
	}
	nothing, err := b.Claim(t.Context(), claimAt("b2", ahead))
	if !errors.Is(err, outbox.ErrNothing) || nothing.Next.Before(ahead) || nothing.Next.After(ahead.Add(time.Minute+time.Second)) {
		t.Fatalf("next in %v of its time: %v", nothing.Next.Sub(ahead), err)
	}
	// An item is due by the clock of its caller: a claim an hour behind takes none that is due now.
	if err := a.Release(t.Context(), got.Lease); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Claim(t.Context(), claimAt("b3", now.Add(-time.Hour))); !errors.Is(err, outbox.ErrNothing) || !got.Next.Equal(entryDue(t, a, got, 1)) {
		t.Fatalf("an hour behind: next %v, %v", got.Next, err)
	}
}

// entryDue is when item n is due.
func entryDue(t *testing.T, s outbox.Store, _ outbox.Claimed, n int) time.Time {
	t.Helper()
	e, err := s.Load(t.Context(), entry(n, 1).ID)
	if err != nil {
		t.Fatal(err)
	}
	return e.Due
}

// TestEachItemOnceAndInOrder lets eight workers with connections of their own serve 200 lines.
func TestEachItemOnceAndInOrder(t *testing.T) {
	const workers, lines, per = 8, 200, 3
	dsn := pgtest.DSN(t)
	first := open(t, dsn).Outbox()
	for i := range lines * per {
		insert(t, first, entry(i, byte(i%lines)))
	}
	var mu sync.Mutex
	served := map[byte][]int{}
	holder := map[outbox.Line]string{}
	var wg sync.WaitGroup
	for w := range workers {
		s, me := open(t, dsn, postgres.WithMaxConns(1)).Outbox(), fmt.Sprint("w", w)
		wg.Go(func() {
			for {
				got, err := s.Claim(t.Context(), claimAt(me, time.Now()))
				if errors.Is(err, outbox.ErrNothing) {
					if c, err := s.Count(t.Context()); err != nil || c.Open() == 0 {
						return
					}
					continue
				}
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				e := got.Head
				mu.Lock()
				if holder[e.Line] != "" {
					t.Errorf("a line has two holders")
				}
				holder[e.Line] = me
				served[e.Line[0]] = append(served[e.Line[0]], int(e.ID[0])|int(e.ID[1])<<8)
				mu.Unlock()
				if _, err := s.Load(t.Context(), e.ID); err != nil { // the time of a call, in which others claim
					t.Errorf("load: %v", err)
				}
				mu.Lock()
				holder[e.Line] = ""
				mu.Unlock()
				e.Rev, e.State, e.Payload, e.Answer = e.Rev+1, outbox.Done, nil, []byte("sealed answer")
				if err := s.Swap(t.Context(), e, outbox.Guard{Lease: &got.Lease, Release: true}); err != nil {
					t.Errorf("swap: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for l := range lines {
		want := fmt.Sprint([]int{l, l + lines, l + 2*lines})
		if got := fmt.Sprint(served[byte(l)]); got != want {
			t.Errorf("line %d was served as %s", l, got)
		}
	}
	if err := first.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRestartOfTheServerIsBridged kills the server under a worker that has an answer to store.
func TestRestartOfTheServerIsBridged(t *testing.T) {
	server := pgtest.Restartable(t)
	dsn, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	patient, hasty := open(t, dsn), open(t, dsn)
	patient.Patience(10) // a busy machine may need longer to start a server
	hasty.Patience(0)
	s := patient.Outbox()
	insert(t, s, entry(1, 1))
	got, err := s.Claim(t.Context(), claimAt("a", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill9(); err != nil {
		t.Fatal(err)
	}
	// A result waits for the server; a new item is refused before anything was sent.
	e := got.Head
	e.Rev, e.State, e.Payload, e.Answer = 2, outbox.Done, nil, []byte("sealed answer")
	swapped := make(chan error, 1)
	go func() { swapped <- s.Swap(t.Context(), e, outbox.Guard{Lease: &got.Lease, Release: true}) }()
	if _, err := hasty.Outbox().Insert(t.Context(), entry(2, 2), nil); fault.KindOf(err) != fault.Unavailable || fault.OutcomeOf(err) != fault.NotSent {
		t.Errorf("insert without a server: %v", err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-swapped; err != nil {
		t.Fatalf("the result was lost: %v", err)
	}
	if e, err := s.Load(t.Context(), e.ID); err != nil || e.State != outbox.Done || string(e.Answer) != "sealed answer" {
		t.Fatalf("%s: %v", e.State, err)
	}
}

// TestAWriteWhoseAnswerWasLostIsFoundOut: the write happened, the connection broke, and nobody was told.
func TestAWriteWhoseAnswerWasLostIsFoundOut(t *testing.T) {
	dsn := pgtest.DSN(t)
	c := connect(t, dsn)
	db := lossy(t, dsn)
	s := db.store
	insert(t, s, entry(1, 1))

	db.lose("insert(")
	claim := claimAt("a", time.Now())
	in, err := s.Insert(t.Context(), entry(2, 2), &claim)
	if err != nil || in.Lease == nil || in.Seq == 0 {
		t.Fatalf("insert: %v %v", in, err)
	}
	if n := number(t, c, "SELECT count(*) FROM ehealth.item"); n != 2 || db.lost != 1 {
		t.Fatalf("%d items, %d answers lost", n, db.lost)
	}
	db.lose("FROM ehealth.item WHERE id")
	e, err := s.Load(t.Context(), entry(2, 2).ID)
	if err != nil {
		t.Fatal(err)
	}
	e.Rev, e.State, e.Meta, e.Payload = 2, outbox.Sending, []byte("sealed anew"), nil
	db.lose("swap(")
	if err := s.Swap(t.Context(), e, outbox.Guard{Lease: in.Lease}); err != nil {
		t.Fatalf("swap: %v", err)
	}
	// Somebody else's write is not taken for ours.
	db.lose("swap(")
	e.Meta = []byte("of another process")
	if err := s.Swap(t.Context(), e, outbox.Guard{Lease: in.Lease}); !errors.Is(err, outbox.ErrStale) {
		t.Fatalf("swap of another: %v", err)
	}
	db.lose("insert(")
	other := entry(2, 2)
	other.Meta = []byte("of another process")
	if _, err := s.Insert(t.Context(), other, nil); !errors.Is(err, outbox.ErrExists) {
		t.Fatalf("insert of another: %v", err)
	}
	db.lose("set_mark(")
	if now, err := s.Mark(t.Context(), "name", nil, []byte("x")); string(now) != "x" || err != nil {
		t.Fatalf("mark: %q %v", now, err)
	}
	db.lose("remove(")
	if err := s.Remove(t.Context(), e.ID, 2, ""); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if db.lost != 1 {
		t.Fatal("the last answer was not lost: this test tests nothing")
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// failing makes every insert of an item end with an error of that SQLSTATE.
func failing(t *testing.T, c *pgx.Conn, code string) {
	t.Helper()
	exec(t, c, `CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE 'patient 85.07.30-033.61' USING ERRCODE = '`+code+`', DETAIL = 'patient 85.07.30-033.61'; END $$`)
	exec(t, c, "DROP TRIGGER IF EXISTS fail ON ehealth.item")
	exec(t, c, "CREATE TRIGGER fail BEFORE INSERT ON ehealth.item FOR EACH ROW EXECUTE FUNCTION fail()")
}

func TestErrorsOfTheServer(t *testing.T) {
	dsn := pgtest.DSN(t)
	db, c := open(t, dsn), connect(t, dsn)
	db.Patience(0)
	s := db.Outbox()
	for _, one := range []struct {
		code string
		kind fault.Kind
		is   error
	}{
		{"53100", fault.Local, outbox.ErrFull},
		{"XX001", fault.Local, outbox.ErrCorrupt},
		{"XX002", fault.Local, outbox.ErrCorrupt},
		{"25006", fault.Unavailable, nil},
		{"40P01", fault.Conflict, nil},
		{"42501", fault.Denied, nil},
		{"28000", fault.Denied, nil},
		{"55P03", fault.Timeout, nil},
		{"08006", fault.Unavailable, nil},
		{"23514", fault.Local, nil},
	} {
		failing(t, c, one.code)
		_, err := s.Insert(t.Context(), entry(1, 1), nil)
		var fe *fault.Error
		if !errors.As(err, &fe) || fe.Kind != one.kind || fe.Code != one.code || fe.Outcome != fault.Rejected || one.is != nil && !errors.Is(err, one.is) {
			t.Errorf("%s: %v", one.code, err)
		}
		if err != nil && strings.Contains(err.Error(), "85.07") {
			t.Errorf("%s: personal data: %v", one.code, err)
		}
	}
	exec(t, c, "DROP TRIGGER fail ON ehealth.item")
	insert(t, s, entry(1, 1)) // nothing of the failed ones is there
}

func TestCheckFindsWhatDoesNotFit(t *testing.T) {
	dsn := pgtest.DSN(t)
	s, c := open(t, dsn).Outbox(), connect(t, dsn)
	insert(t, s, entry(1, 1), entry(2, 1))
	for _, damage := range []string{
		"DELETE FROM ehealth.item WHERE seq = (SELECT min(seq) FROM ehealth.item)",
		"UPDATE ehealth.line SET rank = 2",
		"DELETE FROM ehealth.line",
		"INSERT INTO ehealth.line (line, head, kind, rank, due) VALUES (gen_random_uuid(), gen_random_uuid(), 'kind.a', 0, 0)",
	} {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		tx := begin(t, c)
		exec(t, tx, damage)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); !errors.Is(err, outbox.ErrCorrupt) {
			t.Errorf("%s: %v", damage, err)
		}
		exec(t, c, "DELETE FROM ehealth.line WHERE head NOT IN (SELECT id FROM ehealth.item); SELECT ehealth.settle(line, true) FROM ehealth.item")
	}
}

// TestClaimPutsALineInOrder: somebody deleted an item by hand.
func TestClaimPutsALineInOrder(t *testing.T) {
	dsn := pgtest.DSN(t)
	s, c := open(t, dsn).Outbox(), connect(t, dsn)
	insert(t, s, entry(1, 1), entry(2, 1), entry(3, 2))
	exec(t, c, "DELETE FROM ehealth.item WHERE id IN ($1, $2)", [16]byte(entry(1, 1).ID), [16]byte(entry(3, 2).ID))
	got, err := s.Claim(t.Context(), claimAt("a", time.Now()))
	if err != nil || got.Head.ID != entry(2, 1).ID {
		t.Fatalf("%v", err)
	}
	if _, err := s.Claim(t.Context(), claimAt("b", time.Now())); !errors.Is(err, outbox.ErrNothing) {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}
