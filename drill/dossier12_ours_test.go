package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sts"
)

// The tests of this file play the rows of dossier 12 in which a user of the official connector loses with our client:
// scenarios 1 to 3 and 5 to 11 for reads and logins, 2 to 6 and 9 for writes as far as they need no queue. The numbers
// are those of the scenarios; what the connector does instead is asserted in dossier12_connector_test.go.

const (
	checkLimit = insurability.DefaultTimeout // at the counter
	putLimit   = 15 * time.Second
	// backLimit is how long after it has recovered the default address may stay unused: two minutes of rest and the
	// slow start.
	backLimit = 10 * time.Minute
	// listLag is how long a new list may stay unnoticed: polling every 5 to 15 minutes (dossier 06 B.3), and a minute
	// because that is how often the tests look.
	listLag = 16 * time.Minute
)

// ours opens our client and logs it in.
func (sc *scene) ours() *ours {
	sc.Helper()
	c := sc.oursVia(nil, "")
	if _, err := c.p.Tokens.Token(context.Background()); err != nil {
		sc.Fatal(err)
	}
	return c
}

// oursVia opens our client on connections that dial makes (nil: those of the sandbox) and with a data directory ("":
// none). It is not logged in.
func (sc *scene) oursVia(dial dialer, dir string) *ours {
	sc.Helper()
	cfg, err := oursConfig(sc.s, sc.o)
	if err != nil {
		sc.Fatal(err)
	}
	cfg.DataDir = dir
	if dial != nil {
		tr, ok := cfg.Transport.(*http.Transport)
		if !ok {
			sc.Fatal("the sandbox's transport is of another type")
		}
		tr.DialContext = dial
	}
	c, err := openOurs(cfg, sc.o)
	if err != nil {
		sc.Fatal(err)
	}
	sc.Cleanup(c.close)
	return c
}

// back waits until the default address is used again and says so when it takes too long.
func (sc *scene) back(what string, c counter) {
	sc.Helper()
	for began := time.Now(); time.Since(began) <= backLimit; time.Sleep(10 * time.Second) {
		if v := sc.check(c, 0); v.err == nil && !v.got.otherwise {
			return
		}
	}
	sc.Errorf("%s: the default address is not used again within %v", what, backLimit)
}

// recoverLimit is how long after the end of a fault calls may go on failing: one and a half times the longest time that
// a breaker stays open (dossier 08, figure 2).
const recoverLimit = 3 * time.Minute

// loginLimit is that after an outage of the login service, whose pauses between two logins that nobody asks for grow
// with the outage.
const loginLimit = sts.LoginRetryLong + recoverLimit

// recovers waits until a call is answered and returns what was seen since the start.
func (sc *scene) recovers(what string, c counter, limit time.Duration) seen {
	sc.Helper()
	before := sc.totals()
	var v seen
	for began := time.Now(); time.Since(began) <= limit; time.Sleep(10 * time.Second) {
		if v = sc.check(c, 0); v.err == nil {
			return sc.since(before, v)
		}
	}
	sc.Errorf("%s: no answer within %v: %v", what, limit, v.err)
	return sc.since(before, v)
}

// outcome compares what the error of a write says.
func (sc *scene) outcome(what string, v seen, want fault.Outcome) {
	sc.Helper()
	if v.err == nil || fault.OutcomeOf(v.err) != want {
		sc.Errorf("%s: outcome %v, want %v (error %v)", what, fault.OutcomeOf(v.err), want, v.err)
	}
	notice := map[fault.Outcome]string{fault.Unknown: "D-UNSURE", fault.NotSent: "D-RX-PAPER"}[want]
	if fe, ok := errors.AsType[*fault.Error](v.err); ok && notice != "" && fe.Notice != notice {
		sc.Errorf("%s: notice %s, want %s", what, fe.Notice, notice)
	}
}

// found compares what a query says about a reference with what the application executed.
func (sc *scene) found(what string, c *ours, ref string, want bool) {
	sc.Helper()
	_, found, err := c.app.Query(context.Background(), ref)
	if err != nil || found != want {
		sc.Errorf("%s: query says %v, want %v (error %v)", what, found, want, err)
	}
}

func code(err error) string {
	if fe, ok := errors.AsType[*fault.Error](err); ok {
		return fe.Code
	}
	return ""
}

func TestOurs1Refuses(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.ours()
		heal := sc.fault("genins 0 to_end refuse", "app 0 to_end refuse")
		for _, name := range []string{"A refuses", "next"} {
			v := sc.check(c, 0)
			sc.answered(name, v)
			sc.within(name, v, 0, time.Second)
			sc.asked(name, v, 0, 1, 0)
		}
		v := sc.put(c, "r1")
		sc.answered("A refuses: write", v)
		sc.asked("A refuses: write", v, 0, 1, 1)
		heal()
		sc.back("A refused", c)
	})
	t.Run("both", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			heal := sc.fault("net 0 to_end refuse")
			v := sc.check(c, 0)
			sc.failed("both refuse", v)
			sc.within("both refuse", v, 0, checkLimit)
			sc.asked("both refuse", v, 0, 0, 0)
			if fe, ok := errors.AsType[*fault.Error](v.err); !ok || fe.Outcome != fault.NotSent || fe.Notice != "D-INS-UNKNOWN" {
				sc.Errorf("both refuse: %+v", fe)
			}
			v = sc.put(c, "r1")
			sc.outcome("both refuse: write", v, fault.NotSent)
			sc.within("both refuse: write", v, 0, putLimit)
			began := time.Now()
			if err := c.login(context.Background()); fault.OutcomeOf(err) != fault.NotSent || time.Since(began) > sts.DefaultTimeout {
				sc.Errorf("login, STS refuses: %v after %v", err, time.Since(began))
			}
			heal()
			sc.recovers("recovered", c, recoverLimit)
			if err := c.login(context.Background()); err != nil {
				sc.Errorf("login, recovered: %v", err)
			}
		})
	})
}

func TestOurs2Hangs(t *testing.T) {
	for _, row := range []struct {
		fault string
		most  int // requests at A: a connection that is never made reaches nobody
	}{{"hang", 1}, {"blackhole", 0}} {
		t.Run(row.fault, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				heal := sc.fault("genins 0 to_end " + row.fault)
				v := sc.check(c, 0)
				sc.answered("A "+row.fault, v)
				sc.within("A "+row.fault, v, 0, checkLimit)
				sc.asked("A "+row.fault, v, row.most, 1, 0)
				v = sc.check(c, 0)
				sc.within("next", v, 0, time.Second)
				sc.asked("next", v, 0, 1, 0)
				heal()
				sc.back("A "+row.fault, c)
			})
		})
	}
	t.Run("8 callers", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			sc.fault("genins 0 to_end hang")
			v := sc.many(c, 8)
			if v.err != nil {
				sc.Error(v.err)
			}
			sc.within("A hangs", v, 0, checkLimit)
			if v.a > 8 || v.b != 8 {
				sc.Errorf("A asked %d times, B %d times", v.a, v.b)
			}
			if v = sc.many(c, 8); v.err != nil || v.a > 0 || v.took > time.Second {
				sc.Errorf("the next 8: %v, A asked %d times, %v", v.took, v.a, v.err)
			}
		})
	})
	t.Run("trickles", func(t *testing.T) {
		play(t, func(sc *scene) {
			slow := false
			c := sc.oursVia(func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := sc.s.Dial(ctx, network, addr)
				if slow && err == nil && strings.HasPrefix(addr, "genins.") {
					conn = &trickle{Conn: conn}
				}
				return conn, err
			}, "")
			sc.check(c, 0)
			time.Sleep(5 * time.Minute) // connections of then are gone
			slow = true
			v := sc.check(c, 0)
			sc.answered("A trickles bytes: the limit is on the whole", v)
			sc.within("A trickles bytes", v, 0, checkLimit)
			sc.asked("A trickles bytes", v, 1, 1, 0)
		})
	})
}

func TestOurs2Writes(t *testing.T) {
	for _, row := range []struct {
		name, fault string
		w           int
	}{
		{"A hangs", "hang", 0},
		{"A executes and hangs", "hang exec=1", 1},
		{"A executes after the deadline", "slow median_ms=50000;sigma=0;late=1", 1},
		{"A is slow", "slow median_ms=50000;sigma=0", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				before := sc.totals()
				heal := sc.fault("app 0 to_end " + row.fault)
				v := sc.put(c, "r1")
				sc.outcome(row.name, v, fault.Unknown)
				sc.within(row.name, v, 0, putLimit)
				time.Sleep(5 * time.Minute)
				sc.asked(row.name+": never sent again", sc.since(before, v), 1, 0, row.w)
				heal()
				time.Sleep(5 * time.Minute)
				sc.found(row.name, c, "r1", row.w > 0)
			})
		})
	}
	t.Run("A drops SYN", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			sc.fault("app 0 to_end blackhole")
			v := sc.put(c, "r1")
			sc.answered("certainly not sent, so B may be asked", v)
			sc.within("A drops SYN", v, 0, putLimit)
			sc.asked("A drops SYN", v, 0, 1, 1)
		})
	})
}

func TestOurs3BothHang(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.ours()
		heal := sc.fault("genins 0 to_end hang", "genins-direct 0 to_end hang", "app 0 to_end hang", "app-direct 0 to_end hang")
		v := sc.check(c, 0)
		sc.failed("both hang", v)
		sc.within("both hang", v, 0, checkLimit)
		if fe, ok := errors.AsType[*fault.Error](v.err); !ok || fe.Kind != fault.Timeout || fe.Notice != "D-INS-UNKNOWN" {
			sc.Errorf("both hang: %+v", fe)
		}
		sc.asked("both hang", v, 1, 1, 0)
		before := sc.totals()
		v = sc.put(c, "r1")
		sc.outcome("both hang: write", v, fault.Unknown)
		sc.within("both hang: write", v, 0, putLimit)
		time.Sleep(5 * time.Minute)
		sc.asked("both hang: write", sc.since(before, v), 1, 0, 0)
		v = sc.many(c, 8)
		sc.failed("8 callers", v)
		sc.within("8 callers", v, 0, checkLimit)
		if v.a > 8 || v.b > 8 {
			sc.Errorf("8 callers asked A %d times, B %d times", v.a, v.b)
		}
		heal()
		sc.back("both hung", c)
	})
	t.Run("fails fast", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			heal := sc.fault("genins 0 to_end hang", "genins-direct 0 to_end hang")
			for range 12 { // more than the breaker needs
				sc.check(c, 0)
			}
			v := sc.many(c, 8)
			sc.failed("8 callers, breakers open", v)
			if v.a > 1 || v.b > 1 { // a probe each, at most
				sc.Errorf("breakers open: asked A %d times, B %d times", v.a, v.b)
			}
			began := time.Now()
			fast := 0
			for range 10 {
				if v := sc.check(c, 0); v.took < 100*time.Millisecond && v.a+v.b == 0 {
					fast++
				}
			}
			if fast < 8 {
				sc.Errorf("only %d of 10 calls failed at once, in %v", fast, time.Since(began))
			}
			heal()
			sc.recovers("healthy", c, recoverLimit)
		})
	})
}

func TestOurs4LostAnswer(t *testing.T) {
	for _, row := range []string{"lost_ack p=1;max=1", "lost_ack p=1"} {
		t.Run(row, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				heal := sc.fault("app 0 to_end " + row)
				v := sc.put(c, "r1")
				sc.outcome(row, v, fault.Unknown)
				sc.within(row, v, 0, putLimit)
				sc.asked(row, v, 1, 0, 1)
				v = sc.put(c, "r2") // another write: it may go to B
				sc.asked(row+": next", v, v.a, 1-v.a, 1)
				heal()
				time.Sleep(5 * time.Minute)
				sc.found(row, c, "r1", true)
				for _, e := range sc.s.AppExecutions() {
					if e.Nth > 1 {
						sc.Errorf("%s was executed %d times", e.Reference, e.Nth)
					}
				}
			})
		})
	}
	t.Run("cut in the middle", func(t *testing.T) {
		play(t, func(sc *scene) {
			left, dialled := 1<<30, 0
			c := sc.oursVia(func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := sc.s.Dial(ctx, network, addr)
				if err != nil || !strings.HasPrefix(addr, "genins.") {
					return conn, err
				}
				dialled++
				if dialled == 2 {
					return cutConn{conn, &left}, nil
				}
				n := 1 << 30
				return cutConn{conn, &n}, nil
			}, "")
			sc.answered("whole", sc.check(c, 0))
			time.Sleep(5 * time.Minute) // the connection of then is gone
			left = 3000                 // within the answer: TLS alone takes less, all together takes more
			v := sc.check(c, 0)
			sc.answered("cut in the middle: asked again", v)
			sc.within("cut in the middle", v, 0, checkLimit)
			if v.a+v.b != 2 || left > 0 {
				sc.Errorf("A asked %d times, B %d times, %d bytes left", v.a, v.b, left)
			}
		})
	})
}

func TestOurs5NotAuthenticated(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.ours()
		heal := sc.fault("genins 0 to_end fault code=SOA-01001;max=1")
		v := sc.check(c, 0)
		sc.answered("once: the token is renewed", v)
		sc.asked("once", v, 2, 0, 0)
		if v.sts == 0 {
			sc.Error("the token was not renewed")
		}
		heal()
		time.Sleep(10 * time.Minute)
		for _, rows := range [][]string{
			{"genins 0 to_end fault code=SOA-01001"},
			{"genins 0 to_end fault code=SOA-01001", "genins-direct 0 to_end fault code=SOA-01001"},
		} {
			heal = sc.fault(rows...)
			v = sc.check(c, 0)
			sc.failed("always", v)
			sc.within("always", v, 0, checkLimit)
			if fault.KindOf(v.err) != fault.Denied || v.a > 2 || v.b > 0 || v.sts > 2 {
				sc.Errorf("always: %v; A asked %d times, B %d times, the STS %d times", v.err, v.a, v.b, v.sts)
			}
			heal()
			sc.asked("nothing has moved", sc.check(c, 0), 1, 0, 0)
			time.Sleep(10 * time.Minute)
		}
		heal = sc.fault("genins 0 to_end fault code=SOA-01002")
		v = sc.check(c, 0)
		if fault.KindOf(v.err) != fault.Denied || v.sts > 0 {
			sc.Errorf("not authorised: %v, the STS asked %d times", v.err, v.sts)
		}
		sc.asked("not authorised", v, 1, 0, 0)
		heal()
		sc.asked("not authorised: nothing has moved", sc.check(c, 0), 1, 0, 0)
	})
}

func TestOurs5NotAvailable(t *testing.T) {
	for _, row := range []struct {
		fault string
		most  int // requests at A
	}{
		{"code=SOA-02001", 1},
		{"code=SOA-02002", 2},
		{"code=SOA-02002;retry=true", 2},
		{"code=SOA-02002;retry=false", 1},
	} {
		t.Run(row.fault, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				heal := sc.fault("genins 0 to_end fault "+row.fault, "app 0 to_end fault "+row.fault)
				v := sc.check(c, 0)
				sc.answered("A only", v)
				sc.within("A only", v, 0, checkLimit)
				if v.a > row.most || v.b != 1 {
					sc.Errorf("A only: A asked %d times, B %d times", v.a, v.b)
				}
				v = sc.put(c, "r1")
				sc.answered("A only: write", v)
				if v.w != 1 || v.b != 1 {
					sc.Errorf("A only: executed %d times, B asked %d times", v.w, v.b)
				}
				heal()
				sc.back("A only", c)
				sc.fault("genins 0 to_end fault "+row.fault, "genins-direct 0 to_end fault "+row.fault)
				v = sc.check(c, 0)
				sc.within("both", v, 0, checkLimit)
				if code(v.err) != row.fault[5:14] || v.sts > 0 || v.a > 3 || v.b > 3 {
					sc.Errorf("both: %v; A asked %d times, B %d times, the STS %d times", v.err, v.a, v.b, v.sts)
				}
			})
		})
	}
}

func TestOurs6HTTP(t *testing.T) {
	for _, row := range []struct {
		status  int
		answers bool // B may be asked the question
		outcome fault.Outcome
	}{
		{503, true, fault.Done}, // says itself that it did nothing, so a write may go to B
		{500, true, fault.Unknown},
		{502, true, fault.Unknown},
		{200, true, fault.Unknown},
		{429, true, fault.Done},
		{404, false, fault.Rejected},
		{401, false, fault.Rejected},
	} {
		t.Run(fmt.Sprint(row.status), func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				rows := fmt.Sprintf(" 0 to_end http status=%d;body=html", row.status)
				heal := sc.fault("genins"+rows, "app"+rows)
				v := sc.check(c, 0)
				sc.within("question", v, 0, checkLimit)
				if row.answers {
					sc.answered("question", v)
				} else {
					sc.failed("question: our own configuration is wrong", v)
					sc.asked("question", v, 1, 0, 0)
				}
				v = sc.put(c, "r1")
				sc.within("write", v, 0, putLimit)
				if row.outcome == fault.Done {
					sc.answered("write", v)
					sc.asked("write", v, v.a, v.b, 1)
				} else {
					sc.outcome("write", v, row.outcome)
					sc.asked("write", v, 1, 0, 0)
				}
				heal()
				sc.back("the process has not moved", c)
			})
		})
	}
}

func TestOurs7TellsTheFault(t *testing.T) {
	const lost, gone, wsdl, hang = "fault code=SOA-02002", "http status=404;body=html", "fault code=SOA-03005", "hang"
	for _, row := range []struct {
		name, a, b string
		atB        bool // A rests, so that B is asked first
		want       string
	}{
		{"A SOA-02002, B 404", lost, gone, false, "SOA-02002"},
		{"B 404 first, A SOA-02002 last", lost, gone, true, "SOA-02002"},
		{"A SOA-02002, B SOA-03005", lost, wsdl, false, "SOA-0"},
		{"A hangs, B SOA-02002", hang, lost, false, "SOA-02002"},
		{"A SOA-02002, B hangs", lost, hang, false, "SOA-02002"},
	} {
		t.Run(row.name, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				if row.atB {
					heal := sc.fault("genins 0 to_end refuse")
					sc.check(c, 0)
					heal()
				}
				heal := sc.fault("genins 0 to_end "+row.a, "genins-direct 0 to_end "+row.b)
				v := sc.check(c, 0)
				sc.within(row.name, v, 0, checkLimit)
				if !strings.HasPrefix(code(v.err), row.want) {
					sc.Errorf("code %q, error %v", code(v.err), v.err)
				}
				heal()
				sc.back(row.name, c)
			})
		})
	}
}
