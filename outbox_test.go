package ehealth_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// tempDir is a directory for an example, which has no *testing.T.
func tempDir() (dir string, done func()) {
	dir, err := os.MkdirTemp("", "ehealth")
	if err != nil {
		panic(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

// told gathers events.
type told struct {
	mu     sync.Mutex
	events []ehealth.QueueEvent
}

func (s *told) add(e ehealth.QueueEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *told) has(id notice.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Notice.ID() == id {
			return true
		}
	}
	return false
}

// queueing adds an outbox for the sandbox's application to a configuration.
func queueing(t *testing.T, cfg ehealth.Config) (ehealth.Config, *told) {
	t.Helper()
	var events told
	cfg.DataDir = t.TempDir()
	cfg.Outbox = &ehealth.Outbox{
		Handlers: func(p *ehealth.Platform) ([]ehealth.Queued, error) { return []ehealth.Queued{app{p}.queued()}, nil },
		OnEvent:  events.add,
	}
	return cfg, &events
}

func write(t *testing.T, p *ehealth.Platform, ref string) error {
	t.Helper()
	_, err := p.Write(t.Context(), outbox.Item{Kind: "example.app", Key: "key", Ref: ref, Payload: []byte(ref)})
	return err
}

func status(t *testing.T, p *ehealth.Platform) ehealth.Queue {
	t.Helper()
	s, err := p.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// emptied waits until nothing waits any more.
func emptied(t *testing.T, p *ehealth.Platform, limit time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); status(t, p).Waiting > 0; time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %+v", status(t, p))
		}
	}
}

func wants(t *testing.T, err error, is error, outcome fault.Outcome, want notice.ID) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || !errors.Is(err, is) || e.Outcome != outcome || e.Notice != string(want) {
		t.Errorf("error %v, want %v, %v, %s", err, is, outcome, want)
		return
	}
	if n, ok := notice.FromError(err, notice.Platform); !ok || n.ID() != want {
		t.Errorf("the person is told %v", n)
	}
}

// TestOutboxThroughAnOutage: what is written while the service is away is kept, told, and done once
// when it is back; a restart in between changes nothing.
func TestOutboxThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg, _ := queueing(t, plain)
		p := open(t, cfg)
		if err := write(t, p, "first"); err != nil {
			t.Fatal(err)
		}
		if s := status(t, p); s.Waiting != 0 || !s.Since.IsZero() || !s.Notice.IsZero() {
			t.Errorf("nothing waits, but %+v", s)
		}
		heal := []func(){inject(t, sb, "app 0 to_end fault code=SOA-02001"), inject(t, sb, "app-direct 0 to_end fault code=SOA-02001")}
		since := time.Now()
		wants(t, write(t, p, "second"), outbox.ErrQueued, fault.NotSent, notice.IDMsgQueued)
		wants(t, write(t, p, "third"), outbox.ErrQueued, fault.NotSent, notice.IDMsgQueued)
		time.Sleep(5 * time.Minute)
		if s := status(t, p); s.Waiting != 2 || s.Since.Before(since) || time.Since(s.Since) < 4*time.Minute || s.Notice != notice.MessagesQueued(2) || s.Err != nil {
			t.Errorf("two items wait, but %+v", s)
		}
		if h, ok := p.Health.Function(ehealth.FunctionOutbox); !ok || h.Condition != resilience.Degraded || h.With != "queue" || h.Notice != "D-MSG-QUEUED" {
			t.Errorf("health %+v", h)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = open(t, cfg)
		if s := status(t, p); s.Waiting != 2 || !s.Since.Equal(since) && s.Since.Sub(since) > time.Minute {
			t.Errorf("after the restart %+v, waiting since %v", s, since)
		}
		for _, f := range heal {
			f()
		}
		emptied(t, p, 20*time.Minute)
		for _, ref := range []string{"first", "second", "third"} {
			if n := sb.AppExecuted(ref); n != 1 {
				t.Errorf("%s was executed %d times", ref, n)
			}
		}
		time.Sleep(2 * time.Minute)
		if h, _ := p.Health.Function(ehealth.FunctionOutbox); h.Condition != resilience.OK {
			t.Errorf("health afterwards %+v", h)
		}
	})
}

// TestOutboxFindsOut: a write without an answer is not repeated, and the person is told what became
// of it.
func TestOutboxFindsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg, events := queueing(t, plain)
		p := open(t, cfg)
		heal := []func(){inject(t, sb, "app 0 to_end lost_ack p=1"), inject(t, sb, "app-direct 0 to_end lost_ack p=1")}
		wants(t, write(t, p, "lost"), outbox.ErrUnknown, fault.Unknown, notice.IDUnsure)
		if !events.has(notice.IDUnsure) {
			t.Error("nobody was told that the outcome is unknown")
		}
		for _, f := range heal {
			f()
		}
		emptied(t, p, 20*time.Minute)
		if n := sb.AppExecuted("lost"); n != 1 || !events.has(notice.IDSureYes) {
			t.Errorf("executed %d times, events %+v", n, events.events)
		}
	})
}

// TestOutboxWithoutLogin: no login, so nothing is tried and nothing is lost.
func TestOutboxWithoutLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg, _ := queueing(t, plain)
		heal := inject(t, sb, "sts 0 to_end http status=503;body=html")
		p := open(t, cfg)
		wants(t, write(t, p, "one"), outbox.ErrQueued, fault.NotSent, notice.IDAuthNone)
		time.Sleep(time.Minute)
		if s := status(t, p); s.Waiting != 1 || s.Closed && !s.NextTry.After(time.Now()) || s.Notice != notice.NoSession() {
			t.Errorf("%+v", s)
		}
		wants(t, write(t, p, "two"), outbox.ErrQueued, fault.NotSent, notice.IDAuthNone)
		if h, _ := p.Health.Function(ehealth.FunctionOutbox); h.Notice != "D-AUTH-NONE" {
			t.Errorf("health %+v", h)
		}
		heal()
		emptied(t, p, 30*time.Minute)
		if sb.AppExecuted("one") != 1 || sb.AppExecuted("two") != 1 {
			t.Error("not executed once")
		}
	})
}

// TestOutboxExpires: too late is told with the day that was missed.
func TestOutboxExpires(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg, events := queueing(t, plain)
		inject(t, sb, "app 0 to_end refuse")
		inject(t, sb, "app-direct 0 to_end refuse")
		p := open(t, cfg)
		_, err := p.Write(t.Context(), outbox.Item{Kind: "example.app", Ref: "today", Payload: []byte("x"), Expiry: outbox.Midnight(time.Now())})
		wants(t, err, outbox.ErrQueued, fault.NotSent, notice.IDMsgQueued)
		day := time.Now()
		time.Sleep(16 * time.Hour)
		events.mu.Lock()
		last := events.events[len(events.events)-1]
		events.mu.Unlock()
		if last.To != outbox.Expired || last.Notice.ID() != notice.IDExpired || last.Notice.Params().Date.YearDay() != day.YearDay() {
			t.Errorf("last event %+v of %v", last, last.Notice.Params())
		}
		_, err = p.Write(t.Context(), outbox.Item{Kind: "example.app", Ref: "today", Payload: []byte("x")})
		wants(t, err, outbox.ErrState, fault.NotSent, notice.IDExpired)
	})
}

// TestOutboxPeopleFirst: while somebody waits at the counter, the queue does not send.
func TestOutboxPeopleFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg, _ := queueing(t, plain)
		cfg.Outbox.Options = []outbox.Option{outbox.WithPace(-1, 0, 0)}
		p := open(t, cfg)
		check(t, p)
		inject(t, sb, "genins 0 to_end slow median_ms=4000;sigma=0")
		var counter sync.WaitGroup
		counter.Go(func() { _, _ = p.Insurability.Check(t.Context(), insurability.Query{Patient: patient}) })
		time.Sleep(100 * time.Millisecond)
		if _, err := p.Outbox.Put(t.Context(), outbox.Item{Kind: "example.app", Ref: "later", Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if sb.AppExecuted("later") != 0 {
			t.Error("sent while a person waited")
		}
		counter.Wait()
		emptied(t, p, time.Minute)
		if sb.AppExecuted("later") != 1 {
			t.Error("not sent afterwards")
		}
	})
}

// TestOutboxOpen: what is wrong is told by type, and nothing is destroyed.
func TestOutboxOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, plain := scene(t)
		cfg, _ := queueing(t, plain)
		p := open(t, cfg)
		if _, err := p.Outbox.Put(t.Context(), outbox.Item{Kind: "example.app", Ref: "r", Held: true}); err != nil {
			t.Fatal(err)
		}
		fails := func(what string, change func(*ehealth.Config), want error) {
			t.Helper()
			c, o := cfg, *cfg.Outbox
			c.Outbox = &o
			change(&c)
			if q, err := ehealth.Open(context.Background(), c); err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
				if err == nil {
					_ = q.Close()
				}
			}
		}
		fails("locked", func(*ehealth.Config) {}, outbox.ErrLocked)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		other := otherKeys(t)
		fails("another key", func(c *ehealth.Config) { c.Outbox.Keys = &other }, outbox.ErrKey)
		fails("no place", func(c *ehealth.Config) { c.DataDir = "" }, nil)
		fails("a database that nobody opened", func(c *ehealth.Config) { c.Outbox.Postgres = "postgres://db" }, nil)
		fails("handlers that fail", func(c *ehealth.Config) {
			c.Outbox.Handlers = func(*ehealth.Platform) ([]ehealth.Queued, error) { return nil, fault.ErrInvalid }
		}, fault.ErrInvalid)
		fails("a handler that cannot resolve", func(c *ehealth.Config) {
			c.Outbox.Handlers = func(*ehealth.Platform) ([]ehealth.Queued, error) {
				return []ehealth.Queued{{Kind: "k", Handler: outbox.SendFunc(nil), Policy: outbox.Policy{Class: resilience.ResolvableWrite}}}, nil
			}
		}, outbox.ErrInvalid)
		fails("no handler", func(c *ehealth.Config) {
			c.Outbox.Handlers = func(*ehealth.Platform) ([]ehealth.Queued, error) { return []ehealth.Queued{{Kind: "k"}}, nil }
		}, outbox.ErrInvalid)
		fails("damaged file", func(c *ehealth.Config) {
			c.Outbox.File = filepath.Join(t.TempDir(), "damaged")
			if err := os.WriteFile(c.Outbox.File, make([]byte, 100), 0o600); err != nil {
				t.Fatal(err)
			}
		}, outbox.ErrCorrupt)
		p = open(t, cfg)
		if n := status(t, p); n.Waiting != 0 {
			t.Errorf("%+v", n)
		}
		c, err := p.Outbox.Stats(t.Context())
		if err != nil || c.Of(outbox.Held) != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

func otherKeys(t *testing.T) outbox.Keys {
	t.Helper()
	k, err := outbox.KeyFromBytes(make([]byte, outbox.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return outbox.NewKeys(k)
}

// TestOutboxOfTwoNodes: a store of the program's own, by hand, with the keys of the certificate; and
// no outbox at all.
func TestOutboxOfTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg, _ := queueing(t, plain)
		cfg.DataDir, cfg.Outbox.Store, cfg.Outbox.ByHand = "", outboxtest.NewMemory(), true
		p := open(t, cfg)
		if _, err := p.Outbox.Put(t.Context(), outbox.Item{Kind: "example.app", Ref: "r", Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if sb.AppExecuted("r") != 0 {
			t.Error("sent although nobody asked for it")
		}
		if err := p.Outbox.Drain(t.Context(), nil); err != nil || sb.AppExecuted("r") != 1 {
			t.Error(err)
		}
		none := open(t, plain)
		if s, err := none.Queue(t.Context()); err != nil || s != (ehealth.Queue{}) {
			t.Errorf("%+v, %v", s, err)
		}
		wants2 := func(err error) {
			if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Local || e.Outcome != fault.NotSent {
				t.Error(err)
			}
		}
		wants2(write(t, none, "r"))
	})
}

// TestCallFails: what the caller did wrong, what is not the answer, and what may have happened.
func TestCallFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		p := open(t, cfg)
		ok := func([]byte) error { return nil }
		body := []byte(`<QueryRequest xmlns="urn:be:ehealth-continuity:app:v1"><Reference>r</Reference></QueryRequest>`)
		good := ehealth.Call{Service: appService, Body: body, Correlate: ok}
		// First, while no address has a history: it decides which one is asked.
		inject(t, sb, "app 0 60 lost_ack p=1")
		write := good
		write.Class, write.Notice = resilience.ResolvableWrite, "D-DOWN"
		_, err := p.Call(t.Context(), write)
		if e, isFault := errors.AsType[*fault.Error](err); !isFault || e.Outcome != fault.Unknown || e.Notice != "D-UNSURE" {
			t.Errorf("lost answer: %+v", e)
		}
		if r, err := p.Call(t.Context(), good); err != nil || !r.Alternate || r.Endpoint == "" || r.At.IsZero() || r.Attempts < 1 {
			t.Errorf("a read goes elsewhere: %+v, %v", r, err)
		}
		time.Sleep(time.Hour)
		for _, c := range []struct {
			what    string
			change  func(*ehealth.Call)
			kind    fault.Kind
			outcome fault.Outcome
			notice  string
		}{
			{"no service", func(c *ehealth.Call) { c.Service = "" }, fault.Invalid, fault.NotSent, ""},
			{"unknown service", func(c *ehealth.Call) { c.Service, c.Notice = "uddi:other", "D-DOWN" }, fault.Local, fault.NotSent, "D-DOWN"},
			{"no correlation", func(c *ehealth.Call) { c.Correlate = nil }, fault.Invalid, fault.NotSent, ""},
			{"no body", func(c *ehealth.Call) { c.Body = nil }, fault.Invalid, fault.NotSent, ""},
			{"two elements", func(c *ehealth.Call) { c.Body = []byte("<a/><b/>") }, fault.Invalid, fault.NotSent, ""},
			{"breaks out", func(c *ehealth.Call) { c.Body = []byte("<a/></soapenv:Body><soapenv:Body>") }, fault.Invalid, fault.NotSent, ""},
			{"negative timeout", func(c *ehealth.Call) { c.Timeout = -1 }, fault.Invalid, fault.NotSent, ""},
			{"no such security", func(c *ehealth.Call) { c.Security = 7 }, fault.Invalid, fault.NotSent, ""},
			{"without the token it needs", func(c *ehealth.Call) { c.Security = ehealth.NoSecurity }, fault.Denied, fault.Rejected, ""},
			{"too late", func(c *ehealth.Call) { c.Expires = time.Now().Add(-time.Second) }, fault.Timeout, fault.NotSent, ""},
			{"too late without security", func(c *ehealth.Call) { c.Security, c.Expires = ehealth.NoSecurity, time.Now() }, fault.Timeout, fault.NotSent, ""},
			{"somebody else's answer", func(c *ehealth.Call) { c.Correlate = func([]byte) error { return errors.New("no") } }, fault.Security, fault.Unknown, "D-WRONG"},
			{"somebody else's answer to a write", func(c *ehealth.Call) {
				c.Class, c.Correlate = resilience.ResolvableWrite, func([]byte) error { return errors.New("no") }
			}, fault.Security, fault.Unknown, "D-UNSURE"},
		} {
			call := good
			c.change(&call)
			_, err := p.Call(t.Context(), call)
			e, isFault := errors.AsType[*fault.Error](err)
			if !isFault || e.Kind != c.kind || e.Outcome != c.outcome || e.Notice != c.notice {
				t.Errorf("%s: %+v", c.what, e)
			}
		}
	})
}

// TestOutboxFile: the configuration file names the file or the database.
func TestOutboxFile(t *testing.T) {
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	dir := t.TempDir()
	if err := sb.WriteEnvironment(dir); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(filepath.Join(dir, "sandbox.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dsn"), []byte("postgres://secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]*ehealth.Outbox{
		``:                                  nil,
		`"outbox": {},`:                     {},
		`"outbox": {"file": "q.db"},`:       {File: filepath.Join(dir, "q.db")},
		`"outbox": {"postgres": "p://"},`:   {Postgres: "p://"},
		`"outbox": {"postgresFile":"dsn"},`: {Postgres: "postgres://secret"},
	} {
		name := filepath.Join(dir, "config.json")
		if err := os.WriteFile(name, append([]byte("{"+text), plain[1:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := ehealth.LoadConfig(name)
		if err != nil {
			t.Fatal(err)
		}
		switch got := cfg.Outbox; {
		case (got == nil) != (want == nil):
			t.Errorf("%s: %+v", text, got)
		case want != nil && (got.File != want.File || got.Postgres != want.Postgres):
			t.Errorf("%s: %+v", text, got)
		}
	}
}
