package drill

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// Services of Recip-e v4 by UDDI id (dossier 04 section 2).
const (
	servicePrescriber = "uddi:ehealth-fgov-be:business:recip-eprescriber:v4"
	serviceExecutor   = "uddi:ehealth-fgov-be:business:recip-eexecutor:v4"
)

const (
	nsRecipe       = "urn:be:fgov:ehealth:recipe:protocol:v4"
	nsRecipeSealed = "http:/services.recipe.be/" // followed by the role
	nsDepot        = "urn:be:fgov:ehealth:etkdepot:1_0:protocol"
	nsKGSS         = "urn:be:fgov:ehealth:etee:kgss:1_0:protocol"

	prescriptionType = "P0"
	instantLayout    = "2006-01-02T15:04:05.000Z07:00"
	contentLimit     = 1 << 20 // of a prescription that was unpacked
)

// asking sends one message the way of a kind of client and returns what the answer holds, and whether another address than
// the default one gave it.
type asking func(ctx context.Context, service, action string, body []byte, how protection) (*xmltree.Node, bool, error)

// plainRecipe is Recip-e for clients that do not use package recipe, in a practice or in a pharmacy. As the official module
// does, it has one key for all answers of a process, and one key of the key service for all prescriptions of a patient
// (dossier 04 9.4 and 9.6, dossier 12 scenario 9); tokens of the ETK depot are kept as long as the process lives.
type plainRecipe struct {
	at     station
	ask    asking
	end    func()
	keys   *keystore.Store
	sealer *etee.Sealer
	trust  etee.Trust
	answer [24]byte // key of all answers

	mu     sync.Mutex
	tokens map[etee.Identifier]etee.ETK
	known  map[string]etee.KEK // by patient, and by key id
}

func newPlainRecipe(s *sandbox.Sandbox, at station, ask asking, end func()) (*plainRecipe, error) {
	r := &plainRecipe{
		at: at, ask: ask, end: end, trust: etee.Trust{Roots: s.Roots()},
		tokens: map[etee.Identifier]etee.ETK{}, known: map[string]etee.KEK{},
	}
	_, _ = rand.Read(r.answer[:]) // never fails
	var err error
	if r.keys, err = at.keys(); err != nil {
		return nil, err
	}
	auth, err := r.keys.Authentication()
	if err != nil {
		return nil, err
	}
	r.sealer, err = etee.NewSealer(auth)
	return r, err
}

// naiveRecipe asks as the naive client does everything.
func naiveRecipe(s *sandbox.Sandbox, at station) (*plainRecipe, error) {
	n, err := startNaive(s, at)
	if err != nil {
		return nil, err
	}
	return newPlainRecipe(s, at, func(ctx context.Context, service, action string, body []byte, how protection) (p *xmltree.Node, _ bool, err error) {
		for range naiveTries {
			if p, err = n.post(ctx, service, action, body, how); err == nil {
				return p, false, nil
			}
		}
		return nil, false, fmt.Errorf("drill: given up: %w", err)
	}, n.close)
}

// connectorRecipe asks as the connector does.
func connectorRecipe(s *sandbox.Sandbox, at station) (*plainRecipe, error) {
	c, err := startConnectorAt(s, at, connectorOptions{})
	if err != nil {
		return nil, err
	}
	return c.recipe(s, at)
}

// recipe is Recip-e of a connector-like client. The session is looked at here, and an expired one is not replaced (dossier 12,
// scenario 8).
func (c *connector) recipe(s *sandbox.Sandbox, at station) (*plainRecipe, error) {
	return newPlainRecipe(s, at, func(ctx context.Context, service, action string, body []byte, how protection) (*xmltree.Node, bool, error) {
		tok, err := c.session(ctx)
		if err != nil {
			return nil, false, err
		}
		if !tok.Valid(time.Now(), 0) {
			return nil, false, errSessionOver
		}
		if how == bare {
			tok = nil
		}
		p, url, err := c.call(ctx, service, action, body, tok)
		return p, url != c.urls[service], err
	}, c.close)
}

func (r *plainRecipe) close() { r.end() }

// token is somebody's, from the depot the first time.
func (r *plainRecipe) token(ctx context.Context, who etee.Identifier) (etee.ETK, error) {
	r.mu.Lock()
	etk, ok := r.tokens[who]
	r.mu.Unlock()
	if ok {
		return etk, nil
	}
	app := ""
	if who.Application != "" {
		app = "<e:ApplicationID>" + who.Application + "</e:ApplicationID>"
	}
	p, _, err := r.ask(ctx, etee.ServiceDepot, "", fmt.Appendf(nil,
		`<e:GetEtkRequest xmlns:e=%q><e:SearchCriteria><e:Identifier><e:Type>%s</e:Type><e:Value>%s</e:Value>%s</e:Identifier></e:SearchCriteria></e:GetEtkRequest>`,
		nsDepot, who.Type, who.Reveal(), app), bare)
	if err != nil {
		return etk, err
	}
	text, err := firstText(p, "ETK")
	if err != nil {
		return etk, err
	}
	if etk, err = etee.ParseETKBase64([]byte(text)); err != nil {
		return etk, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[who] = etk
	return etk, nil
}

// seal seals for a service.
func (r *plainRecipe) seal(ctx context.Context, who etee.Identifier, content []byte) (string, error) {
	etk, err := r.token(ctx, who)
	if err != nil {
		return "", err
	}
	to, err := etk.Check(r.trust, etee.Policy{}, time.Now())
	if err != nil {
		return "", err
	}
	sealed, err := r.sealer.Seal(content, to)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// service asks the key service for something and opens the answer.
func (r *plainRecipe) service(ctx context.Context, what, part string, content []byte, how protection) (*xmltree.Node, error) {
	sealed, err := r.seal(ctx, etee.KGSSIdentifier, content)
	if err != nil {
		return nil, err
	}
	p, _, err := r.ask(ctx, etee.ServiceKGSS, "", fmt.Appendf(nil, `<k:%sRequest xmlns:k=%q><k:Sealed%sRequest><k:SealedContent>%s</k:SealedContent></k:Sealed%sRequest></k:%sRequest>`,
		what, nsKGSS, part, sealed, part, what), how)
	if err != nil {
		return nil, err
	}
	plain, err := r.open(p, "SealedContent")
	if err != nil {
		return nil, err
	}
	return xmltree.Parse(plain, xmltree.Limits{})
}

// open opens what is sealed in an element.
func (r *plainRecipe) open(p *xmltree.Node, element string, opts ...etee.OpenOption) ([]byte, error) {
	sealed, err := firstBytes(p, element)
	if err != nil {
		return nil, err
	}
	o, err := etee.NewOpener(r.keys, r.trust, etee.Policy{})
	if err != nil {
		return nil, err
	}
	m, err := o.Open(sealed, opts...)
	if err != nil {
		return nil, err
	}
	return m.Content, nil
}

func firstBytes(p *xmltree.Node, element string) ([]byte, error) {
	text, err := firstText(p, element)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// own is the caller's token, which answers are sealed for.
func (r *plainRecipe) own(ctx context.Context) (string, error) {
	auth, err := r.keys.Authentication()
	if err != nil {
		return "", err
	}
	who, err := etee.IdentifierOf(auth.Certificate)
	if err != nil {
		return "", err
	}
	etk, err := r.token(ctx, who)
	return base64.StdEncoding.EncodeToString(etk.Bytes()), err
}

// Attributes on the list of who may read a prescription (dossier 04 9.3).
const (
	attrDoctor   = "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"
	attrPharmacy = "urn:be:fgov:ehealth:1.0:pharmacy:nihii-number:recognisedpharmacy:boolean"
	attrPerson   = "urn:be:fgov:person:ssin"
)

// newKey is the key for the prescriptions of a patient: one for the life of the process.
func (r *plainRecipe) newKey(ctx context.Context, patient string) (etee.KEK, error) {
	r.mu.Lock()
	key, ok := r.known[patient]
	r.mu.Unlock()
	if ok {
		return key, nil
	}
	own, err := r.own(ctx)
	if err != nil {
		return key, err
	}
	reader := func(space, name, value string) string {
		return "<k:AllowedReader><k:Namespace>" + space + "</k:Namespace><k:Name>" + name + "</k:Name><k:Value>" + value + "</k:Value></k:AllowedReader>"
	}
	n, err := r.service(ctx, "GetNewKey", "NewKey", fmt.Appendf(nil, `<k:GetNewKeyRequestContent xmlns:k=%q>%s%s%s<k:ETK>%s</k:ETK></k:GetNewKeyRequestContent>`, nsKGSS,
		reader(etee.NamespaceCertified, attrDoctor, ""), reader(etee.NamespaceCertified, attrPharmacy, "true"),
		reader(etee.NamespaceIdentification, attrPerson, patient), own), bare)
	if err != nil {
		return key, err
	}
	id, err := firstBytes(n, "NewKeyIdentifier")
	if err != nil {
		return key, err
	}
	raw, err := firstBytes(n, "NewKey")
	if err != nil {
		return key, err
	}
	return r.learn(patient, id, raw)
}

func (r *plainRecipe) learn(name string, id, raw []byte) (etee.KEK, error) {
	key, err := etee.NewKEK(id, raw)
	if err != nil {
		return key, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[name] = key
	return key, nil
}

// knownKey is a key that somebody else made.
func (r *plainRecipe) knownKey(ctx context.Context, id string) (etee.KEK, error) {
	r.mu.Lock()
	key, ok := r.known[id]
	r.mu.Unlock()
	if ok {
		return key, nil
	}
	own, err := r.own(ctx)
	if err != nil {
		return key, err
	}
	n, err := r.service(ctx, "GetKey", "Key", fmt.Appendf(nil,
		`<k:GetKeyRequestContent xmlns:k=%q><k:KeyIdentifier>%s</k:KeyIdentifier><k:ETK>%s</k:ETK></k:GetKeyRequestContent>`, nsKGSS, id, own), secured)
	if err != nil {
		return key, err
	}
	raw, err := firstBytes(n, "Key")
	if err != nil {
		return key, err
	}
	bin, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return key, err
	}
	return r.learn(id, bin, raw)
}
