package ehbox

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// fakeBox is a small eHealthBox for one user: folders, newest first.
type fakeBox struct {
	t testing.TB

	mu      sync.Mutex
	folders map[Folder][]*stored
	sends   int // requests to send that were executed
	n       int
	before  func(asked) *answer // may answer instead
	after   func(asked) *answer // may replace the answer of what was executed
	mangle  func([]byte) []byte // changes lists
	listed  []string            // windows asked for
	read    []MessageID
}

type stored struct {
	Entry
	full  GetFullMessageResponse
	parts []mime.Part
}

func newFake(t testing.TB) *fakeBox { return &fakeBox{t: t, folders: map[Folder][]*stored{}} }

// put places a message at the top of a folder.
func (f *fakeBox) put(folder Folder, m *stored) *stored {
	if m.MessageID == "" {
		f.n++
		m.MessageID = MessageID(fmt.Sprintf("9Y%011d", f.n))
	}
	m.Destination.BoxID = doctorINSS
	m.Sender.BoxID, m.Sender.Name = doctorNIHII, Hide("Jan Synthetisch")
	if m.Info.Published.IsZero() {
		m.Info = MessageInfo{Published: DateOf(time.Now()), Expires: DateOf(time.Now().AddDate(0, 6, 0)), Size: "1"}
	}
	if m.Specification.Type == "" {
		m.Specification.Type = DocumentContent
	}
	m.full.Code, m.full.Sender, m.full.Info = Success, m.Sender, m.Info
	full := &m.full.Message
	full.MessageID, full.Specification, full.CustomMetas = m.MessageID, m.Specification, m.CustomMetas
	if len(full.Destinations) == 0 {
		full.Destinations = []Destination{To(doctorINSS)}
	}
	if full.Document.Title.IsZero() {
		m.Content = &ContentInfo{Title: Hide("T"), MimeType: "text/plain"}
		full.Document = Document{Title: Hide("T"), FileName: Hide("f"), MimeType: "text/plain", Content: Content{Text: NewData([]byte("body " + m.MessageID))}}
	}
	f.folders[folder] = slices.Insert(f.folders[folder], 0, m)
	return m
}

func (f *fakeBox) answer(q asked) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if a := f.before(q); a != nil {
			return *a
		}
	}
	a := f.execute(q)
	if f.after != nil {
		if b := f.after(q); b != nil {
			return *b
		}
	}
	return a
}

func (f *fakeBox) execute(q asked) answer {
	switch q.root.Local() {
	case "GetMessagesListRequest":
		return f.list(q)
	case "GetFullMessageRequest":
		return f.get(q)
	case "MoveMessageRequest":
		return f.move(q)
	case "SendMessageRequest":
		return f.send(q)
	}
	f.t.Errorf("unexpected %s", q.root.Local())
	return answer{status: 404}
}

func reading[T any](f *fakeBox, n *xmltree.Node, wire func(*T, *codec)) *T {
	v := new(T)
	if _, err := decode(n, n.Space(), n.Local(), v, wire); err != nil {
		f.t.Errorf("request: %v", err)
	}
	return v
}

func writing[T any](f *fakeBox, space, root string, v *T, wire func(*T, *codec)) answer {
	b, err := encode(space, root, v, wire)
	if err != nil {
		f.t.Errorf("answer: %v", err)
	}
	return answer{doc: b}
}

func (f *fakeBox) list(q asked) answer {
	r := reading(f, q.root, (*GetMessagesListRequest).wire)
	f.listed = append(f.listed, fmt.Sprintf("%s %d-%d", r.Folder, r.Start, r.End))
	out := &GetMessagesListResponse{Folder: r.Folder}
	out.Code = Success
	for i, m := range f.folders[r.Folder] {
		if i+1 >= r.Start && i+1 <= r.End {
			out.Entries = append(out.Entries, m.Entry)
		}
	}
	a := writing(f, nsConsultation, "GetMessagesListResponse", out, (*GetMessagesListResponse).wire)
	if f.mangle != nil {
		a.doc = f.mangle(a.doc)
	}
	return a
}

func (f *fakeBox) get(q asked) answer {
	r := reading(f, q.root, (*MessageRequest).wire)
	f.read = append(f.read, r.MessageID)
	for _, m := range f.folders[r.Folder] {
		if m.MessageID == r.MessageID {
			a := writing(f, nsConsultation, "GetFullMessageResponse", &m.full, (*GetFullMessageResponse).wire)
			a.parts = m.parts
			return a
		}
	}
	return answer{doc: sample(f.t, "fault-business-806.xml"), status: 500}
}

func (f *fakeBox) move(q asked) answer {
	r := reading(f, q.root, (*MoveMessageRequest).wire)
	out := &ChangeResponse{}
	out.Code = Success
	for _, id := range r.MessageIDs {
		i := slices.IndexFunc(f.folders[r.From], func(m *stored) bool { return m.MessageID == id })
		if i < 0 {
			out.Code = NotAllMoved
			out.NotDone = append(out.NotDone, id)
			continue
		}
		m := f.folders[r.From][i]
		f.folders[r.From] = slices.Delete(f.folders[r.From], i, i+1)
		f.folders[r.To] = slices.Insert(f.folders[r.To], 0, m)
	}
	return writing(f, nsConsultation, "MoveMessageResponse", out, (*ChangeResponse).wire)
}

// send keeps a copy of each message in SENTBOX, without looking for doubles: those are what is counted.
func (f *fakeBox) send(q asked) answer {
	r := reading(f, q.root, (*SendMessageRequest).wire)
	f.sends++
	m := f.put(Sentbox, &stored{
		Entry: Entry{Specification: r.Specification, CustomMetas: r.CustomMetas}, parts: q.parts,
		full: GetFullMessageResponse{Message: FullMessage{
			PublicationID: r.PublicationID, Destinations: r.Destinations, Document: r.Document, Free: r.Free,
			PatientINSS: r.PatientINSS, Annexes: r.Annexes,
		}},
	})
	for _, a := range append([]Annex{{Content: r.Document.Content, Digest: r.Document.Digest}}, r.Annexes...) {
		got := a.Content.Text.Bytes()
		if p, ok := findPart(fromMime(q.parts), a.Content.Ref); ok {
			got, _ = p.bytes()
		}
		if !Digest(got).Equal(a.Digest) {
			f.t.Error("a digest is not that of the bytes that travelled")
		}
	}
	out := &SendMessageResponse{SentPublicationID: r.PublicationID}
	out.ID, out.Code = string(m.MessageID), Success
	return writing(f, nsPublication, "SendMessageResponse", out, (*SendMessageResponse).wire)
}

// The people of etee's own vectors.
const vectors = "../etee/testdata/vectors/"

func trust(t testing.TB) etee.Trust {
	t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(vectors + "pki/root.pem")
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no trust anchors", err)
	}
	return etee.Trust{Roots: roots}
}

func store(t testing.TB, who string) *keystore.Store {
	t.Helper()
	s, err := keystore.OpenFile(vectors+"keystores/"+who+".p12", "ehealth-test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealer(t testing.TB, who string) *etee.Sealer {
	t.Helper()
	auth, err := store(t, who).Authentication()
	if err != nil {
		t.Fatal(err)
	}
	s, err := etee.NewSealer(auth)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func recipient(t testing.TB, who string) etee.Recipient {
	t.Helper()
	b, err := os.ReadFile(vectors + "etk/" + who + ".etk")
	if err != nil {
		t.Fatal(err)
	}
	k, err := etee.ParseETK(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := k.Check(trust(t), etee.Policy{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func opener(t testing.TB, who string) *etee.Opener {
	t.Helper()
	o, err := etee.NewOpener(store(t, who), trust(t), etee.Policy{NonRepudiation: true, Window: -1})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// keyring is a Keys that can fail and change.
type keyring struct {
	mu    sync.Mutex
	ring  Keyring
	err   error
	asked int
	hang  bool // until the caller gives up
}

func (k *keyring) For(ctx context.Context, _ []BoxID) (Keyring, error) {
	k.mu.Lock()
	if k.hang {
		k.asked++
		k.mu.Unlock()
		<-ctx.Done()
		return Keyring{}, &fault.Error{Kind: fault.Timeout, Outcome: fault.Unknown, Err: ctx.Err()}
	}
	defer k.mu.Unlock()
	k.asked++
	return k.ring, k.err
}

func (k *keyring) set(ring Keyring, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ring, k.err = ring, err
}

// contains tells whether a message holds these bytes anywhere.
func contains(q asked, b string) bool {
	if bytes.Contains(q.body, []byte(b)) || bytes.Contains(q.body, []byte(encodeData(NewData([]byte(b))))) {
		return true
	}
	for _, p := range q.parts {
		if data, _ := p.Content(); bytes.Contains(data, []byte(b)) {
			return true
		}
	}
	return false
}

func recipients(t testing.TB) []etee.Recipient {
	return []etee.Recipient{recipient(t, "hospital"), recipient(t, "pharmacy")}
}
