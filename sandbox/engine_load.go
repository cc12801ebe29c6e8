package sandbox

// peaks are the national rates, in requests a second, at the busiest hour (dossier 06 C.3). Those marked [A] are
// ours: the dossier has no figure.
var peaks = map[string]float64{
	"sts":               5,  // one session per user a day
	"genins":            65, // insurability
	"genins-direct":     65, // [A] the second path carries the whole flow when it must
	"recipe-presc":      32,
	"recipe-exec":       63, // retrieve and archive
	"recipe-direct":     95, // [A] both of the above
	"ehbox-pub":         28,
	"ehbox-cons":        56,  // [A] two looks at the box per message
	"etk":               32,  // [A] one token per prescription
	"kgss":              32,  // [A] one key per prescription
	"attest":            10,  // [A]
	"servicelist":       130, // [A] 40 000 users who ask every five minutes
	"app":               10,  // [A]
	"app-direct":        10,  // [A]
	"memberdata":        10,  // [A] beside genins, which most still ask
	"memberdata-direct": 10,  // [A]
}

// PeakRate is the normal peak of a service for the whole country, in requests a second: what rps_rel and ramp refer
// to. It is 0 for groups and unknown names.
func PeakRate(service string) float64 { return peaks[service] }
