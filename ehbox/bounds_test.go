package ehbox

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

var long = flag.Bool("long", false, "hold sending to its bounds on time and memory")

// TestBounds holds BenchmarkSendLarge to at least 0.6 of the throughput of its floor and at most 60 MB resident. It runs in
// a process of its own, whose largest resident set is nobody else's, and is the best of three runs, since other programs
// can only add to one.
func TestBounds(t *testing.T) {
	if !*long || raceEnabled {
		t.Skip("a measurement: only with -long, and not with the race detector")
	}
	const least, most = 0.6, 60
	for n := 1; ; n++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkSendLarge$", "-test.benchtime=10x", "-test.count=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		share, peak := metric(t, out, "x-floor"), metric(t, out, "peak-MB")
		t.Logf("%.2f of the throughput of the floor, %.0f MB", share, peak)
		switch {
		case share >= least && peak <= most:
			return
		case n == 3:
			t.Fatalf("%.2f of the throughput of the floor and %.0f MB; at least %.2f and at most %d MB", share, peak, least, most)
		}
	}
}

// metric finds a figure in what a benchmark printed.
func metric(t *testing.T, out []byte, unit string) float64 {
	t.Helper()
	m := regexp.MustCompile(`([0-9.]+) ` + regexp.QuoteMeta(unit) + `\b`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no %s in\n%s", unit, out)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
