package saml_test

import (
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/saml"
)

var update = flag.Bool("update", false, "write testdata anew, with new keys")

const (
	goldenFile = "testdata/assertion.xml"
	goldenRoot = "testdata/root.pem"
)

// golden returns an assertion that was signed once with keys that nobody has any more, and the trust to verify it with at the
// instant now.
func golden(t testing.TB) (string, saml.Trust) {
	t.Helper()
	doc, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(goldenRoot)
	if err != nil {
		t.Fatal(err)
	}
	tr := saml.Trust{Roots: x509.NewCertPool()}
	if !tr.Roots.AppendCertsFromPEM(root) {
		t.Fatal("no certificate in " + goldenRoot)
	}
	return string(doc), tr
}

func TestGolden(t *testing.T) {
	if *update {
		root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki().root.cert.Raw})
		if err := os.WriteFile(goldenRoot, root, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, []byte(signed(t, unsigned(pki().holder.cert), pki().sts)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	doc, tr := golden(t)
	a, err := saml.Parse(parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	if string(a.Raw) != doc || a.HolderOfKey.Subject.CommonName != "SSIN=holder" {
		t.Error("read differently")
	}
	if err := a.Verify(tr, now); err != nil {
		t.Error(err)
	}
}
