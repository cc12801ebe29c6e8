package sandbox

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// TestMailZeep lets python3-zeep look into a box of a sandbox on sockets, with the real WSDL of the consultation service.
func TestMailZeep(t *testing.T) {
	if testing.Short() {
		t.Skip("Python judges: run without -short")
	}
	python := pythonWith(t, "zeep", "xmlsec", "lxml", "requests")
	wsdl := oracle.Shared(t, "schemas", "ehealth-ehbox", "WSDL", "ehBoxConsultation-v3.wsdl")
	s, err := New(Config{Seed: 7, Patients: -1, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, lab := s.Person(identity.Doctor, 0), s.Organisation(identity.Labo, 0)
	letter := MailDelivery{From: lab.Mailbox(), To: []Mailbox{p.Mailbox()}, Title: "Result", Text: []byte("négatif")}
	if _, err := s.DeliverMail(letter); err != nil {
		t.Fatal(err)
	}
	letter.Title, letter.Text = "Scan", []byte("see annex")
	letter.Annexes = []MailAnnex{{Title: []byte("Scan"), File: "scan.txt", MimeType: "text/plain", Content: []byte("the scan")}}
	if _, err := s.DeliverMail(letter); err != nil {
		t.Fatal(err)
	}
	job := zeepJob(t, s, p)
	job["wsdl"], job["ehbox"] = wsdl, s.URL(uddiMailRead, 0)
	raw, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-B", filepath.Join("testdata", "zeep_ehbox.py"), file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.Bytes())
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	for name, want := range map[string]string{
		"box": fmt.Sprint([]string{p.SSIN.Reveal(), "DOCTOR"}), "status": "[100 100 100]", "sender": lab.Name,
		"letters": "[[Scan see annex the scan] [Result négatif ]]", "left": "1",
	} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("%s = %v, want %s", name, got[name], want)
		}
	}
	if !strings.HasPrefix(fmt.Sprint(got["fault"]), "808: ") {
		t.Errorf("fault %v", got["fault"])
	}
}

// zeepJob writes what the Python clients need to act as somebody.
func zeepJob(t *testing.T, s *Sandbox, p *Person) map[string]any {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, ders ...[]byte) string {
		var b bytes.Buffer
		for _, der := range ders {
			if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
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
	return map[string]any{
		"sts":  s.URL("uddi:ehealth-fgov-be:business:iamsecuritytokenservice:v1", 0),
		"ca":   write("ca.pem", "CERTIFICATE", s.CA()[0].Raw, s.CA()[1].Raw),
		"cert": write("cert.pem", "CERTIFICATE", c.Certificate.Raw), "key": write("key.pem", "PRIVATE KEY", key),
		"signer": write("signer.pem", "CERTIFICATE", signer.Certificate.Raw), "claims": asked,
	}
}
