package xpath

import (
	"strconv"
	"strings"
)

// Expr is a compiled expression. It is immutable and safe for concurrent use.
type Expr struct {
	src  string
	root expr
}

// String returns the source.
func (e *Expr) String() string { return e.src }

// IsNodes reports whether the result is a set of nodes, whatever the document.
func (e *Expr) IsNodes() bool { return isNodes(e.root) }

func isNodes(e expr) bool {
	switch e.(type) {
	case *location, *filter, *unionExpr:
		return true
	}
	return false
}

// Compile reads an expression. Errors are *SyntaxError.
func Compile(src string) (*Expr, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	root, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tEnd {
		return nil, p.fail("text after the expression")
	}
	return &Expr{src, root}, nil
}

// MustCompile is Compile for expressions that stand in the program; it panics.
func MustCompile(src string) *Expr {
	e, err := Compile(src)
	if err != nil {
		panic(err)
	}
	return e
}

type parser struct {
	tokens []token
	pos    int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tEnd {
		p.pos++
	}
	return t
}

func (p *parser) is(text string) bool {
	t := p.peek()
	return (t.kind == tPunct || t.kind == tOperator) && t.text == text
}

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return p.fail(strconv.Quote(text) + " expected")
	}
	return nil
}

func (p *parser) fail(reason string) error {
	return &SyntaxError{p.peek().at, reason, ErrSyntax}
}

func (p *parser) unsupported(what string) error {
	return &SyntaxError{p.peek().at, what, ErrUnsupported}
}

// levels are the binary operators from the weakest to the strongest.
var levels = [][]string{{"or"}, {"and"}, {"=", "!="}, {"<", "<=", ">", ">="}, {"+", "-"}, {"*", "div", "mod"}}

func (p *parser) binary(level int) (expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	if level == 0 {
		if p.depth++; p.depth > maxDepth {
			return nil, &SyntaxError{p.peek().at, "too deeply nested", ErrLimit}
		}
		defer func() { p.depth-- }()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := p.operator(levels[level])
		if op == "" {
			return left, nil
		}
		var right expr
		if right, err = p.binary(level + 1); err == nil {
			left = (&binaryExpr{operators[op], left, right}).simpler()
		}
	}
	return nil, err
}

// operator is a binary operator.
type operator uint8

const (
	opOr operator = iota
	opAnd
	opEqual
	opUnequal
	opLess
	opAtMost
	opMore
	opAtLeast
	opPlus
	opMinus
	opTimes
	opDiv
	opMod
)

var operators = map[string]operator{
	"or": opOr, "and": opAnd, "=": opEqual, "!=": opUnequal, "<": opLess, "<=": opAtMost, ">": opMore, ">=": opAtLeast,
	"+": opPlus, "-": opMinus, "*": opTimes, "div": opDiv, "mod": opMod,
}

func (p *parser) operator(ops []string) string {
	for _, op := range ops {
		if p.peek().kind == tOperator && p.accept(op) {
			return op
		}
	}
	return ""
}

func (p *parser) unary() (expr, error) {
	minus, signs := false, 0
	for ; p.accept("-"); signs++ {
		minus = !minus
	}
	e, err := p.union()
	if err != nil || signs == 0 {
		return e, err
	}
	return &negation{e, minus}, nil
}

func (p *parser) union() (expr, error) {
	left, err := p.path()
	for err == nil && p.accept("|") {
		var right expr
		if right, err = p.path(); err == nil {
			if !isNodes(left) || !isNodes(right) {
				return nil, p.fail("a union of what is no set of nodes")
			}
			left = &unionExpr{left, right}
		}
	}
	return left, err
}

// path reads a location path, or a primary expression with predicates and perhaps a path behind it.
func (p *parser) path() (expr, error) {
	if !p.primaryAhead() {
		return p.location(nil)
	}
	start, err := p.primary()
	if err != nil {
		return nil, err
	}
	preds, err := p.predicates()
	if err != nil {
		return nil, err
	}
	if (len(preds) > 0 || p.is("/") || p.is("//")) && !isNodes(start) {
		return nil, p.fail("a path or predicate behind what is no set of nodes")
	}
	if len(preds) > 0 {
		start = &filter{start, preds}
	}
	if p.is("/") || p.is("//") {
		return p.location(start)
	}
	return start, nil
}

func (p *parser) primaryAhead() bool {
	t := p.peek()
	switch t.kind {
	case tLiteral, tNumber:
		return true
	case tPunct:
		return t.text == "("
	case tName:
		n := p.tokens[p.pos+1]
		return n.kind == tPunct && n.text == "(" && !isNodeType(t.text)
	}
	return false
}

func isNodeType(s string) bool {
	return s == "text" || s == "node" || s == "comment" || s == "processing-instruction"
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case tLiteral:
		return literal(t.text), nil
	case tNumber:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, p.fail("number out of range")
		}
		return number(f), nil
	case tName:
		return p.call(t)
	}
	e, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	return e, p.expect(")")
}

func (p *parser) call(name token) (expr, error) {
	f, known := functions[name.text]
	if !known {
		return nil, &SyntaxError{name.at, "unknown function", ErrUnsupported}
	}
	p.pos++ // the parenthesis that primaryAhead saw
	var args []expr
	for !p.accept(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		a, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	if len(args) < f.min || f.max >= 0 && len(args) > f.max {
		return nil, &SyntaxError{name.at, "wrong number of arguments", ErrSyntax}
	}
	if f.nodes && len(args) > 0 && !isNodes(args[0]) {
		return nil, &SyntaxError{name.at, "the function wants a set of nodes", ErrSyntax}
	}
	if name.text == "count" {
		return &counting{args[0]}, nil
	}
	return &call{f, args}, nil
}

func (p *parser) predicates() ([]expr, error) {
	var all []expr
	for p.accept("[") {
		e, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		if err := p.expect("]"); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

var anyBelow = step{axis: axisDescendantOrSelf, test: testNode}

// location reads a path; start is what it begins at, nil for the context or the root.
func (p *parser) location(start expr) (expr, error) {
	l := &location{start: start}
	switch {
	case p.accept("//"):
		l.absolute = start == nil
		l.steps = append(l.steps, anyBelow)
	case p.accept("/"):
		l.absolute = start == nil
		if l.absolute && !p.stepAhead() {
			return l, nil
		}
	}
	for {
		s, err := p.step()
		if err != nil {
			return nil, err
		}
		l.steps = append(l.steps, s)
		if p.accept("//") {
			l.steps = append(l.steps, anyBelow)
		} else if !p.accept("/") {
			l.findPlain()
			return l, nil
		}
	}
}

func (p *parser) stepAhead() bool {
	return p.peek().kind == tName || p.is(".") || p.is("..") || p.is("@")
}

var axes = map[string]axis{
	"child": axisChild, "attribute": axisAttribute, "self": axisSelf, "parent": axisParent,
	"descendant": axisDescendant, "descendant-or-self": axisDescendantOrSelf,
}

func (p *parser) step() (step, error) {
	switch {
	case p.accept("."):
		return step{axis: axisSelf, test: testNode}, nil
	case p.accept(".."):
		return step{axis: axisParent, test: testNode}, nil
	}
	s := step{axis: axisChild}
	if p.accept("@") {
		s.axis = axisAttribute
	} else if n := p.tokens[min(p.pos+1, len(p.tokens)-1)]; p.peek().kind == tName && n.kind == tPunct && n.text == "::" {
		a, known := axes[p.peek().text]
		if !known {
			return s, p.unsupported("axis")
		}
		s.axis = a
		p.pos += 2
	}
	if p.peek().kind != tName {
		return s, p.fail("step expected")
	}
	if err := p.nodeTest(&s); err != nil {
		return s, err
	}
	var err error
	s.preds, err = p.predicates()
	return s, err
}

func (p *parser) nodeTest(s *step) error {
	t := p.next()
	if !p.is("(") {
		if t.text == "*" {
			s.test = testAny
			return nil
		}
		// Namespaces do not count here, so neither does a prefix.
		s.test, s.name = testName, t.text[strings.LastIndexByte(t.text, ':')+1:]
		if s.name == "" || s.name == "*" {
			return p.fail("name expected")
		}
		return nil
	}
	switch t.text {
	case "text":
		s.test = testText
	case "node":
		s.test = testNode
	default:
		return p.unsupported("node type")
	}
	p.pos++
	return p.expect(")")
}
