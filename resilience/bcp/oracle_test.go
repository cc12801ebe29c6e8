package bcp_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// TestJudges: where xmlsec1 and xmllint accept a list so do we, on the sandbox's lists of both versions and on those of
// these tests; where xmlsec1 refuses, so do we.
func TestJudges(t *testing.T) {
	s, err := sandbox.New(sandbox.Config{Patients: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client := s.HTTPClient()
	p := world()
	for version, schema := range map[int]string{1: "ehealth-bcp-protocol-1_0.xsd", 2: "ehealth-bcp-protocol-2_0.xsd"} {
		rq, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.ListURL(version)+".xml", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		rs, err := client.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		fetched, err := io.ReadAll(rs.Body)
		_ = rs.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			doc   []byte
			trust bcp.Trust
			env   string
		}{
			"sandbox": {fetched, bcp.Trust{Roots: s.Roots()}, "Simulation"},
			"tests":   {p.make(draft{version: version}), p.trust(), bcp.Production},
		} {
			l, err := bcp.Verify(c.doc, c.trust, nil, c.env)
			if err != nil || l.Version != version {
				t.Fatalf("%s v%d: %v", name, version, err)
			}
			oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "ehealth-bcp", "XSD", schema), c.doc)
			if err := xmlsec(t, c.doc, version); err != nil {
				t.Errorf("%s v%d: we accept, xmlsec1 refuses: %v", name, version, err)
			}
			changed := replaceOnce(c.doc, "https://", "https://x.")
			if _, err := bcp.Verify(changed, c.trust, nil, c.env); err == nil || xmlsec(t, changed, version) == nil {
				t.Errorf("%s v%d: changed list: we say %v", name, version, err)
			}
		}
	}
	client.CloseIdleConnections()
}

func xmlsec(t *testing.T, doc []byte, version int) error {
	t.Helper()
	root, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	certs, err := dsig.Certificates(root.Child(dsig.NS, "Signature").Child(dsig.NS, "KeyInfo"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := dsig.Leaf(certs)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(leaf.PublicKey))})
	ns := []string{bcp.NSv1, bcp.NSv2}[version-1]
	return oracle.XMLSecError(t, doc, key, "Id="+ns+":ServiceList", "Id="+nsXAdES+":SignedProperties")
}
