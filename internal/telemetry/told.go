package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// SessionEvent is an event of a session, field by field that of package sts, which this package
// does not import:
//
//	sts.OnEvent(func(e sts.Event) {
//		tel.Session(telemetry.SessionEvent{Kind: e.Kind.String(), Until: e.Until, Login: e.Login, Notice: e.Notice, Cause: e.Cause})
//	})
type SessionEvent struct {
	Kind   string     // what happened, as sts.EventKind prints it
	Until  time.Time  // end of the token; zero = there is none
	Login  string     // name of the login from the configuration; it must not name a person
	Notice string     // id of the text for the person; "" = none
	Cause  fault.Kind // of the failure behind it; 0 = none
}

// Session counts and logs an event of a session.
func (t *Telemetry) Session(ev SessionEvent) {
	ctx := context.Background()
	l, kind := sessionLines[ev.Kind], words(ev.Kind)
	if l == nil || ev.Kind == "unknown" {
		l, kind = sessionLines["unknown"], other
	}
	if t.in.session.Enabled(ctx) {
		kvs := []attribute.KeyValue{keySession.String(kind)}
		if ev.Cause != 0 {
			kvs = append(kvs, keyError.String(kindName(ev.Cause)))
		}
		t.in.session.Add(ctx, 1, t.rare(kvs...))
	}
	if !t.logs(ctx, l) {
		return
	}
	attrs := instant(nil, logUntil, ev.Until)
	attrs = text(attrs, logLogin, ev.Login)
	attrs = text(attrs, logNotice, noticeLike(ev.Notice))
	if ev.Cause != 0 {
		attrs = append(attrs, slog.String(logCause, ev.Cause.String()))
	}
	t.write(ctx, l, attrs)
}

// listErrors name the reasons of package bcp for metrics and logs.
var listErrors = []struct {
	err  error
	name string
}{
	{bcp.ErrTooLarge, "too_large"},
	{bcp.ErrEndless, "endless"},
	{bcp.ErrSyntax, "syntax"},
	{bcp.ErrDoctype, "doctype"},
	{bcp.ErrFormat, "format"},
	{bcp.ErrUnsigned, "unsigned"},
	{bcp.ErrWrapped, "wrapped"},
	{bcp.ErrOtherElement, "other_element"},
	{bcp.ErrBadSignature, "bad_signature"},
	{bcp.ErrXAdES, "xades"},
	{bcp.ErrSelfSigned, "self_signed"},
	{bcp.ErrUntrusted, "untrusted"},
	{bcp.ErrExpired, "expired"},
	{bcp.ErrSigner, "signer"},
	{bcp.ErrEnvironment, "environment"},
	{bcp.ErrOlder, "older"},
	{bcp.ErrConflict, "conflict"},
	{bcp.ErrFuture, "future"},
	{bcp.ErrScheme, "scheme"},
	{bcp.ErrHost, "host"},
	{bcp.ErrUnreachable, "unreachable"},
	{bcp.ErrStore, "store"},
}

// listError names the reason of an error, whose text may hold what a proxy or a disk said.
func listError(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range listErrors {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return other
}

// maxRedirected is how many services a log line names.
const maxRedirected = 20

// List counts and logs an event of the service list; it is what to give to package bcp.
func (t *Telemetry) List(ev bcp.Event) {
	ctx := context.Background()
	name := ev.Kind.String()
	l, kind, reason := listLines[name], words(name), listError(ev.Err)
	if l == nil || name == "unknown" {
		l, kind = listLines["unknown"], other
	}
	source := ev.Source.String()
	if t.in.list.Enabled(ctx) {
		kvs := []attribute.KeyValue{keyList.String(kind), keySource.String(source)}
		if reason != "" {
			kvs = append(kvs, keyListError.String(reason))
		}
		t.in.list.Add(ctx, 1, t.rare(kvs...))
	}
	if !ev.IssueInstant.IsZero() {
		t.in.issued.Record(ctx, ev.IssueInstant.Unix())
	}
	if t.logs(ctx, l) {
		t.logList(ctx, l, &ev, reason)
	}
}

func (t *Telemetry) logList(ctx context.Context, l *lineDef, ev *bcp.Event, reason string) {
	attrs := text(nil, logService, nameLike(ev.Service))
	attrs = append(attrs, slog.String(logSource, ev.Source.String()))
	attrs = instant(attrs, logIssued, ev.IssueInstant)
	attrs = text(attrs, logReason, reason)
	if n := len(ev.Changes); n > 0 {
		var ids []string
		for _, c := range ev.Changes[:min(n, maxRedirected)] {
			ids = append(ids, nameLike(c.Service))
		}
		attrs = append(attrs, slog.Int(logChanges, n), slog.String(logRedirected, strings.Join(ids, " ")))
	}
	t.write(ctx, l, attrs)
}

// kindName is the name of a kind as an attribute; numbers that are none are other.
func kindName(k fault.Kind) string {
	if k > fault.Local {
		return other
	}
	return words(k.String())
}
