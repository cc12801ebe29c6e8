// Package xmltree parses XML into a compact immutable tree and writes XML, for
// messages whose signatures must be verified on the very nodes that are read.
//
// The parser is strict XML 1.0 (fifth edition) with Namespaces 1.0, UTF-8
// only, and refuses everything that makes two XML programs read one document
// in two ways: duplicate expanded attribute names, unbound or reserved
// prefixes, a DOCTYPE, several roots, text outside the root, undefined
// entities, control characters. Depth, size, node and attribute counts are
// bounded by [Limits].
//
//	root, err := xmltree.Parse(body, xmltree.Limits{})
//	if err != nil {
//		return err // *SyntaxError; errors.Is(err, xmltree.ErrDoctype), ...
//	}
//	id, err := root.Child(ns, "Header").Child(ns, "Id").Text()
//
// Strings of the tree are substrings of the bytes given to [Parse] wherever
// no entity or line end had to be replaced, so the caller must not modify
// those bytes as long as the tree lives. A tree is safe for concurrent use.
//
// All methods of a nil *[Node] answer "nothing there", so a path of Child
// calls needs one check at its end.
//
// Parse fails with a *[SyntaxError] that names the place and the rule but
// never quotes content. [Writer] builds well-formed text and reports the first
// mistake (undeclared prefix, invalid character, unclosed element) at the end.
package xmltree
