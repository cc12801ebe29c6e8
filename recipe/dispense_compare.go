package recipe

import (
	"strconv"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

// Difference is one way in which what was dispensed is not what was prescribed. It names no product: Item and Dispensed say
// which.
type Difference struct {
	Kind DifferenceKind `json:"k"`
	// Item is the number of the prescribed item, from 0; -1 = none.
	Item int `json:"i"`
	// Dispensed is the number of the dispensed item, from 0; -1 = none.
	Dispensed int `json:"d"`
}

// DifferenceKind says how they differ.
type DifferenceKind uint8

// The kinds of differences.
const (
	// DifferentMissing: a product was prescribed by its number and another one, or none, was dispensed.
	DifferentMissing DifferenceKind = iota + 1
	// DifferentAdded: a product was dispensed and nothing on the prescription asks for it.
	DifferentAdded
	// DifferentQuantity: another number of packages was dispensed than prescribed.
	DifferentQuantity
)

// String returns a lower-case English word.
func (k DifferenceKind) String() string {
	words := [...]string{"?", "missing", "added", "quantity"}
	if int(k) >= len(words) {
		return words[0]
	}
	return words[k]
}

// compare looks for differences between a prescription and what was dispensed. Products are compared by number. An item that
// leaves the product to the pharmacist (a group, a preparation, a product without a number) takes one dispensed item that
// nothing else asks for, whatever it is. That another product was given where substitution is allowed is told all the same:
// the reader decides.
func compare(m *kmehr.Message, items []DispensedItem) []Difference {
	var out []Difference
	taken := make([]bool, len(items))
	free := 0
	for i, p := range m.Prescription().Items {
		if p.Medicine == nil || p.Medicine.CNK.IsZero() {
			free++
			continue
		}
		at, packages := gather(items, taken, p.Medicine.CNK)
		switch want := p.Quantity; {
		case at < 0:
			out = append(out, Difference{DifferentMissing, i, -1})
		case want.Unit == "" || want.Unit == "pkg":
			if n, err := strconv.Atoi(string(want.Value)); err == nil && n != packages {
				out = append(out, Difference{DifferentQuantity, i, at})
			}
		}
	}
	for d := range items {
		switch {
		case taken[d]:
		case free > 0:
			free--
		default:
			out = append(out, Difference{DifferentAdded, -1, d})
		}
	}
	return out
}

// gather takes all that was dispensed of a product, and returns the first of it and how many packages it is.
func gather(items []DispensedItem, taken []bool, cnk identity.CNK) (first, packages int) {
	first = -1
	for d, item := range items {
		if taken[d] || item.CNK.Reveal() != cnk.Reveal() {
			continue
		}
		taken[d] = true
		packages += max(item.Quantity, 1)
		if first < 0 {
			first = d
		}
	}
	return first, packages
}
