package drill

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The tests of this file play the rows of dossier 12 about recipe-create with the connector-like client: scenarios 1, 2, 3,
// 4, 8 and 9, and the row about the ETK depot and the key service.

func TestConnectorRecipe1Refuses(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.practice(connectorOptions{})
		heal := sc.fault("recipe-presc 0 to_end refuse")
		v := sc.create(c, 0)
		sc.rid("two", v, 0)
		sc.within("two", v.seen, 0, instant)
		sc.made("two: switches by itself", v, 0, 1, 1)
		heal()
		sc.made("A healthy: stays on B", sc.create(c, 0), 0, 1, 1)

		c = sc.practice(connectorOptions{})
		heal = sc.both("refuse")
		v = sc.create(c, 0)
		sc.failed("both", v.seen)
		sc.made("both", v, 0, 0, 0)
		heal()
		sc.rid("both: recovers at once", sc.create(c, 0), 0)
	})
}

func TestConnectorRecipe2Hangs(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.practice(connectorOptions{})
		heal := sc.fault("recipe-presc 0 to_end hang")
		v := sc.create(c, 0)
		sc.rid("A hangs", v, 0)
		sc.within("A hangs", v.seen, oneTimeout, oneTimeout+slack)
		sc.made("A hangs", v, 1, 1, 1)
		v = sc.create(c, 0)
		sc.within("next", v.seen, 0, instant)
		sc.made("next", v, 0, 1, 1)
		heal()
	})
}

func TestConnectorRecipe2ExecutesLate(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.practice(connectorOptions{})
		sc.fault("recipe-presc 0 to_end slow median_ms=50000;sigma=0;late=1")
		v := sc.create(c, 0)
		sc.rid("A executes late", v, 0)
		sc.within("A executes late", v.seen, oneTimeout, oneTimeout+slack)
		time.Sleep(time.Minute)
		sc.made("A executes late: both", sc.rxSince(rxSeen{}, rxSeen{}), 1, 1, 2)
		if n := sc.prescriptions(0); n != 2 {
			sc.Errorf("%d prescriptions of the patient, and the doctor knows of one", n)
		}
	})
}

func TestConnectorRecipe3BothHang(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.practice(connectorOptions{})
		heal := sc.both("hang")
		for _, what := range []string{"both hang", "again: no breaker"} {
			v := sc.create(c, 0)
			sc.failed(what, v.seen)
			sc.within(what, v.seen, 2*oneTimeout, 2*oneTimeout+slack)
			sc.made(what, v, 1, 1, 0)
		}
		heal()
		v := sc.create(c, 0)
		sc.rid("healthy", v, 0)
		sc.within("healthy", v.seen, 0, instant)
	})
}

func TestConnectorRecipe4LostAnswer(t *testing.T) {
	play(t, func(sc *scene) {
		sc.s.SetAcceptReplays(true)
		for name, c := range map[string]*plainRecipe{"two": sc.practice(connectorOptions{}), "one": sc.single()} {
			heal := sc.fault("recipe-presc 0 to_end lost_ack p=1;max=1")
			v := sc.create(c, 0)
			sc.rid(name+", once: success", v, 0)
			sc.made(name+", once", v, 2, 0, 2)
			heal()
		}
		c := sc.practice(connectorOptions{})
		heal := sc.fault("recipe-presc 0 to_end lost_ack p=1")
		v := sc.create(c, 1)
		sc.rid("two, always: success", v, 1)
		sc.made("two, always", v, 2, 1, 3)
		sc.made("two, always: next", sc.create(c, 1), 0, 1, 1)
		if n := sc.prescriptions(1); n != 4 {
			sc.Errorf("%d prescriptions of the patient, and the doctor knows of two", n)
		}
		one := sc.single()
		v = sc.create(one, 2)
		sc.failed("one, always", v.seen)
		sc.made("one, always", v, 2, 0, 2)
		sc.made("one, always: every further call 2 more", sc.create(one, 2), 2, 0, 2)
		heal()
	})
}

// TestConnectorRecipe4Endings: the same over TLS, however the connection ends.
func TestConnectorRecipe4Endings(t *testing.T) {
	for _, how := range []string{fin, notify, rst} {
		t.Run(how, func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetAcceptReplays(true)
				w := newWireTo(sc, prescHost)
				c := sc.practiceOver(w)
				w.set(&ending{how: how})
				heal := sc.fault("recipe-presc 0 to_end lost_ack p=1;max=1")
				v := sc.create(c, 0)
				sc.rid("cut once: success", v, 0)
				sc.made("cut once", v, 2, 0, 2)
				heal()
				w.set(&ending{how: how, middle: true})
				v = sc.create(c, 1)
				if !errors.Is(v.err, errBroken) {
					sc.Errorf("cut in the middle: %v", v.err)
				}
				sc.made("cut in the middle: no replay, no switch", v, 1, 0, 1)
				w.set(nil)
				v = sc.create(c, 1)
				sc.rid("next: still A", v, 1)
				sc.made("next: still A", v, 1, 0, 1)
			})
		})
	}
}

func TestConnectorRecipe5Codes(t *testing.T) {
	for _, code := range []string{"SOA-01001", "SOA-01002", "SOA-02001", "SOA-02002"} {
		t.Run(code, func(t *testing.T) {
			play(t, func(sc *scene) {
				c := sc.practice(connectorOptions{})
				sc.fault("recipe-presc 0 to_end fault code=" + code)
				v := sc.create(c, 0)
				sc.rid("A only", v, 0)
				sc.made("A only", v, 1, 1, 1)
			})
		})
	}
}

func TestConnectorRecipe8Session(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.practice(connectorOptions{})
		heal := sc.fault("sts 0 to_end hang")
		v := sc.create(c, 0)
		sc.rid("STS hangs, token valid", v, 0)
		sc.within("STS hangs, token valid", v.seen, 0, instant)
		sc.made("STS hangs, token valid", v, 1, 0, 1)
		heal()
		c = sc.practice(connectorOptions{validity: 30 * time.Minute})
		time.Sleep(time.Hour)
		v = sc.create(c, 0)
		if !errors.Is(v.err, errSessionOver) || v.sts != 0 {
			sc.Errorf("expired: %v, %d requests to the STS", v.err, v.sts)
		}
		sc.made("expired", v, 0, 0, 0)
	})
}

// TestConnectorRecipe9Misrouted: the answer to the previous create opens, since the key is the same, and is shown.
func TestConnectorRecipe9Misrouted(t *testing.T) {
	play(t, func(sc *scene) {
		c := sc.practice(connectorOptions{})
		first := sc.create(c, 0)
		sc.rid("the previous one", first, 0)
		heal := sc.fault("recipe-presc 0 to_end misroute p=1;max=1")
		v := sc.create(c, 1)
		if v.err != nil || v.rid != first.rid {
			sc.Errorf("misrouted: want the previous RID: %v", v.err)
		}
		sc.made("misrouted: executed, and its RID is lost", v, 1, 0, 1)
		heal()
		if n := sc.prescriptions(1); n != 1 {
			sc.Errorf("%d prescriptions of the patient, and the doctor knows of none", n)
		}
	})
}

// TestConnectorRecipeKeys is the row about the ETK depot and the key service.
func TestConnectorRecipeKeys(t *testing.T) {
	for _, service := range []string{"etk", "kgss"} {
		for _, row := range []struct {
			fault, want string
			took        time.Duration
		}{
			{"hang", "[ERR500004]", oneTimeout},
			{"http status=503;body=html", "[ERR500004]", 0},
			{"fault code=SOA-02002", "[ERR200018]", 0},
		} {
			t.Run(service+" "+row.fault, func(t *testing.T) {
				play(t, func(sc *scene) {
					c := sc.practice(connectorOptions{})
					heal := sc.fault(fmt.Sprintf("%s 0 to_end %s", service, row.fault))
					v := sc.create(c, 0)
					if v.err == nil || !strings.Contains(v.err.Error(), row.want) {
						sc.Errorf("first: error %v, want %s", v.err, row.want)
					}
					sc.within("first", v.seen, row.took, row.took+slack)
					sc.made("first", v, 0, 0, 0)
					if n := map[string]int{"etk": v.etk, "kgss": v.kgss}[service]; n != 1 {
						sc.Errorf("%d attempts", n)
					}
					heal()
					sc.rid("healthy", sc.create(c, 0), 0)
					sc.fault("etk 0 to_end "+row.fault, "kgss 0 to_end "+row.fault)
					v = sc.create(c, 0)
					sc.rid("after one good create for that patient, both down", v, 0)
					sc.within("both down", v.seen, 0, instant)
					sc.made("both down", v, 1, 0, 1)
				})
			})
		}
	}
}
