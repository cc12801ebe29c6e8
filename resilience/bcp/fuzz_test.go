package bcp_test

import (
	"bytes"
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// FuzzVerify: no input panics, and what is accepted is what was signed: nothing but what precedes or follows the root may
// differ from a list that was really signed.
func FuzzVerify(f *testing.F) {
	p := world()
	one, two := p.make(draft{}), p.make(draft{version: 2, services: normalV2 + `<Service Id="b" Name="B"><EndpointList/><Cache Strategy="CACHE_FIRST"><Key Tranform="xslt" Inline="true">k</Key><Expiry Type="ttl" Duration="P1D"/></Cache></Service>`})
	f.Add(one)
	f.Add(two)
	f.Add(replaceOnce(one, "ACTIVE", "INACTIVE"))
	f.Add([]byte(`<!DOCTYPE a><ServiceList/>`))
	f.Add([]byte("<ServiceList xmlns=\"" + bcp.NSv1 + "\" Id=\"a\" IssueInstant=\"2026-01-01T00:00:00\" Environment=\"Production\"><Service Id=\"s\"/></ServiceList>"))
	want := map[int]*bcp.List{}
	for i, doc := range [][]byte{one, two} {
		l, err := bcp.Verify(doc, p.trust(), nil, bcp.Production)
		if err != nil {
			f.Fatal(err)
		}
		want[i+1] = l
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := bcp.Verify(bytes.Clone(doc), p.trust(), nil, bcp.Production)
		if (l == nil) == (err == nil) {
			t.Fatal("neither list nor error, or both")
		}
		if l == nil {
			return
		}
		w := want[l.Version]
		if w == nil || len(l.Services) != len(w.Services) || !l.IssueInstant.Equal(w.IssueInstant) {
			t.Fatalf("accepted a list that nobody signed: %+v", l)
		}
		for i, s := range l.Services {
			if s.ID != w.Services[i].ID || len(s.Endpoints) != len(w.Services[i].Endpoints) {
				t.Fatalf("accepted a service that nobody signed: %+v", s)
			}
			for j, e := range s.Endpoints {
				if e != w.Services[i].Endpoints[j] {
					t.Fatalf("accepted an address that nobody signed: %+v", e)
				}
			}
		}
	})
}
