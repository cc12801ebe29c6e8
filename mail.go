package ehealth

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Mail configures [Platform.Mail], the eHealthBox of the caller. The zero value does for most. Letters are sealed with
// the authentication key of Config.Identity, and opened with its encryption keys: it must be a key store in eHealth's
// layout.
type Mail struct {
	// Boxes are the names of the caller's boxes in all forms in which the platform may write them, the default box of
	// the login first; nil = what follows from Config.Caller: a person's box by INSS and by NIHII, an organisation's by
	// NIHII. Organisations that are named otherwise (CBE, EHP) must give theirs.
	Boxes []ehbox.BoxID
	// Earlier are the key stores from before renewals of the certificate: old letters are sealed for old keys (dossier
	// 03 section 8.4).
	Earlier []keystore.Source
	// SealWhenSending keeps waiting letters unsealed in the outbox, which is encrypted, and seals them as they leave. By
	// default they are sealed when they are given, if the keys of the recipients can be had then, so that they can leave
	// while the ETK depot is down; and anew when a key has changed by then.
	SealWhenSending bool
	// Timeout bounds a question, TransferTimeout an operation that moves a whole message; 0 = [ehbox.DefaultTimeout] and
	// [ehbox.DefaultTransferTimeout].
	Timeout, TransferTimeout time.Duration
	// Policy is what sealed letters and tokens must fulfil; nil = signed with non-repudiation, as eHealthBox asks for
	// (dossier 02 E), with signing times up to two days old without a warning, since the platform tells days only.
	Policy *etee.Policy
	// OnError is told when encryption tokens cannot be kept in DataDir; mail goes on. It must return soon. nil = nobody is.
	OnError func(error)
}

// FunctionMail is the function in [Platform.Health] that says whether eHealthBox works; its notices speak of
// [notice.EHealthBox]. It is there when Config.Mail is set.
const FunctionMail = "mail"

// mailWindow is the age of a signing time that needs no warning: the platform tells the day of publication only, in a
// zone of its own.
const mailWindow = 48 * time.Hour

// Mailbox is eHealthBox as the caller sees it: letters are sent through [Platform.Outbox], sealed for their recipients
// and for the sender, and read by Sync. See package ehbox for what is guaranteed.
type Mailbox struct {
	// Client has the operations of the two services under the protocol's names.
	Client *ehbox.Client
	// Reader opens messages that Client read.
	Reader *ehbox.Reader
	// Depot finds the encryption tokens of others; KGSS keys for recipients who are not known yet.
	Depot *etee.Depot
	KGSS  *etee.KGSS
	// Sealer seals in the name of the caller, Opener opens what was sealed for the caller, now or before renewals.
	Sealer *etee.Sealer
	Opener *etee.Opener

	p      *Platform
	mailer *ehbox.Mailer
}

// openMail wires the mailbox, all but the outbox. Nothing is asked.
func (p *Platform) openMail(ctx context.Context, hok keystore.Credential) error {
	cfg := p.config.Mail
	if cfg == nil {
		return nil
	}
	boxes := cfg.Boxes
	if boxes == nil {
		if boxes = boxesOf(p.config.Caller); boxes == nil {
			return errors.New("mail: Mail.Boxes is required for this caller")
		}
	}
	if err := p.openSeals(ctx, hok); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	m := &Mailbox{p: p, Depot: p.seals.depot, KGSS: p.seals.kgss, Sealer: p.seals.sealer}
	policy := etee.Policy{NonRepudiation: true, Window: mailWindow}
	if cfg.Policy != nil {
		policy = *cfg.Policy
	}
	var err error
	if m.Opener, err = etee.NewOpener(p.seals.keys, p.seals.trust, policy); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	m.Reader = ehbox.NewReader([]ehbox.Opener{m.Opener})
	m.Client, err = ehbox.New(p.exchange, p.security, boxes, ehbox.WithTimeout(cfg.Timeout, cfg.TransferTimeout))
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	var options []ehbox.MailerOption
	if cfg.SealWhenSending {
		options = append(options, ehbox.SealWhenSending())
	}
	m.mailer, err = ehbox.NewMailer(m.Client, ehbox.DepotKeys(m.Depot, hok.Certificate, p.seals.keys), m.Sealer, options...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	p.Mail = m
	return nil
}

// etk are the authorities of tokens and seals.
func (c *Config) etk() *x509.CertPool { return cmp.Or(c.Trust.ETK, c.Trust.STS) }

func (m *Mailbox) use(b *outbox.Box) {
	if m != nil {
		m.mailer.Use(b)
	}
}

// queued says how letters are sent.
func (m *Mailbox) queued() []Queued {
	if m == nil {
		return nil
	}
	return []Queued{{
		Kind: ehbox.KindSend, Handler: m.mailer.Handler(), Policy: ehbox.SendPolicy(),
		Service: ehbox.ServicePublication, Name: notice.EHealthBox, Waiting: notice.MessagesQueued,
	}}
}

// Send sends a letter, or keeps it to be sent: exactly once, whatever happens to the platform or to this process. With a
// nil error it was accepted; that it could not be delivered later comes as a message, see LateErrors.
//
// With errors.Is(err, outbox.ErrQueued) it is on disk and goes by itself (Outcome NotSent, notice D-MSG-QUEUED or
// D-AUTH-NONE), with outbox.ErrUnknown it was sent and is being found out (D-UNSURE): do not send it again by hand. In
// both cases there is a Sent too. Every other error is final: an *[ehbox.OutOfOfficeError] asks the person what to do,
// the rest was refused or not taken. The error is a *[Error] always.
//
// The same Reference is the same letter, so a program that does not know whether it gave a letter gives it again.
func (m *Mailbox) Send(ctx context.Context, l ehbox.Letter) (*ehbox.Sent, error) {
	if m.p.Outbox == nil {
		return nil, &fault.Error{Op: label(ehbox.KindSend), Service: ehbox.ServicePublication, Kind: fault.Local, Outcome: fault.NotSent, Err: errNoOutbox}
	}
	sent, err := m.mailer.Send(ctx, l)
	if err == nil {
		return sent, nil
	}
	e, whole := err.(*fault.Error) //nolint:errorlint // one within another error says less than that
	if !whole {
		e = m.p.queue.failure(ctx, ehbox.KindSend, err)
	}
	if sent != nil {
		sent.Notice = e.Notice
	}
	return sent, e
}

// Sync brings what is new in an INBOX into a store, each message once, and kept before anything else is done with it. A
// message that cannot be opened is set aside (D-MSG-BAD) and does not hold up the others. Listing tells senders who asked
// that their message was received, reading that it was read: SyncOptions.Before is asked first. An error ends the run; the
// next one goes on.
func (m *Mailbox) Sync(ctx context.Context, store ehbox.Store, o ehbox.SyncOptions) iter.Seq2[*ehbox.Synced, error] {
	s, err := ehbox.NewSyncer(m.Client, m.Reader, store, o)
	if err != nil {
		return func(yield func(*ehbox.Synced, error) bool) {
			yield(nil, &fault.Error{Op: "ehbox.Sync", Service: ehbox.ServiceConsultation, Kind: fault.Invalid, Outcome: fault.NotSent, Err: err})
		}
	}
	return s.Sync(ctx)
}

// Read reads one message and opens it. In an INBOX that tells its sender, if he asked, that it was read.
func (m *Mailbox) Read(ctx context.Context, r ehbox.MessageRequest) (*ehbox.Message, error) {
	v, err := m.Client.GetFullMessage(ctx, r)
	if err != nil {
		return nil, err
	}
	return m.Reader.Open(v)
}

// LateErrors goes through the messages of the platform in an INBOX (nil = the default one) that say that a letter could
// not be delivered after it had been accepted, and finds the letter in the outbox. It lists the whole INBOX.
func (m *Mailbox) LateErrors(ctx context.Context, box *ehbox.BoxID) iter.Seq2[*ehbox.Failed, error] {
	return m.mailer.LateErrors(ctx, box)
}

// mailQualities are the qualities of boxes for those of the login (dossier 03 section 10.2). Who is not here gives
// Mail.Boxes.
var mailQualities = map[identity.Quality]ehbox.Quality{
	identity.Doctor: ehbox.Doctor, identity.Nurse: ehbox.Nurse, identity.Physiotherapist: ehbox.Physiotherapist,
	identity.Dentist: ehbox.Dentist, identity.Logopedist: ehbox.Logopedist, identity.Trussmaker: ehbox.TrussMaker,
	identity.Orthopedist: ehbox.Orthopedist, identity.Midwife: ehbox.Midwife, identity.Optician: ehbox.Optician,
	identity.Podologist: ehbox.Podologist, identity.Dietician: ehbox.Dietician, identity.Pharmacist: ehbox.Pharmacist,

	identity.Hospital: ehbox.Hospital, identity.GroupOfNurses: ehbox.NurseGroup, identity.Labo: ehbox.Labo,
	identity.Retirement: ehbox.Retirement, identity.OTDPharmacy: ehbox.OTDPharmacy, identity.MedicalHouse: ehbox.MedicalHouse,
	identity.GroupOfDoctors: ehbox.GroupDoctors, identity.PsychiatricHouse: ehbox.PsychHouse, identity.GuardPost: ehbox.GuardPost,
	identity.Reeducation: ehbox.Reeducation, identity.Pharmacy: ehbox.Pharmacy, identity.OfficeDoctors: ehbox.OfficeDoctors,
}

// boxesOf are the names of a caller's box, that of the login first (dossier 03 section 2.3); nil = not known.
func boxesOf(c insurability.Caller) []ehbox.BoxID {
	q := mailQualities[c.Quality]
	if c.Holder != nil {
		q = ehbox.Pharmacy // a pharmacist logs in for the pharmacy
	}
	var out []ehbox.BoxID
	if q == "" {
		return nil
	}
	if c.Quality.IsPerson() && c.Holder == nil && !c.SSIN.IsZero() {
		out = append(out, ehbox.ByINSS(c.SSIN, q))
	}
	if !c.NIHII.IsZero() {
		out = append(out, ehbox.ByNIHII(c.NIHII, q))
	}
	return out
}

// mailNeeds are the services that mail needs. Neither has an alternate address (dossier 03 section 1).
func mailNeeds(need func(string, bool) resilience.Need) resilience.Function {
	return resilience.Function{Name: FunctionMail, Needs: []resilience.Need{
		need(ehbox.ServicePublication, false), need(ehbox.ServiceConsultation, false),
	}}
}

// mailAddresses are those of dossier 03 section 2, which are in no service list.
func mailAddresses(e Environment) resilience.Static {
	host := e.host()
	if host == "" {
		return nil
	}
	return resilience.Static{
		ehbox.ServiceConsultation: {{URL: host + "/ehBoxConsultation/v3", Active: true}},
		ehbox.ServicePublication:  {{URL: host + "/ehBoxPublication/v3", Active: true}},
	}
}

// resolved is the configuration with its defaults filled in.
func (m *Mail) resolved(p *Platform) *Mail {
	if m == nil || p.Mail == nil {
		return m
	}
	out := *m
	conf := p.Mail.Client.Config()
	out.Timeout, out.TransferTimeout = conf.Timeout, conf.TransferTimeout
	if out.Boxes == nil {
		out.Boxes = boxesOf(p.config.Caller)
	}
	out.Boxes = slices.Clone(out.Boxes)
	if out.Policy == nil {
		out.Policy = &etee.Policy{NonRepudiation: true, Window: mailWindow}
	}
	return &out
}
