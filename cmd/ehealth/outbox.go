package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

type outboxCmd struct {
	List    outboxListCmd    `cmd:"" help:"List what is kept, without contents."`
	Show    outboxShowCmd    `cmd:"" help:"Show one item, without its contents."`
	Retry   outboxRetryCmd   `cmd:"" help:"Take parked or rejected items up again."`
	Cancel  outboxCancelCmd  `cmd:"" help:"Take back items that were not sent."`
	Release outboxReleaseCmd `cmd:"" help:"Let held items be sent."`
	Decide  outboxDecideCmd  `cmd:"" help:"Record what a person found out about a parked item of unknown outcome."`
	Drain   outboxDrainCmd   `cmd:"" help:"Send what waits, until nothing does."`
	Export  outboxExportCmd  `cmd:"" help:"Write items with their contents, IN CLEAR, into a new file."`
	Verify  outboxVerifyCmd  `cmd:"" help:"Open every part of every item; change nothing."`
}

// box are the flags of every outbox command.
type box struct{ client }

// store opens the outbox of the configuration; nothing is sent unless the command does it. done
// closes everything.
func (c *box) store(ctx context.Context, change func(*ehealth.Config)) (p *ehealth.Platform, done func() error, err error) {
	cfg, err := c.configured()
	if err != nil {
		return nil, nil, err
	}
	if cfg.Outbox == nil {
		cfg.Outbox = &ehealth.Outbox{}
	}
	o := cfg.Outbox
	o.ByHand = true
	if change != nil {
		change(&cfg)
	}
	end := func() error { return nil }
	switch {
	case o.Postgres != "":
		db, err := postgres.Open(ctx, o.Postgres)
		if err != nil {
			return nil, nil, c.failed(notice.Platform, time.Now(), err)
		}
		o.Store, end = db.Outbox(), db.Close
	case o.File == "" && cfg.DataDir == "":
		return nil, nil, usageError{errors.New("the configuration names no dataDir and no outbox")}
	}
	p, err = ehealth.Open(ctx, cfg)
	if err != nil {
		err = errors.Join(err, end())
		for _, local := range []error{outbox.ErrLocked, outbox.ErrKey, outbox.ErrCorrupt, outbox.ErrNewer, outbox.ErrFull, outbox.ErrBroken} {
			if errors.Is(err, local) {
				return nil, nil, err
			}
		}
		return nil, nil, usageError{err}
	}
	return p, func() error { return errors.Join(p.Close(), end()) }, nil
}

// with runs f on the outbox and closes it.
func (c *box) with(ctx context.Context, f func(*ehealth.Platform) error) error {
	return c.changed(ctx, nil, f)
}

// changed is with on a configuration that the command adds to.
func (c *box) changed(ctx context.Context, change func(*ehealth.Config), f func(*ehealth.Platform) error) error {
	p, done, err := c.store(ctx, change)
	if err != nil {
		return err
	}
	return errors.Join(f(p), done())
}

// which selects items.
type which struct {
	State string `help:"Only items in this state: held, prepared, ready, sending, unknown, parked, done, rejected, expired or cancelled." placeholder:"STATE"`
	Kind  string `help:"Only items of this kind." placeholder:"KIND"`
}

func (w which) filter() (f outbox.Filter, err error) {
	f.Kind = outbox.Kind(w.Kind)
	if w.State != "" {
		var ok bool
		if f.State, ok = outbox.ParseState(w.State); !ok {
			return f, usageError{errors.New("there is no such state")}
		}
	}
	return f, nil
}

type outboxListCmd struct {
	which
	box
}

// outboxList is the answer of list. Items hold no contents.
type outboxList struct {
	Waiting  int            `json:"waiting"`
	Since    time.Time      `json:"since,omitzero"`
	Parked   int            `json:"parked"`
	Rejected int            `json:"rejected"`
	Damaged  int            `json:"damaged"`
	Notice   *notice.Notice `json:"notice,omitempty"`
	Items    []outbox.View  `json:"items"`
}

func (c *outboxListCmd) Run(ctx context.Context, s streams) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	return c.with(ctx, func(p *ehealth.Platform) error {
		q, err := p.Queue(ctx)
		if err != nil {
			return err
		}
		l := outboxList{Waiting: q.Waiting, Since: q.Since, Parked: q.Parked, Rejected: q.Rejected, Items: []outbox.View{}}
		if !q.Notice.IsZero() {
			l.Notice = &q.Notice
		}
		for v, err := range p.Outbox.List(ctx, f) {
			switch {
			case errors.Is(err, outbox.ErrCorrupt), errors.Is(err, outbox.ErrKey):
				l.Damaged++
			case err != nil:
				return err
			default:
				l.Items = append(l.Items, v)
			}
		}
		if c.JSON {
			return writeJSON(s.out, l)
		}
		return l.write(s.out, c.lang())
	})
}

const stamp = "2006-01-02 15:04:05"

func local(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(stamp)
}

func (l outboxList) write(w io.Writer, lang notice.Lang) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(l.Items) > 0 {
		fmt.Fprintln(t, "ID\tKIND\tSTATE\tREASON\tTRIES\tCREATED\tDUE\tEXPIRES")
	}
	for _, v := range l.Items {
		reason := string(v.Reason)
		if reason == "" {
			reason = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", v.ID, v.Kind, v.State, reason, v.Attempts, local(v.Created), local(v.Due), local(v.Expires))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d waiting, %d parked, %d rejected\n", l.Waiting, l.Parked, l.Rejected)
	if l.Waiting > 0 {
		fmt.Fprintf(w, "waiting since %s\n", local(l.Since))
	}
	if l.Damaged > 0 {
		fmt.Fprintf(w, "%d cannot be read: see ehealth outbox verify\n", l.Damaged)
	}
	if l.Notice != nil {
		fmt.Fprintln(w, l.Notice.Text(lang))
	}
	return nil
}

type outboxShowCmd struct {
	ID string `arg:"" help:"Id of the item, as list prints it."`
	box
}

func (c *outboxShowCmd) Run(ctx context.Context, s streams) error {
	id, err := outbox.ParseID(c.ID)
	if err != nil {
		return usageError{err}
	}
	return c.with(ctx, func(p *ehealth.Platform) error {
		v, err := p.Outbox.Show(ctx, id)
		if err != nil {
			return mistake(err)
		}
		if c.JSON {
			return writeJSON(s.out, v)
		}
		return show(s.out, v, c.lang())
	})
}

func show(w io.Writer, v outbox.View, lang notice.Lang) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(k string, v any) { fmt.Fprintf(t, "%s\t%v\n", k, v) }
	row("id", v.ID)
	row("kind", v.Kind)
	row("state", v.State)
	if v.Reason != "" {
		row("reason", v.Reason)
	}
	if v.Pending {
		row("outcome", "not known; a question after "+local(v.Horizon)+" settles it")
	}
	if v.Doubled {
		row("warning", "an answer came for an attempt that was believed not to have happened: look for a double")
	}
	row("priority", v.Priority)
	row("created", local(v.Created))
	row("changed", local(v.Changed))
	row("due", local(v.Due))
	row("expires", local(v.Expires)+" ("+v.Rule+")")
	for _, h := range v.History {
		text := h.Outcome.String()
		if h.Failure != nil {
			text += ": " + h.Failure.Kind.String()
			if h.Failure.Code != "" {
				text += " " + h.Failure.Code
			}
			if h.Failure.Ticket != "" {
				text += ", ticket " + h.Failure.Ticket
			}
		}
		row(fmt.Sprintf("attempt %d", h.N), local(h.Begun)+" "+text)
	}
	if v.Last != nil {
		if n, err := notice.New(notice.ID(v.Last.Notice), notice.Params{Service: notice.ServiceOf(v.Last.Service), Ticket: v.Last.Ticket}); err == nil {
			row("notice", n.Text(lang))
		}
	}
	return t.Flush()
}

// mistake tells what the person at the keyboard can mend from failures of the store.
func mistake(err error) error {
	for _, theirs := range []error{outbox.ErrNotFound, outbox.ErrState, outbox.ErrInvalid} {
		if errors.Is(err, theirs) {
			return usageError{err}
		}
	}
	return err
}

// items are the flags of commands that change items.
type items struct {
	ID []string `arg:"" help:"Ids of items, as list prints them."`
	box
}

// each does f for every item and tells the state of each afterwards.
func (c *items) each(ctx context.Context, s streams, f func(*outbox.Box, outbox.ID) error) error {
	ids, err := c.parsed()
	if err != nil {
		return err
	}
	return c.with(ctx, func(p *ehealth.Platform) error {
		return c.eachOf(ctx, s, p, ids, func(id outbox.ID) error { return mistake(f(p.Outbox, id)) })
	})
}

func (c *items) parsed() ([]outbox.ID, error) {
	ids := make([]outbox.ID, 0, len(c.ID))
	for _, text := range c.ID {
		id, err := outbox.ParseID(text)
		if err != nil {
			return nil, usageError{err}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (c *items) eachOf(ctx context.Context, s streams, p *ehealth.Platform, ids []outbox.ID, f func(outbox.ID) error) error {
	done := []outbox.View{}
	var failed error
	for _, id := range ids {
		if failed = f(id); failed != nil {
			break
		}
		v, err := p.Outbox.Show(ctx, id)
		if err != nil {
			return err
		}
		done = append(done, v)
		if !c.JSON {
			fmt.Fprintf(s.out, "%s is %s\n", v.ID, v.State)
		}
	}
	if c.JSON {
		return errors.Join(failed, writeJSON(s.out, map[string]any{"items": done}))
	}
	return failed
}

type outboxRetryCmd struct{ items }

func (c *outboxRetryCmd) Run(ctx context.Context, s streams) error {
	return c.each(ctx, s, func(b *outbox.Box, id outbox.ID) error { return b.Retry(ctx, id) })
}

type outboxCancelCmd struct{ items }

func (c *outboxCancelCmd) Run(ctx context.Context, s streams) error {
	return c.each(ctx, s, func(b *outbox.Box, id outbox.ID) error { return b.Cancel(ctx, id) })
}

type outboxReleaseCmd struct{ items }

func (c *outboxReleaseCmd) Run(ctx context.Context, s streams) error {
	return c.each(ctx, s, func(b *outbox.Box, id outbox.ID) error { return b.Release(ctx, id) })
}

type outboxExportCmd struct {
	which
	Output string `help:"File to write, one JSON object per line; it must not exist." placeholder:"FILE" required:"" type:"path"`
	Clear  bool   `help:"Yes, write personal data in clear."`
	box
}

func (c *outboxExportCmd) Run(ctx context.Context, s streams) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	if !c.Clear {
		return usageError{errors.New("an export holds personal data in clear: say --clear if that is meant")}
	}
	return c.with(ctx, func(p *ehealth.Platform) (err error) {
		w, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return usageError{err}
		}
		if err := errors.Join(p.Outbox.Export(ctx, w, f), w.Sync(), w.Close()); err != nil {
			return errors.Join(err, os.Remove(c.Output)) // half an export looks like a whole one
		}
		if c.JSON {
			return writeJSON(s.out, map[string]string{"file": c.Output})
		}
		fmt.Fprintf(s.out, "written to %s, in clear: delete it when it was used\n", c.Output)
		return nil
	})
}

type outboxVerifyCmd struct{ box }

// outboxReport is what verify found.
type outboxReport struct {
	OK      bool        `json:"ok"`
	Items   int         `json:"items"`
	Damaged []outbox.ID `json:"damaged"`
	NoKey   int         `json:"noKey"`
	Old     int         `json:"oldKey"`
	Aside   int         `json:"aside"`
	Index   string      `json:"index,omitempty"`
}

var errDamaged = errors.New("the outbox is damaged")

func (c *outboxVerifyCmd) Run(ctx context.Context, s streams) error {
	return c.with(ctx, func(p *ehealth.Platform) error {
		r, err := p.Outbox.Verify(ctx)
		if err != nil {
			return err
		}
		out := outboxReport{OK: r.OK(), Items: r.Items, Damaged: append([]outbox.ID{}, r.Damaged...), NoKey: r.NoKey, Old: r.Old, Aside: r.Aside}
		if r.Index != nil {
			out.Index = r.Index.Error()
		}
		if c.JSON {
			err = writeJSON(s.out, out)
		} else {
			fmt.Fprintf(s.out, "%d items are whole, %d damaged, %d without a key, %d with an older key, %d set aside\n", out.Items, len(out.Damaged), out.NoKey, out.Old, out.Aside)
			for _, id := range out.Damaged {
				fmt.Fprintln(s.out, "damaged:", id)
			}
			if out.Index != "" {
				fmt.Fprintln(s.out, "indexes:", out.Index)
			}
		}
		if !out.OK {
			return errors.Join(err, errDamaged)
		}
		return err
	})
}
