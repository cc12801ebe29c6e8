// Command ehealth runs the sandbox, replays incidents, and makes single calls to the
// platform from a shell.
//
//	ehealth sandbox --dir DIR [--addr HOST:PORT]   the platform in one process
//	ehealth drill [INCIDENT…] [--seed N]           past incidents, replayed
//	ehealth drill --figures [--seeds N]            figures of resilience, measured
//	ehealth token --config FILE                    log in and show what was granted
//	ehealth insurability SSIN --config FILE        is this patient insured?
//	ehealth seal --keystore P12 --password-file F --to ETK --in PLAIN --out SEALED
//	ehealth open --keystore P12 --password-file F --in SEALED --out PLAIN
//	ehealth outbox list|show|… --config FILE       the writes that wait
//	ehealth mailbox list|read|send --config FILE   eHealthBox
//	ehealth rid RID --config FILE                  where a prescription stands
//
// Client commands read their configuration from a JSON file (the sandbox writes one), and
// secrets only from files. With --json they write one JSON object to standard output.
//
// Exit codes: 0 done; 1 a failure on this computer; 2 wrong usage or configuration; 3 the
// platform refused; 4 the platform is unavailable or did not answer; 5 the outcome is unknown.
// A drill that a signal ends leaves 128 and the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// Exit codes.
const (
	exitDone        = 0
	exitLocal       = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnavailable = 4
	exitUnknown     = 5
)

type cli struct {
	Sandbox      sandboxCmd      `cmd:"" help:"Run the platform in one process until interrupted."`
	Drill        drillCmd        `cmd:"" help:"Replay incidents on virtual time against a fleet of clients."`
	Token        tokenCmd        `cmd:"" help:"Log in and show what was granted."`
	Insurability insurabilityCmd `cmd:"" help:"Ask whether a patient is insured."`
	Seal         sealCmd         `cmd:"" help:"Seal a file for recipients."`
	Open         openCmd         `cmd:"" help:"Open a sealed file."`
	Outbox       outboxCmd       `cmd:"" help:"Look after the writes that wait."`
	Mailbox      mailboxCmd      `cmd:"" help:"List, read and send in eHealthBox."`
	RID          ridCmd          `cmd:"" name:"rid" help:"Tell where a prescription of Recip-e stands."`
}

// streams is where a command writes: results to out, everything else to err.
type streams struct{ out, err io.Writer }

func main() { os.Exit(run(os.Args[1:], streams{os.Stdout, withoutNumbers{os.Stderr}})) }

// withoutNumbers masks what looks like the number of a person or of a prescription: error texts of other packages quote
// arguments, and a number may be mistyped or stand in the wrong place.
type withoutNumbers struct{ w io.Writer }

var (
	elevenDigits = regexp.MustCompile(`\d[\d.\- /]{9,16}\d`)
	ridLike      = regexp.MustCompile(`\b(?i:be[pkn])[\dpP][0-9A-Za-z]{6,10}\b`)
)

func (m withoutNumbers) Write(b []byte) (int, error) {
	_, err := m.w.Write(elevenDigits.ReplaceAllFunc(ridLike.ReplaceAll(b, []byte("[number withheld]")), func(n []byte) []byte {
		digits := 0
		for _, c := range n {
			if c >= '0' && c <= '9' {
				digits++
			}
		}
		if digits != 11 {
			return n
		}
		return []byte("[number withheld]")
	}))
	return len(b), err
}

func run(args []string, io streams) int {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	var c cli
	exit := -1
	parser, err := kong.New(&c, kong.Name("ehealth"), kong.Description("Belgian eHealth with business continuity built in."),
		kong.Writers(io.out, io.err), kong.Exit(func(code int) { exit = code }), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(io))
	if err != nil {
		fmt.Fprintln(io.err, "ehealth:", err)
		return exitLocal
	}
	k, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help
		return exit
	case err != nil:
		fmt.Fprintln(io.err, "ehealth:", err)
		return exitUsage
	}
	if err := k.Run(); err != nil {
		return report(io, err)
	}
	return exitDone
}

// usageError is a failure that the person at the keyboard can mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// clientError is the failure of a command that calls the platform, with how to tell it.
type clientError struct {
	error
	json bool
	lang notice.Lang
	svc  notice.Service
}

func (e clientError) Unwrap() error { return e.error }

// exitError says with which code to end.
type exitError struct {
	error
	code int
}

// Unwrap returns the failure.
func (e exitError) Unwrap() error { return e.error }

// report tells what went wrong and chooses the exit code.
func report(io streams, err error) int {
	fmt.Fprintln(io.err, "ehealth:", strings.TrimPrefix(err.Error(), "ehealth: "))
	fe, isFault := errors.AsType[*fault.Error](err)
	if left, ok := errors.AsType[exitError](err); ok && !isFault {
		return left.code
	}
	if !isFault {
		if _, usage := errors.AsType[usageError](err); usage {
			return exitUsage
		}
		return exitLocal
	}
	how, _ := errors.AsType[clientError](err)
	said := map[string]any{"error": fe}
	if n, ok := notice.FromError(err, how.svc); ok {
		said["notice"] = n
		fmt.Fprintln(io.err, n.Text(how.lang))
		if small := n.SmallPrint(how.lang); small != "" {
			fmt.Fprintln(io.err, small)
		}
	} else if fe.Notice != "" {
		fmt.Fprintln(io.err, "notice:", fe.Notice)
	}
	if how.json {
		if werr := writeJSON(io.out, said); werr != nil {
			fmt.Fprintln(io.err, "ehealth:", werr)
		}
	}
	if left, ok := errors.AsType[exitError](err); ok {
		return left.code
	}
	return exitCode(fe)
}

func exitCode(e *fault.Error) int {
	switch e.Kind {
	case fault.Unavailable, fault.Timeout, fault.Throttled:
		return exitUnavailable
	case fault.Local:
		return exitLocal
	case fault.Invalid:
		if e.Outcome == fault.NotSent {
			return exitUsage
		}
	}
	switch e.Outcome {
	case fault.Rejected:
		return exitRefused
	case fault.NotSent:
		return exitUnavailable
	}
	return exitUnknown
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}
