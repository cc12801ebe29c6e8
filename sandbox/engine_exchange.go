package sandbox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
)

// exchange is one request and what becomes of it.
type exchange struct {
	s       *Sandbox
	w       http.ResponseWriter
	r       *http.Request
	conn    *conn
	route   route
	verdict verdict
	at      time.Time // arrival of the head, true time
}

// serveHTTP is the door of every service.
func (s *Sandbox) serveHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(*conn)
	if c == nil || !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.active.Done()
	rt, ok := s.lookup(c, r.URL.Path)
	if !ok {
		s.count("http.404")
		http.NotFound(w, r)
		return
	}
	x := &exchange{s: s, w: w, r: r, conn: c, route: rt, at: time.Now()}
	s.counters.request(rt.Service, x.endpoint())
	exact := func(st *activeStep) bool { return s.net.covers(st, c.service, c.side) }
	x.verdict = s.faults.judge(rt.Service, x.at, c.born, exact)
	x.run()
}

// endpoint is the path, with the side in front when it is not the ESB.
func (x *exchange) endpoint() string { return x.route.Path }

// lookup finds the route of a path on the side that the connection leads to.
func (s *Sandbox) lookup(c *conn, path string) (route, bool) {
	if c.side == sideList {
		return listRoute(path)
	}
	for _, rt := range s.routes {
		if rt.Path == path && rt.Direct == (c.side == sideDirect) {
			return rt, true
		}
	}
	return route{}, false
}

// run carries out the verdict.
func (x *exchange) run() {
	v := &x.verdict
	if v.skew != 0 { // a server whose clock is off says so in its Date header too
		x.w.Header().Set("Date", time.Now().Add(v.skew).UTC().Format(http.TimeFormat))
	}
	if v.cut {
		x.abort()
	}
	body, ok := x.read()
	if !ok {
		return
	}
	switch {
	case v.drop:
		x.hold(v.held)
	case v.early:
		x.abort()
	case v.over == "hang":
		x.hold(v.held)
	case v.over == "503":
		x.write(httpAnswer(HTTPAnswer{Status: http.StatusServiceUnavailable, Body: "html"}))
		return
	case v.over != "":
		x.write(x.s.soapFault(SOAPFault{Code: v.over}))
		return
	}
	if !x.s.sleep(v.wait) { // the server gets round to it whether the client is still there or not
		x.abort()
	}
	x.answer(body)
}

// answer executes the request, or not, and says what the scripts let it say.
func (x *exchange) answer(body []byte) {
	v := &x.verdict
	var rs *response
	switch {
	case v.hang != nil:
		if v.hangExec {
			x.execute(body)
		}
		x.hold(v.held)
	case v.http != nil:
		if v.httpExec {
			x.execute(body)
		}
		rs = httpAnswer(*v.http)
	case v.fault != nil:
		if v.faultExec {
			x.execute(body)
		}
		rs = x.s.soapFault(*v.fault)
	default:
		if !x.s.sleep(v.lateExec) {
			x.abort()
		}
		rs = x.execute(body)
	}
	t := x.s.swaps.enter(x.route.Service, rs)
	defer x.s.swaps.leave(t)
	if !x.wait(v.delay) {
		x.abort()
	}
	if v.late {
		x.abort()
	}
	if v.lostAck {
		x.abort()
	}
	rs, n := x.s.swaps.take(t, v.misroute)
	if n > 0 {
		x.s.faults.swapped(x.route.Service, n, x.at)
	}
	x.write(rs)
}

// execute lets the service handle the request and counts its effect.
func (x *exchange) execute(body []byte) *response {
	rq := &request{
		Service: x.route.Service, Path: x.route.Path, Header: x.r.Header, Body: body, At: time.Now().Add(x.verdict.skew),
	}
	if a, ok := x.r.Header["Soapaction"]; ok && len(a) > 0 {
		rq.HasAction, rq.Action = true, strings.Trim(a[0], `"`)
	}
	rs := x.route.Handle(context.WithoutCancel(x.r.Context()), x.s, rq)
	if rs.Effect != "" {
		x.s.counters.effect(rs.Effect)
	}
	return rs
}

// read takes the whole body, up to maxBody bytes. Reading it first lets the server see when the client gives up.
func (x *exchange) read() ([]byte, bool) {
	want := http.MethodPost
	if x.route.Service == "servicelist" {
		want = http.MethodGet
	}
	if x.r.Method != want && !(want == http.MethodGet && x.r.Method == http.MethodHead) {
		x.w.Header().Set("Allow", want)
		http.Error(x.w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return nil, false
	}
	rc := http.NewResponseController(x.w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	_ = rc.SetReadDeadline(time.Time{})
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		http.Error(x.w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
		return nil, false
	case err != nil:
		x.abort()
	}
	return body, true
}

// write sends the answer.
func (x *exchange) write(rs *response) {
	if rs.stream != nil {
		rs.stream(x)
		return
	}
	ct := rs.ContentType
	if ct == "" {
		ct = soap.ContentType
	}
	if len(rs.Body) > 0 {
		x.w.Header().Set("Content-Type", ct)
	}
	x.w.Header().Set("Content-Length", strconv.Itoa(len(rs.Body)))
	st := rs.Status
	if st == 0 {
		st = http.StatusOK
	}
	x.w.WriteHeader(st)
	_, _ = x.w.Write(rs.Body)
}

// abort cuts the connection below the exchange. It does not return.
func (x *exchange) abort() {
	x.conn.reset()
	panic(http.ErrAbortHandler)
}

// hold keeps the exchange without answer until the client gives up, the step ends or ten minutes are over; then the
// connection is cut. It does not return.
func (x *exchange) hold(st *activeStep) {
	limit := maxHold
	if end := x.s.faults.end(st); !end.IsZero() {
		limit = min(limit, time.Until(end))
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-t.C:
	case <-st.run.stopped:
	case <-x.r.Context().Done():
	case <-x.s.closing.Done():
	}
	x.abort()
}

// end is when a step ends.
func (e *engine) end(st *activeStep) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return st.to
}

// wait sleeps until d is over, or less when the client gives up.
func (x *exchange) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.r.Context().Done():
	case <-x.s.closing.Done():
	}
	return false
}

// sleep sleeps until d is over, or the sandbox closes.
func (s *Sandbox) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closing.Done():
		return false
	}
}

// greyScreen is what a load balancer shows when nothing is behind it.
const greyScreen = `<!DOCTYPE html>
<html><head><title>Service Unavailable</title></head>
<body bgcolor="#cccccc"><h1>Service Unavailable</h1><p>The service is temporarily unavailable.</p></body></html>
`

func httpAnswer(f HTTPAnswer) *response {
	rs := &response{Status: f.Status, ContentType: "text/html; charset=utf-8"}
	if f.Body == "html" {
		rs.Body = []byte(greyScreen)
	}
	return rs
}

// codeText has origin and message of the platform's codes (dossier 06 A.0.1).
var codeText = map[string][2]string{
	"SOA-00001": {"Provider", "Service error"},
	"SOA-01001": {"Consumer", "Service call not authenticated"},
	"SOA-01002": {"Consumer", "Service call not authorized"},
	"SOA-02001": {"Provider", "Service not available. Please contact service desk"},
	"SOA-02002": {"Provider", "Service temporarily not available. Please try later"},
	"SOA-03001": {"Consumer", "Malformed message"},
}

// soapFault is the platform's own fault, with a new ticket.
func (s *Sandbox) soapFault(f SOAPFault) *response {
	text, ok := codeText[f.Code]
	if !ok {
		text = [2]string{"Provider", "Service error"}
	}
	side := "Server"
	if text[0] == "Consumer" {
		side = "Client"
	}
	body, err := (&soap.Fault{
		FaultCode: side, FaultString: f.Code,
		SOA: &soap.SOAError{
			ID: s.ticket(), Origin: text[0], Code: f.Code, Messages: []soap.Text{{Lang: "en", Value: text[1]}},
			Retry: f.Retry, Environment: s.environment(),
		},
	}).Encode()
	if err != nil { // every part is a constant of this package or was validated
		return httpAnswer(HTTPAnswer{Status: http.StatusInternalServerError, Body: "empty"})
	}
	return &response{Status: http.StatusInternalServerError, Body: body}
}
