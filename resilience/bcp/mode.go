package bcp

import "time"

// Mode says where the calls of a service go.
type Mode uint8

// The modes.
const (
	// Normal: to the address that the list commands.
	Normal Mode = iota
	// Away: to an alternate, because the commanded address does not work.
	Away
	// Returning: a growing share to the commanded address, the rest to the one that served before.
	Returning
)

// String returns a lower-case English word.
func (m Mode) String() string { return [...]string{"normal", "away", "returning", "?"}[m&3] }

// Numbers of failover and return. With a dependency that is up and down every 20 s they give at most six switches in any
// hour (dossier 08 section 4, figure 14): the first three stays away last more than an hour together.
const (
	// AwayMin is the least mean time on an alternate.
	AwayMin = 5 * time.Minute
	// AwayMax bounds that time.
	AwayMax = time.Hour
	// awayGrowth multiplies it each time that the return failed within calm.
	awayGrowth = 4
	maxStrikes = 2
	// calm is how long a return must have lasted to forget former failures.
	calm = time.Hour
	// steady is how long the breaker of the commanded address must have been closed before a return.
	steady = time.Minute
	// ReturnTime is the mean time in which the share of the commanded address grows from ReturnShare to 1.
	ReturnTime = time.Minute
	// ReturnShare is the share at the start of a return.
	ReturnShare = 0.1
)

// machine is the mode of one service. It is pure: time, chance and what is seen are arguments.
type machine struct {
	mode     Mode
	primary  string        // the address that the list commands
	from     string        // Away and Returning: the address that serves instead
	since    time.Time     // start of mode
	hold     time.Duration // Away: its least time; Returning: its length
	strikes  int           // returns in a row that failed
	seenOpen time.Time     // when the breaker of primary was last seen open
	returned time.Time     // start of the last return
}

// sight is what a machine sees at one instant.
type sight struct {
	now         time.Time
	primary     string
	isDefault   bool   // primary has Order 0
	primaryOpen bool   // its breaker is open
	alternate   string // the first address besides primary that may be used now, "" = none
	fromUsable  bool   // the former address (from, or primary before this step) may be used now
}

// spread is ±20 %.
func spread(d time.Duration, chance float64) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*chance))
}

// step moves on to s.now. chance is a random number in [0,1).
func (m *machine) step(s sight, chance float64) {
	if s.primaryOpen {
		m.seenOpen = s.now
	}
	if s.primary != m.primary {
		m.ordered(s, chance)
		return
	}
	switch m.mode {
	case Normal:
		if s.primaryOpen && s.alternate != "" {
			m.leave(s, chance)
		}
	case Away:
		switch {
		case !s.fromUsable && s.alternate != "":
			m.from = s.alternate
		case s.primaryOpen || s.now.Sub(m.since) < m.hold || s.now.Sub(m.seenOpen) < steady:
		default:
			m.comeBack(s, chance)
		}
	case Returning:
		switch {
		case s.primaryOpen && s.alternate != "":
			m.leave(s, chance)
		case !s.primaryOpen && (s.now.Sub(m.since) >= m.hold || !s.fromUsable):
			m.set(Normal, s.now)
		}
	}
}

// ordered obeys a list that commands another address. An alternate is taken at once; to the default address the calls go
// back with slow start.
func (m *machine) ordered(s sight, chance float64) {
	former, first := m.primary, m.primary == ""
	m.primary, m.strikes, m.returned = s.primary, 0, time.Time{}
	m.seenOpen = time.Time{}
	if s.primaryOpen {
		m.seenOpen = s.now
	}
	m.set(Normal, s.now)
	if first || !s.isDefault || !s.fromUsable || s.primaryOpen {
		return
	}
	m.from = former
	m.comeBack(s, chance)
}

// leave goes to the alternate.
func (m *machine) leave(s sight, chance float64) {
	switch {
	case m.returned.IsZero() || s.now.Sub(m.returned) >= calm:
		m.strikes = 0
	case m.strikes < maxStrikes:
		m.strikes++
	}
	hold := AwayMin
	for range m.strikes {
		hold = min(hold*awayGrowth, AwayMax)
	}
	m.set(Away, s.now)
	m.from, m.hold = s.alternate, spread(hold, chance)
}

// comeBack starts the return. An address that is away because of the list keeps from.
func (m *machine) comeBack(s sight, chance float64) {
	from := m.from
	m.set(Returning, s.now)
	m.from, m.hold, m.returned = from, spread(ReturnTime, chance), s.now
}

func (m *machine) set(mode Mode, now time.Time) {
	m.mode, m.since, m.from, m.hold = mode, now, "", 0
}

// share is the part of the calls that belongs to primary at now.
func (m *machine) share(now time.Time) float64 {
	switch m.mode {
	case Away:
		return 0
	case Returning:
		if m.hold <= 0 {
			return 1
		}
		return min(1, ReturnShare+(1-ReturnShare)*float64(max(0, now.Sub(m.since)))/float64(m.hold))
	}
	return 1
}
