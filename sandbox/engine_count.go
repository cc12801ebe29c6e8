package sandbox

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// counters is what the sandbox has seen and done.
type counters struct {
	mu       sync.Mutex
	requests map[string]int // by service
	paths    map[string]int // by service and path
	effects  map[string]int
	named    map[string]int
	tickets  atomic.Int64
}

func newCounters() *counters {
	return &counters{requests: map[string]int{}, paths: map[string]int{}, effects: map[string]int{}, named: map[string]int{}}
}

func (c *counters) request(service, endpoint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[service]++
	c.paths[service+" "+endpoint]++
}

func (c *counters) effect(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.effects[name]++
}

func (c *counters) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named[name]++
}

// ticket is the next number for a fault's Id.
func (s *Sandbox) ticket() string { return fmt.Sprintf("SBX-%08d", s.counters.tickets.Add(1)) }

// State is what a sandbox has seen and done since New.
type State struct {
	// Requests counts the requests that reached a service, whatever became of them: the load, retries included.
	Requests map[string]int
	// Endpoints counts them by service and path: Endpoints["genins"]["/GenericInsurability/v1"].
	Endpoints map[string]map[string]int
	// Effects counts executed effects by name, also those whose answer was lost: what the platform has done.
	Effects map[string]int
	// Counters are the other counts of the services, such as refusals by code.
	Counters map[string]int
	// Hits counts exchanges and connections that fault steps hit, by service and kind: Hits["genins"]["hang"].
	// A swapped answer counts for each of the two who got a wrong one. Connections that a socket listener takes away
	// count under the name of the listener: "esb", "direct", "servicelist".
	Hits map[string]map[string]int
}

// State returns a copy of the counters.
func (s *Sandbox) State() State {
	s.settleMail()
	c := s.counters
	c.mu.Lock()
	st := State{
		Requests: maps.Clone(c.requests), Endpoints: nested(c.paths), Effects: maps.Clone(c.effects), Counters: maps.Clone(c.named),
	}
	c.mu.Unlock()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	st.Hits = nested(s.faults.hits)
	return st
}

// nested turns "a b" keys into two levels.
func nested(flat map[string]int) map[string]map[string]int {
	out := map[string]map[string]int{}
	for k, n := range flat {
		a, b, _ := strings.Cut(k, " ")
		if out[a] == nil {
			out[a] = map[string]int{}
		}
		out[a][b] = n
	}
	return out
}
