package wsse

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// frame is enough for what a message holds besides its token and payload.
const frame = 4 << 10

// timeLayout is UTC with milliseconds, as the official connector writes it.
const timeLayout = "2006-01-02T15:04:05.000Z"

// X509 returns a SOAP 1.1 envelope around body, secured after the X.509 profile (dossier 01 A.6): Security holds
// Timestamp, BinarySecurityToken and a Signature over Body, Timestamp and token. body is the one payload element,
// self-contained; its bytes are embedded as they are.
//
// Errors: ErrCredential, ErrShape when body is not one well-formed element, or the error of the signer.
func X509(body []byte, c Credential, s Stamp) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	m, err := newMessage(s, len(body)+2*len(c.Certificate.Raw))
	if err != nil {
		return nil, err
	}
	m.open()
	m.add(`<wsse:BinarySecurityToken wsu:Id="`, m.id("X509-"), `" EncodingType="`+EncodingBase64+`" ValueType="`+ValueX509v3+`">`)
	m.buf = base64.StdEncoding.AppendEncode(m.buf, c.Certificate.Raw)
	m.add("</wsse:BinarySecurityToken>")
	m.close(body)
	p, err := m.parse(2)
	if err != nil {
		return nil, err
	}
	refs := append(m.refs(p), dsig.Ref{Node: p.token, URI: "#" + m.id("X509-")})
	return m.sign(c, refs, func(w *xmltree.Writer) {
		w.Start("wsse", "Reference")
		w.Attr("", "URI", "#"+m.id("X509-"))
		w.Attr("", "ValueType", ValueX509v3)
		w.End()
	}, false)
}

// HolderOfKey returns a SOAP 1.1 envelope around body, secured after the SAML holder-of-key profile (dossier 01 C.2):
// Security holds Timestamp, the assertion and a Signature over Body and Timestamp. assertion is the token as received,
// self-contained (saml.Assertion.Raw), and is embedded as it is; c must be the credential that it names.
//
// It reads the assertion each time; for many messages see [NewAssertion].
//
// Errors: ErrCredential, ErrToken when assertion is not the SAML 1.1 assertion of that id, ErrShape when body or
// assertion is not one well-formed element, or the error of the signer.
func HolderOfKey(body, assertion []byte, assertionID string, c Credential, s Stamp) ([]byte, error) {
	a, err := NewAssertion(assertion, assertionID)
	if err != nil {
		return nil, err
	}
	return a.HolderOfKey(body, c, s)
}

// Plain returns a SOAP 1.1 envelope around body without a Security header. Error: ErrShape when body is not one well-formed
// element.
func Plain(body []byte) ([]byte, error) {
	env, err := soap.Envelope(nil, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	if _, err := soap.Parse(env, xmltree.Limits{}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	return env, nil
}

// message is an envelope under construction. It is written whole but for the signature and a token that was read before, read
// back so that what is signed is what a receiver will read, and then completed.
type message struct {
	buf              []byte
	suffix           string // of every id in the message
	created, expires time.Time
	mark             int    // where token and signature go
	token            []byte // nil: it was written with the rest
}

// parts are the nodes of a message that are signed.
type parts struct{ body, timestamp, token *xmltree.Node }

// newMessage begins a message around so many bytes.
func newMessage(s Stamp, size int) (*message, error) {
	ttl := s.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < 0 || s.Now.IsZero() {
		return nil, fmt.Errorf("%w: a message needs a time and a life", ErrShape)
	}
	var r [16]byte
	_, _ = rand.Read(r[:]) // never fails, see crypto/rand
	created := s.Now.UTC().Truncate(time.Millisecond)
	return &message{
		buf:    make([]byte, 0, size+frame),
		suffix: hex.EncodeToString(r[:]), created: created, expires: created.Add(ttl),
	}, nil
}

// id returns the message's id with that prefix. The random part is new for each message, so an id cannot collide with one in
// the payload.
func (m *message) id(prefix string) string { return prefix + m.suffix }

func (m *message) add(parts ...string) {
	for _, s := range parts {
		m.buf = append(m.buf, s...)
	}
}

// open writes everything up to the token.
func (m *message) open() {
	m.add(`<soapenv:Envelope xmlns:soapenv="`+soap.NS+`"><soapenv:Header>`+
		`<wsse:Security xmlns:wsse="`+NSWSSE+`" xmlns:wsu="`+NSWSU+`" soapenv:mustUnderstand="1">`+
		`<wsu:Timestamp wsu:Id="`, m.id("TS-"), `"><wsu:Created>`)
	m.buf = m.created.AppendFormat(m.buf, timeLayout)
	m.add("</wsu:Created><wsu:Expires>")
	m.buf = m.expires.AppendFormat(m.buf, timeLayout)
	m.add("</wsu:Expires></wsu:Timestamp>")
}

// close writes everything after the token and remembers where the signature goes.
func (m *message) close(body []byte) {
	m.mark = len(m.buf)
	m.add(`</wsse:Security></soapenv:Header><soapenv:Body xmlns:wsu="`+NSWSU+`" wsu:Id="`, m.id("id-"), `">`)
	m.buf = append(m.buf, body...)
	m.add("</soapenv:Body></soapenv:Envelope>")
}

// parse reads the envelope back. Whatever was embedded must not have changed its outline, with in elements in Security:
// the Timestamp, and the token if it is there already.
func (m *message) parse(in int) (parts, error) {
	var p parts
	msg, err := soap.Parse(m.buf, xmltree.Limits{})
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrShape, err)
	}
	headers, err := elements(msg.Header)
	if err != nil || len(headers) != 1 {
		return p, fmt.Errorf("%w: token or body breaks the envelope", ErrShape)
	}
	security, err := elements(headers[0])
	if err != nil || len(security) != in {
		return p, fmt.Errorf("%w: token or body breaks the header", ErrShape)
	}
	p.body, p.timestamp = msg.Body, security[0]
	if in > 1 {
		p.token = security[1]
	}
	return p, nil
}

// refs are the references common to both profiles, in the official connector's order.
func (m *message) refs(p parts) []dsig.Ref {
	return []dsig.Ref{
		{Node: p.body, URI: "#" + m.id("id-")},
		{Node: p.timestamp, URI: "#" + m.id("TS-")},
	}
}

// sign completes the message. reference writes the content of the SecurityTokenReference.
func (m *message) sign(c Credential, refs []dsig.Ref, reference func(*xmltree.Writer), samlToken bool) ([]byte, error) {
	sig, err := dsig.Sign(c.Signer, refs, dsig.SignOptions{
		ID: m.id("SIG-"),
		KeyInfo: func(w *xmltree.Writer) {
			w.Attr("", "Id", m.id("KI-"))
			w.Start("wsse", "SecurityTokenReference")
			w.NS("wsse", NSWSSE)
			w.NS("wsu", NSWSU)
			w.Attr("wsu", "Id", m.id("STR-"))
			if samlToken {
				w.NS("wsse11", NSWSSE11)
				w.Attr("wsse11", "TokenType", TokenSAML11)
			}
			reference(w)
			w.End()
		},
	})
	if err != nil {
		return nil, err
	}
	// What was parsed of it is of no use any more.
	m.buf = slices.Insert(m.buf, m.mark, m.token...)
	return slices.Insert(m.buf, m.mark+len(m.token), sig...), nil
}
