package outbox_test

import (
	"path/filepath"
	"testing"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func TestBoltPassesTheSuite(t *testing.T) {
	outboxtest.Run(t, func(t testing.TB) outboxtest.Backend {
		path := filepath.Join(t.TempDir(), "box.db")
		var s *outbox.Bolt
		open := func(t testing.TB) outbox.Store {
			if s == nil {
				var err error
				if s, err = outbox.OpenBolt(path); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
			}
			return s
		}
		return outboxtest.Backend{
			Open: open,
			Again: func(t testing.TB) outbox.Store {
				if s != nil {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = nil
				}
				return open(t)
			},
		}
	})
}
