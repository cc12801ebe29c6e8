package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// services is what the services of one sandbox share.
type services struct {
	replays    replayGuard
	challenges challengeStore
	refs       atomic.Int64 // last number given to an answer
	wstFaults  atomic.Bool  // the STS says wst: fault codes instead of SOA details (dossier 01 H.1)
}

func newServices() *services { return &services{} }

// refused says why an exchange ends in a fault.
type refused struct {
	code string // SOA-xxxxx; "generic": a fault without the platform's detail
	why  string // English, about the rule that was broken, never about content
	wst  string // WS-Trust 1.3 section 11 code for the same thing
}

func refuse(code, why string) *refused { return &refused{code: code, why: why} }

// faultText is what the platform says for a code (dossier 01 E.2).
type faultText struct{ origin, en, fr, nl string }

var faultTexts = map[string]faultText{
	"SOA-00001": {"Provider", "Service error", "Erreur du service", "Fout in de dienst"},
	"SOA-01001": {
		"Consumer", "Service call not authenticated", "Appel du service non authentifié",
		"Oproep van de dienst niet geauthenticeerd",
	},
	"SOA-01002": {
		"Consumer", "Service call not authorized", "Appel du service non autorisé",
		"Oproep van de dienst niet toegelaten",
	},
	"SOA-02001": {
		"Provider", "Service not available. Please contact service desk",
		"Service non disponible. Veuillez contacter le service desk",
		"Dienst niet beschikbaar. Gelieve de servicedesk te contacteren",
	},
	"SOA-02002": {
		"Provider", "Service temporarily not available. Please try later",
		"Service temporairement indisponible. Veuillez réessayer plus tard",
		"Dienst tijdelijk niet beschikbaar. Gelieve later opnieuw te proberen",
	},
	"SOA-03001": {"Consumer", "Malformed message", "Message malformé", "Slecht gevormd bericht"},
	"SOA-03002": {"Consumer", "Message must be SOAP", "Le message doit être SOAP", "Bericht moet SOAP zijn"},
	"SOA-03003": {
		"Consumer", "Message must contain SOAP body", "Le message doit contenir un corps SOAP",
		"Bericht moet een SOAP body bevatten",
	},
	"SOA-03004": {"Consumer", "WS-I compliance failure", "Non conforme à WS-I", "Niet conform WS-I"},
	"SOA-03005": {"Consumer", "WSDL compliance failure", "Non conforme au WSDL", "Niet conform de WSDL"},
	"SOA-03006": {"Consumer", "XSD compliance failure", "Non conforme au XSD", "Niet conform de XSD"},
	"SOA-03007": {
		"Consumer", "Message content validation failure", "Échec de la validation du contenu du message",
		"Validatie van de inhoud van het bericht mislukt",
	},
}

// fault makes the answer of a refused exchange: HTTP 500 and a SOAP fault with a ticket number (dossier 01 E.1).
func (v *services) fault(s *Sandbox, rq *request, r *refused) *response {
	s.count(rq.Service + ".refused." + r.code)
	f := &soap.Fault{FaultCode: "Server", FaultSpace: soap.NS, FaultString: r.code}
	t, known := faultTexts[r.code]
	if known && t.origin == "Consumer" {
		f.FaultCode = "Client"
	}
	switch {
	case r.wst != "" && v.wstFaults.Load():
		f.FaultCode, f.FaultSpace, f.FaultString = r.wst, nsTrust, t.en
	case !known:
		f.FaultString = "General error"
	default:
		f.SOA = &soap.SOAError{
			ID: s.ticket(), Origin: t.origin, Code: r.code, Environment: s.environment(),
			Messages: []soap.Text{{Lang: "en", Value: english(t.en, r.why)}, {Lang: "fr", Value: t.fr}, {Lang: "nl", Value: t.nl}},
		}
		if r.code == "SOA-02002" {
			yes := true
			f.SOA.Retry = &yes
		}
	}
	body, err := f.Encode()
	if err != nil { // our own constants do not encode: nothing that a caller can cause
		return &response{Status: http.StatusInternalServerError, ContentType: "text/plain", Body: []byte("fault not encodable")}
	}
	return &response{Status: http.StatusInternalServerError, ContentType: soap.ContentType, Body: body}
}

func english(text, why string) string {
	if why == "" {
		return text
	}
	return text + ": " + why
}

// randomHex gives n random bytes in lower case hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}

// answer makes a good response from a payload. header is the verbatim content of soapenv:Header, nil for none.
func (v *services) answer(s *Sandbox, rq *request, header, payload []byte, asker string) *response {
	body, err := soap.Envelope(header, payload)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	return &response{Status: http.StatusOK, ContentType: soap.ContentType, Body: body, Asker: asker}
}

// operation is one operation of a service: the element that asks for it and the SOAPActions that go with it.
type operation struct {
	payload qname
	actions []string
}

// requestLimits bounds what a request may hold; the engine has bounded its bytes already.
var requestLimits = xmltree.Limits{Depth: 64, Nodes: 200_000}

// open does the first two steps of the validation order (dossier 05 section 8): SOAP shape, then which operation.
// The body decides, because deployed clients send the SOAPAction quoted, bare, empty or not at all (dossier 09); one
// that names another operation is refused.
func open(rq *request, ops []operation) (*soap.Message, *operation, *refused) {
	m, err := soap.Parse(rq.Body, requestLimits)
	switch {
	case errors.Is(err, soap.ErrNoBody):
		return nil, nil, refuse("SOA-03003", "")
	case errors.Is(err, soap.ErrNotSOAP), errors.Is(err, soap.ErrShape):
		return nil, nil, refuse("SOA-03002", "not a SOAP 1.1 envelope with one body element")
	case err != nil:
		return nil, nil, refuse("SOA-03001", "not well-formed XML, or over a limit")
	}
	for i := range ops {
		op := &ops[i]
		if !m.Payload.Is(op.payload.space, op.payload.local) {
			continue
		}
		if rq.Action == "" {
			return m, op, nil
		}
		for _, a := range op.actions {
			if rq.Action == a {
				return m, op, nil
			}
		}
		return nil, nil, refuse("SOA-03004", "SOAPAction does not fit the body")
	}
	return nil, nil, refuse("SOA-03005", "no such operation at this address")
}

// conforms checks the payload against its schema.
func conforms(n *xmltree.Node, t *xsType) *refused {
	err := t.validate(n)
	if err == nil {
		return nil
	}
	var e *schemaError
	if errors.As(err, &e) {
		return &refused{code: "SOA-03006", why: e.Path + ": " + e.Reason, wst: "InvalidRequest"}
	}
	return &refused{code: "SOA-03006", wst: "InvalidRequest"}
}

// wireTime writes an instant as the platform does: UTC, milliseconds.
func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// decodeBase64 decodes base64 with any white space in it (CR LF line ends are on the wire, dossier 09).
func decodeBase64(text string) ([]byte, error) {
	return base64Std.DecodeString(strings.Map(dropSpace, text))
}
