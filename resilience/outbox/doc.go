// Package outbox keeps writes to a remote service on disk until their fate is known: it is the
// ledger of what was sent and the queue of what could not be sent, in one state machine, drawn
// in docs/outbox.md.
//
//	store, err := outbox.OpenBolt("/var/lib/mypharmacy/ehealth/outbox.db")
//	box, err := outbox.Open(ctx, store, outbox.NewKeys(key),
//		outbox.Handle("recipe.archive", archiver, outbox.Policy{Class: resilience.ResolvableWrite}))
//	defer box.Close()
//	go box.Run(ctx) // sends what waits
//
//	res, err := box.Do(ctx, outbox.Item{
//		Kind: "recipe.archive", Key: rid, Ref: "archive/" + rid, Payload: message,
//		Expiry: outbox.Days(60),
//	})
//	switch {
//	case err == nil:                          // done, the answer is on disk and in res.Answer
//	case errors.Is(err, outbox.ErrQueued):    // not sent, will be sent later
//	case errors.Is(err, outbox.ErrUnknown):   // sent, no answer: will be found out, never blindly repeated
//	default:                                  // refused by the service, or not accepted by the box
//	}
//
// # What is guaranteed
//
//   - The intent is on disk before the first byte leaves, and the answer is on disk before the
//     caller sees it. Whatever Put or Do accepted is sent, or ends in a state that a person can
//     see with its reason: rejected, parked, expired, cancelled.
//   - The same Kind and Ref are one item, however often they are put: a program that died between
//     putting and remembering puts again and gets the item it already has.
//   - Items with the same Key are sent one after another in the order in which they were put,
//     by one worker at a time, whichever process it lives in. An item of unknown outcome is
//     resolved before anything with the same key is sent. A parked item holds up nobody.
//   - "It did not happen" is believed only from a question that was asked after the signed
//     message had expired and the service can no longer be working on it (see [Policy]). The
//     rules are model-checked: docs/model.
//   - Nothing is sent after its expiry, and no message is signed to live beyond it.
//   - Whoever reads the file without the key learns kinds, states, times and sizes, never a key,
//     a reference, a payload or an answer (XChaCha20-Poly1305; every record is bound to its place
//     and to its state).
//
// # What a handler must do
//
// [Sender] signs the message so that it expires at [Attempt].Expires, and says with the
// [fault.Outcome] of its error what became of it. [Resolver] asks the service by the item's own
// reference, each time anew. A sender of an idempotent operation needs no resolver.
//
// # How it fails
//
// errors.Is tells the cases apart: [ErrQueued] and [ErrUnknown] carry the item's id; [ErrFull]
// (disk full, nothing was accepted), [ErrCorrupt] (a record was set aside, the others live),
// [ErrKey] (another key wrote this, nothing was touched), [ErrLocked] (names the process that
// holds the file), [ErrNewer] (a newer program wrote this), [ErrConflict] (same reference, other
// content), [ErrNotFound], [ErrState] (not in this state). No error text holds a key, a
// reference or a content.
//
// # Limits
//
// The bbolt file and its journal belong together, and on a local disk, never on NFS or SMB, and on a kernel without the ext4
// fast-commit defect (5.15.x before .85, 5.17 before .3). One process opens it at a time; for
// several, use the PostgreSQL store, which passes the same suite (package outboxtest). Clocks of
// all processes must follow NTP: the horizon of [Policy] allows for the skew named there.
package outbox
