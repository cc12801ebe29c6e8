package drill

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// table finds the table of a fleet and a kind of traffic.
func table(t *testing.T, r *Report, name string, of Traffic) Fleet {
	t.Helper()
	i := slices.IndexFunc(r.Fleets, func(f Fleet) bool { return f.Name == name && f.Traffic == of })
	if i < 0 {
		t.Fatalf("no table of %s, %s", name, of)
	}
	return r.Fleets[i]
}

// replay runs a drill in a bubble and checks what must hold of every report.
func replay(t *testing.T, o Options) *Report {
	t.Helper()
	var r *Report
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(o); err != nil {
			t.Fatal(err)
		}
	})
	for _, f := range r.Fleets {
		total := f.Total()
		if total.Calls == 0 || total.Live+total.Otherwise+total.Failed+total.WrongAsker != total.Calls || total.Requests == 0 {
			t.Errorf("%s, %s: %+v", f.Name, f.Traffic, total)
		}
		if idle := unasked(f); len(idle) > 0 {
			t.Errorf("%s, %s: nobody asked in the phases %q", f.Name, f.Traffic, idle)
		}
		if f.Name == Ours && total.WrongAsker > 0 {
			t.Errorf("ours, %s: %d answers of somebody else were shown", f.Traffic, total.WrongAsker)
		}
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", text.String())
	return r
}

// unasked names the phases of a fault, and those before and after, in which nobody did anything: what a fleet promises about
// them would hold for want of calls. Those of less than a quarter of an hour are a matter of luck.
func unasked(f Fleet) (idle []string) {
	for _, p := range f.Phases {
		if p.Calls == 0 && p.To-p.From >= 15*time.Minute {
			idle = append(idle, p.Name)
		}
	}
	return idle
}

// TestVote: writes whose answers are lost. Ours does nothing twice: it asks what happened, mostly before the person is
// told anything; the others do things twice and say that all is well.
func TestVote(t *testing.T) {
	if testing.Short() {
		t.Skip("only adds users")
	}
	r := replay(t, Options{Incident: "INC-2018-06-08-VOTE", Seed: 3, Pharmacies: 2, Fleets: []string{Ours, Naive, ConnectorLike}})
	if got := table(t, r, Ours, Writes).Total(); got.Doubled != 0 || got.Otherwise == 0 || got.Unsure+got.Kept != got.Failed || got.Failed*20 > got.Calls || got.Done != got.Calls {
		t.Errorf("ours: %+v", got)
	}
	for _, name := range []string{Naive, ConnectorLike} {
		if got := table(t, r, name, Writes).Total(); got.Doubled == 0 || got.Unsure != 0 || got.Done != got.Calls+got.Doubled {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestHalf: while insurability hangs, writes and prescriptions take as long as before.
func TestHalf(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "SYN-HALF", Seed: 11, Pharmacies: 2, Every: 10 * time.Minute, Fleets: []string{Ours, ConnectorLike}})
	writes := table(t, r, Ours, Writes)
	during := writes.Phases[slices.IndexFunc(writes.Phases, func(p Phase) bool { return p.Name == "genins hang" })]
	if during.Calls == 0 || during.Live != during.Calls || during.P95 > 100*time.Millisecond {
		t.Errorf("writes while insurability hangs: %+v", during)
	}
	if rx, out := recipeTables(t, r, Ours); rx.Live != rx.Calls || out.Live != out.Calls || rx.Waited > time.Second {
		t.Errorf("ours: %+v, %+v", rx, out)
	}
	if got := table(t, r, Ours, Insurability).Total(); got.Slowest > checkLimit || got.Failed > 0 {
		t.Errorf("ours: %+v", got)
	}
	if got := table(t, r, ConnectorLike, Insurability).Total(); got.Slowest < oneTimeout {
		t.Errorf("connector-like: slowest %v: the incident was not replayed", got.Slowest)
	}
}

// TestSTSCapacity: logins where the STS has a third of what it needs, scaled to the fleet.
func TestSTSCapacity(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "INC-2020-01-24-STS", Seed: 3, Pharmacies: 2, Fleets: []string{Ours, Naive}})
	if want := 2.0 / 300 / (5.0 / 3); r.Scale < want*0.99 || r.Scale > want*1.01 {
		t.Errorf("scale %v, want %v", r.Scale, want)
	}
	ours, naive := table(t, r, Ours, Login).Total(), table(t, r, Naive, Login).Total()
	if ours.Failed == 0 {
		t.Error("no login failed: the incident was not replayed")
	}
	if ours.Requests > naive.Requests {
		t.Errorf("load on the STS: ours %d, naive %d", ours.Requests, naive.Requests)
	}
}

// TestLeftOut: an incident at several services is replayed as far as they exist, and the report says what is missing.
func TestLeftOut(t *testing.T) {
	r := replay(t, Options{Incident: "INC-2019-07-MCN", Seed: 3, Pharmacies: 1, Fleets: []string{Ours}})
	if !slices.Equal(r.LeftOut, []string{"attest"}) {
		t.Errorf("left out: %v", r.LeftOut)
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want error
		text string
	}{
		{Options{Incident: "INC-1999"}, ErrUnknownIncident, "INC-1999"},
		{Options{Traffic: []Traffic{"post"}}, ErrUnknownTraffic, "post"},
		{Options{Fleets: []string{"theirs"}}, ErrUnknownTraffic, "theirs"},
		{Options{Incident: "INC-2018-11-DUP"}, ErrMissingService, "attest"},
	} {
		synctest.Test(t, func(t *testing.T) {
			if _, err := Run(c.o); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%+v: %v", c.o, err)
			}
		})
	}
}

// TestEveryIncident: the whole catalogue can be replayed but for what is about services that do not exist yet.
func TestEveryIncident(t *testing.T) {
	s, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	missing := map[string]bool{}
	for _, script := range incident.All() {
		if o, err := (Options{Incident: script.ID}).withDefaults(script); err != nil || len(o.Traffic) == 0 || !(o.Scale > 0 && o.Scale <= 1) {
			t.Errorf("%s: %+v, %v", script.ID, o, err)
		}
		if ph := phases(script, time.Minute); len(ph) < 2 && script.End() > 0 {
			t.Errorf("%s: phases %+v", script.ID, ph)
		}
		run, leftOut, err := prepare(s, script)
		switch {
		case errors.Is(err, ErrMissingService):
			missing[script.ID] = true
			continue
		case err != nil:
			t.Errorf("%s: %v", script.ID, err)
			continue
		}
		run.Cancel()
		for _, name := range leftOut {
			if strings.HasPrefix(name, "recipe") {
				t.Errorf("%s: left out %s", script.ID, name)
			}
			if !slices.ContainsFunc(script.Steps, func(st sandbox.Step) bool { return st.Service == name }) {
				t.Errorf("%s: left out %s, which is not in it", script.ID, name)
			}
		}
	}
	for _, id := range []string{
		"INC-2018-05-28-EID", "INC-2018-06-08-VOTE", "INC-2018-06-12-LB", "INC-2018-08-09-SAN", "INC-2018-09-12-SLOW", "INC-2020-01-24-STS",
		"INC-2020-01-27-ACCESS", "INC-2019-07-MCN", "SYN-BADLIST", "SYN-FLAP", "SYN-HERD", "SYN-HALF", "SYN-CLOCK", "SYN-TOKEN-EXPIRES",
		"INC-2019-08-RECIPE", "INC-2020-01-28-RECIPE", "INC-2024-01-09-MCN", "INC-2026-02-04-ETK", "SYN-LOSTACK-RECIPE",
	} {
		if missing[id] {
			t.Errorf("%s cannot be replayed", id)
		}
	}
}

func TestPercentile(t *testing.T) {
	var waits []time.Duration
	for i := range 20 {
		waits = append(waits, time.Duration(20-i))
	}
	if got := percentile(waits, 95); got != 19 {
		t.Errorf("95 %% of 1 to 20: %d", got)
	}
	if percentile(nil, 95) != 0 || percentile(waits[:1], 95) != 20 {
		t.Error("few waits")
	}
}
