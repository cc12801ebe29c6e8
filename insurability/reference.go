package insurability

import (
	"crypto/rand"
	"math/big"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

const (
	referenceDigits = 14
	referenceMin    = 10_000_000_000_000 // 14 digits, none of them a leading zero that a decimal field would lose
	referenceCount  = 90_000_000_000_000
)

// references hands out 14-digit references. It starts at a random place, so that two processes meet only when their
// runs of numbers overlap: for a million questions each, two in a hundred million; within a process no number comes
// twice. The clock has no part in it: fields' clients that use the second as reference collide within it (dossier 05
// section 1.3).
type references struct{ next atomic.Uint64 }

func newReferences() (*references, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(referenceCount))
	if err != nil {
		return nil, err
	}
	r := new(references)
	r.next.Store(n.Uint64())
	return r, nil
}

func (r *references) take() string {
	return strconv.FormatUint(referenceMin+r.next.Add(1)%referenceCount, 10)
}

// validReference checks an InsurabilityReference: at most 25 characters of the schema's alphabet.
func validReference(s string) bool {
	const punctuation = "ÖËÜ '.*+,-/:;=?()[]<>"
	if utf8.RuneCountInString(s) > 25 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && !strings.ContainsRune(punctuation, r) {
			return false
		}
	}
	return true
}

// validUserReference checks a pharmacist's UserReference: what survives the way unchanged, so that it can be compared.
func validUserReference(s string) bool {
	if len(s) > 25 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && r != '-' {
			return false
		}
	}
	return true
}

// validNumber checks a reference of the decimal fields: at most 14 digits; absent is fine.
func validNumber(s string) bool { return s == "" || (len(s) <= referenceDigits && isDigits(s)) }

// decimal brings an xs:decimal to one form, so that 007, 7 and 7.0 are equal. Text that is no decimal stays itself.
func decimal(s string) string {
	t := strings.TrimPrefix(trim(s), "+")
	whole, frac, _ := strings.Cut(t, ".")
	if !isDigits(whole) || strings.Trim(frac, "0") != "" {
		return s
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		return "0"
	}
	return whole
}
