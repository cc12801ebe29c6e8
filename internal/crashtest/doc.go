// Command crashtest kills processes that use an outbox, at every step of their work, and counts
// what the platform saw of it.
//
//	go run ./internal/crashtest -n 10000 [-store bolt|postgres|both]
//	go run ./internal/crashtest -n 2100 -store recipe
//
// The parent runs the sandbox: it checks TLS, token, signature and timestamp of each message, drops
// every tenth answer of its application after the execution, loses exchanges, executes some late,
// refuses some, and keeps the only truth: its own list of what was executed, in order. The children
// are real processes, several beside each other. Those of one campaign come one after another and share
// one bbolt file or one schema of a database, and all share one token. Each puts items, sends and resolves
// through the client of the application, and is killed (SIGKILL) at a named point, at a random moment,
// or in the middle of a write.
//
// On bbolt that write may then be torn as a loss of power would: half of the journal's last record is
// spoilt, the newest meta page destroyed, or the file cut to what was known to be on disk. With
// PostgreSQL the server itself is killed now and then, under everybody, and beside some children
// a second one works on the same database. Some children migrate an older store, compact, or rotate
// keys, and some hold a signed message until it has expired.
//
// After every few crashes a child finishes the work without being killed and everything is counted:
// each reference that a caller was told of executed exactly once and in the order of its key, each
// answer that a caller saw still there, each kept answer that of the execution. Anything else is a
// failure, printed with the directory of its campaign; so is a point at which nobody died.
//
// A child that does not come to its point lives until its work is done, so each point is dealt to a campaign whose store is in
// the state that leads there (a journal to be replayed, a message under way), and such a state is made by another death when
// none has it. With -n 0, as in the tests, a run ends when each point was reached.
//
// With -store recipe the children prescribe and dispense, on bbolt, with the clients of package recipe. They create, and
// whoever is told that the outcome is unsure asks for paper at once; what was created is delivered and archived, in one item
// or in two, or revoked, or left alone. The sandbox's own list of prescriptions is compared with what people were told: each
// one is electronic with the RID that was told, or on paper after a permit, never both, neither or twice, and each was
// delivered, archived or revoked once if that was asked for, and not otherwise. A control prescribes again when it is unsure,
// and is found out.
//
// Times are short (see times.go). That is safe on a busy machine because the sandbox goes by the same
// clock and never executes what would come later than it is allowed to.
package main
