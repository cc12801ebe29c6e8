//go:build race

package ehbox

// raceEnabled: the race detector takes a multiple of the time and memory.
const raceEnabled = true
