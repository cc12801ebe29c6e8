package etee

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	opNewKey = "etee.GetNewKey"
	opGetKey = "etee.GetKey"
)

// Defaults of [KGSSConfig].
const (
	DefaultKGSSTimeout = 10 * time.Second
	DefaultMaxKeys     = 512
	DefaultMaxPool     = 256
	DefaultPoolTTL     = 12 * time.Hour // a working day
)

// maxPrepared bounds the keys kept ready for one access list.
const maxPrepared = 16

// KGSSConfig says how a [KGSS] works. Depot, Sealer, Keys and Trust are required.
type KGSSConfig struct {
	// Depot has the key service's own token and the caller's.
	Depot *Depot
	// Sealer signs the requests in the caller's name.
	Sealer *Sealer
	// Keys open answers: those of the same caller.
	Keys Keys
	// Trust is whom the key service's certificate must come from.
	Trust Trust
	// Security secures requests for existing keys with the caller's login token (holder-of-key); nil = only new keys.
	Security exchange.Security
	// Service is who the key service is, candidates in order; nil = [KGSSIdentifier].
	Service []Identifier
	// Timeout bounds one call, MaxKeys the keys remembered, MaxPool and PoolTTL those kept ready: 0 = the defaults above.
	Timeout          time.Duration
	MaxKeys, MaxPool int
	PoolTTL          time.Duration
}

// KGSS is a client of the platform's key service: symmetric keys for messages to recipients who are not known when a
// message is sealed (dossier 02 C). It is safe for concurrent use. Keys are kept in memory only.
//
// A KGSS belongs to one caller: what it remembers was given to that caller's login.
type KGSS struct {
	x        *exchange.Exchanger
	conf     KGSSConfig
	forNew   *Opener
	forKnown *Opener
	reads    flights[string, KEK]
	fills    flights[fill, struct{}]
	ring     *keyring
	replaced replacing
}

type fill struct {
	digest [sha256.Size]byte
	n      int
}

// NewKGSS makes a client that asks through x.
func NewKGSS(x *exchange.Exchanger, conf KGSSConfig) (*KGSS, error) {
	if x == nil || conf.Depot == nil || conf.Sealer == nil || conf.Keys == nil {
		return nil, errors.New("etee: exchanger, depot, sealer and keys are required")
	}
	conf.Timeout = cmp.Or(max(conf.Timeout, 0), DefaultKGSSTimeout)
	conf.MaxKeys = cmp.Or(max(conf.MaxKeys, 0), DefaultMaxKeys)
	conf.MaxPool = cmp.Or(max(conf.MaxPool, 0), DefaultMaxPool)
	conf.PoolTTL = cmp.Or(max(conf.PoolTTL, 0), DefaultPoolTTL)
	conf.Service = slices.Clone(conf.Service)
	if len(conf.Service) == 0 {
		conf.Service = []Identifier{KGSSIdentifier}
	}
	k := &KGSS{x: x, conf: conf, ring: newKeyring(conf.MaxKeys, conf.MaxPool, conf.PoolTTL)}
	var err error
	// Nothing in an answer with a new key names our question, so it must at least be a fresh one. An answer with a known key is
	// sealed with a key that is used for this one question.
	if k.forNew, err = NewOpener(conf.Keys, conf.Trust, Policy{Refuse: []Code{SigningTimeExpired}}); err != nil {
		return nil, err
	}
	k.forKnown, err = NewOpener(nil, conf.Trust, Policy{})
	return k, err
}

// NewKey returns a key that nobody used before and that only readers on the list can get: one made ready by [KGSS.Prepare],
// else one of the service. Its ID goes with the message. The error is a [*fault.Error] and wraps [ErrACL] or a [*KGSSError].
func (k *KGSS) NewKey(ctx context.Context, acl ACL) (KEK, error) {
	digest, err := k.usable(acl)
	if err != nil {
		return KEK{}, err
	}
	if key, ok := k.ring.take(digest, wallClock()); ok {
		return key, nil
	}
	return k.fetchNew(ctx, acl)
}

// Prepare sees to it that n keys for the list are ready, so that NewKey needs no service then: to be called when a patient's
// file is opened. At most 16 are kept for one list. The error is that of NewKey; keys fetched before it stay ready.
func (k *KGSS) Prepare(ctx context.Context, acl ACL, n int) error {
	digest, err := k.usable(acl)
	if err != nil {
		return err
	}
	n = min(n, maxPrepared, k.conf.MaxPool)
	acl = acl.clone() // the call may go on after this caller left
	_, err = k.fills.do(ctx, fill{digest, n}, func(ctx context.Context) (struct{}, error) {
		for range n {
			if k.ring.ready(digest, wallClock()) >= n {
				break
			}
			key, err := k.fetchNew(ctx, acl)
			if err != nil {
				return struct{}{}, err
			}
			k.ring.put(digest, key, wallClock())
		}
		return struct{}{}, nil
	})
	return given(opNewKey, ServiceKGSS, err)
}

func (a ACL) clone() ACL {
	list := func(in []Reader) (out []Reader) {
		for _, r := range in {
			out = append(out, Reader{r.Namespace, r.Name, slices.Clone(r.Values)})
		}
		return out
	}
	return ACL{list(a.Allowed), list(a.Excluded)}
}

// Key returns the key of that identifier: the one remembered, else the service's, which gives it only to readers on its
// list. Callers who ask for the same at the same time share one question. The error is a [*fault.Error]: of Kind Denied
// for who is not on the list.
func (k *KGSS) Key(ctx context.Context, id []byte) (KEK, error) {
	if len(id) == 0 || len(id) > maxKeyID {
		return KEK{}, k.local(opGetKey, fault.Invalid, fmt.Errorf("%w: identifier", ErrKEK))
	}
	if k.conf.Security == nil {
		return KEK{}, k.local(opGetKey, fault.Local, errNoLogin)
	}
	if key, ok := k.ring.recall(id); ok {
		return key, nil
	}
	id = bytes.Clone(id)
	key, err := k.reads.do(ctx, string(id), func(ctx context.Context) (KEK, error) {
		key, err := k.fetchKnown(ctx, id)
		if err == nil {
			k.ring.remember(key)
		}
		return key, err
	})
	return key, given(opGetKey, ServiceKGSS, err)
}

// Forget drops all keys, those made ready included: to be called when another person works with the program.
func (k *KGSS) Forget() { k.ring.forget() }

var errSender = fault.AsSafe(errors.New("etee: answer is not sealed by the key service"))

var errNoLogin = errors.New("etee: this client has no login for existing keys")

func (k *KGSS) usable(acl ACL) ([sha256.Size]byte, error) {
	err := acl.validate()
	var digest [sha256.Size]byte
	if err == nil {
		digest, err = acl.digest()
	}
	if err != nil {
		return digest, k.local(opNewKey, fault.Invalid, err)
	}
	return digest, nil
}

// local is the error of a request that was not sent.
func (k *KGSS) local(op string, kind fault.Kind, err error) error {
	return &fault.Error{Op: op, Service: ServiceKGSS, Kind: kind, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
}

func (k *KGSS) fetchNew(ctx context.Context, acl ACL) (KEK, error) {
	own, err := k.conf.Depot.Own(ctx, k.conf.Sealer.outer.Certificate, k.conf.Keys)
	if err != nil {
		return KEK{}, k.because(opNewKey, err)
	}
	content, err := acl.encode(own.ETK.Bytes())
	if err != nil {
		return KEK{}, k.local(opNewKey, fault.Invalid, err)
	}
	return k.call(ctx, &kgssCall{
		op: opNewKey, request: "GetNewKeyRequest", requestPart: "SealedNewKeyRequest",
		response: "GetNewKeyResponse", responsePart: "SealedNewKeyResponse",
		// Made twice, a key is there that nobody uses.
		class: resilience.IdempotentWrite, security: plain{}, content: content,
		open: func(sealed []byte) (*Message, error) { return k.forNew.OpenInPlace(sealed) },
		read: func(plain []byte) (KEK, error) {
			id, key, err := decodeInner(plain, "GetNewKeyResponseContent", "NewKeyIdentifier", "NewKey")
			if err != nil {
				return KEK{}, err
			}
			return NewKEK(id, key)
		},
		accept: k.ring.firstSeen,
	})
}

func (k *KGSS) fetchKnown(ctx context.Context, id []byte) (KEK, error) {
	secret := make([]byte, 2*kekSize)
	_, _ = rand.Read(secret) // never fails
	once, err := NewKEK(secret[kekSize:], secret[:kekSize])
	if err != nil {
		return KEK{}, k.local(opGetKey, fault.Local, err)
	}
	content, err := encodeGetKey(id, once)
	if err != nil {
		return KEK{}, k.local(opGetKey, fault.Invalid, err)
	}
	answer, err := NewKEK(nil, once.key()) // the identifier in the answer says nothing (dossier 02 C.3)
	if err != nil {
		return KEK{}, k.local(opGetKey, fault.Local, err)
	}
	return k.call(ctx, &kgssCall{
		op: opGetKey, request: "GetKeyRequest", requestPart: "SealedKeyRequest",
		response: "GetKeyResponse", responsePart: "SealedKeyResponse",
		class: resilience.Read, security: &reader{k.conf.Security, time.Now(), &k.replaced}, content: content,
		open: func(sealed []byte) (*Message, error) { return k.forKnown.OpenInPlace(sealed, WithKEK(answer)) },
		read: func(plain []byte) (KEK, error) {
			_, key, err := decodeInner(plain, "GetKeyResponseContent", "", "Key")
			if err != nil {
				return KEK{}, err
			}
			return NewKEK(id, key)
		},
	})
}

// kgssCall is one call of the key service.
type kgssCall struct {
	op, request, requestPart, response, responsePart string

	class    resilience.Class
	security exchange.Security
	content  []byte // of the request, before sealing
	open     func(sealed []byte) (*Message, error)
	read     func(plain []byte) (KEK, error)
	accept   func(KEK) error // may be nil
}

// call seals the request for the service and sends it. When the service refuses it, it may not have been able to open it: then
// once more if its token has changed since ours was fetched, or if there is one of another candidate (INC-2026-02-04-ETK).
func (k *KGSS) call(ctx context.Context, c *kgssCall) (KEK, error) {
	to, err := k.conf.Depot.Find(ctx, k.conf.Service...)
	if err != nil {
		return KEK{}, k.because(c.op, err)
	}
	key, err := k.send(ctx, c, to)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Outcome == fault.Rejected && e.Kind == fault.Invalid {
		if fresh, changed := k.conf.Depot.instead(ctx, to, k.conf.Service); changed {
			return k.send(ctx, c, fresh)
		}
	}
	return key, err
}

func (k *KGSS) send(ctx context.Context, c *kgssCall, to Found) (KEK, error) {
	sealed, err := k.conf.Sealer.Seal(c.content, to.Recipients()...)
	if err != nil {
		return KEK{}, k.local(c.op, fault.Local, err)
	}
	body, err := encodeOuter(c.request, c.requestPart, sealed)
	if err != nil {
		return KEK{}, k.local(c.op, fault.Local, err)
	}
	var opened sync.Map // by payload: attempts may run side by side
	ans, err := k.x.Do(ctx, &exchange.Call{
		Op: c.op, Service: ServiceKGSS, Class: c.class, Body: body, Security: c.security, Timeout: k.conf.Timeout,
		Correlate: func(n *xmltree.Node) error {
			key, err := c.answer(n, to.Identifier)
			if err != nil && !refusedOrDamaged(err) {
				return err
			}
			opened.Store(n, result{key, err})
			return nil
		},
	})
	if err != nil {
		return KEK{}, err
	}
	v, _ := opened.Load(ans.Payload)
	r, _ := v.(result)
	switch e, refused := errors.AsType[*KGSSError](r.err); {
	case refused:
		return KEK{}, &fault.Error{
			Op: c.op, Service: ServiceKGSS, Endpoint: ans.Endpoint.URL, Kind: e.kind(), Code: plainCode(cmp.Or(e.Code, "STATUS/"+e.Status)),
			Attempts: ans.Attempts, Outcome: fault.Rejected, Err: e,
		}
	case r.err != nil || r.key.kek == nil:
		return KEK{}, &fault.Error{
			Op: c.op, Service: ServiceKGSS, Endpoint: ans.Endpoint.URL, Kind: fault.Protocol, Attempts: ans.Attempts,
			Outcome: fault.Unknown, Err: cmp.Or(r.err, errAnswer),
		}
	}
	return r.key, nil
}

type result struct {
	key KEK
	err error
}

// refusedOrDamaged tells what the service answered to us from what it did not answer to us.
func refusedOrDamaged(err error) bool {
	return errors.As(err, new(*KGSSError)) || errors.Is(err, errAnswer)
}

// answer opens an answer. Any error but a *KGSSError or errAnswer says that it is not to this question, or not from the service.
func (c *kgssCall) answer(n *xmltree.Node, service Identifier) (KEK, error) {
	sealed, err := decodeOuter(n, c.response, c.responsePart)
	if err != nil {
		return KEK{}, err
	}
	m, err := c.open(sealed)
	if err != nil {
		return KEK{}, err
	}
	if sender, err := m.Report.Sender(); err != nil || !service.holds(sender) {
		return KEK{}, errSender
	}
	key, err := c.read(m.Content)
	clear(m.Content)
	if err != nil {
		return KEK{}, err
	}
	if c.accept != nil {
		err = c.accept(key)
	}
	return key, err
}

// because is the error of a call that failed for want of a token: its kind and outcome are what the caller must see, and nothing was
// asked of the key service.
func (k *KGSS) because(op string, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return k.local(op, fault.Local, err)
	}
	return &fault.Error{
		Op: op, Service: ServiceKGSS, Kind: e.Kind, Code: e.Code, Ticket: e.Ticket, Notice: e.Notice, RetryAfter: e.RetryAfter,
		Outcome: fault.NotSent, Err: err,
	}
}
