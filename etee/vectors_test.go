package etee_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// manifest is manifest.json of a set of vectors: the shared one, whose verdicts are the official library's, and our own.
type manifest struct {
	dir      string
	Password string
	Trust    string
	Messages []vector
	ETKs     []etkVector
}

type vector struct {
	File, Keystore, KEK, KEKID, Plain string
	Accept                            bool
	Reference                         verdict
	ReferenceNonRepudiation           verdict
	What                              string
}

type verdict struct {
	OK               bool
	Fatal            string
	Errors, Warnings []string
	SigningTime      string
}

type etkVector struct {
	File, What     string
	Reference      verdict
	CMSSignatureOK bool
}

func loadManifest(t testing.TB, dir string) *manifest {
	t.Helper()
	m := &manifest{dir: dir}
	check(t, json.Unmarshal(m.read(t, "manifest.json"), m))
	if len(m.Messages) == 0 {
		t.Fatal("no messages in the manifest")
	}
	return m
}

func sharedManifest(t testing.TB) *manifest {
	return loadManifest(t, oracle.Shared(t, "vectors", "etee"))
}

func (m *manifest) read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(file)))
	check(t, err)
	return b
}

func (m *manifest) trust(t testing.TB) etee.Trust {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(m.read(t, m.Trust)) {
		t.Fatal("no trust anchor")
	}
	return etee.Trust{Roots: roots}
}

var stores = map[string]*keystore.Store{}

func (m *manifest) store(t testing.TB, file string) *keystore.Store {
	t.Helper()
	path := filepath.Join(m.dir, filepath.FromSlash(file))
	if stores[path] == nil {
		s, err := keystore.OpenFile(path, m.Password)
		check(t, err)
		stores[path] = s
	}
	return stores[path]
}

// opener returns what opens a vector.
func (m *manifest) opener(t testing.TB, v vector, p etee.Policy) (*etee.Opener, []etee.OpenOption) {
	t.Helper()
	var keys etee.Keys
	var opts []etee.OpenOption
	if v.Keystore != "" {
		keys = m.store(t, v.Keystore)
	}
	if v.KEK != "" {
		key, err := base64.StdEncoding.DecodeString(v.KEK)
		check(t, err)
		id, err := base64.StdEncoding.DecodeString(v.KEKID)
		check(t, err)
		k, err := etee.NewKEK(id, key)
		check(t, err)
		opts = append(opts, etee.WithKEK(k))
	}
	o, err := etee.NewOpener(keys, m.trust(t), p)
	check(t, err)
	return o, opts
}

// lenient is the official library: no strictness of our own.
func lenient(nonRepudiation bool) etee.Policy {
	return etee.Policy{NonRepudiation: nonRepudiation, Off: etee.Advised}
}

func TestSharedMessages(t *testing.T) { testMessages(t, sharedManifest(t)) }

// testMessages opens every message under the default policy and as the official library would, with and without
// non-repudiation.
func testMessages(t *testing.T, m *manifest) {
	for _, v := range m.Messages {
		t.Run(filepath.Base(v.File), func(t *testing.T) {
			for _, nonRepudiation := range []bool{false, true} {
				want := v.Reference
				if nonRepudiation {
					want = v.ReferenceNonRepudiation
				}
				for _, p := range []etee.Policy{{NonRepudiation: nonRepudiation}, lenient(nonRepudiation)} {
					m.judge(t, v, p, want)
				}
			}
		})
	}
}

func (m *manifest) judge(t *testing.T, v vector, p etee.Policy, want verdict) {
	t.Helper()
	sealed := m.read(t, v.File)
	before := bytes.Clone(sealed)
	o, opts := m.opener(t, v, p)
	got, err := o.Open(sealed, opts...)
	if !bytes.Equal(before, sealed) {
		t.Errorf("%s: Open changed the message", p.Name())
	}
	if !want.OK {
		refused, ok := errors.AsType[*etee.Refusal](err)
		if !ok || got != nil {
			t.Fatalf("%s: accepted: %v", p.Name(), v.What)
		}
		if !errors.Is(err, fault.ErrSecurity) || refused.Report.Accepted() {
			t.Errorf("%s: %v", p.Name(), refused.Report)
		}
		if missing := unexplained(want, refused.Report, p); missing != nil {
			t.Errorf("%s: %v, without %v", p.Name(), refused.Report, missing)
		}
		return
	}
	if err != nil {
		refused, _ := errors.AsType[*etee.Refusal](err)
		t.Fatalf("%s: %v", p.Name(), refused.Report)
	}
	if !bytes.Equal(got.Content, m.read(t, v.Plain)) {
		t.Errorf("%s: another content", p.Name())
	}
	warnings := []etee.Code{etee.SigningTimeExpired} // all vectors are older than ten minutes
	if slices.Contains(want.Warnings, "SIGNING_TIME_MISSING") {
		warnings = []etee.Code{etee.SigningTimeMissing}
	} else if at, err := time.Parse(time.RFC3339, want.SigningTime); err != nil || !got.Report.SigningTime.Equal(at) {
		t.Errorf("%s: signing time %v, %v", p.Name(), got.Report.SigningTime, err)
	} else if d := time.Since(at); d < 10*time.Minute && d > -5*time.Minute {
		warnings = nil
	}
	if !slices.Equal(got.Report.Warnings, warnings) {
		t.Errorf("%s: warnings %v", p.Name(), got.Report.Warnings)
	}
	if got.Report.Authentication == nil || got.Report.Signature == nil {
		t.Errorf("%s: no signer", p.Name())
	}
}

// unexplained returns the codes of the official library that our report lacks. Two of its habits are not ours: BouncyCastle
// verifies no signature when the certificate was not valid at the time, so that COULD_NOT_BE_VERIFIED comes with
// EXPIRED; and when we stop before decryption we cannot know of the inner layer.
func unexplained(want verdict, got *etee.Report, p etee.Policy) (missing []string) {
	strict := p.Off == 0
	for _, c := range append(want.Errors, want.Fatal) {
		invalid := got.Has(etee.OuterCertificateExpired) || got.Has(etee.OuterCertificateTooEarly)
		switch {
		case c == "" || got.Has(etee.Code(c)):
		case invalid && (c == "OUTER_SIGNATURE_COULD_NOT_BE_VERIFIED" || c == "INNER_SIGNATURE_COULD_NOT_BE_VERIFIED"):
		case strict && len(c) > 6 && c[:6] == "INNER_" && got.Signature == nil:
		default:
			missing = append(missing, c)
		}
	}
	return missing
}

func TestSharedETKs(t *testing.T) { testETKs(t, sharedManifest(t)) }

func testETKs(t *testing.T, m *manifest) {
	if len(m.ETKs) == 0 {
		t.Fatal("no ETKs in the manifest")
	}
	now := time.Now()
	for _, v := range m.ETKs {
		t.Run(filepath.Base(v.File), func(t *testing.T) {
			k, err := etee.ParseETK(m.read(t, v.File))
			check(t, err)
			_, err = k.Check(m.trust(t), etee.Policy{Off: etee.RASignature}, now)
			compareETK(t, err, v.Reference.Errors)
			strict := v.Reference.Errors
			if !v.CMSSignatureOK {
				strict = append(slices.Clone(strict), string(etee.ETKRegistrationSignature))
			}
			r, err := k.Check(m.trust(t), etee.Policy{}, now)
			compareETK(t, err, strict)
			if err == nil && (r.Certificate() != k.Encryption() || r.Warnings() != nil) {
				t.Errorf("recipient %v, warnings %v", r, r.Warnings())
			}
		})
	}
}

func compareETK(t *testing.T, err error, want []string) {
	t.Helper()
	var got []string
	if refused, ok := errors.AsType[*etee.Refusal](err); ok {
		for _, c := range refused.Report.Errors {
			got = append(got, string(c))
		}
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
