package sts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
)

func TestChain(t *testing.T) {
	refused, absent := failure(fault.Denied), &fault.Error{Kind: fault.Local, Err: errors.New("no card")}
	clock := &fault.Error{Kind: fault.Denied, Notice: noticeClock, Err: &exchange.SkewError{Skew: 20 * time.Minute}}
	tests := map[string]struct {
		card, certificate error
		locked            bool // the certificate waits for its password
		asked             int  // logins tried
		kind              fault.Kind
		notice            string
		others            []string
	}{
		"card works":                    {asked: 1},
		"card refused":                  {card: refused, asked: 2},
		"card refused without a reason": {card: errors.New("x"), asked: 2},
		"card absent":                   {card: absent, asked: 2},
		"both refused":                  {card: refused, certificate: failure(fault.Denied), asked: 2, kind: fault.Denied, notice: "D-AUTH-NONE"},
		"card absent, STS down":         {card: absent, certificate: failure(fault.Unavailable), asked: 2, kind: fault.Unavailable, notice: "D-AUTH-NONE"},
		"general error":                 {card: general(nil), asked: 2},
		"general error of the platform": {card: general(&soap.SOAError{Code: "SOA-00001"}), asked: 2},
		"STS says it is down":           {card: general(&soap.SOAError{Code: "SOA-02001"}), asked: 1, kind: fault.Unavailable, notice: "D-AUTH-NONE", others: []string{"certificate"}},
		"STS down":                      {card: failure(fault.Unavailable), asked: 1, kind: fault.Unavailable, notice: "D-AUTH-NONE", others: []string{"certificate"}},
		"STS hangs":                     {card: failure(fault.Timeout), asked: 1, kind: fault.Timeout, notice: "D-AUTH-NONE", others: []string{"certificate"}},
		"STS overloaded":                {card: failure(fault.Throttled), asked: 1, kind: fault.Throttled, notice: "D-AUTH-NONE", others: []string{"certificate"}},
		"forged answer":                 {card: failure(fault.Security), asked: 1, kind: fault.Security, notice: "D-AUTH-NONE", others: []string{"certificate"}},
		"wrong clock":                   {card: clock, asked: 1, kind: fault.Denied, notice: "D-CLOCK", others: []string{"certificate"}},
		"refused, other locked":         {card: refused, locked: true, asked: 1, kind: fault.Denied, notice: "D-AUTH-FALLBACK", others: []string{"certificate"}},
		"STS down, other locked":        {card: failure(fault.Timeout), locked: true, asked: 1, kind: fault.Timeout, notice: "D-AUTH-NONE", others: []string{"certificate"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := 0
			source := func(err error) TokenSource {
				return TokenSourceFunc(func(context.Context) (*Token, error) {
					asked++
					if err != nil {
						return nil, err
					}
					return &Token{ID: "1"}, nil
				})
			}
			logins := []Login{{"card", source(tt.card)}, {"certificate", source(tt.certificate)}}
			if tt.locked {
				logins[1].Source = nil
			}
			tok, err := Chain(logins...).Token(t.Context())
			if asked != tt.asked {
				t.Errorf("%d logins tried", asked)
			}
			if tt.kind == 0 {
				want := Via{Login: logins[asked-1].Name, Fallback: asked > 1, Why: fault.KindOf(tt.card)}
				if err != nil {
					t.Fatal(err)
				}
				if got := tok.Via; got.Login != want.Login || got.Fallback != want.Fallback || got.Why != want.Why || got.At.IsZero() {
					t.Errorf("%+v, want %+v", got, want)
				}
				return
			}
			fe := checkError(t, err, tt.kind)
			le, ok := errors.AsType[*LoginError](err)
			if !ok || fe.Notice != tt.notice || len(le.Tried) != tt.asked || !slices.Equal(le.Others, tt.others) {
				t.Errorf("%s, notice %s", err, fe.Notice)
			}
			for _, l := range logins {
				if !strings.Contains(err.Error(), l.Name) {
					t.Errorf("%s is not named in: %v", l.Name, err)
				}
			}
			if tt.notice == "D-CLOCK" && !strings.Contains(err.Error(), "clock is off by 20 minutes") {
				t.Error(err)
			}
		})
	}
}

func general(soa *soap.SOAError) error {
	return &fault.Error{Kind: fault.Unavailable, Notice: noticeNoLogin, Err: &exchange.Fault{Fault: &soap.Fault{FaultCode: "Server", SOA: soa}}}
}

func TestChainWithoutLogin(t *testing.T) {
	_, err := Chain().Token(t.Context())
	checkError(t, err, fault.Invalid)
	_, err = Chain(Login{Name: "certificate"}).Token(t.Context())
	if fe := checkError(t, err, fault.Local); fe.Notice != "D-AUTH-FALLBACK" || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	none := TokenSourceFunc(func(context.Context) (*Token, error) { return nil, nil })
	_, err = Chain(Login{"card", none}).Token(t.Context())
	checkError(t, err, fault.Local)
}

// TestChainEnded: when the caller's time is over, no further login is tried.
func TestChainEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := false
	card := TokenSourceFunc(func(context.Context) (*Token, error) { cancel(); return nil, failure(fault.Denied) })
	other := TokenSourceFunc(func(context.Context) (*Token, error) { asked = true; return &Token{}, nil })
	if _, err := Chain(Login{"card", card}, Login{"certificate", other}).Token(ctx); err == nil || asked {
		t.Error(err, asked)
	}
}

// TestChainGoesBack: the fallback ends with the next login, and the shared token is not changed.
func TestChainGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card, other := &issuer{life: time.Hour, fails: failure(fault.Denied)}, &issuer{life: time.Hour}
		j := &journal{}
		d, err := Durable(Chain(Login{"card", card}, Login{"certificate", other}), OnEvent(j.note))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if via := mustToken(t, d).Via; via.Login != "certificate" || !via.Fallback || via.Why != fault.Denied || !via.At.Equal(time.Now()) {
			t.Errorf("%+v", via)
		}
		card.fail(nil)
		time.Sleep(time.Hour)
		if via := mustToken(t, d).Via; via.Login != "card" || via.Fallback || via.Why != 0 {
			t.Errorf("%+v", via)
		}
		if e := j.of(FallbackUsed); len(e) != 1 || e[0].Login != "certificate" || e[0].Notice != "D-AUTH-USED" || len(other.calls()) != 1 {
			t.Error(e)
		}
	})
}
