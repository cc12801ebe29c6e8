package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"sync"

	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// The KGSS (dossier 02 C). GetNewKey is anonymous and sealed; GetKey needs a holder-of-key token, against which the access
// list of the key is evaluated:
//
//   - a reader matches when the token has an attribute of that namespace and name and, unless Value is absent or empty, one
//     of the values; excluded readers win over allowed ones.
//   - a caller whom the list does not let in gets a SOAP fault wsse:InvalidSecurity, as the clients in the field expect.
//
// What the dossier does not know is decided so: everything else that is wrong inside the seal is answered with Status 300
// and one Error, code UNSEAL_FAILED (not sealed for the key the KGSS has now, or not accepted), INVALID_REQUEST (content
// breaks its schema, ETK or KeyEncryptionKey not usable, neither given) or UNKNOWN_KEY. Keys have 16 bytes and
// identifiers 16 others, and both live as long as the sandbox.
const (
	nsKGSS   = "urn:be:fgov:ehealth:etee:kgss:1_0:protocol"
	uddiKGSS = "uddi:ehealth-fgov-be:business:kgss:v1"
	pathKGSS = "/Kgss/v1"
	kgssApp  = "KGSS"
	nsWSSE   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
)

var kgssOperations = []operation{
	{qname{nsKGSS, "GetNewKeyRequest"}, nil},
	{qname{nsKGSS, "GetKeyRequest"}, nil},
}

// kgssRequestTypes are the outer messages, kgssContentTypes what is sealed in them. In GetKey the schema has a choice of
// ETK and KeyEncryptionKey, which decodeGetKey checks.
var (
	kgssRequestTypes = func() map[string]*xsType {
		sealed := &xsType{name: qname{nsKGSS, "SealedContentType"}, seq: []xsParticle{xsOne(nsKGSS, "SealedContent", xsLeaf(xsBase64))}}
		return map[string]*xsType{
			"GetNewKeyRequest": {name: qname{nsKGSS, "GetNewKeyRequestType"}, seq: []xsParticle{xsOne(nsKGSS, "SealedNewKeyRequest", sealed)}},
			"GetKeyRequest":    {name: qname{nsKGSS, "GetKeyRequestType"}, seq: []xsParticle{xsOne(nsKGSS, "SealedKeyRequest", sealed)}},
		}
	}()
	kgssContentTypes = func() map[string]*xsType {
		credential := &xsType{name: qname{nsKGSS, "CredentialType"}, seq: []xsParticle{
			xsOne(nsKGSS, "Namespace", xsLeaf(xsString)), xsOne(nsKGSS, "Name", xsLeaf(xsString)), xsMany(nsKGSS, "Value", xsLeaf(xsString)),
		}}
		binary := xsLeaf(xsBase64)
		return map[string]*xsType{
			"GetNewKeyRequest": {name: qname{nsKGSS, "GetNewKeyRequestContentType"}, seq: []xsParticle{
				{name: qname{nsKGSS, "AllowedReader"}, typ: credential, min: 1, max: -1},
				xsMany(nsKGSS, "ExludedReader", credential),
				xsOne(nsKGSS, "ETK", binary),
				xsOpt(nsKGSS, "DeletionStrategy", &xsType{name: qname{nsKGSS, "DeletionStrategyType"}}),
			}},
			"GetKeyRequest": {name: qname{nsKGSS, "GetKeyRequestContentType"}, seq: []xsParticle{
				xsOne(nsKGSS, "KeyIdentifier", binary),
				xsOpt(nsKGSS, "ETK", binary),
				xsOpt(nsKGSS, "KeyEncryptionKey", binary),
				xsOpt(nsKGSS, "KeyEncryptionKeyIdentifier", binary),
			}},
		}
	}()
)

// kgssReader is one entry of an access list.
type kgssReader struct {
	namespace, name string
	values          []string
}

// kgssKey is one key with those who may have it.
type kgssKey struct {
	key               []byte
	allowed, excluded []kgssReader
}

// kgssStore keeps the keys by identifier.
type kgssStore struct {
	mu   sync.Mutex
	keys map[string]*kgssKey
}

// kgssError is an Error element.
type kgssError string

var kgssErrors = map[kgssError]string{
	"UNSEAL_FAILED":   "The sealed content cannot be opened",
	"INVALID_REQUEST": "The content of the request is not valid",
	"UNKNOWN_KEY":     "There is no key with this identifier",
}

// kgss is both operations.
func (v *services) kgss(_ context.Context, s *Sandbox, rq *request) *response {
	m, op, r := open(rq, kgssOperations)
	var c *caller
	if r == nil && op.payload.local == "GetKeyRequest" {
		c, r = v.holderOfKey(s, rq, m)
	}
	if r == nil {
		r = conforms(m.Payload, kgssRequestTypes[op.payload.local])
	}
	if r != nil {
		return v.fault(s, rq, r)
	}
	keys, err := s.serviceKeys("CBE", eHealthCBE, kgssApp)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "keys cannot be made"))
	}
	x := &kgssCall{s: s, rq: rq, keys: keys, caller: c, operation: op.payload.local}
	sealed := x.open(m.Payload)
	if x.denied {
		s.count("kgss.denied")
		return kgssDenied()
	}
	payload, err := x.encode(sealed)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	if x.failed != "" {
		s.count("kgss." + string(x.failed))
	}
	rs := v.answer(s, rq, nil, payload, "kgss:"+hex.EncodeToString(x.asker[:]))
	rs.Effect = x.effect
	return rs
}

// kgssCall is one request as it is worked through.
type kgssCall struct {
	s         *Sandbox
	rq        *request
	keys      []Credential // of the KGSS, authentication first
	caller    *caller      // GetKey only
	operation string

	asker  [12]byte // whose answer it is
	failed kgssError
	denied bool
	effect string
}

// open takes the request out of its seal and returns the sealed answer, nil when failed or denied.
func (x *kgssCall) open(payload *xmltree.Node) []byte {
	var sealedText string
	for n := range payload.Descendants() {
		if n.Is(nsKGSS, "SealedContent") {
			sealedText = textOf(n)
		}
	}
	sealed, _ := decodeBase64(sealedText) // the schema was checked
	copy(x.asker[:], sealed[max(0, len(sealed)-len(x.asker)):])
	content, _, err := x.s.unseal(sealed, x.keys[1:], x.rq.At)
	if err != nil {
		x.failed = "UNSEAL_FAILED"
		return nil
	}
	doc, err := xmltree.Parse(content, requestLimits)
	if err != nil || !doc.Is(nsKGSS, x.operation+"Content") || kgssContentTypes[x.operation].validate(doc) != nil {
		x.failed = "INVALID_REQUEST"
		return nil
	}
	if x.operation == "GetNewKeyRequest" {
		return x.newKey(doc)
	}
	return x.getKey(doc)
}

func binaryOf(n *xmltree.Node) []byte {
	b, _ := decodeBase64(textOf(n)) // the schema was checked
	return b
}

// newKey makes and stores a key.
func (x *kgssCall) newKey(doc *xmltree.Node) []byte {
	to, err := x.s.recipientOf(binaryOf(doc.Child(nsKGSS, "ETK")), x.rq.At)
	if err != nil {
		x.failed = "INVALID_REQUEST"
		return nil
	}
	k := &kgssKey{key: make([]byte, 16), allowed: readers(doc, "AllowedReader"), excluded: readers(doc, "ExludedReader")}
	id := make([]byte, 16)
	_, _ = rand.Read(k.key) // never fails since Go 1.24
	_, _ = rand.Read(id)
	sealed := x.seal("GetNewKeyResponseContent", cms.ForCertificate{Certificate: to}, "NewKeyIdentifier", id, "NewKey", k.key)
	if sealed == nil {
		return nil
	}
	st := &x.s.keystore
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.keys == nil {
		st.keys = map[string]*kgssKey{}
	}
	st.keys[string(id)] = k
	x.effect = "kgss.new"
	return sealed
}

// getKey gives a key to who may have it.
func (x *kgssCall) getKey(doc *xmltree.Node) []byte {
	target := x.target(doc)
	if target == nil {
		x.failed = "INVALID_REQUEST"
		return nil
	}
	st := &x.s.keystore
	st.mu.Lock()
	k := st.keys[string(binaryOf(doc.Child(nsKGSS, "KeyIdentifier")))]
	st.mu.Unlock()
	if k == nil {
		x.failed = "UNKNOWN_KEY"
		return nil
	}
	if !k.mayRead(x.caller.token.Attributes) {
		x.denied = true
		return nil
	}
	sealed := x.seal("GetKeyResponseContent", target, "Key", k.key)
	if sealed != nil {
		x.effect = "kgss.get"
	}
	return sealed
}

// target is whom the answer to GetKey is sealed for: an ETK, or a key that the request brings.
func (x *kgssCall) target(doc *xmltree.Node) cms.Target {
	etk, kek := doc.Child(nsKGSS, "ETK"), doc.Child(nsKGSS, "KeyEncryptionKey")
	id := doc.Child(nsKGSS, "KeyEncryptionKeyIdentifier")
	switch {
	case etk != nil && kek == nil && id == nil:
		if to, err := x.s.recipientOf(binaryOf(etk), x.rq.At); err == nil {
			return cms.ForCertificate{Certificate: to}
		}
	case etk == nil && kek != nil:
		if key := binaryOf(kek); len(key) == 16 {
			return cms.ForKEK{ID: binaryOf(id), Key: key}
		}
	}
	return nil
}

// seal writes and seals the content of an answer: pairs of element name and bytes.
func (x *kgssCall) seal(root string, to cms.Target, parts ...any) []byte {
	w := xmltree.NewWriter()
	w.Start("k", root)
	w.NS("k", nsKGSS)
	for i := 0; i+1 < len(parts); i += 2 {
		w.Leaf("k", parts[i].(string), base64.StdEncoding.EncodeToString(parts[i+1].([]byte))) //nolint:forcetypeassert // calls above
	}
	w.End()
	content, err := w.Bytes()
	if err == nil {
		content, err = seal(content, x.keys[0], x.rq.At, to)
	}
	if err != nil {
		x.failed = "INVALID_REQUEST"
		return nil
	}
	return content
}

func readers(doc *xmltree.Node, local string) []kgssReader {
	var out []kgssReader
	for n := range doc.Elements() {
		if !n.Is(nsKGSS, local) {
			continue
		}
		r := kgssReader{namespace: textOf(n.Child(nsKGSS, "Namespace")), name: textOf(n.Child(nsKGSS, "Name"))}
		for v := range n.Elements() {
			if v.Is(nsKGSS, "Value") {
				r.values = append(r.values, textOf(v))
			}
		}
		out = append(out, r)
	}
	return out
}

// mayRead evaluates the access list.
func (k *kgssKey) mayRead(token []saml.Attribute) bool {
	in := func(list []kgssReader) bool {
		return slices.ContainsFunc(list, func(r kgssReader) bool {
			return slices.ContainsFunc(token, r.matches)
		})
	}
	return in(k.allowed) && !in(k.excluded)
}

func (r kgssReader) matches(a saml.Attribute) bool {
	if a.Namespace != r.namespace || a.Name != r.name {
		return false
	}
	return len(r.values) == 0 || slices.ContainsFunc(r.values, func(v string) bool { return v == "" || slices.Contains(a.Values, v) })
}

// encode writes the answer. Its Status and Error stand in no namespace (dossier 02 C.2).
func (x *kgssCall) encode(sealed []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	name := map[string]string{"GetNewKeyRequest": "NewKey", "GetKeyRequest": "Key"}[x.operation]
	w.Start("k", "Get"+name+"Response")
	w.NS("k", nsKGSS)
	w.Attr("", "Id", x.s.ticket())
	code, text := "200", "Success"
	if x.failed != "" {
		code, text = "300", kgssErrors[x.failed]
	}
	w.Start("", "Status")
	w.Leaf("", "Code", code)
	w.Leaf("", "Message", text)
	w.End()
	if x.failed != "" {
		w.Start("", "Error")
		w.Leaf("", "Code", string(x.failed))
		w.Start("", "Message")
		w.Attr("", "Lang", "EN")
		w.Text(text)
		w.End()
		w.End()
	} else {
		w.Start("k", "Sealed"+name+"Response")
		w.Leaf("k", "SealedContent", base64.StdEncoding.EncodeToString(sealed))
		w.End()
	}
	w.End()
	return w.Bytes()
}

// kgssDenied is the fault for a caller whom the access list does not let in.
func kgssDenied() *response {
	body, err := (&soap.Fault{
		FaultCode: "InvalidSecurity", FaultSpace: nsWSSE, FaultString: "The caller is not allowed to read this key",
	}).Encode()
	if err != nil { // constants of this package
		return httpAnswer(HTTPAnswer{Status: http.StatusInternalServerError, Body: "empty"})
	}
	return &response{Status: http.StatusInternalServerError, ContentType: soap.ContentType, Body: bytes.Clone(body)}
}
