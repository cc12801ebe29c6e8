package etee_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func TestIdentifiers(t *testing.T) {
	for _, tt := range []struct {
		kind                identity.IdentifierType
		number, application string
		want                string // "" = refused
	}{
		{identity.TypeCBE, "809394427", "KGSS", "0809394427"},
		{identity.TypeNIHII, "19999915001", "", "19999915"},
		{identity.TypeNIHII11, "19999915001", "", "19999915001"},
		{identity.TypeHospital, "79999957", "", "79999957"},
		{identity.TypeSSIN, "1234567", "", "00001234567"},
		{identity.TypeSite, "12", "", "0012"},
		{"NEW-KIND", "12", "", "12"},
		{identity.TypeCBE, "", "", ""},
		{identity.TypeCBE, "08x", "", ""},
		{identity.TypeCBE, strings.Repeat("1", 65), "", ""},
		{"lower", "12", "", ""},
		{identity.TypeCBE, "0809394427", " KGSS", ""},
		{identity.TypeCBE, "0809394427", "a\nb", ""},
		{identity.TypeCBE, "0809394427", strings.Repeat("a", 129), ""},
	} {
		got, err := etee.NewIdentifier(tt.kind, tt.number, tt.application)
		if got.Reveal() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s/%s: %q, %v", tt.kind, tt.application, got.Reveal(), err)
		}
		if err != nil && (!errors.Is(err, etee.ErrIdentifier) || strings.Contains(err.Error(), tt.number) && tt.number != "") {
			t.Errorf("%s: %v", tt.kind, err)
		}
	}
	w := theWorld()
	for _, p := range []struct {
		p    *party
		want string
	}{{w.doctor, "SSIN/70010100188/"}, {w.hospital, "NIHII-HOSPITAL/79999957/"}, {w.kgss, "CBE/0809394427/KGSS"}} {
		i, err := etee.IdentifierOf(p.p.auth.Certificate)
		if got := string(i.Type) + "/" + i.Reveal() + "/" + i.Application; err != nil || got != p.want {
			t.Errorf("%s, %v, want %s", got, err, p.want)
		}
	}
	if _, err := etee.IdentifierOf(w.ca); err == nil {
		t.Error("an authority is a holder")
	}
}

// TestDepotQuestions: the requests byte for byte, and valid for the real schema.
func TestDepotQuestions(t *testing.T) {
	const head = `<e:GetEtkRequest xmlns:e="urn:be:fgov:ehealth:etkdepot:1_0:protocol"><e:SearchCriteria><e:Identifier>`
	const tail = `</e:Identifier></e:SearchCriteria></e:GetEtkRequest>`
	for _, tt := range []struct {
		id   etee.Identifier
		want string
	}{
		{etee.RecipeIdentifier, head + `<e:Type>CBE</e:Type><e:Value>0823257311</e:Value>` + tail},
		{etee.KGSSIdentifier, head + `<e:Type>CBE</e:Type><e:Value>0809394427</e:Value><e:ApplicationID>KGSS</e:ApplicationID>` + tail},
		{
			id(t, identity.TypeNIHII, "19999915001", "A&B"),
			head + `<e:Type>NIHII</e:Type><e:Value>19999915</e:Value><e:ApplicationID>A&amp;B</e:ApplicationID>` + tail,
		},
	} {
		var got []byte
		p := &platform{answer: func(n *xmltree.Node) (string, error) {
			got = bytes.Clone(n.Source())
			return response("200", criteria(n), ""), nil
		}}
		if _, err := p.depot(t, etee.DepotConfig{}).Get(t.Context(), tt.id); !errors.Is(err, fault.ErrNotFound) {
			t.Fatal(err)
		}
		if string(got) != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
		validDepot(t, got)
	}
}

func validDepot(t *testing.T, doc []byte) {
	t.Helper()
	oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "ehealth-etee", "XSD", "ehealth-etkdepot-schema-protocol-1_0.xsd"), doc)
}

// TestDepotAnswers is the table of dossier 02 A.3.
func TestDepotAnswers(t *testing.T) {
	w := theWorld()
	hospital := w.hospital.id
	expired := w.party("NIHII-HOSPITAL=79999957", "hospital", spec{until: issued.AddDate(0, 1, 0)})
	broken := bytes.Replace(w.hospital.token, []byte("OWNER"), []byte("OTHER"), 1)
	ok := func(rest string) func(n *xmltree.Node) string {
		return func(n *xmltree.Node) string { return response("200", criteria(n), rest) }
	}
	status := func(code, rest string) func(n *xmltree.Node) string {
		return func(n *xmltree.Node) string { return response(code, criteria(n), rest) }
	}
	other := func(rest string) func(n *xmltree.Node) string {
		return func(*xmltree.Node) string {
			return response("200", "<e:Identifier><e:Type>CBE</e:Type><e:Value>0823257311</e:Value></e:Identifier>", rest)
		}
	}
	for _, tt := range []struct {
		name   string
		ask    etee.Identifier
		answer func(n *xmltree.Node) string
		kind   fault.Kind // 0 = a token
		code   string     // of the DepotError
		valid  bool       // the answer follows the schema
	}{
		{"token", hospital, ok(etkElement(w.hospital.token)), 0, "", true},
		{"token without the question", hospital, func(*xmltree.Node) string { return response("200", "", etkElement(w.hospital.token)) }, 0, "", false},
		{"qualified code", hospital, func(n *xmltree.Node) string {
			s := response("200", criteria(n), etkElement(w.hospital.token))
			return strings.NewReplacer("<Code>", "<c:Code>", "</Code>", "</c:Code>").Replace(s)
		}, 0, "", false},
		{"person found under the NIHII number", id(t, identity.TypeNIHII, "19999915001", ""), ok(etkElement(w.doctor.token)), 0, "", true},
		{"person found under the NIHII number, without the question", id(t, identity.TypeNIHII, "19999915001", ""), func(*xmltree.Node) string {
			return response("200", "", etkElement(w.doctor.token))
		}, fault.Security, "", false},
		{"application not asked for", id(t, identity.TypeCBE, "0809394427", ""), ok(etkElement(w.kgss.token)), 0, "", true},
		{"nobody", hospital, ok(failureElement("NO_MATCHING_ETK")), fault.NotFound, etee.NoMatchingETK, true},
		{"nobody, another status", hospital, status("404", failureElement("NO_MATCHING_ETK")), fault.NotFound, etee.NoMatchingETK, true},
		{"wrong number", hospital, ok(failureElement("INVALID_NIHII_NUMBER")), fault.Invalid, etee.InvalidNIHIINumber, true},
		{"unknown code", hospital, ok(failureElement("WHATEVER")), fault.Invalid, "WHATEVER", true},
		{"unknown code, down", hospital, status("503", failureElement("WHATEVER")), fault.Unavailable, "WHATEVER", true},
		{"nothing", hospital, ok(""), fault.NotFound, "", true},
		{"status alone", hospital, func(*xmltree.Node) string { return response("400", "", "") }, fault.Invalid, "", true},
		{"odd status", hospital, func(*xmltree.Node) string { return response("300", "", "") }, fault.NotFound, "", true},
		{"failing status", hospital, func(*xmltree.Node) string { return response("500", "", "") }, fault.Unavailable, "", true},
		{"status and token", hospital, status("500", etkElement(w.hospital.token)), fault.Unavailable, "", true},
		{"list although an application was asked for", etee.KGSSIdentifier, ok(match("CBE/0809394427/KGSS")), fault.NotFound, "", true},
		{"token of another holder", hospital, ok(etkElement(w.doctor.token)), fault.Security, "", true},
		{"token of another application", id(t, identity.TypeCBE, "0809394427", "OTHER"), ok(etkElement(w.kgss.token)), fault.Security, "", true},
		{"answer to another question", hospital, other(etkElement(w.hospital.token)), fault.Security, "", true},
		{"refusal of another question", hospital, other(failureElement("NO_MATCHING_ETK")), fault.Security, "", true},
		{"refusal of no question", hospital, func(*xmltree.Node) string { return response("200", "", failureElement("NO_MATCHING_ETK")) }, fault.Security, "", false},
		{"expired", hospital, ok(etkElement(expired.token)), fault.Security, "", true},
		{"tampered", hospital, ok(etkElement(broken)), fault.Security, "", true},
		{"no token", hospital, ok(etkElement([]byte("garbage"))), fault.Protocol, "", true},
		{"no base64", hospital, ok("<e:ETK>%</e:ETK>"), fault.Protocol, "", false},
		{"two answers", hospital, ok(etkElement(w.hospital.token) + failureElement("NO_MATCHING_ETK")), fault.Protocol, "", false},
		{"two tokens", hospital, ok(strings.Repeat(etkElement(w.hospital.token), 2)), fault.Protocol, "", false},
		{"no status", hospital, func(*xmltree.Node) string {
			return `<e:GetEtkResponse xmlns:e="urn:be:fgov:ehealth:etkdepot:1_0:protocol"/>`
		}, fault.Protocol, "", false},
		{"another element", hospital, func(*xmltree.Node) string { return "<x/>" }, fault.Security, "", false},
		{"fault", hospital, func(*xmltree.Node) string { return soaFault }, fault.Unavailable, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &platform{once: true}
			var doc string
			p.set(func(n *xmltree.Node) (string, error) { doc = tt.answer(n); return doc, nil })
			got, err := p.depot(t, etee.DepotConfig{}).Get(t.Context(), tt.ask)
			if tt.valid {
				validDepot(t, []byte(doc))
			}
			if tt.kind == 0 {
				if err != nil || len(got.Tokens) != 1 || len(got.Recipients()) != 1 || got.Stale {
					t.Fatalf("%v, %v", got, err)
				}
				return
			}
			e, isFault := errors.AsType[*fault.Error](err)
			if !isFault || e.Kind != tt.kind || got.Tokens != nil {
				t.Fatalf("%v, %v", got, err)
			}
			var d *etee.DepotError
			if errors.As(err, &d) && d.Code != tt.code || d == nil && tt.code != "" {
				t.Errorf("%v", d)
			}
		})
	}
}

// match is a MatchingEtk for TYPE/number/application; "-" as application leaves the element out.
func match(q string) string {
	parts := strings.Split(q, "/")
	application := ""
	if parts[2] != "-" {
		application = "<e:ApplicationID>" + parts[2] + "</e:ApplicationID>"
	}
	return "<e:MatchingEtk><e:Identifier><e:Type>" + parts[0] + "</e:Type><e:Value>" + parts[1] + "</e:Value>" + application + "</e:Identifier></e:MatchingEtk>"
}

// TestDepotWalk: several tokens under one number are asked for one by one (dossier 02 A.3, checklist 16).
func TestDepotWalk(t *testing.T) {
	w := theWorld()
	lab := w.party("CBE=0206653946, LAB", "hospital", spec{})
	pharmacy := w.party("CBE=0206653946, PHARMACY", "doctor", spec{})
	centre := w.party("CBE-TREAT_CENTER=0206653946", "kgss", spec{})
	const list = "CBE/0206653946/-"
	for _, tt := range []struct {
		name    string
		matches string
		fail    string // question that the network loses
		want    int
		kind    fault.Kind
	}{
		{"two applications", match("CBE/0206653946/LAB") + match("CBE/0206653946/PHARMACY"), "", 2, 0},
		{"another type is no token of ours", match("CBE/0206653946/LAB") + match("CBE-TREAT_CENTER/0206653946/-"), "", 1, 0},
		{"only another type", match("CBE-TREAT_CENTER/0206653946/-"), "", 0, fault.NotFound},
		{"one is gone", match("CBE/0206653946/LAB") + match("CBE/0206653946/GONE"), "", 1, 0},
		{"empty application", match("CBE/0206653946/"), "", 1, 0},
		{"a list in a list", match(list) + match("CBE/0206653946/LAB"), "", 1, 0},
		{"odd entries", match("cbe/0206653946/LAB") + match("CBE/0206653946/LAB"), "", 1, 0},
		{"one is not answered", match("CBE/0206653946/LAB") + match("CBE/0206653946/PHARMACY"), "CBE/0206653946/PHARMACY", 0, fault.Unavailable},
		{"one is another holder's", match("CBE/0206653946/LAB") + match("CBE/0206653946/WRONG"), "", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &platform{}
			p.set(func(n *xmltree.Node) (string, error) {
				q := asked(n)
				if q == list {
					return response("200", criteria(n), tt.matches), nil
				}
				if q == tt.fail {
					return "", errRefused
				}
				token, ok := map[string][]byte{
					"CBE/0206653946/LAB": lab.token, "CBE/0206653946/PHARMACY": pharmacy.token, "CBE-TREAT_CENTER/0206653946/-": centre.token,
					"CBE/0206653946/": lab.token, "CBE/0206653946/WRONG": w.hospital.token,
				}[q]
				if !ok {
					return response("200", criteria(n), failureElement("NO_MATCHING_ETK")), nil
				}
				return response("200", criteria(n), etkElement(token)), nil
			})
			got, err := p.depot(t, etee.DepotConfig{}).Get(t.Context(), etee.RecipeNewIdentifier)
			if len(got.Tokens) != tt.want || fault.KindOf(err) != tt.kind {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestDepotKeeps: what is asked when, over the life of a token (dossier 02 A.6).
func TestDepotKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		p := &platform{}
		good := registry(map[string][]byte{"NIHII-HOSPITAL/79999957": w.hospital.token})
		d := p.depot(t, etee.DepotConfig{})
		asks := 0
		step := func(what string, after time.Duration, answer func(*xmltree.Node) (string, error), questions int, stale bool, kind fault.Kind) {
			t.Helper()
			time.Sleep(after)
			p.set(answer)
			start := time.Now()
			got, err := d.Get(t.Context(), w.hospital.id)
			if asks += questions; p.asks("NIHII-HOSPITAL/79999957/-") != asks {
				t.Errorf("%s: %d questions, want %d", what, p.asks("NIHII-HOSPITAL/79999957/-"), asks)
				asks = p.asks("NIHII-HOSPITAL/79999957/-")
			}
			if fault.KindOf(err) != kind || got.Stale != stale || (err == nil) != (len(got.Tokens) == 1) {
				t.Errorf("%s: %v, stale %t, %v", what, got, got.Stale, err)
			}
			if took := time.Since(start); stale && took > 4*time.Second {
				t.Errorf("%s: took %v", what, took)
			}
		}
		nobody := registry(nil)
		step("first", 0, good, 1, false, 0)
		step("kept", 7*time.Hour, down, 0, false, 0)
		step("asked again", 2*time.Hour, good, 1, false, 0)
		step("stale: the depot hangs", 9*time.Hour, hangs, 1, true, 0)
		step("stale, without asking", 5*time.Second, good, 0, true, 0)
		step("back", time.Minute, good, 1, false, 0)
		step("too old", 40*24*time.Hour, hangs, 1, false, fault.Timeout)
		step("back after a long time", time.Hour, good, 1, false, 0)
		step("deregistered", 9*time.Hour, nobody, 1, false, fault.NotFound)
		step("remembered", time.Minute, good, 0, false, fault.NotFound)
		if e, ok := errors.AsType[*fault.Error](second(d.Get(t.Context(), w.hospital.id))); ok {
			e.Notice = "changed" // callers may, each its own
		}
		if e, ok := errors.AsType[*fault.Error](second(d.Get(t.Context(), w.hospital.id))); !ok || e.Notice != "" {
			t.Error("two callers share one error")
		}
		step("asked again after a miss", 2*time.Minute, good, 1, false, 0)
	})
}

// TestDepotNeverUsesExpired: what expires between two uses is not used, whatever the age says.
func TestDepotNeverUsesExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		short := w.party("NIHII-HOSPITAL=79999957", "hospital", spec{until: time.Now().Add(time.Hour)})
		p := &platform{answer: registry(map[string][]byte{"NIHII-HOSPITAL/79999957": short.token})}
		d := p.depot(t, etee.DepotConfig{})
		check(t, second(d.Get(t.Context(), short.id)))
		time.Sleep(2 * time.Hour)
		p.set(down)
		if got, err := d.Get(t.Context(), short.id); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("%v, %v", got, err)
		}
		p.set(registry(map[string][]byte{"NIHII-HOSPITAL/79999957": w.hospital.token}))
		time.Sleep(time.Minute)
		check(t, second(d.Get(t.Context(), short.id)))
	})
}

// TestDepotRechecks: tokens that the depot does not have any more can be used as long as their certificates are valid.
func TestDepotRechecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		short := theWorld().party("NIHII-HOSPITAL=79999957", "hospital", spec{until: time.Now().Add(time.Hour)})
		p := &platform{answer: registry(map[string][]byte{"NIHII-HOSPITAL/79999957": short.token})}
		d := p.depot(t, etee.DepotConfig{})
		found, err := d.Get(t.Context(), short.id)
		check(t, err)
		p.set(registry(nil))
		again, err := d.Recheck(found)
		if err != nil || again.Key() != found.Key() || !again.FetchedAt.Equal(found.FetchedAt) {
			t.Errorf("%v, %v", again, err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := d.Recheck(found); !errors.Is(err, fault.ErrSecurity) {
			t.Errorf("expired: %v", err)
		}
		if _, err := d.Recheck(etee.Found{}); err == nil {
			t.Error("nothing was accepted")
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestDepotShares: many callers, one question; who leaves does not end it for the others, and nobody's question is stopped.
func TestDepotShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		good := registry(map[string][]byte{"NIHII-HOSPITAL/79999957": w.hospital.token})
		p := &platform{answer: func(n *xmltree.Node) (string, error) { time.Sleep(time.Second); return good(n) }}
		d := p.depot(t, etee.DepotConfig{})
		first, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := d.Get(first, w.hospital.id); !errors.Is(err, fault.ErrTimeout) {
				t.Errorf("who left: %v", err)
			}
		})
		for range 20 {
			wg.Go(func() { check(t, second(d.Get(t.Context(), w.hospital.id))) })
		}
		wg.Wait()
		if n := p.asks("NIHII-HOSPITAL/79999957/-"); n != 1 {
			t.Errorf("%d questions", n)
		}
		p.set(hangs)
		gone, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := d.Get(gone, w.doctor.id); !errors.Is(err, fault.ErrCanceled) {
			t.Error(err)
		}
	})
}

// TestETKChanged is INC-2026-02-04-ETK and T17: a kept token no longer serves its holder; one refresh, then success.
func TestETKChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		old, new := w.party("CBE=0823257311", "hospital", spec{}), w.party("CBE=0206653946", "doctor", spec{})
		renewed := w.party("CBE=0823257311", "hospital", spec{notBefore: time.Now().Add(-time.Hour)})
		tokens := map[string][]byte{"CBE/0823257311": old.token}
		p := &platform{answer: registry(tokens)}
		d := p.depot(t, etee.DepotConfig{})
		candidates := []etee.Identifier{etee.RecipeIdentifier, etee.RecipeNewIdentifier}
		find := func(want *party) etee.Found {
			t.Helper()
			f, err := d.Find(t.Context(), candidates...)
			if check(t, err); !f.Tokens[0].ETK.Encryption().Equal(want.enc.Certificate) {
				t.Fatal("another token")
			}
			return f
		}
		f := find(old)
		tokens["CBE/0823257311"] = renewed.token
		if !d.Drop(t.Context(), f) {
			t.Error("no second try")
		}
		f = find(renewed)
		// The holder moves to another number and leaves its former token in the depot.
		tokens["CBE/0206653946"] = new.token
		time.Sleep(3 * time.Minute)
		if !d.Drop(t.Context(), f) {
			t.Error("no second try")
		}
		f = find(new)
		if !d.Drop(t.Context(), f) {
			t.Error("no second try")
		}
		if d.Drop(t.Context(), find(renewed)) { // all are bad: the first again, but sealing anew is pointless
			t.Error("a try too many")
		}
		// What was dropped is not used in an outage either.
		d.Drop(t.Context(), find(renewed))
		p.set(down)
		if got, err := d.Get(t.Context(), etee.RecipeIdentifier); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestFindCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		old := w.party("CBE=0823257311", "hospital", spec{})
		p := &platform{answer: registry(map[string][]byte{"CBE/0823257311": old.token})}
		d := p.depot(t, etee.DepotConfig{})
		_, err := d.Find(t.Context())
		if !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, etee.ErrNoRecipient) {
			t.Error(err)
		}
		if _, err = d.Find(t.Context(), etee.KGSSIdentifier, etee.RecipeNewIdentifier); !errors.Is(err, fault.ErrNotFound) {
			t.Error(err)
		}
		if _, err = d.Find(t.Context(), etee.RecipeNewIdentifier, etee.RecipeIdentifier); err != nil {
			t.Error(err)
		}
		// In an outage what is kept about a later candidate must do, although nothing is known about the first.
		time.Sleep(9 * time.Hour)
		p.set(down)
		f, err := d.Find(t.Context(), etee.RecipeNewIdentifier, etee.RecipeIdentifier)
		if err != nil || !f.Stale {
			t.Errorf("%v, %v", f, err)
		}
		if _, err = d.Find(t.Context(), etee.KGSSIdentifier, etee.RecipeNewIdentifier); !errors.Is(err, fault.ErrUnavailable) {
			t.Error(err)
		}
	})
}

func TestOwnETK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		tokens := map[string][]byte{"SSIN/70010100188": w.doctor.token}
		p := &platform{answer: registry(tokens)}
		d := p.depot(t, etee.DepotConfig{})
		own, err := d.Own(t.Context(), w.doctor.auth.Certificate, w.doctor)
		if err != nil || !own.ETK.Encryption().Equal(w.doctor.enc.Certificate) {
			t.Fatal(err)
		}
		// After a renewal the depot has the new token; the kept one does not fit the new key store.
		time.Sleep(2 * time.Minute)
		renewed := w.party("SSIN=70010100188", "doctor", spec{})
		tokens["SSIN/70010100188"] = renewed.token
		if own, err = d.Own(t.Context(), renewed.auth.Certificate, renewed); err != nil || !own.ETK.Encryption().Equal(renewed.enc.Certificate) {
			t.Error(err)
		}
		for name, f := range map[string]func() (etee.Token, error){
			"another key":  func() (etee.Token, error) { return d.Own(t.Context(), w.doctor.auth.Certificate, w.doctor) },
			"no key store": func() (etee.Token, error) { return d.Own(t.Context(), w.doctor.auth.Certificate, nil) },
			"an authority": func() (etee.Token, error) { return d.Own(t.Context(), w.ca, w.doctor) },
		} {
			if _, err := f(); !errors.Is(err, fault.ErrLocal) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestDepotPrintsNobody(t *testing.T) {
	w := theWorld()
	p := &platform{answer: registry(map[string][]byte{"SSIN/70010100188": w.doctor.token})}
	d := p.depot(t, etee.DepotConfig{})
	f, err := d.Get(t.Context(), w.doctor.id)
	check(t, err)
	_, miss := d.Get(t.Context(), id(t, identity.TypeSSIN, "70010100287", ""))
	type outer struct{ hidden any }
	for _, v := range []any{
		w.doctor.id, f, f.Tokens[0], miss,
		outer{w.doctor.id},
		etee.ACL{Allowed: []etee.Reader{{Namespace: "n", Name: "ssin", Values: []string{"70010100188"}}}},
		etee.Reader{Values: []string{"70010100188"}},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "7001010") || strings.Contains(text, "OWNER") || strings.Contains(text, fmt.Sprintf("%x", "70010100188")) {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
}

func TestDepotNeeds(t *testing.T) {
	p := &platform{}
	if _, err := etee.NewDepot(p.exchanger(t), etee.DepotConfig{}); !errors.Is(err, etee.ErrTrust) {
		t.Error(err)
	}
	if _, err := etee.NewDepot(nil, etee.DepotConfig{Trust: etee.Trust{Roots: x509.NewCertPool()}}); err == nil {
		t.Error("no exchanger")
	}
	if _, err := p.depot(t, etee.DepotConfig{}).Get(t.Context(), etee.Identifier{}); !errors.Is(err, fault.ErrInvalid) {
		t.Error(err)
	}
}

// FuzzDepotAnswer: no answer makes the client panic, or gives a token of another holder.
func FuzzDepotAnswer(f *testing.F) {
	w := theWorld()
	given := "<e:Identifier><e:Type>NIHII-HOSPITAL</e:Type><e:Value>79999957</e:Value></e:Identifier>"
	for _, rest := range []string{etkElement(w.hospital.token), etkElement(w.doctor.token), failureElement("NO_MATCHING_ETK"), match("NIHII-HOSPITAL/79999957/A")} {
		f.Add(response("200", given, rest))
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if _, err := soap.Envelope(nil, []byte(doc)); err != nil {
			t.Skip()
		}
		p := &platform{once: true, answer: func(*xmltree.Node) (string, error) { return doc, nil }}
		got, err := p.depot(t, etee.DepotConfig{}).Get(t.Context(), w.hospital.id)
		if err == nil {
			for _, tk := range got.Tokens {
				if s, err := tk.ETK.Holder(); err != nil || s.Reveal() != "79999957" {
					t.Error("a token of another holder")
				}
			}
		} else if !errors.As(err, new(*fault.Error)) {
			t.Errorf("%T", err)
		}
	})
}
