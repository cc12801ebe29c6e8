package ehealth

import (
	"context"
	"fmt"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/sts"
)

// seals is what mail and Recip-e share: one depot and one key service, so that a token or a key that one of them fetched
// serves the other.
type seals struct {
	keys   *keystore.Store // of the identity and of earlier ones
	trust  etee.Trust
	depot  *etee.Depot
	kgss   *etee.KGSS
	sealer *etee.Sealer
}

// openSeals makes them, once. Nothing is asked.
func (p *Platform) openSeals(ctx context.Context, hok keystore.Credential) (err error) {
	if p.seals != nil {
		return nil
	}
	cfg := &p.config
	var earlier []keystore.Source
	conf := etee.DepotConfig{Trust: etee.Trust{Roots: cfg.etk()}, Environment: string(cfg.Environment)}
	if cfg.Mail != nil {
		earlier = append(earlier, cfg.Mail.Earlier...)
		conf.OnError = cfg.Mail.OnError
		if cfg.Mail.Policy != nil {
			conf.Policy = *cfg.Mail.Policy
		}
	}
	if cfg.Recipe != nil {
		earlier = append(earlier, cfg.Recipe.Earlier...)
	}
	s := &seals{trust: conf.Trust}
	if s.keys, err = p.decryption(ctx, earlier); err != nil {
		return err
	}
	if p.state != nil {
		conf.Store = etee.FileStore(p.state.vault)
	}
	if s.depot, err = etee.NewDepot(p.exchange, conf); err != nil {
		return err
	}
	if s.sealer, err = etee.NewSealer(hok); err != nil {
		return err
	}
	s.kgss, err = etee.NewKGSS(p.exchange, etee.KGSSConfig{
		Depot: s.depot, Sealer: s.sealer, Keys: s.keys, Trust: s.trust, Security: sts.HolderOfKey(p.Tokens),
	})
	if err != nil {
		return err
	}
	p.seals = s
	return nil
}

// decryption opens the earlier key stores and joins their keys with those of the identity.
func (p *Platform) decryption(ctx context.Context, earlier []keystore.Source) (*keystore.Store, error) {
	var older []*keystore.Store
	for _, src := range earlier {
		s, err := src.Open(ctx)
		if err != nil {
			return nil, fmt.Errorf("earlier key store: %w", err)
		}
		p.stores = append(p.stores, s)
		older = append(older, s)
	}
	return p.identity.WithOlder(older...), nil
}
