package appclient_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// plain keeps what it is asked to secure, and for how long.
type plain struct {
	bodies []string
	stamps []wsse.Stamp
}

func (p *plain) Secure(ctx context.Context, body []byte) ([]byte, error) {
	stamp, err := exchange.Stamp(ctx)
	if err != nil {
		return nil, err
	}
	p.bodies, p.stamps = append(p.bodies, string(body)), append(p.stamps, stamp)
	return soap.Envelope(nil, body)
}

func (p *plain) Refused(context.Context, *fault.Error) bool { return false }

// answers is an http.RoundTripper that always says the same; "" cuts the connection after the request.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	if a == "" {
		return nil, io.ErrUnexpectedEOF
	}
	doc, err := soap.Envelope(nil, []byte(a))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(string(doc))), Request: r}, nil
}

func app(t *testing.T, said string) (*appclient.App, *plain) {
	t.Helper()
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: answers(said)}, UserAgent: "test/1.0", From: "test@example.be",
		Directory: resilience.Static{appclient.Service: {{URL: "https://app.test/v1", Active: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &plain{}
	return appclient.New(x, p), p
}

const (
	open = `<a:`
	done = ` xmlns:a="` + appclient.NS + `"><a:Reference>r1</a:Reference>`
	what = `<a:ResultNumber>7</a:ResultNumber><a:ExecutedAt>2026-01-02T03:04:05.006Z</a:ExecutedAt>`
)

func putResponse(more string) string { return open + "PutResponse" + done + more + "</a:PutResponse>" }

func queryResponse(found, more string) string {
	return open + "QueryResponse" + done + "<a:Found>" + found + "</a:Found>" + more + "</a:QueryResponse>"
}

var executed = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func TestSend(t *testing.T) {
	a, sec := app(t, putResponse(what))
	expires := time.Now().Add(20 * time.Second)
	ans, err := a.Handler().Send(t.Context(), outbox.Item{Kind: appclient.Kind, Ref: "r1", Key: "85073199704", Payload: []byte("secret")}, outbox.Attempt{Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	r, err := appclient.ParseReceipt(ans)
	if err != nil || r.Number != 7 || !r.At.Equal(executed) || r.Alternate {
		t.Errorf("receipt %+v, %v", r, err)
	}
	if s := sec.stamps[0]; s.TTL <= 0 || s.Now.Add(s.TTL).After(expires) {
		t.Errorf("the message lives until %v, the attempt until %v", s.Now.Add(s.TTL), expires)
	}
	body := sec.bodies[0]
	if strings.Contains(body, "85073199704") || !strings.Contains(body, "<app:OrderingKey>") || !strings.Contains(body, base64.StdEncoding.EncodeToString([]byte("secret"))) {
		t.Errorf("sent %s", body)
	}
}

func TestSendFails(t *testing.T) {
	for _, c := range []struct {
		name, said string
		expires    time.Duration
		outcome    fault.Outcome
		notice     string
	}{
		{"no answer", "", time.Minute, fault.Unknown, "D-UNSURE"},
		{"answer about another", strings.ReplaceAll(putResponse(what), "r1", "r2"), time.Minute, fault.Unknown, "D-UNSURE"},
		{"too late", putResponse(what), -time.Second, fault.NotSent, "D-RX-PAPER"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := app(t, c.said)
			_, err := a.Handler().Send(t.Context(), outbox.Item{Ref: "r1"}, outbox.Attempt{Expires: time.Now().Add(c.expires)})
			fe, ok := errors.AsType[*fault.Error](err)
			if !ok || fe.Outcome != c.outcome || fe.Notice != c.notice {
				t.Errorf("error %+v", err)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name, said string
		found      outbox.Found
		fails      bool
	}{
		{"happened", queryResponse("true", what), outbox.Happened, false},
		{"not there", queryResponse("false", ""), outbox.NotThere, false},
		{"about another", strings.ReplaceAll(queryResponse("true", what), "r1", "r2"), outbox.Unclear, true},
		{"no answer", "", outbox.Unclear, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := app(t, c.said)
			v, err := a.Handler().Resolve(t.Context(), outbox.Item{Ref: "r1"}, outbox.Attempt{})
			if v.Found != c.found || (err != nil) != c.fails {
				t.Fatalf("%+v, %v", v, err)
			}
			if c.found != outbox.Happened {
				return
			}
			if r, err := appclient.ParseReceipt(v.Answer); err != nil || r.Number != 7 {
				t.Errorf("receipt %+v, %v", r, err)
			}
		})
	}
}

func TestReference(t *testing.T) {
	long := strings.Repeat("é", appclient.MaxReference+1)
	if got := appclient.Reference(long[2:]); got != long[2:] {
		t.Errorf("a reference of %d characters became %q", appclient.MaxReference, got)
	}
	for _, ref := range []string{"", long} {
		if got := appclient.Reference(ref); len(got) != appclient.MaxReference {
			t.Errorf("reference %q became %q", ref, got)
		}
	}
}

func TestParseReceipt(t *testing.T) {
	for _, b := range []string{"", "null1", "[]"} {
		if _, err := appclient.ParseReceipt(outbox.Answer(b)); err == nil {
			t.Errorf("%q is no receipt", b)
		}
	}
}
