package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

type mailboxSendCmd struct {
	To        []string `help:"Recipient: TYPE/NUMBER/QUALITY, such as NIHII/12345678/HOSPITAL; may stand several times." placeholder:"BOX" required:""`
	Title     string   `help:"Title; it is never sealed, so no health data in it." placeholder:"TEXT"`
	Body      string   `help:"File with the body." placeholder:"FILE" required:"" type:"existingfile"`
	BodyType  string   `help:"Media type of the body." default:"text/plain" placeholder:"TYPE"`
	Annex     []string `help:"File to attach; may stand several times." placeholder:"FILE" type:"existingfile"`
	Patient   string   `help:"Number of the patient that it is about; sealed." placeholder:"SSIN"`
	Reference string   `help:"Own reference of the letter. The same one again is the same letter, and is not sent twice." placeholder:"TEXT"`
	Receipt   []string `help:"Ask to be told: published, received, read." enum:"published,received,read" placeholder:"WHAT"`
	Important bool     `help:"Mark it as important."`
	Clear     bool     `help:"Send it unsealed: anybody on the way can read it."`
	DataDir   string   `help:"Where a letter is kept until it is sent, when the configuration names no place." placeholder:"DIR" type:"path"`
	mail
}

// mailSent is the answer of send.
type mailSent struct {
	State         string         `json:"state"`
	Reference     string         `json:"reference"`
	PublicationID string         `json:"publicationId"`
	MessageID     string         `json:"messageId,omitempty"`
	ID            string         `json:"id,omitempty"` // of the item in the outbox
	Before        bool           `json:"before"`
	Error         *fault.Error   `json:"error,omitempty"`
	Notice        *notice.Notice `json:"notice,omitempty"`
}

func (c *mailboxSendCmd) Run(ctx context.Context, s streams) error {
	l, err := c.letter()
	if err != nil {
		return err
	}
	p, err := c.platform(ctx, c.keeping)
	if err != nil {
		for _, ours := range []error{outbox.ErrLocked, outbox.ErrKey, outbox.ErrCorrupt, outbox.ErrNewer, outbox.ErrFull} {
			if errors.Is(err, ours) {
				return errors.Unwrap(err) // not the person's mistake
			}
		}
		return err
	}
	defer p.Close()
	began := time.Now()
	sent, err := p.Mail.Send(ctx, l)
	if sent == nil {
		return c.failed(notice.EHealthBox, began, final(err))
	}
	return c.tell(s, sent, err)
}

// keeping gives the platform a place for the letter.
func (c *mailboxSendCmd) keeping(cfg *ehealth.Config) error {
	if cfg.DataDir == "" {
		cfg.DataDir = c.DataDir
	}
	if cfg.Outbox == nil {
		cfg.Outbox = &ehealth.Outbox{}
	}
	cfg.Outbox.ByHand = true // one letter, and those before it; ehealth outbox drain sends the rest
	switch {
	case cfg.Outbox.Postgres != "":
		return usageError{errors.New("the outbox of this configuration is a database, which its programs share: send with one of them")}
	case cfg.DataDir == "" && cfg.Outbox.File == "":
		return usageError{errors.New("the configuration names no dataDir and no outbox, where a letter is kept until it is sent: --data-dir")}
	}
	return nil
}

func (c *mailboxSendCmd) letter() (l ehbox.Letter, err error) {
	l = ehbox.Letter{
		Reference: c.Reference, Title: ehbox.Hide(c.Title), BodyType: c.BodyType, Important: c.Important, Clear: c.Clear,
		Receipts: ehbox.Receipts{
			Published: slices.Contains(c.Receipt, "published"), Received: slices.Contains(c.Receipt, "received"), Read: slices.Contains(c.Receipt, "read"),
		},
	}
	if l.From, err = c.box(); err != nil {
		return l, err
	}
	for _, text := range c.To {
		b, err := parseBox("--to", text)
		if err != nil {
			return l, err
		}
		l.To = append(l.To, ehbox.To(b))
	}
	if c.Patient != "" {
		if l.Patient, err = identity.ParseSSIN(c.Patient); err != nil {
			return l, usageError{fmt.Errorf("--patient: %w", err)}
		}
	}
	if l.Body, err = readPart("--body", c.Body); err != nil {
		return l, err
	}
	for _, path := range c.Annex {
		content, err := readPart("--annex", path)
		if err != nil {
			return l, err
		}
		kind := mime.TypeByExtension(filepath.Ext(path))
		if kind == "" {
			kind = "application/octet-stream"
		}
		l.Annexes = append(l.Annexes, ehbox.LetterAnnex{FileName: ehbox.Hide(filepath.Base(path)), MimeType: kind, Content: content})
	}
	return l, nil
}

// readPart reads a part of a letter. What is too long for a message is told by sending it.
func readPart(flag, path string) (ehbox.Data, error) {
	f, err := openInput(flag, path)
	if err != nil {
		return ehbox.Data{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, ehbox.MaxMessage+1))
	if err != nil {
		return ehbox.Data{}, fmt.Errorf("%s: %w", flag, pathless(err))
	}
	if len(b) > ehbox.MaxMessage {
		return ehbox.Data{}, usageError{fmt.Errorf("%s: %w", flag, ehbox.ErrSize)}
	}
	return ehbox.NewData(b), nil
}

// final makes exit code 3 of a letter that was not taken because of its recipients: nothing was sent, and trying again will
// not help.
func final(err error) error {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Security, fault.Conflict:
		return exitError{err, exitRefused}
	}
	return err
}

// leaves says what sends a letter that is kept, when no program with this outbox is running.
const leaves = `The letter is kept. It goes on with the next "ehealth mailbox send", or with "ehealth outbox drain" when the configuration has "mail": {}.`

// tell prints what became of the letter and chooses the exit code: one that waits is unavailable, one that nobody knows
// about yet is unknown.
func (c *mailboxSendCmd) tell(s streams, sent *ehbox.Sent, err error) error {
	out := mailSent{
		State: sent.State.String(), Reference: sent.Reference, PublicationID: sent.PublicationID, MessageID: string(sent.MessageID),
		ID: sent.ID.String(), Before: sent.Before,
	}
	code := exitUnavailable
	if sent.State == ehbox.SentUnknown {
		code = exitUnknown
	}
	if err != nil {
		out.Error, _ = errors.AsType[*fault.Error](err)
		if n, ok := notice.FromError(err, notice.EHealthBox); ok {
			out.Notice = &n
		}
		err = clientError{error: exitError{err, code}, lang: c.lang(), svc: notice.EHealthBox}
	}
	if err != nil {
		fmt.Fprintln(s.err, leaves)
	}
	if c.JSON {
		return errors.Join(writeJSON(s.out, out), err)
	}
	return errors.Join(out.write(s.out), err)
}

func (m mailSent) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(t, "%s\t%s\n", k, v)
		}
	}
	state := m.State
	if m.Before {
		state += " (before)"
	}
	row("state", state)
	row("message", m.MessageID)
	row("publication", m.PublicationID)
	row("reference", shown(m.Reference))
	row("outbox item", m.ID)
	return t.Flush()
}
