package bcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	stateVersion = 1
	// StateAge is how old an exported state may be: older ones say nothing about today.
	StateAge = 12 * time.Hour
	// assumeOpen is the mean time that an address whose breaker was open is left alone after Import. It saves the first
	// calls after a restart from paying for a time-out again.
	assumeOpen = 30 * time.Second
	maxState   = 1 << 20 // bytes
	maxStated  = 4096    // services, addresses
)

// ErrState is returned by [Router.Import] for something that is not a state, or one that is too old. Nothing is taken over.
var ErrState = errors.New("bcp: not a usable endpoint state")

// state is the exported form: UDDI ids, addresses, times; no personal data.
type state struct {
	Version  int            `json:"version"`
	Saved    time.Time      `json:"saved"`
	Services []serviceState `json:"services,omitempty"`
	Open     []string       `json:"open,omitempty"` // addresses whose breaker was open
	Bad      []badState     `json:"bad,omitempty"`
	// Breakers is what the breakers say about themselves, if they are a json.Marshaler.
	Breakers json.RawMessage `json:"breakers,omitempty"`
}

type serviceState struct {
	ID       string        `json:"id"`
	Mode     Mode          `json:"mode"`
	Primary  string        `json:"primary"`
	From     string        `json:"from,omitempty"`
	Since    time.Time     `json:"since"`
	Hold     time.Duration `json:"hold,omitempty"`
	Strikes  int           `json:"strikes,omitempty"`
	SeenOpen time.Time     `json:"seenOpen"`
	Returned time.Time     `json:"returned"`
}

type badState struct {
	URL   string    `json:"url"`
	Until time.Time `json:"until"`
}

// Export returns the modes of the services and the state of the breakers of their addresses as JSON, for a store that
// keeps it over a restart. When the Breakers are a json.Marshaler, their own form is in it too. It holds no personal data.
func (r *Router) Export() ([]byte, error) {
	now := time.Now()
	modes := r.Modes() // gives a stable order
	s := state{Version: stateVersion, Saved: now}
	r.mu.Lock()
	seen := map[string]bool{}
	for _, sm := range modes {
		m := r.services[sm.Service]
		s.Services = append(s.Services, serviceState{
			sm.Service, m.mode, m.primary, m.from, m.since, m.hold, m.strikes, m.seenOpen, m.returned,
		})
		for _, e := range r.cfg.Directory.Endpoints(sm.Service) {
			if seen[e.URL] {
				continue
			}
			seen[e.URL] = true
			if r.open(e.URL, now) {
				s.Open = append(s.Open, e.URL)
			}
			if r.isBad(e.URL, now) {
				s.Bad = append(s.Bad, badState{e.URL, r.bad[e.URL]})
			}
		}
	}
	r.mu.Unlock()
	if b, ok := r.cfg.Breakers.(json.Marshaler); ok {
		raw, err := b.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("bcp: breakers: %w", err)
		}
		s.Breakers = raw
	}
	return json.Marshal(s)
}

// Import takes over what Export gave, before the first call. Breakers that are a json.Unmarshaler get their own form back;
// for others an address whose breaker was open counts as open for about half a minute more. A state of a service whose
// list commands another address by now leads to the same as a change of the list: calls obey it. Errors are ErrState, or
// that of the breakers.
func (r *Router) Import(data []byte) error {
	now := time.Now()
	var s state
	if len(data) > maxState || json.Unmarshal(data, &s) != nil || s.Version != stateVersion {
		return ErrState
	}
	if age := now.Sub(s.Saved); age > StateAge || age < -MaxSkew {
		return fmt.Errorf("%w: saved at another time", ErrState)
	}
	if len(s.Services) > maxStated || len(s.Open) > maxStated || len(s.Bad) > maxStated {
		return fmt.Errorf("%w: too large", ErrState)
	}
	for _, v := range s.Services {
		if v.Mode > Returning || v.Primary == "" || v.Mode != Normal && v.From == "" || v.Hold < 0 || v.Hold > 2*AwayMax || v.Strikes < 0 || v.Strikes > maxStrikes ||
			v.Since.After(now.Add(MaxSkew)) || v.SeenOpen.After(now.Add(MaxSkew)) || v.Returned.After(now.Add(MaxSkew)) {
			return fmt.Errorf("%w: a service", ErrState)
		}
	}
	u, own := r.cfg.Breakers.(json.Unmarshaler)
	if own = own && len(s.Breakers) > 0; own {
		if err := u.UnmarshalJSON(s.Breakers); err != nil {
			return fmt.Errorf("bcp: breakers: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range s.Services {
		r.services[v.ID] = &machine{
			mode: v.Mode, primary: v.Primary, from: v.From, since: v.Since, hold: v.Hold, strikes: v.Strikes,
			seenOpen: v.SeenOpen, returned: v.Returned,
		}
	}
	for _, b := range s.Bad {
		if b.Until.After(now) && b.Until.Before(now.Add(2*badFor)) {
			r.bad[b.URL] = b.Until
		}
	}
	if !own {
		for _, url := range s.Open {
			r.assumed[url] = now.Add(spread(assumeOpen, r.chance()))
		}
	}
	return nil
}
