package figures

import (
	"math"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	outage       = time.Minute
	lookAfter    = 2 * time.Minute // for the recovery from an outage
	brownout     = 20 * time.Second
	manyClients  = 50
	capacityOf3  = 0.3 * capacity
	capacityOf5  = 0.32 * capacity
	marginLonger = 30 * time.Minute
)

// size of a fleet with the same load.
type size struct {
	clients int
	name    string
}

var sizes = []size{{manyClients, "50 clients of 2/s"}, {1, "1 client of 100/s"}}

// base is the scenario that all of figures 1 to 5 start from.
func (m *measurement) base(kind string, clients int) scenario {
	return scenario{
		build:   build{kind: kind, addresses: 1, policy: scenarioPolicy()},
		clients: clients, load: load, capacity: capacity, during: capacity, lasts: outage, seed: m.seed,
	}
}

// faults are the outages of figure 1.
func (m *measurement) faults() []mode {
	if m.quick {
		return []mode{refuse, blackHole, reset}
	}
	return []mode{refuse, blackHole, reset, drip}
}

// patience is how long a recovery is looked for.
func (m *measurement) patience(d time.Duration) time.Duration {
	if m.quick {
		return d / 4
	}
	return d
}

// clients are the kinds that are measured with a fleet. A test looks at the others in the usual fleet only.
func (m *measurement) clients(usual bool) []string {
	if m.quick && !usual {
		return []string{Ours}
	}
	return Clients()
}

// outages measures figures 1 and 2.
func (m *measurement) outages() error {
	openTime := resilience.DefaultBreakerOpen.Seconds()
	for _, s := range sizes {
		limit := 0.35
		if s.clients == 1 {
			limit = 0.05
		}
		for _, f := range m.faults() {
			name := modeNames[f] + ", " + s.name
			for _, kind := range m.clients(s.clients == manyClients) {
				sc := m.base(kind, s.clients)
				sc.mode, sc.after = f, m.patience(lookAfter)
				o, err := sc.run()
				if err != nil {
					return err
				}
				m.put(Row{Figure: "1", Name: name, Unit: Ratio, Target: atMost(limit)}, kind, o.perOp())
				m.put(Row{Figure: "2", Name: name, Unit: Seconds, Target: atMost(1.5 * openTime)}, kind, o.recovery())
			}
		}
	}
	if err := m.halfLoad(1.5 * openTime); err != nil {
		return err
	}
	return m.otherOutages()
}

// halfLoad is figure 2 at half of the load: fewer calls find out that the server is back.
func (m *measurement) halfLoad(limit float64) error {
	for _, kind := range Clients() {
		sc := m.base(kind, manyClients)
		sc.load, sc.mode, sc.after = load/2, blackHole, m.patience(lookAfter)
		o, err := sc.run()
		if err != nil {
			return err
		}
		m.put(Row{Figure: "2", Name: "black hole, 50 clients of 1/s", Unit: Seconds, Target: atMost(limit)}, kind, o.recovery())
	}
	return nil
}

// otherOutages are the rows of figure 1 with two addresses, and without the breaker.
func (m *measurement) otherOutages() error {
	for _, f := range m.faults() {
		for _, kind := range m.clients(false) {
			sc := m.base(kind, manyClients)
			sc.mode, sc.addresses = f, 2
			o, err := sc.run()
			if err != nil {
				return err
			}
			name := modeNames[f] + ", two addresses and both down, 50 clients of 2/s"
			m.put(Row{Figure: "1", Name: name, Unit: Ratio, Target: atMost(0.35)}, kind, o.perOp())
		}
	}
	for _, f := range m.faults() {
		for _, s := range sizes {
			sc := m.base(Ours, s.clients)
			sc.mode, sc.policy = f, withoutBreaker()
			o, err := sc.run()
			if err != nil {
				return err
			}
			m.put(Row{Figure: "1", Name: modeNames[f] + ", breaker off, " + s.name, Unit: Ratio, Target: atMost(1.10)}, Ours, o.perOp())
		}
	}
	return nil
}

// brownouts measures figure 3: the shortest brownout of a growing series from which the fleet does not recover.
func (m *measurement) brownouts() error {
	series := []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, brownout, time.Minute, 5 * time.Minute, marginLonger}
	if m.quick {
		series = []time.Duration{5 * time.Second, brownout, time.Minute}
	}
	longest := series[len(series)-1]
	for _, s := range sizes {
		row := Row{Figure: "3", Name: s.name, Unit: Minutes, Low: true, Target: above(longest.Minutes())}
		for _, kind := range m.clients(s.clients == manyClients) {
			margin := math.Inf(1)
			for _, lasts := range series {
				sc := m.base(kind, s.clients)
				sc.during, sc.lasts, sc.after = capacityOf3, lasts, m.patience(10*time.Minute)
				o, err := sc.run()
				if err != nil {
					return err
				}
				if math.IsInf(o.recovery(), 1) {
					margin = lasts.Minutes()
					break
				}
			}
			m.put(row, kind, margin)
		}
	}
	return nil
}

// fleet is a number of clients and of addresses that they know.
type fleet struct {
	size
	addresses int
}

func fleets() []fleet {
	return []fleet{{sizes[0], 1}, {sizes[1], 1}, {size{manyClients, sizes[0].name + ", two addresses"}, 2}}
}

// partial measures figures 4 and 5: what is answered while 30 % of the answers are errors, and in a brownout.
func (m *measurement) partial() error {
	for _, f := range fleets() {
		for _, kind := range m.clients(f.clients == manyClients && f.addresses == 1) {
			sc := m.base(kind, f.clients)
			sc.addresses, sc.mode, sc.capacity, sc.during = f.addresses, errors30, 2*capacity, 2*capacity // errors alone, without overload
			o, err := sc.run()
			if err != nil {
				return err
			}
			m.put(Row{Figure: "4", Name: "answered, " + f.name, Unit: Percent, Low: true, Target: atLeast(0.98)}, kind, o.goodput(false))
			m.put(Row{Figure: "4", Name: "attempts per operation, " + f.name, Unit: Ratio, Target: atMost(1.45)}, kind, o.perOp())
		}
	}
	for _, f := range fleets() {
		for _, kind := range m.clients(f.clients == manyClients && f.addresses == 1) {
			sc := m.base(kind, f.clients)
			sc.addresses, sc.during, sc.lasts = f.addresses, capacityOf5, brownout
			o, err := sc.run()
			if err != nil {
				return err
			}
			row := Row{Figure: "5", Name: "answered within the brownout, " + f.name, Unit: Percent, Low: true}
			if f.clients == 1 {
				row.Target = atLeast(0.25)
			}
			m.put(row, kind, o.goodput(true))
			m.put(Row{Figure: "5", Name: "95 % have an answer or an error after, " + f.name, Unit: Seconds}, kind, o.p95(o.t0, o.t1))
		}
	}
	return nil
}
