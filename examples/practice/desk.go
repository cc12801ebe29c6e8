package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/ehealth-continuity/ehealth/recipe/paper"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// desk is where the person works: the language of the screen, and the printer.
type desk struct {
	lang    notice.Lang
	printer printer
}

// paper is the language of what patients take along. A real program asks the patient's file.
func (d desk) paper() paper.Language {
	switch d.lang {
	case notice.NL:
		return paper.NL
	case notice.DE:
		return paper.DE
	}
	return paper.FR
}

// printer takes the place of a real one. Its pages hold health data in clear: whoever prints through files removes them when
// they are printed, and gives them names that tell nothing.
type printer struct{ dir string }

var pages atomic.Int64

func (p printer) print(kind string, page []byte) error {
	if p.dir == "" {
		return nil
	}
	name := fmt.Sprintf("%s-%d-%d.pdf", kind, os.Getpid(), pages.Add(1))
	return os.WriteFile(filepath.Join(p.dir, name), page, 0o600)
}
