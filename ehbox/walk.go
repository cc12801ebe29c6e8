package ehbox

import (
	"context"
	"iter"

	"github.com/ehealth-continuity/ehealth/fault"
)

const (
	// overlap is how many messages of a page are asked for again with the next one. What is deleted or moved meanwhile
	// draws later messages up; as long as a known one is seen again, none was jumped over.
	overlap = 10
	// maxPages ends a walk: 100 000 messages, far more than fit a box of 10 MB.
	maxPages = 1100
)

// ErrMoving: a folder changes faster than it can be listed. Kind Unavailable; later it may succeed.
var ErrMoving error = reason("ehbox: the folder changes faster than it can be listed")

// Walk goes through a folder from the newest message to the oldest, each once, although the list moves under it: what
// arrives shifts messages to later pages, what is deleted draws them to earlier ones (dossier 03 section 1). What arrives
// during the walk may be left out; what was there from its start to its end is not. Stop it when what is known already
// comes.
//
// An entry that cannot be read comes with its Err. An error of the walk ends it. Walking an INBOX marks everything listed
// as received, page by page.
func (c *Client) Walk(ctx context.Context, box *BoxID, folder Folder) iter.Seq2[*Entry, error] {
	return c.walk(ctx, box, folder, func() bool { return true })
}

// walk is Walk that asks before each page and ends where it may not go on.
func (c *Client) walk(ctx context.Context, box *BoxID, folder Folder, may func() bool) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		seen := map[MessageID]bool{}
		start, backs := 1, 0
		for range maxPages {
			if !may() {
				return
			}
			page, err := c.GetMessagesList(ctx, GetMessagesListRequest{Box: box, Folder: folder, Start: start, End: start + MaxWindow - 1})
			if err != nil {
				yield(nil, err)
				return
			}
			if start > 1 && !joined(page.Entries, seen) {
				// Nothing known on this page: the list moved up by more than the overlap. Go back until it joins.
				if backs++; backs > 20 {
					break
				}
				start = max(1, start-(MaxWindow-overlap))
				continue
			}
			for i := range page.Entries {
				e := &page.Entries[i]
				if e.MessageID.valid() {
					if seen[e.MessageID] {
						continue
					}
					seen[e.MessageID] = true
				}
				if !yield(e, nil) {
					return
				}
			}
			if len(page.Entries) < MaxWindow {
				return
			}
			start += MaxWindow - overlap
		}
		yield(nil, &fault.Error{Op: opList, Service: ServiceConsultation, Kind: fault.Unavailable, Outcome: fault.Unknown, Err: ErrMoving})
	}
}

// joined tells that a page overlaps with what was seen. Entries without an id join nothing.
func joined(entries []Entry, seen map[MessageID]bool) bool {
	for _, e := range entries {
		if seen[e.MessageID] {
			return true
		}
	}
	return false
}
