package ehbox_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// practice is a doctor of the sandbox with everything that mail needs.
type practice struct {
	t      *testing.T
	sb     *sandbox.Sandbox
	person *sandbox.Person
	client *ehbox.Client
	reader *ehbox.Reader
	mailer *ehbox.Mailer
	box    *outbox.Box
}

func newPractice(t *testing.T, sb *sandbox.Sandbox, n int) *practice {
	t.Helper()
	p := &practice{t: t, sb: sb, person: sb.Person(identity.Doctor, n)}
	file, err := p.person.Keystore("password")
	ok(t, err)
	keys, err := keystore.Load(file, "password")
	ok(t, err)
	auth, err := keys.Authentication()
	ok(t, err)
	dir := resilience.Static{}
	for id, eps := range sb.Services() {
		for _, e := range eps {
			dir[id] = append(dir[id], resilience.Endpoint(e))
		}
	}
	http := sb.HTTPClient()
	t.Cleanup(http.CloseIdleConnections)
	x, err := exchange.New(exchange.Options{HTTP: http, Directory: dir, UserAgent: "test/1.0", From: "test@example.be"})
	ok(t, err)
	roots := x509.NewCertPool()
	for _, c := range sb.CA() {
		roots.AddCert(c)
	}
	login, err := sts.New(x, sts.Config{Identification: auth, HolderOfKey: auth, Trust: sts.Trust{Roots: roots}})
	ok(t, err)
	tokens, err := sts.Cached(login.Source(sts.Request{Identity: sts.Identity{Quality: identity.Doctor, SSIN: p.person.SSIN}}))
	ok(t, err)

	trust := etee.Trust{Roots: sb.Roots()}
	depot, err := etee.NewDepot(x, etee.DepotConfig{Trust: trust})
	ok(t, err)
	sealer, err := etee.NewSealer(auth)
	ok(t, err)
	opener, err := etee.NewOpener(keys, trust, etee.Policy{NonRepudiation: true, Window: 48 * time.Hour})
	ok(t, err)
	p.reader = ehbox.NewReader([]ehbox.Opener{opener})

	own := []ehbox.BoxID{ehbox.ByINSS(p.person.SSIN, ehbox.Doctor), ehbox.ByNIHII(p.person.NIHII, ehbox.Doctor)}
	p.client, err = ehbox.New(x, sts.HolderOfKey(tokens), own)
	ok(t, err)
	p.mailer, err = ehbox.NewMailer(p.client, ehbox.DepotKeys(depot, auth.Certificate, keys), sealer)
	ok(t, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(t, err)
	disk, err := outbox.OpenBolt(filepath.Join(t.TempDir(), "outbox.db"))
	ok(t, err)
	p.box, err = outbox.Open(t.Context(), disk, outbox.NewKeys(key), p.mailer.Handle(), outbox.WithPace(-1, -1, -1))
	ok(t, err)
	t.Cleanup(func() { _ = p.box.Close() })
	p.mailer.Use(p.box)
	return p
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inSandbox runs a test with two practices on virtual time.
func inSandbox(t *testing.T, f func(t *testing.T, sb *sandbox.Sandbox, a, b *practice)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sb, err := sandbox.New(sandbox.Config{Seed: 5, Patients: 20})
		ok(t, err)
		t.Cleanup(func() { _ = sb.Close() })
		f(t, sb, newPractice(t, sb, 0), newPractice(t, sb, 1))
	})
}

func (p *practice) inject(rows string) {
	p.t.Helper()
	sc, err := sandbox.ParseScript(rows)
	ok(p.t, err)
	_, err = p.sb.Apply(sc)
	ok(p.t, err)
}

func (p *practice) letterTo(q *practice, ref string) ehbox.Letter {
	return ehbox.Letter{
		Reference: ref, To: []ehbox.Destination{ehbox.To(ehbox.ByNIHII(q.person.NIHII, ehbox.Doctor))}, Title: ehbox.Hide("Letter"),
		Body: ehbox.NewData([]byte("about " + ref)), Patient: p.sb.Patients()[0].SSIN,
		Annexes:  []ehbox.LetterAnnex{{FileName: ehbox.Hide("scan.pdf"), MimeType: "application/pdf", Content: ehbox.NewData([]byte("%PDF-1.7\r\n--x\r\n"))}},
		Receipts: ehbox.Receipts{Read: true},
	}
}

// cabinet is a Store in memory.
type cabinet struct {
	kept  map[ehbox.MessageID]*ehbox.Message
	aside map[ehbox.MessageID]error
}

func newCabinet() *cabinet {
	return &cabinet{map[ehbox.MessageID]*ehbox.Message{}, map[ehbox.MessageID]error{}}
}

func (c *cabinet) Known(_ context.Context, ids []ehbox.MessageID) (map[ehbox.MessageID]ehbox.Stored, error) {
	out := map[ehbox.MessageID]ehbox.Stored{}
	for _, id := range ids {
		if c.kept[id] != nil {
			out[id] = ehbox.Kept
		}
		if c.aside[id] != nil {
			out[id] = ehbox.Aside
		}
	}
	return out, nil
}

func (c *cabinet) Keep(_ context.Context, m *ehbox.Message) error {
	c.kept[m.MessageID] = m
	return nil
}

func (c *cabinet) SetAside(_ context.Context, e *ehbox.Entry, why error) error {
	c.aside[e.MessageID] = why
	return nil
}

func (p *practice) sync(c *cabinet, o ehbox.SyncOptions) {
	p.t.Helper()
	s, err := ehbox.NewSyncer(p.client, p.reader, c, o)
	ok(p.t, err)
	for x, err := range s.Sync(p.t.Context()) {
		ok(p.t, err)
		ok(p.t, x.Failed)
	}
}

// A sealed letter with an attachment goes from one practice to another; the sender gets the receipt that he asked for.
func TestLetter(t *testing.T) {
	inSandbox(t, func(t *testing.T, sb *sandbox.Sandbox, a, b *practice) {
		sent, err := a.mailer.Send(t.Context(), a.letterTo(b, "one"))
		ok(t, err)
		time.Sleep(time.Minute)
		in := newCabinet()
		b.sync(in, ehbox.SyncOptions{Remove: true})
		m := in.kept[sent.MessageID]
		if m == nil || m.Text() != "about one" || string(m.Annexes[0].Content.Bytes()) != "%PDF-1.7\r\n--x\r\n" ||
			m.Patient.Reveal() != sb.Patients()[0].SSIN.Reveal() || m.PublicationID != sent.PublicationID {
			t.Fatalf("%d messages, %v", len(in.kept), m)
		}
		for _, r := range m.Reports {
			if s, err := r.Sender(); err != nil || s.SSIN != a.person.SSIN || !r.Accepted() {
				t.Errorf("sealed by %v, %v", s, err)
			}
		}
		own := newCabinet()
		a.sync(own, ehbox.SyncOptions{})
		n := 0
		for _, m := range own.kept {
			if m.Receipt != nil && m.Receipt.Type == ehbox.ReadReceipt && m.Receipt.MessageID == sent.MessageID {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d receipts", n)
		}
		rows, err := a.client.GetMessageAcknowledgmentsStatus(t.Context(), ehbox.GetMessageAcknowledgmentsStatusRequest{MessageID: sent.MessageID})
		ok(t, err)
		if len(rows.Rows) != 1 || rows.Rows[0].Read.IsZero() {
			t.Errorf("rows %v", rows.Rows)
		}
		info, err := b.client.GetBoxInfo(t.Context(), ehbox.GetBoxInfoRequest{})
		ok(t, err)
		if info.MaxSize != ehbox.MaxMessage || info.Full() || len(info.Deviations) > 0 {
			t.Errorf("box %+v", info)
		}
		copied, err := a.client.GetFullMessage(t.Context(), ehbox.MessageRequest{Folder: ehbox.Sentbox, MessageID: sent.MessageID})
		ok(t, err)
		if m, err := a.reader.Open(copied); err != nil || m.Text() != "about one" {
			t.Errorf("the sender reads %v, %v", m, err)
		}
	})
}

// News that were sent as a letter are updated under their number, and the older ones can be read still.
func TestNewsUpdate(t *testing.T) {
	inSandbox(t, func(t *testing.T, _ *sandbox.Sandbox, a, b *practice) {
		to := []ehbox.Destination{ehbox.To(ehbox.ByNIHII(b.person.NIHII, ehbox.Doctor))}
		l := ehbox.Letter{Reference: "news", To: to, News: true, Clear: true, Title: ehbox.Hide("Hours"), Body: ehbox.NewData([]byte("open on Monday"))}
		sent, err := a.mailer.Send(t.Context(), l)
		ok(t, err)
		time.Sleep(time.Minute)
		b.sync(newCabinet(), ehbox.SyncOptions{})
		l.Body = ehbox.NewData([]byte("open on Tuesday"))
		if _, err := a.mailer.Send(t.Context(), l); !errors.Is(err, outbox.ErrConflict) {
			t.Errorf("got %v", err)
		}
		update, err := a.client.SendMessage(t.Context(), ehbox.SendMessageRequest{
			PublicationID: sent.PublicationID, Destinations: to, Specification: ehbox.Specification{Type: ehbox.NewsContent},
			Document: ehbox.Document{
				Title: l.Title, FileName: ehbox.Hide("body.txt"), MimeType: "text/plain",
				Content: ehbox.Content{Text: l.Body}, Digest: ehbox.Digest(l.Body.Bytes()),
			},
		})
		ok(t, err)
		time.Sleep(time.Minute)
		in := newCabinet()
		b.sync(in, ehbox.SyncOptions{})
		if m := in.kept[update.MessageID()]; len(in.kept) != 1 || m == nil || m.Text() != "open on Tuesday" {
			t.Fatalf("%d messages, %v", len(in.kept), m)
		}
		old, err := b.client.GetMessageHistory(t.Context(), ehbox.MessageRequest{MessageID: update.MessageID()})
		ok(t, err)
		if len(old.MessageIDs) != 1 || old.MessageIDs[0] != sent.MessageID {
			t.Errorf("history %v, want %s", old.MessageIDs, sent.MessageID)
		}
	})
}

// T11 and SYN-LOSTACK-EHBOX, and the ways in which the connector executed a letter twice (dossier 12, scenarios 4 and 12):
// each letter is in the recipient's box exactly once.
func TestEachLetterOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	for name, row := range map[string]string{
		"lost answer, once":   "ehbox-pub 0 to_end lost_ack p=1 max=1",
		"lost answer, always": "ehbox-pub 0 600 lost_ack p=1",
		"lost answer, some":   "ehbox-pub 0 to_end lost_ack p=0.5 max=6",
		"hangs, executes":     "ehbox-pub 0 600 hang p=1 exec=1",
		"hangs":               "ehbox-pub 0 600 hang p=1 exec=0",
		"refuses":             "ehbox-pub 0 600 refuse -",
		"503":                 "ehbox-pub 0 600 http status=503 body=html exec=0",
		"503 after execution": "ehbox-pub 0 600 http status=503 body=html exec=1",
		"HTML":                "ehbox-pub 0 600 http status=200 body=html exec=1",
		"SOA-02002":           "ehbox-pub 0 600 fault code=SOA-02002",
		"SOA-00001":           "ehbox-pub 0 600 fault code=SOA-00001",
		"all down":            "esb 0 3600 refuse -",
		"mailbox and lists":   "ehbox-pub 0 600 lost_ack p=1\nehbox-cons 0 600 refuse -",
		"depot":               "etk 0 3600 hang p=1",
	} {
		t.Run(name, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, sb *sandbox.Sandbox, a, b *practice) {
				_, err := a.client.GetBoxInfo(t.Context(), ehbox.GetBoxInfoRequest{}) // logged in before it begins
				ok(t, err)
				a.inject(row)
				over := time.Now().Add(time.Hour) // the longest of the faults
				const letters = 3
				for i := range letters {
					_, err := a.mailer.Send(t.Context(), a.letterTo(b, fmt.Sprint("letter ", i)))
					if err != nil && !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) {
						t.Fatal(err)
					}
				}
				ok(t, a.box.Drain(t.Context(), nil))
				// A connection from before the fault may have settled all at once.
				time.Sleep(max(time.Until(over), 0) + time.Minute)
				in := newCabinet()
				b.sync(in, ehbox.SyncOptions{All: true})
				texts := map[string]int{}
				for _, m := range in.kept {
					texts[m.Text()]++
				}
				for i := range letters {
					if n := texts[fmt.Sprint("about letter ", i)]; n != 1 {
						t.Errorf("letter %d arrived %d times", i, n)
					}
				}
				effects := sb.State().Effects
				if effects["ehbox.double"] != 0 || effects["ehbox.send"] != letters || len(in.kept) != letters {
					t.Errorf("%d letters kept, effects %v", len(in.kept), effects)
				}
			})
		})
	}
}

// T16, INC-2025-11-POISON: what cannot be opened is set aside, all others are read.
func TestPoisonInTheBox(t *testing.T) {
	inSandbox(t, func(t *testing.T, sb *sandbox.Sandbox, a, b *practice) {
		for i := range 3 {
			_, err := a.mailer.Send(t.Context(), a.letterTo(b, fmt.Sprint("before ", i)))
			ok(t, err)
		}
		time.Sleep(time.Minute)
		b.inject("ehbox-cons 0 to_end poison n=3")
		_, err := a.mailer.Send(t.Context(), a.letterTo(b, "after"))
		ok(t, err)
		time.Sleep(time.Minute)
		in := newCabinet()
		for range 3 {
			s, err := ehbox.NewSyncer(b.client, b.reader, in, ehbox.SyncOptions{})
			ok(t, err)
			for x, err := range s.Sync(t.Context()) {
				ok(t, err)
				if x.Message == nil && x.Aside == nil && x.Failed == nil {
					t.Errorf("%v: nothing", x.Entry.MessageID)
				}
			}
		}
		n := 0
		for _, m := range in.kept {
			if strings.HasPrefix(m.Text(), "about ") {
				n++
			}
		}
		if n != 4 {
			t.Errorf("%d letters read, %d set aside", n, len(in.aside))
		}
		for id, why := range in.aside {
			if e, is := errors.AsType[*fault.Error](why); !is || e.Notice != ehbox.NoticeBad {
				t.Errorf("%s: %v", id, why)
			}
		}
	})
}

// Whatever is odd about the answers, mail goes (dossier 03 sections 3.2 and 14, number 10).
func TestOddPlatform(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	for name, odd := range map[string]sandbox.MailBehaviour{
		"bare Content-IDs": {BareContentIDs: true}, "no content info": {NoContentInfo: true}, "unknown quality": {ForeignQuality: true},
		"unknown elements": {ExtraElements: true}, "base64 twice": {DoubleBase64: true},
	} {
		t.Run(name, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, sb *sandbox.Sandbox, a, b *practice) {
				sb.SetMail(odd)
				a.inject("ehbox-pub 0 to_end lost_ack p=1 max=1")
				_, err := a.mailer.Send(t.Context(), a.letterTo(b, "odd"))
				if err != nil && !errors.Is(err, outbox.ErrUnknown) {
					t.Fatal(err)
				}
				ok(t, a.box.Drain(t.Context(), nil))
				time.Sleep(time.Minute)
				in := newCabinet()
				b.sync(in, ehbox.SyncOptions{})
				if len(in.kept) != 1 || len(in.aside) != 0 || sb.State().Effects["ehbox.double"] != 0 {
					t.Errorf("%d kept, aside %v, effects %v", len(in.kept), in.aside, sb.State().Effects)
				}
				for _, m := range in.kept {
					if string(m.Annexes[0].Content.Bytes()) != "%PDF-1.7\r\n--x\r\n" {
						t.Error("attachment differs")
					}
				}
			})
		})
	}
}

// The dialogue about a recipient who is out of office, errors that come late, and absences of one's own.
func TestDialogues(t *testing.T) {
	inSandbox(t, func(t *testing.T, sb *sandbox.Sandbox, a, b *practice) {
		today := time.Now()
		absence, err := b.client.InsertOoO(t.Context(), ehbox.InsertOoORequest{Start: ehbox.DateOf(today), End: ehbox.DateOf(today.AddDate(0, 0, 7))})
		ok(t, err)
		l := a.letterTo(b, "away")
		_, err = a.mailer.Send(t.Context(), l)
		away, is := errors.AsType[*ehbox.OutOfOfficeError](err)
		if !is || len(away.Absences) != 1 {
			t.Fatalf("got %v", err)
		}
		_, err = a.mailer.Send(t.Context(), l.Despite(away.Absences))
		ok(t, err)
		list, err := b.client.GetOoOList(t.Context(), ehbox.GetOoOListRequest{})
		ok(t, err)
		if len(list.Absences) != 1 || list.Absences[0].ID != absence.ID {
			t.Errorf("absences %v", list.Absences)
		}
		_, err = b.client.DeleteOoO(t.Context(), ehbox.DeleteOoORequest{OoOIDs: []string{absence.ID}})
		ok(t, err)

		time.Sleep(time.Minute)
		_, err = b.client.GetBoxInfo(t.Context(), ehbox.GetBoxInfoRequest{}) // what was sent is delivered
		ok(t, err)
		sb.SetMail(sandbox.MailBehaviour{LateError: "701"})
		sent, err := a.mailer.Send(t.Context(), a.letterTo(b, "late"))
		ok(t, err)
		time.Sleep(time.Minute)
		n := 0
		for f, err := range a.mailer.LateErrors(t.Context(), nil) {
			ok(t, err)
			if n++; !f.Ours || f.Error.PublicationID != sent.PublicationID || f.Error.Code != ehbox.LateInvalid || f.Action != ehbox.ActInspect {
				t.Errorf("got %+v", f)
			}
		}
		if n != 1 {
			t.Errorf("%d late errors", n)
		}
	})
}

// All other operations, and what the platform refuses.
func TestOperationsOnTheWire(t *testing.T) {
	inSandbox(t, func(t *testing.T, sb *sandbox.Sandbox, a, b *practice) {
		sent, err := a.mailer.Send(t.Context(), a.letterTo(b, "x"))
		ok(t, err)
		time.Sleep(time.Minute)
		ids := []ehbox.MessageID{sent.MessageID}
		all, err := b.client.GetAllEhboxesMessagesList(t.Context(), ehbox.GetAllEhboxesMessagesListRequest{})
		ok(t, err)
		if len(all.Entries) != 1 || all.Entries[0].MessageID != sent.MessageID || len(all.Deviations) != 0 {
			t.Errorf("list %v", all)
		}
		_, err = b.client.GetMessageHistory(t.Context(), ehbox.MessageRequest{MessageID: sent.MessageID})
		ok(t, err)
		_, err = b.client.MoveMessage(t.Context(), ehbox.MoveMessageRequest{From: ehbox.Inbox, To: ehbox.BinInbox, MessageIDs: ids})
		ok(t, err)
		_, err = b.client.GetFullMessage(t.Context(), ehbox.MessageRequest{MessageID: sent.MessageID})
		if s, is := errors.AsType[*ehbox.StatusError](err); !is || s.Code != ehbox.MessageUnknown {
			t.Errorf("got %v", err)
		}
		v, err := b.client.MoveMessage(t.Context(), ehbox.MoveMessageRequest{From: ehbox.Inbox, To: ehbox.BinInbox, MessageIDs: ids})
		if p, is := errors.AsType[*ehbox.PartialError](err); !is || len(p.MessageIDs) != 1 || v == nil {
			t.Errorf("got %v", err)
		}
		_, err = b.client.DeleteMessage(t.Context(), ehbox.DeleteMessageRequest{Folder: ehbox.BinInbox, MessageIDs: ids})
		ok(t, err)
		other := ehbox.ByINSS(a.person.SSIN, ehbox.Doctor)
		_, err = b.client.GetBoxInfo(t.Context(), ehbox.GetBoxInfoRequest{Box: &other})
		if !errors.Is(err, fault.ErrDenied) {
			t.Errorf("another's box: %v", err)
		}
		nihii := ehbox.ByNIHII(b.person.NIHII, ehbox.Doctor)
		_, err = b.client.GetMessagesList(t.Context(), ehbox.GetMessagesListRequest{Box: &nihii, Folder: ehbox.Sentbox})
		ok(t, err)
	})
}
