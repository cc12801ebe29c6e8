package postgres_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// What a hospital writes about a stay, and what it must send because of it, become true together.
func ExamplePutTx() {
	closeStay := func(ctx context.Context, conn *pgx.Conn, box *outbox.Box, stay string, message []byte) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE stay SET closed = now() WHERE id = $1", stay); err != nil {
				return err
			}
			_, err := postgres.PutTx(ctx, tx, box, outbox.Item{Kind: "app.write", Key: stay, Ref: "close/" + stay, Payload: message})
			return err
		})
	}
	_ = closeStay
}

// Two schemas of one database are two separate outboxes.
func ExampleOpen() {
	ctx := context.Background()
	db, err := postgres.Open(ctx, "host=db.hospital.example dbname=care user=ehealth sslmode=verify-full target_session_attrs=read-write",
		postgres.WithSchema("ehealth_ward"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	store := db.Outbox()
	defer store.Close()
}
