package drill

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// doctors are two who write to each other.
func (h *house) doctors() (a, b *letters) {
	h.Helper()
	open := func(n int) *letters {
		room, err := roomOfDoctor(h.s, h.s.Person(identity.Doctor, n))
		if err != nil {
			h.Fatal(err)
		}
		cfg := h.doctor(n)
		cfg.Trust.ServiceList = nil
		m := withMail(&cfg, room)
		mem := h.join(fmt.Sprintf("doctor %d", n), cfg)
		if mem == nil {
			h.FailNow()
		}
		if err := h.logIn(mem, false); err != nil {
			h.Fatal(err)
		}
		return m.use(mem.p)
	}
	return open(0), open(1)
}

// settled lets a queue send what it has, and compares how often a letter is in the box of its recipient.
func (h *house) settled(from, to *letters, titles ...string) {
	h.Helper()
	from.settle(6 * time.Hour)
	time.Sleep(mailDelivery)
	list, err := h.s.Mail(to.room.self, string(ehbox.Inbox))
	if err != nil {
		h.Fatal(err)
	}
	count := map[string]int{}
	for _, m := range list {
		count[m.Title]++
	}
	for _, title := range titles {
		if count[title] != 1 {
			h.Errorf("%q is %d times in the box", title, count[title])
		}
	}
	if q := h.mailQueue(from); q != 0 {
		h.Errorf("%d letters are open still", q)
	}
	if n := h.s.State().Effects["ehbox.double"]; n != 0 {
		h.Errorf("%d letters were delivered once more", n)
	}
}

func (h *house) mailQueue(m *letters) int {
	h.Helper()
	q, err := m.p.Queue(context.Background())
	if err != nil {
		h.Fatal(err)
	}
	return q.Waiting + q.Parked + q.Rejected
}

// t11: the letter is carried out and its answer lost, and the mailbox cannot be read at that time either. The person is told
// that it is not known, later it is found out, and the letter is in the box once.
func (h *house) t11() {
	a, b := h.doctors()
	blind := h.row("ehbox-cons 0 to_end refuse")
	heal := h.row("ehbox-pub 0 to_end lost_ack p=1")
	sent, err := a.send(context.Background(), b.room, "t11")
	if !errors.Is(err, outbox.ErrUnknown) || sent == nil || sent.State != ehbox.SentUnknown || sent.Notice != string(notice.IDUnsure) {
		h.Errorf("%+v, %v", sent, err)
	}
	if again, err := a.send(context.Background(), b.room, "t11"); !errors.Is(err, outbox.ErrUnknown) || again == nil || again.PublicationID != sent.PublicationID {
		h.Errorf("by hand once more: %+v, %v", again, err)
	}
	time.Sleep(10 * time.Minute)
	blind()
	h.settled(a, b, "t11") // with every answer of the sending service still lost
	heal()
	if st := h.s.State(); st.Requests["ehbox-pub"] != 1 || st.Effects["ehbox.accepted"] != 1 || st.Effects["ehbox.send"] != 1 || st.Effects["ehbox.copy"] != 1 {
		h.Errorf("%d requests, effects %v", st.Requests["ehbox-pub"], st.Effects)
	}
	res, err := a.send(context.Background(), b.room, "t11")
	if err != nil || res.State != ehbox.SentAccepted || !res.Before || res.MessageID == "" {
		h.Errorf("the same letter later: %+v, %v", res, err)
	}
	st := h.s.State()
	h.Logf("told %q, then found: %d request to send, in the box %d time", sent.Notice, st.Requests["ehbox-pub"], st.Effects["ehbox.copy"])
}

// t16: messages that cannot be read, of every kind that the sandbox has, before and behind good ones. All others are read,
// the bad ones are told of once each, and the next looks do not fetch them again.
func (h *house) t16() {
	const kinds = 4
	a, b := h.doctors()
	letter := func(n int) string { return fmt.Sprintf("t16, %d", n) }
	write := func(n int) {
		h.Helper()
		if _, err := a.send(context.Background(), b.room, letter(n)); err != nil {
			h.Fatal(err)
		}
		time.Sleep(mailDelivery)
	}
	write(0)
	write(1)
	h.row(fmt.Sprintf("ehbox-cons 0 to_end poison n=%d", kinds))
	aside := 0
	look := func(all bool) {
		h.Helper()
		got, err := b.look(context.Background(), all)
		if err != nil || got.left > 1 { // one is answered by SOA-00001, which may be the platform's own trouble
			h.Errorf("%+v, %v", got, err)
		}
		aside += got.aside
	}
	look(false)
	write(2)
	write(3)
	look(false)
	for n := range 4 {
		if got := b.room.read[letter(n)]; got != 1 {
			h.Errorf("after one look: %q was read %d times", letter(n), got)
		}
	}
	look(true)
	for n := range 4 {
		if got := b.room.read[letter(n)]; got != 1 {
			h.Errorf("%q was read %d times", letter(n), got)
		}
	}
	if n := h.s.State().Counters["ehbox.poison"]; n != kinds {
		h.Errorf("%d bad messages", n)
	}
	if aside != kinds-1 {
		h.Errorf("%d set aside", aside)
	}
	for id, why := range b.room.aside {
		if fe, ok := errors.AsType[*fault.Error](why); !ok || fe.Notice != ehbox.NoticeBad {
			h.Errorf("set aside without the notice: %v", why)
		}
		if b.room.kept[id] {
			h.Error("kept and set aside")
		}
	}
	before := h.s.State().Requests["ehbox-cons"]
	look(true)
	h.Logf("4 letters read, %d of %d bad messages set aside, one tried again each time, %d requests of a later look", aside, kinds, h.s.State().Requests["ehbox-cons"]-before)
}

// only is a part of a ring of keys.
type only []keystore.Credential

// Encryption implements etee.Keys.
func (o only) Encryption() []keystore.Credential { return o }

// EncryptionBySerial implements etee.Keys.
func (o only) EncryptionBySerial(serial *big.Int) (keystore.Credential, bool) {
	for _, c := range o {
		if c.Certificate.SerialNumber.Cmp(serial) == 0 {
			return c, true
		}
	}
	return keystore.Credential{}, false
}

// t17: the key of a recipient changes while letters for it wait, sealed with the former one; then the identity of a service
// changes, as in INC-2026-02-04-ETK. One refresh each, then success, and nobody does anything.
func (h *house) t17() {
	a, b := h.doctors()
	if _, err := a.send(context.Background(), b.room, "t17, before"); err != nil {
		h.Fatal(err)
	}
	heal := h.row("ehbox-pub 0 to_end refuse")
	titles := []string{"t17, waiting", "t17, waiting too"}
	for _, title := range titles {
		if _, err := a.send(context.Background(), b.room, title); !errors.Is(err, outbox.ErrQueued) {
			h.Errorf("%v", err)
		}
	}
	if err := h.s.RotateKey(b.room.holder); err != nil {
		h.Fatal(err)
	}
	if err := b.room.reload(); err != nil {
		h.Fatal(err)
	}
	asked := h.s.State().Requests["etk"] // a try in the background may be the one that asks
	time.Sleep(etee.DefaultTTL + time.Minute)
	heal()
	h.settled(a, b, append(titles, "t17, before")...)
	if n := h.s.State().Requests["etk"] - asked; n != 2 {
		h.Errorf("%d questions to the depot, want one about the recipient and one about the sender", n)
	}
	newest, err := etee.NewOpener(only(b.room.Encryption()[:1]), b.room.roots, etee.Policy{NonRepudiation: true, Window: openWindow})
	if err != nil {
		h.Fatal(err)
	}
	list, err := h.s.Mail(b.room.self, string(ehbox.Inbox))
	if err != nil {
		h.Fatal(err)
	}
	opened := 0
	for _, m := range list {
		if _, err := newest.Open(m.Text); err == nil {
			opened++
		}
	}
	if opened != len(titles) {
		h.Errorf("%d letters can be opened with the new key alone, want the %d that waited", opened, len(titles))
	}
	if got, err := b.look(context.Background(), true); err != nil || got.read != len(titles)+1 || got.aside != 0 {
		h.Errorf("read %+v, %v", got, err)
	}
	h.moves(a)
	h.Logf("2 letters sealed anew for the new key after one question each to the depot; a service whose identity moves is found at the next call")
}

// moves changes the identity of the key service and gets a key from it before, during and after.
func (h *house) moves(m *letters) {
	h.Helper()
	moved, err := etee.NewIdentifier(identity.TypeCBE, "0206653946", "KGSS")
	if err != nil {
		h.Fatal(err)
	}
	k, err := etee.NewKGSS(m.x, etee.KGSSConfig{
		Depot: m.depot, Sealer: m.sealer, Keys: m.room, Trust: m.room.roots, Security: sts.HolderOfKey(m.p.Tokens),
		Service: []etee.Identifier{etee.KGSSIdentifier, moved},
	})
	if err != nil {
		h.Fatal(err)
	}
	key := func(when string, most int) {
		h.Helper()
		before := h.s.State().Requests["etk"]
		_, err := k.NewKey(context.Background(), etee.ACL{Allowed: []etee.Reader{{Namespace: etee.NamespaceCertified, Name: "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"}}})
		if n := h.s.State().Requests["etk"] - before; err != nil || n > most {
			h.Errorf("%s: %v after %d questions to the depot", when, err, n)
		}
	}
	key("before", 1)
	key("kept", 0)
	back := h.row("etk 0 to_end key_rotate old=0809394427;new=0206653946;lag_s=0")
	key("moved: each name asked for once", 2)
	key("kept", 0)
	back()
	key("moved back: each name asked for once", 2)
}
