package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// What is wrong with an answer. Every one of them is wrapped in a *fault.Error.
var (
	// ErrTooLarge reports an answer beyond the bound on its size.
	ErrTooLarge = fault.AsSafe(errors.New("exchange: answer is larger than allowed"))
	// ErrNotSOAP reports an HTTP answer that carries no SOAP message.
	ErrNotSOAP = fault.AsSafe(errors.New("exchange: answer is not a SOAP message"))
	// ErrMismatch reports an answer that belongs to another question.
	ErrMismatch = fault.AsSafe(errors.New("exchange: answer does not match the question"))
	// ErrParts reports an answer whose attachments cannot be read.
	ErrParts = fault.AsSafe(errors.New("exchange: answer's attachments cannot be read"))
)

// failure is a failed attempt with what its classification says about a repeat.
type failure = resilience.Failure

// attempt sends the call once.
func (x *Exchanger) attempt(ctx context.Context, a *resilience.Attempt, c *Call) (*Answer, error) {
	ans, f := x.once(ctx, a.Endpoint, c)
	j, judges := c.Security.(Judge)
	if f != nil {
		if c.RefusalsUncertain {
			doubt(f)
		}
		if f.Fault.Kind == fault.Denied {
			f.NotHere = true // whoever is judged here, it is not the address
			if judges {
				j.Denied(f.Fault)
			}
		}
		return nil, f
	}
	if judges {
		j.Served(c.Service)
	}
	return ans, nil
}

// message is one attempt on its way through the steps.
type message struct {
	c        *Call
	ep       resilience.Endpoint
	fe       *fault.Error // filled in by the step that fails
	envelope []byte
	reply    reply
	parsed   *soap.Message
}

// reply is an HTTP answer.
type reply struct {
	status int
	header http.Header
	doc    []byte
	parts  []mime.Part
}

// steps are what one attempt does, in this order; the first that fails ends it.
var steps = []struct {
	name string
	do   func(*Exchanger, context.Context, *message) *failure
}{
	{"secure", (*Exchanger).secure},
	{"post", (*Exchanger).send},
	{"parse", (*Exchanger).parse},
	{"correlate", (*Exchanger).correlate},
}

func (x *Exchanger) once(ctx context.Context, ep resilience.Endpoint, c *Call) (*Answer, *failure) {
	m := &message{c: c, ep: ep, fe: &fault.Error{Op: c.Op, Service: c.Service, Endpoint: ep.URL}}
	for _, s := range steps {
		if f := s.do(x, ctx, m); f != nil {
			return nil, f
		}
	}
	return &Answer{
		Payload: m.parsed.Payload, Header: m.parsed.Header, Parts: m.reply.parts, Endpoint: ep, At: time.Now(),
	}, nil
}

// secure makes the envelope: token, fresh timestamp, signature.
func (x *Exchanger) secure(ctx context.Context, m *message) *failure {
	envelope, err := m.c.Security.Secure(ctx, m.c.Body)
	if err != nil {
		return unsecured(m.fe, err)
	}
	m.envelope = envelope
	return nil
}

func (x *Exchanger) send(ctx context.Context, m *message) *failure {
	out, err := newOutgoing(m.envelope, m.c.Attachments)
	if err != nil {
		m.fe.Kind, m.fe.Outcome, m.fe.Err = fault.Invalid, fault.NotSent, fault.AsSafe(err)
		return &failure{Fault: m.fe, Rule: fault.Rule{Kind: fault.Invalid, Outcome: fault.NotSent}, NotHere: true}
	}
	r, stage, err := x.post(ctx, m.ep.URL, m.c, out)
	if err != nil {
		return lost(m.fe, err, stage)
	}
	m.reply = r
	return nil
}

// parse reads the answer as SOAP and tells faults from answers.
func (x *Exchanger) parse(_ context.Context, m *message) *failure {
	parsed, err := soap.Parse(m.reply.doc, xmltree.Limits{Bytes: int(x.limit(m.c))})
	if err != nil {
		return notSOAP(m.fe, m.reply.status, m.reply.header, err)
	}
	if f, ok := parsed.Fault(); ok {
		return soapFault(m.fe, f, m.reply.header)
	}
	if m.reply.status != http.StatusOK {
		return notSOAP(m.fe, m.reply.status, m.reply.header, soap.ErrShape)
	}
	m.parsed = parsed
	return nil
}

// correlate asks whether this is the answer to our question.
func (x *Exchanger) correlate(_ context.Context, m *message) *failure {
	if err := m.c.Correlate(m.parsed.Payload); err != nil {
		return x.mismatch(m.fe, err)
	}
	return nil
}

// post sends one POST and reads its answer up to the bound. stage tells how far it came.
func (x *Exchanger) post(ctx context.Context, url string, c *Call, out *outgoing) (reply, fault.Stage, error) {
	p := &progress{}
	p.reach(fault.Dialing)
	trace := p.trace()
	trace.WroteHeaders, _ = ctx.Value(sentKey{}).(func())
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, url, nil)
	if err != nil {
		return reply{}, fault.Dialing, err
	}
	req.Body = p.stream(out)
	req.GetBody = func() (io.ReadCloser, error) { return p.stream(out), nil }
	req.ContentLength = out.size
	req.Header.Set("Content-Type", out.contentType)
	req.Header.Set("SOAPAction", `"`+c.Action+`"`)
	req.Header.Set("User-Agent", x.ua)
	req.Header.Set("From", x.from)
	req.Header.Set("Accept", accept)
	resp, err := x.http.Do(req)
	if err != nil {
		return reply{}, p.stage(), err
	}
	defer resp.Body.Close()
	if skew, ok := clockSkew(resp.Header, time.Now()); ok {
		x.skew.Store(int64(skew))
	}
	return x.read(resp, c)
}

type sentKey struct{}

// WithSent has f called for each request that leaves under ctx: its headers have been handed to a connection. It takes the place of
// such a function that was there.
func WithSent(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, sentKey{}, f)
}

// progress follows one POST through the HTTP stack.
type progress struct{ at atomic.Int32 }

func (p *progress) stage() fault.Stage { return fault.Stage(p.at.Load()) }

// reach never goes back: when the stack opens a second connection for the same POST, what
// was written on the first one stays written.
func (p *progress) reach(s fault.Stage) {
	for {
		old := p.at.Load()
		if int32(s) <= old || p.at.CompareAndSwap(old, int32(s)) {
			return
		}
	}
}

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		TLSHandshakeStart:    func() { p.reach(fault.Handshake) },
		GotConn:              func(httptrace.GotConnInfo) { p.reach(fault.Writing) },
		GotFirstResponseByte: func() { p.reach(fault.Reading) },
	}
}

func (p *progress) body(b []byte) io.ReadCloser { return p.stream(bareEnvelope(b)) }

func (p *progress) stream(out *outgoing) io.ReadCloser {
	return &sent{r: out.open(), left: out.size, p: p}
}

// sent is a request body that notes when its last byte was handed to a connection: from then
// on the platform may have all of it, whatever error follows (dossier 06 A.0.2).
type sent struct {
	r    io.ReadCloser
	left int64
	p    *progress
}

func (s *sent) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if s.left -= int64(n); s.left <= 0 {
		s.p.reach(fault.Written)
	}
	if err != nil && err != io.EOF {
		err = &attachmentError{err}
	}
	return n, err
}

func (s *sent) Close() error { return s.r.Close() }

func unsecured(fe *fault.Error, err error) *failure {
	fe.Kind, fe.Outcome, fe.Err = fault.Local, fault.NotSent, err
	// What stood in the way is often a call of its own (a token): its kind, ticket and notice
	// are what the person must see.
	if inner, ok := errors.AsType[*fault.Error](err); ok {
		fe.Kind, fe.Code, fe.Ticket, fe.Notice = inner.Kind, inner.Code, inner.Ticket, inner.Notice
		fe.RetryAfter = inner.RetryAfter
	}
	return &failure{Fault: fe, Rule: fault.Rule{Kind: fe.Kind, Outcome: fe.Outcome}, NotHere: true}
}

// mismatch drops an answer to somebody else's question, together with its connection: whoever
// sits at the other end is not talked to again.
func (x *Exchanger) mismatch(fe *fault.Error, err error) *failure {
	x.http.CloseIdleConnections()
	r := fault.Rule{Kind: fault.Security, Outcome: fault.Unknown, Retry: fault.RetryReadsOnly, Switch: fault.SwitchReadsOnly}
	fe.Kind, fe.Outcome, fe.Notice = r.Kind, r.Outcome, noticeWrong
	fe.Err = fault.AsSafe(fmt.Errorf("%w: %w", ErrMismatch, err))
	return &failure{Fault: fe, Rule: r}
}

func lost(fe *fault.Error, err error, stage fault.Stage) *failure {
	r := fault.TransportRule(err, stage)
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrParts) {
		r = fault.Rule{Kind: fault.Protocol, Outcome: fault.Unknown, Switch: fault.SwitchReadsOnly}
	}
	if broken, ok := errors.AsType[*attachmentError](err); ok && stage < fault.Written {
		r, err = fault.Rule{Kind: fault.Local, Outcome: fault.NotSent}, broken
		fe.Kind, fe.Outcome, fe.Err = r.Kind, r.Outcome, err
		return &failure{Fault: fe, Rule: r, NotHere: true}
	}
	fe.Kind, fe.Outcome, fe.Err = r.Kind, r.Outcome, err
	if r.Kind == fault.Security {
		fe.Notice = noticeKey
	}
	return &failure{Fault: fe, Rule: r}
}

// notSOAP classifies an HTTP answer without a usable message. parsing is why the body was
// refused; under a status that promises SOAP that is what went wrong, under any other the
// status is.
func notSOAP(fe *fault.Error, status int, h http.Header, parsing error) *failure {
	r := fault.HTTPStatus(status, false)
	fe.Kind, fe.Outcome, fe.Code = r.Kind, r.Outcome, fmt.Sprintf("HTTP-%d", status)
	if r.HonourRetryAfter {
		fe.RetryAfter, _ = fault.ParseRetryAfter(h.Get("Retry-After"), time.Now())
	}
	fe.Err = fault.AsSafe(fmt.Errorf("%w: %w", ErrNotSOAP, parsing))
	return &failure{Fault: fe, Rule: r}
}
