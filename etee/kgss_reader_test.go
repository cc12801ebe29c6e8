package etee

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// renewing is a security that always has another token.
type renewing struct{ asked int }

func (*renewing) Secure(context.Context, []byte) ([]byte, error) { return nil, nil }

func (r *renewing) Refused(context.Context, *fault.Error) bool { r.asked++; return true }

// A refusal of a key costs a token once; a question that began with the old token gets its other attempt all the same, and so does
// every refusal that is not about a list.
func TestReaderRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared replacing
		under := &renewing{}
		ask := func() *reader { return &reader{under, time.Now(), &shared} }
		notReader, other := &fault.Error{Code: "InvalidSecurity"}, &fault.Error{Code: "SOA-01001"}
		old := ask()
		time.Sleep(time.Second)
		first := ask()
		time.Sleep(time.Second)
		for i, c := range []struct {
			q    *reader
			e    *fault.Error
			want bool
		}{
			{first, notReader, true},
			{old, notReader, true},
			{ask(), notReader, false},
			{ask(), other, true},
			{ask(), nil, true},
			{ask(), notReader, false},
		} {
			before := under.asked
			if got := c.q.Refused(t.Context(), c.e); got != c.want || (under.asked > before) != c.want {
				t.Errorf("%d: %t", i, got)
			}
		}
		time.Sleep(spared)
		if !ask().Refused(t.Context(), notReader) || ask().Refused(t.Context(), notReader) {
			t.Error("after a while the token is asked for again, once")
		}
	})
}
