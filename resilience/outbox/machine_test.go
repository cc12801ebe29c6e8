package outbox

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// The drawing in docs/outbox.md, as a table.
func TestMoves(t *testing.T) {
	allowed := map[State]string{
		Held:      "prepared expired cancelled",
		Prepared:  "sending parked expired cancelled",
		Ready:     "sending parked expired cancelled",
		Sending:   "ready unknown parked done rejected",
		Unknown:   "ready unknown parked done rejected",
		Parked:    "ready unknown parked done rejected cancelled",
		Done:      "",
		Rejected:  "ready cancelled",
		Expired:   "cancelled",
		Cancelled: "",
	}
	for _, from := range States() {
		got := ""
		for _, to := range States() {
			if from.CanBecome(to) {
				got += " " + to.String()
			}
		}
		if len(got) > 0 {
			got = got[1:]
		}
		if got != allowed[from] {
			t.Errorf("%s can become %q, want %q", from, got, allowed[from])
		}
		if s, ok := ParseState(from.String()); !ok || s != from {
			t.Errorf("%s does not parse", from)
		}
	}
}

func unknownRecord(t *testing.T) (*record, Policy, time.Time) {
	t.Helper()
	p, err := Policy{Class: resilience.ResolvableWrite}.resolved()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)
	r := &record{Entry: Entry{State: Prepared}}
	if _, err := r.begin(at, at.Add(2*time.Minute), p); err != nil {
		t.Fatal(err)
	}
	if err := r.concluded(1, &fault.Error{Kind: fault.Timeout}, at, p, 0); err != nil || r.State != Unknown {
		t.Fatal(r.State, err)
	}
	return r, p, at
}

// Rule 3: a conclusion counts only for the attempt that the store holds now, lease or no lease.
func TestConclusionOfAnotherAttempt(t *testing.T) {
	r, p, at := unknownRecord(t)
	after := r.Horizon.Add(time.Second)
	if err := r.resolved(1, Verdict{Found: NotThere}, nil, after, after, p, 0); err != nil || r.State != Ready {
		t.Fatal(r.State, err)
	}
	if _, err := r.begin(after, after.Add(time.Minute), p); err != nil {
		t.Fatal(err)
	}
	if err := r.concluded(2, &fault.Error{Kind: fault.Timeout}, after, p, 0); err != nil {
		t.Fatal(err)
	}
	much := r.Horizon.Add(time.Hour)
	for _, v := range []Verdict{{Found: NotThere}, {Found: Happened}, {}} {
		if err := r.resolved(1, v, nil, much, much, p, 0); !errors.Is(err, ErrStale) || r.State != Unknown || r.Attempt != 2 {
			t.Fatalf("a conclusion about attempt 1 moved attempt 2 to %s: %v", r.State, err)
		}
	}
	if err := r.concluded(1, &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent}, at, p, 0); !errors.Is(err, ErrStale) || r.Doubled {
		t.Fatal(err, r.Doubled)
	}
	// Attempt 1 was believed not to have happened, and did: that must not stay hidden.
	if err := r.concluded(1, nil, at, p, 0); !errors.Is(err, ErrStale) || !r.Doubled || r.State != Unknown {
		t.Fatal(err, r.Doubled, r.State)
	}
}

// Rule 4: the question counts from when it was asked, not from when its answer came.
func TestQuestionCountsWhenAsked(t *testing.T) {
	for _, c := range []struct {
		asked, now time.Duration // from the horizon
		want       State
	}{
		{-time.Hour, -time.Hour, Unknown}, {-time.Second, time.Hour, Unknown}, {0, time.Hour, Unknown}, {1, time.Hour, Ready}, {1, 1, Ready},
	} {
		r, p, _ := unknownRecord(t)
		h := r.Horizon
		if err := r.resolved(1, Verdict{Found: NotThere}, nil, h.Add(c.asked), h.Add(c.now), p, 0); err != nil || r.State != c.want {
			t.Errorf("asked at %v, answered at %v: %s, want %s (%v)", c.asked, c.now, r.State, c.want, err)
		}
	}
}

// Rule 2: Expires is fixed by the intent and lies within message life, lease and item.
func TestExpiresIsBounded(t *testing.T) {
	at := time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)
	p, _ := Policy{Class: resilience.ResolvableWrite, TTL: time.Minute}.resolved()
	for _, c := range []struct{ lease, item, want time.Duration }{
		{time.Hour, 0, time.Minute}, {time.Second, 0, time.Second}, {time.Hour, time.Second, time.Second}, {3, 2, 2}, {2, 3, 2},
	} {
		r := &record{Entry: Entry{State: Prepared}}
		if c.item > 0 {
			r.Expires = at.Add(c.item)
		}
		a, err := r.begin(at, at.Add(c.lease), p)
		if err != nil || !a.Expires.Equal(at.Add(c.want)) || !r.Horizon.Equal(a.Expires.Add(11*time.Minute)) {
			t.Errorf("lease %v, item %v: expires %v (%v)", c.lease, c.item, a.Expires.Sub(at), err)
		}
	}
}

func TestPolicyNumbers(t *testing.T) {
	p, err := Policy{Class: resilience.ResolvableWrite, Skew: -1, Tries: -1, GiveUp: -1}.resolved()
	if err != nil || p.horizon() != 6*time.Minute || p.Tries != -1 || p.GiveUp < 1e18 {
		t.Fatalf("%+v %v", p, err)
	}
	for n, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 8: 10 * time.Minute, 1000: 10 * time.Minute} {
		if lo, hi := p.backoff(n, 0), p.backoff(n, 1); lo != want/2 || hi != want {
			t.Errorf("backoff %d: %v to %v, want %v to %v", n, lo, hi, want/2, want)
		}
	}
	for _, bad := range []Policy{{}, {Class: resilience.ResolvableWrite, TTL: -1}, {Class: resilience.ResolvableWrite, Timeout: -1}} {
		if _, err := bad.resolved(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v was accepted", bad)
		}
	}
}
