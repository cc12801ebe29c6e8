// Package ehbox is the client of eHealthBox version 3, the mail of Belgian health care: it sends letters, reads and keeps
// boxes, and speaks every operation of the two services (dossier 03).
//
// There are two levels. [Mailer] and [Syncer] do what a practice wants done:
//
//	client, err := ehbox.New(exchanger, security, []ehbox.BoxID{ehbox.ByINSS(ssin, ehbox.Doctor), ehbox.ByNIHII(nihii, ehbox.Doctor)})
//	mailer, err := ehbox.NewMailer(client, ehbox.DepotKeys(depot, certificate, keys), sealer)
//	box, err := outbox.Open(ctx, store, ring, mailer.Handle())
//	mailer.Use(box)
//
//	sent, err := mailer.Send(ctx, ehbox.Letter{Reference: "letter/4711", To: to, Title: title, Body: body, Annexes: annexes})
//	switch {
//	case err == nil:                         // accepted: sent.MessageID
//	case errors.Is(err, outbox.ErrQueued):   // on disk, goes by itself; show D-MSG-QUEUED
//	case errors.Is(err, outbox.ErrUnknown):  // sent, and being found out; never send it again by hand
//	default:                                 // refused: errors.As finds *OutOfOfficeError, *StatusError, *fault.Error
//	}
//
//	syncer, err := ehbox.NewSyncer(client, ehbox.NewReader(openers), archive, ehbox.SyncOptions{Before: askPerson})
//	for message, err := range syncer.Sync(ctx) { … }
//
// [Client] has the operations under the protocol's names, a request in, a response out.
//
// # What is guaranteed
//
//   - A letter is sent exactly once. Its PublicationId follows from its own reference, is on disk before the first byte
//     leaves, and stands in a custom meta too ([MetaPublicationID]). When an answer is lost the letter is looked for in
//     the SENTBOX; only when it is certainly not there it is sent again, under the same number, of which the platform
//     delivers one only.
//   - Letters of one box go in the order in which they were given.
//   - A letter is sealed in every field for all its recipients and its sender, or not at all; its digests are those of what
//     travels. It is sealed anew when a key changes while it waits.
//   - An answer is shown only when what ties it to the question agrees: PublicationId, message ids, folder, and in an inbox
//     whose box it is. Where the protocol has nothing of the kind, the operation's comment says so.
//   - A message is kept before it is moved. One that cannot be opened does not hold up the others.
//   - Nothing that sends a receipt is done by a Syncer against the will of SyncOptions.Before. Listing an INBOX marks
//     messages as received, reading marks them as read: that is the platform's rule and holds for every program.
//
// "Accepted" is not "delivered": what fails later comes as an ERROR message into the own INBOX, which [Mailer.LateErrors]
// matches to its letter.
//
// # What is read
//
// Real answers are not always as their schema says. What can be read is read, in any order, with unknown elements left
// out; where something is missing or malformed, Reply.Deviations names the place. A known element that stands twice is
// refused. In a list each entry is read for itself, see [Entry].Err.
//
// # How it fails
//
// Every error of an operation is a *fault.Error. The Kind of a refusal comes from the table of [Codes], and the error wraps
// a [*StatusError]; the platform's code is read alike in a fault and in an answer.
//
//   - Invalid, NotSent: the request breaks a rule that the platform enforces too; it wraps one of the Err values here.
//   - Security with notice D-WRONG (D-UNSURE after a write): an answer that belongs to another question.
//   - Unavailable, Timeout with notice D-DOWN (D-UNSURE after a write that may have been carried out): no usable answer.
//     Neither service has an alternate address.
//   - Security or Protocol, Done, with notice D-MSG-BAD: one message that cannot be opened.
//
// Moves and deletions are repeated by themselves, since a repeat finds nothing left to do; inserting an absence and sending
// are not.
//
// # Personal data
//
// Names, numbers, titles, file names and texts are [Private], contents are [Data]: no way of printing them shows them, and
// no error text has any.
package ehbox
