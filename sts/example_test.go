package sts_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/sts"
)

// Many callers share one token; a failing STS is asked once a second at most.
func ExampleCached() {
	asked := 0
	source := sts.TokenSourceFunc(func(context.Context) (*sts.Token, error) {
		asked++ // in a program: sts.Client.Source(request)
		return &sts.Token{NotOnOrAfter: time.Now().Add(time.Hour)}, nil
	})
	tokens, err := sts.Cached(source, sts.Margin(2*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		if _, err := tokens.Token(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("asked", asked, "time")
	// Output: asked 1 time
}
