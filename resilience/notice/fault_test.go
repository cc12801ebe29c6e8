package notice

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

type skew int

func (s skew) Error() string { return "clock" }
func (s skew) Minutes() int  { return int(s) }

type silent time.Time

func (s silent) Error() string          { return "silent" }
func (s silent) SilentSince() time.Time { return time.Time(s) }

type detailed Params

func (d detailed) Error() string        { return "details" }
func (d detailed) NoticeParams() Params { return Params(d) }

func TestFromError(t *testing.T) {
	named := func(id ID, f func(*fault.Error)) error {
		e := &fault.Error{Op: "insurability.Check", Service: "uddi:ehealth-fgov-be:business:genericinsurability:v1", Kind: fault.Unavailable, Notice: string(id)}
		if f != nil {
			f(e)
		}
		return e
	}
	keyOf := func(svc Service, ticket string, maybe bool) Notice {
		return of(IDKey, Params{Service: svc, Ticket: ticket, MaybeSent: maybe})
	}
	for name, w := range map[string]struct {
		err  error
		svc  Service
		want Notice
	}{
		"none":            {nil, Login, Notice{}},
		"another error":   {io.EOF, Login, Notice{}},
		"nil fault":       {(*fault.Error)(nil), Login, Notice{}},
		"no notice":       {named("", nil), Login, Notice{}},
		"unknown notice":  {named("D-NOTHING", nil), Login, Notice{}},
		"plain":           {named(IDInsUnknown, nil), Insurability, InsuranceUnknown()},
		"wrapped":         {fmt.Errorf("x: %w", errors.Join(io.EOF, named(IDInsUnknown, nil))), Insurability, InsuranceUnknown()},
		"ticket":          {named(IDInsUnknown, func(e *fault.Error) { e.Ticket = "T-1" }), Insurability, of(IDInsUnknown, Params{Ticket: "T-1"})},
		"ticket of noise": {named(IDInsUnknown, func(e *fault.Error) { e.Ticket = "call <b>now</b>" }), Insurability, InsuranceUnknown()},
		"first decides":   {named("", func(e *fault.Error) { e.Err = named(IDInsUnknown, nil) }), Login, Notice{}},
		"key, not sent":   {named(IDKey, func(e *fault.Error) { e.Ticket = "T-1"; e.Outcome = fault.NotSent }), RecipE, keyOf(RecipE, "T-1", false)},
		"key, unknown":    {named(IDKey, nil), RecipE, keyOf(RecipE, "", true)},
		"key, service of the error": {
			named(IDKey, func(e *fault.Error) { e.Outcome = fault.NotSent }), Platform, keyOf(Insurability, "", false),
		},
		"clock, not known": {named(IDClock, nil), Login, ClockWrong(0)},
		"clock":            {named(IDClock, func(e *fault.Error) { e.Err = errors.Join(io.EOF, skew(-20)) }), Login, ClockWrong(20 * time.Minute)},
		"clock, absurd":    {named(IDClock, func(e *fault.Error) { e.Err = skew(math.MinInt) }), Login, of(IDClock, Params{N: maxMinutes})},
		"skew elsewhere":   {named(IDMsgQueued, func(e *fault.Error) { e.Err = skew(3) }), EHealthBox, Notice{}},
		"down, not known":  {named(IDDown, nil), RecipE, Down(RecipE, time.Time{})},
		"down":             {named(IDDown, func(e *fault.Error) { e.Err = silent(morning) }), RecipE, Down(RecipE, morning)},
		"down, details":    {named(IDDown, func(e *fault.Error) { e.Err = errors.Join(detailed{Time: morning}, silent(time.Now())) }), RecipE, Down(RecipE, morning)},
		"silent elsewhere": {named(IDAuthKept, func(e *fault.Error) { e.Err = silent(morning) }), Login, Notice{}},
		"incomplete":       {named(IDAuthKept, nil), Login, Notice{}},
		"details":          {named(IDAuthKept, func(e *fault.Error) { e.Err = detailed{Time: morning} }), Login, SessionKept(morning)},
		"count":            {named(IDMsgQueued, func(e *fault.Error) { e.Err = detailed{N: 3} }), EHealthBox, MessagesQueued(3)},
		"service of the details": {
			named(IDSlow, func(e *fault.Error) { e.Err = detailed{Service: RecipE} }), Platform, Slow(RecipE),
		},
		"service of the caller": {
			named(IDSlow, func(e *fault.Error) { e.Err = detailed{Service: RecipE} }), EAttest, Slow(EAttest),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := FromError(w.err, w.svc)
			if got != w.want || ok != !w.want.IsZero() {
				t.Errorf("%v %+v %v, want %v %+v", got, got.Params(), ok, w.want, w.want.Params())
			}
		})
	}
}

// What a text says about sending must be true in all languages.
func TestKeyProblemDoesNotLie(t *testing.T) {
	e := &fault.Error{Notice: string(IDKey), Outcome: fault.Unknown, Ticket: "T-1"}
	n, ok := FromError(e, RecipE)
	if !ok {
		t.Fatal("no notice")
	}
	for lang, want := range map[Lang]string{
		EN: "A secure connection with Recip-e is not possible. Contact your helpdesk (ref. T-1).",
		FR: "Connexion sécurisée avec Recip-e impossible. Contactez votre helpdesk (réf. T-1).",
		NL: "Beveiligde verbinding met Recip-e niet mogelijk. Contacteer uw helpdesk (ref. T-1).",
		DE: "Sichere Verbindung mit Recip-e nicht möglich. Wenden Sie sich an Ihren Helpdesk (Ref. T-1).",
	} {
		if got := n.Text(lang); got != want {
			t.Errorf("%s: %q", lang, got)
		}
	}
}
