// Package figures measures how our client behaves when the platform does not: figures 1 to 5, 8, 9 and 12 to 15 of
// dossier 08 section 4, beside a naive client and one that behaves as dossier 12 measured the official connector.
//
// The clients are fleets of up to 500 processes in front of one server of limited capacity, on virtual time. Ours is the
// real policy code: the engine and pipeline of package resilience, the router of resilience/bcp, the token source
// of package sts. Nothing in the table is a constant; every number is counted in the run that prints it.
//
//	drill.Main(func() int {
//		table, err := figures.Measure(figures.Options{Seeds: []uint64{1, 2, 3}})
//		…
//		err = table.WriteText(os.Stdout)
//		…
//	})
//
// [Measure] must be called inside a synctest bubble: by drill.Main from an ordinary program, by synctest.Test from a
// test. [Cancellation] is the one figure that needs a real clock, and is called outside.
//
// Arrivals, faults and the jitter of the engine are drawn from the seed. The jitter of tokens, of resting addresses and of
// the router is not, so that two runs with the same seeds differ in the last digit.
package figures
