package main

import (
	"slices"
	"strings"
)

// A point is a place to die.
type point struct {
	name  string
	hits  int    // the highest passage worth waiting for
	store string // boltStore or pgStore; "" = both
}

const (
	boltStore = "bolt"
	pgStore   = "postgres"
	rxStore   = "recipe" // prescriptions, on bbolt
)

// rxPoints are further ones of programs that prescribe and dispense, which ask more than they send. There a Send is several
// messages, so that passages beyond the first are between the steps of one dispensing.
var rxPoints = []point{
	{"ask.before", 12, rxStore},
	{"ask.after", 12, rxStore},
	{"paper.before", 1, rxStore},
	{"paper.after", 1, rxStore},
}

var points = []point{
	{"put.before", 3, ""},
	{"put.after", 3, ""},
	{"ack.before", 3, ""},
	{"begin.before", 3, ""},
	{"begin.written", 3, ""},
	{"send.connected", 3, ""},
	{"send.written", 3, ""},
	{"send.answered", 3, ""},
	{"send.after", 3, ""},
	{"record.before", 3, ""},
	{"record.after", 3, ""},
	{"lapse.before", 1, ""},
	{"resolve.before", 1, ""},
	{"resolve.after", 1, ""},
	{"resolve.recorded", 1, ""},
	{"rotate.secret", 1, ""},
	{"rotate.item", 10, ""},
	{"timer", 1, ""},

	{"journal.before", 12, boltStore},
	{"journal.written", 12, boltStore},
	{"journal.after", 12, boltStore},
	{"journal.during", 12, boltStore},
	{"commit.before", 2, boltStore},
	{"commit.after", 2, boltStore},
	{"commit.during", 2, boltStore},
	{"replay.before", 1, boltStore},
	{"replay.after", 1, boltStore},
	{"compact.begun", 1, boltStore},
	{"compact.copied", 1, boltStore},
	{"compact.synced", 1, boltStore},
	{"compact.renamed", 1, boltStore},
	{"compact.after", 1, boltStore},
	{"migrate.before", 1, boltStore},
	{"migrate.derived", 1, boltStore},
	{"migrate.after", 1, boltStore},

	{"postgres.insert.before", 3, pgStore},
	{"postgres.insert.during", 3, pgStore},
	{"postgres.insert.after", 3, pgStore},
	{"postgres.claim.before", 5, pgStore},
	{"postgres.claim.during", 5, pgStore},
	{"postgres.claim.after", 5, pgStore},
	{"postgres.swap.before", 6, pgStore},
	{"postgres.swap.during", 6, pgStore},
	{"postgres.swap.after", 6, pgStore},
	{"postgres.mark.before", 1, pgStore},
	{"postgres.mark.after", 1, pgStore},
	{"postgres.join.before", 1, pgStore},
	{"postgres.join.during", 1, pgStore},
	{"postgres.join.after", 1, pgStore},
	{"vendor.before", 1, pgStore},
	{"vendor.during", 1, pgStore},
	{"vendor.after", 1, pgStore},
	{"postgres.migrate.before", 1, pgStore},
	{"postgres.migrate.step", 2, pgStore},
	{"postgres.migrate.after", 1, pgStore},
}

// need is what a store must have in it so that a child which works on it comes to a point, the rarest the highest.
type need uint8

const (
	needItem    need = 1 << iota // something was put
	needFlight                   // a message was under way when a child died, and none has looked at it since
	needJournal                  // something is in the journal when the file is opened
)

// needs tells what must be there before a child can come to a point; 0 = nothing.
func (p point) needs() need {
	switch {
	case strings.HasPrefix(p.name, "replay."):
		return needJournal
	case strings.HasPrefix(p.name, "lapse."), strings.HasPrefix(p.name, "resolve."):
		return needFlight
	case strings.HasPrefix(p.name, "compact."), p.name == "rotate.item":
		return needItem
	}
	return 0
}

// setup is a point at which a death leaves behind what is needed.
func (n need) setup() point {
	name := map[need]string{needItem: "put.after", needFlight: "send.written", needJournal: "journal.after"}[n]
	return points[slices.IndexFunc(points, func(p point) bool { return p.name == name })]
}

// flying are the points at which a death leaves a message under way.
var flying = []string{
	"begin.written", "send.connected", "send.written", "send.answered", "send.after", "record.before", "lapse.before", "resolve.before", "resolve.after",
}

// pointsOf are those that a store has.
func pointsOf(store string) []point {
	all := slices.Clone(points)
	if store == rxStore {
		all, store = append(all, rxPoints...), boltStore
		for i, p := range all {
			if strings.HasPrefix(p.name, "send.") {
				all[i].hits = 6
			}
		}
	}
	return slices.DeleteFunc(all, func(p point) bool { return p.store != "" && p.store != store && p.store != rxStore })
}
