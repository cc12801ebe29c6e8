package figures

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Value is one measured number. +Inf is "never" or "none", NaN "does not apply".
type Value float64

// MarshalJSON writes +Inf as "never" and NaN as null.
func (v Value) MarshalJSON() ([]byte, error) {
	switch f := float64(v); {
	case math.IsInf(f, 1):
		return []byte(`"never"`), nil
	case math.IsNaN(f):
		return []byte("null"), nil
	default:
		return json.Marshal(f)
	}
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"never"`:
		*v = Value(math.Inf(1))
	case "null":
		*v = Value(math.NaN())
	default:
		f, err := strconv.ParseFloat(string(b), 64)
		*v = Value(f)
		return err
	}
	return nil
}

// Unit is how a number is printed.
type Unit string

// The units.
const (
	Ratio   Unit = "ratio"
	Percent Unit = "percent" // of a share
	Seconds Unit = "s"
	Millis  Unit = "ms"
	Minutes Unit = "min" // of a margin: +Inf prints as "none"
	Count   Unit = "count"
)

// Target is what the column "target" of dossier 08 section 4 wants of ours.
type Target struct {
	Limit   Value `json:"limit"`
	AtLeast bool  `json:"atLeast,omitempty"` // of Limit; else at most
	Above   bool  `json:"above,omitempty"`   // more than Limit
}

func atMost(v float64) *Target  { return &Target{Limit: Value(v)} }
func atLeast(v float64) *Target { return &Target{Limit: Value(v), AtLeast: true} }
func above(v float64) *Target   { return &Target{Limit: Value(v), Above: true} }

// Met tells whether v is what the target wants.
func (t *Target) Met(v Value) bool {
	switch {
	case math.IsNaN(float64(v)):
		return false
	case t.Above:
		return v > t.Limit
	case t.AtLeast:
		return v >= t.Limit
	}
	return v <= t.Limit
}

// Row is one line of the table.
type Row struct {
	Figure string  `json:"figure"` // number in dossier 08 section 4
	Name   string  `json:"name"`
	Unit   Unit    `json:"unit"`
	Low    bool    `json:"low,omitempty"` // a low value is the worse one
	Target *Target `json:"target,omitempty"`
	// Values are by client, one per seed.
	Values map[string][]Value `json:"values"`
}

// Median is the middle value of a client; NaN when there is none.
func (r *Row) Median(client string) Value {
	return r.at(client, func(n int) int { return (n - 1) / 2 })
}

// Worst is the worst value of a client; NaN when there is none.
func (r *Row) Worst(client string) Value { return r.at(client, func(n int) int { return n - 1 }) }

// at returns a value of those sorted from best to worst.
func (r *Row) at(client string, which func(n int) int) Value {
	sorted := slices.Sorted(slices.Values(r.Values[client]))
	if len(sorted) == 0 || math.IsNaN(float64(sorted[0])) { // NaN sorts first
		return Value(math.NaN())
	}
	if r.Low {
		slices.Reverse(sorted)
	}
	return sorted[which(len(sorted))]
}

// Met tells whether ours reaches the target with every seed; true without a target.
func (r *Row) Met() bool { return r.Target == nil || r.Target.Met(r.Worst(Ours)) }

// Table is what was measured, in the order of dossier 08.
type Table struct {
	Seeds int   `json:"seeds"`
	Rows  []Row `json:"rows"`
}

// put adds one value to the row of that figure and name, which it makes if there is none.
func (t *Table) put(r Row, client string, v float64) {
	i := slices.IndexFunc(t.Rows, func(o Row) bool { return o.Figure == r.Figure && o.Name == r.Name })
	if i < 0 {
		r.Values = map[string][]Value{}
		t.Rows = append(t.Rows, r)
		i = len(t.Rows) - 1
	}
	t.Rows[i].Values[client] = append(t.Rows[i].Values[client], Value(v))
}

// Merge adds the values of other seeds, or other rows.
func (t *Table) Merge(other *Table) {
	for _, r := range other.Rows {
		for client, values := range r.Values {
			for _, v := range values {
				t.put(r, client, float64(v))
			}
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b Row) int { return figureNo(a.Figure) - figureNo(b.Figure) })
	t.Seeds = 0
	for _, r := range t.Rows {
		t.Seeds = max(t.Seeds, len(r.Values[Ours]))
	}
}

func figureNo(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// Missed are the rows whose target ours does not reach with every seed.
func (t *Table) Missed() (out []Row) {
	for _, r := range t.Rows {
		if !r.Met() {
			out = append(out, r)
		}
	}
	return out
}

// text prints a value in a unit.
func (u Unit) text(v Value) string {
	f := float64(v)
	switch {
	case math.IsNaN(f):
		return "–"
	case math.IsInf(f, 1) && u == Minutes:
		return "none"
	case math.IsInf(f, 1):
		return "never"
	}
	switch u {
	case Percent:
		return trimmed(fmt.Sprintf("%.1f", 100*f)) + " %"
	case Seconds:
		return fmt.Sprintf("%.2f s", f)
	case Millis:
		return fmt.Sprintf("%.2f ms", f)
	case Minutes:
		if f < 1 {
			return fmt.Sprintf("%.0f s", 60*f)
		}
		return trimmed(fmt.Sprintf("%.1f", f)) + " min"
	case Count:
		return trimmed(fmt.Sprintf("%.1f", f))
	}
	return fmt.Sprintf("%.3f", f)
}

func trimmed(s string) string { return strings.TrimSuffix(s, ".0") }

// text prints a target in a unit.
func (t *Target) text(u Unit) string {
	if t == nil {
		return "–"
	}
	sign := "≤ "
	switch {
	case t.Above:
		sign = "> "
	case t.AtLeast:
		sign = "≥ "
	}
	if u == Ratio {
		return sign + fmt.Sprintf("%.2f", t.Limit)
	}
	return sign + strings.Replace(u.text(t.Limit), ".00 ", " ", 1)
}

// result says whether the target is met.
func (r *Row) result() string {
	switch {
	case r.Target == nil:
		return ""
	case r.Met():
		return "met"
	case r.Target.Met(r.Median(Ours)):
		return "missed at worst"
	}
	return "missed"
}
