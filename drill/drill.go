package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
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
	// Every is the mean time between two calls of one kind at one counter; 0 = DefaultEvery.
	Every time.Duration
	// After is how long the fleet goes on after the last step of the incident; 0 = DefaultAfter.
	After time.Duration
	// Traffic is what the counters do; nil = what shows the incident best. Each kind has a table of its own.
	Traffic []Traffic
	// Fleets are the kinds of clients, of Ours, Naive and ConnectorLike; nil = DefaultFleets.
	Fleets []string
	// Scale is the fraction of the country whose capacity the sandbox has; 0 = that of the fleet where the incident
	// limits capacity, else 1.
	Scale float64

	watch watch
}

// watch lets a test look at the programs of ours; each function may be nil.
type watch struct {
	configure func(*ehealth.Config)
	told      func(error)            // what a person was told
	end       func(*sandbox.Sandbox) // before it is closed
}

// DefaultFleets returns the fleets that are compared when no others are asked for.
func DefaultFleets() []string { return []string{Ours, Naive} }

var joins = map[string]func(*sandbox.Sandbox, *sandbox.Organisation) (counter, error){
	Ours: joinOurs, Naive: joinNaive, ConnectorLike: joinConnector,
}

func (o Options) withDefaults(script sandbox.Script) (Options, error) {
	if o.Pharmacies == 0 {
		o.Pharmacies = DefaultPharmacies
	}
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.After == 0 {
		o.After = DefaultAfter
	}
	if o.Traffic == nil {
		o.Traffic = usual(script)
	}
	if o.Fleets == nil {
		o.Fleets = DefaultFleets()
	}
	if o.Scale == 0 {
		o.Scale = share(script, o)
	}
	for _, t := range o.Traffic {
		if !slices.Contains(kinds, t) {
			return o, fmt.Errorf("%w: %q", ErrUnknownTraffic, t)
		}
	}
	for _, f := range o.Fleets {
		if joins[f] == nil {
			return o, fmt.Errorf("%w: %q", ErrUnknownTraffic, f)
		}
	}
	return o, nil
}

// Run replays one incident. It must be called inside a synctest bubble whose clock has not
// passed the incident's start; it sleeps until then.
func Run(o Options) (*Report, error) {
	if o.Incident == "" {
		o.Incident = DefaultIncident
	}
	script, ok := incident.Get(o.Incident)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownIncident, o.Incident)
	}
	o, err := o.withDefaults(script)
	if err != nil {
		return nil, err
	}
	if wait := time.Until(script.T0); wait > 0 {
		time.Sleep(wait)
	}
	fleets := make([]*fleet, len(o.Fleets))
	errs := make([]error, len(o.Fleets))
	var wg sync.WaitGroup
	for i, name := range o.Fleets {
		f := &fleet{name: name, o: o}
		for _, t := range o.Traffic {
			f.tables = append(f.tables, &Fleet{Name: name, Traffic: t, Phases: phases(script, o.After)})
		}
		fleets[i] = f
		wg.Go(func() { errs[i] = f.replay(script) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errs[slices.IndexFunc(errs, func(e error) bool { return e != nil })]
	}
	r := &Report{
		Incident: script.ID, About: script.About, Start: script.T0, Seed: o.Seed, Pharmacies: o.Pharmacies,
		Scale: o.Scale, LeftOut: fleets[0].leftOut,
	}
	for _, f := range fleets {
		for _, t := range f.tables {
			r.Fleets = append(r.Fleets, *t)
		}
	}
	return r, nil
}

// counter does things the way one kind of client does. Each method returns what the person is shown, or an error when
// that is that it did not work.
type counter interface {
	// check asks whether a patient is insured.
	check(context.Context, sandbox.Patient) (shown, error)
	// login logs one more user in.
	login(context.Context) error
	// put does something once, under a reference of the counter's own.
	put(ctx context.Context, reference string) (shown, error)
	close()
}

// shown is an answer as it appears on the screen.
type shown struct {
	of        string // whose answer it is: the patient or the reference
	otherwise bool   // not from the default address
}

// payload is what a write carries; nobody looks at it.
var payload = []byte("opaque")

// fleet is one kind of client, many times, in front of a sandbox of its own.
type fleet struct {
	name    string
	o       Options
	leftOut []string

	mu     sync.Mutex
	tables []*Fleet // by kind of traffic
}

func (f *fleet) replay(script sandbox.Script) error {
	s, err := sandbox.New(sandbox.Config{Seed: f.o.Seed, Patients: f.population(script), Scale: f.o.Scale})
	if err != nil {
		return err
	}
	defer s.Close()
	var counters []counter
	if slices.ContainsFunc(f.tables, func(t *Fleet) bool { return !t.Traffic.mail() && !t.Traffic.recipe() }) {
		counters = make([]counter, f.o.Pharmacies)
	}
	for i := range counters {
		if counters[i], err = joins[f.name](s, s.Organisation(identity.Pharmacy, i%2)); err != nil {
			return err
		}
		defer counters[i].close()
	}
	mail, err := f.openMail(s)
	defer mail.close()
	if err != nil {
		return err
	}
	rx, err := f.openRecipe(s)
	defer rx.close()
	if err != nil {
		return err
	}
	run, leftOut, err := prepare(s, script)
	if err != nil {
		return err
	}
	f.leftOut = leftOut
	defer run.Cancel()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range f.o.Pharmacies {
		for k, t := range f.tables {
			rnd := rand.New(rand.NewPCG(f.o.Seed, uint64(k)<<32|uint64(i))) //nolint:gosec // repeatable on purpose
			wg.Go(func() {
				switch {
				case t.Traffic.mail():
					mail.work(i, t, start, rnd)
				case t.Traffic.recipe():
					rx.work(i, t, start, rnd)
				default:
					f.work(s, counters[i], i, t, start, rnd)
				}
			})
		}
	}
	var renewed error
	wg.Go(func() { renewed = mail.renew(script, start) })
	f.watchLoad(s, start)
	wg.Wait()
	f.sumUp(s, start)
	return errors.Join(renewed, mail.sumUp(start), rx.sumUp(start))
}

// work lives one counter's day: calls at random instants, each on its own, because the
// next customer does not wait for the answer of the one before.
func (f *fleet) work(s *sandbox.Sandbox, c counter, desk int, t *Fleet, start time.Time, rnd *rand.Rand) {
	insured := patients(s)
	end := t.Phases[len(t.Phases)-1].To
	var wg sync.WaitGroup
	defer wg.Wait()
	next := time.Duration(0)
	for n := 1; ; n++ {
		next += time.Duration(rnd.ExpFloat64() * float64(f.o.Every))
		if next >= end {
			return
		}
		at := next
		patient := insured[rnd.IntN(len(insured))]
		reference := fmt.Sprintf("desk %d, %d", desk, n)
		time.Sleep(time.Until(start.Add(at)))
		wg.Go(func() {
			ctx := context.Background()
			switch t.Traffic {
			case Login:
				f.one(t, at, "", func() (shown, error) { return shown{}, c.login(ctx) })
			case Writes:
				f.one(t, at, reference, func() (shown, error) { return c.put(ctx, reference) })
			default:
				f.one(t, at, patient.SSIN.Reveal(), func() (shown, error) { return c.check(ctx, patient) })
			}
		})
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

// one makes one call about somebody or something and counts what became of it, in the phase in which it was made.
func (f *fleet) one(t *Fleet, at time.Duration, about string, call func() (shown, error)) {
	began := time.Now()
	got, err := call()
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	ph := t.phase(at)
	ph.Calls++
	ph.Slowest = max(ph.Slowest, took)
	ph.waits = append(ph.waits, took)
	switch {
	case err != nil:
		ph.Failed++
		switch {
		case t.Traffic != Writes || !isOurs(err):
		case errors.Is(err, outbox.ErrQueued):
			ph.Kept++
		case fault.OutcomeOf(err) == fault.Unknown:
			ph.Unsure++
		}
	case got.of != about:
		ph.WrongAsker++
	case got.otherwise:
		ph.Otherwise++
	default:
		ph.Live++
	}
}

// isOurs tells whether an error says what became of the request; those of other clients do not.
func isOurs(err error) bool {
	_, ok := errors.AsType[*fault.Error](err)
	return ok
}

func (t *Fleet) phase(at time.Duration) *Phase {
	for i := range t.Phases {
		if at < t.Phases[i].To {
			return &t.Phases[i]
		}
	}
	return &t.Phases[len(t.Phases)-1]
}

// watchLoad reads the sandbox's request counters at the end of every phase.
func (f *fleet) watchLoad(s *sandbox.Sandbox, start time.Time) {
	before, polled, asked := make([]int, len(f.tables)), 0, 0
	for i := range f.tables[0].Phases { // only To may be read without the lock
		time.Sleep(time.Until(start.Add(f.tables[0].Phases[i].To)))
		total, polls := f.load(s)
		tokens := s.State().Requests["etk"]
		f.mu.Lock()
		for k, t := range f.tables {
			t.Phases[i].Requests = total[k] - before[k]
			if t.Traffic == Mail {
				t.Phases[i].Tokens = tokens - asked
			}
		}
		f.tables[0].Phases[i].ListRequests = polls - polled
		f.mu.Unlock()
		before, polled, asked = total, polls, tokens
	}
}

// load is the requests so far, by kind of traffic. What belongs to no kind that runs, such as the logins of fleets that
// have other things to do, counts for the first. Those for the service list, a file on a host of its own, stand apart.
func (f *fleet) load(s *sandbox.Sandbox) (out []int, list int) {
	out = make([]int, len(f.tables))
	st := s.State()
	for service, n := range st.Requests {
		of := Insurability
		switch service {
		case "servicelist":
			list = n
			continue
		case "sts":
			of = Login
		case "app", "app-direct":
			of = Writes
		case "ehbox-pub":
			of = Mail
		case "etk":
			if of = Mail; f.tableOf(Mail) == nil {
				of = Prescribe
			}
		case "ehbox-cons":
			of = Inbox
		case "recipe-presc", "kgss":
			of = Prescribe
		case "recipe-exec":
			of = Dispense
		case "recipe-direct":
			of = Prescribe
			elsewhere := st.Endpoints[service]["/Recip-e/v4/Executor"]
			n -= elsewhere
			out[f.index(Dispense)] += elsewhere
		}
		out[f.index(of)] += n
	}
	return out, list
}

// index is where the table of a kind of traffic stands; 0 when there is none.
func (f *fleet) index(of Traffic) int {
	return max(slices.IndexFunc(f.tables, func(t *Fleet) bool { return t.Traffic == of }), 0)
}

// sumUp fills in what is known at the end: percentiles, and what the platform has executed.
func (f *fleet) sumUp(s *sandbox.Sandbox, start time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tables {
		if t.Traffic == Writes {
			for _, e := range s.AppExecutions() {
				ph := t.phase(e.At.Sub(start))
				ph.Done++
				if e.Nth > 1 {
					ph.Doubled++
				}
			}
		}
		for i := range t.Phases {
			t.Phases[i].P95 = percentile(t.Phases[i].waits, 95)
		}
	}
}
