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
