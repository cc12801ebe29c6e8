package sts

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// judged drives a Refusals as the securities of several callers do.
type judged struct {
	t    *testing.T
	r    *Refusals
	j    *journal
	toks map[string]*Token
}

func judge(t *testing.T) *judged {
	j := &journal{}
	return &judged{t: t, r: NewRefusals(j.note), j: j, toks: map[string]*Token{}}
}

// token is the present token of who; renew gives another one of the same caller.
func (x *judged) token(who string) *Token {
	if x.toks[who] == nil {
		x.renew(who)
	}
	return x.toks[who]
}

func (x *judged) renew(who string) {
	x.toks[who] = &Token{ID: fmt.Sprint(len(x.toks), time.Now()), asserted: []Claim{{Name: "urn:ssin", Values: []string{who}}}}
}

func (x *judged) served(who, service string) {
	h := &holderOfKey{last: x.token(who), refusals: x.r}
	h.Served(service)
}

// denied returns whether the refusal was taken for an outage.
func (x *judged) denied(who, service, code string) bool {
	x.t.Helper()
	h := &holderOfKey{last: x.token(who), refusals: x.r}
	e := &fault.Error{Kind: fault.Denied, Outcome: fault.Rejected, Service: service, Code: code, Notice: "D-RIGHT", Err: http.ErrNoLocation}
	h.Denied(e)
	group := e.Kind == fault.Unavailable
	if group != (e.Notice == "D-AUTH-GROUP") || !group && e.Kind != fault.Denied || e.Outcome != fault.Rejected || h.Refused(x.t.Context(), e) {
		x.t.Errorf("%+v", e)
	}
	if _, on := x.r.Group(); on != group && group {
		x.t.Error("no group")
	}
	return group
}

const noRight = "SOA-01002"

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		f    func(x *judged) bool // the last refusal: an outage?
		want bool
	}{
		"one lost right": {func(x *judged) bool {
			x.served("a", "s")
			return x.denied("a", "s", noRight)
		}, false},
		"three callers": {func(x *judged) bool {
			for _, who := range []string{"a", "b", "c"} {
				x.served(who, "s")
			}
			return !x.denied("a", "s", noRight) && !x.denied("b", "s", noRight) && x.denied("c", "s", noRight)
		}, true},
		"three services": {func(x *judged) bool {
			for _, s := range []string{"s", "t", "u"} {
				x.served("a", s)
			}
			x.denied("a", "s", noRight)
			x.denied("a", "t", noRight)
			return x.denied("a", "u", noRight)
		}, true},
		"three refusals of one caller by one service": {func(x *judged) bool {
			x.served("a", "s")
			x.denied("a", "s", noRight)
			x.denied("a", "s", noRight)
			return x.denied("a", "s", noRight)
		}, false},
		"five of them": {func(x *judged) bool {
			x.served("a", "s")
			for range 4 {
				if x.denied("a", "s", noRight) {
					return false
				}
				time.Sleep(5 * time.Minute)
			}
			return x.denied("a", "s", noRight)
		}, true},
		"five, the right never was there": {func(x *judged) bool {
			x.served("a", "t")
			for range 20 {
				x.denied("a", "s", noRight)
			}
			return x.denied("a", "s", noRight)
		}, false},
		"many callers who never had it": {func(x *judged) bool {
			for i := range 50 {
				x.denied(fmt.Sprint(i), "s", noRight)
			}
			return x.denied("a", "s", noRight)
		}, false},
		"too far apart": {func(x *judged) bool {
			for _, who := range []string{"a", "b", "c"} {
				x.served(who, "s")
			}
			x.denied("a", "s", noRight)
			time.Sleep(GroupWindow / 2)
			x.denied("b", "s", noRight)
			time.Sleep(GroupWindow / 2)
			return x.denied("c", "s", noRight)
		}, false},
		"served too long ago": {func(x *judged) bool {
			x.served("a", "s")
			time.Sleep(ServedWithin)
			for range 10 {
				x.denied("a", "s", noRight)
			}
			return x.denied("a", "s", noRight)
		}, false},
		"five over more than an hour": {func(x *judged) bool {
			x.served("a", "s")
			for range 4 {
				x.denied("a", "s", noRight)
				time.Sleep(45 * time.Minute)
			}
			return x.denied("a", "s", noRight)
		}, true},
		"five, one every two hours": {func(x *judged) bool {
			x.served("a", "s")
			for range 10 {
				x.denied("a", "s", noRight)
				time.Sleep(2 * time.Hour)
			}
			return x.denied("a", "s", noRight)
		}, false},
		"the right ended with the token": {func(x *judged) bool {
			x.served("a", "s")
			x.renew("a")
			for range 10 {
				x.denied("a", "s", noRight)
			}
			return x.denied("a", "s", noRight)
		}, false},
		"a new token in the middle": {func(x *judged) bool {
			x.served("a", "s")
			x.denied("a", "s", noRight)
			x.renew("a")
			for range 3 {
				x.denied("a", "s", noRight)
			}
			return x.denied("a", "s", noRight)
		}, true},
		"not authenticated, new token too": {func(x *judged) bool {
			x.served("a", "s")
			x.renew("a")
			for range 4 {
				x.denied("a", "s", codeUnauthenticated)
			}
			return x.denied("a", "s", codeUnauthenticated)
		}, true},
		"served in between": {func(x *judged) bool {
			for range 10 {
				x.served("a", "s")
				x.denied("a", "s", noRight)
			}
			return x.denied("a", "s", noRight)
		}, false},
		"somebody new during the outage": {func(x *judged) bool {
			for _, who := range []string{"a", "b", "c"} {
				x.served(who, "s")
				x.denied(who, "s", noRight)
			}
			for _, who := range []string{"a", "b", "c"} {
				x.denied(who, "s", noRight)
			}
			return x.denied("new", "t", noRight)
		}, true},
		"the morning after": {func(x *judged) bool {
			for _, who := range []string{"a", "b", "c"} {
				x.served(who, "s")
			}
			for _, who := range []string{"a", "b", "c"} {
				x.denied(who, "s", noRight)
			}
			time.Sleep(12 * time.Hour)
			return x.denied("new", "t", noRight)
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := tt.f(judge(t)); got != tt.want {
					t.Errorf("taken for an outage: %v", got)
				}
			})
		})
	}
}

// TestRefusalsEnd: the first served call ends the group; while some calls are served and others not,
// it is one group and one announcement.
func TestRefusalsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := judge(t)
		callers := []string{"a", "b", "c"}
		for _, who := range callers {
			x.served(who, "s")
		}
		for _, who := range callers {
			x.denied(who, "s", noRight)
		}
		begin := time.Now()
		if since, on := x.r.Group(); !on || !since.Equal(begin) {
			t.Error(since, on)
		}
		for range 20 {
			time.Sleep(5 * time.Second)
			x.served("a", "s")
			if _, on := x.r.Group(); on {
				t.Error("goes on although a call was served")
			}
			for _, who := range callers {
				if !x.denied(who, "s", noRight) && time.Since(begin) > 10*time.Second {
					t.Error("a plain refusal after", time.Since(begin))
				}
			}
			if since, on := x.r.Group(); !on || !since.Equal(begin) {
				t.Error("began anew", since, on)
			}
		}
		e := x.j.of()
		if len(e) != 1 || e[0].Kind != GroupRefusal || e[0].Notice != "D-AUTH-GROUP" || !e[0].At.Equal(begin) {
			t.Error(e)
		}
		x.served("a", "s")
		time.Sleep(10 * time.Minute)
		for _, who := range callers {
			x.served(who, "s")
			x.denied(who, "s", noRight)
		}
		if since, on := x.r.Group(); !on || !since.Equal(time.Now()) || len(x.j.of()) != 2 {
			t.Error("a second outage is not a new one", since, on, x.j.of())
		}
	})
}

// TestRefusalsOwnFault: what must be mended on this computer is no outage.
func TestRefusalsOwnFault(t *testing.T) {
	x := judge(t)
	for _, notice := range []string{noticeClock, noticeKey} {
		for i := range 10 {
			who := fmt.Sprint(i)
			x.served(who, "s")
			e := &fault.Error{Kind: fault.Denied, Service: "s", Code: codeUnauthenticated, Notice: notice}
			x.r.judge(x.token(who), e)
			if e.Kind != fault.Denied || e.Notice != notice {
				t.Errorf("%+v", e)
			}
		}
	}
	x.r.judge(x.token("a"), nil)
}

// TestRefusalsBounded: what is remembered does not grow without end, and recent callers stay.
func TestRefusalsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Refusals{}
		for i := range maxPairs {
			r.served(caller(i), 1, "s", time.Now())
		}
		time.Sleep(2 * ServedWithin)
		for i := range 100 {
			r.served(caller(-i-1), 1, "s", time.Now())
		}
		if len(r.pairs) > 200 {
			t.Errorf("%d pairs, the old ones did not go", len(r.pairs))
		}
		for i := range 2 * maxPairs {
			r.denied(caller(i), 1, "t", noRight, time.Now())
		}
		if len(r.pairs) > maxPairs || len(r.recent) > maxRecent {
			t.Errorf("%d pairs, %d refusals", len(r.pairs), len(r.recent))
		}
		for i := range 10 * maxRecent {
			r.served(caller(i), 1, "u", time.Now())
			r.denied(caller(i), 1, "u", noRight, time.Now())
		}
		if len(r.recent) != maxRecent || !slices.IsSortedFunc(r.recent, func(a, b refusedCall) int { return a.at.Compare(b.at) }) {
			t.Errorf("%d refusals", len(r.recent))
		}
	})
}

// TestRefusalsWithoutJudge: HolderOfKey without Refusals leaves refusals alone.
func TestRefusalsWithoutJudge(t *testing.T) {
	for name, h := range map[string]*holderOfKey{"no judge": {last: &Token{}}, "no message yet": {refusals: &Refusals{}}} {
		e := &fault.Error{Kind: fault.Denied, Code: noRight}
		h.Served("s")
		for range 20 {
			h.Denied(e)
		}
		if e.Kind != fault.Denied || e.Notice != "" {
			t.Error(name, e)
		}
	}
}
