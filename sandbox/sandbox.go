package sandbox

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a sandbox looks like. The zero value is a sandbox without sockets, for tests.
type Config struct {
	// Seed determines patients, professionals and every draw of the fault engine. 0 is a seed like any other.
	Seed uint64
	// Patients is how many patients there are besides the eight of the fixed scenarios. 0 means 200, negative none.
	Patients int
	// Keys is where RSA keys come from. nil means SharedKeys.
	Keys KeySource
	// Epoch is the instant around which certificates are valid, from one day before to five years after. The zero
	// time means time.Now. A test in a synctest bubble that makes the sandbox in 2000 and then sleeps to 2018 sets it.
	Epoch time.Time
	// Scale is the fraction of the country whose load the sandbox sees. Rates and queues of capacity and ramp steps
	// are multiplied by it. 0 means 1.
	Scale float64
	// EnvironmentName is the value of Environment in faults and service lists. "" means "Simulation".
	EnvironmentName string

	// Listen is the address of the HTTPS listener for the services behind the ESB, such as "127.0.0.1:8443"; port 0
	// picks one. "" means no sockets at all: everything is reached through Dial, on net.Pipe.
	Listen string
	// ListenDirect, ListenList and ListenAdmin are the addresses of the direct path of the insurers, of the service
	// list and of the admin API (plain HTTP, loopback only). "" means port 0 on the host of Listen (admin: 127.0.0.1).
	ListenDirect, ListenList, ListenAdmin string

	// Incident finds a script by id for the admin API ({"incident":"INC-…"}). nil: unknown id. Package
	// sandbox/incident has the catalogue.
	Incident func(id string) (Script, bool)
}

// Defaults of Config.
const (
	defaultPatients    = 200
	defaultEnvironment = "Simulation"
)

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Patients == 0 {
		c.Patients = defaultPatients
	}
	if c.Keys == nil {
		c.Keys = SharedKeys()
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Now()
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	if c.EnvironmentName == "" {
		c.EnvironmentName = defaultEnvironment
	}
	return c
}

var environments = []string{"Development", "Test", "Integration", "Acceptation", "Simulation", "Production"}

func (c Config) validate() error {
	switch {
	case !(c.Scale > 0 && c.Scale <= 1):
		return errors.New("sandbox: Scale must be above 0 and at most 1")
	case c.Patients > 1_000_000:
		return errors.New("sandbox: more than a million patients")
	case c.Listen == "" && (c.ListenDirect != "" || c.ListenList != "" || c.ListenAdmin != ""):
		return errors.New("sandbox: ListenDirect, ListenList and ListenAdmin need Listen")
	}
	for _, e := range environments {
		if e == c.EnvironmentName {
			return nil
		}
	}
	return fmt.Errorf("sandbox: EnvironmentName must be one of %s", strings.Join(environments, ", "))
}

// Sandbox is a running platform. Its methods may be called concurrently.
type Sandbox struct {
	cfg      Config
	pki      *pki
	people   *population
	faults   *engine
	counters *counters
	routes   []route
	list     *listPublisher
	net      *network
	swaps    swapper
	app      appState
	member   memberState
	centrals []*centralService
	depot    etkDepot
	keystore kgssStore
	mail     mailState
	recipe   recipeState
	replays  atomic.Bool // taken like any other message

	closing context.Context // done when Close begins
	shut    context.CancelFunc

	mu     sync.Mutex
	ended  bool
	active sync.WaitGroup // exchanges, connections held by faults, timers
}

// New starts a sandbox. Close ends it.
func New(cfg Config) (*Sandbox, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newSandbox(cfg, routes())
}

// newSandbox builds a sandbox with these services; cfg has its defaults.
func newSandbox(cfg Config, rts []route) (*Sandbox, error) {
	s := &Sandbox{cfg: cfg, counters: newCounters(), routes: rts}
	s.closing, s.shut = context.WithCancel(context.Background())
	var err error
	if s.pki, err = newPKI(cfg.Keys, cfg.Epoch); err != nil {
		return nil, err
	}
	if s.people, err = newPopulation(cfg.Seed, max(0, cfg.Patients), s.pki); err != nil {
		return nil, err
	}
	if s.centrals, err = newCentrals(s.pki); err != nil {
		return nil, err
	}
	s.faults = newEngine(cfg.Seed, cfg.Scale, s.routes)
	s.list = newListPublisher(s, time.Now())
	if s.net, err = newNetwork(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the sandbox: connections are cut, exchanges that wait are abandoned, clients made by HTTPClient are
// emptied. It returns when no goroutine of the sandbox is left that a caller could wait for, so that a
// testing/synctest bubble can end. Closing twice is harmless.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.shut()
	s.net.close()
	s.active.Wait()
	return nil
}

// begin counts one more piece of work that Close waits for, unless the sandbox is closing.
func (s *Sandbox) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.active.Add(1)
	}
	return !s.ended
}

// background runs f as such work, and reports whether it does.
func (s *Sandbox) background(f func()) bool {
	if !s.begin() {
		return false
	}
	go func() {
		defer s.active.Done()
		f()
	}()
	return true
}

// CA returns the certificates that clients trust: the root and the eHealth issuing CA, as in ca.pem.
func (s *Sandbox) CA() []*x509.Certificate {
	return []*x509.Certificate{s.pki.root.cert, s.pki.ehealth.cert}
}

// Roots returns CA as a new pool.
func (s *Sandbox) Roots() *x509.CertPool { return s.pki.roots() }

// NewIssuer is the root under which tls_rotate new_issuer=1 puts server certificates, and Foreign issues. ca.pem
// does not hold it.
func (s *Sandbox) NewIssuer() *x509.Certificate { return s.pki.other.cert }

// Endpoint is one address of a service.
type Endpoint struct {
	URL    string
	Order  int
	Active bool
}

// Services returns the addresses of every service by UDDI id, as the service list has them at rest: Order 0 active,
// the others not. eHealthBox is here too, and not in the list. SetList and list steps change the published list, not this.
func (s *Sandbox) Services() map[string][]Endpoint {
	out := map[string][]Endpoint{}
	for _, r := range s.routes {
		if r.UDDI != "" {
			out[r.UDDI] = append(out[r.UDDI], Endpoint{URL: s.net.url(r), Order: r.Order, Active: r.Order == 0})
		}
	}
	return out
}

// URL returns the address of a service by UDDI id and order, "" when there is none.
func (s *Sandbox) URL(uddi string, order int) string {
	for _, e := range s.Services()[uddi] {
		if e.Order == order {
			return e.URL
		}
	}
	return ""
}

// ListURL returns the base address of the service list, version 1 or 2, to which ".xml" and ".sha2" are appended.
func (s *Sandbox) ListURL(version int) string {
	base := s.net.base("servicelist", sideList)
	if version == 2 {
		return base + "/v2/servicelist"
	}
	return base + "/servicelist"
}

// AdminURL returns the base address of the admin API. Without sockets it works through HTTPClient only.
func (s *Sandbox) AdminURL() string { return s.net.adminURL() }

// HTTPClient returns a new client that trusts the sandbox and reaches it with or without sockets. It speaks HTTP/1.1
// and keeps connections. Close closes those that are idle.
func (s *Sandbox) HTTPClient() *http.Client { return s.net.client() }
