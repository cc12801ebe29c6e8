// Package kmehr writes and reads the KMEHR message that is the content of an electronic prescription of medicines (Recip-e
// version 4; dossier 04 section 12), and judges it by the rules of the platform.
//
//	doc, err := kmehr.Write(kmehr.Prescription{
//		Author:   kmehr.Author{NIHII: nihii, FirstName: kmehr.Hide("Jan"), FamilyName: kmehr.Hide("Peeters"), Phone: phone, Address: address},
//		Software: kmehr.Software{Name: "MyPractice", Version: "4.2", Phone: "+3221234567", Email: "support@example.be"},
//		Source:   kmehr.Source{Version: "2030.01"},
//		Patient:  kmehr.Patient{SSIN: ssin, FirstName: first, FamilyName: family, Birth: kmehr.NewDay(1985, 7, 31), Sex: kmehr.Male},
//		Items: []kmehr.Item{{
//			Medicine: &kmehr.Medicine{CNK: cnk, Name: kmehr.Hide("…")},
//			Quantity: kmehr.Quantity{Value: "1"},
//			Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 comprimé par jour")},
//		}},
//	})
//
// [Write] makes numbers, times and the last day of delivery where they are missing; [Prescription.Fill] does that beforehand
// for a caller who must know them. The document is UTF-8, in the order of the schema of KMEHR 1.28, standard 20190301.
//
// [Parse] reads a document of any version and loses nothing: [Message.Bytes] is the document, [Message.Prescription] what it
// says in the fields of this package, with the elements that have no field beside them.
//
// # Rules
//
// A document is judged in two steps, by [Rules.Check]: its structure against the schema, as far as a prescription can reach it,
// and the assert rules. The rules are data. [DefaultRules] are ours, with a place and a text for each; [ParseRules] reads the
// file in which the platform publishes newer ones. Rules are XPath expressions, evaluated by a small engine of our own within
// bounds; a rule that uses more than the engine knows is refused when it is read, not when it is applied.
//
// # How it fails
//
//   - Write, WriteWith and Check: a *fault.Error of Kind Invalid, Outcome NotSent, that wraps [*InvalidError], whose
//     Violations name rule, field and place.
//   - Parse: a *fault.Error of Kind Protocol, for what is no XML, too long (MaxBytes) or no kmehrmessage.
//   - ParseRules: a *fault.Error of Kind Protocol that wraps ErrRules or [*RuleError].
//
// # Privacy
//
// Names, products, texts and days are [Private] or [Day] and print as "[private]" and "[day]"; everything that holds them prints
// as its type. No error and no violation quotes a document.
package kmehr
