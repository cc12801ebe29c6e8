package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// nodeProcess is a node in a process of its own.
type nodeProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	said  chan report
	ended chan error
}

func startNode(t *testing.T, pl plan) *nodeProcess {
	t.Helper()
	pl.Node = true
	args, err := json.Marshal(pl)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &nodeProcess{t: t, cmd: exec.Command(exe), said: make(chan report, 100), ended: make(chan error, 1)}
	n.cmd.Env = append(os.Environ(), childEnv+"="+string(args))
	n.cmd.Stderr = t.Output()
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if n.stdin, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var r report
			if json.Unmarshal(lines.Bytes(), &r) == nil {
				n.said <- r
			}
		}
		close(n.said)
		n.ended <- n.cmd.Wait()
	}()
	t.Cleanup(func() { _ = n.cmd.Process.Kill() })
	return n
}

const nodeLimit = 5 * time.Minute // on a busy machine

// hear waits until the node says something.
func (n *nodeProcess) hear(what string) report {
	n.t.Helper()
	limit := time.After(nodeLimit)
	for {
		select {
		case r, ok := <-n.said:
			if !ok {
				n.t.Fatalf("a node ended before it said %q", what)
			}
			if r.What == "fatal" {
				n.t.Fatalf("a node could not work: %s", r.Text)
			}
			if r.What == what {
				return r
			}
		case <-limit:
			n.t.Fatalf("a node did not say %q", what)
		}
	}
}

func (n *nodeProcess) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// end waits for the end of the process.
func (n *nodeProcess) end() error {
	n.t.Helper()
	select {
	case err := <-n.ended:
		return err
	case <-time.After(nodeLimit):
		n.t.Fatal("a node does not end")
		return nil
	}
}

// stop ends a node in order.
func (n *nodeProcess) stop() {
	n.t.Helper()
	_ = n.stdin.Close()
	if err := n.end(); err != nil {
		n.t.Errorf("a node that was told to stop: %v", err)
	}
}

// desk puts items of six keys, one after another.
type desk struct {
	t     *testing.T
	box   *outbox.Box
	store outbox.Store
	refs  []string // in the order of putting
}

func (d *desk) put(n int) {
	d.t.Helper()
	for range n {
		ref := fmt.Sprintf("p%c000%06d", 'a'+rune(len(d.refs)%6), len(d.refs))
		if _, err := d.box.Put(d.t.Context(), outbox.Item{Kind: appclient.Kind, Key: keyOf(ref), Ref: ref, Payload: []byte(ref)}); err != nil {
			d.t.Fatal(err)
		}
		d.refs = append(d.refs, ref)
	}
}

// awaitEmpty waits until all that was put is done.
func (d *desk) awaitEmpty() {
	d.t.Helper()
	var c outbox.Counts
	if err := waitFor(nodeLimit, func() (_ bool, err error) {
		c, err = d.store.Count(d.t.Context())
		return c.Open() == 0 && c.Of(outbox.Done) == len(d.refs), err
	}); err != nil {
		d.t.Fatalf("not everything was done: %v: %+v", err, c)
	}
}

// awaitKill waits for the death of a node by its own hand, and gives it work until then.
func (d *desk) awaitKill(n *nodeProcess) {
	d.t.Helper()
	if err := waitFor(nodeLimit, func() (bool, error) {
		select {
		case err := <-n.ended:
			if st, ok := n.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || st.Signal() != syscall.SIGKILL {
				return false, fmt.Errorf("it ended otherwise: %w", err)
			}
			return true, nil
		default:
			d.put(1)
			return false, nil
		}
	}); err != nil {
		d.t.Fatalf("the node that was to be killed: %v", err)
	}
}

// TestThreeNodes: three processes share the queue, the tokens and the lines of one PostgreSQL. One is killed with a
// message under way, one is stopped for longer than its lease and then goes on with what it was doing, one is
// restarted; the platform drops every tenth answer. Each write happens once, in the order of its key, and each identity
// logs in once.
func TestThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a while")
	}
	t.Parallel()
	dsn := pgtest.DSN(t)
	dir := t.TempDir()
	const people = 2
	p, err := newPlatform(dir, 1, people)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.misbehave(lostAnswers); err != nil {
		t.Fatal(err)
	}
	d := openDesk(t, dsn)
	pl := plan{World: dir, Dir: dir, DSN: dsn, Keys: []int{1}}
	d.put(12)

	// One is stopped with a signed message in its hands.
	holding := pl
	holding.Hold = true
	paused := startNode(t, holding)
	held := paused.hear("holding").Ref
	paused.signal(syscall.SIGSTOP)

	// One is killed when the first message has left.
	dying := pl
	dying.Point, dying.Hit = "send.written", 1
	killed, restarted := startNode(t, dying), startNode(t, pl)
	restarted.hear("ready")
	d.put(12)
	d.awaitKill(killed)

	// One is restarted in the middle of its work.
	restarted.stop()
	d.put(12)
	again := startNode(t, pl)
	again.hear("ready")

	// The stopped one wakes when its item was taken over and carried out by another.
	if err := waitFor(nodeLimit, func() (bool, error) { return p.AppExecuted(held) > 0, nil }); err != nil {
		t.Fatalf("the item of the stopped node: %v", err)
	}
	before := p.behaved().Expired
	paused.signal(syscall.SIGCONT)
	if err := waitFor(nodeLimit, func() (bool, error) { return p.behaved().Expired > before, nil }); err != nil {
		t.Fatalf("the stale message of the node that woke: %v", err)
	}
	d.put(60)
	d.awaitEmpty()
	again.stop()
	paused.stop()
	count(t, p, d, people)
}

// openDesk opens a box that only puts.
func openDesk(t *testing.T, dsn string) *desk {
	t.Helper()
	db, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sealingKey(1)
	if err != nil {
		t.Fatal(err)
	}
	store := db.Outbox()
	box, err := outbox.Open(t.Context(), store, outbox.NewKeys(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close(); db.Close() })
	return &desk{t: t, box: box, store: store}
}

// count compares what the platform did with what was put.
func count(t *testing.T, p *platform, d *desk, people int) {
	t.Helper()
	b := p.behaved()
	b.print(t.Output())
	done, order := map[string]int{}, map[string][]string{}
	for _, e := range p.AppExecutions() {
		done[e.Reference]++
		order[e.OrderingKey] = append(order[e.OrderingKey], e.Reference)
	}
	for _, ref := range d.refs {
		if done[ref] != 1 {
			t.Errorf("%s was executed %d times", ref, done[ref])
		}
	}
	for _, refs := range order {
		if !slices.IsSorted(refs) {
			t.Errorf("out of order: %v", refs)
		}
	}
	sts := p.State().Requests["sts"]
	if b.Effects != len(d.refs) || b.Doubles != 0 || b.Dropped == 0 || b.Expired == 0 || b.Tokens != people || sts != people {
		t.Errorf("%d items, %d requests to the STS, %+v", len(d.refs), sts, b)
	}
}
