package incident_test

import (
	"fmt"

	"github.com/ehealth-continuity/ehealth/sandbox/incident"
)

func ExampleGet() {
	sc, ok := incident.Get("INC-2018-06-12-LB")
	fmt.Println(ok, sc.About)
	fmt.Print(sc)
	// Output:
	// true general outage, answers without an address
	// incident INC-2018-06-12-LB 2018-06-12T08:00:00+02:00
	// about general outage, answers without an address
	// esb 5400 1800 misroute p=0.05 SVK
	// esb 5400 1800 hang p=0.5;exec=0.5 SV
	// esb 7200 18000 http status=503;body=html dVk
	// servicelist 8100 17100 list set=genins=1:ACTIVE;lag_s=0 V
	// genins-direct 8100 17100 loss p=0.4 V
	// esb 25200 1800 ramp from=0.2;to=1 s
}
