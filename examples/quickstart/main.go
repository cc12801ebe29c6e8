// Command quickstart gets a signed insurability answer. It starts the platform in this very
// process, so it needs no eHealth account; with a configuration file of your own in place of
// sandbox.json the same code asks the real one.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run starts a stand-in for the platform, with key stores for its invented people, and asks it.
func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "ehealth")
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
	return ask(ctx, out, filepath.Join(dir, "sandbox.json"), "85073199704")
}

// ask asks whether a patient is insured, as the care provider of the configuration.
func ask(ctx context.Context, out io.Writer, config, number string) error {
	cfg, err := ehealth.LoadConfig(config)
	if err != nil {
		return err
	}
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	patient, err := identity.ParseSSIN(number)
	if err != nil {
		return err
	}
	a, err := p.Insurability.Check(ctx, insurability.Query{Patient: patient})
	if err != nil {
		return err // a *ehealth.Error: its Kind, Outcome and Notice say what to do and what to show
	}
	_, err = fmt.Fprintf(out, "insured: %v, mutuality %s, codes %s/%s, answer: %v\n", a.Insured, a.Mutuality, a.CT1, a.CT2, a.Source)
	return err
}
