package drill

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// The tests of this file play the rows of dossier 12 about eHealthBox with our client, against the same stand-in, which
// carries out everything that arrives.

// settles waits until the letter is settled and compares how often it was carried out.
func (sc *scene) settles(what string, m *letters, to *mailroom, ref string) {
	sc.Helper()
	m.settle(3 * time.Hour)
	time.Sleep(mailDelivery)
	if n := sc.arrived(to, ref); n != 1 {
		sc.Errorf("%s: %d times in the box", what, n)
	}
	again, err := m.send(context.Background(), to, ref)
	if err != nil || again.State != ehbox.SentAccepted || !again.Before {
		sc.Errorf("%s: in the end %+v, %v", what, again, err)
	}
}

// TestOursMail4LostAnswer: the official connector sends twice and reports success. Ours sends once, over HTTP/1.1 and
// HTTP/2, on new and on reused connections, however the connection ends, and finds out that the letter was received.
func TestOursMail4LostAnswer(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		proto := map[bool]int{false: 1, true: 2}[h2]
		t.Run(fmt.Sprintf("HTTP/%d", proto), func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetMail(standIn)
				own, other := sc.boxes()
				w := newWire(sc)
				m, tr := sc.mailOver(w, h2, own)
				letters := 0
				for _, reused := range []bool{false, true} {
					for _, end := range []ending{{fin, false}, {notify, false}, {rst, false}, {fin, true}, {notify, true}, {rst, true}} {
						what := fmt.Sprintf("reused=%v, %v", reused, end)
						sc.warmed(m, other, what, w, proto)
						if !reused {
							tr.CloseIdleConnections()
							time.Sleep(time.Second)
						}
						heal := func() {}
						if !end.middle {
							heal = sc.fault("ehbox-pub 0 to_end lost_ack p=1")
						}
						w.set(&end)
						v := sc.letter(m, other, what)
						passed, cut := w.seen()
						if len(passed) != 1 || cut != 1 || passed[0].reused != reused || passed[0].began != end.middle {
							sc.Errorf("%s: messages %+v, %d cut: the row was not played", what, passed, cut)
						}
						if v.err != nil && !errors.Is(v.err, outbox.ErrUnknown) {
							sc.Errorf("%s: %v", what, v.err)
						}
						sc.within(what, v.seen, 0, sendLimit)
						sc.sends(what, v, 1, 1)
						time.Sleep(time.Minute)
						w.set(nil)
						heal()
						sc.settles(what, m, other, what)
						letters += 2
					}
				}
				if st := sc.s.State(); st.Requests["ehbox-pub"] != letters || st.Effects["ehbox.accepted"] != letters || st.Effects["ehbox.double"] != 0 {
					sc.Errorf("of %d letters: %d requests, effects %v", letters, st.Requests["ehbox-pub"], st.Effects)
				}
			})
		})
	}
}

// warmed sends a letter that arrives, so that there is a connection.
func (sc *scene) warmed(m *letters, to *mailroom, what string, w *wire, proto int) {
	sc.Helper()
	w.set(nil)
	what = "before " + what
	v := sc.letter(m, to, what)
	sc.answered(what, v.seen)
	sc.sends(what, v, 1, 1)
	if p, cut := w.seen(); len(p) != 1 || p[0].proto != proto || cut != 0 {
		sc.Errorf("%s: messages %+v, %d cut, want HTTP/%d", what, p, cut, proto)
	}
}

// TestOursMail12: where the connector has no queue, the letter is kept, the person is told so, and it goes by itself.
func TestOursMail12(t *testing.T) {
	for _, row := range []struct {
		name  string
		rows  []string
		state ehbox.SentState
		sent  int // letters carried out while the person waits
		most  int // requests to send until then: more than one only where each is answered by a refusal
	}{
		{"hangs", []string{"hang"}, ehbox.SentUnknown, 0, 1},
		{"executes and hangs", []string{"hang exec=1"}, ehbox.SentUnknown, 1, 1},
		{"refuses", []string{"refuse"}, ehbox.SentQueued, 0, 0},
		{"503", []string{"http status=503;body=html"}, ehbox.SentQueued, 0, 12},
		{"SOA-02002", []string{"fault code=SOA-02002"}, ehbox.SentQueued, 0, 12},
		{"closes without answering", nil, ehbox.SentUnknown, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			play(t, func(sc *scene) {
				sc.s.SetMail(standIn)
				own, other := sc.boxes()
				w := newWire(sc)
				m, _ := sc.mailOver(w, false, own)
				sc.warmed(m, other, row.name, w, 1)
				var rows []string
				for _, f := range row.rows {
					rows = append(rows, "ehbox-pub 0 to_end "+f, "ehbox-cons 0 to_end "+f)
				}
				if rows == nil {
					rows = []string{"ehbox-pub 0 2 hang", "ehbox-cons 0 to_end refuse"}
				}
				heal := sc.fault(rows...)
				v := sc.letter(m, other, row.name)
				sc.within(row.name, v.seen, 0, sendLimit)
				state := ehbox.SentState(0)
				switch {
				case errors.Is(v.err, outbox.ErrQueued):
					state = ehbox.SentQueued
				case errors.Is(v.err, outbox.ErrUnknown):
					state = ehbox.SentUnknown
				}
				if state != row.state || v.sent != row.sent || v.pub > row.most {
					sc.Errorf("%s: told %v, want %v; %d requests, %d carried out, want %d (%v)", row.name, state, row.state, v.pub, v.sent, row.sent, v.err)
				}
				look := sc.look(m)
				sc.failed(row.name+": list", look.seen)
				if fault.KindOf(look.err) == fault.Protocol {
					sc.Errorf("%s: list: %v", row.name, look.err)
				}
				heal()
				sc.settles(row.name, m, other, row.name)
				if st := sc.s.State(); st.Effects["ehbox.accepted"] != 2 || st.Effects["ehbox.double"] != 0 {
					sc.Errorf("%s: effects %v", row.name, st.Effects)
				}
			})
		})
	}
}
