package recipe

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// answerTo is the payload of a success of Recip-e to a request with that id, for its key.
func answerTo(t *testing.T, id string, key protocol.ResponseKey, stem, root, rest string) *xmltree.Node {
	t.Helper()
	sealed, err := key.Encrypt(fmt.Appendf(nil, `<%[1]s><status><code>100</code></status>%[2]s</%[1]s>`, root, rest))
	if err != nil {
		t.Fatal(err)
	}
	n, err := xmltree.Parse(fmt.Appendf(nil, `<p:%[1]sResponse xmlns:p="urn:be:fgov:ehealth:recipe:protocol:v4" xmlns:c="urn:be:fgov:ehealth:commons:core:v2" `+
		`Id="a1" InResponseTo="%[2]s"><c:Status><c:StatusCode Value="urn:be:fgov:ehealth:2.0:status:Success"/></c:Status><Secured%[1]sResponse>`+
		`<SecuredContent>%[3]s</SecuredContent></Secured%[1]sResponse></p:%[1]sResponse>`, stem, id, base64.StdEncoding.EncodeToString(sealed)), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An answer that opens with the key of the request, and is about another prescription, is dropped before anybody sees it.
func TestAnswerAboutAnother(t *testing.T) {
	asked, key := identity.MustRID("BEP0ABCDEFGH"), protocol.NewResponseKey()
	executor, patient := (&Executor{client: &client{}}).getQuestion(asked, true), (&Patient{client: &client{}}).getQuestion(asked)
	prescriber := (&Prescriber{client: &client{}}).getQuestion(asked)
	for _, c := range []struct {
		rest string
		want error
	}{
		{"<rid>BEP0ABCDEFGH</rid>", nil},
		{"<rid>BEP0ABCDEFGK</rid>", ErrWrongAsker},
		{"", nil}, // it names none
	} {
		x := opener[*protocol.GetPrescriptionForExecutorResult]{q: &executor, key: key, id: "q1"}
		if err := x.correlate(answerTo(t, "q1", key, "GetPrescriptionForExecutor", "getPrescriptionForExecutorResultSealed", c.rest)); !errors.Is(err, c.want) {
			t.Errorf("executor, %q: %v", c.rest, err)
		}
		p := opener[*protocol.GetPrescriptionForPatientResult]{q: &patient, key: key, id: "q1"}
		if err := p.correlate(answerTo(t, "q1", key, patient.op.Stem, patient.op.Result, c.rest)); !errors.Is(err, c.want) {
			t.Errorf("patient, %q: %v", c.rest, err)
		}
		d := opener[*protocol.GetPrescriptionForPrescriberResult]{q: &prescriber, key: key, id: "q1"}
		if err := d.correlate(answerTo(t, "q1", key, prescriber.op.Stem, prescriber.op.Result, c.rest)); !errors.Is(err, c.want) {
			t.Errorf("prescriber, %q: %v", c.rest, err)
		}
	}
}

// Asked for one patient, an answer about another is dropped, too: that of a list ends there.
func TestAnswerAboutAnotherPatient(t *testing.T) {
	of, key := identity.MustSSIN("00000000196"), protocol.NewResponseKey()
	p := &Patient{client: &client{service: ServicePatient}, of: of}
	q := p.getQuestion(identity.MustRID("BEP0ABCDEFGH"))
	for _, c := range []struct {
		named string
		want  error
	}{
		{"<patientId>196</patientId>", nil}, // a number has lost its zeros
		{"<patientId>00000000196</patientId>", nil},
		{"<patientId>394</patientId>", ErrWrongAsker},
		{"", nil}, // it names none
	} {
		x := opener[*protocol.GetPrescriptionForPatientResult]{q: &q, key: key, id: "q1"}
		if err := x.correlate(answerTo(t, "q1", key, q.op.Stem, q.op.Result, c.named)); !errors.Is(err, c.want) {
			t.Errorf("%q: %v", c.named, err)
		}
	}
	for _, c := range []struct {
		names []string
		shown int
		want  error
	}{
		{[]string{"00000000196", "00000000196"}, 2, nil},
		{[]string{"00000000196", "00000000394", "00000000196"}, 1, ErrWrongAsker},
		{[]string{"00000000394"}, 0, ErrWrongAsker},
	} {
		shown, last := 0, error(nil)
		for r, err := range p.own(func(yield func(protocol.OpenRid, error) bool) {
			for _, n := range c.names {
				if !yield(protocol.OpenRid{PatientID: identity.Hide(n)}, nil) {
					return
				}
			}
		}) {
			if last = err; err == nil && r.PatientID.Reveal() == of.Reveal() {
				shown++
			}
		}
		if shown != c.shown || !errors.Is(last, c.want) || c.want != nil && fault.OutcomeOf(last) != fault.Done {
			t.Errorf("%d entries: %d shown, %v", len(c.names), shown, last)
		}
	}
}
