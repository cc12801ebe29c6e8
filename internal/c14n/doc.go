// Package c14n writes an element of an xmltree document in canonical form:
// Exclusive XML Canonicalization 1.0 (the default) or Canonical XML 1.0, both
// with or without comments.
//
//	h := sha256.New()
//	err := c14n.Write(h, body, c14n.Options{Prefixes: []string{"soapenv"}})
//
// The node set is always one element with all that is below it, except the
// subtree [Options.Omit], which is how an enveloped signature leaves itself
// out. Ancestors count as the standards say: namespaces in scope at the
// element are known, and Canonical XML 1.0 also inherits their xml: attributes.
//
// Nothing about a parsed element can make canonicalisation fail, save its
// size: exclusive canonicalisation repeats namespace declarations, so that a
// document can be built whose canonical form is many times its own length.
// [Write] stops with [ErrTooLarge].
package c14n
