package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echoRoutes replaces the services by one that answers with what it was asked, so that the engine is seen alone.
func echoRoutes() []route {
	h := func(_ context.Context, _ *Sandbox, rq *request) *response {
		return &response{
			Status: http.StatusOK, Effect: rq.Service + ".done", Asker: string(rq.Body),
			Body: []byte("<answer>" + string(rq.Body) + "</answer>"),
		}
	}
	return []route{
		{Service: "sts", Path: "/sts", UDDI: "uddi:sts", Name: "STS", Handle: h},
		{Service: "genins", Path: "/genins", UDDI: "uddi:genins", Name: "GenIns", Handle: h},
		{Service: "genins-direct", Path: "/bcp/genins", Direct: true, UDDI: "uddi:genins", Order: 1, Name: "GenIns", Handle: h},
		{Service: "attest", Path: "/attest", UDDI: "uddi:attest", Name: "Attest", Handle: h},
	}
}

// echo makes a sandbox with these services.
func echo(t testing.TB, cfg Config) *Sandbox {
	t.Helper()
	s, err := newSandbox(cfg.withDefaults(), echoRoutes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// inBubble runs f with an echo sandbox on virtual time.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, s *Sandbox)) {
	t.Helper()
	warmKeys(t)
	synctest.Test(t, func(t *testing.T) {
		s := echo(t, cfg)
		f(t, s)
		s.Close()
	})
}

// warmKeys makes the first keys outside bubbles, where a slow key would be time that does not pass.
func warmKeys(t testing.TB) {
	t.Helper()
	for i := range 3 {
		if _, err := SharedKeys().RSA(i); err != nil {
			t.Fatal(err)
		}
	}
}

// inject applies one row.
func inject(t *testing.T, s *Sandbox, row string) (cancel func()) {
	t.Helper()
	st, err := ParseStep(row)
	if err != nil {
		t.Fatal(err)
	}
	cancel, err = s.Inject(st)
	if err != nil {
		t.Fatal(err)
	}
	return cancel
}

// result is what a client saw.
type result struct {
	status int
	body   string
	header http.Header
	err    error
	took   time.Duration
}

// post asks a service (by virtual host) with a limit of time.
func post(c *http.Client, url, body string, limit time.Duration) result {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return result{err: err}
	}
	rs, err := c.Do(rq)
	if err != nil {
		return result{err: err, took: time.Since(start)}
	}
	defer rs.Body.Close()
	b, err := io.ReadAll(rs.Body)
	return result{status: rs.StatusCode, body: string(b), header: rs.Header, err: err, took: time.Since(start)}
}

const (
	urlSTS    = "https://sts.sandbox.test/sts"
	urlGenIns = "https://genins.sandbox.test/genins"
	urlDirect = "https://genins-direct.sandbox.test/bcp/genins"
)

func TestAnswersInBubble(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		c := s.HTTPClient()
		for i, url := range []string{urlSTS, urlGenIns, urlDirect} {
			q := fmt.Sprint("q", i)
			r := post(c, url, q, time.Second)
			if r.err != nil || r.status != 200 || r.body != "<answer>"+q+"</answer>" {
				t.Fatalf("%s: %+v", url, r)
			}
		}
		if r := post(c, "https://genins.sandbox.test/nothing", "x", time.Second); r.status != 404 {
			t.Errorf("unknown path: %+v", r)
		}
		st := s.State()
		if st.Requests["genins"] != 1 || st.Effects["genins-direct.done"] != 1 || st.Endpoints["sts"]["/sts"] != 1 {
			t.Errorf("state %+v", st)
		}
	})
}
