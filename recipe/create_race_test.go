package recipe_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// shared is one prescriber on several computers: processes with one outbox.
func shared(t *testing.T, sb *sandbox.Sandbox, store outbox.Store) *surgery {
	t.Helper()
	s := &surgery{t: t, sb: sb, person: sb.Person(identity.Doctor, 0), patient: sb.Patients()[0]}
	client := sb.HTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	s.link, s.engine = link(t, sb, s.person, client)
	var err error
	s.p, err = recipe.NewPrescriber(s.link, recipe.Caller{NIHII: s.person.NIHII, Quality: identity.Doctor}, recipe.WithProgramID("test/1.0"))
	ok(t, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(t, err)
	s.box, err = outbox.Open(t.Context(), store, outbox.NewKeys(key), append(s.p.Handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1))...)
	ok(t, err)
	s.p.Use(s.box)
	s.work()
	t.Cleanup(func() { s.stop() })
	return s
}

// Whatever people at two computers do with the same prescriptions at the same time, and whatever the platform does meanwhile:
// each patient has one electronic prescription, or paper, or it is not known yet; never two, and never both.
func TestNeverBoth(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { neverBoth(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func neverBoth(t *testing.T, random *rand.Rand) {
	const patients = 15
	sb, err := sandbox.New(sandbox.Config{Seed: 5, Patients: 20})
	ok(t, err)
	t.Cleanup(func() { _ = sb.Close() })
	store := outboxtest.NewMemory()
	desks := []*surgery{shared(t, sb, store), shared(t, sb, store)}
	desks[0].inject("recipe-presc 0 300 loss p=0.3\nrecipe-direct 0 300 lost_ack p=0.4\nkgss 0 200 http status=503;body=html;p=0.2\nrecipe-presc 100 200 hang exec=0.5")

	var mu sync.Mutex
	permits := map[int]bool{}
	var wg sync.WaitGroup
	act := func(desk *surgery, n int, paper, hold bool, wait time.Duration) {
		time.Sleep(wait)
		ref := fmt.Sprint("patient ", n)
		if paper {
			if permit, err := desk.p.Paper(t.Context(), ref); err == nil && !permit.IsZero() {
				mu.Lock()
				permits[n] = true
				mu.Unlock()
			}
			return
		}
		own := *desk
		own.patient = sb.Patients()[n]
		r := own.request(ref)
		r.Hold = hold
		_, err := desk.p.Create(t.Context(), r)
		if e, is := errors.AsType[*recipe.NotCreatedError](err); is && e.Held {
			_ = desk.p.Confirm(t.Context(), ref) // refused when paper came first
		}
	}
	for n := range patients {
		for range 6 {
			desk, paper, hold := desks[random.IntN(2)], random.IntN(3) == 0, random.IntN(4) == 0
			wait := time.Duration(random.IntN(120)) * time.Second
			if random.IntN(2) == 0 {
				wait = time.Duration(random.IntN(3)) * time.Millisecond // at once
			}
			wg.Go(func() { act(desk, n, paper, hold, wait) })
		}
	}
	wg.Wait()
	time.Sleep(26 * time.Hour) // everything is settled, and midnight has passed

	made := map[string]int{}
	for _, p := range sb.Prescriptions() {
		made[p.Patient]++
	}
	electronic, paper := 0, 0
	for n := range patients {
		count := made[sb.Patients()[n].SSIN.Reveal()]
		if count > 1 || count == 1 && permits[n] {
			t.Errorf("patient %d: %d prescriptions, paper %v", n, count, permits[n])
		}
		electronic += count
		if permits[n] {
			paper++
		}
		out, err := desks[0].p.Outcome(t.Context(), fmt.Sprint("patient ", n))
		ok(t, err)
		if want := map[bool]recipe.OutcomeState{true: recipe.OutcomeCreated}[count == 1]; count == 1 && out.State != want || permits[n] && out.State != recipe.OutcomePaper {
			t.Errorf("patient %d: %d prescriptions, %s", n, count, out.State)
		}
	}
	if electronic == 0 || paper == 0 {
		t.Errorf("%d electronic, %d on paper: this shows nothing", electronic, paper)
	}
}
