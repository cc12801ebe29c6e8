package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The tests of this file play the scenarios of dossier 12 with the connector-like client and assert what the dossier
// measured with the official connector: time, what the caller gets, requests at A and B, executions, and the state
// afterwards. Their names are those of its rows. Times are the default ones: 30 s where it ran with 3.
//
// The rows about eHealthBox are in dossier12_mail_connector_test.go. Not copied, because the sandbox has no such service
// yet or because it is no default: the last row (ETK depot, KGSS), retryPost=false, automatic renewal.

// A single time-out of the connector, with what its own work adds.
const (
	oneTimeout = 30 * time.Second
	slack      = 500 * time.Millisecond
	instant    = 400 * time.Millisecond
)

// process starts a connector-like client and opens its session.
func (sc *scene) process(opt connectorOptions) *connector {
	sc.Helper()
	c, err := startConnector(sc.s, sc.o, opt)
	if err != nil {
		sc.Fatal(err)
	}
	sc.Cleanup(c.close)
	if _, err := c.session(context.Background()); err != nil {
		sc.Fatal(err)
	}
	return c
}

// alone starts one that has no list, so that every service has one address.
func (sc *scene) alone() *connector {
	sc.Helper()
	defer sc.fault("servicelist 0 to_end http status=404;body=empty")()
	return sc.process(connectorOptions{})
}

func TestConnector1Refuses(t *testing.T) {
	play(t, func(sc *scene) {
		disk := &connectorDisk{}
		c := sc.process(connectorOptions{disk: disk})
		heal := sc.fault("genins 0 to_end refuse", "app 0 to_end refuse")
		v := sc.check(c, 0)
		sc.answered("two: genins", v)
		sc.within("two: genins", v, 0, instant)
		sc.asked("two: genins", v, 0, 1, 0)
		if v.list != 1 {
			sc.Errorf("the list server was asked %d times, want once for .sha2", v.list)
		}
		sc.asked("next", sc.check(c, 0), 0, 1, 0)
		v = sc.put(c, "r1")
		sc.answered("two: create", v)
		sc.asked("two: create, the switch is per service", v, 0, 1, 1)
		heal()
		sc.asked("A healthy: stays on B", sc.check(c, 0), 0, 1, 0)
		sc.asked("restart: A again", sc.check(sc.process(connectorOptions{disk: disk}), 0), 1, 0, 0)

		one := sc.alone()
		heal = sc.fault("genins 0 to_end refuse")
		for range 2 {
			v = sc.check(one, 0)
			sc.failed("one", v)
			sc.within("one", v, 0, instant)
			sc.asked("one: tries again each call", v, 0, 0, 0)
		}
		heal()
		sc.asked("one: recovers at once", sc.check(one, 0), 1, 0, 0)

		c = sc.process(connectorOptions{})
		heal = sc.fault("genins 0 to_end refuse", "genins-direct 0 to_end refuse")
		v = sc.check(c, 0)
		sc.failed("both refuse", v)
		sc.within("both refuse", v, 0, instant)
		sc.asked("both refuse", v, 0, 0, 0)
		heal()
		sc.answered("both: recovers at once", sc.check(c, 0))
	})
}

func TestConnector2Hangs(t *testing.T) {
	play(t, func(sc *scene) {
		for _, row := range []struct {
			name, fault string
			a           int // a connection that is never made reaches nobody
		}{{"A hangs", "hang", 1}, {"A drops SYN", "blackhole", 0}} {
			c := sc.process(connectorOptions{})
			heal := sc.fault("genins 0 to_end "+row.fault, "app 0 to_end "+row.fault)
			v := sc.check(c, 0)
			sc.answered(row.name, v)
			sc.within(row.name, v, oneTimeout, oneTimeout+slack)
			sc.asked(row.name, v, row.a, 1, 0)
			v = sc.check(c, 0)
			sc.within(row.name+": next", v, 0, instant)
			sc.asked(row.name+": next", v, 0, 1, 0)
			v = sc.put(c, row.name)
			sc.answered(row.name+": create", v)
			sc.within(row.name+": create", v, oneTimeout, oneTimeout+slack)
			sc.asked(row.name+": create", v, row.a, 1, 1)
			heal()
			sc.asked(row.name+": A healthy, stays on B", sc.check(c, 0), 0, 1, 0)
		}
	})
}

func TestConnector2ExecutesLate(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.process(connectorOptions{})
		sc.fault("app 0 to_end slow median_ms=50000;sigma=0;late=1")
		before := sc.totals()
		v := sc.put(c, "r1")
		sc.answered("A executes after the time-out", v)
		sc.within("A executes after the time-out", v, oneTimeout, oneTimeout+slack)
		time.Sleep(time.Minute)
		sc.asked("A executes after the time-out", sc.since(before, v), 1, 1, 2)
		if v.got.of != "r1" || sc.s.AppExecuted("r1") != 2 {
			sc.Errorf("shown %+v, executed %d times", v.got, sc.s.AppExecuted("r1"))
		}
	})
}

// trickle is a connection whose bytes come slowly once TLS is set up.
type trickle struct {
	net.Conn
	writes atomic.Int32
}

func (c *trickle) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func (c *trickle) Read(b []byte) (int, error) {
	if c.writes.Load() > 1 { // the first one is the ClientHello
		time.Sleep(time.Second)
		b = b[:min(len(b), 32)]
	}
	return c.Conn.Read(b)
}

func TestConnector2Trickles(t *testing.T) {
	play(t, func(sc *scene) {
		slow := false
		c := sc.process(connectorOptions{dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := sc.s.Dial(ctx, network, addr)
			if slow && err == nil {
				conn = &trickle{Conn: conn}
			}
			return conn, err
		}})
		slow = true
		v := sc.check(c, 0)
		sc.answered("A trickles bytes", v)
		sc.within("A trickles bytes: the limit is per socket read", v, oneTimeout+slack, 10*time.Minute)
		sc.asked("A trickles bytes", v, 1, 0, 0)
	})
}

func TestConnector2And3EightCallers(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.process(connectorOptions{})
		heal := sc.fault("genins 0 to_end hang")
		v := sc.many(c, 8)
		if v.err != nil {
			sc.Error(v.err)
		}
		sc.within("8 callers, A hangs", v, oneTimeout, oneTimeout+slack)
		sc.asked("8 callers, A hangs: each waits its own time-out", v, 8, 8, 0)
		heal()
		c = sc.process(connectorOptions{})
		sc.fault("genins 0 to_end hang", "genins-direct 0 to_end hang")
		v = sc.many(c, 8)
		sc.failed("8 callers, both hang", v)
		sc.within("8 callers, both hang", v, 2*oneTimeout, 2*oneTimeout+2*slack)
		sc.asked("8 callers, both hang: no fail-fast", v, 8, 8, 0)
	})
}

func TestConnector3BothHang(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.process(connectorOptions{})
		heal := sc.fault("genins 0 to_end hang", "genins-direct 0 to_end hang", "app 0 to_end hang", "app-direct 0 to_end hang")
		for _, name := range []string{"both hang", "next call: no breaker"} {
			v := sc.check(c, 0)
			sc.failed(name, v)
			if !isTimeout(v.err) {
				sc.Errorf("%s: %v", name, v.err)
			}
			sc.within(name, v, 2*oneTimeout, 2*oneTimeout+slack)
			sc.asked(name, v, 1, 1, 0)
		}
		v := sc.put(c, "r1")
		sc.failed("both hang: create", v)
		sc.within("both hang: create", v, 2*oneTimeout, 2*oneTimeout+slack)
		sc.asked("both hang: create", v, 1, 1, 0)
		heal()
		v = sc.check(c, 0)
		sc.within("healthy", v, 0, instant)
		sc.asked("healthy: on A", v, 1, 0, 0)
	})
}

func TestConnector4LostAnswer(t *testing.T) {
	play(t, func(sc *scene) {
		for name, c := range map[string]*connector{"two": sc.process(connectorOptions{}), "one": sc.alone()} {
			heal := sc.fault("app 0 to_end lost_ack p=1;max=1")
			v := sc.put(c, "once, "+name)
			sc.answered("once, "+name, v)
			sc.within("once, "+name, v, 0, instant)
			sc.asked("once, "+name, v, 2, 0, 2)
			heal()
			heal = sc.fault("app 0 to_end lost_ack p=1")
			v = sc.put(c, "always, "+name)
			if name == "two" {
				sc.answered("always, two: success", v)
				sc.asked("always, two", v, 2, 1, 3)
				sc.asked("always, two: next is B", sc.put(c, "next"), 0, 1, 1)
			} else {
				sc.failed("always, one", v)
				sc.asked("always, one", v, 2, 0, 2)
				sc.asked("always, one: every further call 2 more", sc.put(c, "further"), 2, 0, 2)
			}
			heal()
		}
		if all := sc.s.AppExecutions(); all[1].Reference != all[0].Reference || all[1].Nth != 2 {
			sc.Errorf("the repeat of the JDK is not the same message: %+v", all[:2])
		}
	})
}

// cutConn ends after so many bytes.
type cutConn struct {
	net.Conn
	left *int
}

func (c cutConn) Read(b []byte) (int, error) {
	if *c.left <= 0 {
		_ = c.Close()
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b[:min(len(b), *c.left)])
	*c.left -= n
	return n, err
}

func TestConnector4CutInTheMiddle(t *testing.T) {
	play(t, func(sc *scene) {
		left := 1 << 30
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := sc.s.Dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return cutConn{conn, &left}, nil
		}
		sc.check(sc.process(connectorOptions{}), 0) // caches of the sandbox are warm
		whole := sc.process(connectorOptions{dial: dial})
		left = 1 << 30
		sc.answered("whole", sc.check(whole, 0))
		size := 1<<30 - left
		c := sc.process(connectorOptions{dial: dial})
		left = size - 100 // the answer comes in several TLS records; the last one is cut
		v := sc.check(c, 0)
		if !errors.Is(v.err, errBroken) {
			sc.Errorf("error %v", v.err)
		}
		sc.asked("cut in the middle: no replay, no switch", v, 1, 0, 0)
		left = 1 << 30
		sc.asked("next: still A", sc.check(c, 0), 1, 0, 0)
	})
}

func TestConnector5Codes(t *testing.T) {
	for i, code := range []string{"SOA-01001", "SOA-01002", "SOA-02001", "SOA-02002"} {
		retry := []string{"", ";retry=true", ";retry=false", ""}[i]
		t.Run(code, func(t *testing.T) {
			play(t, func(sc *scene) {
				at := func(service string) string { return service + " 0 to_end fault code=" + code + retry }
				c := sc.process(connectorOptions{})
				heal := sc.fault(at("genins"), at("app"))
				v := sc.check(c, 0)
				sc.answered("A only", v)
				sc.within("A only", v, 0, instant)
				sc.asked("A only", v, 1, 1, 0)
				sc.asked("create", sc.put(c, "r1"), 1, 1, 1)
				sc.asked("next", sc.check(c, 0), 0, 1, 0)
				heal()
				sc.asked("A healthy: stays on B", sc.check(c, 0), 0, 1, 0)

				c = sc.process(connectorOptions{})
				heal = sc.fault(at("genins"), at("genins-direct"))
				for range 2 {
					v = sc.check(c, 0)
					if fmt.Sprint(v.err) != code {
						sc.Errorf("both: %v", v.err)
					}
					sc.asked("both: wraps back to A, again on each call", v, 1, 1, 0)
				}
				heal()
				sc.asked("both: A", sc.check(c, 0), 1, 0, 0)

				one := sc.alone()
				sc.fault(at("genins"))
				v = sc.check(one, 0)
				if fmt.Sprint(v.err) != code || v.sts != 0 {
					sc.Errorf("one: %v, %d requests to the STS", v.err, v.sts)
				}
				sc.asked("one", v, 1, 0, 0)
			})
		})
	}
}

func TestConnector5OtherFaults(t *testing.T) {
	play(t, func(sc *scene) {
		for _, row := range []string{
			"genins 0 to_end fault code=SOA-00001", "genins 0 to_end fault code=SOA-03005",
			"genins 0 to_end refuse_auth scope=all;code=generic",
		} {
			c := sc.process(connectorOptions{})
			heal := sc.fault(row)
			v := sc.check(c, 0)
			sc.failed(row, v)
			sc.asked(row, v, 1, 0, 0)
			heal()
			sc.asked(row+": stays on A", sc.check(c, 0), 1, 0, 0)
		}
	})
}

func TestConnector6HTTP(t *testing.T) {
	play(t, func(sc *scene) {
		for _, status := range []int{503, 500, 502, 404, 401, 429, 200} {
			row := fmt.Sprintf("0 to_end http status=%d;body=html", status)
			c := sc.process(connectorOptions{})
			heal := sc.fault("genins "+row, "app "+row)
			v := sc.check(c, 0)
			sc.answered(row, v)
			sc.within(row, v, 0, instant)
			sc.asked(row, v, 1, 1, 0)
			sc.asked(row+": create", sc.put(c, row), 1, 1, 1)
			heal()
			sc.asked(row+": the process stays on B", sc.check(c, 0), 0, 1, 0)
			switch status {
			case 503, 500, 404, 200:
				want := fmt.Sprintf("Bad response: (%d", status)
				if status == 500 || status == 200 {
					want = "Invalid Content-Type"
				}
				one := sc.alone()
				heal = sc.fault("genins " + row)
				v = sc.check(one, 0)
				if !strings.Contains(fmt.Sprint(v.err), want) {
					sc.Errorf("%s, one: %v", row, v.err)
				}
				sc.asked(row+", one", v, 1, 0, 0)
				heal()
				sc.answered(row+", one: recovers at once", sc.check(one, 0))
			}
		}
	})
}

func TestConnector7HidesTheFault(t *testing.T) {
	const lost, gone, wsdl, hang = "fault code=SOA-02002", "http status=404;body=html", "fault code=SOA-03005", "hang"
	for _, row := range []struct {
		name, a, b string
		atB        bool // the process starts out on B
		want       string
		after      [2]int // requests of the next call when all is well
	}{
		{"A SOA-02002, B 404", lost, gone, false, "Bad response: (404", [2]int{1, 0}},
		{"B 404 first, A SOA-02002 last", lost, gone, true, "Bad response: (404", [2]int{0, 1}},
		{"A SOA-02002, B SOA-03005", lost, wsdl, false, "SOA-03005", [2]int{0, 1}},
		{"A hangs, B SOA-02002", hang, lost, false, "timeout", [2]int{1, 0}},
		{"A SOA-02002, B hangs", lost, hang, false, "timeout", [2]int{1, 0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.process(connectorOptions{})
				if row.atB {
					heal := sc.fault("genins 0 to_end refuse")
					sc.check(c, 0)
					heal()
				}
				heal := sc.fault("genins 0 to_end "+row.a, "genins-direct 0 to_end "+row.b)
				v := sc.check(c, 0)
				if v.err == nil || !strings.Contains(v.err.Error(), row.want) {
					sc.Errorf("error %v, want %s", v.err, row.want)
				}
				sc.asked(row.name, v, 1, 1, 0)
				heal()
				sc.asked(row.name+": afterwards", sc.check(c, 0), row.after[0], row.after[1], 0)
			})
		})
	}
}
