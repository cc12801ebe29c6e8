//go:build race

package etee_test

// raceEnabled: the race detector keeps a multiple of the program's memory.
const raceEnabled = true
