package integration

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// maxAnswer is how much of one answer a client may read: 8 MiB and what one read takes beyond it.
const maxAnswer = 8<<20 + 1

const (
	envelopeStart = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>`
	envelopeEnd   = `</soapenv:Body></soapenv:Envelope>`
)

// evil answers in place of the platform at the paths that contain one of its own.
type evil struct {
	next   http.RoundTripper
	paths  []string
	answer func(*http.Request) (status int, header http.Header, body io.Reader)
	read   atomic.Int64 // bytes that the client took
}

func (e *evil) RoundTrip(r *http.Request) (*http.Response, error) {
	mine := false
	for _, p := range e.paths {
		mine = mine || strings.Contains(r.URL.Path, p)
	}
	if !mine {
		return e.next.RoundTrip(r)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	status, h, body := e.answer(r)
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/xml; charset=utf-8")
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(&counting{body, &e.read}), ContentLength: -1, Request: r,
	}, nil
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// endless repeats a text up to a gigabyte. It is made while it is read.
func endless(start, again string) io.Reader {
	return io.MultiReader(strings.NewReader(start), io.LimitReader(&repeat{text: again}, 1<<30))
}

type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c := copy(b[n:], r.text[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.text)
	}
	return n, nil
}

// bomb is a billion laughs: a few hundred bytes that would become gigabytes.
func bomb() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">`)
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, `<!ENTITY l%d "%s">`, i, strings.Repeat(fmt.Sprintf("&l%d;", i-1), 10))
	}
	return b.String() + `]>` + envelopeStart + `<x>&l9;</x>` + envelopeEnd
}

func gzipBomb() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.Copy(z, io.LimitReader(&repeat{text: strings.Repeat(" ", 4096)}, 64<<20))
	_ = z.Close()
	return b.Bytes()
}

// TestMaliciousAnswers gives a client answers that are made to harm it, from the service and from the login.
func TestMaliciousAnswers(t *testing.T) {
	file := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>` + envelopeStart + `<x>&f;</x>` + envelopeEnd
	squashed := gzipBomb()
	text := func(s string) func() (http.Header, io.Reader) {
		return func() (http.Header, io.Reader) { return nil, strings.NewReader(s) }
	}
	for _, c := range []struct {
		name   string
		answer func() (http.Header, io.Reader)
		code   string // "" when the answer was not even read to its end
	}{
		{"DOCTYPE bomb", text(bomb()), "HTTP-200"},
		{"external entity", text(file), "HTTP-200"},
		{"a gigabyte of text", func() (http.Header, io.Reader) { return nil, endless(envelopeStart+"<x>", "lots of text ") }, ""},
		{"a gigabyte of elements", func() (http.Header, io.Reader) { return nil, endless(envelopeStart+"<x>", "<a/>") }, ""},
		{"a gigabyte of depth", func() (http.Header, io.Reader) { return nil, endless(envelopeStart, "<a>") }, ""},
		{"a gigabyte of nothing", func() (http.Header, io.Reader) { return nil, endless("", "   \n") }, ""},
		{"depth", text(envelopeStart + strings.Repeat("<a>", 200_000) + strings.Repeat("</a>", 200_000) + envelopeEnd), "HTTP-200"},
		{"ten thousand attributes", text(envelopeStart + "<x" + attributes(10_000) + "/>" + envelopeEnd), "HTTP-200"},
		{"two bodies", text(strings.Replace(envelopeStart+"<x/>"+envelopeEnd, "</soapenv:Envelope>", "<soapenv:Body><y/></soapenv:Body></soapenv:Envelope>", 1)), "HTTP-200"},
		{"a page", func() (http.Header, io.Reader) {
			return http.Header{"Content-Type": {"text/html"}}, strings.NewReader("<html>Jean Proef 85073199704</html>")
		}, "HTTP-200"},
		{"compressed bomb", func() (http.Header, io.Reader) {
			return http.Header{"Content-Encoding": {"gzip"}}, bytes.NewReader(squashed)
		}, "HTTP-200"},
		{"nothing", text(""), "HTTP-200"},
	} {
		for _, at := range []struct {
			name  string
			paths []string
			want  end
		}{
			{"service", []string{pathGenIns, "/ehealth/bcp/genericinsurability/v1"}, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", c.code}},
			{"login", []string{pathSTS}, end{fault.Protocol, fault.NotSent, "D-AUTH-NONE", c.code}},
		} {
			t.Run(c.name+"/"+at.name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, w *world) {
					cfg := w.doctor(t, 0)
					server := &evil{next: cfg.Transport, paths: at.paths, answer: func(*http.Request) (int, http.Header, io.Reader) {
						h, body := c.answer()
						return http.StatusOK, h, body
					}}
					cfg.Transport, cfg.InsurabilityTimeout = server, time.Minute
					p := w.open(t, cfg)
					if at.name == "service" {
						w.login(t, p)
					}
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					a, err := w.ask(t, p, sandbox.Insured)
					runtime.ReadMemStats(&after)
					w.ends(t, a, err, at.want)
					// Whoever sends too much is not asked again; there are two addresses.
					if n := server.read.Load(); c.code == "" && (n > 2*maxAnswer || n < maxAnswer) {
						t.Errorf("read %d bytes of a gigabyte", n)
					}
					if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 1024 {
						t.Errorf("%d MiB were allocated", n)
					}
				})
			})
		}
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="v"`, i)
	}
	return b.String()
}

// TestGigabyteOverTLS is the same from a real server over real sockets: the client hangs up.
func TestGigabyteOverTLS(t *testing.T) {
	w := newWorld(t, sandbox.Config{})
	defer w.sb.Close()
	var sent atomic.Int64
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "text/xml")
		_, _ = io.Copy(rw, io.TeeReader(endless(envelopeStart+"<x>", strings.Repeat("lots of text ", 100)), (*written)(&sent)))
	}))
	defer srv.Close()
	cfg := w.doctor(t, 0)
	cfg.Transport = redirect{to: srv, next: cfg.Transport, path: "enericinsurability/v1"}
	cfg.InsurabilityTimeout = time.Minute
	p := w.open(t, cfg)
	w.login(t, p)
	a, err := w.ask(t, p, sandbox.Insured)
	w.ends(t, a, err, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""})
	// What lies in buffers between the two comes on top of what was read.
	if n := sent.Load(); n < maxAnswer || n > 64<<20 {
		t.Errorf("%d bytes of a gigabyte were sent", n)
	}
}

type written atomic.Int64

func (w *written) Write(b []byte) (int, error) {
	(*atomic.Int64)(w).Add(int64(len(b)))
	return len(b), nil
}

// redirect sends requests for some paths to another server.
type redirect struct {
	to   *httptest.Server
	next http.RoundTripper
	path string
}

func (d redirect) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(strings.ToLower(r.URL.Path), d.path) {
		return d.next.RoundTrip(r)
	}
	to, err := url.Parse(d.to.URL)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Host, r.Host = to.Host, ""
	return d.to.Client().Transport.RoundTrip(r)
}

// TestSwappedAnswers lets the platform give two doctors each other's answers, as it did in June 2018.
func TestSwappedAnswers(t *testing.T) {
	const slow = " 0 to_end slow dist=lognormal;median_ms=300;sigma=0;cap_ms=300" // so that the two meet
	scenarios := []sandbox.Scenario{sandbox.Insured, sandbox.Preferential}
	run := func(t *testing.T, w *world) (answers [2]*insurability.Answer, errs [2]error) {
		var ps [2]*ehealth.Platform
		for i := range ps {
			ps[i] = w.open(t, w.doctor(t, i))
			w.login(t, ps[i])
		}
		w.inject(t, "genins"+slow, "genins-direct"+slow)
		var wg sync.WaitGroup
		for i, p := range ps {
			wg.Go(func() { answers[i], errs[i] = w.ask(t, p, scenarios[i]) })
		}
		wg.Wait()
		return answers, errs
	}
	t.Run("at one address", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			w.inject(t, "genins 0 to_end misroute p=1")
			answers, errs := run(t, w)
			for i, a := range answers {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				if a.SSIN.Reveal() != w.sb.Patient(scenarios[i]).SSIN.Reveal() || a.Source != insurability.Alternate || a.Attempts != 2 {
					t.Errorf("asker %d: source %v after %d attempts, or somebody else's answer", i, a.Source, a.Attempts)
				}
			}
			if n := w.sb.State().Hits["genins"]["misroute"]; n != 2 {
				t.Errorf("%d answers were swapped", n)
			}
		})
	})
	t.Run("everywhere", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			w.inject(t, "genins 0 to_end misroute p=1", "genins-direct 0 to_end misroute p=1")
			answers, errs := run(t, w)
			for i := range answers {
				w.ends(t, answers[i], errs[i], end{fault.Security, fault.Unknown, "D-WRONG", ""})
			}
		})
	})
	t.Run("at the login", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			w.inject(t, "sts 0 to_end misroute p=1", "sts"+slow)
			var ps [2]*ehealth.Platform
			var answers [2]*insurability.Answer
			var errs [2]error
			var wg sync.WaitGroup
			for i := range ps {
				cfg := w.doctor(t, i)
				cfg.InsurabilityTimeout = time.Minute // the login is tried again, and the person waits
				ps[i] = w.open(t, cfg)
				wg.Go(func() { answers[i], errs[i] = w.ask(t, ps[i], scenarios[i]) })
			}
			wg.Wait()
			for i, p := range ps {
				w.ends(t, answers[i], errs[i], end{fault.Security, fault.NotSent, "D-WRONG", ""})
				_, err := p.Tokens.Token(t.Context())
				w.fails(t, err, end{fault.Security, fault.Unknown, "D-WRONG", ""})
			}
			if n := w.sb.State().Requests["genins"]; n != 0 {
				t.Errorf("%d questions were sent with somebody else's token", n)
			}
		})
	})
}

// TestChangedAnswers changes true answers of the platform on their way.
func TestChangedAnswers(t *testing.T) {
	const direct = "/ehealth/bcp/genericinsurability/v1"
	wrong := end{fault.Security, fault.Unknown, "D-WRONG", ""}
	for _, c := range []struct {
		name, path string
		change     func(t *testing.T, w *world) func([]byte) []byte
		want       end
	}{
		{"another patient", pathGenIns, func(t *testing.T, w *world) func([]byte) []byte {
			return replace(t, w.sb.Patient(sandbox.Insured).SSIN.Reveal(), w.sb.Patient(sandbox.Preferential).SSIN.Reveal())
		}, wrong},
		{"another day", pathGenIns, func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, "PeriodStart>2000-01-01<", "PeriodStart>1999-12-31<")
		}, wrong},
		{"yesterday's answer", pathGenIns, func(t *testing.T, _ *world) func([]byte) []byte {
			var old []byte
			return func(b []byte) []byte {
				if old == nil {
					old = b
				}
				return old
			}
		}, wrong},
		{"a claim in the token", pathSTS, func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, ">true<", ">TRUE<")
		}, end{fault.Security, fault.NotSent, "D-KEY", ""}},
		{"the end of the token", pathSTS, func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, `NotOnOrAfter="2000-`, `NotOnOrAfter="2009-`)
		}, end{fault.Security, fault.NotSent, "D-KEY", ""}},
		{"no signature on the token", pathSTS, func(t *testing.T, _ *world) func([]byte) []byte {
			return func(b []byte) []byte {
				from, to := bytes.Index(b, []byte("<ds:Signature ")), bytes.Index(b, []byte("</ds:Signature>"))
				if from < 0 || to < from {
					t.Error("no signature to remove")
					return b
				}
				return append(bytes.Clone(b[:from]), b[to+len("</ds:Signature>"):]...)
			}
		}, end{fault.Security, fault.NotSent, "D-KEY", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				cfg := w.doctor(t, 0)
				for id, eps := range cfg.Services { // one address: no way around
					cfg.Services[id] = eps[:1]
				}
				cfg.Transport = &between{next: cfg.Transport, path: c.path, response: c.change(t, w)}
				p := w.open(t, cfg)
				if c.name == "yesterday's answer" {
					if _, err := w.ask(t, p, sandbox.Insured); err != nil {
						t.Fatal(err)
					}
				}
				a, err := w.ask(t, p, sandbox.Insured)
				w.ends(t, a, err, c.want)
				if n := w.sb.State().Endpoints["genins-direct"][direct]; n != 0 {
					t.Errorf("the alternate was asked %d times", n)
				}
			})
		})
	}
}

// TestTalkativeFault: a fault that names the patient wherever it can.
func TestTalkativeFault(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		x := w.sb.Patient(sandbox.Insured)
		who := x.FirstName + " " + x.LastName + " " + x.SSIN.Reveal()
		doc := `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><soapenv:Fault>` +
			`<faultcode>soapenv:Server</faultcode><faultstring>` + who + `</faultstring><faultactor>urn:` + x.SSIN.Reveal() + `</faultactor><detail>` +
			`<soa:SystemError xmlns:soa="urn:be:fgov:ehealth:errors:soa:v1" Id="T-` + x.SSIN.Reveal() + `"><Origin>` + who + `</Origin>` +
			`<Code>SOA-03007</Code><Message xml:lang="en">no data for ` + who + `</Message><Contact>` + who + `</Contact>` +
			`<soa:Environment>Simulation</soa:Environment></soa:SystemError></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`
		cfg := w.doctor(t, 0)
		cfg.Transport = &evil{next: cfg.Transport, paths: []string{pathGenIns}, answer: func(*http.Request) (int, http.Header, io.Reader) {
			return http.StatusInternalServerError, nil, strings.NewReader(doc)
		}}
		p := w.open(t, cfg)
		w.login(t, p)
		a, err := w.ask(t, p, sandbox.Insured)
		w.ends(t, a, err, end{fault.Invalid, fault.Rejected, "", "SOA-03007"})
	})
}

// TestImpostor: a server whose certificate is not the platform's gets nothing.
func TestImpostor(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.inject(t, "genins 0 to_end tls_rotate new_issuer=1")
		p := w.open(t, w.doctor(t, 0))
		w.login(t, p)
		a, err := w.ask(t, p, sandbox.Insured)
		w.ends(t, a, err, end{fault.Security, fault.NotSent, "D-KEY", ""})
		st := w.sb.State()
		if st.Requests["genins"]+st.Requests["genins-direct"] != 0 {
			t.Errorf("requests were sent: %v", st.Requests)
		}
	})
	t.Run("with a right certificate for another host", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			cfg := w.doctor(t, 0)
			tr := cfg.Transport.(*http.Transport).Clone()
			tr.TLSClientConfig = &tls.Config{RootCAs: w.sb.Roots(), ServerName: "services.ehealth.example", MinVersion: tls.VersionTLS12}
			cfg.Transport = tr
			p := w.open(t, cfg)
			a, err := w.ask(t, p, sandbox.Insured)
			w.ends(t, a, err, end{fault.Security, fault.NotSent, "D-KEY", ""})
		})
	})
	t.Run("as the login service", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			w.inject(t, "sts 0 to_end tls_rotate new_issuer=1")
			a, err := w.ask(t, w.open(t, w.doctor(t, 0)), sandbox.Insured)
			w.ends(t, a, err, end{fault.Security, fault.NotSent, "D-KEY", ""})
		})
	})
	t.Run("with an STS nobody trusts", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			cfg := w.doctor(t, 0)
			cfg.Trust.STSSigner = func(cn string) bool { return false }
			a, err := w.ask(t, w.open(t, cfg), sandbox.Insured)
			w.ends(t, a, err, end{fault.Security, fault.NotSent, "D-KEY", ""})
			if n := w.sb.State().Requests["genins"]; n != 0 {
				t.Errorf("%d questions were sent with a token that nobody vouches for", n)
			}
		})
	})
}
