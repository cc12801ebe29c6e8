package saml

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const nsXSI = "http://www.w3.org/2001/XMLSchema-instance"

// standalone returns the bytes of an element as a document of its own. When every prefix that matters is declared in the
// element itself those are the octets received. Otherwise it is an exclusive-C14N copy: the signature of the STS, which
// is made over that form, holds for the copy as well.
func standalone(n *xmltree.Node) ([]byte, error) {
	w := walk{top: n, declared: map[string]int{}, missing: map[string]bool{}}
	w.visit(n)
	if len(w.missing) == 0 {
		return n.Source(), nil
	}
	prefixes := slices.Sorted(maps.Keys(w.missing))
	// Re-read what was written: whoever pastes these bytes must never be the first to find them broken.
	out := c14n.Append(nil, n, c14n.Options{Prefixes: prefixes})
	if _, err := xmltree.Parse(out, xmltree.Limits{}); err != nil {
		return nil, fmt.Errorf("%w: no copy: %w", ErrFormat, err)
	}
	return out, nil
}

// walk finds the prefixes that a subtree uses and an element around it declares.
type walk struct {
	top      *xmltree.Node
	declared map[string]int  // declarations in scope inside the subtree
	missing  map[string]bool // "#default" for the default namespace
}

func (w *walk) visit(n *xmltree.Node) {
	for _, d := range n.Namespaces() {
		w.declared[d.Prefix]++
	}
	w.use(n.Prefix())
	for _, a := range n.Attrs() {
		if a.Prefix != "" {
			w.use(a.Prefix)
		}
		if a.Local == "type" && a.Space == nsXSI {
			// The value is a name with a prefix; canonicalisation does not see it.
			prefix, _, _ := strings.Cut(a.Value, ":")
			w.use(strings.TrimSpace(prefix))
		}
	}
	if n.Is(dsig.ExcC14N, "InclusiveNamespaces") {
		// These are part of what the signature covers, used or not.
		list, _ := n.Attr("", "PrefixList")
		for _, p := range strings.Fields(list) {
			w.use(strings.TrimPrefix(p, "#default"))
		}
	}
	for c := range n.Elements() {
		w.visit(c)
	}
	for _, d := range n.Namespaces() {
		w.declared[d.Prefix]--
	}
}

func (w *walk) use(prefix string) {
	if prefix == "xml" || w.declared[prefix] > 0 {
		return
	}
	uri, ok := w.top.Parent().LookupPrefix(prefix)
	if !ok || uri == "" {
		return // means nothing out there either
	}
	if prefix == "" {
		prefix = "#default"
	}
	w.missing[prefix] = true
}
