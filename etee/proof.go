package etee

import (
	"crypto/x509"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

// proofFor is how long a signature or a path that was verified is not verified again. Neither can become wrong by itself, but
// the pool of trust anchors may hold a constraint that changes its mind (x509.CertPool.AddCertWithConstraint).
const proofFor = time.Minute

// proofs is what was verified about one token: six public key operations, each time that something is sealed for somebody. What
// failed is not remembered, and times are looked at whenever the token is used.
type proofs struct {
	mu         sync.Mutex
	began      time.Time
	trust      Trust
	issued     bool    // the encryption certificate, by the holder
	registered [2]bool // by the registration authority; [1] = without regard to the algorithm protection
	paths      map[*x509.Certificate][][]*x509.Certificate
}

// begin forgets what is too old, or was found with other trust anchors.
func (p *proofs) begin(trust Trust) {
	now := wallClock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := now.Sub(p.began); p.trust != trust || age < 0 || age >= proofFor {
		p.began, p.trust, p.issued, p.registered, p.paths = now, trust, false, [2]bool{}, nil
	}
}

// once verifies what one flag of p is about, unless it was verified.
func (p *proofs) once(flag *bool, verify func() error) error {
	p.mu.Lock()
	done := *flag
	p.mu.Unlock()
	if done {
		return nil
	}
	err := verify()
	p.mu.Lock()
	defer p.mu.Unlock()
	*flag = *flag || err == nil
	return err
}

// known tells whether a path from c was found whose certificates are all valid at that time.
func (p *proofs) known(trust Trust, c *x509.Certificate, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trust != trust {
		return false
	}
next:
	for _, path := range p.paths[c] {
		for _, one := range path {
			if at.Before(one.NotBefore) || at.After(one.NotAfter) {
				continue next
			}
		}
		return true
	}
	return false
}

func (p *proofs) remember(trust Trust, c *x509.Certificate, paths [][]*x509.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trust != trust {
		return
	}
	if p.paths == nil {
		p.paths = map[*x509.Certificate][][]*x509.Certificate{}
	}
	p.paths[c] = paths
}

// trusted is Trust.verify for a certificate of the token, at any of these times.
func (k ETK) trusted(trust Trust, c *x509.Certificate, at ...time.Time) (err error) {
	for _, t := range at {
		if k.proofs.known(trust, c, t) {
			return nil
		}
	}
	for _, t := range at {
		var paths [][]*x509.Certificate
		if paths, err = trust.paths(c, k.others, t); err == nil {
			k.proofs.remember(trust, c, paths)
			return nil
		}
	}
	return err
}

// issuedByHolder verifies the signature of the encryption certificate.
func (k ETK) issuedByHolder() error {
	return k.proofs.once(&k.proofs.issued, func() error { return k.issuedBy(k.authentication) })
}

// registeredAs verifies the signature of the registration authority.
func (k ETK) registeredAs(ignoreProtection bool) error {
	flag := &k.proofs.registered[0]
	if ignoreProtection {
		flag = &k.proofs.registered[1]
	}
	return k.proofs.once(flag, func() error {
		return k.signer.Verify(hashOf(k.content), k.registration.PublicKey, cms.VerifyOptions{
			Accept: []cms.Scheme{cms.PKCS1v15WithSHA256, cms.PSSWithSHA256}, IgnoreProtection: ignoreProtection,
		})
	})
}
