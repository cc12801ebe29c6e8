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

	"github.com/ehealth-continuity/ehealth/recipe"
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

// dispensing are what the person at the counter reads: on the proof, one waits, two wait, dispensed elsewhere.
var dispensing = map[notice.Lang][4]string{
	notice.FR: {
		"[stop] Recip-e ne répond pas. Vous pouvez délivrer sur la base de la preuve papier ; conservez-la pour l'office de tarification.",
		"[info] 1 prescription reste à confirmer auprès de Recip-e. Cela se fait automatiquement.",
		"[info] 2 prescriptions restent à confirmer auprès de Recip-e. Cela se fait automatiquement.",
		"[warning] Attention : la prescription RID a déjà été délivrée ailleurs.",
	},
	notice.NL: {
		"[stop] Recip-e antwoordt niet. U mag afleveren op basis van het papieren bewijs; bewaar het voor uw tariferingsdienst.",
		"[info] 1 voorschrift moet nog bij Recip-e worden bevestigd. Dat gebeurt vanzelf.",
		"[info] 2 voorschriften moeten nog bij Recip-e worden bevestigd. Dat gebeurt vanzelf.",
		"[warning] Opgelet: voorschrift RID werd al elders afgeleverd.",
	},
	notice.DE: {
		"[stop] Recip-e antwortet nicht. Sie dürfen aufgrund des Papiernachweises abgeben; bewahren Sie ihn für das Tarifierungsamt auf.",
		"[info] 1 Verschreibung ist bei Recip-e noch zu bestätigen. Das geschieht automatisch.",
		"[info] 2 Verschreibungen sind bei Recip-e noch zu bestätigen. Das geschieht automatisch.",
		"[warning] Achtung: Verschreibung RID wurde bereits anderswo abgegeben.",
	},
	notice.EN: {
		"[stop] Recip-e does not answer. You may dispense on the paper proof; keep it for your tarification office.",
		"[info] 1 prescription still to be confirmed with Recip-e. This happens by itself.",
		"[info] 2 prescriptions still to be confirmed with Recip-e. This happens by itself.",
		"[warning] Attention: prescription RID was already dispensed elsewhere.",
	},
}

// TestPrescriptions plays the day on virtual time, and looks into Recip-e when it is over: each prescription was delivered
// once and archived by the pharmacy, but for the one that another pharmacy had.
func TestPrescriptions(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, lang := range notice.Langs() {
		t.Run(string(lang), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
				var out bytes.Buffer
				var made []sandbox.Prescription
				err := play(t.Context(), &out, lang, 20*time.Minute, func(ctx context.Context, s *stage) error {
					err := prescriptionDay(ctx, s)
					made = s.sb.Prescriptions()
					if s.counter.scan(ctx, "sale 8", "4006381333931") != nil || s.counter.scan(ctx, "sale 9", "BEP0ABCDEFGH") != nil {
						t.Error("there is something to dispense where nothing was prescribed")
					}
					more, perr := s.prescribe(ctx, 5) // the first four are known
					if perr != nil || len(s.sb.Prescriptions()) != 5 {
						t.Fatalf("%d prescriptions, %v", len(s.sb.Prescriptions()), perr)
					}
					d := s.counter.scan(ctx, "sale 10", more[4])
					if d == nil {
						t.Fatal("nothing to dispense")
					}
					d.Items = []recipe.DispensedItem{{CNK: product, Quantity: 2}}
					s.counter.dispense(ctx, *d)
					if again, rerr := s.counter.reports(ctx); rerr != nil || len(again) > 0 {
						t.Errorf("%v, %v", again, rerr)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				text := regexp.MustCompile(`(?m)^   R[ée]f\. (?:SBX-\d+|id[0-9a-f]+)\n`).ReplaceAllString(out.String(), "")
				dispensed(t, made)
				for _, p := range made {
					text = strings.ReplaceAll(text, p.RID, "RID")
				}
				if want := told(dispensing[lang]); text != want {
					t.Errorf("printed\n%s\nwant\n%s", text, want)
				}
				quiet(t, text)
			})
		})
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files left behind, %v", len(left), err)
	}
}

func dispensed(t *testing.T, made []sandbox.Prescription) {
	t.Helper()
	if len(made) != 4 {
		t.Fatalf("%d prescriptions", len(made))
	}
	for i, p := range made {
		status, here := sandbox.Archived, p.Executor == made[0].Executor
		if i == 2 {
			status, here = sandbox.Delivered, !here
		}
		if p.Status != status || p.Deliveries != 1 || !here || p.Executor == "" {
			t.Errorf("prescription %d is %s, delivered %d times", i+1, p.Status, p.Deliveries)
		}
	}
}

// told is what is printed. Tickets of the platform are left out.
func told(n [4]string) string {
	return strings.Join([]string{
		"All is well.",
		"sale 1: prescribed: Sampelium 10 mg, 1: 1 par jour",
		"sale 1: confirmed",
		"Recip-e fails.",
		"sale 2: on the proof", "   " + n[0],
		"sale 2: dispensed, to be confirmed", "   " + n[1],
		"sale 3: on the proof", "   " + n[0],
		"sale 3: dispensed, to be confirmed", "   " + n[2],
		"All is well again, and the customer of sale 3 takes the same proof to another pharmacy.",
		"sale 3: look at it: not confirmed: twice", "   " + n[3],
		"sale 2: confirmed",
		"sale 4: prescribed: Sampelium 10 mg, 1: 1 par jour",
		"sale 4: confirmed",
		"sale 3: not to be dispensed: Delivered", "   " + n[3],
		"sale 8: this is not the barcode of a prescription",
		"sale 9: not to be dispensed",
		"sale 10: prescribed: Sampelium 10 mg, 1: 1 par jour",
		"sale 10: confirmed",
		"sale 10: look at it: confirmed, with a difference: quantity", "",
	}, "\n")
}
