package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func (h *house) write(m *member, it outbox.Item) error {
	it.Kind, it.Payload = appclient.Kind, payload
	_, err := m.p.Write(context.Background(), it)
	return err
}

// kept compares the error of a write that waits.
func (h *house) kept(err error, want notice.ID) {
	h.Helper()
	if !errors.Is(err, outbox.ErrQueued) {
		h.Errorf("error %v, want one that says that the write is kept", err)
	}
	h.notice(err, string(want), fault.NotSent)
}

func (h *house) queue(m *member) ehealth.Queue {
	h.Helper()
	q, err := m.p.Queue(context.Background())
	if err != nil {
		h.Fatal(err)
	}
	return q
}

// done waits until nothing waits, and compares how often a reference was executed.
func (h *house) done(limit time.Duration, refs ...string) {
	h.Helper()
	if waiting, parked := h.emptied(limit); waiting+parked > 0 {
		h.Errorf("%d wait, %d are parked", waiting, parked)
	}
	for _, ref := range refs {
		if n := h.s.AppExecuted(ref); n != 1 {
			h.Errorf("%q was executed %d times", ref, n)
		}
	}
}

// t06: with the token its work stops. What is written then is kept, nothing is sent, the person is told; and it is sent
// once, by itself, when login is back.
func (h *house) t06() {
	m := h.join("doctor", h.doctor(0))
	if err := h.write(m, outbox.Item{Ref: "before"}); err != nil {
		h.Fatal(err)
	}
	heal := h.row("sts 0 to_end hang")
	end := m.p.Tokens.Session().Until
	time.Sleep(time.Until(end.Add(-time.Second)))
	if err := h.write(m, outbox.Item{Ref: "in the last second"}); err != nil {
		h.Error(err)
	}
	time.Sleep(time.Minute)
	before := h.s.State().Requests["app"] + h.s.State().Requests["app-direct"]
	h.kept(h.write(m, outbox.Item{Ref: "first without"}), notice.IDAuthNone)
	if _, err := m.p.Outbox.Put(context.Background(), outbox.Item{Kind: appclient.Kind, Ref: "second without", Payload: payload}); err != nil {
		h.Error(err)
	}
	time.Sleep(6 * time.Hour)
	if q := h.queue(m); q.Waiting != 2 || q.Parked != 0 || q.Notice != notice.NoSession() || q.Since.Before(end) {
		h.Errorf("after six hours: %+v", q)
	}
	if s, _ := m.p.Health.Function(ehealth.FunctionOutbox); s.Notice != string(notice.IDAuthNone) {
		h.Errorf("health: %+v", s)
	}
	if n := h.s.State().Requests["app"] + h.s.State().Requests["app-direct"] - before; n != 0 {
		h.Errorf("%d requests without a token", n)
	}
	heal()
	back := time.Now()
	h.done(time.Hour, "before", "in the last second", "first without", "second without")
	h.Logf("kept for 6 h without one request, sent %v after the STS was back", time.Since(back).Round(time.Second))
}

// t12: what must leave today does not leave tomorrow. Before midnight the person is told how many wait, afterwards that
// it is for paper.
func (h *house) t12() {
	brussels, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		h.Fatal(err)
	}
	events := make(chan ehealth.QueueEvent, 100)
	cfg := h.doctor(0)
	cfg.Outbox.OnEvent = func(e ehealth.QueueEvent) { events <- e }
	cfg.Outbox.Handlers = func(p *ehealth.Platform) ([]ehealth.Queued, error) {
		all, err := AppQueued(p)
		all[0].Waiting = notice.AttestsToday
		return all, err
	}
	m := h.join("doctor", cfg)
	if err := h.logIn(m, false); err != nil {
		h.Fatal(err)
	}
	now := time.Now().In(brussels)
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, brussels)
	time.Sleep(time.Until(midnight.Add(-10 * time.Minute)))
	heals := []func(){h.row("app 0 to_end refuse"), h.row("app-direct 0 to_end refuse")}
	today := outbox.Item{Ref: "attest", Key: "patient", Expiry: outbox.Midnight(time.Now())}
	h.kept(h.write(m, today), notice.IDAttToday)
	time.Sleep(5 * time.Minute)
	if q := h.queue(m); q.Notice != notice.AttestsToday(1) {
		h.Errorf("five minutes before midnight: %+v", q)
	}
	time.Sleep(time.Until(midnight.Add(10 * time.Minute)))
	for _, heal := range heals {
		heal()
	}
	h.done(time.Hour)
	time.Sleep(time.Hour)
	if n := h.s.AppExecuted("attest"); n != 0 {
		h.Errorf("executed %d times after its day", n)
	}
	var last ehealth.QueueEvent
	for len(events) > 0 {
		last = <-events
	}
	if last.To != outbox.Expired || last.At.Sub(midnight).Abs() > time.Second || last.Notice.ID() != notice.IDExpired || last.Notice.Action() != notice.UsePaper {
		h.Errorf("the last event: %+v at %v", last, last.At)
	}
	err = h.write(m, today)
	h.notice(err, string(notice.IDExpired), fault.NotSent)
	n, ok := notice.FromError(err, notice.Platform)
	if !ok || !strings.Contains(n.Text(notice.EN), "Use paper") || n.Params().Date.In(brussels).Day() != midnight.AddDate(0, 0, -1).Day() {
		h.Errorf("the person reads %q", n.Text(notice.EN))
	}
	h.Logf("the person reads: %s", n.Text(notice.EN))
}

// disk is what several processes see one after the other: what one that is dead wants to write does not arrive.
type disk struct {
	outbox.Store
	dead atomic.Bool
}

func (d *disk) ok() error {
	if d.dead.Load() {
		return outbox.ErrClosed
	}
	return nil
}

// Insert implements outbox.Store, as the other methods do.
func (d *disk) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (in outbox.Inserted, err error) {
	if err = d.ok(); err == nil {
		in, err = d.Store.Insert(ctx, e, c)
	}
	return in, err
}

func (d *disk) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) (err error) {
	if err = d.ok(); err == nil {
		err = d.Store.Swap(ctx, e, g)
	}
	return err
}

func (d *disk) Claim(ctx context.Context, c outbox.Claim) (got outbox.Claimed, err error) {
	if err = d.ok(); err == nil {
		got, err = d.Store.Claim(ctx, c)
	}
	return got, err
}

func (d *disk) Release(ctx context.Context, l outbox.Lease) (err error) {
	if err = d.ok(); err == nil {
		err = d.Store.Release(ctx, l)
	}
	return err
}

func (d *disk) Remove(ctx context.Context, id outbox.ID, rev uint64, reason string) (err error) {
	if err = d.ok(); err == nil {
		err = d.Store.Remove(ctx, id, rev, reason)
	}
	return err
}

// Close leaves the store to the next process.
func (d *disk) Close() error { return nil }

// t18: the process dies at each named step of a write, and the one that comes after it, too. Whoever restarts writes
// again what it got no answer for. Nothing is lost, nothing happens twice.
func (h *house) t18() {
	var steps []string
	for n, deaths := range [][]string{
		{"put.before"},
		{"put.after"},
		{"begin.before"},
		{"begin.written"},
		{"send.after"},
		{"record.before"},
		{"record.after"},
		{"resolve.before"},
		{"resolve.after"},
		{"resolve.recorded"},
		{"begin.written", "lapse.before"},
		{"send.after", "lapse.before", "resolve.before", "resolve.after"},
	} {
		ref := fmt.Sprintf("write %d", n)
		h.dies(outboxtest.NewMemory(), ref, deaths)
		steps = append(steps, strings.Join(deaths, ", then "))
	}
	h.Logf("%d writes, killed at %s: each done once", len(steps), strings.Join(steps, "; "))
}

// dies lets processes on one store die one after the other and a last one finish.
func (h *house) dies(store outbox.Store, ref string, deaths []string) {
	h.Helper()
	// The answers of the first moments are lost, so that there is something to find out.
	heals := []func(){h.row("app 0 to_end lost_ack p=1"), h.row("app-direct 0 to_end lost_ack p=1")}
	wake := make(chan struct{}) // the dead sleep until the end: what they do then must not count
	defer close(wake)
	for _, point := range append(deaths, "") {
		d := &disk{Store: store}
		died := make(chan struct{})
		var once atomic.Bool
		fail.Set(func(at string) {
			if at == point && once.CompareAndSwap(false, true) {
				d.dead.Store(true)
				close(died)
				<-wake
			}
		})
		cfg := h.pharmacy(0)
		cfg.Trust.ServiceList = nil
		cfg.Outbox.Store = d
		m := h.join("pharmacy", cfg)
		h.calls.Go(func() { _ = h.write(m, outbox.Item{Ref: ref, Key: "patient"}) })
		if point == "" {
			fail.Set(nil)
			for _, heal := range heals {
				heal()
			}
			h.finished(m, ref)
			return
		}
		select {
		case <-died:
		case <-time.After(time.Hour):
			h.Errorf("%v: %s was never reached", deaths, point)
		}
		fail.Set(nil)
		time.Sleep(time.Second)
	}
}

// finished waits until the write is done, once.
func (h *house) finished(m *member, ref string) {
	h.Helper()
	for end := time.Now().Add(2 * time.Hour); ; time.Sleep(10 * time.Second) {
		q := h.queue(m)
		if q.Waiting == 0 && h.s.AppExecuted(ref) > 0 || time.Now().After(end) {
			if n := h.s.AppExecuted(ref); n != 1 || q.Waiting+q.Parked > 0 {
				h.Errorf("%s: executed %d times, %+v", ref, n, q)
			}
			return
		}
	}
}
