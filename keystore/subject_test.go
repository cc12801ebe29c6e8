package keystore

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

func TestParseSubject(t *testing.T) {
	const platform, government = "eHealth-platform Belgium", "Federal Government"
	for name, tc := range map[string]struct {
		subject           pkix.RDNSequence
		typ               identity.IdentifierType
		number, app, name string
		eid, bad          bool
	}{
		"person": {
			subject: person,
			typ:     "SSIN", number: "70010100188", name: "ALICE EEN",
		},
		"person, CN first": {
			subject: dn(oidCN, "SSIN=70010100188", oidOU, platform, oidOU, "ALICE EEN", oidOU, "SSIN=70010100188", oidO, government, oidC, "BE"),
			typ:     "SSIN", number: "70010100188", name: "ALICE EEN",
		},
		"organisation": {
			subject: dn(oidC, "BE", oidO, government, oidOU, "CBE=0809394427", oidOU, "EHEALTH-PLATFORM", oidOU, platform, oidCN, "CBE=0809394427"),
			typ:     "CBE", number: "0809394427", name: "EHEALTH-PLATFORM",
		},
		"organisation with application": {
			subject: dn(oidC, "BE", oidO, government, oidOU, "IAMACC", oidOU, "CBE=0809394427", oidOU, "EHEALTH-PLATFORM", oidOU, platform, oidCN, "CBE=0809394427, IAMACC"),
			typ:     "CBE", number: "0809394427", app: "IAMACC", name: "EHEALTH-PLATFORM",
		},
		"application that is its own name": {
			subject: dn(oidOU, platform, oidOU, "CBE=0809394427", oidOU, "KGSS", oidOU, "KGSS", oidCN, "CBE=0809394427, KGSS"),
			typ:     "CBE", number: "0809394427", app: "KGSS", name: "KGSS",
		},
		"pharmacy": {
			subject: dn(oidC, "BE", oidO, government, oidOU, "NIHII-PHARMACY=27999940", oidOU, "TESTAPOTHEEK A", oidOU, platform, oidCN, "NIHII-PHARMACY=27999940"),
			typ:     "NIHII-PHARMACY", number: "27999940", name: "TESTAPOTHEEK A",
		},
		"type with digits and underscore": {
			subject: dn(oidOU, "NIHII11=27999940001", oidOU, platform, oidCN, "NIHII11=27999940001"),
			typ:     "NIHII11", number: "27999940001",
		},
		"hub": {
			subject: dn(oidOU, "TESTAPP", oidOU, "EHP=1999999901", oidOU, "TESTORG A", oidOU, platform, oidCN, "EHP=1999999901, TESTAPP"),
			typ:     "EHP", number: "1999999901", app: "TESTAPP", name: "TESTORG A", bad: true,
		},
		"multi-valued RDN": {
			subject: pkix.RDNSequence{
				{{Type: oidOU, Value: platform}, {Type: oidOU, Value: "SSIN=70010100188"}, {Type: oidOU, Value: "ALICE EEN"}},
				{{Type: oidCN, Value: "SSIN=70010100188"}},
			},
			typ: "SSIN", number: "70010100188", name: "ALICE EEN",
		},
		"name in the form of an identifier": {
			subject: dn(oidOU, "ROUTE=66", oidOU, "CBE=0809394427", oidOU, platform, oidCN, "CBE=0809394427"),
			typ:     "CBE", number: "0809394427", name: "ROUTE=66",
		},
		"type nobody knows yet": {
			subject: dn(oidOU, "NIHII-NEW_THING=123", oidCN, "NIHII-NEW_THING=123"),
			typ:     "NIHII-NEW_THING", number: "123", bad: true,
		},
		"wrong check digits": {
			subject: dn(oidOU, "SSIN=70010100189", oidCN, "SSIN=70010100189"),
			typ:     "SSIN", number: "70010100189", bad: true,
		},
		"eID": {
			subject: dn(oidC, "BE", oidCN, "Alice Een (Authentication)", oidSurname, "Een", oidGivenName, "Alice Maria", oidSerial, "70010100188"),
			typ:     "SSIN", number: "70010100188", name: "Alice Maria Een", eid: true,
		},
		"eID without name parts": {
			subject: dn(oidSerial, "70010100188", oidC, "BE", oidCN, "Alice Een (Authentication)"),
			typ:     "SSIN", number: "70010100188", name: "Alice Een", eid: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSubject(issue(t, spec{subject: tc.subject}, ecKey(), nil, nil))
			check(t, err)
			if s.Type != tc.typ || s.Reveal() != tc.number || s.Application != tc.app || s.RevealName() != tc.name || s.EID != tc.eid {
				t.Errorf("got type %q number %q application %q name %q eID %v", s.Type, s.Reveal(), s.Application, s.RevealName(), s.EID)
			}
			if s.CheckOK() == tc.bad {
				t.Errorf("CheckOK %v", s.CheckOK())
			}
			checkTyped(t, s, tc.bad)
			for _, private := range []string{tc.number, tc.name} {
				if private != "" && private != tc.app && strings.Contains(fmt.Sprintf("%v %#v %d", s, s, s), private) {
					t.Errorf("%s shows %q", s, private)
				}
			}
		})
	}
}

// checkTyped: exactly the field of the family is set.
func checkTyped(t *testing.T, s Subject, bad bool) {
	t.Helper()
	got := map[string]string{"SSIN": s.SSIN.Reveal(), "CBE": s.CBE.Reveal(), "NIHII": s.NIHII.Reveal(), "EHP": s.EHP.Reveal()}
	family, _, _ := strings.Cut(strings.TrimSuffix(string(s.Type), "11"), "-")
	for f, v := range got {
		want := ""
		if f == family && (!bad || f == "EHP") {
			want = s.Reveal()
		}
		if v != want {
			t.Errorf("%s is %q, want %q", f, v, want)
		}
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	for name, subject := range map[string]pkix.RDNSequence{
		"web server":         dn(oidC, "BE", oidO, "Shop", oidCN, "shop.example"),
		"only in the CN":     dn(oidOU, "eHealth-platform Belgium", oidCN, "SSIN=70010100188"),
		"small letters":      dn(oidOU, "ssin=70010100188", oidCN, "ssin=70010100188"),
		"letters in number":  dn(oidOU, "SSIN=7001010018X", oidCN, "x"),
		"no number":          dn(oidOU, "SSIN=", oidCN, "x"),
		"no type":            dn(oidOU, "=70010100188", oidCN, "x"),
		"two equals signs":   dn(oidOU, "SSIN=1=2", oidCN, "x"),
		"text behind number": dn(oidOU, "SSIN=70010100188 ", oidCN, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSubject(issue(t, spec{subject: subject}, ecKey(), nil, nil))
			if !errors.Is(err, ErrSubject) || s != (Subject{}) {
				t.Fatalf("got %v, %v", s, err)
			}
			if strings.Contains(err.Error(), "70010100188") {
				t.Errorf("error shows the number: %v", err)
			}
		})
	}
	if _, err := ParseSubject(nil); !errors.Is(err, ErrSubject) {
		t.Errorf("nil: %v", err)
	}
	if got := (Subject{}).String(); got != "keystore.Subject(absent)" {
		t.Errorf("zero value: %s", got)
	}
	if _, err := ParseSubject(&x509.Certificate{}); !errors.Is(err, ErrSubject) {
		t.Errorf("empty certificate: %v", err)
	}
}

// Subjects of the reference vectors, which follow real layouts.
func TestParseSubjectVectors(t *testing.T) {
	dir := oracle.Shared(t, "vectors", "etee", "keystores")
	for file, want := range map[string][4]string{
		"doctor":        {"SSIN", "70010100188", "", "ALICE EEN"},
		"hospital":      {"NIHII-HOSPITAL", "79999957", "", "TESTZIEKENHUIS A"},
		"pharmacy":      {"NIHII-PHARMACY", "27999940", "", "TESTAPOTHEEK A"},
		"ehp-app":       {"EHP", "1999999901", "TESTAPP", "TESTORG A"},
		"svc-kgss":      {"CBE", "0809394427", "KGSS", "EHEALTH-PLATFORM"},
		"svc-mycarenet": {"CBE", "0820563481", "MYCARENET", "CIN-NIC"},
	} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, file+".p12"))
			check(t, err)
			store, err := Load(data, "ehealth-test")
			check(t, err)
			for _, c := range append(store.Encryption(), store.all...) {
				s, err := ParseSubject(c.Certificate)
				check(t, err)
				if got := [4]string{string(s.Type), s.Reveal(), s.Application, s.RevealName()}; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}
