package sandbox

import (
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Paging of Recip-e's lists (dossier 04 5.1). A list that does not fit in one page is fixed when its first page is asked
// for; the following pages come from that list, so that nothing is skipped or shown twice when prescriptions change
// between two calls. What the dossier does not know is decided so:
//
//   - the first page has the number that the first call gives it, 0 or 1. When that call has no page element, the number of
//     the second page says which it was.
//   - a page with another number needs the session of the former one. A session that was not given out for the same list to
//     the same caller, or was forgotten (recipeSessions lists are remembered), is refused with status 300. A call for the
//     first page begins anew, with whatever session: the official module sends the last one it has.
//   - month, year and context are read by nobody.
const (
	recipePageSize = 50   // items of a page
	recipeSessions = 1000 // lists that can be continued
)

// recipePaging remembers the lists that can be continued. The state's lock guards it; the zero value is ready.
type recipePaging struct {
	lists map[string]*recipeListing
	order []string // sessions, the oldest first
}

// recipeListing is one list that does not fit in one page.
type recipeListing struct {
	key   string // role, operation, caller and about what
	size  int
	base  int // number of the first page; -1 = not said yet
	items []string
}

// recipePageAsk is what a param says about paging.
type recipePageAsk struct {
	given   bool // there is a page element with a number
	number  int
	session string // decoded; "" = none
	bad     bool   // not a number, or not base64
}

// recipePageOf reads page and session of a param.
func recipePageOf(param *xmltree.Node) recipePageAsk {
	var ask recipePageAsk
	for n := range param.Elements() {
		switch {
		case n.Is("", "page"):
			for f := range n.Elements() {
				if !f.Is("", "pageNumber") {
					continue
				}
				number, err := strconv.Atoi(strings.TrimSpace(textOf(f)))
				ask.given, ask.number, ask.bad = true, number, ask.bad || err != nil || number < 0
			}
		case n.Is("", "session"):
			raw, err := decodeBase64(textOf(n))
			ask.session, ask.bad = string(raw), ask.bad || err != nil
		}
	}
	return ask
}

// recipePage is one page of a list.
type recipePage[T any] struct {
	items   []T
	more    bool
	session []byte
}

// recipePaged cuts the page that the param asks for out of items, which id names. about is what else the list depends on,
// such as the patient. Items of a continued list that are gone meanwhile are left out.
func recipePaged[T any](x *recipeCall, about string, items []T, id func(T) string) (recipePage[T], *recipeRefusal) {
	ask := recipePageOf(x.param)
	g := &x.st.rest.paging
	key := strings.Join([]string{string(x.role), x.op.name, x.who.number, about}, "\x00")
	have := g.lists[ask.session]
	if have != nil && have.key != key {
		have = nil
	}
	switch {
	case ask.bad:
		return recipePage[T]{}, x.refuse(recipeBadPage)
	case !ask.given, ask.number == 0, ask.number == 1 && ask.session == "", have != nil && ask.number == have.base:
		return firstRecipePage(x, key, ask, items, id), nil
	case have == nil:
		return recipePage[T]{}, x.refuse(recipeBadPage)
	}
	if have.base < 0 { // the first call had no number: continuing with 1 means it was 0
		have.base = min(ask.number-1, 1)
	}
	from := (ask.number - have.base) * have.size
	if from >= len(have.items) {
		return recipePage[T]{}, x.refuse(recipeBadPage)
	}
	to := min(from+have.size, len(have.items))
	now := map[string]T{}
	for _, it := range items {
		now[id(it)] = it
	}
	page := recipePage[T]{more: to < len(have.items), session: []byte(ask.session)}
	for _, name := range have.items[from:to] {
		if it, still := now[name]; still {
			page.items = append(page.items, it)
		}
	}
	return page, nil
}

// firstRecipePage begins a list.
func firstRecipePage[T any](x *recipeCall, key string, ask recipePageAsk, items []T, id func(T) string) recipePage[T] {
	size := x.st.behaviour.PageSize
	if size <= 0 {
		size = recipePageSize
	}
	if len(items) <= size {
		return recipePage[T]{items: items}
	}
	l := &recipeListing{key: key, size: size, base: -1}
	if ask.given {
		l.base = ask.number
	}
	for _, it := range items {
		l.items = append(l.items, id(it))
	}
	g := &x.st.rest.paging
	if g.lists == nil {
		g.lists = map[string]*recipeListing{}
	}
	if len(g.order) >= recipeSessions {
		delete(g.lists, g.order[0])
		g.order = g.order[1:]
	}
	session := make([]byte, 24)
	_, _ = rand.Read(session) // never fails since Go 1.24
	g.lists[string(session)] = l
	g.order = append(g.order, string(session))
	return recipePage[T]{items[:size], true, session}
}

// write writes hasMoreResults and session, the end of every list.
func (p recipePage[T]) write(w *xmltree.Writer) {
	leafFlag(w, "hasMoreResults", p.more)
	if p.session != nil {
		leafBinary(w, "session", p.session)
	}
}

// recipeRest is what the state holds besides prescriptions. The state's lock guards it; the zero value is ready.
type recipeRest struct {
	paging       recipePaging
	relations    []*recipeRelation
	reservations map[string]*recipeReservation // by RID
	notes        recipeNotes
	validation   *RecipeValidation // nil = the sandbox's own
}
