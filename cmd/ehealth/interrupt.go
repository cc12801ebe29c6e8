package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// signalled is why the context of a command ended.
type signalled struct{ os.Signal }

// Error says so.
func (signalled) Error() string { return "ehealth: interrupted" }

// signalBase is what shells add to the number of the signal that ended a program: 130 for Ctrl-C, 143 for SIGTERM.
const signalBase = 128

func (s signalled) code() int {
	if n, ok := s.Signal.(syscall.Signal); ok {
		return signalBase + int(n)
	}
	return exitLocal
}

// untilSignal is a context that Ctrl-C or SIGTERM ends, with a signalled as its cause.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(parent)
	go func() {
		select {
		case s := <-told:
			cancel(signalled{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(told); cancel(nil) }
}

// interruption is the error of a command whose context a signal ended; nil = none did.
func interruption(ctx context.Context) error {
	if s, ok := errors.AsType[signalled](context.Cause(ctx)); ok {
		return exitError{s, s.code()}
	}
	return nil
}

// endOnSignal ends the process when a signal ends ctx. What runs in a bubble of virtual time hears of nothing outside it, so the
// process ends as it stands; it keeps nothing on disk that nobody else removes.
func endOnSignal(ctx context.Context, s streams, quiet bool) {
	go func() {
		<-ctx.Done()
		if end, ok := errors.AsType[signalled](context.Cause(ctx)); ok {
			if !quiet {
				fmt.Fprintln(s.err, end)
			}
			os.Exit(end.code())
		}
	}()
}
