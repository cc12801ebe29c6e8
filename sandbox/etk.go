package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// The ETK depot (dossier 02 A). Everybody of the sandbox has a token there: people under SSIN and under the eight digits
// of their NIHII, organisations under their own type, and the central services under theirs. A token is real: a SignedData
// by the registration authority around the encryption certificate, which the holder's authentication key issued.
//
// What the dossier does not know is decided so:
//
//   - numbers must have the length of their type and right check digits, else INVALID_SSIN_NUMBER, INVALID_NIHII_NUMBER
//     or INVALID_CBE_NUMBER; other types give NO_MATCHING_ETK. So clients pad and cut, not the depot.
//   - an Error stands under Status 200, or under what DepotBehaviour.ErrorStatus says.
//   - without ApplicationID one registered token is given and several are listed as MatchingEtk; an empty ApplicationID
//     means "none". Tokens for several applications exist under the CBE numbers of the platform and of MyCareNet.
//   - there is no SOAPAction; a header with another value than "" is refused with SOA-03004.
const (
	nsETK        = "urn:be:fgov:ehealth:etkdepot:1_0:protocol"
	nsCommons10  = "urn:be:fgov:ehealth:commons:1_0:core"
	uddiETK      = "uddi:ehealth-fgov-be:business:etkdepot:v1"
	pathETK      = "/EtkDepot/v1"
	recipeCBE    = "0823257311"
	myCareNetCBE = "0820563481"
	hubBase      = "19999999" // the first eight digits of the hub's EHP number
)

var etkOperations = []operation{{qname{nsETK, "GetEtkRequest"}, nil}}

var etkIdentifier = &xsType{name: qname{nsETK, "IdentifierType"}, seq: []xsParticle{
	xsOne(nsETK, "Type", xsLeaf(xsString)),
	xsOne(nsETK, "Value", xsLeaf(xsString)),
	xsOpt(nsETK, "ApplicationID", xsLeaf(xsString)),
}}

var etkRequestType = &xsType{name: qname{nsETK, "GetEtkRequestType"}, seq: []xsParticle{
	xsOne(nsETK, "SearchCriteria", &xsType{name: qname{nsETK, "SearchCriteriaType"}, seq: []xsParticle{
		{name: qname{nsETK, "Identifier"}, typ: etkIdentifier, min: 1, max: -1},
	}}),
}}

// etkID is one identifier of a token or of a question.
type etkID struct {
	typ, value, app string
	anyApp          bool // a question without ApplicationID
}

// etkEntry is one registered token.
type etkEntry struct {
	ids  []etkID
	keys func() ([]Credential, error) // as certified.credentials
}

// etkDepot makes each token once.
type etkDepot struct {
	mu        sync.Mutex
	made      map[string][]byte // by fingerprint of the encryption certificate
	behaviour DepotBehaviour
}

// DepotBehaviour is how the ETK depot behaves where the facts are not known. The zero value is the default.
type DepotBehaviour struct {
	// ErrorStatus is the Status code that goes with an Error element; "" = "200".
	ErrorStatus string
}

// SetDepot changes how the ETK depot behaves from now on.
func (s *Sandbox) SetDepot(b DepotBehaviour) {
	s.depot.mu.Lock()
	defer s.depot.mu.Unlock()
	s.depot.behaviour = b
}

// getEtk is the service.
func (v *services) getEtk(_ context.Context, s *Sandbox, rq *request) *response {
	m, _, r := open(rq, etkOperations)
	if r == nil {
		r = conforms(m.Payload, etkRequestType)
	}
	if r != nil {
		return v.fault(s, rq, r)
	}
	criteria := m.Payload.Child(nsETK, "SearchCriteria")
	a, err := s.searchETK(decodeETKIDs(criteria))
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "token cannot be made"))
	}
	payload, err := a.encode(s, criteria)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	outcome := "found"
	switch {
	case a.code != "":
		outcome = a.code
	case len(a.matches) > 0:
		outcome = "matching"
	}
	s.count("etk." + outcome)
	sum := sha256.Sum256(criteria.Source())
	return v.answer(s, rq, nil, payload, "etk:"+hex.EncodeToString(sum[:12]))
}

func decodeETKIDs(criteria *xmltree.Node) []etkID {
	var out []etkID
	for n := range criteria.Elements() {
		app := n.Child(nsETK, "ApplicationID")
		out = append(out, etkID{
			typ: textOf(n.Child(nsETK, "Type")), value: textOf(n.Child(nsETK, "Value")), app: textOf(app), anyApp: app == nil,
		})
	}
	return out
}

// etkAnswer is exactly one of a token, a list and an error.
type etkAnswer struct {
	token   []byte
	matches []*etkEntry
	code    string
}

// searchETK finds what is registered now. Several identifiers are several ways to name one holder.
func (s *Sandbox) searchETK(ids []etkID) (*etkAnswer, error) {
	var found []*etkEntry
	for _, id := range ids {
		if code := invalidNumber(id); code != "" {
			return &etkAnswer{code: code}, nil
		}
		found = append(found, s.registered(id)...)
	}
	switch len(found) {
	case 0:
		return &etkAnswer{code: "NO_MATCHING_ETK"}, nil
	case 1:
		token, err := s.token(found[0])
		return &etkAnswer{token: token}, err
	}
	return &etkAnswer{matches: found}, nil
}

// invalidNumber is the error code of a number that cannot be one of its type (dossier 02 A.3).
func invalidNumber(id etkID) string {
	t := identity.IdentifierType(id.typ)
	if !t.Known() || (len(id.value) == t.Digits() && t.Check(id.value) == nil) {
		return ""
	}
	switch {
	case t == identity.TypeSSIN:
		return "INVALID_SSIN_NUMBER"
	case strings.HasPrefix(id.typ, "NIHII"):
		return "INVALID_NIHII_NUMBER"
	case strings.HasPrefix(id.typ, "CBE"):
		return "INVALID_CBE_NUMBER"
	}
	return "NO_MATCHING_ETK"
}

// registered lists the tokens that answer an identifier.
func (s *Sandbox) registered(id etkID) []*etkEntry {
	var out []*etkEntry
	add := func(e *etkEntry) {
		if id.anyApp || e.ids[0].app == id.app {
			out = append(out, e)
		}
	}
	for _, c := range s.published(id.typ, id.value) {
		add(&etkEntry{ids: []etkID{{typ: c.typ, value: c.number, app: c.app}}, keys: c.credentials})
	}
	var p *Person
	switch id.typ {
	case "SSIN":
		if p, _ = s.people.person(id.value); p == nil {
			p, _ = s.people.citizen(s.pki, id.value)
		}
	case "NIHII", "NIHII11":
		p, _ = s.people.personByNIHII(id.value)
		if p != nil && id.typ == "NIHII11" && p.NIHII.Full() != id.value {
			p = nil
		}
	}
	if p != nil {
		e := &etkEntry{ids: []etkID{{typ: "SSIN", value: p.SSIN.Reveal()}}, keys: p.credentials}
		if !p.NIHII.IsZero() {
			e.ids = append(e.ids, etkID{typ: "NIHII", value: p.NIHII.Base()})
		}
		add(e)
	}
	if o, ok := s.people.organisation(id.typ, id.value); ok {
		add(&etkEntry{ids: []etkID{{typ: id.typ, value: o.Number}}, keys: o.credentials})
	}
	return out
}

// token is the ETK for the current encryption key.
func (s *Sandbox) token(e *etkEntry) ([]byte, error) {
	all, err := e.keys()
	if err != nil {
		return nil, err
	}
	return s.tokenFor(all[0], all[1])
}

// tokenFor is the ETK of one encryption key.
func (s *Sandbox) tokenFor(auth, enc Credential) ([]byte, error) {
	d := &s.depot
	key := enc.Certificate.SerialNumber.String()
	d.mu.Lock()
	defer d.mu.Unlock()
	if token, ok := d.made[key]; ok {
		return token, nil
	}
	ra, err := s.pki.registrar()
	if err != nil {
		return nil, err
	}
	token, err := newETK(ra, auth, enc)
	if err != nil {
		return nil, err
	}
	if d.made == nil {
		d.made = map[string][]byte{}
	}
	d.made[key] = token
	return token, nil
}

// newETK makes a token as the registration authority does: BER, one signer without signed attributes, PKCS #1 v1.5, and a
// bag with the authority's and the holder's authentication certificates and the issuing CA (dossier 02 A.1).
func newETK(ra, auth, enc Credential) ([]byte, error) {
	o := cms.SignOptions{
		Certificate: ra.Certificate, Signer: ra.Key, Scheme: cms.PKCS1v15WithSHA256, NoAttributes: true, BareRSA: true,
	}
	o.Include = append(o.Include, ra.Certificate, auth.Certificate, auth.Chain[0])
	var b bytes.Buffer
	w, err := cms.NewSignedWriter(&b, 0, o)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(enc.Certificate.Raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// encode writes the GetEtkResponse. Status is qualified and its children are not (dossier 02 A.3).
func (a *etkAnswer) encode(s *Sandbox, criteria *xmltree.Node) ([]byte, error) {
	code, text := "200", "Success"
	if a.code != "" {
		s.depot.mu.Lock()
		if c := s.depot.behaviour.ErrorStatus; c != "" {
			code, text = c, "Error"
		}
		s.depot.mu.Unlock()
	}
	w := xmltree.NewWriter()
	w.Start("e", "GetEtkResponse")
	w.NS("e", nsETK)
	w.NS("c", nsCommons10)
	w.Attr("", "Id", s.ticket())
	w.Start("c", "Status")
	w.Leaf("", "Code", code)
	w.Start("", "Message")
	w.Attr("", "Lang", "EN")
	w.Text(text)
	w.End()
	w.End()
	w.Start("e", "GivenSearchCriteria")
	for _, id := range decodeETKIDs(criteria) {
		id.write(w)
	}
	w.End()
	switch {
	case a.code != "":
		w.Start("e", "Error")
		w.Leaf("e", "Code", a.code)
		w.Leaf("e", "Message", etkErrors[a.code])
		w.End()
	case a.token != nil:
		w.Leaf("e", "ETK", base64.StdEncoding.EncodeToString(a.token))
	}
	for _, e := range a.matches {
		w.Start("e", "MatchingEtk")
		for _, id := range e.ids {
			id.write(w)
		}
		w.End()
	}
	w.End()
	return w.Bytes()
}

var etkErrors = map[string]string{
	"NO_MATCHING_ETK":      "No matching ETK found",
	"INVALID_SSIN_NUMBER":  "The SSIN number is invalid",
	"INVALID_NIHII_NUMBER": "The NIHII number is invalid",
	"INVALID_CBE_NUMBER":   "The CBE number is invalid",
}

func (id etkID) write(w *xmltree.Writer) {
	w.Start("e", "Identifier")
	w.Leaf("e", "Type", id.typ)
	w.Leaf("e", "Value", id.value)
	if !id.anyApp {
		w.Leaf("e", "ApplicationID", id.app)
	}
	w.End()
}
