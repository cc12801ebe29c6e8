package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/drill"
	"github.com/ehealth-continuity/ehealth/drill/figures"
)

// figuresFlags belong to "drill --figures".
type figuresFlags struct {
	Figures bool     `help:"Instead of incidents: measure the figures of docs/figures.md and print them beside their targets."`
	Seeds   int      `help:"With --figures: number of seeds." default:"10"`
	Only    []string `help:"With --figures: numbers of the figures to measure; all when absent." placeholder:"N"`
	Write   string   `help:"With --figures: write the page to this file too." placeholder:"FILE" type:"path"`
	// Share is for the processes that this one starts: the seeds that are theirs.
	Share []uint64 `hidden:""`
}

// measure prints the figures. Virtual time has one bubble per process, so the seeds are shared among processes; what
// needs the wall clock is measured afterwards, in peace.
func (c *figuresFlags) measure(ctx context.Context, s streams, asJSON bool) error {
	if c.Seeds < 1 {
		return usageError{errors.New("--seeds must be at least 1")}
	}
	if len(c.Share) > 0 {
		return c.part(ctx, s)
	}
	for _, f := range c.Only {
		if !figures.Known(f) {
			return usageError{fmt.Errorf("no figure %q", f)}
		}
	}
	table, err := c.shared(ctx, s)
	if err == nil {
		err = c.timed(ctx, table)
	}
	if err := cmp.Or(interruption(ctx), err); err != nil {
		return err
	}
	if c.Write != "" {
		var page bytes.Buffer
		if err := table.WriteMarkdown(&page, c.command()); err != nil {
			return err
		}
		if err := keepCrashes(&page, c.Write); err != nil {
			return err
		}
		if err := os.WriteFile(c.Write, page.Bytes(), 0o644); err != nil { //nolint:gosec // a public page
			return err
		}
	}
	if asJSON {
		return writeJSON(s.out, table)
	}
	return table.WriteText(s.out)
}

// crashes is where the part of the page begins that internal/crashtest writes.
const crashes = "## Figures 6 and 7"

// keepCrashes appends to page what another command measured and wrote to the page at path.
func keepCrashes(page *bytes.Buffer, path string) error {
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if i := bytes.Index(old, []byte(crashes)); i >= 0 {
		page.WriteByte('\n')
		page.Write(old[i:])
	}
	return err
}

// command is how to make the page again.
func (c *figuresFlags) command() string {
	args := []string{"go run ./cmd/ehealth drill --figures", "--seeds " + strconv.Itoa(c.Seeds)}
	if len(c.Only) > 0 {
		args = append(args, "--only "+strings.Join(c.Only, ","))
	}
	return strings.Join(append(args, "--write docs/figures.md"), " ")
}

// seedsFrom lists every n-th seed up to the last.
func seedsFrom(first, n, last int) (out []uint64) {
	for i := first; i <= last; i += n {
		out = append(out, uint64(i)) //nolint:gosec // positive
	}
	return out
}

// timed adds what needs the wall clock. It takes some seconds, and does not heed ctx.
func (c *figuresFlags) timed(ctx context.Context, table *figures.Table) error {
	done := make(chan error, 1)
	go func() {
		timed, err := figures.Cancellation(figures.Options{Seeds: seedsFrom(1, 1, c.Seeds), Only: c.Only})
		if err == nil && ctx.Err() == nil {
			table.Merge(timed)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shared lets one process per processor measure its seeds. What they put on disk is in a directory of this process, so that
// nothing is left when they are interrupted.
func (c *figuresFlags) shared(ctx context.Context, s streams) (table *figures.Table, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ehealth-figures")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n := min(runtime.NumCPU(), c.Seeds)
	tables, errs := make([]figures.Table, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			args := []string{"drill", "--figures"}
			for _, seed := range seedsFrom(i+1, n, c.Seeds) {
				args = append(args, "--share="+strconv.FormatUint(seed, 10))
			}
			if len(c.Only) > 0 {
				args = append(args, "--only="+strings.Join(c.Only, ","))
			}
			cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // this very program
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = time.Second
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "TMPDIR="+dir, "TMP="+dir)
			cmd.Stderr = s.err
			out, err := cmd.Output()
			if err == nil {
				err = json.Unmarshal(out, &tables[i])
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("measuring: %w", err)
	}
	all := &figures.Table{}
	for i := range tables {
		all.Merge(&tables[i])
	}
	return all, nil
}

// part measures the seeds of this process and writes them for the one that started it.
func (c *figuresFlags) part(ctx context.Context, s streams) error {
	endOnSignal(ctx, s, true)
	drill.Main(func() int {
		t, err := figures.Measure(figures.Options{Seeds: c.Share, Only: c.Only})
		if err == nil {
			err = writeJSON(s.out, t)
		}
		if err != nil {
			return report(s, err)
		}
		return exitDone
	})
	return errors.New("the measurement did not end") // Main ends the process
}
