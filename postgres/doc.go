// Package postgres keeps what several nodes share in PostgreSQL 15 or newer: the outbox, the
// tokens and the stored answers.
//
//	db, err := postgres.Open(ctx, "host=db.hospital.be dbname=care user=ehealth sslmode=verify-full")
//	defer db.Close()
//
//	box, err := outbox.Open(ctx, db.Outbox(), outbox.NewKeys(boxKey), handlers...)
//	tokens, err := db.Tokens(key)           // for sts.Durable: one renewal for all nodes
//	answers := db.Answers()                 // for package cache
//
//	// What must be sent joins the transaction that makes it necessary:
//	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
//		if _, err := tx.Exec(ctx, "UPDATE stay SET closed = true WHERE ..."); err != nil {
//			return err
//		}
//		_, err := postgres.PutTx(ctx, tx, box, outbox.Item{Kind: "app.write", Key: key, Ref: ref, Payload: message})
//		return err
//	})
//
// All nodes get the same keys. [Open] makes and migrates its tables in a schema of their own; its
// user needs the right to create that schema once, and owns it.
//
// # What is guaranteed
//
//   - A write that returned nil survives a crash of the server and the loss of power, as far as the
//     server's own settings keep that promise (fsync and full_page_writes on, as they are by default);
//     synchronous_commit is switched on by each write if the session has it off.
//   - A line is served by one worker at a time in the whole cluster. Leases go by the clock of the
//     server: nodes whose clocks differ do not take each other's lines. Items put into one line get
//     their places in the order of their commits.
//   - A restart or failover of the server in the middle of a write is bridged for some seconds, and
//     whether that write happened is found out, not guessed: every write has a unique sealed header.
//   - The database sees what a disk would see: kinds, states, times, sizes and keyed digests, never
//     a key, a reference, a payload, an answer or a token.
//   - No goroutine holds a connection while it waits for anything but the server's answer. Waits for
//     locks and for notices have connections of their own, of bounded number.
//
// # How it fails
//
// Errors of stores are those of packages outbox and cache: [outbox.ErrFull] when the server's disk
// is full, [outbox.ErrNewer] when a newer program wrote the schema, and so on. Everything else is a
// *fault.Error with Service "postgres" and the SQLSTATE as Code; its Outcome says whether a write
// may have happened: Rejected after an error that the server answered (it undid the statement),
// NotSent when nothing was sent, Unknown when the connection ended under a write and stayed away.
// No error text holds a value of a statement.
//
// # Isolation
//
// Sessions must be READ COMMITTED by default, which [Open] checks; the transactions of [PutTx] may be
// of any level.
//
// # Behind a pooler
//
// Statements bear a pooler that pools by transaction (with default_query_exec_mode=exec in the DSN);
// notices and locks of tokens need one that pools by session, or none.
package postgres
