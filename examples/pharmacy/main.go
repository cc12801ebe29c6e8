// Command pharmacy is the counter of a pharmacy on the command line. Two days are replayed in it, each in a few seconds, and
// every question ends in something to say, in the language of the person at the counter:
//
//   - insurability: are customers insured? A day such as 12 June 2018: the platform fails, then the insurers' own line, then
//     all is well again.
//   - prescriptions: customers bring the proofs of their prescriptions. Recip-e fails, medicines are dispensed on the proof,
//     and are confirmed by themselves when it is back, each once; what another pharmacy had dispensed meanwhile is told.
//
// To run it:
//
//	go run ./examples/pharmacy --lang nl --day prescriptions
//
// This file and dispense.go are what a pharmacy's software needs; replay.go takes the place of the customers, of the doctor
// and of the platform, so no eHealth account is needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

func main() {
	tag := flag.String("lang", "fr", "language of the notices: fr, nl, de or en")
	pause := flag.Duration("pause", time.Second, "time before the customers of a scene come")
	name := flag.String("day", "insurability", "what to replay: insurability or prescriptions")
	flag.Parse()
	day, ok := days[*name]
	if !ok {
		log.Fatalf("no day %q", *name)
	}
	lang, ok := notice.ParseLang(*tag)
	if !ok {
		log.Fatalf("no texts in language %q", *tag)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx, os.Stdout, lang, *pause, day); err != nil {
		log.Fatal(err)
	}
}

// counter is where customers come with their prescriptions.
type counter struct {
	platform *ehealth.Platform
	lang     notice.Lang
	out      io.Writer
	checked  chan insurability.Recheck // what the platform says afterwards, when it is back
	sales    map[string]string         // to look at again, by the reference of that check
	stirred  chan struct{}             // something changed of what is still to be confirmed
	proofs   []string                  // sales on a proof, still to be confirmed
}

// open opens a counter with the configuration of the pharmacy. It succeeds while the platform is down.
func open(ctx context.Context, cfg ehealth.Config, lang notice.Lang, out io.Writer) (*counter, error) {
	c := &counter{
		lang: lang, out: out, checked: make(chan insurability.Recheck, insurability.MaxRechecks), sales: map[string]string{}, stirred: make(chan struct{}, 1),
	}
	cfg.OnRecheck = func(r insurability.Recheck) { c.checked <- r }
	cfg.Recipe = &ehealth.Recipe{}
	cfg.Outbox = &ehealth.Outbox{OnEvent: func(ehealth.QueueEvent) {
		select {
		case c.stirred <- struct{}{}:
		default:
		}
	}}
	var err error
	if c.platform, err = ehealth.Open(ctx, cfg); err != nil {
		return nil, err
	}
	if _, err = c.reports(ctx); err != nil { // of before the restart
		return nil, errors.Join(err, c.platform.Close())
	}
	return c, nil
}

// serve asks about one customer, and always has something to show within five seconds.
func (c *counter) serve(ctx context.Context, sale string, patient identity.SSIN) {
	a, err := c.platform.Insurability.Check(ctx, insurability.Query{Patient: patient})
	switch {
	case a == nil: // refused, or not to be trusted
		c.say("%s: no answer", sale)
		if n, ok := notice.FromError(err, notice.Insurability); ok {
			c.show(n)
		}
		return
	case a.Source == insurability.Unknown: // the notice says what to do
		c.say("%s: unknown", sale)
	case a.Source == insurability.Stored:
		c.say("%s: insured %v, mutuality %s, codes %s/%s, stored %v ago", sale, a.Insured, a.Mutuality, a.CT1, a.CT2, a.Age.Round(time.Second))
	default:
		c.say("%s: insured %v, mutuality %s, codes %s/%s, %v", sale, a.Insured, a.Mutuality, a.CT1, a.CT2, a.Source)
	}
	if n, ok := a.Message(); ok {
		c.show(n)
	}
	if a.PaymentGuaranteed { // these three go onto the invoice
		v := a.PaymentApproval
		c.say("   invoice: approval %s, seed %s, check digits %s", v.PaymentApproval, v.PaymentApprovalSeed, v.InvoicingOfficeCheckDigit)
	}
	if a.Recheck != "" {
		c.sales[a.Recheck] = sale
	}
}

// look tells what is to be done about a sale that was made without the platform, now that it is back.
// What was decided stays decided: only a person may change it.
func (c *counter) look(r insurability.Recheck) {
	sale := c.sales[r.Ref]
	delete(c.sales, r.Ref)
	switch e, refused := errors.AsType[*ehealth.Error](r.Err); {
	case r.Differs && refused:
		c.say("%s: look at it again: the platform refuses the question, code %s", sale, e.Code)
	case r.Differs:
		c.say("%s: look at it again: insured was %v (%v), now %v; changed %v", sale, r.Before.Insured, r.Before.Source, r.After.Insured, r.Fields)
	case r.Err != nil:
		c.say("%s: could not be checked", sale)
	default:
		c.say("%s: confirmed", sale)
	}
}

func (c *counter) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

// show shows a notice as a screen would: how urgent it is, its text, and what the service desk asks for.
func (c *counter) show(n notice.Notice) {
	c.say("   [%v] %s", n.Severity(), n.Text(c.lang))
	if ref := n.SmallPrint(c.lang); ref != "" {
		c.say("   %s", ref)
	}
}
