package resilience_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

func TestMayRepeat(t *testing.T) {
	const yes, no = true, false
	for _, c := range []struct {
		class     resilience.Class
		outcome   fault.Outcome
		retryable bool
		want      bool
	}{
		{resilience.Read, fault.NotSent, no, yes},
		{resilience.Read, fault.Unknown, yes, yes},
		{resilience.Read, fault.Unknown, no, no},
		{resilience.Read, fault.Done, yes, no},
		{resilience.IdempotentWrite, fault.Unknown, yes, yes},
		{resilience.ResolvableWrite, fault.Unknown, yes, no},
		{resilience.ResolvableWrite, fault.NotSent, no, yes},
		{resilience.ResolvableWrite, fault.Rejected, yes, yes},
		{resilience.ResolvableWrite, fault.Rejected, no, no},
		{resilience.UnsafeWrite, fault.Unknown, yes, no},
		{resilience.UnsafeWrite, fault.Done, yes, no},
	} {
		if got := c.class.MayRepeat(c.outcome, c.retryable); got != c.want {
			t.Errorf("%v after %v (retryable %v): %v", c.class, c.outcome, c.retryable, got)
		}
	}
}

func order(a *resilience.Addresses, eps []resilience.Endpoint) string {
	var b strings.Builder
	for _, e := range a.Order(eps, time.Now()) {
		b.WriteString(e.URL)
	}
	return b.String()
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		eps  []resilience.Endpoint
		want string
	}{
		{"normal", []resilience.Endpoint{{"b", 1, false}, {"a", 0, true}}, "ab"},
		{"the platform commands the alternate", []resilience.Endpoint{{"a", 0, false}, {"b", 1, true}}, "ba"},
		{"several active: lowest order", []resilience.Endpoint{{"c", 2, true}, {"b", 1, true}, {"a", 0, false}}, "bca"},
		{"none active: order 0", []resilience.Endpoint{{"b", 1, false}, {"a", 0, false}}, "ab"},
	} {
		var a resilience.Addresses
		if got := order(&a, c.eps); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRestAndProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eps := []resilience.Endpoint{{"a", 0, true}, {"b", 1, false}}
		var a resilience.Addresses
		a.Failed("a", time.Now())
		if got := order(&a, eps); got != "ba" {
			t.Fatalf("after a failure: %s", got)
		}
		time.Sleep(resilience.RestMin + 1)
		if got := order(&a, eps); got != "ab" {
			t.Fatalf("after the rest: %s", got)
		}
		if got := order(&a, eps); got != "ba" {
			t.Fatalf("a second caller must not try as well: %s", got)
		}
		a.Worked("a")
		if got := order(&a, eps); got != "ab" {
			t.Fatalf("after success: %s", got)
		}
		for range 20 {
			a.Failed("a", time.Now())
		}
		time.Sleep(resilience.RestMax + 1)
		if got := order(&a, eps); got != "ab" {
			t.Fatalf("no rest is longer than RestMax: %s", got)
		}
	})
}
