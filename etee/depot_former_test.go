package etee_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
)

// TestDepotFormer: what the depot had before is known over restarts, checked anew, until it is too old.
func TestDepotFormer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		old := w.party("CBE=0823257311", "hospital", spec{})
		renewed := w.party("CBE=0823257311", "hospital", spec{notBefore: time.Now().Add(-time.Hour)})
		tokens := map[string][]byte{"CBE/0823257311": old.token}
		p := &platform{answer: registry(tokens)}
		conf := etee.DepotConfig{Store: &memoryStore{records: map[string][]byte{}}, OnError: func(err error) { t.Error(err) }}
		var d *etee.Depot
		step := func(what string, token []byte, want *party) {
			t.Helper()
			if tokens["CBE/0823257311"] = token; token == nil {
				delete(tokens, "CBE/0823257311")
			}
			d = p.depot(t, conf) // a new process
			_, err := d.Get(t.Context(), etee.RecipeIdentifier)
			if (err == nil) != (token != nil) {
				t.Errorf("%s: %v", what, err)
			}
			for _, d := range []*etee.Depot{d, p.depot(t, conf)} {
				f, ok := d.Former(t.Context(), etee.RecipeIdentifier)
				if ok != (want != nil) || ok && !f.Tokens[0].ETK.Encryption().Equal(want.enc.Certificate) {
					t.Errorf("%s: former %t", what, ok)
				}
			}
			time.Sleep(9 * time.Hour)
		}
		step("first", old.token, nil)
		step("the same", old.token, nil)
		step("another", renewed.token, old)
		step("the same again", renewed.token, old)
		step("none", nil, renewed)
		step("still none", nil, renewed)
		step("back", renewed.token, renewed)
		step("none again", nil, renewed)
		time.Sleep(31 * 24 * time.Hour)
		step("too old", nil, nil)
		step("there is one", old.token, nil)
		step("changed", renewed.token, old)
		f, err := d.Get(t.Context(), etee.RecipeIdentifier)
		check(t, err)
		d.Drop(t.Context(), f)
		step("what was dropped is not kept", old.token, nil)
	})
}
