package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// openCmd opens a sealed file.
type openCmd struct {
	storeFlags
	kekFlags
	Policy string `help:"What the message must fulfil: non-repudiation or without-non-repudiation, with switches after commas." default:"without-non-repudiation" placeholder:"NAME"`
	At     string `help:"When the message was received (RFC 3339): certificates must have been valid then." placeholder:"TIME"`
	JSON   bool   `help:"Write the verification report as one JSON object." name:"json"`
	Reveal bool   `help:"Show the sender's number and name."`
	In     string `help:"File to open." placeholder:"SEALED" required:""`
	Out    string `help:"File to write; not touched when the message is refused." placeholder:"PLAIN" required:""`
}

// Run opens. A message that is refused ends with exit code 3.
func (c *openCmd) Run(s streams) error {
	opener, opts, err := c.opener()
	if err != nil {
		return err
	}
	in, err := openInput("--in", c.In)
	if err != nil {
		return err
	}
	defer in.Close()
	sealed, err := io.ReadAll(io.LimitReader(in, etee.MaxSealed+1))
	if err != nil {
		return fmt.Errorf("--in: %w", pathless(err))
	}
	m, err := opener.OpenInPlace(sealed, opts...)
	if refusal, ok := errors.AsType[*etee.Refusal](err); ok {
		if c.JSON {
			if err := writeReport(s.out, refusal.Report, nil); err != nil {
				return err
			}
		}
		return refusedBy("etee.Open", err)
	}
	if err != nil {
		return err
	}
	err = writeFile(c.Out, func(w io.Writer) error {
		_, err := w.Write(m.Content)
		return pathless(err)
	})
	if err != nil {
		return err
	}
	return c.tell(s, m.Report)
}

// opener makes what opens the message: with the key, when one is named, else with the key store.
func (c *openCmd) opener() (*etee.Opener, []etee.OpenOption, error) {
	policy, err := etee.ParsePolicy(c.Policy)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--policy: %w", err)}
	}
	var opts []etee.OpenOption
	if c.At != "" {
		at, err := time.Parse(time.RFC3339, c.At)
		if err != nil {
			return nil, nil, usageError{errors.New("--at: not a time like 2026-11-22T10:00:00Z")}
		}
		opts = append(opts, etee.ReceivedAt(at))
	}
	k, withKEK, err := c.kek()
	if err != nil {
		return nil, nil, err
	}
	if withKEK {
		opts = append(opts, etee.WithKEK(k))
	}
	var store *keystore.Store
	var keys etee.Keys
	switch {
	case c.Keystore != "":
		if store, err = c.storeFlags.open(); err != nil {
			return nil, nil, err
		}
		keys = store
	case !withKEK:
		return nil, nil, usageError{errors.New("--keystore or --kek-file: needed to open the message")}
	}
	trust, err := c.trust(store)
	if err != nil {
		return nil, nil, err
	}
	opener, err := etee.NewOpener(keys, trust, policy)
	return opener, opts, err
}

// sender is whom the outer certificate speaks for. Number and name are a person's in most cases: they show only when asked for.
type sender struct {
	Type        string `json:"type"`
	Application string `json:"application,omitempty"`
	Certificate string `json:"certificate_sha256"`
	Number      string `json:"number,omitempty"`
	Name        string `json:"name,omitempty"`
}

func senderOf(r *etee.Report, reveal bool) *sender {
	sum := sha256.Sum256(r.Authentication.Raw)
	out := &sender{Certificate: hex.EncodeToString(sum[:])}
	s, err := r.Sender()
	if err != nil { // a certificate of another kind, which the trust anchors vouch for
		return out
	}
	out.Type, out.Application = string(s.Type), s.Application
	if reveal {
		out.Number, out.Name = s.Reveal(), s.RevealName()
	}
	return out
}

// writeReport writes the report and, for a message that was accepted, its sender.
func writeReport(w io.Writer, r *etee.Report, from *sender) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	if from != nil {
		fields["sender"] = from
	}
	return writeJSON(w, fields)
}

func (c *openCmd) tell(s streams, r *etee.Report) error {
	from := senderOf(r, c.Reveal)
	for _, w := range r.Warnings {
		fmt.Fprintf(s.err, "ehealth: warning: %s\n", string(w))
	}
	if c.JSON {
		return writeReport(s.out, r, from)
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range [...][2]string{
		{"sender", from.Type}, {"application", from.Application}, {"number", from.Number}, {"name", from.Name}, {"certificate", from.Certificate},
	} {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
		}
	}
	if !r.SigningTime.IsZero() {
		fmt.Fprintf(t, "signed\t%s\n", r.SigningTime.Local().Format("2006-01-02 15:04:05"))
	}
	fmt.Fprintf(t, "policy\t%s\n", r.Policy)
	return t.Flush()
}
