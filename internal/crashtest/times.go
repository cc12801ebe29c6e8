package main

import "time"

// The times of the campaign. They are short, so that horizons pass quickly, and exact on the side of
// the platform, so that a busy machine makes no false double: what would be executed later than
// late is not executed at all.
const (
	ttl   = 1500 * time.Millisecond // a message's life
	lease = 2 * time.Second
	late  = 300 * time.Millisecond // from acceptance to execution
	lag   = 50 * time.Millisecond  // from execution to being found
	skew  = 20 * time.Millisecond  // between two clocks that are one
)
