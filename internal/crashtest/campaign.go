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
	"slices"
	"strings"
	"syscall"

	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

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
	items   bool // something was put
	flight  bool // a message was under way at the last death
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
	for more := true; more; {
		for range c.round {
			if more, err = c.crash(); err != nil {
				return err
			} else if !more {
				break
			}
		}
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

// further lets people prescribe more, with nobody killed.
func (c *campaign) further() error {
	c.n += c.rx.more(c.rng)
	return c.check()
}

// at tells where an error was.
func (c *campaign) at(err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", c.dir, err)
	}
	return err
}

// crash lets one child run and die; false = all places to die at are taken.
func (c *campaign) crash() (more bool, err error) {
	has, err := c.has()
	if err != nil {
		return false, err
	}
	pt, ok := c.deal(c.rng, has)
	if !ok {
		return false, nil
	}
	if c.rx != nil {
		c.n += c.rx.more(c.rng)
	} else {
		c.refs(pt.point)
	}
	pl := c.plan(pt)
	beside := c.beside(pl)
	killed, err := c.spawn(pl)
	if err := errors.Join(err, beside()); err != nil {
		return false, err
	}
	if c.dealt(pt, killed); killed {
		c.Crashes[pt.name]++
		c.items = c.items || pt.needs() >= needItem || slices.Contains(flying, pt.name) || pt.name == "put.after" || pt.name == "ack.before"
		c.flight = c.flight && pt.name != "resolve.recorded" || slices.Contains(flying, pt.name)
	} else {
		c.Spared++
		c.items, c.flight = true, false
	}
	if c.store == pgStore {
		return true, nil
	}
	what, err := tear(c.dir)
	if what != "" {
		c.Torn[what]++
	}
	return true, err
}

// has tells what the store of the campaign is ready for.
func (c *campaign) has() (has need, err error) {
	if c.items {
		has |= needItem
	}
	if c.flight {
		has |= needFlight
	}
	if c.store == pgStore {
		return has, nil
	}
	full, err := replayable(c.dir)
	if full {
		has |= needJournal
	}
	return has, err
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
func (c *campaign) plan(pt card) plan {
	pl := plan{Point: pt.name, Hit: 1 + c.rng.IntN(pt.hits), For: 3000}
	if c.batch { // at a passage that is sure to come, however long it takes
		pl.Hit, pl.For = 1+c.rng.IntN(max(1, pt.hits/3)), 20_000
	}
	if pt.setup {
		pl.Hit = 1
	}
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
	for starved := 0; ; {
		calm := c.pg.calm()
		killed, err := c.once(pl)
		switch {
		case err == nil:
			return killed, nil
		case errors.Is(err, errUnfinished) && !c.batch && starved < 2:
			starved++
			c.Starved++
			pl = c.again(pl)
			continue
		case c.pg.same(calm) && !errors.Is(err, errNoServer):
			return false, err
		case c.Excused > 100+c.n:
			return false, fmt.Errorf("too often: %w", err)
		}
		c.Excused++
		// The server went away under the child, or is overloaded: it is to be tried again.
		if pl = c.again(pl); !pl.Finish {
			return false, nil
		}
	}
}

// again is a plan for another child with what is still open.
func (c *campaign) again(pl plan) plan {
	pl.Refs, pl.Keys = c.open, c.keys
	if c.rx != nil {
		pl.Rx = &rxPlan{Tasks: c.rx.tasks(pl.Finish), Careless: c.careless}
	}
	return pl
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
		switch code := cmd.ProcessState.ExitCode(); {
		case code == exitUnfinished:
			herr = fmt.Errorf("%w: %w", errUnfinished, herr)
		case c.pg != nil && code == exitNoServer:
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

var (
	errNoServer   = errors.New("no server")
	errUnfinished = errors.New("not finished in time") // by a child that nobody killed
)

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
	_, err := c.spawn(plan{Finish: true, Hold: c.batch})
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
