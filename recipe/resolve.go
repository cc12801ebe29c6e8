package recipe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// maxAsked bounds how many prescriptions one question looks into. The next question goes on where this one stopped.
const maxAsked = 100

// maxFetched is how many of them are fetched one by one, where a list shows the keys of all: a patient may have hundreds, and waits.
const maxFetched = 10

// lag is how long lists may hide a new prescription: it is not published, and the few minutes over which dossier 04 section
// 14.2 spreads its questions are the only figure there is.
const lag = 5 * time.Minute

// CreatePolicy is what the outbox must know about prescriptions.
func CreatePolicy() outbox.Policy { return policyOf(KindCreate) }

// others remembers prescriptions of patients that were looked into and are not the one that is looked for: they need not be
// fetched again at the next question.
type others struct {
	mu   sync.Mutex
	seen map[outbox.ID]map[string]bool
}

func (o *others) known(id outbox.ID, rid string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen[id][rid]
}

func (o *others) add(id outbox.ID, rid string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[outbox.ID]map[string]bool{}
	}
	if o.seen[id] == nil {
		if len(o.seen) >= 100 {
			clear(o.seen)
		}
		o.seen[id] = map[string]bool{}
	}
	o.seen[id][rid] = true
}

func (o *others) forget(id outbox.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.seen, id)
}

// search is one question after a prescription whose answer was lost.
type search struct {
	p       *Prescriber
	id      outbox.ID
	rec     *createRecord
	patient identity.SSIN
	asked   int
	found   []identity.RID // each once
	unclear bool
	keys    map[string]string // of all prescriptions of the patient, by number; nil = not asked for
}

// Resolve implements outbox.Resolver: it looks for the prescription by the key that was made for it (dossier 04 section 14.2).
// No other prescription has that key, whoever wrote it.
func (h createHandler) Resolve(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Verdict, error) {
	rec, err := decodeCreate(it.Payload)
	if err != nil {
		return outbox.Verdict{}, h.p.invalid(opCreate, err)
	}
	if !h.p.own(rec.Author) {
		return outbox.Verdict{}, h.p.foreign(opCreate)
	}
	patient, err := identity.ParseSSIN(rec.Patient)
	if err != nil {
		return outbox.Verdict{}, h.p.invalid(opCreate, errRecord)
	}
	s := &search{p: h.p, id: at.ID, rec: rec, patient: patient}
	if err := s.run(ctx, at); err != nil {
		return outbox.Verdict{}, err
	}
	switch {
	case len(s.found) > 0:
		h.p.others.forget(at.ID)
		return h.found(ctx, rec, s.found)
	case s.unclear:
		return outbox.Verdict{Found: outbox.Unclear}, nil
	}
	return outbox.Verdict{Found: outbox.NotThere}, nil
}

// found keeps the number. A second one under the same key was sent by somebody on the way, and is one too many.
func (h createHandler) found(ctx context.Context, rec *createRecord, rids []identity.RID) (outbox.Verdict, error) {
	rids, err := h.p.keptFirst(ctx, rids)
	if err != nil {
		return outbox.Verdict{}, err
	}
	a := createAnswer{RID: rids[0].Reveal(), Content: rec.Content, Later: rec.Later, Expires: rec.Expires}
	for _, rid := range rids[1:] {
		a.Surplus = append(a.Surplus, rid.Reveal())
		if err := h.p.revokeSurplus(ctx, rec.Reference, rid, reasonDouble); err != nil {
			return outbox.Verdict{}, err
		}
	}
	answer, err := json.Marshal(a)
	return outbox.Verdict{Found: outbox.Happened, Answer: answer}, err
}

// keptFirst puts the one of several that is kept in front, the same one however often it is asked: one that was not given up as
// surplus before, and of those one that a pharmacy has, because that cannot be revoked.
func (p *Prescriber) keptFirst(ctx context.Context, rids []identity.RID) ([]identity.RID, error) {
	box := p.box.Load()
	if len(rids) < 2 || box == nil {
		return rids, nil
	}
	rank := map[identity.RID]int{}
	for _, rid := range rids {
		s, err := p.Status(ctx, rid)
		if err != nil {
			return nil, err
		}
		rank[rid] = slices.Index([]protocol.PrescriptionStatus{
			protocol.Archived, protocol.Delivered, protocol.InProcess, protocol.NotDelivered, protocol.Expired,
		}, s.State)
		if rank[rid] < 0 {
			rank[rid] = 10
		}
		switch _, err := box.Show(ctx, box.ID(KindRevoke, surplusRef(rid))); {
		case err == nil:
			rank[rid] += 100
		case !errors.Is(err, outbox.ErrNotFound):
			return nil, p.ledger(opCreate, err)
		}
	}
	return slices.SortedFunc(slices.Values(rids), func(a, b identity.RID) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), strings.Compare(a.Reveal(), b.Reveal()))
	}), nil
}

// run asks the list that shows keys, and where that does not say yes, everything that shows numbers. The long way is gone when
// the first one does not answer, and at the end, when "no" must be certain.
func (s *search) run(ctx context.Context, at outbox.Attempt) error {
	listed := errors.New("not asked")
	if s.p.conf.Generation == protocol.Gen2023 {
		if listed = s.byKey(ctx); len(s.found) > 0 {
			return nil
		}
	}
	if pol := CreatePolicy(); listed == nil && time.Now().Before(at.Expires.Add(pol.Skew+pol.Late+pol.Lag)) {
		return nil
	}
	if err := s.among(ctx, s.open(ctx)); err != nil || len(s.found) > 0 {
		return err
	}
	for _, active := range []bool{true, false} {
		if err := s.among(ctx, s.history(ctx, active)); err != nil || len(s.found) > 0 {
			return err
		}
	}
	return nil
}

// byKey asks listPrescriptions, which shows the key of each.
func (s *search) byKey(ctx context.Context) error {
	from := protocol.DateOf(s.rec.Start)
	for l, err := range s.p.list(ctx, ListQuery{Patient: s.patient, From: from, To: from.Add(0, 0, 1), Own: true}) {
		if err != nil {
			return err
		}
		if l.EncryptionKey == s.rec.KeyID {
			s.is(l.RID)
		}
	}
	return nil
}

// is notes that a number is the one that is looked for. The same one may be on two pages, when lists change between them. One
// that cannot be read is somewhere all the same.
func (s *search) is(rid identity.RID) {
	switch {
	case rid.IsZero():
		s.unclear = true
	case !slices.Contains(s.found, rid):
		s.found = append(s.found, rid)
	}
}

// another tells of a prescription that is not shown, because of its state or because the service fails, whether it certainly
// is not the one that is looked for: lists show keys where the prescription itself is refused.
func (s *search) another(ctx context.Context, rid string) bool {
	if s.p.conf.Generation != protocol.Gen2023 {
		return false
	}
	if s.keys == nil {
		s.keys = map[string]string{}
		for l, err := range s.p.list(ctx, ListQuery{Patient: s.patient, Own: true}) {
			if err != nil {
				return false
			}
			if l.EncryptionKey == s.rec.KeyID {
				s.is(l.RID)
			}
			s.keys[l.RID.Reveal()] = l.EncryptionKey
		}
	}
	key := s.keys[rid]
	return key != "" && key != s.rec.KeyID
}

// numbers are those of a list.
type numbers = iter.Seq2[identity.RID, error]

func (s *search) open(ctx context.Context) numbers {
	return func(yield func(identity.RID, error) bool) {
		for a, err := range s.p.openRIDs(ctx, s.patient) {
			if err != nil {
				yield(identity.RID{}, err)
				return
			}
			s.unclear = s.unclear || a.Result.Unread > 0
			for _, rid := range a.Result.RIDs() {
				if !yield(rid, nil) {
					return
				}
			}
		}
	}
}

func (s *search) history(ctx context.Context, active bool) numbers {
	return func(yield func(identity.RID, error) bool) {
		for r, err := range s.p.History(ctx, s.patient, active) {
			if !yield(r.RID, err) || err != nil {
				return
			}
		}
	}
}

// among looks into what a list has and was not there before. The lists show the caller's own prescriptions only, so each may be
// the one; one that cannot be looked into leaves it open, and in the end a person decides.
func (s *search) among(ctx context.Context, all numbers) error {
	before := map[string]bool{}
	for _, rid := range s.rec.Known {
		before[rid] = true
	}
	for rid, err := range all {
		if err != nil {
			return err
		}
		text := rid.Reveal()
		if rid.IsZero() {
			s.unclear = true
			continue
		}
		if before[text] || s.p.others.known(s.id, text) {
			continue
		}
		if s.asked >= maxFetched && s.another(ctx, text) {
			s.p.others.add(s.id, text)
			continue
		}
		if s.asked++; s.asked > maxAsked {
			s.unclear = true
			return nil
		}
		a, err := s.p.get(ctx, rid)
		switch {
		case err != nil && !errors.As(err, new(*RefusedError)) && fault.KindOf(err).Temporary():
			return err
		case err != nil && !s.another(ctx, text), err == nil && a.Result.EncryptionKeyID == "":
			s.unclear = true
		case err == nil && a.Result.EncryptionKeyID == s.rec.KeyID:
			s.is(rid)
		default:
			s.p.others.add(s.id, text)
		}
	}
	return nil
}
