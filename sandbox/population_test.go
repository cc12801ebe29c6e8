package sandbox

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

func TestPopulation(t *testing.T) {
	a, b, c := echo(t, Config{Seed: 1, Patients: 500}), echo(t, Config{Seed: 1, Patients: 500}), echo(t, Config{Seed: 2, Patients: 500})
	text := func(s *Sandbox) string {
		var out strings.Builder
		for _, p := range s.Patients() {
			fmt.Fprintln(&out, p.SSIN.Reveal(), p.Scenario, p.FirstName, p.LastName, p.Birth, p.Sex, p.Mutuality, p.RegNr, p.CT1, p.CT2)
		}
		for _, p := range s.People() {
			fmt.Fprintln(&out, p.Role, p.Name(), p.SSIN.Reveal(), p.NIHII.Reveal())
		}
		return out.String()
	}
	if text(a) != text(b) {
		t.Error("one seed, two populations")
	}
	if text(a) == text(c) {
		t.Error("two seeds, one population")
	}
	count := map[Scenario]int{}
	for _, p := range a.Patients() {
		count[p.Scenario]++
		checkPatient(t, p)
		if got, ok := a.people.patient(p.SSIN.Reveal()); !ok || got.RegNr != p.RegNr {
			t.Error("a patient is not found by SSIN")
		}
		if got, ok := a.people.member(p.Mutuality, p.RegNr); !ok || got.SSIN != p.SSIN {
			t.Error("a patient is not found by registration number")
		}
	}
	if len(a.Patients()) != 508 || count[Insured] < 350 || count[Preferential] < 60 || count[NotInsured] < 5 {
		t.Errorf("%v", count)
	}
	for i, ssin := range []string{
		"85073199704", "15073199817", "85473199790", "85273199747", "90022999836", "00010199747", "00010199776", "00000000097",
	} {
		if got := a.Patients()[i].SSIN.Reveal(); got != ssin {
			t.Errorf("fixed patient %d is another one", i)
		}
	}
}

func checkPatient(t *testing.T, p Patient) {
	t.Helper()
	if _, err := identity.ParseSSIN(p.SSIN.Reveal()); err != nil {
		t.Error(err)
	}
	if _, err := identity.ParseMutuality(p.Mutuality); err != nil {
		t.Error(err)
	}
	if len(p.RegNr) != 13 || len(p.CT1) != 3 || len(p.CT2) != 3 || (p.Sex != "male" && p.Sex != "female") {
		t.Errorf("patient of scenario %s", p.Scenario)
	}
	if p.Scenario == Preferential != strings.HasSuffix(p.CT1, "1") {
		t.Errorf("scenario %s with CT1 %s", p.Scenario, p.CT1)
	}
}

func TestProfessionals(t *testing.T) {
	s := echo(t, Config{})
	for _, role := range []identity.Quality{
		identity.Doctor, identity.Dentist, identity.Nurse, identity.Physiotherapist, identity.Midwife, identity.Pharmacist,
	} {
		p := s.Person(role, 0)
		if p == nil {
			t.Fatalf("no %s", role)
		}
		if _, err := identity.ParseNIHII(p.NIHII.Reveal()); err != nil || len(p.NIHII.Full()) != 11 {
			t.Errorf("%s: %v", role, err)
		}
		if got, ok := s.people.person(p.SSIN.Reveal()); !ok || got != p {
			t.Errorf("%s is not found by SSIN", role)
		}
		if got, ok := s.people.personByNIHII(p.NIHII.Full()); !ok || got != p {
			t.Errorf("%s is not found by NIHII", role)
		}
	}
	for _, role := range []identity.Quality{identity.Pharmacy, identity.Hospital, identity.MedicalHouse, identity.GuardPost, identity.Enterprise} {
		o := s.Organisation(role, 0)
		if o == nil {
			t.Fatalf("no %s", role)
		}
		if err := o.Type.Check(o.Number); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		if got, ok := s.people.organisation(string(o.Type), o.Number); !ok || got != o {
			t.Errorf("%s is not found", role)
		}
	}
	own, employed := s.Person(identity.Pharmacist, 0), s.Person(identity.Pharmacist, 2)
	if own.Pharmacy.Holder != own || employed.Pharmacy != own.Pharmacy || employed.Pharmacy.Holder == employed {
		t.Error("pharmacies and holders")
	}
	if s.Person(identity.Doctor, 99) != nil || s.Organisation(identity.Retirement, 0) != nil {
		t.Error("found who does not exist")
	}
}

// TestCertificates: the eHealth layout, byte for byte in the order of the names (dossier 01 B.4).
func TestCertificates(t *testing.T) {
	s := echo(t, Config{})
	doctor, pharmacy := s.Person(identity.Doctor, 0), s.Organisation(identity.Pharmacy, 0)
	for _, tc := range []struct {
		who  *certified
		id   string
		name string
	}{
		{&doctor.certified, "SSIN=" + doctor.SSIN.Reveal(), strings.ToUpper(doctor.LastName + " " + doctor.FirstName)},
		{&pharmacy.certified, "NIHII-PHARMACY=" + pharmacy.Number, pharmacy.Name},
	} {
		auth, err := tc.who.Authentication()
		if err != nil {
			t.Fatal(err)
		}
		n := auth.Certificate.Subject
		if n.CommonName != tc.id || !slices.Equal(n.OrganizationalUnit, []string{tc.id, tc.name, "eHealth-platform Belgium"}) ||
			n.Organization[0] != "Federal Government" || n.Country[0] != "BE" {
			t.Errorf("subject %d OUs", len(n.OrganizationalUnit))
		}
		if auth.Alias != "authentication" || auth.Certificate.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment {
			t.Errorf("alias %q, usage %b", auth.Alias, auth.Certificate.KeyUsage)
		}
		if k, ok := auth.Key.(*rsa.PrivateKey); !ok || k.N.BitLen() != 2048 {
			t.Error("not an RSA-2048 key")
		}
		if eid, err := s.pki.clientChain(auth.Certificate, time.Now()); eid || err != nil {
			t.Errorf("refused: %v", err)
		}
		enc, err := tc.who.Encryption()
		if err != nil || len(enc) == 0 {
			t.Fatalf("%d encryption keys, %v", len(enc), err)
		}
		for _, e := range enc {
			if e.Alias != e.Certificate.SerialNumber.String() || e.Certificate.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
				t.Errorf("encryption key under %q", e.Alias)
			}
			if err := auth.Certificate.CheckSignature(e.Certificate.SignatureAlgorithm, e.Certificate.RawTBSCertificate, e.Certificate.Signature); err != nil {
				t.Errorf("not issued by the holder: %v", err)
			}
			if !bytes.Equal(e.Certificate.RawIssuer, e.Certificate.RawSubject) || !bytes.Equal(e.Certificate.RawSubject, auth.Certificate.RawSubject) || len(e.Certificate.Extensions) != 1 {
				t.Errorf("%d extensions, or another name", len(e.Certificate.Extensions))
			}
			if _, err := s.pki.clientChain(e.Certificate, time.Now()); err == nil {
				t.Error("an encryption certificate may sign")
			}
		}
	}
}

// TestRefusedCertificates: expired, foreign, CA, and the identity card that is accepted.
func TestRefusedCertificates(t *testing.T) {
	s := echo(t, Config{})
	p := s.Person(identity.Dentist, 0)
	eid, err := p.EID()
	if err != nil {
		t.Fatal(err)
	}
	if is, err := s.pki.clientChain(eid.Certificate, time.Now()); !is || err != nil {
		t.Errorf("identity card: %v %v", is, err)
	}
	if sn := eid.Certificate.Subject.SerialNumber; sn != p.SSIN.Reveal() {
		t.Error("an identity card names its holder in SERIALNUMBER")
	}
	expired, err := s.Expired(p)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := s.Foreign(p)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := p.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	web, err := s.pki.issueTLS([]string{"x.sandbox.test"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, tc := range map[string]struct {
		cert *x509.Certificate
		now  time.Time
		want error
	}{
		"expired":        {expired.Certificate, now, errCertExpired},
		"foreign":        {foreign.Certificate, now, errCertForeign},
		"issuing CA":     {s.pki.ehealth.cert, now, errCertForeign},
		"TLS server":     {web.Certificate, now, errCertForeign},
		"ten years on":   {auth.Certificate, now.AddDate(10, 0, 0), errCertExpired},
		"ten years back": {auth.Certificate, now.AddDate(-10, 0, 0), errCertExpired},
	} {
		if _, err := s.pki.clientChain(tc.cert, tc.now); err != tc.want { //nolint:errorlint // sentinels as they are
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEpoch: certificates are valid around the instant asked for, in a bubble that starts in 2000.
func TestEpoch(t *testing.T) {
	warmKeys(t)
	synctest.Test(t, func(t *testing.T) {
		t0 := time.Date(2018, 6, 12, 6, 0, 0, 0, time.UTC)
		s := echo(t, Config{Epoch: t0})
		defer s.Close()
		time.Sleep(time.Until(t0))
		if r := post(s.HTTPClient(), urlSTS, "q", time.Second); r.status != 200 {
			t.Errorf("%+v", r)
		}
	})
}

func TestKeySources(t *testing.T) {
	warmKeys(t)
	a, err := SharedKeys().RSA(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := SharedKeys().RSA(0)
	if err != nil || a != b {
		t.Errorf("shared keys are not shared: %v", err)
	}
	c, err := FreshKeys().RSA(0)
	if err != nil || c.Equal(a) {
		t.Errorf("a fresh key is not fresh: %v", err)
	}
	if _, err := SharedKeys().RSA(-1); err == nil {
		t.Error("a negative index was accepted")
	}
}
