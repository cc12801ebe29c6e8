package wsse_test

import (
	"os"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

var signedFiles = []string{"testdata/signed-x509.xml", "testdata/signed-hok.xml"}

// signedOnce returns messages that were signed once with keys that nobody has any more.
func signedOnce(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for _, f := range signedFiles {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, doc)
	}
	return out
}

func TestSignedOnce(t *testing.T) {
	if *update {
		for i, doc := range []string{x509Message(t, ec()), hokMessage(t, ec())} {
			if err := os.WriteFile(signedFiles[i], []byte(doc), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, doc := range signedOnce(t) {
		v, err := verify(t, string(doc), now)
		if err != nil || v.Certificate.Subject.CommonName != "SSIN=P-256" {
			t.Errorf("%s: %v", signedFiles[i], err)
		}
	}
}

// FuzzVerify: never a panic; and since nobody has the keys, whatever verifies has the body and the times that were signed.
func FuzzVerify(f *testing.F) {
	type content struct{ body, profile, created, expires string }
	read := func(v *wsse.Verified) content {
		return content{string(c14n.Append(nil, v.Body, c14n.Options{})), v.Profile.String(), v.Created.UTC().String(), v.Expires.UTC().String()}
	}
	trusted := map[string]content{} // by certificate and profile
	for _, doc := range signedOnce(f) {
		v, err := verify(f, string(doc), now)
		if err != nil {
			f.Fatal(err)
		}
		trusted[string(v.Certificate.Raw)+v.Profile.String()] = read(v)
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 16})
		if err != nil {
			return
		}
		v, err := wsse.Verify(root, wsse.Policy{Now: now})
		if err != nil {
			if v != nil {
				t.Fatal("a result beside an error")
			}
			return
		}
		if want, ok := trusted[string(v.Certificate.Raw)+v.Profile.String()]; ok && read(v) != want {
			t.Fatal("a forged message verifies")
		}
	})
}
