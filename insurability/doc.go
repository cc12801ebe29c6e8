// Package insurability asks the Belgian insurers whether a patient is insured, and for what.
//
// Two services answer that question. Pharmacies ask the pharmacist service (v2), all other care providers generic
// insurability (GenIns v1.1). [Client.Check] picks the right one from its [Caller]:
//
//	a, err := client.Check(ctx, insurability.Query{Patient: ssin})
//	if err != nil {
//		var refused *insurability.MessageFault
//		if errors.As(err, &refused) {
//			// the platform answered, and the question cannot be answered: refused.Details says why
//		}
//		return err // a *fault.Error: Kind, Outcome and Notice tell what to do and what to show
//	}
//	switch a.Insured {
//	case insurability.Yes: // a.Mutuality, a.CT1, a.CT2, a.Preferential, a.ThirdPartyPayer …
//	case insurability.No: // the insurer said so
//	case insurability.NotKnown: // it did not say; look at a.Situation and a.Items
//	}
//
// A Client comes from the Platform of the module's root package, which wires addresses, token and certificate. The
// operations [Client.GetInsurability] and [Client.GetInsurabilityForPharmacist] give every field of the messages.
//
// # MemberData
//
// [Client.MemberData] asks the third service, which is not for pharmacies. It answers facets of the patient's file, of
// which insurability is one, and comes down the same ladder. What is not asked is not told, and what the caller's sector
// may not see fails the whole question:
//
//	a, err := client.MemberData(ctx, insurability.MemberDataQuery{
//		Patient: ssin,
//		Facets:  []insurability.FacetID{insurability.FacetInsurability, insurability.FacetChronicCondition},
//	})
//
// A Partial answer lacks something that was asked: what is in it counts, what is not in it proves nothing. A refusal wraps
// a [*MemberDataFault]. Its InsurerDown tells that the insurer behind the platform failed (Kind Unavailable): the question
// was repeated once, and no other address was tried, because all lead to the same insurer. Every assertion must be about
// the patient who was asked about and usable at this time, and the document must repeat the id of our question or name the
// patient. Signatures of insurers are not judged, since nobody has published who signs; the document stands unchanged in
// Message.Detail.
//
// # How an answer is read
//
// Insured is Yes when the insurer's periods cover every asked day; a period without an end still runs. It is No when
// periods are given and none covers a day, or when there is none and the answer says that the insurance closed before
// or starts later. Everything else is NotKnown: an empty list without explanation, a list that was cut short, a period
// without dates, a span that is covered in part. Preferential comes from the last digit of CT1; the other digits are
// not interpreted. Days are calendar days in Belgium.
//
// [Answer.PaymentApproval] holds what the insurer gave as proof that he pays; keep it with the sale.
// [Provenance.PaymentGuaranteed] is set only with such a proof, and for the professions whose procedure gives a guarantee.
//
// # The ladder
//
// With [WithStored] every question comes down a ladder until there is something to say (dossier 06 B.4.2), within the
// same five seconds, and [Provenance].Source says where it stopped:
//
//  1. Live: the service's usual address.
//  2. Alternate: the insurers' own line, found or ordered by the platform; the notice says so.
//  3. Stored: what one of them said less than 30 days ago, when it was positive; the notice names the day. Less than 30
//     days is less than 30 times 24 hours and less than 30 days of the calendar in Belgium, counted from the answer. A
//     negative answer stands for the rest of its day, and takes the place of an earlier positive one: of that to the same
//     question, and of that for today, when it speaks of no later day than the negative one.
//  4. Unknown: nothing. The notice says what to do: rely on what a known patient states; in doubt charge the public price
//     and hand over Annex 30.
//
// A step down is taken only where there was no answer: no connection, no answer in time, a platform that is overloaded or
// answers nonsense, an answer to somebody else's question, no login, rights that many lost at once. A refusal is an
// answer, and none comes from the store after it; one that finds no insurer, or several, ends what was stored.
//
// A stored answer is given to the asker who got it, about the same patient named in the same way, to the same kind of
// question in the same environment, and to nobody else. It speaks of the days that its periods cover, and of the days
// after the consultation unless the insurer's period ends before.
//
// When the service is back, what was answered from the store or not at all is asked again: one question at a time, spread
// and paced, never while a call of this client is under way. [OnRecheck] and [Client.Recheck] tell what is different. Nothing that was
// decided is changed. What waits for such a check does not survive the process.
//
// # How it fails
//
// Every error of an operation is a *fault.Error.
//
//   - Invalid, NotSent: the question breaks a rule that the platform enforces too; it wraps one of the Err values here.
//   - Invalid, NotFound or Conflict, Rejected: the platform refuses the question; it wraps a [*MessageFault], a
//     [*Refusal] (pharmacists) or a [*StatusError]. Conflict with code MULTIIO_ERROR/44 means: let the user choose the
//     mutuality and ask again with [Query].Mutuality. Asking the same question again does not help.
//   - Security with notice D-WRONG: the only answers that came belong to other questions. Nothing of them is shown.
//   - Protocol: an answer of ours that is not what its schema demands; it wraps a [*MessageError].
//   - Unavailable, Timeout and the rest: no usable answer from any address; notice D-INS-UNKNOWN. With [WithStored] an
//     Answer of Source Unknown comes beside the error.
//
// # What is guaranteed
//
// Check ends within five seconds ([WithTimeout]). An answer is shown only when it is proven to be ours: every reference,
// the patient's identification and the asked days, as far as the answer carries them, equal those of the question, and
// at least one reference or the patient is among them. An answer that carries none of them is refused although its
// schema would allow it.
//
// No form of printing or logging a value of this package, and no error text, shows a name, a number or a licence:
// [Private] values tell their text only through Reveal.
//
// # What is not published
//
// The pharmacist service's request types and return codes (dossier 05 section 10): the type is configuration
// ([WithPharmacistRequestType]), the return code is handed on as it is. MemberData's SOAPAction is configuration too
// ([WithMemberDataAction]); the attributes of care paths, reference pharmacy, global medical file and palliative status
// are given as they come, in the assertions of the message.
package insurability
