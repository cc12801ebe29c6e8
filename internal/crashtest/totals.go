package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// totals is what the campaigns of one store saw.
type totals struct {
	Store    string
	Crashes  map[string]int // by point
	Torn     map[string]int
	Servers  map[string]int // ends of the database server, by how
	Refs     int            // made
	Told     int            // of them, those whose callers were told something
	Seen     int            // answers that callers saw
	Effects  int
	Lost     int
	Doubled  int
	Disorder int
	Checks   int
	Excused  int // children that could not work because their server was down
	Spared   int // children that did not come to their point
	Starved  int // children that could not finish the work in time, and were followed by others
	Took     time.Duration
	Rx       rxTotals // of rxStore
	points   []point
}

func newTotals(store string) *totals {
	return &totals{Store: store, Crashes: map[string]int{}, Torn: map[string]int{}, Servers: map[string]int{}, points: pointsOf(store)}
}

func (r *totals) add(o *totals) {
	for _, m := range []struct{ to, from map[string]int }{{r.Crashes, o.Crashes}, {r.Torn, o.Torn}, {r.Servers, o.Servers}} {
		for k, n := range m.from {
			m.to[k] += n
		}
	}
	for _, p := range []struct{ to, from *int }{
		{&r.Refs, &o.Refs},
		{&r.Told, &o.Told},
		{&r.Seen, &o.Seen},
		{&r.Effects, &o.Effects},
		{&r.Lost, &o.Lost},
		{&r.Doubled, &o.Doubled},
		{&r.Disorder, &o.Disorder},
		{&r.Checks, &o.Checks},
		{&r.Excused, &o.Excused},
		{&r.Spared, &o.Spared},
		{&r.Starved, &o.Starved},
		{&r.Rx.Electronic, &o.Rx.Electronic},
		{&r.Rx.Paper, &o.Rx.Paper},
		{&r.Rx.Both, &o.Rx.Both},
		{&r.Rx.Neither, &o.Rx.Neither},
		{&r.Rx.Ghosts, &o.Rx.Ghosts},
		{&r.Rx.Archived, &o.Rx.Archived},
		{&r.Rx.Revoked, &o.Rx.Revoked},
		{&r.Rx.Unsure, &o.Rx.Unsure},
	} {
		*p.to += *p.from
	}
}

func (r *totals) crashes() (n int) {
	for _, c := range r.Crashes {
		n += c
	}
	return n
}

// missing lists the points at which nobody died.
func (r *totals) missing() (out []string) {
	for _, p := range r.points {
		if r.Crashes[p.name] == 0 {
			out = append(out, p.name)
		}
	}
	return out
}

// good tells whether nothing was lost, doubled or out of order.
func (r *totals) good() bool {
	return r.Lost+r.Doubled+r.Disorder+r.Rx.Both+r.Rx.Neither+r.Rx.Ghosts == 0 && r.Checks > 0
}

func (r *totals) print(w io.Writer) {
	fmt.Fprintf(w, "store %s\n", r.Store)
	for _, p := range r.points {
		fmt.Fprintf(w, "  %-24s %6d\n", p.name, r.Crashes[p.name])
	}
	for _, m := range []map[string]int{r.Torn, r.Servers} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(w, "  %-24s %6d\n", k, m[k])
		}
	}
	fmt.Fprintf(w, "  crashes %d in %v; %d children did not come to their point, %d had not enough time to finish, %d found no server\n",
		r.crashes(), r.Took.Round(time.Second), r.Spared, r.Starved, r.Excused)
	fmt.Fprintf(w, "  everything counted %d times: items %d, told of %d, answers seen %d, effects %d\n", r.Checks, r.Refs, r.Told, r.Seen, r.Effects)
	fmt.Fprintf(w, "  lost %d, doubled %d, out of order %d\n", r.Lost, r.Doubled, r.Disorder)
	if r.Store == rxStore {
		r.Rx.print(w)
	}
}

func (b behaved) print(w io.Writer) {
	fmt.Fprintf(w, "platform: effects %d, repeated %d; requests %d, answers dropped after execution %d, executed late %d, too late to be executed %d, refused as expired %d, tokens issued %d\n",
		b.Effects, b.Doubles, b.Requests, b.Dropped, b.Late, b.Missed, b.Expired, b.Tokens)
}
