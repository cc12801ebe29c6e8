package exchange

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	// DefaultTimeout bounds a call that names no timeout (dossier 06 B.5, BCP-01: interactive
	// calls end within 15 s).
	DefaultTimeout = 15 * time.Second
	// DefaultMaxAnswer bounds what is read of one answer, in bytes.
	DefaultMaxAnswer = 8 << 20
	// ClockSkew is how far our clock and the platform's Date header may differ before a
	// refusal is blamed on the clock (dossier 01 H, row 3).
	ClockSkew = time.Minute
)

// Options configures an [Exchanger].
type Options struct {
	HTTP      *http.Client         // required; its redirect policy is replaced
	Directory resilience.Directory // required
	UserAgent string               // required, tokens name/version (dossier 01 C.3)
	From      string               // required, e-mail address of the software's support (dossier 01 C.3)
	MaxAnswer int64                // bytes; 0 = DefaultMaxAnswer
	// Engine holds the policies and what they remember, and should be one per process; nil =
	// an engine of its own with all defaults.
	Engine *resilience.Engine
	// Layers go around every call and every attempt, for observation.
	Layers resilience.Layers[*Call, *Answer]
}

// Exchanger performs calls. It is safe for concurrent use.
type Exchanger struct {
	http      *http.Client
	dir       resilience.Directory
	ua, from  string
	maxAnswer int64
	pipeline  *resilience.Pipeline[*Call, *Answer]
	skew      atomic.Int64 // of our clock at the last answer with a date, in nanoseconds
	silence   silence
}

// New returns an Exchanger.
func New(o Options) (*Exchanger, error) {
	if o.HTTP == nil || o.Directory == nil || o.UserAgent == "" || o.From == "" {
		return nil, errors.New("exchange: HTTP, Directory, UserAgent and From are required")
	}
	client := *o.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Timeout = 0 // deadlines come from the call
	x := &Exchanger{http: &client, dir: o.Directory, ua: o.UserAgent, from: o.From, maxAnswer: o.MaxAnswer}
	if x.maxAnswer <= 0 {
		x.maxAnswer = DefaultMaxAnswer
	}
	engine := o.Engine
	if engine == nil {
		var err error
		if engine, err = resilience.New(resilience.Config{}); err != nil {
			return nil, err
		}
	}
	x.pipeline = resilience.NewPipeline(engine, o.Layers, x.attempt)
	return x, nil
}

// Skew is how far this computer's clock was ahead of the platform's at the last answer, as its
// Date header said, to the second; 0 before the first one. Beyond [ClockSkew] it is only a matter of time until
// messages are refused.
func (x *Exchanger) Skew() time.Duration { return time.Duration(x.skew.Load()) }

// Describe lists what a call goes through, from the outside in: the policies, and the steps of
// one attempt.
func (x *Exchanger) Describe() []string {
	out := x.pipeline.Describe()
	for _, s := range steps {
		out = append(out, "send/"+s.name)
	}
	return out
}

// Call describes one call. It is not modified and may be used for one Do only.
type Call struct {
	Op      string           // name of the operation, for example "sts.Issue"
	Service string           // UDDI id
	Action  string           // value of SOAPAction, without quotes
	Class   resilience.Class // what repeating it may do
	Body    []byte           // the payload element, self-contained
	// Security turns the payload into a whole envelope, once per attempt. Required.
	Security Security
	// Correlate tells whether payload answers our question; an error drops the answer.
	// It is not asked about faults, which carry no reference of ours. Required.
	Correlate func(payload *xmltree.Node) error
	Notice    string        // notice to show when no address gave an answer
	Pin       string        // when set, only this URL is asked
	Timeout   time.Duration // of the whole call; 0 = DefaultTimeout
	// Attachments go with the message as parts of a multipart/related body (dossier 03 section 9). They are streamed, once
	// per attempt, and are not signed. Whether the platform took them is part of the call's outcome.
	Attachments []mime.Part
	// MaxAnswer bounds the answer to this call in bytes, attachments included; 0 = Options.MaxAnswer.
	MaxAnswer int64
	// Spill takes the attachments of an answer somewhere else than memory, see mime.Limits. It is asked anew in every
	// attempt, and before the answer was correlated: what it got counts only when Do returns the part.
	Spill func(mime.Part) (io.WriteCloser, error)
	// RefusalsUncertain is for a write that must never be carried out twice: a refusal because the service is not available
	// (SOA-02001, SOA-02002, HTTP 503 and 429) does not prove that nothing was done, see dossier 04 section 14.1. The outcome
	// is Unknown, and the message is neither repeated nor sent to another address.
	RefusalsUncertain bool
}

// Security secures one message.
type Security interface {
	// Secure wraps body, one payload element, in an envelope that is valid from now on.
	Secure(ctx context.Context, body []byte) ([]byte, error)
	// Refused is told that the platform did not authenticate the caller (SOA-01001). It
	// returns true when something was renewed and one more attempt may succeed.
	Refused(ctx context.Context, e *fault.Error) bool
}

// Judge is implemented by a [Security] that wants to know how the platform treats its
// caller, to tell a lost right from a fault that hits many callers at once.
type Judge interface {
	// Served is told that service answered a message of this caller.
	Served(service string)
	// Denied is told of a refusal (Kind Denied) before anything is decided on it. It may
	// change the Kind, the Notice and the cause of e, never its Outcome.
	Denied(e *fault.Error)
}

// Answer is a correlated answer that is not a fault.
type Answer struct {
	Payload   *xmltree.Node
	Header    *xmltree.Node // SOAP header, nil when absent
	Parts     []mime.Part   // attachments of the answer
	Endpoint  resilience.Endpoint
	Alternate bool      // Endpoint is not the address that was first choice by the directory
	Attempts  int       // attempts made, this one included
	At        time.Time // when it was complete
}

// Do performs the call. The error is always a *fault.Error.
func (x *Exchanger) Do(ctx context.Context, c *Call) (*Answer, error) {
	all := x.route(c)
	if len(all) == 0 {
		return nil, &fault.Error{
			Op: c.Op, Service: c.Service, Kind: fault.Local, Outcome: fault.NotSent,
			Notice: c.Notice, Err: ErrNoAddress,
		}
	}
	began := time.Now()
	ans, info, err := x.pipeline.Do(ctx, &resilience.Call{
		Op: c.Op, Service: c.Service, Class: c.Class, Endpoints: all, Timeout: cmp.Or(max(c.Timeout, 0), DefaultTimeout), Renew: c.Security.Refused,
	}, c)
	if err != nil {
		return nil, x.noticed(c, began, err)
	}
	x.silence.over(c.Service)
	ans.Attempts, ans.Alternate = info.Attempts, info.Alternate
	return ans, nil
}

// noticed chooses what the person is told about a call that failed. What an attempt decided
// stands, but "we ask again" is for reads.
func (x *Exchanger) noticed(c *Call, began time.Time, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	switch {
	case e.Kind == fault.Canceled:
		e.Notice = ""
	case e.Notice == noticeWrong && c.Class != resilience.Read:
		e.Notice = noticeUnsure
	case e.Notice == "" && c.Notice == noticeDown && errors.Is(err, ErrExpired): // nobody was asked
	case e.Notice == "" && (e.Kind.Temporary() || e.Kind == fault.Protocol):
		e.Notice = c.Notice
		if e.Err == nil {
			e.Err = errSilent
		}
		e.Err = &SilentError{Since: x.silence.began(c.Service, began), Err: e.Err}
	case e.Outcome == fault.Rejected && !e.Kind.Temporary():
		x.silence.over(c.Service)
	}
	return err
}

// ErrNoAddress reports a service that the directory does not know.
var ErrNoAddress = fault.AsSafe(errors.New("exchange: no address known for this service"))

func (x *Exchanger) route(c *Call) []resilience.Endpoint {
	if c.Pin != "" {
		return []resilience.Endpoint{{URL: c.Pin, Active: true}}
	}
	return x.dir.Endpoints(c.Service)
}
