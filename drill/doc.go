// Package drill replays past incidents of the platform on virtual time, against fleets of
// clients, and reports what the people at the counter got.
//
// Everything in it is real but the clock and the wire: the sandbox with its TLS, signatures
// and fault engine, the HTTP stack, and the clients. Connections are net.Pipe and time is that of
// a testing/synctest bubble, so hours of an incident take seconds.
//
//	drill.Main(func() int {
//		report, err := drill.Run(drill.Options{Incident: "INC-2018-06-12-LB", Seed: 1})
//		…
//		return 0
//	})
//
// [Run] must be called inside a bubble: by [Main] from an ordinary program, by synctest.Test
// from a test. Every fleet goes through the same incident, each against a sandbox of its own with
// the same seed and the same questions:
//
//   - [Ours], the client of this module.
//   - [Naive]: waits up to 30 s for an answer, sends again at once, four times, to the one address it
//     knows, and shows what comes.
//   - [ConnectorLike] behaves as the official connector was measured in outages (dossier 12). Tests
//     named after the scenarios there assert each row that it copies.
//
// What they do all day is [Traffic]: questions at the counter, logins, writes that must happen
// once, letters, looks into a mailbox, and prescriptions with the pharmacies that dispense them.
// Without Options.Traffic a drill runs what its incident is about. Services of an incident that the
// sandbox does not have are left out, and the report says so; when nothing is left of it, Run fails
// with [ErrMissingService].
//
// The figures are counted where they arise: what a counter got by comparing the answer with
// the question and with the sandbox's register, load and executions by the sandbox's own counters.
package drill
