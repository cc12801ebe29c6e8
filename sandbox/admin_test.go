package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// admin sends one request to the admin API and decodes the answer.
func admin(t *testing.T, c *http.Client, method, url, contentType, body string) (int, map[string]any) {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	rq.Header.Set("Content-Type", contentType)
	rs, err := c.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer rs.Body.Close()
	raw, err := io.ReadAll(rs.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatalf("%s %s: %v in %q", method, url, err, raw)
		}
	}
	return rs.StatusCode, out
}

func TestAdmin(t *testing.T) {
	cfg := Config{Incident: func(id string) (Script, bool) {
		return Script{ID: id, Steps: []Step{{Service: "genins", At: 10 * time.Second, For: time.Minute, Fault: SOAPFault{Code: "SOA-02001"}}}}, id == "INC-X"
	}}
	inBubble(t, cfg, func(t *testing.T, s *Sandbox) {
		c, base := s.HTTPClient(), s.AdminURL()
		const js = "application/json"

		// Text, JSON steps, JSON script, incident.
		status, out := admin(t, c, "POST", base+"/admin/faults", "text/plain", "genins 0 60 fault code=SOA-02002\nrecipe-presc 0 60 refuse -")
		if status != 201 || out["id"] != "f1" || len(out["unsupported"].([]any)) != 1 {
			t.Fatalf("%d %v", status, out)
		}
		status, out = admin(t, c, "POST", base+"/admin/faults", js, `{"id":"mine","steps":[{"service":"sts","at":5,"for":60,"kind":"hang","params":"p=0.5"},{"service":"sts","kind":"refuse"}]}`)
		if status != 201 || out["id"] != "f2" || out["steps"] != 2.0 {
			t.Fatalf("%d %v", status, out)
		}
		if status, out = admin(t, c, "POST", base+"/admin/faults", js, `{"script":"sts 0 9 loss p=0.1"}`); status != 201 {
			t.Fatalf("%d %v", status, out)
		}
		if status, out = admin(t, c, "POST", base+"/admin/faults", js, `{"incident":"INC-X","offset":30}`); status != 201 || out["script"] != "INC-X" {
			t.Fatalf("%d %v", status, out)
		}
		if r := post(c, urlGenIns, "q", time.Second); r.status != 500 {
			t.Errorf("faults do not act: %+v", r)
		}

		_, out = admin(t, c, "GET", base+"/admin/faults", js, "")
		faults := out["faults"].([]any)
		first := faults[0].(map[string]any)
		if len(faults) != 5 || first["row"] != "genins 0 60 fault code=SOA-02002" || first["active"] != true || first["hits"] != 1.0 {
			t.Errorf("%v", out)
		}
		last := faults[4].(map[string]any)
		if last["script"] != "INC-X" || last["active"] != true { // joined at 30 s, in force from 10 s to 70 s
			t.Errorf("%v", last)
		}

		// State.
		_, out = admin(t, c, "GET", base+"/admin/state", js, "")
		if out["requests"].(map[string]any)["genins"] != 1.0 || out["endpoints"].(map[string]any)["genins"].(map[string]any)["/genins"] != 1.0 ||
			out["hits"].(map[string]any)["genins"].(map[string]any)["fault"] != 1.0 || len(out["unsupported"].([]any)) != 1 {
			t.Errorf("%v", out)
		}

		// Ending.
		if status, _ = admin(t, c, "DELETE", base+"/admin/faults/f2", js, ""); status != 204 {
			t.Errorf("delete one: %d", status)
		}
		if status, _ = admin(t, c, "DELETE", base+"/admin/faults/f2", js, ""); status != 404 {
			t.Errorf("delete it again: %d", status)
		}
		if status, _ = admin(t, c, "DELETE", base+"/admin/faults", js, ""); status != 204 || len(s.Faults()) != 0 {
			t.Errorf("delete all: %d", status)
		}
		if r := post(c, urlGenIns, "q", time.Second); r.status != 200 {
			t.Errorf("faults still act: %+v", r)
		}

		// List.
		status, out = admin(t, c, "POST", base+"/admin/list", js, `{"set":"genins=1:ACTIVE","defect":"old"}`)
		if status != 200 || out["set"] != "genins=1:ACTIVE" || s.List().Defect != ListOld {
			t.Errorf("%d %v", status, out)
		}
		if status, _ = admin(t, c, "POST", base+"/admin/list", js, `{}`); status != 200 || len(s.List().Set) != 0 {
			t.Errorf("list at rest: %d", status)
		}
	})
}

func TestAdminRefuses(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		c, base := s.HTTPClient(), s.AdminURL()
		const js = "application/json"
		for _, tc := range []struct {
			method, path, contentType, body string
			status                          int
		}{
			{"POST", "/admin/faults", "text/plain", "genins 0 9 explode", 400},
			{"POST", "/admin/faults", "text/plain", "", 400},
			{"POST", "/admin/faults", js, "{", 400},
			{"POST", "/admin/faults", js, "{}", 400},
			{"POST", "/admin/faults", js, `{"stops":[]}`, 400},
			{"POST", "/admin/faults", js, `{"incident":"INC-X"}`, 400},
			{"POST", "/admin/faults", js, `{"script":"genins 0 9 refuse","offset":1e300}`, 400},
			{"POST", "/admin/faults", js, `{"steps":[{"service":"genins","kind":"refuse","params":"p=1 x"}]}`, 400},
			{"POST", "/admin/faults", js, `{"steps":[{"service":"genins","at":-1,"kind":"refuse"}]}`, 400},
			{"POST", "/admin/list", js, `{"set":"genins"}`, 400},
			{"POST", "/admin/list", js, `{"defect":"ugly"}`, 400},
			{"POST", "/admin/list", js, `[]`, 400},
		} {
			status, out := admin(t, c, tc.method, base+tc.path, tc.contentType, tc.body)
			if text, _ := out["error"].(string); status != tc.status || text == "" {
				t.Errorf("%s %s %q: %d %v", tc.method, tc.path, tc.body, status, out)
			}
		}
		for name, change := range map[string]func(*http.Request){
			"web page": func(r *http.Request) { r.Header.Set("Origin", "https://example.com") },
			"rebound":  func(r *http.Request) { r.Host = "attacker.example.com" },
		} {
			rq, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, base+"/admin/faults", nil)
			if err != nil {
				t.Fatal(err)
			}
			change(rq)
			rs, err := c.Do(rq)
			if err != nil {
				t.Fatal(err)
			}
			rs.Body.Close()
			if rs.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d", name, rs.StatusCode)
			}
		}
		if n := len(s.Faults()); n != 0 {
			t.Errorf("%d faults run", n)
		}
	})
}
