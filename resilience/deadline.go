package resilience

import "time"

// Share returns how much of the remaining time the next attempt may use.
//
// The rule: every address that was not asked yet gets an equal share, so that one that hangs
// cannot use up the time of the others; the last one gets all that is left. No share is below
// least as long as that much is left. An operation that may not be repeated after a time-out
// gets everything at once: cutting it short could only turn a late answer into an unknown
// outcome.
//
// remaining <= 0 yields 0. fresh counts the addresses that were not asked yet, the one about to
// be asked included; below 1 it counts as 1.
func Share(remaining time.Duration, fresh int, repeatable bool, least time.Duration) time.Duration {
	if remaining <= 0 {
		return 0
	}
	if !repeatable || fresh <= 1 {
		return remaining
	}
	return min(max(remaining/time.Duration(fresh), least), remaining)
}
