package main

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// client is one person's way to the platform: real TLS, a real token, real signatures.
type client struct {
	outbox.Handler
	tokens *sts.DurableSource
	hold   func(put) bool // asked before a Put leaves; true: it was held and leaves whatever the caller waits for
}

func readWorld(dir string) (*world, error) {
	b, err := os.ReadFile(filepath.Join(dir, worldFile))
	if err != nil {
		return nil, err
	}
	w := &world{}
	return w, json.Unmarshal(b, w)
}

// client makes the client of person i, whose tokens are kept in store.
func (w *world) client(i int, store sts.Store) (*client, error) {
	roots := x509.NewCertPool()
	for _, der := range w.CA {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		roots.AddCert(c)
	}
	me := w.People[i]
	cert, err := x509.ParseCertificate(me.Cert)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(me.Key)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	ssin, err := identity.ParseSSIN(me.SSIN)
	if err != nil {
		return nil, err
	}
	c := &client{}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: &road{c: c, under: &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8)},
			ResponseHeaderTimeout: 10 * time.Second,
		}}},
		Directory: w.Services, UserAgent: "Crashtest/1.0", From: "support@example.be",
	})
	if err != nil {
		return nil, err
	}
	own := keystore.Credential{Certificate: cert, Signer: key}
	issuer, err := sts.New(x, sts.Config{Identification: own, HolderOfKey: own, Trust: sts.Trust{Roots: roots}})
	if err != nil {
		return nil, err
	}
	req := sts.Request{Identity: sts.Identity{Quality: identity.Doctor, SSIN: ssin}}
	c.tokens, err = sts.Durable(issuer.Source(req), sts.WithStore(store, issuer.Binding(req)))
	if err != nil {
		return nil, err
	}
	c.Handler = appclient.New(x, sts.HolderOfKey(c.tokens)).Handler()
	return c, nil
}

// put is a Put under way.
type put struct {
	ref     string
	expires time.Time
}

type putKey struct{}

// Send implements outbox.Sender.
func (c *client) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	ctx = context.WithValue(ctx, putKey{}, put{it.Ref, a.Expires})
	return c.Handler.Send(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { fail.Point("send.connected") },
		WroteRequest:         func(httptrace.WroteRequestInfo) { fail.Point("send.written") },
		GotFirstResponseByte: func() { fail.Point("send.answered") },
	}), it, a)
}

// road is where a message may stand still between its signature and its departure.
type road struct {
	c     *client
	under http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r *road) RoundTrip(q *http.Request) (*http.Response, error) {
	if p, ok := q.Context().Value(putKey{}).(put); ok && r.c.hold != nil && r.c.hold(p) {
		// The process was paused and does not know yet: what is signed leaves.
		q = q.WithContext(context.WithoutCancel(q.Context()))
	}
	return r.under.RoundTrip(q)
}

// sometimes holds one message in n until about the time of its expiry: shortly before, so that it
// is executed near the end of its horizon, or after, even after the lease has ended, so that only its
// timestamp can stop it.
func sometimes(n int) func(put) bool {
	return func(p put) bool {
		if rand.IntN(n) != 0 {
			return false
		}
		if rand.IntN(2) == 0 {
			p.outlive(-rand.N(late))
		} else {
			p.outlive(rand.N(1200 * time.Millisecond))
		}
		return true
	}
}

// outlive returns so long after the message has expired.
func (p put) outlive(d time.Duration) { time.Sleep(time.Until(p.expires) + d) }
