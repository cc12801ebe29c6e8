package sts

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

// codeGeneral is the platform's error without a reason (dossier 01 E.2).
const codeGeneral = "SOA-00001"

// Login is one way to log in.
type Login struct {
	// Name says which, for events, records and errors: "identity card", "eHealth certificate". It is
	// shown and logged, so it must not name a person.
	Name string
	// Source gets the token, usually [Client.Source] of a client with this credential. nil means
	// that this login is there but waits for the person, who must first unlock it: then it is
	// offered (notice D-AUTH-FALLBACK) and not used.
	Source TokenSource
}

// Via says by which login a token was obtained. The platform allows the fallback as an exception
// only, so its use is recorded with its reason (dossier 06 B.4.1); it is kept with the token.
type Via struct {
	Login    string     `json:"login,omitempty"`    // its name
	Fallback bool       `json:"fallback,omitempty"` // whether it was not the first of the chain
	Why      fault.Kind `json:"why,omitempty"`      // how the one before it failed
	At       time.Time  `json:"at,omitzero"`        // when
}

// LoginFailure is one login that was tried.
type LoginFailure struct {
	Name string
	Err  error
}

// LoginError says how logging in failed: what was tried, and which other logins are configured
// (dossier 06 BCP-04). It is the cause of the *fault.Error that a [Chain] returns.
type LoginError struct {
	Tried  []LoginFailure // in this order; empty when every login waits for the person
	Others []string       // names of the logins that were not tried
}

// Error names the logins and kinds of failure, nothing else.
func (e *LoginError) Error() string {
	var b strings.Builder
	b.WriteString("sts: no login")
	for i, f := range e.Tried {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(f.Name + " failed (" + fault.KindOf(f.Err).String() + ")")
	}
	if len(e.Others) > 0 {
		b.WriteString("; also configured: " + strings.Join(e.Others, ", "))
	}
	if len(e.Tried) == 0 {
		return b.String()
	}
	// The reason of the last one is what to act on; a wrong clock, for one, is named here.
	if err, ok := errors.AsType[fault.Safe](e.Tried[len(e.Tried)-1].Err); ok {
		b.WriteString(": " + err.SafeError())
	}
	return b.String()
}

// SafeError implements fault.Safe.
func (e *LoginError) SafeError() string { return e.Error() }

// Unwrap returns the errors of what was tried.
func (e *LoginError) Unwrap() []error {
	out := make([]error, len(e.Tried))
	for i, f := range e.Tried {
		out[i] = f.Err
	}
	return out
}

var errNoLogins = reason("sts: no login is configured")

// Chain is a [TokenSource] that tries several logins in their order: the identity card, then the
// eHealth certificate. Each call starts with the first again, so the fallback ends with the
// next login.
//
// The next one is tried only when the former may have failed for a reason of its own: it was
// refused, with a reason or with a general error, or this computer could not use it (no card in
// the reader). When the STS does not answer, or
// the clock is wrong, the next would fail too and only add to the load.
//
// The token says in Via which login gave it. The error is a *fault.Error of the kind of the
// last failure, whose cause is a *[LoginError] that lists every configured login.
//
// Put [Durable] above a Chain, not [Cached] sources below it: tokens are copied here.
func Chain(logins ...Login) TokenSource {
	c := make(chain, len(logins))
	copy(c, logins)
	return c
}

type chain []Login

// Token implements TokenSource.
func (c chain) Token(ctx context.Context) (*Token, error) {
	le := &LoginError{}
	ended := false // no further login is worth trying
	for i, l := range c {
		if ended || l.Source == nil {
			le.Others = append(le.Others, l.Name)
			continue
		}
		tok, err := l.Source.Token(ctx)
		if err == nil && tok == nil {
			err = localError(reason("sts: the source gave no token"))
		}
		if err == nil {
			out := *tok
			out.Via = Via{Login: l.Name, Fallback: i > 0, Why: le.lastKind(), At: time.Now().Round(0)}
			return &out, nil
		}
		le.Tried = append(le.Tried, LoginFailure{l.Name, err})
		ended = ctx.Err() != nil || !ownFailure(err)
	}
	return nil, le.fault(ended)
}

func (e *LoginError) lastKind() fault.Kind {
	if len(e.Tried) == 0 {
		return 0
	}
	return fault.KindOf(e.Tried[len(e.Tried)-1].Err)
}

// ownFailure tells whether a failure is about the credential rather than about the STS, the
// network, the clock or the request. A fault without a reason counts as one: in the outage of
// 28 May 2018 the cards were refused with a general error (dossier 06 A.2), and an STS that
// answers is not down.
func ownFailure(err error) bool {
	fe, ok := errors.AsType[*fault.Error](err)
	switch {
	case !ok:
		return true // no exchange took place
	case fe.Notice == noticeClock, fe.Kind == fault.Security, fe.Kind == fault.Invalid, fe.Kind == fault.Throttled:
		return false
	case fe.Kind == fault.Denied, fe.Kind == fault.Local:
		return true
	}
	f, ok := errors.AsType[*exchange.Fault](fe)
	return ok && (f.Fault.SOA == nil || f.Fault.SOA.Code == codeGeneral)
}

// fault is the *fault.Error of a chain that failed.
func (e *LoginError) fault(ended bool) *fault.Error {
	out := &fault.Error{Op: "sts.Token", Service: ServiceID, Kind: fault.Local, Outcome: fault.NotSent, Notice: noticeNoLogin}
	if len(e.Tried) == 0 {
		if len(e.Others) == 0 {
			out.Kind, out.Err = fault.Invalid, errNoLogins
			return out
		}
		out.Notice, out.Err = noticeFallback, e
		return out
	}
	if fe, ok := errors.AsType[*fault.Error](e.Tried[len(e.Tried)-1].Err); ok {
		*out = *fe
	}
	if out.Notice == "" {
		out.Notice = noticeNoLogin
	}
	if !ended && len(e.Others) > 0 {
		out.Notice = noticeFallback
	}
	out.Err = e
	return out
}
