package ehealth_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// mailing is the configuration of the n-th doctor with mail and an outbox.
func mailing(t *testing.T, sb *sandbox.Sandbox, cfg ehealth.Config, n int) ehealth.Config {
	t.Helper()
	who := sb.Person(identity.Doctor, n)
	file, err := who.Keystore("password")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Identity, err = keystore.Load(file, "password"); err != nil {
		t.Fatal(err)
	}
	cfg.Caller.SSIN, cfg.Caller.NIHII, cfg.Caller.Name = who.SSIN, who.NIHII, who.Name()
	cfg.DataDir, cfg.Outbox, cfg.Mail = t.TempDir(), &ehealth.Outbox{}, &ehealth.Mail{OnError: func(err error) { t.Error(err) }}
	return cfg
}

func letter(sb *sandbox.Sandbox, ref string) ehbox.Letter {
	return ehbox.Letter{
		Reference: ref, To: []ehbox.Destination{ehbox.To(ehbox.ByNIHII(sb.Person(identity.Doctor, 1).NIHII, ehbox.Doctor))},
		Title: ehbox.Hide("Letter"), Body: ehbox.NewData([]byte("about " + ref)),
	}
}

// cabinet is a store for letters in memory.
type cabinet struct {
	mu   sync.Mutex
	kept map[ehbox.MessageID]*ehbox.Message
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
	c.kept[m.MessageID] = m
	return nil
}

func (c *cabinet) SetAside(_ context.Context, _ *ehbox.Entry, why error) error { return why }

// texts fetches everything and counts the texts.
func texts(t *testing.T, p *ehealth.Platform) map[string]int {
	t.Helper()
	out := map[string]int{}
	for m, err := range p.Mail.Sync(t.Context(), &cabinet{}, ehbox.SyncOptions{}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case m.Message == nil:
			t.Fatalf("aside: %v, failed: %v", m.Aside, m.Failed)
		}
		out[m.Message.Text()]++
	}
	return out
}

// TestMailThroughAnOutage: letters that are given while eHealthBox is away are kept, told, and delivered once when it is
// back, in their order, also over a restart.
func TestMailThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg := mailing(t, sb, plain, 0)
		p, to := open(t, cfg), open(t, mailing(t, sb, plain, 1))
		first, err := p.Mail.Send(t.Context(), letter(sb, "first"))
		if err != nil || first.State != ehbox.SentAccepted || first.MessageID == "" {
			t.Fatalf("%+v, %v", first, err)
		}
		heal := inject(t, sb, "ehbox-pub 0 to_end fault code=SOA-02001")
		for _, ref := range []string{"second", "third"} {
			sent, err := p.Mail.Send(t.Context(), letter(sb, ref))
			wants(t, err, outbox.ErrQueued, fault.NotSent, notice.IDMsgQueued)
			if sent == nil || sent.State != ehbox.SentQueued || sent.Notice != "D-MSG-QUEUED" || sent.Reference != ref {
				t.Errorf("%+v", sent)
			}
		}
		time.Sleep(5 * time.Minute)
		if s := status(t, p); s.Waiting != 2 || s.Notice != notice.MessagesQueued(2) {
			t.Errorf("two letters wait, but %+v", s)
		}
		if h, ok := p.Health.Function(ehealth.FunctionMail); !ok || h.Condition == resilience.OK {
			t.Errorf("health %+v", h)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = open(t, cfg)
		sent, err := p.Mail.Send(t.Context(), letter(sb, "second")) // a program that does not know whether it gave the letter
		wants(t, err, outbox.ErrQueued, fault.NotSent, notice.IDMsgQueued)
		if sent == nil || sent.State != ehbox.SentQueued {
			t.Errorf("%+v", sent)
		}
		heal()
		emptied(t, p, 20*time.Minute)
		time.Sleep(time.Minute)
		if got := texts(t, to); len(got) != 3 || got["about first"] != 1 || got["about second"] != 1 || got["about third"] != 1 {
			t.Errorf("received %v", got)
		}
		if n := sb.State().Effects; n["ehbox.send"] != 3 || n["ehbox.double"] != 0 {
			t.Errorf("effects %v", n)
		}
		if h, _ := p.Health.Function(ehealth.FunctionMail); h.Condition != resilience.OK {
			t.Errorf("health afterwards %+v", h)
		}
	})
}

// TestMailFindsOut: a letter without an answer is looked for, not repeated.
func TestMailFindsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg := mailing(t, sb, plain, 0)
		var events told
		cfg.Outbox.OnEvent = events.add
		p := open(t, cfg)
		heal := []func(){inject(t, sb, "ehbox-pub 0 to_end lost_ack p=1"), inject(t, sb, "ehbox-cons 0 to_end refuse -")}
		sent, err := p.Mail.Send(t.Context(), letter(sb, "lost"))
		wants(t, err, outbox.ErrUnknown, fault.Unknown, notice.IDUnsure)
		if sent == nil || sent.State != ehbox.SentUnknown || sent.Notice != "D-UNSURE" {
			t.Errorf("%+v", sent)
		}
		for _, f := range heal {
			f()
		}
		emptied(t, p, 20*time.Minute)
		time.Sleep(time.Minute)
		if n := sb.State().Effects; n["ehbox.accepted"] != 1 || n["ehbox.send"] != 1 || !events.has(notice.IDSureYes) {
			t.Errorf("effects %v, events %+v", n, events.events)
		}
		again, err := p.Mail.Send(t.Context(), letter(sb, "lost"))
		if err != nil || !again.Before || again.State != ehbox.SentAccepted {
			t.Errorf("given again: %+v, %v", again, err)
		}
	})
}

// TestMailWithoutLoginOrKeys: without a login, and without the depot of keys, letters wait; both come back, and they go.
func TestMailWithoutLoginOrKeys(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		notice notice.ID
	}{
		"login": {"sts 0 to_end http status=503;body=html", notice.IDAuthNone},
		"depot": {"etk 0 to_end refuse -", notice.IDMsgQueued},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sb, plain := scene(t)
				p, to := open(t, mailing(t, sb, plain, 0)), open(t, mailing(t, sb, plain, 1))
				heal := inject(t, sb, c.script)
				_, err := p.Mail.Send(t.Context(), letter(sb, "one"))
				wants(t, err, outbox.ErrQueued, fault.NotSent, c.notice)
				time.Sleep(time.Minute)
				heal()
				emptied(t, p, time.Hour)
				time.Sleep(time.Minute)
				if got := texts(t, to); len(got) != 1 || got["about one"] != 1 {
					t.Errorf("received %v", got)
				}
			})
		})
	}
}

// TestMailRefused: what is wrong with a letter is said at once, and nothing is kept.
func TestMailRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		p := open(t, mailing(t, sb, plain, 0))
		l := letter(sb, "none")
		l.To = nil
		if sent, err := p.Mail.Send(t.Context(), l); sent != nil || !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, ehbox.ErrRecipients) {
			t.Errorf("%+v, %v", sent, err)
		}
		l = letter(sb, "nobody") // the depot knows nobody of that number
		l.To = []ehbox.Destination{ehbox.To(ehbox.ByINSS(identity.MustSSIN("70010100188"), ehbox.Doctor))}
		if sent, err := p.Mail.Send(t.Context(), l); sent != nil || !errors.Is(err, fault.ErrNotFound) || !errors.Is(err, fault.ErrNotSent) {
			t.Errorf("%+v, %v", sent, err)
		}
		if s := status(t, p); s.Waiting+s.Parked+s.Rejected != 0 {
			t.Errorf("kept: %+v", s)
		}
		cfg := mailing(t, sb, plain, 0)
		cfg.Outbox = nil
		p = open(t, cfg)
		if _, err := p.Mail.Send(t.Context(), letter(sb, "unsent")); !errors.Is(err, fault.ErrNotSent) || fault.KindOf(err) != fault.Local {
			t.Errorf("without an outbox: %v", err)
		}
		if _, err := p.Mail.Client.GetBoxInfo(t.Context(), ehbox.GetBoxInfoRequest{}); err != nil {
			t.Errorf("reading without an outbox: %v", err)
		}
	})
}

// TestMailConfig: what the configuration says, and what follows from it.
func TestMailConfig(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		p := open(t, mailing(t, sb, plain, 0))
		cfg := p.Config()
		who := sb.Person(identity.Doctor, 0)
		want := []ehbox.BoxID{ehbox.ByINSS(who.SSIN, ehbox.Doctor), ehbox.ByNIHII(who.NIHII, ehbox.Doctor)}
		if m := cfg.Mail; m.Timeout != ehbox.DefaultTimeout || m.TransferTimeout != ehbox.DefaultTransferTimeout || !m.Policy.NonRepudiation ||
			len(m.Boxes) != 2 || m.Boxes[0] != want[0] || m.Boxes[1] != want[1] || !cfg.Trust.ETK.Equal(sb.Roots()) {
			t.Errorf("configuration %+v", cfg.Mail)
		}
		other := mailing(t, sb, plain, 0)
		other.Caller.Quality, other.Session = identity.ClinicalPsychologist, sts.Identity{Quality: identity.Doctor, SSIN: who.SSIN}
		if p, err := ehealth.Open(t.Context(), other); err == nil || !strings.Contains(err.Error(), "Mail.Boxes") {
			t.Errorf("a caller whose box is not known: %v, %v", p, err)
		}
		other.Mail.Boxes = want
		other.Mail.Timeout = -1
		if p, err := ehealth.Open(t.Context(), other); err == nil {
			t.Errorf("a negative time-out: %v", p)
		}
		for _, e := range []ehealth.Environment{ehealth.Production, ehealth.Acceptance, ehealth.Integration} {
			cfg := mailing(t, sb, plain, 0)
			cfg.Environment, cfg.Services, cfg.Trust.ServiceList = e, nil, nil
			services := open(t, cfg).Config().Services
			for _, id := range []string{ehbox.ServiceConsultation, ehbox.ServicePublication, etee.ServiceDepot, etee.ServiceKGSS} {
				if a := services[id]; len(a) != 1 || !a[0].Active || !strings.HasPrefix(a[0].URL, "https://services") {
					t.Errorf("%s of %s: %v", id, e, a)
				}
			}
		}
	})
}

// TestMailFile: the JSON form, and what is wrong with it.
func TestMailFile(t *testing.T) {
	dir := t.TempDir()
	load := func(mail string) (ehealth.Config, error) {
		t.Helper()
		doc := map[string]any{
			"environment": "sandbox", "software": map[string]string{"name": "a/1", "contact": "a@example.be"},
			"identity": map[string]string{"keystore": "a.p12", "password": "x"}, "mail": json.RawMessage(mail),
		}
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "config.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return ehealth.LoadConfig(path)
	}
	if cfg, err := load(`null`); err != nil || cfg.Mail != nil {
		t.Errorf("no mail: %+v, %v", cfg.Mail, err)
	}
	if cfg, err := load(`{}`); err != nil || cfg.Mail == nil || cfg.Mail.Boxes != nil {
		t.Errorf("mail: %+v, %v", cfg.Mail, err)
	}
	cfg, err := load(`{"boxes":[{"type":"NIHII","id":"70999941","quality":"HOSPITAL"}],"earlier":[{"keystore":"old.p12","password":"y"}],"sealWhenSending":true,"timeout":"3s","transferTimeout":"2m"}`)
	if err != nil {
		t.Fatal(err)
	}
	if m := cfg.Mail; len(m.Boxes) != 1 || m.Boxes[0] != ehbox.ByNIHII(identity.MustNIHII("70999941"), ehbox.Hospital) || len(m.Earlier) != 1 ||
		!m.SealWhenSending || m.Timeout != 3*time.Second || m.TransferTimeout != 2*time.Minute {
		t.Errorf("%+v", m)
	}
	path := filepath.Join(dir, "trust.json")
	if err := os.WriteFile(path, []byte(`{"environment":"sandbox","trust":{"etk":"nowhere.pem"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ehealth.LoadConfig(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "trust.etk") {
		t.Errorf("trust anchors that are not there: %v", err)
	}
	for _, wrong := range []string{
		`{"boxes":[{"type":"NIHII","id":"70999942","quality":"HOSPITAL"}]}`, `{"boxes":[{"type":"ABC","id":"1","quality":"DOCTOR"}]}`,
		`{"boxes":[{"type":"INSS","id":"90022999836"}]}`, `{"earlier":[{}]}`, `{"timeout":"soon"}`, `{"transferTimeout":"late"}`,
	} {
		if _, err := load(wrong); err == nil || !strings.Contains(err.Error(), "mail: ") || strings.Contains(err.Error(), "7099994") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestMailEarlier: letters that were sealed before the certificate was renewed are opened with the earlier key store.
func TestMailEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		p, who := open(t, mailing(t, sb, plain, 0)), sb.Person(identity.Doctor, 1)
		if _, err := p.Mail.Send(t.Context(), letter(sb, "old")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		old, err := who.Keystore("old")
		if err != nil {
			t.Fatal(err)
		}
		auth, err := who.Authentication()
		if err != nil {
			t.Fatal(err)
		}
		cfg := mailing(t, sb, plain, 1)
		if cfg.Identity, err = keystore.FromSigner(auth.Certificate, auth.Chain, auth.Key); err != nil { // without encryption keys
			t.Fatal(err)
		}
		aside := 0
		for m, err := range open(t, cfg).Mail.Sync(t.Context(), &lenient{}, ehbox.SyncOptions{}) {
			if err != nil || !errors.Is(m.Aside, ehbox.ErrNoKeys) {
				t.Fatalf("%v, %+v", err, m)
			}
			aside++
		}
		if aside != 1 {
			t.Errorf("%d messages set aside", aside)
		}
		cfg.DataDir = t.TempDir()
		cfg.Mail.Earlier = []keystore.Source{keystore.SourceFunc(func(context.Context) (*keystore.Store, error) { return keystore.Load(old, "old") })}
		if got := texts(t, open(t, cfg)); len(got) != 1 || got["about old"] != 1 {
			t.Errorf("received %v", got)
		}
		cfg.DataDir = t.TempDir()
		cfg.Mail.Earlier = []keystore.Source{keystore.SourceFunc(func(context.Context) (*keystore.Store, error) { return nil, os.ErrNotExist })}
		if _, err := ehealth.Open(t.Context(), cfg); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("an earlier key store that is not there: %v", err)
		}
	})
}

// lenient is a cabinet that sets aside.
type lenient struct{ cabinet }

func (*lenient) SetAside(context.Context, *ehbox.Entry, error) error { return nil }

// TestMailByHand: where nothing is sent in the background, the next letter takes those before it along.
func TestMailByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg := mailing(t, sb, plain, 0)
		cfg.Outbox.ByHand = true
		p, to := open(t, cfg), open(t, mailing(t, sb, plain, 1))
		heal := inject(t, sb, "ehbox-pub 0 to_end fault code=SOA-02001")
		_, err := p.Mail.Send(t.Context(), letter(sb, "first"))
		wants(t, err, outbox.ErrQueued, fault.NotSent, notice.IDMsgQueued)
		heal()
		time.Sleep(15 * time.Minute)
		if sent, err := p.Mail.Send(t.Context(), letter(sb, "second")); err != nil || sent.State != ehbox.SentAccepted {
			t.Errorf("%+v, %v", sent, err)
		}
		time.Sleep(time.Minute)
		if got := texts(t, to); len(got) != 2 || got["about first"] != 1 || got["about second"] != 1 {
			t.Errorf("received %v", got)
		}
	})
}
