package bcp

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Namespaces of service lists (dossier 01 D.2, D.3).
const (
	NSv1 = "urn:be:fgov:ehealth:bcp:protocol:v1"
	NSv2 = "urn:be:fgov:ehealth:bcp:protocol:v2"
)

// Bounds of a list. The published ones hold some thirty services and a few kilobytes.
const (
	// MaxBytes bounds a list, on the network and on disk.
	MaxBytes = 4 << 20

	maxDepth     = 32
	maxNodes     = 100_000
	maxAttrs     = 64
	maxServices  = 2000
	maxEndpoints = 64   // of one service
	maxText      = 256  // bytes of an id, a name, an environment
	maxURL       = 2048 // bytes of an address
	maxKeyText   = 64 << 10
	maxOrder     = 1 << 20
)

// List is a verified service list. It is immutable.
type List struct {
	ID           string
	Environment  string    // "Production", "Acceptation", …
	IssueInstant time.Time // the only freshness information; a list does not expire
	Version      int       // 1 or 2, after the namespace of the root
	Services     []Service // in document order; those of Ignored are not among them
	// Ignored are the ids of services of other owners whose addresses are not https or on hosts that are not known.
	Ignored []string
	// Digest is the SHA-256 of the document.
	Digest [sha256.Size]byte
}

// Service is one service of a list.
type Service struct {
	ID        string                // UDDI id without environment prefix
	Name      string                // for display
	Endpoints []resilience.Endpoint // in document order; not to be modified
	Cache     *Cache                // nil: no Cache element; only version 2 has one
}

// Cache is the Cache element of version 2, as data. The key rule is a stylesheet from the network and is never
// executed (dossier 01 D.9): see [Directory.CacheRule] for what is used instead.
type Cache struct {
	Strategy  string // "ENDPOINT_FIRST" or "CACHE_FIRST" are the defined values
	KeyInline bool   // true: KeyRule is the rule itself; false: its location
	KeyRule   string // stylesheet text or location, as data
	Transform string // the attribute Tranform, spelt so on the wire; "xslt" is the defined value
	Expiry    string // "none" or "ttl" are the defined values
	// Duration is the life of a cached answer; 0 = none given. It is read from the attribute, or from the text of the
	// element when the attribute is absent, as the official connector 4.4.0 does.
	Duration time.Duration
	// BadDuration: a duration was given and could not be read.
	BadDuration bool
}

// Service returns the service with that id, nil when there is none.
func (l *List) Service(id string) *Service {
	if l == nil {
		return nil
	}
	for i := range l.Services {
		if l.Services[i].ID == id {
			return &l.Services[i]
		}
	}
	return nil
}

// Active is the address that the list commands for a service: the lowest Order among the active ones, else the lowest
// Order of all (dossier 06 B.3). ok is false when there is no address.
func Active(eps []resilience.Endpoint) (e resilience.Endpoint, ok bool) {
	for i, c := range eps {
		if i == 0 || c.Active && !e.Active || c.Active == e.Active && c.Order < e.Order {
			e = c
		}
	}
	return e, len(eps) > 0
}

// sameContent tells whether two lists say the same about addresses, and about caches where both can.
func (l *List) sameContent(o *List) bool {
	if l.Environment != o.Environment || len(l.Services) != len(o.Services) {
		return false
	}
	for i := range l.Services {
		a := &l.Services[i]
		b := o.Service(a.ID)
		if b == nil || !slices.Equal(a.Endpoints, b.Endpoints) {
			return false
		}
		if l.Version == o.Version && (a.Cache == nil) != (b.Cache == nil) || a.Cache != nil && b.Cache != nil && *a.Cache != *b.Cache {
			return false
		}
	}
	return true
}

// parseTree reads a document within the bounds.
func parseTree(doc []byte) (*xmltree.Node, error) {
	if len(doc) > MaxBytes {
		return nil, ErrTooLarge
	}
	root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: MaxBytes, Depth: maxDepth, Nodes: maxNodes, Attrs: maxAttrs})
	if err != nil {
		return nil, syntax(err)
	}
	return root, nil
}

// parseList reads a service list from its root element. It verifies nothing. Elements and attributes that it does not know
// are passed over. Strings are copied, so that the document can go.
func parseList(root *xmltree.Node) (*List, error) {
	l := &List{}
	switch {
	case root.Is(NSv1, "ServiceList"):
		l.Version = 1
	case root.Is(NSv2, "ServiceList"):
		l.Version = 2
	default:
		return nil, fmt.Errorf("%w: root element", ErrFormat)
	}
	var err error
	if l.ID, err = attr(root, "Id", maxText); err != nil {
		return nil, err
	}
	if l.Environment, err = attr(root, "Environment", maxText); err != nil {
		return nil, err
	}
	instant, err := attr(root, "IssueInstant", maxText)
	if err != nil {
		return nil, err
	}
	if l.IssueInstant, err = parseInstant(instant); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for n := range root.Elements() {
		if !listed(n, "Service") {
			continue
		}
		if len(l.Services) == maxServices {
			return nil, fmt.Errorf("%w: services", ErrTooLarge)
		}
		s, err := parseService(n)
		if err != nil {
			return nil, err
		}
		if seen[s.ID] {
			return nil, fmt.Errorf("%w: a service twice", ErrFormat)
		}
		seen[s.ID] = true
		l.Services = append(l.Services, s)
	}
	if len(l.Services) == 0 {
		return nil, fmt.Errorf("%w: no service", ErrFormat)
	}
	return l, nil
}

// listed tells whether n is the element local of either version; the two may be mixed in one document.
func listed(n *xmltree.Node, local string) bool { return n.Is(NSv1, local) || n.Is(NSv2, local) }

func parseService(n *xmltree.Node) (s Service, err error) {
	if s.ID, err = attr(n, "Id", maxText); err != nil {
		return s, err
	}
	if name, ok := n.Attr("", "Name"); ok && len(name) <= maxText {
		s.Name = strings.Clone(name)
	}
	for c := range n.Elements() {
		switch {
		case listed(c, "Endpoint"):
			err = s.addEndpoint(c)
		case listed(c, "EndpointList"):
			for e := range c.Elements() {
				if listed(e, "Endpoint") && err == nil {
					err = s.addEndpoint(e)
				}
			}
		case listed(c, "Cache") && s.Cache == nil:
			s.Cache, err = parseCache(c)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// addEndpoint reads one address; one that the service has already is passed over. A status that is neither ACTIVE nor INACTIVE counts as not active.
func (s *Service) addEndpoint(n *xmltree.Node) error {
	if len(s.Endpoints) == maxEndpoints {
		return fmt.Errorf("%w: addresses of a service", ErrTooLarge)
	}
	text, err := n.Text()
	if err != nil {
		return fmt.Errorf("%w: content in an address", ErrFormat)
	}
	if text = strings.TrimSpace(text); text == "" || len(text) > maxURL {
		return fmt.Errorf("%w: address", ErrFormat)
	}
	number, _ := n.Attr("", "Order")
	order, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || order < 0 || order > maxOrder {
		return fmt.Errorf("%w: order of an address", ErrFormat)
	}
	status, _ := n.Attr("", "Status")
	e := resilience.Endpoint{URL: strings.Clone(text), Order: order, Active: strings.TrimSpace(status) == "ACTIVE"}
	if !slices.ContainsFunc(s.Endpoints, func(o resilience.Endpoint) bool { return o.URL == e.URL }) {
		s.Endpoints = append(s.Endpoints, e)
	}
	return nil
}

// parseCache reads a Cache element. What it cannot make sense of it leaves empty: a cache rule must not cost the addresses.
func parseCache(n *xmltree.Node) (*Cache, error) {
	c := &Cache{Strategy: optional(n, "Strategy")}
	for k := range n.Elements() {
		text, err := k.Text()
		switch {
		case listed(k, "Key"):
			if err != nil || len(text) > maxKeyText {
				return nil, fmt.Errorf("%w: cache key", ErrFormat)
			}
			c.KeyRule = strings.Clone(text)
			inline := optional(k, "Inline")
			c.KeyInline = inline == "true" || inline == "1"
			if c.Transform = optional(k, "Tranform"); c.Transform == "" {
				c.Transform = optional(k, "Transform")
			}
		case listed(k, "Expiry"):
			c.Expiry = optional(k, "Type")
			given := optional(k, "Duration")
			if given == "" && err == nil && len(text) <= maxText {
				given = strings.TrimSpace(text)
			}
			if given == "" {
				continue
			}
			c.Duration, err = parseDuration(given)
			c.BadDuration = err != nil
		}
	}
	return c, nil
}

// attr reads an attribute that must be there.
func attr(n *xmltree.Node, local string, limit int) (string, error) {
	v, ok := n.Attr("", local)
	v = strings.TrimSpace(v)
	switch {
	case !ok || v == "":
		return "", fmt.Errorf("%w: %s of %s is absent", ErrFormat, local, n.Local())
	case len(v) > limit:
		return "", fmt.Errorf("%w: %s of %s", ErrTooLarge, local, n.Local())
	}
	return strings.Clone(v), nil
}

// optional reads an attribute that may be absent; one that is too long counts as absent.
func optional(n *xmltree.Node, local string) string {
	v, _ := n.Attr("", local)
	if v = strings.TrimSpace(v); len(v) > maxText {
		return ""
	}
	return strings.Clone(v)
}

// noZone is the zone of an IssueInstant that names none: the one in which it is earliest, if it is Belgian time. So it is
// never in the future by mistake, and instants keep their order when the summer ends.
var noZone = time.FixedZone("", 2*60*60)

// parseInstant reads an xs:dateTime.
func parseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.ParseInLocation("2006-01-02T15:04:05.999999999", s, noZone)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: IssueInstant", ErrFormat)
	}
	return t.UTC(), nil
}

// signature finds the one signature: the last element of the root, and none anywhere else.
func signature(root *xmltree.Node) (*xmltree.Node, error) {
	var found, last *xmltree.Node
	for n := range root.Descendants() {
		if !n.Is(dsig.NS, "Signature") {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: several signatures", ErrWrapped)
		}
		found = n
	}
	for n := range root.Elements() {
		last = n
	}
	switch {
	case found == nil:
		return nil, ErrUnsigned
	case found != last:
		return nil, fmt.Errorf("%w: not the last child of the root", ErrWrapped)
	}
	return found, nil
}
