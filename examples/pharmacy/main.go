// Command pharmacy is the counter of a pharmacy on the command line. It asks whether customers are
// insured while a day such as 12 June 2018 is replayed, a day in a few seconds: the platform fails,
// then the insurers' own line, then all is well again. Every question ends in something to say, in
// the language of the person at the counter:
//
//	go run ./examples/pharmacy --lang nl
//
// The first half is what a pharmacy's software needs; the replay below it takes the place of the
// customers and of the platform, so no eHealth account is needed.
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
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func main() {
	tag := flag.String("lang", "fr", "language of the notices: fr, nl, de or en")
	pause := flag.Duration("pause", time.Second, "time before the customers of a scene come")
	flag.Parse()
	lang, ok := notice.ParseLang(*tag)
	if !ok {
		log.Fatalf("no texts in language %q", *tag)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := replay(ctx, os.Stdout, lang, *pause); err != nil {
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
}

// open opens a counter with the configuration of the pharmacy. It succeeds while the platform is down.
func open(ctx context.Context, cfg ehealth.Config, lang notice.Lang, out io.Writer) (*counter, error) {
	c := &counter{lang: lang, out: out, checked: make(chan insurability.Recheck, insurability.MaxRechecks), sales: map[string]string{}}
	cfg.OnRecheck = func(r insurability.Recheck) { c.checked <- r }
	var err error
	c.platform, err = ehealth.Open(ctx, cfg)
	return c, err
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

// day is what happens: faults in the words of the sandbox, and who comes to the counter meanwhile.
var day = []struct {
	what, faults string
	customers    []customer
}{
	{"All is well.", "", []customer{{"sale 1", sandbox.Insured}, {"sale 2", sandbox.Preferential}}},
	{"The platform fails.", "esb 0 to_end http status=503;body=html", []customer{{"sale 3", sandbox.Preferential}}},
	{"The insurers' own line fails too.", "genins-direct 0 to_end refuse -", []customer{{"sale 4", sandbox.Insured}, {"sale 5", sandbox.Transferred}, {"sale 6", sandbox.NoIO}}},
	{"All is well again.", "", []customer{{"sale 7", sandbox.Insured}}},
}

type customer struct {
	sale string
	who  sandbox.Scenario
}

// replay plays the day, and waits until every sale that was made in the dark was looked at.
func replay(ctx context.Context, out io.Writer, lang notice.Lang, pause time.Duration) error {
	dir, err := os.MkdirTemp("", "pharmacy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return err
	}
	defer sb.Close()
	if err := sb.WriteEnvironment(dir); err != nil {
		return err
	}
	cfg, err := ehealth.LoadConfigAs(filepath.Join(dir, "sandbox.json"), "pharmacist")
	if err != nil {
		return err
	}
	cfg.DataDir = filepath.Join(dir, "data")  // keeps answers for the day without a platform
	cfg.Transport = sb.HTTPClient().Transport // to the sandbox in this process
	c, err := open(ctx, cfg, lang, out)
	if err != nil {
		return err
	}
	defer c.platform.Close()
	if _, err := c.platform.Tokens.Login(ctx); err != nil { // as every morning
		return err
	}
	for _, scene := range day {
		c.say("%s", scene.what)
		if err := inject(sb, scene.faults); err != nil {
			return err
		}
		if !wait(ctx, pause) {
			return ctx.Err()
		}
		for _, who := range scene.customers {
			c.serve(ctx, who.sale, sb.Patient(who.who).SSIN)
		}
	}
	c.say("What was sold without the platform is checked, soon but not all at once.")
	for len(c.sales) > 0 {
		select {
		case r := <-c.checked:
			c.look(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inject adds a fault; "" ends all of them.
func inject(sb *sandbox.Sandbox, row string) error {
	if row == "" {
		sb.ClearFaults()
		return nil
	}
	step, err := sandbox.ParseStep(row)
	if err != nil {
		return err
	}
	_, err = sb.Inject(step)
	return err
}

// wait tells whether the time passed; false: ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
