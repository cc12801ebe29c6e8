package xmltree

// Namespace names that are bound by definition (Namespaces in XML 1.0, 3).
const (
	xmlURI   = "http://www.w3.org/XML/1998/namespace"
	xmlnsURI = "http://www.w3.org/2000/xmlns/"
)

// uri is an interned namespace name, so that comparing two is comparing
// pointers: a hostile document could otherwise make every comparison walk
// through megabytes.
type uri struct{ s string }

// binding is what a prefix stands for at the parser's present place. Every
// use of the prefix points at it, so that a lookup is one load however many
// declarations are in scope.
type binding struct{ uri *uri } // nil: not bound

// undo restores a binding at the end of the element that changed it.
type undo struct {
	b   *binding
	old *uri
}

// rawName is a name as written, split and checked once per document.
type rawName struct {
	prefix, local string
	binding       *binding // of prefix
	uri           *uri     // last resolution, the usual case
	name          *Name
}

type nameKey struct {
	raw *rawName
	uri *uri
}

// maxNames bounds the different names, namespaces and pairings of both in one
// document: without it a document of nothing but new names would take over
// thirty times its size in memory. The largest schemas have a few thousand.
const maxNames = 100_000

// maxURI bounds a namespace name, in bytes. Exclusive canonicalisation repeats
// namespace names, and a long one would make its output explode.
const maxURI = 1024

// scope interns names and tracks the bindings in scope.
type scope struct {
	raws     map[string]*rawName
	names    map[nameKey]*Name
	uris     map[string]*uri
	bindings map[string]*binding
	undo     []undo
	none     *uri // no namespace

	made  int         // names so far
	fresh slab[Name]  // they outlive the scope
	own   [64]rawName // the first names as written
	used  int         // of own
}

func (s *scope) init() {
	s.raws = make(map[string]*rawName)
	s.names = make(map[nameKey]*Name)
	s.uris = make(map[string]*uri)
	s.bindings = make(map[string]*binding)
	s.begin()
}

// begin binds what is bound before a document begins.
func (s *scope) begin() {
	s.none = s.intern("")
	s.binding("").uri = s.none
	s.binding("xml").uri = s.intern(xmlURI)
}

// forget makes s as new.
func (s *scope) forget() {
	clear(s.raws)
	clear(s.names)
	clear(s.uris)
	clear(s.bindings)
	clear(s.undo[:cap(s.undo)])
	clear(s.own[:s.used])
	s.undo, s.made, s.fresh, s.used = s.undo[:0], 0, slab[Name]{}, 0
	s.begin()
}

func (s *scope) intern(name string) *uri {
	u := s.uris[name]
	if u == nil {
		u = &uri{name}
		s.uris[name] = u
	}
	return u
}

func (s *scope) binding(prefix string) *binding {
	b := s.bindings[prefix]
	if b == nil {
		b = &binding{}
		s.bindings[prefix] = b
	}
	return b
}

// bind declares prefix until release is called with an earlier mark.
func (s *scope) bind(prefix, name string) {
	b := s.binding(prefix)
	s.undo = append(s.undo, undo{b, b.uri})
	b.uri = s.intern(name)
}

func (s *scope) release(mark int) {
	for i := len(s.undo) - 1; i >= mark; i-- {
		s.undo[i].b.uri = s.undo[i].old
	}
	s.undo = s.undo[:mark]
}

// interned returns the number of different names met so far.
func (s *scope) interned() int { return len(s.raws) + s.made + len(s.uris) }

// resolve returns the shared Name of raw in namespace u.
func (s *scope) resolve(raw *rawName, u *uri) *Name {
	if raw.uri == u {
		return raw.name
	}
	var n *Name
	if raw.uri != nil { // most names are in one namespace, so that no table need hold them
		s.names[nameKey{raw, raw.uri}] = raw.name
		n = s.names[nameKey{raw, u}]
	}
	if n == nil {
		n = s.fresh.one()
		*n = Name{Prefix: raw.prefix, Space: u.s, Local: raw.local}
		s.made++
	}
	raw.uri, raw.name = u, n
	return n
}

// written returns a name as written, to be filled in.
func (s *scope) written() *rawName {
	if s.used == len(s.own) {
		return &rawName{}
	}
	s.used++
	return &s.own[s.used-1]
}

// slab hands out values from growing chunks: one allocation for many nodes.
type slab[T any] struct {
	free []T
	size int
}

// Chunks grow from minChunk to maxChunk values: small messages stay small and a
// large document wastes at most one chunk.
const (
	minChunk = 16
	maxChunk = 2048
)

func (s *slab[T]) many(n int) []T {
	if len(s.free) < n {
		s.size = min(max(2*s.size, minChunk), maxChunk)
		s.free = make([]T, max(s.size, n))
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}

func (s *slab[T]) one() *T { return &s.many(1)[0] }
