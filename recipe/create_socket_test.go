package recipe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// ending is how a server ends the connection after it has executed a request.
type ending string

const (
	finBefore ending = "FIN before the answer"
	rstBefore ending = "RST before the answer"
	finMiddle ending = "FIN in the middle of the answer"
	rstMiddle ending = "RST in the middle of the answer"
)

// front stands before the sandbox with real connections. A prescription is created, and then its connection ends.
type front struct {
	t    *testing.T
	sb   *sandbox.Sandbox
	http *http.Client

	mu      sync.Mutex
	end     ending // "" = nothing is cut
	creates int
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, f.sb.URL(recipe.ServicePrescriber, 0), bytes.NewReader(body))
	if err != nil {
		f.t.Error(err)
		return
	}
	for _, h := range []string{"Content-Type", "SOAPAction", "User-Agent", "From"} {
		req.Header.Set(h, r.Header.Get(h))
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(resp.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	end := f.end
	created := strings.Contains(r.Header.Get("SOAPAction"), "createPrescription")
	if created {
		f.creates++
	}
	f.mu.Unlock()
	if created && end != "" {
		f.cut(w, doc, end)
		return
	}
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(doc)
}

// cut ends the connection; over HTTP/2, where it cannot be taken over, the stream.
func (f *front) cut(w http.ResponseWriter, doc []byte, end ending) {
	middle := end == finMiddle || end == rstMiddle
	hijacker, is := w.(http.Hijacker)
	if !is {
		if middle {
			_, _ = w.Write(doc[:len(doc)/2])
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
	conn, rw, err := hijacker.Hijack()
	if err != nil {
		f.t.Error(err)
		return
	}
	if middle {
		fmt.Fprintf(rw, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(doc), doc[:len(doc)/2])
		_ = rw.Flush()
	}
	if tcp, is := conn.(*net.TCPConn); is && (end == rstBefore || end == rstMiddle) {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// byHost sends what is for the front over real connections and the rest into the sandbox.
type byHost struct {
	host          string
	front, others http.RoundTripper
}

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == b.host {
		return b.front.RoundTrip(r)
	}
	return b.others.RoundTrip(r)
}

// TestOnceOverSockets is dossier 12, scenario 4, where the official connector creates two prescriptions and reports one: however
// the connection ends, over HTTP/1.1 and HTTP/2, new or reused, the prescription is made once, and its number is found.
func TestOnceOverSockets(t *testing.T) {
	sb, err := sandbox.New(sandbox.Config{Seed: 5, Patients: 20})
	ok(t, err)
	t.Cleanup(func() { _ = sb.Close() })
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2=%v", h2), func(t *testing.T) {
			f := &front{t: t, sb: sb, http: sb.HTTPClient()}
			srv := httptest.NewUnstartedServer(f)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.EnableHTTP2 = h2
			srv.StartTLS()
			defer srv.Close()
			s := socketSurgery(t, sb, srv)
			for _, reused := range []bool{false, true} {
				for _, end := range []ending{finBefore, rstBefore, finMiddle, rstMiddle} {
					t.Run(fmt.Sprintf("reused=%v %s", reused, end), func(t *testing.T) { s.once(t, f, srv, reused, end) })
				}
			}
		})
	}
}

func socketSurgery(t *testing.T, sb *sandbox.Sandbox, srv *httptest.Server) *surgery {
	t.Helper()
	s := &surgery{t: t, sb: sb, person: sb.Person(identity.Doctor, 0), patient: sb.Patients()[0]}
	client := sb.HTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	client.Transport = byHost{strings.TrimPrefix(srv.URL, "https://"), srv.Client().Transport, client.Transport}
	s.link, s.engine = linkTo(t, sb, s.person, s.person, client, doctorLogin(s.person), map[string]string{recipe.ServicePrescriber: srv.URL})
	var err error
	s.p, err = recipe.NewPrescriber(s.link, recipe.Caller{NIHII: s.person.NIHII, Quality: identity.Doctor}, recipe.WithProgramID("test/1.0"))
	ok(t, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(t, err)
	disk, err := outbox.OpenBolt(filepath.Join(t.TempDir(), "outbox.db"))
	ok(t, err)
	opts := []outbox.Option{outbox.WithPace(-1, -1, -1)}
	for _, h := range s.p.Handlers() {
		h.Policy.Ask = time.Millisecond
		opts = append(opts, outbox.Handle(h.Kind, h.Handler, h.Policy))
	}
	s.box, err = outbox.Open(t.Context(), disk, outbox.NewKeys(key), opts...)
	ok(t, err)
	t.Cleanup(func() { _ = s.box.Close() })
	s.p.Use(s.box)
	return s
}

func (s *surgery) once(t *testing.T, f *front, srv *httptest.Server, reused bool, end ending) {
	before := len(s.sb.Prescriptions())
	f.mu.Lock()
	f.end, f.creates = end, 0
	f.mu.Unlock()
	srv.CloseClientConnections()
	if reused {
		for range s.p.OpenRIDs(t.Context(), s.patient.SSIN) {
			break
		}
	}
	s.engine.CloseBreaker(recipe.ServicePrescriber, srv.URL)
	r := s.request(t.Name())
	c, err := s.p.Create(t.Context(), r)
	if err != nil && !errors.As(err, new(*recipe.UnsureError)) {
		t.Fatalf("error %v", err)
	}
	if err != nil {
		ok(t, s.box.Drain(t.Context(), nil))
		c, err = s.p.Create(t.Context(), r)
		ok(t, err)
	}
	all := s.sb.Prescriptions()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(all) != before+1 || f.creates != 1 || all[before].RID != c.RID.Reveal() {
		t.Errorf("%d made by %d requests", len(all)-before, f.creates)
	}
}
