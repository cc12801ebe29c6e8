// Package pgtest gives tests a PostgreSQL of their own: a fresh, empty database for each call. It
// is for tests only.
//
//	func TestStore(t *testing.T) {
//		db, err := postgres.Open(t.Context(), pgtest.DSN(t))
//		...
//	}
//
// When $EHEALTH_POSTGRES holds a DSN (keywords or URL, of a user who may create databases), that
// server is used. Otherwise one private cluster is started per test binary, from the programs
// initdb and postgres on the path or in /usr/lib/postgresql/*/bin, in a temporary directory, on
// a Unix socket. It ends with the test binary, however that ends. As root the cluster runs as the
// user postgres or nobody.
//
// The private cluster syncs to disk as a real one does (fsync, synchronous_commit and
// full_page_writes are on), so that benchmarks and crash tests mean something.
//
// Without a server the test is skipped with a printed reason; where the environment variable CI
// is "true" it fails instead. [Start] gives a [Server] that a test may kill and start again.
package pgtest
