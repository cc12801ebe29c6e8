// Package paper prints what a patient takes along: the form that replaces a prescription which could not be created
// electronically, and the proof of one that was (dossier 04 sections 10 and 15, 06 section B.4.3). Both are PDF files of one
// A4 page, in French, Dutch or German.
//
//	content, err := paper.Of(paper.FR, prescription)
//	permit, err := prescriber.PaperFor(ctx, reference, *prescription) // only when there certainly is no electronic one
//	if err != nil {
//		return err // unsure or created: no paper
//	}
//	err = paper.Fallback(w, paper.Form{Content: content, Permit: permit})
//
//	err = paper.Proof(w, paper.Electronic{Content: content, RID: rid})
//
// [Fallback] demands the permit of the prescriber's client for this patient and these medicines, which is given out when nothing
// was created and keeps that reference from being created later: never paper and electronic. The form says that no electronic prescription exists, has
// nothing that can be scanned, and is signed by hand. [Proof] demands the RID that Recip-e gave out; it has the RID as one
// barcode (Code 128) and as text, and says that it is a proof and not a prescription.
//
// # What is printed
//
// Content and nothing else: who prescribes, for whom, the medicines with quantity, posology and instructions, the day of
// issue, the first and the last day of delivery. The number of national register is not among it, and nothing of the content
// is in the title or in other data about the file. Where the number of medicines leaves space, a line closes it.
//
// The same content gives the same bytes: the date of the file is that of the prescription. The page is built in memory and
// written in one piece, or not at all. It holds health data in clear: print it, and if a file is needed remove it after
// printing.
//
// # Letters
//
// The page uses the built-in fonts of PDF, whose encoding is Windows-1252: all letters of French, Dutch and German, and
// more. Other Latin letters are printed without their mark, as passports and identity cards do (Ł as L, ș as s, ğ as g), and
// signs such as ≥ and ⅓ in another spelling (>=, 1/3). What has no Latin spelling, such as a Cyrillic name or a power of
// ten, is an error that names the field. No character is ever replaced by a question mark or left out.
//
// # How it fails
//
// Every error is a *fault.Error with outcome NotSent. Of Kind Invalid it wraps
//
//   - [*FieldError]: a field is missing, too long or cannot be printed;
//   - [*OverflowError]: the medicines do not fit on one page, and how many would; there is never a second page;
//   - [ErrPermit] and [ErrRID]: a form without a permit for it, a proof without a RID.
//
// Of Kind Local it wraps what the writer returned.
package paper
