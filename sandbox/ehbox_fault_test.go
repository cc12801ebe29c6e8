package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// overHTTP posts a message to a service as a client does, and returns the status code of the answer, the code of its
// fault, or "cut".
func (w *mailWorld) overHTTP(c *http.Client, uddi string, msg []byte) string {
	w.t.Helper()
	rs, err := c.Post(w.s.URL(uddi, 0), soap.ContentType, bytes.NewReader(msg))
	if err != nil {
		return "cut"
	}
	defer rs.Body.Close()
	body, err := io.ReadAll(rs.Body)
	if err != nil {
		return "cut"
	}
	m, err := soap.Parse(body, xmltree.Limits{})
	if err != nil {
		return fmt.Sprint("HTTP ", rs.StatusCode)
	}
	if f, ok := m.Fault(); ok {
		return f.FaultString
	}
	return statusOf(m.Payload)
}

func (w *mailWorld) inject(row string) {
	w.t.Helper()
	st, err := ParseStep(row)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.s.Inject(st); err != nil {
		w.t.Fatal(err)
	}
}

// TestMailExactlyOnce: what the counters say when an answer is lost, for a client that sends again under the same id, one
// that sends the same bytes, and one that takes another id.
func TestMailExactlyOnce(t *testing.T) {
	for _, tc := range []struct {
		name, row string
		rules     MailBehaviour
		again     string // "id", "bytes", "new id"
		second    string
		want      map[string]int
	}{
		{
			"lost answer, same id", "ehbox-pub 0 to_end lost_ack p=1;max=1",
			MailBehaviour{},
			"id", "100",
			map[string]int{"ehbox.accepted": 2, "ehbox.send": 1, "ehbox.double": 0, "ehbox.duplicate": 1},
		},
		{
			"lost answer, same bytes", "ehbox-pub 0 to_end lost_ack p=1;max=1",
			MailBehaviour{},
			"bytes", "SOA-01001",
			map[string]int{"ehbox.accepted": 1, "ehbox.send": 1, "ehbox.double": 0, "ehbox.duplicate": 0},
		},
		{
			"the stand-in, same bytes", "ehbox-pub 0 to_end lost_ack p=1;max=1",
			MailBehaviour{AcceptReplays: true, KeepDuplicates: true},
			"bytes", "100",
			map[string]int{"ehbox.accepted": 2, "ehbox.send": 2, "ehbox.double": 1, "ehbox.duplicate": 0},
		},
		{
			"lost answer, new id", "ehbox-pub 0 to_end lost_ack p=1;max=1",
			MailBehaviour{},
			"new id", "100",
			map[string]int{"ehbox.accepted": 2, "ehbox.send": 2, "ehbox.double": 1, "ehbox.duplicate": 0},
		},
		{
			"executed and silent", "ehbox-pub 0 60 hang exec=1;max=1",
			MailBehaviour{},
			"id", "100",
			map[string]int{"ehbox.accepted": 2, "ehbox.send": 1, "ehbox.double": 0, "ehbox.duplicate": 1},
		},
		{
			"silent", "ehbox-pub 0 60 hang max=1",
			MailBehaviour{},
			"id", "100",
			map[string]int{"ehbox.accepted": 1, "ehbox.send": 1, "ehbox.double": 0, "ehbox.duplicate": 0},
		},
		{
			"fault", "ehbox-pub 0 60 fault code=SOA-02002;max=1",
			MailBehaviour{},
			"id", "100",
			map[string]int{"ehbox.accepted": 1, "ehbox.send": 1, "ehbox.double": 0, "ehbox.duplicate": 0},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newMailWorld(t, tc.rules)
				w.inject(tc.row)
				c := w.s.HTTPClient()
				l := mailLetter{id: "ONCE", to: []string{w.reader.Mailbox().xml()}, text: "x"}
				msg := w.message(l.xml(), w.writes)
				if got := w.overHTTP(c, uddiMailSend, msg); got != "cut" && got != "SOA-02002" {
					t.Fatalf("first: %s", got)
				}
				switch tc.again {
				case "id":
					msg = w.message(l.xml(), w.writes)
				case "new id":
					l.id = "TWICE"
					msg = w.message(l.xml(), w.writes)
				}
				if got := w.overHTTP(c, uddiMailSend, msg); got != tc.second {
					t.Errorf("second: %s, want %s", got, tc.second)
				}
				time.Sleep(2 * mailDelay)
				w.effects(tc.want)
				if got := len(w.folder(w.reader.Mailbox(), folderIn)); got != tc.want["ehbox.send"] {
					t.Errorf("%d letters", got)
				}
			})
		})
	}
}

// TestMailPoison: INC-2025-11-POISON. The box can be listed; of the messages none of which can be read, each fails in its
// own way.
func TestMailPoison(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	good := w.sendOK(w.writes, mailLetter{id: "A", to: []string{w.reader.Mailbox().xml()}, text: "x"})
	w.inject("ehbox-cons 0 to_end poison n=4")
	n := w.consulted(w.reads, "GetMessagesList", "<Source>INBOX</Source>")
	ids := textsOf(n, "MessageId")
	if len(ids) != 5 || ids[4] != good {
		t.Fatalf("list: %s", n.Source())
	}
	keys, err := w.reader.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	var how []string
	for _, id := range ids {
		r := w.consult(w.reads, "GetFullMessage", readBody(folderIn, id))
		if r.Status == http.StatusInternalServerError {
			how = append(how, "fault")
			continue
		}
		n := w.answered(r)
		w.answers = append(w.answers, n.Source())
		content := binaryOf(nodeAt(n, "", "Message", "ContentContext", "Content", "Document", "EncryptableTextContent"))
		_, _, err := w.s.unseal(content, keys, time.Now())
		switch {
		case len(textsOf(n, "EncryptableBinaryContent")) > 0 && !strings.HasPrefix(r.ContentType, "multipart/"):
			how = append(how, "no attachment")
		case id == good:
			how = append(how, "good")
		case err != nil && content[0] == 0x30:
			how = append(how, "not opened")
		}
	}
	if want := []string{"no attachment", "fault", "not opened", "not opened", "good"}; !slices.Equal(how, want) {
		t.Errorf("%q, want %q", how, want)
	}
	if got := len(textsOf(w.consulted(w.reads, "GetMessagesList", "<Source>INBOX</Source>"), "MessageId")); got != 5 {
		t.Errorf("%d messages: a step acts once on a box", got)
	}
	if got := len(textsOf(w.consulted(w.writes, "GetMessagesList", "<Source>INBOX</Source>"), "MessageId")); got != 4 {
		t.Errorf("%d messages in the other box", got)
	}
	if st := w.s.State(); st.Hits["ehbox-cons"]["poison"] != 2 || st.Counters["ehbox.poison"] != 8 || st.Effects["ehbox.send"] != 1 {
		t.Errorf("state: %+v", st)
	}
	w.conform()
}

// TestMailFaults: the ESB's faults act on both services, and access refuses callers.
func TestMailFaults(t *testing.T) {
	for row, want := range map[string][3]string{
		"ehbox-cons 0 60 fault code=SOA-02002":               {"SOA-02002", "100", "200"},
		"ehbox-pub 0 60 fault code=SOA-02001":                {"100", "SOA-02001", "200"},
		"esb 0 60 http status=503":                           {"HTTP 503", "HTTP 503", "HTTP 503"},
		"access 0 60 refuse_auth scope=all;code=SOA-01002":   {"SOA-01002", "SOA-01002", "200"},
		"etk 0 60 refuse -":                                  {"100", "100", "cut"},
		"ehbox-cons 0 60 slow median_ms=1000;sigma=0;late=1": {"100", "100", "200"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newMailWorld(t, mailAtOnce)
			w.inject(row)
			c := w.s.HTTPClient()
			got := [3]string{
				w.overHTTP(c, uddiMailRead, w.message(`<c:GetBoxInfoRequest xmlns:c="`+nsMailRead+`"/>`, w.reads)),
				w.overHTTP(c, uddiMailSend, w.message(mailLetter{id: "A", to: []string{w.reader.Mailbox().xml()}}.xml(), w.writes)),
				w.overHTTP(c, uddiETK, envelope(t, etkQuestion("CBE", recipeCBE, "-"))),
			}
			if got[2] == "" { // the depot's Status is in a namespace
				got[2] = "200"
			}
			if got != want {
				t.Errorf("%s: %q, want %q", row, got, want)
			}
		})
	}
}

// TestMailUnlisted: eHealthBox has an address and is not in the service list; the depot and the KGSS are.
func TestMailUnlisted(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{uddiMailRead, uddiMailSend, uddiETK, uddiKGSS} {
		if len(w.s.Services()[id]) != 1 || w.s.URL(id, 0) == "" {
			t.Errorf("%s has no address", id)
		}
	}
	var listed []string
	for _, l := range w.s.listed(ListState{}) {
		listed = append(listed, l.id)
	}
	if slices.Contains(listed, uddiMailRead) || slices.Contains(listed, uddiMailSend) || !slices.Contains(listed, uddiETK) || !slices.Contains(listed, uddiKGSS) {
		t.Errorf("list: %q", listed)
	}
}

// TestMailConcurrent: many writers and readers of one box; nothing is lost and nothing doubled.
func TestMailConcurrent(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				r := w.send(w.writes, mailLetter{id: fmt.Sprint("C", i, "-", j), to: []string{w.reader.Mailbox().xml()}, text: fmt.Sprint(i, j)})
				if r.Status != http.StatusOK {
					t.Errorf("send: %d", r.Status)
				}
				list := w.answered(w.consult(w.reads, "GetMessagesList", "<Source>INBOX</Source>"))
				for _, id := range textsOf(list, "MessageId") {
					w.answered(w.consult(w.reads, "GetFullMessage", readBody(folderIn, id)))
				}
			}
		})
	}
	wg.Wait()
	if got := len(w.folder(w.reader.Mailbox(), folderIn)); got != writers*each {
		t.Errorf("%d letters", got)
	}
	w.effects(map[string]int{"ehbox.send": writers * each, "ehbox.double": 0})
}
