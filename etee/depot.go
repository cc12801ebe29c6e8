package etee

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

// Defaults of [DepotConfig].
const (
	// DefaultTTL is the age up to which a token is used without asking (dossier 02 A.6).
	DefaultTTL = 8 * time.Hour
	// DefaultMaxStale is how much older it may be while the depot does not answer: holders keep their earlier private
	// keys and can open what was sealed with them.
	DefaultMaxStale = 30 * 24 * time.Hour
	// DefaultMissTTL is how long it is remembered that there is no token.
	DefaultMissTTL = 2 * time.Minute
	// DefaultMaxEntries bounds the holders kept in memory.
	DefaultMaxEntries = 1024
	// DefaultDepotTimeout bounds one question to the depot.
	DefaultDepotTimeout = 10 * time.Second
)

const (
	// staleTimeout bounds a question when there is an old answer that will do.
	staleTimeout = 3 * time.Second
	// outagePause is how long the depot is not asked again, after it did not answer, for what there is an old answer.
	outagePause = 30 * time.Second
	// badFor is how long a token that could not be used is put behind other candidates.
	badFor = time.Hour
	maxBad = 1024
)

// Notice of a token that must not be used (dossier 06 part D).
const noticeKey = "D-KEY"

// DepotConfig says how a [Depot] works. Trust is required.
type DepotConfig struct {
	// Trust is whom tokens must come from.
	Trust Trust
	// Policy is that of [ETK.Check].
	Policy Policy
	// Store keeps tokens over a restart; nil = memory only.
	Store TokenStore
	// Environment keeps the tokens of several environments apart in one store ("production"); may be empty.
	Environment string
	// TTL, MaxStale, MissTTL, MaxEntries, Timeout: 0 = their defaults above. MaxStale negative: nothing stale is used.
	TTL, MaxStale, MissTTL time.Duration
	MaxEntries             int
	Timeout                time.Duration
	// OnError is told when the store fails; the depot goes on without it. May be nil; it must not block.
	OnError func(error)
}

func (c DepotConfig) withDefaults() DepotConfig {
	c.TTL = cmp.Or(max(c.TTL, 0), DefaultTTL)
	c.MaxStale = cmp.Or(c.MaxStale, DefaultMaxStale)
	c.MissTTL = cmp.Or(max(c.MissTTL, 0), DefaultMissTTL)
	c.MaxEntries = cmp.Or(max(c.MaxEntries, 0), DefaultMaxEntries)
	c.Timeout = cmp.Or(max(c.Timeout, 0), DefaultDepotTimeout)
	return c
}

// Depot gets the tokens of others from the platform's ETK depot and keeps them (dossier 02 A.3 to A.6). It is safe for
// concurrent use.
type Depot struct {
	x       *exchange.Exchanger
	conf    DepotConfig
	flights flights[Identifier, *entry]
	writing sync.Mutex // of the store: one record is read and written at a time

	mu      sync.Mutex
	entries map[Identifier]*entry
	bad     map[[sha256.Size]byte]time.Time // encryption certificates that could not be used, until when
	pause   time.Time                       // until when nothing is asked for which there is an old answer
}

// NewDepot makes a client that asks through x. The error is [ErrTrust].
func NewDepot(x *exchange.Exchanger, conf DepotConfig) (*Depot, error) {
	if x == nil {
		return nil, errors.New("etee: exchanger is required")
	}
	if conf.Trust.Roots == nil {
		return nil, ErrTrust
	}
	return &Depot{
		x: x, conf: conf.withDefaults(), entries: map[Identifier]*entry{}, bad: map[[sha256.Size]byte]time.Time{},
	}, nil
}

// Token is one token that may be sealed for.
type Token struct {
	Identifier Identifier // under which it is registered
	ETK        ETK
	Recipient  Recipient
}

// Found are the tokens of one holder: several when the number has several applications and none was asked for. All of
// them were checked just now.
type Found struct {
	Identifier Identifier // that was asked for
	Tokens     []Token    // at least one
	FetchedAt  time.Time  // when the depot gave them
	// Stale tells that the depot did not answer and they are older than [DepotConfig].TTL.
	Stale bool
}

// Recipients are whom to seal for: all tokens, since nothing tells which application will read the message.
func (f Found) Recipients() []Recipient {
	out := make([]Recipient, len(f.Tokens))
	for i, t := range f.Tokens {
		out[i] = t.Recipient
	}
	return out
}

// Key changes when one of the encryption certificates does: what was sealed under another Key should be sealed anew.
func (f Found) Key() string {
	var all [][sha256.Size]byte
	for _, t := range f.Tokens {
		all = append(all, fingerprint(t.ETK))
	}
	slices.SortFunc(all, func(a, b [sha256.Size]byte) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, one := range all {
		h.Write(one[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// String counts the tokens.
func (f Found) String() string { return "etee.Found(" + strconv.Itoa(len(f.Tokens)) + " tokens)" }

// Format writes String whatever the verb.
func (f Found) Format(s fmt.State, verb rune) { format(s, verb, f.String()) }

// LogValue is String.
func (f Found) LogValue() slog.Value { return slog.StringValue(f.String()) }

func fingerprint(k ETK) [sha256.Size]byte { return sha256.Sum256(k.Encryption().Raw) }

// Get returns the tokens of a holder: those kept, if they are young enough, else those of the depot, else, when it does not
// answer, those kept before. Callers who ask for the same at the same time share one question.
//
// The error is a [*fault.Error]. It wraps a [*DepotError] of Kind NotFound when nobody is registered, and a [*Refusal] of
// Kind Security when the depot has only tokens that must not be used.
func (d *Depot) Get(ctx context.Context, id Identifier) (Found, error) {
	if id.IsZero() {
		return Found{}, &fault.Error{Op: opDepot, Service: ServiceDepot, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(ErrIdentifier)}
	}
	now := wallClock()
	e := d.kept(ctx, id, now)
	var old Found
	if e != nil {
		age := now.Sub(e.fetched)
		if e.missing != nil {
			if age >= 0 && age < d.conf.MissTTL {
				return Found{}, given(opDepot, ServiceDepot, e.missing)
			}
		} else if !e.dropped {
			found, err := d.judge(e, now)
			if err == nil && age >= 0 && age < d.conf.TTL {
				return found, nil
			}
			if err == nil && d.conf.MaxStale > 0 && age < d.conf.TTL+d.conf.MaxStale {
				old, old.Stale = found, true
			}
		}
	}
	if old.Stale && d.paused(now) {
		return old, nil
	}
	fresh, err := d.fetchShared(ctx, id, old.Stale)
	if err == nil {
		return d.judge(fresh, wallClock())
	}
	if old.Stale && outage(err) {
		if ctx.Err() == nil { // it was not merely this caller who had no time
			d.mu.Lock()
			d.pause = wallClock().Add(outagePause)
			d.mu.Unlock()
		}
		return old, nil
	}
	return Found{}, err
}

// Find returns the tokens of the first candidate that has any which are not known to be unusable (see [Depot.Drop]), and
// else those of the first that has any: for a service that changes its identity, such as Recip-e. A candidate that the depot
// cannot be asked about is passed over too, since what is kept about another may do. Without tokens the error is the first
// that may be due to an outage, else the first.
func (d *Depot) Find(ctx context.Context, candidates ...Identifier) (Found, error) {
	var second Found
	var failed error
	for _, id := range candidates {
		found, err := d.Get(ctx, id)
		switch {
		case err == nil && !d.isBad(found):
			return found, nil
		case err == nil && second.Tokens == nil:
			second = found
		case err != nil && (failed == nil || outage(err) && !outage(failed)):
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	switch {
	case second.Tokens != nil:
		return second, nil
	case failed == nil:
		failed = &fault.Error{Op: opDepot, Service: ServiceDepot, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(ErrNoRecipient)}
	}
	return Found{}, failed
}

// Drop forgets tokens with which somebody could not open a message (INC-2026-02-04-ETK): the next question goes to the depot,
// and is not answered with the old tokens even when the depot is down. It reports whether sealing anew, once, is worth
// while: true for the first time in an hour that these tokens are dropped.
func (d *Depot) Drop(ctx context.Context, f Found) bool {
	worth := d.markBad(f, wallClock())
	d.drop(ctx, f.Identifier, func(e *entry) bool { return e.fetched.Equal(f.FetchedAt) })
	return worth
}

// drop makes an entry unusable that fits.
func (d *Depot) drop(ctx context.Context, id Identifier, fits func(*entry) bool) {
	d.mu.Lock()
	e := d.entries[id]
	found := e != nil && e.missing == nil && fits(e)
	if found {
		e.dropped = true
	}
	d.mu.Unlock()
	if found {
		d.write(ctx, id, nil)
	}
}

func (d *Depot) markBad(f Found, now time.Time) (worth bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range f.Tokens {
		fp := fingerprint(t.ETK)
		if until, known := d.bad[fp]; !known || now.After(until) {
			worth = true
		}
		d.bad[fp] = now.Add(badFor)
	}
	if len(d.bad) > maxBad {
		for fp, until := range d.bad {
			if now.After(until) || len(d.bad) > maxBad {
				delete(d.bad, fp)
			}
		}
	}
	return worth
}

func (d *Depot) isBad(f Found) bool {
	now := wallClock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range f.Tokens {
		if until, known := d.bad[fingerprint(t.ETK)]; !known || now.After(until) {
			return false
		}
	}
	return true
}

// renew asks the depot for tokens that may have changed since, and reports whether they did. When it cannot tell, they did
// not.
func (d *Depot) renew(ctx context.Context, f Found) (Found, bool) {
	if wallClock().Sub(f.FetchedAt) < time.Minute {
		return f, false
	}
	e, err := d.fetchShared(ctx, f.Identifier, true)
	if err != nil {
		return f, false
	}
	fresh, err := d.judge(e, wallClock())
	return fresh, err == nil && fresh.Key() != f.Key()
}

// instead returns tokens to use in place of some that may not be the holder's any more: new ones of the same holder, else those
// of another candidate; false when there are none.
func (d *Depot) instead(ctx context.Context, f Found, candidates []Identifier) (Found, bool) {
	if fresh, changed := d.renew(ctx, f); changed {
		return fresh, true
	}
	for _, id := range candidates {
		if id == f.Identifier {
			continue
		}
		if other, err := d.Get(ctx, id); err == nil && other.Key() != f.Key() {
			return other, true
		}
	}
	return f, false
}

// Own returns the token of the holder of an authentication certificate, whose private key must be among keys. It is the
// one to add to the recipients of a message that its sender wants to read again, and the one to have answers sealed for.
// Anything but exactly one such token is an error (dossier 02 A.5).
func (d *Depot) Own(ctx context.Context, authentication *x509.Certificate, keys Keys) (Token, error) {
	local := func(err error) error {
		return &fault.Error{Op: opDepot, Service: ServiceDepot, Kind: fault.Local, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
	}
	if authentication == nil || keys == nil {
		return Token{}, local(errOwnKeys)
	}
	id, err := IdentifierOf(authentication)
	if err != nil {
		return Token{}, local(err)
	}
	found, err := d.Get(ctx, id)
	if err != nil {
		return Token{}, err
	}
	if t, ok := found.openedWith(keys); ok {
		return t, nil
	}
	if fresh, changed := d.renew(ctx, found); changed {
		if t, ok := fresh.openedWith(keys); ok {
			return t, nil
		}
	}
	return Token{}, local(errOwnKeys)
}

// errOwnKeys: after a renewal elsewhere, this computer still has the former key store.
var errOwnKeys = errors.New("etee: the private key of the own ETK is not in the key store, or there are several ETKs")

func (f Found) openedWith(keys Keys) (out Token, ok bool) {
	for _, t := range f.Tokens {
		for _, c := range keys.Encryption() {
			if c.Certificate.Equal(t.ETK.Encryption()) {
				if ok {
					return Token{}, false
				}
				out, ok = t, true
			}
		}
	}
	return out, ok
}

// judge makes all checks of the tokens of an entry: whose they are, and those of [ETK.Check]. What does not pass is left
// out; with nothing left the error is the first finding.
func (d *Depot) judge(e *entry, now time.Time) (Found, error) {
	f := Found{Identifier: e.id, FetchedAt: e.fetched}
	var first error
	for _, h := range e.tokens {
		r, err := d.check(e.id, h, now)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		f.Tokens = append(f.Tokens, Token{h.id, h.etk, r})
	}
	if f.Tokens == nil {
		return Found{}, &fault.Error{
			Op: opDepot, Service: ServiceDepot, Kind: fault.Security, Outcome: fault.NotSent, Notice: noticeKey,
			Err: cmp.Or(first, error(errHolder)),
		}
	}
	return f, nil
}

func (d *Depot) check(id Identifier, h held, now time.Time) (Recipient, error) {
	s, err := h.etk.Holder()
	if err != nil || !id.holds(s) {
		return Recipient{}, errHolder
	}
	return h.etk.Check(d.conf.Trust, d.conf.Policy, now)
}

func (d *Depot) paused(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.pause)
}

// outage reports whether a failure says nothing about the tokens.
func outage(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && (e.Kind.Temporary() || e.Kind == fault.Protocol || e.Kind == fault.Local)
}

// wallClock leaves the monotonic reading out, which stands still while a computer sleeps.
func wallClock() time.Time { return time.Now().Round(0) }

// Instead returns tokens to seal with in place of f, when a service refused what it may not have been able to open: newer ones
// of the same holder, else those of another candidate. ok is false when there are none: then the refusal has another reason.
func (d *Depot) Instead(ctx context.Context, f Found, candidates []Identifier) (other Found, ok bool) {
	return d.instead(ctx, f, candidates)
}

// Recheck makes all checks of tokens that were found before anew, whatever the depot has by now: for a service that goes on
// opening what is sealed with them. The error is that of [Depot.Get] for tokens that must not be used.
func (d *Depot) Recheck(f Found) (Found, error) {
	e := &entry{id: f.Identifier, fetched: f.FetchedAt}
	for _, t := range f.Tokens {
		e.tokens = append(e.tokens, held{t.Identifier, t.ETK})
	}
	return d.judge(e, wallClock())
}
