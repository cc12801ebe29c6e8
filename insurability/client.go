package insurability

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	// DefaultTimeout bounds one question over all addresses: what a person at a counter can wait (dossier 06 B.4.2).
	DefaultTimeout = 5 * time.Second
	// DefaultRequestType is what is sent as RequestType to the pharmacist service. The code list is not published
	// (dossier 05 section 10): ask MyCareNet and set [WithPharmacistRequestType].
	DefaultRequestType = "1"

	nsAddressing = "http://www.w3.org/2005/08/addressing"
)

// Software is the asking program as MyCareNet knows it.
type Software struct {
	Name    string  // optional
	Licence Licence // required
}

// Client asks the insurability services. It is safe for concurrent use.
type Client struct {
	x      *exchange.Exchanger
	sec    exchange.Security
	caller Caller
	origin Origin
	refs   *references
	conf   Config

	rechecks *rechecks
	looks    chan struct{} // into the store, under way
}

// Config is the resolved configuration of a [Client].
type Config struct {
	Timeout               time.Duration // of one question, over all addresses
	Test                  bool          // value of IsTest
	PharmacistRequestType string        // one character
	// Stored and Environment are those of [WithStored] and [WithEnvironment]; nil and "" without them.
	Stored      *cache.Answers
	Environment string

	hooks            *hooks // a pointer, so that values of Config can be compared
	MemberDataAction string // SOAPAction of MemberData questions; "" is sent as an empty header
}

// Option changes a default of [New].
type Option func(*Config) error

// WithTimeout bounds one question, over all addresses and attempts. 0 means [DefaultTimeout]; a negative value is an
// error, because a question must end.
func WithTimeout(d time.Duration) Option {
	return func(c *Config) error {
		switch {
		case d < 0:
			return reason("insurability: a timeout cannot be switched off")
		case d == 0:
			d = DefaultTimeout
		}
		c.Timeout = d
		return nil
	}
}

// WithTest sets IsTest in every question. The default is false: GenIns clients send false in every environment
// (dossier 05 section 1.3).
func WithTest(test bool) Option {
	return func(c *Config) error { c.Test = test; return nil }
}

// WithPharmacistRequestType sets the RequestType of pharmacists' questions; one character, "" = [DefaultRequestType].
func WithPharmacistRequestType(t string) Option {
	return func(c *Config) error {
		if t == "" {
			t = DefaultRequestType
		}
		if len([]rune(t)) != 1 {
			return ErrRequestType
		}
		c.PharmacistRequestType = t
		return nil
	}
}

// New returns a Client that asks for caller through x, its messages secured by sec (holder-of-key, with the token of the
// same caller).
func New(x *exchange.Exchanger, sec exchange.Security, caller Caller, software Software, opts ...Option) (*Client, error) {
	if x == nil || sec == nil {
		return nil, reason("insurability: exchanger and security are required")
	}
	if err := caller.validate(); err != nil {
		return nil, err
	}
	if !software.Licence.complete() {
		return nil, ErrLicence
	}
	conf := Config{Timeout: DefaultTimeout, PharmacistRequestType: DefaultRequestType, hooks: new(hooks)}
	for _, o := range opts {
		if err := o(&conf); err != nil {
			return nil, err
		}
	}
	refs, err := newReferences()
	if err != nil {
		return nil, fmt.Errorf("insurability: no random numbers: %w", err)
	}
	origin := Origin{
		Package: Package(software), SiteID: caller.SiteID,
		CareProvider: caller.careProvider(),
	}
	return &Client{
		x: x, sec: sec, caller: caller, origin: origin, refs: refs, conf: conf, rechecks: newRechecks(conf.hooks.onRecheck),
		looks: make(chan struct{}, MaxLooks),
	}, nil
}

// Config returns the resolved configuration.
func (c *Client) Config() Config {
	conf := c.conf
	conf.hooks = nil
	return conf
}

// Check asks whether a patient is insured. It asks the pharmacist service for pharmacies, generic insurability for all
// others, and ends within the configured timeout.
//
// The error is always a *[fault.Error]. When the platform refuses the question it wraps a [*MessageFault], a [*Refusal]
// or a [*StatusError]; when the question was not sent, one of the Err values of this package. Notice "D-INS-UNKNOWN"
// tells that no address gave a usable answer.
//
// With [WithStored] an answer from the store is an Answer like the others, of Source Stored. When there is none either,
// two values are returned: the error that says why, and an Answer of Source Unknown that says what to do now. In all other
// cases an error comes alone.
func (c *Client) Check(ctx context.Context, q Query) (*Answer, error) {
	today := Today()
	if c.caller.pharmacy() {
		req, err := c.NewPharmacistRequest(q)
		if err != nil {
			return nil, err
		}
		return climb(ctx, c, c.pharmacistQuestion(q, req, today))
	}
	req, err := c.NewGenInsRequest(q)
	if err != nil {
		return nil, err
	}
	return climb(ctx, c, c.genInsQuestion(q, req, today))
}

const (
	opCheck      = "insurability.Check"
	opGenIns     = "insurability.GetInsurability"
	opPharmacist = "insurability.GetInsurabilityForPharmacist"
)

// NewGenInsRequest returns the request that Check would send for q, for callers who want to change it first.
func (c *Client) NewGenInsRequest(q Query) (*GenInsRequest, error) {
	if c.caller.pharmacy() {
		return nil, invalid(opCheck, ServiceGenIns, fmt.Errorf("%w: pharmacies ask the pharmacist service", ErrCaller))
	}
	if !c.caller.Quality.GenIns() {
		return nil, invalid(opCheck, ServiceGenIns, fmt.Errorf("%w: this quality asks MemberData only", ErrCaller))
	}
	r, err := c.buildGenIns(q, Today(), c.refs.take())
	if err != nil {
		return nil, invalid(opCheck, ServiceGenIns, err)
	}
	return r, nil
}

func (c *Client) buildGenIns(q Query, today Date, ref string) (*GenInsRequest, error) {
	p, err := q.period(today)
	if err != nil {
		return nil, err
	}
	r := &GenInsRequest{
		CommonInput:       CommonInput{IsTest: c.conf.Test, Origin: c.origin, InputReference: ref},
		RecordCommonInput: RecordCommonInput{InputReference: ref},
		Request: SingleRequest{
			CareReceiver: q.careReceiver(),
			Detail: RequestDetail{
				RequestType: Information, Period: p, ContactType: orDefault(q.ContactType, AmbulatoryCare),
				Reference: orDefault(q.Reference, ref),
			},
		},
	}
	return r, r.validate(today)
}

// NewPharmacistRequest returns the request that Check would send for q, for callers who want to change it first.
func (c *Client) NewPharmacistRequest(q Query) (*PharmacistRequest, error) {
	if !c.caller.pharmacy() {
		return nil, invalid(opCheck, ServicePharmacist, fmt.Errorf("%w: only pharmacies ask the pharmacist service", ErrCaller))
	}
	r, err := c.buildPharmacist(q, Today(), c.refs.take())
	if err != nil {
		return nil, invalid(opCheck, ServicePharmacist, err)
	}
	return r, nil
}

func (c *Client) buildPharmacist(q Query, today Date, ref string) (*PharmacistRequest, error) {
	p, err := q.period(today)
	if err != nil {
		return nil, err
	}
	if q.ContactType != "" {
		return nil, ErrContactType
	}
	r := &PharmacistRequest{
		IsTest: Is(c.conf.Test), Origin: c.origin,
		Record: PharmacistRecord{Reference: ref, UserReference: orDefault(q.Reference, ref)},
		Request: PharmacistQuestion{
			Date: p.Start, RequestType: c.conf.PharmacistRequestType, CareReceiver: q.careReceiver(),
		},
	}
	if err := p.validate(today, false); err != nil {
		return nil, err
	}
	return r, r.validate(today)
}

func orDefault[T ~string](v, def T) T {
	if v == "" {
		return def
	}
	return v
}

// GetInsurability sends one generic insurability question as it is and returns the whole answer. References left empty
// stay empty; the answer must then name the patient to be accepted. Errors are those of [Client.Check].
func (c *Client) GetInsurability(ctx context.Context, req *GenInsRequest) (*GenInsResponse, error) {
	return c.askGenIns(ctx, opGenIns, req)
}

func (c *Client) askGenIns(ctx context.Context, op string, req *GenInsRequest) (*GenInsResponse, error) {
	if err := req.validate(Today()); err != nil {
		return nil, invalid(op, ServiceGenIns, err)
	}
	body, err := req.encode()
	if err != nil {
		return nil, invalid(op, ServiceGenIns, fmt.Errorf("%w: %w", ErrUnwritable, err))
	}
	ans, err := c.x.Do(ctx, c.call(op, ServiceGenIns, ActionGenIns, body, correlateGenIns(req)))
	if err != nil {
		return nil, err
	}
	r, err := decodeGenIns(ans.Payload)
	if err != nil {
		return nil, protocol(op, ServiceGenIns, ans, err)
	}
	if v := r.verdict(); v != nil {
		return nil, refused(op, ServiceGenIns, ans, v, r.CommonOutput.NIPReference)
	}
	r.Provenance = provenance(ans)
	return r, nil
}

// GetInsurabilityForPharmacist sends one pharmacist's question as it is and returns the whole answer. References left
// empty stay empty; the answer must then name the patient to be accepted. Errors are those of [Client.Check].
func (c *Client) GetInsurabilityForPharmacist(ctx context.Context, req *PharmacistRequest) (*PharmacistResponse, error) {
	return c.askPharmacist(ctx, opPharmacist, req)
}

func (c *Client) askPharmacist(ctx context.Context, op string, req *PharmacistRequest) (*PharmacistResponse, error) {
	if err := req.validate(Today()); err != nil {
		return nil, invalid(op, ServicePharmacist, err)
	}
	body, err := req.encode()
	if err != nil {
		return nil, invalid(op, ServicePharmacist, fmt.Errorf("%w: %w", ErrUnwritable, err))
	}
	ans, err := c.x.Do(ctx, c.call(op, ServicePharmacist, ActionPharmacist, body, correlatePharmacist(req)))
	if err != nil {
		return nil, err
	}
	r, err := decodePharmacist(ans.Payload)
	if err == nil && r.Body == nil && r.Status.Accepted() {
		err = errNoBody
	}
	if err != nil {
		return nil, protocol(op, ServicePharmacist, ans, err)
	}
	if v := r.verdict(); v != nil {
		ticket := ""
		if r.Body != nil {
			ticket = r.Body.CommonOutput.Reference
		}
		return nil, refused(op, ServicePharmacist, ans, v, ticket)
	}
	r.Provenance = provenance(ans)
	return r, nil
}

func (c *Client) call(op, service, action string, body []byte, correlate func(*xmltree.Node) error) *exchange.Call {
	return &exchange.Call{
		Op: op, Service: service, Action: action, Class: resilience.Read, Body: body, Security: c.sec,
		Correlate: correlate, Notice: NoticeUnknown, Timeout: c.conf.Timeout,
	}
}

// provenance says where an answer came from. Addresses other than the service's first belong to the insurers' own
// network (dossier 05 section 1.1), whether the platform ordered the change or we found the first one silent.
func provenance(a *exchange.Answer) Provenance {
	p := Provenance{Source: Live, Endpoint: a.Endpoint.URL, ConsultedAt: a.At, Attempts: a.Attempts}
	if a.Endpoint.Order > 0 {
		p.Source, p.Notice = Alternate, NoticeDirect
	}
	if a.Header != nil {
		if id := a.Header.Child(nsAddressing, "MessageID"); id != nil {
			if s, err := id.Text(); err == nil {
				p.MessageID = strings.Clone(trim(s))
			}
		}
	}
	return p
}

// invalid is the error of a question that was not sent.
func invalid(op, service string, err error) *fault.Error {
	return &fault.Error{
		Op: op, Service: service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(err),
	}
}

// protocol is the error of an answer that is ours by its name but not what the schema says.
func protocol(op, service string, a *exchange.Answer, err error) *fault.Error {
	return &fault.Error{
		Op: op, Service: service, Endpoint: a.Endpoint.URL, Kind: fault.Protocol, Outcome: fault.Unknown,
		Attempts: a.Attempts, Notice: NoticeUnknown, Err: err,
	}
}

// refused is the error of a business refusal. ticket is the platform's reference of the answer.
func refused(op, service string, a *exchange.Answer, v refusal, ticket string) *fault.Error {
	e := &fault.Error{
		Op: op, Service: service, Endpoint: a.Endpoint.URL, Ticket: ticket, Kind: v.kind(), Code: v.code(),
		Attempts: a.Attempts, Outcome: fault.Rejected, Err: v,
	}
	if e.Kind == fault.Unavailable {
		e.Notice = NoticeUnknown
	}
	var f *MessageFault
	if errors.As(v, &f) {
		e.Message = f.Message.Value.Reveal()
	}
	return e
}
