package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func appPut(ref, key string) string {
	if key != "" {
		key = "<a:OrderingKey>" + key + "</a:OrderingKey>"
	}
	return `<a:PutRequest xmlns:a="` + nsApp + `"><a:Reference>` + ref + `</a:Reference>` + key + `<a:Payload>` +
		base64.StdEncoding.EncodeToString([]byte("opaque")) + `</a:Payload></a:PutRequest>`
}

func appQuery(ref string) string {
	return `<a:QueryRequest xmlns:a="` + nsApp + `"><a:Reference>` + ref + `</a:Reference></a:QueryRequest>`
}

func appNumber(n *xmltree.Node) string { return textOf(n.Child(nsApp, "ResultNumber")) }

// TestApp: a Put is executed each time, a Query tells about the first, and both addresses are one application.
func TestApp(t *testing.T) {
	w := newWorld(t)
	_, tk := w.doctorToken(0)
	_, other := w.doctorToken(1)
	put := w.answered(w.call(pathApp, nsApp+":Put", w.message(appPut("r1", "patient 1"), tk)))
	if got := textOf(put.Child(nsApp, "Reference")); got != "r1" || appNumber(put) != "1" {
		t.Errorf("reference %q, number %q", got, appNumber(put))
	}
	if _, err := time.Parse(instantFormat, textOf(put.Child(nsApp, "ExecutedAt"))); err != nil {
		t.Error(err)
	}
	if got := appNumber(w.answered(w.call(pathAppBCP, "", w.message(appPut("r1", ""), tk)))); got != "2" {
		t.Errorf("the second execution has number %s", got)
	}
	for _, q := range []struct {
		path, ref string
		by        token
		want      string
	}{
		{pathApp, "r1", tk, "1"},
		{pathAppBCP, "r1", tk, "1"},
		{pathApp, "r2", tk, ""},
		{pathApp, "r1", other, ""}, // references are the caller's own
	} {
		got := w.answered(w.call(q.path, nsApp+":Query", w.message(appQuery(q.ref), q.by)))
		if found := textOf(got.Child(nsApp, "Found")); found != fmt.Sprint(q.want != "") || appNumber(got) != q.want {
			t.Errorf("%+v: found %s, number %q", q, found, appNumber(got))
		}
	}
	all := w.s.AppExecutions()
	if len(all) != 2 || all[0].OrderingKey != "patient 1" || all[1].Nth != 2 || w.s.AppExecuted("r1") != 2 || w.s.AppExecuted("r2") != 0 {
		t.Errorf("executions %+v", all)
	}
}

func TestAppBehaviour(t *testing.T) {
	w := newWorld(t)
	_, tk := w.doctorToken(0)
	same := w.message(appPut("r1", ""), tk)
	send := func(msg []byte) *response { return w.call(pathApp, "", msg) }
	w.answered(send(same))
	if got := appNumber(w.answered(send(same))); got != "2" {
		t.Errorf("at rest the very same message is executed again; number %s", got)
	}
	w.s.SetApp(AppBehaviour{Deduplicate: true})
	rs := send(w.message(appPut("r1", ""), tk))
	if got := appNumber(w.answered(rs)); got != "1" || rs.Effect != "" || w.s.AppExecuted("r1") != 2 {
		t.Errorf("a duplicate was not recognised: number %s, effect %q", got, rs.Effect)
	}
	if rs := send(w.message(appPut("r2", ""), tk)); rs.Effect != "app.put" {
		t.Errorf("effect %q", rs.Effect)
	}
	w.s.SetApp(AppBehaviour{RefuseReplays: true})
	same = w.message(appPut("r3", ""), tk)
	w.answered(send(same))
	w.refusedWith(send(same), "SOA-01001")

	w.s.SetApp(AppBehaviour{QueryLag: 10 * time.Second})
	now := time.Now()
	w.answered(send(w.message(appPut("r4", ""), tk)))
	for lag, want := range map[time.Duration]string{5 * time.Second: "false", 11 * time.Second: "true"} {
		got := w.answered(w.callAt(pathApp, "", w.message(appQuery("r4"), tk), now.Add(lag)))
		if found := textOf(got.Child(nsApp, "Found")); found != want {
			t.Errorf("%v after execution: found %s", lag, found)
		}
	}
}

func TestAppRefuses(t *testing.T) {
	w := newWorld(t)
	_, tk := w.doctorToken(0)
	_, thief := w.person(identity.Doctor, 1)
	for _, c := range []struct {
		name, code string
		msg        []byte
	}{
		{"no reference", "SOA-03006", w.message(strings.Replace(appPut("r", ""), "<a:Reference>r</a:Reference>", "", 1), tk)},
		{"empty reference", "SOA-03006", w.message(appPut("", ""), tk)},
		{"long reference", "SOA-03006", w.message(appPut(strings.Repeat("é", appRefLimit+1), ""), tk)},
		{"payload not base64", "SOA-03006", w.message(strings.Replace(appPut("r", ""), "b3BhcXVl", "%", 1), tk)},
		{"order of elements", "SOA-03006", w.message(strings.Replace(appQuery("r"), "QueryRequest", "PutRequest", 2), tk)},
		{"other operation", "SOA-03005", w.message(strings.Replace(appQuery("r"), "QueryRequest", "DeleteRequest", 2), tk)},
		{"somebody else's token", "SOA-01001", w.message(appPut("r", ""), token{tk.Assertion, thief})},
		{"expired timestamp", "SOA-01001", w.messageAt(appPut("r", ""), tk, wsse.Stamp{Now: time.Now().Add(-time.Hour)})},
		{"X.509 profile", "SOA-01001", w.x509Message(appPut("r", ""), tk.key)},
	} {
		t.Run(c.name, func(t *testing.T) { w.refusedWith(w.call(pathApp, "", c.msg), c.code) })
	}
	w.refusedWith(w.call(pathApp, nsApp+":Query", w.message(appPut("r", ""), tk)), "SOA-03004")
	w.refusedWith(w.callAt(pathApp, "", w.messageAt(appPut("r", ""), tk, wsse.Stamp{Now: time.Now().Add(2 * time.Hour)}), time.Now().Add(2*time.Hour)), "SOA-01001")
	if n := len(w.s.AppExecutions()); n != 0 {
		t.Errorf("%d executions", n)
	}
	long := strings.Repeat("é", appRefLimit)
	w.answered(w.call(pathApp, "", w.message(appPut(long, long), tk)))
}

// TestAppFaults: what scripts do to the application, through HTTP on virtual time.
func TestAppFaults(t *testing.T) {
	warmKeys(t)
	for _, c := range []struct {
		row      string
		ok       bool
		executed int
		ref      string // in the answer, "" = none
	}{
		{"app 0 to_end hang exec=1", false, 1, ""},
		{"app 0 to_end hang exec=0", false, 0, ""},
		{"app 0 to_end slow median_ms=20000;sigma=0;late=1", false, 1, ""},
		{"app 0 to_end lost_ack p=1", false, 1, ""},
		{"app 0 to_end misroute p=1", true, 1, "before"},
		{"app-direct 0 to_end lost_ack p=1", true, 1, "now"},
		{"app 0 to_end http status=503;body=html;exec=1", false, 1, ""},
		{"esb 0 to_end refuse", false, 0, ""},
		{"access 0 to_end refuse_auth scope=all;code=SOA-01002", false, 0, ""},
	} {
		t.Run(c.row, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.s.Close()
				_, tk := w.doctorToken(0)
				client, url := w.s.HTTPClient(), w.s.URL(uddiApp, 0)
				if r := post(client, url, string(w.message(appPut("before", ""), tk)), time.Second); r.status != http.StatusOK {
					t.Fatalf("%+v", r)
				}
				time.Sleep(time.Millisecond) // the connection is older than the fault, and idle
				inject(t, w.s, c.row)
				time.Sleep(time.Millisecond) // idle connections are cut
				r := post(client, url, string(w.message(appPut("now", ""), tk)), 10*time.Second)
				time.Sleep(time.Minute) // what is executed late
				if ok := r.err == nil && r.status == http.StatusOK; ok != c.ok || !strings.Contains(r.body, ">"+c.ref+"<") && c.ref != "" {
					t.Errorf("%+v", r)
				}
				effects := w.s.State().Effects
				if w.s.AppExecuted("now") != c.executed || effects["app.put:now"] != c.executed || effects["app.put"] != 1+c.executed {
					t.Errorf("executed %d times, effects %v", w.s.AppExecuted("now"), effects)
				}
			})
		})
	}
}

// TestAppIsListed: the service list names both addresses, as it does for services of the platform.
func TestAppIsListed(t *testing.T) {
	w := newWorld(t)
	eps := w.s.Services()[uddiApp]
	if len(eps) != 2 || !eps[0].Active || eps[1].Active || eps[1].Order != 1 {
		t.Errorf("%+v", eps)
	}
}

// TestAppLate: some Puts are executed after their client was cut off, within the bound, and none beyond it.
func TestAppLate(t *testing.T) {
	warmKeys(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.s.Close()
		_, tk := w.doctorToken(0)
		client, url := w.s.HTTPClient(), w.s.URL(uddiApp, 0)
		w.s.SetApp(AppBehaviour{Late: time.Second, LateP: 0.5})
		const n = 40
		answered := 0
		for i := range n {
			ref := fmt.Sprintf("r%d", i)
			if r := post(client, url, string(w.message(appPut(ref, ""), tk)), 5*time.Second); r.status == http.StatusOK {
				answered++
			}
			if executed := w.s.AppExecuted(ref); executed == 0 {
				time.Sleep(time.Second)
				if w.s.AppExecuted(ref) != 1 {
					t.Errorf("%s was not executed within the bound", ref)
				}
			}
		}
		st := w.s.State()
		if late := st.Counters["app.late"]; answered == 0 || answered == n || late != n-answered || st.Effects["app.put"] != n || st.Effects["app.double"] != 0 {
			t.Errorf("%d answers, %d late, effects %v", answered, late, st.Effects["app.put"])
		}

		// What would be executed beyond the bound never is.
		w.s.SetApp(AppBehaviour{Late: time.Second})
		rs := w.callAt(pathApp, "", w.message(appPut("slow", ""), tk), time.Now().Add(-2*time.Second))
		if st := w.s.State(); rs.stream == nil || w.s.AppExecuted("slow") != 0 || st.Counters["app.missed"] != 1 {
			t.Errorf("executed beyond the bound; counters %v", st.Counters)
		}
	})
}
