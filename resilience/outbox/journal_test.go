package outbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// left is what a process leaves that was killed after n puts: file and journal.
func left(t *testing.T, n int) (dir string, ids []outbox.ID) {
	t.Helper()
	dir = t.TempDir()
	live := dbPath(t)
	b := boltBox(t, live, &platform{}, outbox.NewKeys(testKey('a')))
	for i := range n {
		ids = append(ids, put(t, b, item(fmt.Sprint(i))))
	}
	for _, suffix := range []string{"", ".journal"} {
		content, err := os.ReadFile(live + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "box.db"+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	return dir, ids
}

// records returns where the records of a journal begin.
func records(t *testing.T, path string) (content []byte, at []int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; ; {
		i := bytes.Index(content[off:], []byte("outbxjnl"))
		if i < 0 {
			return content, at
		}
		at = append(at, off+i)
		off += i + 8
	}
}

func TestJournalSurvivesAKill(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(content []byte, at []int) []byte
		lost   int // of the last puts
		err    error
	}{
		{"whole", func(c []byte, _ []int) []byte { return c }, 0, nil},
		{"last record half there", func(c []byte, at []int) []byte { c[at[len(at)-1]+40] ^= 1; return c }, 1, nil},
		{"last record without a head", func(c []byte, at []int) []byte { clear(c[at[len(at)-1]:][:24]); return c }, 1, nil},
		{"length of the last record wild", func(c []byte, at []int) []byte { c[at[len(at)-1]+16] = 0xff; return c }, 1, nil},
		{"cut in the last record", func(c []byte, at []int) []byte { return c[:at[len(at)-1]+30] }, 1, nil},
		{"an earlier record damaged", func(c []byte, at []int) []byte { c[at[2]+40] ^= 1; return c }, 0, outbox.ErrCorrupt},
		{"an earlier head damaged", func(c []byte, at []int) []byte { c[at[1]] ^= 1; return c }, 0, outbox.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, ids := left(t, 5)
			path := filepath.Join(dir, "box.db")
			content, at := records(t, path+".journal")
			if len(at) < 5 {
				t.Fatalf("%d records", len(at))
			}
			damaged := c.damage(content, at)
			if err := os.WriteFile(path+".journal", damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if c.err != nil {
				before, _ := os.ReadFile(path)
				_, err := outbox.OpenBolt(path)
				if !errors.Is(err, c.err) || !strings.Contains(err.Error(), "journal") {
					t.Fatalf("%v", err)
				}
				after, _ := os.ReadFile(path)
				journal, _ := os.ReadFile(path + ".journal")
				if !bytes.Equal(before, after) || !bytes.Equal(journal, damaged) {
					t.Fatal("something was changed")
				}
				return
			}
			p := &platform{}
			b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
			defer b.Close()
			for i, id := range ids {
				_, err := b.Show(t.Context(), id)
				if gone := i >= len(ids)-c.lost; errors.Is(err, outbox.ErrNotFound) != gone {
					t.Errorf("item %d: %v", i, err)
				}
			}
			drain(t, b)
			if p.total() != len(ids)-c.lost {
				t.Fatalf("effects %v", p.effects)
			}
			if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() {
				t.Fatalf("%+v %v", rep, err)
			}
		})
	}
}

// A journal of 4 KiB is full all the time, and some writes never fit into it.
func TestSmallJournal(t *testing.T) {
	path := dbPath(t)
	s := openBolt(t, path, outbox.WithJournal(1))
	p := &platform{}
	b, err := outbox.Open(t.Context(), s, outbox.NewKeys(testKey('a')), outbox.Handle("k", p, resolvable), outbox.WithPace(-1, -1, -1))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		put(t, b, item(fmt.Sprint(n), func(i *outbox.Item) { i.Payload = make([]byte, 200*n) }))
	}
	drain(t, b)
	if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || p.total() != 40 {
		t.Fatalf("%+v %v, %d effects", rep, err, p.total())
	}
	if info, err := os.Stat(path + ".journal"); err != nil || info.Size() != 4096 || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	b.Close()
}

// A full disk after the journal was filled: everything that was accepted is there after a restart,
// also while the disk is still full.
func TestFullDiskKeepsTheJournal(t *testing.T) {
	path := dbPath(t)
	var ids []outbox.ID
	for round := range 2 {
		s := openBolt(t, path, outbox.WithMaxSize(1<<20))
		b, err := outbox.Open(t.Context(), s, outbox.NewKeys(testKey('a')), outbox.Handle("k", &platform{}, resolvable))
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; round == 0; n++ {
			id, err := b.Put(t.Context(), item(fmt.Sprint(n), func(i *outbox.Item) { i.Payload = make([]byte, 100_000) }))
			if errors.Is(err, outbox.ErrFull) {
				break
			}
			if err != nil || n > 200 {
				t.Fatal(n, err)
			}
			ids = append(ids, id)
		}
		if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || rep.Items != len(ids) || len(ids) < 20 {
			t.Fatalf("round %d: %+v %v, %d accepted", round, rep, err, len(ids))
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p := &platform{} // the disk has room again
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	defer b.Close()
	drain(t, b)
	if p.total() != len(ids) {
		t.Fatalf("%d effects, %d accepted", p.total(), len(ids))
	}
}
