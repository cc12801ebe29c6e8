package ehealth_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

var patient = identity.MustSSIN("85073199704")

// scene is a sandbox on pipes and a doctor's configuration that reads the service list.
func scene(t *testing.T) (*sandbox.Sandbox, ehealth.Config) {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
	sb, err := sandbox.New(sandbox.Config{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sb.Close() })
	cfg, err := doctor(sb)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Trust.ServiceList = sb.Roots()
	cfg.ServiceList.URLs = []string{sb.ListURL(2), sb.ListURL(1)}
	return sb, cfg
}

func open(t *testing.T, cfg ehealth.Config) *ehealth.Platform {
	t.Helper()
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func check(t *testing.T, p *ehealth.Platform) *insurability.Answer {
	t.Helper()
	a, err := p.Insurability.Check(t.Context(), insurability.Query{Patient: patient})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func inject(t *testing.T, sb *sandbox.Sandbox, row string) (cancel func()) {
	t.Helper()
	step, err := sandbox.ParseStep(row)
	if err != nil {
		t.Fatal(err)
	}
	cancel, err = sb.Inject(step)
	if err != nil {
		t.Fatal(err)
	}
	return cancel
}

// TestPlatformObeysTheList is T01 and T02 of dossier 06 B.6: the platform orders the switch and,
// later, the way back; no call is lost and nobody does anything.
func TestPlatformObeysTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		p := open(t, cfg)
		if a := check(t, p); a.Source != insurability.Live {
			t.Fatalf("source is %v", a.Source)
		}
		back := inject(t, sb, "servicelist 0 to_end list set=genins=1:ACTIVE")
		time.Sleep(16 * time.Minute) // the longest time between two polls, and a little
		if a := check(t, p); a.Source != insurability.Alternate || a.Attempts != 1 || a.Notice != insurability.NoticeDirect {
			t.Fatalf("after the order: %v, %d attempts, notice %q", a.Source, a.Attempts, a.Notice)
		}
		back()
		time.Sleep(20 * time.Minute)
		check(t, p) // the way back begins with this call: a growing share goes to the default address
		time.Sleep(2 * time.Minute)
		if a := check(t, p); a.Source != insurability.Live || a.Attempts != 1 {
			t.Fatalf("after the way back: %v, %d attempts", a.Source, a.Attempts)
		}
	})
}

// TestOpenNeverWaits: a list server that hangs, and a login service that does, keep no
// application from starting (dossier 12, scenario 10).
func TestOpenNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		inject(t, sb, "servicelist 0 to_end hang -")
		inject(t, sb, "sts 0 to_end hang -")
		start := time.Now()
		p := open(t, cfg)
		if d := time.Since(start); d != 0 {
			t.Errorf("starting took %v", d)
		}
		start = time.Now()
		_, err := p.Insurability.Check(t.Context(), insurability.Query{Patient: patient})
		if d := time.Since(start); d > insurability.DefaultTimeout {
			t.Errorf("the first call took %v", d)
		}
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Outcome != fault.NotSent || e.Notice != "D-AUTH-NONE" {
			t.Errorf("error is %v", err)
		}
	})
}

// TestRestartDuringAnOutage: a program that restarts while the login service and the list server
// are down goes on with what it kept, and what it kept can be read by nobody else.
func TestRestartDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		cfg.DataDir = t.TempDir()
		p := open(t, cfg)
		inject(t, sb, "servicelist 0 to_end list set=genins=1:ACTIVE")
		time.Sleep(16 * time.Minute)
		check(t, p)
		tok, err := p.Tokens.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		inject(t, sb, "sts 0 to_end refuse -")
		inject(t, sb, "servicelist 0 to_end refuse -")
		before := sb.State().Requests["sts"]
		p = open(t, cfg)
		if a := check(t, p); a.Source != insurability.Alternate || a.Attempts != 1 {
			t.Errorf("after the restart: %v, %d attempts", a.Source, a.Attempts)
		}
		if n := sb.State().Requests["sts"] - before; n != 0 {
			t.Errorf("the restart asked the login service %d times", n)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		unreadable(t, cfg.DataDir, string(tok.Raw[:200]), tok.ID, cfg.Caller.SSIN.Reveal(), cfg.Caller.NIHII.Reveal(), cfg.Caller.Name)
	})
}

// unreadable searches every file below dir, and the file names, for what must not be there.
func unreadable(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, s := range secrets {
			if bytes.Contains(b, []byte(s)) || bytes.Contains([]byte(path), []byte(s)) {
				t.Errorf("%s holds secret %d in clear", d.Name(), i)
			}
		}
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestHealthTells: an outage shows in the health of the function within 30 s of the fault, with
// the notice to show, while other functions stay well; and so does its end.
func TestHealthTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		p := open(t, cfg)
		changes := make(chan resilience.Status, 100)
		stop := p.Health.Watch(func(s resilience.Status) { changes <- s })
		defer stop()
		check(t, p)
		ask := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
				_, _ = p.Insurability.Check(t.Context(), insurability.Query{Patient: patient})
			}
		}
		cancelA := inject(t, sb, "genins 0 to_end fault code=SOA-02001")
		cancelB := inject(t, sb, "genins-direct 0 to_end fault code=SOA-02001")
		start := time.Now()
		go ask(time.Minute)
		for s := range changes {
			if s.Function != ehealth.FunctionInsurability {
				t.Errorf("%s became %v", s.Function, s.Condition)
			}
			if s.Condition == resilience.Down {
				if d := time.Since(start); d > 30*time.Second {
					t.Errorf("told after %v", d)
				}
				if s.Notice == "" {
					t.Error("told without a notice")
				}
				break
			}
		}
		if s, ok := p.Health.Function(ehealth.FunctionLogin); !ok || s.Condition != resilience.OK {
			t.Errorf("login is %v", s.Condition)
		}
		cancelA()
		cancelB()
		time.Sleep(2 * time.Minute)
		ask(10 * time.Minute)
		if s, _ := p.Health.Function(ehealth.FunctionInsurability); s.Condition != resilience.OK {
			t.Errorf("after the end: %v, notice %q", s.Condition, s.Notice)
		}
	})
}
