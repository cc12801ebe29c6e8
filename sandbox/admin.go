package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// maxAdminBody bounds what the admin API reads.
const maxAdminBody = 1 << 20

// adminHandler is the admin API; doc.go describes it.
func (s *Sandbox) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/faults", s.adminFaults)
	mux.HandleFunc("POST /admin/faults", s.adminApply)
	mux.HandleFunc("DELETE /admin/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /admin/faults/{run}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.faults.cancel(r.PathValue("run")); err != nil {
			adminFail(w, http.StatusNotFound, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /admin/state", s.adminState)
	mux.HandleFunc("POST /admin/list", s.adminList)
	s.adminMailRoutes(mux)
	s.adminRecipeRoutes(mux)
	return guardAdmin(mux)
}

// guardAdmin keeps web pages out: a browser on the same machine must not be talked into driving the sandbox, neither
// by a form on some site (Origin) nor by a name that resolves to loopback (Host).
func guardAdmin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		local := host == "localhost" || host == "admin"+virtualDomain || (ip != nil && ip.IsLoopback())
		if !local || r.Header.Get("Origin") != "" {
			adminFail(w, http.StatusForbidden, errors.New("the admin API serves local programs only"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
		next.ServeHTTP(w, r)
	})
}

// adminStep is a step in JSON: the columns of a row.
type adminStep struct {
	Service string `json:"service"`
	At      any    `json:"at,omitempty"`  // seconds, number or text
	For     any    `json:"for,omitempty"` // seconds, or "to_end"
	Kind    string `json:"kind"`
	Params  string `json:"params,omitempty"` // "p=0.5;exec=0.5"
}

// row is the text form. JSON is another spelling of the same grammar, so that there is one parser.
func (a adminStep) row() (Step, error) {
	words := []string{a.Service, cell(a.At, "0"), cell(a.For, "to_end"), a.Kind, a.Params}
	if a.Params == "" {
		words[4] = "-"
	}
	for _, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\r\n") {
			return Step{}, errors.New("service, at, for, kind and params are single words")
		}
	}
	return ParseStep(strings.Join(words, " "))
}

func cell(v any, def string) string {
	switch x := v.(type) {
	case string:
		return x
	case float64:
		return number(x)
	}
	return def
}

// adminApply is POST /admin/faults.
func (s *Sandbox) adminApply(w http.ResponseWriter, r *http.Request) {
	sc, start, err := s.adminScript(r)
	if err != nil {
		adminFail(w, http.StatusBadRequest, err)
		return
	}
	run, err := s.ApplyAt(sc, start)
	var lacking *UnsupportedError
	if err != nil && !errors.As(err, &lacking) {
		adminFail(w, http.StatusBadRequest, err)
		return
	}
	out := map[string]any{"id": run.ID(), "script": sc.ID, "steps": len(run.steps), "unsupported": rows(run.unsupported)}
	adminWrite(w, http.StatusCreated, out)
}

// adminScript reads the script of a request: text, or JSON with steps, script or incident.
func (s *Sandbox) adminScript(r *http.Request) (Script, time.Time, error) {
	now := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Script{}, now, err
	}
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" {
		sc, err := ParseScript(string(body))
		return sc, now, err
	}
	var in struct {
		ID       string      `json:"id"`
		Steps    []adminStep `json:"steps"`
		Script   string      `json:"script"`
		Incident string      `json:"incident"`
		Offset   float64     `json:"offset"` // seconds: join the script there
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return Script{}, now, errors.New("not the JSON that doc.go describes")
	}
	if !(in.Offset >= -maxSeconds && in.Offset <= maxSeconds) {
		return Script{}, now, errors.New("offset: out of range")
	}
	start := now.Add(-time.Duration(in.Offset * float64(time.Second)))
	switch {
	case in.Incident != "":
		sc, ok := Script{}, false
		if s.cfg.Incident != nil {
			sc, ok = s.cfg.Incident(in.Incident)
		}
		if !ok {
			return Script{}, now, errors.New("unknown incident")
		}
		return sc, start, nil
	case in.Script != "":
		sc, err := ParseScript(in.Script)
		return sc, start, err
	case len(in.Steps) == 0:
		return Script{}, now, errors.New("no steps")
	}
	sc := Script{ID: in.ID}
	for i, a := range in.Steps {
		st, err := a.row()
		if err != nil {
			return Script{}, now, &ScriptError{Step: i + 1, Reason: err.Error()}
		}
		sc.Steps = append(sc.Steps, st)
	}
	return sc, start, nil
}

// adminFault is one running step in JSON.
type adminFault struct {
	Run    string  `json:"run"`
	Script string  `json:"script,omitempty"`
	Row    string  `json:"row"`
	From   string  `json:"from"`
	To     *string `json:"to"`
	Active bool    `json:"active"`
	Hits   int     `json:"hits"`
}

func (s *Sandbox) runningFaults() []adminFault {
	out := []adminFault{}
	for _, f := range s.Faults() {
		a := adminFault{
			Run: f.Run, Script: f.Script, Row: f.Step.String(), From: f.From.UTC().Format(time.RFC3339Nano), Active: f.Active, Hits: f.Hits,
		}
		if !f.To.IsZero() {
			to := f.To.UTC().Format(time.RFC3339Nano)
			a.To = &to
		}
		out = append(out, a)
	}
	return out
}

// unsupportedFaults lists the steps of running scripts that were not carried out.
func (s *Sandbox) unsupportedFaults() []string {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []string{}
	for _, r := range s.faults.runs {
		out = append(out, rows(r.unsupported)...)
	}
	return out
}

func rows(steps []Step) []string {
	out := []string{}
	for _, st := range steps {
		out = append(out, st.String())
	}
	return out
}

// adminFaults is GET /admin/faults.
func (s *Sandbox) adminFaults(w http.ResponseWriter, _ *http.Request) {
	adminWrite(w, http.StatusOK, map[string]any{"faults": s.runningFaults(), "unsupported": s.unsupportedFaults()})
}

// adminState is GET /admin/state.
func (s *Sandbox) adminState(w http.ResponseWriter, _ *http.Request) {
	st, l := s.State(), s.List()
	adminWrite(w, http.StatusOK, map[string]any{
		"now":         time.Now().UTC().Format(time.RFC3339Nano),
		"requests":    st.Requests,
		"endpoints":   st.Endpoints,
		"effects":     st.Effects,
		"counters":    st.Counters,
		"hits":        st.Hits,
		"faults":      s.runningFaults(),
		"unsupported": s.unsupportedFaults(),
		"list":        map[string]any{"set": entriesText(l.Set), "defect": l.Defect},
	})
}

// adminList is POST /admin/list.
func (s *Sandbox) adminList(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Set    string `json:"set"`
		Defect Defect `json:"defect"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		adminFail(w, http.StatusBadRequest, errors.New(`want {"set":"genins=1:ACTIVE","defect":""}`))
		return
	}
	st := ListState{Defect: in.Defect}
	if in.Set != "" {
		set, ok := parseEntries(in.Set)
		if !ok {
			adminFail(w, http.StatusBadRequest, errors.New("set: want service=order:ACTIVE|INACTIVE,…"))
			return
		}
		st.Set = set
	}
	if err := s.SetList(st); err != nil {
		adminFail(w, http.StatusBadRequest, err)
		return
	}
	adminWrite(w, http.StatusOK, map[string]any{"set": entriesText(st.Set), "defect": st.Defect})
}

func adminWrite(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func adminFail(w http.ResponseWriter, status int, err error) {
	adminWrite(w, status, map[string]any{"error": err.Error()})
}
