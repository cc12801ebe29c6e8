package sts

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	// DefaultValidity is the life that is asked for. The STS may grant less (dossier 01 A.11).
	DefaultValidity = 24 * time.Hour
	// DefaultSkew is how far the clocks of the STS and of this computer may differ when
	// NotBefore is judged; the STS itself sets NotBefore five minutes back (dossier 01 A.8).
	DefaultSkew = 5 * time.Minute
	// DefaultTimeout bounds one Issue or Renew with all its messages.
	DefaultTimeout = exchange.DefaultTimeout
)

// Config configures a [Client].
type Config struct {
	// Identification signs the request: the identity card, or the eHealth certificate.
	// Required.
	Identification keystore.Credential
	// HolderOfKey is the credential that the token will be bound to and that signs the
	// messages to the services. Zero: Identification, and then the STS answers in one step.
	HolderOfKey keystore.Credential
	// Trust says whose assertions are accepted. Required.
	Trust Trust
	// Service is the UDDI id under which the directory lists the STS; "" = [ServiceID].
	Service string
	// Validity is the life to ask for; 0 = [DefaultValidity]. It must not be negative.
	Validity time.Duration
	// Skew is the tolerated difference of clocks for NotBefore; 0 = [DefaultSkew], negative =
	// none. The end of a token is never stretched.
	Skew time.Duration
	// Timeout bounds one Issue or Renew, challenge and restart included; 0 =
	// [DefaultTimeout]. It must not be negative.
	Timeout time.Duration
}

// Client asks the STS for tokens. It keeps none and is safe for concurrent use.
type Client struct {
	x   *exchange.Exchanger
	cfg Config
}

// New returns a Client. It fails on a configuration that could never get a token.
func New(x *exchange.Exchanger, cfg Config) (*Client, error) {
	if x == nil {
		return nil, errors.New("sts: an exchanger is required")
	}
	if cfg.HolderOfKey.Certificate == nil && cfg.HolderOfKey.Signer == nil {
		cfg.HolderOfKey = cfg.Identification
	}
	if err := usable(cfg.Identification); err != nil {
		return nil, fmt.Errorf("sts: identification: %w", err)
	}
	if err := usable(cfg.HolderOfKey); err != nil {
		return nil, fmt.Errorf("sts: holder of key: %w", err)
	}
	if cfg.Trust.Roots == nil {
		return nil, errors.New("sts: Trust.Roots is required")
	}
	if cfg.Validity < 0 || cfg.Timeout < 0 {
		return nil, errors.New("sts: Validity and Timeout must not be negative")
	}
	if cfg.Service == "" {
		cfg.Service = ServiceID
	}
	cfg.Validity = orDefault(cfg.Validity, DefaultValidity)
	cfg.Timeout = orDefault(cfg.Timeout, DefaultTimeout)
	cfg.Skew = orDefault(cfg.Skew, DefaultSkew)
	return &Client{x: x, cfg: cfg}, nil
}

// Config returns the configuration with the defaults filled in.
func (c *Client) Config() Config { return c.cfg }

// usable tells whether the credential has a certificate and the key that belongs to it.
func usable(c keystore.Credential) error {
	if c.Certificate == nil || c.Signer == nil {
		return errors.New("certificate and signer are required")
	}
	key, ok := c.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !key.Equal(c.Signer.Public()) {
		return errors.New("the key does not belong to the certificate")
	}
	return nil
}

// Request says for whom a token is wanted.
type Request struct {
	Identity Identity
	// Extra are claims beside those of the identity: asserted when they have values, asked
	// for when they have none.
	Extra []Claim
	// Validity is the life to ask for; 0 = that of the [Config]. It must not be negative.
	Validity time.Duration
}

// Issue asks for a new token (WS-Trust Issue, holder-of-key; dossier 01 A.5.1). When the
// STS answers with a challenge, it is signed with the holder-of-key credential at the same
// address (A.5.2); should that fail, everything is asked once more from the start.
//
// Claims that the STS did not grant are in the token's Refused, not an error. An assertion
// that fails any check is dropped, and the error has Kind Security. Every error is a
// *fault.Error; repeating Issue is always harmless.
func (c *Client) Issue(ctx context.Context, req Request) (*Token, error) {
	const op = "sts.Issue"
	asserted, requested, err := ClaimsFor(req.Identity)
	if err == nil {
		asserted, requested, err = merge(asserted, requested, req.Extra)
	}
	if err == nil && req.Validity < 0 {
		err = errors.New("sts: Validity must not be negative")
	}
	if err != nil {
		return nil, c.invalid(op, err)
	}
	validity := orDefault(req.Validity, c.cfg.Validity)
	return c.obtain(ctx, op, c.wanted(asserted, requested), func(context string) ([]byte, error) {
		now := time.Now()
		return issueBody(context, asserted, requested, now, now.Add(validity), c.cfg.HolderOfKey.Certificate)
	})
}

// Renew asks for a new token in place of tok, which must come from a Client with the same
// holder-of-key credential (WS-Trust Renew; dossier 01 A.5.4). The STS alone decides how long
// the new one lives. Whether it renews an expired token is not known; Issue is always a safe
// substitute. Errors are as for Issue, and tok stays valid.
func (c *Client) Renew(ctx context.Context, tok *Token) (*Token, error) {
	const op = "sts.Renew"
	if tok == nil || len(tok.asserted)+len(tok.requested) == 0 || tok.Credential.Certificate == nil ||
		!tok.Credential.Certificate.Equal(c.cfg.HolderOfKey.Certificate) {
		return nil, c.invalid(op, errors.New("sts: the token was not issued by this client"))
	}
	return c.obtain(ctx, op, c.wanted(tok.asserted, tok.requested), func(context string) ([]byte, error) {
		return renewBody(context, "token-"+uuid(), tok.Raw)
	})
}

// Source returns a [TokenSource] that issues a token for req each time. Put a [Cached] in
// front of it.
func (c *Client) Source(req Request) TokenSource {
	return TokenSourceFunc(func(ctx context.Context) (*Token, error) { return c.Issue(ctx, req) })
}

func (c *Client) wanted(asserted, requested []Claim) *wanted {
	return &wanted{
		asserted: asserted, requested: requested, hok: c.cfg.HolderOfKey,
		trust: c.cfg.Trust, skew: c.cfg.Skew,
	}
}

// obtain runs the protocol, twice at most: a failed second leg leaves a challenge of
// unknown state behind, so it is not repeated; a new request gets a new one.
func (c *Client) obtain(ctx context.Context, op string, w *wanted, build func(context string) ([]byte, error)) (*Token, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	tok, second, err := c.round(ctx, op, w, build)
	if err != nil && second && ctx.Err() == nil && mayRestart(err) {
		tok, _, err = c.round(ctx, op, w, build)
	}
	if err != nil {
		return nil, err
	}
	return tok, nil
}

// mayRestart tells whether a new request may succeed where a challenge answer failed. What
// the caller must mend first, or was told to wait for, is not tried again.
func mayRestart(err error) bool {
	fe, ok := errors.AsType[*fault.Error](err)
	if !ok || fe.RetryAfter > 0 {
		return false
	}
	switch fe.Kind {
	case fault.Canceled, fault.Local, fault.Throttled:
		return false
	case fault.Security:
		return errors.Is(err, exchange.ErrMismatch)
	}
	return fe.Code != codeUnauthenticated && fe.Code != codeUnauthorised && fe.Notice != noticeClock
}

// round is one request with its challenge, if any. second tells whether the answer to a
// challenge is what failed.
func (c *Client) round(ctx context.Context, op string, w *wanted, build func(context string) ([]byte, error)) (tok *Token, second bool, err error) {
	id := uuid()
	body, err := build(id)
	if err != nil {
		return nil, false, c.invalid(op, err)
	}
	ans, err := c.send(ctx, &exchange.Call{
		Op: op, Action: actionRequest, Body: body, Class: resilience.Read,
		Security: signedBy(c.cfg.Identification), Correlate: w.correlate(id),
	})
	if err != nil {
		return nil, false, err
	}
	a, err := readAnswer(ans.Payload)
	if err != nil {
		return nil, false, refusedAnswer(op, ans.Endpoint.URL, noToken(err))
	}
	if a.challenged {
		if ans, a, err = c.answer(ctx, op, w, id, a.challenge, ans.Endpoint.URL); err != nil {
			return nil, true, err
		}
	}
	tok, err = w.token(a.assertion, time.Now())
	if err != nil {
		return nil, false, refusedAnswer(op, ans.Endpoint.URL, err)
	}
	return tok, false, nil
}

// answer signs the challenge with the holder-of-key credential and sends it to the address
// that asked, whose state it belongs to (dossier 01 A.5.2). A challenge may be good for one
// use only, so the answer is not repeated when its fate is unknown.
func (c *Client) answer(ctx context.Context, op string, w *wanted, id, challenge, endpoint string) (*exchange.Answer, answer, error) {
	body, err := challengeBody(id, challenge)
	if err != nil {
		return nil, answer{}, refusedAnswer(op, endpoint, err)
	}
	ans, err := c.send(ctx, &exchange.Call{
		Op: op, Action: actionChallenge, Body: body, Class: resilience.UnsafeWrite, Pin: endpoint,
		Security: signedBy(c.cfg.HolderOfKey), Correlate: w.correlate(id),
	})
	if err != nil {
		return nil, answer{}, err
	}
	a, err := readAnswer(ans.Payload)
	if err == nil && a.challenged {
		err = errRounds
	}
	if err != nil {
		return nil, answer{}, refusedAnswer(op, ans.Endpoint.URL, noToken(err))
	}
	return ans, a, nil
}

func (c *Client) send(ctx context.Context, call *exchange.Call) (*exchange.Answer, error) {
	call.Service, call.Notice, call.Timeout = c.cfg.Service, noticeNoLogin, c.cfg.Timeout
	ans, err := c.x.Do(ctx, call)
	if err != nil {
		return nil, explain(err)
	}
	return ans, nil
}

func signedBy(c keystore.Credential) exchange.Security {
	return exchange.X509(wsse.Credential{Certificate: c.Certificate, Signer: c.Signer})
}

func (c *Client) invalid(op string, err error) *fault.Error {
	return &fault.Error{Op: op, Service: c.cfg.Service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
}

// localError is a failure on this computer, before anything was sent.
func localError(err error) *fault.Error {
	return &fault.Error{Op: "sts.Token", Service: ServiceID, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
}
