package ehbox

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/mime"
)

// MetaPublicationID is the key of the custom meta in which a [Mailer] mirrors the PublicationId: lists show metas and not
// the PublicationId (dossier 03 section 4.2).
const MetaPublicationID = "EHC-PublicationID"

// Defaults of a Letter.
const (
	defaultTitle    = "Untitled"
	defaultAnnex    = "Annex"
	defaultBodyFile = "body.txt"
	defaultBodyType = "text/plain"
)

// Letter is what somebody wants to send, in clear. No way of printing it shows whom it is for or what it says.
type Letter struct {
	// Reference is our own, unique among the letters of the box that sends: the same reference is the same letter, however
	// often it is given. "" = a random one. At most 200 bytes.
	Reference string
	From      *BoxID        // another of the caller's boxes; nil = the default one
	To        []Destination // at least one
	Title     Private       // never encrypted: no health data here; empty = "Untitled"
	Body      Data
	BodyType  string  // media type, "" = text/plain
	BodyFile  Private // name for saving, empty = "body.txt"; never encrypted
	// BodyAttached sends the body as an attachment instead of inline. Recipients' programs may then show an empty message.
	BodyAttached bool
	Annexes      []LetterAnnex
	Free         *FreeInformations
	Patient      identity.SSIN // only in sealed letters
	// News sends NEWS, which its sender can update: a later message under the same PublicationId takes its place in the boxes
	// of those who got the first one, and the older one moves to their HISTORY. A [Mailer] sends each reference with one content
	// only (outbox.ErrConflict) and under another reference sends other news. An update is a [SendMessageRequest] under
	// Sent.PublicationID of the first one, for [Client.SendMessage]. Nothing finds out what became of one without an answer:
	// sending it once more can only replace it by itself.
	News      bool
	Important bool
	// Clear sends the letter unsealed. By default it is sealed for its recipients and its sender.
	Clear       bool
	Application string // 1 to 25 characters, optional
	Receipts    Receipts
	CustomMetas []CustomMeta // one more is added, see MetaPublicationID; one under that key is left out
	CopyMailTo  []Private
}

// LetterAnnex is an attachment of a letter. It always travels as a MIME part, an empty one inline.
type LetterAnnex struct {
	Title    Private // empty = "Annex"
	FileName Private // required; never encrypted
	MimeType string  // required
	Content  Data
}

// Despite is the letter for those of its recipients who are out of office too, and for the substitutes that the user
// chose. It has another reference, and so another PublicationId, because it is not known whether the refusal used up the
// first one (dossier 03 section 5.4).
func (l Letter) Despite(absences []Absence, substitutes ...BoxID) Letter {
	l.Reference = next(l.Reference)
	to := append([]Destination(nil), l.To...)
	for _, a := range absences {
		is := func(d Destination) bool { return d.Same(a.BoxID) }
		if !slices.ContainsFunc(to, is) { // the platform knows him by another number than the letter does
			is = func(d Destination) bool { return d.mayBe(a.BoxID) }
		}
		for i := range to {
			to[i].OutOfOfficeHandled = to[i].OutOfOfficeHandled || is(to[i])
		}
	}
	for _, s := range substitutes {
		to = append(to, To(s))
	}
	l.To = to
	return l
}

// next counts a reference up: "x" becomes "x/2", "x/2" becomes "x/3". An empty one stays: it is random each time.
func next(ref string) string {
	if ref == "" {
		return ""
	}
	var n int
	for i := len(ref) - 1; i > 0 && len(ref)-i < 5; i-- {
		if ref[i] == '/' {
			if _, err := fmt.Sscanf(ref[i+1:], "%d", &n); err == nil && n > 1 && fmt.Sprint(n) == ref[i+1:] {
				return ref[:i+1] + fmt.Sprint(n+1)
			}
			break
		}
	}
	return ref + "/2"
}

// PublicationID is the number under which a letter of that reference is sent from that box: 13 of 0-9 and A-Z, of 67 bits
// that nobody chose. It does not tell the reference.
func PublicationID(from BoxID, reference string) string {
	h := sha256.New()
	for _, s := range []string{"ehbox publication 1", from.Type, from.number(), string(from.Quality), reference} {
		fmt.Fprintf(h, "%d:%s,", len(s), s)
	}
	n := new(big.Int).SetBytes(h.Sum(nil))
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base, digit := big.NewInt(int64(len(digits))), new(big.Int)
	id := make([]byte, 13)
	for i := range id {
		n.DivMod(n, base, digit)
		id[i] = digits[digit.Int64()]
	}
	return string(id)
}

// request writes the letter as a message that is not sealed yet and has no digests: the form in which it is kept.
func (l *Letter) request(publicationID string) *SendMessageRequest {
	r := &SendMessageRequest{
		PublicationID: publicationID, Box: l.From, Destinations: l.To, Free: l.Free, Receipts: l.Receipts, CopyMailTo: l.CopyMailTo,
		Document: Document{
			Title: orHide(l.Title, defaultTitle), FileName: orHide(l.BodyFile, defaultBodyFile), MimeType: l.BodyType,
		},
		Specification: Specification{Application: l.Application, Type: DocumentContent, Important: l.Important, Encrypted: !l.Clear},
	}
	if r.Document.MimeType == "" {
		r.Document.MimeType = defaultBodyType
	}
	if l.News {
		r.Specification.Type = NewsContent
	}
	if !l.Patient.IsZero() {
		d := NewData([]byte(l.Patient.Reveal()))
		r.PatientINSS = &d
	}
	body := l.Body
	if body.Len() == 0 && len(l.Annexes) > 0 { // dossier 03 section 5.1
		body = NewData(fmt.Appendf(nil, "Document with %d annexes", len(l.Annexes)))
	}
	r.Document.Content = r.content(0, body, r.Document.MimeType, l.BodyAttached)
	for i, a := range l.Annexes {
		r.Annexes = append(r.Annexes, Annex{
			Title: NewData([]byte(orHide(a.Title, defaultAnnex).Reveal())), FileName: a.FileName, MimeType: a.MimeType,
			Content: r.content(i+1, a.Content, a.MimeType, true),
		})
	}
	for _, m := range l.CustomMetas {
		if m.Key != MetaPublicationID { // of the letter that this one was made of
			r.CustomMetas = append(r.CustomMetas, m)
		}
	}
	r.CustomMetas = append(r.CustomMetas, CustomMeta{Key: MetaPublicationID, Value: Hide(publicationID)})
	return r
}

func orHide(p Private, def string) Private {
	if p.IsZero() {
		return Hide(def)
	}
	return p
}

// content puts bytes inline or into a part.
func (r *SendMessageRequest) content(n int, d Data, typ string, attached bool) Content {
	if !attached || d.Len() == 0 {
		return Content{Text: d}
	}
	id := fmt.Sprintf("%s-%d@ehealth-continuity", r.PublicationID, n)
	r.Parts = append(r.Parts, Part(mime.Bytes(id, typ, d.Bytes())))
	return Content{Ref: mime.Ref(id)}
}

// digests computes what is not there yet, of the bytes as they will travel.
func (r *SendMessageRequest) digests() error {
	sum := func(x Content) (Data, error) {
		if x.Ref == "" {
			return Digest(x.Text.Bytes()), nil
		}
		p, ok := findPart(r.Parts, x.Ref)
		if !ok {
			return Data{}, ErrParts
		}
		h := sha256.New()
		in, err := p.Open()
		if err != nil {
			return Data{}, err
		}
		defer in.Close()
		if _, err := io.Copy(h, in); err != nil {
			return Data{}, err
		}
		return NewData(h.Sum(nil)), nil
	}
	var err error
	if r.Document.Digest, err = sum(r.Document.Content); err != nil {
		return err
	}
	for i := range r.Annexes {
		if r.Annexes[i].Digest, err = sum(r.Annexes[i].Content); err != nil {
			return err
		}
	}
	return nil
}

// findPart finds the part that a reference means.
func findPart(parts []Part, ref string) (*Part, bool) {
	id, ok := mime.ID(ref)
	if !ok {
		return nil, false
	}
	for i := range parts {
		if parts[i].ID == id {
			return &parts[i], true
		}
	}
	return nil, false
}

// bytes is the whole content of a part.
func (p *Part) bytes() ([]byte, error) {
	m := mime.Part(*p)
	return m.Content()
}
