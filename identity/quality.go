package identity

// Quality says in which capacity a care provider acts. The text is the exact,
// lower-case spelling of the GenIns and MemberData requests and of the names of
// the STS claims. Dossier 05 section 1.4, 01 section A.12.
type Quality string

// People.
const (
	Doctor               Quality = "doctor"
	Nurse                Quality = "nurse"
	Physiotherapist      Quality = "physiotherapist"
	Dentist              Quality = "dentist"
	Logopedist           Quality = "logopedist"
	Trussmaker           Quality = "trussmaker"
	Orthopedist          Quality = "orthopedist"
	Midwife              Quality = "midwife"
	Optician             Quality = "optician"
	Podologist           Quality = "podologist"
	Dietician            Quality = "dietician"
	ClinicalPsychologist Quality = "clinicalpsychologist" // MemberData only
	Pharmacist           Quality = "pharmacist"           // a pharmacist in a pharmacy; uses the pharmacist service
)

// Organisations.
const (
	Hospital         Quality = "hospital"
	GroupOfNurses    Quality = "groupofnurses"
	Labo             Quality = "labo"
	Retirement       Quality = "retirement"
	OTDPharmacy      Quality = "otdpharmacy"
	MedicalHouse     Quality = "medicalhouse"
	GroupOfDoctors   Quality = "groupofdoctors"
	PsychiatricHouse Quality = "psychiatrichouse"
	GuardPost        Quality = "guardpost"
	AmbulanceService Quality = "ambulanceservice"
	Reeducation      Quality = "reeducation" // MemberData only
	Pharmacy         Quality = "pharmacy"    // uses the pharmacist service
	OfficeDoctors    Quality = "officedoctors"
	SortingCenter    Quality = "sortingcenter"
	Enterprise       Quality = "enterprise" // identified by CBE number
	EHPOrganisation  Quality = "ehp"        // identified by EHP number
)

type qualityFacts struct{ person, genIns, memberData bool }

var qualities = map[Quality]qualityFacts{
	Doctor:               {true, true, true},
	Nurse:                {true, true, true},
	Physiotherapist:      {true, true, true},
	Dentist:              {true, true, true},
	Logopedist:           {true, true, true},
	Trussmaker:           {true, true, true},
	Orthopedist:          {true, true, true},
	Midwife:              {true, true, true},
	Optician:             {true, true, true},
	Podologist:           {true, true, true},
	Dietician:            {true, true, true},
	ClinicalPsychologist: {true, false, true},
	Pharmacist:           {true, false, false},
	Hospital:             {false, true, true},
	GroupOfNurses:        {false, true, true},
	Labo:                 {false, true, true},
	Retirement:           {false, true, true},
	OTDPharmacy:          {false, true, true},
	MedicalHouse:         {false, true, true},
	GroupOfDoctors:       {false, true, true},
	PsychiatricHouse:     {false, true, true},
	GuardPost:            {false, true, true},
	AmbulanceService:     {false, true, true},
	Reeducation:          {false, false, true},
	Pharmacy:             {false, false, false},
	OfficeDoctors:        {false, false, false},
	SortingCenter:        {false, false, false},
	Enterprise:           {false, false, false},
	EHPOrganisation:      {false, false, false},
}

// ParseQuality accepts the qualities of this package in their exact spelling.
func ParseQuality(s string) (Quality, error) {
	q := Quality(s)
	if !q.Known() {
		return "", &ParseError{Type: "quality", Err: ErrForm}
	}
	return q, nil
}

// Known reports whether q is one of the constants.
func (q Quality) Known() bool {
	_, ok := qualities[q]
	return ok
}

// IsPerson reports whether q is the quality of a person, who is identified by
// an eleven-digit NIHII number and an SSIN.
func (q Quality) IsPerson() bool { return qualities[q].person }

// IsOrganisation reports whether q is the quality of an organisation, which has
// an eight-digit NIHII number (or a CBE or EHP number) and no SSIN.
func (q Quality) IsOrganisation() bool { return q.Known() && !qualities[q].person }

// GenIns reports whether generic insurability accepts q.
func (q Quality) GenIns() bool { return qualities[q].genIns }

// MemberData reports whether MemberData accepts q.
func (q Quality) MemberData() bool { return qualities[q].memberData }

// WireQuality is the upper-case spelling that the pharmacist insurability
// service wants in Nihii/Quality; a type of its own, so that it cannot be mixed
// up with Quality. Dossier 05 section 2.2.
type WireQuality string

// The qualities of the pharmacist insurability service.
const (
	WirePharmacy       WireQuality = "PHARMACY"        // of the organisation
	WirePharmacyHolder WireQuality = "PHARMACY-HOLDER" // of the care provider: the holder's NIHII
)
