package paper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/paper"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// permit is a real one, for a prescription that nobody tried to create: nothing is asked of anybody.
func permit(ctx context.Context, reference string) (recipe.Permit, error) {
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
	return p.Paper(ctx, reference)
}

type noSecurity struct{ exchange.Security }

func TestFallback(t *testing.T) {
	granted, err := permit(t.Context(), "visit 4711")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := paper.Fallback(&out, paper.Form{Content: example(), Permit: granted}); err != nil || !bytes.HasPrefix(out.Bytes(), []byte("%PDF-")) {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
	if bytes.Contains(out.Bytes(), []byte("4711")) {
		t.Error("the reference is on the form")
	}
	out.Reset()
	err = paper.Fallback(&out, paper.Form{Content: example()})
	if !errors.Is(err, paper.ErrPermit) || !errors.Is(err, fault.ErrInvalid) || out.Len() > 0 {
		t.Errorf("without a permit: %v, %d bytes", err, out.Len())
	}
}

// The form is only written for whom the prescriber's client has given a permit.
func ExampleFallback() {
	granted, err := permit(context.Background(), "visit 4711")
	if err != nil {
		fmt.Println(err)
		return
	}
	var page bytes.Buffer
	fmt.Println(paper.Fallback(&page, paper.Form{Content: example(), Permit: granted}))
	fmt.Println(paper.Fallback(&page, paper.Form{Content: example()}))
	// Output:
	// <nil>
	// paper.Fallback: invalid (outcome not sent): paper: no permit for a prescription on paper
}
