// Package fail names the points of a program at which a crash test may end it.
//
// In production a point costs one atomic load. A test sets a hook with [Set]; the hook gets the
// name and decides, e.g. to kill the process.
package fail

import "sync/atomic"

var hook atomic.Pointer[func(name string)]

// Point is a place where a process may die. Names are package.step, e.g. "begin.written".
func Point(name string) {
	if h := hook.Load(); h != nil {
		(*h)(name)
	}
}

// Set installs the hook; nil removes it. Only for tests.
func Set(h func(name string)) {
	if h == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&h)
}
