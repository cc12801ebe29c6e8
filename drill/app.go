package drill

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

// ServiceApp is the UDDI id of the sandbox's generic stateful application.
const ServiceApp = "uddi:ehealth-fgov-be:business:app:v1"

const (
	nsApp = "urn:be:ehealth-continuity:app:v1"
	// noticeUnsure is shown for a write of unknown outcome, noticePaper for one that certainly did not happen
	// (dossier 06 part D).
	noticeUnsure = "D-UNSURE"
	noticePaper  = "D-RX-PAPER"
)

var errAppAnswer = fault.AsSafe(errors.New("drill: answer of the application is not about this reference"))

// App is a client of the application that the sandbox offers for trying writes: Put does something once, Query tells
// whether it was done. It stands for prescriptions and mail until those exist. Its exchanges are those of every other
// client of this module: a Put is a [resilience.ResolvableWrite], sent again only when it was certainly not executed.
type App struct {
	x   *exchange.Exchanger
	sec exchange.Security
}

// NewApp returns a client that asks through x, its messages secured by sec (holder-of-key).
func NewApp(x *exchange.Exchanger, sec exchange.Security) *App { return &App{x: x, sec: sec} }

// Receipt says what the application did under a reference.
type Receipt struct {
	Number    int64     // result number, in the order of execution
	At        time.Time // of execution, by the application's clock
	Alternate bool      // not from the default address
}

// Put asks the application to execute once. reference is the caller's own, 1 to 64 characters; orderingKey may be "".
//
// The error is a *fault.Error. Its Outcome says whether the application may have executed: after Unknown ask Query,
// do not Put again (notice D-UNSURE).
func (a *App) Put(ctx context.Context, reference, orderingKey string, payload []byte) (*Receipt, error) {
	body, err := putBody(reference, orderingKey, payload)
	if err != nil {
		return nil, &fault.Error{Op: "app.Put", Service: ServiceApp, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err}
	}
	ans, err := a.x.Do(ctx, &exchange.Call{
		Op: "app.Put", Service: ServiceApp, Action: nsApp + ":Put", Class: resilience.ResolvableWrite, Body: body,
		Security: a.sec, Correlate: aboutReference("PutResponse", reference), Notice: noticePaper,
	})
	if err != nil {
		if fe, ok := errors.AsType[*fault.Error](err); ok && fe.Outcome == fault.Unknown {
			unsure := *fe
			unsure.Notice = noticeUnsure
			return nil, &unsure
		}
		return nil, err
	}
	return receipt(ans), nil
}

// Query asks what was executed under a reference of this caller; found is false when nothing was.
func (a *App) Query(ctx context.Context, reference string) (r *Receipt, found bool, err error) {
	w := xmltree.NewWriter()
	w.Start("app", "QueryRequest")
	w.NS("app", nsApp)
	w.Leaf("app", "Reference", reference)
	w.End()
	body, err := w.Bytes()
	if err != nil {
		return nil, false, &fault.Error{Op: "app.Query", Service: ServiceApp, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err}
	}
	ans, err := a.x.Do(ctx, &exchange.Call{
		Op: "app.Query", Service: ServiceApp, Action: nsApp + ":Query", Class: resilience.Read, Body: body,
		Security: a.sec, Correlate: aboutReference("QueryResponse", reference), Notice: noticeUnsure,
	})
	if err != nil {
		return nil, false, err
	}
	if leafText(ans.Payload, "Found") != "true" {
		return nil, false, nil
	}
	return receipt(ans), true, nil
}

func receipt(ans *exchange.Answer) *Receipt {
	r := &Receipt{Alternate: ans.Alternate}
	r.Number, _ = strconv.ParseInt(leafText(ans.Payload, "ResultNumber"), 10, 64)
	r.At, _ = time.Parse(time.RFC3339Nano, leafText(ans.Payload, "ExecutedAt"))
	return r
}

// aboutReference tells whether an answer is the one to this question: right element, our reference.
func aboutReference(element, reference string) func(*xmltree.Node) error {
	return func(p *xmltree.Node) error {
		if !p.Is(nsApp, element) || leafText(p, "Reference") != reference {
			return errAppAnswer
		}
		return nil
	}
}

func leafText(p *xmltree.Node, local string) string {
	n := p.Child(nsApp, local)
	if n == nil {
		return ""
	}
	text, err := n.Text()
	if err != nil {
		return ""
	}
	return text
}

// putBody is the PutRequest; every kind of client sends the same.
func putBody(reference, orderingKey string, payload []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("app", "PutRequest")
	w.NS("app", nsApp)
	w.Leaf("app", "Reference", reference)
	if orderingKey != "" {
		w.Leaf("app", "OrderingKey", orderingKey)
	}
	w.Leaf("app", "Payload", base64.StdEncoding.EncodeToString(payload))
	w.End()
	return w.Bytes()
}
