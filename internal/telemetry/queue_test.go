package telemetry

import (
	"errors"
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

func TestOutbox(t *testing.T) {
	r := newRig(t)
	for _, to := range outbox.States() {
		r.Item(outbox.Event{ID: outbox.ID{1}, Kind: "recipe.archive", From: outbox.Sending, To: to, Reason: outbox.ReasonPerson})
	}
	counts, fails := outbox.Counts{By: map[outbox.Kind]map[outbox.State]int{"recipe.archive": {outbox.Parked: 3, outbox.Ready: 4}}}, error(nil)
	stop, err := r.Outbox(func() (outbox.Counts, error) { return counts, fails })
	if err != nil {
		t.Fatal(err)
	}
	m := r.metrics()
	if n := sum(m["ehealth.outbox.changes"], "ehealth.outbox.kind", "recipe.archive"); int(n) != len(outbox.States()) {
		t.Errorf("%v changes", n)
	}
	if sum(m["ehealth.outbox.items"], "ehealth.outbox.state", "parked") != 3 || sum(m["ehealth.outbox.items"], "ehealth.outbox.state", "ready") != 4 {
		t.Error(m["ehealth.outbox.items"])
	}
	stop()
	lines := r.lines()
	if len(lines) != len(itemLines) {
		t.Errorf("%d lines, want %d", len(lines), len(itemLines))
	}
	for _, l := range lines {
		if l["item"] != (outbox.ID{1}).String() || l["what"] != "recipe.archive" || l["reason"] != "person" {
			t.Errorf("line %v", l)
		}
	}
}

func TestOutboxMeterErrors(t *testing.T) {
	for _, name := range []string{"callback"} {
		tel, err := New(Options{MeterProvider: brokenMeters{name: name}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tel.Outbox(nil); !errors.Is(err, errMeter) {
			t.Error(err)
		}
	}
}
