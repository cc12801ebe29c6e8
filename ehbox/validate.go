package ehbox

import (
	"crypto/sha256"
	"unicode/utf8"

	"github.com/ehealth-continuity/ehealth/internal/mime"
)

// validate refuses what the platform would refuse (dossier 03 sections 3.1, 5 and 7).
func (r *SendMessageRequest) validate() error {
	return first(r.validateRecipients(), r.validateTexts(), r.validateContents(), r.validateParts(), r.validateSize())
}

func (r *SendMessageRequest) validateRecipients() error {
	if len(r.Destinations) == 0 {
		return ErrRecipients
	}
	for _, d := range r.Destinations {
		if d.ID.IsZero() || d.Type == "" || d.Quality == "" {
			return ErrRecipients
		}
		if d.ID.Reveal() == AllRecipients && r.Specification.Encrypted {
			return ErrRecipients // there are no keys for everybody (dossier 03 section 5.3)
		}
		if u := d.User; u != nil {
			if len(u.INSS.Reveal()) != 11 || !between(u.FirstName.Reveal(), 1, maxName) || !between(u.LastName.Reveal(), 1, maxName) {
				return ErrRecipients
			}
		}
	}
	return nil
}

func between(s string, low, high int) bool {
	n := utf8.RuneCountInString(s)
	return n >= low && n <= high
}

func (r *SendMessageRequest) validateTexts() error {
	switch {
	case !between(r.PublicationID, 1, 13):
		return ErrPublicationID
	case !between(r.Document.Title.Reveal(), 1, maxTitle):
		return ErrText
	case !between(r.Specification.Application, 0, maxApplication):
		return ErrText
	case r.Specification.Type != DocumentContent && r.Specification.Type != NewsContent:
		return ErrRequest
	case len(r.CustomMetas) > MaxCustomMetas:
		return ErrText
	}
	for _, m := range r.CustomMetas {
		if !between(m.Key, 1, maxMeta) || !between(m.Value.Reveal(), 1, maxMeta) {
			return ErrText
		}
	}
	for _, m := range r.Metas {
		if !between(m.Type, 1, maxMeta) || len(m.Values) == 0 {
			return ErrText
		}
	}
	for _, m := range r.CopyMailTo {
		if !between(m.Reveal(), 1, maxMail) {
			return ErrText
		}
	}
	return nil
}

// validateContents looks at the document and the annexes. A digest is of the bytes as they travel, after sealing.
func (r *SendMessageRequest) validateContents() error {
	check := func(x Content, file Private, typ string, digest Data) error {
		if !between(file.Reveal(), 1, maxFileName) || !between(typ, 1, maxFileName) {
			return ErrText
		}
		if digest.Len() != sha256.Size {
			return ErrRequest
		}
		if x.Ref == "" && sha256.Sum256(x.Text.Bytes()) != [sha256.Size]byte(digest.Bytes()) {
			return ErrRequest
		}
		return nil
	}
	d := &r.Document
	if err := check(d.Content, d.FileName, d.MimeType, d.Digest); err != nil {
		return err
	}
	for _, a := range r.Annexes {
		if err := check(a.Content, a.FileName, a.MimeType, a.Digest); err != nil {
			return err
		}
	}
	if r.PatientINSS != nil && !r.Specification.Encrypted {
		return ErrRequest // the official client seals whatever names a patient (dossier 03 section 5.1)
	}
	if f := r.Free; f != nil && (f.Old != nil && f.Old.Render == "" || f.Table != nil && len(f.Table.Rows) == 0) {
		return ErrRequest
	}
	return nil
}

// validateParts: every reference has its part and every part its reference.
func (r *SendMessageRequest) validateParts() error {
	refs := map[string]bool{}
	for _, x := range r.contents() {
		if x.Ref == "" {
			continue
		}
		id, ok := mime.ID(x.Ref)
		if !ok || refs[id] {
			return ErrParts
		}
		refs[id] = true
	}
	for _, p := range r.Parts {
		if !refs[p.ID] || p.Open == nil {
			return ErrParts
		}
		delete(refs, p.ID)
	}
	if len(refs) > 0 {
		return ErrParts
	}
	return nil
}

func (r *SendMessageRequest) contents() []Content {
	out := []Content{r.Document.Content}
	for _, a := range r.Annexes {
		out = append(out, a.Content)
	}
	return out
}

func (r *SendMessageRequest) validateSize() error {
	n := int64(0)
	for _, d := range r.inline() {
		n += int64(d.Len())
	}
	for _, p := range r.Parts {
		n += p.Size
	}
	if n > MaxMessage {
		return ErrSize
	}
	return nil
}

// inline is all content that travels in the message itself.
func (r *SendMessageRequest) inline() []Data {
	out := []Data{r.Document.Content.Text}
	for _, a := range r.Annexes {
		out = append(out, a.Title, a.Content.Text)
	}
	if r.PatientINSS != nil {
		out = append(out, *r.PatientINSS)
	}
	f := r.Free
	if f == nil {
		return out
	}
	if f.Text != nil {
		out = append(out, *f.Text)
	}
	if f.Old != nil {
		out = append(out, f.Old.Data)
	}
	if f.Table != nil {
		for _, row := range f.Table.Rows {
			out = append(out, row.Left, row.Right)
		}
	}
	return out
}

// Digest is what stands in a Digest element: of the bytes as they travel, after sealing.
func Digest(transmitted []byte) Data {
	sum := sha256.Sum256(transmitted)
	return NewData(sum[:])
}
