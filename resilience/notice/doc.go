// Package notice holds what to tell the person when a service is slow, down, answered from a
// store or recovering: thirty-three short messages in English, French, Dutch and German, with
// typed parameters. It is data and rendering; it decides nothing and logs nothing.
//
//	n := notice.InsuranceStored(checked, 12, true)
//	banner.Show(n.Text("fr-BE"), n.Severity())
//
//	if n, ok := notice.FromError(err, notice.Insurability); ok {
//		banner.Show(n.Text(lang), n.Severity())
//	}
//
// # Texts
//
// The texts are those of dossier 06 part D, letter by letter; [Template] returns them with their
// placeholders: {t} time of day, {d} date, {n} number, {svc} name of a service, {id} reference.
// They follow its rules: one sentence says what happens, one says what to do; no codes in the
// first sentence; where the fault lies is said when it is known; the person is never blamed; no
// time is promised that eHealth has not given.
//
// Six things are done to a text before it is shown, each by an exact replacement that a test
// checks against the dossier:
//
//   - one item: with a number of 1 (in French also 0) the plural words become singular. Any other
//     number leaves the text as it is.
//   - D-INS-CACHED without guarantee loses its last clause.
//   - D-DOWN loses "since {t}" when it is not known since when.
//   - D-CLOCK loses "by {n} minutes" when the difference is not known.
//   - D-KEY loses "(ref. {id})" when there is no ticket, and "Nothing was sent." when something
//     may have been.
//   - a service name that opens the sentence starts with a capital, unless it is a brand
//     (eHealthBox, eAttest, eHealth).
//
// Times are shown in Belgian time (Europe/Brussels) as hh:mm, dates with the month in words
// ("9 août 2018", "9. August 2018"). A time of day carries no date: for a moment on another day,
// show the day beside it.
//
// Two rules of the dossier depend on the operation, which the message cannot know: after a wrong
// answer only a question is asked again, and a prescription is never sent again by itself. Say
// what it was with [Notice.For].
//
// # Languages
//
// [Lang] is "en", "fr", "nl" or "de". [ParseLang] understands tags as they come from browsers and
// systems ("fr-BE", "nl_BE.UTF-8", "DE"). Text in any other language, or in none, is English:
// with three official languages no other choice is fair.
//
// # Parameters and errors
//
// A [Notice] is made by the function that bears its meaning ([Down], [InsuranceStored], ...), so
// that a missing parameter does not compile, or by [New] from an id and [Params], which refuses a
// missing or senseless one. A zero time given to a function is shown as "--:--". Notices are
// comparable with ==, safe for concurrent use, and never show a brace, whatever they were given.
//
// # Other front ends
//
// MarshalJSON writes id, severity, action, parameters and the four texts, so that a front end in
// any language needs no code of ours; UnmarshalJSON reads id and parameters back and refuses what
// New refuses.
//
// # Personal data
//
// The only parameter that can lead to a patient is the number of a prescription (D-RX-TWICE).
// String, GoString and LogValue show the id alone; Text and MarshalJSON are for the screen.
package notice
