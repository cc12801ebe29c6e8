package ehbox

import (
	"github.com/ehealth-continuity/ehealth/identity"
)

// Types of identification (dossier 03 section 10.1). What the STS and the ETK depot call SSIN is INSS here.
const (
	TypeINSS  = "INSS"
	TypeNIHII = "NIHII"
	TypeCBE   = "CBE"
	TypeEHP   = "EHP"
)

// AllRecipients as a destination's ID addresses every box of a quality, for senders who are authorised to; such a message
// cannot be encrypted (dossier 03 section 5.3).
const AllRecipients = "ALL"

// Quality says in which capacity somebody has a box. The list is the platform's and grows: a quality that is not among
// the constants is no error (dossier 03 section 10.2).
type Quality string

// Qualities of persons, with Type NIHII or INSS.
const (
	AmbulanceRescuer      Quality = "AMBULANCE_RESCUER"
	AppliedPsychBachelor  Quality = "APPLIED_PSYCH_BACHELOR"
	Audicien              Quality = "AUDICIEN"
	Audiologist           Quality = "AUDIOLOGIST"
	Dentist               Quality = "DENTIST"
	Dietician             Quality = "DIETICIAN"
	Doctor                Quality = "DOCTOR"
	FamilyScienceBachelor Quality = "FAMILY_SCIENCE_BACHELOR"
	GerontologyMaster     Quality = "GERONTOLOGY_MASTER"
	ImagingTechnologist   Quality = "IMAGING_TECHNOLOGIST"
	ImplantProvider       Quality = "IMPLANTPROVIDER"
	LabTechnologist       Quality = "LAB_TECHNOLOGIST"
	Logopedist            Quality = "LOGOPEDIST"
	Midwife               Quality = "MIDWIFE"
	Nurse                 Quality = "NURSE"
	OccupationalTherapist Quality = "OCCUPATIONAL_THERAPIST"
	Optician              Quality = "OPTICIEN"
	OrthopedagogistMaster Quality = "ORTHOPEDAGOGIST_MASTER"
	Orthopedist           Quality = "ORTHOPEDIST"
	Orthoptist            Quality = "ORTHOPTIST"
	PediatricNurse        Quality = "PEDIATRIC_NURSE"
	Pharmacist            Quality = "PHARMACIST"
	PharmacistAssistant   Quality = "PHARMACIST_ASSISTANT"
	Physiotherapist       Quality = "PHYSIOTHERAPIST"
	Podologist            Quality = "PODOLOGIST"
	PracticalNurse        Quality = "PRACTICALNURSE"
	Psychologist          Quality = "PSYCHOLOGIST"
	PsychomotorTherapy    Quality = "PSYCHOMOTOR_THERAPY"
	ReadaptationBachelor  Quality = "READAPTATION_BACHELOR"
	SocialWorker          Quality = "SOCIAL_WORKER"
	SpecializedEducator   Quality = "SPECIALIZED_EDUCATOR"
	TrussMaker            Quality = "TRUSS_MAKER"
	Citizen               Quality = "CITIZEN" // with INSS only
)

// Qualities of organisations.
const (
	Hospital        Quality = "HOSPITAL"
	Pharmacy        Quality = "PHARMACY"
	OTDPharmacy     Quality = "OTD_PHARMACY"
	Labo            Quality = "LABO"
	Retirement      Quality = "RETIREMENT"
	NurseGroup      Quality = "GROUP"
	GroupDoctors    Quality = "GROUP_DOCTORS"
	GuardPost       Quality = "GUARD_POST"
	HomeServices    Quality = "HOME_SERVICES"
	MedicalHouse    Quality = "MEDICAL_HOUSE"
	OfficeDentists  Quality = "OFFICE_DENTISTS"
	OfficeDoctors   Quality = "OFFICE_DOCTORS"
	OfBand          Quality = "OF_BAND"
	OfPhysios       Quality = "OF_PHYSIOS"
	PalliativeCare  Quality = "PALLIATIVE_CARE"
	ProtAcc         Quality = "PROT_ACC"
	PsychHouse      Quality = "PSYCH_HOUSE"
	Reeducation     Quality = "REEDUCATION"
	Institution     Quality = "INSTITUTION"      // CBE without SubType
	TreatmentCenter Quality = "TREATMENT_CENTER" // CBE
	Consortium      Quality = "CONSORTIUM"       // CBE
	InstitutionEHP  Quality = "INSTITUTION_EHP"  // EHP without SubType
	CtrlOrganism    Quality = "CTRL_ORGANISM"    // EHP
)

// organisations have their quality as SubType too, except the two without one.
var organisations = map[Quality]string{
	Hospital: TypeNIHII, Pharmacy: TypeNIHII, OTDPharmacy: TypeNIHII, Labo: TypeNIHII, Retirement: TypeNIHII,
	NurseGroup: TypeNIHII, GroupDoctors: TypeNIHII, GuardPost: TypeNIHII, HomeServices: TypeNIHII, MedicalHouse: TypeNIHII,
	OfficeDentists: TypeNIHII, OfficeDoctors: TypeNIHII, OfBand: TypeNIHII, OfPhysios: TypeNIHII, PalliativeCare: TypeNIHII,
	ProtAcc: TypeNIHII, PsychHouse: TypeNIHII, Reeducation: TypeNIHII,
	Institution: TypeCBE, TreatmentCenter: TypeCBE, Consortium: TypeCBE,
	InstitutionEHP: TypeEHP, CtrlOrganism: TypeEHP,
}

func (q Quality) subType() string {
	if _, ok := organisations[q]; !ok || q == Institution || q == InstitutionEHP {
		return ""
	}
	return string(q)
}

// ByINSS is the box of a person named by the national number.
func ByINSS(n identity.SSIN, q Quality) BoxID {
	return BoxID{ID: Hide(n.Reveal()), Type: TypeINSS, Quality: q}
}

// ByNIHII is the box of a person or organisation named by the NIHII number, of which eight digits are sent.
func ByNIHII(n identity.NIHII, q Quality) BoxID {
	return BoxID{ID: Hide(n.Base()), Type: TypeNIHII, SubType: q.subType(), Quality: q}
}

// ByCBE is the box of an enterprise.
func ByCBE(n identity.CBE, q Quality) BoxID {
	return BoxID{ID: Hide(n.Reveal()), Type: TypeCBE, SubType: q.subType(), Quality: q}
}

// ByEHP is the box of an organisation with an eHealth number.
func ByEHP(n identity.EHP, q Quality) BoxID {
	return BoxID{ID: Hide(n.Reveal()), Type: TypeEHP, SubType: q.subType(), Quality: q}
}

// To makes a recipient of a box.
func To(b BoxID) Destination { return Destination{Party: Party{BoxID: b}} }

// depotTypes are the two pairs that have other names in the depot (dossier 03 section 8.3).
var depotTypes = map[string]identity.IdentifierType{
	"INSS": identity.TypeSSIN, "CBE-TREATMENT_CENTER": identity.TypeCBETreatCenter,
}

// Depot is the identifier under which the ETK depot knows the holder of the box: type and number. The error says that the
// number does not fit the type.
func (b BoxID) Depot() (identity.IdentifierType, string, error) {
	name := b.Type
	if b.SubType != "" {
		name += "-" + b.SubType
	} else if s := b.Quality.subType(); s != "" && organisations[b.Quality] == b.Type {
		name += "-" + s // many name organisations without SubType; the depot does not (dossier 03 section 10.1)
	}
	t, ok := depotTypes[name]
	if !ok {
		t = identity.IdentifierType(name)
	}
	n, err := t.Pad(b.ID.Reveal())
	return t, n, err
}
