package insurability

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

const (
	// StoredShare is what is left of the time of a question for looking into the store, when both addresses hang: a
	// read of a disk, or of a database on the same network. Of a short time it is a quarter.
	StoredShare = 500 * time.Millisecond
	// MaxLooks bounds the looks into the store at the same time, so that a disk that hangs holds up no more of them. Who
	// finds no room in time is told that nothing is known.
	MaxLooks = 8
	// StoredDays and StoredHours bound the age at which a positive answer still stands in for a question: less than 30
	// days. What a day is, is not published, so the smaller of the two is taken: 30 times 24 hours, and 30 days of the
	// calendar at the same time of day in Belgium (dossier 06 B.4.2).
	StoredDays  = 30
	StoredHours = StoredDays * 24 * time.Hour
)

// NoticeStored is the id of the text to show with a stored answer: when it was checked and, where that is so, that
// payment is guaranteed (dossier 06 part D). [Provenance.Message] makes the text.
const NoticeStored = "D-INS-CACHED"

// noticeWrong is the notice of an error whose only answers belonged to other questions.
const noticeWrong = "D-WRONG"

// WithStored completes the ladder of dossier 06 B.4.2: positive answers are kept in a, and stand in while no address
// answers. The caller closes a, after the Client.
func WithStored(a *cache.Answers) Option {
	return func(c *Config) error { c.Stored = a; return nil }
}

// WithEnvironment names the environment that is asked. An answer of one is never used in another.
func WithEnvironment(name string) Option {
	return func(c *Config) error { c.Environment = name; return nil }
}

// OnAnswer is told where every answer came from; Unknown when no address gave one and none was stored, and nothing when
// the question was refused. f must return soon.
func OnAnswer(f func(service string, s Source)) Option {
	return func(c *Config) error { c.hooks.onAnswer = f; return nil }
}

type hooks struct {
	onAnswer  func(service string, s Source)
	onRecheck func(Recheck)
}

// laddered is an answer of any of the questions.
type laddered interface {
	provenance() *Provenance
	days() Period
	essence() essence
	approval() string
}

// essence is what was told at the counter, to be compared with what the platform says later.
type essence struct {
	insured                  Tristate
	mutuality, ct1, ct2, tpp string
	deceased                 bool
}

func (a *Answer) provenance() *Provenance { return &a.Provenance }
func (a *Answer) days() Period            { return a.Asked }
func (a *Answer) approval() string        { return a.PaymentApproval.PaymentApproval }
func (a *Answer) essence() essence {
	return essence{
		insured: a.Insured, mutuality: a.Mutuality, ct1: a.CT1, ct2: a.CT2,
		tpp: a.ThirdPartyPayer.String() + string(a.Regime), deceased: !a.Person.Deceased.IsZero(),
	}
}

// question is one question on its way up the ladder.
type question[A laddered] struct {
	service string
	scope   []string // patient and kind of question: with the asker, what an answer must have in common with it
	asked   Period
	today   Date
	live    func(context.Context, *Client) (A, error)   // asks the addresses
	again   func(context.Context, *Client) (A, error)   // asks about the same days later, with references of its own
	pack    func(A) ([]byte, error)                     // for the store
	unpack  func(b []byte, asked Period) (A, bool)      // the answer for these days; false: it does not speak of them
	unknown func(p Provenance, asked Period) (answer A) // an answer that says nothing
}

// within is the client with another time for one question.
func (c *Client) within(d time.Duration) *Client {
	out := *c
	out.conf.Timeout = d
	return &out
}

// climb asks live and alternate, then the store. Every rung ends in time for the next one.
func climb[A laddered](ctx context.Context, c *Client, q *question[A]) (none A, _ error) {
	if c.conf.Stored == nil {
		a, err := q.live(ctx, c)
		switch {
		case err == nil:
			c.tell(q.service, a.provenance().Source)
		case stepsDown(err):
			c.tell(q.service, Unknown)
		}
		return a, err
	}
	defer c.rechecks.interactive()()
	deadline := time.Now().Add(c.conf.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	left := time.Until(deadline)
	liveCtx, cancel := context.WithDeadline(ctx, deadline.Add(-min(StoredShare, left/4)))
	defer cancel()
	a, err := q.live(liveCtx, c.within(left-min(StoredShare, left/4)))
	if err == nil {
		c.rechecks.worked()
		keep(ctx, c, q, a)
		c.tell(q.service, a.provenance().Source)
		return a, nil
	}
	if !stepsDown(err) || ctx.Err() != nil {
		c.forget(ctx, q.service, q.scope, q.asked, q.today, err)
		return none, err
	}
	c.rechecks.failed()
	ctx, cancel = context.WithDeadline(ctx, deadline)
	defer cancel()
	a, ok, lookErr := look(ctx, c, q)
	if lookErr != nil {
		err = withCause(err, lookErr)
	}
	if !ok {
		a = q.unknown(Provenance{Source: Unknown, Notice: NoticeUnknown}, q.asked)
	}
	p := a.provenance()
	p.Cause = err
	p.Recheck = c.rechecks.add(recheckOf(c, q, a))
	c.tell(q.service, p.Source)
	if !ok {
		return a, err
	}
	return a, nil
}

func (c *Client) tell(service string, s Source) {
	if c.conf.hooks.onAnswer != nil {
		c.conf.hooks.onAnswer(service, s)
	}
}

// stepsDown tells whether a failure lets the next rung be tried: only when there was no answer. A refusal is one, and so
// is that the caller has no right; a right that many lost at once is Unavailable already. Of wrong askers' answers nothing
// was taken, so they count as none.
func stepsDown(err error) bool {
	fe, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return false
	}
	switch fe.Kind {
	case fault.Unavailable, fault.Timeout, fault.Throttled:
		return true
	case fault.Protocol:
		var r refusal // of a code that nobody knows: an answer nevertheless
		return !errors.As(err, &r)
	case fault.Security:
		return fe.Notice == noticeWrong
	default:
		return false
	}
}

// forget drops what is stored when a refusal says otherwise: no insurer was found, or several where one had answered.
func (c *Client) forget(ctx context.Context, service string, scope []string, asked Period, today Date, err error) {
	if contradicts(err) {
		c.conf.Stored.Drop(c.id(service, scope, asked, today))
		c.outdated(ctx, service, scope, asked, today)
	}
}

// outdated drops the answer that stands in for today when it speaks of no later day than these other ones, on which the
// platform says otherwise.
func (c *Client) outdated(ctx context.Context, service string, scope []string, asked Period, today Date) {
	if asked == OneDay(today) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, StoredShare)
	defer cancel()
	id := c.id(service, scope, OneDay(today), today)
	type found struct {
		s   cache.Stored
		err error
	}
	f, err := bounded(ctx, c.looks, func() (f found) {
		f.s, f.err = c.conf.Stored.Get(ctx, id)
		return f
	})
	if err = errors.Join(err, f.err); errors.Is(err, cache.ErrNotFound) {
		return
	}
	if err != nil || !DateOf(f.s.At).After(asked.End) {
		c.conf.Stored.Drop(id) // also what could not be looked at: nothing known is better than what is wrong
	}
}

func contradicts(err error) bool {
	var r refusal
	return errors.As(err, &r) && (r.kind() == fault.NotFound || r.kind() == fault.Conflict)
}

func withCause(err, more error) error {
	fe, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return errors.Join(err, more)
	}
	e := *fe
	e.Err = errors.Join(e.Err, fault.AsSafe(more))
	return &e
}

// id is where the answer to a question is kept. Answers for the day on which they are asked share one place, so that the
// newest one counts; answers for other days have a place each.
func (c *Client) id(service string, scope []string, asked Period, today Date) cache.AnswerID {
	k := c.caller
	parts := []string{
		"insurability v1", c.conf.Environment, strconv.FormatBool(c.conf.Test), service,
		string(k.Quality), k.NIHII.Reveal(), k.SSIN.Reveal(), k.SiteID,
	}
	if k.Holder != nil {
		parts = append(parts, k.Holder.NIHII.Reveal(), k.Holder.SSIN.Reveal())
	} else {
		parts = append(parts, "", "")
	}
	days := "today"
	if asked != OneDay(today) {
		days = asked.String()
	}
	return c.conf.Stored.ID(append(append(parts, scope...), days)...)
}

// keep stores what may stand in later: a positive answer for less than 30 days, a negative one for the rest of its day
// and in place of an earlier positive one, also of one that stands in for today. An answer that says neither changes
// nothing.
func keep[A laddered](ctx context.Context, c *Client, q *question[A], a A) {
	p, e := a.provenance(), a.essence()
	p.PaymentGuaranteed = guaranteed(c.caller.Quality, e.insured, a.approval())
	s := cache.Stored{At: p.ConsultedAt, Service: q.service, Endpoint: p.Endpoint, Alternate: p.Source == Alternate}
	id := c.id(q.service, q.scope, q.asked, q.today)
	switch {
	case e.insured == NotKnown:
		return
	case e.deceased: // insured on the day, and on no later one
		c.conf.Stored.Drop(id)
		c.conf.Stored.Drop(c.id(q.service, q.scope, OneDay(q.today), q.today))
		return
	case e.insured == Yes:
		s.Until = storedUntil(p.ConsultedAt)
	default:
		s.Until = DateOf(p.ConsultedAt).AddDays(1).Start()
		c.outdated(ctx, q.service, q.scope, q.asked, q.today)
	}
	var err error
	if s.Value, err = q.pack(a); err != nil {
		c.conf.Stored.Drop(id) // an answer that can be read and not written: older news must not outlive it
		return
	}
	c.conf.Stored.Keep(id, s)
}

// storedUntil is the first instant at which an answer is too old: its age must stay below the smaller of the two.
func storedUntil(at time.Time) time.Time {
	hours, days := at.Add(StoredHours), at.In(brussels).AddDate(0, 0, StoredDays)
	if days.Before(hours) {
		return days
	}
	return hours
}

// guaranteed tells whether the insurer has bound himself to pay. The procedure gives that to pharmacists, general
// practitioners and guard posts (dossier 06 part D), and only the approval in the answer proves it (dossier 05 section
// 5.4): without one the library does not claim it.
func guaranteed(q identity.Quality, insured Tristate, approval string) bool {
	switch q {
	case identity.Pharmacy, identity.Pharmacist, identity.Doctor, identity.GuardPost:
		return insured == Yes && approval != ""
	default:
		return false
	}
}

// look is stored for whoever must not wait longer than ctx, even for a disk that hangs.
func look[A laddered](ctx context.Context, c *Client, q *question[A]) (none A, ok bool, err error) {
	type found struct {
		a   A
		ok  bool
		err error
	}
	f, err := bounded(ctx, c.looks, func() (f found) {
		f.a, f.ok, f.err = stored(ctx, c, q)
		return f
	})
	if err != nil {
		return none, false, err
	}
	return f.a, f.ok, f.err
}

// bounded calls read, which may hang whatever ctx says, in one of a bounded number of goroutines, and waits for it until
// ctx ends. While all of them hang it is not called.
func bounded[T any](ctx context.Context, slots chan struct{}, read func() T) (none T, _ error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	ch := make(chan T, 1)
	go func() {
		defer func() { <-slots }()
		ch <- read()
	}()
	select {
	case t := <-ch:
		return t, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// stored looks for an answer that may stand in: of the same asker to the same question, positive and young enough, or
// negative and of today.
func stored[A laddered](ctx context.Context, c *Client, q *question[A]) (none A, ok bool, err error) {
	ids := []cache.AnswerID{c.id(q.service, q.scope, q.asked, q.today)}
	if now := c.id(q.service, q.scope, OneDay(q.today), q.today); now != ids[0] {
		ids = append(ids, now)
	}
	var failed []error
	for _, id := range ids {
		s, err := c.conf.Stored.Get(ctx, id)
		if errors.Is(err, cache.ErrNotFound) {
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		now := time.Now()
		a, ok := q.unpack(s.Value, q.asked)
		if !ok || !fresh(a.essence().insured, s.At, now) {
			continue
		}
		p := a.provenance()
		p.Source, p.Notice, p.Age = Stored, NoticeStored, now.Sub(s.At)
		p.PaymentGuaranteed = guaranteed(c.caller.Quality, a.essence().insured, a.approval())
		return a, true, errors.Join(failed...)
	}
	return none, false, errors.Join(failed...)
}

// fresh is the rule about age. An answer from the future comes from a clock that was set back: its age is not known.
func fresh(insured Tristate, at, now time.Time) bool {
	switch {
	case now.Before(at):
		return false
	case insured == Yes:
		return now.Before(storedUntil(at))
	default:
		return insured == No && DateOf(at) == DateOf(now)
	}
}

// later tells whether a positive answer for some days stands in for later ones: not beyond today or 30 days from its
// consultation, and not beyond the end of a period that the insurer gave. A period that ends on the asked day only
// repeats the question.
func later(had, want, coverage Period, at time.Time) bool {
	limit := DateOf(at).AddDays(StoredDays - 1)
	if today := Today(); today.After(limit) {
		limit = today
	}
	return !want.Start.Before(had.Start) && !want.End.After(limit) &&
		(coverage.End.IsZero() || !coverage.End.After(had.End) || !coverage.End.Before(want.End))
}

// Message returns the text to show with the answer, in whatever language; false when there is nothing to say.
func (p Provenance) Message() (notice.Notice, bool) {
	switch p.Source {
	case Alternate:
		return notice.InsuranceDirect(), true
	case Stored:
		return notice.InsuranceStored(p.ConsultedAt, p.DaysOld(), p.PaymentGuaranteed), true
	case Unknown:
		return notice.InsuranceUnknown(), true
	default:
		return notice.Notice{}, false
	}
}

// DaysOld is the age of a stored answer in days of the calendar in Belgium, as its notice names it.
func (p Provenance) DaysOld() int {
	from, to := DateOf(p.ConsultedAt), DateOf(p.ConsultedAt.Add(p.Age))
	n := 0
	for ; from.Before(to) && n <= StoredDays; n++ {
		from = from.AddDays(1)
	}
	return n
}
