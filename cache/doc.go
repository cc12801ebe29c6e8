// Package cache keeps what must survive a restart or an outage, sealed: small secrets such as the
// token of a login in a [Vault], and answers of the platform in [Answers].
//
//	key, err := cache.KeyFromFile("/var/lib/mypharmacy/ehealth/vault.key")
//	vault, err := cache.OpenVault("/var/lib/mypharmacy/ehealth/vault", key)
//	err = vault.Put(ctx, "token", "pharmacy 1", secret)
//	secret, err = vault.Get(ctx, "token", "pharmacy 1")
//
//	answers, err := cache.OpenAnswers(ctx, "/var/lib/mypharmacy/ehealth/answers.db", key)
//	id := answers.ID("pharmacy 1", "patient", "question")
//	answers.Keep(id, cache.Stored{Value: answer, At: now, Until: now.AddDate(0, 0, 30)})
//	stored, err := answers.Get(ctx, id) // stored.Age(now) says how old it is
//
// # Answers
//
// A bounded number of answers is in memory, all are in a [RecordStore]: one bbolt file
// ([OpenAnswers]) or a database (package postgres). What is beyond its validity is never returned and
// is purged. Storing does not wait for the disk unless it is told to ([Answers.Put]): an answer that
// was kept a moment before a crash may be missing afterwards, and none is ever half there. Two
// processes cannot share one file: see [WithTakeOver].
//
// # What was contradicted
//
// An answer that was replaced or removed is not returned again while the process lives, whether the
// store took the change or not: what the store refused, or could not be told before it was taken
// over, is remembered ([MaxContradicted] ids), its record is not used, and the store is told every
// minute, and by Close, to remove it; what came in its place is in memory only. When there is more than
// can be remembered, no record is used that is not newer, until all others were removed. So a store
// that refused something may lose good records, which are then asked of the platform again; it does not
// give wrong ones.
//
// This memory ends with the process. After a kill, or a Close whose store still refuses, the old
// answer may be returned again until its end if its replacement or removal had not reached the store:
// one of the last moments, or one that was told as NotStored or changed while the store was not taken
// over. Whoever must know waits: [Answers.Put] and [Answers.Remove] return nil when it cannot come back.
// Another process on the same database learns of a change when it reached the database, and may return
// what it has in memory until its end.
//
// # What is guaranteed
//
//   - Whoever reads the disk without the key learns how many records there are, how long they
//     are and when they were written: contents are encrypted (XChaCha20-Poly1305, RFC 8439 and
//     draft-irtf-cfrg-xchacha), file names are keyed digests of bucket and name.
//   - A record is read only as what it was written: bucket, name, format version and key are
//     authenticated with it, so a file that was changed, or moved to the place of another, is
//     found out. A file put back to its own earlier version is not.
//   - A write is all or nothing: it goes to a temporary file, is synced, renamed and the
//     directory synced. A process that dies on the way leaves the old record.
//   - Nothing is destroyed: a record that cannot be read is set aside under another name.
//   - Files have mode 0600 and the directory 0700. On systems without such modes the
//     directory must be protected by other means.
//
// # Keys
//
// [KeyFromFile] makes a key of its own and keeps it in a file, which protects a copy of the vault
// but not a copy of the whole disk. [KeyFromSigner] derives the key from the private key of a
// certificate, on disk or in a card, so that nothing more need be kept. [KeyFromBytes] takes
// whatever the caller has.
//
// # How it fails
//
// errors.Is tells the cases apart: [ErrNotFound], [ErrKey] (another key wrote this),
// [ErrCorrupt] (set aside), [ErrVersion] (a newer program wrote this), [ErrTooLarge],
// [ErrUnsuitable] (no key can be derived); of answers and record stores also [ErrInUse], [ErrFull],
// [ErrBusy] and [ErrClosed]. Errors of the operating system are returned with
// their operation; no error holds a bucket, a name or a value.
package cache
