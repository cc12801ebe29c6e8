package outboxtest_test

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func TestMemory(t *testing.T) {
	outboxtest.Run(t, func(testing.TB) outboxtest.Backend {
		m := outboxtest.NewMemory()
		return outboxtest.Backend{
			Open:  func(testing.TB) outbox.Store { return m },
			Again: func(testing.TB) outbox.Store { return m.Reopen() },
		}
	})
}
