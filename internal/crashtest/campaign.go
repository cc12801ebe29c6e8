package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// points are all places to die, with the highest passage worth waiting for.
var points = []struct {
	name string
	hits int
}{
	{"put.before", 3},
	{"put.after", 3},
	{"ack.before", 3},
	{"begin.before", 6},
	{"begin.written", 6},
	{"send.dialled", 8},
	{"send.written", 8},
	{"send.answered", 8},
	{"send.after", 6},
	{"record.before", 6},
	{"record.after", 6},
	{"lapse.before", 1},
	{"resolve.before", 3},
	{"resolve.after", 3},
	{"resolve.recorded", 3},
	{"journal.before", 20},
	{"journal.written", 20},
	{"journal.after", 20},
	{"journal.during", 20},
	{"commit.before", 3},
	{"commit.after", 3},
	{"commit.during", 3},
	{"replay.before", 1},
	{"replay.after", 1},
	{"timer", 1},
	{"compact.begun", 1},
	{"compact.copied", 1},
	{"compact.synced", 1},
	{"compact.renamed", 1},
	{"compact.after", 1},
	{"migrate.before", 1},
	{"migrate.derived", 1},
	{"migrate.after", 1},
	{"rotate.secret", 1},
	{"rotate.item", 10},
}

// totals is what all campaigns saw together.
type totals struct {
	Crashes  map[string]int
	Torn     map[string]int
	Refs     int
	Done     int // answers that a caller saw
	Effects  int
	Lost     int
	Doubled  int
	Disorder int
	Dropped  int
	Late     int
	Expired  int
	Checks   int
}

func (r *totals) add(o *totals) {
	for k, n := range o.Crashes {
		r.Crashes[k] += n
	}
	for k, n := range o.Torn {
		r.Torn[k] += n
	}
	for _, p := range []struct{ to, from *int }{
		{&r.Refs, &o.Refs},
		{&r.Done, &o.Done},
		{&r.Effects, &o.Effects},
		{&r.Lost, &o.Lost},
		{&r.Doubled, &o.Doubled},
		{&r.Disorder, &o.Disorder},
		{&r.Dropped, &o.Dropped},
		{&r.Late, &o.Late},
		{&r.Expired, &o.Expired},
		{&r.Checks, &o.Checks},
	} {
		*p.to += *p.from
	}
}

func newTotals() *totals { return &totals{Crashes: map[string]int{}, Torn: map[string]int{}} }

func (r *totals) crashes() (n int) {
	for _, c := range r.Crashes {
		n += c
	}
	return n
}

func (r *totals) print(w io.Writer) {
	for _, p := range points {
		fmt.Fprintf(w, "%-18s %6d\n", p.name, r.Crashes[p.name])
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range r.Torn {
			if !yield(k) {
				return
			}
		}
	}) {
		fmt.Fprintf(w, "%-18s %6d\n", k, r.Torn[k])
	}
	fmt.Fprintf(w, "crashes %d, checked in peace %d times\n", r.crashes(), r.Checks)
	fmt.Fprintf(w, "items %d, effects %d, answers seen %d\n", r.Refs, r.Effects, r.Done)
	fmt.Fprintf(w, "answers dropped after execution %d, executed late %d, refused as expired %d\n", r.Dropped, r.Late, r.Expired)
	fmt.Fprintf(w, "lost %d, doubled %d, out of order %d\n", r.Lost, r.Doubled, r.Disorder)
}

// runAll lets campaigns run until n crashes have happened.
func runAll(dir string, n, parallel int, seed uint64) (*totals, error) {
	sum := newTotals()
	made := dir == ""
	if made {
		var err error
		if dir, err = os.MkdirTemp("", "crash"); err != nil {
			return sum, err
		}
	}
	var left atomic.Int64
	left.Store(int64(n))
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for i := range max(1, min(parallel, n/20)) {
		wg.Go(func() {
			c := &campaign{dir: filepath.Join(dir, fmt.Sprintf("c%d", i)), rng: rand.New(rand.NewPCG(seed, uint64(i))), left: &left, totals: newTotals()}
			err := c.run()
			mu.Lock()
			defer mu.Unlock()
			sum.add(c.totals)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", c.dir, err))
				left.Store(0)
			}
		})
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil && made {
		err = os.RemoveAll(dir)
	}
	return sum, err
}

// campaign is one file, one platform, and one process after another.
type campaign struct {
	dir  string
	rng  *rand.Rand
	left *atomic.Int64
	*totals

	p       *platform
	n       int               // references made
	open    []string          // references whose callers were told nothing yet, in order
	told    map[string]bool   // "it is kept"
	seen    map[string]string // answers that callers saw
	keys    []int
	turning bool // a rotation was begun
}

func (c *campaign) run() (err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	c.told, c.seen, c.keys = map[string]bool{}, map[string]string{}, []int{1}
	if c.p, err = newPlatform(c.dir, rand.New(rand.NewPCG(c.rng.Uint64(), 2))); err != nil {
		return err
	}
	defer c.p.close()
	for c.left.Load() > 0 {
		for range 12 {
			if err := c.crash(); err != nil {
				return err
			}
		}
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

// crash lets one child run and die.
func (c *campaign) crash() error {
	for range 1 + c.rng.IntN(2) {
		c.n++
		c.open = append(c.open, fmt.Sprintf("%c%c%06d", "pd"[c.rng.IntN(2)], 'a'+rune(c.rng.IntN(4)), c.n))
	}
	pt := points[c.rng.IntN(len(points))]
	pl := plan{Dir: c.dir, Point: pt.name, Hit: 1 + c.rng.IntN(pt.hits), Refs: c.open, For: 250}
	switch {
	case pt.name == "commit.during":
		pl.Point, pl.Within = "commit.before", 1+c.rng.IntN(1500)
	case pt.name == "journal.during":
		pl.Point, pl.Within = "journal.before", 1+c.rng.IntN(1000)
	case pt.name == "timer":
		pl.Within = 5000 + c.rng.IntN(150_000)
	case strings.HasPrefix(pt.name, "compact."):
		pl.Compact = true
	case strings.HasPrefix(pt.name, "migrate."):
		pl.Old = true
	case strings.HasPrefix(pt.name, "rotate."):
		pl.Rotate = true
	}
	killed, err := c.spawn(pl)
	if err != nil {
		return err
	}
	if killed {
		c.Crashes[pt.name]++
		c.left.Add(-1)
	}
	if what, err := tear(c.dir); err != nil {
		return err
	} else if what != "" {
		c.Torn[what]++
	}
	return nil
}

// spawn runs a child to its end and hears what its callers were told.
func (c *campaign) spawn(pl plan) (killed bool, err error) {
	if pl.Rotate && !c.turning {
		c.keys = append([]int{c.keys[0] + 1}, c.keys...)
		c.turning = true
	}
	pl.Keys = c.keys
	args, err := json.Marshal(pl)
	if err != nil {
		return false, err
	}
	exe, err := os.Executable()
	if err != nil {
		return false, err
	}
	var out, errOut bytes.Buffer
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(args))
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	states := map[string]report{}
	if herr := c.hear(out.Bytes(), states); herr != nil {
		return false, herr
	}
	if pl.Finish && err == nil {
		return false, c.account(states)
	}
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() && st.Signal() == syscall.SIGKILL {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("child %s: %w: %s", args, err, clip(errOut.String()+out.String()))
	}
	return false, nil
}

func clip(s string) string { return s[max(0, len(s)-3000):] }

func (c *campaign) hear(out []byte, states map[string]report) error {
	for line := range bytes.Lines(out) {
		var r report
		if json.Unmarshal(line, &r) != nil {
			continue // the child died while it spoke: its caller heard nothing
		}
		switch r.What {
		case "put", "done":
			c.told[r.Ref] = true
			if i := slices.Index(c.open, r.Ref); i >= 0 {
				c.open = slices.Delete(c.open, i, i+1)
			}
			if r.What == "done" {
				c.seen[r.Ref] = r.Answer
				if r.Answer != answerTo(r.Ref) {
					return fmt.Errorf("%s: a caller saw the answer %q", r.Ref, r.Answer)
				}
			}
		case "rotated":
			c.keys, c.turning = c.keys[:1], false
		case "state":
			states[r.Ref] = r
		case "fatal":
			return fmt.Errorf("a child could not work: %s", r.Text)
		}
	}
	return nil
}

// check finishes the work in peace and counts.
func (c *campaign) check() error {
	c.p.setCalm(true)
	defer c.p.setCalm(false)
	_, err := c.spawn(plan{Dir: c.dir, Refs: c.open, Finish: true, For: 30_000})
	return err
}

// account compares what the platform did with what callers were told and what the box says.
func (c *campaign) account(states map[string]report) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.Checks++
	c.Refs, c.Done, c.Dropped, c.Late, c.Expired = c.n, len(c.seen), c.p.dropped, c.p.lates, c.p.refused
	c.Effects, c.Lost, c.Doubled, c.Disorder = 0, 0, 0, 0
	var errs []error
	for ref := range c.told {
		switch n := c.p.count[ref]; {
		case n == 0:
			c.Lost++
			errs = append(errs, fmt.Errorf("%s is lost: %s", ref, states[ref].Text))
		case states[ref].Text != "done":
			errs = append(errs, fmt.Errorf("%s was executed and is %q", ref, states[ref].Text))
		}
	}
	for ref, n := range c.p.count {
		c.Effects += n
		if n > 1 {
			c.Doubled += n - 1
			errs = append(errs, fmt.Errorf("%s was executed %d times", ref, n))
		}
		if !c.told[ref] {
			errs = append(errs, fmt.Errorf("%s was executed and nobody asked for it", ref))
		}
	}
	for ref, a := range c.seen {
		if states[ref].Answer != a {
			errs = append(errs, fmt.Errorf("%s: the answer that was seen is gone: %q", ref, states[ref].Answer))
		}
	}
	for key, refs := range c.p.order {
		if !slices.IsSortedFunc(refs, func(a, b string) int { return cmp.Compare(a[2:], b[2:]) }) {
			c.Disorder++
			errs = append(errs, fmt.Errorf("key %s was served out of order", key))
		}
	}
	return errors.Join(errs...)
}
