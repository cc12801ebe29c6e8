// Package incident is the catalogue of past incidents of the Belgian eHealth platform as fault scripts, some situations
// without an incident behind them, and the shape of the national load.
//
//	script, ok := incident.Get("INC-2018-06-12-LB")
//	time.Sleep(time.Until(script.T0))          // in a testing/synctest bubble, for the right hour of the day
//	run, err := sb.Apply(script)
//
// The column known of each step says which of its cells come from published sources; everything else was assumed so
// that the incident can be replayed, and must not be quoted as a fact about eHealth (dossier 06 A.4).
//
// Get reports false for an unknown id. The data is part of the package and read at start; nothing else can fail.
package incident
