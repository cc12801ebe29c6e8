package drill

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoadBalancerOutage is the promise of the first drill: in the outage of June 2018 no
// counter waits longer than the deadline of its call, nobody sees somebody else's answer, and
// we put less on the platform per question than a client that repeats blindly.
func TestLoadBalancerOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(Options{Seed: 7, Pharmacies: 4, Every: 18 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ours, naive := r.Fleets[0].Total(), r.Fleets[1].Total()
		if ours.Calls == 0 || ours.Calls != naive.Calls {
			t.Fatalf("calls: ours %d, naive %d", ours.Calls, naive.Calls)
		}
		for _, f := range []Phase{ours, naive} {
			if f.Live+f.Otherwise+f.Failed+f.WrongAsker != f.Calls {
				t.Errorf("not every call is accounted for: %+v", f)
			}
		}
		if ours.WrongAsker != 0 {
			t.Errorf("%d answers of somebody else were shown", ours.WrongAsker)
		}
		if ours.Slowest > 5*time.Second {
			t.Errorf("a counter waited %v", ours.Slowest)
		}
		if naive.WrongAsker == 0 {
			t.Error("the naive client never got a wrong answer: the incident was not replayed")
		}
		if good := ours.Live + ours.Otherwise; good*100 < 85*ours.Calls {
			t.Errorf("only %d of %d answered", good, ours.Calls)
		}
		if ours.Requests >= naive.Requests {
			t.Errorf("load: ours %d, naive %d", ours.Requests, naive.Requests)
		}
		var text bytes.Buffer
		if err := r.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s", text.String())
	})
}
