package etee

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// ServiceKGSS is the UDDI id of the key service (dossier 02 C.1).
const ServiceKGSS = "uddi:ehealth-fgov-be:business:kgss:v1"

const (
	nsKGSS = "urn:be:fgov:ehealth:etee:kgss:1_0:protocol"

	// Bounds of what a request and an answer hold.
	maxReaders  = 64
	maxKeyID    = 1 << 10
	maxInnerXML = 64 << 10
)

// ErrACL: an access list that lets nobody in, is too long, or has a reader without namespace or name.
var ErrACL = errors.New("etee: access list not usable")

// Reader is an attribute that the login token of a reader must have (dossier 02 C.4).
type Reader struct {
	Namespace, Name string
	// Values are those of which one must be the attribute's; none = any will do, which goes over the wire as one empty
	// value, as all known clients write it.
	Values []string
}

// ACL is who may get a key. Values may be a patient's number: it does not show when printed.
type ACL struct {
	Allowed  []Reader // at least one
	Excluded []Reader
}

// Namespaces of attributes (dossier 02 C.4).
const (
	NamespaceCertified      = "urn:be:fgov:certified-namespace:ehealth"
	NamespaceIdentification = "urn:be:fgov:identification-namespace"
)

// String counts the readers.
func (a ACL) String() string {
	return "etee.ACL(" + strconv.Itoa(len(a.Allowed)) + " allowed, " + strconv.Itoa(len(a.Excluded)) + " excluded)"
}

// Format writes String whatever the verb.
func (a ACL) Format(f fmt.State, verb rune) { format(f, verb, a.String()) }

// LogValue is String.
func (a ACL) LogValue() slog.Value { return slog.StringValue(a.String()) }

// String shows the name of the attribute.
func (r Reader) String() string { return "etee.Reader(" + r.Name + ")" }

// Format writes String whatever the verb.
func (r Reader) Format(f fmt.State, verb rune) { format(f, verb, r.String()) }

// LogValue is String.
func (r Reader) LogValue() slog.Value { return slog.StringValue(r.String()) }

func (a ACL) validate() error {
	if len(a.Allowed) == 0 || len(a.Allowed) > maxReaders || len(a.Excluded) > maxReaders {
		return fmt.Errorf("%w: number of readers", ErrACL)
	}
	for _, list := range [][]Reader{a.Allowed, a.Excluded} {
		for _, r := range list {
			if r.Namespace == "" || r.Name == "" || len(r.Values) > maxReaders {
				return fmt.Errorf("%w: reader", ErrACL)
			}
		}
	}
	return nil
}

// digest is the same for lists that say the same in the same order. A new key is only ever used for the list that it was made
// with: used for another, it would widen who can read.
func (a ACL) digest() ([sha256.Size]byte, error) {
	b, err := a.encode(nil)
	return sha256.Sum256(b), err
}

// encode writes GetNewKeyRequestContent (dossier 02 C.3).
func (a ACL) encode(etk []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("k", "GetNewKeyRequestContent")
	w.NS("k", nsKGSS)
	for i, list := range [][]Reader{a.Allowed, a.Excluded} {
		for _, r := range list {
			w.Start("k", [...]string{"AllowedReader", "ExludedReader"}[i]) // spelled so in the schema
			w.Leaf("k", "Namespace", r.Namespace)
			w.Leaf("k", "Name", r.Name)
			values := r.Values
			if len(values) == 0 {
				values = []string{""}
			}
			for _, v := range values {
				w.Leaf("k", "Value", v)
			}
			w.End()
		}
	}
	w.Leaf("k", "ETK", base64.StdEncoding.EncodeToString(etk))
	w.End()
	return w.Bytes()
}

// encodeGetKey writes GetKeyRequestContent with a key to seal the answer for.
func encodeGetKey(id []byte, answer KEK) ([]byte, error) {
	text := base64.StdEncoding.EncodeToString
	w := xmltree.NewWriter()
	w.Start("k", "GetKeyRequestContent")
	w.NS("k", nsKGSS)
	w.Leaf("k", "KeyIdentifier", text(id))
	w.Leaf("k", "KeyEncryptionKey", text(answer.key()))
	w.Leaf("k", "KeyEncryptionKeyIdentifier", text(answer.ID()))
	w.End()
	return w.Bytes()
}

// encodeOuter wraps a sealed request.
func encodeOuter(request, part string, sealed []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("k", request)
	w.NS("k", nsKGSS)
	w.Start("k", part)
	w.Leaf("k", "SealedContent", base64.StdEncoding.EncodeToString(sealed))
	w.End()
	w.End()
	return w.Bytes()
}

// decodeOuter reads an answer: the sealed content, or why there is none. Status and Error stand in no namespace.
func decodeOuter(n *xmltree.Node, response, part string) ([]byte, error) {
	if n == nil || !n.Is(nsKGSS, response) {
		return nil, errOther
	}
	status, err := decodeStatus(n)
	if err != nil {
		return nil, err
	}
	if failures := named(n, "Error"); len(failures) > 0 {
		code, _, err := leaf(failures[0], "Code")
		if err != nil {
			return nil, err
		}
		return nil, &KGSSError{Code: code, Status: status}
	}
	if status != statusOK && status != "100" {
		return nil, &KGSSError{Status: status}
	}
	parts := named(n, part)
	if len(parts) != 1 {
		return nil, errAnswer
	}
	return bytesOf(parts[0], "SealedContent")
}

// bytesOf decodes the only child of that name, which must be there.
func bytesOf(n *xmltree.Node, local string) ([]byte, error) {
	text, ok, err := leaf(n, local)
	if err != nil || !ok {
		return nil, errAnswer
	}
	b, err := base64.StdEncoding.AppendDecode(nil, bytes.Join(bytes.Fields([]byte(text)), nil))
	if err != nil {
		return nil, errAnswer
	}
	return b, nil
}

// decodeInner reads the key in the plaintext of an answer; idPart "" when it comes without its identifier.
func decodeInner(plain []byte, root, idPart, keyPart string) (id, key []byte, err error) {
	n, err := xmltree.Parse(plain, xmltree.Limits{Bytes: maxInnerXML, Depth: 8})
	if err != nil {
		return nil, nil, errAnswer
	}
	if !n.Is(nsKGSS, root) {
		return nil, nil, errOther
	}
	if idPart != "" {
		if id, err = bytesOf(n, idPart); err != nil {
			return nil, nil, err
		}
		if len(id) == 0 || len(id) > maxKeyID {
			return nil, nil, errAnswer
		}
	}
	if key, err = bytesOf(n, keyPart); err != nil {
		return nil, nil, err
	}
	if len(key) != kekSize {
		return nil, nil, errAnswer
	}
	return id, key, nil
}

// KGSSError is the key service's answer that it gives no key. Its codes are not published (dossier 02 I).
type KGSSError struct {
	Code   string // of the first Error; empty when there is a status alone
	Status string
}

// Error shows code and status.
func (e *KGSSError) Error() string {
	return "etee: KGSS: " + safeCode(e.Code) + ", status " + safeCode(e.Status)
}

// SafeError is Error: it may be logged.
func (e *KGSSError) SafeError() string { return e.Error() }

func (e *KGSSError) kind() fault.Kind {
	if k := statusKind(e.Status); k != 0 {
		return k
	}
	return fault.Invalid
}
