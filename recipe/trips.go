package recipe

import (
	"context"
	"slices"
	"sync"

	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

// What a request was for, in [Created.Trips].
const (
	TripLogin  = "sts"     // the login token, which was not there
	TripTokens = "etk"     // the encryption token of Recip-e
	TripKey    = "kgss"    // a key, and the tokens that asking for it takes
	TripProbe  = "probe"   // a read that went first, since the service had failed lately
	TripSend   = "recip-e" // the prescription itself
)

// trips notes the requests that leave under a context. Everything is noted under the name of what is being done.
type trips struct {
	mu   sync.Mutex
	name string
	list []string
}

// now says what is being done.
func (t *trips) now(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name = name
}

func (t *trips) note(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, name)
}

func (t *trips) names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

// follow notes every request that leaves under the context; also one that others wait for too.
func (t *trips) follow(ctx context.Context) context.Context {
	return exchange.WithSent(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.list = append(t.list, t.name)
	})
}
