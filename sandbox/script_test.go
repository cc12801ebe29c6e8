package sandbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseStep(t *testing.T) {
	yes := true
	for _, tc := range []struct {
		row  string
		want Step
	}{
		{"net 5400 14400 loss p=0.6 -", Step{Service: "net", At: 90 * time.Minute, For: 4 * time.Hour, Fault: Loss{P: 0.6}, Known: "-"}},
		{"esb 1.5 2 hang p=0.5;exec=0.25", Step{Service: "esb", At: 1500 * time.Millisecond, For: 2 * time.Second, Fault: Hang{P: 0.5, Exec: 0.25}}},
		{"sts 0 to_end refuse", Step{Service: "sts", Fault: Refuse{P: 1}}},
		{"sts 0 to_end blackhole -", Step{Service: "sts", Fault: Blackhole{P: 1}}},
		{"esb 1 1 slow dist=lognormal;median_ms=12000;sigma=1.0;cap_ms=180000", Step{
			Service: "esb", At: time.Second, For: time.Second,
			Fault: Slow{Median: 12 * time.Second, Sigma: 1, Cap: 3 * time.Minute, P: 1},
		}},
		{"sts 0 9 capacity rps_rel=0.33;queue=200;over=hang DVK", Step{
			Service: "sts", For: 9 * time.Second, Fault: Capacity{Rel: 0.33, Queue: 200, Over: "hang"}, Known: "DVK",
		}},
		{"esb 0 9 http status=503;body=html dVk", Step{Service: "esb", For: 9 * time.Second, Fault: HTTPAnswer{Status: 503, Body: "html", P: 1}, Known: "dVk"}},
		{"genins 0 9 fault code=SOA-02002;retry=true;p=0.5;max=3 V; a remark", Step{
			Service: "genins", For: 9 * time.Second, Fault: SOAPFault{Code: "SOA-02002", Retry: &yes, P: 0.5}, Max: 3, Known: "V; a remark",
		}},
		{"esb 0 9 fault code=SOA-02002;exec=0.5", Step{Service: "esb", For: 9 * time.Second, Fault: SOAPFault{Code: "SOA-02002", P: 1, Exec: 0.5}}},
		{"idvalid 0 9 refuse_auth scope=eid;code=generic", Step{Service: "idvalid", For: 9 * time.Second, Fault: RefuseAuth{Scope: "eid", Code: "generic", P: 1}}},
		{"esb 0 9 misroute p=0.05", Step{Service: "esb", For: 9 * time.Second, Fault: Misroute{P: 0.05}}},
		{"app 0 9 lost_ack p=0.3", Step{Service: "app", For: 9 * time.Second, Fault: LostAck{P: 0.3}}},
		{"etk 0 9 key_rotate old=0823257311;new=0206653946;lag_s=-5", Step{
			Service: "etk", For: 9 * time.Second, Fault: KeyRotate{Old: "0823257311", New: "0206653946", Lag: -5 * time.Second},
		}},
		{"genins-direct 0 to_end tls_rotate new_issuer=1", Step{Service: "genins-direct", Fault: TLSRotate{NewIssuer: true}}},
		{"ehbox-cons 0 to_end poison n=1", Step{Service: "ehbox-cons", Fault: Poison{N: 1}}},
		{"servicelist 0 9 list set=genins=1:ACTIVE,attest=0:INACTIVE;lag_s=60", Step{
			Service: "servicelist", For: 9 * time.Second,
			Fault: List{Set: []ListEntry{{"genins", 1, true}, {"attest", 0, false}}, Lag: time.Minute},
		}},
		{"esb 0 9 ramp from=0.2;to=1", Step{Service: "esb", For: 9 * time.Second, Fault: Ramp{From: 0.2, To: 1}}},
		{"sts 0 9 clock skew_s=-1200", Step{Service: "sts", For: 9 * time.Second, Fault: Clock{Skew: -20 * time.Minute}}},
	} {
		got, err := ParseStep(tc.row)
		if err != nil {
			t.Errorf("%s: %v", tc.row, err)
			continue
		}
		if g, w := show(got), show(tc.want); g != w {
			t.Errorf("%s\n got  %s\n want %s", tc.row, g, w)
		}
		again, err := ParseStep(got.String())
		if err != nil || show(again) != show(got) {
			t.Errorf("%s prints as %q, which reads as %s (%v)", tc.row, got, show(again), err)
		}
	}
}

// show prints a step with its pointers followed.
func show(s Step) string {
	out := fmt.Sprintf("%s %v %v %#v max=%d %q", s.Service, s.At, s.For, s.Fault, s.Max, s.Known)
	if f, ok := s.Fault.(SOAPFault); ok {
		retry := f.Retry
		f.Retry = nil
		out = fmt.Sprintf("%s %v %v %#v max=%d %q", s.Service, s.At, s.For, f, s.Max, s.Known)
		if retry != nil {
			out += fmt.Sprint(" retry ", *retry)
		}
	}
	return out
}

// TestParseRefuses: every mistake is refused at its place.
func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		text      string
		line, col int
		reason    string
	}{
		{"nowhere 0 9 refuse -", 1, 1, "unknown service"},
		{"genins 0 9 explode -", 1, 12, "unknown kind"},
		{"genins x 9 refuse -", 1, 8, "at:"},
		{"genins -1 9 refuse -", 1, 8, "at:"},
		{"genins 0 0 refuse -", 1, 10, "for:"},
		{"genins 0 NaN refuse -", 1, 10, "for:"},
		{"genins 0 1e300 refuse -", 1, 10, "for:"},
		{"genins 0 9", 1, 1, "want:"},
		{"genins 0 9 refuse p=2", 1, 19, "p:"},
		{"genins 0 9 refuse p=0", 1, 19, "p:"},
		{"genins 0 9 refuse p=NaN", 1, 19, "not a number"},
		{"genins 0 9 refuse q=1", 1, 19, "unknown parameter"},
		{"genins 0 9 refuse p=1;p=1", 1, 23, "twice"},
		{"genins 0 9 refuse p", 1, 19, "key=value"},
		{"genins 0 9 hang exec=1.5", 1, 17, "exec:"},
		{"genins 0 9 slow sigma=1", 1, 12, "median_ms"},
		{"genins 0 9 slow dist=uniform;median_ms=1", 1, 17, "dist:"},
		{"genins 0 9 capacity queue=5;over=hang", 1, 12, "rps"},
		{"genins 0 9 capacity rps=1;rps_rel=1;over=hang", 1, 27, "exclude"},
		{"genins 0 9 capacity rps=1;over=shout", 1, 27, "over:"},
		{"genins 0 9 capacity rps=1;queue=-1;over=hang", 1, 27, "queue:"},
		{"genins 0 9 http body=html", 1, 12, "status"},
		{"genins 0 9 http status=503;body=pdf", 1, 28, "body:"},
		{"genins 0 9 fault code=oops", 1, 18, "code:"},
		{"genins 0 9 fault code=SOA-02002;retry=perhaps", 1, 33, "retry:"},
		{"genins 0 9 fault code=SOA-02002;exec=2", 1, 33, "exec:"},
		{"sts 0 9 refuse_auth code=generic", 1, 9, "scope"},
		{"genins 0 9 misroute -", 1, 12, "p:"},
		{"genins 0 9 loss -", 1, 12, "p:"},
		{"etk 0 9 key_rotate old=1;new=2", 1, 20, "old:"},
		{"genins 0 9 key_rotate old=0823257311;new=0206653946", 1, 12, "not a fault of genins"},
		{"genins 0 9 tls_rotate new_issuer=yes", 1, 23, "new_issuer:"},
		{"ehbox-cons 0 9 poison n=0", 1, 23, "n:"},
		{"genins 0 9 list set=genins=1:ACTIVE", 1, 12, "not a fault"},
		{"servicelist 0 9 list lag_s=1", 1, 17, "set"},
		{"servicelist 0 9 list set=genins=1", 1, 22, "set:"},
		{"servicelist 0 9 list set=esb=1:ACTIVE", 1, 22, "set:"},
		{"servicelist 0 9 list set=genins=1:ACTIVE;defect=ugly", 1, 42, "defect:"},
		{"idvalid 0 9 hang -", 1, 13, "idvalid"},
		{"esb 0 9 ramp from=0", 1, 9, "to:"},
		{"sts 0 9 clock skew_s=0", 1, 15, "skew_s:"},
		{"sts 0 9 clock skew_s=1e12", 1, 15, "too long"},
		{"sts 0 9 refuse max=-1", 1, 16, "max:"},
		{"about x", 1, 1, "about before"},
		{"incident A yesterday", 1, 12, "T0"},
		{"# fine\n\nincident A 2018-06-12T08:00+02:00\n  genins 0 9 refuse p=7", 4, 21, "p:"},
	} {
		_, err := ParseScripts(tc.text)
		var se *ScriptError
		if !errors.As(err, &se) {
			t.Errorf("%q: %v", tc.text, err)
			continue
		}
		if se.Line != tc.line || se.Column != tc.col || !strings.Contains(se.Reason, tc.reason) {
			t.Errorf("%q: %v, want line %d, column %d, %q", tc.text, se, tc.line, tc.col, tc.reason)
		}
	}
}

func TestValidateGoScripts(t *testing.T) {
	for _, st := range []Step{
		{Service: "genins"},
		{Service: "here", Fault: Refuse{}},
		{Service: "genins", At: -1, Fault: Refuse{}},
		{Service: "genins", Fault: Slow{}},
		{Service: "genins", Fault: HTTPAnswer{}},
		{Service: "genins", Fault: RefuseAuth{Code: "generic"}},
	} {
		err := Script{Steps: []Step{{Service: "sts", Fault: Refuse{}}, st}}.Validate()
		var se *ScriptError
		if !errors.As(err, &se) || se.Step != 2 {
			t.Errorf("%+v: %v", st, err)
		}
	}
	good := Script{Steps: []Step{{Service: "genins", At: time.Minute, For: time.Hour, Fault: Refuse{}}, {Service: "sts", Fault: Hang{}}}}
	if err := good.Validate(); err != nil || good.End() != 61*time.Minute {
		t.Errorf("%v, ends at %v", err, good.End())
	}
}

func FuzzParseScripts(f *testing.F) {
	f.Add("incident A 2018-06-12T08:00+02:00\nabout x\nesb 0 9 hang p=0.5;exec=0.5 SV\nservicelist 1 to_end list set=genins=1:ACTIVE;lag_s=0;max=2")
	f.Add("genins 0 1 slow median_ms=0.0000001;sigma=0")
	f.Fuzz(func(t *testing.T, text string) {
		scripts, err := ParseScripts(text)
		if err != nil {
			return
		}
		for _, s := range scripts {
			if err := s.Validate(); err != nil {
				t.Fatalf("parsed but not valid: %v", err)
			}
			for _, st := range s.Steps {
				again, err := ParseStep(st.String())
				if err != nil || show(again) != show(st) {
					t.Fatalf("%q reads back as %s (%v), was %s", st.String(), show(again), err, show(st))
				}
			}
		}
	})
}
