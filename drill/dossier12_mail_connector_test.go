package drill

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The tests of this file play the rows of dossier 12 about eHealthBox with the connector-like client: scenario 4
// (ehbox-send) and scenario 12, and the expired session of scenario 8. The service is not in the list, as on the platform.
// The row with two listed endpoints is not copied: the sandbox has one address of it.

func TestConnectorMail4LostAnswer(t *testing.T) {
	for _, how := range []string{fin, notify, rst} {
		t.Run(how, func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetMail(standIn)
				own, other := sc.boxes()
				w := newWire(sc)
				c := sc.connectorOver(w, own)
				w.set(&ending{how: how})
				heal := sc.fault("ehbox-pub 0 to_end lost_ack p=1;max=1")
				v := sc.letter(c, other, "once")
				sc.answered("cut once: success", v.seen)
				sc.within("cut once", v.seen, 0, instant)
				sc.sends("cut once", v, 2, 2)
				heal()
				heal = sc.fault("ehbox-pub 0 to_end lost_ack p=1")
				v = sc.letter(c, other, "always")
				sc.failed("cut always", v.seen)
				sc.within("cut always", v.seen, 0, instant)
				sc.sends("cut always", v, 2, 2)
				if (how == rst) != strings.Contains(fmt.Sprint(v.err), "connection reset") {
					sc.Errorf("cut always: %v", v.err)
				}
				sc.sends("cut always: every further call 2 more", sc.letter(c, other, "further"), 2, 2)
				heal()
				w.set(nil)
				sc.sends("healthy", sc.letter(c, other, "healthy"), 1, 1)
				time.Sleep(mailDelivery)
				for title, want := range map[string]int{"once": 2, "always": 2, "further": 2, "healthy": 1} {
					if n := sc.arrived(other, title); n != want {
						sc.Errorf("%q is %d times in the box, want %d", title, n, want)
					}
				}
			})
		})
	}
}

func TestConnectorMail4CutInTheMiddle(t *testing.T) {
	for _, how := range []string{fin, notify, rst} {
		t.Run(how, func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetMail(standIn)
				own, other := sc.boxes()
				w := newWire(sc)
				c := sc.connectorOver(w, own)
				w.set(&ending{how: how, middle: true})
				v := sc.letter(c, other, "middle")
				if v.err != errBroken { //nolint:errorlint // as it is made
					sc.Errorf("error %v", v.err)
				}
				sc.within("cut in the middle", v.seen, 0, instant)
				sc.sends("cut in the middle: no replay", v, 1, 1)
				w.set(nil)
				sc.sends("next", sc.letter(c, other, "next"), 1, 1)
			})
		})
	}
}

func TestConnectorMail12(t *testing.T) {
	for _, row := range []struct {
		fault, want string
		took        time.Duration
		requests    int
	}{
		{"hang", "timeout", oneTimeout, 1},
		{"refuse", "refused", 0, 0},
		{"http status=503;body=html", "Bad response: (503", 0, 1},
		{"fault code=SOA-02002", "SOA-02002", 0, 1},
	} {
		t.Run(row.fault, func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetMail(standIn)
				own, other := sc.boxes()
				c := sc.process(connectorOptions{}).mail(own)
				heal := sc.fault("ehbox-pub 0 to_end "+row.fault, "ehbox-cons 0 to_end "+row.fault)
				for what, v := range map[string]mailSeen{"list": sc.look(c), "send": sc.letter(c, other, "r1")} {
					if v.err == nil || !strings.Contains(v.err.Error(), row.want) {
						sc.Errorf("%s: error %v, want %s", what, v.err, row.want)
					}
					sc.within(what, v.seen, row.took, row.took+slack)
					if n := v.pub + v.cons; n != row.requests || v.sent != 0 {
						sc.Errorf("%s: %d requests, %d letters carried out", what, n, v.sent)
					}
				}
				heal()
				pub, cons, _ := sc.mailTotals()
				time.Sleep(20 * time.Second)
				if a, b, _ := sc.mailTotals(); a != pub || b != cons || sc.arrived(other, "r1") != 0 {
					sc.Errorf("20 s after recovery: %d requests: there is a queue", a-pub+b-cons)
				}
			})
		})
	}
	t.Run("closes without answering", func(t *testing.T) {
		play(t, func(sc *scene) {
			sc.s.SetMail(standIn)
			own, other := sc.boxes()
			c := sc.process(connectorOptions{}).mail(own)
			rows := func(service string) []string { // each request is held until the step ends, and cut then
				return []string{service + " 0 1 hang", service + " 1 1 hang"}
			}
			heal := sc.fault(rows("ehbox-pub")...)
			v := sc.letter(c, other, "r1")
			sc.failed("send", v.seen)
			sc.sends("send: the replay of the JDK", v, 2, 0)
			heal()
			heal = sc.fault(rows("ehbox-cons")...)
			v = sc.look(c)
			sc.failed("list", v.seen)
			if v.cons != 2 {
				sc.Errorf("list: %d requests", v.cons)
			}
			heal()
		})
	})
}

// TestConnectorMail8: with an expired token nothing is sent, and the login service is not asked.
func TestConnectorMail8(t *testing.T) {
	play(t, func(sc *scene) {
		own, other := sc.boxes()
		c := sc.process(connectorOptions{validity: 30 * time.Minute}).mail(own)
		time.Sleep(time.Hour)
		for what, v := range map[string]mailSeen{"list": sc.look(c), "send": sc.letter(c, other, "r1")} {
			if v.err != errSessionOver || v.pub+v.cons+v.sts != 0 { //nolint:errorlint // as it is made
				sc.Errorf("%s: %v, %d requests, %d to the STS", what, v.err, v.pub+v.cons, v.sts)
			}
		}
	})
}
