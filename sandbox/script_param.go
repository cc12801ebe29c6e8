package sandbox

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// param is one k=v of a row.
type param struct{ key, value string }

// paramError is a mistake in one parameter; key is "" when it concerns the kind as a whole.
type paramError struct{ key, reason string }

func (e *paramError) Error() string {
	if e.key == "" {
		return e.reason
	}
	return e.key + ": " + e.reason
}

func badParam(key, format string, args ...any) *paramError {
	return &paramError{key: key, reason: fmt.Sprintf(format, args...)}
}

// normal returns the step with its defaults filled in.
func (s Step) normal() (Step, error) {
	if _, ok := grammarServices[s.Service]; !ok {
		return s, fmt.Errorf("unknown service %q", s.Service)
	}
	if s.At < 0 || s.For < 0 {
		return s, errors.New("negative time")
	}
	if s.Max < 0 {
		return s, errors.New("max: negative")
	}
	if s.Fault == nil {
		return s, errors.New("no fault")
	}
	f, err := s.Fault.normal()
	if err != nil {
		return s, fmt.Errorf("%s: %w", s.Fault.Kind(), err)
	}
	if only, ok := onlyOn[f.Kind()]; ok && !slices.Contains(only, s.Service) {
		return s, fmt.Errorf("%s is not a fault of %s", f.Kind(), s.Service)
	}
	if s.Service == "idvalid" && f.Kind() != "refuse_auth" {
		return s, fmt.Errorf("%s is not a fault of idvalid, which can only refuse", f.Kind())
	}
	s.Fault = f
	return s, nil
}

// onlyOn lists the kinds that make sense on certain services only.
var onlyOn = map[string][]string{
	"list":       {"servicelist"},
	"key_rotate": {"etk", "recipe-presc", "recipe-exec", "recipe-direct"},
	"poison":     {"ehbox-cons"},
	"inner":      recipeGrammar,
	"outer":      recipeGrammar,
	"corrupt":    recipeGrammar,
	"missing":    recipeGrammar,
	"lag":        recipeGrammar,
}

// probability checks p, whose default is 1 unless required.
func probability(key string, p float64, required bool) (float64, *paramError) {
	if p == 0 && !required {
		return 1, nil
	}
	if !(p > 0 && p <= 1) {
		return 0, badParam(key, "must be above 0 and at most 1")
	}
	return p, nil
}

func fraction(key string, p float64) *paramError {
	if !(p >= 0 && p <= 1) {
		return badParam(key, "must be from 0 to 1")
	}
	return nil
}

func (f Refuse) normal() (Fault, *paramError) {
	var err *paramError
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f Blackhole) normal() (Fault, *paramError) {
	var err *paramError
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f Hang) normal() (Fault, *paramError) {
	var err *paramError
	if f.P, err = probability("p", f.P, false); err != nil {
		return f, err
	}
	return f, fraction("exec", f.Exec)
}

func (f Slow) normal() (Fault, *paramError) {
	var err *paramError
	switch {
	case f.Median <= 0:
		return f, badParam("median_ms", "must be above 0")
	case !(f.Sigma >= 0 && f.Sigma <= 5):
		return f, badParam("sigma", "must be from 0 to 5")
	case f.Cap < 0:
		return f, badParam("cap_ms", "negative")
	}
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f Capacity) normal() (Fault, *paramError) {
	switch {
	case f.RPS != 0 && f.Rel != 0:
		return f, badParam("rps_rel", "rps and rps_rel exclude each other")
	case f.RPS == 0 && f.Rel == 0:
		return f, badParam("rps", "rps or rps_rel is needed")
	case !(f.RPS >= 0 && f.RPS < 1e9):
		return f, badParam("rps", "must be above 0")
	case !(f.Rel >= 0 && f.Rel < 1e6):
		return f, badParam("rps_rel", "must be above 0")
	case f.Queue < 0:
		return f, badParam("queue", "negative")
	case f.Over != "hang" && f.Over != "503" && !soaCode.MatchString(f.Over):
		return f, badParam("over", "must be hang, 503 or a SOA code")
	}
	return f, nil
}

var soaCode = regexp.MustCompile(`^SOA-[0-9]{5}$`)

func (f HTTPAnswer) normal() (Fault, *paramError) {
	var err *paramError
	if f.Body == "" {
		f.Body = "html"
	}
	switch {
	case f.Status < 200 || f.Status > 599:
		return f, badParam("status", "must be from 200 to 599")
	case f.Body != "html" && f.Body != "empty":
		return f, badParam("body", "must be html or empty")
	}
	if f.P, err = probability("p", f.P, false); err != nil {
		return f, err
	}
	return f, fraction("exec", f.Exec)
}

func (f SOAPFault) normal() (Fault, *paramError) {
	var err *paramError
	if !soaCode.MatchString(f.Code) {
		return f, badParam("code", "must be a SOA code")
	}
	if f.P, err = probability("p", f.P, false); err != nil {
		return f, err
	}
	return f, fraction("exec", f.Exec)
}

func (f RefuseAuth) normal() (Fault, *paramError) {
	var err *paramError
	switch {
	case f.Code != "generic" && !soaCode.MatchString(f.Code):
		return f, badParam("code", "must be generic or a SOA code")
	case f.Scope != "eid" && f.Scope != "all":
		return f, badParam("scope", "must be eid or all")
	}
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f Misroute) normal() (Fault, *paramError) {
	_, err := probability("p", f.P, true)
	return f, err
}

func (f LostAck) normal() (Fault, *paramError) {
	_, err := probability("p", f.P, true)
	return f, err
}

func (f Loss) normal() (Fault, *paramError) {
	_, err := probability("p", f.P, true)
	return f, err
}

var cbeNumber = regexp.MustCompile(`^[0-9]{10}$`)

func (f KeyRotate) normal() (Fault, *paramError) {
	switch {
	case !cbeNumber.MatchString(f.Old):
		return f, badParam("old", "must be a CBE number")
	case !cbeNumber.MatchString(f.New):
		return f, badParam("new", "must be a CBE number")
	}
	return f, nil
}

func (f TLSRotate) normal() (Fault, *paramError) { return f, nil }

func (f Poison) normal() (Fault, *paramError) {
	if f.N < 1 || f.N > 1000 {
		return f, badParam("n", "must be from 1 to 1000")
	}
	return f, nil
}

func (f List) normal() (Fault, *paramError) {
	switch {
	case len(f.Set) == 0 && f.Defect == NoDefect:
		return f, badParam("set", "is needed")
	case f.Lag < 0:
		return f, badParam("lag_s", "negative")
	case !f.Defect.known():
		return f, badParam("defect", "unknown")
	}
	for _, e := range f.Set {
		if group, ok := grammarServices[e.Service]; !ok || group || e.Order < 0 {
			return f, badParam("set", "unknown service or negative order")
		}
	}
	return f, nil
}

func (f Ramp) normal() (Fault, *paramError) {
	if !(f.From >= 0 && f.From <= 10) {
		return f, badParam("from", "must be from 0 to 10")
	}
	if !(f.To > 0 && f.To <= 10) {
		return f, badParam("to", "must be above 0 and at most 10")
	}
	return f, nil
}

func (f Clock) normal() (Fault, *paramError) {
	if f.Skew == 0 {
		return f, badParam("skew_s", "must not be 0")
	}
	return f, nil
}

// Printing: parameters that differ from the default, in the order of the grammar.

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64)
}

// differing appends p unless it is the default.
func differing(ps []param, key string, v, def float64) []param {
	if v == def {
		return ps
	}
	return append(ps, param{key, number(v)})
}

func defaultP(p float64) float64 {
	if p == 0 {
		return 1
	}
	return p
}

func (f Refuse) params() []param    { return differing(nil, "p", defaultP(f.P), 1) }
func (f Blackhole) params() []param { return differing(nil, "p", defaultP(f.P), 1) }
func (f Hang) params() []param {
	return differing(differing(nil, "p", defaultP(f.P), 1), "exec", f.Exec, 0)
}

func (f Slow) params() []param {
	ps := []param{{"dist", "lognormal"}, {"median_ms", millis(f.Median)}, {"sigma", number(f.Sigma)}}
	if f.Cap > 0 {
		ps = append(ps, param{"cap_ms", millis(f.Cap)})
	}
	ps = differing(ps, "p", defaultP(f.P), 1)
	if f.Late {
		ps = append(ps, param{"late", "1"})
	}
	return ps
}

func (f Capacity) params() []param {
	rate := param{"rps", number(f.RPS)}
	if f.Rel != 0 {
		rate = param{"rps_rel", number(f.Rel)}
	}
	return []param{rate, {"queue", strconv.Itoa(f.Queue)}, {"over", f.Over}}
}

func (f HTTPAnswer) params() []param {
	body := f.Body
	if body == "" {
		body = "html"
	}
	ps := []param{{"status", strconv.Itoa(f.Status)}, {"body", body}}
	return differing(differing(ps, "p", defaultP(f.P), 1), "exec", f.Exec, 0)
}

func (f SOAPFault) params() []param {
	ps := []param{{"code", f.Code}}
	if f.Retry != nil {
		ps = append(ps, param{"retry", strconv.FormatBool(*f.Retry)})
	}
	return differing(differing(ps, "p", defaultP(f.P), 1), "exec", f.Exec, 0)
}

func (f RefuseAuth) params() []param {
	return differing([]param{{"scope", f.Scope}, {"code", f.Code}}, "p", defaultP(f.P), 1)
}

func (f Misroute) params() []param { return []param{{"p", number(f.P)}} }
func (f LostAck) params() []param  { return []param{{"p", number(f.P)}} }
func (f Loss) params() []param     { return []param{{"p", number(f.P)}} }

func (f KeyRotate) params() []param {
	return []param{{"old", f.Old}, {"new", f.New}, {"lag_s", seconds(f.Lag)}}
}

func (f TLSRotate) params() []param {
	if f.NewIssuer {
		return []param{{"new_issuer", "1"}}
	}
	return nil
}

func (f Poison) params() []param { return []param{{"n", strconv.Itoa(f.N)}} }

func (f List) params() []param {
	var ps []param
	if len(f.Set) > 0 {
		ps = append(ps, param{"set", entriesText(f.Set)})
	}
	ps = append(ps, param{"lag_s", seconds(f.Lag)})
	if f.Defect != NoDefect {
		ps = append(ps, param{"defect", string(f.Defect)})
	}
	return ps
}

func entriesText(set []ListEntry) string {
	var out []string
	for _, e := range set {
		out = append(out, e.Service+"="+strconv.Itoa(e.Order)+":"+status(e.Active))
	}
	return strings.Join(out, ",")
}

func (f Ramp) params() []param { return []param{{"from", number(f.From)}, {"to", number(f.To)}} }

func (f Clock) params() []param { return []param{{"skew_s", seconds(f.Skew)}} }

func status(active bool) string {
	if active {
		return "ACTIVE"
	}
	return "INACTIVE"
}
