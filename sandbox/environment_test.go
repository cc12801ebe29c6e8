package sandbox

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

func TestWriteEnvironment(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	s := echo(t, Config{Listen: "127.0.0.1:0", Patients: 3})
	dir := filepath.Join(t.TempDir(), "env")
	for range 2 { // the second time over the first
		if err := s.WriteEnvironment(dir); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "sandbox.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f envFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if f.Environment != "sandbox" || f.CA != "ca.pem" || f.Trust.STS != "ca.pem" || f.Trust.ServiceList != "ca.pem" || f.Trust.ETK != "ca.pem" ||
		f.ServiceList.V2 != s.ListURL(2) || f.Admin != s.AdminURL() || f.Caller.Quality != "doctor" || len(f.Patients) != 11 ||
		f.Patients[0].Scenario != Insured || f.Patients[0].LastName == "" || len(f.Patients[0].Birth) != 10 || f.Software.Name == "" {
		t.Errorf("%s", raw)
	}
	eps := f.Services["uddi:genins"]
	if len(eps) != 2 || eps[0].Status != "ACTIVE" || eps[1].Status != "INACTIVE" || !strings.HasPrefix(eps[1].URL, "https://127.0.0.1:") {
		t.Errorf("%+v", eps)
	}
	checkFiles(t, s, dir, f)
	pemBytes, err := os.ReadFile(filepath.Join(dir, f.CA))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(pemBytes)
	if block == nil || len(rest) == 0 {
		t.Fatal("ca.pem does not hold two certificates")
	}
	if c, err := x509.ParseCertificate(block.Bytes); err != nil || !c.Equal(s.CA()[0]) {
		t.Errorf("ca.pem: %v", err)
	}
}

// checkFiles: modes, names without personal data, every store named is there, nothing else is.
func checkFiles(t *testing.T, s *Sandbox, dir string, f envFile) {
	t.Helper()
	named := map[string]bool{"sandbox.json": true, "ca.pem": true}
	patients := 0
	for _, p := range f.People {
		named[p.Keystore] = true
		if p.Role == "patient" {
			patients++
			if c := s.Citizen(identity.MustSSIN(p.SSIN)); c == nil || p.Caller.SSIN != p.SSIN || p.Caller.Quality != "" || p.NIHII != "" || p.Mailbox != (envMailbox{}) {
				t.Errorf("%s: %+v", p.Keystore, p.Caller)
			}
			continue
		}
		if _, err := s.MailboxState(Mailbox(p.Mailbox)); err != nil {
			t.Errorf("mailbox %+v: %v", p.Mailbox, err)
		}
		if p.Role == "pharmacist" {
			if p.Pharmacy == nil || p.Pharmacy.HolderSSIN == "" || p.Identity.Keystore != p.Pharmacy.Keystore || p.Login.Keystore != p.Keystore {
				t.Errorf("pharmacist %+v", p.Pharmacy)
			}
			named[p.Pharmacy.Keystore] = true
		}
	}
	for _, o := range f.Orgs {
		named[o.Keystore] = true
		// A pharmacy logs in by its holder; others by themselves.
		pharmacy := o.Role == "pharmacy"
		if (o.Login != nil) != pharmacy || (o.Caller.Holder != nil) != pharmacy || pharmacy && (o.Caller.SSIN != o.Caller.Holder.SSIN || !named[o.Login.Keystore]) {
			t.Errorf("%s: login %v, holder %v", o.Keystore, o.Login, o.Caller.Holder)
		}
	}
	if patients != 2 {
		t.Errorf("%d patients have key stores", patients)
	}
	var secrets []string
	for _, p := range s.Patients()[:patients] {
		secrets = append(secrets, p.SSIN.Reveal(), strings.ToLower(p.LastName))
	}
	for _, p := range s.People() {
		secrets = append(secrets, p.SSIN.Reveal(), p.NIHII.Base(), strings.ToLower(p.LastName))
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if !named[name] {
			t.Errorf("unexpected file %s", name)
		}
		delete(named, name)
		for _, secret := range secrets {
			if strings.Contains(strings.ToLower(name), secret) {
				t.Error("a file name holds personal data")
			}
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if name != "ca.pem" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range named {
		t.Errorf("%s is missing", name)
	}
}

// TestKeystoreJudged: openssl and keytool read the store; the first doctor has two encryption keys.
func TestKeystoreJudged(t *testing.T) {
	s := echo(t, Config{})
	p := s.Person(identity.Doctor, 0)
	der, err := p.Keystore("a password")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "store.p12")
	if err := os.WriteFile(file, der, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), oracle.Tool(t, "openssl"), "pkcs12", "-in", file, "-passin", "pass:a password", "-noenc").CombinedOutput()
	if err != nil || strings.Count(string(out), "BEGIN PRIVATE KEY") != 3 {
		t.Errorf("openssl: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), oracle.Tool(t, "keytool"), "-list", "-keystore", file, "-storepass", "a password", "-storetype", "PKCS12").CombinedOutput()
	if err != nil || strings.Count(string(out), "PrivateKeyEntry") != 3 {
		t.Errorf("keytool: %v\n%s", err, out)
	}
	enc, err := p.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"authentication", enc[0].Alias, enc[1].Alias} {
		if !strings.Contains(string(out), alias+",") {
			t.Errorf("no alias %s", alias)
		}
	}
}
