package resilience

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// FullJitter is a backoff.BackOff whose n-th pause is random(0, min(Max, Base·2ⁿ)): many
// clients that failed together do not return together (dossier 08 section 1.8). It never
// returns backoff.Stop; attempts, budget and deadline end the retries. It is not safe for
// concurrent use.
type FullJitter struct {
	Base, Max time.Duration  // as in [BackoffPolicy]; Base <= 0: no pause
	Random    func() float64 // from [0, 1); nil = math/rand/v2
	n         int
}

var _ backoff.BackOff = (*FullJitter)(nil)

// NextBackOff returns the next pause.
func (f *FullJitter) NextBackOff() time.Duration {
	if f.Base <= 0 || f.Max <= 0 {
		return 0
	}
	bound := f.Base
	for i := 0; i < f.n && bound < f.Max; i++ {
		bound *= 2 // cannot overflow: it stops at the first value from Max on
		if bound <= 0 {
			bound = f.Max
		}
	}
	f.n++
	return time.Duration(draw(f.Random) * float64(min(bound, f.Max)))
}

// Reset begins again with the shortest pause.
func (f *FullJitter) Reset() { f.n = 0 }

func draw(random func() float64) float64 {
	if random == nil {
		return rand.Float64()
	}
	return random()
}
