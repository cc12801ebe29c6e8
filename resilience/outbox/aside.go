package outbox

import "context"

// maxAside bounds how many items that were set aside are looked at.
const maxAside = 100_000

// Aside lists the items that were set aside because they were damaged: only ID and Kind are certain. [Box.Show] does not find them
// any more, and nobody knows what became of them: who is not to do something twice looks here before it believes ErrNotFound.
func (b *Box) Aside(ctx context.Context) ([]View, error) {
	var out []View
	q := Query{Aside: true, Limit: 1000}
	for len(out) < maxAside {
		page, err := b.page(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			out = append(out, View{ID: e.ID, Kind: e.Kind})
		}
		if page.More == nil {
			break
		}
		q.After = page.More
	}
	return out, nil
}
