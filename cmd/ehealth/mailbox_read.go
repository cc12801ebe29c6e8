package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

type mailboxReadCmd struct {
	ID      string `arg:"" help:"Id of the message, as list prints it."`
	Folder  string `help:"INBOX or SENTBOX." enum:"INBOX,SENTBOX" default:"INBOX"`
	Out     string `help:"Write the body into this file." placeholder:"FILE" type:"path" xor:"body"`
	Print   bool   `help:"Write the body to standard output, and everything else to standard error." xor:"body"`
	Annexes string `help:"Write the annexes into this directory, as ID-annex-1 and so on." placeholder:"DIR" type:"existingdir"`
	mail
}

// mailMessage is the answer of read. It holds no content.
type mailMessage struct {
	ID            string         `json:"id"`
	PublicationID string         `json:"publicationId"`
	Kind          string         `json:"kind"`
	Published     string         `json:"published"`
	From          mailParty      `json:"from"`
	Title         string         `json:"title,omitempty"`
	Patient       string         `json:"patient,omitempty"`
	Body          mailPart       `json:"body"`
	Annexes       []mailPart     `json:"annexes"`
	Encrypted     bool           `json:"encrypted"`
	Sealed        []*etee.Report `json:"sealed,omitempty"` // one per sealed field
	Receipt       *mailReceipt   `json:"receipt,omitempty"`
	LateError     *mailLate      `json:"lateError,omitempty"`
	Receipts      string         `json:"receipts,omitempty"`
}

type mailPart struct {
	Type string `json:"type"`
	Size int    `json:"size"`
	Name string `json:"name,omitempty"`
	File string `json:"file,omitempty"` // where it was written
}

// mailReceipt says what became of a message that was sent.
type mailReceipt struct {
	Message string    `json:"message"`
	Type    string    `json:"type"`
	At      time.Time `json:"at"`
}

// mailLate says that a letter could not be delivered.
type mailLate struct {
	PublicationID string `json:"publicationId"`
	Code          string `json:"code"`
}

func (c *mailboxReadCmd) Run(ctx context.Context, s streams) error {
	box, err := c.box()
	if err != nil {
		return err
	}
	if c.Print && c.JSON {
		return usageError{errors.New("--print and --json both want standard output")}
	}
	p, err := c.platform(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	began := time.Now()
	m, err := p.Mail.Read(ctx, ehbox.MessageRequest{Box: box, Folder: ehbox.Folder(c.Folder), MessageID: ehbox.MessageID(c.ID)})
	if err != nil {
		return c.failed(notice.EHealthBox, began, unreadable(err))
	}
	out, err := c.keep(m)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, out)
	}
	if c.Print {
		_, err := s.out.Write(m.Body.Bytes())
		return errors.Join(err, out.write(s.err))
	}
	return out.write(s.out)
}

// keep writes what was asked for and describes the message.
func (c *mailboxReadCmd) keep(m *ehbox.Message) (*mailMessage, error) {
	out := &mailMessage{
		ID: string(m.MessageID), PublicationID: m.PublicationID, Kind: string(m.Specification.Type), Published: m.Info.Published.String(),
		From: senderParty(m.Sender, c.Reveal), Encrypted: m.Specification.Encrypted, Sealed: m.Reports,
		Body: mailPart{Type: m.BodyType, Size: m.Body.Len(), File: c.Out}, Annexes: []mailPart{},
		Receipts: receipts(ehbox.Folder(c.Folder), ehbox.ReadReceipt),
	}
	if c.Reveal {
		out.Title, out.Patient, out.Body.Name = m.Title.Reveal(), m.Patient.Reveal(), m.BodyFile.Reveal()
	}
	if r := m.Receipt; r != nil {
		out.Receipt = &mailReceipt{Message: string(r.MessageID), Type: string(r.Type), At: r.At}
	}
	if e := m.LateError; e != nil {
		out.LateError = &mailLate{PublicationID: e.PublicationID, Code: string(e.Code)}
	}
	if c.Out != "" {
		if err := writeFile(c.Out, data(m.Body)); err != nil {
			return nil, err
		}
	}
	for i, a := range m.Annexes {
		part := mailPart{Type: a.MimeType, Size: a.Content.Len()}
		if c.Reveal {
			part.Name = a.FileName.Reveal()
		}
		if c.Annexes != "" {
			part.File = filepath.Join(c.Annexes, fmt.Sprintf("%s-annex-%d%s", m.MessageID, i+1, extension(a.FileName.Reveal())))
			if err := writeFile(part.File, data(a.Content)); err != nil {
				return nil, err
			}
		}
		out.Annexes = append(out.Annexes, part)
	}
	return out, nil
}

func data(d ehbox.Data) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(d.Bytes())
		return pathless(err)
	}
}

var plainExtension = regexp.MustCompile(`^\.[A-Za-z0-9]{1,8}$`)

// extension is that of the sender's file name; the rest of it may be about a person.
func extension(name string) string {
	if ext := filepath.Ext(name); plainExtension.MatchString(ext) {
		return strings.ToLower(ext)
	}
	return ""
}

func (m *mailMessage) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(t, "%s\t%s\n", k, shown(v))
		}
	}
	row("id", m.ID)
	row("kind", m.Kind)
	row("published", m.Published)
	row("from", m.From.String())
	row("title", m.Title)
	row("patient", m.Patient)
	row("body", m.Body.String())
	for i, a := range m.Annexes {
		row(fmt.Sprintf("annex %d", i+1), a.String())
	}
	if r := m.Receipt; r != nil {
		row("receipt", fmt.Sprintf("%s of %s at %s", r.Type, r.Message, local(r.At)))
	}
	if e := m.LateError; e != nil {
		row("not delivered", fmt.Sprintf("publication %s, code %s", e.PublicationID, e.Code))
	}
	row("sealed", m.sealed())
	if m.Receipts != "" && m.Receipt == nil && m.LateError == nil {
		row("receipts", "the sender, if he asked for it, is told that this message was read")
	}
	return t.Flush()
}

// sealed says who vouches for the content.
func (m *mailMessage) sealed() string {
	if len(m.Sealed) == 0 {
		if m.Encrypted {
			return "no field holds anything"
		}
		return "no: anybody on the way could read and change it"
	}
	text := fmt.Sprintf("%d fields, signatures are good", len(m.Sealed))
	for _, r := range m.Sealed {
		for _, w := range r.Warnings {
			text += "; " + string(w)
		}
	}
	return text
}

// String says what it is, and where it was written.
func (p mailPart) String() string {
	text := fmt.Sprintf("%s, %d bytes", p.Type, p.Size)
	if p.Name != "" {
		text += ", " + p.Name
	}
	if p.File != "" {
		text += ", written to " + p.File
	}
	return text
}
