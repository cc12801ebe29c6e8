package bcp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// Defaults of [Config].
const (
	DefaultPollMin   = 5 * time.Minute  // dossier 06 B.3
	DefaultPollMax   = 15 * time.Minute // dossier 06 B.3
	DefaultAlertPoll = time.Minute      // dossier 06 B.3
	DefaultAlertHold = 10 * time.Minute // how long an alert lasts after the last Alert
	DefaultTimeout   = 10 * time.Second // of one fetch, body included
)

// Config says where lists come from and whom to believe. A duration that is 0 takes its default.
type Config struct {
	// Environment is the value that Environment of a list must have: "Production", "Acceptation", … Required.
	Environment string
	// URLs are the bases of the published list, without ".xml" and ".sha2": the first that answers well is used. Empty:
	// nothing is fetched.
	URLs []string
	// HTTP fetches the list. Redirects are not followed. Required with URLs.
	HTTP *http.Client
	// Trust says whose lists are believed. Addresses is filled in with Static when it is nil.
	Trust Trust
	// Dir is where the last good list is kept; it is made when it does not exist. "" = nowhere.
	Dir string
	// Embedded is a signed list that the application brings along, nil = none.
	Embedded []byte
	// Static are the addresses of services that no list names; nil = DefaultAddresses(Environment).
	Static resilience.Static
	// Aliases are other ids of services, both ways; nil = DefaultAliases.
	Aliases map[string]string
	// Extractors are the key extractors for stored answers by UDDI id; nil = DefaultExtractors.
	Extractors map[string]string
	// OnEvent is told what happens, one call at a time, from New or from the goroutine that polls. It must return soon
	// and must not call Close or Refresh.
	OnEvent func(Event)
	// PollMin and PollMax bound the time between two polls, which is drawn anew each time.
	PollMin, PollMax time.Duration
	// AlertPoll is the mean time between two polls during an alert; each is drawn within a quarter of it.
	AlertPoll time.Duration
	// AlertHold is how long an alert lasts after the last call of Alert.
	AlertHold time.Duration
	// Timeout bounds one fetch, body included. A poll makes at most two per URL.
	Timeout time.Duration
}

func (c *Config) fill() error {
	if c.Environment == "" {
		return errors.New("bcp: Environment is required")
	}
	if len(c.URLs) > 0 && c.HTTP == nil {
		return errors.New("bcp: URLs need HTTP")
	}
	for _, u := range c.URLs {
		if _, err := parseURL(u); err != nil {
			return errors.New("bcp: a URL of the list is not a base address")
		}
	}
	if c.Trust.Roots == nil && (len(c.URLs) > 0 || c.Dir != "" || c.Embedded != nil) {
		return errors.New("bcp: Trust.Roots is required")
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.PollMin, DefaultPollMin},
		{&c.PollMax, max(DefaultPollMax, c.PollMin)},
		{&c.AlertPoll, DefaultAlertPoll},
		{&c.AlertHold, DefaultAlertHold},
		{&c.Timeout, DefaultTimeout},
	} {
		if *d.field < 0 {
			return errors.New("bcp: a duration is negative")
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.PollMin > c.PollMax {
		return errors.New("bcp: PollMin is longer than PollMax")
	}
	if c.Static == nil {
		c.Static = DefaultAddresses(c.Environment)
		if c.Trust.Hosts == nil {
			c.Trust.Hosts = DefaultHosts(c.Environment)
		}
	}
	if c.Trust.Addresses == nil {
		c.Trust.Addresses = c.Static
	}
	if c.Aliases == nil {
		c.Aliases = DefaultAliases()
	}
	if c.Extractors == nil {
		c.Extractors = DefaultExtractors()
	}
	return nil
}

// Directory holds the addresses of the services as the platform orders them. It is safe for concurrent use.
type Directory struct {
	cfg  Config
	http *http.Client
	path string // of the stored list, "" = none

	view atomic.Pointer[view]

	polling chan struct{}    // held by the poll under way
	sites   map[string]*site // of the poll under way

	// install serialises everything that may put a list in force or raise an event.
	install sync.Mutex
	lost    bool     // Unreachable was told, Reachable was not
	unkept  bool     // NotStored was told
	refused *failure // what was told last

	alertUntil atomic.Int64 // Unix nanoseconds
	wake       chan struct{}
	stop       context.CancelFunc
	done       chan struct{}
	life       sync.Mutex
	closed     bool
}

// view is what lookups read: never modified.
type view struct {
	list      *List
	source    Source
	stored    bool // the file on disk is this list
	endpoints map[string][]resilience.Endpoint
	urls      map[string]Service
	rules     map[string]CacheRule
}

// New makes a directory and loads what is on disk, else what is embedded; a stored list that does not verify is
// left alone, raises an event and is not used. New makes no network call. Errors are about the configuration
// only: without any list the static addresses serve.
func New(cfg Config) (*Directory, error) {
	cfg.URLs, cfg.Embedded = slices.Clone(cfg.URLs), bytes.Clone(cfg.Embedded)
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	d := &Directory{cfg: cfg, sites: map[string]*site{}, polling: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	if cfg.HTTP != nil {
		client := *cfg.HTTP
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		client.Timeout = 0 // each fetch has its own deadline
		d.http = &client
	}
	if cfg.Dir != "" {
		d.path = filepath.Join(cfg.Dir, fileName(cfg.Environment))
		removeStale(cfg.Dir, time.Now())
	}
	d.load()
	return d, nil
}

// load puts the newest stored list in force.
func (d *Directory) load() {
	d.install.Lock()
	defer d.install.Unlock()
	trust := d.cfg.Trust
	trust.stored = true
	now := time.Now()
	var best *List
	source := FromNowhere
	var failed []Event
	if d.cfg.Embedded != nil {
		l, err := verify(d.cfg.Embedded, &trust, nil, d.cfg.Environment, now)
		if err != nil {
			failed = append(failed, Event{Kind: Refused, Source: FromEmbedded, Err: err})
		} else {
			best, source = l, FromEmbedded
		}
	}
	if doc, err := d.readStored(); err != nil || doc != nil {
		var l *List
		if err == nil {
			l, err = verify(doc, &trust, best, d.cfg.Environment, now)
		}
		if err != nil {
			failed = append(failed, Event{Kind: Refused, Source: FromDisk, Err: err})
		} else {
			best, source = l, FromDisk
		}
	}
	d.view.Store(d.newView(best, source))
	for _, e := range failed {
		d.tell(e)
	}
	if best != nil {
		d.tell(Event{Kind: Loaded, Source: source, IssueInstant: best.IssueInstant})
		d.tellIgnored(best)
	}
}

func (d *Directory) readStored() ([]byte, error) {
	if d.path == "" {
		return nil, nil
	}
	return readFile(d.path)
}

// newView computes every lookup beforehand.
func (d *Directory) newView(l *List, source Source) *view {
	v := &view{
		list: l, source: source, stored: source == FromDisk,
		endpoints: map[string][]resilience.Endpoint{}, urls: map[string]Service{}, rules: map[string]CacheRule{},
	}
	for id, eps := range d.cfg.Static {
		v.addURLs(Service{ID: id, Endpoints: eps})
	}
	if l != nil {
		for _, s := range l.Services {
			v.addURLs(s)
			if s.Cache == nil {
				continue
			}
			if r, ok := ruleOf(&s, d.cfg.Extractors); ok {
				v.rules[s.ID] = r
			}
		}
	}
	ids := map[string]bool{}
	if l != nil {
		for _, s := range l.Services {
			ids[s.ID] = true
		}
	}
	for id := range d.cfg.Static {
		ids[id] = true
	}
	for a, b := range d.cfg.Aliases {
		ids[a], ids[b] = true, true
	}
	for id := range ids {
		if eps := d.resolve(v, id); len(eps) > 0 {
			v.endpoints[id] = slices.Clip(eps)
		}
	}
	return v
}

func (v *view) addURLs(s Service) {
	for _, e := range s.Endpoints {
		if u, ok := normalURL(e.URL); ok {
			v.urls[u] = s
		}
	}
}

// resolve finds the addresses of a service: the list by id, by alias, by an address configured for it (dossier 01 D.9),
// and what is configured.
func (d *Directory) resolve(v *view, id string) []resilience.Endpoint {
	names := []string{id}
	for a, b := range d.cfg.Aliases {
		switch id {
		case a:
			names = append(names, b)
		case b:
			names = append(names, a)
		}
	}
	slices.Sort(names[1:])
	for _, n := range names {
		if s := v.list.Service(n); s != nil && len(s.Endpoints) > 0 {
			return s.Endpoints
		}
	}
	for _, n := range names {
		for _, e := range d.cfg.Static[n] {
			if u, ok := normalURL(e.URL); ok && v.list.Service(v.urls[u].ID) != nil {
				return v.urls[u].Endpoints
			}
		}
	}
	for _, n := range names {
		if eps := d.cfg.Static[n]; len(eps) > 0 {
			return eps
		}
	}
	return nil
}

// Endpoints implements [resilience.Directory]. The slice must not be modified.
func (d *Directory) Endpoints(service string) []resilience.Endpoint {
	return d.view.Load().endpoints[service]
}

// ByURL finds the service that an address belongs to, in the list in force or among the static addresses. Scheme and host
// are compared without regard to case.
func (d *Directory) ByURL(url string) (Service, bool) {
	u, ok := normalURL(url)
	if !ok {
		return Service{}, false
	}
	s, ok := d.view.Load().urls[u]
	return s, ok
}

// CacheRule is what the list in force orders about stored answers of a service; ok is false when it orders nothing, or
// something that cannot be obeyed.
func (d *Directory) CacheRule(service string) (r CacheRule, ok bool) {
	r, ok = d.view.Load().rules[service]
	return r, ok
}

// List returns the list in force and where it came from; nil and FromNowhere when static addresses serve.
func (d *Directory) List() (*List, Source) {
	v := d.view.Load()
	return v.list, v.source
}

// Config returns the configuration with its defaults filled in.
func (d *Directory) Config() Config {
	c := d.cfg
	c.URLs, c.Embedded = slices.Clone(c.URLs), bytes.Clone(c.Embedded)
	c.Aliases, c.Extractors = maps.Clone(c.Aliases), maps.Clone(c.Extractors)
	return c
}

// Offer verifies a list that came another way, and puts it in force when it is good; the same rules as for a fetched one.
func (d *Directory) Offer(doc []byte) error { return d.accept(bytes.Clone(doc), "") }

// accept verifies and installs. about tells failures apart that are alike.
func (d *Directory) accept(doc []byte, about string) error {
	d.install.Lock()
	defer d.install.Unlock()
	now, old := time.Now(), d.view.Load()
	l, err := verify(doc, &d.cfg.Trust, old.list, d.cfg.Environment, now)
	if err != nil {
		sum := sha256.Sum256(doc)
		d.refuse(err, about+hex.EncodeToString(sum[:]))
		return err
	}
	d.refused = nil
	if old.list != nil && l.Digest == old.list.Digest {
		if !old.stored {
			d.store(doc, old)
		}
		return nil
	}
	v := d.newView(l, FromNetwork)
	d.view.Store(v)
	d.tell(Event{Kind: Installed, Source: FromNetwork, IssueInstant: l.IssueInstant, Changes: changes(old, v)})
	d.tellIgnored(l)
	d.store(doc, v)
	return nil
}

// refuse tells of a list that was refused, unless that was told already.
func (d *Directory) refuse(err error, about string) {
	f := failureOf(err, about)
	if d.refused != nil && *d.refused == f {
		return
	}
	d.refused = &f
	d.tell(Event{Kind: Refused, Source: FromNetwork, Err: err})
}

// store writes the list of v to disk, unless another process stored a newer one meanwhile.
func (d *Directory) store(doc []byte, v *view) {
	if d.path == "" {
		return
	}
	trust := d.cfg.Trust
	trust.stored = true
	if there, err := readFile(d.path); err == nil && there != nil {
		l, err := verify(there, &trust, v.list, d.cfg.Environment, time.Now())
		if err == nil && l.IssueInstant.After(v.list.IssueInstant) {
			return
		}
	}
	if err := writeFile(d.path, doc); err != nil {
		if !d.unkept {
			d.unkept = true
			d.tell(Event{Kind: NotStored, Source: FromNetwork, Err: err})
		}
		return
	}
	d.unkept = false
	stored := *v
	stored.stored = true
	d.view.Store(&stored)
}

// changes compares the commanded addresses of two views.
func changes(from, to *view) []Change {
	var out []Change
	ids := map[string]bool{}
	for id := range from.endpoints {
		ids[id] = true
	}
	for id := range to.endpoints {
		ids[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		a, _ := Active(from.endpoints[id])
		b, _ := Active(to.endpoints[id])
		if a.URL != b.URL {
			out = append(out, Change{Service: id, From: a.URL, To: b.URL})
		}
	}
	return out
}

func (d *Directory) tellIgnored(l *List) {
	for _, id := range l.Ignored {
		d.tell(Event{Kind: Ignored, Service: id, Err: ErrHost})
	}
	rules := d.view.Load().rules
	for _, s := range l.Services {
		if _, ok := rules[s.ID]; s.Cache != nil && !ok {
			d.tell(Event{Kind: Ignored, Service: s.ID})
		}
	}
}

func (d *Directory) tell(e Event) {
	if d.cfg.OnEvent == nil {
		return
	}
	e.At = time.Now()
	d.cfg.OnEvent(e)
}

// matches tells whether a change token is the hash of the document of l. The format is not published (dossier 01 D.1).
func (l *List) matches(token string) bool {
	return l != nil && (strings.EqualFold(token, hex.EncodeToString(l.Digest[:])) || token == base64.StdEncoding.EncodeToString(l.Digest[:]))
}
