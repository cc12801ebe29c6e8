package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// platform opens the platform of a configuration in this process.
func platform(t *testing.T, config string, change func(*ehealth.Config), f func(*ehealth.Platform)) {
	t.Helper()
	cfg, err := ehealth.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Outbox = &ehealth.Outbox{ByHand: true}
	change(&cfg)
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f(p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func withRecipe(cfg *ehealth.Config) { cfg.Recipe = &ehealth.Recipe{} }

// uncertain creates prescriptions whose answers are lost, and does not wait until they are found.
func uncertain(t *testing.T, config string, references ...string) (ids []string) {
	t.Helper()
	shared.inject(t, "recipe-presc 0 to_end lost_ack p=1\nrecipe-direct 0 to_end lost_ack p=1")
	for _, r := range references { // each by a program of its own: one that was in trouble asks something first
		ctx, over := context.WithCancel(t.Context())
		platform(t, config, func(cfg *ehealth.Config) {
			withRecipe(cfg)
			cfg.Outbox.Options = []outbox.Option{outbox.WithEvents(func(e outbox.Event) {
				if e.To == outbox.Unknown {
					over()
				}
			})}
		}, func(p *ehealth.Platform) {
			_, err := p.Recipe.Prescriber.Create(ctx, prescription(t, r))
			if over(); !errors.As(err, new(*recipe.UnsureError)) {
				t.Fatal(err)
			}
			ids = append(ids, p.Outbox.ID(recipe.KindCreate, r+"/1").String())
		})
	}
	shared.admin(t, http.MethodDelete, "/admin/faults", "")
	return ids
}

// park gives up looking for what is not known, as a program does after some days.
func park(t *testing.T, config string) {
	t.Helper()
	platform(t, config, func(cfg *ehealth.Config) {
		cfg.Outbox.Options = []outbox.Option{outbox.WithPace(-1, -1, -1)}
		cfg.Outbox.Handlers = func(*ehealth.Platform) (out []ehealth.Queued, _ error) {
			for _, k := range []outbox.Kind{recipe.KindCreate, appclient.Kind} {
				out = append(out, ehealth.Queued{Kind: k, Policy: outbox.Policy{Class: resilience.UnsafeWrite}, Handler: outbox.SendFunc(
					func(context.Context, outbox.Item, outbox.Attempt) (outbox.Answer, error) {
						return nil, errors.New("no answer")
					})})
			}
			return out, nil
		}
	}, func(p *ehealth.Platform) {
		if err := p.Outbox.Drain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	})
}

// numbers are those of the prescriptions in the sandbox, the latest last.
func numbers(t *testing.T) (out []identity.RID) {
	t.Helper()
	resp, err := http.Get(shared.ready.Admin + "/admin/prescriptions?clear=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all struct{ Prescriptions []struct{ RID string } }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, p := range all.Prescriptions {
		out = append(out, identity.MustRID(p.RID))
	}
	return out
}

// TestOutboxDecide: what a person found out about a prescription counts for all that belongs to it: its number, and its paper.
func TestOutboxDecide(t *testing.T) {
	config, others := queue(t, item("of another kind"))
	ids := uncertain(t, config, "sought", "given", "not")
	all := numbers(t)
	rids := all[len(all)-3:]
	decide := func(code int, out string, args ...string) {
		t.Helper()
		r := call(t, append([]string{"outbox", "decide", "--config", config}, args...)...)
		if strings.Contains(strings.ToUpper(r.out+r.err), rids[1].Reveal()) {
			t.Error("the output tells which prescription it is about")
		}
		if r.code != code || out != "" && r.out != out || code != done && (r.err == "" || r.out != "") {
			t.Errorf("%v: exit code %d, %q, %q", args[1:], r.code, r.out, r.err)
		}
	}
	decide(usage, "", ids[0], "--happened") // it is still looked for
	park(t, config)
	for _, args := range [][]string{
		{ids[1], "--happened", "--rid", "BEP0ABCDEFG"},
		{ids[1], ids[2], "--happened", "--rid", rids[1].Reveal()},
		{ids[1], "--not", "--rid", rids[1].Reveal()},
		{others[0], "--happened", "--rid", rids[1].Reveal()},
	} {
		decide(usage, "", args...)
	}
	decide(refused, "", ids[1], "--happened", "--rid", rids[0].Reveal())
	if r := call(t, "outbox", "decide", ids[1], "--happened", "--config", noDoctor(t, config)); r.code != usage || !strings.Contains(r.err, "recipe.Prescriber.Decide") {
		t.Errorf("somebody else's: exit code %d, %q", r.code, r.err)
	}
	decide(done, ids[0]+" is done\n", ids[0], "--happened")
	decide(done, ids[1]+" is done\n", ids[1], "--happened", "--rid", " "+strings.ToLower(rids[1].Reveal()))
	decide(done, ids[2]+" is cancelled\n", ids[2], "--not")
	decide(usage, "", ids[2], "--happened")
	decide(usage, "", ids[1], "--not")
	decide(done, others[0]+" is done\n", others[0], "--happened")
	platform(t, config, withRecipe, func(p *ehealth.Platform) {
		for i, want := range []recipe.Outcome{
			{State: recipe.OutcomeCreated, RID: rids[0]},
			{State: recipe.OutcomeCreated, RID: rids[1]},
			{State: recipe.OutcomeNotCreated, Notice: recipe.NoticePaper},
		} {
			if got, err := p.Recipe.Prescriber.Outcome(t.Context(), []string{"sought", "given", "not"}[i]); err != nil || got != want {
				t.Errorf("%d: %s, right number %t, notice %q, %v", i, got.State, got.RID == want.RID, got.Notice, err)
			}
		}
	})
	if help := call(t, "outbox", "decide", "--help"); help.code != done || !strings.Contains(help.out, "recipe.create") || !strings.Contains(help.out, "--rid=RID") {
		t.Errorf("exit code %d\n%s", help.code, help.out)
	}
}

// noDoctor is a configuration of the same outbox for somebody who does not prescribe.
func noDoctor(t *testing.T, config string) string {
	t.Helper()
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	doc["caller"].(map[string]any)["quality"] = string(identity.Logopedist)
	if b, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
