package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onSockets makes an echo sandbox that listens on loopback, and a client.
func onSockets(t *testing.T) (*Sandbox, *http.Client) {
	t.Helper()
	s := echo(t, Config{Listen: "127.0.0.1:0"})
	return s, s.HTTPClient()
}

func TestSockets(t *testing.T) {
	s, c := onSockets(t)
	for _, url := range []string{s.URL("uddi:sts", 0), s.URL("uddi:genins", 0), s.URL("uddi:genins", 1)} {
		if r := post(c, url, "q", 10*time.Second); r.status != 200 || r.body != "<answer>q</answer>" {
			t.Errorf("%s: %+v", url, r)
		}
	}
	// The direct path is another host: the ESB does not have it.
	esb := strings.TrimSuffix(s.URL("uddi:sts", 0), "/sts")
	if r := post(c, esb+"/bcp/genins", "q", 10*time.Second); r.status != 404 {
		t.Errorf("direct path on the ESB: %+v", r)
	}
	rs, err := c.Get(s.URL("uddi:genins", 0))
	if err != nil {
		t.Fatal(err)
	}
	rs.Body.Close()
	if rs.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rs.StatusCode)
	}
}

func TestHTTP2(t *testing.T) {
	s, c := onSockets(t)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	rs, err := c.Post(s.URL("uddi:genins", 0), "text/xml", strings.NewReader("q"))
	if err != nil {
		t.Fatal(err)
	}
	rs.Body.Close()
	if rs.ProtoMajor != 2 {
		t.Errorf("protocol %s", rs.Proto)
	}
	inject(t, s, "genins 0 to_end lost_ack p=1")
	if r := post(c, s.URL("uddi:genins", 0), "q", 10*time.Second); r.err == nil {
		t.Errorf("lost_ack: %+v", r)
	}
	if n := s.State().Effects["genins.done"]; n != 2 {
		t.Errorf("executed %d times", n)
	}
}

// TestSocketFaults: connection-level faults on real sockets, for all services of a listener and for one of several.
func TestSocketFaults(t *testing.T) {
	reset := func(r result) bool {
		return r.err != nil && (errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.EOF) || errors.Is(r.err, syscall.EPIPE))
	}
	for _, tc := range []struct {
		name, row string
		check     func(s *Sandbox, genins, sts, direct result) bool
		executed  int
	}{
		{"refuse all", "net 0 to_end refuse -", func(s *Sandbox, g, st, d result) bool {
			return reset(g) && reset(st) && reset(d) && s.State().Requests["genins"] == 0
		}, 0},
		{"refuse the ESB", "esb 0 to_end refuse -", func(s *Sandbox, g, st, d result) bool {
			return reset(g) && reset(st) && d.status == 200 && s.State().Requests["genins"] == 0
		}, 0},
		{"refuse one", "genins 0 to_end refuse -", func(s *Sandbox, g, st, d result) bool {
			return reset(g) && st.status == 200 && d.status == 200 && s.State().Requests["genins"] > 0
		}, 0},
		{"refuse direct", "genins-direct 0 to_end refuse -", func(s *Sandbox, g, st, d result) bool {
			return g.status == 200 && reset(d) && s.State().Requests["genins-direct"] == 0
		}, 1},
		{"lost ack", "genins 0 to_end lost_ack p=1", func(_ *Sandbox, g, st, _ result) bool { return reset(g) && st.status == 200 }, 1},
		{"loss", "net 0 to_end loss p=1", func(_ *Sandbox, g, st, d result) bool { return reset(g) && reset(st) && reset(d) }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, c := onSockets(t)
			inject(t, s, tc.row)
			g := post(c, s.URL("uddi:genins", 0), "q", 10*time.Second)
			st := post(c, s.URL("uddi:sts", 0), "q", 10*time.Second)
			d := post(c, s.URL("uddi:genins", 1), "q", 10*time.Second)
			if !tc.check(s, g, st, d) {
				t.Errorf("genins %+v\nsts %+v\ndirect %+v\nrequests %v", g, st, d, s.State().Requests)
			}
			if n := s.State().Effects["genins.done"]; n != tc.executed {
				t.Errorf("executed %d times, want %d", n, tc.executed)
			}
		})
	}
}

// TestSocketBlackhole: TCP connects, nothing more happens, and Close ends it.
func TestSocketBlackhole(t *testing.T) {
	s, c := onSockets(t)
	inject(t, s, "net 0 to_end blackhole -")
	r := post(c, s.URL("uddi:genins", 0), "q", 200*time.Millisecond)
	if !errors.Is(r.err, context.DeadlineExceeded) || s.State().Requests["genins"] != 0 {
		t.Errorf("%+v", r)
	}
}

func TestConfigRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"scale":         {Scale: 2},
		"scale below 0": {Scale: -1},
		"environment":   {EnvironmentName: "Home"},
		"admin address": {Listen: "127.0.0.1:0", ListenAdmin: "0.0.0.0:0"},
		"only admin":    {ListenAdmin: "127.0.0.1:0"},
		"no port":       {Listen: "127.0.0.1"},
		"patients":      {Patients: 2_000_000},
	} {
		s, err := New(cfg)
		if err == nil {
			s.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDialUnknownHosts(t *testing.T) {
	s := echo(t, Config{})
	for _, addr := range []string{"example.com:443", "nosuch.sandbox.test:443", "genins.sandbox.test:80", "admin.sandbox.test:443", "bad"} {
		c, err := s.Dial(t.Context(), "tcp", addr)
		if err == nil {
			c.Close()
		}
		if op(err) != "dial" {
			t.Errorf("%s: %v", addr, err)
		}
	}
	var dns *net.DNSError
	if _, err := s.Dial(t.Context(), "tcp", "example.com:443"); !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("%v", err)
	}
}

// TestAddressTaken: New fails and leaves nothing behind (goleak).
func TestAddressTaken(t *testing.T) {
	s, _ := onSockets(t)
	taken := strings.TrimPrefix(strings.TrimSuffix(s.URL("uddi:sts", 0), "/sts"), "https://")
	if other, err := New(Config{Listen: "127.0.0.1:0", ListenDirect: taken}); err == nil {
		other.Close()
		t.Error("accepted an address that is taken")
	}
}
