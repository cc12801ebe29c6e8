package sandbox

import (
	"time"
)

// Script is one incident: an id, the wall-clock instant it happened, and its steps (dossier 06 A.4.1).
type Script struct {
	ID    string
	T0    time.Time // instant of offset 0 in history; Apply starts now whatever T0 is
	About string    // one line for people; "" = none
	Steps []Step
}

// Step is one fault on one service: one row of the table.
type Step struct {
	// Service is a name of the grammar: "sts", "idvalid", "etk", "kgss", "ehbox-pub", "ehbox-cons", "recipe-presc",
	// "recipe-exec", "genins", "genins-direct", "recipe-direct", "attest", "access", "servicelist", "app", or one of
	// the groups "esb" (all services behind the ESB: neither the direct addresses nor the service list) and "net"
	// (everything). "access" stands for the authorisation step inside every service behind the ESB but the STS.
	Service string
	At      time.Duration // from the start of the script
	For     time.Duration // 0 = to the end of the script ("to_end"); with Inject: until cancelled
	Fault   Fault
	Max     int    // how many exchanges or connections it may hit; 0 = no limit. Written max=N among the parameters
	Known   string // which cells come from sources; free text, no effect
}

// Fault is one of the kinds of the grammar: Refuse, Blackhole, Hang, Slow, Capacity, HTTPAnswer, SOAPFault,
// RefuseAuth, Misroute, LostAck, Loss, KeyRotate, TLSRotate, Poison, List, Ramp and Clock, and for Recip-e InnerStatus,
// OuterStatus, CorruptAnswer, MissingAnswer and ListLag.
//
// A field P is a probability, drawn anew for every exchange. P 0 means 1 where the grammar has a default; Misroute,
// LostAck and Loss want one.
type Fault interface {
	// Kind is the name in the grammar.
	Kind() string
	// normal fills in the defaults and says what is wrong, naming the parameter.
	normal() (Fault, *paramError)
	// params lists the parameters that differ from the defaults, in the order of the grammar.
	params() []param
}

// Refuse: connections are reset while they are made.
type Refuse struct{ P float64 }

// Blackhole: connecting never completes. What was sent on an open connection gets no answer and is not executed.
type Blackhole struct{ P float64 }

// Hang: the request is accepted and never answered. Exec is the probability that it is executed.
type Hang struct{ P, Exec float64 }

// Slow: extra latency before the answer, log-normally distributed; the request is executed.
type Slow struct {
	Median time.Duration
	Sigma  float64
	Cap    time.Duration // longest latency; 0 = none
	P      float64
	Late   bool // executed at the end of the latency instead of at once (written late=1; not in the dossier)
}

// Capacity: the service handles RPS requests a second, or Rel times its normal peak (PeakRate); Queue more may wait;
// what is over gets Over: "hang", "503" or a SOA code. Config.Scale applies to RPS, Rel and Queue.
type Capacity struct {
	RPS, Rel float64 // exactly one of them
	Queue    int
	Over     string
}

// HTTPAnswer: an answer that is not SOAP. Exec is the probability that the request is executed all the same.
type HTTPAnswer struct {
	Status int
	Body   string // "html" or "empty"
	P      float64
	Exec   float64
}

// SOAPFault: a fault of the platform with this code. Retry is the element of that name. Exec is the probability that the request is
// executed all the same: the gateway gave up on a service that did not.
type SOAPFault struct {
	Code  string
	Retry *bool
	P     float64
	Exec  float64
}

// RefuseAuth: the STS or the service refuses the identity. Scope is "eid" (identity cards only) or "all"; Code is a
// SOA code or "generic" for a refusal without a code.
type RefuseAuth struct {
	Code  string
	Scope string
	P     float64
}

// Misroute: the answer is swapped with that of another exchange of the same service.
type Misroute struct{ P float64 }

// LostAck: the request is executed, then the connection is cut before the answer.
type LostAck struct{ P float64 }

// Loss: each connection attempt or exchange fails.
type Loss struct{ P float64 }

// KeyRotate: a published key changes from Old to New (CBE numbers); the service accepts the new one Lag later.
type KeyRotate struct {
	Old, New string
	Lag      time.Duration
}

// TLSRotate: the server certificate is replaced, under a CA that ca.pem does not hold when NewIssuer is set.
type TLSRotate struct{ NewIssuer bool }

// Poison: N messages that cannot be opened are put into the box.
type Poison struct{ N int }

// List: a new service list is published Lag after the step starts; the former one returns when the step ends.
type List struct {
	Set    []ListEntry
	Lag    time.Duration
	Defect Defect // "" = none (written defect=…; not in the dossier)
}

// ListEntry sets the status of one address of a service. When an entry makes an address of a service ACTIVE, the
// addresses of that service which no entry names become INACTIVE.
type ListEntry struct {
	Service string // name in the grammar, such as "genins"
	Order   int
	Active  bool
}

// Ramp: the service returns with a capacity that goes linearly from From to To times its normal peak.
type Ramp struct{ From, To float64 }

// Clock: the service's clock runs Skew ahead of true time (negative: behind), so that it refuses the timestamps of
// callers whose clock is right: the same thing, seen from the service, as callers whose clock is wrong. Not in the
// dossier's grammar; SYN-CLOCK needs it.
type Clock struct{ Skew time.Duration }

// Kind returns "refuse".
func (Refuse) Kind() string { return "refuse" }

// Kind returns "blackhole".
func (Blackhole) Kind() string { return "blackhole" }

// Kind returns "hang".
func (Hang) Kind() string { return "hang" }

// Kind returns "slow".
func (Slow) Kind() string { return "slow" }

// Kind returns "capacity".
func (Capacity) Kind() string { return "capacity" }

// Kind returns "http".
func (HTTPAnswer) Kind() string { return "http" }

// Kind returns "fault".
func (SOAPFault) Kind() string { return "fault" }

// Kind returns "refuse_auth".
func (RefuseAuth) Kind() string { return "refuse_auth" }

// Kind returns "misroute".
func (Misroute) Kind() string { return "misroute" }

// Kind returns "lost_ack".
func (LostAck) Kind() string { return "lost_ack" }

// Kind returns "loss".
func (Loss) Kind() string { return "loss" }

// Kind returns "key_rotate".
func (KeyRotate) Kind() string { return "key_rotate" }

// Kind returns "tls_rotate".
func (TLSRotate) Kind() string { return "tls_rotate" }

// Kind returns "poison".
func (Poison) Kind() string { return "poison" }

// Kind returns "list".
func (List) Kind() string { return "list" }

// Kind returns "ramp".
func (Ramp) Kind() string { return "ramp" }

// Kind returns "clock".
func (Clock) Kind() string { return "clock" }

// grammarServices are the service names a step may have. true: a group.
var grammarServices = map[string]bool{
	"sts": false, "idvalid": false, "etk": false, "kgss": false, "ehbox-pub": false, "ehbox-cons": false,
	"recipe-presc": false, "recipe-exec": false, "genins": false, "genins-direct": false, "recipe-direct": false,
	"attest": false, "access": false, "servicelist": false, "app": false, "app-direct": false,
	"memberdata": false, "memberdata-direct": false, "esb": true, "net": true,
}

// End is the end of the script, from its start: the latest end of a step that has one. It is 0 when no step has one,
// and then the script runs until it is cancelled.
func (s Script) End() time.Duration {
	var end time.Duration
	for _, st := range s.Steps {
		if st.For > 0 {
			end = max(end, st.At+st.For)
		}
	}
	return end
}

// Validate checks every step and says where the first mistake is. Parsed scripts are valid.
func (s Script) Validate() error {
	for i, st := range s.Steps {
		if _, err := st.normal(); err != nil {
			return &ScriptError{Step: i + 1, Reason: err.Error()}
		}
	}
	return nil
}
