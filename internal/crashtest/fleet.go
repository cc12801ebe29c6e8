package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// fleet is all campaigns of one store, beside each other, against one platform.
type fleet struct {
	store  string
	dir    string
	p      *platform
	pg     *cluster // of pgStore
	seed   uint64
	points []point // where children are to die; nil = all that the store has
	// careless lets prescribers break the rules, so that it shows whether that is found
	careless bool

	batch bool // a short one: as few children as reach every point
	round int  // crashes between two checks
	left  atomic.Int64

	mu    sync.Mutex
	deck  []point         // what is to be dealt before any point comes again
	hit   map[string]bool // points at which somebody died
	tries int             // children that may still be started
}

// more tells whether more children are to die, or a point is left at which nobody did.
func (f *fleet) more() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries > 0 && (f.left.Load() > 0 || len(f.missing()) > 0)
}

func (f *fleet) missing() []point {
	return slices.DeleteFunc(slices.Clone(f.points), func(p point) bool { return f.hit[p.name] })
}

// card is where a child is to die.
type card struct {
	point
	setup bool // only to leave the store as another point needs it
}

// deal gives each point once before it gives one again, so that a short run reaches all, and each to a campaign whose store is
// in a state that leads there: a child that lives in vain costs more than ten that die. has tells what is ready. There is no
// card when all are dealt.
func (f *fleet) deal(rng *rand.Rand, has need) (card, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left.Load() <= 0 {
		f.deck = slices.DeleteFunc(f.deck, func(p point) bool { return f.hit[p.name] })
	} else if len(f.deck) == 0 {
		f.deck = slices.Clone(f.points)
	}
	if f.tries <= 0 || len(f.deck) == 0 {
		return card{}, false
	}
	f.tries--
	rng.Shuffle(len(f.deck), func(i, j int) { f.deck[i], f.deck[j] = f.deck[j], f.deck[i] })
	// The rarest state first: most deaths lose it.
	best := -1
	for i, p := range f.deck {
		if n := p.needs(); n&^has == 0 && (best < 0 || n > f.deck[best].needs()) {
			best = i
		}
	}
	if best < 0 {
		return card{point: f.deck[0].needs().setup(), setup: true}, true
	}
	p := f.deck[best]
	f.deck = slices.Delete(f.deck, best, best+1)
	return card{point: p}, true
}

// dealt takes a card back: a child died there, or did not come to it.
func (f *fleet) dealt(k card, died bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case died:
		f.left.Add(-1)
		f.hit[k.name] = true
	case !k.setup:
		f.deck = append(f.deck, k.point)
	}
}

// fail ends the campaigns.
func (f *fleet) fail() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries = 0
}

// run lets campaigns run until n crashes have happened and each point was reached; n = 0: only until each was.
func (f *fleet) run(n, parallel int) (*totals, error) {
	began := time.Now()
	if f.points == nil {
		f.points = pointsOf(f.store)
	}
	f.batch = n == 0
	f.left.Store(int64(n))
	f.tries, f.hit, f.deck = 3*n+5*len(f.points), map[string]bool{}, slices.Clone(f.points)
	var mu sync.Mutex
	var errs []error
	failed := func(err error) {
		if err == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		f.fail()
	}
	f.round = 3*n + 5*len(f.points) // once, in the end
	if !f.batch {
		parallel = max(1, min(parallel, n/3))
		f.round = min(12, max(3, n/parallel))
	}
	all, fleet := make([]*campaign, parallel), sync.WaitGroup{}
	for i := range all {
		c := &campaign{
			fleet: f, no: i, rx: f.cases(i), dir: filepath.Join(f.dir, fmt.Sprintf("%s%d", f.store, i)),
			rng: rand.New(rand.NewPCG(f.seed, uint64(i))), totals: newTotals(f.store),
		}
		all[i] = c
		fleet.Go(func() { failed(c.at(c.run())) })
	}
	servers := &totals{}
	if f.pg != nil {
		var err error
		servers.Servers, err = f.pg.torment(f.more, rand.New(rand.NewPCG(f.seed, 1<<32)))
		failed(err)
	}
	fleet.Wait()
	sum := f.sum(all, servers)
	for range unseenTries {
		if !f.batch || len(errs) > 0 || f.store != rxStore || sum.Rx.everything() {
			break
		}
		failed(all[0].at(all[0].further()))
		sum = f.sum(all, servers)
	}
	sum.Took = time.Since(began)
	return sum, errors.Join(errs...)
}

// unseenTries is how often a short batch goes on when by chance something was not seen, such as a revocation.
const unseenTries = 5

// sum adds up what the campaigns saw.
func (f *fleet) sum(all []*campaign, servers *totals) *totals {
	sum := newTotals(f.store)
	sum.points = f.points
	sum.add(servers)
	for _, c := range all {
		sum.add(c.totals)
	}
	return sum
}
