package ehealth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Recipe configures [Platform.Recipe], prescriptions. The zero value does for most. What is asked is sealed with the
// authentication key of Config.Identity, and opened with its encryption keys: it must be a key store in eHealth's layout.
type Recipe struct {
	// ProgramID names the software to Recip-e; "" = Config.Software.Name (dossier 04 section 3.3).
	ProgramID string
	// Recipients are the names of Recip-e in the ETK depot, in order; nil = CBE 0823257311 alone. The number was to
	// change in February 2026 and did not (dossier 04 section 9.1): who wants to be ready adds
	// [etee.RecipeNewIdentifier].
	Recipients []etee.Identifier
	// Earlier are the key stores from before renewals of the certificate: old feedback and notifications are sealed
	// for old keys.
	Earlier []keystore.Source
	// Timeout bounds one call; 0 = [recipe.DefaultTimeout].
	Timeout time.Duration
	// Options are further options of the clients, Dispenser those of the pharmacy's.
	Options   []recipe.Option
	Dispenser []recipe.DispenserOption
	// Stamps is whom signatures of time-stamped prescriptions must come from; nil = they are marked as not verified.
	Stamps *recipe.StampTrust
	// OnEvent is told what became of prescriptions after their call had ended, OnReport what is wrong with what a
	// pharmacy dispensed. They must return soon. nil = nobody is.
	OnEvent  func(recipe.Event)
	OnReport func(recipe.Report)
}

// FunctionRecipe is the function in [Platform.Health] that says whether Recip-e works; its notices speak of
// [notice.RecipE]. It is there when Config.Recipe is set.
const FunctionRecipe = "recipe"

// Prescriptions is Recip-e as the caller sees it: one of a prescriber, a pharmacy and a patient. See package recipe for what
// is guaranteed.
type Prescriptions struct {
	// Prescriber is there for doctors, dentists, midwives, nurses, physiotherapists and hospitals.
	Prescriber *recipe.Prescriber
	// Executor and Dispenser are there for pharmacies: the Dispenser confirms what was dispensed through
	// [Platform.Outbox], whatever happens; the Executor asks and marks now or not at all.
	Executor  *recipe.Executor
	Dispenser *recipe.Dispenser
	// Patient is there for a caller without a quality.
	Patient *recipe.Patient
}

// patient tells whether the caller is a person without a profession.
func (c *Config) patient() bool {
	return c.Caller.Quality == "" && !c.Caller.SSIN.IsZero() && c.Recipe != nil
}

// recipeRole is which of the three services the caller may use.
func (c *Config) recipeService() string {
	switch c.Caller.Quality {
	case identity.Doctor, identity.Dentist, identity.Midwife, identity.Nurse, identity.Physiotherapist, identity.Hospital:
		return recipe.ServicePrescriber
	case identity.Pharmacy, identity.Pharmacist, identity.OTDPharmacy:
		return recipe.ServiceExecutor
	case "":
		return recipe.ServicePatient
	}
	return ""
}

var errNoPrescriptions = errors.New("recipe: this caller neither prescribes nor dispenses")

// openRecipe wires prescriptions, all but the outbox. Nothing is asked.
func (p *Platform) openRecipe(ctx context.Context, hok keystore.Credential) error {
	cfg := p.config.Recipe
	if cfg == nil {
		return nil
	}
	service := p.config.recipeService()
	if service == "" {
		return errNoPrescriptions
	}
	if err := p.openSeals(ctx, hok); err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	// Prescriptions live for a year: the age of a signing time says nothing.
	opener, err := etee.NewOpener(p.seals.keys, p.seals.trust, etee.Policy{NonRepudiation: true, Window: -1})
	if err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	with := recipe.Platform{
		Exchange: p.exchange, Security: p.security, Depot: p.seals.depot, KGSS: p.seals.kgss, Sealer: p.seals.sealer,
		Opener: opener, Tokens: p.Tokens, Engine: p.Resilience,
	}
	who := recipe.Caller{NIHII: p.config.Caller.NIHII, Quality: p.config.Caller.Quality, SSIN: p.config.Caller.SSIN}
	r := &Prescriptions{}
	switch options := cfg.options(&p.config); service {
	case recipe.ServicePrescriber:
		r.Prescriber, err = recipe.NewPrescriber(with, who, options...)
	case recipe.ServicePatient:
		r.Patient, err = recipe.NewPatient(with, who, options...)
	default:
		who.Quality = identity.Pharmacy // a pharmacist logs in for the pharmacy
		err = r.pharmacy(with, who, cfg, options)
	}
	if err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	p.Recipe = r
	return nil
}

func (r *Prescriptions) pharmacy(with recipe.Platform, who recipe.Caller, cfg *Recipe, options []recipe.Option) (err error) {
	if r.Executor, err = recipe.NewExecutor(with, who, options...); err != nil {
		return err
	}
	if cfg.Stamps != nil {
		r.Executor = r.Executor.WithStampTrust(*cfg.Stamps)
	}
	more := cfg.Dispenser
	if cfg.OnReport != nil {
		more = append([]recipe.DispenserOption{recipe.WithReports(cfg.OnReport)}, more...)
	}
	r.Dispenser, err = recipe.NewDispenser(r.Executor, more...)
	return err
}

// heard tells whether the program listens to what became of prescriptions.
func (r *Recipe) heard() bool { return r != nil && r.OnEvent != nil }

func (r *Recipe) options(c *Config) []recipe.Option {
	program := r.ProgramID
	if program == "" {
		program = c.Software.Name
	}
	out := []recipe.Option{recipe.WithProgramID(program), recipe.WithRecipients(r.Recipients...), recipe.WithTimeout(r.Timeout)}
	if r.heard() || c.Outbox != nil && c.Outbox.OnEvent != nil { // what is told there depends on what is settled here
		out = append(out, recipe.WithEvents(func(e recipe.Event) {
			if r.OnEvent != nil {
				r.OnEvent(e)
			}
		}))
	}
	return append(out, r.Options...)
}

func (r *Prescriptions) use(b *outbox.Box) {
	switch {
	case r == nil:
	case r.Prescriber != nil:
		r.Prescriber.Use(b)
	case r.Dispenser != nil:
		r.Dispenser.Use(b)
	}
}

// observe is told of every change in the outbox.
func (r *Prescriptions) observe(e outbox.Event) {
	if r != nil && r.Prescriber != nil {
		r.Prescriber.Observe(e)
	}
}

// queued says how the writes of prescribers and pharmacies are sent.
func (r *Prescriptions) queued() (out []Queued) {
	add := func(all []recipe.Handler, waiting func(int) notice.Notice, tell func(outbox.Event) notice.Notice) {
		for _, k := range all {
			out = append(out, Queued{
				Kind: k.Kind, Handler: k.Handler, Policy: k.Policy, Service: k.Service, Name: notice.RecipE, Waiting: waiting, Tell: tell,
				expiry: k.Kind == recipe.KindCreate || k.Kind == recipe.KindHeld,
			})
		}
	}
	switch {
	case r == nil:
	case r.Prescriber != nil:
		add(r.Prescriber.Handlers(), nil, prescribed)
	case r.Dispenser != nil:
		add(r.Dispenser.Handlers(), notice.PrescriptionsPending, nil)
	}
	return out
}

// prescribed is what to tell about a prescription whose call has ended: it exists, or there certainly is none and paper may be
// given. When nothing was sent, the call itself has said so. One that was held, confirmed or not, has no call: it was refused, or
// cannot be sent and was taken back, or is too late when the day is over. What another prescriber began is not this one's to hear.
func prescribed(e outbox.Event) notice.Notice {
	later := e.Kind == recipe.KindHeld || e.Kind == recipe.KindCreate && e.Priority != outbox.Interactive
	switch {
	case e.Foreign, e.Kind == recipe.KindNumber: // of the latter depends nothing of a patient
		return notice.Notice{}
	case later && (e.To == outbox.Rejected || e.To == outbox.Expired || e.From == outbox.Parked && e.To == outbox.Cancelled):
		return notice.PrescriptionPaper()
	case e.Kind == recipe.KindHeld:
		return notice.Notice{}
	case e.Kind != recipe.KindCreate:
		return itemNotice(e)
	case e.To == outbox.Unknown:
		return notice.Unsure()
	case e.From == outbox.Unknown && e.To == outbox.Done:
		return notice.PrescriptionPrint()
	case e.To == outbox.Expired, e.From == outbox.Unknown && e.To == outbox.Rejected:
		return notice.PrescriptionPaper()
	}
	return notice.Notice{}
}

// recipeNeeds is the service that prescriptions need.
func recipeNeeds(cfg *Config, need func(string, bool) resilience.Need) resilience.Function {
	return resilience.Function{Name: FunctionRecipe, Needs: []resilience.Need{need(cfg.recipeService(), false)}}
}

// recipeAddresses is that of patients, which is in no service list and follows the other two (dossier 04 section 2.1).
func recipeAddresses(e Environment) resilience.Static {
	host := e.host()
	if host == "" {
		return nil
	}
	return resilience.Static{recipe.ServicePatient: {{URL: host + "/Recip-e/v4/Patient", Active: true}}}
}
