// Command hospital runs three nodes of a hospital, each a process of its own, that share the login
// token, the answers and the queue in one PostgreSQL database:
//
//	go run ./examples/hospital --postgres "host=/var/run/postgresql dbname=care"
//
// One login serves all of them. What the insurers told node 1 serves node 2 while the platform is
// away. What node 1 was to send when it was killed is sent by the others, once. Everything is in a
// schema of its own, which the user of the database must be allowed to make and which is dropped in
// the end.
//
// node.go is what a node is made of and report.go what it sends; this file directs the play, with a
// sandbox in place of the platform, so no eHealth account is needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

func main() {
	if os.Getenv(envConfig) != "" {
		if err := runNode(context.Background()); err != nil {
			log.Fatal(err)
		}
		return
	}
	dsn := flag.String("postgres", "", "address of the database, as psql understands it")
	flag.Parse()
	if *dsn == "" {
		log.Fatal("--postgres is required: the address of a PostgreSQL database, 15 or newer")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *dsn); err != nil {
		log.Fatal(err)
	}
}

// runNode is the process of a node.
func runNode(ctx context.Context) error {
	n, err := openNode(ctx, os.Getenv(envConfig), os.Getenv(envPostgres), os.Getenv(envSchema))
	if err != nil {
		return err
	}
	return errors.Join(n.serve(ctx, os.Stdin, os.Stdout), n.close())
}

// stays are those of the hospital's own table.
var stays = []string{"101", "102", "103"}

// outage makes the platform and the insurers' own line answer that they are out of order.
var outage = []string{"esb 0 to_end fault code=SOA-02001", "genins-direct 0 to_end fault code=SOA-02001", "app-direct 0 to_end fault code=SOA-02001"}

// run plays it.
func run(ctx context.Context, out io.Writer, dsn string) (err error) {
	dir, err := os.MkdirTemp("", "hospital")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sb, err := sandbox.New(sandbox.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer sb.Close()
	sb.SetApp(sandbox.AppBehaviour{Late: late}) // as the nodes' policy says
	if err := sb.WriteEnvironment(dir); err != nil {
		return err
	}
	schema := fmt.Sprintf("hospital_%d", time.Now().UnixNano()) // for this play alone
	conn, err := connect(ctx, dsn, schema)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	defer func() {
		_, dropped := conn.Exec(context.WithoutCancel(ctx), "DROP SCHEMA IF EXISTS "+schema+" CASCADE")
		err = errors.Join(err, dropped)
	}()
	if err := tables(ctx, conn, schema); err != nil {
		return err
	}
	p := &play{out: out, sb: sb}
	defer p.close()
	if err := p.start(ctx, filepath.Join(dir, "sandbox.json"), dsn, schema); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{p.morning, p.dark, p.kill, p.light} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tables makes what the hospital keeps by itself.
func tables(ctx context.Context, conn *pgx.Conn, schema string) error {
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE stay (id text PRIMARY KEY, closed timestamptz)"); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "INSERT INTO stay SELECT unnest($1::text[])", stays)
	return err
}

// play is the platform, the nodes, and who watches them.
type play struct {
	out   io.Writer
	sb    *sandbox.Sandbox
	nodes []*process
}

func (p *play) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *play) start(ctx context.Context, config, dsn, schema string) error {
	for i := range 3 {
		n, err := startProcess(ctx, fmt.Sprintf("node %d", i+1), config, dsn, schema)
		if err != nil {
			return err
		}
		p.nodes = append(p.nodes, n)
	}
	return nil
}

func (p *play) close() {
	for _, n := range p.nodes {
		n.stop()
	}
}

// do lets a node do something.
func (p *play) do(i int, command string) error {
	said, err := p.nodes[i].do(command)
	if err != nil {
		return err
	}
	p.say("%s: %s", p.nodes[i].name, said)
	return nil
}

// morning: all nodes log in at the same moment.
func (p *play) morning(context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(p.nodes))
	for i, n := range p.nodes {
		all.Go(func() { _, errs[i] = n.do("login") })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p.say("three nodes are logged in, with %d request to the login service", p.sb.State().Requests["sts"])
	return p.do(0, "ask "+p.sb.Patient(sandbox.Insured).SSIN.Reveal())
}

// dark: the platform is away. The answer of node 1 serves node 2, and work is kept.
func (p *play) dark(context.Context) error {
	p.say("the platform is away")
	for _, row := range outage {
		step, err := sandbox.ParseStep(row)
		if err != nil {
			return err
		}
		if _, err := p.sb.Inject(step); err != nil {
			return err
		}
	}
	errs := []error{p.do(1, "ask "+p.sb.Patient(sandbox.Insured).SSIN.Reveal())}
	for _, stay := range append(stays, "999") {
		errs = append(errs, p.do(0, "discharge "+stay))
	}
	return errors.Join(append(errs, p.do(0, "queue"))...)
}

// kill: node 1 dies without a word.
func (p *play) kill(context.Context) error {
	p.nodes[0].kill()
	p.say("node 1 is killed")
	return nil
}

// light: the platform is back, and the others send what node 1 left.
func (p *play) light(ctx context.Context) error {
	p.sb.ClearFaults()
	p.say("the platform is back")
	for _, stay := range stays {
		for p.sb.AppExecuted("discharge-"+stay) == 0 {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if err := p.settled(ctx); err != nil {
		return err
	}
	for i := 1; i < len(p.nodes); i++ {
		if err := p.do(i, "queue"); err != nil {
			return err
		}
	}
	for _, stay := range append(stays, "999") {
		p.say("executions of the report of stay %s: %d", stay, p.sb.AppExecuted("discharge-"+stay))
	}
	return nil
}

// settled waits until nothing waits in the queue and the nodes that are left have counted what they sent: the database shows
// a report as done a moment before the node that sent it is told.
func (p *play) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	for {
		all := 0
		for _, n := range p.nodes[1:] {
			sent, err := n.settled(ctx)
			if err != nil {
				return err
			}
			all += sent
		}
		if all >= len(stays) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the nodes counted %d of %d reports: %w", all, len(stays), ctx.Err())
		}
	}
}

// countLimit is for a message whose node died with it in its hands, and for a computer that is busy.
const countLimit = 3 * time.Minute
