package ehealth_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// desk is a prescriber's program, with what it was told.
type desk struct {
	t   *testing.T
	cfg ehealth.Config
	*ehealth.Platform

	mu      sync.Mutex
	notices []notice.ID
	settled []recipe.OutcomeState
}

// staying is a store that outlives the programs that use it.
type staying struct{ outbox.Store }

func (staying) Close() error { return nil }

// newDesk is that of the n-th doctor, over a store that several may use.
func newDesk(t *testing.T, sb *sandbox.Sandbox, plain ehealth.Config, n int, store outbox.Store) *desk {
	t.Helper()
	d := &desk{t: t, cfg: prescribing(t, sb, plain)}
	who := sb.Person(identity.Doctor, n)
	file, err := who.Keystore("password")
	d.cfg.Identity = storeOf(t, file, err)
	d.cfg.Caller.SSIN, d.cfg.Caller.NIHII, d.cfg.Caller.Name = who.SSIN, who.NIHII, who.Name()
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := outbox.NewKeys(key)
	d.cfg.Outbox = &ehealth.Outbox{Store: staying{store}, Keys: &keys, Options: []outbox.Option{outbox.WithPace(-1, -1, -1)}, OnEvent: func(e ehealth.QueueEvent) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !e.Notice.IsZero() {
			d.notices = append(d.notices, e.Notice.ID())
		}
	}}
	d.cfg.Recipe.OnEvent = func(e recipe.Event) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if e.Kind == recipe.EventSettled {
			d.settled = append(d.settled, e.Outcome.State)
		}
	}
	return d
}

func (d *desk) open() { d.Platform = open(d.t, d.cfg) }

func (d *desk) close() {
	d.t.Helper()
	if err := d.Close(); err != nil {
		d.t.Error(err)
	}
}

// wants says what the desk was told since the last time.
func (d *desk) wants(settled []recipe.OutcomeState, notices ...notice.ID) {
	d.t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.notices, notices) || !slices.Equal(d.settled, settled) {
		d.t.Errorf("told %v and %v, want %v and %v", d.notices, d.settled, notices, settled)
	}
	d.notices, d.settled = nil, nil
}

// hold prescribes while Recip-e is away, and confirms when asked to. Recip-e stays away until heal.
func (d *desk) hold(sb *sandbox.Sandbox, reference string, confirm bool) (heal func()) {
	d.t.Helper()
	one, two := inject(d.t, sb, "recipe-presc 0 to_end refuse -"), inject(d.t, sb, "recipe-direct 0 to_end refuse -")
	p := prescription(sb, 2)
	p.Author.NIHII = d.cfg.Caller.NIHII
	_, err := d.Recipe.Prescriber.Create(d.t.Context(), recipe.CreateRequest{Reference: reference, Prescription: p, Type: identity.PrescriptionP0, Hold: true})
	wants(d.t, err, err, fault.NotSent, notice.IDRxPaper)
	if confirm {
		if err := d.Recipe.Prescriber.Confirm(d.t.Context(), reference); err != nil {
			d.t.Fatal(err)
		}
	}
	return func() { one(); two() }
}

// TestExpiryReachesTheAuthor: what a prescriber held and was not sent by midnight is told to that one, whoever let it expire, once,
// and to nobody else: to a program that runs, and to one that was closed for the night.
func TestExpiryReachesTheAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		store := outboxtest.NewMemory()
		author, other := newDesk(t, sb, plain, 0, store), newDesk(t, sb, plain, 1, store)
		author.cfg.Outbox.ByHand = true // it is the other one that moves things at midnight
		time.Sleep(13 * time.Hour)
		author.open()
		author.hold(sb, "held", false)
		author.hold(sb, "confirmed", true)
		other.open()
		time.Sleep(3 * time.Hour)
		none := []recipe.OutcomeState{recipe.OutcomeNotCreated, recipe.OutcomeNotCreated}
		author.wants(none, notice.IDRxPaper, notice.IDRxPaper)

		author.hold(sb, "late", true)
		author.close()
		other.close()
		time.Sleep(21 * time.Hour)
		other.open()
		time.Sleep(3 * time.Hour)
		author.open()
		time.Sleep(time.Minute)
		author.wants(none[:1], notice.IDRxPaper)
		author.close()
		author.open()
		time.Sleep(time.Hour)
		author.wants(nil)
		other.wants(nil)
		out, err := author.Recipe.Prescriber.Outcome(t.Context(), "late")
		if err != nil || out.State != recipe.OutcomeNotCreated {
			t.Errorf("%v, %v", out.State, err)
		}
	})
}

// TestConfirmedAndRefused: who confirmed a prescription is told when Recip-e refuses it later.
func TestConfirmedAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		d := newDesk(t, sb, plain, 0, outboxtest.NewMemory())
		d.open()
		heal := d.hold(sb, "visit", true)
		heal()
		one, two := inject(t, sb, "recipe-presc 0 to_end inner message=error.x.y"), inject(t, sb, "recipe-direct 0 to_end inner message=error.x.y")
		time.Sleep(time.Hour)
		d.wants([]recipe.OutcomeState{recipe.OutcomeNotCreated}, notice.IDRxPaper)
		one()
		two()
		if n := len(sb.Prescriptions()); n != 0 {
			t.Errorf("%d prescriptions", n)
		}
	})
}
