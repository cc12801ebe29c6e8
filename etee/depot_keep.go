package etee

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
)

// TokenStore keeps tokens beyond the life of a process. Tokens are public; whose tokens somebody needs is not, so what it is
// given must be kept secret. Keys name nobody. A store for tokens of the login (package sts) is one.
//
// Implementations are safe for concurrent use, and may be shared by processes.
type TokenStore interface {
	// Load returns the record of this key; nil and no error when there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save keeps a record in place of an earlier one, whole or not at all.
	Save(ctx context.Context, key string, record []byte) error
}

const bucketETK = "etk"

// FileStore keeps tokens in a vault: encrypted, on this computer's disk.
func FileStore(v *cache.Vault) TokenStore { return fileStore{v} }

type fileStore struct{ v *cache.Vault }

func (s fileStore) Load(ctx context.Context, key string) ([]byte, error) {
	b, err := s.v.Get(ctx, bucketETK, key)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func (s fileStore) Save(ctx context.Context, key string, record []byte) error {
	return s.v.Put(ctx, bucketETK, key, record)
}

// The store has a fixed number of records, each with a share of the holders, so that it is bounded, and so that neither
// its keys nor their number tell who they are.
const (
	shelves      = 64
	shelfHolders = 48        // 3072 in all, about 20 MB
	shelfBytes   = 768 << 10 // below cache.MaxValue
	shelfVersion = 1
	storeTimeout = 5 * time.Second
)

// entry is what is known about one holder.
type entry struct {
	id      Identifier
	fetched time.Time
	used    time.Time
	tokens  []held
	missing error // instead of tokens: the depot has none
	dropped bool  // not to be used, not even stale
	former  *entry
}

// held is a token with the identifier under which the depot has it.
type held struct {
	id  Identifier
	etk ETK
}

// kept returns what memory or the store has about a holder; nil = nothing.
func (d *Depot) kept(ctx context.Context, id Identifier, now time.Time) *entry {
	d.mu.Lock()
	if e := d.entries[id]; e != nil {
		e.used = now
		out := *e
		d.mu.Unlock()
		return &out
	}
	d.mu.Unlock()
	if d.conf.Store == nil {
		return nil
	}
	shelf, err := d.loadShelf(ctx, id)
	if err != nil {
		d.failed(err)
		return nil
	}
	for _, r := range shelf.Holders {
		if r.Identifier.is(id) {
			e, err := r.entry()
			if err != nil {
				d.failed(err)
				return nil
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.entries[id] == nil {
				d.remember(e, now)
			}
			out := *d.entries[id]
			return &out
		}
	}
	return nil
}

// keep remembers what was fetched, in memory and, unless it is that there is nothing, in the store; and what was there before.
func (d *Depot) keep(ctx context.Context, e *entry) {
	d.mu.Lock()
	e.former = formerOf(d.entries[e.id], e)
	d.remember(e, e.fetched)
	d.pause = time.Time{}
	d.mu.Unlock()
	d.write(ctx, e.id, e)
}

// remember puts an entry into memory and, when that is full, the one out that was not used for the longest time.
func (d *Depot) remember(e *entry, now time.Time) {
	own := *e
	own.used = now
	d.entries[own.id] = &own
	if len(d.entries) <= d.conf.MaxEntries {
		return
	}
	var oldest *entry
	for _, o := range d.entries {
		if o.id != own.id && (oldest == nil || o.used.Before(oldest.used)) {
			oldest = o
		}
	}
	if oldest != nil {
		delete(d.entries, oldest.id)
	}
}

// write brings the store up to date about one holder; a nil entry, or one with no tokens now or before, takes the holder out. Another process
// that writes the same record at the same time may undo it: the depot then asks once more than needed.
func (d *Depot) write(ctx context.Context, id Identifier, e *entry) {
	if d.conf.Store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	d.writing.Lock()
	defer d.writing.Unlock()
	shelf, err := d.loadShelf(ctx, id)
	if err != nil {
		d.failed(err)
		shelf = &shelfRecord{} // what cannot be read is replaced
	}
	n := len(shelf.Holders)
	shelf.Holders = slices.DeleteFunc(shelf.Holders, func(r holderRecord) bool { return r.Identifier.is(id) })
	if e == nil || e.missing != nil && e.former == nil {
		if len(shelf.Holders) == n {
			return
		}
	} else {
		shelf.Holders = append(shelf.Holders, recordOf(e))
	}
	if err := d.saveShelf(ctx, id, shelf); err != nil {
		d.failed(err)
	}
}

func (d *Depot) failed(err error) {
	if d.conf.OnError != nil {
		d.conf.OnError(fmt.Errorf("etee: store of tokens: %w", err))
	}
}

// shelfRecord is one record of the store.
type shelfRecord struct {
	Version int            `json:"v"`
	Holders []holderRecord `json:"holders"`
}

type holderRecord struct {
	Identifier idRecord      `json:"id"`
	Fetched    time.Time     `json:"fetched"`
	Tokens     []tokenRecord `json:"tokens"` // empty = the depot had none
	Former     *formerRecord `json:"former,omitempty"`
}

type formerRecord struct {
	Fetched time.Time     `json:"fetched"`
	Tokens  []tokenRecord `json:"tokens"`
}

type tokenRecord struct {
	Identifier idRecord `json:"id"`
	ETK        []byte   `json:"etk"`
}

type idRecord struct {
	Type        string `json:"type"`
	Value       string `json:"value"`
	Application string `json:"app,omitempty"`
}

func recordID(i Identifier) idRecord { return idRecord{string(i.Type), i.Reveal(), i.Application} }

func (r idRecord) is(i Identifier) bool { return r == recordID(i) }

func recordOf(e *entry) holderRecord {
	r := holderRecord{Identifier: recordID(e.id), Fetched: e.fetched, Tokens: recordTokens(e.tokens)}
	if e.former != nil {
		r.Former = &formerRecord{e.former.fetched, recordTokens(e.former.tokens)}
	}
	return r
}

func recordTokens(all []held) (out []tokenRecord) {
	for _, h := range all {
		out = append(out, tokenRecord{recordID(h.id), h.etk.Bytes()})
	}
	return out
}

// entry reads a record. Nothing of it is relied upon: tokens are checked before each use.
func (r holderRecord) entry() (*entry, error) {
	id, err := identifierFrom(r.Identifier.Type, r.Identifier.Value, r.Identifier.Application)
	if err != nil {
		return nil, err
	}
	e := &entry{id: id, fetched: r.Fetched, dropped: len(r.Tokens) == 0}
	if e.tokens, err = heldTokens(r.Tokens); err != nil || r.Former == nil {
		return e, err
	}
	e.former = &entry{id: id, fetched: r.Former.Fetched}
	e.former.tokens, err = heldTokens(r.Former.Tokens)
	return e, err
}

func heldTokens(all []tokenRecord) (out []held, _ error) {
	for _, t := range all {
		id, err := identifierFrom(t.Identifier.Type, t.Identifier.Value, t.Identifier.Application)
		if err != nil {
			return nil, err
		}
		k, err := ParseETK(t.ETK)
		if err != nil {
			return nil, err
		}
		out = append(out, held{id, k})
	}
	return out, nil
}

// shelf is the key of the record that a holder belongs to.
func (d *Depot) shelf(id Identifier) string {
	sum := sha256.Sum256([]byte(string(id.Type) + "\x00" + id.Reveal() + "\x00" + id.Application))
	return fmt.Sprintf("%s/%02d", d.conf.Environment, sum[0]%shelves)
}

var errShelf = errors.New("record was written by another version")

func (d *Depot) loadShelf(ctx context.Context, id Identifier) (*shelfRecord, error) {
	b, err := d.conf.Store.Load(ctx, d.shelf(id))
	if err != nil || b == nil {
		return &shelfRecord{}, err
	}
	var s shelfRecord
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, errors.New("record is damaged") // the decoder's text quotes
	}
	if s.Version != shelfVersion {
		return nil, errShelf
	}
	return &s, nil
}

// saveShelf writes a record and leaves out what was fetched longest ago when it is full.
func (d *Depot) saveShelf(ctx context.Context, id Identifier, s *shelfRecord) error {
	s.Version = shelfVersion
	slices.SortFunc(s.Holders, func(a, b holderRecord) int { return b.Fetched.Compare(a.Fetched) })
	if len(s.Holders) > shelfHolders {
		s.Holders = s.Holders[:shelfHolders]
	}
	for {
		b, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if len(b) <= shelfBytes || len(s.Holders) == 0 {
			return d.conf.Store.Save(ctx, d.shelf(id), b)
		}
		s.Holders = s.Holders[:len(s.Holders)-1]
	}
}
