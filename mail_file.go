package ehealth

import (
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
)

// FileMail is the JSON form of [Mail].
type FileMail struct {
	// Boxes are the caller's boxes, the default one first; absent = what follows from the caller.
	Boxes []FileBox `json:"boxes"`
	// Earlier are the key stores from before renewals.
	Earlier         []FileKeystore `json:"earlier"`
	SealWhenSending bool           `json:"sealWhenSending"`
	// Timeout and TransferTimeout are durations such as "15s"; "" = default.
	Timeout         string `json:"timeout"`
	TransferTimeout string `json:"transferTimeout"`
}

// FileBox names a box: Type is INSS, NIHII, CBE or EHP, SubType that of an organisation ("" = as its quality asks for),
// Quality as eHealthBox spells it.
type FileBox struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	SubType string `json:"subType"`
	Quality string `json:"quality"`
}

func (f *FileMail) parse(at func(string) string) (_ *Mail, err error) {
	if f == nil {
		return nil, nil
	}
	m := &Mail{SealWhenSending: f.SealWhenSending}
	for i, b := range f.Boxes {
		box, err := b.Box()
		if err != nil {
			return nil, fmt.Errorf("boxes[%d]: %w", i, err)
		}
		m.Boxes = append(m.Boxes, box)
	}
	for i, k := range f.Earlier {
		src, err := k.source(at)
		if err != nil {
			return nil, fmt.Errorf("earlier[%d]: %w", i, err)
		}
		m.Earlier = append(m.Earlier, src)
	}
	if m.Timeout, err = duration(f.Timeout); err != nil {
		return nil, errDuration("timeout")
	}
	if m.TransferTimeout, err = duration(f.TransferTimeout); err != nil {
		return nil, errDuration("transferTimeout")
	}
	return m, nil
}

// errDuration names a field that is no duration, without its text.
type errDuration string

func (e errDuration) Error() string { return string(e) + " is not a duration" }

// Box returns the box. Errors tell the field, never the number.
func (b FileBox) Box() (out ehbox.BoxID, err error) {
	q := ehbox.Quality(b.Quality)
	if q == "" {
		return out, errors.New("quality is required")
	}
	switch b.Type {
	case ehbox.TypeINSS:
		n, err := identity.ParseSSIN(b.ID)
		return boxOf(ehbox.ByINSS, n, q, b.SubType, err)
	case ehbox.TypeNIHII:
		n, err := identity.ParseNIHII(b.ID)
		return boxOf(ehbox.ByNIHII, n, q, b.SubType, err)
	case ehbox.TypeCBE:
		n, err := identity.ParseCBE(b.ID)
		return boxOf(ehbox.ByCBE, n, q, b.SubType, err)
	case ehbox.TypeEHP:
		n, err := identity.ParseEHP(b.ID)
		return boxOf(ehbox.ByEHP, n, q, b.SubType, err)
	}
	return out, errors.New("type is none of INSS, NIHII, CBE and EHP")
}

func boxOf[N any](by func(N, ehbox.Quality) ehbox.BoxID, n N, q ehbox.Quality, subType string, err error) (ehbox.BoxID, error) {
	if err != nil {
		return ehbox.BoxID{}, fmt.Errorf("id: %w", err)
	}
	b := by(n, q)
	if subType != "" {
		b.SubType = subType
	}
	return b, nil
}
