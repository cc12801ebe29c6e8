package dsig

import (
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// IDAttr names an attribute that carries ids, by expanded name. Nothing in a document says which attributes do (there is no
// DTD), so the verifier is told.
type IDAttr struct{ Space, Local string }

// idLike tells whether other software might take an attribute for an id, whatever its namespace.
func idLike(local string) bool { return strings.EqualFold(local, "id") || local == "AssertionID" }

// resolve finds the elements that the references name, in the whole document around the signature.
//
// It refuses a document in which two elements bear the same declared id, referenced or not, and one in which a second
// element bears a referenced id in an attribute that merely looks like an id: another verifier might pick that one.
func (s *signature) resolve(ids []IDAttr) ([]*xmltree.Node, error) {
	wanted := make(map[string]bool, len(s.refs))
	for _, r := range s.refs {
		wanted[r.id] = true
	}
	declared := make(map[string]*xmltree.Node)
	type claim struct {
		id   string
		node *xmltree.Node
	}
	var lookalikes []claim
	for n := range root(s.node).Descendants() {
		for _, a := range n.Attrs() {
			switch {
			case isDeclared(ids, a):
				if other := declared[a.Value]; other != nil && other != n {
					return nil, ErrDuplicateID
				}
				declared[a.Value] = n
			case idLike(a.Local) && wanted[a.Value]:
				lookalikes = append(lookalikes, claim{a.Value, n})
			}
		}
	}
	for _, c := range lookalikes {
		if target := declared[c.id]; target != nil && target != c.node {
			return nil, fmt.Errorf("%w: in an attribute of another namespace", ErrDuplicateID)
		}
	}
	out := make([]*xmltree.Node, len(s.refs))
	for i, r := range s.refs {
		if out[i] = declared[r.id]; out[i] == nil {
			return nil, fmt.Errorf("%w: no element bears the id", ErrReference)
		}
	}
	return out, nil
}

func isDeclared(ids []IDAttr, a xmltree.Attr) bool {
	for _, id := range ids {
		if a.Local == id.Local && a.Space == id.Space {
			return true
		}
	}
	return false
}

func root(n *xmltree.Node) *xmltree.Node {
	for n.Parent() != nil {
		n = n.Parent()
	}
	return n
}

// within tells whether n is top or below it.
func within(n, top *xmltree.Node) bool {
	for ; n != nil; n = n.Parent() {
		if n == top {
			return true
		}
	}
	return false
}
