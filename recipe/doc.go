// Package recipe is Recip-e, the electronic prescription of Belgium, version 4 (dossier 04): the clients of prescribers,
// pharmacies and patients.
//
//	p, err := recipe.NewPrescriber(platform, recipe.Caller{NIHII: nihii, Quality: identity.Doctor}, recipe.WithProgramID("vendor/1.0"))
//	box, err := outbox.Open(ctx, store, keys, p.Handle()...)
//	p.Use(box)
//	created, err := p.Create(ctx, recipe.CreateRequest{Prescription: prescription, Type: "P0"})
//	if unsure, ok := errors.AsType[*recipe.UnsureError](err); ok {
//		outcome, err := p.Wait(ctx, unsure.Reference) // nobody knows yet: neither paper nor another one
//	}
//
// # Never vanish, never double
//
// The number of a prescription (RID) is made by Recip-e as it takes it in, and a second request makes a second prescription. So
// a prescription is created through the outbox: what is about to be sent is on disk before it leaves, it leaves once, and
// when no answer comes Recip-e is asked by the key that was used for this prescription and no other. Create ends with
//
//   - a [Created]: there is an electronic prescription, with its RID;
//   - a [*NotCreatedError]: there certainly is none (D-RX-PAPER): paper may be given, with a [Permit];
//   - a [*RefusedError]: Recip-e does not accept it, and says why;
//   - an [*UnsureError] (D-UNSURE): nobody knows yet. No Permit is given, and Create with the same Reference joins what is
//     being found out. What Recip-e does not tell for days a person finds out, and says by [Prescriber.Decide].
//
// A prescription is not sent later by itself, because the patient leaves with paper. Who prescribes without the patient
// there sets CreateRequest.Hold, and confirms later that no paper was given; that ends with the day.
//
// # Layers of a call
//
// A document is compressed and sealed with a key of the key service, which pharmacies and the patient can get; that goes with
// what else is asked into a param, which is sealed for Recip-e, and goes by SOAP. The answer comes back under a key that is
// made for each call. One that does not open with it was made for somebody else: nothing of it is shown, and the connection
// is not used again.
//
// # What fails
//
// Every error of a call is within a [*fault.Error], whose Outcome says whether it was carried out and whose Notice what to
// tell the person. Errors about the state in which a prescription is are a [*StateError].
//
// # Personal data
//
// Nothing in this package prints numbers of people or prescriptions, medicines or texts. What is kept is in the outbox, which
// is encrypted.
package recipe
