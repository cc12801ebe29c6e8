package drill

import (
	"context"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// ours is the client of this module, as a vendor would use it.
type ours struct{ p *ehealth.Platform }

func joinOurs(s *sandbox.Sandbox, o *sandbox.Organisation) (counter, error) {
	cfg, err := configFor(s, o)
	if err != nil {
		return nil, err
	}
	p, err := ehealth.Open(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	return &ours{p}, nil
}

func (c *ours) close() { _ = c.p.Close() }

func (c *ours) ask(ctx context.Context, p sandbox.Patient) (shown, error) {
	a, err := c.p.Insurability.Check(ctx, insurability.Query{Patient: p.SSIN})
	if err != nil {
		return shown{}, err
	}
	return shown{ssin: a.SSIN.Reveal(), otherwise: a.Source != insurability.Live}, nil
}

// configFor is the configuration of a pharmacy of the sandbox: its holder logs in with the
// personal certificate, the pharmacy's own signs the messages.
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
	services := make(map[string][]resilience.Endpoint)
	for id, eps := range s.Services() {
		for _, e := range eps {
			services[id] = append(services[id], resilience.Endpoint(e))
		}
	}
	return ehealth.Config{
		Environment: ehealth.Sandbox,
		Software:    ehealth.Software{Name: "Drill/1.0", Contact: "support@example.be", Licence: insurability.NewLicence("drill", "drill")},
		Identity:    hok, Login: login,
		Caller: insurability.Caller{
			Quality: identity.Pharmacy, NIHII: number, Name: o.Name,
			Holder: &insurability.Holder{NIHII: o.Holder.NIHII, Name: o.Holder.Name(), SSIN: o.Holder.SSIN},
		},
		Trust:         ehealth.Trust{TLS: s.Roots(), STS: s.Roots()},
		Services:      services,
		TokenValidity: 12 * time.Hour,
		Transport:     s.HTTPClient().Transport,
	}, nil
}

func source(c sandbox.Credential, err error) (keystore.Source, error) {
	if err != nil {
		return nil, err
	}
	return keystore.FromSigner(c.Certificate, c.Chain, c.Key)
}
