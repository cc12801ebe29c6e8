package recipe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
)

// middle stands between a client and the sandbox and may change what passes.
type middle struct {
	next http.RoundTripper

	mu     sync.Mutex
	before func()
	after  func(operation string, a *http.Response) *http.Response
}

func (m *middle) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	before, after := m.before, m.after
	m.mu.Unlock()
	if before != nil {
		before()
	}
	a, err := m.next.RoundTrip(r)
	if err != nil || after == nil {
		return a, err
	}
	_, operation, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), ":protocol:v4:")
	return after(operation, a), nil
}

func (m *middle) set(before func(), after func(string, *http.Response) *http.Response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = before, after
}

// between puts one there.
func between(s *surgery) *middle {
	s.t.Helper()
	s.close()
	client := s.sb.HTTPClient()
	s.t.Cleanup(client.CloseIdleConnections)
	m := &middle{next: client.Transport}
	client.Transport = m
	s.link, s.engine = link(s.t, s.sb, s.person, client)
	s.open()
	return m
}

// with is an answer with another body.
func with(a *http.Response, body []byte) *http.Response {
	out := *a
	out.Header = a.Header.Clone()
	out.Header.Del("Content-Length")
	out.ContentLength = int64(len(body))
	out.Body = io.NopCloser(bytes.NewReader(body))
	return &out
}

var (
	inResponseTo = regexp.MustCompile(` InResponseTo="[^"]*"`)
	secured      = regexp.MustCompile(`(?s)<SecuredContent>.*</SecuredContent>`)
)

// Answers that are damaged, of another or too large are shown to nobody, and what they were about is found.
func TestDamagedAnswer(t *testing.T) {
	replaced := func(re *regexp.Regexp, by string) func([]byte) []byte {
		return func(b []byte) []byte { return re.ReplaceAllLiteral(b, []byte(by)) }
	}
	for name, change := range map[string]func([]byte) []byte{
		"of another":  replaced(inResponseTo, ` InResponseTo="idx"`),
		"no bytes":    replaced(secured, `<SecuredContent></SecuredContent>`),
		"no content":  replaced(secured, ""),
		"too large":   replaced(secured, "<SecuredContent>"+strings.Repeat("AAAA", recipe.DefaultMaxAnswer/4)+"</SecuredContent>"),
		"half":        func(b []byte) []byte { return b[:len(b)/2] },
		"nothing":     func([]byte) []byte { return nil },
		"an entity":   func(b []byte) []byte { return append([]byte(`<!DOCTYPE x [<!ENTITY a "aaaa">]>`), b...) },
		"two answers": func(b []byte) []byte { return append(bytes.Clone(b), b...) },
	} {
		t.Run(name, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				m := between(s)
				ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
				creates := 0
				m.set(nil, func(operation string, a *http.Response) *http.Response {
					if operation != "createPrescription" {
						return a
					}
					creates++
					b, err := io.ReadAll(a.Body)
					ok(t, err)
					_ = a.Body.Close()
					c := change(b)
					if bytes.Equal(b, c) {
						t.Error("nothing was changed")
					}
					return with(a, c)
				})
				c, err := s.create("lost")
				if creates != 1 || s.made() != 1 {
					t.Errorf("sent %d times, %d made", creates, s.made())
				}
				if err != nil {
					s.wantUnsure("lost", err)
				} else if c.RID.Reveal() != s.sb.Prescriptions()[0].RID {
					t.Error("the number of another")
				}
				s.work()
				s.settles("lost")
			})
		})
	}
}

// honest wants that what a call said is true, now and an hour later.
func (s *surgery) honest(reference string, err error) {
	s.t.Helper()
	made := s.made()
	f, whole := errors.AsType[*fault.Error](err)
	switch {
	case err == nil && made != 1, err != nil && !whole:
		s.t.Fatalf("%d made, error %T", made, err)
	case err != nil && f.Outcome != fault.Unknown && made != 0:
		s.t.Fatalf("%d made, error %v", made, err)
	}
	s.work()
	out, oerr := s.p.Wait(s.t.Context(), reference)
	ok(s.t, oerr)
	if (out.State == recipe.OutcomeCreated) != (s.made() == 1) {
		s.t.Errorf("%s, %d made", out.State, s.made())
	}
	time.Sleep(time.Hour)
	_, paper := s.p.Paper(s.t.Context(), reference)
	if s.made() > 1 || (s.made() == 1) == (paper == nil) || err != nil && f.Outcome != fault.Unknown && s.made() != 0 {
		s.t.Errorf("error %v; %d made, paper %v", err, s.made(), paper)
	}
}

// Whenever the caller goes away, what is said of the prescription is true.
func TestCallerGoes(t *testing.T) {
	for request := 1; request <= 7; request++ { // a cold one takes six
		for _, answered := range []bool{false, true} {
			t.Run(fmt.Sprint(request, answered), func(t *testing.T) {
				inSandbox(t, func(t *testing.T, s *surgery) {
					m := between(s)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					n := 0
					m.set(func() {
						if n++; n == request && !answered {
							cancel()
						}
					}, func(_ string, a *http.Response) *http.Response {
						if n == request {
							cancel()
						}
						return a
					})
					r := s.request("left")
					r.Hold = request%2 == 0
					_, err := s.p.Create(ctx, r)
					m.set(nil, nil)
					s.honest("left", err)
				})
			})
		}
	}
}

// Whatever time a caller has, the call ends in it, and what it says is true.
func TestDeadline(t *testing.T) {
	for _, service := range []string{"recipe-presc", "kgss", "etk"} {
		for _, d := range []time.Duration{0, time.Millisecond, 700 * time.Millisecond, time.Second} {
			for _, late := range []string{"", ";late=1"} {
				if service != "recipe-presc" && late != "" {
					continue
				}
				t.Run(service+late+d.String(), func(t *testing.T) {
					inSandbox(t, func(t *testing.T, s *surgery) {
						s.inject(service + " 0 to_end slow median_ms=800;cap_ms=900" + late)
						ctx, cancel := context.WithTimeout(t.Context(), d)
						defer cancel()
						began := time.Now()
						_, err := s.p.Create(ctx, s.request("short"))
						if took := time.Since(began); took > max(d, 0)+10*time.Millisecond { // virtual time
							t.Errorf("took %s", took)
						}
						s.honest("short", err)
					})
				})
			}
		}
	}
}
