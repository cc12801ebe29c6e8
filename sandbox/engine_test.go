package sandbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// op is the operation of the *net.OpError in err, "" when there is none.
func op(err error) string {
	var e *net.OpError
	if errors.As(err, &e) {
		return e.Op
	}
	return ""
}

// TestFaultKinds shows what a plain client sees of each kind: error, status, time, and whether it was executed.
func TestFaultKinds(t *testing.T) {
	const limit = 5 * time.Second
	for _, tc := range []struct {
		row      string
		check    func(result) error
		executed int
	}{
		{"genins 0 to_end refuse", func(r result) error {
			return want(op(r.err) == "dial" && errors.Is(r.err, syscall.ECONNREFUSED) && r.took == 0, r)
		}, 0},
		{"net 0 to_end refuse", func(r result) error { return want(errors.Is(r.err, syscall.ECONNREFUSED), r) }, 0},
		{"esb 0 to_end blackhole", func(r result) error {
			return want(errors.Is(r.err, context.DeadlineExceeded) && r.took == limit, r)
		}, 0},
		{"genins 0 to_end hang exec=1", func(r result) error {
			return want(errors.Is(r.err, context.DeadlineExceeded) && r.took == limit, r)
		}, 1},
		{"genins 0 to_end hang", func(r result) error {
			return want(errors.Is(r.err, context.DeadlineExceeded) && r.took == limit, r)
		}, 0},
		{"genins 0 3 hang", func(r result) error { // the step ends first: the connection is cut
			return want(r.err != nil && !errors.Is(r.err, context.DeadlineExceeded) && r.took == 3*time.Second, r)
		}, 0},
		{"genins 0 to_end slow median_ms=2000;sigma=0", func(r result) error {
			return want(r.status == 200 && r.took == 2*time.Second, r)
		}, 1},
		{"genins 0 to_end slow median_ms=900000;sigma=1;cap_ms=1500", func(r result) error {
			return want(r.status == 200 && r.took == 1500*time.Millisecond, r)
		}, 1},
		{"genins 0 to_end slow median_ms=8000;sigma=0", func(r result) error { // executed although the client left
			return want(errors.Is(r.err, context.DeadlineExceeded) && r.took == limit, r)
		}, 1},
		{"genins 0 to_end http status=503;body=html", func(r result) error {
			return want(r.status == 503 && strings.HasPrefix(r.header.Get("Content-Type"), "text/html") && strings.Contains(r.body, "<html"), r)
		}, 0},
		{"genins 0 to_end http status=200;body=empty;exec=1", func(r result) error {
			return want(r.status == 200 && r.body == "", r)
		}, 1},
		{"genins 0 to_end fault code=SOA-02002;retry=true", func(r result) error {
			m, err := soap.Parse([]byte(r.body), xmltree.Limits{})
			if err != nil {
				return err
			}
			f, ok := m.Fault()
			return want(r.status == 500 && ok && f.SOA != nil && f.SOA.Code == "SOA-02002" && f.SOA.Origin == "Provider" &&
				f.SOA.Environment == "Simulation" && f.SOA.Retry != nil && *f.SOA.Retry && f.SOA.ID != "", r)
		}, 0},
		{"genins 0 to_end lost_ack p=1", func(r result) error {
			return want(r.err != nil && op(r.err) != "dial" && r.took == 0, r)
		}, 1},
		{"genins 0 to_end capacity rps=1;queue=0;over=503", func(r result) error { return want(r.status == 200, r) }, 1},
		{"genins 0 to_end loss p=1", func(r result) error {
			return want(op(r.err) == "dial" && errors.Is(r.err, syscall.EHOSTUNREACH), r)
		}, 0},
		{"sts 0 to_end refuse", func(r result) error { return want(r.status == 200, r) }, 1},
		{"access 0 to_end http status=502;body=empty", func(r result) error { return want(r.status == 502, r) }, 0},
		{"servicelist 0 to_end refuse", func(r result) error { return want(r.status == 200, r) }, 1},
		{"genins-direct 0 to_end refuse", func(r result) error { return want(r.status == 200, r) }, 1},
		{"genins 10 to_end refuse", func(r result) error { return want(r.status == 200, r) }, 1}, // not yet
	} {
		t.Run(tc.row, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
				inject(t, s, strings.Join(pad(strings.Fields(tc.row)), " "))
				r := post(s.HTTPClient(), urlGenIns, "q", limit)
				if err := tc.check(r); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if n := s.State().Effects["genins.done"]; n != tc.executed {
					t.Errorf("executed %d times, want %d", n, tc.executed)
				}
			})
		})
	}
}

func pad(words []string) []string {
	if len(words) == 4 {
		words = append(words, "-")
	}
	return words
}

func want(ok bool, r result) error {
	if ok {
		return nil
	}
	return fmt.Errorf("client saw %+v", r)
}

// TestWarmConnection: what the kinds do to a connection that was open before.
func TestWarmConnection(t *testing.T) {
	for _, tc := range []struct {
		row   string
		check func(result) error
	}{
		{"genins 1 to_end refuse -", func(r result) error { return want(op(r.err) == "dial", r) }}, // idle ones are cut
		{"genins 1 to_end blackhole -", func(r result) error {
			return want(errors.Is(r.err, context.DeadlineExceeded) && op(r.err) != "dial", r)
		}},
		{"genins 1 to_end loss p=1", func(r result) error { return want(r.err != nil && r.took == 0, r) }},
	} {
		t.Run(tc.row, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
				c := s.HTTPClient()
				inject(t, s, tc.row)
				if r := post(c, urlGenIns, "before", time.Second); r.status != 200 {
					t.Fatalf("before: %+v", r)
				}
				time.Sleep(2 * time.Second)
				if err := tc.check(post(c, urlGenIns, "after", 3*time.Second)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestBlackholeGivesUpAsLinuxDoes(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "net 0 to_end blackhole -")
		r := post(s.HTTPClient(), urlGenIns, "q", time.Hour)
		if !errors.Is(r.err, syscall.ETIMEDOUT) || r.took != 127*time.Second {
			t.Errorf("%+v", r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Dial(ctx, "tcp", "genins.sandbox.test:443")
		var timeout net.Error
		if op(err) != "dial" || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("dialling: %v", err)
		}
	})
}

// TestCapacity: one request a second, two may wait; load that comes again counts again.
func TestCapacity(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "genins 0 to_end capacity rps=1;queue=2;over=SOA-02002")
		c := s.HTTPClient()
		var took []time.Duration
		refused := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				r := post(c, urlGenIns, "q", time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if r.status == 500 && strings.Contains(r.body, "SOA-02002") {
					refused++
				} else if r.status == 200 {
					took = append(took, r.took)
				}
			})
		}
		wg.Wait()
		if refused != 2 || len(took) != 3 {
			t.Fatalf("refused %d, answered %v", refused, took)
		}
		var sum time.Duration
		for _, d := range took {
			sum += d
		}
		if sum != 3*time.Second { // 0 s, 1 s, 2 s
			t.Errorf("waited %v", took)
		}
		if n := s.State().Requests["genins"]; n != 5 {
			t.Errorf("load %d", n)
		}
	})
}

// TestCapacityRelative: the fraction refers to the peak of the service and to the scale of the sandbox.
func TestCapacityRelative(t *testing.T) {
	e := newEngine(1, 0.01, echoRoutes())
	st := &activeStep{Step: Step{Service: "genins", Fault: Capacity{Rel: 0.2, Queue: 500, Over: "hang"}}}
	rate, queue, over, ok := e.capacity(st, "genins", time.Now())
	if !ok || rate < 0.1299 || rate > 0.1301 || queue != 5 || over != "hang" {
		t.Errorf("rate %v, queue %v, over %q", rate, queue, over)
	}
}

func TestQueuedRequestIsExecutedWithoutItsClient(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "genins 0 to_end capacity rps=0.1;queue=5;over=hang")
		c := s.HTTPClient()
		if r := post(c, urlGenIns, "first", time.Second); r.status != 200 {
			t.Fatalf("%+v", r)
		}
		if r := post(c, urlGenIns, "second", time.Second); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("%+v", r)
		}
		if n := s.State().Effects["genins.done"]; n != 1 {
			t.Errorf("after 1 s: %d", n)
		}
		time.Sleep(15 * time.Second)
		if n := s.State().Effects["genins.done"]; n != 2 {
			t.Errorf("after 16 s: %d", n)
		}
	})
}

func TestSlowLateExecutesAtTheEnd(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "genins 0 to_end slow median_ms=8000;sigma=0;late=1")
		if r := post(s.HTTPClient(), urlGenIns, "q", 3*time.Second); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("%+v", r)
		}
		if n := s.State().Effects["genins.done"]; n != 0 {
			t.Errorf("executed too early")
		}
		time.Sleep(10 * time.Second)
		if n := s.State().Effects["genins.done"]; n != 1 {
			t.Errorf("executed %d times", n)
		}
	})
}

// TestRamp: a service that comes back from nothing lets more in as time goes on.
func TestRamp(t *testing.T) {
	inBubble(t, Config{Scale: 0.1}, func(t *testing.T, s *Sandbox) { // peak 6.5 a second
		inject(t, s, "genins 0 100 ramp from=0;to=1")
		c := s.HTTPClient()
		count := func() int { // ten requests a second for ten seconds
			var ok atomic.Int32
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if r := post(c, urlGenIns, "q", time.Minute); r.status == 200 {
						ok.Add(1)
					}
				})
				time.Sleep(100 * time.Millisecond)
			}
			wg.Wait()
			return int(ok.Load())
		}
		early := count()
		time.Sleep(50 * time.Second)
		late := count() // two thirds of the peak: some 43 a second in ten, and what may wait
		if early < 1 || early > 10 || late < 35 || late > 60 {
			t.Errorf("let in %d of 100 at first, %d later", early, late)
		}
	})
}

func TestMisrouteTwoInFlight(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "genins 0 to_end slow median_ms=1000;sigma=0")
		inject(t, s, "genins 0 to_end misroute p=1;max=2")
		got := together(s, "A", "B")
		if got["A"] != "<answer>B</answer>" || got["B"] != "<answer>A</answer>" {
			t.Errorf("%v", got)
		}
		if n := s.State().Hits["genins"]["misroute"]; n != 2 {
			t.Errorf("counted %d wrong answers", n)
		}
	})
}

// together asks all at the same time.
func together(s *Sandbox, askers ...string) map[string]string {
	c := s.HTTPClient()
	got := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, a := range askers {
		wg.Go(func() {
			r := post(c, urlGenIns, a, time.Minute)
			mu.Lock()
			defer mu.Unlock()
			got[a] = r.body
		})
	}
	wg.Wait()
	return got
}

func TestMisrouteAlone(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "genins 0 to_end misroute p=1")
		c := s.HTTPClient()
		for i, step := range []struct{ ask, want string }{
			{"A", "A"}, // nothing to swap with
			{"A", "A"}, // never an answer of his own: nothing to swap with either
			{"B", "A"}, // the former answer of somebody else
			{"C", "A"}, // the latest one that was sent: A's
		} {
			if r := post(c, urlGenIns, step.ask, time.Minute); r.body != "<answer>"+step.want+"</answer>" {
				t.Errorf("exchange %d: %+v", i, r)
			}
		}
	})
}

func TestRefusal(t *testing.T) {
	for _, tc := range []struct {
		row, service string
		eid          bool
		code         string
	}{
		{"idvalid 0 to_end refuse_auth scope=eid;code=generic", "sts", true, "generic"},
		{"idvalid 0 to_end refuse_auth scope=eid;code=generic", "sts", false, ""},
		{"idvalid 0 to_end refuse_auth scope=eid;code=generic", "genins", true, ""},
		{"access 0 to_end refuse_auth scope=all;code=SOA-01002", "genins", false, "SOA-01002"},
		{"access 0 to_end refuse_auth scope=all;code=SOA-01002", "sts", false, ""},
		{"access 0 to_end refuse_auth scope=all;code=SOA-01002", "genins-direct", false, ""},
		{"genins 0 to_end refuse_auth scope=all;code=SOA-01001", "genins", false, "SOA-01001"},
		{"genins 5 to_end refuse_auth scope=all;code=SOA-01001", "genins", false, ""},
	} {
		inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
			inject(t, s, tc.row)
			code, refused := s.refusal(tc.service, tc.eid)
			if code != tc.code || refused != (tc.code != "") {
				t.Errorf("%s asked by %s (eid %v): %q %v", tc.row, tc.service, tc.eid, code, refused)
			}
		})
	}
}

func TestClock(t *testing.T) {
	warmKeys(t)
	synctest.Test(t, func(t *testing.T) {
		var at time.Time
		rts := []route{{Service: "sts", Path: "/sts", Handle: func(_ context.Context, _ *Sandbox, rq *request) *response {
			at = rq.At
			return &response{}
		}}}
		s, err := newSandbox(Config{}.withDefaults(), rts)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		inject(t, s, "sts 0 to_end clock skew_s=-1200")
		post(s.HTTPClient(), urlSTS, "q", time.Second)
		if d := time.Until(at); d != -20*time.Minute {
			t.Errorf("the service's clock is %v off", d)
		}
	})
}

// TestTLSRotate: a new certificate at the next handshake, for that host only, and for good.
func TestTLSRotate(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		serial := func(service string) string { return leafOf(t, s, service).SerialNumber.String() }
		before, other := serial("genins-direct"), serial("genins")
		cancel := inject(t, s, "genins-direct 0 to_end tls_rotate -")
		after := serial("genins-direct")
		if after == before {
			t.Error("the certificate is the old one")
		}
		cancel()
		if serial("genins-direct") != after || serial("genins") != other {
			t.Error("certificates changed that should not have")
		}
		inject(t, s, "genins-direct 0 to_end tls_rotate new_issuer=1")
		r := post(s.HTTPClient(), urlDirect, "q", time.Second)
		var unknown x509.UnknownAuthorityError
		if !errors.As(r.err, &unknown) {
			t.Errorf("a client that trusts ca.pem only: %+v", r)
		}
		if err := leafOf(t, s, "genins-direct").CheckSignatureFrom(s.NewIssuer()); err != nil {
			t.Error(err)
		}
		if n := s.State().Requests["genins-direct"]; n != 0 {
			t.Errorf("%d requests came through", n)
		}
	})
}

func leafOf(t *testing.T, s *Sandbox, service string) *x509.Certificate {
	t.Helper()
	c, err := s.Dial(t.Context(), "tcp", service+virtualDomain+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: service + virtualDomain}) //nolint:gosec // looks at it, trusts nothing
	if err := x.Handshake(); err != nil {
		t.Fatal(err)
	}
	return x.ConnectionState().PeerCertificates[0]
}

func TestMaxAndCancel(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		c := s.HTTPClient()
		inject(t, s, "genins 0 to_end fault code=SOA-02001;max=2")
		for i, status := range []int{500, 500, 200} {
			if r := post(c, urlGenIns, "q", time.Second); r.status != status {
				t.Errorf("exchange %d: %+v", i, r)
			}
		}
		cancel := inject(t, s, "genins 0 to_end hang -")
		go func() {
			time.Sleep(2 * time.Second)
			cancel()
			cancel() // harmless
		}()
		if r := post(c, urlGenIns, "q", time.Minute); r.err == nil || r.took != 2*time.Second {
			t.Errorf("cancelling a hang: %+v", r)
		}
		if r := post(c, urlGenIns, "q", time.Second); r.status != 200 {
			t.Errorf("after cancel: %+v", r)
		}
	})
}

// TestOverlap: rows that overlap act in the documented order.
func TestOverlap(t *testing.T) {
	for _, tc := range []struct {
		rows  string
		check func(result) error
	}{
		{"genins 0 9 fault code=SOA-02001\ngenins 0 9 http status=503;body=empty", func(r result) error { return want(r.status == 500, r) }},
		{"genins 0 9 http status=503;body=empty\ngenins 0 9 fault code=SOA-02001", func(r result) error { return want(r.status == 503, r) }},
		{"genins 0 9 fault code=SOA-02001\ngenins 0 9 slow median_ms=2000;sigma=0\nesb 0 9 slow median_ms=1000;sigma=0", func(r result) error {
			return want(r.status == 500 && r.took == 3*time.Second, r)
		}},
		{"genins 0 9 misroute p=1\ngenins 0 9 lost_ack p=1", func(r result) error { return want(r.err != nil, r) }},
		{"genins 0 9 fault code=SOA-02001\ngenins 0 9 refuse -", func(r result) error { return want(op(r.err) == "dial", r) }},
	} {
		inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
			sc, err := ParseScript(tc.rows)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(sc); err != nil {
				t.Fatal(err)
			}
			if err := tc.check(post(s.HTTPClient(), urlGenIns, "q", time.Minute)); err != nil {
				t.Errorf("%s: %v", tc.rows, err)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		sc, err := ParseScript("recipe-exec 0 9 refuse -\ngenins 0 9 fault code=SOA-02001\nehbox-cons 0 to_end poison n=1")
		if err != nil {
			t.Fatal(err)
		}
		run, err := s.Apply(sc)
		var lacking *UnsupportedError
		if !errors.As(err, &lacking) || len(lacking.Steps) != 2 || run == nil || len(run.Unsupported()) != 2 {
			t.Fatalf("run %v, error %v", run, err)
		}
		if r := post(s.HTTPClient(), urlGenIns, "q", time.Second); r.status != 500 {
			t.Errorf("the step that is supported does not run: %+v", r)
		}
		if _, err := s.Apply(Script{Steps: []Step{{Service: "genins", Fault: Loss{}}}}); err == nil {
			t.Error("a step without its probability was accepted")
		}
	})
}

// TestSeed: the same seed gives the same sequence, another seed another one.
func TestSeed(t *testing.T) {
	run := func(seed uint64) (out string) {
		inBubble(t, Config{Seed: seed}, func(t *testing.T, s *Sandbox) {
			inject(t, s, "genins 0 to_end fault code=SOA-02002;p=0.5")
			inject(t, s, "genins 0 to_end slow median_ms=100;sigma=1")
			c := s.HTTPClient()
			for range 20 {
				r := post(c, urlGenIns, "q", time.Hour)
				out += fmt.Sprint(r.status, " ", r.took, "\n")
			}
		})
		return out
	}
	a, b, other := run(7), run(7), run(8)
	if a != b {
		t.Errorf("one seed, two courses:\n%s\n%s", a, b)
	}
	if a == other {
		t.Error("two seeds, one course")
	}
}

func TestFaultsList(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		sc, err := ParseScript("incident X 2018-01-01T00:00Z\ngenins 0 10 refuse -\nsts 20 10 refuse -\nattest 5 to_end refuse -")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(sc); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		fs := s.Faults()
		if len(fs) != 2 || fs[0].Active || !fs[1].Active || fs[1].Script != "X" || fs[1].To.Sub(fs[1].From) != 25*time.Second {
			t.Errorf("%+v", fs)
		}
		s.ClearFaults()
		if fs := s.Faults(); len(fs) != 0 {
			t.Errorf("after clearing: %+v", fs)
		}
	})
}

func TestBodyTooLarge(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, urlGenIns, io.LimitReader(zeros{}, maxBody+1))
		if err != nil {
			t.Fatal(err)
		}
		rs, err := s.HTTPClient().Do(rq)
		if err == nil {
			rs.Body.Close()
			if rs.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d", rs.StatusCode)
			}
		}
		if n := s.State().Effects["genins.done"]; n != 0 {
			t.Error("executed")
		}
		if r := post(s.HTTPClient(), urlGenIns, "q", time.Second); r.status != 200 {
			t.Errorf("afterwards: %+v", r)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCloseEndsWhatHangs(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		inject(t, s, "genins 0 to_end hang -")
		done := make(chan result)
		go func() { done <- post(s.HTTPClient(), urlGenIns, "q", time.Hour) }()
		time.Sleep(time.Second)
		s.Close()
		if r := <-done; r.err == nil || r.took != time.Second {
			t.Errorf("%+v", r)
		}
		if r := post(s.HTTPClient(), urlGenIns, "q", time.Hour); r.err == nil {
			t.Error("a closed sandbox answers")
		}
	})
}
