package postgres

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// service is the name of the database in errors.
const service = "postgres"

// wrap turns an error of the driver into a fault.Error. write: something may have been changed.
func wrap(op string, write bool, err error) error {
	if err == nil || plain(err) {
		return err
	}
	fe := &fault.Error{Op: "postgres." + op, Service: service, Kind: fault.Local, Outcome: outcome(write, err), Err: err}
	pe, isPG := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(err, context.Canceled):
		fe.Kind = fault.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		fe.Kind = fault.Timeout
	case isPG:
		fe.Code = pe.Code
		fe.Kind = kindOf(pe.Code)
		switch pe.Code {
		case "53100": // disk full
			fe.Err = errors.Join(outbox.ErrFull, err)
		case "XX001", "XX002": // data, index corrupted
			fe.Err = errors.Join(&outbox.CorruptError{Part: "file"}, err)
		}
	case errors.Is(err, errPoolClosed):
		fe.Err = errors.Join(outbox.ErrClosed, err)
	case passing(err):
		fe.Kind = fault.Unavailable
	}
	return fe
}

// plain tells the errors that are answers of a store, not failures of the database.
func plain(err error) bool {
	for _, one := range []error{
		outbox.ErrExists, outbox.ErrNotFound, outbox.ErrStale, outbox.ErrLeaseLost, outbox.ErrLeased, outbox.ErrNothing,
		outbox.ErrInvalid, outbox.ErrNewer, outbox.ErrClosed,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// outcome tells whether a write happened. An error that the server answered undid it; one that ended
// the connection may have come after the commit.
func outcome(write bool, err error) fault.Outcome {
	pe, isPG := errors.AsType[*pgconn.PgError](err)
	switch {
	case isConnect(err), pgconn.SafeToRetry(err), !write, errors.Is(err, errPoolClosed):
		return fault.NotSent
	case isPG && cmp.Or(pe.SeverityUnlocalized, pe.Severity) == "ERROR":
		return fault.Rejected
	}
	return fault.Unknown
}

// unsure says of a failed write that it may have happened when an earlier try of it may have, whatever
// became of the last one.
func unsure(sent bool, err error) error {
	if fe, ok := err.(*fault.Error); ok && sent { //nolint:errorlint // what wrap made
		fe.Outcome = fault.Unknown
	}
	return err
}

func isConnect(err error) bool {
	_, is := errors.AsType[*pgconn.ConnectError](err)
	return is
}

// kindOf sorts SQLSTATEs, by class where that is enough.
func kindOf(code string) fault.Kind {
	switch code {
	case "25006", "57P01", "57P02", "57P03", "57P05", "53300": // read-only (a standby), shutting down, starting, idle, too many connections
		return fault.Unavailable
	case "42501": // insufficient privilege
		return fault.Denied
	case "57014", "55P03": // cancelled, lock not available
		return fault.Timeout
	}
	switch code[:min(2, len(code))] {
	case "08": // connection
		return fault.Unavailable
	case "28": // authorization
		return fault.Denied
	case "40": // serialization, deadlock
		return fault.Conflict
	}
	return fault.Local
}

// lostError marks an error that ended its connection.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// passing tells whether the same statement may succeed soon: the server is gone or coming back,
// or another transaction was in the way.
func passing(err error) bool {
	if _, lost := errors.AsType[lostError](err); lost || isConnect(err) || pgconn.SafeToRetry(err) {
		return true
	}
	if pe, is := errors.AsType[*pgconn.PgError](err); is {
		k := kindOf(pe.Code)
		return k == fault.Unavailable || k == fault.Conflict
	}
	return false
}

// noRows turns pgx's word for it into ours.
func noRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return outbox.ErrNotFound
	}
	return err
}
