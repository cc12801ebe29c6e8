package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/ehbox"
)

// archive keeps messages, encrypted, on this computer. A real practice has the database of its patient records; what
// counts is that Keep returns when the message survives the loss of power, not before.
type archive struct{ vault *cache.Vault }

const (
	kept  = "kept"
	aside = "aside"
)

// document is what the practice keeps of a message.
type document struct {
	Sender  string   `json:"sender"`
	Quality string   `json:"quality"`
	Title   string   `json:"title"`
	Patient string   `json:"patient"`
	Text    string   `json:"text"`
	Annexes [][]byte `json:"annexes"`
}

func openArchive(dir string) (*archive, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := cache.KeyFromFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	vault, err := cache.OpenVault(filepath.Join(dir, "vault"), key)
	if err != nil {
		return nil, err
	}
	return &archive{vault}, nil
}

// Known implements ehbox.Store.
func (a *archive) Known(ctx context.Context, ids []ehbox.MessageID) (map[ehbox.MessageID]ehbox.Stored, error) {
	out := map[ehbox.MessageID]ehbox.Stored{}
	for _, id := range ids {
		for bucket, state := range map[string]ehbox.Stored{kept: ehbox.Kept, aside: ehbox.Aside} {
			switch _, err := a.vault.Get(ctx, bucket, string(id)); {
			case err == nil:
				out[id] = state
			case !errors.Is(err, cache.ErrNotFound):
				return nil, err
			}
		}
	}
	return out, nil
}

// Keep implements ehbox.Store. A message that was kept already is kept in its own place: a program may die between
// keeping a message and remembering that it did.
func (a *archive) Keep(ctx context.Context, m *ehbox.Message) error {
	d := document{
		Sender: m.Sender.ID.Reveal(), Quality: string(m.Sender.Quality), Title: m.Title.Reveal(), Patient: m.Patient.Reveal(), Text: m.Text(),
	}
	for _, x := range m.Annexes {
		d.Annexes = append(d.Annexes, x.Content.Bytes())
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return a.vault.Put(ctx, kept, string(m.MessageID), b)
}

// SetAside implements ehbox.Store.
func (a *archive) SetAside(ctx context.Context, e *ehbox.Entry, why error) error {
	return a.vault.Put(ctx, aside, string(e.MessageID), []byte(why.Error()))
}

// read returns a document.
func (a *archive) read(ctx context.Context, id ehbox.MessageID) (d document, err error) {
	b, err := a.vault.Get(ctx, kept, string(id))
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(b, &d)
}

// isResult tells results from letters and from the platform's own messages.
func isResult(m *ehbox.Message) bool {
	return m.Specification.Type == ehbox.DocumentContent && m.Sender.Quality == ehbox.Labo
}
