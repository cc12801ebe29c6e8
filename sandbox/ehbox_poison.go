package sandbox

import (
	"bytes"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Kinds of poisoned messages: what makes a message of INC-2025-11-POISON impossible to read. The n messages of a step are
// of these kinds in turn, starting with the first, in every box that its owner looks into while the step is in force.
const (
	poisonSealed       = 1 + iota // well sealed, for a key that nobody has: patient number and content
	poisonGarbage                 // looks like CMS and is not
	poisonUnreadable              // reading it gives SOA-00001
	poisonNoAttachment            // its attachment is not in the answer
	poisonKinds        = poisonNoAttachment
)

// poisonStep is an active poison step.
type poisonStep struct {
	step *activeStep
	n    int
}

// poisons lists the poison steps in force.
func (e *engine) poisons(now time.Time) []poisonStep {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []poisonStep
	e.each("ehbox-cons", now, func(st *activeStep) {
		if f, ok := st.Fault.(Poison); ok {
			out = append(out, poisonStep{st, f.N})
		}
	})
	return out
}

// infect puts the messages of poison steps into a box, once. The state's lock is held.
func (st *mailState) infect(s *Sandbox, b *mailbox, at time.Time) {
	for _, p := range s.faults.poisons(time.Now()) {
		if b.poison[p.step] {
			continue
		}
		b.poison[p.step] = true
		s.faults.mu.Lock()
		s.faults.hit(p.step, "ehbox-cons")
		s.faults.mu.Unlock()
		for i := range p.n {
			e := st.poisoned(s, b, i%poisonKinds+1, at)
			e.msg.copies = 1
			st.held += e.msg.size
			b.entries = append(b.entries, e) // whether there is room or not
			s.counters.add("ehbox.poison")
		}
	}
}

// poisoned makes one message that cannot be read.
func (st *mailState) poisoned(s *Sandbox, b *mailbox, kind int, at time.Time) *mailEntry {
	bad := append([]byte{0x30, 0x80, 0x06, 0x09}, bytes.Repeat([]byte("poison"), 50)...)
	m := &mail{
		id: st.nextID("P"), to: []mailDestination{b.address()}, published: at, expires: at.AddDate(0, mailMonths, 0),
		kind: mailDocument, encrypted: true, patient: bad, sender: platform,
		document: mailPart{title: "Result", content: bad, file: "body.txt", mimeType: "text/plain"},
	}
	if lab := s.Organisation(identity.Labo, 0); lab != nil {
		m.sender = mailSender{Mailbox: lab.Mailbox(), name: lab.Name}
		if c, err := lab.Authentication(); err == nil && kind == poisonSealed {
			if sealed, err := sealedForNobody([]byte("poison"), c, at); err == nil {
				m.patient, m.document.content = sealed, sealed
			}
		}
	}
	if kind == poisonNoAttachment {
		m.annexes = []mailPart{{sealed: bad, binary: true, content: bad, file: "result.bin", mimeType: "application/octet-stream"}}
	}
	m.size = int64(len(m.document.content) + len(m.patient))
	return &mailEntry{msg: m, box: b, folder: folderIn, as: b.address(), seq: st.nextSeq(), poison: kind}
}
