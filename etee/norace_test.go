//go:build !race

package etee_test

const raceEnabled = false
