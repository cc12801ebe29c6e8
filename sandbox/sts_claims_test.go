package sandbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
)

// TestClaimsOfPersons asks for the claims of every quality of dossier 01 A.12 in the name of every profession.
func TestClaimsOfPersons(t *testing.T) {
	w := newWorld(t)
	names := []string{claimPSE + "givenname", claimPSE + "surname", claimUserSession}
	quality := map[string]string{} // name of a claim: quality it is about
	for q, list := range map[string][]string{
		"doctor":          {claimPS + ":doctor:boolean", claimPSE + "doctor:nihii11"},
		"dentist":         {claimPSE + "nihii:dentist:nihii11", claimPSE + "professional:dentist:boolean"},
		"nurse":           {claimPS + ":nurse:boolean", claimPSE + "nurse:nihii11", claimPSE + "nihii:nurse:nihii11"},
		"physiotherapist": {claimPSE + "nihii:physiotherapist:nihii11", claimPSE + "professional:physiotherapist:boolean"},
		"midwife":         {claimPSE + "nihii:midwife:nihii11", claimPSE + "professional:midwife:boolean"},
		"logopedist":      {claimPSE + "nihii:logopedist:nihii11", claimPSE + "professional:logopedist:boolean"},
		"podologist":      {claimPSE + "nihii:podologist:nihii11"},
	} {
		for _, name := range append(list, claimPSE+"fpsph:"+q+":boolean") {
			quality[name] = q
			names = append(names, name)
		}
	}
	for _, role := range []identity.Quality{identity.Doctor, identity.Dentist, identity.Nurse, identity.Physiotherapist, identity.Midwife, identity.Logopedist} {
		p, c := w.person(role, 0)
		ssin := p.SSIN.Reveal()
		tk := w.issue(c, append([]string{claimHolderSSIN + "=" + ssin, claimPS + "=" + ssin}, names...)...)
		for _, name := range names {
			var want []string
			switch mine := quality[name] == string(role); {
			case name == claimPSE+"givenname":
				want = []string{p.FirstName}
			case name == claimPSE+"surname":
				want = []string{p.LastName}
			case name == claimUserSession:
				want = []string{"true"}
			case strings.HasSuffix(name, ":nihii11"):
				if mine {
					want = []string{p.NIHII.Full()}
				}
			case mine:
				want = []string{"true"}
			default:
				want = []string{"false"}
			}
			if got, _ := tk.Attribute(name); !slices.Equal(got, want) {
				t.Errorf("%s: %s = %d values, want %v", role, name, len(got), want != nil)
			}
		}
	}
}

// TestClaimsOfOrganisations asks for the claims of organisations with their own certificate.
func TestClaimsOfOrganisations(t *testing.T) {
	w := newWorld(t)
	for _, role := range []identity.Quality{identity.MedicalHouse, identity.GuardPost, identity.Hospital, identity.GroupOfNurses} {
		o, c := w.organisation(role, 0)
		stem, self := claimEH+string(role)+":nihii-number", claimEH+"certificateholder:"+string(role)+":nihii-number"
		tk := w.issue(c, stem+"="+o.Number, self+"="+o.Number, stem+":recognised"+string(role)+":nihii11",
			stem+":recognised"+string(role)+":boolean", self+":recognised"+string(role)+":boolean", claimRecognised, claimUserSession)
		for name, want := range map[string]string{
			stem: o.Number, self: o.Number, stem + ":recognised" + string(role) + ":nihii11": o.Number + "000",
			stem + ":recognised" + string(role) + ":boolean": "true", self + ":recognised" + string(role) + ":boolean": "true",
			claimRecognised: "true", claimUserSession: "false",
		} {
			if got, _ := tk.Attribute(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s has %d values or another one than wanted", role, name, len(got))
			}
		}
		w.refusedWith(w.call(pathTrust, "", w.x509Message(rstFor(c, stem+"=12345678"), c)), "SOA-01002")
		p, pc := w.person(identity.Doctor, 0)
		w.refusedWith(w.call(pathTrust, "", w.x509Message(rstFor(pc, stem+"="+o.Number), pc)), "SOA-01002")
		w.refusedWith(w.call(pathTrust, "", w.x509Message(rstFor(c, claimPS+"="+p.SSIN.Reveal()), c)), "SOA-01002")
	}
	o, c := w.organisation(identity.Enterprise, 0)
	tk := w.issue(c, claimEnterprise+"="+o.Number, claimCBE, claimEnterprise+":ehealth:1.0:cbe_daas_authorized:boolean")
	if got, _ := tk.Attribute(claimCBE); !slices.Equal(got, []string{o.Number}) {
		t.Errorf("enterprise number has %d values", len(got))
	}
	for _, a := range tk.Attributes {
		if want := a.Name == claimCBE || a.Name == claimEnterprise; want != (a.Namespace == nsIdentification) {
			t.Errorf("%s stands in %s", a.Name, a.Namespace)
		}
	}
}

// TestClaimsOfPharmacies: the pharmacist identifies, the pharmacy holds the key, a third person may hold the pharmacy.
func TestClaimsOfPharmacies(t *testing.T) {
	w := newWorld(t)
	for n := range 3 {
		p, tk := w.pharmacyToken(n)
		for name, want := range map[string]string{
			claimIsPharmacy: "true", claimIsOwner: "true", claimOwnerNIHII: p.Pharmacy.Holder.NIHII.Full(),
			claimOwner: p.Pharmacy.Holder.SSIN.Reveal(), claimPS: p.SSIN.Reveal(), claimPharmacy: p.Pharmacy.Number,
		} {
			if got, _ := tk.Attribute(name); !slices.Equal(got, []string{want}) {
				t.Errorf("pharmacist %d: %s has %d values or another one than wanted", n, name, len(got))
			}
		}
	}
	p, c := w.person(identity.Pharmacist, 0)
	key := w.must(p.Pharmacy.Authentication())
	ssin := p.SSIN.Reveal()
	other := w.s.Organisation(identity.Pharmacy, 1)
	for name, list := range map[string][]string{
		"another pharmacy": {claimPS + "=" + ssin, claimPharmacy + "=" + other.Number},
		"another holder":   {claimPS + "=" + ssin, claimPharmacy + "=" + p.Pharmacy.Number, claimOwner + "=" + other.Holder.SSIN.Reveal()},
		"holder of none":   {claimPS + "=" + ssin, claimOwner + "=" + ssin},
	} {
		t.Run(name, func(t *testing.T) {
			(&world{t, w.s}).refusedWith(w.call(pathTrust, "", w.x509Message(rstFor(key, list...), c)), "SOA-01002")
		})
	}
	// Without the holder asserted, what is certified about the holder is not granted.
	tk := w.assertionIn(w.answered(w.call(pathTrust, "", w.x509Message(challengeAnswer(w.answered(
		w.call(pathTrust, "", w.x509Message(rstFor(key, claimPharmacy+"="+p.Pharmacy.Number, claimIsPharmacy, claimOwnerNIHII, claimIsOwner), c)))), key))), key)
	if got, _ := tk.Attribute(claimIsOwner); !slices.Equal(got, []string{"false"}) {
		t.Errorf("holder claim = %v", got)
	}
	if _, ok := tk.Attribute(claimOwnerNIHII); ok {
		t.Error("number of the holder granted")
	}
}
