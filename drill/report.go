package drill

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

// Report is what a drill found.
type Report struct {
	Incident   string    `json:"incident"`
	About      string    `json:"about,omitempty"`
	Start      time.Time `json:"start"`
	Seed       uint64    `json:"seed"`
	Pharmacies int       `json:"pharmacies"`
	Fleets     []Fleet   `json:"fleets"`
}

// Fleet is the part of a report about one kind of client.
type Fleet struct {
	Name   string  `json:"name"`
	Phases []Phase `json:"phases"`
}

// Phase is a stretch of an incident in which the same faults were active. Every call counts
// once, in the phase in which it was made: as Live, Otherwise, Failed or WrongAsker.
type Phase struct {
	Name       string        `json:"name"`
	From       time.Duration `json:"from"` // from the start of the incident, in nanoseconds
	To         time.Duration `json:"to"`
	Calls      int           `json:"calls"`      // questions asked at the counters
	Live       int           `json:"live"`       // right answers from the default address
	Otherwise  int           `json:"otherwise"`  // right answers from another address
	Failed     int           `json:"failed"`     // no answer, and the person was told
	Slowest    time.Duration `json:"slowest"`    // longest wait at a counter, in nanoseconds
	Requests   int           `json:"requests"`   // what reached the platform in this phase, retries and logins included
	WrongAsker int           `json:"wrongAsker"` // somebody else's answer was shown
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
		if until := st.At + st.For; st.At <= at && (at < until || st.For == 0 && at < end) {
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

// Total adds up the phases of a fleet.
func (f Fleet) Total() Phase {
	t := Phase{Name: "total"}
	for _, p := range f.Phases {
		t.To = p.To
		t.Calls += p.Calls
		t.Live += p.Live
		t.Otherwise += p.Otherwise
		t.Failed += p.Failed
		t.Requests += p.Requests
		t.WrongAsker += p.WrongAsker
		t.Slowest = max(t.Slowest, p.Slowest)
	}
	return t
}

// WriteText writes the report as a table per fleet.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s", r.Incident)
	if r.About != "" {
		fmt.Fprintf(w, " — %s", r.About)
	}
	fmt.Fprintf(w, "\nreplayed from %s, %d pharmacies, seed %d\n", r.Start.Format("2006-01-02 15:04 -0700"), r.Pharmacies, r.Seed)
	for _, f := range r.Fleets {
		fmt.Fprintf(w, "\n%s\n", f.Name)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "from\tto\tcalls\tlive\totherwise\tfailed\tslowest\tload\twrong asker\t  phase")
		for _, p := range append(f.Phases, f.Total()) {
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t  %s\n", clock(r.Start, p.From), clock(r.Start, p.To),
				p.Calls, p.Live, p.Otherwise, p.Failed, wait(p.Slowest), p.Requests, p.WrongAsker, p.Name)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, `
calls: questions asked; live: right answer from the default address; otherwise: right answer from another address;
failed: no answer, and the person was told; load: requests that reached the platform; wrong asker: somebody else's answer shown
`)
	return err
}

func clock(start time.Time, at time.Duration) string { return start.Add(at).Format("15:04") }

func wait(d time.Duration) string {
	if d < 10*time.Millisecond {
		return "0 s"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
