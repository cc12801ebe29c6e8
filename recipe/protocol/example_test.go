package protocol_test

import (
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// A question, as it is before sealing, and the judgement of an answer.
func Example() {
	key, err := protocol.ParseResponseKey([]byte("0123456789abcdef01234567")) // otherwise protocol.NewResponseKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	param := &protocol.GetPrescriptionStatusParam{
		RID:   identity.MustRID("BEP0ABCDEFGH"),
		Keyed: protocol.Keyed{SymmKey: key},
	}
	op, ok := protocol.Of(protocol.Prescriber, param)
	if !ok {
		fmt.Println("prescribers do not ask this")
		return
	}
	if err := protocol.Check(op.Role, param, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	plain, err := protocol.Encode(op.Role, protocol.Gen2023, param)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(op.SOAPAction())
	fmt.Println(string(plain))

	sealed, err := key.Encrypt([]byte("<a><status><code>100</code></status><prescriptionStatus>Delivered</prescriptionStatus></a>"))
	if err != nil {
		fmt.Println(err)
		return
	}
	result := new(protocol.GetPrescriptionStatusResult)
	deviations, err := key.Open(sealed, result)
	fmt.Println(result.Status.OK(), result.PrescriptionStatus, deviations.List, err)
	// Output:
	// urn:be:fgov:ehealth:recipe:protocol:v4:getPrescriptionStatus
	// <r:getPrescriptionStatusParam xmlns:r="http:/services.recipe.be/prescriber"><symmKey>MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3</symmKey><rid>BEP0ABCDEFGH</rid></r:getPrescriptionStatusParam>
	// true Delivered [{a root has another name}] <nil>
}
