package etee_test

import "testing"

// TestBounds holds sealing and opening to what they may take, as a multiple of their floor: the operations that nobody can
// do without, measured in the same run. It is the best of three runs, since other programs can only add to one.
func TestBounds(t *testing.T) {
	if !*long || raceEnabled {
		t.Skip("a measurement: only with -long, and not with the race detector")
	}
	for name, c := range map[string]struct {
		bench func(*testing.B)
		most  float64 // of ours/floor
	}{
		"seal 10 kB": {BenchmarkSeal10K, 1.15},
		"open 10 kB": {BenchmarkOpen10K, 1.2},
		"seal 10 MB": {BenchmarkSeal10M, 1 / 0.6},
	} {
		best := 0.0
		for range 3 {
			r := testing.Benchmark(c.bench)
			ratio := r.Extra["ours/floor"]
			if ratio <= 0 {
				t.Fatalf("%s: not measured: %v", name, r)
			}
			if best == 0 || ratio < best {
				best = ratio
			}
			if best <= c.most {
				break
			}
		}
		t.Logf("%s: %.3f of the floor, at most %.3f", name, best, c.most)
		if best > c.most {
			t.Errorf("%s takes %.3f times its floor, at most %.3f", name, best, c.most)
		}
	}
}
