package sandbox

import (
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// turn is the day on which patients who changed insurer did so: the first of this year.
func (a *geninsAnswer) turn() time.Time {
	return time.Date(a.today.Year(), time.January, 1, 0, 0, 0, 0, time.UTC)
}

// Why a patient is not insured. The fixed patient's insurance ended (dossier 05 section 8); those of the seed differ
// by the last digit of their registration number.
const (
	closedBefore = iota
	startLater
	died
)

func (a *geninsAnswer) reason() int {
	p := a.patient
	if p.RegNr == "00"+p.SSIN.Reveal() { // a fixed one
		return closedBefore
	}
	switch d := p.RegNr[len(p.RegNr)-1]; {
	case d < '4':
		return closedBefore
	case d < '7':
		return startLater
	}
	return died
}

// deathBefore is how many days ago those patients died who are not insured because of that.
const deathBefore = 30

// death is the day of death; zero for the living.
func (a *geninsAnswer) death() time.Time {
	if a.patient.Scenario != NotInsured || a.reason() != died {
		return time.Time{}
	}
	return a.today.AddDate(0, 0, -deathBefore)
}

// writeSituation says what is special within the period (dossier 05 1.5). Who asks about days after a change of
// insurer hears where the patient came from, about days before it, where he goes to, and across it, both.
func (a *geninsAnswer) writeSituation(w *xmltree.Writer, q *geninsRequest) {
	event := func(name string) {
		w.Start("c", "GeneralSituation")
		w.Attr("", "Event", name)
	}
	transfer := func(direction, union string) {
		w.Start("c", "Transfer")
		w.Attr("", "Direction", direction)
		w.Leaf("c", "InsuranceOrg", union+"00")
		w.Leaf("c", "TransferDate", a.turn().Format(time.DateOnly))
		w.End()
	}
	switch a.patient.Scenario {
	case NotInsured:
		if a.reason() == startLater {
			event("startLater")
		} else {
			event("closedBefore")
		}
		w.End()
	case Transferred:
		before, after := q.from.Before(a.turn()), !q.to.Before(a.turn())
		if before && after {
			event("multiple")
		} else {
			event("changeDuring")
		}
		if before {
			transfer("toOtherIo", a.patient.Mutuality[:1])
		}
		if after {
			transfer("fromOtherIo", otherMutuality[:1])
		}
		w.End()
	}
}

// writePayment: the insurer pays the provider directly for patients with increased reimbursement, in hospital, and
// in a medical house, which is paid a flat rate.
func (a *geninsAnswer) writePayment(w *xmltree.Writer) {
	sc := a.patient.Scenario
	w.Start("c", "Payment")
	w.Leaf("c", "PaymentByIo", strconv.FormatBool(sc == Preferential || sc == Transferred || sc == Hospitalised))
	if sc == Preferential {
		w.Leaf("c", "MaxInvoiced", strconv.Itoa(a.today.Year()-1))
	}
	w.Leaf("c", "SpecialSocialCategory", strconv.FormatBool(sc == Preferential))
	w.End()
}

// span is one period of insurance.
type span struct {
	mutuality string
	from, to  time.Time
}

// mostSpans is how many periods an answer holds; splitDays is the length of those of a patient with two insurers.
const (
	mostSpans = 5
	splitDays = 60
)

// spans are the periods of a patient that touch the question.
func (a *geninsAnswer) spans(q *geninsRequest) []span {
	p := a.patient
	switch p.Scenario {
	case NotInsured:
		return nil
	case Transferred:
		turn := a.turn()
		old := span{otherMutuality, turn.AddDate(-1, 0, 0), turn.AddDate(0, 0, -1)}
		if q.from.Before(old.from) {
			old.from = q.from
		}
		if q.to.Before(turn) {
			return []span{old}
		}
		return []span{old, {p.Mutuality, turn, turn.AddDate(1, 0, -1)}}
	case SeveralIO:
		var out []span
		for from := q.from; !from.After(q.to); from = from.AddDate(0, 0, splitDays) {
			to := from.AddDate(0, 0, splitDays-1)
			if to.After(q.to) {
				to = q.to
			}
			out = append(out, span{a.mutuality, from, to})
		}
		return out
	}
	return []span{{a.mutuality, q.from, q.to}}
}

// writeList writes at most five periods and says so when there are more.
func (a *geninsAnswer) writeList(w *xmltree.Writer, q *geninsRequest) {
	all := a.spans(q)
	w.Start("c", "InsurabilityList")
	w.Attr("", "Truncated", strconv.FormatBool(len(all) > mostSpans))
	for _, s := range all[:min(len(all), mostSpans)] {
		w.Start("c", "InsurabilityItem")
		w.Leaf("c", "RegNrWithMut", a.patient.RegNr)
		w.Leaf("c", "Mutuality", s.mutuality)
		w.Start("c", "Period")
		w.Leaf("c", "PeriodStart", s.from.Format(time.DateOnly))
		w.Leaf("c", "PeriodEnd", s.to.Format(time.DateOnly))
		w.End()
		w.Leaf("c", "CT1", a.patient.CT1)
		w.Leaf("c", "CT2", a.patient.CT2)
		w.Leaf("c", "InsurabilityDate", a.today.Format(time.DateOnly))
		w.End()
	}
	w.End()
}
