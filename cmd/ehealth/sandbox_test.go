package main_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// TestReadyLine: one line of JSON, with paths and URL that can be used.
func TestReadyLine(t *testing.T) {
	r := shared.ready
	if strings.Count(shared.line, "\n") != 1 || !r.Ready || !strings.HasPrefix(r.Admin, "http://127.0.0.1:") {
		t.Errorf("ready line is %q", shared.line)
	}
	for _, name := range []string{r.Config, r.CA} {
		if !filepath.IsAbs(name) {
			t.Errorf("%s is not absolute", name)
		}
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	private(t, shared.line)
}

// TestFiles: who may read what, and that no file name tells who somebody is.
func TestFiles(t *testing.T) {
	dir := filepath.Dir(shared.ready.Config)
	stores := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		switch {
		case d.IsDir() && rel == "people":
			want = fs.ModeDir | 0o700
		case rel == "ca.pem":
			want = 0o644
		case rel == "sandbox.json":
		case filepath.Ext(rel) == ".p12":
			stores++
			if !regexp.MustCompile(`^people/[a-z]+-[0-9]+\.p12$`).MatchString(filepath.ToSlash(rel)) {
				t.Errorf("file name %s", rel)
			}
		default:
			t.Errorf("unexpected file %s", rel)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", rel, info.Mode(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := file(t)
	holders := map[string]bool{}
	for _, p := range append(e.People, e.Organisations...) {
		holders[p.Identity.Keystore] = true
		if p.Login != nil {
			holders[p.Login.Keystore] = true
		}
	}
	if stores < 10 || stores != len(holders) {
		t.Errorf("%d key stores, %d are named in sandbox.json", stores, len(holders))
	}
}

var decimal = regexp.MustCompile(`^[0-9]+$`)

// TestKeystores: every key store opens with our package, and is in the eHealth layout.
func TestKeystores(t *testing.T) {
	e := file(t)
	dir, older := filepath.Dir(shared.ready.Config), false
	for _, p := range append(e.People, e.Organisations...) {
		s, err := keystore.OpenFile(filepath.Join(dir, p.Identity.Keystore), p.Identity.Password)
		if err != nil {
			t.Fatalf("%s: %v", p.Identity.Keystore, err)
		}
		auth, err := s.Authentication()
		if err != nil || auth.Alias != keystore.AuthenticationAlias || len(auth.Chain) == 0 {
			t.Errorf("%s: alias %q, chain of %d, %v", p.Identity.Keystore, auth.Alias, len(auth.Chain), err)
		}
		if w := auth.Expiry(time.Now()); w.Level != keystore.Fresh {
			t.Errorf("%s: %v", p.Identity.Keystore, w.Level)
		}
		keys := s.Encryption()
		older = older || len(keys) > 1
		if len(keys) == 0 {
			t.Errorf("%s: no encryption key", p.Identity.Keystore)
		}
		for _, k := range keys {
			if !decimal.MatchString(k.Alias) || k.Alias != k.Certificate.SerialNumber.String() {
				t.Errorf("%s: encryption alias %q", p.Identity.Keystore, k.Alias)
			}
		}
	}
	if !older {
		t.Error("nobody has an older encryption key")
	}
}

// TestKeystoresElsewhere: keytool and openssl read them too.
func TestKeystoresElsewhere(t *testing.T) {
	id := file(t).Identity // the first doctor, with two encryption keys
	name := filepath.Join(filepath.Dir(shared.ready.Config), id.Keystore)
	tool := func(t *testing.T, program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(oracle.Tool(t, program), args...)
		cmd.Env = append(os.Environ(), "STOREPASS="+id.Password)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		return string(out)
	}
	t.Run("keytool", func(t *testing.T) {
		out := tool(t, "keytool", "-J-Duser.language=en", "-list", "-storetype", "PKCS12", "-keystore", name, "-storepass:env", "STOREPASS")
		if n := strings.Count(out, "PrivateKeyEntry"); n != 3 || !strings.Contains(out, "authentication,") {
			t.Errorf("keytool found %d keys:\n%s", n, out)
		}
	})
	t.Run("openssl", func(t *testing.T) {
		out := tool(t, "openssl", "pkcs12", "-in", name, "-passin", "env:STOREPASS", "-nodes")
		if n := strings.Count(out, "BEGIN PRIVATE KEY"); n != 3 || !strings.Contains(out, "friendlyName: authentication") {
			t.Errorf("openssl found %d keys", n)
		}
	})
}

// TestSandboxRefusesToStart: what is wrong is said, and the exit code tells whose mistake it is.
func TestSandboxRefusesToStart(t *testing.T) {
	taken := strings.TrimPrefix(shared.ready.Admin, "http://")
	for _, c := range []struct {
		name string
		args []string
		code int
	}{
		{"no directory", []string{"sandbox"}, usage},
		{"no address", []string{"sandbox", "--dir", t.TempDir(), "--addr", "nonsense"}, 1},
		{"address taken", []string{"sandbox", "--dir", t.TempDir(), "--addr", taken}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := call(t, c.args...); r.code != c.code || r.err == "" || strings.Contains(r.out, "ready") {
				t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
			}
		})
	}
}
