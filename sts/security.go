package sts

import (
	"context"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// HolderOfKey secures messages with the token of ts (SAML holder-of-key profile, dossier 01
// C.2): each attempt asks ts for the token and gets a fresh timestamp and signature.
//
// When a service says that the caller is not authenticated (SOA-01001, or a fault code of
// WS-Security that says so), the token is dropped, if ts is a [Dropper] such as [Cache], and
// one more attempt is made with its successor. "Not authorised" (SOA-01002) drops nothing.
//
// The value may be shared by calls and is safe for concurrent use. With [WithRefusals] it tells
// a lost right from an outage that looks like one.
func HolderOfKey(ts TokenSource, opts ...SecurityOption) exchange.Security {
	h := &holderOfKey{ts: ts}
	for _, o := range opts {
		o(h)
	}
	return h
}

// SecurityOption changes what [HolderOfKey] returns.
type SecurityOption func(*holderOfKey)

// WithRefusals lets r judge the refusals of the messages so secured; nil = none does. Give the same
// r to every HolderOfKey of the process.
func WithRefusals(r *Refusals) SecurityOption { return func(h *holderOfKey) { h.refusals = r } }

// overlap is how long after the change of a token refusals of the earlier one may still
// come in: as long as a call may last.
const overlap = exchange.DefaultTimeout

type holderOfKey struct {
	ts       TokenSource
	refusals *Refusals // nil = nobody judges

	mu      sync.Mutex
	last    *Token
	changed time.Time       // when last took the place of another token; zero = it never did
	read    *wsse.Assertion // of the latest message; nil = none was made
}

// Secure implements exchange.Security.
func (h *holderOfKey) Secure(ctx context.Context, body []byte) ([]byte, error) {
	tok, err := h.ts.Token(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	// The official connector sends expired tokens and the refusals move it to another address
	// (dossier 12, scenario 8). An expired token never leaves this computer.
	if !tok.Valid(now, 0) {
		return nil, &fault.Error{Op: "sts.Token", Service: ServiceID, Kind: fault.Denied, Outcome: fault.NotSent, Notice: noticeNoLogin, Err: ErrExpired}
	}
	h.use(tok, now)
	cred := wsse.Credential{Certificate: tok.Credential.Certificate, Signer: tok.Credential.Signer}
	stamp, err := exchange.Stamp(ctx)
	if err != nil {
		return nil, err
	}
	a, err := h.assertion(tok)
	if err != nil {
		return nil, localError(err)
	}
	msg, err := a.HolderOfKey(body, cred, stamp)
	if err != nil {
		return nil, localError(err)
	}
	return msg, nil
}

// assertion returns the token as messages carry it, which is read when it is another one than in the message before.
func (h *holderOfKey) assertion(tok *Token) (*wsse.Assertion, error) {
	h.mu.Lock()
	a := h.read
	h.mu.Unlock()
	if a.Is(tok.Raw, tok.ID) {
		return a, nil
	}
	a, err := wsse.NewAssertion(tok.Raw, tok.ID)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.read = a
	h.mu.Unlock()
	return a, nil
}

func (h *holderOfKey) use(tok *Token, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != tok {
		if h.last != nil {
			h.changed = now
		}
		h.last = tok
	}
}

// Refused implements exchange.Security.
func (h *holderOfKey) Refused(ctx context.Context, e *fault.Error) bool {
	h.mu.Lock()
	tok, changed := h.last, h.changed
	h.mu.Unlock()
	d, ok := h.ts.(Dropper)
	switch {
	case !ok, tok == nil, e == nil, e.Kind != fault.Denied:
		return false
	case e.Code == codeUnauthorised, e.Notice == noticeClock:
		// A right that is missing, and a clock that is wrong, stay so with another token.
		return false
	case overdue(ctx):
		// The message came after its Expires, because its worker was paused: that says nothing
		// about the token, and no other attempt may be made.
		return false
	case !changed.IsZero() && time.Since(changed) < overlap:
		// Nothing says which of two tokens the refused message carried. The newer one is kept
		// and tried: a call is given only one more attempt in any case.
		return true
	}
	return d.Drop(tok)
}

// overdue tells whether the time of the messages of this call is over.
func overdue(ctx context.Context) bool {
	_, err := exchange.Stamp(ctx)
	return err != nil
}

// Served implements exchange.Judge.
func (h *holderOfKey) Served(service string) {
	if tok := h.token(); tok != nil && h.refusals != nil {
		who, id := identify(tok)
		h.refusals.served(who, id, service, time.Now())
	}
}

// Denied implements exchange.Judge.
func (h *holderOfKey) Denied(e *fault.Error) {
	if tok := h.token(); tok != nil && h.refusals != nil {
		h.refusals.judge(tok, e)
	}
}

// token is the one in use.
func (h *holderOfKey) token() *Token {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

var (
	_ exchange.Security = (*holderOfKey)(nil)
	_ exchange.Judge    = (*holderOfKey)(nil)
)
