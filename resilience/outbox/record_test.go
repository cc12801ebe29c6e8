package outbox

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// What is written by hand is what json.Marshal writes, or is not written.
func TestCommonMeta(t *testing.T) {
	for _, c := range []struct {
		of     any
		fields int
	}{{meta{}, 17}, {Try{}, 5}} {
		if got := reflect.TypeOf(c.of).NumField(); got != c.fields {
			t.Fatalf("%T has %d fields, not %d: appendCommon must know each of them", c.of, got, c.fields)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	text := func() string {
		return pick("", "a", "prescription/1", "12 days", "a\"b", "a\\b", "<a>", "a&b", "\x00", "\x1f", "\x7f", "é", "\u2028", "a\xffb", "~ !'")
	}
	instant := func() time.Time {
		at := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
		switch r.IntN(9) {
		case 0:
			return time.Time{}
		case 1:
			return at.Add(time.Duration(r.Int64N(1e18)))
		case 2:
			return at.In(brussels)
		case 3:
			return time.Date([]int{-1, 10000, 0, 9999}[r.IntN(4)], 1, 1, 0, 0, 0, 0, time.UTC)
		case 4:
			return time.Unix(0, 0).UTC()
		}
		return at.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
	}
	octets := func() []byte {
		return [][]byte{nil, {}, {1}, {1, 2}, []byte("a sum of thirty-two bytes ......")}[r.IntN(5)]
	}
	few := func() int { return max(0, r.IntN(12)-10) }
	common := 0
	for range 100_000 {
		m := meta{
			Key: text(), Ref: text(), Rule: pick("never", "12 days", "midnight", text()), Created: instant(), Sum: octets(), Tries: few(), Fails: few(), Asks: few(),
			Pending: r.IntN(2) == 0, Reason: Reason(pick("", "", "", "tries")), Begun: instant(), Valid: instant(), Horizon: instant(),
			Doubled: few() > 0, Author: octets(),
		}
		if few() > 0 {
			m.Last = &Failure{Code: text()}
		}
		if r.IntN(9) == 0 {
			m.History = []Try{}
		}
		for range r.IntN(4) {
			try := Try{N: r.IntN(30) - 1, Begun: instant(), Ended: instant(), Outcome: fault.Outcome(r.IntN(5))}
			if few() > 0 {
				try.Failure = &Failure{Kind: fault.Denied}
			}
			m.History = append(m.History, try)
		}
		got, ok := m.appendCommon(nil)
		if !ok {
			continue
		}
		common++
		if want, err := json.Marshal(&m); err != nil || string(got) != string(want) {
			t.Fatalf("%s, want %s (%v)", got, want, err)
		}
	}
	if common < 1000 {
		t.Errorf("only %d were common", common)
	}
}

// The three headers of an item that is carried out at once are common ones.
func TestUsualLifeIsCommon(t *testing.T) {
	at := time.Date(2026, 11, 22, 11, 0, 0, 1, time.UTC)
	p, err := Policy{Class: resilience.IdempotentWrite}.resolved()
	if err != nil {
		t.Fatal(err)
	}
	r := &record{Entry: Entry{State: Prepared}, meta: meta{Key: "a", Ref: "b/1", Rule: Days(60).String(), Created: at, Sum: []byte{1}, Author: []byte{2}}}
	common := func() {
		t.Helper()
		if _, ok := r.appendCommon(nil); !ok {
			t.Error("json.Marshal is needed")
		}
	}
	common()
	if _, err := r.begin(at, at.Add(time.Minute), p); err != nil {
		t.Fatal(err)
	}
	common()
	if err := r.concluded(1, nil, at, p, 0); err != nil || r.State != Done {
		t.Fatal(err)
	}
	common()
}
