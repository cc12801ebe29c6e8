package etee

import (
	"context"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

// codeNotReader is what the key service says to who is not on the list of a key, and to a token that is no good (dossier 02 C.2).
const codeNotReader = "InvalidSecurity"

// spared is how long a token that was made after a refusal is not blamed for another one.
const spared = 5 * time.Minute

// replacing is when a refusal was last answered with another token.
type replacing struct {
	mu sync.Mutex
	at time.Time
}

// reader secures one question for an existing key. Whether a refusal is about the token or about the list only another token tells: it
// is asked for once, and not again for each prescription of a list that the caller may not read.
type reader struct {
	exchange.Security
	began    time.Time
	replaced *replacing // shared by all questions
}

// Refused implements exchange.Security. A question that began before the token was replaced may have carried the old one.
func (r *reader) Refused(ctx context.Context, e *fault.Error) bool {
	if e == nil || e.Code != codeNotReader {
		return r.Security.Refused(ctx, e)
	}
	now := time.Now()
	r.replaced.mu.Lock()
	last := r.replaced.at
	fresh := !last.IsZero() && !r.began.Before(last) && now.Sub(last) < spared
	if !fresh && !r.began.Before(last) {
		r.replaced.at = now
	}
	r.replaced.mu.Unlock()
	return !fresh && r.Security.Refused(ctx, e)
}

// Served implements exchange.Judge.
func (r *reader) Served(service string) {
	if j, ok := r.Security.(exchange.Judge); ok {
		j.Served(service)
	}
}

// Denied implements exchange.Judge.
func (r *reader) Denied(e *fault.Error) {
	if j, ok := r.Security.(exchange.Judge); ok {
		j.Denied(e)
	}
}
