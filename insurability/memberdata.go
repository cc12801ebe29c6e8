package insurability

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

const (
	// ServiceMemberData is the id of MemberData in the signed service list. Connectors call it mycarenetmemberdata:v1;
	// the directory knows both.
	ServiceMemberData = "uddi:ehealth-fgov-be:business:memberdata:v1"

	opMemberData             = "insurability.MemberData"
	opMemberDataConsultation = "insurability.MemberDataConsultation"
)

// How a question is repeated when the insurer behind the platform is down (dossier 05 section 3.6): once, at the same
// address, because all addresses lead to the same insurer.
const (
	insurerTries = 2
	insurerPause = 400 * time.Millisecond // at least; up to twice as long, so that the counters do not come back together
)

// WithMemberDataAction sets the SOAPAction of MemberData questions. The official value is not published, and deployed
// connectors send an empty one, which is the default (dossier 05 section 3.1).
func WithMemberDataAction(action string) Option {
	return func(c *Config) error {
		if strings.ContainsFunc(action, func(r rune) bool { return r <= ' ' || r == '"' || r > '~' }) {
			return reason("insurability: a SOAPAction is a URI without quotes")
		}
		c.MemberDataAction = action
		return nil
	}
}

// FacetID names a part of the patient's file that MemberData can be asked for.
type FacetID string

// The facets (dossier 05 section 3.3). One that the asker's sector may not see fails the whole question; physiotherapists
// may not ask for care paths and the reference pharmacy. MaxInvoiced and UnitIssuance exist for some sectors; their
// dimensions are not published.
const (
	FacetInsurability      FacetID = "urn:be:cin:nippin:insurability"
	FacetCarePath          FacetID = "urn:be:cin:nippin:carePath"
	FacetChronicCondition  FacetID = "urn:be:cin:nippin:chronicCondition"
	FacetReferencePharmacy FacetID = "urn:be:cin:nippin:referencePharmacy"
	FacetGlobalMedicalFile FacetID = "urn:be:cin:nippin:globalMedicalFile"
	FacetPalliativeStatus  FacetID = "urn:be:cin:nippin:palliativeStatus"
	FacetMaxInvoiced       FacetID = "urn:be:cin:nippin:maxInvoiced"
	FacetUnitIssuance      FacetID = "urn:be:cin:nippin:unitIssuance"
)

// Names and values of dimensions.
const (
	dimensionRequestType = "requestType"
	dimensionContactType = "contactType"
	dimensionCarePath    = "carePathType"
)

// MemberContact is how the patient is cared for, in the words of MemberData.
type MemberContact string

// The values of MemberContact.
const (
	MemberOther        MemberContact = "other"        // not in hospital; the usual one
	MemberHospitalized MemberContact = "hospitalized" // refused (MISMATCHED_CONTACTTYPE) when he is not
)

// CarePath is an agreed course of treatment.
type CarePath string

// The values of CarePath.
const (
	CarePathDiabetes           CarePath = "diabetes"
	CarePathRenalInsufficiency CarePath = "renalinsufficiency"
)

// ErrFacet is why a question is not sent: no facet, one twice, or a dimension without its facet. It is found with
// [errors.Is] like the other reasons.
var ErrFacet error = reason("insurability: a question needs facets, each once, and dimensions only of facets that are asked")

// MemberDataQuery is a question about one patient to MemberData. The zero values of everything but the patient mean:
// today, facet insurability, request type information, patient not in hospital.
type MemberDataQuery struct {
	// Patient is the SSIN. Without it RegNr and Mutuality are needed.
	Patient identity.SSIN
	// RegNr is the patient's registration number with the mutuality; see [Hide]. Not together with Patient.
	RegNr Private
	// Mutuality goes with RegNr. Together with Patient it picks one insurer after several were found.
	Mutuality identity.Mutuality

	// Date is the day asked about; zero means today in Belgium. Not together with Period.
	Date Date
	// Period is for organisations, which may ask more than one day; both ends are needed. It may not start in the future
	// nor more than five years ago; how long it may be depends on the sector.
	Period Period

	// Facets to ask for; nil means [FacetInsurability] alone: what is not needed is not asked.
	Facets []FacetID
	// RequestType and ContactType are dimensions of FacetInsurability: [Information] and [MemberOther] when empty. With
	// [Invoicing] the answer may hold a payment approval.
	RequestType RequestType
	ContactType MemberContact
	// CarePaths are dimensions of FacetCarePath.
	CarePaths []CarePath
}

// Format implements [fmt.Formatter]: no verb shows the patient.
func (q MemberDataQuery) Format(f fmt.State, _ rune) {
	redact(f, "member data query [patient withheld]")
}

// MemberData asks MemberData about a patient, within the configured timeout. Pharmacies have no access to it.
//
// The error is always a *[fault.Error]. When the platform or the insurer refuses the question it wraps a
// [*MemberDataFault]; Kind Unavailable with Outcome Rejected means that the insurer itself is down: the question was
// repeated once, no other address was asked, and notice "D-INS-UNKNOWN" tells what to do. Kind Security with notice
// "D-WRONG": the only answers that came are not ours, or speak about another patient, or their time is over; nothing of
// them is shown. When the question was not sent, it wraps one of the Err values of this package.
//
// With [WithStored] the answer comes down the ladder as that of [Client.Check] does: an answer from the store has Source
// Stored, and when there is none either, the error comes with an answer of Source Unknown.
func (c *Client) MemberData(ctx context.Context, q MemberDataQuery) (*MemberDataAnswer, error) {
	req, err := c.NewMemberDataRequest(q)
	if err != nil {
		return nil, err
	}
	return climb(ctx, c, c.memberDataQuestion(q, req, Today()))
}

// memberData is the question without the store.
func (c *Client) memberData(ctx context.Context, req *MemberDataRequest) (*MemberDataAnswer, error) {
	r, err := c.askMemberData(ctx, opMemberData, req)
	if err != nil {
		return nil, err
	}
	a, err := answerMemberData(req, r)
	if err != nil {
		return nil, &fault.Error{
			Op: opMemberData, Service: ServiceMemberData, Endpoint: r.Provenance.Endpoint, Kind: fault.Protocol,
			Outcome: fault.Unknown, Attempts: r.Provenance.Attempts, Notice: NoticeUnknown, Err: err,
		}
	}
	return a, nil
}

// NewMemberDataRequest returns the request that MemberData would send for q, for callers who want to change it first.
func (c *Client) NewMemberDataRequest(q MemberDataQuery) (*MemberDataRequest, error) {
	if !c.caller.Quality.MemberData() {
		return nil, invalid(opMemberData, ServiceMemberData, ErrCaller)
	}
	r, err := c.buildMemberData(q, time.Now(), c.refs.take(), "_"+uuid())
	if err != nil {
		return nil, invalid(opMemberData, ServiceMemberData, err)
	}
	return r, nil
}

func (c *Client) buildMemberData(q MemberDataQuery, now time.Time, ref, detail string) (*MemberDataRequest, error) {
	today := DateOf(now)
	p, err := Query{Date: q.Date, Period: q.Period}.period(today)
	if err != nil {
		return nil, err
	}
	if !q.Patient.IsZero() && !q.RegNr.IsZero() {
		return nil, fmt.Errorf("%w; MemberData takes one of the two", ErrNoPatient)
	}
	facets, err := q.facets()
	if err != nil {
		return nil, err
	}
	r := &MemberDataRequest{
		ID: "ID_" + ref, IssueInstant: now, DetailID: detail,
		CommonInput: CommonInput{IsTest: c.conf.Test, Origin: c.origin, InputReference: ref},
		Query: AttributeQuery{
			ID: "_" + ref, IssueInstant: now,
			Issuer: NameID{Format: formatNIHII, Value: Hide(c.caller.NIHII.Full())},
			Facets: facets,
			Subject: Subject{
				NameID: q.nameID(), Method: methodMember,
				// Midnights of the calendar: days of 23 and 25 hours exist.
				NotBefore: p.Start.Start(), NotOnOrAfter: p.End.AddDays(1).Start(),
			},
		},
	}
	care := Query{Patient: q.Patient, RegNr: q.RegNr, Mutuality: q.Mutuality}.careReceiver()
	if err := care.validate(); err != nil {
		return nil, err
	}
	return r, r.validate(today)
}

func (q MemberDataQuery) nameID() NameID {
	m := q.Mutuality.Reveal()
	switch {
	case q.Patient.IsZero():
		return NameID{formatRegNr, Hide(q.RegNr.Reveal() + "@" + m)}
	case m != "":
		return NameID{formatSSINMut, Hide(q.Patient.Reveal() + "@" + m)}
	default:
		return NameID{formatSSIN, Hide(q.Patient.Reveal())}
	}
}

// facets returns the facets with their dimensions.
func (q MemberDataQuery) facets() ([]Facet, error) {
	ids := q.Facets
	if len(ids) == 0 {
		ids = []FacetID{FacetInsurability}
	}
	about, paths := false, false
	out := make([]Facet, 0, len(ids))
	for _, id := range ids {
		f := Facet{ID: id}
		switch id {
		case FacetInsurability:
			about = true
			f.Dimensions = []Dimension{
				{dimensionRequestType, string(orDefault(q.RequestType, Information))},
				{dimensionContactType, string(orDefault(q.ContactType, MemberOther))},
			}
		case FacetCarePath:
			paths = true
			for _, p := range q.CarePaths {
				f.Dimensions = append(f.Dimensions, Dimension{dimensionCarePath, string(p)})
			}
		}
		out = append(out, f)
	}
	if !about && (q.RequestType != "" || q.ContactType != "") || !paths && len(q.CarePaths) > 0 {
		return nil, ErrFacet
	}
	return out, nil
}

// scope is everything that is asked besides patient and days, in one order: what a stored answer must have been asked
// for to take the place of a live one.
func (q *AttributeQuery) scope() string {
	var b strings.Builder
	for _, f := range q.Facets {
		b.WriteString(string(f.ID))
		for _, d := range f.Dimensions {
			b.WriteString(" " + d.ID + "=" + d.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// validate checks a request before it is sent.
func (r *MemberDataRequest) validate(today Date) error {
	q := &r.Query
	in := &r.CommonInput
	switch {
	case !in.Origin.Package.Licence.complete():
		return ErrLicence
	case q.Subject.NameID.Value.IsZero():
		return ErrNoPatient
	case in.InputReference == "", len(in.InputReference) > referenceDigits, len(in.NIPReference) > referenceDigits, q.ID != "_"+in.InputReference, r.ID == "":
		return ErrReference
	case len(q.Facets) == 0:
		return ErrFacet
	}
	seen := map[FacetID]bool{}
	for _, f := range q.Facets {
		if f.ID == "" || seen[f.ID] {
			return ErrFacet
		}
		seen[f.ID] = true
	}
	severalDays := true // whose sector is not said, the platform judges
	if p := in.Origin.CareProvider; p != nil {
		severalDays = !identity.Quality(p.NIHII.Quality).IsPerson()
	}
	asked := Assertion{Subject: &q.Subject}
	return asked.Period().validate(today, severalDays)
}

// MemberDataConsultation sends one MemberData question as it is and returns the whole answer, whose document repeats the
// id of the question or names the patient. Errors are those of [Client.MemberData].
func (c *Client) MemberDataConsultation(ctx context.Context, req *MemberDataRequest) (*MemberDataResponse, error) {
	return c.askMemberData(ctx, opMemberDataConsultation, req)
}

func (c *Client) askMemberData(ctx context.Context, op string, req *MemberDataRequest) (*MemberDataResponse, error) {
	now := time.Now()
	if err := req.validate(DateOf(now)); err != nil {
		return nil, invalid(op, ServiceMemberData, err)
	}
	body, err := req.encode()
	if err != nil {
		return nil, invalid(op, ServiceMemberData, fmt.Errorf("%w: %w", ErrUnwritable, err))
	}
	deadline := now.Add(c.conf.Timeout)
	var first *exchange.Answer
	for try := 1; ; try++ {
		call := c.call(op, ServiceMemberData, c.conf.MemberDataAction, body, correlateMemberData(req, time.Now))
		if first != nil {
			call.Pin, call.Timeout = first.Endpoint.URL, time.Until(deadline)
		}
		ans, err := c.x.Do(ctx, call)
		if err != nil {
			return nil, err
		}
		if first != nil {
			ans.Endpoint, ans.Attempts = first.Endpoint, first.Attempts+ans.Attempts
		}
		first = ans
		r, err := memberDataAnswered(op, ans)
		if err == nil || try == insurerTries || !worthAnother(err) || !wait(ctx, deadline) {
			return r, err
		}
	}
}

// memberDataAnswered judges a correlated answer.
func memberDataAnswered(op string, ans *exchange.Answer) (*MemberDataResponse, error) {
	r, err := decodeMemberDataResponse(ans.Payload)
	if err != nil {
		return nil, protocol(op, ServiceMemberData, ans, err)
	}
	v, err := r.verdict()
	switch {
	case err != nil:
		return nil, protocol(op, ServiceMemberData, ans, err)
	case v != nil:
		return nil, refused(op, ServiceMemberData, ans, v, r.CommonOutput.NIPReference)
	}
	r.Provenance = provenance(ans)
	return r, nil
}

// worthAnother tells that the insurer was down.
func worthAnother(err error) bool {
	f, ok := errors.AsType[*MemberDataFault](err)
	return ok && f.InsurerDown()
}

// wait pauses before the question is repeated; false when there is no time left for that.
func wait(ctx context.Context, deadline time.Time) bool {
	d := insurerPause
	if n, err := rand.Int(rand.Reader, big.NewInt(int64(insurerPause))); err == nil {
		d += time.Duration(n.Int64())
	}
	if time.Until(deadline) < 2*d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// uuid returns a random UUID (version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
