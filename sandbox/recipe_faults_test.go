package sandbox

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRecipeFaultRows(t *testing.T) {
	for _, tc := range []struct {
		row  string
		want Fault
	}{
		{"recipe-presc 0 9 inner -", InnerStatus{Code: 300, Message: "error.sandbox.scripted", P: 1}},
		{
			"recipe-exec 0 9 inner code=500;message=error.x;status=Delivered;by=21999994;op=markAsDelivered;p=0.5;exec=0.25",
			InnerStatus{Code: 500, Message: "error.x", Status: "Delivered", By: "21999994", Op: "markAsDelivered", P: 0.5, Exec: 0.25},
		},
		{"recipe-direct 0 9 outer -", OuterStatus{Code: "urn:be:fgov:ehealth:2.0:status:Responder", P: 1}},
		{"recipe-presc 0 9 outer code=urn:x:y;message=later;op=listOpenRids;exec=1", OuterStatus{
			Code: "urn:x:y", Message: "later", Op: "listOpenRids", P: 1, Exec: 1,
		}},
		{"recipe-presc 0 9 corrupt -", CorruptAnswer{How: "bytes", P: 1}},
		{"recipe-presc 0 9 corrupt how=key;op=getPrescription;p=0.5", CorruptAnswer{How: "key", Op: "getPrescription", P: 0.5}},
		{"recipe-presc 0 9 missing op=createPrescription", MissingAnswer{Op: "createPrescription", P: 1}},
		{"recipe-presc 0 9 lag s=12.5", ListLag{By: 12500 * time.Millisecond}},
	} {
		got, err := ParseStep(tc.row)
		if err != nil {
			t.Errorf("%s: %v", tc.row, err)
			continue
		}
		if got.Fault != tc.want {
			t.Errorf("%s: %#v, want %#v", tc.row, got.Fault, tc.want)
		}
		if again, err := ParseStep(got.String()); err != nil || again != got {
			t.Errorf("%s prints as %q, which reads as %v (%v)", tc.row, got, again, err)
		}
	}
}

func TestRecipeFaultRowsRefused(t *testing.T) {
	for row, reason := range map[string]string{
		"genins 0 9 inner -":                           "not a fault of genins",
		"esb 0 9 lag s=1":                              "not a fault of esb",
		"recipe-presc 0 9 inner code=100":              "code:",
		"recipe-presc 0 9 inner code=12":               "code:",
		"recipe-presc 0 9 inner status=Lost":           "status:",
		"recipe-presc 0 9 inner by=pharmacy":           "by:",
		"recipe-presc 0 9 inner op=No":                 "op:",
		"recipe-presc 0 9 inner exec=2":                "exec:",
		"recipe-presc 0 9 inner p=2":                   "p:",
		"recipe-presc 0 9 outer code=" + recipeSuccess: "code:",
		"recipe-presc 0 9 outer op=1":                  "op:",
		"recipe-presc 0 9 outer p=0":                   "p:",
		"recipe-presc 0 9 corrupt how=sideways":        "how:",
		"recipe-presc 0 9 corrupt op=X":                "op:",
		"recipe-presc 0 9 missing op=X":                "op:",
		"recipe-presc 0 9 missing p=3":                 "p:",
		"recipe-presc 0 9 lag -":                       "s:",
		"recipe-presc 0 9 lag s=-1":                    "s:",
	} {
		_, err := ParseStep(row)
		var se *ScriptError
		if !errors.As(err, &se) || !strings.Contains(se.Reason, reason) {
			t.Errorf("%s: %v, want %q", row, err, reason)
		}
	}
}
