package sts

import (
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Ids of what to tell the person about a session (dossier 06, part D).
const (
	noticeFallback = "D-AUTH-FALLBACK" // another login is there and waits for the person
	noticeUsed     = "D-AUTH-USED"     // another login was used
	noticeKept     = "D-AUTH-KEPT"     // the login service is down, the session is good
	noticeUntil    = "D-AUTH-UNTIL"    // and ends soon
	noticeGroup    = "D-AUTH-GROUP"    // many are refused: a fault of the platform
)

// EventKind says what happened to a session.
type EventKind uint8

// The kinds, with the notice that goes with each.
const (
	// Renewed: there is a new token, of a login or of a renewal. No notice.
	Renewed EventKind = iota + 1
	// Adopted: a token was taken from the store, where an earlier run or another process had put it.
	// No notice.
	Adopted
	// RenewalFailed: a login or renewal failed. No notice: what follows from it has one.
	RenewalFailed
	// KeptUntil: renewal fails, for the first time of a series, and the token at hand is used on. Notice
	// D-AUTH-KEPT, or D-CLOCK or D-KEY when that is what must be mended.
	KeptUntil
	// EndsSoon: half an hour is left and renewal fails. Notice D-AUTH-UNTIL.
	EndsSoon
	// FallbackUsed: another login than the first of a [Chain] gave the token. Notice D-AUTH-USED.
	FallbackUsed
	// Lost: there is no token and login fails. Notice D-AUTH-NONE, D-AUTH-FALLBACK when
	// another login waits for the person, or D-CLOCK or D-KEY.
	Lost
	// GroupRefusal: refusals of many calls at once, taken for an outage ([Refusals]). Notice D-AUTH-GROUP.
	GroupRefusal
	// StoreFailed: the token could not be read from the store, or not be kept there. It works
	// without; the next restart will need the STS. No notice.
	StoreFailed
)

var eventNames = [...]string{"none", "renewed", "adopted", "renewal failed", "kept", "ends soon", "fallback used", "lost", "group refusal", "store failed"}

// String returns the kind in English.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is something that happened to a session. It holds nothing about a person.
type Event struct {
	Kind   EventKind
	At     time.Time
	Notice string     // id of the text to show (dossier 06 part D); "" = nothing to show
	Until  time.Time  // end of the token that Kind is about: {t} of the notices; zero = there is none
	Login  string     // name of the login that gave the token, when there are several
	Cause  fault.Kind // of the failure behind it; 0 = none
}

// emitter hands events to a function, one at a time and in their order, whoever causes them.
// The function may call back into what caused the event.
type emitter struct {
	to func(Event)

	mu    sync.Mutex
	queue []Event
	busy  bool
}

func (e *emitter) emit(events ...Event) {
	if e.to == nil || len(events) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, events...)
	if e.busy {
		return // the one who is at it hands them over
	}
	e.busy = true
	defer func() { e.busy = false }()
	for len(e.queue) > 0 {
		next := e.queue[0]
		e.queue = e.queue[1:]
		e.handOver(next)
	}
}

// handOver calls the function without the lock, and takes it again even when it panics.
func (e *emitter) handOver(ev Event) {
	e.mu.Unlock()
	defer e.mu.Lock()
	e.to(ev)
}
