package xpath

import (
	"math"
	"strings"
	"unicode/utf16"
)

// maxText bounds what string functions build: concat in concat grows without limit otherwise.
const maxText = 1 << 20

type function struct {
	min, max int // arguments; max -1 = any number
	apply    func(*run, scope, []Value) Value
	nodes    bool // the first argument must be a set of nodes
}

func vBool(b bool) Value   { return Value{b: b} }
func vNum(n float64) Value { return Value{kind: numeric, n: n} }
func vText(s string) Value { return Value{kind: text, s: s} }

// functions is the core library of XPath 1.0 section 4 without id, lang and namespace-uri.
var functions = map[string]function{
	"count": {1, 1, nil, true}, // see counting
	"sum":   {1, 1, sum, true},
	"not":   {1, 1, func(_ *run, _ scope, a []Value) Value { return vBool(!a[0].Bool()) }, false},
	"true":  {0, 0, func(*run, scope, []Value) Value { return vBool(true) }, false},
	"false": {0, 0, func(*run, scope, []Value) Value { return vBool(false) }, false},
	"boolean": {1, 1, func(_ *run, _ scope, a []Value) Value {
		return vBool(a[0].Bool())
	}, false},
	"position": {0, 0, func(_ *run, s scope, _ []Value) Value { return vNum(float64(s.pos)) }, false},
	"last":     {0, 0, func(_ *run, s scope, _ []Value) Value { return vNum(float64(s.size)) }, false},
	"number": {0, 1, func(_ *run, s scope, a []Value) Value {
		if len(a) > 0 {
			return vNum(a[0].Number())
		}
		return vNum(toNumber(s.item.text()))
	}, false},
	"floor":           {1, 1, func(_ *run, _ scope, a []Value) Value { return vNum(math.Floor(a[0].Number())) }, false},
	"ceiling":         {1, 1, func(_ *run, _ scope, a []Value) Value { return vNum(math.Ceil(a[0].Number())) }, false},
	"round":           {1, 1, func(_ *run, _ scope, a []Value) Value { return vNum(round(a[0].Number())) }, false},
	"string":          {0, 1, func(_ *run, s scope, a []Value) Value { return vText(first(s, a)) }, false},
	"string-length":   {0, 1, func(_ *run, s scope, a []Value) Value { return vNum(units(first(s, a))) }, false},
	"normalize-space": {0, 1, func(_ *run, s scope, a []Value) Value { return vText(normalize(first(s, a))) }, false},
	"name":            {0, 1, localName, true},
	"local-name":      {0, 1, localName, true},
	"starts-with": {2, 2, func(_ *run, _ scope, a []Value) Value {
		return vBool(strings.HasPrefix(a[0].Text(), a[1].Text()))
	}, false},
	"contains": {2, 2, func(_ *run, _ scope, a []Value) Value {
		return vBool(strings.Contains(a[0].Text(), a[1].Text()))
	}, false},
	"substring-before": {2, 2, func(_ *run, _ scope, a []Value) Value {
		before, _, found := strings.Cut(a[0].Text(), a[1].Text())
		if !found {
			before = ""
		}
		return vText(before)
	}, false},
	"substring-after": {2, 2, func(_ *run, _ scope, a []Value) Value {
		_, after, _ := strings.Cut(a[0].Text(), a[1].Text())
		return vText(after)
	}, false},
	"substring": {2, 3, substring, false},
	"translate": {3, 3, translate, false},
	"concat":    {2, -1, concat, false},
}

// units counts as Java does, in units of 16 bits: the specification counts characters, but the rules are those of the official
// module, whose XPath is the JDK's.
func units(s string) float64 {
	n := 0
	for _, c := range s {
		n += max(1, utf16.RuneLen(c))
	}
	return float64(n)
}

func sum(r *run, _ scope, a []Value) Value {
	total := 0.0
	for _, i := range a[0].set {
		if !r.spend(1) {
			return Value{}
		}
		total += toNumber(i.text())
	}
	return vNum(total)
}

// round is to the nearest integer, halves upwards.
func round(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	return math.Floor(f + 0.5)
}

func localName(_ *run, s scope, a []Value) Value {
	if len(a) == 0 {
		return vText(s.item.name())
	}
	if len(a[0].set) == 0 {
		return vText("")
	}
	return vText(a[0].set[0].name())
}

func substring(r *run, _ scope, a []Value) Value {
	s, from, to := a[0].Text(), round(a[1].Number()), math.Inf(1)
	if len(a) == 3 {
		to = from + round(a[2].Number())
	}
	if !r.spend(len(s) / 64) {
		return Value{}
	}
	var b strings.Builder
	place := 0.0
	for _, c := range s {
		if place++; place >= from && place < to {
			b.WriteRune(c)
		}
	}
	return vText(b.String())
}

func translate(r *run, _ scope, a []Value) Value {
	from, to := []rune(a[1].Text()), []rune(a[2].Text())
	swap := make(map[rune]rune, len(from))
	for k, c := range from {
		if _, known := swap[c]; known {
			continue
		}
		swap[c] = -1
		if k < len(to) {
			swap[c] = to[k]
		}
	}
	if !r.spend((len(from) + len(a[0].Text())) / 64) {
		return Value{}
	}
	return vText(strings.Map(func(c rune) rune {
		if d, known := swap[c]; known {
			return d
		}
		return c
	}, a[0].Text()))
}

func concat(r *run, _ scope, a []Value) Value {
	var b strings.Builder
	for _, v := range a {
		s := v.Text()
		if b.Len()+len(s) > maxText {
			r.left = -1
			return Value{}
		}
		b.WriteString(s)
	}
	return vText(b.String())
}
