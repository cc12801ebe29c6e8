package bcp

import "time"

// SetChance replaces the random numbers of a router.
func SetChance(r *Router, f func() float64) { r.chance = f }

// ParseDuration is parseDuration.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }
