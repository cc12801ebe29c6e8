package sandbox

import (
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Notifications from prescribers to pharmacies, and feedback from pharmacies to prescribers (dossier 04 6, 7 and 9.5). Both are
// kept as they came, sealed for the addressee. What the dossier does not know is decided so:
//
//   - readFlag false lists what was not listed before, true lists everything. Either way what is listed counts as read,
//     also when the answer does not arrive: who repeats a list must ask with true.
//   - feedback is taken from a pharmacy that had to do with the prescription, when feedback is welcome.
//   - notes are never removed, and a list has no pages.
const (
	recipeNoteLimit = 10_000   // notes that are kept
	recipeNoteBytes = 64 << 20 // of their contents
)

// recipeNotes is all notifications and feedback. The state's lock guards it; the zero value is ready.
type recipeNotes struct {
	all  []*recipeNote
	size int
}

// recipeNote is one notification or feedback.
type recipeNote struct {
	to, by  string
	rid     string // of feedback; "" = a notification
	at      time.Time
	content []byte
	read    bool
}

// note keeps a note.
func (x *recipeCall) note(n *recipeNote) *recipeRefusal {
	n.by, n.at, n.content = x.who.number, x.at, x.binary("content")
	all := &x.st.rest.notes
	switch {
	case len(n.content) == 0:
		return x.refuse(recipeBadNote)
	case len(all.all) >= recipeNoteLimit, all.size+len(n.content) > recipeNoteBytes:
		return x.refuse(recipeFull)
	}
	all.all, all.size = append(all.all, n), all.size+len(n.content)
	return nil
}

// notes lists the notes for the caller that readFlag asks for, and marks them as read.
func (x *recipeCall) notes(feedback bool) ([]*recipeNote, *recipeRefusal) {
	readToo, ok := x.flag("readFlag")
	if !ok {
		return nil, x.refuse(recipeBadFlag)
	}
	var out []*recipeNote
	for _, n := range x.st.rest.notes.all {
		if (n.rid != "") == feedback && sameNumber(n.to, x.who.number) && (readToo || !n.read) {
			n.read = true
			out = append(out, n)
		}
	}
	return out, nil
}

// sendNotification is the prescriber's.
func (x *recipeCall) sendNotification() (recipeBody, *recipeRefusal) {
	to, r := x.pharmacy()
	if r == nil && x.text("patientId") != "" {
		_, r = x.patientID()
	}
	if r == nil {
		r = x.note(&recipeNote{to: to})
	}
	if r == nil {
		x.did("recipe.notified")
	}
	return nil, r
}

// listNotifications is the pharmacy's.
func (x *recipeCall) listNotifications() (recipeBody, *recipeRefusal) {
	list, r := x.notes(false)
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, n := range list {
			w.Start("", "notifications")
			n.write(w)
		}
	}, nil
}

// createFeedback is the pharmacy's.
func (x *recipeCall) createFeedback() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	if r != nil {
		return nil, r
	}
	had := slices.ContainsFunc(p.history, func(e PrescriptionEvent) bool { return sameNumber(e.By, x.who.number) })
	to := x.text("prescriberId")
	switch {
	case !had:
		return nil, x.refuse(recipeNotAllowed)
	case to != "" && !sameNumber(to, p.prescriber):
		return nil, x.refuse(recipeBadPrescriber)
	case !p.feedback:
		return nil, x.refuse(recipeNoFeedback)
	}
	if r = x.note(&recipeNote{to: p.prescriber, rid: p.rid}); r == nil {
		x.did("recipe.feedback")
	}
	return nil, r
}

// listFeedbacks is the prescriber's.
func (x *recipeCall) listFeedbacks() (recipeBody, *recipeRefusal) {
	list, r := x.notes(true)
	if r != nil {
		return nil, r
	}
	return func(w *xmltree.Writer) {
		for _, n := range list {
			w.Start("", "feedbacks")
			w.Leaf("", "rid", n.rid)
			n.write(w)
		}
	}, nil
}

// write ends the element that the caller began.
func (n *recipeNote) write(w *xmltree.Writer) {
	w.Leaf("", "sentBy", n.by)
	w.Leaf("", "sentDate", recipeTime(n.at))
	leafBinary(w, "content", n.content)
	w.End()
}

// RecipeNote is a notification or a feedback as those who drive the sandbox see it.
type RecipeNote struct {
	RID     string // of feedback; "" = a notification
	By, To  string // NIHII of sender and addressee
	At      time.Time
	Content []byte // sealed, as it came
	Read    bool   // the addressee has listed it
}

// RecipeNotes lists notifications and feedback in the order of arrival. Looking has no effect.
func (s *Sandbox) RecipeNotes() []RecipeNote {
	s.recipe.mu.Lock()
	defer s.recipe.mu.Unlock()
	var out []RecipeNote
	for _, n := range s.recipe.rest.notes.all {
		out = append(out, RecipeNote{RID: n.rid, By: n.by, To: n.to, At: n.at, Content: slices.Clone(n.content), Read: n.read})
	}
	return out
}
