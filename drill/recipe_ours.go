package drill

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// prescriptions is Recip-e of one process of ours, in a practice or in a pharmacy.
type prescriptions struct {
	at station
	p  *ehealth.Platform

	prescriber *recipe.Prescriber
	executor   *recipe.Executor
	dispenser  *recipe.Dispenser
}

// withRecipe lets the platform that is opened with cfg prescribe or dispense. The outbox is kept in memory unless there is a
// directory.
func withRecipe(cfg ehealth.Config, at station) ehealth.Config {
	cfg.Identity = keystore.SourceFunc(func(context.Context) (*keystore.Store, error) { return at.keys() })
	cfg.Recipe = &ehealth.Recipe{Recipients: []etee.Identifier{etee.RecipeIdentifier, etee.RecipeNewIdentifier}}
	cfg.Outbox = &ehealth.Outbox{}
	if cfg.DataDir == "" {
		cfg.Outbox.Store = outboxtest.NewMemory()
	}
	return cfg
}

// recipeOf is Recip-e of a platform.
func recipeOf(p *ehealth.Platform, at station) *prescriptions {
	return &prescriptions{at: at, p: p, prescriber: p.Recipe.Prescriber, executor: p.Recipe.Executor, dispenser: p.Recipe.Dispenser}
}

// openRecipeOurs opens a process of ours at a station.
func openRecipeOurs(s *sandbox.Sandbox, at station, w watch) (*prescriptions, error) {
	cfg, err := at.config(s)
	if err != nil {
		return nil, err
	}
	cfg.Trust.ServiceList = s.Roots()
	cfg.ServiceList.URLs = []string{s.ListURL(1)}
	if w.configure != nil {
		w.configure(&cfg)
	}
	p, err := ehealth.Open(context.Background(), withRecipe(cfg, at))
	if err != nil {
		return nil, err
	}
	return recipeOf(p, at), nil
}

func joinPracticeOurs(s *sandbox.Sandbox, at station, w watch) (practice, error) {
	r, err := openRecipeOurs(s, at, w)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func joinDispensaryOurs(s *sandbox.Sandbox, at station, w watch) (dispensary, error) {
	r, err := openRecipeOurs(s, at, w)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// request is what a doctor prescribes to a patient.
func (r *prescriptions) request(v *visit) recipe.CreateRequest {
	m, d, who := medicines[v.medicine], r.at.person, v.patient
	sex := kmehr.Male
	if who.Sex == "female" {
		sex = kmehr.Female
	}
	cnk, _ := identity.ParseCNK(m.cnk) // a test looks at them
	return recipe.CreateRequest{
		Reference: v.reference, Type: prescriptionType, Label: identity.Hide(m.name),
		Prescription: kmehr.Prescription{
			Author: kmehr.Author{
				NIHII: d.NIHII, FirstName: kmehr.Hide(d.FirstName), FamilyName: kmehr.Hide(d.LastName), Phone: kmehr.Hide("023456789"),
				Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Brussel"), Street: kmehr.Hide("Voorbeeldstraat"), Number: kmehr.Hide("1")},
			},
			Software: kmehr.Software{Name: "Drill", Version: "1.0", Phone: "023456789", Email: "support@example.be"},
			Source:   kmehr.Source{Version: "2026-01"},
			Patient: kmehr.Patient{
				SSIN: who.SSIN, FirstName: kmehr.Hide(who.FirstName), FamilyName: kmehr.Hide(who.LastName), Birth: kmehr.DayOf(who.Birth), Sex: sex,
			},
			Items: []kmehr.Item{{
				Medicine: &kmehr.Medicine{CNK: cnk, Name: kmehr.Hide(m.name)},
				Posology: kmehr.Text{Lang: "nl", Text: kmehr.Hide(posology)}, Quantity: kmehr.Quantity{Value: kmehr.Int(1)},
			}},
		},
	}
}

// posology is how to take every medicine of a drill.
const posology = "driemaal daags een halve tablet bij de maaltijd"

// prescribe lets the patient go when there is a RID, or when it is certain that there is none and paper was permitted. As long
// as it is not known, the patient waits.
func (r *prescriptions) prescribe(ctx context.Context, v *visit) (out prescribed) {
	began := time.Now()
	made, err := r.prescriber.Create(ctx, r.request(v))
	out.answered, out.err = time.Since(began), err
	if err == nil {
		out.rid = made.RID.Reveal()
		return out
	}
	if _, out.unsure = errors.AsType[*recipe.UnsureError](err); out.unsure {
		o, err := r.prescriber.Wait(ctx, v.reference)
		if err != nil || o.State == recipe.OutcomeCreated {
			out.rid = o.RID.Reveal()
			return out
		}
	}
	_, err = r.prescriber.Paper(ctx, v.reference)
	out.paper = err == nil
	return out
}

// dispense fetches, confirms and archives. What cannot be fetched because of an outage is dispensed on the proof.
func (r *prescriptions) dispense(ctx context.Context, v *visit) (out dispensed) {
	rid, err := identity.ParseRID(v.rid)
	if err != nil {
		out.err = err
		return out
	}
	cnk, _ := identity.ParseCNK(medicines[v.medicine].cnk)
	x := recipe.Dispensing{RID: rid, Reference: v.reference, Archive: recipe.ArchiveNow, Items: []recipe.DispensedItem{{CNK: cnk, Quantity: 1}}}
	got, err := r.executor.Get(ctx, rid)
	switch {
	case err == nil:
		x.Fetched, out.shown = got, got.RID.Reveal()
		if got.Message == nil || got.Patient.Reveal() != v.patient.SSIN.Reveal() {
			out.shown = "another patient's"
		}
	case !failing(err):
		out.err = err
		return out
	default:
		x.ForceMajeure = true
	}
	fetching := err
	_, err = r.dispenser.Dispense(ctx, x)
	out.kept = errors.Is(err, outbox.ErrQueued) || errors.Is(err, outbox.ErrUnknown)
	out.handed = err == nil || out.kept
	if out.err = err; out.err == nil && fetching != nil {
		out.otherwise = true // it worked the second time
	}
	return out
}

// failing tells a failure of the platform from an answer about the prescription, after which nothing is dispensed.
func failing(err error) bool {
	return !errors.As(err, new(*recipe.RefusedError)) && !errors.As(err, new(*recipe.AuthorMismatchError)) && !errors.As(err, new(*recipe.StampError))
}

func (r *prescriptions) settle(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Second) {
		if q, err := r.p.Queue(context.Background()); err == nil && q.Waiting == 0 {
			return
		}
	}
}

func (r *prescriptions) close() {
	tr := r.p.Config().Transport
	_ = r.p.Close()
	if t, ok := tr.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
