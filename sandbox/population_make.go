package sandbox

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Invented names. They are short on purpose: nobody should think a list of patients is real.
var (
	maleNames   = []string{"Arno", "Bavo", "Cyriel", "Dries", "Etienne", "Florian", "Gaspard", "Hugo", "Ignace", "Joris"}
	femaleNames = []string{"Alix", "Brigitte", "Céline", "Dorine", "Elke", "Fleur", "Gerda", "Hanne", "Inès", "Juliette"}
	lastNames   = []string{
		"Proef", "Testaert", "Lessai", "Vandeproef", "Specimen", "Voorbeeld", "Demoulin-Test", "Probst", "Monster", "Van Fictie",
		"Dufictif", "Muster", "Schijn", "Exemplaire", "Inventé",
	}
)

// insurers are mutualities of every national union (dossier 05 section 6.5).
var insurers = []string{"101", "120", "203", "216", "306", "319", "403", "417", "506", "526", "601", "910"}

// titles are pairs of CT1 and CT2 of the ordinary kind; the preferential pair of each is that with 1 as last digit
// (dossier 05 section 1.6).
var titles = []string{"110", "120", "130", "140", "430"}

// newPopulation makes everybody. The same seed and count give the same people; certificates differ.
func newPopulation(seed uint64, patients int, k *pki) (*population, error) {
	p := &population{
		bySSIN: map[string]*Patient{}, persons: map[string]*Person{},
		orgs: map[string]*Organisation{}, personID: map[string]*Person{},
	}
	for _, x := range fixedPatients() {
		p.addPatient(x)
	}
	r := rand.New(rand.NewPCG(seed, 0x7061_7469_656e_7473)) //nolint:gosec // invented people
	if err := p.makePatients(r, patients); err != nil {
		return nil, err
	}
	staff := rand.New(rand.NewPCG(seed, 0x7374_6166_66)) //nolint:gosec // so that the staff does not depend on the number of patients
	return p, p.makeProfessionals(staff, k)
}

// fixedPatients are those of dossier 05 section 8.
func fixedPatients() []*Patient {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	fixed := func(ssin string, sc Scenario, first, last string, birth time.Time, sex, mut, ct string) *Patient {
		return &Patient{
			SSIN: identity.MustSSIN(ssin), Scenario: sc, FirstName: first, LastName: last, Birth: birth, Sex: sex,
			Mutuality: mut, RegNr: "00" + ssin, CT1: ct, CT2: ct,
		}
	}
	return []*Patient{
		fixed("85073199704", Insured, "Jean", "Proef", day(1985, time.July, 31), "male", "319", "110"),
		fixed("15073199817", Preferential, "Fleur", "Testaert", day(2015, time.July, 31), "female", "319", "111"),
		fixed("85473199790", Transferred, "Hugo", "Voorbeeld", day(1985, time.July, 31), "male", "203", "110"),
		fixed("85273199747", NotInsured, "Ignace", "Specimen", day(1985, time.July, 31), "male", "101", "110"),
		fixed("90022999836", SeveralIO, "Elke", "Lessai", day(1990, time.February, 28), "female", "319", "110"),
		fixed("00010199747", NoIO, "Joris", "Monster", day(1900, time.January, 1), "male", "506", "110"),
		fixed("00010199776", Hospitalised, "Bavo", "Schijn", day(2000, time.January, 1), "male", "403", "110"),
		fixed("00000000097", UnknownPerson, "Alix", "Inventé", day(1900, time.January, 1), "female", "601", "110"),
	}
}

// makePatients adds n patients: 78 % insured, 18 % preferential, 4 % not insured [A].
func (p *population) makePatients(r *rand.Rand, n int) error {
	for n > 0 {
		x, err := randomPatient(r)
		if err != nil {
			return err
		}
		if _, taken := p.bySSIN[x.SSIN.Reveal()]; taken {
			continue
		}
		p.addPatient(x)
		n--
	}
	return nil
}

func randomPatient(r *rand.Rand) (*Patient, error) {
	birth := time.Date(1925, time.January, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(93*365))
	male := r.IntN(2) == 0
	ssin, err := syntheticSSIN(r, birth, male)
	if err != nil {
		return nil, err
	}
	x := &Patient{
		SSIN: ssin, Scenario: Insured, LastName: pick(r, lastNames), Birth: birth, Sex: "female",
		Mutuality: pick(r, insurers), RegNr: fmt.Sprintf("%013d", r.Int64N(1e13)),
	}
	x.FirstName = pick(r, femaleNames)
	if male {
		x.Sex, x.FirstName = "male", pick(r, maleNames)
	}
	x.CT1 = pick(r, titles)
	switch v := r.IntN(100); {
	case v < 18:
		x.Scenario, x.CT1 = Preferential, x.CT1[:2]+"1"
	case v < 22:
		x.Scenario = NotInsured
	}
	x.CT2 = x.CT1
	return x, nil
}

// syntheticSSIN makes a number for that day with an order number from 900 on; one in twenty is a BIS number.
func syntheticSSIN(r *rand.Rand, birth time.Time, male bool) (identity.SSIN, error) {
	order := 900 + 2*r.IntN(49)
	if male {
		order++
	}
	y, m, d := birth.Date()
	if r.IntN(20) == 0 {
		return identity.NewBIS(y, int(m), d, order, true)
	}
	return identity.NewSSIN(y, int(m), d, order)
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// profession says how many professionals of a kind there are and what their numbers look like: base is followed by
// two digits (dossier 05 section 6.2).
type profession struct {
	role          identity.Quality
	count         int
	base          string
	qualification string
}

var professions = []profession{
	{identity.Doctor, 3, "1999", "001"},
	{identity.Dentist, 2, "3999", "001"},
	{identity.Nurse, 2, "4999", "401"},
	{identity.Midwife, 1, "4998", "401"},
	{identity.Physiotherapist, 2, "5999", "527"},
	{identity.Logopedist, 1, "6999", "801"},
	{identity.Pharmacist, 3, "2999", "001"},
}

// organisation kinds: base is the first six digits of the number, or eight for CBE.
var institutions = []struct {
	role identity.Quality
	typ  identity.IdentifierType
	base string
	name string
}{
	{identity.Hospital, identity.TypeHospital, "709999", "Hopital Exemplaire"},
	{identity.MedicalHouse, identity.TypeMedicalHouse, "899999", "Maison Medicale Exemple"},
	{identity.GuardPost, identity.TypeGuardPost, "899899", "Wachtpost Voorbeeld"},
	{identity.GroupOfNurses, identity.TypeGroup, "949999", "Groep Verpleegkundigen Voorbeeld"},
	{identity.Enterprise, identity.TypeCBE, "09999999", "Example Software"},
	{identity.Labo, identity.TypeLabo, "899799", "Labo Voorbeeld"},
}

// makeProfessionals adds the fixed staff of every sandbox. Pharmacists 0 and 1 hold a pharmacy of their own, the
// third works in that of the first, so that a holder who is not the caller occurs.
func (p *population) makeProfessionals(r *rand.Rand, k *pki) error {
	for _, pr := range professions {
		for i := range pr.count {
			x, err := newPerson(r, pr, i)
			if err != nil {
				return err
			}
			if pr.role == identity.Pharmacist {
				if err := p.givePharmacy(k, x, i); err != nil {
					return err
				}
			}
			p.addPerson(k, x)
		}
	}
	for _, in := range institutions {
		number, err := institutionNumber(in.typ, in.base)
		if err != nil {
			return err
		}
		p.addOrganisation(k, &Organisation{Role: in.role, Type: in.typ, Number: number, Name: in.name})
	}
	return nil
}

func newPerson(r *rand.Rand, pr profession, i int) (*Person, error) {
	male := i%2 == 1
	birth := time.Date(1960, time.January, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(30*365))
	order := 900 + 2*r.IntN(49)
	first := pick(r, femaleNames)
	if male {
		order++
		first = pick(r, maleNames)
	}
	ssin, err := identity.NewSSIN(birth.Year(), int(birth.Month()), birth.Day(), order)
	if err != nil {
		return nil, err
	}
	nihii, err := identity.NewNIHII(fmt.Sprintf("%s%02d", pr.base, 99-i), pr.qualification)
	if err != nil {
		return nil, err
	}
	return &Person{Role: pr.role, FirstName: first, LastName: pick(r, lastNames), SSIN: ssin, NIHII: nihii}, nil
}

func (p *population) givePharmacy(k *pki, x *Person, i int) error {
	if i == 2 {
		x.Pharmacy, _ = p.organisation(string(identity.TypePharmacy), p.organisations[0].Number)
		return nil
	}
	number, err := institutionNumber(identity.TypePharmacy, fmt.Sprintf("2199%02d", 99-i))
	if err != nil {
		return err
	}
	o := &Organisation{Role: identity.Pharmacy, Type: identity.TypePharmacy, Number: number, Name: fmt.Sprintf("Apotheek Voorbeeld %d", i+1), Holder: x}
	p.addOrganisation(k, o)
	x.Pharmacy = o
	return nil
}

func institutionNumber(typ identity.IdentifierType, base string) (string, error) {
	if typ == identity.TypeCBE {
		n, err := identity.NewCBE(base)
		return n.Reveal(), err
	}
	n, err := identity.NewNIHII(base, "")
	if err != nil {
		return "", err
	}
	return n.Base(), nil
}
