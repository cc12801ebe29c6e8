package recipe

import (
	"math"
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
	return compareItems(m.Prescription().Items, items)
}

func compareItems(prescribed []kmehr.Item, items []DispensedItem) []Difference {
	var out []Difference
	taken := make([]bool, len(items))
	free := 0
	seen := map[string]bool{}
	for i, p := range prescribed {
		if p.Medicine == nil || p.Medicine.CNK.IsZero() {
			free++
			continue
		}
		cnk := p.Medicine.CNK
		if seen[cnk.Reveal()] {
			continue // asked for twice: it was one amount
		}
		at, packages := gather(items, taken, cnk)
		if at < 0 {
			out = append(out, Difference{DifferentMissing, i, -1})
			continue
		}
		seen[cnk.Reveal()] = true
		if want, known := asked(prescribed, cnk); known && want != packages {
			out = append(out, Difference{DifferentQuantity, i, at})
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

// asked is how many packages of a product a prescription asks for: a part of one is one. Not known when an item counts
// something else than packages.
func asked(prescribed []kmehr.Item, cnk identity.CNK) (packages int, known bool) {
	for _, p := range prescribed {
		if p.Medicine == nil || p.Medicine.CNK.Reveal() != cnk.Reveal() {
			continue
		}
		n, err := strconv.ParseFloat(string(p.Quantity.Value), 64)
		if err != nil || p.Quantity.Unit != "" && p.Quantity.Unit != "pkg" || !(n >= 0 && n <= maxPackages) {
			return 0, false
		}
		packages += int(math.Ceil(n))
	}
	return packages, true
}

// maxPackages bounds what counts as a number of packages.
const maxPackages = 1 << 20
