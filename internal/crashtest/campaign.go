package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// fleet is all campaigns of one store, beside each other, against one platform.
type fleet struct {
	store string
	dir   string
	p     *platform
	pg    *cluster // of pgStore
	seed  uint64
	round int // crashes between two checks
	// careless lets prescribers break the rules, so that it shows whether that is found
	careless bool
	left     atomic.Int64

	mu    sync.Mutex
	deck  []point         // what is to be dealt before any point comes again
	hit   map[string]bool // points at which somebody died
	tries int             // children that may still be started
}

// more tells whether more children are to die, or a point is left at which nobody did.
func (f *fleet) more() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries > 0 && (f.left.Load() > 0 || len(f.missing()) > 0)
}

func (f *fleet) missing() []point {
	return slices.DeleteFunc(pointsOf(f.store), func(p point) bool { return f.hit[p.name] })
}

// deal gives each point once before it gives one again, so that a short run reaches all; at the
// end it gives those that were not reached.
func (f *fleet) deal(rng *rand.Rand) point {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries--
	if m := f.missing(); f.left.Load() <= 0 && len(m) > 0 {
		return m[rng.IntN(len(m))]
	}
	if len(f.deck) == 0 {
		f.deck = pointsOf(f.store)
		rng.Shuffle(len(f.deck), func(i, j int) { f.deck[i], f.deck[j] = f.deck[j], f.deck[i] })
	}
	p := f.deck[len(f.deck)-1]
	f.deck = f.deck[:len(f.deck)-1]
	return p
}

// dealt takes a point back: at which a child died, or did not come to.
func (f *fleet) dealt(p point, died bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if died {
		f.left.Add(-1)
		f.hit[p.name] = true
		return
	}
	f.deck = slices.Insert(f.deck, 0, p)
}

// fail ends the campaigns.
func (f *fleet) fail() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries = 0
}

// run lets campaigns run until n crashes have happened.
func (f *fleet) run(n, parallel int) (*totals, error) {
	began := time.Now()
	f.left.Store(int64(n))
	f.tries, f.hit = 3*n+100, map[string]bool{}
	sum := newTotals(f.store)
	var mu sync.Mutex
	var errs []error
	collect := func(t *totals, err error) {
		mu.Lock()
		defer mu.Unlock()
		sum.add(t)
		if err != nil {
			errs = append(errs, err)
			f.fail()
		}
	}
	var all sync.WaitGroup
	parallel = max(1, min(parallel, n/3))
	f.round = min(12, max(3, n/parallel))
	for i := range parallel {
		all.Go(func() {
			c := &campaign{fleet: f, no: i, rx: f.cases(i), dir: filepath.Join(f.dir, fmt.Sprintf("%s%d", f.store, i)), rng: rand.New(rand.NewPCG(f.seed, uint64(i))), totals: newTotals(f.store)}
			err := c.run()
			if err != nil {
				err = fmt.Errorf("%s: %w", c.dir, err)
			}
			collect(c.totals, err)
		})
	}
	if f.pg != nil {
		killed, err := f.pg.torment(f.more, rand.New(rand.NewPCG(f.seed, 1<<32)))
		collect(&totals{Servers: killed}, err)
	}
	all.Wait()
	sum.Took = time.Since(began)
	return sum, errors.Join(errs...)
}

// campaign is one file or database, and one process after another.
type campaign struct {
	*fleet
	*totals
	no  int
	dir string
	dsn string // and schema: of pgStore
	rng *rand.Rand

	schema  string
	n       int               // references made
	open    []string          // references whose callers were told nothing yet, in order
	told    map[string]bool   // "it is kept"
	seen    map[string]string // answers that callers saw
	keys    []int
	turning bool // a rotation was begun
	rx      *rxCases
}

func (c *campaign) run() (err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	c.told, c.seen, c.keys = map[string]bool{}, map[string]string{}, []int{1}
	if c.pg != nil {
		c.dsn, c.schema = c.pg.dsn, fmt.Sprintf("campaign%d", c.no)
	}
	for c.more() {
		for range c.round {
			if !c.more() {
				break
			}
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
	pt := c.deal(c.rng)
	if c.rx != nil {
		c.n += c.rx.more(c.rng)
	} else {
		c.refs(pt)
	}
	pl := c.plan(pt)
	beside := c.beside(pl)
	killed, err := c.spawn(pl)
	if err := errors.Join(err, beside()); err != nil {
		return err
	}
	if c.dealt(pt, killed); killed {
		c.Crashes[pt.name]++
	} else {
		c.Spared++
	}
	if c.store == pgStore {
		return nil
	}
	what, err := tear(c.dir)
	if what != "" {
		c.Torn[what]++
	}
	return err
}

// refs makes what the callers of the next child are to put.
func (c *campaign) refs(pt point) {
	joins := strings.HasPrefix(pt.name, "vendor.") || strings.HasPrefix(pt.name, "postgres.join.")
	for i := range 2 + c.rng.IntN(2) {
		way := rune("pd"[c.rng.IntN(2)])
		if c.pg != nil && (i == 0 && joins || c.rng.IntN(4) == 0) {
			way = withVendor
		}
		c.n++
		c.open = append(c.open, fmt.Sprintf("%c%c%03d%06d", way, 'a'+rune(c.rng.IntN(6)), c.no, c.n))
	}
}

// plan is how the next child dies.
func (c *campaign) plan(pt point) plan {
	pl := plan{Point: pt.name, Hit: 1 + c.rng.IntN(pt.hits), For: 3000}
	switch {
	case strings.HasSuffix(pt.name, ".during"):
		pl.Point, pl.Within = strings.TrimSuffix(pt.name, "during")+"before", 1+c.rng.IntN(1500)
	case pt.name == "timer":
		pl.Within = 5000 + c.rng.IntN(400_000)
	case strings.HasPrefix(pt.name, "compact."):
		pl.Compact = true
	case strings.Contains(pt.name, "migrate."):
		pl.Old = true
	case strings.HasPrefix(pt.name, "rotate."):
		pl.Rotate = true
	}
	return pl
}

// beside starts, now and then, a second child that works on the same database; what it returns
// waits for its end.
func (c *campaign) beside(pl plan) func() error {
	if c.pg == nil || pl.Old || pl.Rotate || c.rng.IntN(3) > 0 {
		return func() error { return nil }
	}
	ended := make(chan error, 1)
	go func() {
		calm := c.pg.calm()
		_, err := c.once(plan{World: c.fleet.dir, Dir: c.dir, DSN: c.dsn, Schema: c.schema, Keys: slices.Clone(c.keys), For: 2000})
		if !c.pg.same(calm) || errors.Is(err, errNoServer) {
			err = nil
		}
		ended <- err
	}()
	return func() error { return <-ended }
}

// spawn runs a child to its end and hears what its callers were told.
func (c *campaign) spawn(pl plan) (killed bool, err error) {
	if pl.Rotate && !c.turning {
		c.keys = append([]int{c.keys[0] + 1}, c.keys...)
		c.turning = true
	}
	pl.World, pl.Dir, pl.DSN, pl.Schema, pl.Refs, pl.Keys = c.fleet.dir, c.dir, c.dsn, c.schema, c.open, c.keys
	if c.rx != nil {
		pl.Rx = &rxPlan{Tasks: c.rx.tasks(pl.Finish), Careless: c.careless}
	}
	for {
		calm := c.pg.calm()
		killed, err := c.once(pl)
		switch {
		case err == nil:
			return killed, nil
		case c.pg.same(calm) && !errors.Is(err, errNoServer):
			return false, err
		case c.Excused > 100+c.n:
			return false, fmt.Errorf("too often: %w", err)
		}
		c.Excused++
		// The server went away under the child, or is overloaded: it is to be tried again.
		pl.Refs, pl.Keys = c.open, c.keys
		if !pl.Finish {
			return false, nil
		}
	}
}

func (c *campaign) once(pl plan) (killed bool, err error) {
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
	said := account{states: map[string]report{}, vendor: map[string]bool{}}
	if c.rx != nil {
		said.rx = &rxAccount{}
	}
	if herr := c.hear(out.Bytes(), said); herr != nil {
		if c.pg != nil && cmd.ProcessState.ExitCode() == exitNoServer {
			herr = fmt.Errorf("%w: %w", errNoServer, herr)
		}
		return false, herr
	}
	if pl.Finish && err == nil {
		return false, c.account(said)
	}
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() && st.Signal() == syscall.SIGKILL {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("child %s: %w: %s", args, err, clip(errOut.String()+out.String()))
	}
	return false, nil
}

var errNoServer = errors.New("no server")

func clip(s string) string { return s[max(0, len(s)-3000):] }

// account is what a child said of the items at the end.
type account struct {
	states map[string]report
	vendor map[string]bool // rows of the vendor's table
	rx     *rxAccount
}

func (c *campaign) hear(out []byte, said account) error {
	var fatal error
	for line := range bytes.Lines(out) {
		var r report
		if json.Unmarshal(line, &r) != nil {
			continue // the child died while it spoke: its caller heard nothing
		}
		if c.rx != nil && c.rx.hear(r, said.rx) {
			continue
		}
		switch r.What {
		case "put", "done":
			c.told[r.Ref] = true
			if i := slices.Index(c.open, r.Ref); i >= 0 {
				c.open = slices.Delete(c.open, i, i+1)
			}
			if r.What == "done" {
				c.seen[r.Ref] = r.Answer
			}
		case "rotated":
			c.keys, c.turning = c.keys[:1], false
		case "state":
			said.states[r.Ref] = r
		case "vendor":
			said.vendor[r.Ref] = true
		case "fatal":
			fatal = fmt.Errorf("a child could not work: %s", r.Text)
		}
	}
	return fatal
}

// check finishes the work with nobody killed, and counts.
func (c *campaign) check() error {
	_, err := c.spawn(plan{Finish: true})
	return err
}

// account compares what the platform did with what callers were told and what the box says.
func (c *campaign) account(said account) error {
	if c.rx != nil {
		return c.rx.account(c.totals, c.p.prescribed(), said.rx)
	}
	states := said.states
	mine := c.p.executed(func(ref string) bool { return len(ref) == 11 && ref[2:5] == fmt.Sprintf("%03d", c.no) })
	c.Checks++
	c.Refs, c.Told, c.Seen, c.Effects = c.n, len(c.told), len(c.seen), len(mine)
	c.Lost, c.Doubled, c.Disorder = 0, 0, 0
	first := map[string]sandbox.AppExecution{}
	order := map[string][]string{}
	var errs []error
	for _, e := range mine {
		order[e.OrderingKey] = append(order[e.OrderingKey], e.Reference)
		if _, twice := first[e.Reference]; twice {
			c.Doubled++
			errs = append(errs, fmt.Errorf("%s was executed again at %v", e.Reference, e.At))
			continue
		}
		first[e.Reference] = e
		if !c.told[e.Reference] {
			errs = append(errs, fmt.Errorf("%s was executed and nobody asked for it", e.Reference))
		}
	}
	for ref := range c.told {
		e, done := first[ref]
		switch r, perr := appclient.ParseReceipt([]byte(states[ref].Answer)); {
		case !done:
			c.Lost++
			errs = append(errs, fmt.Errorf("%s is lost: %q", ref, states[ref].Text))
		case states[ref].Text != "done":
			errs = append(errs, fmt.Errorf("%s was executed and is %q", ref, states[ref].Text))
		case perr != nil, r.Number != e.Number:
			errs = append(errs, fmt.Errorf("%s was execution %d, and its answer is %q", ref, e.Number, states[ref].Answer))
		}
	}
	for ref, a := range c.seen {
		if states[ref].Answer != a {
			errs = append(errs, fmt.Errorf("%s: the answer that was seen is gone: %q", ref, states[ref].Answer))
		}
	}
	for ref := range states {
		if ref[0] == withVendor && !said.vendor[ref] {
			errs = append(errs, fmt.Errorf("%s is kept without its transaction", ref))
		}
	}
	for ref := range said.vendor {
		if states[ref].Ref == "" {
			errs = append(errs, fmt.Errorf("%s was committed and is not kept", ref))
		}
	}
	for key, refs := range order {
		if !slices.IsSortedFunc(refs, func(a, b string) int { return cmp.Compare(numberOf(a), numberOf(b)) }) {
			c.Disorder++
			errs = append(errs, fmt.Errorf("key %s was served out of order", key))
		}
	}
	return errors.Join(errs...)
}
