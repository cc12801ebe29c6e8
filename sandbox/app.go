package sandbox

import (
	"context"
	"crypto/x509"
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// The generic stateful application: service "app" of the fault grammar (dossier 06 A.4.1), its alternate "app-direct".
//
// It is no service of the platform. It stands for all of those that do something once and must not do it twice, such as
// creating a prescription, so that clients can be tried on writes whose answer is lost. Its messages are ours, in
// namespace urn:be:ehealth-continuity:app:v1, all elements qualified, in this order:
//
//	PutRequest    Reference, [OrderingKey], Payload       Reference: 1 to 64 characters of the client's choice
//	PutResponse   Reference, ResultNumber, ExecutedAt     OrderingKey: 1 to 64 characters, Payload: base64Binary
//	QueryRequest  Reference
//	QueryResponse Reference, Found, [ResultNumber, ExecutedAt]
//
// SOAPAction is the namespace, ":Put" or ":Query"; absent and empty are accepted. The caller proves himself with a
// token of the STS and its key, checked as GenIns does; no quality is needed. References are the caller's own: what
// another one did under the same reference is not found. A query tells about the first execution.
//
// A Put is executed each time it arrives, the very same message included: that is how the stand-in behaved with which
// dossier 12 was measured. SetApp changes that. State().Effects counts executions under "app.put", those that repeat a
// reference under "app.double", and each reference under "app.put:" and itself.
//
// Both addresses share one state, as two front doors of one application. Every kind of fault acts on it; the alternate
// has the grammar name app-direct.
const (
	nsApp       = "urn:be:ehealth-continuity:app:v1"
	uddiApp     = "uddi:ehealth-fgov-be:business:app:v1"
	pathApp     = "/App/v1"
	pathAppBCP  = "/ehealth/bcp/app/v1"
	appRefLimit = 64 // characters
)

var appOperations = []operation{
	{qname{nsApp, "PutRequest"}, []string{nsApp + ":Put"}},
	{qname{nsApp, "QueryRequest"}, []string{nsApp + ":Query"}},
}

var appRequestTypes = func() map[string]*xsType {
	ref := xsLeaf(xsLength(nsApp, "ReferenceType", 1, appRefLimit))
	return map[string]*xsType{
		"PutRequest": {name: qname{nsApp, "PutRequestType"}, seq: []xsParticle{
			xsOne(nsApp, "Reference", ref),
			xsOpt(nsApp, "OrderingKey", xsLeaf(xsLength(nsApp, "OrderingKeyType", 1, appRefLimit))),
			xsOne(nsApp, "Payload", xsLeaf(xsBase64)),
		}},
		"QueryRequest": {name: qname{nsApp, "QueryRequestType"}, seq: []xsParticle{xsOne(nsApp, "Reference", ref)}},
	}
}()

// appRoute is one of the two addresses, by order in the service list.
func appRoute(order int) route {
	r := route{Service: "app", Path: pathApp, UDDI: uddiApp, Order: order, Name: "App", Handle: serveApp}
	if order > 0 {
		r.Service, r.Path, r.Direct = "app-direct", pathAppBCP, true
	}
	return r
}

// serveApp is both operations.
func serveApp(_ context.Context, s *Sandbox, rq *request) *response {
	door := s.app.door()
	m, op, r := open(rq, appOperations)
	if r != nil {
		return door.fault(s, rq, r)
	}
	c, r := s.app.caller(s, rq, m)
	if r == nil {
		r = conforms(m.Payload, appRequestTypes[op.payload.local])
	}
	if r != nil {
		return door.fault(s, rq, r)
	}
	holder := appHolder(c.cert)
	ref := textOf(m.Payload.Child(nsApp, "Reference"))
	var e AppExecution
	found, effect := true, ""
	if op.payload.local == "PutRequest" {
		w := appWrite{holder, ref, textOf(m.Payload.Child(nsApp, "OrderingKey")), rq.At}
		if after, late := s.app.delayed(s.cfg.Seed); late {
			return s.putLater(w, after)
		}
		again, missed := false, false
		if e, again, missed = s.app.put(w); missed {
			s.count("app.missed")
			return cutOff()
		}
		if !again {
			effect = "app.put"
			s.countPut(e)
		}
	} else {
		e, found = s.app.query(holder, ref, rq.At)
	}
	payload, err := encodeApp(op.payload.local == "PutRequest", ref, e, found)
	if err != nil {
		return door.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	rs := door.answer(s, rq, nil, payload, askerKey(c.cert, ref))
	rs.Effect = effect
	return rs
}

// putLater carries out a Put whose client gets no answer, after that time.
func (s *Sandbox) putLater(w appWrite, after time.Duration) *response {
	s.background(func() {
		if !s.sleep(after) {
			return
		}
		switch e, again, missed := s.app.put(w); {
		case missed:
			s.count("app.missed")
		case !again:
			s.count("app.late")
			s.counters.effect("app.put")
			s.countPut(e)
		}
	})
	return cutOff()
}

// cutOff is no answer at all.
func cutOff() *response { return &response{stream: func(x *exchange) { x.abort() }} }

// countPut counts an execution under its reference.
func (s *Sandbox) countPut(e AppExecution) {
	s.counters.effect("app.put:" + e.Reference)
	if e.Nth > 1 {
		s.counters.effect("app.double")
	}
}

// caller authenticates. The guard against messages that were received before is on only when SetApp says so.
func (a *appState) caller(s *Sandbox, rq *request, m *soap.Message) (*caller, *refused) {
	v := a.door()
	a.mu.Lock()
	guarded := a.behaviour.RefuseReplays
	a.mu.Unlock()
	if !guarded {
		v = newServices() // a guard that has not seen anything
	}
	return v.holderOfKey(s, rq, m)
}

// appHolder says whose references these are: the holder of the certificate, which may be renewed.
func appHolder(cert *x509.Certificate) string {
	h := certHolderOf(cert)
	if h.number == "" {
		return string(cert.RawSubject)
	}
	return h.typ + "=" + h.number
}

func encodeApp(put bool, ref string, e AppExecution, found bool) ([]byte, error) {
	w := xmltree.NewWriter()
	name := "QueryResponse"
	if put {
		name = "PutResponse"
	}
	w.Start("app", name)
	w.NS("app", nsApp)
	w.Leaf("app", "Reference", ref)
	if !put {
		w.Leaf("app", "Found", strconv.FormatBool(found))
	}
	if found {
		w.Leaf("app", "ResultNumber", strconv.FormatInt(e.Number, 10))
		w.Leaf("app", "ExecutedAt", wireTime(e.At))
	}
	w.End()
	return w.Bytes()
}

// AppBehaviour is how the application treats what it gets. The zero value is that of the measured stand-in.
type AppBehaviour struct {
	// Deduplicate: a Put under a reference that was executed before, for the same caller, is not executed again; its
	// answer is that of the first.
	Deduplicate bool
	// RefuseReplays: a message that was received before is refused with SOA-01001, as GenIns refuses it.
	RefuseReplays bool
	// QueryLag is how long an execution stays invisible to Query. 0: not at all.
	QueryLag time.Duration
	// Late bounds the time from the arrival of a Put, when its timestamp is checked, to its execution: one that this
	// computer would execute later than that is not executed at all and its connection cut (counter app.missed), so that
	// clients whose horizons are as short as a test's may rely on it. 0 = no bound. It goes by the service's clock, so it
	// does not fit with a clock step.
	Late time.Duration
	// LateP is the share of the Puts that are executed after their connection was cut, at a random moment within Late
	// (counter app.late). It needs Late.
	LateP float64
}

// SetApp changes how the application behaves from now on.
func (s *Sandbox) SetApp(b AppBehaviour) {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	s.app.behaviour = b
}

// AppExecution is one Put that the application has executed.
type AppExecution struct {
	Reference   string
	OrderingKey string    // "" = none
	Number      int64     // result number: 1, 2, 3, … over all callers
	At          time.Time // the service's clock
	Nth         int       // how many times its caller's reference was executed by then, this time included
}

// AppExecutions returns everything the application has executed, in order.
func (s *Sandbox) AppExecutions() []AppExecution {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	return append([]AppExecution(nil), s.app.log...)
}

// AppExecuted is how often Puts under a reference were executed, whoever sent them.
func (s *Sandbox) AppExecuted(reference string) int {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	return s.app.counts[reference]
}
