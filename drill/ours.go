package drill

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// tokenValidity is the life that every kind of client asks for.
const tokenValidity = 12 * time.Hour

// ours is the client of this module, as a vendor would use it.
type ours struct {
	p   *ehealth.Platform
	app *App
	// user is the configuration of one more user at the same counter, who logs in with the identity card.
	user ehealth.Config
}

func joinOurs(s *sandbox.Sandbox, o *sandbox.Organisation) (counter, error) {
	cfg, err := oursConfig(s, o)
	if err != nil {
		return nil, err
	}
	return openOurs(queued(cfg), o)
}

// oursConfig is configFor with what other clients do not have: the service list.
func oursConfig(s *sandbox.Sandbox, o *sandbox.Organisation) (ehealth.Config, error) {
	cfg, err := configFor(s, o)
	cfg.Trust.ServiceList = s.Roots()
	cfg.ServiceList.URLs = []string{s.ListURL(1)}
	return cfg, err
}

func openOurs(cfg ehealth.Config, o *sandbox.Organisation) (*ours, error) {
	c := &ours{user: cfg}
	c.user.Fallback, c.user.DataDir, c.user.Outbox = cfg.Login, "", nil // the certificate, when the card is refused
	var err error
	if c.user.Login, err = source(o.Holder.EID()); err != nil {
		return nil, err
	}
	if c.p, err = ehealth.Open(context.Background(), cfg); err != nil {
		return nil, err
	}
	c.app = NewApp(c.p)
	return c, nil
}

func (c *ours) close() {
	_ = c.p.Close()
	c.user.Transport.(*http.Transport).CloseIdleConnections()
}

func (c *ours) check(ctx context.Context, p sandbox.Patient) (shown, error) {
	a, err := c.p.Insurability.Check(ctx, insurability.Query{Patient: p.SSIN})
	if err != nil {
		return shown{}, err
	}
	return shown{of: a.SSIN.Reveal(), otherwise: a.Source != insurability.Live}, nil
}

func (c *ours) login(ctx context.Context) error { return logIn(ctx, c.user) }

// logIn opens a platform for one more user and gets the token.
func logIn(ctx context.Context, cfg ehealth.Config) error {
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Tokens.Token(ctx)
	return err
}

// put goes through the outbox, if there is one: the intent is kept before it is sent, and what has no answer is found out.
func (c *ours) put(ctx context.Context, reference string) (shown, error) {
	if c.p.Outbox != nil {
		return c.write(ctx, reference)
	}
	r, err := c.app.Put(ctx, reference, "", payload)
	if err != nil {
		return shown{}, err
	}
	return shown{of: reference, otherwise: r.Alternate}, nil
}

func (c *ours) write(ctx context.Context, reference string) (shown, error) {
	res, err := c.p.Write(ctx, outbox.Item{Kind: appclient.Kind, Ref: reference, Payload: payload})
	if err != nil {
		return shown{}, err
	}
	r, err := appclient.ParseReceipt(res.Answer)
	if err != nil {
		return shown{}, err
	}
	return shown{of: reference, otherwise: r.Alternate}, nil
}

// configFor is the configuration of a pharmacy of the sandbox: its holder logs in with the
// personal certificate, the pharmacy's own signs the messages. No service list is read.
func configFor(s *sandbox.Sandbox, o *sandbox.Organisation) (ehealth.Config, error) {
	hok, err := source(o.Authentication())
	if err != nil {
		return ehealth.Config{}, err
	}
	login, err := source(o.Holder.Authentication())
	if err != nil {
		return ehealth.Config{}, err
	}
	number, err := identity.ParseNIHII(o.Number)
	if err != nil {
		return ehealth.Config{}, err
	}
	return baseConfig(s, ehealth.Config{
		Identity: hok, Login: login,
		Caller: insurability.Caller{
			Quality: identity.Pharmacy, NIHII: number, Name: o.Name,
			Holder: &insurability.Holder{NIHII: o.Holder.NIHII, Name: o.Holder.Name(), SSIN: o.Holder.SSIN},
		},
	}), nil
}

// baseConfig adds what is the same for everybody.
func baseConfig(s *sandbox.Sandbox, cfg ehealth.Config) ehealth.Config {
	cfg.Services = make(map[string][]resilience.Endpoint)
	for id, eps := range s.Services() {
		for _, e := range eps {
			cfg.Services[id] = append(cfg.Services[id], resilience.Endpoint(e))
		}
	}
	cfg.Environment = ehealth.Sandbox
	cfg.Software = ehealth.Software{Name: "Drill/1.0", Contact: "support@example.be", Licence: insurability.NewLicence("drill", "drill")}
	cfg.Trust = ehealth.Trust{TLS: s.Roots(), STS: s.Roots()}
	cfg.TokenValidity = tokenValidity
	cfg.Transport = transport(s, connectLimit)
	return cfg
}

// connectLimit is that of the platform's own transport, which cannot reach a sandbox without sockets.
const connectLimit = 5 * time.Second

// transport reaches the sandbox, with a limit on connecting. Its key exchange is the one that costs least: a drill makes
// thousands of connections.
func transport(s *sandbox.Sandbox, connect time.Duration) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connect)
			defer cancel()
			return s.Dial(ctx, network, addr)
		},
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.Roots(), CurvePreferences: []tls.CurveID{tls.CurveP256}},
		TLSHandshakeTimeout: connect,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
	}
}

func source(c sandbox.Credential, err error) (keystore.Source, error) {
	if err != nil {
		return nil, err
	}
	return keystore.FromSigner(c.Certificate, c.Chain, c.Key)
}

// credential is what a source holds for authentication.
func credential(ctx context.Context, src keystore.Source) (keystore.Credential, error) {
	store, err := src.Open(ctx)
	if err != nil {
		return keystore.Credential{}, err
	}
	defer store.Close()
	return store.Authentication()
}
