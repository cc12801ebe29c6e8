package protocol

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

func parseTimeOrFatal(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := parseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestDates(t *testing.T) {
	for in, want := range map[string]string{
		"2030-04-14": "2030-04-14", " 2030-04-14\n": "2030-04-14", "2030-04-14Z": "2030-04-14", "2030-04-14+02:00": "2030-04-14",
		"2030-04-14T00:00:00.000+02:00": "2030-04-14", "2030-04-13T22:00:00Z": "2030-04-14", "2030-04-13T21:59:59Z": "2030-04-13",
		"2030-01-13T22:30:00Z": "2030-01-13", "2030-01-13T23:00:00Z": "2030-01-14", "2030-04-14T23:59:59": "2030-04-14",
		"": "", "2030-4-14": "", "2030-02-30": "", "14-04-2030": "", "2030-04-14x": "", "0000-01-01": "", "2030-04-14T25:00:00Z": "",
	} {
		d, err := parseDate(in)
		if d.String() != want || (err != nil) != (want == "") {
			t.Errorf("%q: %v, %v", in, d, err)
		}
	}
	for in, ok := range map[string]bool{"2030-04-14": true, "2030-04-14Z": false, " 2030-04-14": false, "2030-04-31": false, "": false} {
		d, err := ParseDate(in)
		var v *ValidationError
		if (err == nil) != ok || !ok && (!errors.As(err, &v) || v.Code != CodeExpirationFormat || !d.IsZero()) {
			t.Errorf("%q: %v, %v", in, d, err)
		}
	}
	d := Day(2030, 11, 10)
	if d.Add(0, 3, -1) != Day(2031, 2, 9) { // the example of dossier 04 section 11.2
		t.Error(d.Add(0, 3, -1))
	}
	if DefaultExpiration(time.Date(2030, 11, 9, 23, 30, 0, 0, time.UTC)) != Day(2031, 2, 9) {
		t.Error(DefaultExpiration(time.Date(2030, 11, 9, 23, 30, 0, 0, time.UTC)))
	}
	if d.Compare(d) != 0 || d.Compare(d.Add(0, 0, 1)) >= 0 || d.Compare(d.Add(0, -1, 0)) <= 0 || d.Compare(d.Add(1, 0, -300)) >= 0 {
		t.Error("order")
	}
	if s := d.Start(); s.Format(time.RFC3339) != "2030-11-10T00:00:00+01:00" || DateOf(s) != d {
		t.Error(s)
	}
	if !(Date{}).Start().IsZero() || !DateOf(time.Time{}).IsZero() || formatTime(time.Time{}) != "" {
		t.Error("absent days have a beginning")
	}
}

func TestPadding(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "196": "00000000196", "00000000196": "00000000196", " 85073099704 ": "85073099704", "123456789012": "123456789012", "85.07.30": "85.07.30",
	} {
		if got := padSSIN(in); got != want {
			t.Errorf("SSIN %q: %q", in, got)
		}
	}
	for in, want := range map[string]string{
		"": "", "14": "00000014", "20000014": "20000014", "7004001000": "07004001000", "10000007004": "10000007004", "x": "x",
	} {
		if got := padNIHII(in); got != want {
			t.Errorf("NIHII %q: %q", in, got)
		}
	}
}

func TestSameNIHII(t *testing.T) {
	n := identity.MustNIHII("10000007004")
	for s, want := range map[string]bool{
		"10000007004": true, "10000007": true, "1-00000-07-004": true, "10000007000": true, "10000008004": false, "": false, "x": false, "1000000700": false,
	} {
		if SameNIHII(identity.Hide(s), n) != want {
			t.Errorf("%q", s)
		}
		if SameNIHII(identity.Hide(s), identity.NIHII{}) {
			t.Errorf("%q is nobody", s)
		}
	}
}

func TestVision(t *testing.T) {
	pharmacy := VisionPharmacy(identity.MustNIHII("20000014000"))
	for v, want := range map[Vision]string{
		VisionOpen: "open", "null": "open", "NULL": "open", VisionLocked: "locked", "Locked": "locked", pharmacy: "pharmacy", "20000014": "[private]",
	} {
		if v.String() != want || v.LogValue().String() != want {
			t.Errorf("%q: %s", v.Reveal(), v)
		}
		if v.Open() != (want == "open") || v.Locked() != (want == "locked") || v.Pharmacy().IsZero() != (want != "pharmacy") {
			t.Errorf("%q", v.Reveal())
		}
	}
	if pharmacy.Reveal() != "20000014-PHARMACY.NIHII" || pharmacy.Pharmacy() != identity.MustNIHII("20000014") {
		t.Error(pharmacy.Reveal())
	}
	if !Vision("x-PHARMACY.NIHII").Pharmacy().IsZero() {
		t.Error("a pharmacy without number")
	}
}

func TestStatusText(t *testing.T) {
	h := identity.Hide
	all := []Message{{"EN", h("e")}, {"FR", h("f")}, {"NL", h("n")}, {"DE", h("d")}}
	for _, c := range []struct {
		s          Status
		lang, want string
	}{
		{Status{Code: "300", Messages: all}, "NL", "n"},
		{Status{Code: "300", Messages: all}, "nl-BE", "n"},
		{Status{Code: "300", Messages: all}, "it", "e"},
		{Status{Code: "300", Messages: []Message{{"EN", h("e")}, {"nl", h("n")}}}, " NL ", "n"},
		{Status{Code: "300", Messages: append([]Message{{"NA", h("any")}}, all[1:]...)}, "EN", "any"},
		{Status{Code: "300", Messages: append(all[1:2:2], Message{"", h("none")})}, "EN", "none"},
		{Status{Code: "300", Messages: []Message{{"FR", h("")}, {"DE", h("d")}}}, "FR", "d"},
		{Status{Code: "300", MessageCode: "error.x"}, "FR", "error.x"},
		{Status{Code: "300"}, "FR", "300"},
	} {
		if got := c.s.Text(c.lang).Reveal(); got != c.want {
			t.Errorf("%+v in %s: %q", c.s, c.lang, got)
		}
	}
	for code, want := range map[string][2]bool{"100": {true, false}, "200": {true, false}, "300": {false, true}, "400": {}, "500": {}, "": {}, "1OO": {}} {
		s := Status{Code: code}
		if s.OK() != want[0] || s.Refused() != want[1] {
			t.Errorf("%q: %v, %v", code, s.OK(), s.Refused())
		}
	}
	for code, want := range map[string]string{
		"error.validation.x.1234": "error.validation.x.1234", "": "300", "a b": "unprintable", "error.85073099704": "unprintable", "é": "unprintable",
		string(make([]byte, 101)): "unprintable",
	} {
		if got := (&Status{Code: "300", MessageCode: code}).SafeCode(); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
	if !NotDelivered.Open() || !InProcess.Open() || Delivered.Open() || Revoked.Open() || Expired.Open() || Archived.Open() || PrescriptionStatus("").Known() {
		t.Error("states")
	}
}

func TestCheck(t *testing.T) {
	now := time.Date(2030, 4, 13, 22, 30, 0, 0, time.UTC) // the 14th in Brussels
	rid, patient := identity.MustRID("BEP0ABCDEFGH"), Party{PatientID: identity.MustSSIN("00000000196")}
	vision := func(v Vision) *PutVisionParam { return &PutVisionParam{RID: rid, Vision: &v} }
	create := func(d Date, v Vision, p Party) *CreatePrescriptionParam {
		return &CreatePrescriptionParam{Party: p, ExpirationDate: d, Vision: v}
	}
	today := Day(2030, 4, 14)
	for _, c := range []struct {
		r    Role
		p    Param
		code string
	}{
		{Prescriber, create(today, "", patient), ""},
		{Prescriber, create(today.Add(0, 0, 364), "locked", patient), ""},
		{Prescriber, create(today.Add(1, 0, -1), "NULL", patient), ""},
		{Prescriber, create(today.Add(1, 0, 0), "", patient), CodeExpirationLate},
		{Prescriber, create(today.Add(0, 0, -1), "", patient), CodeExpirationPast},
		{Prescriber, create(Date{}, "", patient), CodeExpirationMissing},
		{Prescriber, create(today, "", Party{}), CodePatientID},
		{Prescriber, create(today, "20000014-PHARMACY.NIHII", patient), CodeVision},
		{Patient, vision("20000014-PHARMACY.NIHII"), ""},
		{Patient, vision("x-PHARMACY.NIHII"), CodeVision},
		{Patient, vision("-PHARMACY.NIHII"), CodeVision},
		{Prescriber, vision("20000014-PHARMACY.NIHII"), CodeVision},
		{Prescriber, vision("open"), CodeVision},
		{Prescriber, &PutVisionParam{RID: rid}, ""},
		{Prescriber, &PutVisionParam{}, CodeRID},
		{Executor, &PutRidsInProcessParam{RIDs: make([]identity.RID, 11)}, CodeTooManyRIDs},
		{Executor, &PutRidsInProcessParam{RIDs: []identity.RID{rid, {}}}, CodeRID},
		{Executor, &PutRidsInProcessParam{}, CodeRID},
		{Executor, &PutRidsInProcessParam{RIDs: []identity.RID{rid}}, ""},
		{Prescriber, &ListOpenRidsParam{}, ""},
	} {
		err := Check(c.r, c.p, now)
		var v *ValidationError
		if errors.As(err, &v); c.code == "" && err != nil || c.code != "" && (v == nil || v.Code != c.code) {
			t.Errorf("%v %T: %v, want %q", c.r, c.p, err, c.code)
		}
	}
	// Every param that names one prescription is refused without it.
	n := 0
	for _, o := range operations {
		p := o.NewParam()
		if err := Check(o.Role, p, now); err != nil {
			var v *ValidationError
			if errors.As(err, &v) && v.Code == CodeRID {
				n++
			}
		}
	}
	if n != 20 {
		t.Errorf("%d operations want a number", n)
	}
	for s, code := range map[string]string{"00000000196": "", " 00000000196 ": "", "00000000197": CodePatientID, "": CodePatientID} {
		_, err := CheckPatient(s)
		if (err != nil) != (code != "") {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{"BEP0ABCDEFGH": true, "BEP0ABCDEFGI": false, "": false, "bep0abcdefgh": false} {
		if _, err := CheckRID(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}
