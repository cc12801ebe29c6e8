package figures

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// The scenario of dossier 07 section 1.
const (
	load     = 100.0           // operations per second, all clients together
	capacity = 125.0           // of the server, per second
	perTry   = 2 * time.Second // time of one attempt of ours and of the naive client
	// patience is how long a person at a counter waits (dossier 06 B.5, BCP-01): an answer that comes later is no
	// success, whichever client gets it.
	patience = 15 * time.Second
	// transit is what an answer takes besides its turn, and what a refused connection takes.
	transit = 10 * time.Millisecond
	// dripping is how long an answer takes that comes byte by byte.
	dripping = 30 * time.Second
)

// mode is what is wrong with the server.
type mode int

const (
	healthy   mode = iota
	refuse         // takes no connection, and says so at once
	blackHole      // takes every connection and never answers
	reset          // takes every connection and cuts it
	drip           // answers byte by byte
	errors30       // answers 30 % of the requests with HTTP 503
)

var modeNames = map[mode]string{refuse: "refuses", blackHole: "black hole", reset: "cuts", drip: "slow drip"}

// How an exchange may end besides an answer or the end of its context.
var (
	errRefused = errors.New("figures: connection refused")
	errCut     = errors.New("figures: connection cut before an answer")
	errStatus  = errors.New("figures: HTTP 503")
)

// server works off one queue at a fixed rate. What it took it works off even when nobody waits any more: that is
// what makes overload sustain itself. All its addresses lead to the same queue.
type server struct {
	mu       sync.Mutex
	mode     mode
	capacity float64
	queue    []chan struct{}
	random   *rand.Rand
	attempts []time.Time // of whole connections and requests, as they arrive
	wake     chan struct{}
	stop     chan struct{}
}

// newServer starts a healthy server; close ends it.
func newServer(perSecond float64, seed uint64) *server {
	s := &server{
		capacity: perSecond, random: rand.New(rand.NewPCG(seed, 8)), //nolint:gosec // repeatable on purpose
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	go s.work()
	return s
}

func (s *server) close() { close(s.stop) }

func (s *server) set(m mode, perSecond float64) {
	s.mu.Lock()
	s.mode, s.capacity = m, perSecond
	s.mu.Unlock()
}

func (s *server) work() {
	for {
		s.mu.Lock()
		pause, n := time.Duration(float64(time.Second)/s.capacity), len(s.queue)
		s.mu.Unlock()
		if n == 0 {
			select {
			case <-s.stop:
				return
			case <-s.wake:
			}
			continue
		}
		select {
		case <-s.stop:
			return
		case <-time.After(pause):
		}
		s.mu.Lock()
		close(s.queue[0])
		s.queue = s.queue[1:]
		s.mu.Unlock()
	}
}

// arrive notes an attempt and gives it what the server's mode has for it: done is nil when there will be no answer.
func (s *server) arrive() (m mode, done chan struct{}, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts = append(s.attempts, time.Now())
	if s.mode == healthy || s.mode == errors30 {
		failed = s.mode == errors30 && s.random.Float64() < 0.3
		done = make(chan struct{})
		s.queue = append(s.queue, done)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return s.mode, done, failed
}

// exchange sends one request and waits for the answer, at most until ctx ends.
func (s *server) exchange(ctx context.Context) error {
	m, done, failed := s.arrive()
	switch m {
	case refuse:
		time.Sleep(transit)
		return errRefused
	case reset:
		time.Sleep(transit)
		return errCut
	case drip:
		select {
		case <-time.After(dripping):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-done: // never in a black hole
	case <-ctx.Done():
		return ctx.Err()
	}
	time.Sleep(transit)
	if failed {
		return errStatus
	}
	return nil
}
