package incident

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func TestDataParses(t *testing.T) {
	all, err := catalogue()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range all {
		switch {
		case seen[s.ID]:
			t.Errorf("%s twice", s.ID)
		case s.T0.IsZero() || s.About == "" || len(s.Steps) == 0:
			t.Errorf("%s: no t0, about or steps", s.ID)
		}
		seen[s.ID] = true
		again, err := sandbox.ParseScript(s.String())
		if err != nil {
			t.Fatalf("%s does not read what it prints: %v", s.ID, err)
		}
		if fmt.Sprintf("%+v", again.Steps) != fmt.Sprintf("%+v", s.Steps) || !again.T0.Equal(s.T0) || again.About != s.About {
			t.Errorf("%s changes when printed and read:\n%v\n%v", s.ID, s, again)
		}
	}
	for _, id := range []string{
		"SYN-LOSTACK-EHBOX", "SYN-LOSTACK-RECIPE", "SYN-MIDNIGHT-ATTEST", "SYN-TOKEN-EXPIRES", "SYN-HERD", "SYN-BADLIST",
		"SYN-FLAP", "SYN-CLOCK", "SYN-HALF",
	} {
		if !seen[id] || !Synthetic(id) {
			t.Errorf("%s is missing", id)
		}
	}
}

// TestDossier compares every row of the dossier's table with the data.
func TestDossier(t *testing.T) {
	raw, err := os.ReadFile(oracle.Shared(t, "reference", "06-incidents-and-bcp-procedures.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(raw), "### A.4.2 Table")
	if !ok {
		t.Fatal("the dossier has no section A.4.2 any more")
	}
	table, _, _ = strings.Cut(table, "\nNotes to the table")
	var want []sandbox.Script
	rows := 0
	for line := range strings.SplitSeq(table, "\n") {
		c := strings.Split(strings.Trim(line, "|"), "|")
		if len(c) != 9 || strings.Contains(line, "| incident |") || strings.HasPrefix(line, "|---") {
			continue
		}
		for i := range c {
			c[i] = strings.TrimSpace(c[i])
		}
		rows++
		if c[0] != "" {
			t0, err := time.Parse("2006-01-02T15:04Z07:00", c[1])
			if err != nil {
				t.Fatalf("row %d: %v", rows, err)
			}
			want = append(want, sandbox.Script{ID: c[0], T0: t0})
		}
		if c[7] == "" {
			c[7] = "-"
		}
		st, err := sandbox.ParseStep(strings.Join(c[3:], " "))
		if err != nil {
			t.Fatalf("row %d: %v", rows, err)
		}
		last := &want[len(want)-1]
		last.Steps = append(last.Steps, st)
		if got := fmt.Sprint(len(last.Steps)); got != c[2] {
			t.Errorf("%s: step %s is the dossier's %s", last.ID, got, c[2])
		}
	}
	if rows < 49 {
		t.Fatalf("only %d rows found in the dossier", rows)
	}
	for _, w := range want {
		got, ok := Get(w.ID)
		if !ok {
			t.Errorf("%s is missing", w.ID)
			continue
		}
		if !got.T0.Equal(w.T0) {
			t.Errorf("%s: t0 %v, dossier %v", w.ID, got.T0, w.T0)
		}
		if g, d := fmt.Sprintf("%+v", got.Steps), fmt.Sprintf("%+v", w.Steps); g != d {
			t.Errorf("%s\n got     %s\n dossier %s", w.ID, g, d)
		}
	}
	past := 0
	for _, s := range All() {
		if !Synthetic(s.ID) {
			past++
		}
	}
	if past != len(want) {
		t.Errorf("%d incidents, dossier %d", past, len(want))
	}
}

func TestGetReturnsACopy(t *testing.T) {
	a, ok := Get("inc-2018-06-12-lb")
	if !ok {
		t.Fatal("not found")
	}
	a.Steps[0].Service = "sts"
	if b, _ := Get("INC-2018-06-12-LB"); b.Steps[0].Service != "esb" {
		t.Error("the catalogue changed with the copy")
	}
	if _, ok := Get("INC-1999"); ok {
		t.Error("found what does not exist")
	}
}

func TestLoadShape(t *testing.T) {
	day := func(d int) (sum float64) { // 2018-06-11 is a Monday
		for h := range 24 {
			sum += HourWeight(time.Date(2018, 6, 10+d, h, 30, 0, 0, time.UTC))
		}
		return sum
	}
	for d, want := range []float64{0, 1.25, 1, 1, 1, 1, 0} {
		if got := day(d); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("2018-06-%d: weights add up to %v, want %v", 10+d, got, want)
		}
	}
	tuesday := time.Date(2018, 6, 12, 10, 0, 0, 0, time.UTC)
	if got := Rate("genins", tuesday); got < 32.99 || got > 33.01 { // 22 × 10 × 0.15
		t.Errorf("insurability on Tuesday at 10: %v", got)
	}
	if got := Rate("genins", tuesday.Add(12*time.Hour)); got <= 0 || got > 1 {
		t.Errorf("insurability at night: %v", got)
	}
	for _, f := range Flows() {
		if f.Peak != sandbox.PeakRate(f.Service) {
			t.Errorf("%s: peak %v, sandbox has %v", f.Service, f.Peak, sandbox.PeakRate(f.Service))
		}
	}
	if f := Hundredth(); f.Pharmacies*f.DesksPerPharmacy != 144 || f.Scale != 0.01 {
		t.Errorf("fleet %+v", f)
	}
}
