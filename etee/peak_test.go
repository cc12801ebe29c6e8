package etee_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/ehealth-continuity/ehealth/etee"
)

const peakVariable = "ETEE_TEST_PEAK"

// peaks are what a process does whose memory is measured, with its bound in MB.
var peaks = map[string]struct {
	bound int
	do    func(*testing.T)
}{
	// A message of 10 MB, sealed from a stream and hashed, as eHealthBox wants it.
	"seal": {60, func(t *testing.T) {
		digest := sha256.New()
		check(t, sealer(t).SealTo(digest, io.LimitReader(zeros{}, 10_000_000), recipient(t, "hospital")))
	}},
	// The same message, opened in place.
	"open": {60, func(t *testing.T) {
		var sealed bytes.Buffer
		sealed.Grow(10_500_000)
		check(t, sealer(t).SealTo(&sealed, io.LimitReader(zeros{}, 10_000_000), recipient(t, "hospital")))
		o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), etee.Policy{})
		check(t, err)
		m, err := o.OpenInPlace(sealed.Bytes())
		if check(t, err); len(m.Content) != 10_000_000 {
			t.Error(len(m.Content))
		}
	}},
}

// TestPeakMemory runs each in a process of its own, which tells its largest resident set (VmHWM of proc(5)).
func TestPeakMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	if what := os.Getenv(peakVariable); what != "" {
		peaks[what].do(t)
		b, err := os.ReadFile("/proc/self/status")
		check(t, err)
		fmt.Printf("%s\n", b)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("proc(5) is Linux's")
	}
	for what, p := range peaks {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPeakMemory$")
		cmd.Env = append(os.Environ(), peakVariable+"="+what)
		out, err := cmd.CombinedOutput()
		found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
		if err != nil || found == nil {
			t.Fatalf("%s: %v\n%s", what, err, out)
		}
		kB, err := strconv.Atoi(string(found[1]))
		if check(t, err); kB > p.bound<<10 && !raceEnabled {
			t.Errorf("%s: %d kB resident, at most %d MB", what, kB, p.bound)
		}
		t.Logf("%s: %d kB", what, kB)
	}
}
