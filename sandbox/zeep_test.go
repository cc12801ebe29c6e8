package sandbox

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// TestZeep lets a client that was not written here use a sandbox on sockets: python3-zeep on a bare WSDL around the
// real schema, with security headers made by python3-xmlsec. It gets its token from the STS itself.
func TestZeep(t *testing.T) {
	if testing.Short() {
		t.Skip("Python judges: run without -short")
	}
	python := pythonWith(t, "zeep", "xmlsec", "lxml", "requests")
	xsd := sharedXSD(t, "ehealth-mycarenet-genins", "ehealth-genins-protocol-1_1.xsd")
	s, err := New(Config{Seed: 7, Patients: -1, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })

	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := func(certs ...*x509.Certificate) []byte {
		var b bytes.Buffer
		for _, c := range certs {
			if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	wsdl, err := os.ReadFile(filepath.Join("testdata", "genins.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Person(identity.Doctor, 0)
	c, err := p.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := s.pki.stsSigner()
	if err != nil {
		t.Fatal(err)
	}
	var asked [][2]string
	for _, claim := range doctorClaims(p) {
		name, value, _ := strings.Cut(claim, "=")
		asked = append(asked, [2]string{name, value})
	}
	today := dayIn(time.Now()).Format(time.DateOnly)
	job, err := json.Marshal(map[string]any{
		"sts": s.URL("uddi:ehealth-fgov-be:business:iamsecuritytokenservice:v1", 0), "genins": s.URL("uddi:ehealth-fgov-be:business:genericinsurability:v1", 0),
		"wsdl": write("genins.wsdl", bytes.ReplaceAll(wsdl, []byte("@XSD@"), []byte(xsd))), "ca": write("ca.pem", cert(s.CA()...)),
		"cert": write("cert.pem", cert(c.Certificate)), "key": write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"signer": write("signer.pem", cert(signer.Certificate)), "claims": asked, "today": today,
		"nihii": p.NIHII.Full(), "ssin": p.SSIN.Reveal(), "name": p.Name(), "patient": "85073199704",
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "zeep_genins.py"), write("job.json", job))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.Bytes())
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	for name, want := range map[string]string{
		"status": "200", "reference": "20300115103000", "record": "20300115103001", "echo": "ZEEP-1", "inss": "85073199704",
		"ct1": "110", "mutuality": "319", "start": today, "wrong": "12",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if !strings.Contains(got["fault"], "SOA-01001") {
		t.Errorf("changed body: %q", got["fault"])
	}
}

// pythonWith finds a Python that has these modules: Debian's first, whose packages are meant.
func pythonWith(t *testing.T, modules ...string) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if exec.CommandContext(t.Context(), path, "-c", "import "+strings.Join(modules, ", ")).Run() == nil {
			return path
		}
	}
	reason := "no Python with " + strings.Join(modules, ", ") + " (Debian: python3-zeep, python3-xmlsec)"
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}
