package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// echo answers a message with its own attachments, under other Content-IDs; script changes the answers of the first
// attempts.
type echo struct {
	t      *testing.T
	posts  atomic.Int32
	script func(post int, w http.ResponseWriter) bool
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	post := int(e.posts.Add(1))
	got, err := mime.Read(r.Header.Get("Content-Type"), r.Body, mime.Limits{})
	if err != nil {
		return // a request that did not come whole is not processed
	}
	if e.script != nil && e.script(post, w) {
		return
	}
	doc, _ := soap.Envelope(nil, []byte(`<answer ref="1"/>`))
	for i := range got.Parts {
		got.Parts[i].ID = "back-" + got.Parts[i].ID
	}
	m, err := mime.New(doc, got.Parts...)
	if err != nil {
		e.t.Error(err)
		return
	}
	w.Header().Set("Content-Type", m.ContentType())
	_, _ = io.Copy(w, m.Reader())
}

func overHTTP(t *testing.T, e *echo) *Exchanger {
	t.Helper()
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	x, err := New(Options{
		HTTP: srv.Client(), UserAgent: "test/1.0", From: "test@example.be",
		Directory: resilience.Static{service: []resilience.Endpoint{{URL: srv.URL, Active: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAttachmentsGoAndCome(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789\r\n"), 100_000)
	x := overHTTP(t, &echo{t: t})
	c := call(resilience.ResolvableWrite)
	c.Attachments = []mime.Part{mime.Bytes("a@x", "application/pdf", big), mime.Bytes("b@x", "text/plain", nil)}
	ans, err := x.Do(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(ans.Parts) != 2 || ans.Parts[0].ID != "back-a@x" {
		t.Fatalf("parts %d", len(ans.Parts))
	}
	if data, err := ans.Parts[0].Content(); err != nil || !bytes.Equal(data, big) {
		t.Errorf("%d bytes, %v", len(data), err)
	}

	var spilled bytes.Buffer
	c.Spill = func(p mime.Part) (io.WriteCloser, error) {
		if p.ID != "back-a@x" {
			return nil, nil
		}
		return struct {
			io.Writer
			io.Closer
		}{&spilled, io.NopCloser(nil)}, nil
	}
	if _, err := x.Do(context.Background(), c); err != nil || !bytes.Equal(spilled.Bytes(), big) {
		t.Errorf("spilled %d bytes, %v", spilled.Len(), err)
	}

	c.Spill, c.MaxAnswer = nil, 1000
	_, err = x.Do(context.Background(), c)
	if !errors.Is(err, ErrTooLarge) || !errors.Is(err, fault.ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
}

// A message with attachments is sent once when its fate is not known, and again, whole, after a refusal that asks for it.
func TestAttachmentsAreSentOnce(t *testing.T) {
	retry := true
	again, _ := (&soap.Fault{FaultCode: "Server", FaultString: "SOA-02002", SOA: &soap.SOAError{ID: "T", Origin: "Provider", Code: "SOA-02002", Retry: &retry, Environment: "Test"}}).Encode()
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter)
		posts   int
		outcome error
	}{
		"connection ends": {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, 1, fault.ErrUnknownOutcome},
		"answer cut short": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", `multipart/related; boundary="b"`)
			_, _ = io.WriteString(w, "--b\r\n\r\n<a/>")
		}, 1, fault.ErrUnknownOutcome},
		"refused": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", soap.ContentType)
			w.WriteHeader(500)
			_, _ = w.Write(again)
		}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := &echo{t: t}
			e.script = func(post int, w http.ResponseWriter) bool {
				if post == 1 {
					c.answer(w)
				}
				return post == 1
			}
			x := overHTTP(t, e)
			q := call(resilience.ResolvableWrite)
			q.Attachments = []mime.Part{mime.Bytes("a@x", "application/pdf", bytes.Repeat([]byte("x"), 1<<20))}
			ans, err := x.Do(context.Background(), q)
			if int(e.posts.Load()) != c.posts || !errors.Is(err, c.outcome) {
				t.Fatalf("%d posts, %v", e.posts.Load(), err)
			}
			if err == nil && ans.Parts[0].Size != 1<<20 {
				t.Errorf("%d bytes came back", ans.Parts[0].Size)
			}
		})
	}
}

// A file that cannot be read, or changed its length, is a fault of this computer: nothing was sent whole.
func TestAttachmentCannotBeRead(t *testing.T) {
	secret := errors.New("/home/jan.janssens/letter.pdf: gone")
	for name, p := range map[string]mime.Part{
		"open fails": {ID: "a", Type: "x/y", Size: 10, Open: func() (io.ReadCloser, error) { return nil, secret }},
		"too short": {ID: "a", Type: "x/y", Size: 10, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("123")), nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := &echo{t: t}
			x := overHTTP(t, e)
			c := call(resilience.ResolvableWrite)
			c.Attachments = []mime.Part{p}
			_, err := x.Do(context.Background(), c)
			if !errors.Is(err, fault.ErrLocal) || !errors.Is(err, fault.ErrNotSent) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "janssens") {
				t.Errorf("the error names the file: %v", err)
			}
		})
	}
	x := overHTTP(t, &echo{t: t})
	c := call(resilience.ResolvableWrite)
	c.Attachments = []mime.Part{{ID: "a\r\nb"}}
	if _, err := x.Do(context.Background(), c); !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, mime.ErrPart) {
		t.Errorf("got %v", err)
	}
}
