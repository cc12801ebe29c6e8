package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// vectors is a set of sealed messages with what must become of them.
type vectors struct {
	dir      string
	Password string
	Trust    string
	Messages []struct {
		File, Keystore, KEK, KEKID, Plain  string
		Reference, ReferenceNonRepudiation struct{ OK bool }
	}
}

// own are the vectors of package etee.
func own(t *testing.T) *vectors {
	return load(t, filepath.Join("..", "..", "etee", "testdata", "vectors"))
}

func load(t *testing.T, dir string) *vectors {
	t.Helper()
	v := &vectors{dir: dir}
	if err := json.Unmarshal(read(t, v.path("manifest.json")), v); err != nil || len(v.Messages) == 0 {
		t.Fatal(len(v.Messages), err)
	}
	return v
}

func (v *vectors) path(file string) string { return filepath.Join(v.dir, filepath.FromSlash(file)) }

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// names lists a directory.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestOpenOwnVectors(t *testing.T) { openVectors(t, own(t), true) }

// TestOpenSharedVectors opens every message once, and twice where the policy matters: their key stores take a third of a
// second each.
func TestOpenSharedVectors(t *testing.T) {
	openVectors(t, load(t, oracle.Shared(t, "vectors", "etee")), false)
}

// openVectors opens every message under both policies: content and exit code as the manifest says, and nothing written when
// refused.
func openVectors(t *testing.T, v *vectors, both bool) {
	dir := t.TempDir()
	password := write(t, dir, "password", v.Password+"\n")
	kek := filepath.Join(dir, "kek")
	work := t.TempDir()
	out := filepath.Join(work, "plain")
	for _, m := range v.Messages {
		for policy, ok := range map[string]bool{
			"without-non-repudiation": m.Reference.OK, "non-repudiation": m.ReferenceNonRepudiation.OK,
		} {
			if !both && policy == "without-non-repudiation" && m.Reference.OK == m.ReferenceNonRepudiation.OK {
				continue
			}
			args := []string{"open", "--json", "--trust", v.path(v.Trust), "--policy", policy, "--in", v.path(m.File), "--out", out}
			if m.Keystore != "" {
				args = append(args, "--keystore", v.path(m.Keystore), "--password-file", password)
			}
			if m.KEK != "" {
				write(t, dir, "kek", m.KEK+"\n")
				args = append(args, "--kek-file", kek, "--kek-id", m.KEKID)
			}
			r := call(t, args...)
			var report struct {
				Accepted         bool
				Policy           string
				Errors, Warnings []string
				Sender           *struct{ Type string }
			}
			if err := json.Unmarshal([]byte(r.out), &report); err != nil || report.Accepted != ok || report.Policy != policy || (report.Errors != nil) == (len(report.Errors) == 0) == !ok {
				t.Errorf("%s, %s: %+v, %v", m.File, policy, report, err)
			}
			if !ok {
				if r.code != refused || len(names(t, work)) != 0 || report.Sender != nil {
					t.Errorf("%s, %s: code %d, wrote %v", m.File, policy, r.code, names(t, work))
				}
				continue
			}
			if r.code != done || !bytes.Equal(read(t, out), read(t, v.path(m.Plain))) || report.Sender == nil || len(report.Warnings) == 0 {
				t.Errorf("%s, %s: code %d, %s", m.File, policy, r.code, r.err)
			}
			if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// sealing holds the files of a test that seals.
type sealing struct {
	*vectors
	t                             *testing.T
	dir, password, kek, plain     string
	sealed, opened, doctor, other string
}

func newSealing(t *testing.T) *sealing {
	v, dir := own(t), t.TempDir()
	return &sealing{
		vectors: v, t: t, dir: dir, password: write(t, dir, "password", v.Password+"\r\n"),
		kek: write(t, dir, "kek", base64.StdEncoding.EncodeToString([]byte("sixteen bytes ok"))), plain: write(t, dir, "plain", "a letter"),
		sealed: filepath.Join(dir, "sealed"), opened: filepath.Join(dir, "opened"),
		doctor: v.path("keystores/doctor.p12"), other: v.path("keystores/pharmacy.p12"),
	}
}

const kekID = "aWRlbnRpZmllcg=="

// seal seals as the doctor.
func (s *sealing) seal(args ...string) result {
	return call(s.t, append([]string{"seal", "--keystore", s.doctor, "--password-file", s.password, "--in", s.plain, "--out", s.sealed}, args...)...)
}

func (s *sealing) open(args ...string) result {
	return call(s.t, append([]string{"open", "--in", s.sealed, "--out", s.opened}, args...)...)
}

// as opens with somebody's key store.
func (s *sealing) as(who string, args ...string) result {
	return s.open(append([]string{"--keystore", s.path("keystores/" + who + ".p12"), "--password-file", s.password}, args...)...)
}

// TestSealOpen: what is sealed for several is opened by each and by nobody else.
func TestSealOpen(t *testing.T) {
	s := newSealing(t)
	hospital, base64ETK, pharmacy := s.path("etk/hospital.etk"), s.path("etk/hospital.etk.b64"), s.path("etk/pharmacy.etk")
	trust := s.path(s.Trust)
	for name, args := range map[string][]string{
		"repeated":      {"--to", hospital, "--to", pharmacy},
		"in a row":      {"--to", base64ETK, pharmacy},
		"with a key":    {"--to", hospital, "--to", pharmacy, "--kek-file", s.kek, "--kek-id", kekID},
		"own authority": {"--to", hospital, "--to", pharmacy, "--trust", trust},
	} {
		if r := s.seal(args...); r.code != done || r.out+r.err != "" && name == "own authority" {
			t.Fatalf("%s: %d, %s%s", name, r.code, r.out, r.err)
		}
		for _, who := range []string{"hospital", "pharmacy"} {
			r := s.as(who)
			if r.code != done || string(read(t, s.opened)) != "a letter" || !strings.Contains(r.out, "SSIN") || r.err != "" {
				t.Errorf("%s: %s: %d, %s%s", name, who, r.code, r.out, r.err)
			}
			if err := os.Remove(s.opened); err != nil {
				t.Fatal(err)
			}
		}
		if r := s.as("doctor"); r.code != refused || slices.Contains(names(t, s.dir), "opened") {
			t.Errorf("%s: opened by the sender: %d", name, r.code)
		}
	}
	if r := s.seal("--kek-file", s.kek, "--kek-id", kekID); r.code != done {
		t.Fatal(r.err)
	}
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"the key":                   {[]string{"--kek-file", s.kek, "--kek-id", kekID, "--trust", trust}, done},
		"the key, any identifier":   {[]string{"--kek-file", s.kek, "--trust", trust}, done},
		"authority of a key store":  {[]string{"--kek-file", s.kek, "--keystore", s.other, "--password-file", s.password}, done},
		"another identifier":        {[]string{"--kek-file", s.kek, "--kek-id", "eA==", "--trust", trust}, refused},
		"unless nobody compares it": {[]string{"--kek-file", s.kek, "--kek-id", "eA==", "--trust", trust, "--policy", "non-repudiation,-kek-identifier"}, done},
		"received long after":       {[]string{"--kek-file", s.kek, "--trust", trust, "--at", "2099-01-01T00:00:00Z"}, refused},
		"received before":           {[]string{"--kek-file", s.kek, "--trust", trust, "--at", "2026-02-01T00:00:00Z"}, done},
	} {
		if r := s.open(tt.args...); r.code != tt.code {
			t.Errorf("%s: %d, %s", name, r.code, r.err)
		}
	}
	if r := s.as("hospital"); r.code != refused {
		t.Errorf("sealed for a key only: %d", r.code)
	}
	if got := names(t, s.dir); len(got) != 5 {
		t.Errorf("left behind: %v", got)
	}
}

// TestOpenReveal: who sent a message shows only when asked for.
func TestOpenReveal(t *testing.T) {
	s := newSealing(t)
	s.doctor = s.path("keystores/hospital.p12")
	if r := s.seal("--to", s.path("etk/pharmacy.etk")); r.code != done {
		t.Fatal(r.err)
	}
	for _, args := range [][]string{nil, {"--json"}} {
		hidden, shown := s.as("pharmacy", args...), s.as("pharmacy", append(args, "--reveal")...)
		for _, secret := range []string{"79999957", "TESTZIEKENHUIS"} {
			if strings.Contains(hidden.out, secret) || !strings.Contains(shown.out, secret) {
				t.Errorf("%v: %s\n%s", args, hidden.out, shown.out)
			}
		}
	}
}

// TestSealNotWritten: mistakes and refusals have their exit codes, tell no path, and leave what is there as it was.
func TestSealNotWritten(t *testing.T) {
	s := newSealing(t)
	to := []string{"--to", s.path("etk/hospital.etk")}
	if r := s.seal(to...); r.code != done {
		t.Fatal(r.err)
	}
	before := read(t, s.sealed)
	write(t, s.dir, "opened", "what was there")
	long := write(t, s.dir, "long", base64.StdEncoding.EncodeToString(make([]byte, 15)))
	no := filepath.Join(s.dir, "none")
	sealAs := func(args ...string) []string { return append([]string{"seal"}, args...) }
	openAs := func(args ...string) []string {
		return append([]string{"open", "--in", s.sealed, "--out", s.opened}, args...)
	}
	files := []string{"--in", s.plain, "--out", s.sealed}
	signer := []string{"--keystore", s.doctor, "--password-file", s.password}
	with := func(lists ...[]string) (out []string) { return slices.Concat(lists...) }
	hospital := []string{"--keystore", s.path("keystores/hospital.p12"), "--password-file", s.password}
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"nobody to seal for":     {sealAs(with(files, signer)...), usage},
		"no key store":           {sealAs(with(files, to)...), usage},
		"no password":            {sealAs(with(files, to, signer[:2])...), usage},
		"wrong password":         {sealAs(with(files, to, signer[:2], []string{"--password-file", s.kek})...), usage},
		"key store missing":      {sealAs(with(files, to, []string{"--keystore", no}, signer[2:])...), usage},
		"key store is none":      {sealAs(with(files, to, []string{"--keystore", s.plain}, signer[2:])...), usage},
		"cannot sign":            {sealAs(with(files, to, []string{"--keystore", s.path("pki/root.pem")}, signer[2:])...), usage},
		"plain missing":          {sealAs(with([]string{"--in", no, "--out", s.sealed}, to, signer)...), usage},
		"plain is a directory":   {sealAs(with([]string{"--in", s.dir, "--out", s.sealed}, to, signer)...), usage},
		"nowhere to write":       {sealAs(with([]string{"--in", s.plain, "--out", filepath.Join(no, "x")}, to, signer)...), usage},
		"no ETK":                 {sealAs(with(files, signer, []string{"--to", s.plain})...), usage},
		"ETK missing":            {sealAs(with(files, signer, []string{"--to", no})...), usage},
		"expired ETK":            {sealAs(with(files, signer, to, []string{"--to", s.path("etk/expired.etk")})...), refused},
		"ETK of another country": {sealAs(with(files, signer, []string{"--to", s.path("etk/untrusted.etk")})...), refused},
		"forged ETK":             {sealAs(with(files, signer, []string{"--to", s.path("etk/registration.etk")})...), refused},
		"key without identifier": {sealAs(with(files, signer, []string{"--kek-file", s.kek})...), usage},
		"identifier without key": {sealAs(with(files, signer, to, []string{"--kek-id", kekID})...), usage},
		"odd identifier":         {sealAs(with(files, signer, to, []string{"--kek-file", s.kek, "--kek-id", "%"})...), usage},
		"key too short":          {sealAs(with(files, signer, to, []string{"--kek-file", long, "--kek-id", kekID})...), usage},
		"key not base64":         {sealAs(with(files, signer, to, []string{"--kek-file", s.plain, "--kek-id", kekID})...), usage},
		"no authority":           {sealAs(with(files, signer, to, []string{"--trust", s.plain})...), usage},

		"nothing to open with":     {openAs(), usage},
		"nobody to trust":          {openAs("--kek-file", s.kek), usage},
		"odd policy":               {openAs(with(hospital, []string{"--policy", "none"})...), usage},
		"odd time":                 {openAs(with(hospital, []string{"--at", "today"})...), usage},
		"sealed missing":           {with([]string{"open", "--in", no, "--out", s.opened}, hospital), usage},
		"not sealed":               {with([]string{"open", "--in", s.plain, "--out", s.opened}, hospital), refused},
		"for somebody else":        {openAs("--keystore", s.doctor, "--password-file", s.password), refused},
		"no key in the message":    {openAs("--kek-file", s.kek, "--trust", s.path(s.Trust)), refused},
		"from an unknown sender":   {openAs(with(hospital, []string{"--trust", s.path(s.Trust), "--at", "2020-01-01T00:00:00Z"})...), refused},
		"nowhere to write content": {with([]string{"open", "--in", s.sealed, "--out", filepath.Join(no, "x")}, hospital), usage},
	} {
		r := call(t, tt.args...)
		if r.code != tt.code || r.err == "" {
			t.Errorf("%s: %d, %s", name, r.code, r.err)
		}
		if strings.Contains(r.err, s.dir) || strings.Contains(r.err, "a letter") {
			t.Errorf("%s: tells too much: %s", name, r.err)
		}
		if string(read(t, s.opened)) != "what was there" || !bytes.Equal(read(t, s.sealed), before) {
			t.Fatalf("%s: wrote", name)
		}
	}
	if got := names(t, s.dir); len(got) != 6 {
		t.Errorf("left behind: %v", got)
	}
}
