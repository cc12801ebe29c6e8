package kmehr

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr/internal/xpath"
)

// Bounds of a set of rules and of a check. The set in use has 81 rules a type and needs some thousand steps on a document.
const (
	maxProperties = 1 << 20
	maxRules      = 1000 // of all types together
	ruleSteps     = 200_000
	checkSteps    = 5_000_000
)

// Rules are assert rules about documents, by type of prescription. They are data: those of this package, or those that the
// platform sends. Rules are immutable and safe for concurrent use; the zero value has none.
type Rules struct {
	types map[identity.PrescriptionType][]rule
}

// rule is one assertion: that a boolean expression holds for the document, or for each node of a set; or that a path finds
// between min and max nodes.
type rule struct {
	id      string
	each    *xpath.Expr // nil = the document
	test    *xpath.Expr
	counted bool
	min     int
	max     int // -1 = no maximum
	place   string
	message string
}

// Types returns the types of prescription for which there are rules, in order.
func (r Rules) Types() []identity.PrescriptionType {
	return slices.Sorted(maps.Keys(r.types))
}

// Len returns the number of rules for a type.
func (r Rules) Len(t identity.PrescriptionType) int { return len(r.types[t]) }

// Check returns what is wrong with a document as a prescription of that type: its structure ([Message.Structure]), then the
// rules it breaks, in the order of their numbers. nil = nothing. A rule that cannot be evaluated within its bounds counts as
// broken, and so does everything when there are no rules for the type.
func (r Rules) Check(m *Message, t identity.PrescriptionType) []Violation {
	found := slices.Clone(m.structure)
	if r.Len(t) == 0 {
		return append(found, Violation{Rule: string(t), Message: "there are no rules for this type of prescription"})
	}
	c := check{left: checkSteps}
	for k := range r.types[t] {
		found = append(found, r.types[t][k].check(xpath.Document(m.root), &c)...)
		if len(found) >= maxViolations {
			return found[:maxViolations]
		}
	}
	return found
}

// Check reads a document and returns a *fault.Error that wraps [*InvalidError] when it cannot be a prescription of that type,
// by the rules of this package.
func Check(doc []byte, t identity.PrescriptionType) error {
	m, err := Parse(doc)
	if err != nil {
		return err
	}
	if found := DefaultRules().Check(m, t); len(found) > 0 {
		return refuse("kmehr.Check", found)
	}
	return nil
}

// check is one check of a document under way.
type check struct {
	xpath.Runner
	left int // steps
}

func (r *rule) check(document xpath.Item, c *check) []Violation {
	at := []xpath.Item{document}
	if r.each != nil {
		v, err := c.eval(r.each, document)
		if err != nil {
			return r.broken(r.place)
		}
		defer c.Free(v)
		at = v.Nodes()
	}
	var found []Violation
	for _, i := range at {
		v, err := c.eval(r.test, i)
		switch {
		case err != nil:
			return append(found, r.broken(r.place)...)
		case r.counted:
			found = append(found, r.count(v.Nodes())...)
		case !v.Bool() && r.each != nil:
			found = append(found, r.broken(i.Path()+"/"+r.place)...)
		case !v.Bool():
			found = append(found, r.broken(r.place)...)
		}
		c.Free(v)
		if len(found) >= maxViolations {
			break
		}
	}
	return found
}

func (c *check) eval(e *xpath.Expr, at xpath.Item) (xpath.Value, error) {
	if c.left <= 0 {
		return xpath.Value{}, xpath.ErrLimit
	}
	v, used, err := c.Run(e, at, min(ruleSteps, c.left))
	c.left -= used
	return v, err
}

func (r *rule) broken(place string) []Violation {
	return []Violation{{Rule: r.id, Field: fieldOf(place), XPath: place, Message: r.message}}
}

// maxSurplus bounds how many nodes too many one rule names.
const maxSurplus = 10

// count names the nodes that are too many, or the place where one is missing.
func (r *rule) count(nodes []xpath.Item) []Violation {
	switch n := len(nodes); {
	case n < r.min:
		return r.broken(r.place)
	case r.max >= 0 && n > r.max:
		var found []Violation
		for _, i := range nodes[r.max:min(n, r.max+maxSurplus)] {
			found = append(found, r.broken(i.Path())...)
		}
		return found
	}
	return nil
}

// Reasons for which ParseRules refuses a file; they are matched with errors.Is.
var (
	// ErrRules: the file is not one of assert rules, or too long.
	ErrRules = errors.New("kmehr: not a file of assert rules")
	// ErrRule: a rule is malformed, or uses what this package does not know.
	ErrRule = errors.New("kmehr: assert rule not understood")
)

// RuleError names the rule that could not be read. It wraps ErrRule.
type RuleError struct {
	Rule   string // such as "P0.67"
	Reason string
	Err    error // the cause, may be nil
}

// Error names rule and reason.
func (e *RuleError) Error() string { return ErrRule.Error() + ": " + e.Rule + ": " + e.Reason }

// SafeError is Error: rules hold no personal data.
func (e *RuleError) SafeError() string { return e.Error() }

// Unwrap returns ErrRule and the cause.
func (e *RuleError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrRule}
	}
	return []error{ErrRule, e.Err}
}

const assertPrefix = "kmehr.assert."

// ParseRules reads the rules in the form in which the platform publishes them and sends them (getValidationProperties): a Java
// properties file with keys kmehr.assert.<type>.<number>, whose values are xpath;min[;max], the number of nodes that a path
// must find, or a boolean XPath. Other keys are passed over. The error is a *fault.Error of Kind Protocol that wraps
// ErrRules, or a [*RuleError] for the first rule that is not understood: a set of rules is taken whole or not at all.
func ParseRules(properties []byte) (Rules, error) {
	fail := func(err error) (Rules, error) {
		return Rules{}, &fault.Error{Op: "kmehr.ParseRules", Kind: fault.Protocol, Outcome: fault.Done, Err: fault.AsSafe(err)}
	}
	if len(properties) > maxProperties {
		return fail(ErrRules)
	}
	all := map[identity.PrescriptionType]map[int]rule{}
	total := 0
	for key, value := range readProperties(properties) {
		name, ok := strings.CutPrefix(key, assertPrefix)
		if !ok {
			continue
		}
		t, number, ok := splitName(name)
		if total++; total > maxRules {
			return fail(ErrRules)
		}
		if !ok {
			return fail(&RuleError{"?", "the key has no type and number", nil})
		}
		r, err := parseRule(name, value)
		if err != nil {
			return fail(err)
		}
		if all[t] == nil {
			all[t] = map[int]rule{}
		}
		all[t][number] = r
	}
	if total == 0 {
		return fail(ErrRules)
	}
	rules := Rules{map[identity.PrescriptionType][]rule{}}
	for t, numbered := range all {
		rules.types[t] = inOrder(numbered)
	}
	return rules, nil
}

func inOrder(numbered map[int]rule) []rule {
	all := make([]rule, 0, len(numbered))
	for _, number := range slices.Sorted(maps.Keys(numbered)) {
		all = append(all, numbered[number])
	}
	return all
}

func splitName(name string) (t identity.PrescriptionType, number int, ok bool) {
	typ, digits, ok := strings.Cut(name, ".")
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || number < 1 || len(typ) != 2 || strings.Trim(typ, "PKN0123456789") != "" {
		return "", 0, false
	}
	return identity.PrescriptionType(typ), number, true
}

func parseRule(name, value string) (rule, error) {
	parts := splitOutsideQuotes(value)
	if len(parts) > 3 {
		return rule{}, &RuleError{name, "more than xpath;min;max", nil}
	}
	expr, err := xpath.Compile(strings.TrimSpace(parts[0]))
	if err != nil {
		return rule{}, &RuleError{name, err.Error(), err}
	}
	r := rule{id: name, test: expr, max: -1, place: firstPath(parts[0])}
	if len(parts) == 1 {
		r.message = "the assertion of the platform does not hold"
		return r, nil
	}
	if !expr.IsNodes() {
		return rule{}, &RuleError{name, "what is counted is no set of nodes", nil}
	}
	r.counted = true
	for k, text := range parts[1:] {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 0 {
			return rule{}, &RuleError{name, "a bound is not a number", nil}
		}
		if k == 0 {
			r.min = n
		} else {
			r.max = n
		}
	}
	r.message = boundsText(r.min, r.max)
	return r, nil
}

func boundsText(low, high int) string {
	switch {
	case high == 0:
		return "must not be there"
	case high == low:
		return "must be there exactly " + strconv.Itoa(low) + " times"
	case high < 0:
		return "must be there at least " + strconv.Itoa(low) + " times"
	}
	return "must be there " + strconv.Itoa(low) + " to " + strconv.Itoa(high) + " times"
}

// splitOutsideQuotes cuts at semicolons that are not part of a literal.
func splitOutsideQuotes(s string) []string {
	var parts []string
	var quote byte
	start := 0
	for k := range len(s) {
		switch c := s[k]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ';':
			parts, start = append(parts, s[start:k]), k+1
		}
	}
	return append(parts, s[start:])
}

// firstPath is the first absolute path of an expression without its predicates: where to look, for the reader of a violation.
func firstPath(expr string) string {
	start := strings.Index(expr, "/")
	if start < 0 {
		return "/kmehrmessage"
	}
	var b strings.Builder
	depth := 0
scan:
	for _, c := range expr[start:] {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth > 0:
		case strings.ContainsRune(" )=!<>+*,;|", c):
			break scan
		default:
			b.WriteRune(c)
		}
	}
	return strings.TrimSuffix(b.String(), "/text()")
}
