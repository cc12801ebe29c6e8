package sandbox

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// etkQuestion is a GetEtkRequest; app "-" leaves ApplicationID out.
func etkQuestion(typ, value, app string) string {
	last := ""
	if app != "-" {
		last = "<e:ApplicationID>" + app + "</e:ApplicationID>"
	}
	return `<e:GetEtkRequest xmlns:e="` + nsETK + `"><e:SearchCriteria><e:Identifier><e:Type>` + typ + `</e:Type><e:Value>` + value +
		`</e:Value>` + last + `</e:Identifier></e:SearchCriteria></e:GetEtkRequest>`
}

func envelope(t testing.TB, payload string) []byte {
	t.Helper()
	b, err := soap.Envelope(nil, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// askETK returns the answer in one line: the serial number of the token's encryption certificate, the applications that
// match, or the code of the error.
func (w *world) askETK(typ, value, app string) string {
	w.t.Helper()
	n := w.answered(w.call(pathETK, "", envelope(w.t, etkQuestion(typ, value, app))))
	if got := textOf(nodeAt(n.Child(nsCommons10, "Status"), "", "Code")); got != "200" {
		w.t.Errorf("status %q", got)
	}
	if e := n.Child(nsETK, "Error"); e != nil {
		return textOf(e.Child(nsETK, "Code"))
	}
	if e := n.Child(nsETK, "ETK"); e != nil {
		token, err := base64.StdEncoding.DecodeString(textOf(e))
		if err != nil {
			w.t.Fatal(err)
		}
		enc, err := w.s.recipientOf(token, time.Now())
		if err != nil {
			w.t.Fatal("the depot's own token is not accepted")
		}
		return enc.SerialNumber.String()
	}
	var apps []string
	for m := range n.Elements() {
		if id := nodeAt(m, nsETK, "Identifier"); m.Is(nsETK, "MatchingEtk") {
			apps = append(apps, textOf(id.Child(nsETK, "Type"))+"/"+textOf(id.Child(nsETK, "ApplicationID")))
		}
	}
	return "matching " + strings.Join(apps, " ")
}

func TestETKDepot(t *testing.T) {
	w := newWorld(t)
	doctor, hospital := w.s.Person(identity.Doctor, 0), w.s.Organisation(identity.Hospital, 0)
	serial := func(c []Credential, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return c[0].Certificate.SerialNumber.String()
	}
	ours, theirs := serial(doctor.Encryption()), serial(hospital.Encryption())
	service := func(number, app string) string { return serial(w.s.central("CBE", number, app).Encryption()) }
	for _, tc := range []struct{ typ, value, app, want string }{
		{"SSIN", doctor.SSIN.Reveal(), "-", ours},
		{"SSIN", doctor.SSIN.Reveal(), "", ours},
		{"SSIN", doctor.SSIN.Reveal(), "X", "NO_MATCHING_ETK"},
		{"NIHII", doctor.NIHII.Base(), "-", ours},
		{"NIHII11", doctor.NIHII.Full(), "-", ours},
		{"NIHII", doctor.NIHII.Full(), "-", "INVALID_NIHII_NUMBER"},
		{"SSIN", "1" + doctor.SSIN.Reveal()[1:], "-", "INVALID_SSIN_NUMBER"},
		{"SSIN", "00000000196", "-", "NO_MATCHING_ETK"},
		{"NIHII-HOSPITAL", hospital.Number, "-", theirs},
		{"NIHII-PHARMACY", hospital.Number, "-", "NO_MATCHING_ETK"},
		{"CBE", eHealthCBE, "KGSS", service(eHealthCBE, "KGSS")},
		{"CBE", eHealthCBE, "-", "matching CBE/KGSS CBE/CODAGE"},
		{"CBE", eHealthCBE[1:], "KGSS", "INVALID_CBE_NUMBER"},
		{"CBE", recipeCBE, "-", service(recipeCBE, "")},
		{"CBE", myCareNetCBE, "-", "matching CBE/MYCARENET CBE/"},
		{"CBE", myCareNetCBE, "", service(myCareNetCBE, "")},
		{"INSS", doctor.SSIN.Reveal(), "-", "NO_MATCHING_ETK"},
		{"EHP", "1", "-", "NO_MATCHING_ETK"},
	} {
		if got := w.askETK(tc.typ, tc.value, tc.app); got != tc.want {
			t.Errorf("%s with application %q: %s, want %s", tc.typ, tc.app, got, tc.want)
		}
	}
	if err := w.s.RotateKey(Holder{Type: identity.TypeHospital, Number: hospital.Number}); err != nil {
		t.Fatal(err)
	}
	all, err := hospital.Encryption()
	if err != nil || len(all) != 2 || all[1].Alias != theirs {
		t.Fatalf("%d keys after a renewal, %v", len(all), err)
	}
	if got := w.askETK("NIHII-HOSPITAL", hospital.Number, "-"); got != all[0].Alias {
		t.Error("the depot has not the new token")
	}
	if err := w.s.RotateKey(Holder{Type: identity.TypeHospital, Number: "1"}); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
	w.s.SetDepot(DepotBehaviour{ErrorStatus: "404"})
	n := w.answered(w.call(pathETK, "", envelope(t, etkQuestion("EHP", "1", "-"))))
	if got := textOf(nodeAt(n.Child(nsCommons10, "Status"), "", "Code")); got != "404" {
		t.Errorf("status %q", got)
	}
	w.refusedWith(w.call(pathETK, "urn:x", envelope(t, etkQuestion("EHP", "1", "-"))), "SOA-03004")
	w.refusedWith(w.call(pathETK, "", envelope(t, `<e:GetEtkRequest xmlns:e="`+nsETK+`"/>`)), "SOA-03006")
}

// TestETKBag: an ETK verifies with the registration authority and holds the three certificates; openssl agrees.
func TestETKBag(t *testing.T) {
	w := newWorld(t)
	lab := w.s.Organisation(identity.Labo, 0)
	token, err := w.s.ETK(Holder{Type: lab.Type, Number: lab.Number})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := w.s.recipientOf(token, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	auth := w.must(lab.Authentication()).Certificate
	if err := auth.CheckSignature(enc.SignatureAlgorithm, enc.RawTBSCertificate, enc.Signature); err != nil {
		t.Error(err)
	}
	for _, c := range []*x509.Certificate{auth, w.s.CA()[1]} {
		if !strings.Contains(string(token), string(c.Raw)) {
			t.Error("a certificate is missing")
		}
	}
	flip := []byte(string(token))
	flip[len(flip)-40] ^= 1
	if _, err := w.s.recipientOf(flip, time.Now()); err == nil {
		t.Error("a changed token is accepted")
	}
	cmd := exec.CommandContext(t.Context(), oracle.Tool(t, "openssl"), "cms", "-verify", "-inform", "DER", "-noverify", "-binary")
	cmd.Stdin = bytes.NewReader(token)
	if got, err := cmd.Output(); err != nil || !bytes.Equal(got, enc.Raw) {
		t.Errorf("openssl: %v, %d bytes", err, len(got))
	}
}

// TestETKAnswersConform: answers of every kind against the real schema.
func TestETKAnswersConform(t *testing.T) {
	w := newWorld(t)
	xsd := oracle.Shared(t, "schemas", "ehealth-etee", "XSD", "ehealth-etkdepot-schema-protocol-1_0.xsd")
	var docs [][]byte
	for _, q := range [][3]string{{"CBE", recipeCBE, "-"}, {"CBE", eHealthCBE, "-"}, {"CBE", "1", "X"}} {
		docs = append(docs, payloadOf(t, w.call(pathETK, "", envelope(t, etkQuestion(q[0], q[1], q[2])))))
	}
	conformsTo(t, xsd, docs...)
}

// payloadOf is the payload of an answer as a document of its own.
func payloadOf(t testing.TB, r *response) []byte {
	t.Helper()
	m, err := soap.Parse(r.Body, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Payload.Source()
}

// conformsTo lets xmllint judge documents.
func conformsTo(t testing.TB, xsd string, docs ...[]byte) {
	t.Helper()
	for i, d := range docs {
		if err := oracle.XSDError(t, xsd, d); err != nil {
			t.Errorf("answer %d: %v\n%s", i, err, d)
		}
	}
}

// TestKeyRotate: what the depot publishes and what the service opens, before, during and after the step.
func TestKeyRotate(t *testing.T) {
	const newCBE = "0206653946"
	for _, tc := range []struct {
		params   string
		at       time.Duration
		old, new string // in the depot: "old", "new" or "none"
		opens    string
	}{
		{"old=0823257311;new=0206653946;lag_s=100", 0, "old", "none", "old"},
		{"old=0823257311;new=0206653946;lag_s=100", 20 * time.Second, "none", "new", "old"},
		{"old=0823257311;new=0206653946;lag_s=100", 120 * time.Second, "none", "new", "new"},
		{"old=0823257311;new=0206653946;lag_s=100", 220 * time.Second, "old", "none", "old"},
		{"old=0823257311;new=0206653946;lag_s=200000", 120 * time.Second, "none", "new", "old"},
		{"old=0823257311;new=0206653946;lag_s=-5", 7 * time.Second, "old", "none", "new"},
		{"old=0823257311;new=0823257311;lag_s=0", 20 * time.Second, "new", "none", "new"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			rest := w.s.central("CBE", recipeCBE, "")
			number := strings.Split(strings.Split(tc.params, "new=")[1], ";")[0]
			serials := map[string]string{"none": "NO_MATCHING_ETK"}
			for name, c := range map[string]*centralService{"old": rest, "new": rest.after(number)} {
				all, err := c.Encryption()
				if err != nil {
					t.Fatal(err)
				}
				serials[name] = all[0].Alias
			}
			sc, err := ParseScript("etk 10 200 key_rotate " + tc.params)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.s.Apply(sc); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tc.at)
			opens, err := w.s.serviceKeys("CBE", recipeCBE, "")
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(w.askETK("CBE", recipeCBE, "-"), w.askETK("CBE", newCBE, "-"), opens[1].Alias)
			want := fmt.Sprint(serials[tc.old], serials[tc.new], serials[tc.opens])
			if got != want {
				t.Errorf("%s after %s: %s, want %s", tc.params, tc.at, got, want)
			}
		})
	}
}
