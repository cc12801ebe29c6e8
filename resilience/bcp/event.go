package bcp

import (
	"errors"
	"time"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of event.
const (
	// Loaded: a stored list is in force since New.
	Loaded EventKind = iota + 1
	// Installed: a list from the network is in force, or one that came by Offer.
	Installed
	// Refused: a list did not verify; nothing changed. Err is the reason. One event for as long as the same list is
	// refused for the same reason.
	Refused
	// Unreachable: no list could be fetched; Err holds the cause. One event until one is fetched again.
	Unreachable
	// Reachable: the list could be fetched again.
	Reachable
	// NotStored: the list in force could not be written to disk. One event until one is written.
	NotStored
	// Ignored: the list in force says something about a service that is not used: an address of another owner's
	// service, or a cache rule for which there is no built-in extractor. Service names it.
	Ignored
)

var eventNames = [...]string{"?", "loaded", "installed", "refused", "unreachable", "reachable", "not stored", "ignored"}

// String returns a lower-case English word.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return eventNames[0]
}

// Source says where a list came from.
type Source uint8

// The sources.
const (
	FromNowhere  Source = iota // no list is in force: static addresses
	FromNetwork                // fetched, or offered
	FromDisk                   // the last good copy
	FromEmbedded               // shipped with the application
)

// String returns a lower-case English word.
func (s Source) String() string {
	return [...]string{"nowhere", "network", "disk", "embedded"}[s&3]
}

// Event tells what happened to the service list. It holds no personal data.
type Event struct {
	Kind         EventKind
	At           time.Time
	Source       Source
	Err          error     // one of the sentinels Err… under errors.Is; nil when nothing failed
	IssueInstant time.Time // Loaded and Installed: of the list
	Changes      []Change  // Installed: services whose commanded address is another one now
	Service      string    // Ignored: UDDI id
}

// Change is a new order of the platform: calls to Service go to To, and went to From. Either is "" when the service was
// not known before, or is not any more.
type Change struct{ Service, From, To string }

// quiet tells whether err is the failure that was told last. Digest and token tell two lists apart that fail alike.
type failure struct {
	reason error
	about  string
}

func failureOf(err error, about string) failure {
	if r := reason(err); r != nil {
		return failure{r, about}
	}
	return failure{errors.New("other"), about}
}
