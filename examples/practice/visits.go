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
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// surgery is where a day of prescriptions is played.
type surgery struct {
	p     *practice
	sb    *sandbox.Sandbox
	out   io.Writer
	pause time.Duration
	seen  map[int]visit // the files of patients
}

// play plays a day of prescriptions.
func play(ctx context.Context, out io.Writer, at desk, pause time.Duration, day func(context.Context, *surgery) error) error {
	dir, err := os.MkdirTemp("", "practice")
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
	cfg, err := ehealth.LoadConfig(filepath.Join(dir, "sandbox.json"))
	if err != nil {
		return err
	}
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.Transport = sb.HTTPClient().Transport // to the sandbox in this process
	p, err := openPractice(ctx, cfg, at)
	if err != nil {
		return err
	}
	defer p.Close()
	return day(ctx, &surgery{p: p, sb: sb, out: out, pause: pause, seen: map[int]visit{}})
}

// prescriptionDay sees four patients: one while all is well, one whose answer is lost, and two while Recip-e is away.
func prescriptionDay(ctx context.Context, s *surgery) error {
	// What a prescription needs beside Recip-e is fetched when the patient's file is opened.
	if err := s.p.platform.Recipe.Prescriber.Prepare(ctx, s.sb.Patients()[0].SSIN, 1); err != nil {
		return err
	}
	prescribe, settle, form := s.p.prescribe, s.p.settle, s.p.form
	for _, act := range []func() error{
		func() error { return s.scene("All is well.", "") },
		func() error { return s.tell(ctx, "visit 1", 1, prescribe) },

		func() error {
			return s.scene("Recip-e takes a prescription in, and its answer is lost.", "lost_ack p=1")
		},
		func() error { return s.tell(ctx, "visit 2", 2, prescribe) },
		func() error { return s.tell(ctx, "visit 2, on paper?", 2, form) },
		func() error { return s.scene("The network is well again.", "") },
		func() error { return s.tell(ctx, "visit 2", 2, settle) },
		func() error { return s.wait(ctx) },

		func() error { return s.scene("Recip-e does not answer at all.", "refuse -") },
		func() error { return s.tell(ctx, "visit 3", 3, prescribe) },
		func() error { return s.tell(ctx, "visit 4, by telephone", 4, prescribe) },
		func() error { return s.p.confirm(ctx, s.seen[4]) },
		func() error { return s.wait(ctx) },

		func() error { return s.scene("All is well again.", "") },
		func() error { return s.tell(ctx, "visit 4", 4, settle) },
		func() error { return s.tell(ctx, "visit 3, once more", 3, prescribe) },
	} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

// scene announces what happens, and what is wrong with both addresses of Recip-e from now on; "" = nothing.
func (s *surgery) scene(what, fault string) error {
	fmt.Fprintln(s.out, what)
	s.sb.ClearFaults()
	if fault == "" {
		return nil
	}
	for _, service := range []string{"recipe-presc", "recipe-direct"} {
		step, err := sandbox.ParseStep(service + " 0 to_end " + fault)
		if err != nil {
			return err
		}
		if _, err := s.sb.Inject(step); err != nil {
			return err
		}
	}
	return nil
}

// tell ends the n-th visit, and prints what the person is told.
func (s *surgery) tell(ctx context.Context, name string, n int, end func(context.Context, visit) (string, error)) error {
	v, known := s.seen[n]
	if !known {
		var err error
		if v, err = s.visit(n); err != nil {
			return err
		}
		s.seen[n] = v
	}
	said, err := end(ctx, v)
	if err == nil {
		fmt.Fprintf(s.out, "%s: %s\n", name, said)
	}
	return err
}

func (s *surgery) wait(ctx context.Context) error {
	select {
	case <-time.After(s.pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// visit is that of the n-th patient; the fourth telephones. A real program takes all of it from the patient's file and from
// the database of medicines.
func (s *surgery) visit(n int) (visit, error) {
	doctor, x := s.sb.Person(identity.Doctor, 0), s.sb.Patients()[n-1]
	y, m, d := x.Birth.Date()
	rx, err := kmehr.Prescription{
		Author: kmehr.Author{
			NIHII: doctor.NIHII, FirstName: kmehr.Hide(doctor.FirstName), FamilyName: kmehr.Hide(doctor.LastName), Phone: kmehr.Hide("+3220000000"),
			Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Bruxelles"), Street: kmehr.Hide("Rue"), Number: kmehr.Hide("1")},
		},
		Software: kmehr.Software{Name: "Practice", Version: "1.0", Phone: "+3220000000", Email: "support@example.be"},
		Source:   kmehr.Source{Version: "SAMPLE"},
		Patient:  kmehr.Patient{SSIN: x.SSIN, FirstName: kmehr.Hide(x.FirstName), FamilyName: kmehr.Hide(x.LastName), Birth: kmehr.NewDay(y, m, d)},
		Items: []kmehr.Item{{
			Medicine: &kmehr.Medicine{CNK: identity.MustCNK("1234566"), Name: kmehr.Hide("Sampelium 10 mg")},
			Quantity: kmehr.Quantity{Value: "1"}, Posology: kmehr.Text{Lang: string(s.p.desk.paper()), Text: kmehr.Hide("1 x 1")},
		}},
	}.Fill(time.Now())
	return visit{name: fmt.Sprint("visit ", n), rx: rx, absent: n == 4}, err
}
