package notice_test

import (
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// One message in the four languages.
func Example() {
	checked := time.Date(2018, 8, 9, 10, 0, 0, 0, time.UTC)
	n := notice.InsuranceStored(checked, 12, true)
	for _, lang := range notice.Langs() {
		fmt.Println(n.Text(lang))
	}
	fmt.Println(n.ID(), n.Severity())
	// Output:
	// No connection. Insurability shown as checked on 9 August 2018 (12 days ago); payment is guaranteed.
	// Pas de connexion. Assurabilité telle que vérifiée le 9 août 2018 (il y a 12 jours) ; le paiement est garanti.
	// Geen verbinding. Verzekerbaarheid zoals nagegaan op 9 augustus 2018 (12 dagen geleden); betaling is gewaarborgd.
	// Keine Verbindung. Versicherbarkeit laut Prüfung vom 9. August 2018 (vor 12 Tagen); die Zahlung ist garantiert.
	// D-INS-CACHED warning
}

// What to show after a failed call that sends something.
func ExampleFromError() {
	var err error = &fault.Error{Op: "ehbox.Publish", Kind: fault.Security, Outcome: fault.Unknown, Ticket: "T-4711", Notice: "D-WRONG"}
	if n, ok := notice.FromError(err, notice.EHealthBox); ok {
		n = n.For(notice.Write)
		fmt.Println(n.Text("nl-BE"))
		fmt.Println(n.SmallPrint("nl-BE"))
	}
	// Output:
	// We weten nog niet of dit is aangekomen. Verstuur het niet opnieuw; we gaan het na.
	// Ref. T-4711
}
