package main_test

import (
	"strings"
	"testing"
	"time"
)

// TestDrill replays a short incident and adds up what the report says.
func TestDrill(t *testing.T) {
	args := []string{"drill", "INC-2020-01-20", "--fleet", "3", "--seed", "7"}
	r := call(t, append(args, "--json")...)
	var report struct {
		Drills []struct {
			Incident   string
			Start      time.Time
			Seed       uint64
			Pharmacies int
			Fleets     []struct {
				Name   string
				Phases []struct {
					Name                                                 string
					From, To, Slowest                                    time.Duration
					Calls, Live, Otherwise, Failed, Requests, WrongAsker int
				}
			}
		}
	}
	decode(t, r, done, &report)
	if len(report.Drills) != 1 {
		t.Fatalf("%d drills", len(report.Drills))
	}
	d := report.Drills[0]
	if d.Incident != "INC-2020-01-20" || d.Seed != 7 || d.Pharmacies != 3 || !d.Start.Equal(time.Date(2020, time.January, 20, 7, 0, 0, 0, time.UTC)) || len(d.Fleets) != 2 {
		t.Fatalf("%s with seed %d, %d pharmacies, from %v, %d fleets", d.Incident, d.Seed, d.Pharmacies, d.Start, len(d.Fleets))
	}
	for _, f := range d.Fleets {
		end := time.Duration(0)
		for i, p := range f.Phases {
			if p.From != end || p.To <= p.From {
				t.Errorf("%s: phase from %v to %v after %v", f.Name, p.From, p.To, end)
			}
			end = p.To
			if p.Calls == 0 || p.Live+p.Otherwise+p.Failed+p.WrongAsker != p.Calls {
				t.Errorf("%s, %s: %d calls, %d live, %d otherwise, %d failed, %d wrong", f.Name, p.Name, p.Calls, p.Live, p.Otherwise, p.Failed, p.WrongAsker)
			}
			if p.Requests < p.Live+p.Otherwise {
				t.Errorf("%s, %s: %d requests made %d answers", f.Name, p.Name, p.Requests, p.Live+p.Otherwise)
			}
			// Both fleets are asked the same questions.
			if other := d.Fleets[0].Phases[i]; other.Calls != p.Calls {
				t.Errorf("%s, %s: %d calls, the other fleet %d", f.Name, p.Name, p.Calls, other.Calls)
			}
		}
	}
	ours := d.Fleets[0]
	for _, p := range ours.Phases {
		if p.WrongAsker > 0 || p.Slowest > 5*time.Second {
			t.Errorf("ours, %s: %d wrong answers shown, slowest %v", p.Name, p.WrongAsker, p.Slowest)
		}
	}
	if during := ours.Phases[1]; during.Otherwise != during.Calls {
		t.Errorf("in the outage: %d of %d answered by the alternate", during.Otherwise, during.Calls)
	}

	text := call(t, args...)
	if text.code != done || text.err != "" || !strings.HasPrefix(text.out, "INC-2020-01-20") || strings.Count(text.out, "wrong asker") != 3 || strings.Count(text.out, "total") != 2 {
		t.Errorf("exit code %d\n%s%s", text.code, text.out, text.err)
	}
}
