package exchange

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// The error of a call without an answer says since when there is none, and what it prints stays as safe as its cause is.
func TestSilentSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := setup(t, map[string][]step{urlA: {soaStep("SOA-02001", nil), soaStep("SOA-02001", nil), ok("1"), soaStep("SOA-02001", nil)}})
		ask := func() error {
			c := call(resilience.UnsafeWrite)
			c.Notice = "D-DOWN"
			_, err := x.Do(t.Context(), c)
			return err
		}
		began := time.Now()
		for range 2 {
			err := ask()
			if n, ok := notice.FromError(err, notice.RecipE); !ok || n.ID() != notice.IDDown || !n.Params().Time.Equal(began) {
				t.Errorf("told %v %+v", n, n.Params())
			}
			e, is := errors.AsType[*SilentError](err)
			if !is || !e.Since.Equal(began) || e.Error() != e.Err.Error() {
				t.Errorf("error %v", err)
			}
			time.Sleep(3 * time.Minute)
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		began = time.Now()
		if n, _ := notice.FromError(ask(), notice.RecipE); n.ID() != notice.IDDown || !n.Params().Time.Equal(began) {
			t.Errorf("it answered in between, and yet %+v", n.Params())
		}
	})
}

// Of the hours in which nobody asked nothing is said: the service may have answered everybody else.
func TestSilenceOfWhoDidNotAsk(t *testing.T) {
	s := &silence{}
	first := time.Now()
	later := first.Add(2*unasked + time.Second)
	for _, c := range []struct{ at, want time.Time }{
		{first, first}, {first.Add(unasked), first}, {later, later}, {later.Add(unasked), later}, {first.Add(time.Second), first.Add(time.Second)},
	} {
		if got := s.began("recipe", c.at); !got.Equal(c.want) {
			t.Errorf("at %v: since %v", c.at.Sub(first), got.Sub(first))
		}
	}
}

// Whoever names many services makes nothing grow, and is told of each all the same.
func TestSilenceIsBounded(t *testing.T) {
	s := &silence{}
	now := time.Now()
	for n := range 2 * maxSilent {
		if got := s.began(strconv.Itoa(n), now); !got.Equal(now) {
			t.Fatal(got)
		}
	}
	if len(s.since) != maxSilent {
		t.Errorf("%d are remembered", len(s.since))
	}
	if got := s.began("0", now.Add(unasked)); !got.Equal(now) {
		t.Errorf("since %v", got)
	}
	if got := s.began("0", now.Add(-time.Hour)); !got.Equal(now.Add(-time.Hour)) { // a call that began earlier ends later
		t.Errorf("since %v", got)
	}
	var none *fault.Error
	if errors.As(&SilentError{Since: now, Err: errSilent}, &none) {
		t.Error("a fault out of nothing")
	}
}
