package sts

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// Store keeps tokens beyond the life of a process. What it is given must be kept secret: with
// the holder's key, a token is a session. Keys are digests and name nobody.
//
// Implementations are safe for concurrent use, and may be shared by processes.
type Store interface {
	// Load returns the record of this key; nil and no error when there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save keeps a record in place of an earlier one, whole or not at all.
	Save(ctx context.Context, key string, record []byte) error
	// Delete forgets the record of this key, if any.
	Delete(ctx context.Context, key string) error
	// Lock excludes every other holder of the lock of this key, in all processes that share the
	// store, and waits for it until ctx ends. The lock of a process that died is free.
	Lock(ctx context.Context, key string) (unlock func(), err error)
}

const bucketTokens = "sts token"

// FileStore keeps tokens in a vault: encrypted, on this computer's disk.
func FileStore(v *cache.Vault) Store { return fileStore{v} }

type fileStore struct{ v *cache.Vault }

func (s fileStore) Load(ctx context.Context, key string) ([]byte, error) {
	b, err := s.v.Get(ctx, bucketTokens, key)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func (s fileStore) Save(ctx context.Context, key string, record []byte) error {
	return s.v.Put(ctx, bucketTokens, key, record)
}

func (s fileStore) Delete(ctx context.Context, key string) error {
	return s.v.Delete(ctx, bucketTokens, key)
}

func (s fileStore) Lock(ctx context.Context, key string) (func(), error) {
	return s.v.Lock(ctx, bucketTokens+" "+key)
}

// Binding says whose token is kept, and what is demanded of one that comes back from a [Store]:
// everything that was demanded when it was issued. A store is never trusted alone.
type Binding struct {
	// HolderOfKey is the credential that the token is bound to. Its key is never stored. Required.
	HolderOfKey keystore.Credential
	// Trust says whose assertions are accepted. Required.
	Trust Trust
	// Request is what was asked for: a token about another person is refused, and one that was
	// asked for with other claims is not looked for.
	Request Request
	// Skew is as in [Config].
	Skew time.Duration
}

// Binding is the Binding of the tokens that this client issues for req.
func (c *Client) Binding(req Request) Binding {
	return Binding{HolderOfKey: c.cfg.HolderOfKey, Trust: c.cfg.Trust, Request: req, Skew: c.cfg.Skew}
}

// keeper reads and writes the tokens of one Binding.
type keeper struct {
	store Store
	key   string
	want  wanted
}

func newKeeper(s Store, b Binding) (*keeper, error) {
	if s == nil {
		return nil, errors.New("sts: a store is required")
	}
	if err := usable(b.HolderOfKey); err != nil {
		return nil, fmt.Errorf("sts: holder of key: %w", err)
	}
	if b.Trust.Roots == nil {
		return nil, errors.New("sts: Trust.Roots is required")
	}
	asserted, requested, err := ClaimsFor(b.Request.Identity)
	if err == nil {
		asserted, requested, err = merge(asserted, requested, b.Request.Extra)
	}
	if err != nil {
		return nil, err
	}
	k := &keeper{store: s, want: wanted{
		asserted: asserted, requested: requested, hok: b.HolderOfKey,
		trust: b.Trust, skew: orDefault(b.Skew, DefaultSkew),
	}}
	k.key = k.name()
	return k, nil
}

// name is a digest of the certificate and of all that is asked for with it.
func (k *keeper) name() string {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
			_, _ = h.Write([]byte(p))
		}
	}
	add("ehealth sts token v1", string(k.want.hok.Certificate.Raw))
	for _, c := range slices.Concat(k.want.asserted, k.want.requested) {
		add(c.Namespace, c.Name, fmt.Sprint(len(c.Values)))
		add(c.Values...)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// record is what is stored. The credential is not: its key stays where it is.
type record struct {
	Version   int    `json:"version"`
	Assertion []byte `json:"assertion"`
	Via       Via    `json:"via"`
}

const recordVersion = 1

// Why a stored record gave no token.
var (
	errRecord = reason("sts: the stored record cannot be read")
	errOld    = reason("sts: the stored record has another version")
)

// load returns the stored token if it stands every check at now. No token and no error: there
// is none, or its time is over.
func (k *keeper) load(ctx context.Context, now time.Time) (*Token, error) {
	b, err := k.store.Load(ctx, k.key)
	if err != nil || b == nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, errRecord
	}
	if r.Version != recordVersion {
		return nil, errOld
	}
	root, err := xmltree.Parse(r.Assertion, xmltree.Limits{})
	if err != nil {
		return nil, errRecord
	}
	tok, err := k.want.token(root, now)
	if errors.Is(err, ErrExpired) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tok.Via = r.Via
	return tok, nil
}

// save keeps tok. A token of another certificate is none of this Binding, and is not kept.
func (k *keeper) save(ctx context.Context, tok *Token) error {
	if c := tok.Credential.Certificate; c == nil || !c.Equal(k.want.hok.Certificate) {
		return nil
	}
	b, err := json.Marshal(record{Version: recordVersion, Assertion: tok.Raw, Via: tok.Via})
	if err != nil {
		return err
	}
	return k.store.Save(ctx, k.key, b)
}

// storeKind is the kind of failure that a store's error stands for.
func storeKind(err error) fault.Kind {
	for _, e := range []error{ErrUntrusted, ErrIssuer, ErrHolder, ErrPerson, ErrNotYetValid, ErrNoToken, cache.ErrCorrupt, cache.ErrKey} {
		if errors.Is(err, e) {
			return fault.Security
		}
	}
	return fault.Local
}
