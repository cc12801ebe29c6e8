package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Defect is a way in which a published service list is wrong (dossier 01 D.9, dossier 12 rows 10). A client must
// keep its last good list and endpoints, and store nothing of it.
type Defect string

// The defects. The content hash (.sha2) is that of the defective list, so that clients notice the change.
const (
	NoDefect         Defect = ""
	ListBadSignature Defect = "bad_signature" // an address changed after signing
	ListUnsigned     Defect = "unsigned"
	ListWrapped      Defect = "wrapped"      // an unsigned root holds the signed list, then unsigned services
	ListSelfSigned   Defect = "self_signed"  // right subject, self-signed
	ListForeignCA    Defect = "foreign_ca"   // right subject, a CA that ca.pem does not hold
	ListPerson       Defect = "person"       // signed by a care professional's certificate
	ListOld          Defect = "old"          // IssueInstant a year back: a replay of an old list
	ListEnvironment  Defect = "environment"  // for another environment
	ListUnknownHost  Defect = "unknown_host" // validly signed, names addresses on a host nobody has heard of
	ListDTD          Defect = "dtd"          // validly signed, with a document type declaration
	ListHuge         Defect = "huge"         // 256 MiB
	ListEndless      Defect = "endless"      // a byte a second, never complete
	ListHTTP500      Defect = "http500"      // .xml and .sha2 answer 500
	ListHTML         Defect = "html"         // a web page with status 200 where the list should be
)

var defects = []Defect{
	NoDefect, ListBadSignature, ListUnsigned, ListWrapped, ListSelfSigned, ListForeignCA, ListPerson, ListOld, ListEnvironment,
	ListUnknownHost, ListDTD, ListHuge, ListEndless, ListHTTP500, ListHTML,
}

func (d Defect) known() bool { return slices.Contains(defects, d) }

// ListState is what the published list says: which addresses differ from rest, and what is wrong with it.
type ListState struct {
	Set    []ListEntry
	Defect Defect
}

// SetList publishes a new list at once. It stays until the next SetList; list steps act on top of it. The zero value
// is the list at rest: Order 0 active.
func (s *Sandbox) SetList(st ListState) error {
	if _, err := (List{Set: st.Set, Defect: st.Defect}).normal(); err != nil && (len(st.Set) > 0 || st.Defect != NoDefect) {
		return fmt.Errorf("sandbox: list: %w", err)
	}
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	s.list.manual = ListState{Set: slices.Clone(st.Set), Defect: st.Defect}
	s.list.manualAt = time.Now()
	return nil
}

// List returns what the list says at this instant, steps included.
func (s *Sandbox) List() ListState {
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	st, _ := s.list.current(time.Now())
	return st
}

// listPublisher makes and keeps the published list.
type listPublisher struct {
	s *Sandbox

	mu       sync.Mutex
	manual   ListState
	manualAt time.Time
	issued   time.Time // IssueInstant of what is published
	key      string    // state that is published
	docs     map[int][]byte
}

func newListPublisher(s *Sandbox, now time.Time) *listPublisher {
	return &listPublisher{s: s, manualAt: now}
}

// current computes the state at now and the instant of the last change. The lock is held.
func (p *listPublisher) current(now time.Time) (ListState, time.Time) {
	st := ListState{Set: slices.Clone(p.manual.Set), Defect: p.manual.Defect}
	at := p.manualAt
	e := p.s.faults
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		for _, step := range r.steps {
			f, ok := step.Fault.(List)
			if !ok {
				continue
			}
			from := step.from.Add(f.Lag)
			switch {
			case now.Before(from):
			case !step.to.IsZero() && !now.Before(step.to):
				if step.to.After(at) && step.to.After(from) {
					at = step.to
				}
			default:
				st.Set = append(st.Set, f.Set...)
				if f.Defect != NoDefect {
					st.Defect = f.Defect
				}
				if from.After(at) {
					at = from
				}
			}
		}
	}
	return st, at
}

// publish returns the list of a version (1 or 2) as it is at now. A changed state gets an IssueInstant later than that of
// the list before: the instant of the change.
func (p *listPublisher) publish(version int, now time.Time) (doc []byte, st ListState, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st, at := p.current(now)
	key := fmt.Sprintf("%v", st)
	if p.docs == nil || key != p.key {
		if !at.After(p.issued) {
			at = now
		}
		if !at.After(p.issued) {
			at = p.issued.Add(time.Millisecond)
		}
		p.key, p.issued, p.docs = key, at, map[int][]byte{}
	}
	if doc, ok := p.docs[version]; ok {
		return doc, st, nil
	}
	doc, err = p.s.makeList(version, st, p.issued)
	if err == nil {
		p.docs[version] = doc
	}
	return doc, st, err
}

// listRoute finds the four paths of the service list.
func listRoute(path string) (route, bool) {
	switch path {
	case "/servicelist.xml", "/servicelist.sha2", "/v2/servicelist.xml", "/v2/servicelist.sha2":
		return route{Service: "servicelist", Path: path, Handle: serveList}, true
	}
	return route{}, false
}

// serveList answers with the list or its hash.
func serveList(_ context.Context, s *Sandbox, rq *request) *response {
	version := 1
	if strings.HasPrefix(rq.Path, "/v2/") {
		version = 2
	}
	doc, st, err := s.list.publish(version, time.Now())
	hash := strings.HasSuffix(rq.Path, ".sha2")
	switch {
	case err != nil:
		s.count("servicelist.error")
		return httpAnswer(HTTPAnswer{Status: http.StatusInternalServerError, Body: "empty"})
	case st.Defect == ListHTTP500:
		return httpAnswer(HTTPAnswer{Status: http.StatusInternalServerError, Body: "html"})
	case hash:
		sum := sha256.Sum256(doc)
		return &response{Status: http.StatusOK, ContentType: "text/plain; charset=us-ascii", Body: []byte(hex.EncodeToString(sum[:]))}
	case st.Defect == ListHTML:
		return httpAnswer(HTTPAnswer{Status: http.StatusOK, Body: "html"})
	case st.Defect == ListHuge:
		return &response{stream: func(x *exchange) { x.streamHuge(doc) }}
	case st.Defect == ListEndless:
		return &response{stream: func(x *exchange) { x.streamEndless(doc) }}
	}
	return &response{Status: http.StatusOK, ContentType: listType, Body: doc}
}

const (
	listType  = "text/xml; charset=utf-8"
	hugeBytes = 256 << 20
)

// streamHuge sends the list with 256 MiB of white space in it.
func (x *exchange) streamHuge(doc []byte) {
	x.w.Header().Set("Content-Type", listType)
	head, tail := splitLast(doc)
	blank := []byte(strings.Repeat(" ", 64<<10))
	if _, err := x.w.Write(head); err != nil {
		return
	}
	for n := 0; n < hugeBytes && x.s.closing.Err() == nil; n += len(blank) {
		if _, err := x.w.Write(blank); err != nil {
			return
		}
	}
	_, _ = x.w.Write(tail)
}

// streamEndless sends the start of the list and then a blank every second, for ten minutes at most.
func (x *exchange) streamEndless(doc []byte) {
	x.w.Header().Set("Content-Type", listType)
	head, _ := splitLast(doc)
	rc := http.NewResponseController(x.w)
	for end := time.Now().Add(maxHold); time.Now().Before(end); head = []byte(" ") {
		_, err := x.w.Write(head)
		if err = errors.Join(err, rc.Flush()); err != nil || !x.wait(time.Second) {
			break
		}
	}
	x.abort()
}

// splitLast cuts a document before its last tag.
func splitLast(doc []byte) (head, tail []byte) {
	i := strings.LastIndexByte(string(doc), '<')
	return doc[:max(0, i)], doc[max(0, i):]
}
