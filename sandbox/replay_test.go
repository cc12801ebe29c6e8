package sandbox

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lb2018 is INC-2018-06-12-LB of the catalogue, which this package cannot import.
const lb2018 = `incident INC-2018-06-12-LB 2018-06-12T08:00+02:00
esb           5400  1800 misroute p=0.05
esb           5400  1800 hang p=0.5;exec=0.5
esb           7200 18000 http status=503;body=html
servicelist   8100 17100 list set=genins=1:ACTIVE;lag_s=0
genins-direct 8100 17100 loss p=0.4
esb          25200  1800 ramp from=0.2;to=1`

// TestReplay replays a whole day with a fleet of plain clients on virtual time and checks, phase by phase, that the
// scripted faults and no others are seen, that wrong answers come in the phase of misroute only, and that the
// counters agree with what clients saw.
func TestReplay(t *testing.T) {
	warmKeys(t)
	synctest.Test(t, func(t *testing.T) {
		sc, err := ParseScript(lb2018)
		if err != nil {
			t.Fatal(err)
		}
		s := echo(t, Config{Scale: 0.01, Epoch: sc.T0, Seed: 12})
		defer s.Close()
		time.Sleep(time.Until(sc.T0))
		if _, err := s.Apply(sc); err != nil {
			t.Fatal(err)
		}
		type tally struct{ calls, ok, wrong, grey, failed int }
		phases := []struct {
			name   string
			end    time.Duration
			check  func(tally) bool
			counts tally
		}{
			{"quiet", 5400, func(c tally) bool { return c.ok == c.calls && c.calls > 100 }, tally{}},
			{"desynchronised", 7200, func(c tally) bool { return c.failed > c.calls/3 && c.wrong > 0 && c.ok > c.calls/4 && c.grey == 0 }, tally{}},
			{"switched off", 25200, func(c tally) bool { return c.grey == c.calls }, tally{}},
			{"coming back", 27000, func(c tally) bool { return c.ok+c.grey == c.calls && c.ok > 0 }, tally{}},
			{"over", 28800, func(c tally) bool { return c.ok == c.calls }, tally{}},
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		const desks = 12
		for d := range desks {
			wg.Go(func() {
				c := s.HTTPClient()
				time.Sleep(time.Duration(d) * 60 * time.Second / desks)
				for n := 0; ; n++ {
					at := time.Since(sc.T0)
					if at >= 28800*time.Second {
						return
					}
					q := fmt.Sprintf("%d-%d", d, n)
					r := post(c, urlGenIns, q, 10*time.Second)
					mu.Lock()
					for i := range phases {
						if at < phases[i].end*time.Second {
							k := &phases[i].counts
							k.calls++
							switch {
							case r.err != nil:
								k.failed++
							case r.status == 503:
								k.grey++
							case r.body == "<answer>"+q+"</answer>":
								k.ok++
							default:
								k.wrong++
							}
							break
						}
					}
					mu.Unlock()
					time.Sleep(60*time.Second - r.took)
				}
			})
		}
		wg.Wait()
		var all tally
		for _, p := range phases {
			if !p.check(p.counts) {
				t.Errorf("%s: %+v", p.name, p.counts)
			}
			all.calls += p.counts.calls
			all.ok += p.counts.ok
			all.wrong += p.counts.wrong
			if p.name != "desynchronised" && p.counts.wrong > 0 {
				t.Errorf("%s: %d wrong answers", p.name, p.counts.wrong)
			}
		}
		st := s.State()
		if st.Requests["genins"] != all.calls {
			t.Errorf("load %d, calls %d", st.Requests["genins"], all.calls)
		}
		if done := st.Effects["genins.done"]; done < all.ok+all.wrong {
			t.Errorf("executed %d, answered %d", done, all.ok+all.wrong)
		}
		if n := st.Hits["genins"]["misroute"]; n != all.wrong {
			t.Errorf("%d misrouted by the engine, %d seen", n, all.wrong)
		}
	})
}
