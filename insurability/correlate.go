package insurability

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// ErrMismatch reports an answer that belongs to another question, or that nothing ties to ours. Nothing of it is shown.
// Every *[MismatchError] matches it. It is a privacy incident at the other side.
var ErrMismatch error = reason("insurability: the answer belongs to another question")

// MismatchError names the field that differs, never its value.
type MismatchError struct{ Field string }

// Error names the field.
func (e *MismatchError) Error() string { return ErrMismatch.Error() + ": " + e.Field }

// SafeError is Error: it may be logged.
func (e *MismatchError) SafeError() string { return e.Error() }

// Is makes errors.Is(err, ErrMismatch) true.
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }

// binding collects the evidence that an answer is ours (dossier 06 A.0.3): every field that is present on both sides
// must be equal, and at least one reference or patient identification must be. Fail closed: an answer that carries
// nothing of ours is refused even though the schema allows it.
type binding struct {
	bound bool // a reference or the patient agrees
	err   error
}

// tie compares a field that proves ownership when it agrees.
func (b *binding) tie(field, ours, theirs string) {
	if b.same(field, ours, theirs) {
		b.bound = true
	}
}

// same compares a field that is too common to prove anything; absent on one side says nothing.
func (b *binding) same(field, ours, theirs string) bool {
	ours, theirs = trim(ours), trim(theirs)
	if b.err != nil || ours == "" || theirs == "" {
		return false
	}
	if ours != theirs {
		b.err = &MismatchError{Field: field}
		return false
	}
	return true
}

// patient compares who was asked about with who is answered about. A mutuality in the answer is compared only with the
// registration number that it belongs to: asked with an SSIN, it is news and no identification.
func (b *binding) patient(field string, ours CareReceiverID, theirs CareReceiverID) {
	b.tie(field+"/SSIN", ours.SSIN.Reveal(), theirs.SSIN.Reveal())
	if !ours.SSIN.IsZero() || ours.RegNr.IsZero() || theirs.RegNr.IsZero() {
		return
	}
	b.same(field+"/Mutuality", ours.Mutuality, theirs.Mutuality)
	b.tie(field+"/RegNrWithMut", registration(ours.RegNr), registration(theirs.RegNr))
}

// registration brings a registration number to one form: insurers pad it with zeros to 13 places.
func registration(p Private) string {
	s := trim(p.Reveal())
	if t := strings.TrimLeft(s, "0"); t != "" {
		return t
	}
	return s
}

func (b *binding) verdict() error {
	if b.err == nil && !b.bound {
		return &MismatchError{Field: "neither a reference of ours nor the patient is in it"}
	}
	return b.err
}

// correlateGenIns returns the judge of answers to req. Whether the contact type and the request type are echoed
// faithfully is not judged: they are mapped through a flat format on the way.
func correlateGenIns(req *GenInsRequest) func(*xmltree.Node) error {
	return func(n *xmltree.Node) error {
		r, err := decodeGenIns(n)
		if err != nil {
			return unreadable(n, nsGenInsProtocol, "GetInsurabilityResponse")
		}
		if r.bare {
			return nil // a status alone: there is nothing in it that could be shown
		}
		b := &binding{}
		b.tie("CommonOutput/InputReference", req.CommonInput.InputReference, r.CommonOutput.InputReference)
		b.tie("RecordCommonOutput/InputReference",
			decimal(req.RecordCommonInput.InputReference), decimal(r.RecordCommonOutput.InputReference))
		ours, theirs := &req.Request, &r.Response
		if theirs.CareReceiver != nil {
			b.patient("CareReceiverId", ours.CareReceiver, *theirs.CareReceiver)
		}
		if theirs.Patient != nil {
			b.patient("CareReceiverDetail", ours.CareReceiver, CareReceiverID{SSIN: theirs.Patient.SSIN})
		}
		b.items(ours.CareReceiver, theirs.Detail)
		b.tie("InsurabilityReference", ours.Detail.Reference, theirs.RequestDetail.Reference)
		b.same("PeriodStart", ours.Detail.Period.Start.String(), theirs.RequestDetail.Period.Start.String())
		b.same("PeriodEnd", ours.Detail.Period.End.String(), theirs.RequestDetail.Period.End.String())
		return b.verdict()
	}
}

// items compares the registration numbers of the periods when the question was asked with one: the successful answer
// repeats it nowhere else. One period must carry ours; others may belong to an earlier or later insurer.
func (b *binding) items(ours CareReceiverID, d *ResponseDetail) {
	if b.err != nil || d == nil || d.List == nil || !ours.SSIN.IsZero() || ours.RegNr.IsZero() {
		return
	}
	numbered := false
	for _, i := range d.List.Items {
		if i.RegNr.IsZero() {
			continue
		}
		numbered = true
		if registration(i.RegNr) == registration(ours.RegNr) && i.Mutuality == ours.Mutuality {
			b.bound = true
			return
		}
	}
	if numbered {
		b.err = &MismatchError{Field: "InsurabilityItem/RegNrWithMut"}
	}
}

// correlatePharmacist returns the judge of answers to req. The platform upper-cases a UserReference on the
// way.
func correlatePharmacist(req *PharmacistRequest) func(*xmltree.Node) error {
	return func(n *xmltree.Node) error {
		r, err := decodePharmacist(n)
		if err != nil {
			return unreadable(n, nsPharmacistProtocol, "GetInsurabilityForPharmacistResponse")
		}
		if r.Body == nil {
			return nil // a status alone, as above
		}
		b := &binding{}
		out, answer := &r.Body.RecordCommonOutput, &r.Body.Response
		b.tie("RecordCommonOutput/Reference", decimal(req.Record.Reference), decimal(out.Reference))
		b.tie("RecordCommonOutput/UserReference", strings.ToUpper(req.Record.UserReference), strings.ToUpper(out.UserReference))
		b.patient("CareReceiver", req.Request.CareReceiver, answer.CareReceiver.ID)
		b.same("Requested", req.Request.Date.String(), answer.Requested.String())
		return b.verdict()
	}
}

// unreadable judges a payload that does not decode. Another element than the one we wait for answers another question;
// a damaged one of the right name is reported as such later, and equally not shown.
func unreadable(n *xmltree.Node, space, local string) error {
	if n == nil || !n.Is(space, local) {
		return &MismatchError{Field: "root element"}
	}
	return nil
}
