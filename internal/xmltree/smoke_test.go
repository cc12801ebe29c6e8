package xmltree

import "testing"

func TestSmoke(t *testing.T) {
	w := NewWriter()
	w.Start("s", "Envelope")
	w.NS("s", "urn:s")
	w.Attr("s", "a", "x\t<\"&\r\n")
	w.Leaf("s", "B", "a\r<&>\n\t😀")
	w.End()
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	n, err := Parse(b, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := n.Attr("urn:s", "a"); v != "x\t<\"&\r\n" {
		t.Errorf("%q", v)
	}
	if s, err := n.Child("urn:s", "B").Text(); s != "a\r<&>\n\t😀" || err != nil {
		t.Errorf("%q %v", s, err)
	}
}
