package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "insured: yes, mutuality 319, codes 110/110, answer: live\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files left behind, %v", len(left), err)
	}
}

// TestAskFails shows that the program tells the truth when there is no answer to print.
func TestAskFails(t *testing.T) {
	sb, err := sandbox.New(sandbox.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	dir := t.TempDir()
	if err := sb.WriteEnvironment(dir); err != nil {
		t.Fatal(err)
	}
	config := dir + "/sandbox.json"
	for _, c := range []struct {
		name, config, number string
		is                   error
	}{
		{"no configuration", dir + "/none.json", "85073199704", os.ErrNotExist},
		{"unknown patient", config, "00000000097", fault.ErrNotFound},
		{"several insurers", config, "90022999836", fault.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := ask(t.Context(), &out, c.config, c.number)
			if !errors.Is(err, c.is) {
				t.Fatalf("error is %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("printed %q beside the error", out.String())
			}
			if strings.Contains(err.Error(), c.number) {
				t.Error("the error names the patient")
			}
			_, isFault := errors.AsType[*ehealth.Error](err)
			_, refused := errors.AsType[*insurability.MessageFault](err)
			if isFault != (c.config == config) || refused != isFault {
				t.Errorf("error is %T", err)
			}
		})
	}
}
