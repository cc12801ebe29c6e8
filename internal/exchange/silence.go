package exchange

import (
	"errors"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// maxSilent bounds how many services are remembered: callers may name any.
const maxSilent = 256

// unasked is after how long without a call nobody knows whether a service has answered meanwhile.
const unasked = 30 * time.Minute

// silence knows since when services do not answer.
type silence struct {
	mu    sync.Mutex
	since map[string]quiet // by service
}

// quiet is when the first and the last call in vain began.
type quiet struct{ first, last time.Time }

// began notes a call in vain that began at an instant, and returns since when none was answered.
func (s *silence) began(service string, at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, known := s.since[service]
	if !known || at.Before(q.first) || at.Sub(q.last) > unasked {
		q.first = at
	}
	if at.After(q.last) {
		q.last = at
	}
	if s.since == nil {
		s.since = map[string]quiet{}
	}
	if known || len(s.since) < maxSilent {
		s.since[service] = q
	}
	return q.first
}

// over notes that a service has answered.
func (s *silence) over(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, service)
}

// SilentError is the cause of a call that the service did not answer, with since when it has answered none of this process, which
// asked it at least every half an hour. Its text is that of the cause, and is printed as far as that is known to be safe.
type SilentError struct {
	Since time.Time // when the first call began that was in vain
	Err   error     // never nil
}

// Error is that of the cause.
func (e *SilentError) Error() string { return e.Err.Error() }

// SilentSince implements notice.Silent.
func (e *SilentError) SilentSince() time.Time { return e.Since }

// Unwrap returns the cause.
func (e *SilentError) Unwrap() error { return e.Err }

var errSilent = fault.AsSafe(errors.New("exchange: no answer"))
