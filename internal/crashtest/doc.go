// Command crashtest kills processes that use an outbox, at every step of their work, and counts
// what a service saw of it.
//
//	go run ./internal/crashtest -n 10000
//
// The parent plays the service: it executes what reaches it in time, drops every tenth answer after
// the execution, loses requests, executes some late, refuses some, and keeps the only truth: how
// often each reference was executed, also written to the file effects.log of each campaign. Its
// children are real processes on one bbolt file, one after another; each puts items, sends and
// resolves, and is killed (SIGKILL) at a named point, at a random moment, or in the middle of a
// write; then that write may be torn as a loss of power would: half of the journal's last record is
// spoilt, the newest meta page destroyed, or the file cut to what was known to be on disk. Some
// children migrate an older file, compact, or rotate keys.
//
// After every few crashes a child finishes the work in peace and everything is counted: each
// reference that a caller was told of executed exactly once and in the order of its key, each answer
// that a caller saw still there. Anything else is a failure, printed with the directory of its
// campaign.
package main
