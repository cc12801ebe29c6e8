package ehealth

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/telemetry"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// Platform is the eHealth platform as one care provider sees it. It is safe for concurrent
// use. Close it when done.
type Platform struct {
	// Insurability answers "is this patient insured?". It is nil for patients, who may not ask.
	Insurability *insurability.Client
	// Tokens gives the login token; calls fetch it by themselves when they need it.
	Tokens *sts.DurableSource
	// Health tells per function ("login", "insurability", "mail") whether it works, since when, and
	// which notice to show.
	Health *resilience.Health
	// Directory holds the platform's service list; nil when Trust.ServiceList is not set.
	Directory *bcp.Directory
	// Resilience holds the policies and what they remember: statistics, breakers, and the
	// switch to leave an address alone by hand.
	Resilience *resilience.Engine
	// Outbox keeps writes until their fate is known; nil without Config.Outbox. Use
	// [Platform.Write] where a person waits, and Put where nobody does.
	Outbox *outbox.Box
	// Mail is the caller's eHealthBox; nil without Config.Mail.
	Mail *Mailbox
	// Recipe is the caller's side of Recip-e; nil without Config.Recipe.
	Recipe *Prescriptions
	// Answers holds what stands in while insurability cannot be asked; nil without DataDir and
	// Config.Answers.
	Answers *cache.Answers
	// Expiry is the state of the eHealth certificate when the platform was opened; show
	// its notice when it has one (30, 14 and 7 days before the end).
	Expiry keystore.Warning

	config Config
	client *http.Client
	router *bcp.Router
	state  *state
	stores []*keystore.Store
	queue  *queue

	identity *keystore.Store // that of Config.Identity
	seals    *seals          // nil until something needs them

	directory resilience.Directory
	exchange  *exchange.Exchanger
	security  exchange.Security
	telemetry *telemetry.Telemetry
	detach    func()
}

// Names of functions in [Platform.Health]: the parameter {svc} of the notices.
const (
	FunctionLogin        = "login"
	FunctionInsurability = "insurability"
)

// Open reads the key stores and what DataDir keeps, and wires everything. It makes no network
// call and waits for none, so it succeeds while the platform is down; the service list is
// fetched in the background. Errors are about the configuration, the key stores or DataDir.
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
	p.identity = p.stores[0]
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
	if p.state, err = openState(&cfg, hok); err != nil {
		return nil, fmt.Errorf("ehealth: DataDir: %w", err)
	}
	if err := p.wire(ctx, login, hok); err != nil {
		return nil, fmt.Errorf("ehealth: %w", err)
	}
	return p, nil
}

func (p *Platform) wire(ctx context.Context, login, hok keystore.Credential) error {
	cfg := &p.config
	var err error
	p.telemetry, err = telemetry.New(telemetry.Options{
		TracerProvider: cfg.TracerProvider, MeterProvider: cfg.MeterProvider, Logger: cfg.Logger, Version: version(),
	})
	if err != nil {
		return err
	}
	directory, err := p.continuity()
	if err != nil {
		return err
	}
	if p.detach, err = p.telemetry.Attach(p.Resilience); err != nil {
		return err
	}
	if err := p.state.restore(ctx, p.Resilience, p.router); err != nil {
		return err
	}
	x, err := exchange.New(exchange.Options{
		HTTP: p.client, Directory: directory, Engine: p.Resilience,
		UserAgent: cfg.Software.Name + " ehealth-go/" + version(), From: cfg.Software.Contact,
		Layers: p.layers(),
	})
	if err != nil {
		return err
	}
	p.exchange, p.directory = x, directory
	if p.security, err = p.session(ctx, x, login, hok); err != nil {
		return err
	}
	if err := p.openAnswers(ctx, hok); err != nil {
		return err
	}
	if !cfg.patient() {
		p.Insurability, err = insurability.New(x, p.security, cfg.Caller,
			insurability.Software{Name: cfg.Software.Name, Licence: cfg.Software.Licence}, p.insurabilityOptions()...)
		if err != nil {
			return err
		}
	}
	if err := p.openMail(ctx, hok); err != nil {
		return err
	}
	if err := p.openRecipe(ctx, hok); err != nil {
		return err
	}
	if err := p.openOutbox(ctx, hok); err != nil {
		return err
	}
	if p.Directory != nil {
		p.Directory.Start()
	}
	return nil
}

// layers go around every call.
func (p *Platform) layers() resilience.Layers[*exchange.Call, *exchange.Answer] {
	l := telemetry.Layers[*exchange.Call, *exchange.Answer](p.telemetry)
	if c := p.config.Outbox; c != nil {
		p.queue = &queue{p: p, kinds: map[outbox.Kind]Queued{}, event: c.OnEvent, wake: make(chan struct{}, 1), closed: map[outbox.Kind]bool{}, told: map[outbox.ID]bool{}}
		l.PerCall = append(l.PerCall, p.queue.counting())
	}
	return l
}

// continuity makes the directory of addresses, the choice among them, and the policies.
func (p *Platform) continuity() (resilience.Directory, error) {
	cfg := &p.config
	var directory resilience.Directory = cfg.directory()
	if cfg.Trust.ServiceList != nil {
		urls := cfg.ServiceList.URLs
		if urls == nil {
			if u := bcp.DefaultURL(cfg.Environment.list()); u != "" {
				urls = []string{u}
			}
		}
		d, err := bcp.New(bcp.Config{
			Environment: cmp.Or(cfg.ServiceList.Environment, cfg.Environment.list()), URLs: urls, HTTP: p.client,
			Trust: bcp.Trust{Roots: cfg.Trust.ServiceList, Hosts: bcp.DefaultHosts(cfg.Environment.list())},
			Dir:   p.state.listDir(), Static: cfg.directory(), OnEvent: p.listed,
			PollMin: cfg.ServiceList.PollMin, PollMax: cfg.ServiceList.PollMax,
		})
		if err != nil {
			return nil, err
		}
		p.Directory, directory = d, d
	}
	var err error
	p.Resilience, err = resilience.New(resilience.Config{
		Policy: cfg.Policy, Services: cfg.policies(), Functions: functions(cfg),
		Order: func(service string, class resilience.Class, _ []resilience.Endpoint) []resilience.Endpoint {
			return p.router.Route(service, class).Order()
		},
	})
	if err != nil {
		return nil, err
	}
	p.Health = p.Resilience.Health()
	p.router = bcp.NewRouter(bcp.RouterConfig{Directory: directory, Breakers: p.Resilience, Policy: cfg.ServiceList.Failover.policy()})
	if p.Directory != nil {
		p.Resilience.OnChange(func(c resilience.Change) {
			if c.To.State == resilience.Open {
				p.Directory.Alert()
			}
		})
	}
	p.Resilience.OnChange(func(resilience.Change) { p.state.changed(p.Resilience, p.router) })
	return directory, nil
}

// functions are what a person does, and the services it needs. Login and insurability stand
// apart: while a token lives, insurability does not need the login.
func functions(cfg *Config) []resilience.Function {
	d := cfg.directory()
	need := func(service string, partner bool) resilience.Need {
		eps := slices.Clone(d.Endpoints(service))
		slices.SortStableFunc(eps, func(a, b resilience.Endpoint) int { return cmp.Compare(a.Order, b.Order) })
		n := resilience.Need{Service: service, Partner: partner}
		for _, e := range eps {
			n.Endpoints = append(n.Endpoints, e.URL)
		}
		return n
	}
	out := []resilience.Function{
		{Name: FunctionLogin, Needs: []resilience.Need{need(ServiceSTS, false)}},
		{
			Name: FunctionInsurability, Alternate: insurability.NoticeDirect,
			Needs: []resilience.Need{need(ServiceGenIns, true), need(ServiceInsurability, true)},
		},
	}
	if cfg.Mail != nil {
		out = append(out, mailNeeds(need))
	}
	if cfg.Recipe != nil {
		out = append(out, recipeNeeds(cfg, need))
	}
	if cfg.Outbox != nil {
		out = append(out, resilience.Function{Name: FunctionOutbox, Needs: []resilience.Need{{Service: FunctionOutbox}}}) // it only tells what is reported
	}
	return out
}

// session makes the login: durable, shared, renewed in the background.
func (p *Platform) session(ctx context.Context, x *exchange.Exchanger, login, hok keystore.Credential) (exchange.Security, error) {
	cfg := &p.config
	request := sts.Request{Identity: cfg.session()}
	client, err := p.login(x, login, hok)
	if err != nil {
		return nil, err
	}
	source := client.Source(request)
	fallback, ok, err := p.fallback(ctx, login, hok)
	if err != nil {
		return nil, fmt.Errorf("fallback: %w", err)
	}
	if ok {
		second, err := p.login(x, fallback, hok)
		if err != nil {
			return nil, err
		}
		source = sts.Chain(sts.Login{Name: "login", Source: source}, sts.Login{Name: "eHealth certificate", Source: second.Source(request)})
	}
	options := []sts.DurableOption{sts.OnEvent(p.announce)}
	store := cfg.TokenStore
	if store == nil {
		store = p.state.tokens()
	}
	if store != nil {
		options = append(options, sts.WithStore(store, client.Binding(request)))
	}
	if p.Tokens, err = sts.Durable(source, options...); err != nil {
		return nil, err
	}
	return sts.HolderOfKey(p.Tokens, sts.WithRefusals(sts.NewRefusals(p.announce))), nil
}

func (p *Platform) login(x *exchange.Exchanger, identification, hok keystore.Credential) (*sts.Client, error) {
	return sts.New(x, sts.Config{
		Identification: identification, HolderOfKey: hok, Validity: p.config.TokenValidity,
		Trust: sts.Trust{Roots: p.config.Trust.STS, SignerCN: p.config.Trust.STSSigner},
	})
}

// fallback is the second credential to log in with, if there is one.
func (p *Platform) fallback(ctx context.Context, login, hok keystore.Credential) (c keystore.Credential, ok bool, err error) {
	switch {
	case p.config.NoFallback:
		return c, false, nil
	case p.config.Fallback != nil:
		c, err = p.credential(ctx, p.config.Fallback)
		return c, err == nil, err
	case login.Certificate.Equal(hok.Certificate):
		return c, false, nil
	}
	// The STS takes the certificate of the person who logs in, no other one.
	subject, err := keystore.ParseSubject(hok.Certificate)
	return hok, err == nil && !subject.SSIN.IsZero() && subject.SSIN == p.config.session().SSIN, nil
}

// announce tells the person, through the health of the login, and the caller's own listener.
func (p *Platform) announce(e sts.Event) {
	switch e.Kind {
	case sts.Renewed, sts.Adopted:
		p.Health.Report(FunctionLogin, "", "")
	case sts.KeptUntil, sts.EndsSoon, sts.FallbackUsed, sts.Lost, sts.GroupRefusal:
		p.Health.Report(FunctionLogin, e.Kind.String(), e.Notice)
	}
	p.telemetry.Session(telemetry.SessionEvent{Kind: e.Kind.String(), Until: e.Until, Login: e.Login, Notice: e.Notice, Cause: e.Cause})
	if p.config.OnSession != nil {
		p.config.OnSession(e)
	}
}

func (p *Platform) listed(e bcp.Event) {
	p.telemetry.List(e)
	if p.config.OnList != nil {
		p.config.OnList(e)
	}
}

func (p *Platform) credential(ctx context.Context, src keystore.Source) (keystore.Credential, error) {
	store, err := src.Open(ctx)
	if err != nil {
		return keystore.Credential{}, err
	}
	p.stores = append(p.stores, store)
	return store.Authentication()
}

// Close ends what goes on in the background, keeps what DataDir is to keep, ends idle
// connections and releases the key stores. Calls under way are not cut off; end their contexts
// for that.
func (p *Platform) Close() error {
	errs := []error{p.queue.close(), p.closeAnswers()}
	if p.Tokens != nil {
		errs = append(errs, p.Tokens.Close())
	}
	if p.Directory != nil {
		errs = append(errs, p.Directory.Close())
	}
	if p.detach != nil {
		p.detach()
	}
	if p.Resilience != nil {
		p.Resilience.Close()
	}
	errs = append(errs, p.state.close(p.Resilience, p.router))
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
	for _, s := range p.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
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

// ClockSkew is how far this computer's clock is ahead of the platform's, as learned from the
// Date header of its last answer; 0 before the first one. wrong says that messages may be
// refused for it: show notice D-CLOCK before they are.
func (p *Platform) ClockSkew() (skew time.Duration, wrong bool) {
	skew = p.exchange.Skew()
	return skew, skew.Abs() > exchange.ClockSkew
}

// Config returns the configuration with its defaults filled in.
func (p *Platform) Config() Config {
	c := p.config
	c.TokenValidity = cmp.Or(c.TokenValidity, sts.DefaultValidity)
	c.InsurabilityTimeout = cmp.Or(c.InsurabilityTimeout, insurability.DefaultTimeout)
	c.Session = c.session()
	c.Services = maps.Clone(c.directory())
	c.Trust.ETK, c.Mail = c.etk(), c.Mail.resolved(p)
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
