package drill

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func TestOurs8Login(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.ours()
		heal := sc.fault("sts 0 to_end hang")
		for _, v := range []seen{sc.check(c, 0), sc.put(c, "r1")} {
			sc.answered("STS hangs, token valid", v)
			if v.sts != 0 || v.a != 1 || v.b != 0 {
				sc.Errorf("STS hangs, token valid: %+v", v)
			}
		}
		time.Sleep(tokenValidity + time.Hour)
		v := sc.check(c, 0)
		sc.failed("token expired, STS hangs", v)
		sc.within("token expired, STS hangs", v, 0, checkLimit)
		sc.asked("token expired: it is not sent", v, 0, 0, 0)
		if fe, ok := errors.AsType[*fault.Error](v.err); !ok || fe.Notice != "D-AUTH-NONE" {
			sc.Errorf("token expired, STS hangs: %+v", fe)
		}
		v = sc.put(c, "r2")
		sc.within("token expired, STS hangs: write", v, 0, putLimit)
		if fault.OutcomeOf(v.err) != fault.NotSent || v.w != 0 {
			sc.Errorf("token expired, STS hangs: write: %v, executed %d times", v.err, v.w)
		}
		heal()
		if v = sc.recovers("STS healthy: renewed by itself", c, loginLimit); v.sts == 0 {
			sc.Error("nobody asked the STS, and the call was answered")
		}
	})
	for _, row := range []string{"hang", "http status=503;body=html", "fault code=SOA-02002"} {
		t.Run("process start, STS "+row, func(t *testing.T) {
			play(t, func(sc *scene) {
				heal := sc.fault("sts 0 to_end " + row)
				c := sc.oursVia(nil, "")
				v := sc.check(c, 0)
				sc.failed("first call", v)
				sc.within("first call", v, 0, checkLimit)
				sc.asked("first call", v, 0, 0, 0)
				before := sc.totals()
				v = sc.many(c, 20)
				if v.sts > 6 { // one login's attempts, not twenty
					sc.Errorf("20 callers asked the STS %d times", v.sts)
				}
				sc.within("20 callers", v, 0, checkLimit)
				heal()
				sc.recovers("STS healthy", c, loginLimit)
				if n := sc.since(before, seen{}).sts; n > 12 {
					sc.Errorf("%d requests to the STS until it was healthy", n)
				}
			})
		})
	}
	t.Run("restart while the STS hangs", func(t *testing.T) {
		play(t, func(sc *scene) {
			dir := sc.TempDir()
			first := sc.oursVia(nil, dir)
			sc.answered("before", sc.check(first, 0))
			first.close()
			sc.fault("sts 0 to_end hang")
			v := sc.check(sc.oursVia(nil, dir), 0)
			sc.answered("the token was kept", v)
			if v.sts != 0 {
				sc.Errorf("the STS was asked %d times", v.sts)
			}
		})
	})
}

func TestOurs9WrongAsker(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.ours()
		sc.check(c, 0)
		sc.put(c, "first")
		heal := sc.fault("genins 0 to_end misroute p=1", "app 0 to_end misroute p=1")
		v := sc.check(c, 1)
		sc.within("question", v, 0, checkLimit)
		if v.err != nil || v.got.of != sc.patient(1).SSIN.Reveal() {
			sc.Errorf("question: error %v, or another patient's answer was shown", v.err)
		}
		v = sc.put(c, "second")
		sc.outcome("write", v, fault.Unknown)
		sc.asked("write", v, 1, 0, 1)
		heal()
		time.Sleep(5 * time.Minute)
		sc.found("write", c, "second", true)
	})
	t.Run("both", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			sc.check(c, 0)
			heal := sc.fault("genins 0 to_end refuse")
			sc.check(c, 0)
			heal()
			time.Sleep(5 * time.Minute)
			sc.fault("genins 0 to_end misroute p=1", "genins-direct 0 to_end misroute p=1")
			v := sc.check(c, 1)
			if v.err == nil || code(v.err) != "" || fault.KindOf(v.err) != fault.Security {
				sc.Errorf("error %v", v.err)
			}
			sc.within("both", v, 0, checkLimit)
		})
	})
}

// follows waits until calls go to B (or to A), as a new list orders.
func (sc *scene) follows(what string, c counter, otherwise bool, limit time.Duration) {
	sc.Helper()
	for began := time.Now(); time.Since(began) <= limit; time.Sleep(time.Minute) {
		if v := sc.check(c, 0); v.err == nil && v.got.otherwise == otherwise {
			return
		}
	}
	sc.Errorf("%s: not followed within %v", what, limit)
}

func TestOurs10List(t *testing.T) {
	for _, d := range []sandbox.Defect{
		sandbox.ListBadSignature, sandbox.ListUnsigned, sandbox.ListHTML, sandbox.ListSelfSigned, sandbox.ListForeignCA, sandbox.ListPerson,
		sandbox.ListOld, sandbox.ListEnvironment, sandbox.ListWrapped, sandbox.ListUnknownHost, sandbox.ListDTD, sandbox.ListHTTP500,
	} {
		t.Run(string(d), func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				sc.setList(sandbox.ListState{Set: listSet})
				sc.follows("a good list", c, true, listLag)
				sc.setList(sandbox.ListState{})
				sc.follows("a good list, back", c, false, listLag+backLimit)
				sc.setList(sandbox.ListState{Set: listSet, Defect: d})
				for range 12 {
					time.Sleep(5 * time.Minute)
					sc.asked("a bad list", sc.check(c, 0), 1, 0, 0)
				}
			})
		})
	}
	t.Run("server never answers", func(t *testing.T) {
		play(t, func(sc *scene) {
			sc.fault("servicelist 0 to_end hang")
			began := time.Now()
			c := sc.oursVia(nil, "")
			sc.answered("start", sc.check(c, 0))
			if took := time.Since(began); took > checkLimit {
				sc.Errorf("the first answer took %v", took)
			}
		})
	})
}

func TestOurs11List(t *testing.T) {
	t.Run("list names B while A is healthy", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			time.Sleep(time.Hour)
			sc.setList(sandbox.ListState{Set: listSet})
			sc.follows("list names B", c, true, listLag)
		})
	})
	t.Run("list names B, B fails, A fails", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			sc.setList(sandbox.ListState{Set: listSet})
			sc.follows("list names B", c, true, listLag)
			heal := sc.fault("genins-direct 0 to_end refuse")
			v := sc.check(c, 0)
			sc.answered("B fails", v)
			sc.within("B fails", v, 0, time.Second)
			heal()
			time.Sleep(backLimit)
			sc.fault("genins 0 to_end refuse")
			sc.answered("A fails", sc.check(c, 0))
			sc.setList(sandbox.ListState{})
			before := sc.totals()
			time.Sleep(listLag)
			if sc.since(before, seen{}).list == 0 {
				sc.Error("a new list would not be noticed")
			}
		})
	})
	t.Run("A refused once, list unchanged", func(t *testing.T) {
		play(t, func(sc *scene) {
			c := sc.ours()
			heal := sc.fault("genins 0 to_end refuse")
			sc.check(c, 0)
			heal()
			sc.back("A healthy again", c)
		})
	})
	for _, row := range []string{"hang", "http status=503;body=html"} {
		t.Run("list re-issued meanwhile, A "+row, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.ours()
				sc.setList(sandbox.ListState{Set: []sandbox.ListEntry{{Service: "genins", Order: 1}}})
				time.Sleep(time.Minute)
				sc.fault("genins 0 to_end " + row)
				for _, name := range []string{"A fails", "next"} {
					v := sc.check(c, 0)
					sc.answered(name, v)
					sc.within(name, v, 0, checkLimit)
				}
			})
		})
	}
}
