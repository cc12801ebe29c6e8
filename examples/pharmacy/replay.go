package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// stage is where a day is played: the counter of a pharmacy, and the platform in this process.
type stage struct {
	counter *counter
	sb      *sandbox.Sandbox
	dir     string // of sandbox.json
	pause   time.Duration
}

var days = map[string]func(context.Context, *stage) error{"insurability": insurabilityDay, "prescriptions": prescriptionDay}

// play plays a day.
func play(ctx context.Context, out io.Writer, lang notice.Lang, pause time.Duration, day func(context.Context, *stage) error) error {
	dir, err := os.MkdirTemp("", "pharmacy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return err
	}
	defer sb.Close()
	if err := sb.WriteEnvironment(dir); err != nil {
		return err
	}
	s := &stage{sb: sb, dir: dir, pause: pause}
	cfg, err := s.config("pharmacist")
	if err != nil {
		return err
	}
	if s.counter, err = open(ctx, cfg, lang, out); err != nil {
		return err
	}
	defer s.counter.platform.Close()
	if _, err := s.counter.platform.Tokens.Login(ctx); err != nil { // as every morning
		return err
	}
	return day(ctx, s)
}

// config is that of the first person or organisation with a role.
func (s *stage) config(role string) (ehealth.Config, error) {
	cfg, err := ehealth.LoadConfigAs(filepath.Join(s.dir, "sandbox.json"), role)
	cfg.DataDir = filepath.Join(s.dir, "data of the "+role) // keeps what is known and what waits
	cfg.Transport = s.sb.HTTPClient().Transport             // to the sandbox in this process
	return cfg, err
}

// scene announces what happens, injects it, and lets some time pass. No fault at all ends those that there are.
func (s *stage) scene(ctx context.Context, what string, faults ...string) error {
	s.counter.say("%s", what)
	if len(faults) == 0 {
		s.sb.ClearFaults()
	}
	for _, row := range faults {
		step, err := sandbox.ParseStep(row)
		if err != nil {
			return err
		}
		if _, err := s.sb.Inject(step); err != nil {
			return err
		}
	}
	return s.wait(ctx)
}

func (s *stage) wait(ctx context.Context) error {
	select {
	case <-time.After(s.pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// insurabilityDay asks whether customers are insured, and ends when every sale that was made in the dark was looked at.
func insurabilityDay(ctx context.Context, s *stage) error {
	c := s.counter
	serve := func(sale string, who sandbox.Scenario) { c.serve(ctx, sale, s.sb.Patient(who).SSIN) }
	if err := s.scene(ctx, "All is well."); err != nil {
		return err
	}
	serve("sale 1", sandbox.Insured)
	serve("sale 2", sandbox.Preferential)
	if err := s.scene(ctx, "The platform fails.", "esb 0 to_end http status=503;body=html"); err != nil {
		return err
	}
	serve("sale 3", sandbox.Preferential)
	if err := s.scene(ctx, "The insurers' own line fails too.", "genins-direct 0 to_end refuse -"); err != nil {
		return err
	}
	serve("sale 4", sandbox.Insured)
	serve("sale 5", sandbox.Transferred)
	serve("sale 6", sandbox.NoIO)
	if err := s.scene(ctx, "All is well again."); err != nil {
		return err
	}
	serve("sale 7", sandbox.Insured)
	c.say("What was sold without the platform is checked, soon but not all at once.")
	for len(c.sales) > 0 {
		select {
		case r := <-c.checked:
			c.look(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// prescriptionDay dispenses what a doctor prescribed, and ends when Recip-e knows all of it.
func prescriptionDay(ctx context.Context, s *stage) error {
	c := s.counter
	barcodes, err := s.prescribe(ctx, 4)
	if err != nil {
		return err
	}
	sell := func(n int) {
		sale := fmt.Sprint("sale ", n)
		if d := c.scan(ctx, sale, barcodes[n-1]); d != nil {
			d.Items = []recipe.DispensedItem{{CNK: product, Quantity: 1}} // as the pharmacist takes it from the shelf
			c.dispense(ctx, *d)
		}
	}
	if err := s.scene(ctx, "All is well."); err != nil {
		return err
	}
	sell(1)
	if err := s.scene(ctx, "Recip-e fails.", "recipe-exec 0 to_end fault code=SOA-02001", "recipe-direct 0 to_end refuse -"); err != nil {
		return err
	}
	sell(2)
	sell(3)
	if err := s.wait(ctx); err != nil {
		return err
	}
	c.say("All is well again, and the customer of sale 3 takes the same proof to another pharmacy.")
	s.sb.ClearFaults()
	if err := s.elsewhere(ctx, barcodes[2]); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	sell(4)
	sell(3) // once more
	return nil
}

// product is what the doctor prescribes.
var product = identity.MustCNK("1234566")

// prescribe makes prescriptions, each for somebody else, and returns what is on their proofs.
func (s *stage) prescribe(ctx context.Context, n int) (barcodes []string, err error) {
	cfg, err := s.config("doctor")
	if err != nil {
		return nil, err
	}
	cfg.Recipe, cfg.Outbox = &ehealth.Recipe{}, &ehealth.Outbox{}
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	doctor := s.sb.Person(identity.Doctor, 0)
	for i, x := range s.sb.Patients()[:n] {
		y, m, d := x.Birth.Date()
		made, err := p.Recipe.Prescriber.Create(ctx, recipe.CreateRequest{
			Reference: fmt.Sprint("visit ", i+1), Type: identity.PrescriptionP0,
			Prescription: kmehr.Prescription{
				Author: kmehr.Author{
					NIHII: doctor.NIHII, FirstName: kmehr.Hide(doctor.FirstName), FamilyName: kmehr.Hide(doctor.LastName), Phone: kmehr.Hide("+3220000000"),
					Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Bruxelles"), Street: kmehr.Hide("Rue"), Number: kmehr.Hide("1")},
				},
				Software: kmehr.Software{Name: "Practice", Version: "1.0", Phone: "+3220000000", Email: "support@example.be"},
				Source:   kmehr.Source{Version: "SAMPLE"},
				Patient:  kmehr.Patient{SSIN: x.SSIN, FirstName: kmehr.Hide(x.FirstName), FamilyName: kmehr.Hide(x.LastName), Birth: kmehr.NewDay(y, m, d)},
				Items: []kmehr.Item{{
					Medicine: &kmehr.Medicine{CNK: product, Name: kmehr.Hide("Sampelium 10 mg")}, Quantity: kmehr.Quantity{Value: "1"},
					Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 par jour")},
				}},
			},
		})
		if err != nil {
			return nil, err
		}
		barcodes = append(barcodes, made.RID.Reveal())
	}
	return barcodes, nil
}

// elsewhere lets another pharmacy dispense a prescription.
func (s *stage) elsewhere(ctx context.Context, barcode string) error {
	cfg, err := s.config("pharmacist")
	if err != nil {
		return err
	}
	other := s.sb.Organisation(identity.Pharmacy, 1)
	if cfg.Identity, err = loaded(other.Keystore); err != nil {
		return err
	}
	if cfg.Login, err = loaded(other.Holder.Keystore); err != nil {
		return err
	}
	cfg.Session = sts.Identity{}
	cfg.Caller = insurability.Caller{
		Quality: identity.Pharmacy, NIHII: identity.MustNIHII(other.Number), Name: other.Name,
		Holder: &insurability.Holder{NIHII: other.Holder.NIHII, Name: other.Holder.Name(), SSIN: other.Holder.SSIN},
	}
	cfg.DataDir, cfg.Recipe, cfg.Outbox = filepath.Join(s.dir, "data elsewhere"), &ehealth.Recipe{}, &ehealth.Outbox{}
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Recipe.Dispenser.Dispense(ctx, recipe.Dispensing{RID: identity.MustRID(barcode)})
	return err
}

func loaded(store func(password string) ([]byte, error)) (keystore.Source, error) {
	const password = "in memory only"
	file, err := store(password)
	if err != nil {
		return nil, err
	}
	return keystore.Load(file, password)
}
