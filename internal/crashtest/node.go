package main

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// node works on what others put until its input ends, which it does when the parent is gone too.
func (w *worker) node(ctx context.Context, box *outbox.Box) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	w.tell(report{What: "ready"})
	return box.Run(ctx)
}

// login gets a token for everybody, so that each identity has one to share.
func (known *world) login(ctx context.Context, tokens sts.Store) error {
	for i := range known.People {
		c, err := known.client(i, tokens)
		if err != nil {
			return err
		}
		_, err = c.tokens.Token(ctx)
		if err := errors.Join(err, c.tokens.Close()); err != nil {
			return err
		}
	}
	return nil
}

// holdOnce holds the first message of a child that is asked to, and says so.
func (w *worker) holdOnce() func(put) bool {
	var once sync.Once
	return func(p put) (held bool) {
		if w.Hold {
			once.Do(func() {
				w.tell(report{What: "holding", Ref: p.ref})
				p.outlive(10 * time.Millisecond)
				held = true
			})
		}
		return held
	}
}
