package drill

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// What the incidents must show (each where it applies).
const (
	healthLimit  = 30 * time.Second // from the fault until the health feed tells
	stsRecovery  = 1.2              // highest load on the STS after the end, over its normal peak
	steadyRatio  = 1.1              // p95 of writes while something else is ill, over that before
	normalSpan   = 10 * time.Minute // in which the users log in before the incident
	recoverySpan = 30 * time.Minute // after the end in which the load on the STS is watched
	baseline     = 4 * time.Minute  // of healthy traffic before offset 0
	windowBefore = 30 * time.Second // traffic around every instant at which a fault begins or ends
	windowAfter  = 2 * time.Minute
	denseAfter   = 40 * time.Second // calls every few seconds, as at a busy counter
	drainLimit   = 2 * time.Hour    // after that, until the queues are empty
)

// incidentCase is one incident and which of the promises it is about. That no call outlives its deadline, that no
// wrong-asker answer is shown and that nothing is executed twice must hold in all.
type incidentCase struct {
	id    string
	also  []time.Duration // other instants around which there is traffic
	scale float64         // 0 = the whole country
	// counters must see this function change, "" = nothing may change for them; arriving users the login.
	counters string
	arriving bool
	load     bool // the load on the STS at recovery is looked at
	steady   bool // writes must not notice
	extra    func(*house)
}

// incidentCases: the thirteen that must replay. Hours in which nothing begins or ends have no traffic, see windows.
var incidentCases = []incidentCase{
	{id: "INC-2018-05-28-EID", arriving: true, load: true, steady: true},
	{id: "INC-2018-06-12-LB", counters: ehealth.FunctionInsurability, extra: (*house).swapped},
	{id: "INC-2018-08-09-SAN", counters: ehealth.FunctionInsurability},
	{id: "INC-2018-09-12-SLOW", counters: ehealth.FunctionInsurability},
	{id: "INC-2020-01-24-STS", arriving: true, load: true, steady: true, scale: 0.008},
	{id: "INC-2020-01-27-ACCESS", counters: ehealth.FunctionInsurability, load: true},
	{id: "INC-2019-07-MCN", counters: ehealth.FunctionInsurability, steady: true},
	{id: "SYN-BADLIST", steady: true, extra: (*house).listsRefused},
	{id: "SYN-FLAP", counters: ehealth.FunctionInsurability},
	{id: "SYN-HERD", counters: ehealth.FunctionInsurability, load: true, scale: 0.04},
	{id: "SYN-HALF", counters: ehealth.FunctionInsurability, steady: true},
	{id: "SYN-CLOCK", arriving: true, load: true, steady: true},
	{id: "SYN-TOKEN-EXPIRES", arriving: true, load: true, also: []time.Duration{12*time.Hour - 15*time.Minute}},
}

// TestIncidents replays every incident through the whole platform with a small fleet of counters and users.
func TestIncidents(t *testing.T) {
	warm(t)
	for _, c := range incidentCases {
		t.Run(c.id, func(t *testing.T) {
			if testing.Short() && c.id != "SYN-HALF" && c.id != "INC-2020-01-27-ACCESS" {
				t.Skip("two incidents take every path: the others run without -short")
			}
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { c.replay(t) })
		})
	}
}

// span is a stretch of an incident, in offsets.
type span struct{ from, to time.Duration }

// windows are the stretches with traffic: around every instant at which a fault begins or ends.
func (c *incidentCase) windows(s sandbox.Script) (out []span, cuts []time.Duration) {
	cuts = append(cuts, c.also...)
	for _, st := range s.Steps {
		cuts = append(cuts, st.At)
		if st.For > 0 {
			cuts = append(cuts, st.At+st.For)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	out = []span{{-baseline, 0}}
	for _, at := range cuts {
		next := span{at - windowBefore, at + windowAfter}
		if last := &out[len(out)-1]; next.from <= last.to {
			last.to = max(last.to, next.to)
		} else {
			out = append(out, next)
		}
	}
	return out, cuts
}

// outage is from the first fault to the end of the last; for the load on the STS it ends with the last step that
// keeps people from logging in.
func outage(s sandbox.Script) (from, to, login time.Duration) {
	from, to = s.Steps[0].At, s.End()
	for _, st := range s.Steps {
		switch st.Service {
		case "net", "access": // what limits or slows them down afterwards is part of the recovery
			switch st.Fault.Kind() {
			case "capacity", "slow":
				continue
			}
			fallthrough
		case "sts", "idvalid":
			login = max(login, st.At+st.For)
		}
	}
	return from, to, login
}

func (c *incidentCase) replay(t *testing.T) {
	script, ok := incident.Get(c.id)
	if !ok {
		t.Fatal("no such incident")
	}
	counters, users := 4, 12
	time.Sleep(time.Until(script.T0.Add(-baseline - normalSpan - stsSpan - time.Minute)))
	h := newHouse(t, script.T0, sandbox.Config{Seed: 18, Patients: 100, Scale: c.scale})
	defer h.close()
	h.open(counters, users)
	windows, cuts := c.windows(script)
	end := windows[len(windows)-1].to
	h.calls.Go(func() {
		time.Sleep(time.Until(script.T0))
		run, leftOut, err := prepare(h.s, script)
		if err != nil {
			h.Error(err)
			return
		}
		if len(leftOut) > 0 {
			h.Logf("%s: left out, because the sandbox does not have it: %s", c.id, strings.Join(leftOut, ", "))
		}
		time.Sleep(time.Until(script.T0.Add(end + recoverySpan)))
		run.Cancel()
	})
	h.traffic(windows, cuts)
	h.arrivals(script, users/4, end+recoverySpan)
	time.Sleep(time.Until(script.T0.Add(end + recoverySpan)))
	h.calls.Wait()
	waiting, parked := h.emptied(drainLimit)
	if none, more := h.lost(); waiting+parked+none+more > 0 {
		t.Errorf("%s: of %d writes accepted %d were not executed, %d more than once; %d wait still, %d are parked", c.id, len(h.accepted), none, more, waiting, parked)
	}
	c.judge(h, script)
}

// open starts the counters and lets the users log in one after the other.
func (h *house) open(counters, users int) {
	for n := range counters {
		if n%2 == 0 {
			h.join(fmt.Sprintf("pharmacy %d", n), h.pharmacy(n))
		} else {
			h.join(fmt.Sprintf("doctor %d", n), h.doctor(n))
		}
	}
	for _, m := range h.all() {
		if err := h.logIn(m, false); err != nil {
			h.Fatal(err)
		}
	}
	time.Sleep(stsSpan) // they are not part of what is normal
	h.began = time.Now()
	for n := range users {
		h.arrive(n, 0)
		time.Sleep(normalSpan / time.Duration(users))
	}
}

// traffic lets the counters work, and the users look after their sessions every two minutes.
func (h *house) traffic(windows []span, cuts []time.Duration) {
	dense := func(at time.Duration) bool {
		return slices.ContainsFunc(cuts, func(c time.Duration) bool { return at >= c-windowBefore && at < c+denseAfter })
	}
	for n, m := range h.all() {
		h.calls.Go(func() {
			for _, w := range windows {
				if strings.HasPrefix(m.name, "user") {
					for at := w.from + time.Duration(n)*time.Second; at < w.to; at += 2 * time.Minute {
						time.Sleep(time.Until(h.t0.Add(at)))
						_ = h.logIn(m, false)
					}
					continue
				}
				h.work(n, m, w.from, w.to, dense)
			}
		})
	}
}

// arrivals lets more users begin to work from the first fault on: they have no session yet.
func (h *house) arrivals(s sandbox.Script, users int, until time.Duration) {
	from, _, _ := outage(s)
	for n := range users {
		h.calls.Go(func() {
			time.Sleep(time.Until(h.t0.Add(from + time.Second + time.Duration(n)*10*time.Second)))
			h.arrive(1000+n, until)
		})
	}
}

// judge measures the promises, prints them and holds them to their bounds.
func (c *incidentCase) judge(h *house, script sandbox.Script) {
	from, to, login := outage(script)
	calls, failed, late, wrong, doubled, slowest := h.promises()
	line := fmt.Sprintf("%s: %d writes accepted, each done once; %d calls, %d failed, %d late, %d of somebody else, %d doubled; slowest check %v, write %v, login %v",
		c.id, len(h.accepted), calls, failed, late, wrong, doubled, short(slowest[Insurability]), short(slowest[Writes]), short(slowest[Login]))
	if late > 0 || wrong > 0 || doubled > 0 {
		h.Errorf("%s: %d calls outlived their deadline, %d wrong answers were shown, %d writes doubled", c.id, late, wrong, doubled)
	}
	line += c.health(h, h.t0.Add(from), h.t0.Add(to))
	if c.load {
		normal := h.sts.busiest(h.began, h.t0)
		after := h.sts.busiest(h.t0.Add(login), h.t0.Add(login+recoverySpan))
		line += fmt.Sprintf("; STS in 5 min: normal %d, outage %d, recovery %d", normal, h.sts.busiest(h.t0.Add(from), h.t0.Add(login)), after)
		if float64(after) > stsRecovery*float64(normal) {
			h.Errorf(c.id+": %d messages to the STS in 5 minutes of recovery, normally at most %d", after, normal)
		}
	}
	if c.steady {
		before, during := h.waits(Writes, -baseline, from), h.waits(Writes, from, to)
		p, q := percentile(before, 95), percentile(during, 95)
		ratio := q.Seconds() / p.Seconds()
		line += fmt.Sprintf("; writes p95 %v before (%d), %v during (%d), ratio %.2f", short(p), len(before), short(q), len(during), ratio)
		if len(before) < 20 || len(during) < 20 || ratio > steadyRatio {
			h.Errorf("%s: p95 of writes %v before, %v during", c.id, p, q)
		}
	}
	if c.extra != nil {
		c.extra(h)
	}
	line += "; notices: " + h.notices(Insurability, from, to) + " | " + h.notices(Writes, from, to) + " | " + h.notices(Login, from, to)
	h.Log(line)
}

// health measures how long after the fault those whom it hits are told.
func (c *incidentCase) health(h *house, from, to time.Time) (line string) {
	var counters, arriving []time.Duration
	for _, m := range h.all() {
		switch {
		case m.arrived.After(from):
			if c.arriving {
				arriving = append(arriving, m.firstChange(ehealth.FunctionLogin, m.arrived, to))
			}
		case strings.HasPrefix(m.name, "user"):
		case c.counters != "":
			counters = append(counters, m.firstChange(c.counters, from, to))
		case !m.calm(h.t0.Add(-baseline), to) && !c.arriving:
			h.Errorf("%s: the health of %s changed: %+v", c.id, m.name, m.changes)
		}
	}
	for _, g := range []struct {
		who   string
		after []time.Duration
	}{{"counters", counters}, {"arriving users", arriving}} {
		if len(g.after) == 0 {
			continue
		}
		for i, d := range g.after {
			if d < 0 {
				g.after[i] = 1<<63 - 1
			}
		}
		mid, last := percentile(g.after, 50), percentile(g.after, 100)
		line += fmt.Sprintf("; health of %s after %v to %v", g.who, short(mid), short(last))
		if last > healthLimit {
			h.Errorf(c.id+": %s are told after %s to %s", g.who, short(percentile(g.after, 1)), short(last))
		}
	}
	return line
}

// swapped: answers were in fact swapped, or that none was shown would say nothing.
func (h *house) swapped() {
	n := 0
	for _, kinds := range h.s.State().Hits {
		n += kinds["misroute"]
	}
	if n == 0 {
		h.Error("no answer was swapped")
	}
}

// listsRefused: every counter has refused each of the three lists, and nobody went where they point.
func (h *house) listsRefused() {
	for _, m := range h.all() {
		if n := m.refusedLists(); n != 3 && !strings.HasPrefix(m.name, "user") {
			h.Errorf("%s refused %d lists", m.name, n)
		}
	}
	if n := h.s.State().Requests["genins-direct"]; n > 0 {
		h.Errorf("%d requests went where a bad list points", n)
	}
}

func short(d time.Duration) string {
	if d == 1<<63-1 {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
