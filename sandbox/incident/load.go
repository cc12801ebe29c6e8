package incident

import (
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

// Shape of a working day (dossier 06 C.2, assumed there): the share of the day's calls in each hour from 08:00 on, and
// how much busier Mondays are.
var hourWeights = [...]float64{0.08, 0.14, 0.15, 0.13, 0.07, 0.06, 0.09, 0.10, 0.10, 0.08}

const (
	firstHour     = 8
	workingHours  = 10
	mondayFactor  = 1.25
	nightFraction = 0.01 // of the working-hour mean, at night and at weekends; not in the dossier
)

// HourWeight is the share of a working day's calls that fall into the hour of t, read on t's own wall clock (use Belgian
// time). It is 0 outside 08:00 to 18:00 and at weekends. Mondays count 1.25 times, so that their weights add up to 1.25.
func HourWeight(t time.Time) float64 {
	h := t.Hour() - firstHour
	if h < 0 || h >= len(hourWeights) || t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		return 0
	}
	w := hourWeights[h]
	if t.Weekday() == time.Monday {
		w *= mondayFactor
	}
	return w
}

// Flow is one kind of traffic of the country (dossier 06 C.3).
type Flow struct {
	Name    string
	Service string  // name in the fault grammar
	Mean    float64 // requests a second, mean over the working hours
	Peak    float64 // requests a second, at the busiest moment
}

// Flows are the national rates.
func Flows() []Flow {
	return []Flow{
		{"eHealthBox messages", "ehbox-pub", 9.3, 28},
		{"prescriptions created", "recipe-presc", 10.6, 32},
		{"prescriptions retrieved and archived", "recipe-exec", 21, 63},
		{"insurability", "genins", 22, 65},
		{"STS sessions", "sts", 0, 5}, // 70 % of them between 08:00 and 09:30; no mean published
	}
}

// RestartRate is the STS load after a general restart with naive clients: 40 000 users within a minute (dossier 06 C.3).
const RestartRate = 670.0

// Rate is the national rate of a service at t, in requests a second: its working-hour mean in the shape of the day,
// and one hundredth of the mean at night and at weekends. Services without a published mean get a third of
// sandbox.PeakRate as mean, the peak factor of the dossier turned round.
func Rate(service string, t time.Time) float64 {
	mean := sandbox.PeakRate(service) / 3
	for _, f := range Flows() {
		if f.Service == service && f.Mean > 0 {
			mean = f.Mean
		}
	}
	return mean * max(HourWeight(t)*workingHours, nightFraction)
}

// Fleet is how many users of each kind a simulation has (dossier 06 C.4).
type Fleet struct {
	Pharmacies             int
	DesksPerPharmacy       int
	GPs                    int
	Specialists            int
	Dentists               int
	Hospitals              int // with shared sessions
	PrescribersPerHospital int
	GuardPosts             int
	Scale                  float64 // of the country; use it as sandbox.Config.Scale
}

// Hundredth is the suggested fleet: one in a hundred of the country.
func Hundredth() Fleet {
	return Fleet{
		Pharmacies: 48, DesksPerPharmacy: 3, GPs: 130, Specialists: 110, Dentists: 40, Hospitals: 2, PrescribersPerHospital: 200,
		GuardPosts: 3, Scale: 0.01,
	}
}
