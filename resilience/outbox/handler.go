package outbox

import (
	"context"
	"time"
)

// Answer is what the service said to a write that was carried out. The Box keeps it sealed and
// never looks into it. An answer longer than [MaxPayload] is not kept.
type Answer []byte

// Sender sends one item.
type Sender interface {
	// Send makes the message from the item, signs it to expire at a.Expires and sends it once.
	// nil means carried out. Otherwise the error's fault.Outcome and Kind decide what follows: an
	// error that is no *fault.Error means unknown. When ctx ends after the message left, the
	// outcome is unknown. Send must not start after a.Expires.
	Send(ctx context.Context, it Item, a Attempt) (Answer, error)
}

// Resolver finds out what became of an attempt without an answer.
type Resolver interface {
	// Resolve asks the service by the item's own reference. The question must be sent after
	// Resolve was called: an older answer is worth nothing. An error means that the question
	// could not be asked or not be understood.
	Resolve(ctx context.Context, it Item, a Attempt) (Verdict, error)
}

// Handler is both. [Handle] wants a Resolver only for the class ResolvableWrite.
type Handler interface {
	Sender
	Resolver
}

// Verdict is what a resolver found.
type Verdict struct {
	Found  Found
	Answer Answer // with Happened: what to keep, e.g. the number the service gave
}

// Found is yes, no, or neither.
type Found uint8

const (
	// Unclear: neither could be established; to be asked again.
	Unclear Found = iota
	// Happened: the write was carried out.
	Happened
	// NotThere: the service knows nothing of it. The Box decides whether that can be believed
	// yet.
	NotThere
)

// SendFunc is a Sender made of a function.
type SendFunc func(ctx context.Context, it Item, a Attempt) (Answer, error)

// Send implements Sender.
func (f SendFunc) Send(ctx context.Context, it Item, a Attempt) (Answer, error) { return f(ctx, it, a) }

// panicked is what a handler's panic becomes. Its text does not hold the value, which may be
// anything.
type panicked struct{ in string }

func (p panicked) Error() string     { return "outbox: the handler panicked in " + p.in }
func (p panicked) SafeError() string { return p.Error() }

func guardPanic(in string, err *error) {
	if r := recover(); r != nil {
		*err = panicked{in}
	}
}

func send(ctx context.Context, h Sender, it Item, a Attempt) (ans Answer, err error) {
	defer guardPanic("Send", &err)
	return h.Send(ctx, it, a)
}

func resolve(ctx context.Context, h Resolver, it Item, a Attempt) (v Verdict, err error) {
	defer guardPanic("Resolve", &err)
	return h.Resolve(ctx, it, a)
}

// Gate says whether items of a kind should be tried now: a breaker that is open, a login that is
// missing, a mode that forbids. retryAt is when to ask again; zero = in a few seconds. It is
// called often and must not block.
type Gate func(k Kind) (ok bool, retryAt time.Time)
