package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// ResetRecipe forgets all prescriptions, relations, reservations and notes. Behaviour, validation properties and counters
// stay.
func (s *Sandbox) ResetRecipe() {
	s.recipe.mu.Lock()
	defer s.recipe.mu.Unlock()
	s.recipe.forget()
}

// ResetCounters sets everything that State returns to zero.
func (s *Sandbox) ResetCounters() {
	s.settleMail()
	c := s.counters
	c.mu.Lock()
	for _, m := range []map[string]int{c.requests, c.paths, c.effects, c.named} {
		clear(m)
	}
	c.mu.Unlock()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	clear(s.faults.hits)
}

// adminRecipeRoutes adds the part of the admin API that is about Recip-e.
func (s *Sandbox) adminRecipeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/prescriptions", s.adminPrescriptions)
	mux.HandleFunc("DELETE /admin/prescriptions", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetRecipe()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /admin/recipe", s.adminRecipe)
	mux.HandleFunc("PUT /admin/recipe", s.adminSetRecipe)
	mux.HandleFunc("DELETE /admin/state", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetCounters()
		w.WriteHeader(http.StatusNoContent)
	})
}

// adminPrescription is one prescription in JSON.
type adminPrescription struct {
	N          int                `json:"n"` // order of creation, from 1
	Type       string             `json:"type"`
	Status     PrescriptionStatus `json:"status"`
	Created    string             `json:"created"`
	Expires    string             `json:"expires"` // last day
	Deliveries int                `json:"deliveries"`
	Vision     string             `json:"vision"` // open, locked or pharmacy
	Events     []adminEvent       `json:"events"`

	RID        string `json:"rid,omitempty"`
	Patient    string `json:"patient,omitempty"`
	Prescriber string `json:"prescriber,omitempty"`
	Executor   string `json:"executor,omitempty"`
	Updater    string `json:"updater,omitempty"`
}

// adminEvent is one step in the life of a prescription in JSON.
type adminEvent struct {
	Status PrescriptionStatus `json:"status"`
	At     string             `json:"at"`
	By     string             `json:"by"` // prescriber, pharmacy, patient or expiry

	Number  string `json:"number,omitempty"`
	Request string `json:"request,omitempty"`
	Program string `json:"program,omitempty"`
}

// adminPrescriptions is GET /admin/prescriptions.
func (s *Sandbox) adminPrescriptions(w http.ResponseWriter, r *http.Request) {
	status, revealed := r.URL.Query().Get("status"), r.URL.Query().Get("clear") == "1"
	if status != "" && !slices.Contains(recipeStates, PrescriptionStatus(status)) {
		adminFail(w, http.StatusBadRequest, errors.New("status: want NotDelivered, InProcess, Delivered, Archived, Revoked or Expired"))
		return
	}
	out := []adminPrescription{}
	for i, p := range s.Prescriptions() {
		if status == "" || p.Status == PrescriptionStatus(status) {
			out = append(out, p.admin(i+1, revealed))
		}
	}
	adminWrite(w, http.StatusOK, map[string]any{"prescriptions": out, "notes": len(s.RecipeNotes())})
}

// admin is the JSON form; revealed says whether it may lead to people.
func (p *Prescription) admin(n int, revealed bool) adminPrescription {
	out := adminPrescription{
		N: n, Type: p.Type, Status: p.Status, Created: p.Created.UTC().Format(time.RFC3339Nano), Expires: p.Expires.Format(time.DateOnly),
		Deliveries: p.Deliveries, Vision: "open", Events: []adminEvent{},
	}
	switch {
	case visionOf(p.Vision) != "":
		out.Vision = "pharmacy"
	case p.Vision != "":
		out.Vision = visionLocked
	}
	for _, e := range p.Events {
		event := adminEvent{Status: e.Status, At: e.At.UTC().Format(time.RFC3339Nano), By: p.actor(e)}
		if revealed {
			event.Number, event.Request, event.Program = e.By, e.Request, e.Program
		}
		out.Events = append(out.Events, event)
	}
	if revealed {
		out.RID, out.Patient, out.Prescriber, out.Executor, out.Updater = p.RID, p.Patient, p.Prescriber, p.Executor, p.Updater
	}
	return out
}

// actor is the role in which an event was caused. A number of 8 digits is a pharmacy's, that of a patient or of the holder of
// a mandate has 11 and is not the prescriber's.
func (p *Prescription) actor(e PrescriptionEvent) string {
	switch {
	case e.By == "":
		return "expiry"
	case sameNumber(e.By, p.Prescriber):
		return "prescriber"
	case len(e.By) == 8:
		return "pharmacy"
	}
	return "patient"
}

// adminBehaviour is RecipeBehaviour in JSON.
type adminBehaviour struct {
	PageSize      int     `json:"pageSize"`
	ListLag       float64 `json:"listLag"` // seconds
	ArchiveEarly  bool    `json:"archiveEarly"`
	PagesFromZero bool    `json:"pagesFromZero"`
}

// adminRecipe is GET /admin/recipe.
func (s *Sandbox) adminRecipe(w http.ResponseWriter, _ *http.Request) {
	s.recipe.mu.Lock()
	b := s.recipe.behaviour
	s.recipe.mu.Unlock()
	if b.PageSize == 0 {
		b.PageSize = recipePageSize
	}
	adminWrite(w, http.StatusOK, adminBehaviour{b.PageSize, b.ListLag.Seconds(), b.ArchiveEarly, b.PagesFromZero})
}

// adminSetRecipe is PUT /admin/recipe.
func (s *Sandbox) adminSetRecipe(w http.ResponseWriter, r *http.Request) {
	var in adminBehaviour
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		adminFail(w, http.StatusBadRequest, errors.New(`want {"pageSize":50,"listLag":0,"archiveEarly":false,"pagesFromZero":false}`))
		return
	}
	if in.PageSize < 0 || !(in.ListLag >= 0 && in.ListLag <= maxSeconds) {
		adminFail(w, http.StatusBadRequest, errors.New("pageSize and listLag must not be negative or too large"))
		return
	}
	s.SetRecipe(RecipeBehaviour{
		PageSize: in.PageSize, ListLag: time.Duration(in.ListLag * float64(time.Second)), ArchiveEarly: in.ArchiveEarly, PagesFromZero: in.PagesFromZero,
	})
	w.WriteHeader(http.StatusNoContent)
}

// forget empties the state. The lock is held.
func (st *recipeState) forget() {
	st.records, st.order, st.done, st.due = nil, nil, nil, time.Time{}
	st.rest = recipeRest{validation: st.rest.validation}
}
