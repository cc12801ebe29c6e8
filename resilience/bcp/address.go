package bcp

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// parseURL accepts an absolute http or https address without user, query and fragment.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: address", ErrFormat)
	}
	if sc := strings.ToLower(u.Scheme); sc != "https" && sc != "http" {
		return nil, ErrScheme
	}
	return u, nil
}

// hostOf is host, and port unless it is that of https, in lower case.
func hostOf(u *url.URL) string {
	h := strings.ToLower(u.Host)
	if u.Port() == "443" && strings.EqualFold(u.Scheme, "https") || u.Port() == "" {
		h = strings.ToLower(u.Hostname())
		if strings.Contains(h, ":") {
			h = "[" + h + "]"
		}
	}
	return h
}

// normalURL is the form in which addresses are compared: scheme and host in lower case, no default port. Paths are case
// sensitive and compared as they are.
func normalURL(s string) (string, bool) {
	u, err := parseURL(strings.TrimSpace(s))
	if err != nil {
		return "", false
	}
	return strings.ToLower(u.Scheme) + "://" + hostOf(u) + u.EscapedPath(), true
}

// hostRule decides which addresses a list may name; see Trust.Hosts.
type hostRule struct {
	exact  map[string]bool
	suffix []string
	known  map[string]bool // services whose addresses must satisfy the rule
}

func newHostRule(t *Trust, previous *List) hostRule {
	r := hostRule{exact: map[string]bool{}, known: map[string]bool{}}
	for _, h := range t.Hosts {
		if h = strings.ToLower(h); strings.HasPrefix(h, ".") {
			r.suffix = append(r.suffix, h)
		} else {
			r.exact[strings.TrimSuffix(h, ":443")] = true
		}
	}
	add := func(id string, eps []resilience.Endpoint) {
		r.known[id] = true
		for _, e := range eps {
			if u, err := parseURL(e.URL); err == nil {
				r.exact[hostOf(u)] = true
			}
		}
	}
	for id, eps := range t.Addresses {
		add(id, eps)
	}
	if previous != nil {
		for _, s := range previous.Services {
			add(s.ID, s.Endpoints)
		}
	}
	return r
}

// check tells what is wrong with an address.
func (r hostRule) check(address string) error {
	u, err := parseURL(address)
	switch {
	case err != nil:
		return err
	case !strings.EqualFold(u.Scheme, "https"):
		return ErrScheme
	case len(r.exact) == 0 && len(r.suffix) == 0:
		return nil // nothing is known: the signature alone vouches
	case r.exact[hostOf(u)]:
		return nil
	}
	for _, s := range r.suffix {
		if strings.HasSuffix(strings.ToLower(u.Hostname()), s) {
			return nil
		}
	}
	return ErrHost
}

// apply refuses a list that sends a known service to an address that it may not have, and moves unknown services with
// such addresses to Ignored: the list also names services of other owners (dossier 01 D.4), whose hosts nobody told us.
func (r hostRule) apply(l *List) error {
	kept, all := l.Services[:0], len(l.Services)
	var last error
	for _, s := range l.Services {
		var bad error
		for _, e := range s.Endpoints {
			if bad = r.check(e.URL); bad != nil {
				break
			}
		}
		switch {
		case bad == nil:
			kept = append(kept, s)
		case r.known[s.ID] || len(r.known) == 0:
			return bad
		default:
			l.Ignored, last = append(l.Ignored, s.ID), bad
		}
	}
	if len(l.Ignored) == all {
		return last
	}
	l.Services = kept
	return nil
}
