package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// texts are what the person at the counter reads: the insurers' own line, a stored answer, none.
var texts = map[notice.Lang][3]string{
	notice.FR: {
		"[info] L'assurabilité est vérifiée par la ligne de secours des mutualités. Vous n'avez rien à faire.",
		"Pas de connexion. Assurabilité telle que vérifiée le",
		"Assurabilité non vérifiable. Patient connu : fiez-vous à sa déclaration. En cas de doute : prix public et annexe 30.",
	},
	notice.NL: {
		"[info] De verzekerbaarheid wordt via de noodlijn van de ziekenfondsen nagegaan. U hoeft niets te doen.",
		"Geen verbinding. Verzekerbaarheid zoals nagegaan op",
		"Verzekerbaarheid niet na te gaan. Bekende patiënt: ga af op zijn verklaring. Bij twijfel: publieksprijs en bijlage 30.",
	},
	notice.DE: {
		"[info] Die Versicherbarkeit wird über die Notleitung der Krankenkassen geprüft. Sie müssen nichts tun.",
		"Keine Verbindung. Versicherbarkeit laut Prüfung vom",
		"Versicherbarkeit nicht prüfbar. Bekannter Patient: seiner Angabe vertrauen. Im Zweifel: öffentlicher Preis und Anlage 30.",
	},
	notice.EN: {
		"[info] Insurability is checked through the mutualities' backup line. Nothing to do.",
		"No connection. Insurability shown as checked on",
		"Insurability cannot be checked. Known patient: rely on what the patient states. In doubt: charge the public price and give Annex 30.",
	},
}

var guaranteed = map[notice.Lang]string{
	notice.FR: "le paiement est garanti", notice.NL: "betaling is gewaarborgd", notice.DE: "die Zahlung ist garantiert", notice.EN: "payment is guaranteed",
}

// TestInsurability plays the day on virtual time, seven hours between two scenes, so that the stored
// answer is of the day before.
func TestInsurability(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, lang := range notice.Langs() {
		t.Run(string(lang), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
				var out bytes.Buffer
				if err := play(t.Context(), &out, lang, 7*time.Hour, insurabilityDay); err != nil {
					t.Fatal(err)
				}
				shown(t, out.String(), lang)
				quiet(t, out.String())
			})
		})
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files left behind, %v", len(left), err)
	}
}

const invoice = `   invoice: approval [0-9A-F]{32}, seed [0-9A-Z]{10}, check digits [0-9]{2}`

func shown(t *testing.T, out string, lang notice.Lang) {
	t.Helper()
	q := func(i int) string { return regexp.QuoteMeta(texts[lang][i]) }
	want := []string{
		`All is well\.`,
		`sale 1: insured yes, mutuality 319, codes 110/110, live`, invoice,
		`sale 2: insured yes, mutuality 319, codes 111/111, live`, invoice,
		`The platform fails\.`,
		`sale 3: insured yes, mutuality 319, codes 111/111, alternate`, `   ` + q(0), invoice,
		`The insurers' own line fails too\.`,
		`sale 4: insured yes, mutuality 319, codes 110/110, stored 14h0m\d+s ago`, `   \[warning\] ` + q(1) + `.*1.*` + guaranteed[lang] + `\.`, invoice,
		`sale 5: unknown`, `   \[\w+\] ` + q(2),
		`sale 6: unknown`, `   \[\w+\] ` + q(2),
		`All is well again\.`,
		`sale 7: insured yes, mutuality 319, codes 110/110, live`, invoice,
		`What was sold without the platform is checked, soon but not all at once\.`,
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(want)+3 {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want)+3, out)
	}
	for i, w := range want {
		if !regexp.MustCompile("^" + w + "$").MatchString(lines[i]) {
			t.Errorf("line %d is %q, want %s", i+1, lines[i], w)
		}
	}
	if lines[10] == "" || numbers(out, "approval ")[0] != numbers(out, "approval ")[3] {
		t.Error("the invoice of the stored answer is not that of the answer that was stored")
	}
	checks := strings.Join(lines[len(want):], "\n") // in whatever order
	for _, w := range []string{
		`sale 4: confirmed`,
		`sale 5: look at it again: insured was not known \(unknown\), now yes; changed \[insured\]`,
		`sale 6: look at it again: the platform refuses the question, code 02-00-00043`,
	} {
		if !regexp.MustCompile("(?m)^" + w + "$").MatchString(checks) {
			t.Errorf("no line %s in\n%s", w, checks)
		}
	}
}

// numbers are the words behind a label.
func numbers(out, label string) (all []string) {
	for _, m := range regexp.MustCompile(label+`(\w+)`).FindAllStringSubmatch(out, -1) {
		all = append(all, m[1])
	}
	return all
}

// quiet looks for what a bystander must not read.
func quiet(t *testing.T, out string) {
	t.Helper()
	sb, err := sandbox.New(sandbox.Config{}) // the same people
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	for _, p := range sb.Patients() {
		for _, secret := range []string{p.SSIN.Reveal(), p.RegNr, p.LastName} {
			if secret != "" && strings.Contains(out, secret) {
				t.Errorf("somebody of scenario %q is named", p.Scenario)
			}
		}
	}
	if m := regexp.MustCompile(`\b\d{11}\b`).FindString(out); m != "" {
		t.Error("a number of eleven digits is shown")
	}
}

// TestPrescriptions plays the day on virtual time.
func TestPrescriptions(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, lang := range notice.Langs() {
		t.Run(string(lang), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
				var out bytes.Buffer
				err := play(t.Context(), &out, lang, 20*time.Minute, func(ctx context.Context, s *stage) error {
					err := prescriptionDay(ctx, s)
					for i, p := range s.sb.Prescriptions() {
						t.Log(i, p.Status, p.Deliveries, p.Executor)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Log(out.String())
				quiet(t, out.String())
			})
		})
	}
}
