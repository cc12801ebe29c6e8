package notice

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var (
	// 12 June 2018, 09:30 in Belgium, summer time.
	morning = time.Date(2018, 6, 12, 7, 30, 0, 0, time.UTC)
	// 31 December 2019, 23:30 UTC: already 1 January in Belgium.
	newYear = time.Date(2019, 12, 31, 23, 30, 0, 0, time.UTC)
)

const ticket = "4f1c2a9e-77d1-4c52-9f0a-2f6f3c7f0b11"

// all holds every message once, made by its function, with full parameters.
func all() []Notice {
	return []Notice{
		Recovered(Login, morning), Slow(Insurability), Down(RecipE, morning), OwnNetwork(), Expected(EHealthBox, morning), NoTimeKnown(morning),
		Planned(MyCareNet, newYear), LoginFallback(), LoginFallbackUsed(morning), SessionKept(morning), SessionEnds(morning), NoSession(),
		GroupRefusal(), ClockWrong(-20 * time.Minute), InsuranceDirect(), InsuranceStored(newYear, 12, true), InsuranceUnknown(),
		PrescriptionPaper(), PrescriptionPrint(), PrescriptionProof(), PrescriptionsPending(3), PrescriptionTwice("BEP0SYNTH001", newYear),
		MessagesQueued(7), MessageSetAside(), Unsure(), Received(morning), NotReceived(Write), AttestsToday(4), Expired(newYear),
		Draining(EAttest, 1200, 80*time.Minute), WrongAnswer(Read), KeyProblem(RecipE, ticket), CertificateExpires(newYear),
	}
}

func TestEveryMessageHasItsFunction(t *testing.T) {
	made := all()
	for i, id := range IDs() {
		if i >= len(made) || made[i].ID() != id {
			t.Fatalf("message %d is not %s", i, id)
		}
		n, err := New(id, made[i].Params())
		if err != nil || n != made[i] {
			t.Errorf("%s: New of its own parameters: %v", id, err)
		}
	}
	if len(made) != len(IDs()) {
		t.Errorf("%d functions, %d messages", len(made), len(IDs()))
	}
}

// maxText bounds what a banner must hold.
const maxText = 180

func TestRenderedTexts(t *testing.T) {
	for _, n := range all() {
		for _, lang := range Langs() {
			text := n.Text(lang)
			first, _, _ := strings.Cut(text, ". ")
			switch {
			case !utf8.ValidString(text) || strings.ContainsAny(text, "{}\n\r\t|"):
				t.Errorf("%v %s: %q", n, lang, text)
			case utf8.RuneCountInString(text) > maxText:
				t.Errorf("%v %s has %d characters", n, lang, utf8.RuneCountInString(text))
			case strings.Contains(first, ticket) || strings.Contains(first, "SOA-") || strings.Contains(first, string(n.ID())):
				t.Errorf("%v %s: a code in the first sentence: %q", n, lang, text)
			case strings.Contains(text, noTime) || strings.Contains(text, " -- "):
				t.Errorf("%v %s: a moment is missing: %q", n, lang, text)
			}
		}
	}
}

// What all services and the longest parameters make of the texts.
func TestLongestTexts(t *testing.T) {
	p := Params{
		Time: newYear, Date: time.Date(2026, 9, 30, 12, 0, 0, 0, time.UTC), N: 100_000, Duration: 100*time.Hour + time.Minute,
		Prescription: "BEP0SYNTH001", Ticket: ticket, Guaranteed: true,
	}
	for _, id := range IDs() {
		for _, s := range Services() {
			p.Service = s
			n, err := New(id, p)
			if err != nil {
				t.Fatal(id, err)
			}
			for _, lang := range Langs() {
				if c := utf8.RuneCountInString(n.Text(lang)); c > maxText {
					t.Errorf("%s %v %s: %d characters", id, s, lang, c)
				}
			}
		}
	}
}

func TestTexts(t *testing.T) {
	for _, w := range []struct {
		n    Notice
		lang Lang
		want string
	}{
		{Recovered(Login, morning), EN, "Login works again since 09:30."},
		{Recovered(Login, morning), FR, "Connexion eHealth fonctionne à nouveau depuis 09:30."},
		{Recovered(Login, morning), NL, "eHealth-aanmelding werkt weer sinds 09:30."},
		{Recovered(Login, morning), DE, "eHealth-Anmeldung funktioniert seit 09:30 wieder."},
		{Slow(Insurability), FR, "Assurabilité répond lentement. Vous pouvez continuer, nous réessayons pour vous."},
		{Slow(EHealthBox), EN, "eHealthBox is slow at the moment. You can carry on; we keep trying."},
		{Slow(Platform), DE, "eHealth antwortet langsam. Sie können weiterarbeiten, wir versuchen es weiter."},
		{Slow(Service(99)), NL, "eHealth reageert traag. U kunt doorwerken, wij blijven proberen."},
		{Expected(Insurability, newYear), NL, "Volgens eHealth is verzekerbaarheid rond 00:30 hersteld."},
		{Planned(RecipE, newYear), FR, "Recip-e sera indisponible le 1er janvier 2020 à partir de 00:30 (travaux planifiés)."},
		{Planned(RecipE, newYear), DE, "Recip-e ist am 1. Januar 2020 ab 00:30 nicht verfügbar (geplante Arbeiten)."},
		{CertificateExpires(morning), NL, "Uw eHealth-certificaat vervalt op 12 juni 2018. Vernieuw het nu."},
		{InsuranceStored(morning, 12, true), EN, "No connection. Insurability shown as checked on 12 June 2018 (12 days ago); payment is guaranteed."},
		{InsuranceStored(morning, 12, false), EN, "No connection. Insurability shown as checked on 12 June 2018 (12 days ago)."},
		{InsuranceStored(morning, 12, false), FR, "Pas de connexion. Assurabilité telle que vérifiée le 12 juin 2018 (il y a 12 jours)."},
		{InsuranceStored(morning, 12, false), NL, "Geen verbinding. Verzekerbaarheid zoals nagegaan op 12 juni 2018 (12 dagen geleden)."},
		{InsuranceStored(morning, 12, false), DE, "Keine Verbindung. Versicherbarkeit laut Prüfung vom 12. Juni 2018 (vor 12 Tagen)."},
		{InsuranceStored(morning, 0, true), EN, "No connection. Insurability shown as checked on 12 June 2018 (0 days ago); payment is guaranteed."},
		{InsuranceStored(morning, 0, false), FR, "Pas de connexion. Assurabilité telle que vérifiée le 12 juin 2018 (il y a 0 jour)."},
		{InsuranceStored(morning, 1, false), DE, "Keine Verbindung. Versicherbarkeit laut Prüfung vom 12. Juni 2018 (vor 1 Tag)."},
		{ClockWrong(20 * time.Minute), EN, "The clock of this computer is wrong by 20 minutes. Correct it to log in."},
		{ClockWrong(-61 * time.Second), DE, "Die Uhr dieses Computers weicht um 1 Minute ab. Stellen Sie sie richtig, um sich anzumelden."},
		{ClockWrong(0), EN, "The clock of this computer is wrong. Correct it to log in."},
		{ClockWrong(0), FR, "L'horloge de cet ordinateur est décalée. Corrigez-la pour vous connecter."},
		{ClockWrong(0), NL, "De klok van deze computer wijkt af. Zet ze juist om aan te melden."},
		{ClockWrong(0), DE, "Die Uhr dieses Computers weicht ab. Stellen Sie sie richtig, um sich anzumelden."},
		{MessagesQueued(1), EN, "1 message is waiting and will be sent by itself. Urgent? Please phone."},
		{MessagesQueued(2), EN, "2 messages are waiting and will be sent by themselves. Urgent? Please phone."},
		{AttestsToday(1), FR, "1 attestation doit partir avant minuit. Si le service n'est pas rétabli, faites-la sur papier."},
		{AttestsToday(1), NL, "1 attest moet vóór middernacht vertrekken. Is de dienst dan niet hersteld, maak het dan op papier."},
		{Draining(EAttest, 1, time.Second), DE, "eAttest ist wieder da. 1 wartender Eintrag wird gesendet; noch etwa 1 min."},
		{Draining(EAttest, 1200, 80*time.Minute), FR, "eAttest est rétabli. Envoi de 1200 éléments en attente ; encore 1 h 20 min environ."},
		{Draining(EAttest, 5, 0), EN, "eAttest is back. Sending 5 waiting items; about 1 min to go."},
		{KeyProblem(RecipE, "T-1"), FR, "Connexion sécurisée avec Recip-e impossible. Rien n'a été envoyé. Contactez votre helpdesk (réf. T-1)."},
		{KeyProblem(RecipE, ""), NL, "Beveiligde verbinding met Recip-e niet mogelijk. Er is niets verstuurd. Contacteer uw helpdesk."},
		{KeyProblem(RecipE, "patient Janssens"), EN, "A secure connection with Recip-e is not possible. Nothing was sent. Contact your helpdesk."},
		{PrescriptionTwice("BEP0SYNTH001", morning), EN, "Attention: prescription BEP0SYNTH001 was already dispensed elsewhere on 12 June 2018."},
		{PrescriptionTwice("{t}", morning), EN, "Attention: prescription was already dispensed elsewhere on 12 June 2018."},
		{PrescriptionTwice("BEP0SYNTH001", time.Time{}), EN, "Attention: prescription BEP0SYNTH001 was already dispensed elsewhere."},
		{PrescriptionTwice("BEP0SYNTH001", time.Time{}), FR, "Attention : la prescription BEP0SYNTH001 a déjà été délivrée ailleurs."},
		{PrescriptionTwice("BEP0SYNTH001", time.Time{}), NL, "Opgelet: voorschrift BEP0SYNTH001 werd al elders afgeleverd."},
		{PrescriptionTwice("BEP0SYNTH001", time.Time{}), DE, "Achtung: Verschreibung BEP0SYNTH001 wurde bereits anderswo abgegeben."},
		{WrongAnswer(Write), EN, "We do not know yet whether this was received. Do not send it again; we are checking."},
		{NotReceived(Prescription), EN, "The electronic prescription was NOT created. Give a paper prescription."},
		{NotReceived(Write), EN, "Checked: it was not received. It is sent again now."},
		{Recovered(RecipE, time.Time{}), EN, "Recip-e works again since --:--."},
		{Down(RecipE, time.Time{}), EN, "Recip-e has not answered. The fault is not on your computer."},
		{Down(RecipE, time.Time{}), FR, "Recip-e ne répond plus. Le problème ne vient pas de votre ordinateur."},
		{Down(RecipE, time.Time{}), NL, "Recip-e antwoordt niet meer. De fout ligt niet aan uw computer."},
		{Down(RecipE, time.Time{}), DE, "Recip-e antwortet nicht mehr. Der Fehler liegt nicht an Ihrem Computer."},
		{Notice{}, FR, ""},
	} {
		if got := w.n.Text(w.lang); got != w.want {
			t.Errorf("%v %s:\n got %q\nwant %q", w.n, w.lang, got, w.want)
		}
	}
}

func TestLanguages(t *testing.T) {
	for tag, want := range map[string]Lang{
		"fr": FR, "fr-BE": FR, "FR": FR, "fr_BE.UTF-8": FR, "fra": FR, "fre": FR, " nl-BE ": NL, "nl_BE@euro": NL, "dut": NL, "NLD": NL,
		"de-BE": DE, "ger": DE, "de;q=0.9": DE, "nl,fr;q=0.5": NL, "en": EN, "en-GB": EN, "eng": EN,
	} {
		if got, ok := ParseLang(tag); got != want || !ok {
			t.Errorf("%q: %v %v", tag, got, ok)
		}
		if got := OwnNetwork().Text(Lang(tag)); got != Template(IDNet, want) {
			t.Errorf("%q: %q", tag, got)
		}
	}
	for _, tag := range []string{"", "lb", "f", "french", "-fr", "C", "\x00"} {
		if got, ok := ParseLang(tag); got != EN || ok {
			t.Errorf("%q: %v %v", tag, got, ok)
		}
		if OwnNetwork().Text(Lang(tag)) != Template(IDNet, EN) {
			t.Errorf("%q is not English", tag)
		}
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "1 min", 0: "1 min", time.Nanosecond: "1 min", time.Minute: "1 min", time.Minute + 1: "2 min", 59*time.Minute + 1: "1 h",
		time.Hour: "1 h", 61 * time.Minute: "1 h 1 min", 26 * time.Hour: "26 h", 1<<63 - 1: "2562047 h 47 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, w := range []struct {
		id  ID
		p   Params
		err error
	}{
		{"", Params{}, ErrUnknownID},
		{"D-NOTHING", Params{}, ErrUnknownID},
		{"d-ok", Params{Time: morning}, ErrUnknownID},
		{IDOK, Params{}, ErrParam},
		{IDOK, Params{Time: morning, Service: 99}, ErrParam},
		{IDPlan, Params{Time: morning}, ErrParam},
		{IDPlan, Params{Date: morning}, ErrParam},
		{IDInsCached, Params{Date: morning, N: -1}, ErrParam},
		{IDInsCached, Params{N: 1}, ErrParam},
		{IDMsgQueued, Params{}, ErrParam},
		{IDClock, Params{N: -1}, ErrParam},
		{IDDrain, Params{N: 1, Time: morning}, ErrParam},
		{IDDrain, Params{Duration: time.Minute}, ErrParam},
		{IDRxTwice, Params{Date: morning}, ErrParam},
		{IDRxTwice, Params{Prescription: "BEP0ABCDEFGH"}, nil},
		{IDRxTwice, Params{Date: morning, Prescription: "a b"}, ErrParam},
		{IDRxTwice, Params{Date: morning, Prescription: strings.Repeat("1", maxReference+1)}, ErrParam},
		{IDOK, Params{Time: morning}, nil},
		{IDClock, Params{}, nil},
		{IDKey, Params{}, nil},
		{IDDown, Params{}, nil},
		{IDInsCached, Params{Date: morning}, nil},
	} {
		n, err := New(w.id, w.p)
		if !errors.Is(err, w.err) || (err != nil) != n.IsZero() {
			t.Errorf("%s %+v: %v %v, want %v", w.id, w.p, n, err, w.err)
		}
	}
}

// Parameters that a message does not show are dropped, so that equal messages are equal.
func TestNewKeepsWhatIsShown(t *testing.T) {
	n, err := New(IDUnsure, Params{Service: RecipE, Time: morning, N: 4, Prescription: "X", Ticket: "T-1", Guaranteed: true, MaybeSent: true})
	if err != nil || n.Params() != (Params{Ticket: "T-1"}) {
		t.Errorf("%+v %v", n.Params(), err)
	}
	if n.SmallPrint(EN) != "Ref. T-1" || n.SmallPrint("fr-BE") != "Réf. T-1" || KeyProblem(RecipE, "T-1").SmallPrint(EN) != "" || Unsure().SmallPrint(NL) != "" {
		t.Error("small print")
	}
	if Down(RecipE, morning) != Down(RecipE, morning.In(time.FixedZone("x", 3600)).Add(5*time.Millisecond)) {
		t.Error("one moment in two zones makes two notices")
	}
}

func TestFor(t *testing.T) {
	for _, n := range all() {
		for _, op := range []Operation{Read, Write, Prescription} {
			want := n.ID()
			switch {
			case n.ID() == IDWrong && op != Read:
				want = IDUnsure
			case n.ID() == IDSureNo && op == Prescription:
				want = IDRxPaper
			}
			if got := n.For(op); got.ID() != want || want == n.ID() && got != n {
				t.Errorf("%v for %d: %v", n, op, got)
			}
		}
	}
	n, _ := New(IDWrong, Params{Ticket: "T-1"})
	if n.For(Write).Params().Ticket != "T-1" {
		t.Error("the ticket is lost")
	}
}

// No representation for logs shows a parameter.
func TestLogsShowTheIDOnly(t *testing.T) {
	n := PrescriptionTwice("BEP0SYNTH001", morning)
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "n", n, "p", &n)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "n", n)
	b.WriteString(fmt.Sprintf("%v %+v %#v %s %q", n, n, n, n, n))
	if s := b.String(); strings.Contains(s, "BEP0") || !strings.Contains(s, "n=D-RX-TWICE") {
		t.Error(s)
	}
}

func TestMeta(t *testing.T) {
	for _, n := range all() {
		if strings.Contains(n.Severity().String(), " ") || strings.Contains(n.Action().String(), " ") {
			t.Errorf("%v: %v %v", n, n.Severity(), n.Action())
		}
		// What asks nothing of the person never stops the work, and what stops it asks for something.
		if n.Severity() == Stop && n.Action() == CarryOn {
			t.Errorf("%v stops and says carry on", n)
		}
	}
	if Severity(9).String() != "severity 9" || Action(99).String() != "action 99" || Service(99).String() != "service 99" {
		t.Error("values out of range")
	}
	if (Notice{}).Severity() != Info || (Notice{}).Action() != CarryOn || !(Notice{}).IsZero() || Template("D-NO", EN) != "" {
		t.Error("zero notice")
	}
}

func TestServiceOf(t *testing.T) {
	for id, want := range map[string]Service{
		"uddi:ehealth-fgov-be:business:genericinsurability:v1":     Insurability,
		"uddi:ehealth-fgov-be:business:insurability:v2":            Insurability,
		"uddi:ehealth-fgov-be:business:mycarenetmemberdata:v1":     Insurability,
		"genericinsurability":                                      Insurability,
		"uddi:ehealth-fgov-be:business:recip-eprescriber:v4":       RecipE,
		"uddi:ehealth-fgov-be:business:ehboxconsultation:v3":       EHealthBox,
		"uddi:ehealth-fgov-be:business:iamsecuritytokenservice:v1": Login,
		"uddi:ehealth-fgov-be:business:iamsaml11tokenservice:v1":   Login,
		"uddi:ehealth-fgov-be:business:iamsinglesignonservice:v1":  Login,
		"uddi:ehealth-fgov-be:business:etkdepot:v1":                Platform,
		"uddi:ehealth-fgov-be:business:mycarenetattest:v3":         EAttest,
		"uddi:vaccinnet-vlanderen-be:business:vacination:v2":       Platform,
		"":    Platform,
		":::": Platform,
	} {
		if got := ServiceOf(id); got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, n := range append(all(), Notice{}, ClockWrong(0), KeyProblem(Platform, ""), InsuranceStored(newYear, 0, false)) {
		data, err := json.Marshal(n)
		if err != nil {
			t.Fatal(n, err)
		}
		var back Notice
		if err := json.Unmarshal(data, &back); err != nil || back != n {
			t.Errorf("%s: %v %+v", data, err, back.Params())
		}
	}
	got, err := json.Marshal(InsuranceStored(newYear, 12, false))
	want := `{"id":"D-INS-CACHED","severity":"warning","action":"carry-on","params":{"date":"2020-01-01","n":12},"texts":{` +
		`"en":"No connection. Insurability shown as checked on 1 January 2020 (12 days ago).",` +
		`"fr":"Pas de connexion. Assurabilité telle que vérifiée le 1er janvier 2020 (il y a 12 jours).",` +
		`"nl":"Geen verbinding. Verzekerbaarheid zoals nagegaan op 1 januari 2020 (12 dagen geleden).",` +
		`"de":"Keine Verbindung. Versicherbarkeit laut Prüfung vom 1. Januar 2020 (vor 12 Tagen)."}}`
	if err != nil || string(got) != want {
		t.Errorf("%s\n%v", got, err)
	}
	for _, bad := range []string{
		`{}`, `{"id":"D-NO"}`, `{"id":"D-OK"}`, `{"id":"D-OK","params":{"time":"yesterday"}}`, `{"id":"D-PLAN","params":{"time":"2020-01-01T00:00:00Z","date":"x"}}`,
		`{"id":"D-SLOW","params":{"service":"nobody"}}`, `{"id":"D-DRAIN","params":{"n":1,"seconds":-1}}`, `{"id":"D-DRAIN","params":{"n":1,"seconds":9223372036854775807}}`,
		`{"id":1}`, `[]`, `"x"`,
	} {
		n := OwnNetwork()
		if err := json.Unmarshal([]byte(bad), &n); err == nil || n != OwnNetwork() {
			t.Errorf("%s: %v %v", bad, n, err)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, n := range all() {
		data, _ := json.Marshal(n)
		f.Add(data, "fr")
	}
	f.Fuzz(func(t *testing.T, data []byte, lang string) {
		var n Notice
		if json.Unmarshal(data, &n) != nil {
			return
		}
		if text := n.Text(Lang(lang)); strings.ContainsAny(text, "{}\n") || text == "" != n.IsZero() {
			t.Fatalf("%q", text)
		}
		again, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var back Notice
		if err := json.Unmarshal(again, &back); err != nil || back != n {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
