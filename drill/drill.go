package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// Defaults of [Options].
const (
	DefaultIncident   = "INC-2018-06-12-LB"
	DefaultPharmacies = 12
	DefaultEvery      = 5 * time.Minute
	DefaultAfter      = 30 * time.Minute
)

// Options says what to replay.
type Options struct {
	// Incident is an id of package incident; "" = DefaultIncident.
	Incident string
	// Seed determines the questions, the population and the draws of the fault engine.
	Seed uint64
	// Pharmacies is the size of the fleet; 0 = DefaultPharmacies. They share the identities of the
	// sandbox's few pharmacies, but each has its own client and its own login.
	Pharmacies int
	// Every is the mean time between two questions at one counter; 0 = DefaultEvery.
	Every time.Duration
	// After is how long the fleet goes on after the last step of the incident; 0 = DefaultAfter.
	After time.Duration
}

func (o Options) withDefaults() Options {
	if o.Incident == "" {
		o.Incident = DefaultIncident
	}
	if o.Pharmacies == 0 {
		o.Pharmacies = DefaultPharmacies
	}
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.After == 0 {
		o.After = DefaultAfter
	}
	return o
}

// ErrUnknownIncident reports an id that the catalogue does not have.
var ErrUnknownIncident = errors.New("drill: no such incident")

// Run replays one incident. It must be called inside a synctest bubble whose clock has not
// passed the incident's start; it sleeps until then.
func Run(o Options) (*Report, error) {
	o = o.withDefaults()
	script, ok := incident.Get(o.Incident)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownIncident, o.Incident)
	}
	if wait := time.Until(script.T0); wait > 0 {
		time.Sleep(wait)
	}
	r := &Report{Incident: script.ID, About: script.About, Start: script.T0, Seed: o.Seed, Pharmacies: o.Pharmacies}
	fleets := []*fleet{{name: "ours", join: joinOurs}, {name: "naive", join: joinNaive}}
	errs := make([]error, len(fleets))
	var wg sync.WaitGroup
	for i, f := range fleets {
		f.o, f.phases = o, phases(script, o.After)
		wg.Go(func() { errs[i] = f.replay(script) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, f := range fleets {
		r.Fleets = append(r.Fleets, Fleet{Name: f.name, Phases: f.phases})
	}
	return r, nil
}

// counter asks one question the way one kind of client does.
type counter interface {
	// ask returns what the person at the counter is shown, or an error when nothing is.
	ask(context.Context, sandbox.Patient) (shown, error)
	close()
}

// shown is an answer as it appears on the screen.
type shown struct {
	ssin      string // whose answer it is
	otherwise bool   // not from the default address
}

// fleet is one kind of client, many times, in front of a sandbox of its own.
type fleet struct {
	name string
	join func(*sandbox.Sandbox, *sandbox.Organisation) (counter, error)
	o    Options

	mu     sync.Mutex
	phases []Phase
}

func (f *fleet) replay(script sandbox.Script) error {
	s, err := sandbox.New(sandbox.Config{Seed: f.o.Seed, Patients: 500})
	if err != nil {
		return err
	}
	defer s.Close()
	counters := make([]counter, f.o.Pharmacies)
	for i := range counters {
		if counters[i], err = f.join(s, s.Organisation(identity.Pharmacy, i%2)); err != nil {
			return err
		}
		defer counters[i].close()
	}
	run, err := s.Apply(script)
	if err != nil {
		return err
	}
	defer run.Cancel()
	start := time.Now()
	var wg sync.WaitGroup
	for i, c := range counters {
		wg.Go(func() { f.work(s, c, start, rand.New(rand.NewPCG(f.o.Seed, uint64(i)))) })
	}
	f.watchLoad(s, start)
	wg.Wait()
	return nil
}

// work lives one counter's day: questions at random instants, each on its own, because the
// next customer does not wait for the answer of the one before.
func (f *fleet) work(s *sandbox.Sandbox, c counter, start time.Time, rnd *rand.Rand) {
	insured := patients(s)
	end := f.phases[len(f.phases)-1].To
	var wg sync.WaitGroup
	defer wg.Wait()
	for at := time.Duration(0); ; {
		at += time.Duration(rnd.ExpFloat64() * float64(f.o.Every))
		if at >= end {
			return
		}
		patient := insured[rnd.IntN(len(insured))]
		time.Sleep(time.Until(start.Add(at)))
		wg.Go(func() { f.one(c, patient, at) })
	}
}

func patients(s *sandbox.Sandbox) (out []sandbox.Patient) {
	for _, p := range s.Patients() {
		if p.Scenario == sandbox.Insured || p.Scenario == sandbox.Preferential {
			out = append(out, p)
		}
	}
	return out
}

// one asks one question and counts what became of it, in the phase in which it was asked.
func (f *fleet) one(c counter, p sandbox.Patient, at time.Duration) {
	began := time.Now()
	got, err := c.ask(context.Background(), p)
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	ph := f.phase(at)
	ph.Calls++
	ph.Slowest = max(ph.Slowest, took)
	switch {
	case err != nil:
		ph.Failed++
	case got.ssin != p.SSIN.Reveal():
		ph.WrongAsker++
	case got.otherwise:
		ph.Otherwise++
	default:
		ph.Live++
	}
}

func (f *fleet) phase(at time.Duration) *Phase {
	for i := range f.phases {
		if at < f.phases[i].To {
			return &f.phases[i]
		}
	}
	return &f.phases[len(f.phases)-1]
}

// watchLoad reads the sandbox's request counters at the end of every phase.
func (f *fleet) watchLoad(s *sandbox.Sandbox, start time.Time) {
	before := 0
	for i := range f.phases {
		f.mu.Lock()
		to := f.phases[i].To
		f.mu.Unlock()
		time.Sleep(time.Until(start.Add(to)))
		total := 0
		for _, n := range s.State().Requests {
			total += n
		}
		f.mu.Lock()
		f.phases[i].Requests = total - before
		f.mu.Unlock()
		before = total
	}
}
