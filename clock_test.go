package ehealth_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// TestWrongClock replays SYN-CLOCK through the whole platform: the login is refused, and what the
// person reads names the clock and by how much it is wrong.
func TestWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script, ok := incident.Get("SYN-CLOCK")
		if !ok {
			t.Fatal("no such incident")
		}
		time.Sleep(time.Until(script.T0))
		sb, err := sandbox.New(sandbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer sb.Close()
		cfg, err := doctor(sb)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ehealth.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		run, err := sb.Apply(script)
		if err != nil {
			t.Fatal(err)
		}
		defer run.Cancel()
		time.Sleep(script.Steps[0].At + time.Second)
		_, err = p.Insurability.Check(t.Context(), insurability.Query{Patient: identity.MustSSIN("85073199704")})
		if !errors.Is(err, fault.ErrDenied) {
			t.Fatalf("error is %v", err)
		}
		if skew, wrong := p.ClockSkew(); !wrong || skew.Abs() != 20*time.Minute {
			t.Errorf("learned a skew of %v, wrong %v", skew, wrong)
		}
		n, ok := notice.FromError(err, notice.Login)
		if text := n.Text(notice.NL); !ok || !strings.Contains(text, "De klok van deze computer wijkt 20 minuten af.") {
			t.Errorf("the person reads %q", text)
		}
	})
}
