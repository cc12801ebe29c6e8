package sandbox

import (
	"slices"
	"sync"
)

// swapper holds the answers that are ready but not yet sent, so that misroute can swap two of them, and the last
// answers of each service, for when only one exchange is in flight.
type swapper struct {
	mu     sync.Mutex
	flight map[string][]*ticket
	past   map[string][]*response
}

// ticket is an answer in flight.
type ticket struct {
	service string
	answer  *response
	asker   string
	swapped bool
}

// pastAnswers is how many former answers per service are kept: enough to find one of another asker.
const pastAnswers = 8

// enter puts an answer into flight. Answers without an asker take no part.
func (s *swapper) enter(service string, rs *response) *ticket {
	t := &ticket{service: service, answer: rs, asker: rs.Asker}
	if rs.Asker == "" {
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil {
		s.flight, s.past = map[string][]*ticket{}, map[string][]*response{}
	}
	s.flight[service] = append(s.flight[service], t)
	return t
}

// leave ends the flight of an answer, sent or not.
func (s *swapper) leave(t *ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(t)
}

func (s *swapper) drop(t *ticket) {
	if i := slices.Index(s.flight[t.service], t); i >= 0 {
		s.flight[t.service] = slices.Delete(s.flight[t.service], i, i+1)
	}
}

// take ends the flight of an answer and returns what to send, and how many exchanges get a wrong answer by that: with
// misroute the answer is swapped with the oldest one in flight that another asker waits for; when there is none, the
// latest former answer to another asker is sent; when there is none either, the right one. An asker never gets an
// answer of his own by a swap.
func (s *swapper) take(t *ticket, misroute bool) (rs *response, wrong int) {
	if t.asker == "" {
		return t.answer, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(t)
	if misroute && !t.swapped {
		wrong = s.swap(t)
	}
	if !slices.Contains(s.past[t.service], t.answer) {
		s.past[t.service] = append(s.past[t.service], t.answer)
		if n := len(s.past[t.service]); n > pastAnswers {
			s.past[t.service] = slices.Delete(s.past[t.service], 0, n-pastAnswers)
		}
	}
	return t.answer, wrong
}

func (s *swapper) swap(t *ticket) int {
	for _, o := range s.flight[t.service] {
		if o.asker != t.asker && !o.swapped {
			t.answer, o.answer = o.answer, t.answer
			t.swapped, o.swapped = true, true
			return 2
		}
	}
	for _, past := range slices.Backward(s.past[t.service]) {
		if past.Asker != t.asker {
			t.answer = past
			return 1
		}
	}
	return 0
}
