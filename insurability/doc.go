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
// Whether the insurer guarantees payment is not concluded here. [Answer.PaymentApproval] holds what the insurer gave;
// keep it with the sale.
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
//   - Unavailable, Timeout and the rest: no usable answer from any address; notice D-INS-UNKNOWN.
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
