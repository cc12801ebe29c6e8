package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// local is the exit code of a failure on this computer.
const local = 1

// queue is a configuration with a directory of its own, and items in its outbox.
func queue(t *testing.T, items ...outbox.Item) (config string, ids []string) {
	t.Helper()
	dir := t.TempDir()
	config = rewritten(t, func(doc map[string]any) { doc["dataDir"] = dir })
	box(t, config, func(b *outbox.Box) {
		for _, it := range items {
			if it.Payload == nil {
				it.Payload = []byte("of " + it.Ref)
			}
			id, err := b.Put(t.Context(), it)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id.String())
		}
	})
	return config, ids
}

// box opens the outbox in this process, as the program that fills it does.
func box(t *testing.T, config string, f func(*outbox.Box)) {
	t.Helper()
	cfg, err := ehealth.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Outbox = &ehealth.Outbox{ByHand: true}
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f(p.Outbox)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func item(ref string) outbox.Item {
	return outbox.Item{Kind: appclient.Kind, Key: "one patient", Ref: ref}
}

func held(ref string) outbox.Item {
	it := item(ref)
	it.Held = true
	return it
}

// listed is the answer of list.
type listed struct {
	Waiting, Parked, Rejected, Damaged int
	Notice                             struct{ ID string }
	Items                              []struct{ ID, Kind, State string }
}

func listOf(t *testing.T, config string, args ...string) (l listed) {
	t.Helper()
	decode(t, call(t, append([]string{"outbox", "list", "--json", "--config", config}, args...)...), done, &l)
	return l
}

func TestOutboxList(t *testing.T) {
	config, ids := queue(t, item("visit of 85073199704"), held("second"), outbox.Item{Kind: "other", Ref: "third"})
	l := listOf(t, config)
	if l.Waiting != 2 || len(l.Items) != 3 || l.Damaged != 0 {
		t.Errorf("%+v", l)
	}
	for _, c := range []struct {
		args []string
		n    int
	}{
		{[]string{"--state", "held"}, 1},
		{[]string{"--state", "prepared"}, 2},
		{[]string{"--kind", "other"}, 1},
		{[]string{"--kind", "other", "--state", "held"}, 0},
	} {
		if l := listOf(t, config, c.args...); len(l.Items) != c.n {
			t.Errorf("%v: %+v", c.args, l)
		}
	}
	r := call(t, "outbox", "list", "--config", config)
	if r.code != done || r.err != "" || !strings.Contains(r.out, ids[0]+"  app") || !strings.Contains(r.out, "2 waiting, 0 parked, 0 rejected\n") || strings.Contains(r.out, "visit") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	r = call(t, "outbox", "show", ids[1], "--config", config)
	if r.code != done || !strings.Contains(r.out, "state     held\n") || strings.Contains(r.out, "second") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	var v outbox.View
	r = call(t, "outbox", "show", ids[1], "--config", config, "--json")
	var raw map[string]any
	decode(t, r, done, &raw)
	if raw["state"] != "held" || raw["id"] != ids[1] || strings.Contains(r.out, "second") {
		t.Errorf("%+v %v", raw, v)
	}
}

// TestOutboxByHand is a person who looks after items.
func TestOutboxByHand(t *testing.T) {
	config, ids := queue(t, held("one"), item("two"))
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"release", ids[0]}, done, ids[0] + " is prepared\n"},
		{[]string{"release", ids[0]}, usage, ""},
		{[]string{"retry", ids[1]}, done, ids[1] + " is prepared\n"},
		{[]string{"decide", ids[1], "--happened"}, usage, ""},
		{[]string{"cancel", ids[0], ids[1]}, done, ids[0] + " is cancelled\n" + ids[1] + " is cancelled\n"},
		{[]string{"cancel", ids[0]}, usage, ""},
		{[]string{"retry", ids[0]}, usage, ""},
		{[]string{"show", strings.Repeat("0", 26)}, usage, ""},
		{[]string{"show", "no id"}, usage, ""},
		{[]string{"cancel", "no id"}, usage, ""},
		{[]string{"list", "--state", "nowhere"}, usage, ""},
		{[]string{"decide", ids[0]}, usage, ""},
		{[]string{"decide", ids[0], "--happened", "--not"}, usage, ""},
		{[]string{"frobnicate"}, usage, ""},
	} {
		r := call(t, append(append([]string{"outbox"}, c.args...), "--config", config)...)
		if r.code != c.code || c.out != "" && r.out != c.out || c.code != done && r.err == "" {
			t.Errorf("%v: exit code %d, %q, %q", c.args, r.code, r.out, r.err)
		}
	}
	var changed struct{ Items []struct{ State string } }
	decode(t, call(t, "outbox", "cancel", ids[0], "--config", config, "--json"), usage, &changed)
	if len(changed.Items) != 0 {
		t.Errorf("%+v", changed)
	}
}

func TestOutboxExport(t *testing.T) {
	config, _ := queue(t, item("one"), held("two"))
	name := filepath.Join(t.TempDir(), "export.jsonl")
	args := []string{"outbox", "export", "--config", config, "--output", name}
	if r := call(t, args...); r.code != usage || !strings.Contains(r.err, "--clear") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Fatal("something was written without --clear")
	}
	if r := call(t, append(args, "--clear", "--state", "held")...); r.code != done || !strings.Contains(r.out, "in clear") {
		t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for sc := bufio.NewScanner(f); sc.Scan(); lines++ {
		var line struct {
			Ref     string
			Payload []byte
		}
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil || line.Ref != "two" || string(line.Payload) != "of two" {
			t.Errorf("%+v, %v", line, err)
		}
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
	if r := call(t, append(args, "--clear")...); r.code != usage {
		t.Errorf("written over a file: exit code %d", r.code)
	}
}

// TestOutboxDrain sends to a sandbox what waits, each item once.
func TestOutboxDrain(t *testing.T) {
	var items []outbox.Item
	for i := range 5 {
		items = append(items, item(fmt.Sprintf("drain %d", i)))
	}
	config, ids := queue(t, append(items, outbox.Item{Kind: "other", Ref: "other"})...)
	r := call(t, "outbox", "drain", "--at-once", "--config", config)
	if r.code != done || !strings.HasSuffix(r.out, "5 done, 0 rejected, 0 parked, 0 expired, 0 waiting\n1 of kinds that this command does not send\n") ||
		!strings.Contains(r.out, "5 of 5 settled, 0 waiting\n") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	numbers := map[int64]bool{}
	box(t, config, func(b *outbox.Box) {
		for _, text := range ids[:5] {
			id, err := outbox.ParseID(text)
			if err != nil {
				t.Fatal(err)
			}
			res, err := b.Result(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			receipt, err := appclient.ParseReceipt(res.Answer)
			if err != nil {
				t.Fatal(err)
			}
			numbers[receipt.Number] = true
		}
	})
	if len(numbers) != 5 {
		t.Errorf("result numbers %v", numbers)
	}
	var d struct{ Total, Done, Others int }
	decode(t, call(t, "outbox", "drain", "--at-once", "--config", config, "--json"), done, &d)
	if d.Done != 0 || d.Total != 0 || d.Others != 1 {
		t.Errorf("%+v", d)
	}
}

// TestOutboxDrainFails: what is left decides the exit code, and stays.
func TestOutboxDrainFails(t *testing.T) {
	t.Run("unavailable", drainUnavailable)
	t.Run("unknown", drainUnknown)
}

func drainUnavailable(t *testing.T) {
	config, _ := queue(t, item("left"))
	shared.inject(t, "app 0 to_end fault code=SOA-02001\napp-direct 0 to_end fault code=SOA-02001")
	r := call(t, "outbox", "drain", "--at-once", "--for", "2s", "--config", config, "--lang", "nl")
	if r.code != unavailable || !strings.HasSuffix(r.out, "1 waiting\n") || !strings.Contains(r.err, "1 bericht wacht") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if l := listOf(t, config); l.Waiting != 1 {
		t.Errorf("%+v", l)
	}
}

func drainUnknown(t *testing.T) {
	shared.inject(t, "app 0 to_end lost_ack p=1\napp-direct 0 to_end lost_ack p=1")
	config, _ := queue(t, item("unsure"))
	if r := call(t, "outbox", "drain", "--at-once", "--for", "5s", "--config", config); r.code != unknown || !strings.Contains(r.err, "Do not send it again") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestOutboxFails: what keeps the file from being used is told, and the file is left alone.
func TestOutboxFails(t *testing.T) {
	config, _ := queue(t, item("one"))
	if r := call(t, "outbox", "list", "--config", shared.ready.Config); r.code != usage || !strings.Contains(r.err, "dataDir") {
		t.Errorf("no place: exit code %d, %q", r.code, r.err)
	}
	box(t, config, func(*outbox.Box) {
		if r := call(t, "outbox", "list", "--config", config); r.code != local || !strings.Contains(r.err, "in use") {
			t.Errorf("in use: exit code %d, %q", r.code, r.err)
		}
	})
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ DataDir string }
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	other := rewritten(t, func(d map[string]any) {
		d["outbox"] = map[string]any{"file": filepath.Join(doc.DataDir, "outbox.db")}
		for _, p := range d["people"].([]any) {
			if p := p.(map[string]any); p["role"] == "nurse" {
				id := p["identity"].(map[string]any)
				id["keystore"] = filepath.Join(filepath.Dir(shared.ready.Config), id["keystore"].(string))
				d["identity"] = id
			}
		}
	})
	if r := call(t, "outbox", "list", "--config", other); r.code != local || !strings.Contains(r.err, "another key") {
		t.Errorf("somebody else's: exit code %d, %q", r.code, r.err)
	}
	if r := call(t, "outbox", "verify", "--config", config); r.code != done || !strings.HasPrefix(r.out, "1 items are whole, 0 damaged") {
		t.Errorf("verify: exit code %d, %q, %q", r.code, r.out, r.err)
	}
	var report struct {
		OK    bool
		Items int
	}
	decode(t, call(t, "outbox", "verify", "--config", config, "--json"), done, &report)
	if !report.OK || report.Items != 1 {
		t.Errorf("%+v", report)
	}
	nobody := rewritten(t, func(d map[string]any) {
		d["outbox"] = map[string]any{"postgres": "host=/nowhere connect_timeout=1"}
	})
	if r := call(t, "outbox", "list", "--config", nobody); r.code == done || r.err == "" {
		t.Errorf("no database: exit code %d, %q", r.code, r.err)
	}
}

// TestOutboxPostgres: the queue that several nodes share, named by the configuration.
func TestOutboxPostgres(t *testing.T) {
	dsn := pgtest.DSN(t)
	db, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	file := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(file, []byte(dsn+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := rewritten(t, func(d map[string]any) { d["outbox"] = map[string]any{"postgresFile": file} })
	cfg, err := ehealth.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Outbox.Store, cfg.Outbox.ByHand = db.Outbox(), true
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Outbox.Put(t.Context(), outbox.Item{Kind: appclient.Kind, Ref: "shared", Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if l := listOf(t, config); l.Waiting != 1 { // while the node has it open
		t.Errorf("%+v", l)
	}
	if r := call(t, "outbox", "drain", "--at-once", "--config", config); r.code != done || !strings.Contains(r.out, "1 done, 0 rejected") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if s, err := p.Queue(t.Context()); err != nil || s.Waiting != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
