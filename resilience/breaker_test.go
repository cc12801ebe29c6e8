package resilience

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/fault"
)

var t0 = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// full makes every open time as long as it may be.
func full() float64 { return 0.999999 }

func failing() error {
	return &fault.Error{Kind: fault.Unavailable, Outcome: fault.Rejected, Code: "SOA-02002", Message: "secret"}
}

// record makes one call that ends in v; false: it was not let through.
func record(b *Breaker, now time.Time, v Verdict) bool {
	p, err := b.Allow(now)
	if err != nil {
		return false
	}
	b.Record(p, now, v, failing())
	return true
}

func TestBreakerOpens(t *testing.T) {
	for _, c := range []struct {
		name  string
		calls string // one per 100 ms: f failure, s success, i ignored
		p     BreakerPolicy
		open  bool
	}{
		{"nine in a row", "fffffffff", BreakerPolicy{}, false},
		{"ten in a row", "ffffffffff", BreakerPolicy{}, true},
		{"a success between", "fffffffffsfffffffff", BreakerPolicy{}, false},
		{"ignored ones neither count nor interrupt", "fffffifffifiif", BreakerPolicy{}, true},
		{"half of twenty", "fsfsfsfsfsfsfsfsfsfs", BreakerPolicy{}, false},
		{"60 % of twenty", "ffsfsffsfsffsfsffsff", BreakerPolicy{}, true},
		{"60 % of nineteen", "ffsfsffsfsffsfsffsf", BreakerPolicy{}, false},
		{"ratio off", "ffsffsffsffsffsffsffsffsffsffs", BreakerPolicy{Ratio: -1}, false},
		{"consecutive off", "ffffffffff", BreakerPolicy{Consecutive: -1}, false},
		{"both off", "ffffffffffffffffffffffffff", BreakerPolicy{Consecutive: -1, Ratio: -1}, false},
	} {
		b, now := NewBreaker("s", "e", c.p, nil), t0
		for _, r := range c.calls {
			record(b, now, map[rune]Verdict{'f': Failed, 's': Success, 'i': Ignored}[r])
			now = now.Add(100 * time.Millisecond)
		}
		if got := b.Snapshot().State == Open; got != c.open {
			t.Errorf("%s: open %v", c.name, got)
		}
	}
}

func TestBreakerForgetsWhatIsOld(t *testing.T) {
	b, now := NewBreaker("s", "e", BreakerPolicy{Consecutive: -1}, nil), t0
	for range 19 {
		record(b, now, Failed)
	}
	now = now.Add(DefaultBreakerWindow + time.Second)
	record(b, now, Failed)
	if s := b.Snapshot(); s.State != Closed {
		t.Fatalf("opened by failures that left the window: %+v", s)
	}
}

func open(t *testing.T, b *Breaker, now time.Time) {
	t.Helper()
	for range DefaultBreakerConsecutive {
		if !record(b, now, Failed) {
			t.Fatal("refused while closed")
		}
	}
	if b.Snapshot().State != Open {
		t.Fatal("not open")
	}
}

func TestBreakerHalfOpen(t *testing.T) {
	var changes []string
	b := NewBreaker("s", "e", BreakerPolicy{}, func(c Change) { changes = append(changes, c.From.String()+">"+c.To.State.String()) })
	b.random = full
	open(t, b, t0)
	_, err := b.Allow(t0.Add(time.Second))
	r, ok := errors.AsType[*Refusal](err)
	if !ok || !errors.Is(err, ErrBreakerOpen) || r.RetryAfter < 4*time.Second || r.RetryAfter > DefaultBreakerOpen {
		t.Fatalf("refusal: %v %+v", err, r)
	}
	now := t0.Add(DefaultBreakerOpen)
	first, err := b.Allow(now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Allow(now); err == nil || b.Ready(now) {
		t.Fatal("two probes at a time")
	}
	b.Record(first, now, Ignored, nil) // says nothing: the next call is the probe
	for i := range DefaultBreakerCloseAfter {
		if b.Snapshot().State != HalfOpen {
			t.Fatalf("closed after %d", i)
		}
		if !record(b, now, Success) {
			t.Fatal("probe refused")
		}
	}
	if got := fmt.Sprint(changes); got != "[closed>open open>half-open half-open>closed]" {
		t.Fatal(got)
	}
	if !b.good() || b.Snapshot().Failures != 0 {
		t.Fatalf("%+v", b.Snapshot())
	}
}

// TestBreakerGrowth: the open time is a tenth of the outage, at least 5 s, at most 2 min.
func TestBreakerGrowth(t *testing.T) {
	b := NewBreaker("s", "e", BreakerPolicy{}, nil)
	b.random = full
	open(t, b, t0)
	for range 200 {
		s := b.Snapshot()
		got := s.Until.Sub(s.Since)
		want := min(max(s.Since.Sub(t0)/10, DefaultBreakerOpen), DefaultBreakerOpenMax)
		if got > want || got < want-want/100 {
			t.Fatalf("%v after the start: open for %v, want %v", s.Since.Sub(t0), got, want)
		}
		if !record(b, s.Until, Failed) {
			t.Fatal("no probe")
		}
	}
	if d := b.Snapshot().Until.Sub(b.Snapshot().Since); d < DefaultBreakerOpenMax*99/100 {
		t.Fatalf("never reached the longest: %v", d)
	}
	b.random = func() float64 { return 0 }
	record(b, b.Snapshot().Until, Failed)
	if d := b.Snapshot().Until.Sub(b.Snapshot().Since); d != DefaultBreakerOpenMax/2 {
		t.Fatalf("jitter takes at most half: %v", d)
	}
}

func TestBreakerStaleResults(t *testing.T) {
	b := NewBreaker("s", "e", BreakerPolicy{}, nil)
	b.random = full
	late, _ := b.Allow(t0)
	open(t, b, t0)
	now := t0.Add(DefaultBreakerOpen)
	probe, _ := b.Allow(now)
	for range 10 {
		b.Record(late, now, Success, nil) // began before the outage
	}
	if b.Snapshot().State != HalfOpen {
		t.Fatal("an old success closed it")
	}
	b.Record(probe, now, Failed, nil)
	b.Record(probe, now, Success, nil) // told twice
	if b.Snapshot().State != Open {
		t.Fatal("a result told twice counted twice")
	}
}

func TestBreakerLostProbe(t *testing.T) {
	b := NewBreaker("s", "e", BreakerPolicy{}, nil)
	open(t, b, t0)
	now := t0.Add(DefaultBreakerOpen)
	if _, err := b.Allow(now); err != nil {
		t.Fatal(err)
	}
	if !b.Ready(now.Add(DefaultBreakerOpenMax + 1)) {
		t.Fatal("a probe that never told keeps the address closed for ever")
	}
}

func TestBreakerByHand(t *testing.T) {
	b := NewBreaker("s", "e", BreakerPolicy{}, nil)
	b.ForceOpen(t0, "planned work", t0.Add(time.Hour))
	if s := b.Snapshot(); s.State != ForcedOpen || s.Reason != "planned work" || !s.Until.Equal(t0.Add(time.Hour)) {
		t.Fatalf("%+v", s)
	}
	_, err := b.Allow(t0.Add(59 * time.Minute))
	if err == nil || err.Error() != "resilience: breaker is open: planned work" {
		t.Fatal(err)
	}
	if !record(b, t0.Add(time.Hour), Failed) {
		t.Fatal("no probe after the end")
	}
	if b.Snapshot().State != Open {
		t.Fatal("a failed probe must open it")
	}
	b.ForceOpen(t0, "until further notice", time.Time{})
	if b.Ready(t0.Add(1000 * time.Hour)) {
		t.Fatal("without an end only Close ends it")
	}
	b.Close(t0)
	if !record(b, t0, Success) || b.Snapshot().State != Closed {
		t.Fatal("Close did not close")
	}
}

func TestBreakerProbe(t *testing.T) {
	b := NewBreaker("s", "e", BreakerPolicy{}, nil)
	b.probed, b.random = true, full
	open(t, b, t0)
	now := t0.Add(DefaultBreakerOpen)
	if b.Ready(now) {
		t.Fatal("a real call was risked although there is a cheap probe")
	}
	if _, due := b.ProbeDue(t0); due {
		t.Fatal("probe before its time")
	}
	p, due := b.ProbeDue(now)
	if _, twice := b.ProbeDue(now); !due || twice {
		t.Fatal("exactly one probe is due")
	}
	b.ProbeDone(p, now, errors.New("refused"))
	if s := b.Snapshot(); s.State != Open || s.LastErr != "*errors.errorString" || !s.Until.After(now) {
		t.Fatalf("%+v", s)
	}
	now = b.Snapshot().Until
	p, _ = b.ProbeDue(now)
	b.ProbeDone(p, now, nil)
	if b.Snapshot().State != HalfOpen || !b.Ready(now) {
		t.Fatal("a good probe lets real calls try")
	}
	b.ProbeDone(p, now, errors.New("told twice"))
	if b.Snapshot().State != HalfOpen {
		t.Fatal("the result of an earlier state counted")
	}
}

func TestBreakerRestore(t *testing.T) {
	open5 := Snapshot{State: Open, Since: t0.Add(-time.Minute), Until: t0.Add(3 * time.Second), Outage: t0.Add(-time.Hour), Reason: "r", Failures: 12, LastErr: "x"}
	with := func(f func(*Snapshot)) Snapshot { s := open5; f(&s); return s }
	for _, c := range []struct {
		name  string
		s     Snapshot
		state BreakerState
		until time.Duration
	}{
		{"closed", Snapshot{}, Closed, 0},
		{"unknown state", Snapshot{State: 9}, Closed, 0},
		{"open", open5, Open, 3 * time.Second},
		{"open time over", with(func(s *Snapshot) { s.Until = t0.Add(-time.Second) }), Open, -time.Second},
		{"long over", with(func(s *Snapshot) { s.Until = t0.Add(-time.Hour) }), Closed, 0},
		{"clock went back", with(func(s *Snapshot) { s.Since, s.Until = t0.Add(time.Hour), t0.Add(2*time.Hour) }), Open, DefaultBreakerOpenMax},
		{"half-open: its probe died with the process", with(func(s *Snapshot) { s.State = HalfOpen }), Open, -time.Minute},
		{"by hand", with(func(s *Snapshot) { s.State, s.Until = ForcedOpen, t0.Add(5*time.Hour) }), ForcedOpen, 5 * time.Hour},
		{"by hand, no end", with(func(s *Snapshot) { s.State, s.Until = ForcedOpen, time.Time{} }), ForcedOpen, 0},
	} {
		text, err := json.Marshal(c.s)
		if err != nil {
			t.Fatal(err)
		}
		var stored Snapshot
		if err := json.Unmarshal(text, &stored); c.s.State <= ForcedOpen && err != nil {
			t.Fatal(err)
		}
		b := NewBreaker("s", "e", BreakerPolicy{}, nil)
		b.Restore(c.s, t0)
		got := b.Snapshot()
		if got.State != c.state || c.until != 0 && got.Until.Sub(t0) != c.until || got.Since.After(t0) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if c.state == Open && (got.Failures != 12 || got.LastErr != "x" || got.Outage.After(t0)) {
			t.Errorf("%s: lost: %+v", c.name, got)
		}
	}
}

func TestJudge(t *testing.T) {
	p := DefaultPolicy().Breaker
	want := map[fault.Kind]Verdict{
		fault.Invalid: Ignored, fault.Denied: Ignored, fault.NotFound: Ignored, fault.Conflict: Ignored, fault.Canceled: Ignored, fault.Local: Ignored,
		fault.Throttled: Failed, fault.Unavailable: Failed, fault.Timeout: Failed, fault.Protocol: Failed, fault.Security: Failed,
	}
	for k := fault.Invalid; k <= fault.Local; k++ {
		for o := fault.Unknown; o <= fault.Done; o++ {
			if got := p.Judge(fmt.Errorf("x: %w", &fault.Error{Kind: k, Outcome: o}), time.Second); got != want[k] {
				t.Errorf("%v %v: %v", k, o, got)
			}
		}
	}
	for _, c := range []struct {
		name    string
		err     error
		latency time.Duration
		want    Verdict
	}{
		{"answer", nil, time.Second, Success},
		{"slow answer", nil, DefaultBreakerSlow + 1, Failed},
		{"time-out of a caller in a hurry", &fault.Error{Kind: fault.Timeout}, DefaultBreakerPatience - 1, Ignored},
		{"refused by ourselves", (&Refusal{By: ErrLimited}).failure(), time.Second, Ignored},
		{"no token for it", &Failure{Fault: &fault.Error{Kind: fault.Unavailable}, NotHere: true}, time.Second, Ignored},
		{"unclassified", errors.New("x"), time.Second, Failed},
	} {
		if got := p.Judge(c.err, c.latency); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// breakerModel is the breaker as one would explain it, without windows in slots or generations.
type breakerModel struct {
	b       *Breaker
	now     time.Time
	state   BreakerState
	until   time.Time
	outage  time.Time
	row     int
	passed  int
	calls   []modelCall // of the closed state, newest last
	probing bool
	out     []Permit // permits of calls under way, of the present state
	changes int
	seen    int
}

type modelCall struct {
	at     time.Time
	failed bool
}

func (m *breakerModel) become(s BreakerState) {
	m.state, m.passed, m.probing, m.calls, m.out = s, 0, false, nil, nil
	m.changes++
	if s == Closed {
		m.row, m.outage = 0, time.Time{}
	}
}

func (m *breakerModel) open() {
	if m.outage.IsZero() {
		m.outage = m.now
	}
	m.become(Open)
	d := min(max(DefaultBreakerOpen, m.now.Sub(m.outage)/10), DefaultBreakerOpenMax)
	m.until = m.now.Add(d)
}

// Begin asks for a permit.
func (m *breakerModel) Begin(t *rapid.T) {
	p, err := m.b.Allow(m.now)
	want := m.state == Closed
	over := !m.now.Before(m.until)
	switch {
	case m.state == Open && over, m.state == ForcedOpen && !m.until.IsZero() && over:
		m.become(HalfOpen)
		want, m.probing = true, true
	case m.state == HalfOpen && !m.probing:
		want, m.probing = true, true
	}
	if got := err == nil; got != want {
		t.Fatalf("%v: let through %v, want %v", m.state, got, want)
	}
	if err == nil {
		m.out = append(m.out, p)
	}
}

// End ends one of the calls under way.
func (m *breakerModel) End(t *rapid.T) {
	if len(m.out) == 0 {
		t.Skip("none under way")
	}
	i := rapid.IntRange(0, len(m.out)-1).Draw(t, "which")
	p := m.out[i]
	m.out = append(m.out[:i:i], m.out[i+1:]...)
	v := rapid.SampledFrom([]Verdict{Ignored, Success, Failed, Failed, Failed}).Draw(t, "verdict")
	m.b.Record(p, m.now, v, failing())
	switch m.state {
	case Closed:
		m.count(v)
	case HalfOpen:
		m.probing = false
		switch v {
		case Failed:
			m.row++
			m.open()
		case Success:
			m.row = 0
			if m.passed++; m.passed == DefaultBreakerCloseAfter {
				m.become(Closed)
			}
		}
	}
}

func (m *breakerModel) count(v Verdict) {
	if v == Ignored {
		return
	}
	m.calls = append(m.calls, modelCall{m.now, v == Failed})
	if v == Success {
		m.row = 0
		return
	}
	m.row++
	calls, failed := 0, 0
	for _, c := range m.calls {
		// The window moves in tenths: what is in the oldest slot still counts whole.
		first := m.calls[0].at
		slot := func(at time.Time) int64 { return int64(at.Sub(first) / (DefaultBreakerWindow / windowSlots)) }
		if slot(c.at) > slot(m.now)-windowSlots {
			calls++
			if c.failed {
				failed++
			}
		}
	}
	if m.row >= DefaultBreakerConsecutive || calls >= DefaultBreakerMinCalls && float64(failed) >= 0.6*float64(calls) {
		m.open()
	}
}

// Wait lets time pass.
func (m *breakerModel) Wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 8_000).Draw(t, "ms")) * time.Millisecond)
}

// Force closes the address by hand, sometimes without an end.
func (m *breakerModel) Force(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "seldom") != 0 {
		t.Skip("seldom")
	}
	var until time.Time
	if rapid.Bool().Draw(t, "with end") {
		until = m.now.Add(time.Minute)
	}
	m.b.ForceOpen(m.now, "by hand", until)
	m.become(ForcedOpen)
	if m.until = until; m.outage.IsZero() {
		m.outage = m.now
	}
}

// Shut ends every open state by hand.
func (m *breakerModel) Shut(t *rapid.T) {
	if m.state != ForcedOpen {
		t.Skip("only after Force")
	}
	m.b.Close(m.now)
	m.become(Closed)
}

// Check compares.
func (m *breakerModel) Check(t *rapid.T) {
	s := m.b.Snapshot()
	if s.State != m.state || s.Failures != m.row || m.seen != m.changes {
		t.Fatalf("breaker %+v after %d changes\nmodel %v, %d in a row, %d changes", s, m.seen, m.state, m.row, m.changes)
	}
	if !s.Outage.Equal(m.outage) {
		t.Fatalf("outage since %v, want %v", s.Outage, m.outage)
	}
	if d := m.until.Sub(s.Until); m.state == Open && (d < 0 || d > time.Millisecond) {
		t.Fatalf("until %v, want %v", s.Until, m.until)
	}
}

// tenThousand makes rapid take about 10 000 steps in all.
func tenThousand(t *testing.T, steps, checks string) {
	t.Helper()
	for name, v := range map[string]string{"rapid.steps": steps, "rapid.checks": checks} {
		old := flag.Lookup(name).Value.String()
		if err := flag.Set(name, v); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, old) })
	}
}

func TestBreakerModel(t *testing.T) {
	tenThousand(t, "500", "40")
	states := map[BreakerState]int{}
	model := func(t *rapid.T) {
		m := &breakerModel{now: t0}
		m.b = NewBreaker("s", "e", BreakerPolicy{}, func(c Change) {
			m.seen++
			states[c.To.State]++
		})
		m.b.random = full
		t.Repeat(rapid.StateMachineActions(m))
	}
	missing := func() (m []BreakerState) {
		for s := Closed; s <= ForcedOpen; s++ {
			if states[s] == 0 {
				m = append(m, s)
			}
		}
		return m
	}
	// Which states a random run reaches is chance: more runs until every state was seen.
	for range 10 {
		if rapid.Check(t, model); len(missing()) == 0 || testing.Short() {
			return
		}
	}
	t.Errorf("no run ever came to %v", missing())
}
