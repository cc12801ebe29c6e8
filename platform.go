package ehealth

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/sts"
)

// Platform is the eHealth platform as one care provider sees it. It is safe for concurrent
// use. Close it when done.
type Platform struct {
	// Insurability answers "is this patient insured?".
	Insurability *insurability.Client
	// Tokens gives the login token; calls fetch it by themselves when they need it.
	Tokens *sts.Cache
	// Expiry is the state of the eHealth certificate when the platform was opened; show
	// its notice when it has one (30, 14 and 7 days before the end).
	Expiry keystore.Warning

	config Config
	client *http.Client
	stores []*keystore.Store
}

// Open reads the key stores and wires everything. It makes no network call, so it succeeds
// while the platform is down. Errors are about the configuration or the key stores.
func Open(ctx context.Context, cfg Config) (_ *Platform, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p := &Platform{config: cfg}
	defer func() {
		if err != nil {
			_ = p.Close()
		}
	}()
	hok, err := p.credential(ctx, cfg.Identity)
	if err != nil {
		return nil, fmt.Errorf("ehealth: identity: %w", err)
	}
	p.Expiry = hok.Expiry(time.Now())
	login := hok
	if cfg.Login != nil {
		if login, err = p.credential(ctx, cfg.Login); err != nil {
			return nil, fmt.Errorf("ehealth: login: %w", err)
		}
	}
	p.client = &http.Client{Transport: cfg.Transport}
	if cfg.Transport == nil {
		p.client.Transport = transport(cfg.Trust)
	}
	if err := p.wire(login, hok); err != nil {
		return nil, fmt.Errorf("ehealth: %w", err)
	}
	return p, nil
}

func (p *Platform) wire(login, hok keystore.Credential) error {
	cfg := &p.config
	x, err := exchange.New(exchange.Options{
		HTTP: p.client, Directory: cfg.directory(),
		UserAgent: cfg.Software.Name + " ehealth-go/" + version(), From: cfg.Software.Contact,
	})
	if err != nil {
		return err
	}
	client, err := sts.New(x, sts.Config{
		Identification: login, HolderOfKey: hok, Validity: cfg.TokenValidity,
		Trust: sts.Trust{Roots: cfg.Trust.STS, SignerCN: cfg.Trust.STSSigner},
	})
	if err != nil {
		return err
	}
	if p.Tokens, err = sts.Cached(client.Source(sts.Request{Identity: cfg.session()})); err != nil {
		return err
	}
	p.Insurability, err = insurability.New(x, sts.HolderOfKey(p.Tokens), cfg.Caller,
		insurability.Software{Name: cfg.Software.Name, Licence: cfg.Software.Licence},
		insurability.WithTimeout(cfg.InsurabilityTimeout))
	return err
}

func (p *Platform) credential(ctx context.Context, src keystore.Source) (keystore.Credential, error) {
	store, err := src.Open(ctx)
	if err != nil {
		return keystore.Credential{}, err
	}
	p.stores = append(p.stores, store)
	return store.Authentication()
}

// Close ends idle connections and releases the key stores. Calls under way are not cut off;
// end their contexts for that.
func (p *Platform) Close() error {
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
	var first error
	for _, s := range p.stores {
		if err := s.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// transport is made for few hosts and few, precious calls: a dial that hangs must leave time
// for another address, so connecting and the handshake have limits of their own.
func transport(t Trust) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.TLS},
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       60 * time.Second,
		DisableCompression:    true, // an answer is bounded in bytes as they come
		ExpectContinueTimeout: time.Second,
	}
}

// Config returns the configuration with its defaults filled in.
func (p *Platform) Config() Config {
	c := p.config
	c.TokenValidity = cmp.Or(c.TokenValidity, sts.DefaultValidity)
	c.InsurabilityTimeout = cmp.Or(c.InsurabilityTimeout, insurability.DefaultTimeout)
	c.Session = c.session()
	c.Services = maps.Clone(c.directory())
	return c
}

// version is that of this module in the running program, in the characters that User-Agent
// tokens may have (dossier 01 C.3).
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == "github.com/ehealth-continuity/ehealth" && m.Version != "" && m.Version != "(devel)" {
				return notInToken.ReplaceAllString(m.Version, "-")
			}
		}
	}
	return "devel"
}

var notInToken = regexp.MustCompile(`[^0-9A-Za-z_.-]`)
