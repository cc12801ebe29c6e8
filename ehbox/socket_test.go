package ehbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// ending is how a server ends the connection after it has executed a request.
type ending string

const (
	finBefore ending = "FIN before the answer"
	rstBefore ending = "RST before the answer"
	finMiddle ending = "FIN in the middle of the answer"
	rstMiddle ending = "RST in the middle of the answer"
)

// server puts a fakeBox behind real connections. A request to send is executed, and then its connection ends.
type server struct {
	f   *fakeBox
	end ending

	mu    sync.Mutex
	posts int // requests to send
}

func (s *server) executed() int {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.sends
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	q := asked{}
	if typ := r.Header.Get("Content-Type"); mime.Is(typ) {
		got, err := mime.Read(typ, bytes.NewReader(body), mime.Limits{})
		if err != nil {
			s.f.t.Error(err)
			return
		}
		body, q.parts = got.Root, got.Parts
	}
	m, err := soap.Parse(body, xmltree.Limits{})
	if err != nil {
		s.f.t.Error(err)
		return
	}
	q.root, q.body = m.Payload, m.Payload.Source()
	a := s.f.answer(q)
	doc := a.doc
	if a.status == 0 {
		a.status = http.StatusOK
		if doc, err = soap.Envelope(nil, doc); err != nil {
			s.f.t.Error(err)
		}
	}
	w.Header().Set("Content-Type", soap.ContentType)
	if q.root.Is(nsPublication, "SendMessageRequest") {
		s.mu.Lock()
		s.posts++
		s.mu.Unlock()
		s.cut(w, doc)
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(doc)
}

// cut ends the connection; over HTTP/2, where it cannot be taken over, the stream.
func (s *server) cut(w http.ResponseWriter, doc []byte) {
	middle := s.end == finMiddle || s.end == rstMiddle
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
		s.f.t.Error(err)
		return
	}
	if middle {
		fmt.Fprintf(rw, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(doc), doc[:len(doc)/2])
		_ = rw.Flush()
	}
	if tcp, is := conn.(*net.TCPConn); is && (s.end == rstBefore || s.end == rstMiddle) {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// TestOnceOverSockets is dossier 12, scenarios 4 and 12, where the official connector sends two or three times and reports
// success: however the connection ends, over HTTP/1.1 and HTTP/2, new or reused, the letter is executed once, and the
// caller learns that it was.
func TestOnceOverSockets(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, reused := range []bool{false, true} {
			for _, end := range []ending{finBefore, rstBefore, finMiddle, rstMiddle} {
				t.Run(fmt.Sprintf("HTTP2=%v reused=%v %s", h2, reused, end), func(t *testing.T) {
					overSocket(t, h2, reused, end)
				})
			}
		}
	}
}

func overSocket(t *testing.T, h2, reused bool, end ending) {
	s := &server{f: newFake(t), end: end}
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = h2
	if h2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	defer srv.Close()
	ctx := context.Background()
	m, box := socketMailer(t, srv)
	defer box.Close()

	if reused {
		for range m.c.Walk(ctx, nil, Inbox) {
			break
		}
	}
	l := letter("once")
	l.Clear, l.Free, l.Patient = true, nil, identity.SSIN{}
	l.Annexes[0].Content = NewData(bytes.Repeat([]byte("%PDF\r\n"), 50_000))
	sent, err := m.Send(ctx, l)
	if err != nil && !errors.Is(err, outbox.ErrUnknown) {
		t.Fatalf("got %+v, %v", sent, err)
	}
	if err := box.Drain(ctx, nil); err != nil {
		t.Fatal(err)
	}
	sent, err = m.Send(ctx, l)
	if err != nil || sent.State != SentAccepted || s.executed() != 1 {
		t.Errorf("executed %d times; %+v, %v", s.executed(), sent, err)
	}

	// The client alone: once, and the outcome is unknown.
	r := plainRequest()
	r.PublicationID = "SECOND"
	if _, err := m.c.SendMessage(ctx, r); !errors.Is(err, fault.ErrUnknownOutcome) || s.executed() != 2 {
		t.Errorf("executed %d times, %v", s.executed(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posts != 2 {
		t.Errorf("%d requests reached the server", s.posts)
	}
}

// socketMailer sends in clear through an outbox that asks soon.
func socketMailer(t *testing.T, srv *httptest.Server) (*Mailer, *outbox.Box) {
	t.Helper()
	x, err := exchange.New(exchange.Options{
		HTTP: srv.Client(), UserAgent: "test/1.0", From: "test@example.be",
		Directory: resilience.Static{ServiceConsultation: {{URL: srv.URL, Active: true}}, ServicePublication: {{URL: srv.URL, Active: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(x, unsecured{}, []BoxID{doctorINSS, doctorNIHII})
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMailer(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := outbox.OpenBolt(filepath.Join(t.TempDir(), "outbox.db"))
	if err != nil {
		t.Fatal(err)
	}
	p := SendPolicy()
	p.Ask = time.Millisecond
	box, err := outbox.Open(context.Background(), disk, outbox.NewKeys(key), outbox.Handle(KindSend, m.Handler(), p), outbox.WithPace(-1, -1, -1))
	if err != nil {
		t.Fatal(err)
	}
	m.Use(box)
	return m, box
}
