// Package outboxtest holds the suite that every store of package outbox passes, and the store in
// memory that is its model.
//
//	func TestStore(t *testing.T) {
//		outboxtest.Run(t, func(t testing.TB) outboxtest.Backend {
//			dir := t.TempDir()
//			return outboxtest.Backend{Open: func(t testing.TB) outbox.Store { ... }}
//		})
//	}
//
// The suite speaks to a store as several processes would: every handle it opens is a worker of its
// own, with its own owner names. It checks what each operation changes and what it must not change when it is refused:
// compare-and-set on the revision, leases and their fencing, one head per line, order within a line,
// priorities, due times, what is read at one moment, the lists and the counters, and finally a long random run against [Memory].
package outboxtest
