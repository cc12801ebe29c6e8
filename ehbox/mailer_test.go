package ehbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// office is a mailer with its outbox, and the platform that it talks to.
type office struct {
	t      *testing.T
	fake   *fakeBox
	p      *platform
	keys   *keyring
	mailer *Mailer
	box    *outbox.Box
}

func newOffice(t *testing.T, opts ...MailerOption) *office {
	t.Helper()
	o := &office{t: t, fake: newFake(t), keys: &keyring{ring: Keyring{Recipients: recipients(t), Key: "1"}}}
	var c *Client
	c, o.p = client(t, o.fake.answer)
	var err error
	if o.mailer, err = NewMailer(c, o.keys, sealer(t, "doctor"), opts...); err != nil {
		t.Fatal(err)
	}
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := outbox.OpenBolt(filepath.Join(t.TempDir(), "outbox.db"))
	if err != nil {
		t.Fatal(err)
	}
	o.box, err = outbox.Open(context.Background(), disk, outbox.NewKeys(key), o.mailer.Handle(), outbox.WithPace(-1, -1, -1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.box.Close() })
	o.mailer.Use(o.box)
	return o
}

// inOffice runs a test on virtual time that begins now: certificates must be valid.
func inOffice(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		f(t)
	})
}

func (o *office) drain() {
	o.t.Helper()
	if err := o.box.Drain(context.Background(), nil); err != nil {
		o.t.Fatal(err)
	}
}

// check asserts how many letters the platform executed and how many requests to send it saw.
func (o *office) check(executed, posts int) {
	o.t.Helper()
	o.p.mu.Lock()
	n := 0
	for _, q := range o.p.asked {
		if q.root.Is(nsPublication, "SendMessageRequest") {
			n++
		}
	}
	o.p.mu.Unlock()
	o.fake.mu.Lock()
	defer o.fake.mu.Unlock()
	if o.fake.sends != executed || n != posts {
		o.t.Errorf("executed %d of %d requests, want %d of %d", o.fake.sends, n, executed, posts)
	}
}

func letter(ref string) Letter {
	return Letter{
		Reference: ref, To: []Destination{To(BoxID{ID: Hide("71999140"), Type: TypeNIHII, SubType: "HOSPITAL", Quality: Hospital})},
		Title: Hide("Letter"), Body: NewData([]byte("secret text of the body")), Patient: identity.MustSSIN("85073199704"),
		Annexes: []LetterAnnex{{Title: Hide("secret title"), FileName: Hide("scan.pdf"), MimeType: "application/pdf", Content: NewData([]byte("%PDF secret annex"))}},
		Free:    &FreeInformations{Table: &Table{Title: Hide("Vital"), Rows: []Row{{NewData([]byte("secret left")), NewData([]byte("37.2 secret"))}}}},
	}
}

// A letter goes sealed in every field, valid for the schema, and both recipient and sender can read it.
func TestSend(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		l := letter("case 1")
		sent, err := o.mailer.Send(context.Background(), l)
		if err != nil || sent.State != SentAccepted || len(sent.PublicationID) != 13 || !sent.MessageID.valid() || sent.Before {
			t.Fatalf("got %+v, %v", sent, err)
		}
		o.check(1, 1)
		q := o.p.last()
		for _, s := range []string{"secret", "85073199704"} {
			if contains(q, s) {
				t.Errorf("%q travels in clear", s)
			}
		}
		copied := o.fake.folders[Sentbox][0]
		if v, _ := copied.Meta(MetaPublicationID); v.Reveal() != sent.PublicationID {
			t.Error("the PublicationId is not among the metas")
		}
		for _, who := range []string{"hospital", "pharmacy"} {
			full := copied.full
			full.Parts = fromMime(copied.parts)
			m, err := NewReader([]Opener{opener(t, "doctor"), opener(t, who)}).Open(&full)
			if err != nil {
				t.Fatalf("%s: %v", who, err)
			}
			if m.Text() != "secret text of the body" || m.Patient.Reveal() != "85073199704" || m.Annexes[0].Title.Reveal() != "secret title" ||
				string(m.Annexes[0].Content.Bytes()) != "%PDF secret annex" || string(m.Free.Table.Rows[0].Right.Bytes()) != "37.2 secret" || len(m.Reports) != 6 {
				t.Errorf("%s reads something else (%d reports)", who, len(m.Reports))
			}
			if s := fmt.Sprintf("%v %+v %#v %+v", m, m, l, &l); strings.Contains(s, "secret") || strings.Contains(s, "850731") {
				t.Errorf("prints %s", s)
			}
		}

		// The same letter again is the same letter; another under its reference is refused.
		again, err := o.mailer.Send(context.Background(), letter("case 1"))
		if err != nil || !again.Before || again.MessageID != sent.MessageID {
			t.Errorf("again: %+v, %v", again, err)
		}
		l.Title = Hide("Another")
		if _, err := o.mailer.Send(context.Background(), l); !errors.Is(err, outbox.ErrConflict) {
			t.Errorf("another content: %v", err)
		}
		o.check(1, 1)
	})
}

// The request as it travels is valid for the schema.
func TestSentIsValid(t *testing.T) {
	var q asked
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		if _, err := o.mailer.Send(context.Background(), letter("valid")); err != nil {
			t.Fatal(err)
		}
		q = o.p.last()
	})
	oracle.ValidateXSD(t, schema(t, q.root), q.body)
}

// Whatever is down when the letter is sent, it is kept, told so, and goes once all is up: exactly once.
func TestSendWhileDown(t *testing.T) {
	unavailable := &fault.Error{Op: "etee.Get", Kind: fault.Unavailable, Outcome: fault.Unknown}
	for name, c := range map[string]struct {
		down func(*office)
		up   func(*office)
	}{
		"mailbox": {
			func(o *office) { o.p.down(true) },
			func(o *office) { o.p.down(false) },
		},
		"depot": {
			func(o *office) { o.keys.set(Keyring{}, unavailable) },
			func(o *office) {
				o.keys.set(Keyring{Recipients: recipients(o.t), Key: "1"}, nil)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T) {
				o := newOffice(t)
				c.down(o)
				sent, err := o.mailer.Send(context.Background(), letter(name))
				if !errors.Is(err, outbox.ErrQueued) || sent == nil || sent.State != SentQueued || sent.Notice != NoticeQueued || sent.ID.IsZero() {
					t.Fatalf("got %+v, %v", sent, err)
				}
				time.Sleep(time.Hour)
				c.up(o)
				o.drain()
				o.check(1, 1)
				res, err := o.mailer.Send(context.Background(), letter(name))
				if err != nil || res.State != SentAccepted || !res.Before {
					t.Errorf("got %+v, %v", res, err)
				}
				if contains(o.p.last(), "secret") {
					t.Error("sent in clear")
				}
			})
		})
	}
}

// A depot that hangs costs a person seconds and never the letter: it is on disk before the deadline.
func TestDepotHangs(t *testing.T) {
	for _, c := range []struct {
		name   string
		limit  time.Duration // of the caller; 0 = none
		within time.Duration
	}{
		{"no deadline", 0, outbox.DefaultDeadline},
		{"six seconds", 6 * time.Second, 6 * time.Second},
		{"long", time.Hour, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			inOffice(t, func(t *testing.T) {
				o := newOffice(t)
				o.keys.mu.Lock()
				o.keys.hang = true
				o.keys.mu.Unlock()
				ctx := context.Background()
				if c.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.limit)
					defer cancel()
				}
				began := time.Now()
				sent, err := o.mailer.Send(ctx, letter("case 1"))
				if took := time.Since(began); took > c.within {
					t.Errorf("took %v", took)
				}
				if !errors.Is(err, outbox.ErrQueued) || sent.Notice != NoticeQueued {
					t.Fatalf("got %+v, %v, want it queued", sent, err)
				}
				o.check(0, 0)
				o.keys.mu.Lock()
				o.keys.hang = false
				o.keys.mu.Unlock()
				o.drain()
				o.check(1, 1)
			})
		})
	}
}

// SYN-LOSTACK-EHBOX: the platform executes and the answer is lost. The letter is found in the SENTBOX and not sent again.
func TestLostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		lose   func(*fakeBox) *answer
		folder Folder
		trap   string // what else is wrong
	}{
		"cut":                {func(*fakeBox) *answer { return &answer{err: io.ErrUnexpectedEOF} }, Sentbox, ""},
		"HTML":               {func(*fakeBox) *answer { return &answer{doc: []byte("<html>Envelope</html>")} }, Sentbox, ""},
		"general error":      {func(f *fakeBox) *answer { return &answer{doc: sample(f.t, "fault-system-SOA-00001.xml"), status: 500} }, Sentbox, ""},
		"moved to the bin":   {func(f *fakeBox) *answer { return &answer{err: io.ErrUnexpectedEOF} }, BinSentbox, ""},
		"unreadable in list": {func(f *fakeBox) *answer { return &answer{err: io.ErrUnexpectedEOF} }, Sentbox, "poison"},
		"metas lost":         {func(f *fakeBox) *answer { return &answer{err: io.ErrUnexpectedEOF} }, Sentbox, "metas"},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T) {
				o := newOffice(t)
				for range 120 { // other letters stand around it
					o.fake.put(Sentbox, &stored{})
				}
				o.fake.after = func(q asked) *answer {
					if !q.root.Is(nsPublication, "SendMessageRequest") {
						return nil
					}
					if c.folder != Sentbox {
						m := o.fake.folders[Sentbox][0]
						o.fake.folders[Sentbox], o.fake.folders[c.folder] = o.fake.folders[Sentbox][1:], []*stored{m}
					}
					switch m := o.fake.folders[c.folder][0]; c.trap {
					case "poison":
						o.fake.mangle = func(doc []byte) []byte {
							id := []byte("<MessageId>" + m.MessageID + "</MessageId>")
							return bytes.ReplaceAll(doc, id, append(id, "<MessageInfo/>"...))
						}
					case "metas":
						m.CustomMetas = nil
					}
					for range 30 {
						o.fake.put(Sentbox, &stored{})
					}
					return c.lose(o.fake)
				}
				sent, err := o.mailer.Send(context.Background(), letter(name))
				if !errors.Is(err, outbox.ErrUnknown) || sent == nil || sent.State != SentUnknown {
					// The outbox may have found out within the call.
					if err != nil || sent.State != SentAccepted {
						t.Fatalf("got %+v, %v", sent, err)
					}
				}
				o.drain()
				o.check(1, 1)
				res, err := o.mailer.Send(context.Background(), letter(name))
				if err != nil || res.State != SentAccepted || !res.MessageID.valid() {
					t.Errorf("got %+v, %v", res, err)
				}
				o.check(1, 1)
			})
		})
	}
}

// The request is lost before it is executed: nothing in the SENTBOX, so after the horizon it is sent again, once, under
// the same PublicationId.
func TestLostRequest(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		lost := 0
		o.fake.before = func(q asked) *answer {
			if q.root.Is(nsPublication, "SendMessageRequest") && lost == 0 {
				lost++
				return &answer{err: io.ErrUnexpectedEOF}
			}
			return nil
		}
		began := time.Now()
		if _, err := o.mailer.Send(context.Background(), letter("lost")); !errors.Is(err, outbox.ErrUnknown) {
			t.Fatal(err)
		}
		o.drain()
		o.check(1, 2)
		if d := time.Since(began); d < 5*time.Minute {
			t.Errorf("sent again after %v", d)
		}
		first := true
		var id string
		for _, q := range o.p.asked {
			if !q.root.Is(nsPublication, "SendMessageRequest") {
				continue
			}
			v, _ := q.root.Attr("", "PublicationId")
			if !first && v != id {
				t.Errorf("PublicationId %s, then %s", id, v)
			}
			first, id = false, v
		}
	})
}

// A letter that waits is sealed anew when a key changes, sent as it was sealed when the keys cannot be had, and sealed at
// the moment of sending only when so wished.
func TestSealedWhen(t *testing.T) {
	down := &fault.Error{Kind: fault.Unavailable, Outcome: fault.Unknown}
	for name, c := range map[string]struct {
		opts   []MailerOption
		change func(*office)
		reader string
		asked  int
	}{
		"same key":   {nil, func(*office) {}, "hospital", 2},
		"depot down": {nil, func(o *office) { o.keys.set(Keyring{}, down) }, "hospital", 2},
		"key changed": {nil, func(o *office) {
			o.keys.set(Keyring{Recipients: []etee.Recipient{recipient(o.t, "pharmacy")}, Key: "2"}, nil)
		}, "pharmacy", 2},
		"sealed late": {[]MailerOption{SealWhenSending()}, func(o *office) {
			o.keys.set(Keyring{Recipients: []etee.Recipient{recipient(o.t, "pharmacy")}, Key: "2"}, nil)
		}, "pharmacy", 1},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T) {
				o := newOffice(t, c.opts...)
				it, err := o.mailer.item(ptr(letter(name)))
				if err != nil {
					t.Fatal(err)
				}
				r, err := decodeRecord(it.Payload)
				if err != nil {
					t.Fatal(err)
				}
				if it.Payload, err = o.mailer.sealEarly(context.Background(), r, it.Payload); err != nil {
					t.Fatal(err)
				}
				if _, err := o.box.Put(context.Background(), it); err != nil {
					t.Fatal(err)
				}
				c.change(o)
				o.drain()
				o.check(1, 1)
				if o.keys.asked != c.asked {
					t.Errorf("keys asked for %d times", o.keys.asked)
				}
				full := o.fake.folders[Sentbox][0].full
				full.Parts = fromMime(o.fake.folders[Sentbox][0].parts)
				if m, err := NewReader([]Opener{opener(t, c.reader)}).Open(&full); err != nil || m.Text() != "secret text of the body" {
					t.Errorf("%s cannot read it: %v", c.reader, err)
				}
			})
		})
	}
}

func ptr[T any](v T) *T { return &v }

// A refusal ends the letter; an absence is told with whoever is absent, and the second letter has another number.
func TestRefused(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		absent := true
		o.fake.before = func(q asked) *answer {
			if !absent {
				return nil
			}
			r := reading(o.fake, q.root, (*SendMessageRequest).wire)
			out := &SendMessageResponse{SentPublicationID: r.PublicationID, Absences: []Absence{{Party: r.Destinations[0].Party, Substitutes: []Party{{BoxID: doctorNIHII}}}}}
			out.ID, out.Code = "5H00000000S02", RecipientOutOfOffice
			return ptr(writing(o.fake, nsPublication, "SendMessageResponse", out, (*SendMessageResponse).wire))
		}
		l := letter("away")
		_, err := o.mailer.Send(context.Background(), l)
		away, ok := errors.AsType[*OutOfOfficeError](err)
		if !ok || len(away.Absences) != 1 {
			t.Fatalf("got %v", err)
		}
		absent = false
		second := l.Despite(away.Absences, away.Absences[0].Substitutes[0].BoxID)
		sent, err := o.mailer.Send(context.Background(), second)
		if err != nil || sent.PublicationID == away.PublicationID {
			t.Fatalf("got %+v, %v", sent, err)
		}
		r := reading(o.fake, o.p.last().root, (*SendMessageRequest).wire)
		if len(r.Destinations) != 2 || !r.Destinations[0].OutOfOfficeHandled || r.Destinations[1].OutOfOfficeHandled || l.To[0].OutOfOfficeHandled {
			t.Errorf("destinations %+v", r.Destinations)
		}
		if third := second.Despite(nil); third.Reference != "away/3" {
			t.Errorf("third reference %q", third.Reference)
		}
		o.check(1, 2)
	})
}

// A letter that was queued and then refused because of an absence: the same letter again tells who is absent, as often as
// it is asked, and once another one goes in its stead, or nobody is absent any more, nothing is sent twice.
func TestAwayAfterQueueing(t *testing.T) {
	for name, back := range map[string]bool{"despite": false, "back meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T) {
				o, ctx := newOffice(t), context.Background()
				absent := true
				o.fake.before = func(q asked) *answer {
					if !absent || q.root.Local() != "SendMessageRequest" {
						return nil
					}
					r := reading(o.fake, q.root, (*SendMessageRequest).wire)
					out := &SendMessageResponse{SentPublicationID: r.PublicationID, Absences: []Absence{{Party: r.Destinations[0].Party}}}
					out.ID, out.Code = "5H00000000S02", RecipientOutOfOffice
					return ptr(writing(o.fake, nsPublication, "SendMessageResponse", out, (*SendMessageResponse).wire))
				}
				o.p.down(true)
				l := letter("away")
				if _, err := o.mailer.Send(ctx, l); !errors.Is(err, outbox.ErrQueued) {
					t.Fatalf("got %v", err)
				}
				o.p.down(false)
				o.drain()
				o.check(0, 1)
				var out *OutOfOfficeError
				for n := range 2 {
					_, err := o.mailer.Send(ctx, l)
					if !errors.As(err, &out) || len(out.Absences) != 1 || !errors.Is(err, fault.ErrRejected) {
						t.Fatalf("got %v", err)
					}
					o.check(0, 2+n)
				}
				absent = false
				if back {
					sent, err := o.mailer.Send(ctx, l)
					if err != nil || sent.State != SentAccepted {
						t.Fatalf("got %+v, %v", sent, err)
					}
					o.check(1, 4)
					// Did one of the refusals use up its number? Then it did not arrive.
					o.fake.put(Inbox, &stored{Entry: Entry{Specification: Specification{Type: ErrorContent}}, full: GetFullMessageResponse{Message: FullMessage{LateError: &LateError{PublicationID: sent.PublicationID, Code: LateDuplicate}}}})
					for f, err := range o.mailer.LateErrors(ctx, nil) {
						if err != nil || !f.Ours || f.Action != ActResend {
							t.Errorf("got %+v, %v", f, err)
						}
					}
					return
				}
				for range 2 {
					if sent, err := o.mailer.Send(ctx, l.Despite(out.Absences)); err != nil || sent.State != SentAccepted {
						t.Fatalf("got %+v, %v", sent, err)
					}
				}
				if _, err := o.mailer.Send(ctx, l); !errors.Is(err, outbox.ErrState) {
					t.Errorf("got %v", err)
				}
				o.check(1, 4)
			})
		})
	}
}

// Letters that cannot be sent are not taken.
func TestNotTaken(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		for name, c := range map[string]struct {
			change func(*Letter)
			want   error
		}{
			"nobody":           {func(l *Letter) { l.To = nil }, ErrRecipients},
			"no file name":     {func(l *Letter) { l.Annexes[0].FileName = Private{} }, ErrText},
			"patient in clear": {func(l *Letter) { l.Clear = true }, ErrRequest},
			"too large":        {func(l *Letter) { l.Annexes[0].Content = NewData(make([]byte, MaxMessage)) }, ErrSize},
			"too large sealed": {func(l *Letter) { l.Annexes[0].Content = NewData(make([]byte, MaxMessage-1000)) }, ErrSize},
			"long text":        {func(l *Letter) { l.Free.Table, l.Free.Text = nil, ptr(NewData(make([]byte, MaxMessage))) }, ErrSize},
			"long old text": {func(l *Letter) {
				l.Free = &FreeInformations{Old: &OldFreeInformation{Render: "x", Data: NewData(make([]byte, MaxMessage))}}
			}, ErrSize},
			"long row":       {func(l *Letter) { l.Free.Table.Rows[0].Right = NewData(make([]byte, MaxMessage)) }, ErrSize},
			"long reference": {func(l *Letter) { l.Reference = strings.Repeat("x", 201) }, ErrText},
		} {
			l := letter(name)
			c.change(&l)
			if _, err := o.mailer.Send(context.Background(), l); !errors.Is(err, c.want) || !errors.Is(err, fault.ErrNotSent) {
				t.Errorf("%s: %v", name, err)
			}
		}
		unknown := &fault.Error{Kind: fault.NotFound, Outcome: fault.Rejected}
		o.keys.set(Keyring{}, unknown)
		if _, err := o.mailer.Send(context.Background(), letter("nobody there")); !errors.Is(err, fault.ErrNotFound) || !errors.Is(err, fault.ErrNotSent) {
			t.Errorf("got %v", err)
		}
		counts, err := o.box.Stats(context.Background())
		if err != nil || len(counts.By) != 0 || o.p.count() != 0 {
			t.Errorf("%v in the outbox, %d requests, %v", counts, o.p.count(), err)
		}
	})
}

// ERROR messages in the INBOX are matched to the letters that they are about.
func TestLateErrors(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		sent, err := o.mailer.Send(context.Background(), letter("late"))
		if err != nil {
			t.Fatal(err)
		}
		o.fake.put(Inbox, &stored{})
		for _, e := range []*LateError{
			{PublicationID: sent.PublicationID, Code: LateDuplicate},
			{PublicationID: "SOMEBODYELSE0", Code: LateDuplicate},
			{PublicationID: sent.PublicationID, Code: LateRecipient, Destinations: []Party{{BoxID: doctorNIHII}}},
			{PublicationID: sent.PublicationID, Code: LateTechnical},
			nil,
		} {
			o.fake.put(Inbox, &stored{Entry: Entry{Specification: Specification{Type: ErrorContent}}, full: GetFullMessageResponse{Message: FullMessage{LateError: e}}})
		}
		var got []string
		for f, err := range o.mailer.LateErrors(context.Background(), nil) {
			if err != nil {
				got = append(got, "bad")
				continue
			}
			got = append(got, fmt.Sprintf("%s %v %d", f.Error.Code, f.Ours, f.Action))
		}
		want := "bad, 700 true 1, 703 true 0, 702 false 1, 702 true 2"
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("got  %s\nwant %s", s, want)
		}
		if len(o.fake.read) != 5 {
			t.Errorf("read %d messages", len(o.fake.read))
		}
	})
}

// When the platform goes down in the middle, the walk over the ERROR messages ends with that.
func TestLateErrorsWhileDown(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		for range 5 {
			o.fake.put(Inbox, &stored{Entry: Entry{Specification: Specification{Type: ErrorContent}}, full: GetFullMessageResponse{Message: FullMessage{LateError: &LateError{PublicationID: "X", Code: LateTechnical}}}})
		}
		good, bad := 0, 0
		for _, err := range o.mailer.LateErrors(context.Background(), nil) {
			if err == nil {
				good++
				o.p.down(true)
				continue
			}
			if bad++; !errors.Is(err, fault.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		}
		if good != 1 || bad != 1 {
			t.Errorf("%d good ones, %d errors", good, bad)
		}
	})
}

// The platform may say "duplicate" before it is known what became of the letter: it is ours, one of our attempts arrived, and
// sending it once more under another number would deliver it twice.
func TestDuplicateOfUnsettled(t *testing.T) {
	inOffice(t, func(t *testing.T) {
		o := newOffice(t)
		o.fake.after = func(q asked) *answer {
			if q.root.Local() != "SendMessageRequest" {
				return nil
			}
			o.fake.folders[Sentbox] = nil // the copy comes later
			return &answer{err: io.ErrUnexpectedEOF}
		}
		sent, err := o.mailer.Send(context.Background(), letter("lost"))
		if !errors.Is(err, outbox.ErrUnknown) {
			t.Fatalf("got %+v, %v", sent, err)
		}
		o.fake.mu.Lock()
		o.fake.put(Inbox, &stored{
			Entry: Entry{Specification: Specification{Type: ErrorContent}},
			full:  GetFullMessageResponse{Message: FullMessage{LateError: &LateError{PublicationID: sent.PublicationID, Code: LateDuplicate}}},
		})
		o.fake.mu.Unlock()
		n := 0
		for f, err := range o.mailer.LateErrors(context.Background(), nil) {
			if n++; err != nil || !f.Ours || f.Action != ActWait {
				t.Errorf("%+v, %v", f, err)
			}
		}
		if n != 1 {
			t.Errorf("%d late errors", n)
		}
	})
}

// A letter made of another one brings its metas along, with that one's number among them: it must not be taken for it.
func TestForeignNumberInMetas(t *testing.T) {
	old := PublicationID(doctorINSS, "before")
	l := letter("after")
	l.CustomMetas = []CustomMeta{{Key: "CM-A", Value: Hide("1")}, {Key: MetaPublicationID, Value: Hide(old)}, {Key: "CM-A", Value: Hide("2")}}
	r := l.request("NEW0000000000")
	var keys []string
	for _, m := range r.CustomMetas {
		keys = append(keys, m.Key+"="+m.Value.Reveal())
	}
	if got := strings.Join(keys, " "); got != "CM-A=1 CM-A=2 "+MetaPublicationID+"=NEW0000000000" {
		t.Error(got)
	}
	if len(l.CustomMetas) != 3 || l.CustomMetas[1].Key != MetaPublicationID {
		t.Error("the letter was changed")
	}
}

func TestPublicationID(t *testing.T) {
	seen := map[string]bool{}
	seven := ""
	for i := range 10_000 {
		id := PublicationID(doctorINSS, fmt.Sprint(i))
		if i == 7 {
			seven = id
		}
		if len(id) != 13 || !alphanumeric(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
	if PublicationID(doctorINSS, "a") == PublicationID(doctorNIHII, "a") || PublicationID(doctorINSS, "7") != seven {
		t.Error("does not follow from box and reference")
	}
}

func TestRecord(t *testing.T) {
	l := letter("x")
	r := &record{plain: l.request("1234567890ABC"), key: "k", sealed: l.request("1234567890ABC")}
	b, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.encode()
	if err != nil || string(again) != string(b) {
		t.Errorf("differs: %v", err)
	}
	whole, err := (&record{plain: r.plain}).encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b { // cut anywhere but between the letter and its sealed form, it is damaged
		if _, err := decodeRecord(b[:i]); err == nil && i != len(whole) {
			t.Fatalf("reads %d of %d bytes", i, len(b))
		}
	}
}
