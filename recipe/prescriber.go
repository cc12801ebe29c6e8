package recipe

import (
	"sync/atomic"

	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Prescriber speaks with Recip-e for one prescriber. It is safe for concurrent use.
type Prescriber struct {
	*client
	box    atomic.Pointer[outbox.Box]
	book   ruleBook
	others others
	meant  meant
	// shaken: the last create ended without an answer, so that a read goes before the next one. Only one patient waits.
	shaken atomic.Bool
}

// NewPrescriber makes a client for who. Nothing is asked. Creating and what is queued need an outbox, see
// [Prescriber.Use].
func NewPrescriber(p Platform, who Caller, opts ...Option) (*Prescriber, error) {
	c, err := newClient(protocol.Prescriber, ServicePrescriber, p, who, opts)
	if err != nil {
		return nil, err
	}
	if who.NIHII.IsZero() {
		return nil, reason("recipe: a prescriber has a NIHII number")
	}
	return &Prescriber{client: c}, nil
}

// Config returns the resolved configuration.
func (p *Prescriber) Config() Config { return p.conf }

// Use says which outbox writes go through. It must handle [Prescriber.Handlers].
func (p *Prescriber) Use(b *outbox.Box) { p.box.Store(b) }
