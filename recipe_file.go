package ehealth

import (
	"fmt"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
)

// FileRecipe is the JSON form of [Recipe].
type FileRecipe struct {
	// ProgramID names the software to Recip-e; "" = the name of the software.
	ProgramID string `json:"programId"`
	// Recipients are the CBE numbers of Recip-e in the ETK depot, in order; absent = 0823257311.
	Recipients []string `json:"recipients"`
	// Earlier are the key stores from before renewals.
	Earlier []FileKeystore `json:"earlier"`
	// Timeout is a duration such as "15s"; "" = default.
	Timeout string `json:"timeout"`
}

func (f *FileRecipe) parse(at func(string) string) (_ *Recipe, err error) {
	if f == nil {
		return nil, nil
	}
	r := &Recipe{ProgramID: f.ProgramID}
	for i, n := range f.Recipients {
		id, err := etee.NewIdentifier(identity.TypeCBE, n, "")
		if err != nil {
			return nil, fmt.Errorf("recipients[%d]: %w", i, err)
		}
		r.Recipients = append(r.Recipients, id)
	}
	for i, k := range f.Earlier {
		src, err := k.source(at)
		if err != nil {
			return nil, fmt.Errorf("earlier[%d]: %w", i, err)
		}
		r.Earlier = append(r.Earlier, src)
	}
	if r.Timeout, err = duration(f.Timeout); err != nil {
		return nil, errDuration("timeout")
	}
	return r, nil
}
