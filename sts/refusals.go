package sts

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// The rule that tells an outage from a lost right (dossier 06, INC-2020-01-27-ACCESS and BCP-12).
// Only refusals of callers that the service had served before count: somebody who never had a
// right does not make an outage.
const (
	// ServedWithin is how long before the first refusal the caller must have been served. Rights
	// do not end several times an hour; a longer time would count callers whose rights were
	// really changed during the day.
	ServedWithin = time.Hour
	// GroupWindow, GroupCount and GroupSpread: that many refusals within that time, over that
	// many callers or services. Rights are lost by one person at one service at a time; that two
	// are hit within a minute by chance is less likely than the fault. The third refusal
	// keeps a pair of unlucky ones from being called an outage.
	GroupWindow = time.Minute
	GroupCount  = 3
	GroupSpread = 2
	// GroupRepeats is how many refusals in a row one caller gets from one service before they count by
	// themselves: a single practice has neither second callers nor many services.
	GroupRepeats = 5

	// maxPairs bounds what is remembered, for a hospital of 1 000 callers and 16 services.
	maxPairs = 16_384
	// maxRecent bounds the refusals of one window; what matters is that there are GroupCount.
	maxRecent = 64
)

// ErrGroup is in the chain of causes of a refusal that was taken for an outage.
var ErrGroup error = reason("sts: many calls are refused at once: an outage, not a lost right")

// Refusals tells a fault of the platform that hits many callers from a right that one of them
// lost. One value is shared by all securities of a process ([WithRefusals]), since the more
// callers it sees the sooner it knows.
//
// While a group refusal lasts, refusals have Kind Unavailable and notice D-AUTH-GROUP, tokens are
// kept and nobody logs in anew. It ends with the first call that is served, or when nothing was
// refused for an hour. The zero value is ready for use; it is safe for concurrent use.
type Refusals struct {
	events emitter

	mu     sync.Mutex
	pairs  map[pairing]*pair
	swept  time.Time // when those that no longer matter were last removed
	recent []refusedCall
	since  time.Time // of the group refusal; zero = there is none
	last   time.Time // the last refusal that belonged to one
	begun  time.Time // its beginning, kept over short interruptions
}

// NewRefusals returns a Refusals that announces the beginning of a group refusal, with an event of
// Kind [GroupRefusal]; nil = no announcement. onEvent must return soon.
func NewRefusals(onEvent func(Event)) *Refusals {
	r := &Refusals{}
	r.events.to = onEvent
	return r
}

// caller stands for whose token it is, and tokenID for the token itself: digests that mean nothing
// outside this process.
type (
	caller  uint64
	tokenID uint64
)

type pairing struct {
	who     caller
	service string
}

// pair is what one service did for one caller.
type pair struct {
	served   time.Time // last time
	token    tokenID   // with which token
	refused  time.Time // last refusal since
	count    int       // refusals since, in a row
	evidence bool      // the first of them came soon after it was served
}

type refusedCall struct {
	pairing
	at time.Time
}

// Group returns since when a group refusal lasts, and whether one does.
func (r *Refusals) Group() (since time.Time, on bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on(now) {
		return time.Time{}, false
	}
	return r.since, true
}

func (r *Refusals) on(now time.Time) bool {
	return !r.since.IsZero() && now.Sub(r.last) < ServedWithin
}

// served is told that service answered this caller.
func (r *Refusals) served(who caller, tok tokenID, service string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = time.Time{}
	*r.pair(pairing{who, service}, now) = pair{served: now, token: tok}
}

// denied is told of a refusal and says whether it belongs to a group.
func (r *Refusals) denied(who caller, tok tokenID, service, code string, now time.Time) bool {
	r.mu.Lock()
	p := r.pair(pairing{who, service}, now)
	if p.count == 0 || now.Sub(p.refused) >= ServedWithin {
		// A right may end with a token, so only the same token tells of a change at the platform.
		// That an identity is not authenticated has nothing to do with rights.
		same := p.token == tok || code == codeUnauthenticated
		*p = pair{served: p.served, token: p.token, evidence: same && !p.served.IsZero() && now.Sub(p.served) < ServedWithin}
	}
	p.count++
	p.refused = now
	r.forget(now)
	if p.evidence {
		if len(r.recent) == maxRecent {
			r.recent = append(r.recent[:0], r.recent[1:]...)
		}
		r.recent = append(r.recent, refusedCall{pairing{who, service}, now})
	}
	group := r.on(now) || r.spread() || p.evidence && p.count >= GroupRepeats
	announce := false
	if group {
		announce = r.enter(now)
	}
	since := r.since
	r.mu.Unlock()
	if announce {
		r.events.emit(Event{Kind: GroupRefusal, At: since, Notice: noticeGroup, Cause: fault.Unavailable})
	}
	return group
}

// enter begins or continues a group refusal, and tells whether it is news. When only some calls
// are refused, those that are served end it again and again: that is one, not many.
func (r *Refusals) enter(now time.Time) (news bool) {
	if !r.on(now) {
		if news = r.last.IsZero() || now.Sub(r.last) >= GroupWindow; news {
			r.begun = now
		}
		r.since = r.begun
	}
	r.last = now
	return news
}

// forget drops the refusals that are older than the window.
func (r *Refusals) forget(now time.Time) {
	n := 0
	for n < len(r.recent) && now.Sub(r.recent[n].at) >= GroupWindow {
		n++
	}
	r.recent = append(r.recent[:0], r.recent[n:]...)
}

// spread tells whether the refusals of the window are enough and hit several.
func (r *Refusals) spread() bool {
	if len(r.recent) < GroupCount {
		return false
	}
	callers, services := map[caller]bool{}, map[string]bool{}
	for _, x := range r.recent {
		callers[x.who], services[x.service] = true, true
	}
	return len(callers) >= GroupSpread || len(services) >= GroupSpread
}

// pair finds or makes the pair. When there are too many, those that no longer matter go, and if
// that is not enough, any.
func (r *Refusals) pair(id pairing, now time.Time) *pair {
	if p := r.pairs[id]; p != nil {
		return p
	}
	if r.pairs == nil {
		r.pairs = map[pairing]*pair{}
	}
	if len(r.pairs) >= maxPairs {
		r.makeRoom(now)
	}
	p := &pair{}
	r.pairs[id] = p
	return p
}

func (r *Refusals) makeRoom(now time.Time) {
	if now.Sub(r.swept) >= GroupWindow { // not for each new pair: it looks at all of them
		r.swept = now
		for k, p := range r.pairs {
			if now.Sub(p.served) >= ServedWithin && now.Sub(p.refused) >= ServedWithin {
				delete(r.pairs, k)
			}
		}
	}
	for k := range r.pairs {
		if len(r.pairs) < maxPairs {
			return
		}
		delete(r.pairs, k)
	}
}

// judge changes a refusal that belongs to a group into what it is.
func (r *Refusals) judge(tok *Token, e *fault.Error) {
	if e == nil || e.Kind != fault.Denied || e.Notice == noticeClock || e.Notice == noticeKey {
		return // what is wrong is on this computer
	}
	who, id := identify(tok)
	if !r.denied(who, id, e.Service, e.Code, time.Now()) {
		return
	}
	e.Kind, e.Notice, e.Err = fault.Unavailable, noticeGroup, errors.Join(ErrGroup, e.Err)
}

var digestSeed = maphash.MakeSeed()

// identify digests whose token it is, and the token.
func identify(tok *Token) (caller, tokenID) {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	if tok.Credential.Certificate != nil {
		_, _ = h.Write(tok.Credential.Certificate.Raw)
	}
	for _, c := range tok.asserted {
		_, _ = h.WriteString(c.Name)
		for _, v := range c.Values {
			_ = h.WriteByte(0)
			_, _ = h.WriteString(v)
		}
		_ = h.WriteByte(1)
	}
	return caller(h.Sum64()), tokenID(maphash.String(digestSeed, tok.ID))
}
