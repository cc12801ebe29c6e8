package integration

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// cabinet is a store for messages in memory.
type cabinet struct {
	mu    sync.Mutex
	kept  map[ehbox.MessageID]*ehbox.Message
	aside int
}

func (c *cabinet) Known(_ context.Context, ids []ehbox.MessageID) (map[ehbox.MessageID]ehbox.Stored, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[ehbox.MessageID]ehbox.Stored{}
	for _, id := range ids {
		if c.kept[id] != nil {
			out[id] = ehbox.Kept
		}
	}
	return out, nil
}

func (c *cabinet) Keep(_ context.Context, m *ehbox.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[ehbox.MessageID]*ehbox.Message{}
	}
	if c.kept[m.MessageID] != nil {
		return errors.New("kept twice")
	}
	c.kept[m.MessageID] = m
	return nil
}

func (c *cabinet) SetAside(context.Context, *ehbox.Entry, error) error {
	c.aside++
	return nil
}

// sync makes one run.
func (c *cabinet) sync(t *testing.T, p *ehealth.Platform, o ehbox.SyncOptions) {
	t.Helper()
	for m, err := range p.Mail.Sync(t.Context(), c, o) {
		if err != nil || m.Failed != nil || m.NotRemoved != nil {
			t.Fatalf("%v, %+v", err, m)
		}
	}
}

// mailing adds mail to a configuration.
func mailing(t *testing.T) func(*ehealth.Config) {
	dir := t.TempDir()
	return func(cfg *ehealth.Config) {
		cfg.DataDir, cfg.Mail, cfg.Outbox = dir, &ehealth.Mail{}, &ehealth.Outbox{}
	}
}

// TestMail sends a letter over real connections, which its recipient opens; the sender is told how far it came.
func TestMail(t *testing.T) {
	needSandbox(t)
	from, to := open(t, "", mailing(t)), open(t, "physiotherapist", mailing(t))
	whom := to.Config().Mail.Boxes[0]
	text, scan := []byte("Dear colleague"), []byte("%PDF-1.7\r\n\r\n--end--\r\n")
	about := patient(t, sandbox.Insured)
	sent, err := from.Mail.Send(t.Context(), ehbox.Letter{
		To: []ehbox.Destination{ehbox.To(whom)}, Title: ehbox.Hide("Referral"), Body: ehbox.NewData(text), Patient: about,
		Annexes:  []ehbox.LetterAnnex{{FileName: ehbox.Hide("scan.pdf"), MimeType: "application/pdf", Content: ehbox.NewData(scan)}},
		Receipts: ehbox.Receipts{Published: true, Received: true, Read: true},
	})
	if err != nil || sent.State != ehbox.SentAccepted {
		t.Fatalf("%+v, %v", sent, err)
	}
	var in cabinet
	told := map[ehbox.ReceiptType]int{}
	for in.kept[sent.MessageID] == nil { // the platform takes a second; the test's time limit ends it
		clear(told)
		in.sync(t, to, ehbox.SyncOptions{Before: func(e ehbox.Effect) bool { told[e.Type]++; return true }})
	}
	m := in.kept[sent.MessageID]
	if m.Text() != string(text) || len(m.Annexes) != 1 || string(m.Annexes[0].Content.Bytes()) != string(scan) || m.Patient.Reveal() != about.Reveal() ||
		m.PublicationID != sent.PublicationID || told[ehbox.ReceivedReceipt] != 1 || told[ehbox.ReadReceipt] != 1 {
		t.Errorf("%+v, told %v", m, told)
	}
	for _, r := range m.Reports {
		if who, err := r.Sender(); err != nil || !r.Accepted() || who.SSIN != from.Config().Caller.SSIN {
			t.Errorf("sealed by %v, %v: %v", who, err, r)
		}
	}
	var mine cabinet
	mine.sync(t, from, ehbox.SyncOptions{Remove: true})
	for _, want := range []ehbox.ReceiptType{ehbox.Published, ehbox.ReceivedReceipt, ehbox.ReadReceipt} {
		n := 0
		for _, m := range mine.kept {
			if m.Receipt != nil && m.Receipt.MessageID == sent.MessageID && m.Receipt.Type == want {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d receipts %s", n, want)
		}
	}
	for e, err := range from.Mail.Client.Walk(t.Context(), nil, ehbox.Inbox) {
		t.Errorf("still there: %v, %v", e, err)
	}
	own, err := from.Mail.Read(t.Context(), ehbox.MessageRequest{Folder: ehbox.Sentbox, MessageID: sent.MessageID})
	if err != nil || own.Text() != string(text) {
		t.Errorf("the sender's copy: %v, %v", own, err)
	}
	rows, err := from.Mail.Client.GetMessageAcknowledgmentsStatus(t.Context(), ehbox.GetMessageAcknowledgmentsStatusRequest{MessageID: sent.MessageID})
	if err != nil || len(rows.Rows) != 1 || rows.Rows[0].Read.IsZero() {
		t.Errorf("%+v, %v", rows, err)
	}
}

// mailer is the configuration of the n-th doctor with mail.
func (w *world) mailer(t *testing.T, n int) ehealth.Config {
	t.Helper()
	cfg := w.doctor(t, n)
	file, err := w.sb.Person(identity.Doctor, n).Keystore("password")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Identity, err = keystore.Load(file, "password"); err != nil {
		t.Fatal(err)
	}
	mailing(t)(&cfg)
	return cfg
}

func (w *world) letter(ref string) ehbox.Letter {
	return ehbox.Letter{
		Reference: ref, To: []ehbox.Destination{ehbox.To(ehbox.ByNIHII(w.sb.Person(identity.Doctor, 1).NIHII, ehbox.Doctor))},
		Title: ehbox.Hide("Letter"), Body: ehbox.NewData([]byte(ref)),
	}
}

// delivered waits until nothing waits, and returns what the second doctor got.
func (w *world) delivered(t *testing.T, from *ehealth.Platform) map[string]*ehbox.Message {
	t.Helper()
	for limit := time.Now().Add(2 * time.Hour); ; time.Sleep(10 * time.Second) {
		q, err := from.Queue(t.Context())
		if err != nil || q.Parked+q.Rejected > 0 || time.Now().After(limit) {
			t.Fatalf("%+v, %v", q, err)
		}
		if q.Waiting == 0 {
			break
		}
	}
	time.Sleep(time.Minute)
	to, out := w.open(t, w.mailer(t, 1)), map[string]*ehbox.Message{}
	var in cabinet
	in.sync(t, to, ehbox.SyncOptions{})
	for _, m := range in.kept {
		if out[m.Text()] != nil {
			t.Errorf("%q came twice", m.Text())
		}
		out[m.Text()] = m
	}
	return out
}

// TestMailRestart: the program ends while a letter is on its way, executed or not, with and without an answer; the next
// one finds out, with the tokens that it has on disk, and each letter arrives once (T11, T18).
func TestMailRestart(t *testing.T) {
	for name, rows := range map[string][]string{
		"not reached":            {"ehbox-pub 0 3600 refuse", "etk 60 3540 refuse"},
		"no answer":              {"ehbox-pub 0 3600 hang exec=0", "ehbox-cons 0 3600 refuse"},
		"executed, no answer":    {"ehbox-pub 0 3600 hang exec=1", "ehbox-cons 0 3600 refuse"},
		"executed, answer lost":  {"ehbox-pub 0 3600 lost_ack p=1", "ehbox-cons 0 3600 refuse"},
		"everything is away":     {"net 0 3600 refuse"},
		"two letters in a queue": {"ehbox-pub 0 3600 http status=503;body=html"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				cfg := w.mailer(t, 0)
				p, err := ehealth.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				w.inject(t, rows...)
				for _, ref := range []string{"one", "two"} {
					sent, err := p.Mail.Send(t.Context(), w.letter(ref))
					if sent == nil || !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) || sent.Notice == "" {
						t.Errorf("%s: %+v, %v", ref, sent, err)
					}
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				p = w.open(t, cfg)
				time.Sleep(time.Hour)
				if got := w.delivered(t, p); len(got) != 2 || got["one"] == nil || got["two"] == nil {
					t.Errorf("%d letters", len(got))
				}
				if n := w.sb.State().Effects; n["ehbox.send"] != 2 || n["ehbox.double"] != 0 {
					t.Errorf("effects %v", n)
				}
			})
		})
	}
}

// TestMailKeyChange: the recipient renews its keys while a letter waits that is sealed already. When the tokens are too old
// the depot is asked once for each, and the letter goes, sealed for the new key (T17).
func TestMailKeyChange(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		p, who := w.open(t, w.mailer(t, 0)), w.sb.Person(identity.Doctor, 1)
		w.inject(t, "ehbox-pub 0 36000 fault code=SOA-02001")
		if _, err := p.Mail.Send(t.Context(), w.letter("sealed")); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		asked := w.sb.State().Requests["etk"]
		old, err := who.Encryption()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.sb.RotateKey(sandbox.Holder{Type: identity.TypeSSIN, Number: who.SSIN.Reveal()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(etee.DefaultTTL + 2*time.Hour + time.Minute)
		if n := w.sb.State().Requests["etk"] - asked; n != 2 {
			t.Errorf("%d questions for the recipient's token and the own one", n)
		}
		got := w.delivered(t, p)["sealed"]
		if got == nil || w.sb.State().Effects["ehbox.send"] != 1 {
			t.Fatalf("not delivered once: %v", w.sb.State().Effects)
		}
		for _, r := range got.Reports {
			if slices.ContainsFunc(old, func(c sandbox.Credential) bool { return c.Certificate.Equal(r.Recipient) }) {
				t.Error("sealed for the old key")
			}
		}
	})
}

// TestMailIdentityMoves is INC-2026-02-04-ETK with mail traffic: the token of Recip-e moves to another number. When it
// cannot open what was sealed for it, one refresh finds the new token; letters are not concerned.
func TestMailIdentityMoves(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		script, ok := incident.Get("INC-2026-02-04-ETK")
		if !ok {
			t.Fatal("no such incident")
		}
		p := w.open(t, w.mailer(t, 0))
		recipe := func() etee.Found {
			t.Helper()
			found, err := p.Mail.Depot.Find(t.Context(), etee.RecipeIdentifier, etee.RecipeNewIdentifier)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		before := recipe()
		run, err := w.sb.Apply(script)
		if err != nil {
			var missing *sandbox.UnsupportedError
			if !errors.As(err, &missing) {
				t.Fatal(err)
			}
		}
		defer run.Cancel()
		time.Sleep(script.Steps[0].At + time.Minute)
		asked := w.sb.State().Requests["etk"]
		if !p.Mail.Depot.Drop(t.Context(), recipe()) {
			t.Error("sealing anew is not worth while")
		}
		after := recipe()
		if n := w.sb.State().Requests["etk"] - asked; after.Key() == before.Key() || after.Identifier != etee.RecipeNewIdentifier || n > 4 {
			t.Errorf("the same token: %v, after %d questions", after.Key() == before.Key(), n)
		}
		if sent, err := p.Mail.Send(t.Context(), w.letter("meanwhile")); err != nil || sent.State != ehbox.SentAccepted {
			t.Errorf("%+v, %v", sent, err)
		}
		if len(w.delivered(t, p)) != 1 || w.sb.State().Effects["ehbox.send"] != 1 {
			t.Errorf("effects %v", w.sb.State().Effects)
		}
	})
}

// TestMailPoison: messages that cannot be opened hold up no other, and say so once (INC-2025-11-POISON, T16).
func TestMailPoison(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		p, to := w.open(t, w.mailer(t, 0)), w.open(t, w.mailer(t, 1))
		w.inject(t, "ehbox-cons 0 86400 poison n=2")
		if _, err := p.Mail.Send(t.Context(), w.letter("good")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		var in cabinet
		in.sync(t, to, ehbox.SyncOptions{})
		if len(in.kept) != 1 || in.aside != 2 {
			t.Errorf("%d kept, %d set aside", len(in.kept), in.aside)
		}
	})
}

// TestMailFaults: whatever eHealthBox does, a call ends in time and typed, and no error tells anything about a person.
func TestMailFaults(t *testing.T) {
	for _, row := range []string{
		"ehbox-cons 0 600 hang", "ehbox-cons 0 600 http status=503;body=html", "ehbox-cons 0 600 fault code=SOA-02002",
		"ehbox-cons 0 600 lost_ack p=1", "ehbox-cons 0 600 refuse_auth code=SOA-01002;scope=all", "sts 0 600 hang",
	} {
		t.Run(row, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				p := w.open(t, w.mailer(t, 0))
				w.inject(t, row)
				start := time.Now()
				_, err := p.Mail.Client.GetBoxInfo(t.Context(), ehbox.GetBoxInfoRequest{})
				if took := time.Since(start); took > ehbox.DefaultTimeout+time.Second {
					t.Errorf("took %v", took)
				}
				if _, ok := errors.AsType[*fault.Error](err); !ok {
					t.Fatalf("%T", err)
				}
				w.private.check(t, err)
			})
		})
	}
}
