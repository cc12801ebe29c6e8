package appclient

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	// Service is the UDDI id of the application.
	Service = "uddi:ehealth-fgov-be:business:app:v1"
	// NS is the namespace of its messages.
	NS = "urn:be:ehealth-continuity:app:v1"
	// ActionPut and ActionQuery are its SOAP actions.
	ActionPut   = NS + ":Put"
	ActionQuery = NS + ":Query"
	// MaxReference bounds a reference and an ordering key, in characters.
	MaxReference = 64

	// noticeUnsure is shown for a write of unknown outcome, noticePaper for one that certainly did not happen
	// (dossier 06 part D).
	noticeUnsure = "D-UNSURE"
	noticePaper  = "D-RX-PAPER"
)

// ErrAnswer reports an answer that is not about the reference that was asked for.
var ErrAnswer = fault.AsSafe(errors.New("appclient: answer of the application is not about this reference"))

// App is a client of the application. Its exchanges are those of every other client of this module: a Put is a
// [resilience.ResolvableWrite], sent again only when it was certainly not executed.
type App struct{ ask asker }

// asker makes one call and returns the correlated answer.
type asker func(ctx context.Context, q Question, about func(*xmltree.Node) error) (answer *xmltree.Node, alternate bool, err error)

// Question is one call, for [Over].
type Question struct {
	Op, Action string
	Class      resilience.Class
	Body       []byte
	Notice     string
	Correlate  func(answer []byte) error // must be asked about an answer before anybody sees it
}

// New returns a client that asks through x, its messages secured by sec (holder-of-key).
func New(x *exchange.Exchanger, sec exchange.Security) *App {
	return &App{ask: func(ctx context.Context, q Question, about func(*xmltree.Node) error) (*xmltree.Node, bool, error) {
		ans, err := x.Do(ctx, &exchange.Call{
			Op: q.Op, Service: Service, Action: q.Action, Class: q.Class, Body: q.Body, Security: sec, Correlate: about, Notice: q.Notice,
		})
		if err != nil {
			return nil, false, err
		}
		return ans.Payload, ans.Alternate, nil
	}}
}

// Over returns a client that asks by call, which must secure the message (holder-of-key) and tell whether an alternate
// address answered. Its errors are those of the client.
func Over(call func(ctx context.Context, q Question) (alternate bool, err error)) *App {
	return &App{ask: func(ctx context.Context, q Question, about func(*xmltree.Node) error) (answer *xmltree.Node, alternate bool, err error) {
		q.Correlate = func(doc []byte) error {
			n, err := xmltree.Parse(doc, xmltree.Limits{})
			if err != nil {
				return err
			}
			answer = n
			return about(n)
		}
		alternate, err = call(ctx, q)
		return answer, alternate, err
	}}
}

// Receipt says what the application did under a reference.
type Receipt struct {
	Number    int64     `json:"number"`              // result number, in the order of execution
	At        time.Time `json:"at"`                  // of execution, by the application's clock
	Alternate bool      `json:"alternate,omitempty"` // not from the default address
}

// Put asks the application to execute once. reference is the caller's own, 1 to 64 characters; orderingKey may be "".
//
// The error is a *fault.Error. Its Outcome says whether the application may have executed: after Unknown ask Query,
// do not Put again (notice D-UNSURE).
func (a *App) Put(ctx context.Context, reference, orderingKey string, payload []byte) (*Receipt, error) {
	body, err := PutBody(reference, orderingKey, payload)
	if err != nil {
		return nil, &fault.Error{Op: "app.Put", Service: Service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err}
	}
	ans, alternate, err := a.ask(ctx, Question{
		Op: "app.Put", Action: ActionPut, Class: resilience.ResolvableWrite, Body: body, Notice: noticePaper,
	}, about("PutResponse", reference))
	if err != nil {
		if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Outcome == fault.Unknown {
			unsure := *fe
			unsure.Notice = noticeUnsure
			return nil, &unsure
		}
		return nil, err
	}
	return receipt(ans, alternate), nil
}

// Query asks what was executed under a reference of this caller; found is false when nothing was.
func (a *App) Query(ctx context.Context, reference string) (r *Receipt, found bool, err error) {
	body, err := QueryBody(reference)
	if err != nil {
		return nil, false, &fault.Error{Op: "app.Query", Service: Service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err}
	}
	ans, alternate, err := a.ask(ctx, Question{
		Op: "app.Query", Action: ActionQuery, Class: resilience.Read, Body: body, Notice: noticeUnsure,
	}, about("QueryResponse", reference))
	if err != nil {
		return nil, false, err
	}
	if leaf(ans, "Found") != "true" {
		return nil, false, nil
	}
	return receipt(ans, alternate), true, nil
}

func receipt(ans *xmltree.Node, alternate bool) *Receipt {
	r := &Receipt{Alternate: alternate}
	r.Number, _ = strconv.ParseInt(leaf(ans, "ResultNumber"), 10, 64)
	r.At, _ = time.Parse(time.RFC3339Nano, leaf(ans, "ExecutedAt"))
	return r
}

// about tells whether an answer is the one to this question: right element, our reference.
func about(element, reference string) func(*xmltree.Node) error {
	return func(p *xmltree.Node) error {
		if !p.Is(NS, element) || leaf(p, "Reference") != reference {
			return ErrAnswer
		}
		return nil
	}
}

func leaf(p *xmltree.Node, local string) string {
	n := p.Child(NS, local)
	if n == nil {
		return ""
	}
	text, err := n.Text()
	if err != nil {
		return ""
	}
	return text
}

// PutBody is the PutRequest.
func PutBody(reference, orderingKey string, payload []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("app", "PutRequest")
	w.NS("app", NS)
	w.Leaf("app", "Reference", reference)
	if orderingKey != "" {
		w.Leaf("app", "OrderingKey", orderingKey)
	}
	w.Leaf("app", "Payload", base64.StdEncoding.EncodeToString(payload))
	w.End()
	return w.Bytes()
}

// QueryBody is the QueryRequest.
func QueryBody(reference string) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("app", "QueryRequest")
	w.NS("app", NS)
	w.Leaf("app", "Reference", reference)
	w.End()
	return w.Bytes()
}
