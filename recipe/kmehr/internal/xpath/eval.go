package xpath

import (
	"math"
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Eval computes the expression at an item of a document in at most steps steps: nodes looked at and operators applied.
// The only error is ErrLimit.
func (e *Expr) Eval(at Item, steps int) (Value, error) {
	v, _, err := e.Run(at, steps)
	return v, err
}

// Run is Eval that also tells how many steps were needed.
func (e *Expr) Run(at Item, steps int) (v Value, used int, err error) {
	return new(Runner).Run(e, at, steps)
}

// Runner evaluates many expressions on one document, and uses for each what the ones before left behind. The zero value is
// ready; it is for one goroutine.
type Runner struct{ r run }

// Run evaluates e as [Expr.Run] does. What it returns stays as it is.
func (x *Runner) Run(e *Expr, at Item, steps int) (v Value, used int, err error) {
	r := &x.r
	r.left = steps
	v = e.root.eval(r, scope{at, 1, 1})
	if r.left < 0 {
		*r = run{} // what was begun may be half done
		return Value{}, steps, ErrLimit
	}
	return v, steps - r.left, nil
}

// Free takes back a value that Run has returned and nobody uses any more.
func (x *Runner) Free(v Value) { x.r.free(v.set) }

// run is the state of evaluations on one document. Once left is negative all loops end early and the result is void.
type run struct {
	left  int
	order map[*xmltree.Node]int // made when nodes must be sorted
	spare [][]Item              // lists that no value uses any more
	begun map[string][]Item     // what the plain beginnings of absolute paths led to
	args  []Value               // of the functions that are being called
}

func (r *run) list() []Item {
	if k := len(r.spare) - 1; k >= 0 {
		l := r.spare[k]
		r.spare = r.spare[:k]
		return l
	}
	return make([]Item, 0, 8)
}

// free takes back a list that only its caller has: each evaluation of a path makes its own.
func (r *run) free(l []Item) {
	if cap(l) > 0 {
		r.spare = append(r.spare, l[:0])
	}
}

// truth converts a value that nobody needs any more.
func (r *run) truth(v Value) bool {
	b := v.Bool()
	r.free(v.set)
	return b
}

func (r *run) spend(n int) bool {
	r.left -= n
	return r.left >= 0
}

type scope struct {
	item      Item
	pos, size int
}

type expr interface{ eval(*run, scope) Value }

type literal string

func (l literal) eval(*run, scope) Value { return Value{kind: text, s: string(l)} }

type number float64

func (n number) eval(*run, scope) Value { return Value{kind: numeric, n: float64(n)} }

type negation struct {
	e     expr
	minus bool
}

func (x *negation) eval(r *run, s scope) Value {
	n := x.e.eval(r, s).Number()
	if x.minus {
		n = -n
	}
	return Value{kind: numeric, n: n}
}

type binaryExpr struct {
	op          operator
	left, right expr
}

func (x *binaryExpr) eval(r *run, s scope) Value {
	if !r.spend(1) {
		return Value{}
	}
	a := x.left.eval(r, s)
	switch x.op {
	case opOr:
		return Value{b: r.truth(a) || r.truth(x.right.eval(r, s))}
	case opAnd:
		return Value{b: r.truth(a) && r.truth(x.right.eval(r, s))}
	}
	b := x.right.eval(r, s)
	v := r.apply(x.op, a, b)
	r.free(a.set)
	r.free(b.set)
	return v
}

func (r *run) apply(op operator, a, b Value) Value {
	switch op {
	case opPlus:
		return Value{kind: numeric, n: a.Number() + b.Number()}
	case opMinus:
		return Value{kind: numeric, n: a.Number() - b.Number()}
	case opTimes:
		return Value{kind: numeric, n: a.Number() * b.Number()}
	case opDiv:
		return Value{kind: numeric, n: a.Number() / b.Number()}
	case opMod:
		return Value{kind: numeric, n: math.Mod(a.Number(), b.Number())}
	}
	return Value{b: r.compare(op, a, b)}
}

// valueTest compares the attributes of that name, or the texts, of the context node with a literal: what most predicates of
// rules do.
type valueTest struct {
	attribute string // "" = the texts
	op        operator
	literal   string
}

// simpler returns an expression that says the same and needs no sets, or x.
func (x *binaryExpr) simpler() expr {
	l, isPath := x.left.(*location)
	lit, isLiteral := x.right.(literal)
	if !isPath || !isLiteral || x.op != opEqual && x.op != opUnequal || l.start != nil || l.absolute || len(l.steps) != 1 {
		return x
	}
	switch s := l.steps[0]; {
	case len(s.preds) > 0:
	case s.axis == axisAttribute && s.test == testName:
		return &valueTest{s.name, x.op, string(lit)}
	case s.axis == axisChild && s.test == testText:
		return &valueTest{"", x.op, string(lit)}
	}
	return x
}

func (x *valueTest) eval(r *run, s scope) Value {
	if s.item.kind != isElement || !r.spend(1) {
		return Value{}
	}
	equal, looked, found := x.op == opEqual, 0, false
	if x.attribute == "" {
		for c := s.item.node.FirstChild(); c != nil && !found; c = c.NextSibling() {
			looked++
			found = c.Kind() == xmltree.Text && (c.Data() == x.literal) == equal
		}
	} else {
		for _, a := range s.item.node.Attrs() {
			looked++
			if found = a.Local == x.attribute && (a.Value == x.literal) == equal; found {
				break
			}
		}
	}
	return Value{b: r.spend(looked) && found}
}

// compare follows section 3.4: a comparison with a set holds when it holds for a member of it.
func (r *run) compare(op operator, a, b Value) bool {
	switch {
	case a.kind == nodes && b.kind == boolean, a.kind == boolean && b.kind == nodes:
		return compareAtoms(op, Value{b: a.Bool()}, Value{b: b.Bool()})
	case a.kind == nodes:
		for _, i := range a.set {
			if !r.spend(1) || r.compare(op, Value{kind: text, s: i.text()}, b) {
				return r.left >= 0
			}
		}
		return false
	case b.kind == nodes:
		for _, i := range b.set {
			if !r.spend(1) || r.compareOne(op, a, i) {
				return r.left >= 0
			}
		}
		return false
	}
	return compareAtoms(op, a, b)
}

func (r *run) compareOne(op operator, a Value, i Item) bool {
	return compareAtoms(op, a, Value{kind: text, s: i.text()})
}

type unionExpr struct{ left, right expr }

func (x *unionExpr) eval(r *run, s scope) Value {
	set := slices.Concat(x.left.eval(r, s).set, x.right.eval(r, s).set)
	return Value{kind: nodes, set: r.sort(set)}
}

type filter struct {
	e     expr
	preds []expr
}

func (x *filter) eval(r *run, s scope) Value {
	set := slices.Clone(x.e.eval(r, s).set)
	for _, p := range x.preds {
		set = r.keep(set, p)
	}
	return Value{kind: nodes, set: set}
}

// keep filters one list by a predicate, in place.
func (r *run) keep(list []Item, pred expr) []Item {
	out, size := list[:0], len(list)
	for k, i := range list {
		if !r.spend(1) {
			return nil
		}
		v := pred.eval(r, scope{i, k + 1, size})
		if v.kind == numeric && v.n == float64(k+1) || v.kind != numeric && r.truth(v) {
			out = append(out, i)
		}
	}
	return out
}

type axis uint8

const (
	axisChild axis = iota
	axisAttribute
	axisSelf
	axisParent
	axisDescendant
	axisDescendantOrSelf
)

type test uint8

const (
	testName test = iota
	testAny
	testText
	testNode
)

type step struct {
	axis  axis
	test  test
	name  string
	preds []expr
}

type location struct {
	start    expr
	absolute bool
	steps    []step
	plain    int    // how many steps before the last only name children, from the root on
	names    string // that these name
}

// findPlain is called when the path is complete.
func (x *location) findPlain() {
	if !x.absolute {
		return
	}
	for _, s := range x.steps[:len(x.steps)-1] {
		if s.axis != axisChild || s.test != testName || len(s.preds) > 0 {
			return
		}
		x.plain++
		x.names += "/" + s.name
	}
}

// begin is what the plain steps lead to: many rules are about the same few elements, and they are looked for once.
func (x *location) begin(r *run, s scope) []Item {
	if known, ok := r.begun[x.names]; ok {
		r.spend(len(known) + 1)
		return append(r.list(), known...)
	}
	set := append(r.list(), top(s.item))
	for k := range x.plain {
		from := set
		set = r.step(&x.steps[k], from)
		r.free(from)
	}
	if r.begun == nil {
		r.begun = map[string][]Item{}
	}
	r.begun[x.names] = slices.Clone(set)
	return set
}

func (x *location) eval(r *run, s scope) Value {
	var set []Item
	switch {
	case x.plain > 0:
		set = x.begin(r, s)
	case x.start != nil:
		from := x.start.eval(r, s).set
		set = append(r.list(), from...)
		r.free(from)
	case x.absolute:
		set = append(r.list(), top(s.item))
	default:
		set = append(r.list(), s.item)
	}
	// apart: no node of the set is below another. Children of such nodes come in document order by themselves, and each once.
	apart := x.start == nil || len(set) < 2
	for k := x.plain; k < len(x.steps); k++ {
		s := &x.steps[k]
		from := set
		set = r.step(s, from)
		r.free(from)
		if len(set) > 1 && !apart && s.axis != axisAttribute && s.axis != axisSelf {
			set = r.sort(set)
		}
		if s.axis == axisParent || s.axis == axisDescendant || s.axis == axisDescendantOrSelf {
			if len(set) > 1 && apart {
				set = r.sort(set)
			}
			apart = len(set) < 2
		}
	}
	return Value{kind: nodes, set: set}
}

func top(i Item) Item {
	n := i.node
	for n.Parent() != nil {
		n = n.Parent()
	}
	return Document(n)
}

func (r *run) step(s *step, from []Item) []Item {
	out := r.list()
	for _, i := range from {
		start := len(out)
		out = r.walk(out, s, i)
		part := out[start:]
		for _, p := range s.preds {
			part = r.keep(part, p)
		}
		out = out[:start+len(part)]
		if r.left < 0 {
			return nil
		}
	}
	return out
}

func (r *run) walk(out []Item, s *step, i Item) []Item {
	switch s.axis {
	case axisSelf:
		return r.add(out, s, i)
	case axisParent:
		if up, ok := i.parent(); ok {
			return r.add(out, s, up)
		}
	case axisAttribute:
		if i.kind != isElement {
			return out
		}
		for k := range i.node.Attrs() {
			out = r.add(out, s, Item{i.node, k, isAttribute})
		}
	case axisChild:
		if s.test == testName && i.kind == isElement {
			return r.named(out, s.name, i.node)
		}
		for c := range r.children(i) {
			out = r.add(out, s, c)
		}
	case axisDescendantOrSelf:
		return r.below(r.add(out, s, i), s, i)
	case axisDescendant:
		return r.below(out, s, i)
	}
	return out
}

// named is the step that nearly every path consists of.
func (r *run) named(out []Item, name string, n *xmltree.Node) []Item {
	looked := 0
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if looked++; c.Kind() == xmltree.Element && c.Local() == name {
			out = append(out, Item{node: c, kind: isElement})
		}
	}
	r.spend(looked)
	return out
}

func (r *run) below(out []Item, s *step, i Item) []Item {
	for c := range r.children(i) {
		out = r.below(r.add(out, s, c), s, c)
	}
	return out
}

// children yields the children of an element, and the root of the document; what stands beside the root is not in the tree.
func (r *run) children(i Item) func(func(Item) bool) {
	return func(yield func(Item) bool) {
		switch i.kind {
		case isDocument:
			yield(Element(i.node))
		case isElement:
			for c := i.node.FirstChild(); c != nil && r.left >= 0; c = c.NextSibling() {
				kind := isElement
				switch c.Kind() {
				case xmltree.Element:
				case xmltree.Text:
					kind = isText
				default:
					kind = isOther
				}
				if !yield(Item{node: c, kind: kind}) {
					return
				}
			}
		}
	}
}

func (r *run) add(out []Item, s *step, i Item) []Item {
	if !r.spend(1) {
		return out
	}
	principal := isElement
	if s.axis == axisAttribute {
		principal = isAttribute
	}
	switch s.test {
	case testText:
		if i.kind != isText {
			return out
		}
	case testAny:
		if i.kind != principal {
			return out
		}
	case testName:
		if i.kind != principal || i.name() != s.name {
			return out
		}
	}
	return append(out, i)
}

// sort brings a set into document order and drops what stands in it twice.
func (r *run) sort(set []Item) []Item {
	if len(set) < 2 || !r.spend(len(set)) {
		return set
	}
	if r.order == nil {
		r.order = map[*xmltree.Node]int{}
		r.number(top(set[0]).node)
	}
	slices.SortStableFunc(set, r.before)
	return slices.Compact(set)
}

func (r *run) number(n *xmltree.Node) {
	if !r.spend(1) {
		return
	}
	r.order[n] = len(r.order)
	for c := range n.Children() {
		r.number(c)
	}
}

func (r *run) before(a, b Item) int {
	if d := r.order[a.node] - r.order[b.node]; d != 0 {
		return d
	}
	if d := int(a.kind) - int(b.kind); d != 0 {
		return d
	}
	return a.attr - b.attr
}

// counting is the function count.
type counting struct{ e expr }

func (x *counting) eval(r *run, s scope) Value {
	if !r.spend(1) {
		return Value{}
	}
	set := x.e.eval(r, s).set
	r.free(set)
	return vNum(float64(len(set)))
}

type call struct {
	f    function
	args []expr
}

func (x *call) eval(r *run, s scope) Value {
	if !r.spend(1) {
		return Value{}
	}
	base := len(r.args)
	for _, a := range x.args {
		v := a.eval(r, s)
		if v.kind == text && !r.spend(len(v.s)/64) {
			return Value{}
		}
		r.args = append(r.args, v)
	}
	v := x.f.apply(r, s, r.args[base:])
	for _, a := range r.args[base:] {
		r.free(a.set)
	}
	r.args = r.args[:base]
	return v
}

// first returns the text of the first argument, or of the context node when there is none.
func first(s scope, args []Value) string {
	if len(args) > 0 {
		return args[0].Text()
	}
	return s.item.text()
}

func normalize(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(space, c) }), " ")
}
