package drill

import (
	"os"
	"testing"
	"testing/synctest"
)

// Main runs f on virtual time and ends the process with the code f returns. It is for
// ordinary programs: tests enter a bubble with synctest.Test.
//
// The bubble's clock starts on 2000-01-01 and moves only while every goroutine in it waits. A
// failure of the bubble itself (a deadlock, a panic) ends the process with code 1 or 2.
func Main(f func() int) {
	// The testing package reads the command line, which is not its own here.
	os.Args = os.Args[:1]
	testing.Main(
		func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "drill", F: func(t *testing.T) {
			code := 1
			synctest.Test(t, func(*testing.T) { code = f() })
			if !t.Failed() {
				os.Exit(code)
			}
		}}},
		nil, nil,
	)
}
