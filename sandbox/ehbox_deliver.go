package sandbox

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"
)

// MailBehaviour is how eHealthBox behaves where the facts are not known, and what may be odd about it. The zero value is
// the default.
type MailBehaviour struct {
	// Delay is how long a publication waits between being accepted and being processed. 0 = one second, negative = none.
	Delay time.Duration
	// KeepDuplicates processes a publication whose PublicationId was used before like any other, instead of answering 702.
	KeepDuplicates bool
	// AcceptReplays takes a message that was received before, byte for byte, like any other, instead of answering SOA-01001.
	// With KeepDuplicates it is the recording stand-in with which dossier 12 was measured: it executes what arrives.
	AcceptReplays bool
	// LateError refuses every publication while it is processed, with this code: "700", "701" or another. "" = none.
	LateError string
	// AllOrNothing: with one unknown recipient (703) nobody gets the message.
	AllOrNothing bool
	// AbsenceUsesID: 826 uses up the PublicationId.
	AbsenceUsesID bool
	// MassMail allows the recipient ALL. Else it is refused with 814.
	MassMail bool
	// AbsenceInStatus answers the errors of insertOoO in the Status instead of by a fault.
	AbsenceInStatus bool
	// LenientINSS takes INSS numbers of 8 to 13 characters in User, instead of 11.
	LenientINSS bool

	// BareContentIDs leaves the angle brackets of Content-ID out in answers.
	BareContentIDs bool
	// NoContentInfo leaves ContentInfo out of lists.
	NoContentInfo bool
	// ForeignQuality gives the senders in lists a quality and a subtype that nobody knows.
	ForeignQuality bool
	// ExtraElements adds elements that the schema does not know to messages.
	ExtraElements bool
	// DoubleBase64 sends attachments as base64 text instead of as their bytes.
	DoubleBase64 bool
}

// SetMail changes how eHealthBox behaves from now on.
func (s *Sandbox) SetMail(b MailBehaviour) {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	s.mail.behaviour = b
}

func (b MailBehaviour) delay() time.Duration {
	if b.Delay == 0 {
		return mailDelay
	}
	return max(0, b.Delay)
}

// settle processes what is due. Nothing in eHealthBox happens by itself: whoever looks settles first. The lock is held.
func (st *mailState) settle(s *Sandbox, now time.Time) {
	for len(st.pending) > 0 && !now.Before(st.pending[0].due) {
		p := st.pending[0]
		st.pending = slices.Delete(st.pending, 0, 1)
		st.held -= p.msg.size
		st.process(s, p.msg, p.due)
	}
	if now.Sub(st.sweep) < time.Hour && !now.Before(st.sweep) {
		return
	}
	st.sweep = now
	for _, b := range st.order {
		st.expire(b, now)
	}
}

// settleMail is settle for those outside.
func (s *Sandbox) settleMail() {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	s.mail.settle(s, time.Now())
}

// accept queues a publication.
func (st *mailState) accept(m *mail, now time.Time) {
	p := &pendingMail{msg: m, due: now.Add(st.behaviour.delay())}
	i, _ := slices.BinarySearchFunc(st.pending, p, func(a, b *pendingMail) int {
		return cmp.Or(a.due.Compare(b.due), -1) // behind those that are due at the same time
	})
	st.pending = slices.Insert(st.pending, i, p)
	st.held += m.size
}

// process does what the platform does after it has said 100.
func (st *mailState) process(s *Sandbox, m *mail, now time.Time) {
	m.published, m.expires = now, now.AddDate(0, mailMonths, 0)
	key := m.publication
	if key == "" {
		key = fmt.Sprintf("none of %s %s on %s", m.from.self.Type, m.from.self.ID, now.In(brussels).Format(time.DateOnly))
	}
	former := st.published[key]
	update := former != nil && m.publication != "" && m.kind == mailNews && former.kind == mailNews && former.from == m.from
	switch {
	case st.behaviour.LateError != "":
		st.fail(m, now, mailFailure{code: st.behaviour.LateError, text: "The message could not be processed."})
		return
	case former != nil && !update && !st.behaviour.KeepDuplicates:
		s.counters.effect("ehbox.duplicate")
		st.fail(m, now, mailFailure{code: "702", text: "Duplicate publication id."})
		return
	}
	m.trace = &mailTrace{id: m.id, kind: m.kind, from: m.from}
	if update { // all recipients of the first version get the new one, whatever the new list says
		m.to, m.trace.older = former.to, append([]string{former.id}, former.older...)
		former.superseded = true
	}
	m.trace.to = m.to
	boxes := st.recipients(s, m)
	if len(m.unknownDestinations) > 0 {
		st.fail(m, now, mailFailure{code: "703", text: "One or more recipients are invalid.", destinations: m.unknownDestinations})
		if st.behaviour.AllOrNothing || len(boxes) == 0 {
			return
		}
	}
	if st.published == nil {
		st.published = map[string]*mailTrace{}
	}
	st.published[key] = m.trace
	st.countDelivery(s, m, former != nil && !update)
	st.deliver(s, m, boxes, former, now)
}

// recipients resolves the destinations; those that nobody has end up in unknownDestinations.
func (st *mailState) recipients(s *Sandbox, m *mail) []*mailRow {
	var out []*mailRow
	seen := map[*mailbox]bool{}
	add := func(d mailDestination, b *mailbox) {
		if !seen[b] {
			seen[b] = true
			out = append(out, &mailRow{recipient: d, box: b})
		}
	}
	for _, d := range m.to {
		if d.ID == "ALL" {
			for _, b := range st.everybody(s, d.Quality) {
				add(b.address(), b)
			}
			continue
		}
		if b := st.boxOf(s, d.Mailbox); b != nil {
			add(d, b)
		} else {
			m.unknownDestinations = append(m.unknownDestinations, d)
		}
	}
	return out
}

// everybody is all boxes of a quality.
func (st *mailState) everybody(s *Sandbox, quality string) []*mailbox {
	var out []*mailbox
	for _, p := range s.people.people {
		if mailQualityOf[p.Role] == quality {
			out = append(out, st.boxOf(s, p.Mailbox()))
		}
	}
	for _, o := range s.people.organisations {
		if mailQualityOf[o.Role] == quality {
			out = append(out, st.boxOf(s, o.Mailbox()))
		}
	}
	return out
}

// countDelivery counts the effects of a publication that reaches its recipients.
func (st *mailState) countDelivery(s *Sandbox, m *mail, again bool) {
	if st.contents == nil {
		st.contents = map[string]bool{}
	}
	for _, f := range m.fingerprints() {
		again = again || st.contents[f]
		st.contents[f] = true
	}
	s.counters.effect("ehbox.send")
	if again {
		s.counters.effect("ehbox.double")
	}
}

// fingerprints tell whether two publications are the same letter: the same content, or, since sealing the same content
// twice gives two contents, the same custom metas.
func (m *mail) fingerprints() []string {
	head := func(h io.Writer) {
		fmt.Fprintf(h, "%q %q %q", m.sender.Type, m.sender.ID, m.document.title)
		for _, d := range m.to {
			fmt.Fprintf(h, " %q", d.Mailbox)
		}
	}
	h := sha256.New()
	head(h)
	fmt.Fprintf(h, " %x", sha256.Sum256(m.document.content))
	for _, a := range m.annexes {
		fmt.Fprintf(h, " %x", sha256.Sum256(a.content))
	}
	out := []string{string(h.Sum(nil))}
	if len(m.metas) > 0 {
		h := sha256.New()
		head(h)
		fmt.Fprintf(h, " %q", m.metas)
		out = append(out, string(h.Sum(nil)))
	}
	return out
}

// deliver puts the message into the boxes, the sender's copy included, in place of a former version.
func (st *mailState) deliver(s *Sandbox, m *mail, rows []*mailRow, former *mailTrace, now time.Time) {
	if st.messages == nil {
		st.messages = map[string]*mailTrace{}
	}
	st.messages[m.id] = m.trace
	m.trace.rows = rows
	replace := func(b *mailbox) {
		if former == nil || !former.superseded {
			return
		}
		for _, e := range b.entries {
			if e.msg.trace == former {
				e.folder = folderHistory
			}
		}
		b.standby = slices.DeleteFunc(b.standby, func(e *mailEntry) bool {
			if e.msg.trace == former {
				st.forget(e)
			}
			return e.msg.trace == former
		})
	}
	if m.from != nil {
		replace(m.from)
		st.put(m.from, &mailEntry{msg: m, folder: folderSent, as: mailDestination{Mailbox: m.sender.Mailbox}, seq: st.nextSeq()})
	}
	for _, r := range rows {
		replace(r.box)
		r.published = now
		st.put(r.box, &mailEntry{msg: m, folder: folderIn, as: r.recipient, seq: st.nextSeq()})
		s.counters.effect("ehbox.copy")
	}
	if m.wantsPublished && m.from != nil {
		st.acknowledge(m, mailReceipt{message: m.id, kind: "PUBLISHED", at: now}, now)
	}
}

func (st *mailState) nextSeq() int64 {
	st.last++
	return st.last
}

// platform is the sender of acknowledgments and errors.
var platform = mailSender{Mailbox: Mailbox{ID: eHealthCBE, Type: "CBE", Quality: "INSTITUTION"}, name: "eHealth-platform"}

// notice puts a message of the platform's own into the inbox of the sender of another one.
func (st *mailState) notice(about *mail, n *mail, title, file string, now time.Time) {
	if about.from == nil {
		return
	}
	to := mailDestination{Mailbox: about.sender.Mailbox}
	n.id, n.sender, n.to, n.published, n.expires = st.nextID("N"), platform, []mailDestination{to}, now, now.AddDate(0, mailMonths, 0)
	n.document = mailPart{title: title, content: []byte(title), file: file, mimeType: "text/plain"}
	n.size = int64(len(title))
	st.put(about.from, &mailEntry{msg: n, folder: folderIn, as: to, seq: st.nextSeq()})
}

func (st *mailState) acknowledge(about *mail, r mailReceipt, now time.Time) {
	st.notice(about, &mail{kind: mailAcknowledgment, acknowledges: &r}, "Acknowledgment", "ack.txt", now)
}

func (st *mailState) fail(about *mail, now time.Time, f mailFailure) {
	f.publication = about.publication
	st.notice(about, &mail{kind: mailError, reports: &f}, "Error", "error.txt", now)
}

// receive stamps what a recipient has listed, and read what he has opened; the first time the sender gets his receipt.
func (st *mailState) receive(e *mailEntry, now time.Time) {
	if e.folder == folderIn && e.received.IsZero() {
		e.received = now
		st.stamp(e, "RECEIVED", e.msg.wantsReceived, now, func(r *mailRow) { r.received = now })
	}
}

func (st *mailState) read(e *mailEntry, now time.Time) {
	if (e.folder == folderIn || e.folder == folderHistory) && e.read.IsZero() {
		e.read = now
		st.stamp(e, "READ", e.msg.wantsRead, now, func(r *mailRow) { r.read = now })
	}
}

func (st *mailState) stamp(e *mailEntry, kind string, wanted bool, now time.Time, set func(*mailRow)) {
	if e.msg.trace == nil {
		return
	}
	for _, r := range e.msg.trace.rows {
		if r.box != e.box {
			continue
		}
		set(r)
		if wanted {
			st.acknowledge(e.msg, mailReceipt{message: e.msg.id, recipient: &r.recipient, kind: kind, at: now}, now)
		}
	}
}

// expire is the retention of dossier 03 section 11.
func (st *mailState) expire(b *mailbox, now time.Time) {
	b.entries = slices.DeleteFunc(b.entries, func(e *mailEntry) bool {
		old := !now.Before(e.msg.published.AddDate(1, 0, 0))
		bin := e.folder == folderBinIn || e.folder == folderBinSent
		read := !e.read.IsZero() || e.folder == folderBinSent
		gone := old || bin && read && !now.Before(e.msg.expires)
		if gone {
			st.forget(e)
		}
		return gone
	})
	b.drain()
}
