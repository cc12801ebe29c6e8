package figures

import "slices"

// Options says what to measure.
type Options struct {
	Seeds []uint64 // one run each; none = 1
	Only  []string // numbers of figures; none = all
	Quick bool     // smaller fleets and shorter series, for tests
}

// measurement is one run of all scenarios with one seed.
type measurement struct {
	*Table
	seed  uint64
	quick bool
}

// Measure plays the scenarios on virtual time. It must be called inside a synctest bubble, and leaves
// nothing in it.
func Measure(o Options) (*Table, error) {
	return o.measure([]part{
		{[]string{"1", "2"}, (*measurement).outages},
		{[]string{"3"}, (*measurement).brownouts},
		{[]string{"4", "5"}, (*measurement).partial},
		{[]string{"8", "9"}, (*measurement).recoveries},
		{[]string{"12"}, (*measurement).workday},
		{[]string{"13"}, (*measurement).renewals},
		{[]string{"14"}, (*measurement).flapping},
		{[]string{"15"}, (*measurement).others},
	})
}

// part measures some figures.
type part struct {
	figures []string
	run     func(*measurement) error
}

func (o Options) measure(parts []part) (*Table, error) {
	t := &Table{}
	if len(o.Seeds) == 0 {
		o.Seeds = []uint64{1}
	}
	for _, seed := range o.Seeds {
		m := &measurement{Table: t, seed: seed, quick: o.Quick}
		for _, p := range parts {
			if !o.wants(p) {
				continue
			}
			if err := p.run(m); err != nil {
				return nil, err
			}
		}
	}
	t.Merge(&Table{}) // sorts and counts
	return t, nil
}

func (o Options) wants(p part) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(p.figures, func(f string) bool { return slices.Contains(o.Only, f) })
}

// Known tells whether a figure of that number is measured here.
func Known(figure string) bool {
	return slices.ContainsFunc(descriptions, func(d description) bool { return d.no == figure })
}
