package sandbox

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Limits of a script text: far above any incident, far below what hurts.
const (
	maxScriptBytes = 1 << 20
	maxScriptSteps = 10_000
	maxSeconds     = 10 * 365 * 24 * 3600
)

// ScriptError says where a script is wrong. Line and Column count from 1 (Column in bytes) and are 0 for scripts
// made in Go, where Step (from 1) says which one.
type ScriptError struct {
	Line, Column int
	Step         int
	Reason       string
}

func (e *ScriptError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("fault script: line %d, column %d: %s", e.Line, e.Column, e.Reason)
	}
	return fmt.Sprintf("fault script: step %d: %s", e.Step, e.Reason)
}

// ParseScripts reads fault scripts in their text form: for each incident a line
//
//	incident ID T0
//
// an optional line "about TEXT", and one row per step:
//
//	SERVICE AT FOR KIND [PARAMS [KNOWN]]
//
// AT and FOR are seconds, FOR may be "to_end"; PARAMS are k=v joined by ";", or "-" for none; KNOWN is free text to
// the end of the line. T0 is RFC 3339, seconds may be left out. Everything after "#" at the start of a line is a comment. Rows
// before the first incident line belong to a script without id.
func ParseScripts(text string) ([]Script, error) {
	if len(text) > maxScriptBytes {
		return nil, &ScriptError{Line: 1, Column: 1, Reason: "too long"}
	}
	var out []Script
	steps := 0
	for i, line := range strings.Split(text, "\n") {
		f := fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0].text, "#") {
			continue
		}
		fail := func(col int, reason string) error {
			return &ScriptError{Line: i + 1, Column: col, Reason: reason}
		}
		switch f[0].text {
		case "incident":
			s, bad := parseHeader(f)
			if bad != nil {
				return nil, fail(bad.col, bad.reason)
			}
			out = append(out, s)
			continue
		case "about":
			if len(out) == 0 {
				return nil, fail(f[0].col, "about before incident")
			}
			out[len(out)-1].About = rest(line, f, 1)
			continue
		}
		if steps++; steps > maxScriptSteps {
			return nil, fail(1, "too many steps")
		}
		st, bad := parseRow(line, f)
		if bad != nil {
			return nil, fail(bad.col, bad.reason)
		}
		if len(out) == 0 {
			out = append(out, Script{})
		}
		last := &out[len(out)-1]
		last.Steps = append(last.Steps, st)
	}
	return out, nil
}

// ParseScript reads a text that holds exactly one script.
func ParseScript(text string) (Script, error) {
	all, err := ParseScripts(text)
	if err != nil {
		return Script{}, err
	}
	if len(all) != 1 {
		return Script{}, fmt.Errorf("fault script: %d scripts where one was expected", len(all))
	}
	return all[0], nil
}

// ParseStep reads one row.
func ParseStep(row string) (Step, error) {
	st, bad := parseRow(row, fields(row))
	if bad != nil {
		return Step{}, &ScriptError{Line: 1, Column: bad.col, Reason: bad.reason}
	}
	return st, nil
}

// String prints the script in the form that ParseScripts reads.
func (s Script) String() string {
	var b strings.Builder
	if s.ID != "" || !s.T0.IsZero() {
		fmt.Fprintf(&b, "incident %s", s.ID)
		if !s.T0.IsZero() {
			b.WriteString(" " + s.T0.Format(time.RFC3339))
		}
		b.WriteByte('\n')
		if s.About != "" {
			fmt.Fprintf(&b, "about %s\n", s.About)
		}
	}
	for _, st := range s.Steps {
		b.WriteString(st.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String prints the step as one row.
func (s Step) String() string {
	length := "to_end"
	if s.For > 0 {
		length = seconds(s.For)
	}
	kind := "?"
	if s.Fault != nil {
		kind = s.Fault.Kind()
	}
	row := s.Service + " " + seconds(s.At) + " " + length + " " + kind + " " + s.Params()
	if s.Known != "" {
		row += " " + s.Known
	}
	return row
}

// Params prints the parameters as the row has them: "p=0.5;exec=0.5", or "-" when there are none.
func (s Step) Params() string {
	var ps []string
	if s.Fault != nil {
		for _, p := range s.Fault.params() {
			ps = append(ps, p.key+"="+p.value)
		}
	}
	if s.Max > 0 {
		ps = append(ps, "max="+strconv.Itoa(s.Max))
	}
	if len(ps) == 0 {
		return "-"
	}
	return strings.Join(ps, ";")
}

// field is a word of a line and its column.
type field struct {
	text string
	col  int
}

// mistake is a reason and its column.
type mistake struct {
	col    int
	reason string
}

func fields(line string) []field {
	var out []field
	start := -1
	for i := 0; i <= len(line); i++ {
		blank := i == len(line) || line[i] == ' ' || line[i] == '\t' || line[i] == '\r'
		switch {
		case !blank && start < 0:
			start = i
		case blank && start >= 0:
			out = append(out, field{line[start:i], start + 1})
			start = -1
		}
	}
	return out
}

// rest is the line from word n on.
func rest(line string, f []field, n int) string {
	if len(f) <= n {
		return ""
	}
	return strings.TrimRight(line[f[n].col-1:], " \t\r")
}

func parseHeader(f []field) (Script, *mistake) {
	if len(f) < 2 || len(f) > 3 {
		return Script{}, &mistake{f[0].col, "want: incident ID T0"}
	}
	s := Script{ID: f[1].text}
	if len(f) == 3 {
		t, err := parseInstant(f[2].text)
		if err != nil {
			return Script{}, &mistake{f[2].col, "T0 is not a time such as 2018-06-12T08:00+02:00"}
		}
		s.T0 = t
	}
	return s, nil
}

func parseInstant(v string) (time.Time, error) {
	if t, err := time.Parse("2006-01-02T15:04Z07:00", v); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, v)
}

func parseRow(line string, f []field) (Step, *mistake) {
	if len(f) < 4 {
		return Step{}, &mistake{1, "want: service at for kind [params [known]]"}
	}
	st := Step{Service: f[0].text, Known: rest(line, f, 5)}
	if _, ok := grammarServices[st.Service]; !ok {
		return st, &mistake{f[0].col, "unknown service"}
	}
	var err error
	if st.At, err = parseSeconds(f[1].text); err != nil {
		return st, &mistake{f[1].col, "at: " + err.Error()}
	}
	if f[2].text != "to_end" {
		if st.For, err = parseSeconds(f[2].text); err != nil {
			return st, &mistake{f[2].col, "for: " + err.Error()}
		}
		if st.For == 0 {
			return st, &mistake{f[2].col, "for: 0 seconds"}
		}
	}
	read, ok := kinds[f[3].text]
	if !ok {
		return st, &mistake{f[3].col, "unknown kind"}
	}
	ps := newParams(f, f[3].col)
	raw := read(ps)
	st.Max = ps.count("max", 0)
	if bad := ps.done(); bad != nil {
		return st, bad
	}
	var bad *paramError
	if st.Fault, bad = raw.normal(); bad != nil {
		return st, &mistake{ps.column(bad.key), f[3].text + ": " + bad.Error()}
	}
	if st, err = st.normal(); err != nil {
		return st, &mistake{f[3].col, err.Error()}
	}
	return st, nil
}

func parseSeconds(v string) (time.Duration, error) {
	s, err := strconv.ParseFloat(v, 64)
	if err != nil || !(s >= 0 && s <= maxSeconds) {
		return 0, errors.New("not a number of seconds")
	}
	return time.Duration(math.Round(s * float64(time.Second))), nil
}
