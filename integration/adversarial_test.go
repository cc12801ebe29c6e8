package integration

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// world is a sandbox of its own, and everything in it that must stay private.
type world struct {
	sb      *sandbox.Sandbox
	private secrets
}

// licence is recognisable, so that it can be looked for.
const licence = "LicencePasswordOfTheTests"

func newWorld(t *testing.T, cfg sandbox.Config) *world {
	t.Helper()
	cfg.Seed, cfg.Patients = 5, 40
	sb, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{sb: sb, private: secrets{licence}}
	for _, p := range sb.Patients() {
		w.private.add(p.SSIN.Reveal(), p.RegNr)
		w.private.add(strings.Fields(p.FirstName + " " + p.LastName)...)
	}
	for _, p := range sb.People() {
		w.private.add(p.SSIN.Reveal(), p.NIHII.Reveal(), p.NIHII.Base())
		w.private.add(strings.Fields(p.Name())...)
	}
	return w
}

// inBubble runs f in virtual time, with a sandbox on pipes.
func inBubble(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Config{})
		defer w.sb.Close()
		f(t, w)
	})
}

// doctor is the configuration of the n-th doctor.
func (w *world) doctor(t *testing.T, n int) ehealth.Config {
	t.Helper()
	p := w.sb.Person(identity.Doctor, n)
	services := map[string][]resilience.Endpoint{}
	for id, eps := range w.sb.Services() {
		for _, e := range eps {
			services[id] = append(services[id], resilience.Endpoint(e))
		}
	}
	return ehealth.Config{
		Environment: ehealth.Sandbox,
		Software:    ehealth.Software{Name: "Tests/1.0", Contact: "support@example.be", Licence: insurability.NewLicence("licence", licence)},
		Identity:    holder(t)(p.Authentication()),
		Caller:      insurability.Caller{Quality: identity.Doctor, NIHII: p.NIHII, SSIN: p.SSIN, Name: p.Name()},
		Trust:       ehealth.Trust{TLS: w.sb.Roots(), STS: w.sb.Roots()},
		Services:    services,
		Transport:   w.sb.HTTPClient().Transport,
	}
}

// holder makes a key store of a credential of the sandbox.
func holder(t *testing.T) func(sandbox.Credential, error) *keystore.Store {
	return func(c sandbox.Credential, err error) *keystore.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		s, err := keystore.FromSigner(c.Certificate, c.Chain, c.Key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// open opens the platform; the test's end closes it.
func (w *world) open(t *testing.T, cfg ehealth.Config) *ehealth.Platform {
	t.Helper()
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// inject starts rows of a fault script.
func (w *world) inject(t *testing.T, rows ...string) {
	t.Helper()
	for _, row := range rows {
		sc, err := sandbox.ParseScript(row)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.sb.Apply(sc); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) ask(t *testing.T, p *ehealth.Platform, sc sandbox.Scenario) (*insurability.Answer, error) {
	t.Helper()
	return p.Insurability.Check(t.Context(), insurability.Query{Patient: w.sb.Patient(sc).SSIN})
}

// login logs in, and from then on the token is a secret too.
func (w *world) login(t *testing.T, p *ehealth.Platform) {
	t.Helper()
	tok, err := p.Tokens.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.private.add(tok.ID)
	for _, piece := range regexp.MustCompile(`[A-Za-z0-9+/=]{40,}`).FindAllString(string(tok.Raw), -1) {
		w.private.add(piece)
	}
}

// end is how a call must end.
type end struct {
	kind    fault.Kind
	outcome fault.Outcome
	notice  string
	code    string
}

// ends checks that a call ended so: typed, with nothing shown and nothing told.
func (w *world) ends(t *testing.T, a *insurability.Answer, err error, want end) {
	t.Helper()
	if a != nil {
		t.Error("an answer is shown")
	}
	w.fails(t, err, want)
}

func (w *world) fails(t *testing.T, err error, want end) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("error is %T", err)
	}
	if got := (end{e.Kind, e.Outcome, e.Notice, e.Code}); got != want {
		t.Errorf("ended as %+v, want %+v: %v", got, want, e)
	}
	if e.Attempts == 0 || e.Service == "" || e.Op == "" {
		t.Errorf("op %q, service %q, attempts %d", e.Op, e.Service, e.Attempts)
	}
	w.private.check(t, err)
	for e := error(e); e != nil; e = errors.Unwrap(e) {
		if fe, ok := e.(*fault.Error); ok { //nolint:errorlint // every link of the chain by itself
			w.private.check(t, fe)
		}
	}
}

// between sits between client and platform, as whoever it was that broke TLS, or a proxy.
type between struct {
	next http.RoundTripper
	// request and response may change what passes; nil leaves it as it is. They see messages of one path only.
	path     string
	request  func(body []byte) []byte
	response func(body []byte) []byte

	mu     sync.Mutex
	passed int
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, b.path) {
		return b.next.RoundTrip(r)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passed++
	if b.request != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		body = b.request(body)
		r = r.Clone(r.Context())
		r.Body, r.GetBody, r.ContentLength = io.NopCloser(bytes.NewReader(body)), nil, int64(len(body))
	}
	resp, err := b.next.RoundTrip(r)
	if err != nil || b.response == nil {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	body = b.response(body)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// CloseIdleConnections lets http.Client reach the transport below.
func (b *between) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// replace changes every occurrence, and fails the test when there is none: then nothing was tampered with.
func replace(t *testing.T, old, new string) func([]byte) []byte {
	return func(body []byte) []byte {
		if !bytes.Contains(body, []byte(old)) {
			t.Errorf("the message does not hold what was to be changed")
		}
		return bytes.ReplaceAll(body, []byte(old), []byte(new))
	}
}
