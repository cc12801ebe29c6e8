//go:build !race

package ehbox

const raceEnabled = false
