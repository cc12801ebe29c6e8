package resilience

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

func TestDecide(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	base := Situation{
		Class: Read, Attempts: 1, MaxAttempts: 4, Same: 1, Remaining: 10 * s, MinShare: 250 * ms, Pause: 70 * ms, Budget: true,
		Here: Target{Exists: true, First: true, Asked: true},
	}
	fresh := Target{Exists: true}
	hang := fault.Rule{Kind: fault.Timeout, Outcome: fault.Unknown, Retry: fault.RetryReadsOnly, Switch: fault.SwitchReadsOnly}
	refused := fault.Rule{Kind: fault.Unavailable, Outcome: fault.NotSent, Retry: fault.RetryWithBackoff, Switch: fault.SwitchYes}
	busy := fault.SOA("SOA-02002", nil).Rule
	gone := fault.SOA("SOA-02001", nil).Rule
	token := fault.SOA("SOA-01001", nil).Rule
	right := fault.SOA("SOA-01002", nil).Rule
	general := fault.SOA("SOA-00001", nil).Rule
	yes, no := true, false
	insists := fault.SOA("SOA-00001", &yes).Rule
	notFound := fault.HTTPStatus(404, false)
	for _, c := range []struct {
		name   string
		change func(*Situation)
		want   Decision
	}{
		{"read, time-out, one address", func(s *Situation) { s.Rule = hang }, Decision{Again, 70 * ms, WhyRetry, true, false}},
		{"read, time-out, other address", func(s *Situation) { s.Rule, s.There = hang, fresh }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"write, time-out", func(s *Situation) { s.Class, s.Rule, s.There = UnsafeWrite, hang, fresh }, Decision{Why: WhyOutcome}},
		{"write that can be looked up, time-out", func(s *Situation) { s.Class, s.Rule, s.There = ResolvableWrite, hang, fresh }, Decision{Why: WhyOutcome}},
		{"write with a key, time-out", func(s *Situation) { s.Class, s.Rule = IdempotentWrite, hang }, Decision{Again, 70 * ms, WhyRetry, true, false}},
		{"write, refused connection", func(s *Situation) { s.Class, s.Rule, s.There = UnsafeWrite, refused, fresh }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"write, SOA-02002", func(s *Situation) { s.Class, s.Rule = UnsafeWrite, busy }, Decision{Again, 70 * ms, WhyRetry, true, false}},
		{"write, SOA-00001 with Retry true: outcome unknown all the same", func(s *Situation) { s.Class, s.Rule, s.There = UnsafeWrite, insists, fresh }, Decision{Why: WhyOutcome}},
		{"read, SOA-02002 once: the same address again", func(s *Situation) { s.Rule, s.There = busy, fresh }, Decision{Again, 70 * ms, WhyRetry, true, false}},
		{"read, SOA-02002 twice: elsewhere", func(s *Situation) { s.Rule, s.There, s.Same = busy, fresh, 2 }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"SOA-02002 with Retry false", func(s *Situation) { s.Rule, s.There = fault.SOA("SOA-02002", &no).Rule, fresh }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"SOA-02001, one address", func(s *Situation) { s.Rule = gone }, Decision{Why: WhyUseless}},
		{"SOA-02001, other address", func(s *Situation) { s.Rule, s.There = gone, fresh }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"SOA-02001, other address dead", func(s *Situation) { s.Rule, s.There = gone, Target{Exists: true, Dead: true} }, Decision{Why: WhyUseless}},
		{"read, SOA-00001", func(s *Situation) { s.Rule = general }, Decision{Again, 70 * ms, WhyRetry, true, false}},
		{"token refused", func(s *Situation) { s.Rule, s.There = token, fresh }, Decision{Again, 0, WhyRenewed, false, true}},
		{"token refused, write", func(s *Situation) { s.Class, s.Rule = UnsafeWrite, token }, Decision{Again, 0, WhyRenewed, false, true}},
		{"token refused twice", func(s *Situation) { s.Rule, s.Renewed = token, true }, Decision{Why: WhyUseless}},
		{"token refused, write, outcome unknown", func(s *Situation) { s.Class, s.Rule, s.Rule.Outcome = UnsafeWrite, token, fault.Unknown }, Decision{Why: WhyUseless}},
		{"right refused", func(s *Situation) { s.Rule, s.There = right, fresh }, Decision{Why: WhyUseless}},
		{"our mistake", func(s *Situation) { s.Rule, s.There = fault.SOA("SOA-03006", nil).Rule, fresh }, Decision{Why: WhyUseless}},
		{"404 from the first choice", func(s *Situation) { s.Rule, s.There = notFound, fresh }, Decision{Why: WhyUseless}},
		{"404 from an alternate", func(s *Situation) { s.Rule, s.There, s.Here.First = notFound, fresh, false }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"Retry-After", func(s *Situation) { s.Rule, s.RetryAfter = busy, 3*time.Second }, Decision{Again, 3 * s, WhyRetry, true, false}},
		{"Retry-After shorter than the pause", func(s *Situation) { s.Rule, s.RetryAfter = busy, ms }, Decision{Again, 70 * ms, WhyRetry, true, false}},
		{"Retry-After beyond the deadline", func(s *Situation) { s.Rule, s.RetryAfter = busy, 10*time.Second }, Decision{Why: WhyDeadline}},
		{"Retry-After is of one address", func(s *Situation) { s.Rule, s.RetryAfter, s.There, s.Same = busy, 10*time.Second, fresh, 2 }, Decision{Elsewhere, 0, WhySwitch, true, false}},
		{"an address asked before gets the pause", func(s *Situation) { s.Rule, s.There = hang, Target{Exists: true, Asked: true} }, Decision{Elsewhere, 70 * ms, WhySwitch, true, false}},
		{"too little time", func(s *Situation) { s.Rule, s.Remaining = hang, 300*ms }, Decision{Why: WhyDeadline}},
		{"no time", func(s *Situation) { s.Rule, s.There, s.Remaining, s.MinShare = hang, fresh, 0, -1 }, Decision{Why: WhyDeadline}},
		{"no budget", func(s *Situation) { s.Rule, s.Budget = hang, false }, Decision{Why: WhyBudget}},
		{"no budget, other address", func(s *Situation) { s.Rule, s.There, s.Budget = hang, fresh, false }, Decision{Why: WhyBudget}},
		{"no budget, other address is good", func(s *Situation) { s.Rule, s.There, s.Budget = hang, Target{Exists: true, Good: true}, false }, Decision{Elsewhere, 0, WhySwitch, false, false}},
		{"no budget, never left", func(s *Situation) { s.Rule, s.There, s.Budget = refused, fresh, false }, Decision{Elsewhere, 0, WhySwitch, false, false}},
		{"no budget, asked before", func(s *Situation) {
			s.Rule, s.There, s.Budget = refused, Target{Exists: true, Asked: true, Good: true}, false
		}, Decision{Why: WhyBudget}},
		{"refused by ourselves", func(s *Situation) { s.Rule, s.There, s.Local = refused, fresh, true }, Decision{Elsewhere, 0, WhySwitch, false, false}},
		{"all attempts used", func(s *Situation) { s.Rule, s.There, s.Attempts = hang, fresh, 4 }, Decision{Why: WhyAttempts}},
		{"canceled", func(s *Situation) { s.Rule, s.There, s.Canceled = hang, fresh, true }, Decision{Why: WhyCanceled}},
		{"carried out", func(s *Situation) { s.Rule, s.Rule.Outcome, s.There = hang, fault.Done, fresh }, Decision{Why: WhyDone}},
	} {
		in := base
		c.change(&in)
		if got := Decide(in); got != c.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

// TestDecideEverywhere walks through every combination and checks what must hold in all.
func TestDecideEverywhere(t *testing.T) {
	bools := []bool{false, true}
	targets := []Target{{}, {Exists: true}, {Exists: true, Asked: true}, {Exists: true, Dead: true}, {Exists: true, Good: true}, {Exists: true, Asked: true, Good: true}}
	n, repeats := 0, 0
	var rules []fault.Rule
	for o := fault.Unknown; o <= fault.Done; o++ {
		for r := fault.RetryNo; r <= fault.RetryReadsOnly; r++ {
			for w := fault.SwitchNo; w <= fault.SwitchReadsOnly; w++ {
				for _, mark := range bools {
					for _, drop := range bools {
						rules = append(rules, fault.Rule{Outcome: o, Retry: r, Switch: w, MarkBad: mark, DropToken: drop})
					}
				}
			}
		}
	}
	for class := Read; class <= UnsafeWrite; class++ {
		for _, rule := range rules {
			for _, there := range targets {
				for bits := range 1 << 8 {
					bit := func(i int) bool { return bits>>i&1 == 1 }
					s := Situation{
						Class: class, Rule: rule, There: there, Budget: bit(0), Canceled: bit(1), Renewed: bit(2), Local: bit(3),
						Here: Target{Exists: true, Asked: true, First: bit(4), Dead: bit(5)}, Attempts: 1, MaxAttempts: 4, Same: 1,
						Remaining: 10 * time.Second, MinShare: time.Second, Pause: time.Second,
					}
					if bit(6) {
						s.Attempts, s.Same = 4, 2
					}
					if bit(7) {
						s.RetryAfter = 20 * time.Second
					}
					d := Decide(s)
					if broken := lawOf(s, d); broken != "" {
						t.Fatalf("%s:\n%+v\n%+v", broken, s, d)
					}
					n++
					if d.Verb != Stop {
						repeats++
					}
				}
			}
		}
	}
	t.Logf("%d situations, %d repeats", n, repeats)
	if repeats == 0 || repeats == n {
		t.Error("the walk shows nothing")
	}
}

// lawOf names the rule that a decision breaks.
func lawOf(s Situation, d Decision) string {
	if d.Verb == Stop {
		if d.Delay != 0 || d.Spend || d.Renew || d.Why == "" {
			return "an end has a reason and nothing else"
		}
		return ""
	}
	write := s.Class == ResolvableWrite || s.Class == UnsafeWrite
	advised := s.Rule.Retry == fault.RetryWithBackoff || s.Rule.Switch == fault.SwitchYes || s.Rule.Switch == fault.SwitchAfterRepeat || s.Rule.MarkBad || s.Rule.DropToken
	switch {
	case s.Canceled, s.Attempts >= s.MaxAttempts, s.Rule.Outcome == fault.Done:
		return "this call is over"
	case write && s.Rule.Outcome == fault.Unknown:
		return "a write is repeated only when it was not sent, or rejected"
	case write && s.Rule.Outcome == fault.Rejected && !advised:
		return "a rejected write is repeated only when the refusal says so"
	case d.Renew != s.Rule.DropToken, d.Renew && (s.Renewed || d.Verb != Again):
		return "a token is renewed once, for the same address"
	case d.Verb == Elsewhere && (!s.There.Exists || s.There.Dead):
		return "nowhere to go"
	case d.Verb == Again && s.Here.Dead && !d.Renew:
		return "the address is dead"
	case d.Verb == Again && s.Rule.MarkBad && s.Here.First && !d.Renew:
		return "a mistake of the configuration"
	case d.Verb == Again && !d.Renew && d.Delay < max(s.Pause, s.RetryAfter):
		return "the pause is too short"
	case s.Remaining-d.Delay < s.MinShare:
		return "too little time"
	case d.Spend && !s.Budget:
		return "no token"
	case !d.Spend && !d.Renew && !s.Local && !(d.Verb == Elsewhere && !s.There.Asked && (s.Rule.Outcome == fault.NotSent || s.There.Good)):
		return "a repeat without a token"
	}
	return ""
}
