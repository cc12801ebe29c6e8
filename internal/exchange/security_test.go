package exchange

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

func TestStamp(t *testing.T) {
	for _, c := range []struct {
		name string
		left time.Duration // 0 = no bound
		ttl  time.Duration // 0 = the default
		err  error
	}{
		{"no bound", 0, 0, nil},
		{"far", time.Hour, wsse.DefaultTTL, nil},
		{"near", 20*time.Second + 1500*time.Microsecond, 20*time.Second + time.Millisecond, nil},
		{"now", time.Microsecond, 0, ErrExpired},
		{"over", -time.Second, 0, ErrExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.left != 0 {
					ctx = WithExpires(ctx, time.Now().Add(c.left))
				}
				s, err := Stamp(WithExpires(ctx, time.Time{}))
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want %v", err, c.err)
				}
				if fe, ok := errors.AsType[*fault.Error](err); err != nil && (!ok || fe.Outcome != fault.NotSent) {
					t.Fatalf("error %v, want one that says NotSent", err)
				}
				if free, err := Stamp(WithoutExpires(ctx)); err != nil || free.TTL != 0 {
					t.Errorf("without the bound: %v, %v", free, err)
				}
				if err == nil && (s.TTL != c.ttl || !s.Now.Equal(time.Now())) {
					t.Fatalf("stamp %v, want a life of %v", s, c.ttl)
				}
			})
		})
	}
}
