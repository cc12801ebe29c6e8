package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// engine keeps the running fault scripts and decides what happens to each connection and exchange. It has no
// timers of its own: every decision looks at the steps that are active at that instant.
type engine struct {
	scale    float64
	services map[string]bool // concrete services of this sandbox

	mu   sync.Mutex
	rng  *rand.Rand
	runs []*Run
	last int
	hits map[string]int // "service kind" -> exchanges and connections hit
}

// Run is a script that was applied.
type Run struct {
	s           *Sandbox
	id          string
	script      Script
	start       time.Time
	steps       []*activeStep
	unsupported []Step
	stopped     chan struct{} // closed by Cancel
	once        sync.Once
}

// activeStep is one step of a run, in absolute time.
type activeStep struct {
	Step
	run      *Run
	services map[string]bool // concrete services it covers
	from     time.Time
	to       time.Time // zero: no end
	hits     int
	buckets  map[string]*bucket
	rotated  map[string]bool // hosts whose certificate was replaced
}

// UnsupportedError lists steps that this sandbox cannot carry out because it does not have the service, or because
// the kind needs a service it does not have. The other steps of the script run.
type UnsupportedError struct{ Steps []Step }

func (e *UnsupportedError) Error() string {
	var b strings.Builder
	b.WriteString("fault script: not supported by this sandbox:")
	for i, s := range e.Steps {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s on %s", s.Fault.Kind(), s.Service)
	}
	return b.String()
}

// Apply starts the script now: offset 0 is this instant, whatever T0 says. Scripts that run at the same time overlap
// as rows of one script do, the earlier one first.
//
// An invalid script is refused with a *ScriptError and nothing runs. When only some steps can be carried out, the
// others run and the error is an *UnsupportedError; the Run is not nil then.
func (s *Sandbox) Apply(sc Script) (*Run, error) { return s.ApplyAt(sc, time.Now()) }

// ApplyAt is Apply with offset 0 at start, which may lie in the past (the script is joined in the middle) or ahead.
func (s *Sandbox) ApplyAt(sc Script, start time.Time) (*Run, error) {
	sc.Steps = slices.Clone(sc.Steps)
	for i := range sc.Steps {
		st, err := sc.Steps[i].normal()
		if err != nil {
			return nil, &ScriptError{Step: i + 1, Reason: err.Error()}
		}
		sc.Steps[i] = st
	}
	r := s.faults.start(s, sc, start)
	s.scheduleConnections(r)
	if len(r.unsupported) > 0 {
		return r, &UnsupportedError{Steps: r.unsupported}
	}
	return r, nil
}

// Inject starts one step now. A step without length lasts until cancel is called. The errors are those of Apply, and
// cancel is never nil.
func (s *Sandbox) Inject(st Step) (cancel func(), err error) {
	r, err := s.Apply(Script{Steps: []Step{st}})
	if r == nil {
		return func() {}, err
	}
	return r.Cancel, err
}

// ID names the run in the admin API: "f1", "f2", …
func (r *Run) ID() string { return r.id }

// End is when the last step with a length ends; the zero time when no step has one.
func (r *Run) End() time.Time {
	if end := r.script.End(); end > 0 {
		return r.start.Add(end)
	}
	return time.Time{}
}

// Unsupported returns the steps that this sandbox cannot carry out.
func (r *Run) Unsupported() []Step { return slices.Clone(r.unsupported) }

// Cancel ends the run at once. What hangs because of it is cut.
func (r *Run) Cancel() {
	r.once.Do(func() {
		e := r.s.faults
		now := time.Now()
		e.mu.Lock()
		e.runs = slices.DeleteFunc(e.runs, func(x *Run) bool { return x == r })
		for _, st := range r.steps {
			if st.to.IsZero() || st.to.After(now) {
				st.to = now
			}
		}
		e.mu.Unlock()
		close(r.stopped)
	})
}

// ActiveFault is a step of a running script.
type ActiveFault struct {
	Run    string // id of the run
	Script string // id of the script, "" when it has none
	Step   Step
	From   time.Time
	To     time.Time // zero: no end
	Active bool      // whether it is in force now
	Hits   int       // exchanges and connections it has hit
}

// Faults lists the steps of running scripts, those that are still to come included.
func (s *Sandbox) Faults() []ActiveFault {
	e, now := s.faults, time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []ActiveFault
	for _, r := range e.runs {
		for _, st := range r.steps {
			if !st.to.IsZero() && !now.Before(st.to) {
				continue
			}
			out = append(out, ActiveFault{
				Run: r.id, Script: r.script.ID, Step: st.Step, From: st.from, To: st.to, Active: st.active(now), Hits: st.hits,
			})
		}
	}
	return out
}

// ClearFaults ends every run.
func (s *Sandbox) ClearFaults() {
	s.faults.mu.Lock()
	runs := slices.Clone(s.faults.runs)
	s.faults.mu.Unlock()
	for _, r := range runs {
		r.Cancel()
	}
}

var errNoRun = errors.New("sandbox: no such run")

// cancel ends one run by id.
func (e *engine) cancel(id string) error {
	e.mu.Lock()
	i := slices.IndexFunc(e.runs, func(r *Run) bool { return r.id == id })
	var r *Run
	if i >= 0 {
		r = e.runs[i]
	}
	e.mu.Unlock()
	if r == nil {
		return errNoRun
	}
	r.Cancel()
	return nil
}

func newEngine(seed uint64, scale float64, routes []route) *engine {
	e := &engine{
		scale: scale, services: map[string]bool{"servicelist": true}, hits: map[string]int{},
		rng: rand.New(rand.NewPCG(seed, 0x6661_756c_7473)), //nolint:gosec // repeatable on purpose
	}
	for _, r := range routes {
		e.services[r.Service] = true
	}
	return e
}

// start turns a script into a run. Runs that ended are forgotten here.
func (e *engine) start(s *Sandbox, sc Script, start time.Time) *Run {
	r := &Run{s: s, script: sc, start: start, stopped: make(chan struct{})}
	end := r.End()
	for _, st := range sc.Steps {
		a := &activeStep{
			Step: st, run: r, services: e.covers(st.Service), from: start.Add(st.At), to: end, buckets: map[string]*bucket{},
		}
		if st.For > 0 {
			a.to = a.from.Add(st.For)
		}
		if !e.supported(st) {
			r.unsupported = append(r.unsupported, st)
			continue
		}
		r.steps = append(r.steps, a)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.runs = slices.DeleteFunc(e.runs, func(x *Run) bool {
		end := x.End()
		return !end.IsZero() && now.After(end) && !x.rotates()
	})
	e.last++
	r.id = fmt.Sprintf("f%d", e.last)
	e.runs = append(e.runs, r)
	return r
}

// rotates reports whether the run holds a change of certificate that must outlive it.
func (r *Run) rotates() bool {
	return slices.ContainsFunc(r.steps, func(st *activeStep) bool { return st.Fault.Kind() == "tls_rotate" })
}

// covers expands a name of the grammar into concrete services.
func (e *engine) covers(name string) map[string]bool {
	out := map[string]bool{}
	for svc := range maps.Keys(e.services) {
		direct := strings.HasSuffix(svc, "-direct")
		behind := !direct && svc != "servicelist"
		switch name {
		case "net", svc:
			out[svc] = true
		case "esb":
			out[svc] = behind
		case "access":
			out[svc] = behind && svc != "sts"
		case "idvalid":
			out[svc] = svc == "sts"
		}
	}
	maps.DeleteFunc(out, func(_ string, in bool) bool { return !in })
	return out
}

// supported reports whether the sandbox can carry out the step.
func (e *engine) supported(st Step) bool { return len(e.covers(st.Service)) > 0 }

func (a *activeStep) active(now time.Time) bool {
	return !now.Before(a.from) && (a.to.IsZero() || now.Before(a.to)) && (a.Max == 0 || a.hits < a.Max)
}

// each calls f for every active step that covers the service, in order. The lock is held.
func (e *engine) each(service string, now time.Time, f func(*activeStep)) {
	for _, r := range e.runs {
		for _, st := range r.steps {
			if st.services[service] && st.active(now) {
				f(st)
			}
		}
	}
}

// fires draws and, when the step hits, counts it. The lock is held.
func (e *engine) fires(st *activeStep, service string, p float64) bool {
	if p < 1 && e.rng.Float64() >= p {
		return false
	}
	e.hit(st, service)
	return true
}

func (e *engine) hit(st *activeStep, service string) {
	st.hits++
	e.hits[service+" "+st.Fault.Kind()]++
}

// refusal is Sandbox.refusal.
func (e *engine) refusal(service string, eid bool, now time.Time) (code string, refused bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.each(service, now, func(st *activeStep) {
		f, ok := st.Fault.(RefuseAuth)
		if !ok || refused || (f.Scope == "eid" && !eid) {
			return
		}
		if e.fires(st, service, f.P) {
			code, refused = f.Code, true
		}
	})
	return code, refused
}
