package oracle

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// Id attributes of secured messages as xmlsec1 wants them declared:
// attribute name, "=", namespace of the element, ":", its local name.
const (
	IDBody      = "Id=http://schemas.xmlsoap.org/soap/envelope/:Body"
	IDTimestamp = "Id=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd:Timestamp"
	IDToken     = "Id=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd:BinarySecurityToken"
	IDAssertion = "AssertionID=urn:oasis:names:tc:SAML:1.0:assertion:Assertion"
)

// XMLSecVerify stops the test when xmlsec1 refuses the first signature of doc.
// The key is a PEM certificate or public key; nothing inside the message is
// trusted or used as a key. Each of idAttrs declares an id attribute, such as
// IDBody; with none, IDBody, IDTimestamp, IDToken and IDAssertion are declared.
// An entry that begins with "--" and those after it are further arguments for
// xmlsec1, for instance "--node-xpath" and an XPath of the signature meant, for
// a message with several.
func XMLSecVerify(t testing.TB, doc, keyPEM []byte, idAttrs ...string) {
	t.Helper()
	if err := XMLSecError(t, doc, keyPEM, idAttrs...); err != nil {
		t.Fatalf("xmlsec1 refuses the signature: %v", err)
	}
}

// XMLSecError is XMLSecVerify for tests that expect a refusal.
func XMLSecError(t testing.TB, doc, keyPEM []byte, idAttrs ...string) error {
	t.Helper()
	sec := Tool(t, "xmlsec1")
	flag := "--pubkey-pem"
	if bytes.Contains(keyPEM, []byte("BEGIN CERTIFICATE")) {
		flag = "--pubkey-cert-pem"
	}
	// key-name: KeyValue and X509Data of the message are not looked at.
	args := []string{"--verify", "--enabled-key-data", "key-name", flag, tempFile(t, "key.pem", keyPEM)}
	args = append(args, xmlsecArgs(idAttrs)...)
	_, err := run(t, nil, sec, append(args, tempFile(t, "doc.xml", doc))...)
	return err
}

// XMLSecSign fills the signature template in doc (a ds:Signature with empty
// DigestValue and SignatureValue) with a PEM private key, and returns the
// signed document. idAttrs are those of XMLSecVerify.
func XMLSecSign(t testing.TB, doc, keyPEM []byte, idAttrs ...string) []byte {
	t.Helper()
	sec := Tool(t, "xmlsec1")
	args := []string{"--sign", "--privkey-pem", tempFile(t, "key.pem", keyPEM)}
	args = append(args, xmlsecArgs(idAttrs)...)
	out, err := run(t, nil, sec, append(args, tempFile(t, "doc.xml", doc))...)
	if err != nil {
		t.Fatalf("oracle: %s: %v", filepath.Base(sec), err)
	}
	return out
}

func xmlsecArgs(idAttrs []string) []string {
	extra := len(idAttrs)
	for i, a := range idAttrs {
		if strings.HasPrefix(a, "--") {
			extra = i
			break
		}
	}
	ids, rest := idAttrs[:extra], idAttrs[extra:]
	if len(ids) == 0 {
		ids = []string{IDBody, IDTimestamp, IDToken, IDAssertion}
	}
	var args []string
	for _, id := range ids {
		attr, element, _ := strings.Cut(id, "=")
		args = append(args, "--id-attr:"+attr, element)
	}
	return append(args, rest...)
}
