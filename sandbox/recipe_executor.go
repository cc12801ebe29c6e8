package sandbox

import "github.com/ehealth-continuity/ehealth/internal/xmltree"

// maxRIDs is how many RIDs putRidsInProcess takes (dossier 04 section 16).
const maxRIDs = 10

// mayTake tells whether the calling pharmacy may have p: nobody has it, or it itself. Whoever has the RID may: vision only
// rules what is found by the patient.
func (x *recipeCall) mayTake(p *prescription) *recipeRefusal {
	if p.status == NotDelivered || (p.status == InProcess && p.at(x)) {
		return nil
	}
	return x.conflict(p)
}

// take puts p into process for the calling pharmacy, which may have it.
func (x *recipeCall) take(p *prescription) {
	if p.status == InProcess {
		return
	}
	p.executor = x.who.number
	x.move(p, InProcess)
	x.did("recipe.inprocess")
}

// deliver is markAsDelivered.
func (x *recipeCall) deliver() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	switch {
	case r != nil:
		return nil, r
	case p.status != InProcess || !p.at(x):
		return nil, x.conflict(p)
	}
	p.delivers++
	x.move(p, Delivered)
	x.did("recipe.delivered")
	return nil, nil
}

// archive is markAsArchived.
func (x *recipeCall) archive() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	switch {
	case r != nil:
		return nil, r
	case !p.at(x), p.status != Delivered && (p.status != InProcess || !x.st.behaviour.ArchiveEarly):
		return nil, x.conflict(p)
	}
	x.move(p, Archived)
	x.did("recipe.archived")
	return nil, nil
}

// undeliver is markAsUnDelivered: anybody may have it again.
func (x *recipeCall) undeliver() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	switch {
	case r != nil:
		return nil, r
	case !p.at(x), p.status != InProcess && p.status != Delivered:
		return nil, x.conflict(p)
	}
	p.executor = ""
	x.move(p, NotDelivered)
	x.did("recipe.undelivered")
	return nil, nil
}

// revokeByExecutor is revokePrescription.
func (x *recipeCall) revokeByExecutor() (recipeBody, *recipeRefusal) {
	p, r := x.rid()
	if r == nil {
		r = x.revoke(p, p.status == NotDelivered || (p.status == InProcess && p.at(x)))
	}
	return nil, r
}

// putInProcess is putRidsInProcess. The answer has every RID with its state and who put it there, whether the caller got it or not.
// One that nobody made refuses them all.
func (x *recipeCall) putInProcess() (recipeBody, *recipeRefusal) {
	rids := x.texts("rids")
	switch {
	case len(rids) == 0:
		return nil, x.refuse(recipeBadRID)
	case len(rids) > maxRIDs:
		return nil, x.refuse(recipeTooManyRIDs)
	}
	var all []*prescription
	for _, rid := range rids {
		p, r := x.lookup(rid)
		if r != nil {
			return nil, r
		}
		all = append(all, p)
	}
	for _, p := range all {
		if p.status == NotDelivered {
			x.did("recipe.reserved")
			x.take(p)
		}
	}
	return func(w *xmltree.Writer) {
		for _, p := range all {
			w.Start("", "item")
			w.Leaf("", "rid", p.rid)
			w.Leaf("", "prescriptionStatus", string(p.status))
			w.Leaf("", "statusUpdater", p.updater)
			w.End()
		}
	}, nil
}
