package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// texts are what the person reads: nobody knows, there is an electronic prescription, there is none.
var texts = map[notice.Lang][3]string{
	notice.FR: {
		"Nous ne savons pas encore si l'envoi est arrivé. Ne le renvoyez pas, nous vérifions.",
		"Prescription créée. Le service est instable : imprimez la preuve pour le patient.",
		"La prescription électronique n'a PAS été créée. Remettez une prescription papier.",
	},
	notice.NL: {
		"We weten nog niet of dit is aangekomen. Verstuur het niet opnieuw; we gaan het na.",
		"Voorschrift aangemaakt. De dienst is onstabiel: druk het bewijs af voor de patiënt.",
		"Het elektronisch voorschrift is NIET aangemaakt. Geef een papieren voorschrift.",
	},
	notice.DE: {
		"Wir wissen noch nicht, ob dies angekommen ist. Bitte nicht erneut senden; wir prüfen es.",
		"Verschreibung erstellt. Der Dienst ist instabil: drucken Sie den Nachweis für den Patienten aus.",
		"Die elektronische Verschreibung wurde NICHT erstellt. Geben Sie eine Verschreibung auf Papier mit.",
	},
	notice.EN: {
		"We do not know yet whether this was received. Do not send it again; we are checking.",
		"Prescription created. The service is unstable: print the proof for the patient.",
		"The electronic prescription was NOT created. Give a paper prescription.",
	},
}

func lines(n [3]string) string {
	return strings.Join([]string{
		"All is well.",
		"visit 1: prescribed",
		"Recip-e takes a prescription in, and its answer is lost.",
		"visit 2: " + n[0],
		"visit 2, on paper?: " + n[0],
		"The network is well again.",
		"visit 2: " + n[1],
		"Recip-e does not answer at all.",
		"visit 3: " + n[2],
		"visit 4, by telephone: kept until midnight: confirm that no paper is given, or print the form",
		"All is well again.",
		"visit 4: " + n[1],
		"visit 3, once more: is on paper; the form can be printed again", "",
	}, "\n")
}

// TestPrescriptions plays the day on virtual time: each patient has an electronic prescription with its proof or a form, and
// nobody has both.
func TestPrescriptions(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, lang := range notice.Langs() {
		t.Run(string(lang), func(t *testing.T) {
			dir := t.TempDir()
			var made []sandbox.Prescription
			var patients []sandbox.Patient
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
				var out bytes.Buffer
				var screen []notice.ID
				err := play(t.Context(), &out, desk{lang: lang, printer: printer{dir: dir}}, 20*time.Minute, func(ctx context.Context, s *surgery) error {
					err := prescriptionDay(ctx, s)
					made, patients = s.sb.Prescriptions(), s.sb.Patients()
					s.p.mu.Lock()
					defer s.p.mu.Unlock()
					screen = s.p.screen
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if want := lines(texts[lang]); out.String() != want {
					t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
				}
				if want := []notice.ID{notice.IDUnsure, notice.IDRxPrint}; !slices.Equal(screen, want) {
					t.Errorf("the screen showed %v, want %v", screen, want)
				}
			})
			printed(t, dir, made, patients)
		})
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files left behind, %v", len(left), err)
	}
}

// printed compares what Recip-e holds with what was printed, page by page.
func printed(t *testing.T, dir string, made []sandbox.Prescription, patients []sandbox.Patient) {
	t.Helper()
	if len(made) != 3 {
		t.Fatalf("%d prescriptions", len(made))
	}
	for i, n := range []int{0, 1, 3} { // the third patient has a form
		if p := made[i]; p.Patient != patients[n].SSIN.Reveal() || p.Status != sandbox.NotDelivered {
			t.Errorf("prescription %d is %s, or somebody else's", i, p.Status)
		}
	}
	pages, err := os.ReadDir(dir)
	if err != nil || len(pages) != 4 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	rids, found := map[string]int{}, 0
	for _, p := range made {
		rids[p.RID] = 0
	}
	for _, page := range pages {
		out, err := exec.CommandContext(t.Context(), oracle.Tool(t, "pdftotext"), filepath.Join(dir, page.Name()), "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		text, on := string(out), 0
		for rid := range rids {
			if strings.Contains(strings.ReplaceAll(text, " ", ""), rid) {
				on++
				rids[rid]++
			}
		}
		form := strings.HasPrefix(page.Name(), "form-")
		if form == (on == 1) || !strings.Contains(text, "Sampelium 10 mg") {
			t.Errorf("%s has %d numbers", page.Name(), on)
		}
		if form {
			found++
			if !strings.Contains(text, patients[2].LastName) {
				t.Error("the form is somebody else's")
			}
		}
	}
	for _, n := range rids {
		if n != 1 {
			t.Errorf("a prescription has %d proofs", n)
		}
	}
	if found != 1 {
		t.Errorf("%d forms", found)
	}
}
