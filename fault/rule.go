package fault

// Rule is what a table says about a failure. It is data for the code that
// retries and switches; within the limits that a Rule leaves, the operation's
// class, the budget and the deadline decide.
type Rule struct {
	Kind    Kind
	Outcome Outcome
	Retry   RetryPolicy  // the same endpoint again
	Switch  SwitchPolicy // another endpoint of the same service
	// DropToken: the token in use was refused; take a new one, once.
	DropToken bool
	// CheckClock: the clock of this computer may be wrong.
	CheckClock bool
	// MarkBad: the endpoint itself is wrong (configuration). Leave it out from
	// now on, and report the first informative error of the call instead.
	MarkBad bool
	// HonourRetryAfter: a Retry-After header, when present, is the least delay.
	HonourRetryAfter bool
	// ByBody: the answer holds SOAP; its fault decides, not the status.
	ByBody bool
	Action Action
}

// RetryPolicy says whether the same request may go to the same endpoint again.
type RetryPolicy uint8

// The retry policies.
const (
	RetryNo          RetryPolicy = iota // it would not help, or would harm
	RetryWithBackoff                    // yes, after a growing, jittered delay
	RetryReadsOnly                      // reads with backoff; the outcome of a write is unknown
)

// String returns "no", "with backoff" or "reads only".
func (p RetryPolicy) String() string {
	switch p {
	case RetryWithBackoff:
		return "with backoff"
	case RetryReadsOnly:
		return "reads only"
	}
	return "no"
}

// SwitchPolicy says whether the request may go to another endpoint.
type SwitchPolicy uint8

// The switch policies.
const (
	SwitchNo          SwitchPolicy = iota // the other endpoint would say the same
	SwitchYes                             // at once
	SwitchAfterRepeat                     // when the same failure came again from this endpoint; see Rule.Retry for what may be repeated
	SwitchReadsOnly                       // reads at once; the outcome of a write is unknown
)

// String returns "no", "yes", "after repeat" or "reads only".
func (p SwitchPolicy) String() string {
	switch p {
	case SwitchYes:
		return "yes"
	case SwitchAfterRepeat:
		return "after repeat"
	case SwitchReadsOnly:
		return "reads only"
	}
	return "no"
}

// Action is the key of a short text for developers and operators: what to do
// about a failure. The texts for users have ids of their own (Error.Notice).
type Action string

// The actions.
const (
	ActionNone          Action = ""
	ActionRetryReads    Action = "retry-reads"    // repeat reads within the budget; look writes up
	ActionRenewToken    Action = "renew-token"    // take a new token once, check the clock, then fail
	ActionAskRight      Action = "ask-right"      // the right is granted per operation and service; many at once: an outage
	ActionSwitch        Action = "switch"         // go to another endpoint, open the breaker
	ActionRetry         Action = "retry"          // repeat with backoff, then switch
	ActionFixRequest    Action = "fix-request"    // our message is wrong: keep it for diagnosis
	ActionFixClock      Action = "fix-clock"      // set the clock of this computer
	ActionFixEndpoint   Action = "fix-endpoint"   // the address is wrong or does not serve this operation
	ActionCheckSecurity Action = "check-security" // do not go on: certificate or signature
)

// Error makes an *Error with the rule's Kind and Outcome; the caller fills in
// the rest.
func (r Rule) Error(err error) *Error { return &Error{Kind: r.Kind, Outcome: r.Outcome, Err: err} }
