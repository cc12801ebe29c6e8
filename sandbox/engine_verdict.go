package sandbox

import (
	"math"
	"time"
)

// The order in which overlapping steps act on one exchange:
//
//  1. clock: all add up.
//  2. refuse, blackhole, loss: in the order of the rows; the first that fires ends it.
//  3. capacity and ramp: every one must let the exchange in; waiting times count in full.
//  4. hang, http, fault: in the order of the rows; the first that fires decides what the answer is.
//  5. slow: all that fire add up. They delay faults and HTTP answers too.
//  6. misroute, lost_ack: after execution. A lost answer wins over a swapped one.
//
// refuse_auth is asked by the service in its own authorisation step (Sandbox.refusal); list and tls_rotate have no
// part in an exchange. Every probability is drawn when the head of the request has arrived, so that the sequence of
// draws depends on the order of arrivals only.

// verdict is what the scripts decide about one exchange.
type verdict struct {
	skew time.Duration

	cut   bool // reset at the head of the request
	drop  bool // no answer, not executed
	early bool // the request is lost: connection cut, not executed
	late  bool // the answer is lost: executed, then connection cut

	wait time.Duration // in queues, before execution
	over string        // refused by a queue: "hang", "503" or a SOA code

	hang      *activeStep
	hangExec  bool
	http      *HTTPAnswer
	httpExec  bool
	fault     *SOAPFault
	faultExec bool

	delay    time.Duration // after execution
	lateExec time.Duration // before execution
	misroute bool
	lostAck  bool
	held     *activeStep // the step that ends a hang or a drop
}

// judge draws the verdict on an exchange of service whose head arrived now on a connection that was set up at born.
// exact says whether connection-level steps were applied to that connection when it was made.
func (e *engine) judge(service string, now, born time.Time, exact func(*activeStep) bool) verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	var v verdict
	ended := func() bool { return v.cut || v.drop || v.early || v.late }
	e.each(service, now, func(st *activeStep) {
		if f, ok := st.Fault.(Clock); ok {
			v.skew += f.Skew
			e.hit(st, service)
		}
		if ended() {
			return
		}
		met := exact(st) && !born.Before(st.from) // the connection already passed this step
		switch f := st.Fault.(type) {
		case Refuse:
			v.cut = !met && e.fires(st, service, f.P)
		case Blackhole:
			if v.drop = !met && e.fires(st, service, f.P); v.drop {
				v.held = st
			}
		case Loss:
			if e.fires(st, service, f.P) {
				v.early = e.rng.IntN(2) == 0
				v.late = !v.early
			}
		}
	})
	if v.cut || v.drop || v.early {
		return v
	}
	e.queue(service, now, &v)
	if v.over != "" {
		return v
	}
	e.answer(service, now, &v)
	return v
}

// queue is stage 3.
func (e *engine) queue(service string, now time.Time, v *verdict) {
	e.each(service, now, func(st *activeStep) {
		if v.over != "" {
			return
		}
		rate, queue, over, ok := e.capacity(st, service, now)
		if !ok {
			return
		}
		key := service
		if f, abs := st.Fault.(Capacity); abs && f.RPS > 0 {
			key = "" // an absolute rate is shared by the services of a group
		}
		b := st.buckets[key]
		if b == nil {
			b = &bucket{}
			st.buckets[key] = b
		}
		w, in := b.admit(now, rate, queue)
		if !in {
			v.over, v.held = over, st
			e.hit(st, service)
			return
		}
		v.wait = max(v.wait, w)
	})
}

// capacity returns rate and queue of a capacity or ramp step at this instant, scaled.
func (e *engine) capacity(st *activeStep, service string, now time.Time) (rate, queue float64, over string, ok bool) {
	switch f := st.Fault.(type) {
	case Capacity:
		rate = f.RPS
		if f.Rel > 0 {
			rate = f.Rel * PeakRate(service)
		}
		return rate * e.scale, float64(f.Queue) * e.scale, f.Over, true
	case Ramp:
		part := 1.0
		if !st.to.IsZero() {
			part = now.Sub(st.from).Seconds() / st.to.Sub(st.from).Seconds()
		}
		rate = (f.From + (f.To-f.From)*part) * PeakRate(service) * e.scale
		return rate, rate * rampQueue, "503", true
	}
	return 0, 0, "", false
}

// rampQueue is how many seconds' worth of requests may wait while a service comes back [A].
const rampQueue = 2

// bucket is the work that a server of limited rate has before it, as a fluid: requests that are in the queue or being
// handled. It drains at the rate, which may change between two arrivals.
type bucket struct {
	level float64
	rate  float64 // at the last arrival
	at    time.Time
}

// admit returns how long a request that arrives now waits, or false when more than queue requests are before it.
func (b *bucket) admit(now time.Time, rate, queue float64) (wait time.Duration, in bool) {
	if !b.at.IsZero() {
		b.level = max(0, b.level-(b.rate+rate)/2*now.Sub(b.at).Seconds())
	}
	b.rate, b.at = rate, now
	const rounding = 1e-6
	if rate <= 0 || b.level > queue+rounding {
		return 0, false
	}
	wait = time.Duration(math.Round(b.level / rate * float64(time.Second)))
	b.level++
	return wait, true
}

// answer is stages 4 to 6.
func (e *engine) answer(service string, now time.Time, v *verdict) {
	decided := false
	e.each(service, now, func(st *activeStep) {
		switch f := st.Fault.(type) {
		case Hang:
			if !decided && e.fires(st, service, f.P) {
				decided, v.hang, v.held = true, st, st
				v.hangExec = e.draw(f.Exec)
			}
		case HTTPAnswer:
			if !decided && e.fires(st, service, f.P) {
				decided, v.http = true, &f
				v.httpExec = e.draw(f.Exec)
			}
		case SOAPFault:
			if !decided && e.fires(st, service, f.P) {
				decided, v.fault = true, &f
				v.faultExec = e.draw(f.Exec)
			}
		case Slow:
			if e.fires(st, service, f.P) {
				d := e.latency(f)
				if f.Late {
					v.lateExec += d
				} else {
					v.delay += d
				}
			}
		case Misroute:
			v.misroute = v.misroute || e.draw(f.P) // counted when there is an answer to swap with
		case LostAck:
			if !v.lostAck && !decided && e.fires(st, service, f.P) {
				v.lostAck = true
			}
		}
	})
	if v.hang != nil || v.http != nil || v.fault != nil {
		v.misroute, v.lostAck = false, false
	}
}

func (e *engine) draw(p float64) bool { return p > 0 && (p >= 1 || e.rng.Float64() < p) }

// latency draws from the log-normal distribution with that median.
func (e *engine) latency(f Slow) time.Duration {
	d := float64(f.Median) * math.Exp(f.Sigma*e.rng.NormFloat64())
	limit := float64(maxLatency)
	if f.Cap > 0 {
		limit = float64(f.Cap)
	}
	return time.Duration(min(d, limit))
}

// maxLatency bounds a slow step without cap_ms.
const maxLatency = time.Hour

// connect is what happens to an attempt to connect.
type connect uint8

const (
	connectOK connect = iota
	connectRefused
	connectDropped
	connectLost
)

// dial decides about a connection attempt. covers tells which steps concern the connection.
func (e *engine) dial(service string, now time.Time, covers func(*activeStep) bool) connect {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := connectOK
	for _, r := range e.runs {
		for _, st := range r.steps {
			if out != connectOK || !st.active(now) || !covers(st) {
				continue
			}
			switch f := st.Fault.(type) {
			case Refuse:
				if e.fires(st, service, f.P) {
					out = connectRefused
				}
			case Blackhole:
				if e.fires(st, service, f.P) {
					out = connectDropped
				}
			case Loss:
				if e.fires(st, service, f.P) {
					out = connectLost
				}
			}
		}
	}
	return out
}

// swapped counts the two exchanges of a swap.
func (e *engine) swapped(service string, n int, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.each(service, now, func(st *activeStep) {
		if _, ok := st.Fault.(Misroute); ok && n > 0 {
			for range n {
				e.hit(st, service)
			}
			n = 0
		}
	})
}
