package sts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// business is a service that checks what it gets as the platform does.
type business struct {
	t      *testing.T
	refuse func(n int, tokenID string) *http.Response

	mu      sync.Mutex
	tokens  []string
	created []time.Time
	replays map[string]bool
}

func (b *business) RoundTrip(r *http.Request) (*http.Response, error) {
	message, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m, err := soap.Parse(message, xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	v, err := wsse.Verify(m.Root, wsse.Policy{Now: time.Now(), Replay: func(sig string, _ time.Time) bool {
		seen := b.replays[sig]
		if b.replays == nil {
			b.replays = map[string]bool{}
		}
		b.replays[sig] = true
		return seen
	}})
	if err != nil || v.Profile != wsse.HolderOfKeyToken || !v.Certificate.Equal(world().ehealth.Certificate) {
		b.t.Errorf("message not accepted: %v", err)
		return soaFault("SOA-01001"), nil
	}
	if err := v.Assertion.Verify(saml.Trust{Roots: world().roots}, time.Now()); err != nil {
		b.t.Errorf("token not accepted: %v", err)
	}
	b.tokens, b.created = append(b.tokens, v.Assertion.ID), append(b.created, v.Created)
	if b.refuse != nil {
		if resp := b.refuse(len(b.tokens), v.Assertion.ID); resp != nil {
			return resp, nil
		}
	}
	return reply(200, must(soap.Envelope(nil, []byte("<ok/>")))), nil
}

func (b *business) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// call makes one call to the service with the tokens of ts.
func call(t *testing.T, x *exchange.Exchanger, ts TokenSource) error {
	t.Helper()
	return callWith(t, x, HolderOfKey(ts))
}

func callWith(t *testing.T, x *exchange.Exchanger, security exchange.Security) error {
	t.Helper()
	_, err := x.Do(t.Context(), &exchange.Call{
		Op: "test.Do", Service: service, Class: resilience.UnsafeWrite, Body: []byte("<q/>"),
		Security: security, Correlate: func(*xmltree.Node) error { return nil },
	})
	return err
}

func setup(t *testing.T, refuse func(int, string) *http.Response) (*fakeSTS, *business, *exchange.Exchanger, *Cache) {
	t.Helper()
	f, b := &fakeSTS{}, &business{t: t, refuse: refuse}
	x := exchanger(f, b.RoundTrip)
	c := must(New(x, Config{Identification: world().card, HolderOfKey: world().ehealth, Trust: Trust{Roots: world().roots}}))
	return f, b, x, cached(t, c.Source(doctor))
}

func TestHolderOfKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b, x, ts := setup(t, nil)
		for range 3 {
			if err := call(t, x, ts); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if f.count() != 2 || len(b.tokens) != 3 || b.tokens[0] != b.tokens[2] {
			t.Errorf("%d requests to the STS, tokens %d", f.count(), len(b.tokens))
		}
		if !b.created[2].Equal(b.created[0].Add(2 * time.Minute)) {
			t.Error("the timestamp is not fresh")
		}
	})
}

func TestHolderOfKeyRefused(t *testing.T) {
	tests := map[string]struct {
		refuse        func(n int, id string) *http.Response
		ok            bool
		calls, issues int // of one call to the service; two messages per issue
	}{
		"first token refused": {func(n int, _ string) *http.Response {
			if n == 1 {
				return soaFault("SOA-01001")
			}
			return nil
		}, true, 2, 2},
		"every token refused": {func(int, string) *http.Response { return soaFault("SOA-01001") }, false, 2, 2},
		"by WS-Security":      {func(int, string) *http.Response { return fault500("FailedAuthentication", wsse.NSWSSE, "x") }, false, 2, 2},
		"not authorised":      {func(int, string) *http.Response { return soaFault("SOA-01002") }, false, 1, 1},
		"clock to blame":      {late, false, 1, 1},
		"not available":       {func(int, string) *http.Response { return soaFault("SOA-02001") }, false, 1, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b, x, ts := setup(t, tt.refuse)
				err := call(t, x, ts)
				if (err == nil) != tt.ok {
					t.Error(err)
				}
				if err != nil {
					noSecrets(t, err.Error())
				}
				if len(b.tokens) != tt.calls || f.count() != 2*tt.issues {
					t.Errorf("%d messages to the service, %d to the STS", len(b.tokens), f.count())
				}
				if tt.calls == 2 && b.tokens[0] == b.tokens[1] {
					t.Error("the refused token was sent again")
				}
			})
		})
	}
}

func late(int, string) *http.Response {
	r := soaFault("SOA-01001")
	r.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	return r
}

// TestMassRefusal: a service that refuses everybody does not make us storm the STS.
func TestMassRefusal(t *testing.T) {
	for name, shared := range map[string]bool{"one security per call": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b, x, ts := setup(t, func(int, string) *http.Response { return soaFault("SOA-01001") })
				security := HolderOfKey(ts)
				for range 50 {
					if !shared {
						security = HolderOfKey(ts)
					}
					if err := callWith(t, x, security); fault.KindOf(err) != fault.Denied {
						t.Error(err)
					}
					time.Sleep(time.Second)
				}
				if f.count() != 4 {
					t.Errorf("%d messages to the STS, want two issues of two", f.count())
				}
				// One repeat per call at most, and none once the replacement is known to be refused too.
				if n := len(b.tokens); n > 51+int(overlap/time.Second) {
					t.Errorf("%d messages to the service", n)
				}
			})
		})
	}
}

// TestSharedRefusal: a token is revoked while many calls share the security value. Refusals
// that come in when the successor is already in use do not count against it.
func TestSharedRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old string
		f, b, _, ts := setup(t, func(_ int, id string) *http.Response {
			if id == old {
				return soaFault("SOA-01001")
			}
			return nil
		})
		first, err := ts.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		old = first.ID
		slow := roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := b.RoundTrip(r)
			time.Sleep(time.Duration(len(b.seen())) * 100 * time.Millisecond)
			return resp, err
		})
		x := exchanger(f, slow)
		security := HolderOfKey(ts)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := callWith(t, x, security); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if f.count() != 4 {
			t.Errorf("%d messages to the STS, want two issues of two", f.count())
		}
	})
}

// TestHolderOfKeyNoToken: without a token nothing is sent, and the person is told why.
func TestHolderOfKeyNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b, x, ts := setup(t, nil)
		f.first = func(int, string) *http.Response { return reply(503, nil) }
		err := call(t, x, ts)
		fe := checkError(t, err, fault.Unavailable)
		if fe.Outcome != fault.NotSent || fe.Notice != "D-AUTH-NONE" || len(b.tokens) != 0 {
			t.Error(fe.Outcome, fe.Notice, len(b.tokens))
		}
	})
}

// TestHolderOfKeyExpired: a source that gives an expired token is not obeyed.
func TestHolderOfKeyExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, x, ts := setup(t, nil)
		tok, err := ts.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(tok.NotOnOrAfter))
		err = call(t, x, TokenSourceFunc(func(context.Context) (*Token, error) { return tok, nil }))
		if fe := checkError(t, err, fault.Denied); fe.Outcome != fault.NotSent || !errors.Is(err, ErrExpired) || len(b.tokens) != 0 {
			t.Error(err)
		}
	})
}

// TestHolderOfKeyPlainSource: a source that cannot drop is not asked again.
func TestHolderOfKeyPlainSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b, x, ts := setup(t, func(int, string) *http.Response { return soaFault("SOA-01001") })
		err := call(t, x, ts.src)
		checkError(t, err, fault.Denied)
		if len(b.tokens) != 1 || f.count() != 2 {
			t.Error(len(b.tokens), f.count())
		}
	})
}

// TestHolderOfKeyBadToken: a token that cannot be put into a message is a local failure.
func TestHolderOfKeyBadToken(t *testing.T) {
	tok := &Token{ID: "_1", Raw: []byte("<a/>"), NotOnOrAfter: time.Now().Add(time.Hour), Credential: world().ehealth}
	h := HolderOfKey(TokenSourceFunc(func(context.Context) (*Token, error) { return tok, nil }))
	_, err := h.Secure(t.Context(), []byte("<q/>"))
	if fe := checkError(t, err, fault.Local); fe.Outcome != fault.NotSent {
		t.Error(fe.Outcome)
	}
	if h.Refused(t.Context(), nil) {
		t.Error("no error was taken for a refusal")
	}
}

// TestHolderOfKeyLate: a message that came after its Expires, because its worker was paused, is refused by the platform
// and costs no token.
func TestHolderOfKeyLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b, x, ts := setup(t, func(int, string) *http.Response {
			time.Sleep(time.Second)
			return soaFault("SOA-01001")
		})
		ctx := exchange.WithExpires(t.Context(), time.Now().Add(time.Second/2))
		_, err := x.Do(ctx, &exchange.Call{
			Op: "test.Do", Service: service, Class: resilience.UnsafeWrite, Body: []byte("<q/>"),
			Security: HolderOfKey(ts), Correlate: func(*xmltree.Node) error { return nil },
		})
		if fe := checkError(t, err, fault.Denied); fe.Outcome != fault.Rejected {
			t.Error(fe.Outcome)
		}
		b.refuse = nil
		if err := call(t, x, ts); err != nil {
			t.Error(err)
		}
		if len(b.tokens) != 2 || b.tokens[0] != b.tokens[1] || f.count() != 2 {
			t.Errorf("%d messages, %d requests to the STS", len(b.tokens), f.count())
		}
	})
}
