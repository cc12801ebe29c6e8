package ehealth

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/sts"
)

// The vocabulary of failure, under one more name.
type (
	// Error is the failure of one call; see [fault.Error].
	Error = fault.Error
	// Kind says what sort of failure it is.
	Kind = fault.Kind
	// Outcome says whether the request was executed.
	Outcome = fault.Outcome
)

// Software says which program calls. The platform's operators use it to reach its makers.
type Software struct {
	// Name goes into User-Agent: tokens of the form name/version (dossier 01 C.3). Required.
	Name string
	// Contact goes into From: an e-mail address of the software's support. Required.
	Contact string
	// Licence is the MyCareNet package licence, needed for insurability.
	Licence insurability.Licence
}

// Trust says whom to believe.
type Trust struct {
	// TLS are the roots for the platform's servers; nil = those of the operating system. The
	// alternates at MyCareNet stand under other authorities than eHealth itself, so do not
	// pin one of them alone (dossier 05 section 5.3).
	TLS *x509.CertPool
	// STS are the authorities under which the login service's signing certificate must stand.
	// Required: an assertion whose signer is not known is not used.
	STS *x509.CertPool
	// STSSigner accepts the common name of that certificate; nil = [sts.PlatformSigner].
	STSSigner func(cn string) bool
	// ServiceList are the authorities under which the signer of the platform's service list
	// must stand. nil: no list is read, and the addresses of the configuration serve.
	ServiceList *x509.CertPool
	// ETK are the authorities of encryption tokens, of their registration authority and of those who seal messages; nil =
	// STS, since the platform's own certificates and those of care providers stand under the same authorities.
	ETK *x509.CertPool
}

// ServiceList says where the platform publishes which addresses are to be used now.
type ServiceList struct {
	// URLs are the bases of the list, without suffix; nil = that of the Environment.
	URLs []string
	// Environment is what the list must name; "" = the platform's name for Config.Environment,
	// "Simulation" for the sandbox.
	Environment string
	// Failover says when an address that the list calls inactive may be asked by the client's
	// own decision. The zero value here is [WhenUnanswered]: a read that got no usable answer
	// may go there too. Writes go there only when they were certainly not executed.
	Failover Failover
	// PollMin and PollMax bound the time between two polls; 0 = 5 and 15 minutes.
	PollMin, PollMax time.Duration
}

// Failover says when an inactive address may be asked without the platform's order.
type Failover uint8

// The choices.
const (
	// WhenUnanswered: when a read got no usable answer, when a request was certainly not
	// executed, or while the breaker of the active address is open.
	WhenUnanswered Failover = iota
	// WhenBroken: only while the breaker of the active address is open.
	WhenBroken
	// Never: only the platform's list decides.
	Never
)

func (f Failover) policy() bcp.FailoverPolicy {
	return [...]bcp.FailoverPolicy{bcp.WhenUnanswered, bcp.WhenBroken, bcp.Never}[min(f, Never)]
}

// Config is everything that can be decided about a [Platform]. What is not required has a
// default; [Platform.Config] returns the configuration with all of them filled in.
type Config struct {
	// Environment chooses addresses. Required.
	Environment Environment
	// Software is required.
	Software Software
	// Identity is the eHealth certificate: it signs the messages to the services, and the
	// login too unless Login is set. Required.
	Identity keystore.Source
	// Login signs the login: an identity card or another token. nil = Identity, which is
	// the platform's fallback login (dossier 06 B.4.1).
	Login keystore.Source
	// Fallback logs in when Login is refused or cannot be used, never when the login service is
	// down: the password of the eHealth certificate instead of the card (dossier 06 B.4.1). Its use
	// is announced. nil = Identity, when that is the certificate of the very person who logs in.
	Fallback keystore.Source
	// NoFallback makes a refused login end there.
	NoFallback bool
	// Caller is the care provider in whose name calls are made. Required.
	Caller insurability.Caller
	// Session says who logs in. The zero value derives it from Caller; a pharmacist who is
	// not the holder of the pharmacy must be named here.
	Session sts.Identity
	// Trust is required as far as its fields say.
	Trust Trust
	// Services replaces the built-in addresses of the services it names, by UDDI id. In the
	// sandbox environment it is the only source of addresses.
	Services map[string][]resilience.Endpoint
	// ServiceList is read when Trust.ServiceList is set.
	ServiceList ServiceList
	// DataDir keeps what must survive a restart: the login token and what is known about
	// addresses, stored answers, encrypted, and the last good service list. "" = nothing is kept.
	DataDir string
	// DataKey encrypts what is in DataDir; nil derives it from the private key of
	// Identity, or keeps a random one in DataDir when that key cannot serve (cards, ECDSA).
	DataKey *cache.Key
	// TokenStore keeps the login token, such as the store of package postgres for several nodes, of
	// which one then logs in for all. It must keep what it is given secret. nil = DataDir.
	TokenStore sts.Store
	// Answers keeps answers about insurability for the 30 days in which they may stand in while no
	// address answers (dossier 06 B.4.2), such as the store of package postgres for several nodes,
	// which need the same DataKey. The platform seals what is in it, and closes it. nil = the file
	// answers.db in DataDir, for one process: another one with the same DataDir keeps its answers in
	// memory until the file is free.
	Answers cache.RecordStore
	// NoStoredAnswers keeps none: then an outage gives errors with notice D-INS-UNKNOWN.
	NoStoredAnswers bool
	// OnAnswers is told when answers cannot be stored or read, and OnRecheck what the platform says,
	// when it is back, about a question that was answered without it. They must return soon.
	OnAnswers func(cache.AnswersEvent)
	OnRecheck func(insurability.Recheck)
	// Outbox keeps writes until their fate is known, see [Platform.Outbox]; nil = there is none.
	Outbox *Outbox
	// Mail opens the caller's eHealthBox, see [Platform.Mail]; nil = it is not used. Letters are sent through the outbox, so
	// sending needs Outbox too.
	Mail *Mail
	// Recipe opens the caller's prescriptions, see [Platform.Recipe]; nil = it is not used. Prescribing, and
	// confirming what was dispensed, need Outbox too. A Caller with an SSIN and no Quality is a patient.
	Recipe *Recipe
	// Policy changes single numbers of the resilience policies; zero fields keep their
	// defaults, negative ones switch off. Policies does so for one service, by UDDI id.
	Policy   resilience.Policy
	Policies map[string]resilience.Policy
	// Logger gets one line per call and per event, without personal data; nil = no logging.
	Logger *slog.Logger
	// TracerProvider and MeterProvider are those of OpenTelemetry; nil = the global ones, which
	// do nothing unless the program sets them. Names: docs/observability.md.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// OnSession and OnList are told what happens to the login and to the service list, with
	// the notice to show. They must return soon. nil = nobody is.
	OnSession func(sts.Event)
	OnList    func(bcp.Event)
	// TokenValidity is the life asked for a token; 0 = [sts.DefaultValidity].
	TokenValidity time.Duration
	// InsurabilityTimeout bounds one insurability check; 0 = [insurability.DefaultTimeout].
	InsurabilityTimeout time.Duration
	// Transport carries the requests; nil = a transport of its own that verifies servers
	// against Trust.TLS. Tests use it to reach a sandbox without sockets.
	Transport http.RoundTripper
}

func (c *Config) validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	_, err := ParseEnvironment(string(c.Environment))
	need(err == nil, "Environment is required")
	need(c.Software.Name != "", "Software.Name is required")
	need(c.Software.Contact != "", "Software.Contact is required")
	need(c.Identity != nil, "Identity is required")
	need(c.Trust.STS != nil, "Trust.STS is required")
	need(c.TokenValidity >= 0, "TokenValidity must not be negative")
	if len(errs) > 0 {
		return fmt.Errorf("ehealth: configuration: %w", errors.Join(errs...))
	}
	return nil
}

// session derives who logs in from the caller.
func (c *Config) session() sts.Identity {
	if c.Session.Quality != "" {
		return c.Session
	}
	id := sts.Identity{Quality: c.Caller.Quality, SSIN: c.Caller.SSIN, NIHII: c.Caller.NIHII}
	if h := c.Caller.Holder; h != nil && (id.Quality == identity.Pharmacy || id.Quality == identity.Pharmacist) {
		id.SSIN, id.Holder = h.SSIN, h.SSIN
	}
	return id
}

// directory puts the configured addresses over the built-in ones.
func (c *Config) directory() resilience.Static {
	d := c.Environment.addresses()
	for id, eps := range c.Services {
		d[id] = eps
	}
	return d
}

// counterAttempts is how often an insurability question is asked at most. Its answer is worth
// more than the default four tries while one address is down and the other loses packets
// (12 June 2018); budget, breaker and deadline bound it as ever.
const counterAttempts = 6

// policies puts the caller's own policies over those that a service of this module needs.
func (c *Config) policies() map[string]resilience.Policy {
	out := map[string]resilience.Policy{}
	if c.Policy.MaxAttempts == 0 {
		out[ServiceGenIns] = resilience.Policy{MaxAttempts: counterAttempts}
		out[ServiceInsurability] = resilience.Policy{MaxAttempts: counterAttempts}
	}
	for id, p := range c.Policies {
		p.MaxAttempts = cmp.Or(p.MaxAttempts, out[id].MaxAttempts)
		out[id] = p
	}
	return out
}
