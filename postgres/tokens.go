package postgres

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

const (
	// MaxHold is how long a lock of [DB.Tokens] lasts at most: the server then ends the connection
	// of a holder that does not, so that a process that was paused holds up nobody for long. A
	// login takes 30 s at most.
	MaxHold = 2 * time.Minute

	// tokenKeep is when a record is forgotten; no token of the platform lives longer than a day.
	tokenKeep = "7 days"
	hangWait  = 5 * time.Second // bounds the end of a lock

	tokenVersion = 1 // of the sealed format: version, nonce, ciphertext
)

// tokens keeps sealed records under keyed digests.
type tokens struct {
	d    *DB
	aead cipher.AEAD
	name []byte
}

// Tokens returns the token store of this schema for [sts.Durable]: all nodes that were given the
// same key share their tokens, and one of them renews for all. What the database holds is sealed
// (XChaCha20-Poly1305) under names that are keyed digests. Another key sees no tokens.
//
// Lock waits on a connection of its own and holds no other meanwhile. The lock of a process, or of a
// machine, that died is free; nobody holds one longer than [MaxHold].
func (d *DB) Tokens(key cache.Key) (sts.Store, error) {
	if !key.Valid() {
		return nil, fmt.Errorf("%w: no key", outbox.ErrInvalid)
	}
	seal, name := key.Derive("postgres tokens: records"), key.Derive("postgres tokens: names")
	aead, err := chacha20poly1305.NewX(seal[:])
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return &tokens{d: d, aead: aead, name: name[:]}, nil
}

func (t *tokens) digest(key string) []byte {
	m := hmac.New(sha256.New, t.name)
	m.Write([]byte(key))
	return m.Sum(nil)
}

// bind is what a record is authenticated with: where it lies.
func bind(name []byte) []byte { return append([]byte("ehealth postgres token v1 "), name...) }

// Load implements [sts.Store].
func (t *tokens) Load(ctx context.Context, key string) ([]byte, error) {
	name := t.digest(key)
	var sealed []byte
	err := t.d.do(ctx, "Tokens.Load", false, 0, func(c *pgx.Conn) error {
		err := c.QueryRow(ctx, t.d.sql("SELECT record FROM @.token WHERE name = $1"), name).Scan(&sealed)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || sealed == nil {
		return nil, err
	}
	n := 1 + t.aead.NonceSize()
	if len(sealed) < n || sealed[0] != tokenVersion {
		return nil, t.damaged()
	}
	plain, err := t.aead.Open(nil, sealed[1:n], sealed[n:], bind(name))
	if err != nil {
		return nil, t.damaged()
	}
	return plain, nil
}

func (t *tokens) damaged() error {
	return &fault.Error{Op: "postgres.Tokens.Load", Service: service, Kind: fault.Security, Outcome: fault.NotSent, Err: cache.ErrCorrupt}
}

// Save implements [sts.Store]. It forgets what is of no use to anybody.
func (t *tokens) Save(ctx context.Context, key string, record []byte) error {
	if len(record) > cache.MaxRecord {
		return fmt.Errorf("%w: token", cache.ErrTooLarge)
	}
	name := t.digest(key)
	sealed := make([]byte, 1+t.aead.NonceSize(), 1+t.aead.NonceSize()+len(record)+t.aead.Overhead())
	sealed[0] = tokenVersion
	_, _ = rand.Read(sealed[1:]) // never fails
	sealed = t.aead.Seal(sealed, sealed[1:], record, bind(name))
	fail.Point("postgres.token.before")
	err := t.d.do(ctx, "Tokens.Save", true, resultPatience, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, t.d.sql(`WITH forget AS (DELETE FROM @.token WHERE changed < now() - interval '`+tokenKeep+`' AND name <> $1)
			INSERT INTO @.token VALUES ($1, $2, now()) ON CONFLICT (name) DO UPDATE SET record = $2, changed = now()`), name, sealed)
		return err
	})
	fail.Point("postgres.token.after")
	return err
}

// Delete implements [sts.Store].
func (t *tokens) Delete(ctx context.Context, key string) error {
	return t.d.do(ctx, "Tokens.Delete", true, resultPatience, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, t.d.sql("DELETE FROM @.token WHERE name = $1"), t.digest(key))
		return err
	})
}

// Lock implements [sts.Store] with an advisory lock of a session: it ends with the connection,
// whatever becomes of the process. Inside the process a line forms before that, so that one
// connection waits and not many.
func (t *tokens) Lock(ctx context.Context, key string) (unlock func(), err error) {
	leave, err := t.d.enter()
	if err != nil {
		return nil, err
	}
	name := t.digest(key)
	next, err := t.d.locked.lock(ctx, string(name))
	if err != nil {
		leave()
		return nil, wrap("Tokens.Lock", false, err)
	}
	c, err := t.session(ctx, int64(binary.BigEndian.Uint64(name)))
	if err != nil {
		next()
		leave()
		return nil, wrap("Tokens.Lock", false, err)
	}
	return sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hangWait)
		defer cancel()
		_ = c.Close(ctx) // the lock ends with it at the latest when the server notices
		<-t.d.locks
		next()
		leave()
	}), nil
}

// session returns a connection that holds the lock.
func (t *tokens) session(ctx context.Context, number int64) (*pgx.Conn, error) {
	// DB.Close ends the wait too.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.d.end, cancel)()
	select {
	case t.d.locks <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := t.d.dial(ctx)
	if err != nil {
		<-t.d.locks
		return nil, err
	}
	idle := fmt.Sprintf("SET idle_session_timeout = %d", t.d.maxHold.Milliseconds())
	for _, sql := range append([]string{idle, "SET statement_timeout = 0", "SET lock_timeout = 0"}, steady...) {
		if err == nil {
			_, err = c.Exec(ctx, sql)
		}
	}
	if err == nil {
		_, err = c.Exec(ctx, "SELECT pg_advisory_lock($1)", number)
	}
	if err != nil {
		hangUp(c)
		<-t.d.locks
		return nil, err
	}
	return c, nil
}
