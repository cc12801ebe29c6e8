package recipe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// client is what the clients of the three roles share.
type client struct {
	p       Platform
	who     Caller
	role    protocol.Role
	service string
	conf    Config
	trouble atomic.Int64           // when Recip-e failed last, in nanoseconds
	seen    atomic.Pointer[string] // the login token of the last create
	opened  atomic.Pointer[opened] // with which token Recip-e could open a param last
}

// troubledFor is how long after a failure the service counts as unstable.
const troubledFor = 10 * time.Minute

// troubled tells that the service failed lately.
func (c *client) troubled(now time.Time) bool {
	last := c.trouble.Load()
	return last != 0 && now.Sub(time.Unix(0, last)) < troubledFor
}

// watch notes failures of the service.
func (c *client) watch(err error) {
	if e, ok := errors.AsType[*fault.Error](err); ok && (e.Kind.Temporary() || e.Kind == fault.Protocol || e.Kind == fault.Security) {
		c.trouble.Store(time.Now().UnixNano())
	}
}

func newClient(role protocol.Role, service string, p Platform, who Caller, opts []Option) (*client, error) {
	if p.Exchange == nil || p.Security == nil || p.Depot == nil || p.KGSS == nil || p.Sealer == nil || p.Opener == nil {
		return nil, reason("recipe: exchanger, security, depot, key service, sealer and opener are required")
	}
	if who.NIHII.IsZero() && who.SSIN.IsZero() {
		return nil, reason("recipe: the caller's number is required")
	}
	conf, err := configure(opts)
	if err != nil {
		return nil, err
	}
	return &client{p: p, who: who, role: role, service: service, conf: conf}, nil
}

// operation is what does not change between two calls of one kind.
type operation struct {
	protocol.Operation
	name   string // "recipe.prescriber.getPrescription"
	class  resilience.Class
	notice string // when no address gave an answer
}

// operate finds an operation of the protocol; that it is there is tested. Of classes only create is resolvable: it alone can
// be asked for by its key.
func operate(r protocol.Role, name, notice string) operation {
	o, _ := protocol.Find(r, name)
	out := operation{Operation: o, name: "recipe." + r.String() + "." + name, notice: notice}
	switch o.Effect {
	case protocol.EffectRead:
		out.class = resilience.Read
	case protocol.EffectIdempotent:
		out.class = resilience.IdempotentWrite
	case protocol.EffectCheck:
		out.class = resilience.ResolvableWrite
	default:
		out.class = resilience.UnsafeWrite
	}
	return out
}

// question is one request, and how to read its answer.
type question[R protocol.Result] struct {
	op operation
	// param makes what is sealed for Recip-e. The key is that of the answer.
	param func(key protocol.Keyed) protocol.Param
	// result makes an empty result to read into.
	result func() R
	// clear adds what some operations have in clear beside the sealed param; nil = nothing.
	clear func(*protocol.Request)
	// about tells whether a result is about what was asked; nil = its kind names nothing.
	about func(R) bool
	pin   string // only this address is asked
	// to are the tokens of Recip-e, when they were looked up just now; nil = they are looked up.
	to *etee.Found
}

// answered is a result with where it came from.
type answered[R protocol.Result] struct {
	Result R
	// Response is the whole answer: some operations have more in clear.
	Response *protocol.Response
	// Endpoint gave it, in that many attempts; Alternate says that it was not the first choice.
	Endpoint  resilience.Endpoint
	Alternate bool
	Attempts  int
	At        time.Time
}

// ask performs one question: param, seal for Recip-e, exchange, answer, in the order of dossier 04 section 13.1. An answer
// whose inner status is no success is returned together with its error.
//
// The key of the answer is fresh per call: the exchanger repeats the same sealed request only where repeating is safe, and
// two answers to one request say the same.
func ask[R protocol.Result](ctx context.Context, c *client, q question[R]) (*answered[R], error) {
	to, err := c.recipients(ctx, q.to)
	if err != nil {
		return nil, c.notSent(q.op.name, q.op.notice, err)
	}
	with := c.preferred(to)
	tried := []etee.Found{with}
	a, err := askFor(ctx, c, q, with)
	for wrongToken(err) {
		// Recip-e could not open it, or does not like it: it was not carried out, so asking with another token does no harm.
		other, ok := c.another(ctx, to, tried)
		if !ok {
			return a, err
		}
		with, tried = other, append(tried, other)
		a, err = askFor(ctx, c, q, with)
	}
	return a, c.opens(with, to, err)
}

func askFor[R protocol.Result](ctx context.Context, c *client, q question[R], to etee.Found) (*answered[R], error) {
	key := protocol.NewResponseKey()
	param, err := protocol.Encode(c.role, c.conf.Generation, q.param(protocol.Keyed{SymmKey: key}))
	if err != nil {
		return nil, c.invalid(q.op.name, err)
	}
	// Of several tokens all known clients take the first (dossier 04 section 9.1).
	sealed, err := c.p.Sealer.Seal(param, to.Tokens[0].Recipient)
	if err != nil {
		return nil, c.local(q.op.name, fault.Local, err)
	}
	r := &protocol.Request{Operation: q.op.Operation, ID: messageID(), IssueInstant: time.Now(), ProgramID: c.conf.ProgramID, SecuredContent: sealed}
	if q.clear != nil {
		q.clear(r)
	}
	body, err := r.Encode()
	if err != nil {
		return nil, c.invalid(q.op.name, err)
	}
	opened := opener[R]{q: &q, key: key, id: r.ID}
	ans, err := c.p.Exchange.Do(ctx, &exchange.Call{
		Op: q.op.name, Service: c.service, Action: q.op.SOAPAction(), Class: q.op.class, Body: body,
		Security: c.p.Security, Correlate: opened.correlate, Notice: q.op.notice, Timeout: c.conf.Timeout,
		MaxAnswer: c.conf.MaxAnswer, Pin: q.pin, RefusalsUncertain: q.op.name == opCreate && !c.conf.TrustedRefusals,
	})
	if err != nil {
		c.watch(err)
		return nil, unsure(q.op, err)
	}
	a, err := opened.judge(c, ans)
	c.watch(err)
	return a, err
}

// messageID is an NCName: it starts with a letter.
func messageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	id := append(make([]byte, 0, 38), "id"...)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			id = append(id, '-')
		}
		id = hex.AppendEncode(id, part)
	}
	return string(id)
}

// unsure: of a write that may have been carried out the person must hear just that.
func unsure(op operation, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if ok && op.class != resilience.Read && e.Outcome == fault.Unknown && (e.Notice == op.notice || e.Notice == "") {
		e.Notice = NoticeUnsure
	}
	return err
}

// opener opens answers with the key that their request carried. Attempts may run side by side.
type opener[R protocol.Result] struct {
	q    *question[R]
	key  protocol.ResponseKey
	id   string
	done sync.Map // *xmltree.Node -> opening[R]
}

// opening is an answer that is ours.
type opening[R protocol.Result] struct {
	response *protocol.Response
	result   R
	opened   bool  // there is a result
	err      error // it is ours, and cannot be read
}

// correlate judges an answer before anybody sees it. What does not open with the key of this request was made for another
// one: it is not damage, and is not shown.
func (o *opener[R]) correlate(n *xmltree.Node) error {
	resp, _, err := protocol.DecodeResponse(o.q.op.Operation, n)
	if err != nil {
		return ErrWrongAsker
	}
	// What opens with the key of this request is its answer; who writes what into InResponseTo is not published.
	if resp.SecuredContent == nil && resp.InResponseTo != "" && resp.InResponseTo != o.id {
		return ErrWrongAsker
	}
	out := opening[R]{response: resp}
	switch {
	case resp.SecuredContent == nil && resp.Status.OK():
		out.err = ErrAnswer
	case resp.SecuredContent != nil:
		plain, err := o.key.Decrypt(resp.SecuredContent)
		if err != nil {
			return ErrWrongAsker
		}
		out.result = o.q.result()
		if _, err = protocol.Decode(plain, out.result); err == nil {
			if o.q.about != nil && !o.q.about(out.result) {
				return ErrWrongAsker
			}
			out.opened = true
			break
		}
		// One wrong key in 256 goes through the padding, and makes no XML of it.
		if !errors.As(err, new(*protocol.MessageError)) {
			return ErrWrongAsker
		}
		out.err = ErrAnswer
	}
	o.done.Store(n, out)
	return nil
}

// judge turns the answer into a result or an error.
func (o *opener[R]) judge(c *client, ans *exchange.Answer) (*answered[R], error) {
	v, _ := o.done.Load(ans.Payload)
	got, _ := v.(opening[R])
	fail := func(kind fault.Kind, outcome fault.Outcome, code string, err error) *fault.Error {
		e := &fault.Error{
			Op: o.q.op.name, Service: c.service, Endpoint: ans.Endpoint.URL, Kind: kind, Outcome: outcome, Code: code,
			Attempts: ans.Attempts, Err: err,
		}
		if got.response != nil {
			e.Ticket = got.response.ID
		}
		if outcome == fault.Unknown && o.q.op.class != resilience.Read {
			e.Notice = NoticeUnsure
		}
		return e
	}
	switch {
	case got.response == nil:
		return nil, fail(fault.Protocol, fault.Unknown, "", ErrAnswer)
	case got.err != nil:
		return nil, fail(fault.Protocol, fault.Unknown, "", got.err)
	case !got.response.Status.OK() && !got.opened:
		kind, outcome := outerFault(got.response.Status)
		if got.response.InResponseTo == "" && o.q.op.class != resilience.Read {
			outcome = fault.Unknown // it does not say that it is about this request
		}
		return nil, fail(kind, outcome, got.response.Status.SafeCode(), &OuterError{got.response.Status})
	}
	a := &answered[R]{
		Result: got.result, Response: got.response, Endpoint: ans.Endpoint, Alternate: ans.Alternate, Attempts: ans.Attempts, At: ans.At,
	}
	status := got.result.Outcome()
	if status.OK() && got.response.Status.OK() {
		return a, nil
	}
	return a, refused(c, *status, fail)
}

// refused is the error of an inner status that is no success. Only 300 says that nothing was done: the other codes have been
// seen in constants only.
func refused(c *client, status protocol.Status, fail func(fault.Kind, fault.Outcome, string, error) *fault.Error) error {
	refusal := RefusedError{status}
	var e *fault.Error
	switch state := status.PrescriptionStatus; {
	case !status.Refused():
		e = fail(fault.Unavailable, fault.Unknown, status.SafeCode(), &refusal)
	case state != "":
		e = fail(fault.Conflict, fault.Rejected, status.SafeCode(), &StateError{
			RefusedError: refusal, State: state, Updater: status.StatusUpdater, Own: protocol.SameNIHII(status.StatusUpdater, c.who.NIHII),
		})
	default:
		e = fail(fault.Invalid, fault.Rejected, status.SafeCode(), &refusal)
	}
	e.Message = refusal.Text("en").Reveal()
	return e
}

// outerFault classifies an outer status that is no success and carries nothing sealed: as SAML does, which the codes
// look like, the requester's fault was not carried out, and the responder's may have been.
func outerFault(s protocol.OuterStatus) (fault.Kind, fault.Outcome) {
	switch code, _, _ := strings.Cut(s.SafeCode(), "/"); code {
	case "Requester", "VersionMismatch", "RequestUnsupported":
		return fault.Invalid, fault.Rejected
	case "RequestDenied", "AuthnFailed":
		return fault.Denied, fault.Rejected
	}
	return fault.Unavailable, fault.Unknown
}
