package kmehr

import (
	"strconv"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr/internal/xpath"
)

// assertion is one rule of this package's own table. The numbers are the platform's; tests and texts are ours (dossier 04
// section 12.3).
type assertion struct {
	number  int
	place   string // what the rule is about, with the letters of places; in rules about items below the item
	test    string // boolean
	message string
}

// places are written as {H} in the table.
var places = strings.NewReplacer(
	"{H}", "/kmehrmessage/header",
	"{S}", "/kmehrmessage/header/sender/hcparty",
	"{R}", "/kmehrmessage/header/recipient/hcparty",
	"{P}", "/kmehrmessage/folder/patient",
	"{T}", "/kmehrmessage/folder/transaction",
	"{A}", "/kmehrmessage/folder/transaction/author/hcparty",
	"{G}", "/kmehrmessage/folder/transaction/heading",
)

const items = "/kmehrmessage/folder/transaction/heading/item"

// general are the rules about the document as a whole.
var general = []assertion{
	{1, "{H}/standard/cd", "count({H}/standard/cd[@S='CD-STANDARD' and @SV='1.29' and text()='20190301']) = 1", "the standard is 20190301, version 1.29"},
	{2, "{H}/id", "count({H}/id) = 2", "there are exactly two numbers of the document"},
	{3, "{H}/id[1]", "{H}/id[1][@S='ID-KMEHR'][@SV='1.0']", "the first number of the document is an ID-KMEHR 1.0"},
	{4, "{H}/id[2]", "{H}/id[2][@S='LOCAL']", "the second number of the document is a LOCAL one"},
	{5, "{H}/sender", "count({S}) >= 2", "the sender has at least two parties: who prescribes, and the program"},
	{9, "{S}", "{S}[name or familyname]", "a sender has a name"},
	{10, "{S}[2]/telecom", "count({S}[2]/telecom/cd[@S='CD-ADDRESS' and @SV='1.1']/text()) >= 2", "two ways to reach the maker of the program, with a CD-ADDRESS 1.1"},
	{11, "{S}[2]/telecom", "count({S}[2]/telecom/cd[@S='CD-TELECOM' and @SV='1.0']/text()) >= 2", "two ways to reach the maker of the program, with a CD-TELECOM 1.0"},
	{12, "{S}[2]/telecom", "{S}[2]/telecom/cd[@S='CD-TELECOM'][text()='phone']", "a telephone number of the maker of the program"},
	{13, "{S}[2]/telecom", "{S}[2]/telecom/cd[@S='CD-TELECOM'][text()='email']", "a mail address of the maker of the program"},
	{14, "{S}[2]/telecom/telecomnumber", "{S}[2]/telecom/telecomnumber[string-length(text()) > 0]", "the number or address of the maker is not empty"},
	{15, "{R}/id", "count({R}/id[@S='ID-HCPARTY' and @SV='1.0' and text()='RECIPE']) = 1", "the recipient's number is RECIPE"},
	{16, "{R}/cd", "count({R}/cd[@S='CD-HCPARTY' and @SV='1.15' and text()='orgpublichealth']) = 1", "the recipient is an orgpublichealth"},
	{17, "{R}/name", "count({R}/name[text()='Recip-e']) = 1", "the recipient's name is Recip-e"},
	{18, "/kmehrmessage/folder/id", "count(/kmehrmessage/folder/id[@S='ID-KMEHR' and @SV='1.0' and text()='1']) = 1", "exactly one folder, number 1"},
	{19, "{P}", "count({P}) = 1", "exactly one patient"},
	{20, "{P}/id", "count({P}/id) = 1", "exactly one number of the patient"},
	{21, "{P}/id", "count({P}/id[@S='ID-PATIENT' and @SV='1.0' and string-length(text()) = 11]) = 1", "the patient's number is an ID-PATIENT 1.0 of eleven digits"},
	{22, "{P}/firstname", "count({P}/firstname) = 1", "exactly one first name of the patient"},
	{23, "{P}/familyname", "count({P}/familyname) = 1", "exactly one family name of the patient"},
	{24, "{P}/birthdate", "count({P}/birthdate[date or yearmonth or year]) = 1", "the patient's date of birth, or its year"},
	{25, "{P}/sex/cd", "count({P}/sex/cd[@S='CD-SEX' and @SV='1.1']) = 1", "the patient's sex as CD-SEX 1.1"},
	{26, "{T}/id", "count({T}/id[@S='ID-KMEHR' and @SV='1.0' and text()='1']) = 1", "exactly one transaction, number 1"},
	{27, "{T}/cd", "count({T}/cd[@S='CD-TRANSACTION' and @SV='1.13' and text()='pharmaceuticalprescription']) = 1", "the transaction is a pharmaceuticalprescription"},
	{28, "{A}", "count({A}) = 1", "exactly one author"},
	{29, "{A}/id", "count({A}/id) = 1", "exactly one number of the author"},
	{30, "{A}/id", "count({A}/id[@S='ID-HCPARTY' and @SV='1.0' and string-length(text()) = 11]) = 1", "the author's number is an ID-HCPARTY 1.0 of eleven digits"},
	{31, "{A}/cd", "count({A}/cd) = 1", "exactly one profession of the author"},
	{32, "{A}/cd", "count({A}/cd[@S='CD-HCPARTY' and @SV='1.15'][text()='persphysician' or text()='persmidwife' or text()='persdentist']) = 1", "the author is a physician, midwife or dentist"},
	{33, "{A}", "{A}[name or familyname]", "the author has a name"},
	{34, "{A}/address", "count({A}/address) = 1", "exactly one address of the author"},
	{35, "{A}/address/cd", "count({A}/address/cd[@S='CD-ADDRESS' and (@SV='1.0' or @SV='1.1') and text()='work']) = 1", "the author's address is that of work"},
	{36, "{A}/telecom/cd", "count({A}/telecom/cd[@S='CD-ADDRESS' and (@SV='1.0' or @SV='1.1') and text()='work']) = 1", "exactly one way to reach the author at work"},
	{37, "{A}/telecom/cd", "count({A}/telecom/cd[@S='CD-TELECOM' and @SV='1.0' and text()='phone']) = 1", "exactly one telephone number of the author"},
	{38, "{A}/telecom/telecomnumber", "count({A}/telecom/telecomnumber[string-length(text()) > 1]) = 1", "the author's telephone number has more than one character"},
	{39, "{T}/iscomplete", "count({T}/iscomplete[text()='true']) = 1", "the prescription is complete: true"},
	{40, "{T}/isvalidated", "count({T}/isvalidated[text()='true']) = 1", "the prescription is validated: true"},
	{41, "{T}/expirationdate", "count({T}/expirationdate) = 1", "exactly one last day of delivery"},
	{42, "{G}", "count({G}) = 1", "exactly one heading"},
	{43, "{T}/item", "not({T}/item)", "no item outside the heading"},
	{44, "{G}/id", "count({G}/id[@S='ID-KMEHR' and @SV='1.0' and text()='1']) = 1", "the heading has number 1"},
	{45, "{G}/cd", "count({G}/cd[@S='CD-HEADING' and @SV='1.2' and text()='prescription']) = 1", "the heading is a prescription"},
	{46, "{G}/heading", "not({G}/heading)", "no heading within the heading"},
	{47, "{G}/text", "not({G}/text)", "no text within the heading"},
	{48, "{G}/item", "count({G}/item) >= 1 and count({G}/item) <= 10", "1 to 10 items"},
	{79, "{H}/externalsource", "count({H}/externalsource) = 1", "exactly one block of sources"},
	{80, "{H}/externalsource/source/cd", "count({H}/externalsource/source/cd[string-length(text()) > 0]) = 1", "exactly one database of medicines"},
	{81, "{H}/externalsource/source/version", "count({H}/externalsource/source/version[string-length(text()) > 0]) = 1", "exactly one version of the database of medicines"},
}

// parties are rules 6 to 8, which look at the first and second party for P0 and at any for P1.
var parties = []assertion{
	{6, "{S}{1}/id", "{S}{1}/id[@S='ID-HCPARTY'][@SV='1.0']", "the sender has an ID-HCPARTY 1.0"},
	{7, "{S}{1}/cd", "{S}{1}/cd[@S='CD-HCPARTY' and @SV='1.15'][text()='orghospital' or text()='persphysician' or text()='persmidwife' or text()='persdentist']", "the sender is a hospital, physician, midwife or dentist"},
	{8, "{S}{2}/cd", "{S}{2}/cd[@S='CD-HCPARTY' and @SV='1.15'][text()='application']", "the second party of the sender is the program"},
}

// perItem are the rules about each item.
var perItem = []assertion{
	{49, "id", "not(id[@S != 'ID-KMEHR'])", "the number of the item is an ID-KMEHR"},
	{50, "id", "not(id[@SV != '1.0'])", "the number of the item has version 1.0"},
	{51, "cd", "not(cd[@S != 'CD-ITEM'])", "the code of the item is a CD-ITEM"},
	{52, "cd", "not(cd[@SV != '1.11'])", "the code of the item has version 1.11"},
	{53, "cd", "not(cd[text() != 'medication'])", "the item is a medication"},
	{54, "content/medicinalproduct/intendedcd", "not(content/medicinalproduct/intendedcd[@S != 'CD-DRUG-CNK'])", "the code of a product is a CNK"},
	{55, "content/medicinalproduct/intendedcd", "not(content/medicinalproduct/intendedcd[@SV != 'LOCALDB' and @SV != 'WSSAMv2'])", "the code of a product comes from LOCALDB or WSSAMv2"},
	{56, "content/medicinalproduct/intendedcd", "not(content/medicinalproduct/intendedcd[@SV != 'LOCALDB' and text() = '0000000'])", "the code 0000000 comes from LOCALDB"},
	{57, "content/medicinalproduct/intendedname", "not(content/medicinalproduct/intendedname[string-length(text()) = 0])", "the name of the product is not empty"},
	{58, "content/substanceproduct/intendedcd", "not(content/substanceproduct/intendedcd[@S != 'CD-INNCLUSTER' and @S != 'CD-VMPGROUP'])", "the code of a group is an INN cluster or a VMP group"},
	{59, "content/substanceproduct/intendedcd", "not(content/substanceproduct/intendedcd[@SV != 'LOCALDB' and @SV != 'WSSAMv2'])", "the code of a group comes from LOCALDB or WSSAMv2"},
	{60, "content/substanceproduct/intendedname", "not(content/substanceproduct/intendedname[string-length(text()) = 0])", "the name of the group is not empty"},
	{61, "content/compoundprescription/formularyreference", "count(content/compoundprescription/formularyreference) = count(content/compoundprescription/formularyreference/cd[@S='CD-FORMULARYREFERENCE' and @SV='1.0'][@L='fr' or @L='nl'][string-length(@DN) > 0][string-length(text()) = 7 and starts-with(text(), '05')])", "an entry of the formulary has seven characters starting with 05, a name, and fr or nl"},
	{62, "lifecycle", "count(lifecycle/cd[@S='CD-LIFECYCLE' and @SV='1.9' and text()='prescribed']) = 1", "the life cycle is prescribed"},
	{63, "temporality", "not(temporality/cd[not(@S='CD-TEMPORALITY' and @SV='1.0')])", "the temporality is a CD-TEMPORALITY 1.0"},
	{64, "quantity", "not(content/compoundprescription) or count(quantity) = count(content/compoundprescription)", "a preparation has a quantity"},
	{65, "quantity", "not(content/medicinalproduct) or count(quantity) = count(content/medicinalproduct)", "a product has a quantity"},
	{66, "quantity", "not(quantity and content/substanceproduct/intendedcd[text() != '0000000'])", "a group has no quantity"},
	{67, "posology", "count(posology/text) = 1", "there is a posology in words"},
	{68, "posology", "not(posology/text[string-length(text()) = 0])", "the posology is not empty"},
	{69, "beginmoment", "count(beginmoment/date) = 1", "there is a first day"},
	{70, "frequency", "not(frequency/periodicity/cd[text()='UQ' or text()='US' or text()='UN' or text()='UX' or text()='UE'])", "the periodicity is none of UQ, US, UN, UX and UE"},
	{71, "frequency", "count(frequency) = count(frequency/periodicity/cd[@S='CD-PERIODICITY' and @SV='1.1'])", "the frequency is a periodicity, CD-PERIODICITY 1.1"},
	{72, "content/substanceproduct/intendedcd", "not(content/substanceproduct/intendedcd[string-length(text()) != 7])", "the code of a group has seven characters"},
	{73, "content/substanceproduct/intendedcd", "not(content/substanceproduct/intendedcd[@S='CD-INNCLUSTER'][not(starts-with(text(), '8') or starts-with(text(), '0'))])", "the code of an INN cluster starts with 8 or 0"},
	{74, "deliverydate", "not(deliverydate)", "there is no date of delivery"},
	{76, "content", "count(content) < 3", "at most two contents"},
	{77, "content[2]/cd", "not(content[2]/cd[@S != 'LOCAL' or @SV != '1.0' or @SL != 'SAMPROOF'])", "the second content is a SAM proof"},
	{78, "content[1]/cd", "not(content[1]/cd)", "the first content is the product"},
}

// DefaultRules returns the rules that this package knows, for P0 and P1: those of version 20190301, of 2021. Where the platform
// compares numbers of elements over the whole document, these look at each item, so that what is wrong has a place. Rule 75
// allows everything and is left out.
func DefaultRules() Rules { return defaultRules() }

var defaultRules = sync.OnceValue(func() Rules {
	return Rules{map[identity.PrescriptionType][]rule{
		identity.PrescriptionP0: ownRules("P0", "[1]", "[2]"),
		identity.PrescriptionP1: ownRules("P1", "", ""),
	}}
})

func ownRules(typ, first, second string) []rule {
	numbered := map[int]rule{}
	party := strings.NewReplacer("{1}", first, "{2}", second)
	for _, a := range parties {
		a.place, a.test = party.Replace(a.place), party.Replace(a.test)
		numbered[a.number] = ownRule(typ, a, nil)
	}
	for _, a := range general {
		numbered[a.number] = ownRule(typ, a, nil)
	}
	each := xpath.MustCompile(items)
	for _, a := range perItem {
		numbered[a.number] = ownRule(typ, a, each)
	}
	return inOrder(numbered)
}

func ownRule(typ string, a assertion, each *xpath.Expr) rule {
	return rule{
		id:      typ + "." + strconv.Itoa(a.number),
		each:    each,
		test:    xpath.MustCompile(places.Replace(a.test)),
		place:   places.Replace(a.place),
		message: a.message,
	}
}
