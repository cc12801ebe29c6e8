package sandbox

import (
	"context"
	"net/http"
	"time"
)

// request is one exchange as a service sees it: the HTTP part is over, the body is whole and bounded.
type request struct {
	Service   string // name in the fault grammar: "sts", "genins", "genins-direct", …
	Path      string // path asked for
	Action    string // SOAPAction without quotes; "" both when absent and when sent as ""
	HasAction bool   // whether a SOAPAction header was sent at all
	Header    http.Header
	Body      []byte    // at most maxBody bytes
	At        time.Time // the service's clock when the request was complete: use it as "now" in every check (a clock step may shift it)
}

// response is what a service says. The engine writes it, unless a fault step decides otherwise.
type response struct {
	Status      int
	ContentType string // "" = text/xml; charset=utf-8
	Body        []byte
	Effect      string // counter of an executed effect, for example "genins.answered"; "" = nothing was executed
	Asker       string // opaque key of who asked (and, where it matters, about whom); misroute never swaps answers of one asker

	stream func(x *exchange) // service list only: writes an answer that does not end by itself
}

// handlerFunc executes one exchange of a service. It must be safe for concurrent use and must return a response
// in every case: what is wrong with the request is said by a SOAP fault in the response, not by an error.
type handlerFunc func(ctx context.Context, s *Sandbox, rq *request) *response

// route binds a handler to a path on one of the two listeners. The set of routes is the function routes.
type route struct {
	Service string // fault grammar name; alternates have their own ("genins-direct")
	Path    string // exact path on its listener
	Direct  bool   // true: on the alternate listener (the direct path of the insurers), false: on the ESB listener
	UDDI    string // service id in the service list; "" = not listed
	Order   int    // order of this address in the service list
	Name    string // display name in the service list; "" = the end of UDDI, "insurability:v2"
	Handle  handlerFunc

	Unlisted bool // the service has a UDDI id and is not in the service list all the same
}

// What services may use of *Sandbox, besides these:
//
//	s.pki.stsSigner()                     credential that signs assertions: Certificate, Chain (issuing CA, root), Key
//	s.pki.clientChain(cert, now)          is this certificate one of ours, valid now, for signing? from an identity card?
//	s.pki.roots()                         pool of the root and the eHealth issuing CA
//	s.people.patient(ssin)                one patient, or false
//	s.people.person(ssin)                 one professional, or false
//	s.people.member(mutuality, regNr)     one patient by registration number, or false
//	s.people.personByNIHII(number)        one professional by 8 or 11 digits, or false
//	s.people.organisation(typ, number)    one organisation, or false ("NIHII-PHARMACY", "21999994")
//	s.refusal(service, eid)               does a fault script refuse identities now?
//	s.count(name)                         one more in the counter name
//	s.environment()                       value of soa:Environment

// count adds one to a named counter, which /admin/state shows under "counters".
func (s *Sandbox) count(name string) { s.counters.add(name) }

// environment is the value of soa:Environment in faults, and of the service list's Environment attribute.
func (s *Sandbox) environment() string { return s.cfg.EnvironmentName }

// refusal reports whether a refuse_auth step of the running fault scripts refuses the caller at this instant, and
// with which code. Services ask at their authorisation step, after they have established who calls.
//
// For service "sts" the steps on "sts" and "idvalid" count; for the other services behind the ESB those on the
// service itself and on "access"; for a direct address only its own. A step with scope=eid only hits callers who
// identify themselves with an identity card (eid true). The code is as the script says it: "SOA-01002", or "generic"
// for an error without a code. A step with p draws once per call of refusal.
func (s *Sandbox) refusal(service string, eid bool) (code string, refused bool) {
	return s.faults.refusal(service, eid, time.Now())
}
