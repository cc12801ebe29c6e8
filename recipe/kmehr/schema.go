package kmehr

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// particle is a part of a content model: an element, a sequence or a choice, repeated.
type particle struct {
	min, max int // max -1 = unbounded
	name     string
	typ      string
	choice   bool
	parts    []particle
	firsts   []string // names that it can begin with
	optional bool     // it can be empty
}

type attribute struct {
	name     string
	required bool
	values   []string // nil = any
	simple   string   // "" = string
}

type complexType struct {
	attrs   []attribute
	mixed   bool
	simple  string // content is text of this type
	content particle
	types   map[string]string       // of the children
	below   map[string]*complexType // types, with those that are simple; without any
	order   []string                // names of the children in document order
	single  map[string]bool         // children that cannot be repeated
}

// schema is the table, read once.
var schema = readSchema(schemaTable)

var sets = func() map[string][]string {
	m := map[string][]string{}
	for name, list := range closedSets {
		m[name] = strings.Fields(list)
	}
	return m
}()

func readSchema(table string) map[string]*complexType {
	m := map[string]*complexType{}
	for line := range strings.Lines(table) {
		head, body, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok {
			continue
		}
		t := &complexType{types: map[string]string{}, single: map[string]bool{}}
		head, attrs, _ := strings.Cut(strings.TrimSuffix(head, "]"), " [")
		head, t.mixed = strings.CutSuffix(head, " mixed")
		for _, a := range strings.Fields(attrs) {
			t.attrs = append(t.attrs, readAttribute(a))
		}
		tokens := strings.Fields(body)
		if len(tokens) == 1 && !strings.Contains(body, ":") {
			t.simple = body
		} else {
			t.content, _ = t.readSequence(tokens)
		}
		m[head] = t
	}
	for _, t := range m {
		t.below = map[string]*complexType{}
		for name, typ := range t.types {
			switch below := m[typ]; {
			case below != nil:
				t.below[name] = below
			case typ != "any":
				t.below[name] = &complexType{simple: typ}
			}
		}
	}
	return m
}

func readAttribute(s string) attribute {
	s, simple, _ := strings.Cut(s, ":")
	name, values, required := strings.Cut(s, "!")
	a := attribute{name: name, required: required, simple: simple}
	if values != "" {
		a.values = strings.Split(values, "|")
	}
	return a
}

// readSequence reads up to the closing parenthesis and returns what is behind it. With a bar in it, it is a choice.
func (t *complexType) readSequence(tokens []string) (particle, []string) {
	g := particle{min: 1, max: 1}
	for len(tokens) > 0 {
		token := tokens[0]
		tokens = tokens[1:]
		switch {
		case token == "|":
			g.choice = true
		case token == "(":
			var p particle
			p, tokens = t.readSequence(tokens)
			g.parts = append(g.parts, p)
		case token[0] == ')':
			g.repeat(token[1:])
			return g.finish(), tokens
		default:
			g.parts = append(g.parts, t.readElement(token))
		}
	}
	return g.finish(), nil
}

func (t *complexType) readElement(token string) particle {
	name, typ, _ := strings.Cut(token, ":")
	p := particle{min: 1, max: 1}
	if end := len(name) - 1; strings.IndexByte("?*+", name[end]) >= 0 {
		p.repeat(name[end:])
		name = name[:end]
	}
	p.name, p.typ = name, typ
	if _, known := t.types[name]; !known {
		t.types[name] = typ
		t.order = append(t.order, name)
		t.single[name] = p.max == 1
	} else {
		t.single[name] = false // it stands twice
	}
	return p.finish()
}

func (p *particle) repeat(mark string) {
	switch mark {
	case "?":
		p.min = 0
	case "*":
		p.min, p.max = 0, -1
	case "+":
		p.max = -1
	}
}

func (p particle) finish() particle {
	p.optional = p.min == 0
	if p.name != "" {
		p.firsts = []string{p.name}
		return p
	}
	empty := !p.choice
	for _, part := range p.parts {
		if p.choice || empty {
			p.firsts = append(p.firsts, part.firsts...)
		}
		if p.choice {
			empty = empty || part.optional
		} else {
			empty = empty && part.optional
		}
	}
	p.optional = p.optional || empty
	return p
}

// checker compares a document with the schema.
type checker struct {
	found []Violation
	kids  []*xmltree.Node // of the elements under way, each behind those of its parent
}

// maxViolations bounds what one check reports.
const maxViolations = 200

func (c *checker) report(n *xmltree.Node, child, message string) {
	if len(c.found) >= maxViolations {
		return
	}
	path := nodePath(n)
	if child != "" {
		path += "/" + child
	}
	c.found = append(c.found, Violation{Rule: "schema", Field: fieldOf(path), XPath: path, Message: message})
}

// element checks one element against its type, and what is below it.
func (c *checker) element(n *xmltree.Node, t *complexType) {
	if n.Space() != Namespace {
		c.report(n, "", "the element is in another namespace than KMEHR's")
		return
	}
	c.attributes(n, t.attrs)
	if t.simple != "" {
		c.value(n, t.simple)
		return
	}
	before := len(c.kids)
	for k := range n.Children() {
		switch {
		case k.Kind() == xmltree.Element:
			c.kids = append(c.kids, k)
		case k.Kind() == xmltree.Text && !t.mixed && strings.Trim(k.Data(), " \t\r\n") != "":
			c.report(n, "", "text stands where only elements may stand")
		}
	}
	kids := c.kids[before:]
	if rest, ok := c.match(n, &t.content, kids); ok && len(rest) > 0 {
		if _, known := t.types[rest[0].Local()]; known {
			c.report(rest[0], "", "the element stands at the wrong place, or too often")
		} else {
			c.report(n, "", "an element stands here that does not belong here")
		}
	}
	for _, k := range kids {
		if below := t.below[k.Local()]; below != nil {
			c.element(k, below)
		}
	}
	c.kids = c.kids[:before]
}

// match takes the children that a particle covers and returns the others. The model is deterministic, as XML Schema demands,
// so that the next name decides. What is missing is reported and skipped; ok is false when there is nothing more to compare.
func (c *checker) match(n *xmltree.Node, p *particle, kids []*xmltree.Node) (rest []*xmltree.Node, ok bool) {
	for count := 0; p.max < 0 || count < p.max; count++ {
		if len(kids) == 0 || !slices.Contains(p.firsts, kids[0].Local()) {
			if count >= p.min || p.optional {
				return kids, true
			}
			if p.name != "" {
				c.report(n, p.name, "the element is missing, or stands at the wrong place")
				return kids, true
			}
			if p.choice {
				c.report(n, "", "one of these elements is missing, or stands at the wrong place: "+strings.Join(p.firsts, ", "))
				return kids, true
			}
		}
		before := len(kids)
		if kids, ok = c.once(n, p, kids); !ok {
			return kids, false
		}
		if len(kids) == before { // an empty turn: repeating it changes nothing
			return kids, true
		}
	}
	return kids, true
}

func (c *checker) once(n *xmltree.Node, p *particle, kids []*xmltree.Node) ([]*xmltree.Node, bool) {
	if p.name != "" {
		return kids[1:], true
	}
	for k := range p.parts {
		part := &p.parts[k]
		if p.choice {
			if len(kids) > 0 && slices.Contains(part.firsts, kids[0].Local()) {
				return c.match(n, part, kids)
			}
			continue
		}
		var ok bool
		if kids, ok = c.match(n, part, kids); !ok {
			return kids, false
		}
	}
	return kids, true
}

func (c *checker) attributes(n *xmltree.Node, allowed []attribute) {
	for _, a := range n.Attrs() {
		k := slices.IndexFunc(allowed, func(d attribute) bool { return d.name == a.Local })
		switch {
		case a.Space == "http://www.w3.org/2001/XMLSchema-instance":
		case k < 0 || a.Space != "":
			c.report(n, "", "an attribute stands here that does not belong here")
		case allowed[k].values != nil && !slices.Contains(allowed[k].values, a.Value):
			c.report(n, "@"+a.Local, "the value is none of those allowed")
		case !validSimple(allowed[k].simple, a.Value):
			c.report(n, "@"+a.Local, "the value has the wrong form")
		}
	}
	for _, d := range allowed {
		if _, given := n.Attr("", d.name); d.required && !given {
			c.report(n, "@"+d.name, "the attribute is missing")
		}
	}
}

func (c *checker) value(n *xmltree.Node, simple string) {
	for range n.Elements() {
		c.report(n, "", "an element stands where only text may stand")
		return
	}
	if !validSimple(simple, ownText(n)) {
		c.report(n, "", "the value has the wrong form, or is none of those allowed")
	}
}

var (
	reDecimal  = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)
	reInteger  = regexp.MustCompile(`^\+?0*[1-9][0-9]*$`)
	reUnsigned = regexp.MustCompile(`^\+?[0-9]+$|^-0+$`)
	reLanguage = regexp.MustCompile(`^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$`)
	reZone     = regexp.MustCompile(`(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)$`)
	reTime     = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?|24:00:00(\.0+)?)$`)
	reYear     = regexp.MustCompile(`^-?([1-9][0-9]{3,}|0[0-9]{3})$`)
	reDTTime   = regexp.MustCompile(`^(([01][0-9])|(2[0-3]))(:[0-5][0-9]){2}(\.[0-9]+)?$`)
)

// validSimple judges a value of a simple type; "" and string take everything.
func validSimple(typ, s string) bool {
	if typ == "" || typ == "string" {
		return true
	}
	if set := sets[typ]; set != nil {
		return slices.Contains(set, s)
	}
	s = strings.Trim(s, " \t\r\n")
	switch typ {
	case "decimal":
		return onlyDigits(s) || reDecimal.MatchString(s)
	case "boolean":
		return s == "true" || s == "false" || s == "1" || s == "0"
	case "positive":
		return reInteger.MatchString(s)
	case "unsigned":
		return reUnsigned.MatchString(s) && len(s) < 11
	case "language":
		return s == "fr" || s == "nl" || s == "de" || s == "en" || reLanguage.MatchString(s)
	case "base64":
		_, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
		return err == nil
	case "dttime":
		return reDTTime.MatchString(s)
	case "dtdate":
		return len(s) == 10 && validDate(s) && s >= "1901"
	}
	return validInstant(typ, s)
}

func validInstant(typ, s string) bool {
	if zoned(s) {
		s = reZone.ReplaceAllString(s, "")
	}
	switch typ {
	case "date":
		return validDate(s)
	case "time":
		return plainTime(s) || reTime.MatchString(s)
	case "datetime":
		date, clock, ok := strings.Cut(s, "T")
		return ok && validDate(date) && reTime.MatchString(clock)
	case "year":
		return reYear.MatchString(s) && s != "0000"
	case "yearmonth":
		return len(s) == 7 && validDate(s+"-01")
	}
	return true
}

// onlyDigits, zoned and plainTime answer for nearly every document what the expressions above would take longer for.
func onlyDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// zoned tells whether there may be a zone.
func zoned(s string) bool {
	n := len(s)
	return strings.HasSuffix(s, "Z") || n > 6 && s[n-3] == ':' && (s[n-6] == '+' || s[n-6] == '-')
}

// plainTime takes times to the second, but for 24:00:00.
func plainTime(s string) bool {
	return len(s) == 8 && s[2] == ':' && s[5] == ':' && onlyDigits(s[:2]+s[3:5]+s[6:]) && s[:2] < "24" && s[3] < '6' && s[6] < '6'
}

func validDate(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && t.Year() > 0
}

// ownText is the text directly inside an element.
func ownText(n *xmltree.Node) string {
	if c := n.FirstChild(); c != nil && c.Kind() == xmltree.Text && c.NextSibling() == nil {
		return c.Data()
	}
	var b strings.Builder
	for c := range n.Children() {
		if c.Kind() == xmltree.Text {
			b.WriteString(c.Data())
		}
	}
	return b.String()
}
