package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

const (
	// DefaultSchema holds all tables.
	DefaultSchema = "ehealth"
	// DefaultLocks bounds the connections for locks: each lock of [DB.Tokens] has one of its own
	// while it is held or waited for, and a process serves few identities at a time.
	DefaultLocks = 4

	// A write of a result is tried this long when the server restarts or fails over: what is known
	// must not be lost. A new item is somebody's who waits, so that one is told sooner. Reads are
	// tried once more.
	resultPatience = 20 * time.Second
	insertPatience = 3 * time.Second

	// What only a server that is gone without a word makes last so long, or a network that is cut: making
	// a connection, unless the DSN has a connect_timeout, and lending a line to a worker, who has no
	// deadline of his own. Without them the kernel decides, after minutes.
	connectWait = 10 * time.Second
	claimWait   = 30 * time.Second

	pauseMin = 20 * time.Millisecond // between tries; it doubles
	pauseMax = time.Second
)

// Acquire lends a connection until release is called; see [OpenShared].
type Acquire func(ctx context.Context) (conn *pgx.Conn, release func(), err error)

// DB is one schema of one database, for one process. It is safe for concurrent use.
type DB struct {
	acquire  Acquire
	own      *pool           // nil with OpenShared
	direct   *pgx.ConnConfig // for connections of their own
	schema   string
	instance [16]byte // names this schema among all in the world
	maxConns int
	maxHold  time.Duration // [MaxHold]
	maxClaim time.Duration // claimWait, unless a test says otherwise
	factor   time.Duration // of all patience: 1, unless a test says otherwise
	locks    chan struct{}
	locked   keyed

	end    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // calls and goroutines that use connections

	mu     sync.Mutex
	closed bool
}

// Option changes how a database is opened.
type Option func(*DB) error

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// WithSchema names the schema of the tables, which is made if it is not there. Default
// [DefaultSchema]; "" = default. At most 40 of a-z, 0-9 and underscore. Two schemas are two
// separate outboxes, token stores and answer stores.
func WithSchema(name string) Option {
	return func(d *DB) error {
		if name == "" {
			name = DefaultSchema
		}
		if !schemaName.MatchString(name) {
			return fmt.Errorf("%w: name of the schema", outbox.ErrInvalid)
		}
		d.schema = name
		return nil
	}
}

// WithMaxConns bounds the connections of [Open] for statements; 0 = [DefaultMaxConns]. Beside them
// there are one that listens and those of [WithLocks].
func WithMaxConns(n int) Option {
	return func(d *DB) error {
		if n < 0 {
			return fmt.Errorf("%w: connections", outbox.ErrInvalid)
		}
		if n > 0 {
			d.maxConns = n
		}
		return nil
	}
}

// WithLocks bounds the locks held or waited for by this process at one time; 0 = [DefaultLocks].
func WithLocks(n int) Option {
	return func(d *DB) error {
		if n < 0 {
			return fmt.Errorf("%w: locks", outbox.ErrInvalid)
		}
		if n > 0 {
			d.locks = make(chan struct{}, n)
		}
		return nil
	}
}

// Open connects to the database of dsn (keywords or URL, as psql and $PGHOST, $PGPASSWORD and so on
// understand them), brings the schema to this program's version and returns a DB to be closed.
// With several hosts add target_session_attrs=read-write, and a failover is followed. A host that
// does not answer is given up after 10 s; connect_timeout changes that.
// [outbox.ErrNewer]: a newer program wrote the schema, nothing was touched. [outbox.ErrInvalid]: the
// DSN is none, or sessions are not READ COMMITTED by default, as PostgreSQL's own default is.
func Open(ctx context.Context, dsn string, opts ...Option) (*DB, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		// Its text may hold the password.
		return nil, &fault.Error{Op: "postgres.Open", Service: service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fmt.Errorf("%w: not a DSN", outbox.ErrInvalid)}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectWait
	}
	d, err := newDB(opts)
	if err != nil {
		return nil, err
	}
	d.direct = cfg
	d.own = newPool(cfg, d.maxConns)
	d.acquire = d.own.acquire
	return d.ready(ctx)
}

// OpenShared is Open over connections of somebody else's pool, which stays his. With pgxpool:
//
//	postgres.OpenShared(ctx, func(ctx context.Context) (*pgx.Conn, func(), error) {
//		c, err := pool.Acquire(ctx)
//		if err != nil {
//			return nil, nil, err
//		}
//		return c.Conn(), c.Release, nil
//	})
//
// Connections that listen or hold a lock are not taken from it, but made with the same
// configuration.
func OpenShared(ctx context.Context, acquire Acquire, opts ...Option) (*DB, error) {
	if acquire == nil {
		return nil, fmt.Errorf("%w: no connections", outbox.ErrInvalid)
	}
	d, err := newDB(opts)
	if err != nil {
		return nil, err
	}
	d.acquire = acquire
	return d.ready(ctx)
}

// errIsolation: a statement that waited for its line must then see what the other one did.
var errIsolation = fmt.Errorf("%w: the sessions are not READ COMMITTED by default", outbox.ErrInvalid)

func newDB(opts []Option) (*DB, error) {
	d := &DB{schema: DefaultSchema, maxConns: DefaultMaxConns, maxHold: MaxHold, maxClaim: claimWait, factor: 1, locks: make(chan struct{}, DefaultLocks)}
	for _, o := range opts {
		if err := o(d); err != nil {
			return nil, err
		}
	}
	d.end, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

func (d *DB) ready(ctx context.Context) (*DB, error) {
	err := d.migrate(ctx, len(migrations))
	if err == nil {
		err = d.do(ctx, "Open", false, 0, func(c *pgx.Conn) error {
			if d.direct == nil {
				d.direct = c.Config()
			}
			var isolation string
			err := c.QueryRow(ctx, d.sql("SELECT instance, current_setting('default_transaction_isolation') FROM @.version WHERE version = 1")).Scan(&d.instance, &isolation)
			if err == nil && !strings.HasPrefix(isolation, "read ") {
				err = errIsolation
			}
			return err
		})
	}
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Close waits for calls under way and locks held, and closes the connections; those of [OpenShared] stay open. Close
// the boxes and stores first, or let them fail with ErrClosed.
func (d *DB) Close() error {
	d.mu.Lock()
	was := d.closed
	d.closed = true
	d.mu.Unlock()
	if was {
		return nil
	}
	d.cancel()
	d.work.Wait()
	if d.own != nil {
		d.own.close()
	}
	return nil
}

// enter counts a call; the returned function ends it.
func (d *DB) enter() (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, outbox.ErrClosed
	}
	d.work.Add(1)
	return d.work.Done, nil
}

// do lends f a connection, again when the failure is one that passes, for as long as patience
// allows. f must bear being run twice though the first time succeeded unseen.
func (d *DB) do(ctx context.Context, op string, write bool, patience time.Duration, f func(*pgx.Conn) error) error {
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	patience *= d.factor
	begun, pause, sent := time.Now(), pauseMin, false
	for try := 0; ; try++ {
		err := d.once(ctx, f)
		if err == nil || !passing(err) || ctx.Err() != nil || try > 0 && time.Since(begun) > patience {
			return unsure(sent, wrap(op, write, err))
		}
		sent = sent || outcome(write, err) == fault.Unknown
		if try > 0 && !sleep(ctx, pause/2+rand.N(pause/2)) {
			return unsure(sent, wrap(op, write, err))
		}
		pause = min(2*pause, pauseMax)
	}
}

func (d *DB) once(ctx context.Context, f func(*pgx.Conn) error) error {
	c, release, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err = f(c); err != nil && c.IsClosed() {
		return lostError{err}
	}
	return err
}

// dial makes a connection of its own, for what lasts longer than a statement.
func (d *DB) dial(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, d.direct.Copy())
}

// sleep waits for t; false when ctx ended first.
func sleep(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// keyed is a set of mutexes by name whose waiters can give up.
type keyed struct {
	mu sync.Mutex
	m  map[string]*waiters
}

type waiters struct {
	turn chan struct{} // holds one value while somebody has the lock
	n    int           // holder and waiters
}

func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.m == nil {
		k.m = map[string]*waiters{}
	}
	w := k.m[name]
	if w == nil {
		w = &waiters{turn: make(chan struct{}, 1)}
		k.m[name] = w
	}
	w.n++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if w.n--; w.n == 0 {
			delete(k.m, name)
		}
	}
	select {
	case w.turn <- struct{}{}:
		return func() { <-w.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
