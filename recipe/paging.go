package recipe

import (
	"context"
	"iter"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// maxPages bounds a list.
const maxPages = 200

// listing is a list that comes in pages. The first page is asked for without a number; the next with 1 and with the session
// that came with the one before (dossier 04 section 5.1). Where there is no session, nothing but the number tells the pages apart,
// and from which one they are counted is not published: there, too, the next is 1, so that none is skipped, and who reads them leaves
// out what comes twice.
type listing[R protocol.Result] struct {
	op     operation
	param  func(protocol.Keyed, protocol.Paged) protocol.Param
	result func() R
	more   func(R) protocol.More
}

// pages goes through the pages. An error ends the list: what came before is all there is.
func pages[R protocol.Result](ctx context.Context, c *client, l listing[R]) iter.Seq2[*answered[R], error] {
	return func(yield func(*answered[R], error) bool) {
		var at protocol.Paged
		for n := range maxPages {
			if n > 0 {
				at.Page = &protocol.Page{PageNumber: n}
			}
			a, err := ask(ctx, c, question[R]{
				op: l.op, result: l.result, param: func(k protocol.Keyed) protocol.Param { return l.param(k, at) },
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(a, nil) {
				return
			}
			more := l.more(a.Result)
			if !more.HasMoreResults {
				return
			}
			at.Session = more.Session
		}
		yield(nil, &fault.Error{Op: l.op.name, Service: c.service, Kind: fault.Protocol, Outcome: fault.Done, Err: errEndless})
	}
}

const errEndless reason = "recipe: the list does not end"
