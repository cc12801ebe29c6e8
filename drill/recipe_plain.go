package drill

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

// medicines are what doctors of a drill prescribe: codes and names of our own making.
var medicines = []struct{ cnk, name string }{
	{"9910019", "Exemplin 500 mg 30 comp"},
	{"9910027", "Fictazol 20 mg 28 caps"},
	{"9910035", "Proefamol 1 g 20 comp"},
}

// plainContent is a prescription of clients that do not write KMEHR: what is in it is sealed, and nobody but the pharmacy of
// the same kind of client reads it.
func plainContent(v *visit) []byte {
	return fmt.Appendf(nil, "<prescription><reference>%s</reference><cnk>%s</cnk></prescription>", v.reference, medicines[v.medicine].cnk)
}

// plainDesk is a practice or a pharmacy whose program does not use package recipe: what fails has failed, and what is not
// known does not exist.
type plainDesk struct{ r *plainRecipe }

func joinPlainPractice(join func(*sandbox.Sandbox, station) (*plainRecipe, error)) func(*sandbox.Sandbox, station, watch) (practice, error) {
	return func(s *sandbox.Sandbox, at station, _ watch) (practice, error) {
		r, err := join(s, at)
		if err != nil {
			return nil, err
		}
		return plainDesk{r}, nil
	}
}

func joinPlainDispensary(join func(*sandbox.Sandbox, station) (*plainRecipe, error)) func(*sandbox.Sandbox, station, watch) (dispensary, error) {
	return func(s *sandbox.Sandbox, at station, _ watch) (dispensary, error) {
		r, err := join(s, at)
		if err != nil {
			return nil, err
		}
		return plainDesk{r}, nil
	}
}

// prescribe gives paper when the program says that it did not work.
func (d plainDesk) prescribe(ctx context.Context, v *visit) prescribed {
	began := time.Now()
	var p prescribed
	p.rid, p.otherwise, p.err = d.r.create(ctx, v.patient, v.reference, plainContent(v), began.Add(recipeValid))
	p.answered, p.paper = time.Since(began), p.err != nil
	return p
}

// dispense gives the medicine on the proof when it cannot be fetched (dossier 06 B.4.3), and keeps nothing.
func (d plainDesk) dispense(ctx context.Context, v *visit) (out dispensed) {
	out.handed = true
	var content []byte
	if out.shown, content, out.otherwise, out.err = d.r.fetch(ctx, v.rid); out.err != nil {
		return out
	}
	if out.shown == v.rid && !strings.Contains(string(content), "<reference>"+v.reference+"</reference>") {
		out.shown = "another content"
	}
	for _, op := range []recipeOp{opDeliver, opArchive} {
		otherwise, err := d.r.mark(ctx, op, v.rid)
		if out.err = err; err != nil {
			return out
		}
		out.otherwise = out.otherwise || otherwise
	}
	return out
}

func (plainDesk) settle(time.Duration) {} // nothing waits

func (d plainDesk) close() { d.r.close() }
