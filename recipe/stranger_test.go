package recipe

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

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
