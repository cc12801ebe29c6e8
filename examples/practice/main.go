// Command practice is a general practice with eHealthBox and Recip-e. Two days are replayed in it:
//
//   - letters: it receives results of the laboratory, each once, and sends letters, each once, whatever happens to the
//     platform, to the network or to this program.
//   - prescriptions: every visit ends with an electronic prescription and its proof, or with a prescription on paper, never
//     with both; while nobody knows, the patient waits.
//
// To run them:
//
//	go run ./examples/practice
//	go run ./examples/practice --day prescriptions --lang nl --print DIR
//
// It starts the platform in this very process, so it needs no eHealth account; with a configuration file of your own in place
// of sandbox.json the same code works with the real one. practice.go, archive.go, prescribe.go and desk.go are what the
// software of a practice needs; main.go and visits.go take the place of its people and of the platform.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func main() {
	day := flag.String("day", "letters", "what to replay: letters or prescriptions")
	tag := flag.String("lang", "en", "language of the notices: fr, nl, de or en")
	pause := flag.Duration("pause", time.Second, "time between two scenes of the day of prescriptions")
	dir := flag.String("print", "", "directory for what is printed; it holds health data in clear")
	flag.Parse()
	lang, ok := notice.ParseLang(*tag)
	if !ok {
		log.Fatalf("no texts in language %q", *tag)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	at := desk{lang: lang, printer: printer{dir: *dir}}
	var err error
	switch *day {
	case "letters":
		err = run(ctx, os.Stdout, at)
	case "prescriptions":
		err = play(ctx, os.Stdout, at, *pause, prescriptionDay)
	default:
		log.Fatalf("no day %q", *day)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run is a morning of the practice. The laboratory's result is there before it opens; a letter goes to the hospital
// while eHealthBox works, and another while it does not.
func run(ctx context.Context, out io.Writer, at desk) (err error) {
	dir, err := os.MkdirTemp("", "practice")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sb, err := sandbox.New(sandbox.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer sb.Close()
	if err := sb.WriteEnvironment(dir); err != nil {
		return err
	}
	if err := result(sb, "Result 1", "haemoglobin 13.2 g/dl"); err != nil {
		return err
	}

	cfg, err := ehealth.LoadConfig(filepath.Join(dir, "sandbox.json"))
	if err != nil {
		return err
	}
	cfg.DataDir = filepath.Join(dir, "data")
	p, err := openPractice(ctx, cfg, at)
	if err != nil {
		return err
	}
	defer p.Close()
	news, err := p.receive(ctx)
	if err != nil {
		return err
	}
	for _, id := range news {
		d, err := p.archive.read(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "new: %s: %s\n", d.Title, d.Text)
	}

	hospital := boxOf(sb.Organisation(identity.Hospital, 0).Mailbox())
	status, err := p.write(ctx, "visit 1", hospital, "Dear colleague, …")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "letter of visit 1:", status)

	heal, err := sb.Inject(sandbox.Step{Service: "ehbox-pub", Fault: sandbox.SOAPFault{Code: "SOA-02001", P: 1}})
	if err != nil {
		return err
	}
	if status, err = p.write(ctx, "visit 2", hospital, "Dear colleague, …"); err != nil {
		return err
	}
	fmt.Fprintln(out, "letter of visit 2:", status)
	heal()
	return nil
}

// result is the laboratory's program, which seals a result for the practice.
func result(sb *sandbox.Sandbox, title, text string) error {
	lab, doctor := sb.Organisation(identity.Labo, 0), sb.Person(identity.Doctor, 0)
	by := sandbox.Holder{Type: lab.Type, Number: lab.Number}
	sealed, err := sb.Seal([]byte(text), by, sandbox.Holder{Type: identity.TypeSSIN, Number: doctor.SSIN.Reveal()}, by)
	if err != nil {
		return err
	}
	_, err = sb.DeliverMail(sandbox.MailDelivery{
		From: lab.Mailbox(), To: []sandbox.Mailbox{doctor.Mailbox()}, Title: title, Text: sealed, Encrypted: true, ReadReceipt: true,
	})
	return err
}

// boxOf is the address of a box of the sandbox. Real addresses come from the address book, or from the letters of
// whoever is written to.
func boxOf(m sandbox.Mailbox) ehbox.BoxID {
	return ehbox.BoxID{ID: ehbox.Hide(m.ID), Type: m.Type, SubType: m.SubType, Quality: ehbox.Quality(m.Quality)}
}

// patience is how long a person waits for a letter to leave, and a patient for a prescription.
const patience = 10 * time.Second
