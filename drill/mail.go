package drill

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// openWindow is how far the signing time of a letter may be from the day it was published.
const openWindow = 48 * time.Hour

// mailroom is one eHealthBox with everything that its owner has read: several desks may share it.
type mailroom struct {
	box    ehbox.BoxID
	self   sandbox.Mailbox
	holder sandbox.Holder
	file   func(password string) ([]byte, error)
	roots  etee.Trust

	mu    sync.Mutex
	keys  *keystore.Store
	read  map[string]int // letters by title: how many messages of that title were read
	kept  map[ehbox.MessageID]bool
	aside map[ehbox.MessageID]error
}

func newMailroom(s *sandbox.Sandbox, box ehbox.BoxID, self sandbox.Mailbox, holder sandbox.Holder, file func(string) ([]byte, error)) (*mailroom, error) {
	r := &mailroom{
		box: box, self: self, holder: holder, file: file, roots: etee.Trust{Roots: s.Roots()},
		read: map[string]int{}, kept: map[ehbox.MessageID]bool{}, aside: map[ehbox.MessageID]error{},
	}
	return r, r.reload()
}

func roomOf(s *sandbox.Sandbox, o *sandbox.Organisation) (*mailroom, error) {
	n, err := identity.ParseNIHII(o.Number)
	if err != nil {
		return nil, err
	}
	return newMailroom(s, ehbox.ByNIHII(n, ehbox.Pharmacy), o.Mailbox(), sandbox.Holder{Type: o.Type, Number: o.Number}, o.Keystore)
}

func roomOfDoctor(s *sandbox.Sandbox, p *sandbox.Person) (*mailroom, error) {
	return newMailroom(s, ehbox.ByINSS(p.SSIN, ehbox.Doctor), p.Mailbox(), sandbox.Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()}, p.Keystore)
}

// reload takes the keys that the owner has now: after a renewal the new one and those before.
func (r *mailroom) reload() error {
	file, err := r.file("drill")
	if err != nil {
		return err
	}
	keys, err := keystore.Load(file, "drill")
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
	return nil
}

// reader opens with the keys of now.
func (r *mailroom) reader() (*ehbox.Reader, error) {
	o, err := r.opener()
	if err != nil {
		return nil, err
	}
	return ehbox.NewReader([]ehbox.Opener{o}), nil
}

func (r *mailroom) opener() (*etee.Opener, error) {
	r.mu.Lock()
	keys := r.keys
	r.mu.Unlock()
	return etee.NewOpener(keys, r.roots, etee.Policy{NonRepudiation: true, Window: openWindow})
}

// keep notes a letter that was read and tells whether it is the first time.
func (r *mailroom) keep(id ehbox.MessageID, title string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept[id] {
		return false
	}
	r.kept[id] = true
	r.read[title]++
	return true
}

// looked is what one look into a box came to: letters read, messages set aside, and messages left for the next look.
type looked struct{ read, aside, left int }

// shelf is the archive as one look sees it; it implements ehbox.Store.
type shelf struct {
	*mailroom
	looked
}

// Known implements ehbox.Store.
func (s *shelf) Known(_ context.Context, ids []ehbox.MessageID) (map[ehbox.MessageID]ehbox.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[ehbox.MessageID]ehbox.Stored{}
	for _, id := range ids {
		switch {
		case s.kept[id]:
			out[id] = ehbox.Kept
		case s.mailroom.aside[id] != nil:
			out[id] = ehbox.Aside
		}
	}
	return out, nil
}

// Keep implements ehbox.Store.
func (s *shelf) Keep(_ context.Context, m *ehbox.Message) error {
	if s.keep(m.MessageID, m.Title.Reveal()) && m.Specification.Type == ehbox.DocumentContent {
		s.looked.read++
	}
	return nil
}

// SetAside implements ehbox.Store.
func (s *shelf) SetAside(_ context.Context, e *ehbox.Entry, why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mailroom.aside[e.MessageID] == nil {
		s.looked.aside++
	}
	s.mailroom.aside[e.MessageID] = why
	return nil
}

// correspondent is one desk that sends and reads letters the way one kind of client does.
type correspondent interface {
	// letter sends a letter whose title and text are the reference.
	letter(ctx context.Context, to *mailroom, reference string) (shown, error)
	// look reads what is new in the own box; all says to look behind what is known too.
	look(ctx context.Context, all bool) (looked, error)
	// settle waits until nothing is left to be sent, at most as long as limit.
	settle(limit time.Duration)
	close()
}

// letters is the mail of one process of ours: letters go through the outbox of its platform.
type letters struct {
	room   *mailroom
	p      *ehealth.Platform
	x      *exchange.Exchanger
	depot  *etee.Depot
	sealer *etee.Sealer
	client *ehbox.Client
	mailer *ehbox.Mailer
}

// withMail lets the platform that is opened with cfg send letters. The letters can be used after use was called with that
// platform.
func withMail(cfg *ehealth.Config, room *mailroom) *letters {
	m := &letters{room: room}
	cfg.Outbox = &ehealth.Outbox{Store: outboxtest.NewMemory(), Handlers: func(p *ehealth.Platform) ([]ehealth.Queued, error) {
		if err := m.wire(p); err != nil {
			return nil, err
		}
		return []ehealth.Queued{{
			Kind: ehbox.KindSend, Handler: m.mailer.Handler(), Policy: ehbox.SendPolicy(), Service: ehbox.ServicePublication,
			Name: notice.EHealthBox, Waiting: notice.MessagesQueued,
		}}, nil
	}}
	return m
}

// wire puts the clients of the mailbox and of the ETK depot on the addresses, policies and login of a platform.
func (m *letters) wire(p *ehealth.Platform) error {
	cfg := p.Config()
	var err error
	m.x, err = exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: cfg.Transport}, Directory: resilience.Static(cfg.Services), Engine: p.Resilience,
		UserAgent: cfg.Software.Name, From: cfg.Software.Contact,
	})
	if err != nil {
		return err
	}
	if m.client, err = ehbox.New(m.x, sts.HolderOfKey(p.Tokens), []ehbox.BoxID{m.room.box}); err != nil {
		return err
	}
	if m.depot, err = etee.NewDepot(m.x, etee.DepotConfig{Trust: m.room.roots}); err != nil {
		return err
	}
	auth, err := m.room.keys.Authentication()
	if err != nil {
		return err
	}
	if m.sealer, err = etee.NewSealer(auth); err != nil {
		return err
	}
	m.mailer, err = ehbox.NewMailer(m.client, ehbox.DepotKeys(m.depot, auth.Certificate, m.room), m.sealer)
	return err
}

// EncryptionBySerial implements etee.Keys.
func (r *mailroom) EncryptionBySerial(serial *big.Int) (keystore.Credential, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.EncryptionBySerial(serial)
}

// Encryption implements etee.Keys with the keys of now.
func (r *mailroom) Encryption() []keystore.Credential {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.Encryption()
}

// use says which platform it is.
func (m *letters) use(p *ehealth.Platform) *letters {
	m.p = p
	m.mailer.Use(p.Outbox)
	return m
}

// joinMailOurs opens a process of ours at a pharmacy.
func joinMailOurs(s *sandbox.Sandbox, o *sandbox.Organisation, room *mailroom) (correspondent, error) {
	cfg, err := configFor(s, o) // eHealthBox is not in the service list
	if err != nil {
		return nil, err
	}
	m := withMail(&cfg, room)
	p, err := ehealth.Open(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	return m.use(p), nil
}

func (m *letters) close() {
	tr := m.p.Config().Transport
	_ = m.p.Close()
	if t, ok := tr.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func (m *letters) letter(ctx context.Context, to *mailroom, reference string) (shown, error) {
	_, err := m.send(ctx, to, reference)
	if err != nil {
		return shown{}, err
	}
	return shown{of: reference}, nil
}

func (m *letters) send(ctx context.Context, to *mailroom, reference string) (*ehbox.Sent, error) {
	return m.mailer.Send(ctx, ehbox.Letter{
		Reference: reference, To: []ehbox.Destination{ehbox.To(to.box)}, Title: ehbox.Hide(reference), Body: ehbox.NewData([]byte(reference)),
	})
}

var errOtherText = errors.New("drill: a letter does not say what was written")

func (m *letters) look(ctx context.Context, all bool) (looked, error) {
	reader, err := m.room.reader()
	if err != nil {
		return looked{}, err
	}
	s := &shelf{mailroom: m.room}
	syncer, err := ehbox.NewSyncer(m.client, reader, s, ehbox.SyncOptions{All: all})
	if err != nil {
		return looked{}, err
	}
	for x, err := range syncer.Sync(ctx) {
		switch {
		case err != nil:
			return s.looked, err
		case x.Failed != nil:
			s.looked.left++
		case x.Message != nil && x.Message.Specification.Encrypted && x.Message.Text() != x.Message.Title.Reveal():
			return s.looked, errOtherText
		}
	}
	return s.looked, nil
}

func (m *letters) settle(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Second) {
		if q, err := m.p.Queue(context.Background()); err == nil && q.Waiting == 0 {
			return
		}
	}
}

// rooms makes the boxes of the pharmacies of a sandbox.
func rooms(s *sandbox.Sandbox) ([]*mailroom, error) {
	var out []*mailroom
	for n := range 2 {
		o := s.Organisation(identity.Pharmacy, n)
		if o == nil {
			return nil, fmt.Errorf("drill: no pharmacy %d", n)
		}
		r, err := roomOf(s, o)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
