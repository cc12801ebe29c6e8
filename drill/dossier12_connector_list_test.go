package drill

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

func TestConnector8Login(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.process(connectorOptions{validity: time.Hour})
		heal := sc.fault("sts 0 to_end hang")
		for _, v := range []seen{sc.check(c, 0), sc.put(c, "r1")} {
			sc.answered("STS hangs, token valid", v)
			if v.sts != 0 || v.a != 1 || v.b != 0 {
				sc.Errorf("STS hangs, token valid: %+v", v)
			}
		}
		time.Sleep(2 * time.Hour)
		v := sc.put(c, "r2")
		if !errors.Is(v.err, errSessionOver) || v.sts != 0 {
			sc.Errorf("token expired, create: %v, STS %d", v.err, v.sts)
		}
		sc.asked("token expired, create", v, 0, 0, 0)
		heal()
		v = sc.check(c, 0) // healthy or not: no renewal
		if fmt.Sprint(v.err) != "SOA-01001" || v.sts != 0 {
			sc.Errorf("token expired, genins: %v, STS %d", v.err, v.sts)
		}
		sc.asked("token expired, genins: sent with the expired token, to both", v, 1, 1, 0)

		for _, row := range []struct {
			fault string
			took  time.Duration
		}{{"hang", oneTimeout}, {"http status=503;body=html", 0}, {"fault code=SOA-02002", 0}} {
			fresh, err := startConnector(sc.s, sc.o, connectorOptions{})
			if err != nil {
				sc.Fatal(err)
			}
			heal := sc.fault("sts 0 to_end " + row.fault)
			for range 2 { // the next call tries again; a restart is the same: the token is not kept
				v := sc.check(fresh, 0)
				sc.failed("create session, STS "+row.fault, v)
				sc.within("create session, STS "+row.fault, v, row.took, row.took+slack)
				if v.sts != 1 || v.a+v.b != 0 {
					sc.Errorf("create session, STS %s: %d requests to the STS, %d and %d to the service", row.fault, v.sts, v.a, v.b)
				}
			}
			heal()
			sc.answered("create session, STS healthy", sc.check(fresh, 0))
			fresh.close()
		}
	})
}

func TestConnector9WrongAsker(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.process(connectorOptions{})
		first := sc.check(c, 0)
		sc.put(c, "first")
		sc.fault("genins 0 to_end misroute p=1", "app 0 to_end misroute p=1")
		v := sc.check(c, 1)
		sc.asked("genins", v, 1, 0, 0)
		if v.err != nil || v.got.of != first.got.of || v.got.of == sc.patient(1).SSIN.Reveal() {
			sc.Errorf("the answer about another patient was not shown: %v", v.err)
		}
		v = sc.put(c, "second")
		sc.asked("create", v, 1, 0, 1)
		if v.err != nil || v.got.of != "first" {
			sc.Errorf("shown %q, error %v", v.got.of, v.err)
		}
	})
}

// listSet sends insurability to B.
var listSet = []sandbox.ListEntry{{Service: "genins", Order: 1, Active: true}}

func (sc *scene) setList(st sandbox.ListState) {
	sc.Helper()
	if err := sc.s.SetList(st); err != nil {
		sc.Fatal(err)
	}
}

func TestConnector10ListRejected(t *testing.T) {
	for _, d := range []sandbox.Defect{sandbox.ListBadSignature, sandbox.ListUnsigned, sandbox.ListHTML} {
		t.Run(string(d), func(t *testing.T) {
			play(t, func(sc *scene) {
				disk := &connectorDisk{}
				c := sc.process(connectorOptions{disk: disk})
				sc.setList(sandbox.ListState{Set: listSet, Defect: d})
				c.bcp.update()
				sc.asked("old endpoints stay in memory", sc.check(c, 0), 1, 0, 0)
				before := sc.s.State().Endpoints["servicelist"]
				c.bcp.update()
				after := sc.s.State().Endpoints["servicelist"]
				if after["/servicelist.xml"] != before["/servicelist.xml"] || after["/servicelist.sha2"] != before["/servicelist.sha2"]+1 {
					sc.Errorf("the next update asked %v, before %v", after, before)
				}
				c = sc.process(connectorOptions{disk: disk})
				sc.fault("genins 0 to_end refuse")
				v := sc.check(c, 0)
				sc.failed("after restart: no list, no continuity", v)
				sc.asked("after restart", v, 0, 0, 0)
			})
		})
	}
}

func TestConnector10ListAccepted(t *testing.T) {
	for _, d := range []sandbox.Defect{
		sandbox.ListSelfSigned, sandbox.ListForeignCA, sandbox.ListPerson, sandbox.ListOld, sandbox.ListEnvironment, sandbox.ListWrapped,
	} {
		t.Run(string(d), func(t *testing.T) {
			play(t, func(sc *scene) {
				disk := &connectorDisk{}
				sc.setList(sandbox.ListState{Set: listSet, Defect: d})
				c := sc.process(connectorOptions{disk: disk})
				wantB := 1
				if d == sandbox.ListWrapped {
					wantB = 0 // its unsigned addresses lead to somebody else's host
				}
				sc.asked("calls go where the list says", sc.check(c, 0), 0, wantB, 0)
				sc.fault("servicelist 0 to_end http status=404;body=empty")
				sc.asked("survives a restart", sc.check(sc.process(connectorOptions{disk: disk}), 0), 0, wantB, 0)
			})
		})
	}
}

func TestConnector10ListServer(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.alone()
		if n, _ := c.bcp.addresses(serviceCheck); n != 0 {
			sc.Errorf("%d addresses without a list", n)
		}
		sc.fault("servicelist 0 to_end hang")
		began := time.Now()
		blocked, err := startConnector(sc.s, sc.o, connectorOptions{})
		if err != nil {
			sc.Fatal(err)
		}
		defer blocked.close()
		if took := time.Since(began); took < 100*time.Second {
			sc.Errorf("a list server that never answers held the start up for %v only", took)
		}
	})
}

func TestConnector11ListWhileHealthy(t *testing.T) {
	play(t, func(sc *scene) {
		disk := &connectorDisk{}
		c := sc.process(connectorOptions{disk: disk, poll: time.Minute})
		before := sc.totals()
		sc.setList(sandbox.ListState{Set: listSet})
		time.Sleep(2 * time.Hour)
		sc.asked("list names B while A is healthy: stays on A", sc.check(c, 0), 1, 0, 0)
		if n := sc.since(before, seen{}).list; n != 0 {
			sc.Errorf("%d list requests", n)
		}
		sc.asked("seen at restart", sc.check(sc.process(connectorOptions{disk: disk}), 0), 0, 1, 0)
	})
}

func TestConnector11StaysUntilTheListChanges(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.process(connectorOptions{poll: time.Minute})
		heal := sc.fault("genins 0 to_end refuse")
		before := sc.totals()
		sc.check(c, 0)
		heal()
		time.Sleep(130 * time.Second)
		sc.asked("A healthy again: stays on B", sc.check(c, 0), 0, 1, 0)
		if n := sc.since(before, seen{}).list; n != 3 {
			sc.Errorf("%d list requests, want .sha2 at 0, 60 and 120 s", n)
		}
		sc.setList(sandbox.ListState{Set: []sandbox.ListEntry{{Service: "genins", Order: 1}}}) // re-issued, A still active
		time.Sleep(time.Minute)
		sc.asked("a new list: back to A", sc.check(c, 0), 1, 0, 0)
		before = sc.totals()
		time.Sleep(time.Hour)
		if n := sc.since(before, seen{}).list; n != 0 {
			sc.Errorf("polling goes on: %d requests", n)
		}
	})
}

func TestConnector11ListReissuedMeanwhile(t *testing.T) {
	for _, row := range []struct {
		fault       string
		least, most time.Duration
	}{{"hang", 2 * oneTimeout, 2*oneTimeout + slack}, {"http status=503;body=html", 0, instant}} {
		t.Run(row.fault, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.process(connectorOptions{})
				sc.setList(sandbox.ListState{Set: []sandbox.ListEntry{{Service: "genins", Order: 1}}})
				time.Sleep(time.Minute)
				sc.fault("genins 0 to_end " + row.fault)
				v := sc.check(c, 0)
				sc.failed("B is healthy, and not asked", v)
				sc.within("A twice", v, row.least, row.most)
				sc.asked("A is tried twice, B never", v, 2, 0, 0)
				v = sc.check(c, 0)
				sc.answered("next call", v)
				sc.asked("next call: A again, then B", v, 1, 1, 0)
			})
		})
	}
}

func TestConnector11BackOnTheDefault(t *testing.T) {
	for _, row := range []struct {
		name string
		set  []sandbox.ListEntry
		poll int // list requests in 135 s
	}{
		{"alone in the list", []sandbox.ListEntry{{Service: "app", Order: 1, Active: true}}, 0},
		{"a second service still on B", append(listSet, sandbox.ListEntry{Service: "app", Order: 1, Active: true}), 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.setList(sandbox.ListState{Set: row.set})
				c := sc.process(connectorOptions{poll: time.Minute})
				before := sc.totals()
				heal := sc.fault("app-direct 0 to_end refuse")
				sc.asked("B fails: back to A", sc.put(c, "r1"), 1, 0, 1)
				heal()
				sc.fault("app 0 to_end refuse")
				v := sc.put(c, "r2")
				sc.answered("A fails", v)
				sc.asked("A fails: B", v, 0, 1, 1)
				time.Sleep(135 * time.Second)
				if n := sc.since(before, seen{}).list; n != row.poll {
					sc.Errorf("%d list requests in 135 s, want %d", n, row.poll)
				}
			})
		})
	}
}
