package ehbox

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// UDDI ids of the services (dossier 03 section 2). Neither is in the signed service list: there is no alternate address.
const (
	ServiceConsultation = "uddi:ehealth-fgov-be:business:ehboxconsultation:v3"
	ServicePublication  = "uddi:ehealth-fgov-be:business:ehboxpublication:v3"
)

const (
	// DefaultTimeout bounds a question about a box (dossier 06 B.5, BCP-01).
	DefaultTimeout = 15 * time.Second
	// DefaultTransferTimeout bounds an operation that moves a whole message: 10 MB at 2 Mbit/s take 40 s.
	DefaultTransferTimeout = time.Minute
	// maxAnswer: 10 MB inline in base64, in attachments that are base64 too, and the envelope.
	maxAnswer = 32 << 20
)

// operation is what does not change between two calls of one kind.
type operation struct {
	name, service, action string
	request, response     string // root elements
	class                 resilience.Class
	transfer              bool // moves whole messages
}

const (
	opBoxInfo   = "ehbox.GetBoxInfo"
	opList      = "ehbox.GetMessagesList"
	opListAll   = "ehbox.GetAllEhboxesMessagesList"
	opRead      = "ehbox.GetFullMessage"
	opHistory   = "ehbox.GetMessageHistory"
	opAcks      = "ehbox.GetMessageAcknowledgmentsStatus"
	opMove      = "ehbox.MoveMessage"
	opDelete    = "ehbox.DeleteMessage"
	opInsertOoO = "ehbox.InsertOoO"
	opDeleteOoO = "ehbox.DeleteOoO"
	opListOoO   = "ehbox.GetOoOList"
	opSend      = "ehbox.SendMessage"
)

func consultation(name, action, request string, class resilience.Class) operation {
	return operation{
		name: name, service: ServiceConsultation, action: nsConsultation + ":" + action,
		request: request + "Request", response: request + "Response", class: class,
	}
}

// The operations with their classes. A repeated move or deletion finds nothing left to do. InsertOoO can be looked up in
// the list of absences, a message in the SENTBOX.
var (
	boxInfo   = consultation(opBoxInfo, "getBoxInfo", "GetBoxInfo", resilience.Read)
	list      = consultation(opList, "getMessagesList", "GetMessagesList", resilience.Read)
	listAll   = consultation(opListAll, "getAllEhboxesMessagesList", "GetAllEhboxesMessagesList", resilience.Read)
	read      = transfer(consultation(opRead, "getFullMessage", "GetFullMessage", resilience.Read))
	history   = consultation(opHistory, "getMessageHistory", "GetHistory", resilience.Read)
	acks      = consultation(opAcks, "getMessageAcknowledgmentsStatus", "GetMessageAcknowledgmentsStatus", resilience.Read)
	move      = consultation(opMove, "moveMessage", "MoveMessage", resilience.IdempotentWrite)
	remove    = consultation(opDelete, "deleteMessage", "DeleteMessage", resilience.IdempotentWrite)
	insertOoO = consultation(opInsertOoO, "insertOoO", "InsertOoO", resilience.ResolvableWrite)
	deleteOoO = consultation(opDeleteOoO, "deleteOoO", "DeleteOoO", resilience.IdempotentWrite)
	listOoO   = consultation(opListOoO, "getOoOList", "GetOoOList", resilience.Read)
	send      = operation{
		name: opSend, service: ServicePublication, action: nsPublication + ":sendMessage",
		request: "SendMessageRequest", response: "SendMessageResponse", class: resilience.ResolvableWrite, transfer: true,
	}
)

func transfer(o operation) operation {
	o.transfer = true
	return o
}

func (o operation) space() string {
	if o.service == ServicePublication {
		return nsPublication
	}
	return nsConsultation
}

// Config is the resolved configuration of a [Client].
type Config struct {
	Timeout         time.Duration // of a question
	TransferTimeout time.Duration // of reading or sending a message
	// Spill takes attachments of messages that are read somewhere else than memory; nil = memory. It is asked once per
	// attachment and attempt. Parts handed to it have no Open; before a [Reader] opens such a message, the program gives them
	// one that reads from where they went. A [Syncer] takes no such client.
	Spill func(Part) (io.WriteCloser, error)
}

// Option changes a default of [New].
type Option func(*Config) error

// WithTimeout bounds a question, and transfer an operation that moves a whole message, over all attempts. 0 means the
// default; a negative value is an error, because a call must end.
func WithTimeout(question, transfer time.Duration) Option {
	return func(c *Config) error {
		if question < 0 || transfer < 0 {
			return reason("ehbox: a timeout cannot be switched off")
		}
		if c.Timeout = question; question == 0 {
			c.Timeout = DefaultTimeout
		}
		if c.TransferTimeout = transfer; transfer == 0 {
			c.TransferTimeout = DefaultTransferTimeout
		}
		return nil
	}
}

// WithSpill sets Config.Spill.
func WithSpill(spill func(Part) (io.WriteCloser, error)) Option {
	return func(c *Config) error { c.Spill = spill; return nil }
}

// Client speaks with eHealthBox for one user. It is safe for concurrent use.
type Client struct {
	x    *exchange.Exchanger
	sec  exchange.Security
	own  []BoxID
	conf Config
}

// New returns a client whose messages sec secures (holder-of-key). own are the names of the caller's boxes, in all forms
// in which the platform may write them, such as INSS and NIHII of one person; the first is the default box of the token.
// Answers about any other box are refused.
func New(x *exchange.Exchanger, sec exchange.Security, own []BoxID, opts ...Option) (*Client, error) {
	if x == nil || sec == nil {
		return nil, reason("ehbox: exchanger and security are required")
	}
	if len(own) == 0 {
		return nil, reason("ehbox: the caller's boxes are required")
	}
	for _, b := range own {
		if b.ID.IsZero() || b.Type == "" || b.Quality == "" {
			return nil, reason("ehbox: a box needs number, type and quality")
		}
	}
	conf := Config{Timeout: DefaultTimeout, TransferTimeout: DefaultTransferTimeout}
	for _, o := range opts {
		if err := o(&conf); err != nil {
			return nil, err
		}
	}
	return &Client{x: x, sec: sec, own: append([]BoxID(nil), own...), conf: conf}, nil
}

// Config returns the resolved configuration.
func (c *Client) Config() Config { return c.conf }

// question is one request with what its answer must be.
type question[A any] struct {
	op     operation
	body   []byte
	parts  []Part
	wire   func(*A, *codec)
	reply  func(*A) *Reply
	belong func(*A) error // is it the answer to our question? nil = nothing in it says so
}

// ask performs one question. An answer whose status is not success is returned together with its error.
func ask[A any](ctx context.Context, c *Client, q question[A]) (*A, *exchange.Answer, error) {
	call := &exchange.Call{
		Op: q.op.name, Service: q.op.service, Action: q.op.action, Class: q.op.class, Body: q.body, Security: c.sec,
		Attachments: toMime(q.parts), Timeout: c.conf.Timeout, Notice: NoticeDown,
		Correlate: func(n *xmltree.Node) error { return correlate(q, n) },
	}
	if q.op.transfer {
		call.Timeout, call.MaxAnswer = c.conf.TransferTimeout, maxAnswer
		if spill := c.conf.Spill; spill != nil {
			call.Spill = func(p mime.Part) (io.WriteCloser, error) { return spill(Part(p)) }
		}
	}
	a, err := c.x.Do(ctx, call)
	if err != nil {
		return nil, nil, unsure(q.op, judged(q.op, err))
	}
	v := new(A)
	deviations, err := decode(a.Payload, q.op.space(), q.op.response, v, q.wire)
	if err != nil {
		return nil, nil, &fault.Error{
			Op: q.op.name, Service: q.op.service, Endpoint: a.Endpoint.URL, Kind: fault.Protocol, Outcome: fault.Unknown,
			Attempts: a.Attempts, Err: err,
		}
	}
	r := q.reply(v)
	r.Deviations = deviations
	if !r.Code.OK() {
		return v, a, refused(q.op, a, r)
	}
	return v, a, nil
}

// unsure: of a write that may have been carried out the person must hear just that.
func unsure(op operation, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if ok && op.class != resilience.Read && e.Outcome == fault.Unknown && (e.Notice == NoticeDown || e.Notice == "") {
		e.Notice = NoticeUnsure
	}
	return err
}

// correlate judges an answer before anybody sees it. What does not decode but has the right name is reported later.
func correlate[A any](q question[A], n *xmltree.Node) error {
	if n == nil || !n.Is(q.op.space(), q.op.response) {
		return &MismatchError{Field: "root element"}
	}
	v := new(A)
	if _, err := decode(n, q.op.space(), q.op.response, v, q.wire); err != nil || q.belong == nil {
		return nil
	}
	return q.belong(v)
}
