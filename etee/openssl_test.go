package etee_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/keystore"
)

func decrypter(t testing.TB, c keystore.Credential) crypto.Decrypter {
	t.Helper()
	d, ok := c.Decrypter()
	if !ok {
		t.Fatal("not a decrypter")
	}
	return d
}

// bench is a directory with files for openssl.
type bench struct {
	testing.TB
	dir, program string
}

func newBench(t testing.TB) bench {
	t.Helper()
	b := bench{t, t.TempDir(), oracle.Tool(t, "openssl")}
	b.put("root.pem", own(t).read(t, "pki/root.pem"))
	b.cert("ca.pem", auth(t, "doctor").Chain[0])
	b.cert("doctor.pem", auth(t, "doctor").Certificate)
	b.key("doctor.key", auth(t, "doctor"))
	b.cert("hospital.pem", encryption(t, "hospital").Certificate)
	b.key("hospital.key", encryption(t, "hospital"))
	return b
}

func (b bench) put(name string, content []byte) {
	check(b, os.WriteFile(filepath.Join(b.dir, name), content, 0o600))
}

func (b bench) cert(name string, c *x509.Certificate) {
	b.put(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (b bench) key(name string, c keystore.Credential) {
	b.put(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8(b, c)}))
}

// cms runs `openssl cms` on a message and returns its output.
func (b bench) cms(in []byte, args ...string) ([]byte, error) {
	b.Helper()
	b.put("in", in)
	out := filepath.Join(b.dir, "out")
	_ = os.Remove(out)
	cmd := exec.CommandContext(b.Context(), b.program, append([]string{"cms", "-binary", "-in", "in", "-out", "out"}, args...)...)
	cmd.Dir = b.dir
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Logf("openssl cms %v: %s", args, text)
		return nil, err
	}
	return os.ReadFile(out)
}

var (
	opensslVerify  = []string{"-verify", "-inform", "DER", "-CAfile", "root.pem", "-purpose", "any"}
	opensslInner   = []string{"-verify", "-inform", "DER", "-CAfile", "anchors.pem", "-purpose", "any", "-certfile", "doctor.pem"}
	opensslDecrypt = []string{"-decrypt", "-inform", "DER", "-recip", "hospital.pem", "-inkey", "hospital.key"}
	opensslKEK     = []string{"-decrypt", "-inform", "DER", "-secretkey", "7369787465656e206279746573202121", "-secretkeyid", "616e206964656e746966696572"}
)

func TestOpenSSLReadsOurLayers(t *testing.T) {
	b := newBench(t)
	doctor := auth(t, "doctor")
	b.put("anchors.pem", append(own(t).read(t, "pki/root.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: doctor.Chain[0].Raw})...))
	for name, opts := range map[string][]etee.SealerOption{
		"BER": nil, "DER": {etee.InDER()}, "EID": {etee.WithProfile(etee.EID)},
	} {
		s, err := etee.NewSealer(doctor, opts...)
		check(t, err)
		for i, content := range contents {
			known, err := s.Seal(content, recipient(t, "pharmacy"), recipient(t, "hospital"))
			check(t, err)
			unknown, err := s.Seal(content, etee.ForKEK(ownKEK(t)))
			check(t, err)
			for _, m := range []struct {
				sealed  []byte
				decrypt []string
			}{{known, opensslDecrypt}, {unknown, opensslKEK}} {
				outer, err := b.cms(m.sealed, opensslVerify...)
				check(t, err)
				middle, err := b.cms(outer, m.decrypt...)
				check(t, err)
				plain, err := b.cms(middle, opensslInner...)
				if check(t, err); !bytes.Equal(plain, content) {
					t.Errorf("%s, content %d: another content", name, i)
				}
			}
		}
	}
}

func TestWeReadOpenSSLLayers(t *testing.T) {
	b := newBench(t)
	pss := []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"}
	sign := append([]string{"-sign", "-outform", "DER", "-nodetach", "-md", "sha256", "-signer", "doctor.pem", "-inkey", "doctor.key", "-nosmimecap"}, pss...)
	pkcs1 := sign[:len(sign)-len(pss)]
	to := []string{"-encrypt", "-outform", "DER", "-aes-128-cbc", "-recip", "hospital.pem"}
	// Streaming gives BER with indefinite lengths; openssl 3.0 cannot do it with PSS.
	stream := func(a []string) []string { return append(append([]string{}, a...), "-stream", "-indef") }
	encryptKEK := []string{"-encrypt", "-outform", "DER", "-aes-128-cbc", "-secretkey", "7369787465656e206279746573202121", "-secretkeyid", "616e206964656e746966696572"}
	o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), etee.Policy{NonRepudiation: true})
	check(t, err)
	for _, c := range []struct {
		name          string
		sign, encrypt []string
		opts          []etee.OpenOption
	}{
		{"pss", sign, to, nil},
		{"pkcs1, stream", stream(pkcs1), stream(to), nil},
		{"pkcs1", pkcs1, to, nil},
		{"kek", sign, encryptKEK, []etee.OpenOption{etee.WithKEK(ownKEK(t))}},
		{"kek, stream", stream(pkcs1), stream(encryptKEK), []etee.OpenOption{etee.WithKEK(ownKEK(t))}},
	} {
		for i, content := range contents {
			if len(content) == 0 && strings.HasSuffix(c.name, "stream") {
				continue // openssl 3.0 cannot stream nothing: "Error writing CMS output"
			}
			inner, err := b.cms(content, append(append([]string{}, c.sign...), "-nocerts")...)
			check(t, err)
			middle, err := b.cms(inner, c.encrypt...)
			check(t, err)
			outer, err := b.cms(middle, append(append([]string{}, c.sign...), "-certfile", "ca.pem")...)
			check(t, err)
			got, err := o.Open(outer, c.opts...)
			if err != nil {
				t.Errorf("%s, content %d: %v", c.name, i, err.(*etee.Refusal).Report)
			} else if !bytes.Equal(got.Content, content) {
				t.Errorf("%s, content %d: another content", c.name, i)
			}
		}
	}
}

// What is beyond eHealth, for package cms: OAEP with separate hashes, long keys, subject key identifiers.
func TestOpenSSLBeyondEHealth(t *testing.T) {
	b := newBench(t)
	hospital := encryption(t, "hospital")
	content := contents[4]
	for _, target := range []cms.ForCertificate{
		{Certificate: hospital.Certificate, Padding: cms.OAEP, Hash: crypto.SHA512, MGFHash: crypto.SHA256},
		{Certificate: hospital.Certificate, Padding: cms.OAEP, Hash: crypto.SHA1},
		{Certificate: hospital.Certificate, Padding: cms.OAEP, MGFHash: crypto.SHA1},
		{Certificate: hospital.Certificate, ByKeyID: true},
	} {
		for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES192CBC, cms.AES256CBC} {
			got, err := b.cms(enveloped(t, content, cms.EnvelopeOptions{Cipher: c, Targets: []cms.Target{target}}), opensslDecrypt...)
			if check(t, err); !bytes.Equal(got, content) {
				t.Errorf("%+v: another content", target.Padding)
			}
		}
	}
	for _, args := range [][]string{
		{"-pwri_password", "secret"}, // a recipient of a kind that we only step over
		{"-keyid"},
		{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"},
		{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512", "-keyopt", "rsa_oaep_label:0102"},
		{"-keyopt", "rsa_padding_mode:oaep"},
	} {
		for _, cipher := range []string{"-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc"} {
			msg, err := b.cms(content, append([]string{"-encrypt", "-outform", "DER", cipher, "-recip", "hospital.pem"}, args...)...)
			check(t, err)
			e, err := cms.ParseEnvelopedData(msg, cms.Limits{})
			check(t, err)
			var r *cms.KeyTransRecipient
			for _, i := range e.Recipients {
				if i.KeyTrans != nil {
					r = i.KeyTrans
				}
			}
			if !r.ID.Matches(hospital.Certificate) {
				t.Errorf("%v: recipient", args)
			}
			key, err := r.Unwrap(decrypter(t, hospital), e.Cipher().KeySize())
			check(t, err)
			got, err := e.Decrypt(key)
			if check(t, err); !bytes.Equal(got, content) {
				t.Errorf("%v: another content", args)
			}
		}
	}
	signOptions := cms.SignOptions{Certificate: hospital.Certificate, Signer: hospital.Signer, ByKeyID: true, Include: []*x509.Certificate{hospital.Certificate}, SigningTime: time.Now()}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, p := range []cms.Padding{cms.PSS, cms.PKCS1v15} {
			signOptions.Scheme = cms.Scheme{Padding: p, Hash: h}
			got, err := b.cms(signed(t, content, signOptions), "-verify", "-inform", "DER", "-noverify")
			if check(t, err); !bytes.Equal(got, content) {
				t.Errorf("%v: another content", signOptions.Scheme)
			}
		}
	}
}
