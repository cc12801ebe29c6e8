package notice

import "strings"

// edit replaces words of a text of the table. A test checks that each "from" stands in its text
// exactly once and that the placeholders survive.
type edit struct{ from, to string }

// variant is a set of edits per language.
type variant [languages][]edit

// cut removes one piece of text per language.
func cut(en, fr, nl, de string) variant {
	return variant{{{en, ""}}, {{fr, ""}}, {{nl, ""}}, {{de, ""}}}
}

// singular puts a text into the singular. The words are ours; dossier 06 gives the plural only.
var singular = map[ID]variant{
	IDClock: {
		{{"{n} minutes", "{n} minute"}},
		{{"{n} minutes", "{n} minute"}},
		{{"{n} minuten", "{n} minuut"}},
		{{"{n} Minuten", "{n} Minute"}},
	},
	IDInsCached: {
		{{"{n} days", "{n} day"}},
		{{"{n} jours", "{n} jour"}},
		{{"{n} dagen", "{n} dag"}},
		{{"{n} Tagen", "{n} Tag"}},
	},
	IDRxLater: {
		{{"{n} prescriptions", "{n} prescription"}},
		{{"{n} prescriptions restent", "{n} prescription reste"}},
		{{"{n} voorschriften moeten", "{n} voorschrift moet"}},
		{{"{n} Verschreibungen sind", "{n} Verschreibung ist"}},
	},
	IDMsgQueued: {
		{{"{n} messages are waiting and will be sent by themselves", "{n} message is waiting and will be sent by itself"}},
		{{"{n} messages sont en attente et partiront", "{n} message est en attente et partira"}},
		{{"{n} berichten wachten en vertrekken", "{n} bericht wacht en vertrekt"}},
		{{"{n} Nachrichten warten und werden", "{n} Nachricht wartet und wird"}},
	},
	IDAttToday: {
		{{"{n} attests", "{n} attest"}, {"make paper attests", "make a paper attest"}},
		{{"{n} attestations doivent", "{n} attestation doit"}, {"faites-les", "faites-la"}},
		{{"{n} attesten moeten", "{n} attest moet"}, {"maak ze", "maak het"}},
		{{"{n} Bescheinigungen müssen", "{n} Bescheinigung muss"}},
	},
	IDDrain: {
		{{"{n} waiting items", "{n} waiting item"}},
		{{"{n} éléments", "{n} élément"}},
		{{"{n} wachtende items worden", "{n} wachtend item wordt"}},
		{{"{n} wartende Einträge werden", "{n} wartender Eintrag wird"}},
	},
}

// What a text loses when it would not be true or cannot be filled in.
var (
	noGuarantee = cut("; payment is guaranteed", " ; le paiement est garanti", "; betaling is gewaarborgd", "; die Zahlung ist garantiert")
	noMinutes   = cut(" by {n} minutes", " de {n} minutes", "{n} minuten ", "um {n} Minuten ")
	noTicket    = cut(" (ref. {id})", " (réf. {id})", " (ref. {id})", " (Ref. {id})")
	maybeSent   = cut(" Nothing was sent.", " Rien n'a été envoyé.", " Er is niets verstuurd.", " Es wurde nichts gesendet.")
	noNumber    = cut(" {id}", " {id}", " {id}", " {id}")
	noSince     = cut(" since {t}", " depuis {t}", " sinds {t}", " seit {t}")
	noDay       = cut(" on {d}", " le {d}", " op {d}", " am {d}")
)

// variants returns the edits that these parameters ask for.
func (n Notice) variants(lang int) []variant {
	var all []variant
	switch p := n.p; n.id {
	case IDDown:
		if p.Time.IsZero() {
			return []variant{noSince}
		}
	case IDClock:
		if p.N <= 0 {
			return []variant{noMinutes}
		}
	case IDInsCached:
		if !p.Guaranteed {
			all = append(all, noGuarantee)
		}
	case IDKey:
		if p.Ticket == "" {
			all = append(all, noTicket)
		}
		if p.MaybeSent {
			all = append(all, maybeSent)
		}
	case IDRxTwice:
		if p.Prescription == "" {
			all = append(all, noNumber)
		}
		if p.Date.IsZero() {
			all = append(all, noDay)
		}
	}
	if v, ok := singular[n.id]; ok && one(n.p.N, lang) {
		all = append(all, v)
	}
	return all
}

// one tells whether a number takes the singular: in French, 0 does too.
func one(n, lang int) bool { return n == 1 || n == 0 && Langs()[lang] == FR }

func (v variant) apply(text string, lang int) string {
	for _, e := range v[lang] {
		text = strings.Replace(text, e.from, e.to, 1)
	}
	return text
}
