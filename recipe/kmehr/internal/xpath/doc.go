// Package xpath evaluates the part of XPath 1.0 that validation rules need, on xmltree documents and without regard to
// namespaces: a name matches the local name, whatever its prefix or namespace.
//
//	e, err := xpath.Compile("count(/kmehrmessage/folder/patient/id) = 1")
//	v, err := e.Eval(xpath.Document(root), 100_000)
//	ok := v.Bool()
//
// Supported are location paths over the axes child, attribute, self, parent, descendant and descendant-or-self, with their
// abbreviations, the tests *, name, text() and node(), predicates, unions, all operators, and the core functions except
// id, lang and namespace-uri. There are no variables.
//
// Compile fails with a [*SyntaxError], which wraps [ErrUnsupported] for what XPath knows and this package does not, and
// [ErrLimit] for an expression that is too long or too deep. Eval fails with [ErrLimit] only, when the expression needs more
// steps than it was given. Neither panics, and no error quotes a document.
package xpath
