package sandbox

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// listOpenRids is the prescriber's: the RIDs of his own open prescriptions for the patient.
func (x *recipeCall) listOpenRids() (recipeBody, *recipeRefusal) {
	patient, r := x.patientID()
	if r != nil {
		return nil, r
	}
	found := x.find(func(p *prescription) bool { return p.patient == patient && p.by(x) && p.open() })
	page, r := recipePaged(x, patient, found, ridOf)
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			w.Leaf("", "prescriptions", p.rid)
		}
		page.write(w)
	}, r
}

// listHistoryForPrescriber is listRidsHistory.
func (x *recipeCall) listHistoryForPrescriber() (recipeBody, *recipeRefusal) {
	patient, r := x.patientID()
	if r != nil {
		return nil, r
	}
	active, _ := x.flag("activeResults")
	found := x.find(func(p *prescription) bool { return p.patient == patient && p.by(x) && p.past() != active })
	page, r := recipePaged(x, patient+"/"+strconv.FormatBool(active), found, ridOf)
	return func(w *xmltree.Writer) {
		for _, p := range page.items {
			w.Start("", "items")
			w.Leaf("", "rid", p.rid)
			w.Leaf("", "prescriptionStatus", string(p.status))
			w.End()
		}
		page.write(w)
	}, r
}

// listPrescriptions is the list of 2023: of one patient, or of everybody to whom the caller prescribed. hasHidden tells that
// others wrote some that he may not see.
func (x *recipeCall) listPrescriptions() (recipeBody, *recipeRefusal) {
	pass, r := x.selection()
	if r != nil {
		return nil, r
	}
	hidden := false
	found := x.find(func(p *prescription) bool {
		switch {
		case !pass(p):
			return false
		case !p.visible(x):
			hidden = true
			return false
		}
		return true
	})
	if r := x.sort(found); r != nil {
		return nil, r
	}
	found, more, r := x.numberedPage(found)
	return func(w *xmltree.Writer) {
		w.Start("", "partial")
		w.Attr("", "hasHidden", strconv.FormatBool(hidden))
		leafFlag(w, "hasMoreResults", more)
		for _, p := range found {
			p.writeListed(w)
		}
		w.End()
	}, r
}

// numberedPage cuts a page out of a list that has no session. Without a number, and with the one from which pages are counted, it
// is the first.
func (x *recipeCall) numberedPage(all []*prescription) (page []*prescription, more bool, r *recipeRefusal) {
	ask := recipePageOf(x.param)
	size := cmp.Or(max(0, x.st.behaviour.PageSize), recipePageSize)
	pages := max(1, (len(all)+size-1)/size)
	n := ask.number
	if x.st.behaviour.PagesFromZero {
		n++
	}
	n = max(1, n)
	if ask.bad || n > pages {
		return nil, false, x.refuse(recipeBadPage)
	}
	return all[(n-1)*size : min(n*size, len(all))], n < pages, nil
}

// writeListed writes one entry of listPrescriptions.
func (p *prescription) writeListed(w *xmltree.Writer) {
	w.Start("", "prescription")
	w.Attr("", "rid", p.rid)
	w.Attr("", "status", string(p.status))
	w.Attr("", "date", dayIn(p.created).Format(time.DateOnly))
	w.Attr("", "valid-until", p.expires.Format(time.DateOnly))
	w.Attr("", "vision-other-prescribers", p.others)
	w.Attr("", "encryption-key", p.keyID)
	w.Attr("", "encrypted-content", base64.StdEncoding.EncodeToString(p.sealed))
	w.Start("", "prescriber")
	w.Attr("", "id", p.prescriber)
	w.Attr("", "type", p.kind)
	w.End()
	w.End()
}

// selection reads the filters of listPrescriptionsParam.
func (x *recipeCall) selection() (func(*prescription) bool, *recipeRefusal) {
	patient := ""
	if x.field("patientId") != nil {
		var r *recipeRefusal
		if patient, r = x.patientID(); r != nil {
			return nil, r
		}
	}
	var states []PrescriptionStatus
	if n := x.field("status"); n != nil {
		for c := range n.Elements() {
			state := PrescriptionStatus(collapse(textOf(c)))
			if !c.Is("", "status") || !slices.Contains([]PrescriptionStatus{NotDelivered, InProcess, Delivered, Archived, Revoked, Expired}, state) {
				return nil, x.refuse(recipeBadParam)
			}
			states = append(states, state)
		}
		if len(states) == 0 {
			return nil, x.refuse(recipeBadParam)
		}
	}
	created, ok1 := recipePeriod(x.field("between"))
	expiring, ok2 := recipePeriod(x.field("expiringBetween"))
	if !ok1 || !ok2 {
		return nil, x.refuse(recipeBadParam)
	}
	prescriber := x.text("prescriberId")
	return func(p *prescription) bool {
		return (patient == "" && p.by(x) || p.patient == patient) &&
			(len(states) == 0 || slices.Contains(states, p.status)) &&
			created(dayIn(p.created)) && expiring(p.expires) &&
			(prescriber == "" || sameNumber(prescriber, p.prescriber))
	}, nil
}

// recipePeriod reads the attributes from and to-inclusive; absent ones do not limit.
func recipePeriod(n *xmltree.Node) (func(day time.Time) bool, bool) {
	var bounds [2]time.Time
	for i, local := range []string{"from", "to-inclusive"} {
		if n == nil {
			break
		}
		text, given := n.Attr("", local)
		if !given {
			continue
		}
		day, ok := parseDate(collapse(text))
		if !ok {
			return nil, false
		}
		bounds[i] = day
	}
	return func(day time.Time) bool {
		return (bounds[0].IsZero() || !day.Before(bounds[0])) && (bounds[1].IsZero() || !day.After(bounds[1]))
	}, true
}

// sort orders what was found as sortOptions say; what has no reservation keeps the order of creation under that attribute.
func (x *recipeCall) sort(found []*prescription) *recipeRefusal {
	options := x.field("sortOptions")
	if options == nil {
		return nil
	}
	for c := range options.Elements() {
		attribute, _ := c.Attr("", "attribute")
		order, _ := c.Attr("", "order")
		down := order == "descending"
		switch {
		case !c.Is("", "sortedBy"), !down && order != "ascending":
			return x.refuse(recipeBadParam)
		case attribute == "reservation-modification-date":
		case attribute != "prescription-date":
			return x.refuse(recipeBadParam)
		case down:
			slices.SortStableFunc(found, func(a, b *prescription) int { return b.created.Compare(a.created) })
		default:
			slices.SortStableFunc(found, func(a, b *prescription) int {
				return a.created.Compare(b.created)
			})
		}
	}
	return nil
}

func ridOf(p *prescription) string { return p.rid }
