package sandbox

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// kinds reads the parameters of each kind. A kind added to the grammar is added here and nowhere else in the parser.
var kinds = map[string]func(*params) Fault{
	"refuse":    func(p *params) Fault { return Refuse{P: p.explicit("p", 1)} },
	"blackhole": func(p *params) Fault { return Blackhole{P: p.explicit("p", 1)} },
	"hang":      func(p *params) Fault { return Hang{P: p.explicit("p", 1), Exec: p.float("exec", 0)} },
	"slow": func(p *params) Fault {
		p.oneOf("dist", "lognormal")
		return Slow{
			Median: p.millis("median_ms"), Sigma: p.float("sigma", 0), Cap: p.millis("cap_ms"),
			P: p.explicit("p", 1), Late: p.flag("late"),
		}
	},
	"capacity": func(p *params) Fault {
		return Capacity{RPS: p.float("rps", 0), Rel: p.float("rps_rel", 0), Queue: p.count("queue", 0), Over: p.text("over")}
	},
	"http": func(p *params) Fault {
		return HTTPAnswer{Status: p.count("status", 0), Body: p.text("body"), P: p.explicit("p", 1), Exec: p.float("exec", 0)}
	},
	"fault": func(p *params) Fault {
		return SOAPFault{Code: p.text("code"), Retry: p.tristate("retry"), P: p.explicit("p", 1), Exec: p.float("exec", 0)}
	},
	"refuse_auth": func(p *params) Fault {
		return RefuseAuth{Code: p.text("code"), Scope: p.text("scope"), P: p.explicit("p", 1)}
	},
	"misroute":   func(p *params) Fault { return Misroute{P: p.float("p", 0)} },
	"lost_ack":   func(p *params) Fault { return LostAck{P: p.float("p", 0)} },
	"loss":       func(p *params) Fault { return Loss{P: p.float("p", 0)} },
	"key_rotate": func(p *params) Fault { return KeyRotate{Old: p.text("old"), New: p.text("new"), Lag: p.secs("lag_s")} },
	"tls_rotate": func(p *params) Fault { return TLSRotate{NewIssuer: p.flag("new_issuer")} },
	"poison":     func(p *params) Fault { return Poison{N: p.count("n", 0)} },
	"list": func(p *params) Fault {
		return List{Set: p.entries("set"), Lag: p.secs("lag_s"), Defect: Defect(p.text("defect"))}
	},
	"ramp":  func(p *params) Fault { return Ramp{From: p.float("from", 0), To: p.float("to", 0)} },
	"clock": func(p *params) Fault { return Clock{Skew: p.secs("skew_s")} },
	"inner": func(p *params) Fault {
		return InnerStatus{
			Code: p.count("code", 0), Message: p.text("message"), Status: p.text("status"), By: p.text("by"), Op: p.text("op"),
			P: p.explicit("p", 1), Exec: p.float("exec", 0),
		}
	},
	"outer": func(p *params) Fault {
		return OuterStatus{
			Code: p.text("code"), Message: p.text("message"), Op: p.text("op"), P: p.explicit("p", 1), Exec: p.float("exec", 0),
		}
	},
	"corrupt": func(p *params) Fault {
		return CorruptAnswer{How: p.text("how"), Op: p.text("op"), P: p.explicit("p", 1)}
	},
	"missing": func(p *params) Fault { return MissingAnswer{Op: p.text("op"), P: p.explicit("p", 1)} },
	"lag":     func(p *params) Fault { return ListLag{By: p.secs("s")} },
}

// params reads the k=v list of a row and remembers the first mistake.
type params struct {
	values map[string]field // col is that of the key
	used   map[string]bool
	order  []string
	col    int // of the kind, for mistakes without a parameter
	bad    *mistake
}

func newParams(f []field, kindCol int) *params {
	p := &params{values: map[string]field{}, used: map[string]bool{}, col: kindCol}
	if len(f) < 5 || f[4].text == "-" {
		return p
	}
	col := f[4].col
	for part := range strings.SplitSeq(f[4].text, ";") {
		k, v, ok := strings.Cut(part, "=")
		switch _, twice := p.values[k]; {
		case !ok || k == "":
			p.fail(col, "want key=value")
		case twice:
			p.fail(col, k+": given twice")
		default:
			p.values[k] = field{v, col}
			p.order = append(p.order, k)
		}
		col += len(part) + 1
	}
	return p
}

func (p *params) fail(col int, reason string) {
	if p.bad == nil {
		p.bad = &mistake{col, reason}
	}
}

// column is where a parameter stands, or the kind when it is absent.
func (p *params) column(key string) int {
	if f, ok := p.values[key]; ok {
		return f.col
	}
	return p.col
}

// done reports the first mistake, unknown parameters included.
func (p *params) done() *mistake {
	for _, k := range p.order {
		if !p.used[k] {
			p.fail(p.values[k].col, k+": unknown parameter")
		}
	}
	return p.bad
}

func (p *params) text(key string) string {
	p.used[key] = true
	return p.values[key].text
}

func (p *params) has(key string) bool { _, ok := p.values[key]; return ok }

func (p *params) float(key string, def float64) float64 {
	v := p.text(key)
	if !p.has(key) {
		return def
	}
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		p.fail(p.column(key), key+": not a number")
		return def
	}
	return x
}

// explicit is a probability that has a default: written out, 0 is a mistake and not the default.
func (p *params) explicit(key string, def float64) float64 {
	x := p.float(key, def)
	if x == 0 {
		p.fail(p.column(key), key+": must be above 0 and at most 1")
	}
	return x
}

func (p *params) count(key string, def int) int {
	v := p.text(key)
	if !p.has(key) {
		return def
	}
	x, err := strconv.Atoi(v)
	if err != nil || x < 0 || x > 1e9 {
		p.fail(p.column(key), key+": not a whole number")
		return def
	}
	return x
}

func (p *params) duration(key string, unit time.Duration) time.Duration {
	x := p.float(key, 0)
	if math.Abs(x)*unit.Seconds() > maxSeconds {
		p.fail(p.column(key), key+": too long")
		return 0
	}
	return time.Duration(math.Round(x * float64(unit)))
}

func (p *params) secs(key string) time.Duration   { return p.duration(key, time.Second) }
func (p *params) millis(key string) time.Duration { return p.duration(key, time.Millisecond) }

func (p *params) flag(key string) bool {
	switch v := p.text(key); {
	case !p.has(key) || v == "0":
		return false
	case v == "1":
		return true
	}
	p.fail(p.column(key), key+": must be 0 or 1")
	return false
}

func (p *params) tristate(key string) *bool {
	v := p.text(key)
	if !p.has(key) {
		return nil
	}
	b := v == "true" || v == "1"
	if !b && v != "false" && v != "0" {
		p.fail(p.column(key), key+": must be true or false")
	}
	return &b
}

func (p *params) oneOf(key string, allowed ...string) {
	v := p.text(key)
	if !p.has(key) {
		return
	}
	for _, a := range allowed {
		if v == a {
			return
		}
	}
	p.fail(p.column(key), key+": must be "+strings.Join(allowed, " or "))
}

// entries reads service=order:STATUS,…
func (p *params) entries(key string) []ListEntry {
	v := p.text(key)
	if !p.has(key) {
		return nil
	}
	set, ok := parseEntries(v)
	if !ok {
		p.fail(p.column(key), key+": want service=order:ACTIVE|INACTIVE,…")
	}
	return set
}

func parseEntries(v string) ([]ListEntry, bool) {
	var out []ListEntry
	for part := range strings.SplitSeq(v, ",") {
		svc, at, ok := strings.Cut(part, "=")
		order, st, ok2 := strings.Cut(at, ":")
		n, err := strconv.Atoi(order)
		if !ok || !ok2 || err != nil || (st != "ACTIVE" && st != "INACTIVE") {
			return nil, false
		}
		out = append(out, ListEntry{Service: svc, Order: n, Active: st == "ACTIVE"})
	}
	return out, true
}
