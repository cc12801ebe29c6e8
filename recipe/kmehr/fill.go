package kmehr

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
)

// lastMilli is the last instant used for a KMEHR number: documents made in the same millisecond get different ones.
var lastMilli atomic.Int64

func nextMilli(now time.Time) time.Time {
	for {
		last, next := lastMilli.Load(), now.UnixMilli()
		// A clock that was set back must not repeat numbers, but a wrong clock must not bind the numbers for ever either.
		if next <= last && last-next < time.Minute.Milliseconds() {
			next = last + 1
		}
		if lastMilli.CompareAndSwap(last, next) {
			return time.UnixMilli(next)
		}
	}
}

// Fill returns the prescription with its missing ID, LocalID, Created, Expires and codes with a default filled in. A caller
// who needs them before the document is written (they belong into the record of a create) fills first and writes then; Fill
// of a filled prescription changes nothing. The error is a *fault.Error of Kind Local, when there is no randomness.
func (p Prescription) Fill(now time.Time) (Prescription, error) {
	if p.Created.IsZero() {
		p.Created = now
	}
	p.Created = p.Created.In(brussels).Truncate(time.Second)
	if p.Expires.IsZero() {
		p.Expires = DefaultExpiry(p.Created)
	}
	if p.ID.IsZero() {
		stamp := nextMilli(now).In(brussels).Format("20060102150405.000")
		p.ID = Hide(p.Author.NIHII.Full() + "." + strings.ReplaceAll(stamp, ".", ""))
	}
	if p.LocalID.IsZero() {
		id, err := newUUID()
		if err != nil {
			return p, &fault.Error{Op: "kmehr.Fill", Kind: fault.Local, Outcome: fault.NotSent, Err: err}
		}
		p.LocalID = Hide(id)
	}
	if p.Author.Profession == "" {
		p.Author.Profession = Physician
	}
	if p.Author.Address.Country == "" {
		p.Author.Address.Country = "be"
	}
	if p.Source.Name == "" {
		p.Source.Name = "samv2"
	}
	if p.Patient.Sex == "" {
		p.Patient.Sex = SexUnknown
	}
	return p, nil
}

func newUUID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:], nil
}

// Write returns the document of a prescription: KMEHR 1.29 in the schema of 1.28, UTF-8, without insignificant white space. It
// is valid against the schema and keeps the assert rules of the platform for P0 and P1 as this package knows them
// ([DefaultRules]); a prescription of which that cannot be said is refused with a *fault.Error of Kind Invalid that wraps
// [*InvalidError].
func Write(p Prescription) ([]byte, error) {
	return WriteWith(DefaultRules(), identity.PrescriptionP0, p)
}

// WriteWith is Write with the rules for one type of prescription, for instance those that the platform has sent.
func WriteWith(r Rules, t identity.PrescriptionType, p Prescription) ([]byte, error) {
	doc, check, err := Draft(r, t, p)
	if err != nil {
		return nil, err
	}
	if err := check(); err != nil {
		return nil, err
	}
	return doc, nil
}

// Draft is WriteWith in two steps, for who has something else to do while the document is held to schema and rules: check does
// that, in any goroutine, and returns what WriteWith would. Before it has returned nil the document must not go anywhere.
func Draft(r Rules, t identity.PrescriptionType, p Prescription) (doc []byte, check func() error, err error) {
	if doc, err = draft(p); err != nil {
		return nil, nil, err
	}
	return doc, func() error {
		m, err := parse(doc)
		if err != nil {
			return err
		}
		if found := r.Check(m, t); len(found) > 0 {
			return refuse("kmehr.Write", found)
		}
		return nil
	}, nil
}

func draft(p Prescription) ([]byte, error) {
	p, err := p.Fill(time.Now())
	if err != nil {
		return nil, err
	}
	if found := checkInput(&p); len(found) > 0 {
		return nil, refuse("kmehr.Write", found)
	}
	doc, err := build(&p)
	if err != nil {
		// What the writer refuses is a character that XML does not have; its error names the element, no content.
		return nil, refuse("kmehr.Write", []Violation{{Rule: "input", Message: "a text holds a character that a message cannot carry"}})
	}
	if len(doc) > MaxBytes {
		return nil, refuse("kmehr.Write", []Violation{{Rule: "input", Message: "the document is too long"}})
	}
	return doc, nil
}

func refuse(op string, found []Violation) error {
	return &fault.Error{Op: op, Kind: fault.Invalid, Outcome: fault.NotSent, Err: &InvalidError{found}}
}
