package telemetry

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/redact"
)

// other stands for every value that is not shown, as in the semantic conventions.
const other = "_OTHER"

// The bounds keep the number of time series finite whatever servers and callers do.
const (
	maxNames = 512  // operations, services and functions together
	maxHosts = 64   // with their ports
	maxCodes = 64   //
	maxSets  = 2000 // sets of attributes of calls and attempts, as the SDK's own limit
	maxRare  = 2000 // and of everything else
)

// cache is a bounded map that is read without a lock and copied on write: what it holds is known
// after the first minutes of a process.
type cache[K comparable, V any] struct {
	most int
	mu   sync.Mutex
	m    atomic.Pointer[map[K]V]
}

func (c *cache[K, V]) get(k K) (v V, ok bool) {
	if m := c.m.Load(); m != nil {
		v, ok = (*m)[k]
	}
	return v, ok
}

// put adds an entry unless it is there or there is no room, and returns what is there then.
func (c *cache[K, V]) put(k K, v V) (in V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var old map[K]V
	if m := c.m.Load(); m != nil {
		old = *m
	}
	if in, ok = old[k]; ok || len(old) >= c.most {
		return in, ok
	}
	m := make(map[K]V, len(old)+1)
	for k, v := range old {
		m[k] = v
	}
	m[k] = v
	c.m.Store(&m)
	return v, true
}

// interner lets the first most different values through and calls all later ones other.
type interner struct {
	most int
	mu   sync.RWMutex
	seen map[string]struct{}
}

func (n *interner) of(s string) string {
	if s == "" || s == other {
		return s
	}
	n.mu.RLock()
	_, ok := n.seen[s]
	n.mu.RUnlock()
	if ok {
		return s
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.seen[s]; ok {
		return s
	}
	if len(n.seen) >= n.most {
		return other
	}
	if n.seen == nil {
		n.seen = map[string]struct{}{}
	}
	s = strings.Clone(s) // it may be a part of something large
	n.seen[s] = struct{}{}
	return s
}

// name returns the name of an operation, a service or a function if it looks like one.
func (t *Telemetry) name(s string) string { return t.names.of(nameLike(s)) }

// nameLike returns other for what nobody would write into code or configuration as a name: white
// space, long runs of digits, too many characters.
func nameLike(s string) string {
	if s == "" {
		return ""
	}
	if len(s) > 100 || !made(s, ".:/_-") || digits(s) > 10 {
		return other
	}
	return s
}

// made reports whether s consists of ASCII letters, digits and the characters of more.
func made(s, more string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', strings.IndexByte(more, c) >= 0:
		default:
			return false
		}
	}
	return true
}

func digits(s string) (n int) {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// code returns a code if it looks like one, and at most maxCodes different ones.
func (t *Telemetry) code(s string) string { return t.codes.of(codeLike(s)) }

// soapCodes are the fault codes of SOAP 1.1 and 1.2 themselves.
var soapCodes = map[string]bool{
	"Client": true, "Server": true, "VersionMismatch": true, "MustUnderstand": true, "Sender": true, "Receiver": true,
}

// codeLike returns a code in one of the forms that the platform and its services use: upper-case
// words with digits (SOA-02002, HTTP-503, 300001), upper-case words with an underscore (INPUT_ERROR)
// and the names of SOAP, WS-Security and WS-Trust, without their prefix, which is the server's
// choice. Everything else is other. A code comes from a server, and a careless one may have
// put anything there: eight digits could be a date of birth, a word a name.
func codeLike(s string) string {
	if s == "" {
		return ""
	}
	if len(s) > 40 {
		return other
	}
	local := s[strings.LastIndexByte(s, ':')+1:]
	if _, standard := fault.FaultCode(local); standard || soapCodes[local] {
		return local
	}
	n := digits(s)
	if n > 7 || n == 0 && !strings.Contains(s, "_") || !made(s, "-_./") || strings.ToUpper(s) != s {
		return other
	}
	return s
}

// ticketLike returns a ticket if it looks like one: what servers make, mostly a UUID, has digits,
// no words, and is neither the number of a person nor a date.
func ticketLike(s string) string {
	n := digits(s)
	if len(s) > 80 || !made(s, "-_.:/") || n < 2 || wordy(s) || redact.String(s) != s {
		return ""
	}
	if letters := strings.ToUpper(s) != strings.ToLower(s); !letters && (n == 6 || n == 8 || n == 11) {
		return ""
	}
	return s
}

// wordy reports whether more than three letters follow each other that are not hexadecimal digits
// all of them.
func wordy(s string) bool {
	run, hex := 0, true
	for i := range len(s) {
		switch c := s[i] | 0x20; { // lower case; digits stay digits
		case c >= 'a' && c <= 'z':
			run++
			hex = hex && c <= 'f'
			if run > 3 && !hex {
				return true
			}
		default:
			run, hex = 0, true
		}
	}
	return false
}

// noticeLike returns the id of a notice (D-…).
func noticeLike(s string) string {
	if len(s) > 40 || !strings.HasPrefix(s, "D-") || !made(s, "-") || strings.ToUpper(s) != s || digits(s) > 4 {
		return ""
	}
	return s
}

// host splits "host:port" as events have it; port is 0 when there is none.
func (t *Telemetry) host(s string) (addr string, port int) {
	s = t.hosts.of(hostLike(s))
	if h, p, err := net.SplitHostPort(s); err == nil {
		port, _ = strconv.Atoi(p)
		return h, port
	}
	return strings.Trim(s, "[]"), 0
}

func hostLike(s string) string {
	if s == "" {
		return ""
	}
	if len(s) > 260 || !made(s, ".-:[]") || redact.String(s) != s {
		return other
	}
	return s
}

// hostOf returns host and port of a URL, never its user name or path.
func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return u.Host
	}
	return ""
}

// words writes one of our own constants as the conventions want it: lower-case with underscores.
func words(s string) string { return strings.NewReplacer(" ", "_", "-", "_").Replace(s) }
