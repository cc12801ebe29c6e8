package insurability

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The people of dossier 05 sections 6 and 8; all synthetic.
var (
	ssinInsured = identity.MustSSIN("85073199704")
	ssinDoctor  = identity.MustSSIN("90022999836")
	mutuality   = identity.MustMutuality("319")

	doctor = Caller{
		Quality: identity.Doctor, NIHII: identity.MustNIHII("19999915001"), Name: "Synthetic Doctor", SSIN: ssinDoctor,
	}
	medicalHouse = Caller{Quality: identity.MedicalHouse, NIHII: identity.MustNIHII("89999964"), Name: "Synthetic House"}
	hospital     = Caller{
		Quality: identity.Hospital, NIHII: identity.MustNIHII("70999941000"), Name: "Synthetic Hospital", SiteID: "SITE-1",
	}
	pharmacy = Caller{
		Quality: identity.Pharmacy, NIHII: identity.MustNIHII("21999994"), Name: "Synthetic Pharmacy",
		Holder: &Holder{NIHII: identity.MustNIHII("29999922001"), Name: "Synthetic Holder", SSIN: ssinDoctor},
	}
	software = Software{Name: "sandbox-package", Licence: NewLicence("sandbox-user", "sandbox-secret")}

	sampleDay = Day(2030, time.January, 15)
)

const sampleRef = "20300115103001"

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, doc []byte) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// compact returns the canonical form of doc without the white space between its elements.
func compact(t testing.TB, doc []byte) string {
	t.Helper()
	w := xmltree.NewWriter()
	copyTree(w, parse(t, doc))
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(c14n.Append(nil, parse(t, b), c14n.Options{}))
}

func copyTree(w *xmltree.Writer, n *xmltree.Node) {
	w.Start(n.Prefix(), n.Local())
	for _, ns := range n.Namespaces() {
		w.NS(ns.Prefix, ns.URI)
	}
	for _, a := range n.Attrs() {
		w.Attr(a.Prefix, a.Local, a.Value)
	}
	for c := range n.Children() {
		switch {
		case c.Kind() == xmltree.Element:
			copyTree(w, c)
		case c.Kind() == xmltree.Text && strings.TrimSpace(c.Data()) != "":
			w.Text(c.Data())
		}
	}
	w.End()
}

func schema(t testing.TB, doc []byte) string {
	t.Helper()
	if parse(t, doc).Space() == nsGenInsProtocol {
		return oracle.Shared(t, "schemas", "ehealth-mycarenet-genins", "XSD", "ehealth-genins-protocol-1_1.xsd")
	}
	return oracle.Shared(t, "schemas", "ehealth-insurability", "XSD", "insurabilityservices_protocol-2_0.xsd")
}

// rewrite decodes a message of any of the four kinds and encodes it again.
func rewrite(t testing.TB, doc []byte) []byte {
	t.Helper()
	b, err := recode(parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func recode(n *xmltree.Node) ([]byte, error) {
	switch n.Local() {
	case "GetInsurabilityRequest":
		r := new(GenInsRequest)
		if err := decode(n, genInsProtocol, genInsCore, n.Local(), r, (*GenInsRequest).wire); err != nil {
			return nil, err
		}
		return r.encode()
	case "GetInsurabilityResponse":
		r, err := decodeGenIns(n)
		if err != nil {
			return nil, err
		}
		return encode(genInsProtocol, genInsCore, n.Local(), r, (*GenInsResponse).wire)
	case "GetInsurabilityForPharmacistRequest":
		r := new(PharmacistRequest)
		if err := decode(n, pharmacistProtocol, pharmacistCore, n.Local(), r, (*PharmacistRequest).wire); err != nil {
			return nil, err
		}
		return r.encode()
	default:
		r, err := decodePharmacist(n)
		if err != nil {
			return nil, err
		}
		return encode(pharmacistProtocol, pharmacistCore, n.Local(), r, (*PharmacistResponse).wire)
	}
}
