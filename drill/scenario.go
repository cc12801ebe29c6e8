package drill

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

// Traffic is one kind of thing that people do all day.
type Traffic string

// The kinds of traffic.
const (
	// Insurability: a question at the counter.
	Insurability Traffic = "insurability"
	// Login: a user who begins to work logs in with the identity card.
	Login Traffic = "login"
	// Writes: something that must be done once, such as creating a prescription; service app of the sandbox.
	Writes Traffic = "writes"
)

// kinds are all kinds of traffic, in the order in which a report has them.
var kinds = []Traffic{Insurability, Login, Writes, Mail, Inbox, Prescribe, Dispense}

// Names of fleets.
const (
	Ours          = "ours"           // the client of this module
	Naive         = "naive"          // see the package comment
	ConnectorLike = "connector-like" // behaves as dossier 12 measured the official connector
)

var (
	// ErrUnknownIncident reports an id that the catalogue does not have.
	ErrUnknownIncident = errors.New("drill: no such incident")
	// ErrUnknownTraffic reports a kind of traffic or a fleet that does not exist.
	ErrUnknownTraffic = errors.New("drill: no such traffic or fleet")
	// ErrMissingService reports an incident of which nothing can be replayed, because the sandbox does not have the
	// services it is about. The text names them.
	ErrMissingService = errors.New("drill: the sandbox does not have the services of this incident")
)

// usual is the traffic that shows what an incident does, when nothing else is asked for.
func usual(s sandbox.Script) []Traffic {
	if strings.EqualFold(s.ID, "SYN-HALF") { // its point is what does not move
		return []Traffic{Insurability, Writes, Prescribe, Dispense}
	}
	hits := map[Traffic]bool{}
	if strings.EqualFold(s.ID, "INC-2026-02-04-ETK") { // the identity that moved was that of Recip-e
		hits[Prescribe], hits[Dispense] = true, true
	}
	for _, st := range s.Steps {
		switch st.Service {
		case "sts", "idvalid": // who is logged in already should not notice
			hits[Login], hits[Insurability] = true, true
		case "app", "app-direct":
			hits[Writes] = true
		case "ehbox-pub", "ehbox-cons", "etk":
			hits[Mail], hits[Inbox] = true, true
		case "recipe-presc", "recipe-exec", "recipe-direct":
			hits[Prescribe], hits[Dispense] = true, true
		case "genins", "genins-direct", "esb", "net", "access":
			hits[Insurability] = true
		}
	}
	if strings.EqualFold(s.ID, "INC-2018-08-09-SAN") { // two waves in a day: what becomes of what waits
		hits[Mail], hits[Inbox] = true, true
	}
	var out []Traffic
	for _, t := range kinds {
		if hits[t] {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		out = []Traffic{Insurability}
	}
	return out
}

// share is the part of the country that the fleet stands for. It matters where an incident limits the capacity of a
// service to a part of its normal load: there it is the fleet's rate over the national mean of that service
// (dossier 06 C.3). Elsewhere the servers have the capacity of the whole country, and a small fleet never fills it.
func share(s sandbox.Script, o Options) float64 {
	for _, st := range s.Steps {
		if _, limited := st.Fault.(sandbox.Capacity); !limited {
			continue
		}
		service := st.Service
		if service == "esb" || service == "net" {
			service = "genins"
		}
		mean := sandbox.PeakRate(service) / peakFactor
		for _, f := range incident.Flows() {
			if f.Service == service && f.Mean > 0 {
				mean = f.Mean
			}
		}
		if mean > 0 {
			return min(1, float64(o.Pharmacies)/o.Every.Seconds()/mean)
		}
	}
	return 1
}

// peakFactor is how much busier the busiest moment is than the mean (dossier 06 C.3).
const peakFactor = 3

// lacking names the services of the steps that a sandbox cannot carry out, each once.
func lacking(steps []sandbox.Step) []string {
	var out []string
	for _, st := range steps {
		if !slices.Contains(out, st.Service) {
			out = append(out, st.Service)
		}
	}
	slices.Sort(out)
	return out
}

// prepare checks what a script needs against a sandbox and returns the services left out.
func prepare(s *sandbox.Sandbox, script sandbox.Script) (*sandbox.Run, []string, error) {
	run, err := s.Apply(script)
	var missing *sandbox.UnsupportedError
	switch {
	case errors.As(err, &missing) && len(missing.Steps) == len(script.Steps):
		run.Cancel()
		return nil, nil, fmt.Errorf("%w: %s needs %s", ErrMissingService, script.ID, strings.Join(lacking(missing.Steps), ", "))
	case missing != nil:
		return run, lacking(missing.Steps), nil
	case err != nil:
		return nil, nil, err
	}
	return run, nil, nil
}

// phases cuts an incident where a fault begins or ends.
func phases(s sandbox.Script, after time.Duration) []Phase {
	cuts := []time.Duration{0, s.End(), s.End() + after}
	for _, st := range s.Steps {
		cuts = append(cuts, st.At)
		if st.For > 0 {
			cuts = append(cuts, st.At+st.For)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []Phase
	for i := 1; i < len(cuts); i++ {
		out = append(out, Phase{Name: phaseName(s, cuts[i-1], s.End()), From: cuts[i-1], To: cuts[i]})
	}
	return out
}

func phaseName(s sandbox.Script, at, end time.Duration) string {
	var on []string
	for _, st := range s.Steps {
		if until := st.At + st.For; st.At <= at && (at < until || st.For == 0 && (at < end || end == 0)) {
			on = append(on, st.Service+" "+st.Fault.Kind())
		}
	}
	switch {
	case len(on) > 0:
		return strings.Join(on, ", ")
	case at >= end:
		return "after"
	}
	return "normal"
}
