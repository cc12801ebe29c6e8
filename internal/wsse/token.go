package wsse

import (
	"crypto/x509"
	"fmt"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// token follows the signature's KeyInfo to the one token of the header and returns the certificate in it.
func (h *header) token(keyInfo *xmltree.Node) (*x509.Certificate, *saml.Assertion, error) {
	var str *xmltree.Node
	if kids, err := elements(keyInfo); err == nil && len(kids) == 1 {
		str = kids[0]
	}
	if !str.Is(NSWSSE, "SecurityTokenReference") {
		return nil, nil, fmt.Errorf("%w: KeyInfo is not one SecurityTokenReference", ErrToken)
	}
	kids, err := elements(str)
	if err != nil || len(kids) != 1 {
		return nil, nil, fmt.Errorf("%w: SecurityTokenReference does not hold one reference", ErrToken)
	}
	if h.bst != nil {
		cert, err := h.binaryToken(kids[0])
		return cert, nil, err
	}
	if t, ok := str.Attr(NSWSSE11, "TokenType"); ok && t != TokenSAML11 {
		return nil, nil, fmt.Errorf("%w: TokenType", ErrToken)
	}
	return h.samlToken(kids[0])
}

// binaryToken checks that ref points at the BinarySecurityToken and decodes that.
func (h *header) binaryToken(ref *xmltree.Node) (*x509.Certificate, error) {
	uri, _ := ref.Attr("", "URI")
	id, _ := h.bst.Attr(NSWSU, "Id")
	if !ref.Is(NSWSSE, "Reference") || id == "" || uri != "#"+id {
		return nil, fmt.Errorf("%w: the reference does not lead to the BinarySecurityToken", ErrToken)
	}
	if t, ok := ref.Attr("", "ValueType"); ok && t != ValueX509v3 {
		return nil, fmt.Errorf("%w: ValueType of the reference", ErrToken)
	}
	if t, _ := h.bst.Attr("", "ValueType"); t != ValueX509v3 {
		return nil, fmt.Errorf("%w: ValueType of the token", ErrToken)
	}
	if t, ok := h.bst.Attr("", "EncodingType"); ok && t != EncodingBase64 {
		return nil, fmt.Errorf("%w: EncodingType of the token", ErrToken)
	}
	der, err := dsig.Base64(h.bst)
	if err != nil {
		return nil, fmt.Errorf("%w: the token is not base64 text of reasonable length", ErrToken)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: the token is not an X.509 certificate", ErrToken)
	}
	return cert, nil
}

// samlToken checks that ref names the assertion and returns the holder's certificate in it.
func (h *header) samlToken(ref *xmltree.Node) (*x509.Certificate, *saml.Assertion, error) {
	if !ref.Is(NSWSSE, "KeyIdentifier") {
		return nil, nil, fmt.Errorf("%w: no KeyIdentifier", ErrToken)
	}
	if t, _ := ref.Attr("", "ValueType"); t != ValueSAMLAssertionID {
		return nil, nil, fmt.Errorf("%w: ValueType of the KeyIdentifier", ErrToken)
	}
	if _, ok := ref.Attr("", "EncodingType"); ok {
		return nil, nil, fmt.Errorf("%w: EncodingType on a KeyIdentifier that is no binary value", ErrToken)
	}
	a, err := saml.Parse(h.assertion)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if id, err := ref.Text(); err != nil || trim(id) != a.ID {
		return nil, nil, fmt.Errorf("%w: the KeyIdentifier does not name the assertion", ErrToken)
	}
	if a.HolderOfKey == nil {
		return nil, nil, fmt.Errorf("%w: the assertion is not a holder-of-key one", ErrToken)
	}
	return a.HolderOfKey, a, nil
}
