package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
)

func main() {
	if childArgs() != "" {
		os.Exit(child())
	}
	n := flag.Int("n", 1000, "crashes, over the stores together; 0 = until each point was reached")
	store := flag.String("store", "both", "bolt, postgres or both; or recipe: prescriptions, on bbolt")
	par := flag.Int("parallel", 8*runtime.NumCPU(), "campaigns at a time")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "decides what happens, but not when")
	page := flag.String("write", "", "Markdown page to put the result into, when all is well")
	dir := flag.String("dir", "", "where the files go; default: a temporary directory, removed when all is well")
	flag.Parse()
	stores := []string{*store}
	if *store == "both" {
		stores = []string{boltStore, pgStore}
	}
	if !slices.Contains([]string{"both", boltStore, pgStore, rxStore}, *store) {
		flag.Usage()
		os.Exit(2)
	}
	bad := false
	for i, s := range stores {
		share := (*n + i) / len(stores)
		if err := run(s, *dir, *page, share, *par, *seed); err != nil {
			fmt.Fprintln(os.Stderr, err)
			bad = true
		}
	}
	if bad {
		os.Exit(1)
	}
}

// run is the campaigns of one store, with a server of their own when they need one.
func run(store, dir, page string, n, parallel int, seed uint64) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "crash"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(dir)
			}
		}()
	}
	var server *pgtest.Server
	if store == pgStore {
		if err := os.Unsetenv("EHEALTH_POSTGRES"); err != nil { // that one is not ours to kill
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		if server, err = pgtest.Start(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
	}
	t, b, err := campaigns(os.Stdout, store, server, dir, n, parallel, seed)
	if err != nil || page == "" {
		return err
	}
	return writePage(page, t, b, seed)
}

// campaigns kills n children and prints what was seen. server is that of pgStore.
func campaigns(out io.Writer, store string, server *pgtest.Server, dir string, n, parallel int, seed uint64) (*totals, behaved, error) {
	if store == rxStore {
		return prescriptions(out, dir, &fleet{seed: seed}, n, parallel, badPrescribing)
	}
	p, err := newPlatform(dir, seed, 1)
	if err != nil {
		return nil, behaved{}, err
	}
	defer p.Close()
	if err := login(dir); err != nil {
		return nil, behaved{}, err
	}
	if err := p.misbehave(badDay); err != nil {
		return nil, behaved{}, err
	}
	f := &fleet{store: store, dir: dir, p: p, seed: seed}
	if server != nil {
		if f.pg, err = newCluster(server); err != nil {
			return nil, behaved{}, err
		}
	}
	t, err := f.run(n, parallel)
	b := p.behaved()
	t.print(out)
	b.print(out)
	fmt.Fprintf(out, "seed %d, %s\n", seed, time.Now().Format(time.DateOnly))
	if err == nil {
		err = verdict(t, b, n)
	}
	return t, b, err
}

// prescriptions is campaigns with Recip-e instead of an application; f says what is special about them.
func prescriptions(out io.Writer, dir string, f *fleet, n, parallel int, faults string) (*totals, behaved, error) {
	p, err := newPlatform(dir, f.seed, 1)
	if err != nil {
		return nil, behaved{}, err
	}
	defer p.Close()
	known, err := readWorld(dir)
	if err != nil {
		return nil, behaved{}, err
	}
	tokens, err := sharedTokens(dir)
	if err != nil {
		return nil, behaved{}, err
	}
	if err := known.loginRx(context.Background(), dir, tokens); err != nil {
		return nil, behaved{}, err
	}
	if err := p.misprescribe(faults); err != nil {
		return nil, behaved{}, err
	}
	f.store, f.dir, f.p = rxStore, dir, p
	t, err := f.run(n, min(parallel, maxRxCampaigns))
	b := p.behavedRx()
	t.print(out)
	b.print(out)
	fmt.Fprintf(out, "seed %d, %s\n", f.seed, time.Now().Format(time.DateOnly))
	if err == nil {
		err = rxVerdict(t, b, n)
	}
	return t, b, err
}

// login gets the token that all children share: one that dies between its issue and its place in the
// store would have cost a second one.
func login(dir string) error {
	known, err := readWorld(dir)
	if err != nil {
		return err
	}
	store, err := sharedTokens(dir)
	if err != nil {
		return err
	}
	return known.login(context.Background(), store)
}

// rxVerdict says what a campaign of prescriptions did not show.
func rxVerdict(t *totals, b behaved, n int) error {
	errs := t.shown(n)
	if b.Dropped == 0 || b.Late == 0 {
		errs = append(errs, errors.New("the sandbox did not misbehave as it should"))
	}
	if !t.Rx.everything() {
		errs = append(errs, errors.New("not everything happened that should be seen"))
	}
	if b.Tokens != 2 {
		errs = append(errs, fmt.Errorf("%d tokens were issued to a doctor and a pharmacy", b.Tokens))
	}
	return errors.Join(errs...)
}

// shown says what is missing whatever the campaign is about.
func (t *totals) shown(n int) (errs []error) {
	if !t.good() {
		errs = append(errs, errors.New("something was lost, doubled or out of order"))
	}
	if t.crashes() < n {
		errs = append(errs, fmt.Errorf("%d crashes, wanted %d", t.crashes(), n))
	}
	if m := t.missing(); len(m) > 0 {
		errs = append(errs, fmt.Errorf("nobody died at %s", strings.Join(m, ", ")))
	}
	return errs
}

// verdict says what a campaign did not show.
func verdict(t *totals, b behaved, n int) error {
	errs := t.shown(n)
	if b.Doubles > 0 {
		errs = append(errs, errors.New("something was executed twice"))
	}
	if b.Dropped == 0 || b.Expired == 0 || b.Late == 0 {
		errs = append(errs, errors.New("the platform did not misbehave as it should"))
	}
	if b.Tokens != 1 {
		errs = append(errs, fmt.Errorf("%d tokens were issued to one person", b.Tokens))
	}
	return errors.Join(errs...)
}
