package figures

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// cell is the median and the worst of a client.
func (r *Row) cell(client string) string {
	median, worst := r.Unit.text(r.Median(client)), r.Unit.text(r.Worst(client))
	if median == worst {
		return median
	}
	return median + " / " + worst
}

// of returns the rows of one figure.
func (t *Table) of(figure string) (out []Row) {
	for _, r := range t.Rows {
		if r.Figure == figure {
			out = append(out, r)
		}
	}
	return out
}

// WriteText writes the table for a terminal: per row the target, and per client the median and the worst of all seeds, once where
// they are the same.
func (t *Table) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "Figures of dossier 08 section 4, %s; median / worst\n", seeds(t.Seeds))
	for _, d := range descriptions {
		rows := t.of(d.no)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s. %s: %s\n", d.no, d.name, d.formula)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(tw, "  \ttarget\t%s\t\n", strings.Join(Clients(), "\t"))
		for _, r := range rows {
			fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Target.text(r.Unit), r.cell(Ours), r.cell(Naive), r.cell(ConnectorLike), r.result())
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	missed := t.Missed()
	_, err := fmt.Fprintf(w, "\n%d rows with a target, %d missed at worst\n", t.targets(), len(missed))
	return err
}

func (t *Table) targets() (n int) {
	for _, r := range t.Rows {
		if r.Target != nil {
			n++
		}
	}
	return n
}

func seeds(n int) string {
	if n == 1 {
		return "1 seed"
	}
	return fmt.Sprintf("%d seeds", n)
}

const pageHead = `# Figures

How the client of this module behaves when the platform does not, in numbers. This page is written by the command that measures them; no number in a table was typed.

    %s

Every scenario is played with %s on virtual time, and each cell gives the **median / worst** of them (one number where both are the same). The load is 100 operations a
second on a server of 125 a second (unless a figure says otherwise), from 50 clients of 2 a second or from one of 100 a second; one attempt of ours and of the naive client may take 2 s. An answer that comes
after 15 s is no success for anybody.

| client | what it is |
|---|---|
| ours | the real policy code with its defaults: retry budget, breaker, adaptive limit, hedging, routing, token source |
| naive | one address, four tries at once, nothing else |
| connector-like | behaves as the official connector was measured to: every failure whatever its status sends the message at once to the other address, if there is one, and moves the whole process there; a connection that ends without an answer is silently tried once more; 30 s for connecting and 30 s for every read; no pause, no breaker, no budget, no queue |

The column "result" is about ours: *met* with every seed; *missed at worst* = met by the median; *missed* by the median too.

`

// WriteMarkdown writes the page docs/figures.md. command is how to make it again.
func (t *Table) WriteMarkdown(w io.Writer, command string) error {
	fmt.Fprintf(w, pageHead, command, seeds(t.Seeds))
	missed := t.Missed()
	fmt.Fprintf(w, "Of %d rows with a target, %d are met.", t.targets(), t.targets()-len(missed))
	if len(missed) > 0 {
		fmt.Fprint(w, " Missed:\n")
		for _, r := range missed {
			fmt.Fprintf(w, "\n- figure %s, %s: %s, wanted %s", r.Figure, r.Name, r.cell(Ours), r.Target.text(r.Unit))
		}
	}
	fmt.Fprintln(w)
	for _, d := range descriptions {
		rows := t.of(d.no)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n## Figure %s: %s\n\n%s\n\nFormula: %s.\n\n", d.no, strings.ToLower(d.name[:1])+d.name[1:], d.scenario, d.formula)
		fmt.Fprintf(w, "| | target | %s | result |\n|---|---|---|---|---|---|\n", strings.Join(Clients(), " | "))
		for _, r := range rows {
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", r.Name, r.Target.text(r.Unit), r.cell(Ours), r.cell(Naive), r.cell(ConnectorLike), r.result())
		}
		if d.note != "" {
			fmt.Fprintf(w, "\n%s\n", d.note)
		}
	}
	_, err := fmt.Fprint(w, pageFoot)
	return err
}

const pageFoot = `
## Not here

10 (overhead of a call) and 11 (cost of durability) are benchmarks. Figures 6 and 7 are measured by internal/crashtest, which writes them below.
`
