package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

type mailboxCmd struct {
	List mailboxListCmd `cmd:"" help:"List a folder of eHealthBox, newest first. Listing the INBOX tells senders who asked that their messages were received."`
	Read mailboxReadCmd `cmd:"" help:"Read and open one message. Reading from the INBOX tells its sender, if he asked, that it was read."`
	Send mailboxSendCmd `cmd:"" help:"Send a letter: sealed, and exactly once. It is kept while eHealthBox is down."`
}

// mail are the flags of every mailbox command.
type mail struct {
	Box    string `help:"Another of the own boxes: TYPE/NUMBER/QUALITY, such as NIHII/12345678/HOSPITAL." placeholder:"BOX"`
	Reveal bool   `help:"Show titles, names and numbers."`
	client
}

// platform opens the platform with mail. Without change it has no outbox: one process has that open at a time, and reading
// does not need it.
func (c *mail) platform(ctx context.Context, change func(*ehealth.Config) error) (*ehealth.Platform, error) {
	cfg, err := c.configured()
	if err != nil {
		return nil, err
	}
	if cfg.Mail == nil {
		cfg.Mail = &ehealth.Mail{}
	}
	if change == nil {
		cfg.Outbox = nil
	} else if err := change(&cfg); err != nil {
		return nil, err
	}
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}

// box is the box that the flag names, nil = the default one.
func (c *mail) box() (*ehbox.BoxID, error) {
	if c.Box == "" {
		return nil, nil
	}
	b, err := parseBox("--box", c.Box)
	return &b, err
}

// parseBox reads TYPE/NUMBER/QUALITY. Errors do not quote it.
func parseBox(flag, text string) (ehbox.BoxID, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return ehbox.BoxID{}, usageError{fmt.Errorf("%s: not of the form TYPE/NUMBER/QUALITY", flag)}
	}
	b, err := ehealth.FileBox{Type: parts[0], ID: parts[1], Quality: parts[2]}.Box()
	if err != nil {
		return b, usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return b, nil
}

type mailboxListCmd struct {
	Folder string `help:"INBOX, SENTBOX, BININBOX or BINSENTBOX." enum:"INBOX,SENTBOX,BININBOX,BINSENTBOX" default:"INBOX"`
	Max    int    `help:"At most so many messages." default:"100"`
	mail
}

// mailList is the answer of list.
type mailList struct {
	Folder   string         `json:"folder"`
	Size     int64          `json:"size"` // of the box, in bytes
	MaxSize  int64          `json:"maxSize"`
	StandBy  int64          `json:"standBy"` // messages that wait because the box is full
	Receipts string         `json:"receipts,omitempty"`
	Bad      int            `json:"bad"`
	Notice   *notice.Notice `json:"notice,omitempty"`
	Messages []mailEntry    `json:"messages"`
}

// mailParty is a box without its number, unless it is to be revealed.
type mailParty struct {
	Type    string `json:"type"`
	Quality string `json:"quality"`
	Number  string `json:"number,omitempty"`
	Name    string `json:"name,omitempty"`
}

type mailEntry struct {
	ID        string    `json:"id"`
	Bad       bool      `json:"bad,omitempty"` // it cannot be read; only the id may be relied upon
	Kind      string    `json:"kind,omitempty"`
	Published string    `json:"published,omitempty"`
	Size      string    `json:"size,omitempty"`
	From      mailParty `json:"from"`
	Title     string    `json:"title,omitempty"`
	Encrypted bool      `json:"encrypted"`
	Important bool      `json:"important"`
	Annexes   bool      `json:"annexes"`
}

// receipts says what the command tells senders who asked for it.
func receipts(folder ehbox.Folder, what ehbox.ReceiptType) string {
	if folder != ehbox.Inbox {
		return ""
	}
	return string(what)
}

func (c *mailboxListCmd) Run(ctx context.Context, s streams) error {
	box, err := c.box()
	if err != nil {
		return err
	}
	if c.Max < 1 {
		return usageError{errors.New("--max: at least 1")}
	}
	p, err := c.platform(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	began := time.Now()
	l, err := c.list(ctx, p.Mail.Client, box)
	if err != nil {
		return c.failed(notice.EHealthBox, began, err)
	}
	if c.JSON {
		return writeJSON(s.out, l)
	}
	return l.write(s, c.lang(), c.Reveal)
}

func (c *mailboxListCmd) list(ctx context.Context, client *ehbox.Client, box *ehbox.BoxID) (*mailList, error) {
	info, err := client.GetBoxInfo(ctx, ehbox.GetBoxInfoRequest{Box: box})
	if err != nil {
		return nil, err
	}
	folder := ehbox.Folder(c.Folder)
	l := &mailList{
		Folder: c.Folder, Size: info.Size, MaxSize: info.MaxSize, StandBy: info.StandBy,
		Receipts: receipts(folder, ehbox.ReceivedReceipt), Messages: []mailEntry{},
	}
	for e, err := range client.Walk(ctx, box, folder) {
		if err != nil {
			return nil, err
		}
		l.Messages = append(l.Messages, entryOf(e, c.Reveal))
		if e.Err != nil {
			l.Bad++
		}
		if len(l.Messages) == c.Max {
			break
		}
	}
	if l.Bad > 0 {
		n := notice.MessageSetAside()
		l.Notice = &n
	}
	return l, nil
}

func entryOf(e *ehbox.Entry, reveal bool) mailEntry {
	if e.Err != nil {
		return mailEntry{ID: string(e.MessageID), Bad: true}
	}
	out := mailEntry{
		ID: string(e.MessageID), Kind: string(e.Specification.Type), Published: e.Info.Published.String(), Size: e.Info.Size,
		From: senderParty(e.Sender, reveal), Encrypted: e.Specification.Encrypted, Important: e.Specification.Important,
	}
	if e.Content != nil {
		out.Annexes = e.Content.HasAnnex
		if reveal {
			out.Title = e.Content.Title.Reveal()
		}
	}
	return out
}

func senderParty(from ehbox.Sender, reveal bool) mailParty {
	out := mailParty{Type: from.Type, Quality: string(from.Quality)}
	if reveal {
		out.Number = from.ID.Reveal()
		out.Name = strings.TrimSpace(from.FirstName.Reveal() + " " + from.Name.Reveal())
	}
	return out
}

func (l *mailList) write(s streams, lang notice.Lang, reveal bool) error {
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if len(l.Messages) > 0 {
		fmt.Fprintln(t, "ID\tKIND\tPUBLISHED\tSIZE\tFROM\tMARKS\tTITLE")
	}
	for _, m := range l.Messages {
		if m.Bad {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\tcannot be read\t-\n", shown(m.ID))
			continue
		}
		title := "[private]"
		if reveal {
			title = shown(m.Title)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, shown(m.Kind), shown(m.Published), shown(m.Size), m.From, m.marks(), title)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d messages; the box holds %d of %d bytes", len(l.Messages), l.Size, l.MaxSize)
	if l.StandBy > 0 {
		fmt.Fprintf(s.out, ", and %d messages wait because it is full", l.StandBy)
	}
	fmt.Fprintln(s.out)
	if l.Receipts != "" && len(l.Messages) > 0 {
		fmt.Fprintln(s.err, "Senders who asked for it are told that these messages were received.")
	}
	if l.Notice != nil {
		fmt.Fprintln(s.err, l.Notice.Text(lang))
	}
	return nil
}

// shown is a text on one line of a terminal, which nobody else's control characters shall command.
func shown(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, text)
}

// String is the party for a person.
func (p mailParty) String() string {
	text := shown(p.Quality)
	for _, more := range []string{p.Number, p.Name} {
		if more != "" {
			text += " " + shown(more)
		}
	}
	return text
}

func (m mailEntry) marks() string {
	var out []string
	for _, mark := range []struct {
		is   bool
		text string
	}{{m.Encrypted, "sealed"}, {m.Important, "important"}, {m.Annexes, "annexes"}} {
		if mark.is {
			out = append(out, mark.text)
		}
	}
	if out == nil {
		return "-"
	}
	return strings.Join(out, ",")
}

// unreadable makes exit code 3 of a message that cannot be opened: asking again will not help.
func unreadable(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Notice != ehbox.NoticeBad || e.Outcome != fault.Done {
		return err
	}
	return exitError{err, exitRefused}
}
