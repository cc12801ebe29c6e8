package postgres_test

import (
	"context"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// TestOneRenewalForAllNodes: four nodes that log in at the same moment cost one message to the STS.
func TestOneRenewalForAllNodes(t *testing.T) {
	const nodes = 4
	dsn := pgtest.DSN(t)
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	watch := connect(t, dsn)
	client, req := doctor(t, sb)
	var asked atomic.Int32
	src := sts.TokenSourceFunc(func(ctx context.Context) (*sts.Token, error) {
		asked.Add(1)
		waiting(t, watch, nodes-1) // all others want one too, and wait
		return client.Source(req).Token(ctx)
	})
	var wg sync.WaitGroup
	var ids [nodes]string
	for i := range nodes {
		d, err := sts.Durable(src, sts.WithStore(tokens(t, open(t, dsn), cacheKey(t, 1)), client.Binding(req)))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		wg.Go(func() {
			tok, err := d.Token(t.Context())
			if err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			ids[i] = tok.ID
		})
	}
	wg.Wait()
	if n := sb.State().Requests["sts"]; n != 1 || asked.Load() != 1 {
		t.Fatalf("%d messages to the STS for %d questions", n, asked.Load())
	}
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatal("the nodes have different tokens")
		}
	}
}

// doctor is a person of the sandbox with a way to its STS.
func doctor(t *testing.T, sb *sandbox.Sandbox) (*sts.Client, sts.Request) {
	t.Helper()
	http := sb.HTTPClient()
	t.Cleanup(http.CloseIdleConnections)
	trust := sts.Trust{Roots: x509.NewCertPool()}
	for _, c := range sb.CA() {
		trust.Roots.AddCert(c)
	}
	dir := resilience.Static{}
	for id, eps := range sb.Services() {
		for _, e := range eps {
			if e.Active {
				dir[id] = append(dir[id], resilience.Endpoint(e))
			}
		}
	}
	x, err := exchange.New(exchange.Options{HTTP: http, Directory: dir, UserAgent: "test/1", From: "test@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	p := sb.Person(identity.Doctor, 0)
	c, err := p.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	own := keystore.Credential{Certificate: c.Certificate, Signer: c.Key}
	client, err := sts.New(x, sts.Config{Identification: own, HolderOfKey: own, Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	return client, sts.Request{Identity: sts.Identity{Quality: identity.Doctor, SSIN: p.SSIN}}
}
