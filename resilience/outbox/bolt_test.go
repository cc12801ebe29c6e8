package outbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

func openBolt(t testing.TB, path string, opts ...outbox.BoltOption) *outbox.Bolt {
	t.Helper()
	s, err := outbox.OpenBolt(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func boltBox(t testing.TB, path string, h outbox.Sender, keys outbox.Keys, opts ...outbox.Option) *outbox.Box {
	t.Helper()
	opts = append([]outbox.Option{outbox.Handle("k", h, resolvable), outbox.WithPace(-1, -1, -1)}, opts...)
	b, err := outbox.Open(t.Context(), openBolt(t, path), keys, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dbPath(t testing.TB) string { return filepath.Join(t.TempDir(), "box.db") }

// raw changes a closed file behind the store's back.
func raw(t testing.TB, path string, f func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	path := dbPath(t)
	p := &platform{next: []string{"done", "reject"}}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	done, rejected := put(t, b, item("r1")), put(t, b, item("r2"))
	drain(t, b)
	held := put(t, b, item("r3", func(i *outbox.Item) { i.Held = true }))
	waiting := put(t, b, item("r4"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), item("r5")); !errors.Is(err, outbox.ErrClosed) {
		t.Fatalf("put after close: %v", err)
	}
	b = boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	defer b.Close()
	for id, want := range map[outbox.ID]outbox.State{done: outbox.Done, rejected: outbox.Rejected, held: outbox.Held, waiting: outbox.Prepared} {
		if got := state(t, b, id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if res, err := b.Result(t.Context(), done); err != nil || string(res.Answer) != "ok r1" {
		t.Fatal(res, err)
	}
	drain(t, b)
	if err := b.Release(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	drain(t, b)
	if got := p.order(); got != "r1 r4 r3" {
		t.Fatalf("effects %s", got)
	}
	if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || rep.Items != 4 {
		t.Fatalf("%+v %v", rep, err)
	}
}

func TestLockedNamesTheHolder(t *testing.T) {
	path := dbPath(t)
	if os.Getenv("OUTBOX_HOLD") != "" {
		_, err := outbox.OpenBolt(os.Getenv("OUTBOX_HOLD"))
		fmt.Println("holding", err)
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockedNamesTheHolder$")
	cmd.Env = append(os.Environ(), "OUTBOX_HOLD="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = cmd.Wait() }()
	if _, err := out.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	_, err = outbox.OpenBolt(path, outbox.WithLockWait(-1))
	var locked *outbox.LockedError
	host, _ := os.Hostname()
	if !errors.As(err, &locked) || !errors.Is(err, outbox.ErrLocked) || locked.PID != cmd.Process.Pid || locked.Host != host || locked.Since.IsZero() {
		t.Fatalf("%v", err)
	}
	if strings.Contains(err.Error(), path) {
		t.Fatalf("the path is in the error: %v", err)
	}
}

func TestWrongKeyDestroysNothing(t *testing.T) {
	path := dbPath(t)
	p := &platform{}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	id := put(t, b, item("r1"))
	b.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := openBolt(t, path)
	if _, err := outbox.Open(t.Context(), s, outbox.NewKeys(testKey('b')), outbox.Handle("k", p, resolvable)); !errors.Is(err, outbox.ErrKey) {
		t.Fatalf("%v", err)
	}
	s.Close()
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Fatal("the file was changed")
	}
	b = boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	defer b.Close()
	drain(t, b)
	wantState(t, b, id, outbox.Done, "")
}

func TestRotate(t *testing.T) {
	path := dbPath(t)
	p := &platform{}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	done := put(t, b, item("r1"))
	drain(t, b)
	waiting := put(t, b, item("r2"))
	b.Close()

	b = boltBox(t, path, p, outbox.NewKeys(testKey('b'), testKey('a')))
	if rep, err := b.Verify(t.Context()); err != nil || rep.Old != 2 {
		t.Fatalf("%+v %v", rep, err)
	}
	if n, err := b.Rotate(t.Context()); err != nil || n != 2 {
		t.Fatalf("rotated %d: %v", n, err)
	}
	if n, err := b.Rotate(t.Context()); err != nil || n != 0 {
		t.Fatalf("rotated again %d: %v", n, err)
	}
	b.Close()

	b = boltBox(t, path, p, outbox.NewKeys(testKey('b')))
	defer b.Close()
	if res, err := b.Result(t.Context(), done); err != nil || string(res.Answer) != "ok r1" {
		t.Fatal(res, err)
	}
	if id := put(t, b, item("r2")); id != waiting {
		t.Fatal("the same reference is another item after the rotation")
	}
	drain(t, b)
	wantState(t, b, waiting, outbox.Done, "")
	if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || rep.Old != 0 {
		t.Fatalf("%+v %v", rep, err)
	}
}

// Items that only an older key opens, which is missing, hold up nobody and are not touched.
func TestItemOfAMissingKeyHoldsUpNobody(t *testing.T) {
	path := dbPath(t)
	p := &platform{}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	old := put(t, b, item("r1", func(i *outbox.Item) { i.Key = "other" }))
	b.Close()
	b = boltBox(t, path, p, outbox.NewKeys(testKey('b'), testKey('a')))
	// The secret alone is rotated; then somebody forgets to go on and drops the key.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = b.Rotate(ctx)
	b.Close()
	rotateSecretOnly(t, path)
	b = boltBox(t, path, p, outbox.NewKeys(testKey('b')))
	defer b.Close()
	put(t, b, item("r2"))
	wait, stop := context.WithCancel(t.Context())
	defer stop()
	err := b.Drain(wait, func(p outbox.Progress) {
		if p.Done == 1 {
			stop()
		}
	})
	if err != nil || p.count("r2") != 1 {
		t.Fatalf("%v, effects %v", err, p.effects)
	}
	rep, err := b.Verify(t.Context())
	if err != nil || rep.NoKey != 1 || len(rep.Damaged) != 0 {
		t.Fatalf("%+v %v", rep, err)
	}
	if _, err := b.Show(t.Context(), old); !errors.Is(err, outbox.ErrKey) {
		t.Fatalf("%v", err)
	}
}

// rotateSecretOnly opens the file with both keys and a store that lists nothing.
func rotateSecretOnly(t *testing.T, path string) {
	t.Helper()
	s := openBolt(t, path)
	b, err := outbox.Open(t.Context(), blindStore{s}, outbox.NewKeys(testKey('b'), testKey('a')))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Close()
}

type blindStore struct{ outbox.Store }

func (blindStore) List(context.Context, outbox.Query) (outbox.Page, error) {
	return outbox.Page{}, nil
}

func TestFullDisk(t *testing.T) {
	path := dbPath(t)
	s := openBolt(t, path, outbox.WithMaxSize(1<<20))
	p := &platform{}
	b, err := outbox.Open(t.Context(), s, outbox.NewKeys(testKey('a')), outbox.Handle("k", p, resolvable), outbox.WithPace(-1, -1, -1))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var ids []outbox.ID
	for n := 0; ; n++ {
		id, err := b.Put(t.Context(), item(fmt.Sprint(n), func(i *outbox.Item) { i.Payload = make([]byte, 20_000) }))
		if errors.Is(err, outbox.ErrFull) {
			break
		}
		if err != nil || n > 1000 {
			t.Fatal(n, err)
		}
		ids = append(ids, id)
	}
	if len(ids) < 10 {
		t.Fatalf("full after %d", len(ids))
	}
	if _, err := b.Do(t.Context(), item("too much", func(i *outbox.Item) { i.Payload = make([]byte, 1_000_000) })); !errors.Is(err, outbox.ErrFull) {
		t.Fatalf("%v", err)
	}
	if p.count("too much") != 0 {
		t.Fatal("sent without an intent on disk")
	}
	if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || rep.Items != len(ids) {
		t.Fatalf("%+v %v", rep, err)
	}
}

// A bit that flips anywhere in one record sets that record aside, and only that.
func TestDamagedRecordIsSetAside(t *testing.T) {
	for _, c := range []struct {
		name, bucket string
		at           int // byte to change; negative from the end
	}{
		{"version", "item", 0},
		{"state", "item", 1},
		{"impossible state", "item", -1000},
		{"attempt", "item", 6},
		{"revision", "item", 14},
		{"due", "item", 30},
		{"kind length", "item", 63},
		{"kind", "item", 64},
		{"sealed header", "item", -1},
		{"payload", "payload", -5},
		{"payload version", "payload", 0},
		{"short", "item", -2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := dbPath(t)
			p := &platform{}
			b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
			bad := put(t, b, item("r1"))
			good := put(t, b, item("r2"))
			b.Close()
			raw(t, path, func(tx *bolt.Tx) error {
				bk := tx.Bucket([]byte(c.bucket))
				v := bytes.Clone(bk.Get(bad[:]))
				switch {
				case c.at == -1000:
					v[1] = 99
				case c.at == -2000:
					v = v[:10]
				case c.at < 0:
					v[len(v)+c.at] ^= 1
				default:
					v[c.at] ^= 1
				}
				return bk.Put(bad[:], v)
			})
			b = boltBox(t, path, p, outbox.NewKeys(testKey('a')))
			defer b.Close()
			if rep, err := b.Verify(t.Context()); err != nil || len(rep.Damaged) != 1 || rep.Damaged[0] != bad {
				t.Fatalf("%+v %v", rep, err)
			}
			drain(t, b)
			wantState(t, b, good, outbox.Done, "")
			if got := p.order(); got != "r2" {
				t.Fatalf("effects %s", got)
			}
			if _, err := b.Show(t.Context(), bad); !errors.Is(err, outbox.ErrNotFound) {
				t.Fatalf("%v", err)
			}
			c, err := b.Stats(t.Context())
			if err != nil || c.Aside != 1 || c.Open() != 0 || c.Of(outbox.Done) != 1 {
				t.Fatalf("%+v %v", c, err)
			}
			rep, err := b.Verify(t.Context())
			if err != nil || len(rep.Damaged) != 0 || rep.Aside != 1 || rep.Index != nil {
				t.Fatalf("%+v %v", rep, err)
			}
		})
	}
}

func TestDamagedFileIsLeftAlone(t *testing.T) {
	path := dbPath(t)
	b := boltBox(t, path, &platform{}, outbox.NewKeys(testKey('a')))
	for n := range 300 {
		put(t, b, item(fmt.Sprint(n)))
	}
	b.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{
		"no bbolt file":   []byte(strings.Repeat("this is not a database ", 1000)),
		"both metas gone": append(make([]byte, 8192), whole[8192:]...),
		"cut":             whole[:len(whole)/3],
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, damage, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := outbox.OpenBolt(path); !errors.Is(err, outbox.ErrCorrupt) {
				t.Fatalf("%v", err)
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(now, damage) {
				t.Fatal("the file was changed")
			}
		})
	}
}

func TestNewerFileIsLeftAlone(t *testing.T) {
	path := dbPath(t)
	openBolt(t, path).Close()
	raw(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 3))
	})
	if _, err := outbox.OpenBolt(path); !errors.Is(err, outbox.ErrNewer) {
		t.Fatalf("%v", err)
	}
}

// A file of schema 1, which had no index but the items themselves.
func TestMigration(t *testing.T) {
	path := dbPath(t)
	p := &platform{next: []string{"done", "gone"}}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	done, unknown := put(t, b, item("r1")), put(t, b, item("r2"))
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Drain(ctx, func(p outbox.Progress) {
		if p.Done == 1 && p.Open == 1 && p.Kind == "k" && state(t, b, unknown) == outbox.Unknown {
			cancel()
		}
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	late := put(t, b, item("r3", func(i *outbox.Item) { i.Expiry = outbox.Days(1) }))
	held := put(t, b, item("r4", func(i *outbox.Item) { i.Held = true }))
	want, _ := b.Stats(t.Context())
	b.Close()
	raw(t, path, func(tx *bolt.Tx) error {
		m := tx.Bucket([]byte("meta"))
		for k, _ := m.Cursor().Seek([]byte("n/")); bytes.HasPrefix(k, []byte("n/")); k, _ = m.Cursor().Seek([]byte("n/")) {
			if err := m.Delete(k); err != nil {
				return err
			}
		}
		for _, name := range []string{"line", "due", "settled", "expiry", "aside"} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return m.Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 1))
	})
	b = boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	defer b.Close()
	if got, err := b.Stats(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("counts %v, want %v: %v", got, want, err)
	}
	if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || rep.Items != 4 {
		t.Fatalf("%+v %v", rep, err)
	}
	for id, want := range map[outbox.ID]outbox.State{done: outbox.Done, unknown: outbox.Unknown, late: outbox.Prepared, held: outbox.Held} {
		if got := state(t, b, id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	fifth := put(t, b, item("r5"))
	_ = fifth
}

func TestCompactionOnStart(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	path := dbPath(t)
	p := &platform{}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	keep := put(t, b, item("keep"))
	for n := range 60 {
		id := put(t, b, item(fmt.Sprint(n), func(i *outbox.Item) { i.Payload, i.Key = make([]byte, 400_000), "" }))
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	var ids []outbox.ID
	for n := range 30 {
		ids = append(ids, put(t, b, item(fmt.Sprint("big", n), func(i *outbox.Item) { i.Payload, i.Key = make([]byte, 400_000), "" })))
	}
	for _, id := range ids {
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	before, _ := os.Stat(path)
	openBolt(t, path, outbox.WithCompaction(-1, 0)).Close()
	if now, _ := os.Stat(path); now.Size() != before.Size() {
		t.Fatal("compacted although told not to")
	}
	if err := os.WriteFile(path+".compact", []byte("left by a process that died"), 0o600); err != nil {
		t.Fatal(err)
	}
	b = boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	defer b.Close()
	after, _ := os.Stat(path)
	if before.Size() < 8<<20 || after.Size() > before.Size()/4 || after.Mode().Perm() != 0o600 {
		t.Fatalf("%d bytes before, %d after, mode %v", before.Size(), after.Size(), after.Mode())
	}
	if _, err := os.Stat(path + ".compact"); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the copy was left behind")
	}
	drain(t, b)
	wantState(t, b, keep, outbox.Done, "")
	if rep, err := b.Verify(t.Context()); err != nil || !rep.OK() || rep.Items != 91 {
		t.Fatalf("%+v %v", rep, err)
	}
	// The new file is locked as the old one was.
	if _, err := outbox.OpenBolt(path, outbox.WithLockWait(-1)); !errors.Is(err, outbox.ErrLocked) {
		t.Fatalf("%v", err)
	}
}

// The reader test: nothing that was put can be read from the file.
func TestNothingInClear(t *testing.T) {
	path := dbPath(t)
	secret := func(what string) string { return "SECRET-" + what + "-79121231234" }
	p := &platform{next: []string{"done", "reject", "gone"}}
	b := boltBox(t, path, p, outbox.NewKeys(testKey('a')))
	for n := range 40 {
		put(t, b, outbox.Item{Kind: "k", Key: secret("key"), Ref: secret(fmt.Sprint("ref", n)), Payload: []byte(secret("payload"))})
	}
	ctx, cancel := context.WithCancel(t.Context())
	_ = b.Drain(ctx, func(p outbox.Progress) {
		if p.Done == 1 && p.Rejected == 1 {
			cancel()
		}
	})
	cancel()
	b.Close()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, clear := range []string{"SECRET", "79121231234", "7912123", "payload-", "SOA-03006", strings.Repeat("a", 32)} {
			if bytes.Contains(content, []byte(clear)) || strings.Contains(f, clear) {
				t.Errorf("%q is readable in %s", clear, filepath.Base(f))
			}
		}
		if len(content) > 0 && !bytes.Contains(content, []byte("k\x00")) && strings.HasSuffix(f, ".db") {
			t.Error("the test does not find what is in clear: it proves nothing")
		}
	}
}
