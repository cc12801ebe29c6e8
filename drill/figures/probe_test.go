package figures

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestProbe(t *testing.T) {
	for _, only := range []string{"1", "3", "4", "8"} {
		start := time.Now()
		synctest.Test(t, func(t *testing.T) {
			tab, err := Measure(Options{Seeds: []uint64{1,2}, Only: []string{only}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range tab.Rows {
				s := ""
				for _, c := range Clients() {
					s += "  " + c + " " + r.Unit.text(r.Median(c)) + " (" + r.Unit.text(r.Worst(c)) + ")"
				}
				t.Log(r.Figure, r.Name, r.Target.text(r.Unit), r.result(), s)
			}
		})
		t.Log(time.Since(start))
	}
}
