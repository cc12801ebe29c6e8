package drill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// logon opens sessions as the connector does: each message once, 30 s for connecting and 30 s for every read, and
// nothing is tried again (dossier 12, scenario 8). The messages are those of package sts, whose own repeats stop at the
// first failure because leg refuses every message but the first of its kind.
type logon struct {
	client *sts.Client
	who    sts.Identity
}

func newLogon(s *sandbox.Sandbox, at station, by func() (sandbox.Credential, error), java *javaHTTP, validity time.Duration) (*logon, error) {
	cfg, err := at.config(s)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	hok, err := credential(ctx, cfg.Identity)
	if err != nil {
		return nil, err
	}
	login, err := source(by())
	if err != nil {
		return nil, err
	}
	person, err := credential(ctx, login)
	if err != nil {
		return nil, err
	}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: &leg{java}}, Directory: resilience.Static(cfg.Services),
		UserAgent: cfg.Software.Name, From: cfg.Software.Contact,
	})
	if err != nil {
		return nil, err
	}
	client, err := sts.New(x, sts.Config{
		Identification: person, HolderOfKey: hok, Validity: validity, Timeout: 10 * time.Minute,
		Trust: sts.Trust{Roots: cfg.Trust.STS},
	})
	if err != nil {
		return nil, err
	}
	return &logon{client, at.identity(cfg)}, nil
}

// issue opens one session.
func (l *logon) issue(ctx context.Context) (*sts.Token, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &try{stop: cancel, sent: map[string]bool{}}
	tok, err := l.client.Issue(context.WithValue(ctx, tryKey{}, t), sts.Request{Identity: l.who})
	if cause := t.failure(); err != nil && cause != nil {
		err = cause
	}
	return tok, err
}

// try is one login under way.
type try struct {
	stop context.CancelFunc

	mu   sync.Mutex
	sent map[string]bool // by SOAPAction
	err  error           // what ended it
}

type tryKey struct{}

// first tells whether this is the first message of its kind.
func (t *try) first(action string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	again := t.sent[action]
	t.sent[action] = true
	return !again
}

// end ends the login with the first failure.
func (t *try) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.stop()
}

func (t *try) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// leg sends one message of a login through the connector's HTTP.
type leg struct{ java *javaHTTP }

var errSecondTry = errors.New("drill: the connector does not repeat")

// RoundTrip implements http.RoundTripper.
func (l *leg) RoundTrip(req *http.Request) (*http.Response, error) {
	msg, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	t, _ := req.Context().Value(tryKey{}).(*try)
	action := strings.Trim(req.Header.Get("SOAPAction"), `"`)
	if t == nil || !t.first(action) {
		if t != nil {
			t.end(errSecondTry)
		}
		return nil, errSecondTry
	}
	// The context of the exchange carries a trace of its own that must not see the repeat of the JDK.
	r, err := l.java.post(context.WithoutCancel(req.Context()), req.URL.String(), action, msg)
	if err == nil {
		if a := read(r); a.err != nil {
			err = a.err
		}
	}
	if err != nil {
		t.end(err)
		return nil, err
	}
	return &http.Response{
		StatusCode: r.status, Status: http.StatusText(r.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, Body: io.NopCloser(bytes.NewReader(r.doc)), ContentLength: int64(len(r.doc)),
	}, nil
}
