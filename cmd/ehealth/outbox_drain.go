package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/drill"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

type outboxDrainCmd struct {
	AtOnce bool          `help:"Begin at once, not at a random moment of the first minute. Only when this is the only client that comes back."`
	For    time.Duration `help:"Stop after this time; what is left waits on." placeholder:"DURATION"`
	box
}

// drained is the answer of drain.
type drained struct {
	Total    int            `json:"total"`
	Done     int            `json:"done"`
	Rejected int            `json:"rejected"`
	Parked   int            `json:"parked"`
	Expired  int            `json:"expired"`
	Waiting  int            `json:"waiting"`
	Unknown  int            `json:"unknown"`
	Others   int            `json:"others"` // of kinds that this command does not send
	Notice   *notice.Notice `json:"notice,omitempty"`
}

func (c *outboxDrainCmd) Run(ctx context.Context, s streams) error {
	p, done, err := c.store(ctx, func(cfg *ehealth.Config) {
		cfg.Outbox.Handlers = drill.AppQueued
		if c.AtOnce {
			cfg.Outbox.Options = append(cfg.Outbox.Options, outbox.WithPace(-1, 0, 0))
		}
	})
	if err != nil {
		return err
	}
	r, err := c.drain(ctx, p, s)
	return errors.Join(c.told(s, r, err), done())
}

func (c *outboxDrainCmd) drain(ctx context.Context, p *ehealth.Platform, s streams) (r drained, err error) {
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	var show func(outbox.Progress)
	end := func() {}
	if !c.JSON {
		show, end = progress(s.out)
	}
	err = p.Outbox.Drain(ctx, func(at outbox.Progress) {
		r.Total, r.Done, r.Rejected, r.Parked, r.Expired = at.Total, at.Done, at.Rejected, at.Parked, at.Expired
		if show != nil {
			show(at)
		}
	})
	end()
	if err != nil {
		return r, err
	}
	after := context.WithoutCancel(ctx)
	counts, err := p.Outbox.Stats(after)
	if err != nil {
		return r, err
	}
	kinds := []outbox.Kind{appclient.Kind}
	if p.Mail != nil {
		kinds = append(kinds, ehbox.KindSend)
	}
	r.Waiting = counts.Open(kinds...)
	for _, k := range kinds {
		r.Unknown += counts.By[k][outbox.Unknown]
	}
	r.Others = counts.Open() - r.Waiting
	if q, err := p.Queue(after); err == nil && !q.Notice.IsZero() {
		r.Notice = &q.Notice
	}
	return r, nil
}

// told prints the result and chooses the exit code: what waits still is unavailable or of unknown
// outcome, what was refused is refused.
func (c *outboxDrainCmd) told(s streams, r drained, err error) error {
	if err != nil {
		return err
	}
	if c.JSON {
		if err := writeJSON(s.out, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "%d done, %d rejected, %d parked, %d expired, %d waiting\n", r.Done, r.Rejected, r.Parked, r.Expired, r.Waiting)
		if r.Others > 0 {
			fmt.Fprintf(s.out, "%d of kinds that this command does not send\n", r.Others)
		}
	}
	e := &fault.Error{Op: "outbox.Drain", Service: appclient.Service}
	switch {
	case r.Unknown > 0:
		e.Kind, e.Outcome, e.Notice = fault.Timeout, fault.Unknown, string(notice.IDUnsure)
		return c.left(e, exitUnknown)
	case r.Waiting > 0:
		e.Kind, e.Outcome = fault.Unavailable, fault.NotSent
		if r.Notice != nil {
			e.Err = waits{*r.Notice}
			e.Notice = string(r.Notice.ID())
		}
		return c.left(e, exitUnavailable)
	case r.Rejected+r.Parked+r.Expired > 0:
		e.Kind, e.Outcome = fault.Conflict, fault.Rejected
		return c.left(e, exitRefused)
	}
	return nil
}

// left is the error of a drain that left something behind. The one JSON object is written already.
func (c *outboxDrainCmd) left(e *fault.Error, code int) error {
	return clientError{error: exitError{e, code}, lang: c.lang()}
}

// waits carries the parameters of the notice about what waits.
type waits struct{ notice.Notice }

// Error says what is the matter, without the parameters.
func (w waits) Error() string { return "items wait" }

// SafeError is Error.
func (w waits) SafeError() string { return w.Error() }

// NoticeParams implements notice.Detailed.
func (w waits) NoticeParams() notice.Params { return w.Params() }

// progress shows a drain: a bar on a terminal, lines otherwise. end finishes the bar.
func progress(w io.Writer) (show func(outbox.Progress), end func()) {
	if terminal(w) {
		return func(p outbox.Progress) { fmt.Fprintf(w, "\r%s\x1b[K", bar(p, time.Now())) }, func() { fmt.Fprintln(w) }
	}
	var last string
	var at time.Time
	return func(p outbox.Progress) {
		line := count(p)
		if now := time.Now(); line != last && (p.Open == 0 || now.Sub(at) >= lineEvery) {
			last, at = line, now
			fmt.Fprintln(w, line)
		}
	}, func() {}
}

// terminal tells whether somebody looks at w while it is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// lineEvery keeps a log file readable.
const lineEvery = time.Second

const barWidth = 30

func bar(p outbox.Progress, now time.Time) string {
	full := barWidth
	if p.Total > 0 {
		full = barWidth * (p.Total - p.Open) / p.Total
	}
	line := "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] " + count(p)
	if wait := p.Next.Sub(now); !p.Next.IsZero() && wait > 0 {
		line += fmt.Sprintf(", next in %s", wait.Round(time.Second))
	}
	return line
}

func count(p outbox.Progress) string {
	line := fmt.Sprintf("%d of %d settled, %d waiting", p.Total-p.Open, p.Total, p.Open)
	for _, n := range []struct {
		n    int
		what string
	}{{p.Rejected, "rejected"}, {p.Parked, "parked"}, {p.Expired, "expired"}} {
		if n.n > 0 {
			line += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	if len(p.Closed) > 0 {
		line += ", the service is not tried now"
	}
	return line
}
