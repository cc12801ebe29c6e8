package recipe_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// twice is something on the way that sends a create twice, as the HTTP client of the official connector does, and loses both
// answers.
type twice struct {
	http.RoundTripper
	on atomic.Bool
}

func (w *twice) RoundTrip(r *http.Request) (*http.Response, error) {
	if !w.on.Load() || !strings.Contains(r.Header.Get("SOAPAction"), "createPrescription") {
		return w.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for range 2 {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		if resp, err := w.RoundTripper.RoundTrip(again); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	return nil, io.ErrUnexpectedEOF
}

// A prescription that somebody on the way has doubled is found twice, by its key: one is kept, the other is revoked and told of.
func TestSurplus(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.sb.SetAcceptReplays(true)
		w := &twice{}
		client := s.sb.HTTPClient()
		t.Cleanup(client.CloseIdleConnections)
		w.RoundTripper = client.Transport
		client.Transport = w
		s.link, s.engine = link(t, s.sb, s.person, client)
		s.reopen()
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		w.on.Store(true)
		c, err := s.create("doubled")
		if err != nil && !errors.As(err, new(*recipe.UnsureError)) {
			t.Fatal(err)
		}
		if s.made() != 2 {
			t.Fatalf("%d made", s.made())
		}
		s.work()
		out, err := s.p.Wait(t.Context(), "doubled")
		ok(t, err)
		if c != nil && c.RID != out.RID {
			t.Error("two answers")
		}
		seen := map[recipe.EventKind]recipe.Event{}
		for seen[recipe.EventRevoked].Kind == 0 {
			e := <-s.events
			seen[e.Kind] = e
		}
		if e := seen[recipe.EventSurplus]; e.RID == out.RID || e.RID.IsZero() || e.Reference != "doubled" {
			t.Error("the one that is kept is called surplus")
		}
		for _, p := range s.sb.Prescriptions() {
			if want := p.RID != out.RID.Reveal(); (p.Status == sandbox.Revoked) != want {
				t.Errorf("state %s", p.Status)
			}
		}
	})
}
