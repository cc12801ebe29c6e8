//go:build pkcs11

package keystore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

// Token says where a PKCS#11 token is and how to log in.
type Token struct {
	// Module is the path of the shared library of the card or hardware module.
	// Required. There is no default: it differs between systems.
	Module string
	// Label or Slot chooses the token; exactly one is required. Belgian identity
	// cards usually have the label "BELPIC".
	Label string
	Slot  *int
	// PIN is asked for once per Open. Nil means no login: right for middleware
	// that asks for the PIN itself, such as that of the eID card, and for readers
	// with a keypad. The PIN stays in memory until the store is closed.
	PIN func(context.Context) ([]byte, error)
	// Key is the label of the authentication key. Empty: the rules for files, that
	// is "authentication" in any case, else a certificate for digital signatures.
	Key string
	// MaxSessions bounds the sessions with the token, and with that the signatures
	// made at the same time; at least 2 (one is kept for the login), 0 means 8:
	// cards do one thing at a time and small modules run out of sessions.
	MaxSessions int
}

const defaultSessions = 8

// PKCS11 is the [Source] of a token; see [OpenToken].
func PKCS11(t Token) Source {
	return SourceFunc(func(ctx context.Context) (*Store, error) { return OpenToken(ctx, t) })
}

// OpenToken finds the keys of a token that have a certificate with the same CKA_ID
// and returns them as a store whose signers sign in the token: RSA (PKCS#1 v1.5,
// PSS with a salt of given length) and ECDSA. RSA keys are decrypters as well.
// Chains are not read. The store must be closed.
//
// A wrong PIN is tried once only, since cards block after three. The context is
// asked before each step; a call into the module cannot be interrupted.
//
// Errors wrap [ErrNoToken], [ErrPassword] or [ErrNoKey]; the code of the token
// (CKR_…) stands in the text.
func OpenToken(ctx context.Context, t Token) (*Store, error) {
	c, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	s, err := t.load(ctx, c)
	if err != nil {
		_ = c.Close() // the error that matters is the first one
		return nil, err
	}
	s.close = sync.OnceValue(c.Close)
	return s, nil
}

// connect loads the module and logs in.
func (t Token) connect(ctx context.Context) (*crypto11.Context, error) {
	if t.Module == "" || (t.Label == "") == (t.Slot == nil) {
		return nil, errors.New("keystore: token needs a module and either a label or a slot")
	}
	config := &crypto11.Config{
		Path: t.Module, TokenLabel: t.Label, SlotNumber: t.Slot, MaxSessions: t.MaxSessions,
		LoginNotSupported: t.PIN == nil,
	}
	if config.MaxSessions == 0 {
		config.MaxSessions = defaultSessions
	}
	if t.PIN != nil {
		pin, err := t.PIN(ctx)
		if err != nil {
			return nil, fmt.Errorf("keystore: PIN: %w", err)
		}
		config.Pin = string(pin)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	c, err := crypto11.Configure(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tokenError(err), err)
	}
	return c, nil
}

// tokenError names the decision that the caller has to take.
func tokenError(err error) error {
	var code pkcs11.Error
	if errors.As(err, &code) {
		switch code {
		case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE,
			pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_PIN_EXPIRED:
			return ErrPassword
		}
	}
	return ErrNoToken
}

// load reads the pairs of key and certificate.
func (t Token) load(ctx context.Context, c *crypto11.Context) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	pairs, err := c.FindAllPairedCertificates()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	var all []Credential
	chosen := -1
	for _, p := range pairs {
		signer, ok := p.PrivateKey.(crypto11.Signer)
		if !ok || !samePublic(p.Leaf, signer) {
			continue
		}
		label, err := c.GetAttribute(signer, crypto11.CkaLabel)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
		}
		alias := p.Leaf.SerialNumber.String()
		if label != nil && len(label.Value) > 0 {
			alias = string(label.Value)
		}
		if t.Key != "" && strings.EqualFold(alias, t.Key) {
			chosen = len(all)
		}
		all = append(all, Credential{Alias: alias, Certificate: p.Leaf, Signer: signer})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: on the token", ErrNoKey)
	}
	if t.Key == "" {
		chosen = authentication(all)
	}
	return newStore(all, chosen), nil
}
