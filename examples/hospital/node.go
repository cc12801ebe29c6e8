package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// node is one server of the hospital. What it must share with the others is in PostgreSQL: the login
// token, the answers that stand in during an outage, and what is still to be sent.
type node struct {
	platform *ehealth.Platform
	db       *postgres.DB
	conn     *pgx.Conn // the hospital's own tables, in the same database
	sent     atomic.Int64
}

// openNode opens a node with the configuration file of the hospital, in a schema of the database.
func openNode(ctx context.Context, config, dsn, schema string) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	cfg, err := ehealth.LoadConfigAs(config, "hospital")
	if err != nil {
		return n, err
	}
	// The same key for all nodes: it seals everything that they share.
	key, err := cache.KeyFromFile(filepath.Join(filepath.Dir(config), "cluster.key"))
	if err != nil {
		return n, err
	}
	if n.conn, err = connect(ctx, dsn, schema); err != nil {
		return n, err
	}
	if n.db, err = postgres.Open(ctx, dsn, postgres.WithSchema(schema)); err != nil {
		return n, err
	}
	cfg.DataKey, cfg.Answers = &key, n.db.Answers()
	if cfg.TokenStore, err = n.db.Tokens(key); err != nil {
		return n, err
	}
	cfg.Outbox = &ehealth.Outbox{
		Store:   n.db.Outbox(),
		OnEvent: n.changed,
		Handlers: func(p *ehealth.Platform) ([]ehealth.Queued, error) {
			return []ehealth.Queued{{
				Kind: reportKind, Handler: reports{p}, Policy: hurried, Service: reportService,
				Name: notice.Platform, Waiting: notice.MessagesQueued,
			}}, nil
		},
		Options: []outbox.Option{outbox.WithLease(25 * time.Second), outbox.WithPace(time.Second, -1, time.Second)}, // a demonstration is in a hurry
	}
	cfg.InsurabilityTimeout = 20 * time.Second // a list of admissions is checked, nobody stands at a counter
	n.platform, err = ehealth.Open(ctx, cfg)
	return n, err
}

// connect opens a connection whose tables are those of the schema.
func connect(ctx context.Context, dsn, schema string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["search_path"] = schema
	return pgx.ConnectConfig(ctx, cfg)
}

// hurried is for a demonstration on one computer with one clock: a node that died with a message in
// its hands holds up that message for a minute. Real services need the defaults.
var hurried = outbox.Policy{
	Class: resilience.ResolvableWrite, TTL: 20 * time.Second, Skew: time.Second, Late: late, Lag: time.Second,
	Backoff: time.Second, BackoffMax: 5 * time.Second,
}

const late = 5 * time.Second // how long after its arrival the service may still execute a write

// close ends what goes on, then the connections.
func (n *node) close() error {
	var errs []error
	if n.platform != nil {
		errs = append(errs, n.platform.Close())
	}
	if n.db != nil {
		errs = append(errs, n.db.Close())
	}
	if n.conn != nil {
		errs = append(errs, n.conn.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// changed counts what this node has sent.
func (n *node) changed(e ehealth.QueueEvent) {
	if e.To == outbox.Done {
		n.sent.Add(1)
	}
}

// discharge ends a stay and puts the report about it into the queue, both in one transaction: they
// become true together, or not at all, whatever happens to this node in between.
func (n *node) discharge(ctx context.Context, stay string) (string, error) {
	err := pgx.BeginFunc(ctx, n.conn, func(tx pgx.Tx) error {
		report := outbox.Item{Kind: reportKind, Key: stay, Ref: "discharge-" + stay, Payload: []byte("discharge report of stay " + stay)}
		if _, err := postgres.PutTx(ctx, tx, n.platform.Outbox, report); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, "UPDATE stay SET closed = now() WHERE id = $1 AND closed IS NULL", stay)
		if err == nil && done.RowsAffected() != 1 {
			err = errors.New("no such stay, nothing is sent") // and the report is gone with the transaction
		}
		return err
	})
	return "stay " + stay + " closed, report queued", err
}

// login gets the token: from the platform, or from the node that was faster.
func (n *node) login(ctx context.Context) (string, error) {
	_, err := n.platform.Tokens.Token(ctx)
	return "logged in", err
}

// ask tells whether a patient is insured.
func (n *node) ask(ctx context.Context, number string) (string, error) {
	patient, err := identity.ParseSSIN(number)
	if err != nil {
		return "", err
	}
	a, err := n.platform.Insurability.Check(ctx, insurability.Query{Patient: patient})
	if a == nil {
		return "", err
	}
	said := "insurability unknown"
	if a.Source != insurability.Unknown {
		said = fmt.Sprintf("insured %v, mutuality %s, %v", a.Insured, a.Mutuality, a.Source)
	}
	if m, ok := a.Message(); ok {
		said += ": " + m.Text(notice.EN)
	}
	// Answers are stored a moment later; in this play another node looks at once.
	return said, n.platform.Answers.Flush(ctx)
}

// queue tells how the queue of all nodes stands, and what this one did.
func (n *node) queue(ctx context.Context) (string, error) {
	q, err := n.platform.Queue(ctx)
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%d waiting, %d sent by this node", q.Waiting, n.sent.Load())
	if !q.Notice.IsZero() {
		said += ": " + q.Notice.Text(notice.EN)
	}
	return said, nil
}

// serve takes commands, one a line, and answers each with a line, until the input ends.
func (n *node) serve(ctx context.Context, in io.Reader, out io.Writer) error {
	fmt.Fprintln(out, "ready")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		command, arg, _ := strings.Cut(lines.Text(), " ")
		said, err := "", errors.New("no such command")
		switch command {
		case "login":
			said, err = n.login(ctx)
		case "ask":
			said, err = n.ask(ctx, arg)
		case "discharge":
			said, err = n.discharge(ctx, arg)
		case "queue":
			said, err = n.queue(ctx)
		}
		if err != nil {
			said = "refused: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Fprintln(out, said)
	}
	return nil
}
