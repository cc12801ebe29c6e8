package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// X509 secures messages with the X.509 token profile (dossier 01 A.6).
func X509(c wsse.Credential) Security { return x509Security{c} }

type x509Security struct{ credential wsse.Credential }

func (s x509Security) Secure(ctx context.Context, body []byte) ([]byte, error) {
	stamp, err := Stamp(ctx)
	if err != nil {
		return nil, err
	}
	return wsse.X509(body, s.credential, stamp)
}

// Refused has nothing to renew: with this profile it is the certificate that was refused.
func (x509Security) Refused(context.Context, *fault.Error) bool { return false }

// ErrExpired reports a message whose time was over before it was signed. It was not sent.
var ErrExpired = fault.AsSafe(errors.New("exchange: the time in which this message may be sent is over"))

type expiresKey struct{}

// WithExpires bounds the life of every message signed under ctx: it expires at t or
// earlier, so the platform refuses it afterwards however long this process was paused between signing and sending. That
// makes the timestamp the fencing token of a worker's lease. The zero t is no bound.
func WithExpires(ctx context.Context, t time.Time) context.Context {
	if t.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, expiresKey{}, t)
}

// WithoutExpires takes such a bound away: work that others share, such as a login, must not be bound by the message of
// whoever happened to begin it.
func WithoutExpires(ctx context.Context) context.Context {
	return context.WithValue(ctx, expiresKey{}, time.Time{})
}

// Stamp is the timestamp for a message that is signed now under ctx, see [WithExpires]. It returns ErrExpired when no
// time is left.
func Stamp(ctx context.Context) (wsse.Stamp, error) {
	s := wsse.Stamp{Now: time.Now()}
	t, bounded := ctx.Value(expiresKey{}).(time.Time)
	if !bounded || t.IsZero() {
		return s, nil
	}
	left := t.Sub(s.Now).Truncate(time.Millisecond)
	if left <= 0 {
		return s, &fault.Error{Kind: fault.Timeout, Outcome: fault.NotSent, Err: ErrExpired}
	}
	s.TTL = min(left, wsse.DefaultTTL)
	return s, nil
}
