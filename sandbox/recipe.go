package sandbox

import (
	"bytes"
	"context"
	"crypto/des"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Recip-e v4 (dossier 04, section 16): three services, prescriber, executor and patient, at the ESB and at the alternate
// host, over one set of prescriptions. In fault scripts the prescriber and the patient service of the ESB are
// "recipe-presc", the executor service is "recipe-exec", and everything at the alternate host is "recipe-direct".
//
// Of every request the signed message, the token's right to the role, the structure of the clear part and the seal are
// checked. What is sealed is bound and not validated, as the real server does it: its root must have the operation's name in
// the role's namespace, fields stand in no namespace and in any order, and what is none is not seen (dossier 04 section 5,
// checklist 1 and 2). The sealed prescription is kept as it came: the sandbox could open it, and never does.
//
// What the dossier does not know is decided so, and where a field of RecipeBehaviour says so can be changed:
//
//   - a param that is not sealed for the key that Recip-e has now, or by somebody else than the caller, is answered with the
//     outer status Requester and without a Secured element; nothing was executed then. A symmKey that is not 24 bytes long
//     gives SOA-03007. Everything else that is wrong in the seal is inner status 300.
//   - message codes are of our own making and all begin with "error.".
//   - nothing is recognised as a repetition: a create that arrives twice makes two prescriptions. The effect
//     "recipe.repeated" counts writes whose Id was executed before.
//   - a pharmacy delivers what it has in process, archives what it has delivered and undelivers either. It may revoke
//     what nobody has or it has itself; prescriber and patient only what nobody has.
//   - an expired prescription has no updater. Its day counts to midnight in Brussels.
//   - what is archived, revoked or expired is in the history partition of listRidsHistory, everything else in the active
//     one. listOpenRids tells a prescriber of his own prescriptions only.
//   - visionOtherPrescribers is "open" when it is absent, and "gmd_prescriber" hides from everybody else, since the sandbox
//     knows no medical files.
const (
	nsRecipe       = "urn:be:fgov:ehealth:recipe:protocol:v4"
	nsCommons20    = "urn:be:fgov:ehealth:commons:core:v2"
	nsRecipeSealed = "http:/services.recipe.be/" // one slash (dossier 04 section 5), followed by the role

	uddiRecipe = "uddi:ehealth-fgov-be:business:recip-e"
	pathRecipe = "/Recip-e/v4/"

	recipeSuccess = "urn:be:fgov:ehealth:2.0:status:Success"
	recipeSender  = "urn:be:fgov:ehealth:2.0:status:Requester"
)

// recipeRole is one of the three services, spelled as in the namespace of what is sealed.
type recipeRole string

const (
	recipePrescriber recipeRole = "prescriber"
	recipeExecutor   recipeRole = "executor"
	recipePatient    recipeRole = "patient"
)

// recipeRoutes are the three services at both hosts (dossier 04 section 2). The patient service is in no service list.
func recipeRoutes(v *services) []route {
	var out []route
	for _, role := range []recipeRole{recipePrescriber, recipeExecutor, recipePatient} {
		name := strings.ToUpper(string(role[:1])) + string(role[1:])
		r := route{
			Service: "recipe-presc", Path: pathRecipe + name, UDDI: uddiRecipe + string(role) + ":v4", Name: "Recip-e " + name,
			Unlisted: role == recipePatient, Handle: v.recipe(role),
		}
		if role == recipeExecutor {
			r.Service = "recipe-exec"
		}
		other := r
		other.Service, other.Direct, other.Order = "recipe-direct", true, 1
		out = append(out, r, other)
	}
	return out
}

// recipeCaller is who calls, in the role of the service.
type recipeCaller struct {
	*caller
	number string // NIHII of the prescriber (11 digits), NIHII of the pharmacy (8 digits), SSIN of the patient
	kind   string // CD-HCPARTY of a prescriber: "persphysician"
}

// recipeCall is one request as it is worked through.
type recipeCall struct {
	v    *services
	s    *Sandbox
	rq   *request
	role recipeRole
	op   *recipeOperation
	who  recipeCaller
	at   time.Time // "now" of every check

	outer   *xmltree.Node // the body element
	param   *xmltree.Node // root of what was sealed
	id      string        // Id of the request, "" = none; behind eHealth it is Mguid
	program string        // ProgramId
	key     []byte        // symmKey

	st      *recipeState // locked while the handler works
	verdict recipeVerdict
	effects []string
	tail    func(*xmltree.Writer) // writes what follows the Secured element of the answer
}

// recipeBody writes the children of a result that follow its status; nil = none. It works with the state's lock held.
type recipeBody func(w *xmltree.Writer)

// recipeHandler carries out one operation with the state's lock held.
type recipeHandler func(x *recipeCall) (recipeBody, *recipeRefusal)

// recipeServices is the operations of the three services, made once from the table.
var recipeServices = sync.OnceValue(func() map[recipeRole]*recipeService {
	out := map[recipeRole]*recipeService{}
	for role, rows := range recipeTable() {
		out[role] = newRecipeService(rows)
	}
	return out
})

// recipe is one of the three services.
func (v *services) recipe(role recipeRole) handlerFunc {
	return func(_ context.Context, s *Sandbox, rq *request) *response {
		x, rs := v.enterRecipe(s, rq, role)
		if rs != nil {
			return rs
		}
		if rs := x.unseal(); rs != nil {
			return rs
		}
		if x.key = x.binary("symmKey"); len(x.key) != 3*des.BlockSize {
			return v.fault(s, rq, refuse("SOA-03007", "symmKey is not 24 bytes"))
		}
		return x.work()
	}
}

// enterRecipe checks everything that is not sealed.
func (v *services) enterRecipe(s *Sandbox, rq *request, role recipeRole) (*recipeCall, *response) {
	service := recipeServices()[role]
	m, op, r := open(rq, service.operations)
	var c *caller
	if r == nil {
		here := *rq // the alternate host is another system with the same paths: it has not seen what the other one saw
		here.Path = rq.Service + " " + rq.Path
		c, r = v.holderOfKey(s, &here, m)
	}
	x := &recipeCall{v: v, s: s, rq: rq, role: role, at: rq.At, st: &s.recipe}
	if r == nil {
		x.op = service.byElement[op.payload.local]
		x.who, r = c.recipeCaller(role)
	}
	if r == nil {
		r = conforms(m.Payload, x.op.request)
	}
	if r != nil {
		return nil, v.fault(s, rq, r)
	}
	x.outer = m.Payload
	x.id, _ = m.Payload.Attr("", "Id")
	x.program, _ = m.Payload.Attr("", "ProgramId")
	return x, nil
}

// recipePrescribers are the professions that prescribe, with the claim that proves the number (dossier 04 3.2).
var recipePrescribers = []struct{ kind, claim string }{
	{"persphysician", claimPSE + "doctor:nihii11"},
	{"persdentist", claimPSE + "nihii:dentist:nihii11"},
	{"persmidwife", claimPSE + "nihii:midwife:nihii11"},
	{"persnurse", claimPSE + "nihii:nurse:nihii11"},
	{"persnurse", claimPSE + "nurse:nihii11"},
	{"persphysiotherapist", claimPSE + "nihii:physiotherapist:nihii11"},
	{"orghospital", claimEH + "hospital:nihii-number:recognisedhospital:nihii11"},
}

// recipeCaller is the caller in a role, or SOA-01002 when the token does not entitle to it. A patient proves nothing but who
// he is.
func (c *caller) recipeCaller(role recipeRole) (recipeCaller, *refused) {
	who := recipeCaller{caller: c}
	switch role {
	case recipePrescriber:
		for _, p := range recipePrescribers {
			if n := c.claim(p.claim); n != "" {
				who.number, who.kind = n, p.kind
				return who, nil
			}
		}
		return who, refuse("SOA-01002", "token is not that of a prescriber")
	case recipeExecutor:
		if who.number = c.claim(claimPharmacy); who.number == "" || c.claim(claimIsPharmacy) != "true" {
			return who, refuse("SOA-01002", "token is not that of a pharmacy")
		}
	default:
		if who.number = c.claim(claimPS); who.number == "" {
			return who, refuse("SOA-01002", "token does not name a person")
		}
	}
	return who, nil
}

// unseal opens the param. It returns the answer when that cannot be done: the seal must be for the key that Recip-e has now,
// and the caller's own.
func (x *recipeCall) unseal() *response {
	keys, err := x.s.serviceKeys("CBE", recipeCBE, "")
	if err != nil {
		return x.v.fault(x.s, x.rq, refuse("SOA-00001", "keys cannot be made"))
	}
	sealed, _ := decodeBase64(textOf(nodeAt(x.outer, "", "Secured"+x.op.stem+"Request", "SecuredContent"))) // the schema was checked
	content, signer, err := x.s.unseal(sealed, keys[1:], x.at)
	switch {
	case err != nil:
		x.s.count("recipe.unsealed.not")
		return x.outerFailure(recipeSender, "SecuredContent cannot be opened")
	case !bytes.Equal(signer.Raw, x.who.cert.Raw):
		x.s.count("recipe.unsealed.stranger")
		return x.outerFailure(recipeSender, "SecuredContent was sealed by another party than the caller")
	}
	if x.param, err = xmltree.Parse(content, requestLimits); err != nil {
		return x.outerFailure(recipeSender, "SecuredContent is not XML")
	}
	return nil
}

// work carries the operation out and answers, as far as fault scripts let it.
func (x *recipeCall) work() *response {
	x.verdict = x.s.faults.judgeRecipe(x.rq.Service, x.op.name, time.Now())
	inner, err := x.result()
	var rs *response
	switch {
	case err != nil:
	case x.verdict.outer != nil:
		rs = x.outerFailure(x.verdict.outer.Code, x.verdict.outer.Message)
	default:
		rs, err = x.seal(inner)
	}
	if err != nil {
		return x.v.fault(x.s, x.rq, refuse("SOA-00001", "answer not encodable"))
	}
	for i, name := range x.effects {
		if i == 0 {
			rs.Effect = name // the engine counts it
			continue
		}
		x.s.counters.effect(name)
	}
	return rs
}

// seal makes the answer around a result.
func (x *recipeCall) seal(inner []byte) (*response, error) {
	var sealed []byte
	var err error
	switch v := x.verdict; {
	case v.missing != nil:
	case v.corrupt != nil:
		sealed, err = v.corrupt.spoil(inner, x.key, recipeEncrypt)
	default:
		sealed, err = recipeEncrypt(inner, x.key)
	}
	if err != nil {
		return nil, err
	}
	payload, err := x.encode(recipeSuccess, "", sealed)
	if err != nil {
		return nil, err
	}
	body, err := soap.Envelope(nil, payload)
	return &response{Status: http.StatusOK, ContentType: soap.ContentType, Body: body, Asker: x.asker()}, err
}

// result lets the handler work and writes the inner answer, all under the lock.
func (x *recipeCall) result() ([]byte, error) {
	x.st.mu.Lock()
	defer x.st.mu.Unlock()
	x.st.settle(x.at)
	var body recipeBody
	var r *recipeRefusal
	if !x.verdict.idle {
		body, r = x.execute()
	}
	if f := x.verdict.inner; f != nil {
		r = &recipeRefusal{code: f.Message, number: f.Code, status: f.Status, updater: f.By}
	}
	if r != nil {
		x.s.count("recipe." + r.code)
		body, x.tail = nil, nil
	}
	return x.inner(body, r)
}

// execute does what has to be done for every operation around the handler.
func (x *recipeCall) execute() (recipeBody, *recipeRefusal) {
	if !x.param.Is(nsRecipeSealed+string(x.role), x.op.param) {
		return nil, x.refuse(recipeBadParam)
	}
	if r := x.oneself(); r != nil {
		return nil, r
	}
	body, r := x.op.do(x)
	if r == nil && x.op.writes {
		if x.st.executed(x.id) {
			x.did("recipe.repeated")
		}
	}
	return body, r
}

// oneself refuses a param that names another prescriber or pharmacy than the token. In listPrescriptions prescriberId is what
// is looked for.
func (x *recipeCall) oneself() *recipeRefusal {
	name := map[recipeRole]string{recipePrescriber: "prescriberId", recipeExecutor: "executorId"}[x.role]
	if name == "" || x.op.name == "listPrescriptions" {
		return nil
	}
	if n := x.text(name); n != "" && !sameNumber(n, x.who.number) {
		return x.refuse(recipeNotCaller)
	}
	return nil
}

// did notes an effect.
func (x *recipeCall) did(effect string) { x.effects = append(x.effects, effect) }

// asker tells whose answer it is: of this certificate, about this prescription or patient.
func (x *recipeCall) asker() string {
	return askerKey(x.who.cert, x.op.stem+"/"+x.text("rid")+"/"+x.text("patientId"))
}
