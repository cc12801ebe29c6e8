package sts_test

import (
	"crypto/x509"
	"testing"
	"testing/synctest"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// ours turns a credential of the sandbox into one of ours.
func ours(t *testing.T) func(c sandbox.Credential, err error) keystore.Credential {
	return func(c sandbox.Credential, err error) keystore.Credential {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return keystore.Credential{Certificate: c.Certificate, Signer: c.Key}
	}
}

// login is one way to log in, and a claim that must be granted then.
type login struct {
	id                     sts.Identity
	identification, holder keystore.Credential
	has                    string
}

func logins(t *testing.T, sb *sandbox.Sandbox) map[string]login {
	t.Helper()
	cred := ours(t)
	doctor, pharmacist := sb.Person(identity.Doctor, 0), sb.Person(identity.Pharmacist, 0)
	const recognised = "urn:be:fgov:ehealth:1.0:pharmacy:nihii-number:recognisedpharmacy:boolean"
	out := map[string]login{
		"doctor, one certificate": {
			id:             sts.Identity{Quality: identity.Doctor, SSIN: doctor.SSIN},
			identification: cred(doctor.Authentication()), has: "urn:be:fgov:person:ssin:doctor:boolean",
		},
		"doctor, identity card": {
			id:             sts.Identity{Quality: identity.Doctor, SSIN: doctor.SSIN},
			identification: cred(doctor.EID()), holder: cred(doctor.Authentication()), has: "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11",
		},
		"pharmacist in a pharmacy": {
			id: sts.Identity{
				Quality: identity.Pharmacist, SSIN: pharmacist.SSIN, NIHII: number(t, identity.ParseNIHII, pharmacist.Pharmacy), Holder: pharmacist.Pharmacy.Holder.SSIN,
			},
			identification: cred(pharmacist.Authentication()), holder: cred(pharmacist.Pharmacy.Authentication()), has: recognised,
		},
	}
	for q, has := range map[identity.Quality]string{
		identity.Hospital:      "urn:be:fgov:ehealth:1.0:hospital:nihii-number:recognisedhospital:nihii11",
		identity.MedicalHouse:  "urn:be:fgov:ehealth:1.0:medicalhouse:nihii-number:recognisedmedicalhouse:boolean",
		identity.GuardPost:     "urn:be:fgov:ehealth:1.0:guardpost:nihii-number:recognisedguardpost:boolean",
		identity.GroupOfNurses: "urn:be:fgov:ehealth:1.0:groupofnurses:nihii-number:recognisedgroupofnurses:nihii11",
		identity.Enterprise:    "urn:be:fgov:ehealth:1.0:certificateholder:recognisedorganization:boolean",
	} {
		o := sb.Organisation(q, 0)
		id := sts.Identity{Quality: q}
		if q == identity.Enterprise {
			id.CBE = number(t, identity.ParseCBE, o)
		} else {
			id.NIHII = number(t, identity.ParseNIHII, o)
		}
		out[string(q)] = login{id: id, identification: cred(o.Authentication()), has: has}
	}
	return out
}

func number[T any](t *testing.T, parse func(string) (T, error), o *sandbox.Organisation) T {
	t.Helper()
	v, err := parse(o.Number)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSandbox gets tokens from the sandbox, which shares no message code with this package and
// signs its assertions with another implementation of XML signatures.
func TestSandbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, err := sandbox.New(sandbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer sb.Close()
		http := sb.HTTPClient()
		defer http.CloseIdleConnections()
		x, err := exchange.New(exchange.Options{
			HTTP: http, Directory: resilience.Static{sts.ServiceID: {{URL: sb.URL(sts.ServiceID, 0), Active: true}}},
			UserAgent: "test/1", From: "test@example.org",
		})
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		for _, c := range sb.CA() {
			roots.AddCert(c)
		}
		for name, l := range logins(t, sb) {
			c, err := sts.New(x, sts.Config{Identification: l.identification, HolderOfKey: l.holder, Trust: sts.Trust{Roots: roots}})
			if err != nil {
				t.Fatal(name, err)
			}
			tok, err := c.Issue(t.Context(), sts.Request{Identity: l.id})
			if err != nil {
				t.Error(name, err)
				continue
			}
			if !tok.Has(l.has) {
				t.Error(name, tok.Refused)
			}
			if tok, err = c.Renew(t.Context(), tok); err != nil || !tok.Has(l.has) {
				t.Error(name, "renew:", err)
			}
		}
	})
}
