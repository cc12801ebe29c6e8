package bcp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// events collects what a directory tells.
type events struct {
	mu  sync.Mutex
	all []bcp.Event
}

func (e *events) add(v bcp.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, v)
}

// take returns what came since the last take.
func (e *events) take() []bcp.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.all
	e.all = nil
	return out
}

// only checks that exactly one event came, of that kind and reason.
func (e *events) only(t *testing.T, when string, kind bcp.EventKind, want error) bcp.Event {
	t.Helper()
	got := e.take()
	if len(got) != 1 || got[0].Kind != kind || !errors.Is(got[0].Err, want) {
		t.Fatalf("%s: events %v, want one %v of %v", when, got, kind, want)
	}
	return got[0]
}

func (e *events) none(t *testing.T, when string) {
	t.Helper()
	if got := e.take(); len(got) > 0 {
		t.Fatalf("%s: events %v", when, got)
	}
}

// bench is a sandbox and how a client of it is configured.
type bench struct {
	t      *testing.T
	s      *sandbox.Sandbox
	dir    string
	events *events
	client *http.Client
}

// newBench must be called inside a synctest bubble; everything of it ends with the bubble's function.
func newBench(t *testing.T) (*bench, func()) {
	s, err := sandbox.New(sandbox.Config{Patients: -1})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, s: s, dir: t.TempDir(), events: &events{}, client: s.HTTPClient()}
	return b, func() {
		b.client.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func static(s *sandbox.Sandbox) resilience.Static {
	out := resilience.Static{}
	for id, eps := range s.Services() {
		for _, e := range eps {
			out[id] = append(out[id], resilience.Endpoint{URL: e.URL, Order: e.Order, Active: e.Active})
		}
	}
	return out
}

func (b *bench) config(version int) bcp.Config {
	return bcp.Config{
		Environment: "Simulation", URLs: []string{b.s.ListURL(version)}, HTTP: b.client,
		Trust: bcp.Trust{Roots: b.s.Roots(), Issuer: func(cn string) bool { return cn == "SANDBOX eHealth issuing CA 001" }},
		Dir:   b.dir, Static: static(b.s), OnEvent: b.events.add,
	}
}

func (b *bench) open(c bcp.Config) *bcp.Directory {
	b.t.Helper()
	d, err := bcp.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *bench) set(st sandbox.ListState) {
	b.t.Helper()
	time.Sleep(time.Second) // a new IssueInstant
	if err := b.s.SetList(st); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stored() string {
	b.t.Helper()
	doc, err := os.ReadFile(filepath.Join(b.dir, "servicelist-simulation.xml"))
	if err != nil {
		b.t.Fatal(err)
	}
	files, err := os.ReadDir(b.dir)
	if err != nil || len(files) != 1 {
		b.t.Fatalf("files beside the list: %v, %v", files, err)
	}
	return string(doc)
}

func active(t *testing.T, d resilience.Directory, service string) string {
	t.Helper()
	e, ok := bcp.Active(d.Endpoints(service))
	if !ok {
		t.Fatal("no address")
	}
	return e.URL
}

var toDirect = sandbox.ListState{Set: []sandbox.ListEntry{{Service: "genins", Order: 1, Active: true}}}

// TestAttacks: whatever is wrong with a list, nothing changes in memory or on disk and one event tells it; a restart starts
// from the last good list; the next good list is obeyed.
func TestAttacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	for _, c := range []struct {
		defect sandbox.Defect
		want   error
	}{
		{sandbox.ListBadSignature, bcp.ErrBadSignature},
		{sandbox.ListUnsigned, bcp.ErrUnsigned},
		{sandbox.ListWrapped, bcp.ErrWrapped},
		{sandbox.ListSelfSigned, bcp.ErrSelfSigned},
		{sandbox.ListForeignCA, bcp.ErrUntrusted},
		{sandbox.ListPerson, bcp.ErrSigner},
		{sandbox.ListOld, bcp.ErrOlder},
		{sandbox.ListEnvironment, bcp.ErrEnvironment},
		{sandbox.ListUnknownHost, bcp.ErrHost},
		{sandbox.ListDTD, bcp.ErrDoctype},
		{sandbox.ListHuge, bcp.ErrTooLarge},
		{sandbox.ListEndless, bcp.ErrEndless},
		{sandbox.ListHTML, bcp.ErrSyntax},
	} {
		for version := 1; version <= 2; version++ {
			t.Run(fmt.Sprintf("%s v%d", c.defect, version), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { attack(t, c.defect, c.want, version) })
			})
		}
	}
}

func attack(t *testing.T, defect sandbox.Defect, want error, version int) {
	b, end := newBench(t)
	defer end()
	d := b.open(b.config(version))
	ctx := context.Background()
	if err := d.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	b.events.only(t, "first list", bcp.Installed, nil)
	good, before := b.stored(), active(t, d, genins)
	list, _ := d.List()

	b.set(sandbox.ListState{Set: toDirect.Set, Defect: defect})
	began := time.Now()
	err := d.Refresh(ctx)
	if took := time.Since(began); took > 2*bcp.DefaultTimeout {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, want) && defect != sandbox.ListHTML {
		t.Errorf("%v, want %v", err, want)
	}
	if defect == sandbox.ListHTML {
		want = err // a web page may be well-formed or not
	}
	b.events.only(t, "attack", bcp.Refused, want)
	for range 3 {
		time.Sleep(time.Minute)
		if err := d.Refresh(ctx); err == nil {
			t.Error("refused at first, accepted later")
		}
	}
	b.events.none(t, "same attack again")
	if now, _ := d.List(); now != list || active(t, d, genins) != before || b.stored() != good {
		t.Error("something changed")
	}

	again := b.open(b.config(version))
	b.events.only(t, "restart", bcp.Loaded, nil)
	if active(t, again, genins) != before {
		t.Error("restart lost the list")
	}

	b.set(toDirect)
	if err := d.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	e := b.events.only(t, "good list", bcp.Installed, nil)
	if active(t, d, genins) == before || len(e.Changes) != 2 || b.stored() == good {
		t.Errorf("the order was not obeyed: %+v", e)
	}
}

// TestContinuity is T01, T02 and T04 of dossier 06 B.6 at the level of addresses: a list orders the switch and the way
// back while the directory polls; the list server goes down and the process restarts.
func TestContinuity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t)
		defer end()
		d := b.open(b.config(1))
		router := bcp.NewRouter(bcp.RouterConfig{Directory: d})
		d.Start()
		synctest.Wait()
		b.events.only(t, "start", bcp.Installed, nil)
		first := func() (url string) {
			e, ok := router.Route(genins, resilience.Read).Endpoint()
			if !ok {
				t.Fatal("no address")
			}
			return e.URL
		}
		primary, alternate := b.s.URL(genins, 0), b.s.URL(genins, 1)
		if first() != primary {
			t.Fatal("not at the primary at rest")
		}

		b.set(toDirect) // T01
		time.Sleep(bcp.DefaultPollMax + 20*time.Second)
		if e := b.events.only(t, "order", bcp.Installed, nil); len(e.Changes) != 2 || e.Changes[0] != (bcp.Change{Service: genins, From: primary, To: alternate}) {
			t.Fatalf("%+v", e.Changes)
		}
		for range 100 {
			if first() != alternate {
				t.Fatal("a call went to the address that the platform took out")
			}
		}

		if err := d.Close(); err != nil { // T04: restart while the list server is down
			t.Fatal(err)
		}
		stop, err := b.s.Inject(sandbox.Step{Service: "servicelist", For: time.Hour, Fault: sandbox.Refuse{P: 1}})
		if err != nil {
			t.Fatal(err)
		}
		d2 := b.open(b.config(1))
		b.events.only(t, "restart", bcp.Loaded, nil)
		d2.Start()
		defer d2.Close()
		synctest.Wait()
		b.events.only(t, "list server down", bcp.Unreachable, bcp.ErrUnreachable)
		if active(t, d2, genins) != alternate {
			t.Fatal("restart forgot the order")
		}
		stop()
		router = bcp.NewRouter(bcp.RouterConfig{Directory: d2})
		if first() != alternate {
			t.Fatal("restart forgot the order")
		}

		b.set(sandbox.ListState{}) // T02
		time.Sleep(bcp.DefaultPollMax + 20*time.Second)
		if got := b.events.take(); len(got) != 2 || got[0].Kind != bcp.Installed && got[1].Kind != bcp.Installed {
			t.Fatalf("%v", got)
		}
		first() // the return begins with the first call that sees the order
		share := func() (n int) {
			for range 1000 {
				if first() == primary {
					n++
				}
			}
			return n
		}
		if n := share(); n < 50 || n > 160 {
			t.Errorf("%d of 1000 calls at the start of the return", n)
		}
		time.Sleep(30 * time.Second)
		if n := share(); n < 350 || n > 800 {
			t.Errorf("%d of 1000 calls half a minute into the return", n)
		}
		time.Sleep(45 * time.Second)
		if n := share(); n != 1000 {
			t.Errorf("%d of 1000 calls after the return", n)
		}
	})
}

// TestHangingServer: a list server that never answers costs nothing: New, Start, lookups and Close are immediate, and the
// fetches end at their deadline.
func TestHangingServer(t *testing.T) {
	for _, kind := range []sandbox.Fault{sandbox.Blackhole{P: 1}, sandbox.Hang{P: 1}} {
		synctest.Test(t, func(t *testing.T) {
			b, end := newBench(t)
			defer end()
			if _, err := b.s.Inject(sandbox.Step{Service: "servicelist", For: 24 * time.Hour, Fault: kind}); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			d := b.open(b.config(1))
			d.Start()
			d.Start()
			if active(t, d, genins) != b.s.URL(genins, 0) || time.Since(began) != 0 {
				t.Error("start waited for the network")
			}
			time.Sleep(bcp.DefaultTimeout + time.Second)
			b.events.only(t, "no answer", bcp.Unreachable, bcp.ErrUnreachable)
			time.Sleep(2 * time.Hour)
			b.events.none(t, "still no answer")
			began = time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := d.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, bcp.ErrUnreachable) || time.Since(began) != time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			d.Alert()
			time.Sleep(bcp.DefaultAlertPoll + 5*time.Second) // a fetch may be under way
			began = time.Now()
			if err := d.Close(); err != nil || time.Since(began) != 0 {
				t.Errorf("Close: %v after %v", err, time.Since(began))
			}
			d.Start() // after Close: nothing
		})
	}
}

// TestTrickle: a list that comes a byte at a time is given up at the deadline of the fetch.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t)
		defer end()
		d := b.open(b.config(1))
		b.set(sandbox.ListState{Defect: sandbox.ListEndless})
		began := time.Now()
		if err := d.Refresh(context.Background()); !errors.Is(err, bcp.ErrEndless) {
			t.Error(err)
		}
		if took := time.Since(began); took != bcp.DefaultTimeout {
			t.Errorf("took %v", took)
		}
		b.events.only(t, "endless", bcp.Refused, bcp.ErrEndless)
	})
}

func TestServerErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t)
		defer end()
		b.set(sandbox.ListState{Defect: sandbox.ListHTTP500})
		d := b.open(b.config(1))
		for range 3 {
			if err := d.Refresh(context.Background()); !errors.Is(err, bcp.ErrUnreachable) || !strings.Contains(err.Error(), "500") {
				t.Error(err)
			}
		}
		b.events.only(t, "HTTP 500", bcp.Unreachable, bcp.ErrUnreachable)
		b.set(sandbox.ListState{})
		if err := d.Refresh(context.Background()); err != nil {
			t.Error(err)
		}
		if got := b.events.take(); len(got) != 2 || got[0].Kind != bcp.Installed || got[1].Kind != bcp.Reachable {
			t.Errorf("%v", got)
		}
		// Another base that works is used when the first does not.
		c := b.config(1)
		c.URLs = []string{"https://nowhere.sandbox.test/x", b.s.ListURL(2)}
		d = b.open(c)
		b.events.take()
		if err := d.Refresh(context.Background()); err != nil {
			t.Error(err)
		}
		if e := b.events.only(t, "second base, same content at the same instant", bcp.Installed, nil); len(e.Changes) > 0 {
			t.Errorf("%+v", e)
		}
	})
}
