package sandbox

import (
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Limits of out-of-office periods (dossier 03 4.9).
const (
	maxSubstitutes = 5
	maxAbsences    = 10
)

// absenceError answers one of the plain errors, by a fault or in the Status (dossier 03 section 7 has both).
func (x *mailCall) absenceError(code string) *response {
	text := mailCodes[code]
	if code == "826" {
		text = mailTooMany
	}
	if !x.rules.AbsenceInStatus {
		return x.businessText(code, text)
	}
	w := x.writer(nsMailRead, "InsertOoOResponse", x.s.ticket())
	w.statusText(code, text)
	return x.answer(w, "")
}

// insertAbsence is insertOoO.
func (x *mailCall) insertAbsence(st *mailState, n *xmltree.Node) *response {
	a := &mailAbsence{}
	a.from, _ = parseDate(collapse(textOf(n.Child("", "StartDate"))))
	a.to, _ = parseDate(collapse(textOf(n.Child("", "EndDate"))))
	for c := range n.Elements() {
		if c.Local() == "Substitute" {
			a.substitutes = append(a.substitutes, mailboxIn(c))
		}
	}
	if code := x.absencePeriod(a); code != "" {
		return x.absenceError(code)
	}
	code, bad := x.substitutes(st, a)
	switch {
	case code != "" && bad == nil:
		return x.absenceError(code)
	case code != "":
		w := x.writer(nsMailRead, "InsertOoOResponse", x.s.ticket())
		w.status(code)
		for _, sub := range bad {
			w.Start("", "Substitute")
			w.box(sub.Mailbox)
			if sub.absence != nil {
				w.Leaf("", "AbsentFrom", mailDay(sub.absence.from))
				w.Leaf("", "AbsentTo", mailDay(sub.absence.to))
			}
			w.End()
		}
		return x.answer(w, "")
	}
	a.id = st.nextID("O")
	x.box.absent = append(x.box.absent, a)
	w := x.writer(nsMailRead, "InsertOoOResponse", a.id)
	w.status("100")
	return x.answer(w, "ehbox.absence")
}

// absencePeriod checks everything but the substitutes one by one.
func (x *mailCall) absencePeriod(a *mailAbsence) string {
	today := dayIn(x.rq.At)
	switch {
	case x.box.person == nil:
		return "829"
	case a.from.After(a.to):
		return "822"
	case a.from.Before(today):
		return "823"
	case a.to.After(today.AddDate(1, 0, 0)):
		return "821"
	case len(a.substitutes) > maxSubstitutes:
		return "825"
	case len(x.box.absent) >= maxAbsences:
		return "826"
	case slices.ContainsFunc(x.box.absent, a.overlaps):
		return "820"
	}
	return ""
}

func (a *mailAbsence) overlaps(b *mailAbsence) bool {
	return !a.from.After(b.to) && !b.from.After(a.to)
}

// badSubstitute is one that cannot be chosen.
type badSubstitute struct {
	Mailbox
	absence *mailAbsence // nil: unknown
}

// substitutes checks them; bad is nil when the code has no list.
func (x *mailCall) substitutes(st *mailState, a *mailAbsence) (code string, bad []badSubstitute) {
	var unknown, absent []badSubstitute
	for _, m := range a.substitutes {
		if _, org := mailOrganisations[m.Quality]; org {
			return "829", nil
		}
		b := st.boxOf(x.s, m)
		switch {
		case b == nil:
			unknown = append(unknown, badSubstitute{Mailbox: m})
			continue
		case b == x.box:
			return "830", nil
		}
		if i := slices.IndexFunc(b.absent, a.overlaps); i >= 0 {
			absent = append(absent, badSubstitute{m, b.absent[i]})
		}
	}
	switch {
	case len(unknown) > 0:
		return "827", unknown
	case len(absent) > 0:
		return "824", absent
	}
	return "", nil
}

// deleteAbsences is deleteOoO.
func (x *mailCall) deleteAbsences(_ *mailState, n *xmltree.Node) *response {
	var unknown []string
	for c := range n.Elements() {
		if c.Local() != "OoOId" {
			continue
		}
		id, before := textOf(c), len(x.box.absent)
		x.box.absent = slices.DeleteFunc(x.box.absent, func(a *mailAbsence) bool { return a.id == id })
		if len(x.box.absent) == before {
			unknown = append(unknown, id)
		}
	}
	w := x.writer(nsMailRead, "DeleteOoOResponse", x.s.ticket())
	code := "100"
	if len(unknown) > 0 {
		code = "840"
	}
	w.status(code)
	for _, id := range unknown {
		w.Leaf("", "OoOId", id)
	}
	return x.answer(w, "")
}

// listAbsences is getOoOList: past, active and future periods.
func (x *mailCall) listAbsences(_ *mailState, _ *xmltree.Node) *response {
	w := x.writer(nsMailRead, "GetOoOListResponse", x.s.ticket())
	w.status("100")
	for _, a := range x.box.absent {
		w.Start("", "OoO")
		w.Leaf("", "OoOId", a.id)
		w.Leaf("", "StartDate", mailDay(a.from))
		w.Leaf("", "EndDate", mailDay(a.to))
		for _, m := range a.substitutes {
			w.Start("", "Substitute")
			w.box(m)
			w.End()
		}
		w.End()
	}
	return x.answer(w, "")
}

// absent marks a box as out of office, for those who drive the sandbox.
func (st *mailState) absent(b *mailbox, from, to time.Time, substitutes []Mailbox) string {
	a := &mailAbsence{id: st.nextID("O"), from: dayIn(from), to: dayIn(to), substitutes: substitutes}
	b.absent = append(b.absent, a)
	return a.id
}
