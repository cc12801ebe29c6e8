package resilience

import (
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Situation is everything that the decision after a failed attempt depends on.
type Situation struct {
	Class      Class
	Rule       fault.Rule    // what the failure means: Outcome, Retry, Switch, MarkBad, DropToken
	RetryAfter time.Duration // what the server asked for, 0 = nothing

	Attempts    int           // made so far in this call, this one included
	MaxAttempts int           // allowed
	Same        int           // failed ones at this address in this call, this one included
	Here        Target        // the address that just failed
	There       Target        // the best other address; zero: there is none
	Remaining   time.Duration // until the deadline of the call
	MinShare    time.Duration // least time that an attempt is started with
	Pause       time.Duration // what the back-off says for a second question to an address
	Budget      bool          // the bucket has a token
	Local       bool          // this package refused the attempt: nothing left, so what follows is no repeat
	Canceled    bool          // the caller gave up
	Renewed     bool          // the token was renewed in this call already
}

// Target is an address that may be asked next.
type Target struct {
	Exists bool // false: all other fields are meaningless
	First  bool // the first choice of the directory
	Asked  bool // it failed in this call already
	Dead   bool // not to be asked again in this call
	Down   bool // it said itself, in this call, that it is not available
	Good   bool // its breaker is closed and nothing failed there since it last worked
}

// Verb is what to do after a failed attempt.
type Verb uint8

// The verbs.
const (
	Stop      Verb = iota // return the error
	Again                 // the same address
	Elsewhere             // the other address
)

// String returns a lower-case English word.
func (v Verb) String() string {
	switch v {
	case Again:
		return "again"
	case Elsewhere:
		return "elsewhere"
	}
	return "stop"
}

// Why says what decided. The words are part of the event format.
type Why string

// The reasons.
const (
	WhyFirst    Why = "first"           // the first attempt of a call
	WhyRetry    Why = "retry"           // the failure may pass
	WhySwitch   Why = "switch"          // another address is likelier to answer
	WhyRenewed  Why = "token renewed"   // the token was refused: once more with a new one
	WhyHedge    Why = "hedge"           // the first question takes longer than usual
	WhyCanceled Why = "canceled"        // the caller gave up
	WhyDeadline Why = "deadline"        // too little time is left
	WhyAttempts Why = "attempts"        // all attempts are used up
	WhyBudget   Why = "budget"          // the bucket is empty
	WhyOutcome  Why = "outcome unknown" // a write that may have been carried out
	WhyUseless  Why = "useless"         // a repeat would fail the same way
	WhyRefused  Why = "refused here"    // bulkhead, rate limit or a call layer let nothing out
	WhyDone     Why = "done"            // it was carried out, or answered
)

// Decision is what [Decide] found.
type Decision struct {
	Verb  Verb
	Delay time.Duration // before the next attempt
	Why   Why
	Spend bool // take a token of the budget
	Renew bool // replace the refused token first; when that fails, stop
}

// Decide says what to do after a failed attempt. It is a pure function; the rules, the first
// that fits:
//
//  1. A caller who gave up, a call that used up its attempts and an operation that was carried
//     out end.
//  2. A refused token is renewed once per call and the same address asked at once.
//  3. A first-choice address that does not know the operation is a mistake of the
//     configuration, not an outage: the call ends.
//  4. An operation is repeated, here or elsewhere, only where its class allows it: a write only
//     when it was certainly not sent, or was refused with the advice to try again. Only reads
//     and writes with a key ([Read], [IdempotentWrite]) are repeated after an unknown outcome.
//  5. Another address is asked when the rule of the failure says so and there is one: at once
//     if it was not asked in this call, else after the pause.
//  6. Otherwise the same address is asked again when the rule allows it, after the pause or
//     what the server asked for, whichever is longer.
//  7. Nothing is started that would have less than MinShare before the deadline.
//  8. Every repeat costs a token, and none is made without one, except a switch to an address
//     not asked yet when the failed attempt never left this computer, or when that address is
//     good: such a switch adds no load to what is overloaded. After an attempt that this package
//     refused by itself nothing is paid, because nothing was sent, and nothing for a renewed
//     token: there is one renewal per call, and whoever shares a revoked token needs it.
func Decide(s Situation) Decision {
	switch {
	case s.Canceled:
		return Decision{Why: WhyCanceled}
	case s.Rule.Outcome == fault.Done:
		return Decision{Why: WhyDone}
	case s.Attempts >= s.MaxAttempts:
		return Decision{Why: WhyAttempts}
	case s.Rule.DropToken:
		return s.renew()
	case s.Rule.MarkBad && s.Here.First:
		return Decision{Why: WhyUseless}
	case s.switches():
		return s.elsewhere()
	case s.repeats() && !s.Here.Dead:
		return s.bounded(Decision{Verb: Again, Why: WhyRetry, Delay: max(s.Pause, s.RetryAfter), Spend: true})
	case s.Rule.Outcome == fault.Unknown && !s.Class.MayRepeat(fault.Unknown, true):
		return Decision{Why: WhyOutcome}
	}
	return Decision{Why: WhyUseless}
}

func (s *Situation) renew() Decision {
	if s.Renewed || !s.Class.MayRepeat(s.Rule.Outcome, true) {
		return Decision{Why: WhyUseless}
	}
	return s.bounded(Decision{Verb: Again, Why: WhyRenewed, Renew: true})
}

// repeats tells whether the same address may be asked again.
func (s *Situation) repeats() bool {
	switch s.Rule.Retry {
	case fault.RetryWithBackoff:
		return s.Class.MayRepeat(s.Rule.Outcome, true)
	case fault.RetryReadsOnly:
		return s.readLike()
	}
	return false
}

// readLike tells whether what is allowed for reads only is allowed here.
func (s *Situation) readLike() bool {
	return s.Rule.Outcome == fault.NotSent || s.Class.MayRepeat(fault.Unknown, true)
}

// switches tells whether another address is to be asked.
func (s *Situation) switches() bool {
	if !s.There.Exists || s.There.Dead || !s.Class.MayRepeat(s.Rule.Outcome, true) {
		return false
	}
	if s.Rule.MarkBad {
		return true
	}
	if s.There.Asked && s.There.Down && !s.Here.Down && !s.Here.Dead && s.repeats() {
		return false // it said itself that it is down; here a packet may just have been lost
	}
	switch s.Rule.Switch {
	case fault.SwitchYes:
		return true
	case fault.SwitchReadsOnly:
		return s.readLike()
	case fault.SwitchAfterRepeat:
		return s.Same >= 2 || s.Here.Dead || !s.repeats()
	}
	return false
}

func (s *Situation) elsewhere() Decision {
	d := Decision{Verb: Elsewhere, Why: WhySwitch, Spend: true}
	if s.There.Asked {
		d.Delay = s.Pause
		return s.bounded(d)
	}
	if !s.Budget && (s.Rule.Outcome == fault.NotSent || s.There.Good) {
		d.Spend = false
	}
	return s.bounded(d)
}

// bounded gives up what the deadline or the budget does not allow.
func (s *Situation) bounded(d Decision) Decision {
	switch {
	case s.Remaining <= 0 || s.Remaining-d.Delay < max(s.MinShare, 0):
		return Decision{Why: WhyDeadline}
	case s.Local:
		d.Spend = false
	case d.Spend && !s.Budget:
		return Decision{Why: WhyBudget}
	}
	return d
}
