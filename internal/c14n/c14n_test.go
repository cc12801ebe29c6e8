package c14n

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func TestSmoke(t *testing.T) {
	n, err := xmltree.Parse([]byte(`<s:E xmlns:s="urn:s" xmlns:w="urn:wsu" xmlns="urn:d"><s:Body w:Id="T" s:m="1"><x a="&#9;"/><y xmlns="">&#13;</y></s:Body></s:E>`), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := string(Append(nil, n.FirstChild(), Options{}))
	want := `<s:Body xmlns:s="urn:s" xmlns:w="urn:wsu" s:m="1" w:Id="T"><x xmlns="urn:d" a="&#x9;"></x><y>&#xD;</y></s:Body>`
	if got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
}
