package sandbox

import (
	"archive/zip"
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// RecipeValidation is what getValidationProperties gives out (dossier 04 6.2 and 12.3).
type RecipeValidation struct {
	Version    string            // serverPropertiesVersion; "" stands for the sandbox's own
	Properties map[string]string // "kmehr.assert.P0.1" -> "/kmehrmessage/header/id;2;2"
	Files      map[string][]byte // "kmehr.XSD.28" -> a zip file with schemas
}

// SetRecipeValidation changes what getValidationProperties gives out from now on. The zero value is the sandbox's own: a few
// rules in the form of the platform and a schema that takes any kmehrmessage, both of our own making.
//
// A client that has this version already gets neither properties nor files, whoever has another one gets everything: the
// dossier does not know what the platform does.
func (s *Sandbox) SetRecipeValidation(v RecipeValidation) {
	own := &RecipeValidation{Version: v.Version, Properties: maps.Clone(v.Properties), Files: map[string][]byte{}}
	for key, file := range v.Files {
		own.Files[key] = bytes.Clone(file)
	}
	if v.Version == "" {
		own = nil
	}
	s.recipe.mu.Lock()
	defer s.recipe.mu.Unlock()
	s.recipe.rest.validation = own
}

// validationRules are rules of dossier 12.3 in our own words: an expression that is counted with its least and most, or one
// that must be true.
var validationRules = []string{
	"/kmehrmessage/header/standard/cd[@S='CD-STANDARD' and @SV='1.29' and text()='20190301'];1;1",
	"/kmehrmessage/header/id;2;2",
	"/kmehrmessage/header/id[1][@S='ID-KMEHR'];1",
	"/kmehrmessage/header/id[2][@S='LOCAL'];1",
	"/kmehrmessage/folder;1;1",
	"/kmehrmessage/folder/patient/id[@S='ID-PATIENT' and string-length(text())=11];1;1",
	"/kmehrmessage/folder/transaction/cd[@S='CD-TRANSACTION' and text()='pharmaceuticalprescription'];1;1",
	"/kmehrmessage/folder/transaction/expirationdate;1;1",
	"/kmehrmessage/folder/transaction/heading/item;1;10",
	"/kmehrmessage/folder/transaction/heading/item/deliverydate;0;0",
	"count(/kmehrmessage/folder/transaction/heading/item)=count(/kmehrmessage/folder/transaction/heading/item/posology)",
}

const validationSchema = `<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.ehealth.fgov.be/standards/kmehr/schema/v1">
  <xs:element name="kmehrmessage">
    <xs:complexType><xs:sequence><xs:any minOccurs="1" maxOccurs="unbounded" processContents="skip"/></xs:sequence></xs:complexType>
  </xs:element>
</xs:schema>
`

// ownValidation is the sandbox's own; nil when the zip file cannot be written, which no caller can cause.
var ownValidation = sync.OnceValue(func() *RecipeValidation {
	v := &RecipeValidation{Version: "1", Properties: map[string]string{}}
	for _, typ := range []string{"P0", "P1"} {
		for i, rule := range validationRules {
			v.Properties["kmehr.assert."+typ+"."+strconv.Itoa(i+1)] = rule
		}
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("kmehr_elements-1_28.xsd")
	if err == nil {
		_, err = f.Write([]byte(validationSchema))
	}
	if err != nil || z.Close() != nil {
		return nil
	}
	v.Files = map[string][]byte{"kmehr.XSD.28": b.Bytes()}
	return v
})

// validationProperties is getValidationProperties.
func (x *recipeCall) validationProperties() (recipeBody, *recipeRefusal) {
	has := x.text("clientPropertiesVersion")
	v := x.st.rest.validation
	if v == nil {
		v = ownValidation()
	}
	switch {
	case x.field("clientPropertiesVersion") == nil:
		return nil, x.refuse(recipeBadVersion)
	case v == nil:
		return nil, x.refuse(recipeFull)
	case has == v.Version:
		v = &RecipeValidation{Version: v.Version}
	}
	return func(w *xmltree.Writer) {
		w.Start("", "xsdValidationFiles")
		for _, key := range slices.Sorted(maps.Keys(v.Files)) {
			w.Start("", "entry")
			w.Leaf("", "key", key)
			leafBinary(w, "value", v.Files[key])
			w.End()
		}
		w.End()
		w.Start("", "properties")
		for _, key := range slices.SortedFunc(maps.Keys(v.Properties), byNumber) {
			w.Start("", "entry")
			w.Leaf("", "key", key)
			w.Leaf("", "value", v.Properties[key])
			w.End()
		}
		w.End()
		w.Leaf("", "serverPropertiesVersion", v.Version)
	}, nil
}

// byNumber orders keys whose ends are numbers by these numbers.
func byNumber(a, b string) int {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	x, errX := strconv.Atoi(a[i+1:])
	y, errY := strconv.Atoi(b[j+1:])
	if errX != nil || errY != nil || a[:i+1] != b[:j+1] {
		return strings.Compare(a, b)
	}
	return x - y
}
