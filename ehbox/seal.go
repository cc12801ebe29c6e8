package ehbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
)

// Keyring is for whom a letter is sealed.
type Keyring struct {
	Recipients []etee.Recipient
	// Key changes when one of the recipients' keys does: a letter sealed under another one is sealed anew.
	Key string
}

// Keys finds the keys of recipients and of the sender, who must be able to read the copy in the SENTBOX.
type Keys interface {
	// For returns the keys of the holders of all these boxes and of the sender. When one cannot be had it returns an error,
	// best a *fault.Error: a letter is never sealed for a part of its recipients.
	For(ctx context.Context, boxes []BoxID) (Keyring, error)
}

// DepotKeys gets keys from the ETK depot. own is the sender's authentication certificate, whose token must be for one of
// keys.
func DepotKeys(d *etee.Depot, own *x509.Certificate, keys etee.Keys) Keys {
	return &depotKeys{d, own, keys}
}

type depotKeys struct {
	depot *etee.Depot
	own   *x509.Certificate
	keys  etee.Keys
}

func (k *depotKeys) For(ctx context.Context, boxes []BoxID) (Keyring, error) {
	var ring Keyring
	h := sha256.New()
	for _, b := range boxes {
		t, number, err := b.Depot()
		if err != nil {
			return Keyring{}, invalid(opSend, ServicePublication, ErrRecipients)
		}
		id, err := etee.NewIdentifier(t, number, "")
		if err != nil {
			return Keyring{}, invalid(opSend, ServicePublication, ErrRecipients)
		}
		found, err := k.depot.Get(ctx, id)
		if err != nil {
			return Keyring{}, err
		}
		ring.Recipients = append(ring.Recipients, found.Recipients()...)
		fmt.Fprintf(h, "%q,", found.Key())
	}
	own, err := k.depot.Own(ctx, k.own, k.keys)
	if err != nil {
		return Keyring{}, err
	}
	ring.Recipients = append(ring.Recipients, own.Recipient)
	fmt.Fprintf(h, "own %x", sha256.Sum256(own.ETK.Encryption().Raw))
	ring.Key = hex.EncodeToString(h.Sum(nil))
	return ring, nil
}

// Sealer seals; *etee.Sealer is one.
type Sealer interface {
	SealTo(w io.Writer, content io.Reader, to ...etee.Recipient) error
}

// boxesOf are whom a message must be sealed for.
func (r *SendMessageRequest) boxesOf() []BoxID {
	out := make([]BoxID, 0, len(r.Destinations))
	for _, d := range r.Destinations {
		if d.ID.Reveal() != AllRecipients {
			out = append(out, d.BoxID)
		}
	}
	return out
}

// seal returns the message with every field sealed on its own, as dossier 03 section 8.1 lists them, and with the digests
// of what will travel. r is not changed.
func (r *SendMessageRequest) seal(s Sealer, to []etee.Recipient) (*SendMessageRequest, error) {
	out := *r
	z := &sealing{s: s, to: to, plain: r.Parts}
	out.Parts = nil
	out.Document.Content = z.content(r.Document.Content, &out.Parts)
	out.Annexes = append([]Annex(nil), r.Annexes...)
	for i := range out.Annexes {
		a := &out.Annexes[i]
		a.Title = z.data(a.Title)
		a.Content = z.content(a.Content, &out.Parts)
	}
	if r.PatientINSS != nil {
		d := z.data(*r.PatientINSS)
		out.PatientINSS = &d
	}
	out.Free = z.free(r.Free)
	if z.err != nil {
		return nil, z.err
	}
	if err := out.digests(); err != nil {
		return nil, err
	}
	return &out, nil
}

// sealing keeps the first error.
type sealing struct {
	s     Sealer
	to    []etee.Recipient
	plain []Part
	err   error
}

// data seals one field. Nothing stays nothing (dossier 03 section 8.1).
func (z *sealing) data(d Data) Data {
	if z.err != nil || d.Len() == 0 {
		return d
	}
	return NewData(z.stream(bytes.NewReader(d.Bytes()), int64(d.Len())))
}

func (z *sealing) stream(in io.Reader, size int64) []byte {
	var b bytes.Buffer
	b.Grow(int(size) + int(size)/64 + 16<<10) // what sealing adds, and certificates
	if err := z.s.SealTo(&b, in, z.to...); err != nil {
		z.err = &fault.Error{Op: opSend, Service: ServicePublication, Kind: sealKind(err), Outcome: fault.NotSent, Err: err}
	}
	return b.Bytes()
}

func sealKind(err error) fault.Kind {
	if errors.Is(err, etee.ErrNoRecipient) || errors.Is(err, etee.ErrRecipient) {
		return fault.Security
	}
	return fault.Local
}

func (z *sealing) content(x Content, parts *[]Part) Content {
	if x.Ref == "" || z.err != nil {
		return Content{Text: z.data(x.Text)}
	}
	p, ok := findPart(z.plain, x.Ref)
	if !ok {
		z.err = invalid(opSend, ServicePublication, ErrParts)
		return x
	}
	in, err := p.Open()
	if err != nil {
		z.err = &fault.Error{Op: opSend, Service: ServicePublication, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
		return x
	}
	defer in.Close()
	*parts = append(*parts, Part(mime.Bytes(p.ID, p.Type, z.stream(in, p.Size))))
	return x
}

func (z *sealing) free(f *FreeInformations) *FreeInformations {
	if f == nil {
		return nil
	}
	var out FreeInformations
	if f.Text != nil {
		d := z.data(*f.Text)
		out.Text = &d
	}
	if f.Old != nil {
		out.Old = &OldFreeInformation{Render: f.Old.Render, Data: z.data(f.Old.Data)}
	}
	if f.Table != nil {
		t := &Table{Title: f.Table.Title}
		for _, r := range f.Table.Rows {
			t.Rows = append(t.Rows, Row{Left: z.data(r.Left), Right: z.data(r.Right)})
		}
		out.Table = t
	}
	return &out
}
