package ehealth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// everywhere are the services of the sandbox, etk and kgss among those that others need.
var everywhere = []string{
	"sts", "genins", "genins-direct", "memberdata", "memberdata-direct", "ehbox-cons", "ehbox-pub", "recipe-presc", "recipe-exec", "recipe-direct", "app", "app-direct",
}

// failing are calls that each give an error when their service is away.
func failing(sb *sandbox.Sandbox, d, ph, pat *ehealth.Platform) map[string]func(context.Context) error {
	rid := identity.MustRID("BEP0AAAAAAAA")
	why := identity.Hide("test")
	patient := sb.Patients()[4].SSIN
	first := func(all func(func(identity.RID, error) bool)) (err error) {
		all(func(_ identity.RID, e error) bool { err = e; return false })
		return err
	}
	return map[string]func(context.Context) error{
		"login": func(ctx context.Context) error { _, err := pat.Tokens.Token(ctx); return err },
		"insurability": func(ctx context.Context) error {
			r, err := d.Insurability.NewGenInsRequest(insurability.Query{Patient: patient})
			if err != nil {
				return err
			}
			_, err = d.Insurability.GetInsurability(ctx, r)
			return err
		},
		"member data": func(ctx context.Context) error {
			_, err := d.Insurability.MemberData(ctx, insurability.MemberDataQuery{Patient: patient})
			return err
		},
		"mailbox": func(ctx context.Context) error {
			_, err := d.Mail.Client.GetBoxInfo(ctx, ehbox.GetBoxInfoRequest{})
			return err
		},
		"letter":  func(ctx context.Context) error { _, err := d.Mail.Send(ctx, letter(sb, "down")); return err },
		"get":     func(ctx context.Context) error { _, err := d.Recipe.Prescriber.Get(ctx, rid); return err },
		"status":  func(ctx context.Context) error { _, err := d.Recipe.Prescriber.Status(ctx, rid); return err },
		"open":    func(ctx context.Context) error { return first(d.Recipe.Prescriber.OpenRIDs(ctx, patient)) },
		"revoke":  func(ctx context.Context) error { return d.Recipe.Prescriber.Revoke(ctx, rid, why) },
		"later":   func(ctx context.Context) error { return d.Recipe.Prescriber.QueueRevoke(ctx, rid, why) },
		"again":   func(ctx context.Context) error { return d.Recipe.Prescriber.QueueRevoke(ctx, rid, why) },
		"dispose": func(ctx context.Context) error { _, err := ph.Recipe.Executor.Get(ctx, rid); return err },
		"mark":    func(ctx context.Context) error { return ph.Recipe.Executor.Deliver(ctx, rid) },
		"dispense": func(ctx context.Context) error {
			_, err := ph.Recipe.Dispenser.Dispense(ctx, recipe.Dispensing{RID: rid, Items: []recipe.DispensedItem{{CNK: product, Quantity: 1}}, ForceMajeure: true})
			return err
		},
		"feedback": func(ctx context.Context) error {
			return ph.Recipe.Dispenser.Feedback(ctx, "f", recipe.Feedback{RID: rid, Prescriber: sb.Person(identity.Doctor, 0).NIHII, Text: why})
		},
		"patient": func(ctx context.Context) error { _, err := pat.Recipe.Patient.Status(ctx, rid); return err },
		"another": func(ctx context.Context) error {
			_, err := d.Call(ctx, ehealth.Call{
				Service: "uddi:ehealth-fgov-be:business:app:v1", Body: []byte(`<a/>`), Correlate: func([]byte) error { return nil },
			})
			return err
		},
	}
}

// TestEveryFailureIsTold: of each service that is away the error alone gives the text in every language, and where the text speaks of
// since when, it says it.
func TestEveryFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		cfg := prescribing(t, sb, plain)
		cfg.Outbox.ByHand, cfg.Mail = true, &ehealth.Mail{OnError: func(error) {}}
		shop := pharmacy(t, sb, plain, 0)
		shop.Outbox.ByHand = true
		d, ph := open(t, cfg), open(t, shop)
		who := sb.Citizen(sb.Patients()[4].SSIN)
		own := plain
		file, err := who.Keystore("password")
		own.Identity, own.Recipe = storeOf(t, file, err), &ehealth.Recipe{}
		own.Caller = insurability.Caller{SSIN: who.SSIN, Name: who.Name()}
		for _, p := range []*ehealth.Platform{d, ph} { // logged in while it was possible
			if _, err := p.Tokens.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // until their connections are idle: they share them with who comes later
		for _, service := range everywhere {
			inject(t, sb, service+" 0 to_end refuse -")
		}
		pat := open(t, own) // never logged in
		began := time.Now()
		for round := range 2 { // the second one finds breakers open
			for name, call := range failing(sb, d, ph, pat) {
				err := call(t.Context())
				n, ok := notice.FromError(err, notice.Platform)
				if !ok {
					t.Errorf("%s: nobody is told of %v", name, err)
					continue
				}
				for _, lang := range notice.Langs() {
					if text := n.Text(lang); len(text) < 20 || strings.Contains(text, "--:--") || strings.ContainsAny(text, "{}") {
						t.Errorf("%s: told %q", name, text)
					}
				}
				since := n.Params().Time
				if errors.Is(err, outbox.ErrQueued) && since.IsZero() {
					continue // remembered of an earlier try
				}
				if n.ID() == notice.IDDown && (since.Before(began.Add(-time.Second)) || since.After(time.Now()) || round == 1 && time.Since(since) < 2*time.Minute) {
					t.Errorf("%s: round %d, since %v", name, round, since)
				}
			}
			time.Sleep(3 * time.Minute)
		}
	})
}
