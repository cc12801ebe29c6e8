package paper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/paper"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// permit is a real one, for a prescription that nobody tried to create: nothing is asked of anybody. Without a prescription it is
// not known what it is for.
func permit(ctx context.Context, reference string, x *kmehr.Prescription) (recipe.Permit, error) {
	p, err := recipe.NewPrescriber(recipe.Platform{
		Exchange: new(exchange.Exchanger), Security: noSecurity{}, Depot: new(etee.Depot), KGSS: new(etee.KGSS), Sealer: new(etee.Sealer), Opener: new(etee.Opener),
	}, recipe.Caller{NIHII: identity.MustNIHII("10000007004"), Quality: identity.Doctor}, recipe.WithProgramID("test/1.0"))
	if err != nil {
		return recipe.Permit{}, err
	}
	key, err := outbox.KeyFromBytes(make([]byte, outbox.KeySize))
	if err != nil {
		return recipe.Permit{}, err
	}
	var handlers []outbox.Option
	for _, h := range p.Handlers() {
		handlers = append(handlers, outbox.Handle(h.Kind, h.Handler, h.Policy))
	}
	box, err := outbox.Open(ctx, outboxtest.NewMemory(), outbox.NewKeys(key), handlers...)
	if err != nil {
		return recipe.Permit{}, err
	}
	defer box.Close()
	p.Use(box)
	if x == nil {
		return p.Paper(ctx, reference)
	}
	return p.PaperFor(ctx, reference, *x)
}

// prescribed is what could not be created.
func prescribed() *kmehr.Prescription {
	return &kmehr.Prescription{
		Created: time.Date(2030, 1, 15, 9, 30, 0, 0, time.UTC), Expires: kmehr.NewDay(2030, 4, 14),
		Author:  kmehr.Author{NIHII: identity.MustNIHII("10000007004"), FirstName: kmehr.Hide("Zoë"), FamilyName: kmehr.Hide("Janssens")},
		Patient: kmehr.Patient{SSIN: identity.MustSSIN("00000000196"), FirstName: kmehr.Hide("Anne"), FamilyName: kmehr.Hide("Exemple")},
		Items: []kmehr.Item{{
			Medicine: &kmehr.Medicine{Name: kmehr.Hide("Examplamine 500 mg (20 compr.)")}, Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 compr. par jour")},
			Quantity: kmehr.Quantity{Value: "1"},
		}},
	}
}

type noSecurity struct{ exchange.Security }

func TestFallback(t *testing.T) {
	x := prescribed()
	granted, err := permit(t.Context(), "visit 4711", x)
	if err != nil {
		t.Fatal(err)
	}
	content, err := paper.Of(paper.FR, x)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := paper.Fallback(&out, paper.Form{Content: content, Permit: granted}); err != nil || !bytes.HasPrefix(out.Bytes(), []byte("%PDF-")) {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
	if bytes.Contains(out.Bytes(), []byte("4711")) {
		t.Error("the reference is on the form")
	}
	x.Items[0].Quantity.Value = "9" // afterwards: the content is what it was
	if err := paper.Fallback(&out, paper.Form{Content: content, Permit: granted}); err != nil {
		t.Error(err)
	}
}

// A form is written with the permit for this prescription only.
func TestFallbackRefuses(t *testing.T) {
	patient, medicine := prescribed(), prescribed()
	patient.Patient.SSIN = identity.MustSSIN("85073199704")
	medicine.Items[0].Medicine.Name = kmehr.Hide("Otheramine")
	for name, x := range map[string]*kmehr.Prescription{"another patient": patient, "another medicine": medicine, "not known": nil} {
		granted, err := permit(t.Context(), "visit 4711", x)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, name, paper.Form{Content: of(t), Permit: granted})
	}
	granted, err := permit(t.Context(), "visit 4711", prescribed())
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "no permit", paper.Form{Content: of(t)})
	refused(t, "made by hand", paper.Form{Content: example(), Permit: granted})
}

func of(t *testing.T) paper.Content {
	t.Helper()
	c, err := paper.Of(paper.FR, prescribed())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refused(t *testing.T, name string, f paper.Form) {
	t.Helper()
	var out bytes.Buffer
	if err := paper.Fallback(&out, f); !errors.Is(err, paper.ErrPermit) || !errors.Is(err, fault.ErrInvalid) || out.Len() > 0 {
		t.Errorf("%s: %v, %d bytes", name, err, out.Len())
	}
}

// The form is only written for what the prescriber's client has given a permit.
func ExampleFallback() {
	x := prescribed()
	granted, err := permit(context.Background(), "visit 4711", x)
	if err != nil {
		fmt.Println(err)
		return
	}
	content, err := paper.Of(paper.FR, x)
	if err != nil {
		fmt.Println(err)
		return
	}
	var page bytes.Buffer
	fmt.Println(paper.Fallback(&page, paper.Form{Content: content, Permit: granted}))
	fmt.Println(paper.Fallback(&page, paper.Form{Content: content}))
	// Output:
	// <nil>
	// paper.Fallback: invalid (outcome not sent): paper: no permit for a prescription on paper
}
