package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// rxDesk is a program that prescribes and dispenses over one outbox.
type rxDesk struct {
	w          *worker
	box        *outbox.Box
	doctor     recipe.Caller
	prescriber *recipe.Prescriber
	executor   *recipe.Executor
	dispenser  *recipe.Dispenser
}

// rxSeat is what one of the two parties needs: its login and its seals, over exchanges that both share.
type rxSeat struct {
	platform recipe.Platform
	caller   recipe.Caller
	tokens   *sts.DurableSource
}

func (known *world) roots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, der := range known.CA {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		pool.AddCert(c)
	}
	return pool, nil
}

// desk makes the clients. Tokens and encryption tokens are those of all children.
func (known *world) desk(dir string, b *back, hold func(put) bool) (*rxDesk, error) {
	doctor, err := known.seat(known.Doctor, identity.Doctor, dir, b.tokens, hold)
	if err != nil {
		return nil, err
	}
	pharmacy, err := known.seat(known.Pharmacy, identity.Pharmacy, dir, b.tokens, hold)
	if err != nil {
		return nil, err
	}
	d := &rxDesk{doctor: doctor.caller}
	opt := []recipe.Option{recipe.WithProgramID("Crashtest/1.0"), recipe.WithTimeout(rxPatience)}
	if d.prescriber, err = recipe.NewPrescriber(doctor.platform, doctor.caller, opt...); err != nil {
		return nil, err
	}
	if d.executor, err = recipe.NewExecutor(pharmacy.platform, pharmacy.caller, opt...); err != nil {
		return nil, err
	}
	d.dispenser, err = recipe.NewDispenser(d.executor)
	return d, err
}

// seat makes the clients of a party.
func (known *world) seat(p *rxParty, quality identity.Quality, dir string, tokens sts.Store, hold func(put) bool) (*rxSeat, error) {
	roots, err := known.roots()
	if err != nil {
		return nil, err
	}
	own, err := keystore.Load(p.Store, rxPassword)
	if err != nil {
		return nil, err
	}
	hok, err := own.Authentication()
	if err != nil {
		return nil, err
	}
	login := hok
	if p.Login != nil {
		store, err := keystore.Load(p.Login, rxPassword)
		if err != nil {
			return nil, err
		}
		if login, err = store.Authentication(); err != nil {
			return nil, err
		}
	}
	s := &rxSeat{caller: recipe.Caller{Quality: quality}}
	if s.caller.NIHII, err = identity.ParseNIHII(p.NIHII); err != nil {
		return nil, err
	}
	if s.caller.SSIN, err = identity.ParseSSIN(p.SSIN); err != nil {
		return nil, err
	}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: &rxRoad{road{c: &client{hold: hold}, under: &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8)},
			ResponseHeaderTimeout: 10 * time.Second,
		}}}},
		Directory: known.Services, UserAgent: "Crashtest/1.0", From: "support@example.be",
	})
	if err != nil {
		return nil, err
	}
	if err := s.login(x, login, hok, roots, tokens); err != nil {
		return nil, err
	}
	return s, s.seals(x, own, hok, roots, dir)
}

// login is the session of a party; at a pharmacy its holder logs in.
func (s *rxSeat) login(x *exchange.Exchanger, login, hok keystore.Credential, roots *x509.CertPool, tokens sts.Store) error {
	issuer, err := sts.New(x, sts.Config{Identification: login, HolderOfKey: hok, Trust: sts.Trust{Roots: roots}})
	if err != nil {
		return err
	}
	who := sts.Identity{Quality: s.caller.Quality, SSIN: s.caller.SSIN}
	if s.caller.Quality == identity.Pharmacy {
		who.NIHII, who.Holder = s.caller.NIHII, s.caller.SSIN
	}
	req := sts.Request{Identity: who}
	if s.tokens, err = sts.Durable(issuer.Source(req), sts.WithStore(tokens, issuer.Binding(req))); err != nil {
		return err
	}
	s.platform = recipe.Platform{Exchange: x, Security: sts.HolderOfKey(s.tokens), Tokens: s.tokens}
	return nil
}

func (s *rxSeat) seals(x *exchange.Exchanger, own *keystore.Store, hok keystore.Credential, roots *x509.CertPool, dir string) error {
	vault, err := cache.OpenVault(filepath.Join(dir, "etk"), tokenKey())
	if err != nil {
		return err
	}
	p, trust := &s.platform, etee.Trust{Roots: roots}
	if p.Depot, err = etee.NewDepot(x, etee.DepotConfig{Trust: trust, Store: etee.FileStore(vault)}); err != nil {
		return err
	}
	if p.Sealer, err = etee.NewSealer(hok); err != nil {
		return err
	}
	if p.Opener, err = etee.NewOpener(own, trust, etee.Policy{NonRepudiation: true}); err != nil {
		return err
	}
	p.KGSS, err = etee.NewKGSS(x, etee.KGSSConfig{Depot: p.Depot, Sealer: p.Sealer, Keys: own, Trust: trust, Security: p.Security})
	return err
}

// loginRx gets the tokens that all children share.
func (known *world) loginRx(ctx context.Context, dir string, tokens sts.Store) error {
	for q, p := range map[identity.Quality]*rxParty{identity.Doctor: known.Doctor, identity.Pharmacy: known.Pharmacy} {
		s, err := known.seat(p, q, dir, tokens, nil)
		if err != nil {
			return err
		}
		_, err = s.tokens.Token(ctx)
		if err := errors.Join(err, s.tokens.Close()); err != nil {
			return err
		}
	}
	return nil
}

// rxRoad is a road on which a process may also die at questions that are no part of a Send.
type rxRoad struct{ road }

// RoundTrip implements http.RoundTripper.
func (r *rxRoad) RoundTrip(q *http.Request) (*http.Response, error) {
	if _, sends := q.Context().Value(putKey{}).(put); sends {
		return r.road.RoundTrip(q)
	}
	fail.Point("ask.before")
	rs, err := r.road.RoundTrip(q)
	fail.Point("ask.after")
	return rs, err
}

// rxSender lets a process die at the steps of a Send, and holds some messages.
type rxSender struct{ outbox.Sender }

// Send implements outbox.Sender.
func (s rxSender) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	ctx = context.WithValue(ctx, putKey{}, put{it.Ref, a.Expires})
	return s.Sender.Send(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { fail.Point("send.connected") },
		WroteRequest:         func(httptrace.WroteRequestInfo) { fail.Point("send.written") },
		GotFirstResponseByte: func() { fail.Point("send.answered") },
	}), it, a)
}

// rxHandler is a sender that can be asked.
type rxHandler struct {
	rxSender
	outbox.Resolver
}

// handlers are those of both clients, in the times of the campaign.
func (d *rxDesk) handlers() (out []outbox.Option) {
	for _, h := range d.prescriber.Handlers() {
		out = append(out, outbox.Handle(h.Kind, handler(h.Handler), short(h.Policy)))
	}
	for _, h := range d.dispenser.Handlers() {
		out = append(out, outbox.Handle(h.Kind, handler(h.Handler), short(h.Policy)))
	}
	return out
}

// handler wraps what the recipe package gives the box.
func handler(s outbox.Sender) outbox.Sender {
	if r, ok := s.(outbox.Resolver); ok {
		return rxHandler{rxSender{s}, r}
	}
	return rxSender{s}
}

// short is a policy with the times of the campaign.
func short(p outbox.Policy) outbox.Policy {
	p.TTL, p.Timeout, p.Skew, p.Late, p.Lag, p.Tries = ttl, lease, skew, rxLate, 2*lag, -1
	p.Ask, p.Backoff, p.BackoffMax = 5*time.Millisecond, 20*time.Millisecond, 200*time.Millisecond
	return p
}

// passing tells of an error that is gone when it is tried again: Recip-e did not answer, or for a moment refused.
func passing(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Timeout, fault.Throttled, fault.Security, fault.Canceled:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}
