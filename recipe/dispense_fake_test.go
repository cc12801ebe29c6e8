package recipe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

var (
	ownPharmacy   = identity.Hide("20000014")
	otherPharmacy = identity.Hide("2000.0113")
)

// fakeCounter is Recip-e as one pharmacy sees it: states, who caused them, and answers that can be lost.
type fakeCounter struct {
	mu    sync.Mutex
	rx    map[string]*fakeRx
	log   []string // operation and RID of what was executed, in order
	calls int
	down  bool
	// trip is asked around every call; an error becomes its end. after = it was executed.
	trip   func(op string, n int, after bool) error
	poison string           // what is asked about this one alone fails
	mute   bool             // nobody is named as the cause of a state
	named  identity.Private // how Recip-e writes this pharmacy, when it is not as it should be
	doc    *kmehr.Message
	get    func(f *Fetched) (*Fetched, error) // may change what is fetched
}

type fakeRx struct {
	state               protocol.PrescriptionStatus
	by                  identity.Private
	delivered, archived int
}

func newFakeCounter(t testing.TB) *fakeCounter {
	t.Helper()
	return &fakeCounter{rx: map[string]*fakeRx{}, doc: sampleMessage(t, "2711456", 1)}
}

func (c *fakeCounter) add(rids ...identity.RID) {
	for _, r := range rids {
		c.rx[r.Reveal()] = &fakeRx{state: protocol.NotDelivered}
	}
}

func (c *fakeCounter) Caller() Caller { return Caller{NIHII: identity.MustNIHII("20000014")} }

func (c *fakeCounter) set(rid identity.RID, s protocol.PrescriptionStatus, by identity.Private) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rx[rid.Reveal()] = &fakeRx{state: s, by: by}
}

func (c *fakeCounter) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func failed(kind fault.Kind, o fault.Outcome) error {
	return &fault.Error{Op: "fake", Service: ServiceExecutor, Kind: kind, Outcome: o, Notice: NoticeProof}
}

// call executes one operation between the faults.
func (c *fakeCounter) call(op string, rids []identity.RID, f func(*fakeRx) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	n := c.calls
	if c.down || len(rids) == 1 && rids[0].Reveal() == c.poison {
		return failed(fault.Unavailable, fault.NotSent)
	}
	if c.trip != nil {
		if err := c.trip(op, n, false); err != nil {
			return err
		}
	}
	var refused error
	for _, r := range rids {
		x := c.rx[r.Reveal()]
		if x == nil {
			return &fault.Error{Op: "fake", Kind: fault.Invalid, Outcome: fault.Rejected, Err: &RefusedError{protocol.Status{Code: "300"}}}
		}
		before := x.state
		if err := f(x); err != nil {
			refused = err
		} else if op != "status" && (op == "get" || x.state != before) {
			c.log = append(c.log, op+" "+r.Reveal())
		}
	}
	if c.trip != nil {
		if err := c.trip(op, n, true); err != nil {
			return err
		}
	}
	return refused
}

// conflict is what a refusal because of the state looks like.
func (c *fakeCounter) conflict(x *fakeRx) error {
	by := c.cause(x)
	return &fault.Error{Op: "fake", Kind: fault.Conflict, Outcome: fault.Rejected, Err: &StateError{State: x.state, Updater: by}}
}

// cause is who is named as the cause of a state.
func (c *fakeCounter) cause(x *fakeRx) identity.Private {
	switch {
	case c.mute:
		return identity.Private{}
	case x.own() && !c.named.IsZero():
		return c.named
	}
	return x.by
}

func (x *fakeRx) own() bool { return x.by == ownPharmacy }

func (c *fakeCounter) Status(_ context.Context, rid identity.RID) (*Standing, error) {
	s := &Standing{}
	err := c.call("status", []identity.RID{rid}, func(x *fakeRx) error {
		s.State, s.By = x.state, c.cause(x)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *fakeCounter) take(x *fakeRx) error {
	switch {
	case x.state == protocol.InProcess && x.own():
		return nil
	case x.state != protocol.NotDelivered:
		return c.conflict(x)
	}
	x.state, x.by = protocol.InProcess, ownPharmacy
	return nil
}

func (c *fakeCounter) Get(_ context.Context, rid identity.RID) (*Fetched, error) {
	if err := c.call("get", []identity.RID{rid}, c.take); err != nil {
		return nil, err
	}
	f := &Fetched{RID: rid, KeyID: "a2V5", Created: time.Now(), Document: NewDocument([]byte("sealed "+rid.Reveal()), "a2V5", time.Now()), Message: c.doc}
	if c.get != nil {
		return c.get(f)
	}
	return f, nil
}

func (c *fakeCounter) Deliver(_ context.Context, rid identity.RID) error {
	err := c.call("deliver", []identity.RID{rid}, func(x *fakeRx) error {
		if x.state != protocol.InProcess || !x.own() {
			return c.conflict(x)
		}
		x.state, x.by = protocol.Delivered, ownPharmacy
		x.delivered++
		return nil
	})
	return marked(c.client(), rid, protocol.Delivered, err)
}

func (c *fakeCounter) Archive(_ context.Context, rid identity.RID) error {
	err := c.call("archive", []identity.RID{rid}, func(x *fakeRx) error {
		if x.state != protocol.Delivered || !x.own() {
			return c.conflict(x)
		}
		x.state = protocol.Archived
		x.archived++
		return nil
	})
	return marked(c.client(), rid, protocol.Archived, err)
}

func (c *fakeCounter) Undeliver(_ context.Context, rid identity.RID) error {
	err := c.call("undeliver", []identity.RID{rid}, func(x *fakeRx) error {
		if x.state != protocol.Delivered && x.state != protocol.InProcess || !x.own() {
			return c.conflict(x)
		}
		x.state, x.by = protocol.NotDelivered, ownPharmacy
		return nil
	})
	return marked(c.client(), rid, protocol.NotDelivered, err)
}

func (c *fakeCounter) Reserve(_ context.Context, rids []identity.RID) ([]Reserved, error) {
	if len(rids) == 0 || len(rids) > protocol.MaxRIDsInProcess {
		return nil, failed(fault.Invalid, fault.NotSent)
	}
	return nil, c.call("reserve", rids, func(x *fakeRx) error {
		_ = c.take(x)
		return nil
	})
}

func (c *fakeCounter) Feedback(_ context.Context, f Feedback) error {
	return c.call("feedback", []identity.RID{f.RID}, func(x *fakeRx) error { return nil })
}

func (c *fakeCounter) client() *client { return &client{who: c.Caller(), service: ServiceExecutor} }

// executed are the RIDs of one operation in order.
func (c *fakeCounter) executed(op string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, l := range c.log {
		if rid, ok := cut(l, op+" "); ok {
			out = append(out, rid)
		}
	}
	return out
}

func cut(s, prefix string) (string, bool) {
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):], true
	}
	return "", false
}

// once asserts that each prescription was delivered and archived exactly once.
func (c *fakeCounter) once(t *testing.T, rids ...identity.RID) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range rids {
		if x := c.rx[r.Reveal()]; x.delivered != 1 || x.archived != 1 || x.state != protocol.Archived {
			t.Errorf("prescription %d: %s, delivered %d times, archived %d times", i, x.state, x.delivered, x.archived)
		}
	}
}

func someRIDs(t testing.TB, n int) []identity.RID {
	t.Helper()
	var out []identity.RID
	for i := range n {
		r, err := identity.NewRID("P0", uint64(1000+i))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// sampleMessage is a prescription of so many packages of one product.
func sampleMessage(t testing.TB, cnk string, packages int) *kmehr.Message {
	t.Helper()
	nihii, err := identity.NewNIHII("100000", "004")
	if err != nil {
		t.Fatal(err)
	}
	number, err := identity.NewCNK(cnk[:6])
	if err != nil {
		t.Fatal(err)
	}
	doc, err := kmehr.Write(kmehr.Prescription{
		Author: kmehr.Author{
			NIHII: nihii, FirstName: kmehr.Hide("Sample"), FamilyName: kmehr.Hide("Prescriber"), Phone: kmehr.Hide("+3220000000"),
			Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Samplecity"), Street: kmehr.Hide("Samplestreet"), Number: kmehr.Hide("1")},
		},
		Software: kmehr.Software{Name: "sample", Version: "1.0", Phone: "+3220000000", Email: "support@example.invalid"},
		Source:   kmehr.Source{Version: "SAMPLE"},
		Patient: kmehr.Patient{
			SSIN: identity.MustSSIN("00000000196"), FirstName: kmehr.Hide("Sample"), FamilyName: kmehr.Hide("Patient"), Birth: kmehr.NewDay(2000, 1, 1),
		},
		Items: []kmehr.Item{{
			Medicine: &kmehr.Medicine{CNK: number, Name: kmehr.Hide("Secretin 10 mg")}, Quantity: kmehr.Quantity{Value: kmehr.Int(packages)},
			Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 comprime par jour")},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := kmehr.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func gaveItem(t testing.TB, cnk string, n int) DispensedItem {
	t.Helper()
	number, err := identity.NewCNK(cnk[:6])
	if err != nil {
		t.Fatal(err)
	}
	return DispensedItem{CNK: number, Name: identity.Hide("Secretin 10 mg"), Quantity: n}
}

// pharmacyDesk is a dispenser with its outbox on a store that survives it.
type pharmacyDesk struct {
	t       *testing.T
	fake    *fakeCounter
	store   outbox.Store
	d       *Dispenser
	box     *outbox.Box
	reports []Report
	life    *mortal
}

func newDesk(t *testing.T, opts ...DispenserOption) *pharmacyDesk {
	t.Helper()
	p := &pharmacyDesk{t: t, fake: newFakeCounter(t), store: outboxtest.NewMemory()}
	p.open(opts...)
	return p
}

// open starts the program anew on what the store holds.
func (p *pharmacyDesk) open(opts ...DispenserOption) {
	p.t.Helper()
	var err error
	p.life = &mortal{Store: p.store}
	p.d, err = newDispenser(p.fake, append([]DispenserOption{WithReports(func(r Report) { p.reports = append(p.reports, r) })}, opts...))
	if err != nil {
		p.t.Fatal(err)
	}
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	if err != nil {
		p.t.Fatal(err)
	}
	p.box, err = outbox.Open(context.Background(), p.life, outbox.NewKeys(key), append(p.d.Handle(), outbox.WithPace(-1, -1, -1))...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.d.Use(p.box)
}

// drain works until nothing waits.
func (p *pharmacyDesk) drain() {
	p.t.Helper()
	if err := p.box.Drain(context.Background(), nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pharmacyDesk) all() []Report {
	p.t.Helper()
	var out []Report
	for r, err := range p.d.Reports(context.Background()) {
		if err != nil {
			p.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

var errKilled = errors.New("the program was killed")

// mortal is a store that a killed program cannot reach any more; what it wrote before stays.
type mortal struct {
	outbox.Store
	mu   sync.Mutex
	dead bool
}

func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

func (m *mortal) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return fmt.Errorf("%w: %w", errKilled, outbox.ErrBroken)
	}
	return nil
}

func (m *mortal) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	if err := m.alive(); err != nil {
		return outbox.Inserted{}, err
	}
	return m.Store.Insert(ctx, e, c)
}

func (m *mortal) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	if err := m.alive(); err != nil {
		return outbox.Entry{}, err
	}
	return m.Store.Load(ctx, id)
}

func (m *mortal) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.Store.Headers(ctx, ids)
}

func (m *mortal) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := m.alive(); err != nil {
		return err
	}
	return m.Store.Swap(ctx, e, g)
}

func (m *mortal) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	if err := m.alive(); err != nil {
		return outbox.Claimed{}, err
	}
	return m.Store.Claim(ctx, c)
}

func (m *mortal) Release(ctx context.Context, l outbox.Lease) error {
	if err := m.alive(); err != nil {
		return err
	}
	return m.Store.Release(ctx, l)
}

func (m *mortal) List(ctx context.Context, q outbox.Query) (outbox.Page, error) {
	if err := m.alive(); err != nil {
		return outbox.Page{}, err
	}
	return m.Store.List(ctx, q)
}

// Close leaves the store to the next program.
func (m *mortal) Close() error { return nil }

// atDesk runs a test on virtual time.
func atDesk(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t) })
}
