package recipe_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// Documents that the caller made are held to the same rules, and are sealed as they are.
func TestDocument(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		doc, err := kmehr.Write(s.prescription())
		ok(t, err)
		c, err := s.p.Create(t.Context(), recipe.CreateRequest{Document: doc, Type: identity.PrescriptionP0})
		ok(t, err)
		got, err := s.p.Get(t.Context(), c.RID)
		ok(t, err)
		if string(got.Message.Bytes()) != string(doc) {
			t.Error("another document came back")
		}
		sent := s.requests()
		other := s.prescription()
		other.Author.NIHII = s.sb.Person(identity.Doctor, 1).NIHII
		past := s.prescription()
		past.Created, past.Expires = time.Now().AddDate(-1, 0, 0), kmehr.DayOf(time.Now().AddDate(0, 0, -1))
		late := s.prescription()
		late.Expires = kmehr.DayOf(time.Now().AddDate(1, 0, 2))
		for name, r := range map[string]recipe.CreateRequest{
			"both":              {Document: doc, Prescription: s.prescription(), Type: identity.PrescriptionP0},
			"no document":       {Document: []byte("<kmehrmessage/>"), Type: identity.PrescriptionP0},
			"no XML":            {Document: []byte("<"), Type: identity.PrescriptionP0},
			"no type":           {Document: doc},
			"another author":    {Prescription: other, Type: identity.PrescriptionP0},
			"expired":           {Prescription: past, Type: identity.PrescriptionP0},
			"more than a year":  {Prescription: late, Type: identity.PrescriptionP0},
			"a pharmacy's view": {Document: doc, Type: identity.PrescriptionP0, Vision: "20000000-PHARMACY.NIHII"},
			"nothing":           {Type: identity.PrescriptionP0},
		} {
			_, err := s.p.Create(t.Context(), r)
			if e, whole := errors.AsType[*fault.Error](err); !whole || e.Kind != fault.Invalid || e.Outcome != fault.NotSent || e.Notice != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s.requests() != sent {
			t.Errorf("%d requests for what is wrong", s.requests()-sent)
		}
		s.expiryAsText(doc)
	})
}

// expiryAsText: the day of expiry goes out beside the document, and the two are compared as texts (dossier 04 section 9.7, 500022): a text that
// is another spelling of the day is refused, and the document is not touched.
func (s *surgery) expiryAsText(doc []byte) {
	s.t.Helper()
	t := s.t
	const open, shut = "<expirationdate>", "</expirationdate>"
	sent := s.requests()
	for name, c := range map[string]struct{ before, behind string }{
		"offset": {"", "+02:00"}, "UTC": {"", "Z"}, "blank before": {" ", ""}, "line break behind": {"", "\n"},
	} {
		changed := strings.Replace(strings.Replace(string(doc), open, open+c.before, 1), shut, c.behind+shut, 1)
		_, err := s.p.Create(t.Context(), recipe.CreateRequest{Document: []byte(changed), Type: identity.PrescriptionP0})
		e, whole := errors.AsType[*fault.Error](err)
		if !whole || e.Kind != fault.Invalid || e.Outcome != fault.NotSent || e.Notice != "" ||
			!strings.Contains(err.Error(), "500022") || !strings.Contains(err.Error(), "expirationdate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.requests() != sent {
		t.Errorf("%d requests for what is wrong", s.requests()-sent)
	}
	// Taken out of such a document, the day is written anew.
	m, err := kmehr.Parse([]byte(strings.Replace(string(doc), shut, "+02:00"+shut, 1)))
	ok(t, err)
	c, err := s.p.Create(t.Context(), recipe.CreateRequest{Prescription: m.Prescription(), Type: identity.PrescriptionP0})
	ok(t, err)
	got, err := s.p.Get(t.Context(), c.RID)
	ok(t, err)
	if text := got.Message.RevealExpiry(); len(text) != len("2030-04-14") || !strings.Contains(string(doc), open+text+shut) {
		t.Error("another day of expiry")
	}
}

// Who finds a prescription can be changed, in both generations, with and without what the schema asks for and nobody sends.
func TestVision(t *testing.T) {
	for name, opts := range map[string][]recipe.Option{
		"2023": nil, "2021": {recipe.WithGeneration(protocol.Gen2021)}, "administrative": {recipe.WithVisionAdministrative()},
	} {
		t.Run(name, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				c := s.mustCreate("one")
				locked, open := protocol.VisionLocked, protocol.VisionOpen
				v := recipe.Visibility{Vision: &locked, Others: protocol.OthersLocked}
				if name == "2021" {
					if err := s.p.PutVision(t.Context(), c.RID, v); fault.KindOf(err) != fault.Invalid {
						t.Errorf("what this generation does not know: %v", err)
					}
					r := s.request("others")
					r.VisionOthers = protocol.OthersLocked
					if _, err := s.p.Create(t.Context(), r); fault.KindOf(err) != fault.Invalid {
						t.Errorf("what this generation does not know: %v", err)
					}
					v.Others = ""
				}
				ok(t, s.p.PutVision(t.Context(), c.RID, v))
				p, _ := s.sb.Prescription(c.RID.Reveal())
				if others := v.Others != ""; p.Vision != "locked" || (p.OtherPrescribers == "locked") != others {
					t.Errorf("vision %q, others %q", p.Vision, p.OtherPrescribers)
				}
				ok(t, s.p.PutVision(t.Context(), c.RID, recipe.Visibility{Vision: &open}))
				if p, _ = s.sb.Prescription(c.RID.Reveal()); p.Vision != "" {
					t.Errorf("vision %q", p.Vision)
				}
				pharmacy := protocol.Vision("20000000-PHARMACY.NIHII")
				if err := s.p.PutVision(t.Context(), c.RID, recipe.Visibility{Vision: &pharmacy}); fault.KindOf(err) != fault.Invalid {
					t.Errorf("error %v", err)
				}
			}, opts...)
		})
	}
}

// Whoever gives up waiting while the message is away has not taken it back.
func TestGivenUp(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		s.inject("recipe-presc 0 60 hang exec=1\nrecipe-direct 0 60 hang exec=1")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		_, err := s.p.Create(ctx, s.request("lost"))
		s.wantUnsure("lost", err)
		s.reopen()
		s.work()
		s.settles("lost")
	})
	inSandbox(t, func(t *testing.T, s *surgery) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.p.Create(ctx, s.request("never"))
		s.wantNotCreated("never", err)
	})
}

// What a client cannot work without is said when it is made.
func TestConfiguration(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		who := recipe.Caller{NIHII: s.person.NIHII, Quality: identity.Doctor}
		named := recipe.WithProgramID("test/1.0")
		for name, f := range map[string]func() error{
			"no platform": func() error { _, err := recipe.NewPrescriber(recipe.Platform{}, who, named); return err },
			"no caller":   func() error { _, err := recipe.NewPrescriber(s.link, recipe.Caller{}, named); return err },
			"no number": func() error {
				_, err := recipe.NewPrescriber(s.link, recipe.Caller{SSIN: s.person.SSIN}, named)
				return err
			},
			"no program": func() error { _, err := recipe.NewPrescriber(s.link, who); return err },
			"endless":    func() error { _, err := recipe.NewPrescriber(s.link, who, named, recipe.WithTimeout(-1)); return err },
			"boundless":  func() error { _, err := recipe.NewPrescriber(s.link, who, named, recipe.WithMaxAnswer(-1)); return err },
		} {
			if f() == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		p, err := recipe.NewPrescriber(s.link, who, named, recipe.WithTimeout(0), recipe.WithMaxAnswer(0), recipe.WithRecipients())
		ok(t, err)
		if c := p.Config(); c.Timeout != recipe.DefaultTimeout || c.MaxAnswer != recipe.DefaultMaxAnswer || len(c.Recipients) != 1 || c.Generation != protocol.Gen2023 {
			t.Errorf("defaults %v %v %v", c.Timeout, c.MaxAnswer, c.Generation)
		}
		if _, err := p.Create(t.Context(), s.request("x")); !errors.Is(err, recipe.ErrNoOutbox) {
			t.Errorf("error %v", err)
		}
	})
}
