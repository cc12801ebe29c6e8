package etee

import (
	"container/list"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// keyring holds keys in memory, never on disk.
type keyring struct {
	maxKeys, maxPool int
	ttl              time.Duration

	mu     sync.Mutex
	known  map[string]*list.Element // by identifier
	order  *list.List               // of KEK, used last in front
	pool   map[[sha256.Size]byte][]pooled
	size   int                 // of the pool
	seen   map[string]struct{} // identifiers of new keys
	recent []string            // the same, in order
}

// pooled is a new key that waits for its use.
type pooled struct {
	key     KEK
	fetched time.Time
}

// maxSeen bounds the identifiers by which a repeated answer is found out.
const maxSeen = 4096

var errRepeated = fault.AsSafe(errors.New("etee: this new key was given before"))

func newKeyring(maxKeys, maxPool int, ttl time.Duration) *keyring {
	return &keyring{
		maxKeys: maxKeys, maxPool: maxPool, ttl: ttl, known: map[string]*list.Element{}, order: list.New(),
		pool: map[[sha256.Size]byte][]pooled{}, seen: map[string]struct{}{},
	}
}

func (r *keyring) recall(id []byte) (KEK, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.known[string(id)]
	if e == nil {
		return KEK{}, false
	}
	r.order.MoveToFront(e)
	return e.Value.(KEK), true
}

// remember keeps a key: an identifier never gets another (dossier 02 C.5).
func (r *keyring) remember(k KEK) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[string(k.id)] != nil {
		return
	}
	r.known[string(k.id)] = r.order.PushFront(k)
	if r.order.Len() > r.maxKeys {
		oldest := r.order.Back()
		delete(r.known, string(r.order.Remove(oldest).(KEK).id))
	}
}

// forget drops all keys. What was seen is no key and stays.
func (r *keyring) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.known)
	r.order.Init()
	clear(r.pool)
	r.size = 0
}

// firstSeen refuses a new key that came before: an answer to an earlier question.
func (r *keyring) firstSeen(k KEK) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := string(k.id)
	if _, again := r.seen[id]; again {
		return errRepeated
	}
	r.seen[id] = struct{}{}
	if r.recent = append(r.recent, id); len(r.recent) > maxSeen {
		delete(r.seen, r.recent[0])
		r.recent = slices.Delete(r.recent, 0, 1)
	}
	return nil
}

// take takes the oldest key that is still good out of the pool.
func (r *keyring) take(digest [sha256.Size]byte, now time.Time) (KEK, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(digest, now)
	ready := r.pool[digest]
	if len(ready) == 0 {
		return KEK{}, false
	}
	r.set(digest, ready[1:])
	return ready[0].key, true
}

func (r *keyring) ready(digest [sha256.Size]byte, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(digest, now)
	return len(r.pool[digest])
}

// put makes a key ready and, when there are too many, drops the one that waited longest.
func (r *keyring) put(digest [sha256.Size]byte, k KEK, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(digest, append(r.pool[digest], pooled{k, now}))
	if r.size <= r.maxPool {
		return
	}
	var oldest [sha256.Size]byte
	var since time.Time
	for d, ready := range r.pool {
		if since.IsZero() || ready[0].fetched.Before(since) {
			oldest, since = d, ready[0].fetched
		}
	}
	r.set(oldest, r.pool[oldest][1:])
}

func (r *keyring) expire(digest [sha256.Size]byte, now time.Time) {
	r.set(digest, slices.DeleteFunc(r.pool[digest], func(p pooled) bool {
		age := now.Sub(p.fetched)
		return age < 0 || age >= r.ttl
	}))
}

func (r *keyring) set(digest [sha256.Size]byte, ready []pooled) {
	r.size += len(ready) - len(r.pool[digest])
	if len(ready) == 0 {
		delete(r.pool, digest)
		return
	}
	r.pool[digest] = ready
}
