package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// The section of the page of figures. Each store has a block of its own in it, so that one may be
// measured without the other.
const sectionHead = `
## Figures 6 and 7: lost and doubled operations

Processes that use the outbox are killed (SIGKILL) at every named step of their work, at random moments and in the middle of writes, against the
sandbox over TLS with real tokens and signatures. It drops 10 % of the answers after the execution, loses 4 % of the exchanges, executes 20 % of the
writes after it cut their client off, and refuses what has expired; some clients hold a signed message until after the end of their lease. The command
that measures both stores, each in a run of its own: ` + "`go run ./internal/crashtest -n 10400 -write docs/figures.md`" + `.

Formula: what the sandbox executed, against what callers were told, per reference and in the order of each key.
`

var storeName = map[string]string{boltStore: "bbolt", pgStore: "PostgreSQL", rxStore: "Prescriptions"}

func blockMarks(store string) (begin, end string) {
	return "<!-- crashes " + store + " -->\n", "<!-- end of crashes " + store + " -->\n"
}

// writePage puts the result into the page at path, in place of an earlier one of the same store.
func writePage(path string, t *totals, b behaved, seed uint64) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(page)
	if !strings.Contains(text, sectionHead) {
		text = strings.TrimRight(text, "\n") + "\n" + sectionHead
	}
	begin, end := blockMarks(t.Store)
	block := begin + t.block(b, seed) + end
	if i, j := strings.Index(text, begin), strings.Index(text, end); i >= 0 && j > i {
		text = text[:i] + block + text[j+len(end):]
	} else {
		at := strings.Index(text, sectionHead) + len(sectionHead)
		text = text[:at] + "\n" + block + text[at:]
	}
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // a public page
}

// block is the result of one store.
func (t *totals) block(b behaved, seed uint64) string {
	var w bytes.Buffer
	torn := 0
	for _, n := range t.Torn {
		torn += n
	}
	servers := 0
	for _, n := range t.Servers {
		servers += n
	}
	fmt.Fprintf(&w, "### %s\n\n", storeName[t.Store])
	if t.Store == rxStore {
		w.WriteString(rxHead)
	}
	fmt.Fprintf(&w, "Measured on %s with seed %d, in %v.\n\n| | target | measured |\n|---|---|---|\n", time.Now().Format(time.DateOnly), seed, t.Took.Round(time.Second))
	row := func(name, target string, n any) { fmt.Fprintf(&w, "| %s | %s | %v |\n", name, target, n) }
	if t.Store == rxStore {
		t.rxRows(b, torn, row)
		t.deaths(&w)
		return w.String()
	}
	row("processes killed", "≥ 5000", t.crashes())
	row("points at which none was", "0", len(t.missing()))
	if t.Store == boltStore {
		row("writes torn after that", "–", torn)
	} else {
		row("kills of the database server, under all of them", "–", servers)
	}
	row("operations that callers were told of", "–", t.Told)
	row("answers dropped after execution, of all exchanges", "10 %", fmt.Sprintf("%.1f %%", 100*float64(b.Dropped)/float64(max(b.Requests, 1))))
	row("executed after the client was cut off", "–", b.Late)
	row("messages refused because they had expired", "–", b.Expired)
	row("**lost**", "0", t.Lost)
	row("**executed twice**", "0", t.Doubled)
	row("**keys served out of order**", "0", t.Disorder)
	row("tokens that the STS issued, to one person", "1", b.Tokens)
	t.deaths(&w)
	return w.String()
}

// deaths lists the points.
func (t *totals) deaths(w *bytes.Buffer) {
	fmt.Fprintf(w, "\nProcesses killed by point: ")
	var at []string
	for _, p := range t.points {
		at = append(at, fmt.Sprintf("%s %d", p.name, t.Crashes[p.name]))
	}
	for _, k := range slices.Sorted(maps.Keys(t.Torn)) {
		at = append(at, fmt.Sprintf("then %s %d", k, t.Torn[k]))
	}
	fmt.Fprintf(w, "%s.\n", strings.Join(at, ", "))
}

// rxHead says what is different with prescriptions.
const rxHead = `The same with the prescriber's and the pharmacy's client on one bbolt file, against the sandbox's Recip-e over TLS: create, deliver, archive
and revoke, with real seals. Each prescription has its own day of expiry, by which the sandbox's list is compared with what people were told; whoever
is told that an outcome is unsure asks for paper at once. Of the answers 10 % are dropped after the execution and 2 % cannot be opened. The command:
` + "`go run ./internal/crashtest -store recipe -n 2100 -write docs/figures.md`" + `.

`

func (t *totals) rxRows(b behaved, torn int, row func(name, target string, n any)) {
	row("processes killed", "≥ 2000", t.crashes())
	row("points at which none was", "0", len(t.missing()))
	row("writes torn after that", "–", torn)
	row("prescriptions asked for", "–", t.Refs)
	row("electronic, and told with their RID", "–", t.Rx.Electronic)
	row("on paper, after a permit", "–", t.Rx.Paper)
	row("told to be unsure in between", "–", t.Rx.Unsure)
	row("dispensed: delivered and archived", "–", t.Rx.Archived)
	row("revoked", "–", t.Rx.Revoked)
	row("answers dropped after execution, of all exchanges", "10 %", fmt.Sprintf("%.1f %%", 100*float64(b.Dropped)/float64(max(b.Requests, 1))))
	row("messages refused because they had expired", "–", b.Expired)
	row("**lost**: told, and not so at Recip-e", "0", t.Lost)
	row("**doubled**: created, delivered, archived or revoked twice", "0", t.Doubled)
	row("**ghosts**: created, and the prescriber does not know the RID", "0", t.Rx.Ghosts)
	row("**on paper and electronic**", "0", t.Rx.Both)
	row("**neither**", "0", t.Rx.Neither)
	row("tokens that the STS issued, to two parties", "2", b.Tokens)
}
