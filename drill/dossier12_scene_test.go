package drill

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// scene is a sandbox on virtual time in which the scenarios of dossier 12 are played. A is the default address of a
// service, B its alternate.
type scene struct {
	*testing.T
	s *sandbox.Sandbox
	o *sandbox.Organisation
}

var warmOnce sync.Once

// play runs f in a bubble.
func play(t *testing.T, f func(*scene)) {
	t.Helper()
	warmOnce.Do(func() { // keys take time that does not pass in a bubble
		for i := range 8 {
			if _, err := sandbox.SharedKeys().RSA(i); err != nil {
				t.Fatal(err)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, err := sandbox.New(sandbox.Config{Seed: 12, Patients: 20})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			s.Close()
			time.Sleep(2 * time.Second) // connections that a test slows down notice it late
		}()
		f(&scene{t, s, s.Organisation(identity.Pharmacy, 0)})
	})
}

// fault starts rows of the fault grammar and returns what ends them.
func (sc *scene) fault(rows ...string) (heal func()) {
	sc.Helper()
	time.Sleep(time.Millisecond) // connections made at this instant are older than the fault
	var cancels []func()
	for _, row := range rows {
		st, err := sandbox.ParseStep(row)
		if err != nil {
			sc.Fatal(err)
		}
		cancel, err := sc.s.Inject(st)
		if err != nil {
			sc.Fatal(err)
		}
		cancels = append(cancels, cancel)
	}
	time.Sleep(time.Millisecond) // connections that are idle are cut where a host refuses
	return func() {
		for _, c := range cancels {
			c()
		}
	}
}

// patient is the n-th patient who is insured.
func (sc *scene) patient(n int) sandbox.Patient { return patients(sc.s)[n] }

// seen is what one call came to: what dossier 12 has in its columns.
type seen struct {
	got     shown
	err     error
	took    time.Duration
	a, b, w int // requests at A and B, executions
	sts     int
	list    int
}

func (sc *scene) totals() seen {
	r := sc.s.State().Requests
	return seen{
		a: r["genins"] + r["app"], b: r["genins-direct"] + r["app-direct"], sts: r["sts"], list: r["servicelist"],
		w: len(sc.s.AppExecutions()),
	}
}

// do makes one call and counts what it caused until it ended.
func (sc *scene) do(call func(context.Context) (shown, error)) seen {
	before, began := sc.totals(), time.Now()
	got, err := call(context.Background())
	took := time.Since(began)
	time.Sleep(time.Millisecond) // what it started in passing, such as a look at the list
	return sc.since(before, seen{got: got, err: err, took: took})
}

func (sc *scene) since(before, v seen) seen {
	now := sc.totals()
	v.a, v.b, v.w, v.sts, v.list = now.a-before.a, now.b-before.b, now.w-before.w, now.sts-before.sts, now.list-before.list
	return v
}

func (sc *scene) check(c counter, patient int) seen {
	return sc.do(func(ctx context.Context) (shown, error) { return c.check(ctx, sc.patient(patient)) })
}

func (sc *scene) put(c counter, ref string) seen {
	return sc.do(func(ctx context.Context) (shown, error) { return c.put(ctx, ref) })
}

// many makes n checks at once and returns the slowest, with the requests of all.
func (sc *scene) many(c counter, n int) seen {
	before := sc.totals()
	var mu sync.Mutex
	var all seen
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			began := time.Now()
			_, err := c.check(context.Background(), sc.patient(0))
			mu.Lock()
			defer mu.Unlock()
			all.took = max(all.took, time.Since(began))
			all.err = errors.Join(all.err, err)
		})
	}
	wg.Wait()
	return sc.since(before, all)
}

// asked compares the requests at A and B and the executions.
func (sc *scene) asked(what string, v seen, a, b, w int) {
	sc.Helper()
	if v.a != a || v.b != b || v.w != w {
		sc.Errorf("%s: asked A %d times, B %d times, executed %d; want %d, %d, %d (%v, error %v)", what, v.a, v.b, v.w, a, b, w, v.took, v.err)
	}
}

// within compares the time a call took with bounds.
func (sc *scene) within(what string, v seen, least, most time.Duration) {
	sc.Helper()
	if v.took < least || v.took > most {
		sc.Errorf("%s: took %v, want %v to %v (error %v)", what, v.took, least, most, v.err)
	}
}

// answered and refused compare what the caller got.
func (sc *scene) answered(what string, v seen) {
	sc.Helper()
	if v.err != nil || v.got.of == "" {
		sc.Errorf("%s: no answer after %v: %v", what, v.took, v.err)
	}
}

func (sc *scene) failed(what string, v seen) {
	sc.Helper()
	if v.err == nil {
		sc.Errorf("%s: answered, and should not be", what)
	}
}
