package drill

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a drill found.
type Report struct {
	Incident   string    `json:"incident"`
	About      string    `json:"about,omitempty"`
	Start      time.Time `json:"start"`
	Seed       uint64    `json:"seed"`
	Pharmacies int       `json:"pharmacies"`
	Scale      float64   `json:"scale"`             // part of the country whose capacity the sandbox has
	LeftOut    []string  `json:"leftOut,omitempty"` // services of the incident that the sandbox does not have yet
	Fleets     []Fleet   `json:"fleets"`
}

// Fleet is the part of a report about one kind of client and one kind of traffic.
type Fleet struct {
	Name    string  `json:"name"`
	Traffic Traffic `json:"traffic"`
	Phases  []Phase `json:"phases"`
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
	Requests   int           `json:"requests"`   // what reached the services in this phase, retries and logins included
	WrongAsker int           `json:"wrongAsker"` // somebody else's answer was shown
	// ListRequests are those for the service list, which is a file on a host of its own. They stand in the first table
	// of a fleet.
	ListRequests int           `json:"listRequests"`
	P95          time.Duration `json:"p95"` // 95 % waited at most this long, in nanoseconds

	// Of writes only. Unsure and Kept are parts of Failed: the person was told that the outcome is not known yet, and not
	// to repeat it; or that it is kept and sent by itself. Done counts what the platform executed in this phase, Doubled how much of it was a repeat of something
	// it had executed before.
	Unsure  int `json:"unsure,omitempty"`
	Kept    int `json:"kept,omitempty"`
	Done    int `json:"done,omitempty"`
	Doubled int `json:"doubled,omitempty"`

	// Of letters only. Kept, Unsure, Done and Doubled are those of writes, where Done counts letters in the boxes of
	// their recipients. Lost counts letters of which the person was told that they are or will be sent, and which never came:
	// they stand in the last phase. Tokens are requests to the ETK depot; they are part of Requests.
	Lost   int `json:"lost,omitempty"`
	Tokens int `json:"tokens,omitempty"`

	// Of looks into a box only. Read counts letters, Aside what could not be opened and was set aside, Unread letters
	// delivered in this phase that nobody had read at the end.
	Read   int `json:"read,omitempty"`
	Aside  int `json:"aside,omitempty"`
	Unread int `json:"unread,omitempty"`

	// Of prescriptions only. Live, Otherwise and Failed say what the doctor was told: a RID of the default address, a RID of
	// another one or after it was found out, or that there is none. Slowest is until the doctor was told something, Waited
	// until the patient could leave. Unsure is those of whom it was not known at first, Paper those who left with paper. Done
	// counts prescriptions that the platform created in this phase, Ghosts those of them whose RID no doctor knows. Both is patients who
	// left with paper although there is a valid prescription, Neither those who left with nothing.
	Paper   int           `json:"paper,omitempty"`
	Waited  time.Duration `json:"waited,omitempty"` // nanoseconds
	Ghosts  int           `json:"ghosts,omitempty"`
	Both    int           `json:"both,omitempty"`
	Neither int           `json:"neither,omitempty"`
	// Of dispensing only: calls are proofs scanned, Live and Otherwise those fetched, delivered and archived at once. Kept is
	// part of Failed: dispensed on the proof, and told to Recip-e later. Known at the end, and standing in the last phase: Done
	// counts prescriptions archived, Doubled deliveries and archivings too many, Lost prescriptions dispensed and never archived.

	waits []time.Duration
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
		t.ListRequests += p.ListRequests
		t.Unsure += p.Unsure
		t.Kept += p.Kept
		t.Done += p.Done
		t.Doubled += p.Doubled
		t.Lost += p.Lost
		t.Tokens += p.Tokens
		t.Read += p.Read
		t.Aside += p.Aside
		t.Unread += p.Unread
		t.Paper += p.Paper
		t.Waited = max(t.Waited, p.Waited)
		t.Ghosts += p.Ghosts
		t.Both += p.Both
		t.Neither += p.Neither
		t.Slowest = max(t.Slowest, p.Slowest)
		t.waits = append(t.waits, p.waits...)
	}
	t.P95 = percentile(t.waits, 95)
	return t
}

// percentile is the smallest of the waits that at least p of a hundred do not exceed; 0 of none.
func percentile(waits []time.Duration, p int) time.Duration {
	if len(waits) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(waits))
	return sorted[(len(sorted)*p+99)/100-1]
}

// WriteText writes the report as a table per fleet and kind of traffic.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s", r.Incident)
	if r.About != "" {
		fmt.Fprintf(w, " — %s", r.About)
	}
	fmt.Fprintf(w, "\nreplayed from %s, %d pharmacies, seed %d\n", r.Start.Format("2006-01-02 15:04 -0700"), r.Pharmacies, r.Seed)
	if r.Scale < 1 {
		fmt.Fprintf(w, "capacities are those of %.2g of the country\n", r.Scale)
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(w, "left out, because the sandbox does not have it yet: %s\n", strings.Join(r.LeftOut, ", "))
	}
	kinds := map[Traffic]bool{}
	for _, f := range r.Fleets {
		kinds[f.Traffic] = true
		if err := f.writeText(w, r.Start); err != nil {
			return err
		}
	}
	fmt.Fprint(w, `
calls: questions asked; live: right answer from the default address; otherwise: right answer from another address;
failed: no answer, and the person was told; load: requests that reached the services; wrong asker: somebody else's answer shown
`)
	if kinds[Writes] || kinds[Mail] {
		fmt.Fprint(w, `unsure: failed, and told not to repeat it before it is known what happened; kept: failed, and told that it is sent later; done: executed by the platform;
doubled: executed although it had been before
`)
	}
	if kinds[Mail] {
		fmt.Fprint(w, `mail: done is letters in the boxes of their recipients; lost: letters that were promised and never came; tokens: requests to the ETK depot
`)
	}
	if kinds[Prescribe] {
		fmt.Fprint(w, `prescribe: failed: no electronic prescription; unsure: not known at first; paper: left with paper; waited: longest until the patient could
leave; created: by the platform; ghosts: created, and no doctor knows the RID; both: paper and a valid prescription; neither: left with nothing
`)
	}
	if kinds[Dispense] {
		fmt.Fprint(w, `dispense: live and otherwise: fetched, delivered and archived at once; failed: dispensed on the proof; kept: of these, those that are told
to Recip-e later; archived: in the end; doubled: delivered or archived twice; lost: dispensed and never archived
`)
	}
	if kinds[Inbox] {
		fmt.Fprint(w, `inbox: calls are looks into a box, live those that came to their end; read: letters; aside: messages that cannot be opened and did not
hold up the others; unread: letters that nobody had read at the end
`)
	}
	return nil
}

func (f Fleet) writeText(w io.Writer, start time.Time) error {
	title := f.Name
	if f.Traffic != Insurability {
		title += ", " + string(f.Traffic)
	}
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	more, cells := columns(f.Traffic)
	fmt.Fprintln(t, "from\tto\tcalls\tlive\totherwise\tfailed\tslowest\tload\twrong asker\t"+more+"  phase")
	for _, p := range append(slices.Clip(f.Phases), f.Total()) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%s  %s\n", clock(start, p.From), clock(start, p.To),
			p.Calls, p.Live, p.Otherwise, p.Failed, wait(p.Slowest), p.Requests, p.WrongAsker, cells(p), p.Name)
	}
	return t.Flush()
}

// columns are those that a kind of traffic has beside the common ones.
func columns(of Traffic) (heads string, cells func(Phase) string) {
	switch of {
	case Writes:
		return "unsure\tkept\tdone\tdoubled\t", func(p Phase) string {
			return fmt.Sprintf("%d\t%d\t%d\t%d\t", p.Unsure, p.Kept, p.Done, p.Doubled)
		}
	case Mail:
		return "unsure\tkept\tdone\tdoubled\tlost\ttokens\t", func(p Phase) string {
			return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d\t", p.Unsure, p.Kept, p.Done, p.Doubled, p.Lost, p.Tokens)
		}
	case Prescribe:
		return "unsure\tpaper\twaited\tcreated\tghosts\tboth\tneither\t", func(p Phase) string {
			return fmt.Sprintf("%d\t%d\t%s\t%d\t%d\t%d\t%d\t", p.Unsure, p.Paper, wait(p.Waited), p.Done, p.Ghosts, p.Both, p.Neither)
		}
	case Dispense:
		return "kept\tarchived\tdoubled\tlost\t", func(p Phase) string {
			return fmt.Sprintf("%d\t%d\t%d\t%d\t", p.Kept, p.Done, p.Doubled, p.Lost)
		}
	case Inbox:
		return "read\taside\tunread\t", func(p Phase) string { return fmt.Sprintf("%d\t%d\t%d\t", p.Read, p.Aside, p.Unread) }
	}
	return "", func(Phase) string { return "" }
}

func clock(start time.Time, at time.Duration) string { return start.Add(at).Format("15:04") }

func wait(d time.Duration) string {
	if d < 10*time.Millisecond {
		return "0 s"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
