package kmehr

import (
	"strconv"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr/internal/xpath"
)

func nodePath(n *xmltree.Node) string { return xpath.Element(n).Path() }

// fieldTable says which field of a Prescription an element is about: the longest path that fits wins. Paths are below
// /kmehrmessage, without places.
var fieldTable = map[string]string{
	"header/id":                  "ID",
	"header/date":                "Created",
	"header/time":                "Created",
	"header/sender":              "Author",
	"header/sender/hcparty/cd":   "Author.Profession",
	"header/externalsource":      "Source",
	"folder/patient":             "Patient",
	"folder/patient/id":          "Patient.SSIN",
	"folder/patient/firstname":   "Patient.FirstName",
	"folder/patient/familyname":  "Patient.FamilyName",
	"folder/patient/birthdate":   "Patient.Birth",
	"folder/patient/sex":         "Patient.Sex",
	"folder/transaction/date":    "Created",
	"folder/transaction/time":    "Created",
	"folder/transaction/author":  "Author",
	"folder/transaction/heading": "Items",

	"folder/transaction/expirationdate":            "Expires",
	"folder/transaction/author/hcparty/id":         "Author.NIHII",
	"folder/transaction/author/hcparty/cd":         "Author.Profession",
	"folder/transaction/author/hcparty/name":       "Author.Name",
	"folder/transaction/author/hcparty/firstname":  "Author.FirstName",
	"folder/transaction/author/hcparty/familyname": "Author.FamilyName",
	"folder/transaction/author/hcparty/address":    "Author.Address",
	"folder/transaction/author/hcparty/telecom":    "Author.Phone",
	"header/externalsource/source/cd":              "Source.Name",
	"header/externalsource/source/version":         "Source.Version",
}

// itemTable is fieldTable below an item.
var itemTable = map[string]string{
	"content":                                         "Medicine",
	"content/medicinalproduct":                        "Medicine",
	"content/medicinalproduct/intendedcd":             "Medicine.CNK",
	"content/medicinalproduct/intendedname":           "Medicine.Name",
	"content/substanceproduct":                        "Group",
	"content/substanceproduct/intendedcd":             "Group.Code",
	"content/substanceproduct/intendedname":           "Group.Name",
	"content/compoundprescription":                    "Magistral",
	"content/compoundprescription/magistraltext":      "Magistral.Text",
	"content/compoundprescription/compound":           "Magistral.Compounds",
	"content/compoundprescription/galenicform":        "Magistral.Form",
	"content/compoundprescription/formularyreference": "Magistral.Formulary",
	"content/cd":                  "Proof",
	"text":                        "Notes",
	"beginmoment":                 "Begin",
	"endmoment":                   "End",
	"temporality":                 "Temporality",
	"quantity":                    "Quantity",
	"frequency":                   "Periodicity",
	"dayperiod":                   "DayPeriods",
	"duration":                    "Duration",
	"posology":                    "Posology",
	"regimen":                     "Regimen",
	"renewal":                     "Renewal",
	"route":                       "Route",
	"instructionforpatient":       "ForPatient",
	"instructionforreimbursement": "ForReimbursement",
	"instructionforoverdosing":    "ForOverdosing",
	"issubstitutionallowed":       "Substitution",
}

const itemsPath = "folder/transaction/heading/item"

// fieldOf names the field that an element is about, "" when there is none. The path is one of [Violation.XPath].
func fieldOf(path string) string {
	path, _, _ = strings.Cut(path, "/@")
	path = strings.TrimSuffix(path, "/text()")
	parts := strings.Split(strings.TrimPrefix(path, "/kmehrmessage/"), "/")
	place := 1
	for k, part := range parts {
		name, index, indexed := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		if parts[k] = name; name == "item" && indexed {
			place, _ = strconv.Atoi(index)
		}
		if name == "hcparty" && index == "2" && k == 2 {
			return "Software"
		}
	}
	clean := strings.Join(parts, "/")
	below, isItem := strings.CutPrefix(clean, itemsPath)
	if !isItem {
		return longest(fieldTable, clean)
	}
	field := "Items[" + strconv.Itoa(place-1) + "]"
	if sub := longest(itemTable, strings.TrimPrefix(below, "/")); sub != "" {
		field += "." + sub
	}
	return field
}

func longest(table map[string]string, path string) string {
	for path != "" {
		if f, ok := table[path]; ok {
			return f
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	return ""
}
