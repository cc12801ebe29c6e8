package sts_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/sts"
)

// The card is refused, as in May 2018: the other login is used, and the person is told.
func ExampleDurable() {
	card := sts.TokenSourceFunc(func(context.Context) (*sts.Token, error) {
		return nil, &fault.Error{Op: "sts.Issue", Kind: fault.Denied, Outcome: fault.Rejected}
	})
	certificate := sts.TokenSourceFunc(func(context.Context) (*sts.Token, error) {
		return &sts.Token{ID: "_1", NotOnOrAfter: time.Now().Add(24 * time.Hour)}, nil
	})
	tokens, err := sts.Durable(
		sts.Chain(sts.Login{Name: "identity card", Source: card}, sts.Login{Name: "eHealth certificate", Source: certificate}),
		sts.OnEvent(func(e sts.Event) { fmt.Printf("%v by %s, notice %q\n", e.Kind, e.Login, e.Notice) }),
	)
	if err != nil {
		panic(err)
	}
	defer tokens.Close()
	tok, err := tokens.Token(context.Background())
	fmt.Println(tok.Via.Login, tok.Via.Fallback, tok.Via.Why, err)
	// Output:
	// renewed by eHealth certificate, notice ""
	// fallback used by eHealth certificate, notice "D-AUTH-USED"
	// eHealth certificate true denied <nil>
}

// The other login waits for its password: it is offered in the error.
func ExampleChain() {
	card := sts.TokenSourceFunc(func(context.Context) (*sts.Token, error) {
		return nil, &fault.Error{Op: "sts.Issue", Kind: fault.Denied, Outcome: fault.Rejected}
	})
	_, err := sts.Chain(sts.Login{Name: "identity card", Source: card}, sts.Login{Name: "eHealth certificate"}).Token(context.Background())
	fe, _ := errors.AsType[*fault.Error](err)
	le, _ := errors.AsType[*sts.LoginError](err)
	fmt.Println(fe.Kind, fe.Notice)
	fmt.Println("also configured:", le.Others)
	// Output:
	// denied D-AUTH-FALLBACK
	// also configured: [eHealth certificate]
}
