package drill

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// pollEvery is how often the connector asks for the list once it has switched (dossier 01 D.6).
const pollEvery = 15 * time.Minute

// listLimit bounds a list. The connector has no such bound; a longer list is as good as a broken one here.
const listLimit = 16 << 20

// connectorDisk is what a connector leaves behind for its next start: the last list it got, good or bad.
type connectorDisk struct {
	xml []byte
	sha string
}

// listing is the addresses of one service, in document order.
type listing struct {
	urls   []string
	normal string // Order 0
	active string // the last one marked ACTIVE; normal when there is none
}

// switchboard is the connector's view of addresses (dossier 01 D.4 to D.6, dossier 12 scenarios 10 and 11): the list
// that was read at process start, and per service the address in use, in memory only.
type switchboard struct {
	http  *http.Client // no time-out: a list server that hangs holds up who waits for it
	url   string
	every time.Duration
	disk  *connectorDisk
	ctx   context.Context // ends with the process

	mu      sync.Mutex
	list    map[string]listing // nil: no list, hence no continuity
	active  map[string]string
	sha     string // of the list last asked for
	polling bool   // once set, it stays until a list arrives that is all normal
	work    sync.WaitGroup
}

// start reads the list from disk, then from its server. It returns when the server has answered, whenever that is.
func (b *switchboard) start() {
	if list, err := readList(b.disk.xml); err == nil {
		b.install(list)
		b.sha = b.disk.sha
	}
	b.update()
}

// update asks for the list if its hash has changed.
func (b *switchboard) update() {
	sha, err := b.get(".sha2")
	b.mu.Lock()
	known := b.sha
	b.mu.Unlock()
	if err != nil || string(sha) == known {
		return
	}
	doc, err := b.get(".xml")
	if err != nil {
		return
	}
	list, err := readList(doc)
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, errNoDefault) {
		return // asked for again in full next time, and nothing kept
	}
	b.sha = string(sha)
	*b.disk = connectorDisk{xml: doc, sha: string(sha)} // whether it is any good or not
	if err == nil {
		b.install(list)
		if b.normal() {
			b.polling = false
		}
	}
}

func (b *switchboard) get(suffix string) ([]byte, error) {
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.url+suffix, nil)
	if err != nil {
		return nil, err
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("drill: no list: " + resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, listLimit))
}

// install makes a list the one in force, over whatever was switched meanwhile.
func (b *switchboard) install(list map[string]listing) {
	b.list, b.active = list, map[string]string{}
	for id, l := range list {
		b.active[id] = l.active
	}
}

// normal tells whether every service is at its default address.
func (b *switchboard) normal() bool {
	for id, l := range b.list {
		if b.active[id] != l.normal {
			return false
		}
	}
	return true
}

// addresses is how many addresses a service has, and the one in use; 0 when it is not listed.
func (b *switchboard) addresses(service string) (n int, active string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list[service].urls), b.active[service]
}

// failed moves a service from an address to the next one in document order, whatever its status, for the whole
// process, and starts asking for new lists: unless everything is at its default by that, and then the next switch does
// not start it either (dossier 01 D.6, row 3; dossier 12, correction 5).
func (b *switchboard) failed(service, url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	urls := b.list[service].urls
	b.active[service] = urls[(slices.Index(urls, url)+1)%len(urls)]
	if b.polling {
		return
	}
	b.polling = true
	if !b.normal() {
		b.work.Go(b.poll)
	}
}

// poll asks at once and then at the interval, until a list arrives that is all normal.
func (b *switchboard) poll() {
	t := time.NewTicker(b.every)
	defer t.Stop()
	for {
		b.update()
		b.mu.Lock()
		on := b.polling
		b.mu.Unlock()
		if !on {
			return
		}
		select {
		case <-t.C:
		case <-b.ctx.Done():
			return
		}
	}
}

var (
	errBadList   = errors.New("drill: list not accepted")
	errNoDefault = errors.New("drill: list without a default address")
)

// readList accepts what the connector accepts (dossier 12, scenario 10): a list in which some signature is right,
// whoever made it and whatever it covers, and then every Service in the document, signed or not. Age and environment
// are not looked at.
func readList(doc []byte) (map[string]listing, error) {
	root, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil || root.Local() != "ServiceList" || !signedBySomebody(root) {
		return nil, errBadList
	}
	out := map[string]listing{}
	for n := range root.Descendants() {
		if n.Local() != "Service" {
			continue
		}
		id, _ := n.Attr("", "Id")
		var l listing // a service that occurs again takes the place of the former one
		for e := range n.Descendants() {
			if e.Local() != "Endpoint" {
				continue
			}
			url, _ := e.Text()
			url = strings.TrimSpace(url)
			l.urls = append(l.urls, url)
			if order, _ := e.Attr("", "Order"); order == "0" {
				l.normal = url
			}
			if status, _ := e.Attr("", "Status"); status == "ACTIVE" {
				l.active = url
			}
		}
		out[id] = l
	}
	for id, l := range out {
		if l.normal == "" {
			return nil, errNoDefault
		}
		if l.active == "" {
			l.active = l.normal
			out[id] = l
		}
	}
	return out, nil
}

// signedBySomebody finds the first signature and checks it with the key it brings along. What holds the signature is
// looked at as a document of its own: ids that occur again around it do not disturb the connector.
func signedBySomebody(root *xmltree.Node) bool {
	for n := range root.Descendants() {
		if !n.Is(dsig.NS, "Signature") || n.Parent() == nil {
			continue
		}
		holder, err := xmltree.Parse(n.Parent().Source(), xmltree.Limits{})
		if err != nil {
			return false
		}
		_, err = dsig.Verify(holder.Child(dsig.NS, "Signature"), dsig.Policy{IDs: []dsig.IDAttr{{Local: "Id"}}, Key: ownKey})
		return err == nil
	}
	return false
}

// ownKey takes the first certificate of the signature itself.
func ownKey(keyInfo *xmltree.Node) (*x509.Certificate, error) {
	if keyInfo == nil {
		return nil, errBadList
	}
	for n := range keyInfo.Descendants() {
		if !n.Is(dsig.NS, "X509Certificate") {
			continue
		}
		text, err := n.Text()
		if err != nil {
			return nil, err
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(der)
	}
	return nil, errBadList
}
