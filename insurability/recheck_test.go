package insurability

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// patient makes the n-th patient.
func patient(n int) Query {
	number := 850731_000 + n
	return Query{RegNr: Hide(fmt.Sprint(number)), Mutuality: mutuality}
}

func byNumber(t *testing.T, change func(*GenInsResponse)) func(*xmltree.Node) (int, io.Reader) {
	return genIns(t, "genins-response-insured.xml", func(r *GenInsResponse) {
		r.Response.Patient.SSIN = Private{}
		r.Response.Detail.List.Items[0].RegNr = Private{}
		if change != nil {
			change(r)
		}
	})
}

// TestRecheck: when the service is back, what was answered without it is asked again, once, and differences are told
// without a word about the patient.
func TestRecheck(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		same, other, unknown := Query{Patient: ssinInsured}, patient(1), patient(2)
		r.ask(c, same, Live)
		r.answer(urlLive, byNumber(r.T, nil))
		r.ask(c, other, Live)
		r.set(nil)
		refs := []string{}
		for _, step := range []struct {
			q    Query
			want Source
		}{{same, Stored}, {other, Stored}, {unknown, Unknown}, {other, Stored}} {
			refs = append(refs, r.ask(c, step.q, step.want).Recheck)
		}
		if refs[0] == "" || refs[0] == refs[1] || refs[1] != refs[3] || c.RechecksWaiting() != 3 {
			r.Fatal(refs, c.RechecksWaiting())
		}
		if x, ok := c.Recheck(refs[0]); !ok || x.Done || x.Before.Source != Stored {
			r.Errorf("%+v, %v", x, ok)
		}
		time.Sleep(24 * time.Hour)
		if checked := r.done(); len(checked) != 0 || c.RechecksWaiting() != 3 {
			r.Fatal(checked)
		}
		synctest.Wait()
		r.sent()
		insured, another := genIns(r.T, "genins-response-insured.xml", nil), byNumber(r.T, func(x *GenInsResponse) {
			x.Response.Detail.List.Items[0].CT1 = "131"
		})
		r.answer(urlLive, func(n *xmltree.Node) (int, io.Reader) {
			if strings.Contains(string(mustText(r.T, n)), "85073199704") {
				return insured(n)
			}
			return another(n)
		})
		time.Sleep(time.Hour)
		checked, asked := r.done(), r.sent()
		if c.RechecksWaiting() != 0 || len(checked) != 3 || asked != 3 {
			r.Fatalf("%d wait, %d checked, %d asked", c.RechecksWaiting(), len(checked), asked)
		}
		want := map[string]string{refs[0]: "[]", refs[1]: "[ct1]", refs[2]: "[insured]"}
		for _, x := range checked {
			if fields := fmt.Sprint(x.Fields); fields != want[x.Ref] || x.Differs != (fields != "[]") || !x.Done || x.Err != nil || x.After.Source != Live {
				r.Errorf("%+v, want %v", x, want[x.Ref])
			}
			if x.Answer() != nil {
				r.Error("the event holds the answer")
			}
			b, err := json.Marshal(x)
			if err != nil || strings.Contains(string(b)+fmt.Sprintf("%+v %#v", x, x), "85073199704") {
				r.Error(string(b), err)
			}
			whole, ok := c.Recheck(x.Ref)
			if !ok || whole.Answer() == nil || whole.Answer().Insured != Yes || whole.Answer().Asked.Start == Today() || whole.MemberData() != nil {
				r.Errorf("%+v", whole)
			}
		}
		if _, ok := c.Recheck("0000"); ok {
			r.Error("a check of no name")
		}
	})
}

func mustText(t *testing.T, n *xmltree.Node) []byte {
	t.Helper()
	q := new(GenInsRequest)
	if err := decode(n, genInsProtocol, genInsCore, n.Local(), q, (*GenInsRequest).wire); err != nil {
		t.Error(err)
	}
	return []byte(q.Request.CareReceiver.SSIN.Reveal())
}

// instants are when something happened.
type instants struct {
	mu sync.Mutex
	at []time.Time
}

func (i *instants) now() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.at = append(i.at, time.Now())
}

// all returns them; afresh forgets them first.
func (i *instants) all(afresh bool) []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	if afresh {
		i.at = nil
	}
	return append([]time.Time(nil), i.at...)
}

// tried asks until the breaker, which opens again at a random moment, lets a question through.
func (r *rung) tried(c *Client, q Query) {
	r.Helper()
	for range 3600 {
		req, err := c.NewGenInsRequest(q)
		if err != nil {
			r.Fatal(err)
		}
		if _, err := c.GetInsurability(r.Context(), req); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	r.Fatal("the breaker stays open")
}

// TestRecheckIsPolite: one question at a time with a pause in between, never while somebody at the counter waits, few
// tries while the service is down, and soon after it answered somebody.
func TestRecheckIsPolite(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		r.set(nil)
		const n = 30
		for i := range n {
			r.ask(c, patient(i), Unknown)
		}
		r.sent()
		time.Sleep(10 * time.Hour)
		if tries := r.sent(); tries > 10*4*8 || tries == 0 { // at most 8 attempts a quarter of an hour
			r.Errorf("%d attempts in ten hours of outage", tries)
		}

		// Nothing goes on in the background when the service comes back, so that the breaker, which opens again at a
		// random moment, is tried by us.
		counter := c.rechecks.interactive()
		time.Sleep(RecheckTimeout)
		var at instants
		var underWay atomic.Int32
		answer := byNumber(r.T, nil)
		r.answer(urlLive, func(x *xmltree.Node) (int, io.Reader) {
			at.now()
			if underWay.Add(1) > 1 {
				r.Error("two questions at once")
			}
			time.Sleep(200 * time.Millisecond)
			underWay.Add(-1)
			return answer(x)
		})
		r.tried(c, patient(1000))
		r.ask(c, patient(1000), Live)
		at.all(true)
		counter()
		time.Sleep(RecheckSpread)
		synctest.Wait()
		if len(at.all(false)) == 0 {
			r.Errorf("nothing %v after the recovery", RecheckSpread)
		}
		// Somebody waits at the counter for five seconds: nothing else is asked.
		leave := c.rechecks.interactive()
		time.Sleep(time.Second) // what is under way ends
		before := len(at.all(false))
		time.Sleep(20 * time.Second)
		if len(at.all(false)) != before {
			r.Error("a check while somebody waits")
		}
		leave()
		time.Sleep(10 * time.Minute)
		asked := at.all(false)
		if len(asked) != n || c.RechecksWaiting() != 0 {
			r.Fatalf("%d asked, %d wait", len(asked), c.RechecksWaiting())
		}
		for i := range n - 1 {
			if gap := asked[i+1].Sub(asked[i]); gap < 2*time.Second { // half of 20 times 200 ms
				r.Errorf("%v between two questions", gap)
			}
		}
	})
}

// TestRecheckRefused: a refusal is a result; a question that nobody answers is given up after a week; Close ends all.
func TestRecheckRefused(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		r.ask(c, q, Live)
		r.set(nil)
		ref := r.ask(c, q, Stored).Recheck
		r.set(genIns(r.T, "genins-response-fault-noio.xml", nil))
		time.Sleep(time.Hour)
		x, ok := c.Recheck(ref)
		if !ok || !x.Done || !x.Differs || fmt.Sprint(x.Fields) != "[refused]" || fault.KindOf(x.Err) != fault.NotFound || x.Answer() != nil {
			r.Fatalf("%+v", x)
		}
		r.set(nil)
		lost := r.ask(c, q, Unknown).Recheck // what was stored is contradicted
		time.Sleep(RecheckFor + time.Hour)
		if x, ok := c.Recheck(lost); !ok || !x.Done || x.Differs || fault.KindOf(x.Err) != fault.Unavailable || x.After.Source != Unknown {
			r.Fatalf("%+v", x)
		}
		again := r.ask(c, q, Unknown).Recheck
		if err := c.Close(); err != nil {
			r.Fatal(err)
		}
		if x, ok := c.Recheck(again); !ok || x.Done {
			r.Errorf("%+v", x)
		}
		if ref := r.ask(c, q, Unknown).Recheck; ref != "" && ref != again {
			r.Error("a check after Close")
		}
	})
}

// TestRechecksAreBounded: what comes beyond the bound has no check, and results are forgotten in their order.
func TestRechecksAreBounded(t *testing.T) {
	r := newRechecks(nil)
	task := func(i int) *recheckTask {
		return &recheckTask{id: [32]byte{byte(i), byte(i >> 8)}, result: &Recheck{}}
	}
	r.running = true // nobody works
	for i := range MaxRechecks {
		if r.add(task(i)) == "" {
			t.Fatal("refused", i)
		}
	}
	if r.add(task(MaxRechecks)) != "" || len(r.waiting) != MaxRechecks {
		t.Error("more than the bound")
	}
	for range 5 {
		for _, w := range r.waiting {
			w.result.Done = true
		}
		r.waiting = nil
		for i := range MaxRechecks {
			r.add(task(i))
		}
	}
	if len(r.results) > 2*MaxRechecks || len(r.order) != len(r.results) {
		t.Errorf("%d results, %d in order", len(r.results), len(r.order))
	}
	r.close()
}

// TestContradictedTheNextDay: what the platform says after midnight about the day on which a stored yes was used ends that
// yes, too, but not one that was given since.
func TestContradictedTheNextDay(t *testing.T) {
	no := genIns(t, "genins-response-insured.xml", func(x *GenInsResponse) {
		x.Response.Detail.List = nil
		x.Response.Detail.Situation = &GeneralSituation{Event: ClosedBefore}
	})
	for name, answer := range map[string]func(*xmltree.Node) (int, io.Reader){
		"no": no, "no insurer": genIns(t, "genins-response-fault-noio.xml", nil),
	} {
		bubble(t, winter, func(r *rung) {
			c := r.client(doctor)
			q := Query{Patient: ssinInsured}
			r.ask(c, q, Live)
			r.set(nil)
			ref := r.ask(c, q, Stored).Recheck
			time.Sleep(24 * time.Hour)
			r.set(answer)
			time.Sleep(time.Hour)
			if x, ok := c.Recheck(ref); !ok || !x.Done || !x.Differs {
				r.Fatalf("%s: %+v", name, x)
			}
			r.set(nil)
			r.ask(c, q, Unknown)
		})
	}
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		r.ask(c, q, Live)
		r.set(nil)
		ref := r.ask(c, q, Stored).Recheck
		time.Sleep(24 * time.Hour)
		counter := c.rechecks.interactive() // the check comes after the person
		time.Sleep(RecheckTimeout)
		r.answer(urlLive, genIns(r.T, "genins-response-insured.xml", nil))
		r.tried(c, q)
		r.ask(c, q, Live) // insured again
		r.set(no)
		counter()
		time.Sleep(time.Hour)
		if x, ok := c.Recheck(ref); !ok || !x.Done || !x.Differs {
			r.Fatalf("%+v", x)
		}
		r.set(nil)
		r.ask(c, q, Stored)
	})
}
