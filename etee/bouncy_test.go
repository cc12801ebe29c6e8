package etee_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// jars are where Debian's libbcpkix-java puts BouncyCastle.
var jars = []string{"/usr/share/java/bcprov.jar", "/usr/share/java/bcpkix.jar", "/usr/share/java/bcutil.jar"}

// bouncy runs requests, each a command and its fields, through the driver in testdata/java, in one run of the JVM. The first
// field of an answer is "ok" or "error".
func bouncy(t testing.TB, requests ...[][]byte) [][][]byte {
	t.Helper()
	java, javac := oracle.Tool(t, "java"), oracle.Tool(t, "javac")
	for _, j := range jars {
		if _, err := os.Stat(j); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("libbcpkix-java is not installed (CI=true, nothing may be skipped)")
			}
			t.Skip("libbcpkix-java is not installed")
		}
	}
	classpath := strings.Join(append(jars, compileBouncy(t, javac)), ":")
	in := binary.BigEndian.AppendUint32(nil, uint32(len(requests)))
	for _, fields := range requests {
		in = binary.BigEndian.AppendUint32(in, uint32(len(fields)))
		for _, f := range fields {
			in = append(binary.BigEndian.AppendUint32(in, uint32(len(f))), f...)
		}
	}
	cmd := exec.CommandContext(t.Context(), java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classpath, "Bouncy")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("BouncyCastle driver: %v\n%s", err, stderr.Bytes())
	}
	return answers(t, out, len(requests))
}

func answers(t testing.TB, out []byte, n int) [][][]byte {
	t.Helper()
	number := func() int {
		if len(out) < 4 {
			t.Fatal("BouncyCastle driver: answer cut short")
		}
		v := binary.BigEndian.Uint32(out)
		out = out[4:]
		return int(v)
	}
	all := make([][][]byte, n)
	for i := range all {
		for range number() {
			size := number()
			if size > len(out) {
				t.Fatal("BouncyCastle driver: answer cut short")
			}
			all[i], out = append(all[i], out[:size]), out[size:]
		}
	}
	return all
}

// compileBouncy keeps the class files for the next run, in a directory named after the source.
func compileBouncy(t testing.TB, javac string) string {
	t.Helper()
	const source = "testdata/java/Bouncy.java"
	text, err := os.ReadFile(source)
	check(t, err)
	sum := sha256.Sum256(text)
	dir := filepath.Join(os.TempDir(), "ehealth-bouncy-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "Bouncy.class")); err == nil {
		return dir
	}
	work, err := os.MkdirTemp("", "ehealth-bouncy-")
	check(t, err)
	if out, err := exec.Command(javac, "-cp", strings.Join(jars, ":"), "-d", work, source).CombinedOutput(); err != nil {
		t.Fatalf("javac: %s", out)
	}
	if err := os.Rename(work, dir); err != nil { // another test binary was faster
		return work
	}
	return dir
}

func pkcs8(t testing.TB, c keystore.Credential) []byte {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(c.Signer)
	check(t, err)
	return b
}

func raw(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, c.Raw...)
	}
	return out
}

// contents are around the boundaries of segments and blocks.
var contents = [][]byte{nil, []byte("A"), bytes.Repeat([]byte("fifteen bytes.."), 1), make([]byte, 1000), bytes.Repeat([]byte("0123456789"), 20_011)}

func TestBouncyCastleOpensOurs(t *testing.T) {
	hospital := encryption(t, "hospital")
	var requests [][][]byte
	var names []string
	var want [][]byte
	for kind, opts := range map[string][]etee.SealerOption{
		"BER": nil, "DER": {etee.InDER()}, "EID": {etee.WithProfile(etee.EID)},
		"EID in DER": {etee.WithProfile(etee.EID), etee.InDER()},
		"own inner":  {etee.ContentSigner(auth(t, "doctor"))},
	} {
		s, err := etee.NewSealer(auth(t, "doctor"), opts...)
		check(t, err)
		for i, content := range contents {
			known, err := s.Seal(content, recipient(t, "pharmacy"), recipient(t, "hospital"))
			check(t, err)
			unknown, err := s.Seal(content, etee.ForKEK(ownKEK(t)))
			check(t, err)
			requests = append(requests,
				[][]byte{[]byte("open"), known, pkcs8(t, hospital), nil},
				[][]byte{[]byte("open"), unknown, nil, []byte("sixteen bytes !!")})
			names = append(names, fmt.Sprintf("%s, content %d", kind, i), fmt.Sprintf("%s, content %d, KEK", kind, i))
			want = append(want, content, content)
		}
	}
	for i, a := range bouncy(t, requests...) {
		if string(a[0]) != "ok" {
			t.Errorf("%s: %s", names[i], a[1])
			continue
		}
		if !bytes.Equal(a[1], want[i]) {
			t.Errorf("%s: another content", names[i])
		}
		if !bytes.Equal(a[2], auth(t, "doctor").Certificate.Raw) {
			t.Errorf("%s: another signer", names[i])
		}
		at, err := strconv.ParseInt(string(a[3]), 10, 64)
		if d := time.Since(time.Unix(at, 0)); err != nil || d < -time.Minute || d > 10*time.Minute {
			t.Errorf("%s: signing time %q", names[i], a[3])
		}
	}
}

func TestBouncyCastleRefusesTampered(t *testing.T) {
	m := own(t)
	var requests [][][]byte
	for _, v := range m.Messages {
		if !v.Accept && v.Keystore == "keystores/hospital.p12" && strings.HasPrefix(filepath.Base(v.File), "neg-outer") {
			requests = append(requests, [][]byte{[]byte("open"), m.read(t, v.File), pkcs8(t, encryption(t, "hospital")), nil})
		}
	}
	if len(requests) < 3 {
		t.Fatal("vectors missing")
	}
	for i, a := range bouncy(t, requests...) {
		if string(a[0]) == "ok" {
			t.Errorf("request %d: opened", i)
		}
	}
}

func TestWeOpenBouncyCastles(t *testing.T) {
	doctor, hospital := auth(t, "doctor"), encryption(t, "hospital")
	signer, to := raw(append([]*x509.Certificate{doctor.Certificate}, doctor.Chain...)...), raw(encryption(t, "pharmacy").Certificate, hospital.Certificate)
	kinds := []string{"", "der", "stream", "pkcs1", "pkcs1,der", "pkcs1,stream", "direct", "innercerts", "innercerts,stream"}
	var requests [][][]byte
	for _, k := range kinds {
		for _, content := range contents {
			requests = append(requests,
				[][]byte{[]byte("seal"), content, pkcs8(t, doctor), signer, to, nil, nil, []byte(k)},
				[][]byte{[]byte("seal"), content, pkcs8(t, doctor), signer, nil, []byte("an identifier"), []byte("sixteen bytes !!"), []byte(k)},
				[][]byte{[]byte("seal"), content, pkcs8(t, doctor), signer, to, []byte("an identifier"), []byte("sixteen bytes !!"), []byte(k)})
		}
	}
	o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), etee.Policy{NonRepudiation: true})
	check(t, err)
	for i, a := range bouncy(t, requests...) {
		name := fmt.Sprintf("%q, request %d", kinds[i/len(contents)/3], i)
		if string(a[0]) != "ok" {
			t.Fatalf("%s: %s", name, a[1])
		}
		var opts []etee.OpenOption
		if i%3 == 1 || i%3 == 2 && i%2 == 0 {
			opts = append(opts, etee.WithKEK(ownKEK(t)))
		}
		got, err := o.Open(a[1], opts...)
		if err != nil {
			t.Errorf("%s: %v", name, err.(*etee.Refusal).Report)
			continue
		}
		if !bytes.Equal(got.Content, contents[i/3%len(contents)]) || !got.Report.Authentication.Equal(doctor.Certificate) {
			t.Errorf("%s: another content or signer", name)
		}
		wantWarning := 0
		if kinds[i/len(contents)/3] == "direct" {
			wantWarning = 1
		}
		if len(got.Report.Warnings) != wantWarning {
			t.Errorf("%s: %v", name, got.Report)
		}
	}
}

// Java's default OAEP has SHA-256 and a mask with SHA-1; AES-256 is beyond eHealth too. Package cms reads both.
func TestBouncyCastleOAEP(t *testing.T) {
	doctor, hospital := auth(t, "doctor"), encryption(t, "hospital")
	a := bouncy(t, [][]byte{
		[]byte("seal"), contents[4], pkcs8(t, doctor), raw(doctor.Certificate), raw(hospital.Certificate), nil, nil, []byte("oaep,aes256"),
	})[0]
	if string(a[0]) != "ok" {
		t.Fatalf("%s", a[1])
	}
	outer, err := cms.ParseSignedData(a[1], cms.Limits{})
	check(t, err)
	e, err := cms.ParseEnvelopedData(outer.Content.Bytes(), cms.Limits{})
	check(t, err)
	key, err := e.Recipients[0].KeyTrans.Unwrap(decrypter(t, hospital), e.Cipher().KeySize())
	check(t, err)
	plain, err := e.Decrypt(key)
	check(t, err)
	inner, err := cms.ParseSignedData(plain, cms.Limits{})
	if check(t, err); !bytes.Equal(inner.Content.Bytes(), contents[4]) {
		t.Error("another content")
	}
	// And the other way round.
	f := newForge(doctor, hospital.Certificate, time.Now())
	f.envelope.Cipher = cms.AES256CBC
	for _, target := range []cms.ForCertificate{
		{Certificate: hospital.Certificate, Padding: cms.OAEP},
		{Certificate: hospital.Certificate, Padding: cms.OAEP, MGFHash: crypto.SHA1},
		{Certificate: hospital.Certificate, Padding: cms.OAEP, Hash: crypto.SHA512},
		{Certificate: hospital.Certificate, ByKeyID: true},
	} {
		f.envelope.Targets = []cms.Target{target}
		a := bouncy(t, [][]byte{[]byte("open"), f.build(t), pkcs8(t, hospital), nil})[0]
		if string(a[0]) != "ok" || !bytes.Equal(a[1], f.content) {
			t.Errorf("%+v: %s", target.Padding, a[1])
		}
	}
}
