package ehbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
)

// cabinet is a Store in memory.
type cabinet struct {
	kept  []MessageID
	aside []MessageID
	fail  error
}

func (c *cabinet) Known(_ context.Context, ids []MessageID) (map[MessageID]Stored, error) {
	out := map[MessageID]Stored{}
	for _, id := range ids {
		if slices.Contains(c.kept, id) {
			out[id] = Kept
		}
		if slices.Contains(c.aside, id) {
			out[id] = Aside
		}
	}
	return out, nil
}

func (c *cabinet) Keep(_ context.Context, m *Message) error {
	if c.fail != nil {
		return c.fail
	}
	c.kept = append(c.kept, m.MessageID)
	return nil
}

func (c *cabinet) SetAside(_ context.Context, e *Entry, _ error) error {
	c.aside = append(c.aside, e.MessageID)
	return nil
}

// run makes one run and describes what came.
func run(t *testing.T, c *Client, r *Reader, s Store, o SyncOptions) (string, error) {
	t.Helper()
	sy, err := NewSyncer(c, r, s, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for x, err := range sy.Sync(context.Background()) {
		if err != nil {
			return strings.Join(got, " "), err
		}
		word := "?"
		switch {
		case x.Aside != nil:
			word = "aside"
		case x.Failed != nil:
			word = "failed"
		case x.Left:
			word = "left"
		case x.Message != nil:
			word = "kept"
		}
		got = append(got, fmt.Sprintf("%s:%s", strings.TrimLeft(string(x.Entry.MessageID), "9Y0"), word))
	}
	return strings.Join(got, " "), nil
}

func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c, _ := client(t, f.answer)
		for range 3 {
			f.put(Inbox, &stored{})
		}
		s := &cabinet{}
		got, err := run(t, c, NewReader(nil), s, SyncOptions{})
		if err != nil || got != "1:kept 2:kept 3:kept" {
			t.Errorf("%q, %v", got, err)
		}
		if got, err = run(t, c, NewReader(nil), s, SyncOptions{}); err != nil || got != "" || len(f.read) != 3 {
			t.Errorf("second run: %q, %v, read %d", got, err, len(f.read))
		}
		f.put(Inbox, &stored{})
		if got, err = run(t, c, NewReader(nil), s, SyncOptions{Remove: true}); err != nil || got != "4:kept" || len(f.folders[Inbox]) != 0 || len(f.folders[BinInbox]) != 4 {
			t.Errorf("third run: %q, %v, %d left, %d in the bin", got, err, len(f.folders[Inbox]), len(f.folders[BinInbox]))
		}
	})
}

// INC-2025-11-POISON: whatever is wrong with one message, the others are read, it stays in the box, and it is not fetched
// with every run.
func TestPoison(t *testing.T) {
	for name, c := range map[string]struct {
		poison func(*fakeBox, *stored)
		want   string // what becomes of it
		again  string // in the second run
	}{
		"not sealed":    {func(_ *fakeBox, m *stored) { m.full.Message.Specification.Encrypted = true }, "aside", ""},
		"for another":   {func(f *fakeBox, m *stored) { sealFor(f, m, "pharmacy") }, "aside", ""},
		"damaged seal":  {func(f *fakeBox, m *stored) { b := sealFor(f, m, "hospital"); b[len(b)/2] ^= 1 }, "aside", ""},
		"no attachment": {func(_ *fakeBox, m *stored) { m.full.Message.Document.Content = Content{Ref: "cid:none"} }, "aside", ""},
		"unreadable entry": {func(f *fakeBox, m *stored) {
			f.mangle = doubled("<MessageId>"+string(m.MessageID)+"</MessageId>", "<MessageInfo/>")
		}, "kept", ""},
		"entry without id": {func(f *fakeBox, m *stored) {
			f.mangle = doubled("<MessageId>"+string(m.MessageID)+"</MessageId>", "<MessageId/>")
		}, ":aside", ":aside"},
		"unreadable message": {func(f *fakeBox, m *stored) { answersTo(f, m, "<Sender/><Sender/>") }, "aside", ""},
		"another's message":  {func(f *fakeBox, m *stored) { m.full.Message.MessageID = "9Y00000000X99" }, "failed", "failed"},
		"platform stumbles": {func(f *fakeBox, m *stored) {
			answersWith(f, m, answer{doc: sample(f.t, "fault-system-SOA-00001.xml"), status: 500})
		}, "failed", "failed"},
		"connection ends": {func(f *fakeBox, m *stored) { answersWith(f, m, answer{err: io.ErrUnexpectedEOF}) }, "failed", "failed"},
		"not XML":         {func(f *fakeBox, m *stored) { answersWith(f, m, answer{doc: []byte("<Envelope>\x01")}) }, "failed", "failed"},
		"deleted meanwhile": {func(f *fakeBox, m *stored) {
			answersWith(f, m, answer{doc: sample(f.t, "fault-business-806.xml"), status: 500})
		}, "aside", "aside"},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T) {
				f := newFake(t)
				cl, _ := client(t, f.answer)
				f.put(Inbox, &stored{})
				m := f.put(Inbox, &stored{})
				f.put(Inbox, &stored{})
				c.poison(f, m)
				want := "1:kept 2:" + c.want + " 3:kept"
				if strings.HasPrefix(c.want, ":") {
					want = "1:kept " + c.want + " 3:kept"
				}
				s := &cabinet{}
				r := NewReader([]Opener{opener(t, "hospital")})
				got, err := run(t, cl, r, s, SyncOptions{})
				if err != nil || got != want {
					t.Fatalf("%q, %v", got, err)
				}
				again := c.again
				if again != "" && !strings.HasPrefix(again, ":") {
					again = "2:" + again
				}
				if got, err = run(t, cl, r, s, SyncOptions{Remove: true}); err != nil || got != again {
					t.Errorf("second run %q, %v", got, err)
				}
				if n := len(f.folders[Inbox]); c.want != "kept" && n != 1 {
					t.Errorf("%d messages left in the box", n)
				}
			})
		})
	}
}

func sealFor(f *fakeBox, m *stored, who string) []byte {
	b, err := sealer(f.t, "doctor").Seal([]byte("sealed"), recipient(f.t, who))
	if err != nil {
		f.t.Fatal(err)
	}
	m.full.Message.Specification.Encrypted = true
	m.full.Message.Document.Content = Content{Text: NewData(b)}
	return b
}

func doubled(after, add string) func([]byte) []byte {
	return func(doc []byte) []byte { return []byte(strings.ReplaceAll(string(doc), after, after+add)) }
}

func answersWith(f *fakeBox, m *stored, a answer) {
	f.before = func(q asked) *answer {
		if q.root.Local() == "GetFullMessageRequest" && strings.Contains(string(q.body), string(m.MessageID)) {
			return &a
		}
		return nil
	}
}

func answersTo(f *fakeBox, m *stored, add string) {
	a := writing(f, nsConsultation, "GetFullMessageResponse", &m.full, (*GetFullMessageResponse).wire)
	a.doc = []byte(strings.Replace(string(a.doc), "</Status>", "</Status>"+add, 1))
	answersWith(f, m, a)
}

// What fails for all ends the run; nothing is set aside because of it, and the next run fetches it.
func TestOutageIsNoPoison(t *testing.T) {
	for name, down := range map[string]answer{
		"HTML":    {doc: []byte("<html>Envelope</html>")},
		"503":     {doc: []byte("Envelope"), status: 503},
		"refused": {err: syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				c, _ := client(t, f.answer)
				for range 6 {
					f.put(Inbox, &stored{})
				}
				up := false
				f.before = func(q asked) *answer {
					if !up && q.root.Local() == "GetFullMessageRequest" && !strings.Contains(string(q.body), string(f.folders[Inbox][5].MessageID)) {
						return &down
					}
					return nil
				}
				s := &cabinet{}
				got, err := run(t, c, NewReader(nil), s, SyncOptions{})
				if err == nil || got != "1:kept 2:failed 3:failed" || len(s.aside) != 0 {
					t.Fatalf("%q, %v, aside %v", got, err, s.aside)
				}
				f.mu.Lock()
				up = true
				f.mu.Unlock()
				// The breaker lets calls through again after a while.
				for i := 0; ; i++ {
					time.Sleep(time.Minute)
					got, err = run(t, c, NewReader(nil), s, SyncOptions{})
					if err == nil || i > 50 {
						break
					}
				}
				if err != nil || len(s.kept) != 6 {
					t.Errorf("%q, %v, kept %d", got, err, len(s.kept))
				}
			})
		})
	}
}

// A store that cannot keep a message ends the run, and the message stays where it was.
func TestKeptFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c, _ := client(t, f.answer)
		f.put(Inbox, &stored{})
		full := errors.New("disk full, patient Jan")
		_, err := run(t, c, NewReader(nil), &cabinet{fail: full}, SyncOptions{Remove: true})
		if !errors.Is(err, full) || !errors.Is(err, fault.ErrLocal) || len(f.folders[Inbox]) != 1 || strings.Contains(err.Error(), "Jan") {
			t.Errorf("%v, %d in the box", err, len(f.folders[Inbox]))
		}
	})
}

// Nothing that sends a receipt is done against the caller's will.
func TestBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c, p := client(t, f.answer)
		f.put(Inbox, &stored{})
		f.put(Inbox, &stored{Entry: Entry{Specification: Specification{Type: AcknowledgmentContent}}})
		s := &cabinet{}
		got, err := run(t, c, NewReader(nil), s, SyncOptions{Before: func(Effect) bool { return false }})
		if got != "" || err != nil || p.count() != 0 {
			t.Errorf("%q, %v, %d requests", got, err, p.count())
		}
		var told []Effect
		got, err = run(t, c, NewReader(nil), s, SyncOptions{Before: func(e Effect) bool {
			told = append(told, e)
			return e.Type == ReceivedReceipt
		}})
		if got != "1:left 2:kept" || err != nil || len(told) != 2 || len(told[1].MessageIDs) != 1 {
			t.Errorf("%q, %v, told %v", got, err, told)
		}
	})
}

// Before is asked for every page, and a page that it refuses is not listed.
func TestBeforeEachPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		put(f, 250)
		c, _ := client(t, f.answer)
		pages := 0
		_, err := run(t, c, NewReader(nil), &cabinet{}, SyncOptions{Before: func(e Effect) bool {
			if e.Type == ReceivedReceipt {
				pages++
			}
			return pages < 2
		}})
		if err != nil || pages != 2 || len(f.listed) != 1 {
			t.Errorf("asked %d times, listed %v, %v", pages, f.listed, err)
		}
	})
}

// A quality that nobody knew when this was written does not take the page away (dossier 03 section 17, number 21).
func TestUnknownQualityOfOwnBox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		put(f, 3)
		f.mangle = func(doc []byte) []byte {
			before, after, ok := bytes.Cut(doc, []byte("<Destination>"))
			if !ok {
				t.Error("no destination")
			}
			after = bytes.Replace(after, []byte("<Quality>DOCTOR<"), []byte("<Quality>FUTURE_DOCTOR<"), 1)
			return slices.Concat(before, []byte("<Destination>"), after)
		}
		c, _ := client(t, f.answer)
		v, err := c.GetMessagesList(context.Background(), GetMessagesListRequest{Start: 1, End: 3})
		if err != nil || len(v.Entries) != 3 || v.Entries[0].Destination.Quality != "FUTURE_DOCTOR" {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// A client that gives its attachments away has none to keep: a Syncer says so before it makes every message a bad one.
func TestSpillAndSync(t *testing.T) {
	spill := WithSpill(func(Part) (io.WriteCloser, error) { return nil, io.ErrClosedPipe })
	c, _ := client(t, newFake(t).answer)
	if err := spill(&c.conf); err != nil {
		t.Fatal(err)
	}
	if _, err := NewSyncer(c, NewReader(nil), &cabinet{}, SyncOptions{}); !errors.Is(err, ErrSpilled) {
		t.Errorf("got %v", err)
	}
	v := &GetFullMessageResponse{Parts: []Part{{ID: "1@x", Type: "application/pdf", Size: 4}}}
	v.Message.Document.Content.Ref = mime.Ref("1@x")
	if _, err := NewReader(nil).Open(v); !errors.Is(err, ErrSpilled) || errors.Is(err, ErrNoPart) || !errors.Is(err, fault.ErrInvalid) || noticeOf(err) != "" {
		t.Errorf("got %v", err)
	}
	v.Parts[0].Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("back")), nil }
	if m, err := NewReader(nil).Open(v); err != nil || string(m.Body.Bytes()) != "back" {
		t.Errorf("got %+v, %v", m, err)
	}
	v.Parts = nil
	if _, err := NewReader(nil).Open(v); !errors.Is(err, ErrNoPart) || noticeOf(err) != NoticeBad {
		t.Errorf("got %v", err)
	}
}

// A message to a box of ours under a number that this client does not know is an error of its own; a page with nothing of
// ours is somebody else's. What stands there is fetched like the others, for the platform gives it to its owner only.
func TestUnknownNumberOfOwnBox(t *testing.T) {
	foreign := []byte("<Destination><Id>0899999933</Id><Type>CBE</Type><SubType>HOSPITAL</SubType><Quality>HOSPITAL</Quality>")
	for name, n := range map[string]int{"one": 1, "all": 3} { // of 3
		t.Run(name, inBubble(func(t *testing.T) {
			f := newFake(t)
			put(f, 3)
			f.put(Inbox, &stored{Entry: Entry{Specification: Specification{Type: ErrorContent}}, full: GetFullMessageResponse{Message: FullMessage{LateError: &LateError{PublicationID: "X", Code: LateTechnical}}}})
			f.folders[Inbox] = f.folders[Inbox][:3]
			f.mangle = func(doc []byte) []byte {
				parts := bytes.Split(doc, []byte("<Destination>"))
				for i := 1; i <= n; i++ {
					_, after, _ := bytes.Cut(parts[i], []byte("</Quality>"))
					parts[i] = append(bytes.TrimPrefix(bytes.Clone(foreign), []byte("<Destination>")), after...)
				}
				return bytes.Join(parts, []byte("<Destination>"))
			}
			cl, _ := client(t, f.answer)
			v, err := cl.GetMessagesList(context.Background(), GetMessagesListRequest{Start: 1, End: 10})
			if n == 3 {
				if !errors.Is(err, ErrMismatch) || !errors.Is(err, fault.ErrSecurity) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || len(v.Entries) != 3 {
				t.Fatalf("got %+v, %v", v, err)
			}
			e := v.Entries[0]
			if !errors.Is(e.Err, ErrMismatch) || !e.MessageID.valid() || !e.Sender.IsZero() || e.Content != nil || !e.Destination.IsZero() {
				t.Errorf("got %+v", e)
			}
			if v.Entries[1].Err != nil || v.Entries[2].Err != nil {
				t.Errorf("got %+v", v.Entries)
			}
			s := &cabinet{}
			got, err := run(t, cl, NewReader(nil), s, SyncOptions{})
			if err != nil || strings.Count(got, "kept") != 3 {
				t.Errorf("got %q, %v", got, err)
			}
			m, _ := NewMailer(cl, nil, nil)
			late := 0
			for f, err := range m.LateErrors(context.Background(), nil) {
				if late++; err != nil || f.Error.Code != LateTechnical {
					t.Errorf("got %+v, %v", f, err)
				}
			}
			if late != 1 {
				t.Errorf("%d late errors", late)
			}
		}))
	}
}

// A folder that changes between two pages is still listed whole, and nothing comes twice.
func TestWalkOverMovingList(t *testing.T) {
	for name, change := range map[string]func(f *fakeBox, page int){
		"still":    func(*fakeBox, int) {},
		"arrivals": func(f *fakeBox, _ int) { put(f, 15) },
		"deletions": func(f *fakeBox, page int) {
			if page < 4 {
				f.folders[Inbox] = f.folders[Inbox][30:]
			}
		},
		"both": func(f *fakeBox, page int) {
			if page < 4 {
				f.folders[Inbox] = f.folders[Inbox][50:]
				put(f, 20)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				put(f, 350)
				c, _ := client(t, f.answer)
				page := 0
				f.after = func(asked) *answer {
					page++
					change(f, page)
					return nil
				}
				got := map[MessageID]int{}
				for e, err := range c.Walk(context.Background(), nil, Inbox) {
					if err != nil {
						t.Fatal(err)
					}
					got[e.MessageID]++
				}
				for _, m := range f.folders[Inbox] {
					if strings.Compare(string(m.MessageID), "9Y00000000350") <= 0 && got[m.MessageID] != 1 {
						t.Errorf("%s came %d times", m.MessageID, got[m.MessageID])
					}
				}
				for id, n := range got {
					if n != 1 {
						t.Errorf("%s came %d times", id, n)
					}
				}
			})
		})
	}
}

func put(f *fakeBox, n int) {
	for range n {
		f.put(Inbox, &stored{})
	}
}

// What readers take and what they refuse (dossier 03 section 8.4).
func TestOpen(t *testing.T) {
	f := newFake(t)
	text := []byte("TEST") // is base64 too
	sealed := func(to ...string) []byte {
		var r []etee.Recipient
		for _, who := range to {
			r = append(r, recipient(t, who))
		}
		b, err := sealer(t, "doctor").Seal(text, r...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	twice := func(b []byte) []byte { return []byte(encodeData(NewData(b))) }
	for name, c := range map[string]struct {
		content   []byte
		attached  bool
		encrypted bool
		opts      []ReaderOption
		want      string // "" = the bytes as they are
		err       error
	}{
		"in clear":              {text, false, false, nil, "TEST", nil},
		"in clear, attached":    {text, true, false, nil, "TEST", nil},
		"sealed":                {sealed("hospital"), false, true, nil, "TEST", nil},
		"sealed, attached":      {sealed("hospital"), true, true, nil, "TEST", nil},
		"for the second key":    {sealed("pharmacy"), false, true, nil, "TEST", nil},
		"sealed, base64 twice":  {twice(sealed("hospital")), true, true, nil, "TEST", nil},
		"sealed, flag in clear": {sealed("hospital"), false, false, nil, "TEST", nil},
		"another's in clear":    {sealed("doctor"), false, false, nil, "", nil},
		"for nobody here":       {sealed("doctor"), false, true, nil, "", ErrNoKeys},
		"flagged, not sealed":   {text, false, true, nil, "", ErrNotSealed},
		"flagged, taken":        {text, false, true, []ReaderOption{TakeUnsealed()}, "TEST", nil},
		"empty":                 {nil, false, true, nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := f.put(Inbox, &stored{})
			v := m.full
			v.Message.Specification.Encrypted = c.encrypted
			v.Message.Document.Content = Content{Text: NewData(c.content)}
			if c.attached {
				v.Message.Document.Content = Content{Ref: "cid:x"}
				v.Parts = []Part{Part(mime.Bytes("x", "x/y", c.content))}
			}
			got, err := NewReader([]Opener{opener(t, "hospital"), opener(t, "pharmacy")}, c.opts...).Open(&v)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v", err)
			}
			if c.err != nil {
				if e, ok := errors.AsType[*fault.Error](err); !ok || e.Notice != NoticeBad || e.Kind != fault.Security || e.Outcome != fault.Done {
					t.Errorf("got %v", err)
				}
				return
			}
			want := []byte(c.want)
			if c.want == "" {
				want = c.content
			}
			if string(got.Body.Bytes()) != string(want) || got.FlagWrong != (name == "sealed, flag in clear") {
				t.Errorf("got %d bytes, %v", got.Body.Len(), got.FlagWrong)
			}
		})
	}
}
