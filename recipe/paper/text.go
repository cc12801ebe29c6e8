package paper

// Language is a language of the forms.
type Language string

// The languages.
const (
	FR Language = "fr"
	NL Language = "nl"
	DE Language = "de"
)

// words are the fixed texts of one language.
type words struct {
	fallback, none, isForm      string // title, what does not exist, what this is
	proof, isProof, show        string // title, what this is not, what to do with it
	prescriber, patient         string
	nihii, phone, born, rid     string
	items, quantity, use        string
	issued, from, until         string
	sign, pharmacy, handwritten string
}

var texts = map[Language]words{
	FR: {
		fallback:   "Prescription de médicaments – formulaire de secours",
		none:       "Il n'existe AUCUNE prescription électronique pour les médicaments ci-dessous : elle n'a pas pu être créée (force majeure).",
		isForm:     "Ce formulaire, daté et signé par le prescripteur, est la prescription.",
		proof:      "Preuve de prescription électronique",
		isProof:    "Ceci est une preuve, PAS une prescription : la prescription électronique fait foi.",
		show:       "Présentez ce document à votre pharmacien, qui scanne le code-barres.",
		prescriber: "Prescripteur", patient: "Patient",
		nihii: "N° INAMI", phone: "Tél.", born: "Né(e) le", rid: "RID",
		items: "Médicaments prescrits", quantity: "Quantité", use: "Posologie",
		issued: "Date", from: "Délivrable à partir du", until: "Dernier jour de délivrance",
		sign: "Date, cachet et signature du prescripteur", pharmacy: "Réservé à la pharmacie",
		handwritten: "Les ajouts manuscrits à ce document ne sont pas pris en compte.",
	},
	NL: {
		fallback:   "Geneesmiddelenvoorschrift – noodformulier",
		none:       "Er bestaat GEEN elektronisch voorschrift voor de onderstaande geneesmiddelen: het kon niet worden aangemaakt (overmacht).",
		isForm:     "Dit formulier, gedateerd en ondertekend door de voorschrijver, is het voorschrift.",
		proof:      "Bewijs van elektronisch voorschrift",
		isProof:    "Dit is een bewijs, GEEN voorschrift: het elektronisch voorschrift is doorslaggevend.",
		show:       "Toon dit document aan uw apotheker, die de barcode scant.",
		prescriber: "Voorschrijver", patient: "Patiënt",
		nihii: "RIZIV-nr.", phone: "Tel.", born: "Geboren op", rid: "RID",
		items: "Voorgeschreven geneesmiddelen", quantity: "Hoeveelheid", use: "Posologie",
		issued: "Datum", from: "Afleverbaar vanaf", until: "Laatste dag van aflevering",
		sign: "Datum, stempel en handtekening van de voorschrijver", pharmacy: "Voorbehouden aan de apotheek",
		handwritten: "Met de hand geschreven toevoegingen aan dit document tellen niet mee.",
	},
	DE: {
		fallback:   "Arzneimittelverschreibung – Ersatzformular",
		none:       "Für die unten genannten Arzneimittel besteht KEINE elektronische Verschreibung: Sie konnte nicht erstellt werden (höhere Gewalt).",
		isForm:     "Dieses Formular ist, vom Verschreiber datiert und unterzeichnet, die Verschreibung.",
		proof:      "Nachweis der elektronischen Verschreibung",
		isProof:    "Dies ist ein Nachweis, KEINE Verschreibung: Maßgeblich ist die elektronische Verschreibung.",
		show:       "Zeigen Sie dieses Dokument Ihrem Apotheker, der den Strichcode einscannt.",
		prescriber: "Verschreiber", patient: "Patient",
		nihii: "LIKIV-Nr.", phone: "Tel.", born: "Geboren am", rid: "RID",
		items: "Verschriebene Arzneimittel", quantity: "Menge", use: "Dosierung",
		issued: "Datum", from: "Abzugeben ab", until: "Letzter Tag der Abgabe",
		sign: "Datum, Stempel und Unterschrift des Verschreibers", pharmacy: "Der Apotheke vorbehalten",
		handwritten: "Handschriftliche Zusätze auf diesem Dokument gelten nicht.",
	},
}
