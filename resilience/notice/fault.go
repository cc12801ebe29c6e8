package notice

import (
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Skewed is implemented by errors that know by how many minutes this computer's clock is wrong;
// the sign does not matter. FromError looks for one below a D-CLOCK.
type Skewed interface {
	error
	Minutes() int
}

// Silent is implemented by errors that know since when a service has not answered. FromError looks for one below a D-DOWN.
type Silent interface {
	error
	SilentSince() time.Time
}

// Detailed is implemented by errors that know the parameters of their notice: the end of a
// session, how many items wait. FromError looks for one in the tree of the error.
type Detailed interface {
	error
	NoticeParams() Params
}

// FromError returns the message that the first fault.Error in err's tree names in its Notice
// field. svc is the service to name; when it is Platform, the Service field of the error decides.
//
// Parameters come from a [Detailed] in the tree, the ticket of the error, for D-CLOCK from a
// [Skewed] and for D-DOWN from a [Silent]. ok is false when err names no message, an unknown one, or one with a parameter that
// nobody gave. D-KEY says "nothing was sent" only when the error says so.
//
// The error does not tell what the operation was: after a call that sends something, use
// FromError(...) and then [Notice.For].
func FromError(err error, svc Service) (n Notice, ok bool) {
	e, found := errors.AsType[*fault.Error](err)
	if !found || e == nil || e.Notice == "" {
		return Notice{}, false
	}
	var p Params
	if d, ok := errors.AsType[Detailed](err); ok {
		p = d.NoticeParams()
	}
	if svc != Platform {
		p.Service = svc
	} else if p.Service == Platform {
		p.Service = ServiceOf(e.Service)
	}
	if e.Ticket != "" {
		p.Ticket = e.Ticket
	}
	if e.Outcome != fault.NotSent {
		p.MaybeSent = true
	}
	if s, ok := errors.AsType[Skewed](err); ok && ID(e.Notice) == IDClock {
		p.N = s.Minutes()
		if p.N < 0 {
			p.N = -max(p.N, -maxMinutes)
		}
	}
	if s, ok := errors.AsType[Silent](err); ok && ID(e.Notice) == IDDown && p.Time.IsZero() {
		p.Time = s.SilentSince()
	}
	n, newErr := New(ID(e.Notice), p)
	return n, newErr == nil
}

// maxMinutes keeps the sign change of a number from outside in range.
const maxMinutes = 1 << 30
