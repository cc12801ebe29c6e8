package main_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Patients of every sandbox (dossier 05 section 8).
const (
	insured      = "85073199704"
	preferential = "15073199817"
	notInsured   = "85273199747"
	severalIO    = "90022999836"
	noIO         = "00010199747"
	nobody       = "00000000097"
)

func TestToken(t *testing.T) {
	for _, c := range []struct{ role, claim string }{
		{"", "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"},
		{"nurse", "urn:be:fgov:person:ssin:ehealth:1.0:nihii:nurse:nihii11"},
		{"pharmacist", "urn:be:fgov:ehealth:1.0:pharmacy:nihii-number:recognisedpharmacy:boolean"},
		{"patient", "urn:be:fgov:person:ssin"},
	} {
		t.Run("as "+c.role, func(t *testing.T) {
			r := as(t, c.role, "token")
			if r.code != done || r.err != "" || !strings.HasPrefix(r.out, "logged in until ") || !strings.Contains(r.out, "\n  "+c.claim+"\n") {
				t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
			}
			r = as(t, c.role, "token", "--json")
			var tok struct {
				NotBefore, NotOnOrAfter time.Time
				Granted, Refused        []string
			}
			decode(t, r, done, &tok)
			now := time.Now()
			if !slices.Contains(tok.Granted, c.claim) || tok.Refused == nil || len(tok.Refused) > 0 || now.Before(tok.NotBefore) || !now.Before(tok.NotOnOrAfter) {
				t.Errorf("token is %+v", tok)
			}
		})
	}
}

// TestRoles: everybody in the sandbox.json of a sandbox can log in, or is refused with the reason before anything is asked.
func TestRoles(t *testing.T) {
	no := map[string]string{
		"labo":       "ehealth: --as labo: no login is known for this role: the claims that it makes are not published\n",
		"enterprise": "ehealth: --as enterprise: this role has no NIHII number, and none of the services that this command calls serves it\n",
	}
	roles := map[string]bool{}
	for _, p := range append(file(t).People, file(t).Organisations...) {
		roles[p.Role] = true
	}
	for role := range roles {
		why, refused := no[role]
		r := as(t, role, "token")
		switch {
		case refused && (r.code != usage || r.out != "" || r.err != why),
			!refused && (r.code != done || r.err != "" || !strings.HasPrefix(r.out, "logged in until ") || !strings.HasSuffix(r.out, "refused:\n")):
			t.Errorf("as %s: exit code %d\n%s%s", role, r.code, r.out, r.err)
		}
	}
	if len(roles) < 15 {
		t.Errorf("%d roles", len(roles))
	}
	// A pharmacy is what its pharmacist is.
	if r := as(t, "pharmacy", "insurability", insured); r.code != done || !strings.Contains(r.out, "insured") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := as(t, "pharmacy", "rid", "BEP0ABCDEFGH"); r.code != 3 || !strings.Contains(r.err, "getPrescriptionStatus") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := as(t, "labo", "mailbox", "list"); r.code != usage || r.err != no["labo"] {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestInsurability(t *testing.T) {
	today, thirty := date(0), date(30)
	for _, c := range []struct {
		name, role, patient string
		date                string
		insured             string
		mutuality, ct1      string
		preferential, payer string
		until               string
	}{
		{"insured", "", insured, "", "yes", "319", "110", "no", "no", today},
		{"preferential", "", preferential, "", "yes", "319", "111", "yes", "yes", today},
		{"not insured", "", notInsured, "", "no", "", "", "not known", "no", ""},
		{"yesterday", "", insured, date(-1), "yes", "319", "110", "no", "no", date(-1)},
		{"pharmacist", "pharmacist", insured, "", "yes", "319", "110", "no", "yes", thirty},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"insurability", c.patient}
			if c.date != "" {
				args = append(args, "--date", c.date)
			}
			r := as(t, c.role, args...)
			if r.code != done || r.err != "" {
				t.Fatalf("exit code %d: %s", r.code, r.err)
			}
			rows := map[string]string{}
			for line := range strings.Lines(r.out) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), "  ")
				rows[k] = strings.TrimSpace(v)
			}
			if rows["insured"] != c.insured || rows["mutuality"] != c.mutuality || !strings.HasPrefix(rows["codes"], c.ct1+"/") || !strings.HasPrefix(rows["source"], "live https://127.0.0.1:") {
				t.Errorf("printed\n%s", r.out)
			}
			var a struct {
				Source, Endpoint, Asked, Insured, Mutuality, CT1, Preferential, ThirdPartyPayer, From, Until, Notice string
				ConsultedAt                                                                                          time.Time
			}
			decode(t, as(t, c.role, append(args, "--json")...), done, &a)
			if a.Source != "live" || a.Insured != c.insured || a.Mutuality != c.mutuality || a.CT1 != c.ct1 || a.Preferential != c.preferential ||
				a.ThirdPartyPayer != c.payer || a.Until != c.until || a.Notice != "" || time.Since(a.ConsultedAt) > time.Minute {
				t.Errorf("answer is %+v", a)
			}
			if want := or(c.date, today); a.Asked != want {
				t.Errorf("asked for %s, want %s", a.Asked, want)
			}
		})
	}
}

// date is a day in Belgium, that many days from today.
func date(days int) string {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		zone = time.FixedZone("CET", 3600)
	}
	return time.Now().In(zone).AddDate(0, 0, days).Format(time.DateOnly)
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// failure is the error object of --json.
type failure struct {
	Error struct {
		Op, Service, Ticket, Kind, Code, Outcome, Notice string
		Attempts                                         int
	} `json:"error"`
}

// decode checks the exit code and reads the one JSON object on standard output.
func decode(t *testing.T, r result, code int, into any) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d: %s%s", r.code, code, r.out, r.err)
	}
	if err := json.Unmarshal([]byte(r.out), into); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, r.out)
	}
}

// TestRefused: the platform answered, and the answer is no.
func TestRefused(t *testing.T) {
	stranger := rewritten(t, func(doc map[string]any) {
		for _, p := range doc["people"].([]any) {
			if p := p.(map[string]any); p["role"] == "dentist" {
				doc["caller"].(map[string]any)["nihii"] = p["nihii"]
			}
		}
	})
	for _, c := range []struct {
		name string
		args []string
		kind string
		code string
	}{
		{"unknown patient", []string{"insurability", nobody, "--config", shared.ready.Config}, "not found", "INPUT_ERROR/23"},
		{"no insurer", []string{"insurability", noIO, "--config", shared.ready.Config}, "not found", "NO_IO_ERROR/43"},
		{"several insurers", []string{"insurability", severalIO, "--config", shared.ready.Config}, "conflict", "MULTIIO_ERROR/44"},
		{"pharmacist, unknown patient", []string{"insurability", nobody, "--config", shared.ready.Config, "--as", "pharmacist"}, "invalid", "02-00-00023"},
		{"in the name of somebody else", []string{"insurability", insured, "--config", stranger}, "denied", "SOA-01002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call(t, c.args...)
			if r.code != refused || r.out != "" || !strings.Contains(r.err, c.code) {
				t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
			}
			var f failure
			decode(t, call(t, append(c.args, "--json")...), refused, &f)
			if e := f.Error; e.Kind != c.kind || e.Code != c.code || e.Outcome != "rejected" || e.Ticket == "" || e.Attempts != 1 {
				t.Errorf("error is %+v", e)
			}
		})
	}
}

// TestUsage: the person at the keyboard can mend it, and nothing was asked.
func TestUsage(t *testing.T) {
	config := shared.ready.Config
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"environment": "sandbox", `), 0o600); err != nil {
		t.Fatal(err)
	}
	password := rewritten(t, func(doc map[string]any) { doc["identity"].(map[string]any)["password"] = "wrong" })
	nokeys := rewritten(t, func(doc map[string]any) { doc["identity"].(map[string]any)["keystore"] = "/nowhere/85073199704.p12" })
	plain := rewritten(t, func(doc map[string]any) {
		for _, eps := range doc["services"].(map[string]any) {
			for _, e := range eps.([]any) {
				e := e.(map[string]any)
				e["url"] = strings.Replace(e["url"].(string), "https:", "http:", 1)
			}
		}
	})
	for _, c := range []struct {
		name string
		args []string
	}{
		{"nothing", nil},
		{"unknown command", []string{"frobnicate"}},
		{"unknown flag", []string{"token", "--config", config, "--frobnicate"}},
		{"no patient", []string{"insurability", "--config", config}},
		{"wrong check digits", []string{"insurability", "85073199705", "--config", config}},
		{"too short", []string{"insurability", "8507319970", "--config", config}},
		{"not a number", []string{"insurability", "Jean", "--config", config}},
		{"not a date", []string{"insurability", insured, "--config", config, "--date", "31/12/2026"}},
		{"tomorrow", []string{"insurability", insured, "--config", config, "--date", date(1)}},
		{"no configuration", []string{"insurability", insured}},
		{"no such file", []string{"insurability", insured, "--config", filepath.Join(t.TempDir(), "none.json")}},
		{"not JSON", []string{"token", "--config", broken}},
		{"nobody with that role", []string{"token", "--config", config, "--as", "astronaut"}},
		{"wrong password", []string{"token", "--config", password}},
		{"no key store", []string{"token", "--config", nokeys}},
		{"addresses without TLS", []string{"token", "--config", plain}},
		{"unknown incident", []string{"drill", "INC-1999"}},
		{"two patients", []string{"insurability", insured, "15073199817", "--config", config}},
		{"a patient asks", []string{"insurability", insured, "--config", config, "--as", "patient"}},
		{"number for a command", []string{insured}},
		{"number for a file", []string{"insurability", insured, "--config", insured}},
		{"number for a flag", []string{"insurability", "--" + insured, "--config", config}},
		{"number for a role", []string{"token", "--config", config, "--as", insured}},
		{"number for an incident", []string{"drill", insured}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := call(t, c.args...); r.code != usage || r.err == "" {
				t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
			}
		})
	}
	if r := call(t, "--help"); r.code != done || !strings.Contains(r.out, "insurability") {
		t.Errorf("help: exit code %d, %q", r.code, r.out)
	}
}

// TestUnavailable: no address answers.
func TestUnavailable(t *testing.T) {
	t.Run("both addresses not available", func(t *testing.T) {
		shared.inject(t, "genins 0 to_end fault code=SOA-02001\ngenins-direct 0 to_end fault code=SOA-02001")
		r := as(t, "", "insurability", insured)
		if r.code != unavailable || r.out != "" || !strings.Contains(r.err, "\nInsurability cannot be checked. ") {
			t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
		}
		var f failure
		decode(t, as(t, "pharmacist", "insurability", insured, "--json"), unavailable, &f)
		if e := f.Error; e.Kind != "unavailable" || e.Code != "SOA-02001" || e.Notice != "D-INS-UNKNOWN" || e.Attempts != 2 {
			t.Errorf("error is %+v", e)
		}
	})
	t.Run("everything refuses connections", func(t *testing.T) {
		shared.inject(t, "net 0 to_end refuse -")
		var f failure
		decode(t, as(t, "", "token", "--json"), unavailable, &f)
		if e := f.Error; e.Kind != "unavailable" || e.Outcome != "not sent" || e.Notice != "D-AUTH-NONE" {
			t.Errorf("error is %+v", e)
		}
	})
	t.Run("alternate", func(t *testing.T) {
		shared.inject(t, "genins 0 to_end http status=503;body=html")
		var a struct{ Source, Notice, Insured string }
		decode(t, as(t, "", "insurability", insured, "--json"), done, &a)
		if a.Source != "alternate" || a.Notice != "D-INS-DIRECT" || a.Insured != "yes" {
			t.Errorf("answer is %+v", a)
		}
		if r := as(t, "", "insurability", insured); r.code != done || !strings.Contains(r.out, "Insurability is checked through the mutualities' backup line.") {
			t.Errorf("exit code %d\n%s", r.code, r.out)
		}
		if r := as(t, "", "insurability", insured, "--lang", "nl"); r.code != done || !strings.Contains(r.out, "De verzekerbaarheid wordt via de noodlijn van de ziekenfondsen nagegaan.") {
			t.Errorf("in Dutch: %q", r.out)
		}
	})
	t.Run("nobody listens", func(t *testing.T) { // as after the end of a sandbox
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		gone := rewritten(t, func(doc map[string]any) {
			for _, eps := range doc["services"].(map[string]any) {
				for _, e := range eps.([]any) {
					e.(map[string]any)["url"] = "https://" + l.Addr().String() + "/gone"
				}
			}
		})
		if r := call(t, "insurability", insured, "--config", gone); r.code != unavailable || r.out != "" || !strings.Contains(r.err, "You cannot log in to eHealth now.") {
			t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
		}
	})
}

// TestUnknown: something answered, but not our question.
func TestUnknown(t *testing.T) {
	if r := as(t, "", "insurability", preferential); r.code != done { // the answer that will be sent to somebody else
		t.Fatal(r.err)
	}
	home := rewritten(t, func(doc map[string]any) {
		services := doc["services"].(map[string]any)
		for id, eps := range services {
			services[id] = eps.([]any)[:1]
		}
	})
	shared.inject(t, "genins 0 to_end misroute p=1")
	var f failure
	r := call(t, "insurability", insured, "--config", home, "--json")
	decode(t, r, unknown, &f)
	if e := f.Error; e.Kind != "security" || e.Outcome != "unknown" || e.Notice != "D-WRONG" {
		t.Errorf("error is %+v", e)
	}
	if !strings.Contains(r.err, "An answer did not match your request and was not shown.") {
		t.Errorf("printed %q", r.err)
	}
}

// TestStored: a second run, while nothing answers, shows what the first one was told.
func TestStored(t *testing.T) {
	data := t.TempDir()
	home := rewritten(t, func(doc map[string]any) { doc["dataDir"] = data })
	type answer struct {
		Source, Notice, Insured, ConsultedAt string
		PaymentGuaranteed                    bool
	}
	var live, stored answer
	decode(t, call(t, "insurability", insured, "--json", "--config", home), done, &live)
	shared.inject(t, "genins 0 to_end fault code=SOA-02001\ngenins-direct 0 to_end refuse")
	decode(t, call(t, "insurability", insured, "--json", "--config", home), done, &stored)
	if live.Source != "live" || stored.Source != "stored" || stored.Notice != "D-INS-CACHED" || stored.Insured != live.Insured || stored.ConsultedAt != live.ConsultedAt {
		t.Errorf("%+v, then %+v", live, stored)
	}
	r := call(t, "insurability", insured, "--lang", "fr", "--config", home)
	if r.code != done || !strings.Contains(r.out, "Pas de connexion. Assurabilité telle que vérifiée le") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := call(t, "insurability", preferential, "--config", home); r.code != unavailable || !strings.Contains(r.err, "Annex 30") {
		t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
	}
}
