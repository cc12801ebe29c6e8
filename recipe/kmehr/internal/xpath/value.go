package xpath

import (
	"math"
	"strconv"
	"strings"
)

type valueKind uint8

const (
	boolean valueKind = iota
	numeric
	text
	nodes
)

// Value is the result of an expression: a boolean, a number, a string or a set of nodes.
type Value struct {
	kind valueKind
	b    bool
	n    float64
	s    string
	set  []Item // in document order
}

// IsNodes reports whether the value is a set of nodes.
func (v Value) IsNodes() bool { return v.kind == nodes }

// Nodes returns the set of nodes in document order, nil for other values.
func (v Value) Nodes() []Item { return v.set }

// Bool converts as the function boolean does.
func (v Value) Bool() bool {
	switch v.kind {
	case boolean:
		return v.b
	case numeric:
		return v.n != 0 && !math.IsNaN(v.n)
	case text:
		return v.s != ""
	}
	return len(v.set) > 0
}

// Number converts as the function number does.
func (v Value) Number() float64 {
	switch v.kind {
	case boolean:
		if v.b {
			return 1
		}
		return 0
	case numeric:
		return v.n
	}
	return toNumber(v.Text())
}

// Text converts as the function string does. It is content of the document.
func (v Value) Text() string {
	switch v.kind {
	case boolean:
		return strconv.FormatBool(v.b)
	case numeric:
		return formatNumber(v.n)
	case text:
		return v.s
	}
	if len(v.set) == 0 {
		return ""
	}
	return v.set[0].text()
}

const space = " \t\r\n"

// toNumber follows section 4.4: blanks around, a minus, digits with a point; everything else is NaN.
func toNumber(s string) float64 {
	s = strings.Trim(s, space)
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits == "." || numberLen(digits) != len(digits) {
		return math.NaN()
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

func formatNumber(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func compareOrdered(op operator, a, b float64) bool {
	switch op {
	case opEqual:
		return a == b
	case opUnequal:
		return a != b
	case opLess:
		return a < b
	case opAtMost:
		return a <= b
	case opMore:
		return a > b
	}
	return a >= b
}

func isEquality(op operator) bool { return op == opEqual || op == opUnequal }

// compareAtoms compares two values that are not sets.
func compareAtoms(op operator, a, b Value) bool {
	switch {
	case !isEquality(op):
	case a.kind == boolean || b.kind == boolean:
		return (a.Bool() == b.Bool()) == (op == opEqual)
	case a.kind != numeric && b.kind != numeric:
		return (a.Text() == b.Text()) == (op == opEqual)
	}
	return compareOrdered(op, a.Number(), b.Number())
}

// Kind names the type: boolean, number, string or nodes.
func (v Value) Kind() string {
	return [...]string{boolean: "boolean", numeric: "number", text: "string", nodes: "nodes"}[v.kind]
}
