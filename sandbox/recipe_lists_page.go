package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"

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

// recipePaging remembers the lists that can be continued. The zero value is ready.
type recipePaging struct {
	mu    sync.Mutex
	size  int // items of a page; 0 = recipePageSize
	lists map[string]*recipeListing
	order []string // sessions, the oldest first
}

// recipeListing is one list that does not fit in one page.
type recipeListing struct {
	key   string // operation, caller and about whom
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

// recipePageOf reads page and session of a param, by local names.
func recipePageOf(param *xmltree.Node) recipePageAsk {
	var ask recipePageAsk
	for n := range param.Elements() {
		switch n.Local() {
		case "page":
			for f := range n.Elements() {
				if f.Local() != "pageNumber" {
					continue
				}
				number, err := strconv.Atoi(strings.TrimSpace(textOf(f)))
				ask.given, ask.number, ask.bad = true, number, ask.bad || err != nil || number < 0
			}
		case "session":
			raw, err := decodeBase64(textOf(n))
			ask.session, ask.bad = string(raw), ask.bad || err != nil
		}
	}
	return ask
}

// recipePaged cuts the page that is asked for out of items, which id names. key stands for the operation, the caller and
// the patient. Items of a continued list that are gone meanwhile are left out. ok is false when there is no such list or
// page: the caller answers with status 300.
func recipePaged[T any](
	g *recipePaging, key string, ask recipePageAsk, items []T, id func(T) string,
) (page []T, more bool, session []byte, ok bool) {
	if ask.bad {
		return nil, false, nil, false
	}
	first := !ask.given || ask.number == 0 || (ask.number == 1 && ask.session == "")
	g.mu.Lock()
	defer g.mu.Unlock()
	have := g.lists[ask.session]
	if have != nil && have.key == key && ask.given && ask.number == have.base {
		first = true
	}
	if first {
		return recipeFirst(g, key, ask, items, id)
	}
	if have == nil || have.key != key {
		return nil, false, nil, false
	}
	if have.base < 0 { // the first call had no number: continuing with 1 means it was 0
		have.base = min(ask.number-1, 1)
	}
	from := (ask.number - have.base) * have.size
	if from < 0 || from >= len(have.items) {
		return nil, false, nil, false
	}
	to := min(from+have.size, len(have.items))
	now := map[string]T{}
	for _, it := range items {
		now[id(it)] = it
	}
	for _, name := range have.items[from:to] {
		if it, still := now[name]; still {
			page = append(page, it)
		}
	}
	return page, to < len(have.items), []byte(ask.session), true
}

// recipeFirst is the first page of a list. The lock is held.
func recipeFirst[T any](
	g *recipePaging, key string, ask recipePageAsk, items []T, id func(T) string,
) (page []T, more bool, session []byte, ok bool) {
	size := g.size
	if size <= 0 {
		size = recipePageSize
	}
	if len(items) <= size {
		return items, false, nil, true
	}
	l := &recipeListing{key: key, size: size, base: -1}
	if ask.given {
		l.base = ask.number
	}
	for _, it := range items {
		l.items = append(l.items, id(it))
	}
	if g.lists == nil {
		g.lists = map[string]*recipeListing{}
	}
	if len(g.order) >= recipeSessions {
		delete(g.lists, g.order[0])
		g.order = g.order[1:]
	}
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	g.lists[string(raw)] = l
	g.order = append(g.order, string(raw))
	return items[:size], true, raw, true
}

// setSize changes how many items a page has, for lists that begin from now on.
func (g *recipePaging) setSize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size = n
}

// writeRecipePage writes hasMoreResults and session, the end of every list.
func writeRecipePage(w *xmltree.Writer, more bool, session []byte) {
	w.Leaf("", "hasMoreResults", strconv.FormatBool(more))
	if session != nil {
		w.Leaf("", "session", base64.StdEncoding.EncodeToString(session))
	}
}
