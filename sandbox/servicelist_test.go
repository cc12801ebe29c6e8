package sandbox

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// get fetches a path of the service list.
func get(c *http.Client, url string, limit time.Duration) result {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return result{err: err}
	}
	rs, err := c.Do(rq)
	if err != nil {
		return result{err: err, took: time.Since(start)}
	}
	defer rs.Body.Close()
	b, err := io.ReadAll(io.LimitReader(rs.Body, 1<<20))
	return result{status: rs.StatusCode, body: string(b), header: rs.Header, err: err, took: time.Since(start)}
}

// TestListJudged: both versions are valid against the published schemas and xmlsec1 accepts the signature.
func TestListJudged(t *testing.T) {
	s := echo(t, Config{})
	c := s.HTTPClient()
	for version, schema := range map[int]string{1: "ehealth-bcp-protocol-1_0.xsd", 2: "ehealth-bcp-protocol-2_0.xsd"} {
		r := get(c, s.ListURL(version)+".xml", 10*time.Second)
		if r.status != 200 {
			t.Fatalf("%+v", r)
		}
		sum := sha256.Sum256([]byte(r.body))
		if h := get(c, s.ListURL(version)+".sha2", 10*time.Second); h.body != hex.EncodeToString(sum[:]) {
			t.Errorf("version %d: hash %+v", version, h)
		}
		oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "ehealth-bcp", "XSD", schema), []byte(r.body))
		by, err := s.pki.listSigner()
		if err != nil {
			t.Fatal(err)
		}
		spki, err := x509.MarshalPKIXPublicKey(by.Certificate.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		ns := nsList1
		if version == 2 {
			ns = nsList2
		}
		oracle.XMLSecVerify(t, []byte(r.body), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}),
			"Id="+ns+":ServiceList", "Id="+nsXAdES+":SignedProperties")
	}
}

// TestListSigned: two references, of which the first covers the root; subject and key info as the dossier has them.
func TestListSigned(t *testing.T) {
	s := echo(t, Config{})
	doc, _, err := s.list.publish(1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root, v, err := verifyList(doc)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Covers(root) || len(v.Refs) != 2 || v.Refs[1].Type != typeSignedProperties {
		t.Errorf("references %+v", v.Refs)
	}
	subject := v.Certificate.Subject
	if subject.CommonName != "CBE=0809394427, SERVICELIST" || strings.Join(subject.OrganizationalUnit, "|") !=
		"SERVICELIST|CBE=0809394427|EHEALTH-PLATFORM|eHealth-platform Belgium" {
		t.Errorf("signer %q", subject)
	}
	if _, err := v.Certificate.Verify(x509.VerifyOptions{Roots: s.Roots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	certs, err := dsig.Certificates(root.Child(dsig.NS, "Signature").Child(dsig.NS, "KeyInfo"))
	if err != nil || len(certs) != 2 || !certs[1].IsCA {
		t.Errorf("key info: %d certificates, %v", len(certs), err)
	}
}

func verifyList(doc []byte) (*xmltree.Node, *dsig.Verified, error) {
	root, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		return nil, nil, err
	}
	sig := root.Child(dsig.NS, "Signature")
	if sig == nil {
		return root, nil, errors.New("no signature")
	}
	v, err := dsig.Verify(sig, dsig.Policy{IDs: []dsig.IDAttr{{Local: "Id"}}, Key: func(ki *xmltree.Node) (*x509.Certificate, error) {
		certs, err := dsig.Certificates(ki)
		if err != nil || len(certs) == 0 {
			return nil, errors.New("no certificate")
		}
		return certs[0], nil
	}})
	return root, v, err
}

// TestListDefects: each defect is what it says, seen by a strict verifier.
func TestListDefects(t *testing.T) {
	s := echo(t, Config{})
	chain := func(v *dsig.Verified) error {
		_, err := v.Certificate.Verify(x509.VerifyOptions{Roots: s.Roots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}
	good, _, err := s.list.publish(1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	goodRoot, _, err := verifyList(good)
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *xmltree.Node, name string) string { v, _ := n.Attr("", name); return v }
	for d, check := range map[Defect]func(root *xmltree.Node, v *dsig.Verified, err error) bool{
		ListBadSignature: func(_ *xmltree.Node, _ *dsig.Verified, err error) bool { return errors.Is(err, dsig.ErrDigest) },
		ListUnsigned:     func(_ *xmltree.Node, v *dsig.Verified, err error) bool { return v == nil && err != nil },
		ListWrapped: func(root *xmltree.Node, _ *dsig.Verified, err error) bool {
			return err != nil && root.Child(nsList1, "ServiceList") != nil && root.Child(nsList1, "Service") != nil
		},
		ListSelfSigned: func(_ *xmltree.Node, v *dsig.Verified, err error) bool { return err == nil && chain(v) != nil },
		ListForeignCA:  func(_ *xmltree.Node, v *dsig.Verified, err error) bool { return err == nil && chain(v) != nil },
		ListPerson: func(_ *xmltree.Node, v *dsig.Verified, err error) bool {
			return err == nil && chain(v) == nil && strings.HasPrefix(v.Certificate.Subject.CommonName, "SSIN=")
		},
		ListOld: func(root *xmltree.Node, v *dsig.Verified, err error) bool {
			return err == nil && attr(root, "IssueInstant") < attr(goodRoot, "IssueInstant")
		},
		ListEnvironment: func(root *xmltree.Node, _ *dsig.Verified, err error) bool {
			return err == nil && attr(root, "Environment") == "Production"
		},
		ListUnknownHost: func(root *xmltree.Node, v *dsig.Verified, err error) bool {
			return err == nil && v.Covers(root) && strings.Contains(string(root.Source()), "https://services.example.invalid/")
		},
		ListDTD: func(_ *xmltree.Node, _ *dsig.Verified, err error) bool { return errors.Is(err, xmltree.ErrDoctype) },
	} {
		if err := s.SetList(ListState{Defect: d}); err != nil {
			t.Fatal(err)
		}
		doc, _, err := s.list.publish(1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		root, v, err := verifyList(doc)
		if !check(root, v, err) {
			t.Errorf("%s: %v\n%s", d, err, doc)
		}
	}
	if err := s.SetList(ListState{Defect: "ugly"}); err == nil {
		t.Error("an unknown defect was accepted")
	}
}

// TestListBodies: defects of the transport.
func TestListBodies(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Sandbox) {
		c := s.HTTPClient()
		xml := s.ListURL(2) + ".xml"
		for d, check := range map[Defect]func(result) bool{
			ListHTTP500: func(r result) bool { return r.status == 500 },
			ListHTML:    func(r result) bool { return r.status == 200 && strings.Contains(r.body, "<html") },
			ListHuge:    func(r result) bool { return len(r.body) == 1<<20 },
			ListEndless: func(r result) bool {
				return errors.Is(r.err, context.DeadlineExceeded) && r.took == time.Minute && strings.HasPrefix(r.body, "<ServiceList") &&
					strings.HasSuffix(r.body, strings.Repeat(" ", 50))
			},
		} {
			if err := s.SetList(ListState{Defect: d}); err != nil {
				t.Fatal(err)
			}
			if r := get(c, xml, time.Minute); !check(r) {
				t.Errorf("%s: status %d, %d bytes, %v, %v", d, r.status, len(r.body), r.err, r.took)
			}
		}
	})
}

// TestListSteps: a list step publishes at the right instants, each time with a later IssueInstant.
func TestListSteps(t *testing.T) {
	warmKeys(t)
	synctest.Test(t, func(t *testing.T) {
		s := echo(t, Config{})
		defer s.Close()
		sc, err := ParseScript("servicelist 100 200 list set=genins=1:ACTIVE;lag_s=50")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := s.Apply(sc); err != nil {
			t.Fatal(err)
		}
		c := s.HTTPClient()
		const direct = `<Endpoint Order="1" Status="ACTIVE">https://genins-direct.sandbox.test/bcp/genins`
		const primary = `<Endpoint Order="0" Status="INACTIVE">https://genins.sandbox.test/genins`
		var hashes []string
		for _, at := range []struct {
			second   int
			switched bool
			issued   int
		}{{0, false, 0}, {120, false, 0}, {160, true, 150}, {299, true, 150}, {310, false, 300}} {
			time.Sleep(time.Until(start.Add(time.Duration(at.second) * time.Second)))
			r := get(c, s.ListURL(1)+".xml", time.Minute)
			if got := strings.Contains(r.body, direct) && strings.Contains(r.body, primary); got != at.switched {
				t.Errorf("at %d s switched: %v\n%s", at.second, got, r.body)
			}
			issued := start.Add(time.Duration(at.issued) * time.Second).UTC().Format(instantFormat)
			if !strings.Contains(r.body, `IssueInstant="`+issued+`"`) {
				t.Errorf("at %d s: not issued at %s\n%.200s", at.second, issued, r.body)
			}
			hashes = append(hashes, get(c, s.ListURL(1)+".sha2", time.Minute).body)
		}
		if hashes[0] != hashes[1] || hashes[2] != hashes[3] || hashes[1] == hashes[2] || hashes[3] == hashes[4] || hashes[0] == hashes[4] {
			t.Errorf("hashes %v", hashes)
		}
		if st := s.List(); len(st.Set) != 0 {
			t.Errorf("list at rest: %+v", st)
		}
	})
}
