package protocol

import (
	"slices"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Payload is a message that travels sealed: a [Param] or a [Result].
type Payload interface {
	root(Role) string
	roots() []string
	wire(*codec)
}

// Param is what a request asks. The types are named after the protocol's roots: [CreatePrescriptionParam] and so on.
type Param interface {
	Payload
	// Key returns the key with which the server seals its answer.
	Key() ResponseKey
}

// Result is what an answer says. Every one begins with a [Status].
type Result interface {
	Payload
	// Outcome returns the status inside the seal, which decides (dossier 04 section 13.1).
	Outcome() *Status
}

// Encode writes a payload as it is sealed: UTF-8, in the order of the schema of that role and generation, with a prefix on
// the root only. It fails with a *[MessageError] when something that must be there is absent, or something is present
// that the role or the generation does not know.
func Encode(r Role, g Generation, p Payload) ([]byte, error) {
	name := p.root(r)
	if r < Prescriber || r > Patient || name == "" {
		return nil, &MessageError{Path: "param", Reason: "this role does not know it"}
	}
	c := &codec{role: r, gen: g}
	return writeRoot(c, "r", r.Namespace(), name, p.wire)
}

// Decode reads an opened payload into p, which must be empty. Order, namespaces, the root's name and elements without a
// known meaning are not judged, only reported; the forms of all roles and generations are understood. Control characters
// behind the document are ignored.
//
// It fails with a *[MessageError] when an answer has no status, a request no key, or a known element stands twice, and
// with an error of the XML parser when it is not XML, or larger than 16 MiB.
func Decode(doc []byte, p Payload) (Deviations, error) {
	n, err := parse(doc)
	if err != nil {
		return Deviations{}, err
	}
	return readRoot(n, p.roots(), p.wire)
}

// Party names who takes part (partyIdentification, dossier 04 section 5.1). Which fields are filled depends on the
// operation; the server takes the caller from the SAML token.
type Party struct {
	PrescriberID  identity.NIHII
	ExecutorID    identity.NIHII
	PatientID     identity.SSIN
	Type, Quality string // not filled by any known program
}

func (p *Party) wireParty(c *codec) {
	c.nihii("prescriberId", &p.PrescriberID, optional)
	c.nihii("executorId", &p.ExecutorID, optional)
	c.ssin("patientId", &p.PatientID, optional)
	text(c, "type", &p.Type, optional)
	text(c, "quality", &p.Quality, optional)
}

// wireNoParty is for params without the block: what would be lost is refused.
func (p *Party) wireNoParty(c *codec) {
	if !c.writing() {
		p.wireParty(c)
	} else if *p != (Party{}) {
		c.fail("partyIdentification", errNotHere)
	}
}

// Keyed is the key with which the server seals its answer (symmKey). Use a fresh one per request.
type Keyed struct{ SymmKey ResponseKey }

// Key returns SymmKey.
func (k *Keyed) Key() ResponseKey { return k.SymmKey }

func (k *Keyed) wireKey(c *codec) { c.key("symmKey", &k.SymmKey) }

// Paged asks for a page of a list and hands back what the last page came with.
type Paged struct {
	Page    *Page
	Session Session
}

func (p *Paged) wirePage(c *codec) {
	maybe(c, "page", &p.Page, (*Page).wire)
	c.bytes("session", (*[]byte)(&p.Session), optional)
}

// More tells how a list goes on.
type More struct {
	HasMoreResults bool
	Session        Session // to be sent back with the question for the next page
}

func (m *More) wireMore(c *codec) {
	n := optional
	if c.writing() {
		n = wanted
	}
	c.boolean("hasMoreResults", &m.HasMoreResults, n)
	c.bytes("session", (*[]byte)(&m.Session), optional)
}

// ResponseType is the beginning of every result.
type ResponseType struct {
	ID     string // attribute id, usually absent
	Status Status
}

// Outcome returns the status.
func (r *ResponseType) Outcome() *Status { return &r.Status }

func (r *ResponseType) wireResponse(c *codec) {
	attrText(c, "id", &r.ID, optional)
	one(c, "status", &r.Status, must, (*Status).wire)
}

// Localised languages of the platform, in the order in which they stand in for each other.
var languages = []string{"FR", "NL", "EN", "DE", "NA"}

// Message is one text of a status.
type Message struct {
	Lang string           // FR, NL, EN, DE, NA (none in particular) or empty
	Text identity.Private // written by the server: may name somebody
}

func (m *Message) wire(c *codec) {
	c.attr("lang", optional, func() string { return m.Lang }, func(s string) error {
		if m.Lang = s; slices.Contains(languages, s) {
			return nil
		}
		if len(s) > 8 {
			m.Lang = ""
		}
		return errValue
	})
	c.content(optional,
		func() (string, error) { return m.Text.Reveal(), nil },
		func(s string) error { m.Text = identity.Hide(trim(s)); return nil })
}
