package recipe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestPanicsReachTheCaller: what panics beside the caller does so in the caller, who may have a place for it.
func TestPanicsReachTheCaller(t *testing.T) {
	reaches := func(t *testing.T, call func()) {
		t.Helper()
		defer func() {
			if r := recover(); r != "sick" {
				t.Errorf("recovered %v", r)
			}
		}()
		call()
	}
	sick := func() error { panic("sick") }
	t.Run("attend", func(t *testing.T) {
		reaches(t, func() { attend(t.Context(), sick, func(error) {}) })
	})
	t.Run("attend, after the caller's time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			reaches(t, func() {
				attend(ctx, func() error { time.Sleep(time.Second + grace/2); return sick() }, func(error) {})
			})
		})
	})
	t.Run("rules", func(t *testing.T) {
		v := judge(sick)
		ctx, cancel := v.follow(t.Context())
		defer cancel()
		<-ctx.Done() // nobody needs what is prepared for it
		reaches(t, func() { _ = v.wait() })
	})
}
