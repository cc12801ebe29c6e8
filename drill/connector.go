package drill

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// The connector's own limits, for connecting and for every read of the socket (dossier 12).
const (
	connectorConnect = 30 * time.Second
	connectorRead    = 30 * time.Second
	// connectorResend is what it takes between a failure and the next message (dossier 12: 30 to 80 ms). It is time
	// enough for a list to be asked for, which is what makes it fail twice on the same address (scenario 11).
	connectorResend = 50 * time.Millisecond
)

// switchCodes move the connector to the next address, whatever Retry says (dossier 12, scenario 5).
var switchCodes = map[string]bool{"SOA-01001": true, "SOA-01002": true, "SOA-02001": true, "SOA-02002": true}

// connector behaves as dossier 12 measured the official connector, from process start on. It copies the behaviour, not
// the software: its messages are as good as ours and go through the same sandbox. The tests of this package name each
// row that it copies.
//
// The login speaks WS-Trust, the connector's default since version 4.3.0, and compares the answer with the question,
// which nobody has measured.
type connector struct {
	java  *javaHTTP
	bcp   *switchboard
	urls  map[string]string // default address by service, for those that no list names
	stop  context.CancelFunc
	ask   *questions
	logon *logon // with the certificate
	user  *logon // one more user, with the identity card

	mu  sync.Mutex
	tok *sts.Token
}

// connectorOptions are what a process brings along.
type connectorOptions struct {
	disk     *connectorDisk // what the last process left; nil: the first one
	poll     time.Duration  // 0 = pollEvery
	validity time.Duration  // of the token asked for; 0 = tokenValidity
	dial     dialer         // nil = that of the sandbox
	roots    *x509.CertPool // nil = those of the sandbox
}

// startConnector starts a process: it reads the service list and returns when the list server has answered. The session
// is opened by the first call that needs it.
func startConnector(s *sandbox.Sandbox, o *sandbox.Organisation, opt connectorOptions) (*connector, error) {
	return startConnectorAt(s, atPharmacy(o), opt)
}

func startConnectorAt(s *sandbox.Sandbox, at station, opt connectorOptions) (*connector, error) {
	if opt.disk == nil {
		opt.disk = &connectorDisk{}
	}
	if opt.poll == 0 {
		opt.poll = pollEvery
	}
	if opt.validity == 0 {
		opt.validity = tokenValidity
	}
	if opt.dial == nil {
		opt.dial = s.Dial
	}
	c := &connector{urls: map[string]string{}, ask: newQuestions(at.org)}
	for id, eps := range s.Services() {
		for _, e := range eps {
			if e.Order == 0 {
				c.urls[id] = e.URL
			}
		}
	}
	c.java = newJavaHTTP(opt.dial, cmp.Or(opt.roots, s.Roots()), connectorConnect, connectorRead)
	var err error
	if c.logon, err = newLogon(s, at, at.person.Authentication, c.java, opt.validity); err != nil {
		return nil, err
	}
	if c.user, err = newLogon(s, at, at.person.EID, c.java, opt.validity); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.bcp = &switchboard{http: s.HTTPClient(), url: s.ListURL(1), every: opt.poll, disk: opt.disk, ctx: ctx}
	c.bcp.start()
	return c, nil
}

// joinConnector starts a process with the connector's defaults.
func joinConnector(s *sandbox.Sandbox, o *sandbox.Organisation) (counter, error) {
	return startConnector(s, o, connectorOptions{})
}

func (c *connector) close() {
	c.stop()
	c.bcp.work.Wait()
	c.java.close()
}

var errSessionOver = errors.New("drill: session is not or no longer valid")

// login opens a session for one more user.
func (c *connector) login(ctx context.Context) error {
	_, err := c.user.issue(ctx)
	return err
}

// session is the token. One that has expired is not replaced: renewal is off by default. While there is none, every
// call opens a session of its own.
func (c *connector) session(ctx context.Context) (*sts.Token, error) {
	c.mu.Lock()
	tok := c.tok
	c.mu.Unlock()
	if tok != nil {
		return tok, nil
	}
	tok, err := c.logon.issue(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tok = tok
	return tok, nil
}

// check asks for insurability and shows whatever comes, whoever it belongs to. The age of the token is not looked at
// (dossier 12, scenarios 8 and 9).
func (c *connector) check(ctx context.Context, p sandbox.Patient) (shown, error) {
	tok, err := c.session(ctx)
	if err != nil {
		return shown{}, err
	}
	answer, url, err := c.call(ctx, serviceCheck, "", c.ask.insurability(p), tok)
	if err != nil {
		return shown{}, err
	}
	ssin, err := firstText(answer, "Ssin")
	return shown{of: ssin, otherwise: url != c.urls[serviceCheck]}, err
}

// put creates something, as a prescription is created: the session is checked here, without asking the STS.
func (c *connector) put(ctx context.Context, reference string) (shown, error) {
	tok, err := c.session(ctx)
	if err != nil {
		return shown{}, err
	}
	if !tok.Valid(time.Now(), 0) {
		return shown{}, errSessionOver
	}
	body, err := putBody(reference, "", payload)
	if err != nil {
		return shown{}, err
	}
	answer, url, err := c.call(ctx, ServiceApp, nsApp+":Put", body, tok)
	if err != nil {
		return shown{}, err
	}
	ref, err := firstText(answer, "Reference")
	return shown{of: ref, otherwise: url != c.urls[ServiceApp]}, err
}

// call sends a message by the strategy that fits the number of addresses (dossier 01 D.7) and returns the answer with
// the address that gave it.
func (c *connector) call(ctx context.Context, service, action string, body []byte, tok *sts.Token) (*xmltree.Node, string, error) {
	n, _ := c.bcp.addresses(service)
	if n < 2 {
		url := c.urls[service]
		a := c.send(ctx, url, action, body, tok)
		return a.payload, url, a.err
	}
	used := map[string]bool{}
	var thrown, refused error
	for round := range n {
		_, url := c.bcp.addresses(service)
		if used[url] {
			continue
		}
		used[url] = true
		if round > 0 {
			time.Sleep(connectorResend)
		}
		// The sender looks the address up again: a list that came meanwhile has put it back (scenario 11).
		_, target := c.bcp.addresses(service)
		a := c.send(ctx, target, action, body, tok)
		switch a.signal {
		case noSignal:
			if a.err != errBroken { //nolint:errorlint // made by post itself
				return a.payload, target, a.err
			}
			thrown = a.err // and the address is not changed, so that nothing else is tried
			continue
		case byTransport:
			thrown = a.err
		case byMessage:
			refused = a.err
		}
		c.bcp.failed(service, url)
	}
	if thrown != nil { // it hides any fault, in either order (scenario 7)
		return nil, "", thrown
	}
	return nil, "", refused
}

// signal is what makes the connector go to another address.
type signal uint8

const (
	noSignal    signal = iota
	byTransport        // no connection, no answer in time, an HTTP status, something that is not SOAP
	byMessage          // one of the four fault codes
)

// attempt is one message and what came of it.
type attempt struct {
	payload *xmltree.Node
	err     error
	signal  signal
}

// send signs and sends a message once: or twice, when the connection ends without an answer.
func (c *connector) send(ctx context.Context, url, action string, body []byte, tok *sts.Token) attempt {
	msg, err := envelope(body, tok)
	if err != nil {
		return attempt{err: err}
	}
	r, err := c.java.post(ctx, url, action, msg)
	if err != nil {
		if err == errBroken { //nolint:errorlint // made by post itself
			return attempt{err: err}
		}
		return attempt{err: err, signal: byTransport}
	}
	return read(r)
}

// envelope is a message as it travels, signed where there is a token.
func envelope(body []byte, tok *sts.Token) ([]byte, error) {
	if tok == nil {
		return wsse.Plain(body)
	}
	cred := wsse.Credential{Certificate: tok.Credential.Certificate, Signer: tok.Credential.Signer}
	return wsse.HolderOfKey(body, tok.Raw, tok.ID, cred, wsse.Stamp{Now: time.Now()})
}

// read does what the SOAP layer does with an answer.
func read(r *reply) attempt {
	switch {
	case r.status/100 != 2 && r.status != http.StatusInternalServerError:
		return attempt{err: fmt.Errorf("drill: Bad response: (%d", r.status), signal: byTransport}
	case r.typ != "text/xml":
		return attempt{err: errors.New("drill: Invalid Content-Type"), signal: byTransport}
	}
	m, err := soap.Parse(r.doc, xmltree.Limits{})
	if err != nil {
		return attempt{err: errBroken}
	}
	f, ok := m.Fault()
	if !ok {
		return attempt{payload: m.Payload}
	}
	a := attempt{err: &soapError{f}}
	if f.SOA != nil && switchCodes[f.SOA.Code] {
		a.signal = byMessage
	}
	return a
}

// soapError is a fault as the caller gets it.
type soapError struct{ fault *soap.Fault }

// Error returns the code.
func (e *soapError) Error() string {
	if e.fault.SOA != nil {
		return e.fault.SOA.Code
	}
	return e.fault.FaultString
}

// firstText is the text of the first element of that name.
func firstText(payload *xmltree.Node, local string) (string, error) {
	for n := range payload.Descendants() {
		if n.Local() == local {
			return n.Text()
		}
	}
	return "", errNoAnswer
}
