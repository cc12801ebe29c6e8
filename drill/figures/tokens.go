package figures

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// The scenario of figure 12: one user's working day.
const (
	day       = 8 * time.Hour
	dayCalls  = 400
	processes = 2
)

// lives are the lives of tokens that are asked for in the field (dossier 01 A.11).
var lives = []time.Duration{24 * time.Hour, 12 * time.Hour, 5 * time.Hour}

// counted counts what it asks of the STS.
type counted struct {
	sts.TokenSource
	mu sync.Mutex
	at []time.Time
}

// Token implements sts.TokenSource.
func (c *counted) Token(ctx context.Context) (*sts.Token, error) {
	c.mu.Lock()
	c.at = append(c.at, time.Now())
	c.mu.Unlock()
	return c.TokenSource.Token(ctx)
}

// since counts the requests from an instant on.
func (c *counted) since(from time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.at {
		if !at.Before(from) {
			n++
		}
	}
	return n
}

// session is how one process comes by the token of a call.
type session interface {
	token(ctx context.Context) error
	close()
}

// workday measures figure 12, against the STS of the sandbox.
func (m *measurement) workday() error {
	sb, err := sandbox.New(sandbox.Config{Seed: m.seed})
	if err != nil {
		return err
	}
	defer sb.Close()
	for _, life := range lives {
		for _, kind := range Clients() {
			user, err := m.user(sb, kind, life)
			if err != nil {
				return err
			}
			inAll, afterwards, err := m.live(user)
			err = errors.Join(err, os.RemoveAll(user.dir))
			if err != nil {
				return fmt.Errorf("figures: a working day: %w", err)
			}
			name := fmt.Sprintf("requests to the STS a working day, tokens live %.0f h", life.Hours())
			m.put(Row{Figure: "12", Name: name, Unit: Count, Target: atMost(math.Ceil(float64(day) / float64(life)))}, kind, float64(inAll))
			if life == lives[0] {
				m.put(Row{Figure: "12", Name: "of them after the restart at noon", Unit: Count, Target: atMost(0)}, kind, float64(afterwards))
			}
		}
	}
	return nil
}

// user is one person with a computer.
type user struct {
	asked *counted
	dir   string // of ours
	start func() (session, error)
}

// live plays the day: calls at random instants in one of two processes, which are both restarted at noon.
func (m *measurement) live(u *user) (inAll, afterwards int, err error) {
	draw := random(m.seed, 12)
	at := make([]time.Duration, dayCalls)
	for i := range at {
		at[i] = time.Duration(draw() * float64(day))
	}
	slices.Sort(at)
	begin := time.Now()
	noon := begin.Add(day / 2)
	var running [processes]session
	restart := func() error {
		for i := range running {
			if running[i] != nil {
				running[i].close()
			}
			if running[i], err = u.start(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := restart(); err != nil {
		return 0, 0, err
	}
	restarted := false
	for _, a := range at {
		if due := begin.Add(a); !restarted && due.After(noon) {
			time.Sleep(time.Until(noon))
			if err := restart(); err != nil {
				return 0, 0, err
			}
			restarted = true
		}
		time.Sleep(time.Until(begin.Add(a)))
		if err := running[int(draw()*processes)].token(context.Background()); err != nil {
			return 0, 0, err
		}
	}
	time.Sleep(time.Until(begin.Add(day)))
	for _, s := range running {
		s.close()
	}
	return u.asked.since(begin), u.asked.since(noon), nil
}

// user makes a person whose tokens live that long.
func (m *measurement) user(sb *sandbox.Sandbox, kind string, life time.Duration) (*user, error) {
	if kind != Ours {
		u := &user{asked: &counted{TokenSource: &issuer{life: life}}}
		u.start = func() (session, error) { return &simple{src: u.asked, keeps: kind == ConnectorLike}, nil }
		return u, nil
	}
	c, req, err := stsClient(sb, life)
	if err != nil {
		return nil, err
	}
	key, err := cache.KeyFromSigner(c.Config().HolderOfKey.Signer)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "figures")
	if err != nil {
		return nil, err
	}
	u := &user{asked: &counted{TokenSource: c.Source(req)}, dir: dir}
	u.start = func() (session, error) {
		v, err := cache.OpenVault(dir, key)
		if err != nil {
			return nil, err
		}
		d, err := sts.Durable(u.asked, sts.WithStore(sts.FileStore(v), c.Binding(req)))
		return &durable{d}, err
	}
	return u, nil
}

// stsClient is a doctor's way to the STS of the sandbox.
func stsClient(sb *sandbox.Sandbox, life time.Duration) (*sts.Client, sts.Request, error) {
	roots := x509.NewCertPool()
	for _, c := range sb.CA() {
		roots.AddCert(c)
	}
	known := resilience.Static{}
	for id, eps := range sb.Services() {
		for _, e := range eps {
			known[id] = append(known[id], resilience.Endpoint(e))
		}
	}
	h := sb.HTTPClient()
	if t, ok := h.Transport.(*http.Transport); ok {
		t.DisableKeepAlives = true // an idle connection would keep the bubble from ending
	}
	x, err := exchange.New(exchange.Options{HTTP: h, Directory: known, UserAgent: "Figures/1.0", From: "support@example.be"})
	if err != nil {
		return nil, sts.Request{}, err
	}
	doctor := sb.Person(identity.Doctor, 0)
	own, err := doctor.Authentication()
	if err != nil {
		return nil, sts.Request{}, err
	}
	cred := keystore.Credential{Certificate: own.Certificate, Signer: own.Key}
	c, err := sts.New(x, sts.Config{Identification: cred, HolderOfKey: cred, Validity: life, Trust: sts.Trust{Roots: roots}})
	return c, sts.Request{Identity: sts.Identity{Quality: identity.Doctor, SSIN: doctor.SSIN}}, err
}

type durable struct{ *sts.DurableSource }

func (d *durable) token(ctx context.Context) error { _, err := d.Token(ctx); return err }
func (d *durable) close()                          { _ = d.Close() }

// simple is a session without a store: one token for the life of the process, or one for every call.
type simple struct {
	src   sts.TokenSource
	keeps bool
	mu    sync.Mutex
	tok   *sts.Token
}

func (s *simple) token(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keeps && s.tok.Valid(time.Now(), 0) {
		return nil
	}
	var err error
	s.tok, err = s.src.Token(ctx)
	return err
}

func (s *simple) close() {}

// issuer is an STS without messages.
type issuer struct{ life time.Duration }

// Token implements sts.TokenSource.
func (i *issuer) Token(ctx context.Context) (*sts.Token, error) {
	if !sleep(ctx, 100*time.Millisecond) {
		return nil, ctx.Err()
	}
	now := time.Now()
	return &sts.Token{ID: "t", IssuedAt: now, NotOnOrAfter: now.Add(i.life)}, nil
}
