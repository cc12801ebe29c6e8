package bcp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// server is a hand-made list server without sockets.
type server struct {
	mu     sync.Mutex
	doc    []byte
	token  string
	status int
	etag   string
	body   func() io.Reader // instead of doc
	tokens []time.Time      // when .sha2 was asked
	lists  int              // how often .xml was answered in full
	same   int              // how often .xml was answered with 304
	hosts  map[string]bool  // that were asked
}

func (s *server) RoundTrip(rq *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts == nil {
		s.hosts = map[string]bool{}
	}
	s.hosts[rq.URL.Host] = true
	rs := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: -1, Request: rq, Body: http.NoBody}
	if s.status != 0 {
		rs.StatusCode = s.status
		rs.Header.Set("Location", "https://evil.example/servicelist.xml")
		return rs, nil
	}
	if strings.HasSuffix(rq.URL.Path, ".sha2") {
		s.tokens = append(s.tokens, time.Now())
		rs.Body = io.NopCloser(strings.NewReader(s.token + "\n"))
		return rs, nil
	}
	if s.etag != "" && rq.Header.Get("If-None-Match") == s.etag {
		s.same++
		rs.StatusCode = http.StatusNotModified
		return rs, nil
	}
	s.lists++
	rs.Header.Set("ETag", s.etag)
	var r io.Reader = strings.NewReader(string(s.doc))
	if s.body != nil {
		r = s.body()
	}
	rs.Body = io.NopCloser(r)
	return rs, nil
}

// take returns when .sha2 was asked since the last take, and how often .xml was answered in full.
func (s *server) take() (tokens []time.Time, lists int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens, lists = s.tokens, s.lists
	s.tokens, s.lists = nil, 0
	return tokens, lists
}

func (s *server) config(p *pki, e *events) bcp.Config {
	return bcp.Config{
		Environment: bcp.Production, URLs: []string{"https://list.example/servicelist"}, HTTP: &http.Client{Transport: s},
		Trust: p.trust(), Static: resilience.Static{genins: {{URL: esb + "/GenericInsurability/v1", Active: true}, {URL: mcn + "/genins", Order: 1}}},
		OnEvent: e.add,
	}
}

func open(t *testing.T, c bcp.Config) *bcp.Directory {
	t.Helper()
	d, err := bcp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPollPace: at once, then every 5 to 15 minutes, never in step; every 45 to 75 s during an alert, which ends ten minutes
// after the last Alert.
func TestPollPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPKI()
		s := &server{doc: p.make(draft{}), token: "one"}
		d := open(t, s.config(p, &events{}))
		begin := time.Now()
		d.Start()
		defer d.Close()
		time.Sleep(24 * time.Hour)
		tokens, lists := s.take()
		gaps := map[time.Duration]int{}
		if !tokens[0].Equal(begin) {
			t.Errorf("first poll after %v", tokens[0].Sub(begin))
		}
		for i := 1; i < len(tokens); i++ {
			gap := tokens[i].Sub(tokens[i-1])
			if gap < bcp.DefaultPollMin || gap > bcp.DefaultPollMax {
				t.Errorf("gap %v", gap)
			}
			gaps[gap]++
		}
		if n := len(tokens); n < 110 || n > 190 || len(gaps) < n/2 {
			t.Errorf("%d polls, %d different gaps", n, len(gaps))
		}
		// The token stays the same: the list itself is fetched a few times while its hash is not understood, and once an
		// hour.
		if lists > 3+25 {
			t.Errorf("%d lists fetched", lists)
		}

		begin = time.Now()
		for range 5 {
			d.Alert()
			time.Sleep(time.Minute)
			if !d.Alerted() {
				t.Error("alert is over too soon")
			}
		}
		time.Sleep(9*time.Minute - 1)
		tokens, _ = s.take()
		if !d.Alerted() || tokens[0].Sub(begin) > bcp.DefaultAlertPoll {
			t.Errorf("first poll of the alert after %v", tokens[0].Sub(begin))
		}
		for i := 1; i < len(tokens); i++ {
			if gap := tokens[i].Sub(tokens[i-1]); gap < 45*time.Second || gap > 75*time.Second {
				t.Errorf("gap %v in an alert", gap)
			}
		}
		if n := len(tokens); n < 11 || n > 20 {
			t.Errorf("%d polls in 14 minutes of alert", n)
		}
		time.Sleep(2 * time.Minute)
		if d.Alerted() {
			t.Error("the alert does not end")
		}
		s.take()
		time.Sleep(time.Hour)
		tokens, _ = s.take()
		if n := len(tokens); n > 12 {
			t.Errorf("%d polls in a quiet hour", n)
		}
	})
}

// TestChangeToken: the list is fetched when the token changes, and when it is the hash of what is in force it is not fetched
// at all.
func TestChangeToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, e := newPKI(), &events{}
		s := &server{doc: p.make(draft{}), token: "one", etag: `"1"`}
		dir := t.TempDir()
		c := s.config(p, e)
		c.Dir = dir
		d := open(t, c)
		refresh := func() {
			t.Helper()
			if err := d.Refresh(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			refresh()
		}
		if s.lists != 1 || s.same != 2 { // three times with a token that is not the hash, conditionally after the first
			t.Errorf("%d lists, %d not modified", s.lists, s.same)
		}
		e.only(t, "first", bcp.Installed, nil)
		s.doc, s.token, s.etag = p.make(draft{issued: time.Now(), services: switched}), "two", `"2"`
		refresh()
		if s.lists != 2 || active(t, d, genins) != mcn+"/genins" {
			t.Error("the new list was not fetched")
		}
		e.only(t, "second", bcp.Installed, nil)
		// A restart: the token is the hash, so nothing is fetched.
		d = open(t, c)
		e.only(t, "restart", bcp.Loaded, nil)
		l, _ := d.List()
		s.lists, s.same = 0, 0
		s.token = fmt.Sprintf("%X", l.Digest)
		for range 5 {
			refresh()
		}
		if s.lists != 0 || s.same != 0 {
			t.Errorf("%d lists, %d not modified", s.lists, s.same)
		}
		// The token is believed for an hour only.
		time.Sleep(time.Hour)
		s.doc = p.make(draft{issued: time.Now()})
		refresh()
		e.only(t, "token that never changes", bcp.Installed, nil)
		// No token at all: the list is fetched, conditionally.
		s.token, s.etag = "", `"3"`
		refresh()
		refresh()
		if s.lists != 2 || s.same != 1 {
			t.Errorf("%d lists, %d not modified", s.lists, s.same)
		}
		for _, status := range []int{301, 304, 404, 503} {
			s.status = status
			if err := d.Refresh(context.Background()); !errors.Is(err, bcp.ErrUnreachable) && status != 304 {
				t.Errorf("status %d: %v", status, err)
			}
		}
		if len(s.hosts) != 1 {
			t.Errorf("a redirect was followed: %v", s.hosts)
		}
	})
}

// endless gives the same byte for ever, as fast as it is read.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.n += int64(len(p))
	return len(p), nil
}

// TestHandMadeAttacks are those that the sandbox does not serve.
func TestHandMadeAttacks(t *testing.T) {
	p, e := newPKI(), &events{}
	self := issue(nil, name(platform), kind{})
	good := p.make(draft{})
	s := &server{doc: good, token: "good"}
	c := s.config(p, e)
	c.Dir = t.TempDir()
	d := open(t, c)
	if err := d.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	e.only(t, "good", bcp.Installed, nil)
	stream := &endless{}
	later := time.Now()
	for _, a := range []struct {
		name string
		doc  []byte
		body func() io.Reader
		want error
	}{
		{"signature over another element", p.make(draft{reference: "service", issued: later, services: strings.Replace(switched, genins, "s1", 1)}), nil, bcp.ErrOtherElement},
		{"self-signed", p.make(draft{by: &self, issued: later, services: switched}), nil, bcp.ErrSelfSigned},
		{"bytes without end", nil, func() io.Reader { return stream }, bcp.ErrTooLarge},
		{"cut short", good[:len(good)/2], nil, bcp.ErrSyntax},
		{"no XAdES", p.make(draft{noXAdES: true, issued: later}), nil, bcp.ErrXAdES},
	} {
		s.doc, s.body, s.token = a.doc, a.body, a.name
		for range 3 {
			if err := d.Refresh(context.Background()); !errors.Is(err, a.want) {
				t.Errorf("%s: %v", a.name, err)
			}
		}
		e.only(t, a.name, bcp.Refused, a.want)
		if active(t, d, genins) != esb+"/GenericInsurability/v1" {
			t.Errorf("%s: address changed", a.name)
		}
		if stored, err := os.ReadFile(filepath.Join(c.Dir, "servicelist-production.xml")); err != nil || string(stored) != string(good) {
			t.Errorf("%s: disk changed, %v", a.name, err)
		}
	}
	if stream.n > 4*(bcp.MaxBytes+1<<20) {
		t.Errorf("%d bytes read", stream.n)
	}
	// The good one again under its own token ends the streak; a repeated attack is told again.
	s.doc, s.body, s.token = good, nil, "good"
	if err := d.Refresh(context.Background()); err != nil {
		t.Error(err)
	}
	s.doc, s.token = good[:len(good)/2], "again"
	if err := d.Refresh(context.Background()); err == nil {
		t.Error("accepted")
	}
	e.only(t, "again", bcp.Refused, bcp.ErrSyntax)
}

func TestConcurrentUse(t *testing.T) {
	p := newPKI()
	s := &server{doc: p.make(draft{}), token: "0"}
	c := s.config(p, &events{})
	c.Dir = t.TempDir()
	d := open(t, c)
	d.Start()
	router := bcp.NewRouter(bcp.RouterConfig{Directory: d})
	base := time.Now().Add(-30 * time.Second)
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if len(d.Endpoints(genins)) != 2 {
					t.Error("mixed or missing addresses")
					return
				}
				d.ByURL(mcn + "/genins")
				d.Alert()
				router.Route(genins, resilience.Read)
				router.Modes()
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 10 {
				services := normal
				if i%2 == 1 {
					services = switched
				}
				err := d.Offer(p.make(draft{issued: base.Add(time.Duration(i*2+w) * time.Millisecond), services: services}))
				if err != nil && !errors.Is(err, bcp.ErrOlder) {
					t.Error(err)
				}
				_ = d.Refresh(context.Background())
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if l, _ := open(t, c).List(); l == nil {
		t.Error("what is on disk does not load")
	}
}

// hanging never answers.
type hanging struct{}

func (hanging) RoundTrip(rq *http.Request) (*http.Response, error) {
	<-rq.Context().Done()
	return nil, rq.Context().Err()
}
