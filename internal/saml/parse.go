package saml

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Parse reads a saml:Assertion element wherever it stands. It checks structure, not signature, trust or time.
func Parse(n *xmltree.Node) (*Assertion, error) {
	if !n.Is(NS, "Assertion") {
		return nil, fmt.Errorf("%w: not a saml:Assertion", ErrFormat)
	}
	a := &Assertion{node: n}
	if err := a.parseHead(); err != nil {
		return nil, err
	}
	kids, err := elements(n)
	if err != nil {
		return nil, err
	}
	if kids, err = a.parseConditions(kids); err != nil {
		return nil, err
	}
	if len(kids) > 0 && kids[0].Is(NS, "Advice") {
		kids = kids[1:]
	}
	if kids, err = a.parseStatements(kids); err != nil {
		return nil, err
	}
	if len(kids) > 0 && kids[0].Is(dsig.NS, "Signature") {
		kids = kids[1:]
	}
	if len(kids) > 0 {
		return nil, fmt.Errorf("%w: unexpected element in Assertion", ErrFormat)
	}
	a.Raw, err = standalone(n)
	return a, err
}

// elements returns the element children of an element-only container.
func elements(n *xmltree.Node) ([]*xmltree.Node, error) {
	kids, err := dsig.Elements(n)
	if err != nil {
		return nil, fmt.Errorf("%w: not only elements in %s", ErrFormat, n.Local())
	}
	return kids, nil
}

// parseHead reads the attributes of Assertion.
func (a *Assertion) parseHead() error {
	for name, want := range map[string]string{"MajorVersion": "1", "MinorVersion": "1"} {
		if v, _ := a.node.Attr("", name); v != want {
			return fmt.Errorf("%w: not SAML 1.1", ErrFormat)
		}
	}
	a.ID, _ = a.node.Attr("", "AssertionID")
	a.Issuer, _ = a.node.Attr("", "Issuer")
	if a.ID == "" || a.Issuer == "" {
		return fmt.Errorf("%w: no AssertionID or no Issuer", ErrFormat)
	}
	return timeAttr(a.node, "IssueInstant", &a.IssueInstant, true)
}

func timeAttr(n *xmltree.Node, name string, t *time.Time, required bool) (err error) {
	v, ok := n.Attr("", name)
	if !ok && !required {
		return nil
	}
	if *t, err = ParseTime(v); err != nil {
		return fmt.Errorf("%w in %s", err, name)
	}
	return nil
}

// parseConditions reads the optional Conditions and returns what follows them.
func (a *Assertion) parseConditions(kids []*xmltree.Node) ([]*xmltree.Node, error) {
	if len(kids) == 0 || !kids[0].Is(NS, "Conditions") {
		return kids, nil
	}
	c := kids[0]
	if err := timeAttr(c, "NotBefore", &a.NotBefore, false); err != nil {
		return nil, err
	}
	if err := timeAttr(c, "NotOnOrAfter", &a.NotOnOrAfter, false); err != nil {
		return nil, err
	}
	if !a.NotOnOrAfter.IsZero() && !a.NotBefore.Before(a.NotOnOrAfter) {
		return nil, fmt.Errorf("%w: never valid", ErrFormat)
	}
	// SAML 1.1 core 2.3.2: an assertion with a condition that is not understood is not to be relied upon. Audiences
	// address the service that receives the token, not the client that carries it.
	for k := range c.Elements() {
		if !k.Is(NS, "AudienceRestrictionCondition") && !k.Is(NS, "DoNotCacheCondition") {
			return nil, fmt.Errorf("%w: unknown condition", ErrFormat)
		}
	}
	return kids[1:], nil
}

// parseStatements reads the statements, in any order, and returns what follows them.
func (a *Assertion) parseStatements(kids []*xmltree.Node) ([]*xmltree.Node, error) {
	statements, authentications := 0, 0
	for ; len(kids) > 0; kids = kids[1:] {
		var err error
		switch k := kids[0]; {
		case k.Is(NS, "AuthenticationStatement"):
			if authentications++; authentications > 1 {
				return nil, fmt.Errorf("%w: two AuthenticationStatements", ErrFormat)
			}
			a.AuthMethod, _ = k.Attr("", "AuthenticationMethod")
			if err = timeAttr(k, "AuthenticationInstant", &a.AuthInstant, true); err == nil {
				_, err = a.parseSubject(k)
			}
		case k.Is(NS, "AttributeStatement"):
			err = a.parseAttributes(k)
		default:
			if statements == 0 {
				err = fmt.Errorf("%w: no statement", ErrFormat)
			}
			return kids, err
		}
		if err != nil {
			return nil, err
		}
		statements++
	}
	if statements == 0 {
		return nil, fmt.Errorf("%w: no statement", ErrFormat)
	}
	return nil, nil
}

// parseSubject reads the Subject at the start of a statement and returns the elements after it. Every statement
// must speak of the same subject, and confirm it with the same key when it confirms it at all.
func (a *Assertion) parseSubject(statement *xmltree.Node) ([]*xmltree.Node, error) {
	kids, err := elements(statement)
	if err != nil {
		return nil, err
	}
	if len(kids) == 0 || !kids[0].Is(NS, "Subject") {
		return nil, fmt.Errorf("%w: no Subject in %s", ErrFormat, statement.Local())
	}
	parts, err := elements(kids[0])
	if err != nil {
		return nil, err
	}
	if len(parts) > 0 && parts[0].Is(NS, "NameIdentifier") {
		if err := a.parseName(parts[0]); err != nil {
			return nil, err
		}
		parts = parts[1:]
	}
	if len(parts) > 0 && parts[0].Is(NS, "SubjectConfirmation") {
		if err := a.parseConfirmation(parts[0]); err != nil {
			return nil, err
		}
		parts = parts[1:]
	}
	if len(parts) > 0 {
		return nil, fmt.Errorf("%w: unexpected element in Subject", ErrFormat)
	}
	return kids[1:], nil
}

func (a *Assertion) parseName(n *xmltree.Node) error {
	name, err := n.Text()
	if err != nil || name == "" {
		return fmt.Errorf("%w: NameIdentifier is not text", ErrFormat)
	}
	qualifier, _ := n.Attr("", "NameQualifier")
	format, _ := n.Attr("", "Format")
	if a.Subject != "" && (a.Subject != name || a.SubjectQualifier != qualifier || a.SubjectFormat != format) {
		return fmt.Errorf("%w: statements about different subjects", ErrFormat)
	}
	a.Subject, a.SubjectQualifier, a.SubjectFormat = name, qualifier, format
	return nil
}

// parseConfirmation reads ConfirmationMethod+, SubjectConfirmationData?, ds:KeyInfo?.
func (a *Assertion) parseConfirmation(n *xmltree.Node) error {
	kids, err := elements(n)
	if err != nil {
		return err
	}
	methods, holder := 0, false
	for ; len(kids) > 0 && kids[0].Is(NS, "ConfirmationMethod"); kids = kids[1:] {
		m, err := kids[0].Text()
		if err != nil {
			return fmt.Errorf("%w: ConfirmationMethod is not text", ErrFormat)
		}
		methods++
		holder = holder || strings.Trim(m, " \t\r\n") == MethodHolderOfKey
	}
	if methods == 0 {
		return fmt.Errorf("%w: no ConfirmationMethod", ErrFormat)
	}
	if len(kids) > 0 && kids[0].Is(NS, "SubjectConfirmationData") {
		kids = kids[1:]
	}
	if len(kids) > 0 && kids[0].Is(dsig.NS, "KeyInfo") {
		if holder {
			if err := a.parseHolder(kids[0]); err != nil {
				return err
			}
		}
		kids = kids[1:]
	}
	if len(kids) > 0 {
		return fmt.Errorf("%w: unexpected element in SubjectConfirmation", ErrFormat)
	}
	return nil
}

func (a *Assertion) parseHolder(keyInfo *xmltree.Node) error {
	certs, err := dsig.Certificates(keyInfo)
	if err != nil {
		return fmt.Errorf("%w: holder's certificate: %w", ErrFormat, err)
	}
	if len(certs) == 0 {
		return nil // a bare key: nothing that this package can hand out
	}
	if len(certs) > 1 || a.HolderOfKey != nil && !bytes.Equal(a.HolderOfKey.Raw, certs[0].Raw) {
		return fmt.Errorf("%w: more than one holder's certificate", ErrFormat)
	}
	a.HolderOfKey = certs[0]
	return nil
}

// parseAttributes reads an AttributeStatement.
func (a *Assertion) parseAttributes(statement *xmltree.Node) error {
	kids, err := a.parseSubject(statement)
	if err != nil {
		return err
	}
	for _, k := range kids {
		if !k.Is(NS, "Attribute") {
			return fmt.Errorf("%w: unexpected element in AttributeStatement", ErrFormat)
		}
		var at Attribute
		at.Name, _ = k.Attr("", "AttributeName")
		at.Namespace, _ = k.Attr("", "AttributeNamespace")
		values, err := elements(k)
		if err != nil {
			return err
		}
		for _, v := range values {
			if !v.Is(NS, "AttributeValue") {
				return fmt.Errorf("%w: unexpected element in Attribute", ErrFormat)
			}
			text, err := attributeValue(v)
			if err != nil {
				return err
			}
			at.Values = append(at.Values, text)
		}
		a.Attributes = append(a.Attributes, at)
	}
	return nil
}

// attributeValue returns the text of a leaf, or the source of what is inside an element with element content.
func attributeValue(n *xmltree.Node) (string, error) {
	if text, err := n.Text(); err == nil {
		return text, nil
	}
	var first, last *xmltree.Node
	for c := range n.Elements() {
		if first == nil {
			first = c
		}
		last = c
	}
	if _, err := elements(n); err != nil || first == nil {
		return "", fmt.Errorf("%w: AttributeValue is neither text nor elements", ErrFormat)
	}
	if first != last {
		return "", fmt.Errorf("%w: several elements in AttributeValue", ErrFormat)
	}
	return string(first.Source()), nil
}
