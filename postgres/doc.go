// Package postgres keeps what several nodes share in PostgreSQL 15 or newer: the outbox, the
// tokens and the stored answers.
package postgres
