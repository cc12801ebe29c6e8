package recipe

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// A refusal that names a prescription is no certain one: only a service that contradicts itself says so.
func TestRefusalWithNumber(t *testing.T) {
	p := &Prescriber{client: &client{}}
	refusal := &fault.Error{Op: "x", Kind: fault.Invalid, Outcome: fault.Rejected}
	a := &answered[*protocol.CreatePrescriptionResult]{Result: &protocol.CreatePrescriptionResult{}, Response: &protocol.Response{}}
	for _, none := range []*answered[*protocol.CreatePrescriptionResult]{nil, a} {
		if fault.OutcomeOf(p.doubted(none, refusal)) != fault.Rejected {
			t.Error("a plain refusal is doubted")
		}
	}
	a.Result.RID = identity.MustRID("BEP0ABCDEFGH")
	if fault.OutcomeOf(p.doubted(a, refusal)) != fault.Unknown {
		t.Error("it names a prescription and counts as refused")
	}
}
