package sandbox

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// eHealthBox v3 (dossier 03, section 14): consultation as service "ehbox-cons", publication as "ehbox-pub". Every person and
// organisation has one box. A person's answers to INSS and NIHII; which boxes a caller has follows from his token.
//
// A publication is accepted first (effect "ehbox.accepted") and processed after MailBehaviour.Delay: then it is refused as
// a duplicate or for its recipients, by an ERROR message into the sender's INBOX, or it stands in the boxes ("ehbox.send"
// once a publication, "ehbox.copy" once a box). "ehbox.double" counts publications that repeat the PublicationId, the
// custom metas or the content of one that was delivered before: 0 when every letter was sent exactly once.
//
// What the dossier does not know is decided so, and where it says [U] can be changed by SetMail:
//
//   - PublicationIds are unique over all senders. A publication without one is taken as a duplicate of the sender's former
//     one without, on the same day.
//   - of a publication with unknown recipients (703) the others get it.
//   - 826 does not use up the PublicationId.
//   - plain argument errors are faults (column F of section 7), also those of insertOoO.
//   - acknowledgments and errors obey the quota like letters; they cause no receipts themselves.
//   - an expired message goes when it was read and lies in the bin; everything goes a year after publication.
//   - eHealthBox is not in the service list.
const (
	uddiMailRead = "uddi:ehealth-fgov-be:business:ehboxconsultation:v3"
	uddiMailSend = "uddi:ehealth-fgov-be:business:ehboxpublication:v3"
	pathMailRead = "/ehBoxConsultation/v3"
	pathMailSend = "/ehBoxPublication/v3"

	folderIn      = "INBOX"
	folderSent    = "SENTBOX"
	folderBinIn   = "BININBOX"
	folderBinSent = "BINSENTBOX"
	folderHistory = "HISTORY"

	mailDocument       = "DOCUMENT"
	mailNews           = "NEWS"
	mailAcknowledgment = "ACKNOWLEDGMENT"
	mailError          = "ERROR"

	mailLimit  = 10 << 20 // bytes of a message and of a box (dossier 03 5.5)
	mailDelay  = time.Second
	mailPage   = 100 // rows of a list
	mailMonths = 6   // until a message expires

	mailCapacity = 2 << 30 // bytes of all messages; beyond it the publication service says SOA-02002
)

// mailbox is one box with all its folders. The state's lock guards it.
type mailbox struct {
	self    Mailbox
	person  *Person       // nil for an organisation's
	org     *Organisation // nil for a person's
	quota   int64
	entries []*mailEntry // in the order of arrival
	standby []*mailEntry // what waits until there is room
	absent  []*mailAbsence
	poison  map[*activeStep]bool // steps that have acted on this box
}

// mailEntry is one message in one box.
type mailEntry struct {
	msg      *mail
	box      *mailbox
	folder   string
	as       mailDestination // as which of its names the box got it
	seq      int64           // order of arrival over all boxes
	received time.Time       // zero: not listed yet
	read     time.Time
	poison   int // kind of poison, 0 = none
}

// mailDestination is a DestinationContext.
type mailDestination struct {
	Mailbox
	user      *mailUser
	mandate   *mailMandate
	processed bool // OoOProcessed
}

type mailUser struct{ inss, first, last string }

type mailMandate struct {
	Mailbox
	name *string
}

// mailSender is a SenderType.
type mailSender struct {
	Mailbox
	name, first, person string
}

// mail is one message, shared by the boxes that have it. Its content does not change after delivery.
type mail struct {
	id          string
	publication string // "" = none
	sender      mailSender
	from        *mailbox // nil for the platform's own messages
	to          []mailDestination
	published   time.Time
	expires     time.Time

	document mailPart
	free     *mailFree
	patient  []byte // nil = none
	annexes  []mailPart

	application         string // "" = none
	kind                string // ContentType
	important           bool
	encrypted           bool
	wantsPublished      bool
	wantsReceived       bool
	wantsRead           bool
	metas               [][2]string
	systemMetas         []mailMeta
	copyTo              []string
	acknowledges        *mailReceipt
	reports             *mailFailure
	size                int64
	unknownDestinations []mailDestination
	trace               *mailTrace
	copies              int // how many boxes have it; the state's lock guards it
}

// mailTrace is what the platform remembers of a message when no box has it any more. The state's lock guards it.
type mailTrace struct {
	id, kind   string
	from       *mailbox
	to         []mailDestination
	rows       []*mailRow
	older      []string // NEWS: ids of former versions, the newest first
	superseded bool
}

type mailMeta struct {
	typ    string
	values []string
}

// mailPart is the document or an annex. Of title and sealedTitle one is used.
type mailPart struct {
	title    string
	sealed   []byte // EncryptableTitle of an annex
	binary   bool   // an attachment, else text
	content  []byte
	file     string
	mimeType string
}

// mailFree is FreeInformations: text, rows or old with render.
type mailFree struct {
	text   []byte
	rows   [][2][]byte
	title  *string // of the table
	old    []byte
	render string
}

// mailRow is what became of a message for one recipient.
type mailRow struct {
	recipient                 mailDestination
	box                       *mailbox
	published, received, read time.Time
}

type mailReceipt struct {
	message   string
	recipient *mailDestination
	kind      string // PUBLISHED, RECEIVED, READ
	at        time.Time
}

type mailFailure struct {
	publication  string
	code, text   string
	destinations []mailDestination
}

// mailAbsence is an out-of-office period; both days count.
type mailAbsence struct {
	id          string
	from, to    time.Time // midnight UTC of the day
	substitutes []Mailbox
}

// mailState is all boxes and what is under way. The zero value is ready.
type mailState struct {
	mu        sync.Mutex
	behaviour MailBehaviour
	boxes     map[*certified]*mailbox
	order     []*mailbox
	messages  map[string]*mailTrace // by MessageId, deleted ones too
	published map[string]*mailTrace // by PublicationId
	contents  map[string]bool       // fingerprints of what was delivered
	pending   []*pendingMail
	last      int64 // number of the last id given out
	held      int64 // bytes of the messages that a box has or that wait to be processed
	sweep     time.Time
}

// pendingMail is a publication that was accepted and not processed.
type pendingMail struct {
	msg *mail
	due time.Time
}

// box finds or makes the box of an address, nil when nobody has it. It takes the lock only for a moment, since callers that
// hold it use boxOf.
func (st *mailState) box(s *Sandbox, m Mailbox) *mailbox {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.boxOf(s, m)
}

func (st *mailState) boxOf(s *Sandbox, m Mailbox) *mailbox {
	p, o := s.holderOf(m)
	b := &mailbox{quota: mailLimit, person: p, org: o, poison: map[*activeStep]bool{}}
	var key *certified
	switch {
	case p != nil:
		key, b.self = &p.certified, p.Mailbox()
	case o != nil:
		key, b.self = &o.certified, o.Mailbox()
	default:
		return nil
	}
	if have := st.boxes[key]; have != nil {
		return have
	}
	if st.boxes == nil {
		st.boxes = map[*certified]*mailbox{}
	}
	st.boxes[key] = b
	st.order = append(st.order, b)
	return b
}

// nextID is a new MessageId or OoOId: 13 letters and digits.
func (st *mailState) nextID(prefix string) string {
	st.last++
	return fmt.Sprintf("%s%0*d", prefix, 13-len(prefix), st.last)
}

// size is what counts for the quota: the inbox and its bin.
func (b *mailbox) size() int64 {
	var n int64
	for _, e := range b.entries {
		if e.folder == folderIn || e.folder == folderBinIn {
			n += e.msg.size
		}
	}
	return n
}

// put places a message, or lets it wait while the box is full (dossier 03 4.1).
func (st *mailState) put(b *mailbox, e *mailEntry) {
	e.box = b
	if e.msg.copies++; e.msg.copies == 1 {
		st.held += e.msg.size
	}
	if e.folder == folderIn && (b.size() >= b.quota || len(b.standby) > 0) {
		b.standby = append(b.standby, e)
		return
	}
	b.entries = append(b.entries, e)
}

// forget is what follows when a box has a message no more.
func (st *mailState) forget(e *mailEntry) {
	if e.msg.copies--; e.msg.copies == 0 {
		st.held -= e.msg.size
	}
}

// drain lets in what waits, in order, while there is room.
func (b *mailbox) drain() {
	for len(b.standby) > 0 && b.size() < b.quota {
		b.entries = append(b.entries, b.standby[0])
		b.standby = slices.Delete(b.standby, 0, 1)
	}
}

// find returns the entry of a message in one of the folders.
func (b *mailbox) find(id string, folders ...string) *mailEntry {
	for _, e := range b.entries {
		if e.msg.id == id && slices.Contains(folders, e.folder) {
			return e
		}
	}
	return nil
}

// listed is a folder, newest first.
func (b *mailbox) listed(folder string) []*mailEntry {
	var out []*mailEntry
	for _, e := range slices.Backward(b.entries) {
		if e.folder == folder {
			out = append(out, e)
		}
	}
	return out
}

// address is how the box is named when the caller did not choose: its own name.
func (b *mailbox) address() mailDestination { return mailDestination{Mailbox: b.self} }

// sender is the box as the sender of a message.
func (b *mailbox) sender(as Mailbox, ssin string) mailSender {
	if b.org != nil {
		return mailSender{Mailbox: as, name: b.org.Name, person: ssin}
	}
	return mailSender{Mailbox: as, name: b.person.LastName, first: b.person.FirstName}
}

// absence is the out-of-office period of that day, nil for none.
func (b *mailbox) absence(day time.Time) *mailAbsence {
	for _, a := range b.absent {
		if !day.Before(a.from) && !day.After(a.to) {
			return a
		}
	}
	return nil
}
