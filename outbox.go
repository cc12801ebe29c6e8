package ehealth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Outbox configures [Platform.Outbox], the queue of writes that survives outages and restarts. See
// docs/outbox.md for what it guarantees.
type Outbox struct {
	// Handlers say who sends the items, by kind. It is called once by Open, with everything but
	// Platform.Outbox in place. Letters and prescriptions need none, see Config.Mail and Config.Recipe. nil: items of other kinds are kept and none is sent.
	Handlers func(p *Platform) ([]Queued, error)
	// File is where the items are kept; "" = outbox.db in DataDir. One process has it open at a
	// time: for several, give Store.
	File string
	// Store keeps the items instead of a file, such as that of package postgres. The platform
	// closes it, unless Open fails.
	Store outbox.Store
	// Postgres is the address of a database, for programs that read it from a configuration file,
	// open it with package postgres and set Store. Open refuses it without a Store: writes that were
	// meant for a shared queue must not end up in a local one.
	Postgres string
	// Keys seal the items; nil = a key derived from Config.DataKey, or in its absence from the
	// private key of Config.Identity. Nodes that share a Store need the same keys.
	Keys *outbox.Keys
	// Options change the pace, the lease, how long done items are kept, and so on.
	Options []outbox.Option
	// OnEvent is told of every change of an item that this process made, with what to show to the
	// person. It must return soon and must not change items. nil = nobody is.
	OnEvent func(QueueEvent)
	// ByHand: nothing is sent in the background, only by the program's own [outbox.Box.Do],
	// Drain or Run.
	ByHand bool
}

// Queued says how the items of one kind are sent.
type Queued struct {
	Kind outbox.Kind
	// Handler sends an item. It must be an [outbox.Resolver] too where the class of Policy is
	// ResolvableWrite.
	Handler outbox.Sender
	Policy  outbox.Policy
	// Service is the UDDI id of the service that gets the items. While the login or all addresses
	// of this service are known not to work, none is tried and none is used up. "" = always tried.
	Service string
	// Name is what a notice calls the service.
	Name notice.Service
	// Waiting is what to tell the person while n items wait: [notice.MessagesQueued],
	// [notice.PrescriptionsPending], [notice.AttestsToday]. nil = nothing.
	Waiting func(n int) notice.Notice
	// Tell is what to tell the person about a change of an item; nil = that nobody knows whether it was received, that it
	// was, that it was not, that it is too late.
	Tell func(outbox.Event) notice.Notice

	// expiry: whoever put an item must learn that it expired, although another process that shares the store let it.
	expiry bool
}

// QueueEvent is a change of an item.
type QueueEvent struct {
	outbox.Event
	// Notice is what to tell the person about this item, zero = nothing: that nobody knows whether
	// it was received, that it was, that it was not, that it is too late.
	Notice notice.Notice
}

// FunctionOutbox is the function in [Platform.Health] that says whether writes wait. It is there
// when Config.Outbox is set.
const FunctionOutbox = "outbox"

const (
	outboxFile = "outbox.db"
	// outboxPurpose names the key of the outbox among those derived from one secret.
	outboxPurpose = "outbox"

	noticeUnsure = "D-UNSURE"
	noticeDown   = "D-DOWN"
)

// queue is the outbox of a platform, with what the platform knows about it.
type queue struct {
	p     *Platform
	box   *outbox.Box
	kinds map[outbox.Kind]Queued
	event func(QueueEvent)
	wake  chan struct{} // something changed
	// expiries: there are kinds of which the expiry is told to whoever put them.
	expiries bool

	stop    context.CancelFunc
	running sync.WaitGroup
	people  atomic.Int64 // calls under way for which somebody may wait

	mu     sync.Mutex
	since  time.Time            // since when something waits without a break
	closed map[outbox.Kind]bool // kinds that were not to be tried at the last look
	freed  time.Time            // since when what had waited is being sent
	sent   int                  // of it
	failed error                // why nothing is sent any more
	told   map[outbox.ID]bool   // what expired and was told, until it is taken off the list
}

// openOutbox opens the queue and starts to send. hok is the credential of the identity.
func (p *Platform) openOutbox(ctx context.Context, hok keystore.Credential) error {
	cfg := p.config.Outbox
	if cfg == nil {
		return nil
	}
	if cfg.Postgres != "" && cfg.Store == nil {
		return errors.New("outbox: Postgres is set but Store is not: open the database with package postgres")
	}
	q := p.queue
	kinds, err := q.handlers(cfg)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	keys, err := p.outboxKeys(hok)
	if err != nil {
		return fmt.Errorf("outbox: key: %w", err)
	}
	store := cfg.Store
	if store == nil {
		if store, err = p.outboxStore(); err != nil {
			return err
		}
	}
	options := append([]outbox.Option{outbox.WithGate(q.gate), outbox.WithPeople(q.busy), outbox.WithEvents(q.changed), outbox.WithAuthor(p.config.Caller.NIHII.Base())}, kinds...)
	if q.box, err = outbox.Open(ctx, store, keys, append(options, cfg.Options...)...); err != nil {
		if cfg.Store == nil {
			err = errors.Join(err, store.Close())
		}
		return fmt.Errorf("outbox: %w", err)
	}
	p.Outbox = q.box
	p.Mail.use(q.box)
	p.Recipe.use(q.box)
	q.oldest(ctx)
	return q.start(!cfg.ByHand)
}

// outboxStore opens the file.
func (p *Platform) outboxStore() (outbox.Store, error) {
	path := p.config.Outbox.File
	if path == "" {
		if p.config.DataDir == "" {
			return nil, errors.New("outbox: DataDir, Outbox.File or Outbox.Store is required")
		}
		path = filepath.Join(p.config.DataDir, outboxFile)
	}
	s, err := outbox.OpenBolt(path)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err) // not s: a nil *Bolt is not a nil Store
	}
	return s, nil
}

func (p *Platform) outboxKeys(hok keystore.Credential) (outbox.Keys, error) {
	if k := p.config.Outbox.Keys; k != nil {
		return *k, nil
	}
	master, err := dataKey(&p.config, hok)
	if err != nil {
		return outbox.Keys{}, err
	}
	secret := master.Derive(outboxPurpose)
	key, err := outbox.KeyFromBytes(secret[:])
	return outbox.NewKeys(key), err
}

// handlers asks the program who sends what.
func (q *queue) handlers(cfg *Outbox) (out []outbox.Option, err error) {
	all := append(q.p.Mail.queued(), q.p.Recipe.queued()...)
	if cfg.Handlers != nil {
		more, err := cfg.Handlers(q.p)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for _, k := range all {
		q.kinds[k.Kind] = k
		q.expiries = q.expiries || k.expiry
		var h outbox.Sender
		if k.Handler != nil {
			h = marked{k.Handler}
			if r, ok := k.Handler.(outbox.Resolver); ok {
				h = markedBoth{marked{k.Handler}, r}
			}
		}
		out = append(out, outbox.Handle(k.Kind, h, k.Policy))
	}
	return out, nil
}

type fromQueue struct{}

// marked marks the calls of a handler for which nobody waits.
type marked struct{ outbox.Sender }

// Send implements outbox.Sender.
func (m marked) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	if it.Priority != outbox.Interactive {
		ctx = context.WithValue(ctx, fromQueue{}, true)
	}
	return m.Sender.Send(ctx, it, a)
}

type markedBoth struct {
	marked
	r outbox.Resolver
}

// Resolve implements outbox.Resolver.
func (m markedBoth) Resolve(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Verdict, error) {
	return m.r.Resolve(context.WithValue(ctx, fromQueue{}, true), it, a)
}

// counting is a layer that counts the calls for which somebody may wait: all but those of the queue
// itself and those to the login service, which are made in the background too.
func (q *queue) counting() resilience.CallLayer[*exchange.Call, *exchange.Answer] {
	type handler = resilience.Handler[resilience.Exec, *exchange.Call, *exchange.Answer]
	return resilience.CallLayer[*exchange.Call, *exchange.Answer]{
		Name: "outbox", Wrap: func(next handler) handler {
			return func(ctx context.Context, x *resilience.Exec, c *exchange.Call) (*exchange.Answer, error) {
				if c.Service != ServiceSTS && ctx.Value(fromQueue{}) == nil {
					q.people.Add(1)
					defer q.people.Add(-1)
				}
				return next(ctx, x, c)
			}
		},
	}
}

func (q *queue) busy() bool { return q.people.Load() > 0 }

// start begins to send and to watch.
func (q *queue) start(send bool) error {
	ctx, stop := context.WithCancel(context.Background())
	q.stop = stop
	detach, err := q.p.telemetry.Outbox(func() (outbox.Counts, error) {
		ctx, cancel := context.WithTimeout(ctx, saveTimeout)
		defer cancel()
		return q.box.Stats(ctx)
	})
	if err != nil {
		return err
	}
	q.running.Go(func() {
		defer detach()
		q.watch(ctx)
	})
	if send {
		q.running.Go(func() {
			if err := q.box.Run(ctx); err != nil {
				q.mu.Lock()
				q.failed = err
				q.mu.Unlock()
				q.stir()
			}
		})
	}
	return nil
}

// close lets what was sent get its answer, and ends.
func (q *queue) close() error {
	if q == nil || q.box == nil {
		return nil
	}
	if q.stop != nil {
		q.stop()
	}
	q.running.Wait()
	q.mu.Lock()
	failed := q.failed
	q.mu.Unlock()
	if err := errors.Join(failed, q.box.Close()); err != nil {
		return fmt.Errorf("ehealth: outbox: %w", err)
	}
	return nil
}

// oldest learns since when something waits, from the items themselves; so many of them tell enough.
func (q *queue) oldest(ctx context.Context) {
	left := oldestOf
	for _, s := range outbox.States() {
		if !s.Open() {
			continue
		}
		for v, err := range q.box.List(ctx, outbox.Filter{State: s}) {
			if left--; left < 0 {
				return
			}
			if err == nil && (q.since.IsZero() || v.Created.Before(q.since)) {
				q.since = v.Created
			}
		}
	}
}

const oldestOf = 1000

// label is what errors call an operation of a kind.
func label(k outbox.Kind) string { return "outbox." + cmp.Or(string(k), "item") }
