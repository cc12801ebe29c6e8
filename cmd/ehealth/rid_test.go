package main_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

// standing is the answer of rid.
type standing struct {
	State, Type, By, Pharmacy, Role, Took, Next string
}

// opened is a platform as somebody of the shared sandbox, with prescriptions and outbox.
func opened(t *testing.T, role string) *ehealth.Platform {
	t.Helper()
	cfg, err := ehealth.LoadConfigAs(shared.ready.Config, role)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir, cfg.Outbox, cfg.Recipe = t.TempDir(), &ehealth.Outbox{}, &ehealth.Recipe{}
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// prescribed is a prescription of the first doctor for the first patient.
func prescribed(t *testing.T) identity.RID {
	t.Helper()
	made, err := opened(t, "").Recipe.Prescriber.Create(t.Context(), prescription(t, t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	return made.RID
}

// prescription is one of the first doctor for the first patient.
func prescription(t *testing.T, reference string) recipe.CreateRequest {
	t.Helper()
	e := file(t)
	who := e.Patients[0]
	birth, err := kmehr.ParseDay(who.Birth)
	if err != nil {
		t.Fatal(err)
	}
	return recipe.CreateRequest{
		Reference: reference, Type: identity.PrescriptionP0,
		Prescription: kmehr.Prescription{
			Author: kmehr.Author{
				NIHII: identity.MustNIHII(e.Caller.NIHII), FirstName: kmehr.Hide("Anne"), FamilyName: kmehr.Hide("Exemple"), Phone: kmehr.Hide("+3220000000"),
				Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Bruxelles"), Street: kmehr.Hide("Rue"), Number: kmehr.Hide("1")},
			},
			Software: kmehr.Software{Name: "Example", Version: "1.0", Phone: "+3220000000", Email: "support@example.be"},
			Source:   kmehr.Source{Version: "SAMPLE"},
			Patient: kmehr.Patient{
				SSIN: identity.MustSSIN(who.SSIN), FirstName: kmehr.Hide(who.FirstName), FamilyName: kmehr.Hide(who.LastName), Birth: birth,
			},
			Items: []kmehr.Item{{
				Medicine: &kmehr.Medicine{CNK: identity.MustCNK("1234566"), Name: kmehr.Hide("Sampelium 10 mg")}, Quantity: kmehr.Quantity{Value: "1"},
				Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 par jour")},
			}},
		},
	}
}

// telling runs rid, which must not show the number that it was asked about, nor anybody else's.
func telling(t *testing.T, rid identity.RID, args ...string) result {
	t.Helper()
	r := call(t, append([]string{"rid"}, args...)...)
	if text := r.out + r.err; rid.Reveal() != "" && strings.Contains(strings.ToUpper(text), rid.Reveal()) || strings.Contains(text, "Sampelium") {
		t.Error("the output tells which prescription it is about")
	}
	return r
}

// TestRID follows a prescription from its doctor to the archive of a pharmacy, through the eyes of everybody who may ask.
func TestRID(t *testing.T) {
	rid := prescribed(t)
	ask := func(role string) (s standing) {
		t.Helper()
		args := []string{rid.Reveal(), "--json", "--config", shared.ready.Config}
		if role != "" {
			args = append(args, "--as", role)
		}
		decode(t, telling(t, rid, args...), done, &s)
		if took, err := time.ParseDuration(s.Took); err != nil || took <= 0 {
			t.Errorf("took %q", s.Took)
		}
		return s
	}
	for role, service := range map[string]string{"": "prescriber", "pharmacist": "executor", "patient": "patient"} {
		s := ask(role)
		if s.State != "NotDelivered" || s.Type != "P0" || s.By != "" || s.Pharmacy != "" || s.Role != service || !strings.Contains(s.Next, "revoke") {
			t.Errorf("as %s: %+v", service, s)
		}
	}
	at := opened(t, "pharmacist").Recipe
	got, err := at.Executor.Get(t.Context(), rid)
	if err != nil {
		t.Fatal(err)
	}
	if s := ask("pharmacist"); s.State != "InProcess" || s.By != "own" {
		t.Errorf("%+v", s)
	}
	if _, err := at.Dispenser.Dispense(t.Context(), recipe.Dispensing{RID: rid, Fetched: got}); err != nil {
		t.Fatal(err)
	}
	if s := ask("pharmacist"); s.State != "Delivered" || s.By != "own" || !strings.Contains(s.Next, "archive") {
		t.Errorf("%+v", s)
	}
	if s := ask(""); s.State != "Delivered" || s.By != "other" || s.Pharmacy != "" {
		t.Errorf("%+v", s)
	}
	if _, err := at.Dispenser.Archive(t.Context(), rid); err != nil {
		t.Fatal(err)
	}
	r := telling(t, rid, rid.Reveal(), "--config", shared.ready.Config)
	lines := strings.Split(r.out, "\n")
	if r.code != done || r.err != "" || len(lines) != 4 || lines[0] != "Archived, by another pharmacy" ||
		!strings.HasPrefix(lines[1], "type P0, asked as prescriber in ") || lines[2] != "nothing: it is final" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	// Spaces and small letters, as people type; and the number of the pharmacy, when asked for.
	typed := strings.ToLower(rid.Reveal()[:4]) + " " + rid.Reveal()[4:]
	out, err := execute(t, "rid", typed, "--reveal", "--json", "--config", shared.ready.Config)
	var s standing
	if err != nil || json.Unmarshal([]byte(out), &s) != nil || s.Pharmacy == "" || !strings.HasPrefix(at.Executor.Caller().NIHII.Reveal(), s.Pharmacy[:8]) {
		t.Errorf("%+v, %v", s, err)
	}
	if out, err = execute(t, "rid", typed, "--reveal", "--config", shared.ready.Config); err != nil || !strings.Contains(out, "("+s.Pharmacy+")") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRIDRefused: wrong usage, callers who have no prescriptions, and a prescription that does not exist.
func TestRIDRefused(t *testing.T) {
	unknown := identity.MustRID("BEP0ABCDEFGH")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"too short":     {[]string{"BEP0ABCDEFG", "--config", shared.ready.Config}, usage},
		"a letter O":    {[]string{"BEP0ABCDEFGO", "--config", shared.ready.Config}, usage},
		"a person":      {[]string{insured, "--config", shared.ready.Config}, usage},
		"two":           {[]string{unknown.Reveal(), unknown.Reveal(), "--config", shared.ready.Config}, usage},
		"two, one long": {[]string{unknown.Reveal(), unknown.Reveal() + "0", "--config", shared.ready.Config}, usage},
		"nobody's role": {[]string{unknown.Reveal(), "--as", "astronaut", "--config", shared.ready.Config}, usage},
		"a logopedist":  {[]string{unknown.Reveal(), "--as", "logopedist", "--config", shared.ready.Config}, usage},
		"no such":       {[]string{unknown.Reveal(), "--config", shared.ready.Config}, refused},
		"no such there": {[]string{unknown.Reveal(), "--as", "pharmacist", "--config", shared.ready.Config}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			r := telling(t, unknown, c.args...)
			if r.code != c.code || r.err == "" || r.out != "" || strings.Contains(r.err, "BEP0") {
				t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
			}
		})
	}
}

// TestRIDUnavailable: Recip-e does not answer, and the person is told so in their language.
func TestRIDUnavailable(t *testing.T) {
	shared.inject(t, "recipe-presc 0 to_end fault code=SOA-02001\nrecipe-exec 0 to_end fault code=SOA-02001\nrecipe-direct 0 to_end fault code=SOA-02001")
	rid := identity.MustRID("BEP0ABCDEFGH")
	var f struct {
		failure
		Notice struct{ ID string }
	}
	decode(t, telling(t, rid, rid.Reveal(), "--json", "--config", shared.ready.Config), unavailable, &f)
	if f.Error.Code != "SOA-02001" || f.Notice.ID != "D-DOWN" {
		t.Errorf("%+v", f)
	}
	r := telling(t, rid, rid.Reveal(), "--lang", "nl", "--as", "pharmacist", "--config", shared.ready.Config)
	if r.code != unavailable || r.out != "" || !strings.Contains(r.err, "\nRecip-e") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}
