package ehbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// asked is one request as the platform saw it.
type asked struct {
	action string
	root   *xmltree.Node
	body   []byte
	parts  []mime.Part
}

// answer is what the platform does with a request.
type answer struct {
	doc    []byte // payload, or a whole envelope
	parts  []mime.Part
	status int
	err    error
}

// platform is an eHealthBox that does as it is told. What it is asked must be valid for the schema.
type platform struct {
	t      testing.TB
	answer func(asked) answer

	mu     sync.Mutex
	asked  []asked
	refuse bool // connections
}

// down refuses connections, or takes them again.
func (p *platform) down(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q := asked{action: strings.Trim(r.Header.Get("SOAPAction"), `"`)}
	if typ := r.Header.Get("Content-Type"); mime.Is(typ) {
		got, err := mime.Read(typ, bytes.NewReader(body), mime.Limits{})
		if err != nil {
			p.t.Errorf("attachments: %v", err)
			return nil, err
		}
		body, q.parts = got.Root, got.Parts
	}
	m, err := soap.Parse(body, xmltree.Limits{})
	if err != nil {
		p.t.Errorf("request: %v", err)
		return nil, err
	}
	q.root, q.body = m.Payload, m.Payload.Source()
	p.mu.Lock()
	p.asked = append(p.asked, q)
	p.mu.Unlock()
	a := p.answer(q)
	if a.err != nil {
		return nil, a.err
	}
	doc := a.doc
	if !bytes.Contains(doc, []byte("Envelope")) {
		if doc, err = soap.Envelope(nil, strip(doc)); err != nil {
			return nil, err
		}
	}
	resp := &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"text/xml"}}, Request: r}
	if a.status == 0 {
		resp.StatusCode = 200
	}
	if len(a.parts) > 0 {
		out, err := mime.New(doc, a.parts...)
		if err != nil {
			return nil, err
		}
		resp.Header.Set("Content-Type", out.ContentType())
		resp.Body = out.Reader()
		return resp, nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(doc))
	return resp, nil
}

// strip takes the XML declaration off a sample.
func strip(doc []byte) []byte {
	if _, after, ok := bytes.Cut(doc, []byte("?>")); ok {
		return after
	}
	return doc
}

func (p *platform) last() asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[len(p.asked)-1]
}

func (p *platform) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

type unsecured struct{}

func (unsecured) Secure(_ context.Context, body []byte) ([]byte, error) {
	return soap.Envelope(nil, body)
}
func (unsecured) Refused(context.Context, *fault.Error) bool { return false }

var (
	doctorINSS  = BoxID{ID: Hide("99123199771"), Type: TypeINSS, Quality: Doctor}
	doctorNIHII = BoxID{ID: Hide("19999123"), Type: TypeNIHII, Quality: Doctor}
)

func client(t testing.TB, answer func(asked) answer, opts ...Option) (*Client, *platform) {
	t.Helper()
	p := &platform{t: t, answer: answer}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: p}, UserAgent: "test/1.0", From: "test@example.be",
		Directory: resilience.Static{
			ServiceConsultation: {{URL: "https://box.test/ehBoxConsultation/v3", Active: true}},
			ServicePublication:  {{URL: "https://box.test/ehBoxPublication/v3", Active: true}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(x, unsecured{}, []BoxID{doctorINSS, doctorNIHII}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// always answers with one sample, changed by pairs.
func always(t testing.TB, name string, pairs ...string) func(asked) answer {
	doc := edit(t, name, pairs...).Source()
	return func(asked) answer { return answer{doc: doc} }
}

func ids(all ...string) []MessageID {
	out := make([]MessageID, len(all))
	for i, s := range all {
		out[i] = MessageID(s)
	}
	return out
}

// operations are all calls of consultation, with a request whose sample answer belongs to it.
var operations = map[string]struct {
	sample string
	action string
	call   func(context.Context, *Client) (any, error)
}{
	"box info": {"getBoxInfo-response.xml", "getBoxInfo", func(ctx context.Context, c *Client) (any, error) {
		return c.GetBoxInfo(ctx, GetBoxInfoRequest{})
	}},
	"list": {"getMessagesList-response.xml", "getMessagesList", func(ctx context.Context, c *Client) (any, error) {
		return c.GetMessagesList(ctx, GetMessagesListRequest{Start: 1, End: 100})
	}},
	"list all": {"getAllEhboxesMessagesList-response.xml", "getAllEhboxesMessagesList", func(ctx context.Context, c *Client) (any, error) {
		return c.GetAllEhboxesMessagesList(ctx, GetAllEhboxesMessagesListRequest{Folder: Inbox})
	}},
	"read": {"getFullMessage-response-document.xml", "getFullMessage", func(ctx context.Context, c *Client) (any, error) {
		return c.GetFullMessage(ctx, MessageRequest{MessageID: "9Y00000000A02"})
	}},
	"history": {"getMessageHistory-response.xml", "getMessageHistory", func(ctx context.Context, c *Client) (any, error) {
		return c.GetMessageHistory(ctx, MessageRequest{MessageID: "9Y00000000N02"})
	}},
	"acknowledgments": {"getMessageAcknowledgmentsStatus-response.xml", "getMessageAcknowledgmentsStatus", func(ctx context.Context, c *Client) (any, error) {
		return c.GetMessageAcknowledgmentsStatus(ctx, GetMessageAcknowledgmentsStatusRequest{MessageID: "5H00000000S01", Box: &doctorNIHII})
	}},
	"move": {"moveMessage-response.xml", "moveMessage", func(ctx context.Context, c *Client) (any, error) {
		return c.MoveMessage(ctx, MoveMessageRequest{From: Inbox, To: BinInbox, MessageIDs: ids("9Y00000000A01")})
	}},
	"delete": {"deleteMessage-response.xml", "deleteMessage", func(ctx context.Context, c *Client) (any, error) {
		return c.DeleteMessage(ctx, DeleteMessageRequest{Folder: BinInbox, MessageIDs: ids("9Y00000000A01")})
	}},
	"insert": {"insertOoO-response.xml", "insertOoO", func(ctx context.Context, c *Client) (any, error) {
		return c.InsertOoO(ctx, InsertOoORequest{Start: Day(2030, 7, 3), End: Day(2030, 7, 17), Substitutes: []BoxID{doctorNIHII}})
	}},
	"delete absence": {"deleteOoO-response.xml", "deleteOoO", func(ctx context.Context, c *Client) (any, error) {
		return c.DeleteOoO(ctx, DeleteOoORequest{OoOIDs: []string{"1005"}})
	}},
	"absences": {"getOoOList-response.xml", "getOoOList", func(ctx context.Context, c *Client) (any, error) {
		return c.GetOoOList(ctx, GetOoOListRequest{Box: &doctorINSS})
	}},
}

func TestOperations(t *testing.T) {
	for name, o := range operations {
		t.Run(name, func(t *testing.T) {
			c, p := client(t, always(t, o.sample))
			v, err := o.call(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			q := p.last()
			if want := nsConsultation + ":" + o.action; q.action != want {
				t.Errorf("action %q, want %q", q.action, want)
			}
			oracle.ValidateXSD(t, schema(t, q.root), q.body)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
				if s := fmt.Sprintf(verb, v); strings.Contains(s, "9912") || strings.Contains(s, "Synthetic") || strings.Contains(s, "letter") {
					t.Errorf("%s prints personal data: %s", verb, s)
				}
			}
		})
	}
}

// Every operation fails as it should when nothing usable comes back.
func TestOperationsFail(t *testing.T) {
	fail := func(name string) []byte { return sample(t, name) }
	for fname, f := range map[string]struct {
		answer  answer
		kind    fault.Kind
		outcome fault.Outcome // 0 = not compared
		code    string
	}{
		"806 as a fault":     {answer{doc: fail("fault-business-806.xml"), status: 500}, fault.NotFound, fault.Rejected, "806"},
		"806 without detail": {answer{doc: []byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Server</faultcode><faultstring>806: Synthetisch</faultstring></e:Fault></e:Body></e:Envelope>`), status: 500}, fault.NotFound, fault.Rejected, "806"},
		"wrong schema":       {answer{doc: fail("fault-system-SOA-03006.xml"), status: 500}, fault.Invalid, fault.Rejected, "SOA-03006"},
		"platform":           {answer{doc: fail("fault-system-SOA-00001.xml"), status: 500}, fault.Unavailable, fault.Unknown, "SOA-00001"},
		"refused connection": {answer{err: syscall.ECONNREFUSED}, fault.Unavailable, 0, ""},
		"another's answer":   {answer{doc: []byte(`<x:SendMessageResponse xmlns:x="urn:other"/>`)}, fault.Security, fault.Unknown, ""},
	} {
		for name, o := range operations {
			t.Run(fname+"/"+name, inBubble(func(t *testing.T) {
				c, _ := client(t, func(asked) answer { return f.answer })
				_, err := o.call(context.Background(), c)
				e, ok := errors.AsType[*fault.Error](err)
				if !ok || e.Kind != f.kind || f.outcome != 0 && e.Outcome != f.outcome || e.Code != f.code {
					t.Fatalf("got %v", err)
				}
				if f.code == "806" {
					if s, ok := errors.AsType[*StatusError](err); !ok || s.Code != MessageUnknown || !s.Known {
						t.Errorf("no StatusError: %v", err)
					}
				}
				if f.kind == fault.Security && !errors.Is(err, ErrMismatch) {
					t.Errorf("no mismatch: %v", err)
				}
				if strings.Contains(err.Error(), "Synth") {
					t.Errorf("the platform's text is printed: %v", err)
				}
			}))
		}
	}
}

// An answer that belongs to another question is never shown.
func TestCorrelation(t *testing.T) {
	ctx := context.Background()
	other := BoxID{ID: Hide("99123099506"), Type: TypeINSS, Quality: Doctor}
	for name, c := range map[string]struct {
		sample string
		pairs  []string
		call   func(*Client) error
	}{
		"another's box":        {"getBoxInfo-response.xml", nil, func(c *Client) error { _, err := c.GetBoxInfo(ctx, GetBoxInfoRequest{Box: &other}); return err }},
		"no box":               {"getMessagesList-response.xml", []string{"<Id>99123199771</Id>", "<Id>99123099506</Id>"}, func(c *Client) error { _, err := c.GetMessagesList(ctx, GetMessagesListRequest{}); return err }},
		"another's box in all": {"getBoxInfo-response.xml", []string{"99123199771", "99123099506"}, func(c *Client) error { _, err := c.GetBoxInfo(ctx, GetBoxInfoRequest{}); return err }},
		"another folder": {"getMessagesList-response.xml", nil, func(c *Client) error {
			_, err := c.GetMessagesList(ctx, GetMessagesListRequest{Folder: Sentbox})
			return err
		}},
		"too many": {"getMessagesList-response.xml", nil, func(c *Client) error {
			_, err := c.GetMessagesList(ctx, GetMessagesListRequest{Start: 1, End: 3})
			return err
		}},
		"another message": {"getFullMessage-response-document.xml", nil, func(c *Client) error {
			_, err := c.GetFullMessage(ctx, MessageRequest{MessageID: "9Y00000000A09"})
			return err
		}},
		"no message id": {"getFullMessage-response-document.xml", []string{` MessageId="9Y00000000A02"`, ""}, func(c *Client) error {
			_, err := c.GetFullMessage(ctx, MessageRequest{MessageID: "9Y00000000A02"})
			return err
		}},
		"others moved": {"moveMessage-response-813-partial.xml", nil, func(c *Client) error {
			_, err := c.MoveMessage(ctx, MoveMessageRequest{From: Inbox, To: BinInbox, MessageIDs: ids("9Y00000000A07")})
			return err
		}},
		"another absence": {"deleteOoO-response-840-invalid.xml", nil, func(c *Client) error { _, err := c.DeleteOoO(ctx, DeleteOoORequest{OoOIDs: []string{"7"}}); return err }},
		"another substitute": {"insertOoO-response-824-substitute-absent.xml", nil, func(c *Client) error {
			_, err := c.InsertOoO(ctx, InsertOoORequest{Start: Day(2030, 7, 3), End: Day(2030, 7, 17), Substitutes: []BoxID{doctorNIHII}})
			return err
		}},
		"another publication": {"sendMessage-response.xml", nil, func(c *Client) error {
			r := plainRequest()
			r.PublicationID = "OTHER"
			_, err := c.SendMessage(ctx, r)
			return err
		}},
		"no publication": {"sendMessage-response.xml", []string{` SentPublicationId="7F3K9Q2M4X8ZP"`, ""}, func(c *Client) error { _, err := c.SendMessage(ctx, plainRequest()); return err }},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			cl, _ := client(t, always(t, c.sample, c.pairs...))
			err := c.call(cl)
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind != fault.Security || e.Outcome != fault.Unknown || !errors.Is(err, ErrMismatch) {
				t.Fatalf("got %v", err)
			}
			want := "D-WRONG"
			if strings.Contains(e.Op, "Send") || strings.Contains(e.Op, "Move") || strings.Contains(e.Op, "OoO") {
				want = "D-UNSURE"
			}
			if e.Notice != want {
				t.Errorf("notice %s", e.Notice)
			}
		}))
	}
}

// A refusal says that nothing was sent, whether it names the publication and the recipient as we do or not. Only one that
// is about something else says nothing.
func TestRefusalNamed(t *testing.T) {
	const away = "sendMessage-response-826-out-of-office.xml"
	anonymous := []string{` SentPublicationId="7F3K9Q2M4X8ZP"`, ""}
	otherType := []string{"<Id>18999132</Id>", "<Id>85073199704</Id>", "<Type>NIHII</Type>", "<Type>INSS</Type>"}
	for name, c := range map[string]struct {
		pairs []string
		want  error
	}{
		"as we name it":         {nil, fault.ErrRejected},
		"without the number":    {anonymous, fault.ErrRejected},
		"under another type":    {otherType, fault.ErrRejected},
		"neither":               {append(anonymous, otherType...), fault.ErrRejected},
		"another code":          {[]string{"<Code>826<", "<Code>814<", ` SentPublicationId="7F3K9Q2M4X8ZP"`, ""}, fault.ErrRejected},
		"another publication":   {[]string{`SentPublicationId="7F3K9Q2M4X8ZP"`, `SentPublicationId="7F3K9Q2M4X8ZQ"`}, fault.ErrUnknownOutcome},
		"another recipient":     {[]string{"<Id>18999132<", "<Id>18999133<"}, fault.ErrUnknownOutcome},
		"success without names": {[]string{"<Code>826<", "<Code>100<", ` SentPublicationId="7F3K9Q2M4X8ZP"`, ""}, fault.ErrUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			cl, p := client(t, always(t, away, c.pairs...))
			_, err := cl.SendMessage(context.Background(), plainRequest())
			if !errors.Is(err, c.want) || p.count() != 1 {
				t.Fatalf("%d requests, %v", p.count(), err)
			}
			if out, ok := errors.AsType[*OutOfOfficeError](err); ok {
				l := Letter{To: plainRequest().Destinations}.Despite(out.Absences)
				if len(l.To) != 1 || !l.To[0].OutOfOfficeHandled {
					t.Errorf("to %+v", l.To)
				}
			}
		})
	}
}

// inBubble runs a test on virtual time: the pauses between attempts cost nothing.
func inBubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

func plainRequest() SendMessageRequest {
	body := NewData([]byte("Bonjour"))
	return SendMessageRequest{
		PublicationID: "7F3K9Q2M4X8ZP", Destinations: []Destination{To(BoxID{ID: Hide("18999132"), Type: TypeNIHII, Quality: Doctor})},
		Document:      Document{Title: Hide("Lab result"), Content: Content{Text: body}, FileName: Hide("body.txt"), MimeType: "text/plain", Digest: Digest(body.Bytes())},
		Specification: Specification{Type: DocumentContent},
	}
}

func TestSendMessage(t *testing.T) {
	c, p := client(t, always(t, "sendMessage-response.xml"))
	r := plainRequest()
	pdf := bytes.Repeat([]byte{0x25, 0, '\r', '\n'}, 1000)
	r.Annexes = []Annex{{Title: NewData([]byte("Scan")), Content: Content{Ref: mime.Ref("1@x")}, FileName: Hide("s.pdf"), MimeType: "application/pdf", Digest: Digest(pdf)}}
	r.Parts = []Part{Part(mime.Bytes("1@x", "application/pdf", pdf))}
	v, err := c.SendMessage(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if v.MessageID() != "5H00000000S01" || !v.Code.OK() {
		t.Errorf("got %+v", v)
	}
	q := p.last()
	oracle.ValidateXSD(t, schema(t, q.root), q.body)
	if data, err := q.parts[0].Content(); err != nil || !bytes.Equal(data, pdf) || len(q.parts) != 1 || q.action != nsPublication+":sendMessage" {
		t.Errorf("parts %v, %v", q.parts, err)
	}

	c, p = client(t, always(t, "sendMessage-response-826-out-of-office.xml"))
	v, err = c.SendMessage(context.Background(), plainRequest())
	o, ok := errors.AsType[*OutOfOfficeError](err)
	if !ok || len(o.Absences) != 1 || len(o.Absences[0].Substitutes) != 1 || !errors.Is(err, fault.ErrRejected) || !errors.Is(err, fault.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	if s, ok := errors.AsType[*StatusError](err); !ok || s.Class != Dialogue || v == nil || p.count() != 1 {
		t.Errorf("status %v", s)
	}

	// A lost answer: asked once, outcome unknown.
	c, p = client(t, func(asked) answer { return answer{err: io.ErrUnexpectedEOF} })
	if _, err = c.SendMessage(context.Background(), plainRequest()); !errors.Is(err, fault.ErrUnknownOutcome) || p.count() != 1 || noticeOf(err) != NoticeUnsure {
		t.Errorf("%d requests, %v", p.count(), err)
	}
}

func noticeOf(err error) string {
	e, _ := errors.AsType[*fault.Error](err)
	return e.Notice
}

// What the platform would refuse is not sent.
func TestNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*SendMessageRequest)
		want   error
	}{
		"no id":              {func(r *SendMessageRequest) { r.PublicationID = "" }, ErrPublicationID},
		"long id":            {func(r *SendMessageRequest) { r.PublicationID = "12345678901234" }, ErrPublicationID},
		"nobody":             {func(r *SendMessageRequest) { r.Destinations = nil }, ErrRecipients},
		"no quality":         {func(r *SendMessageRequest) { r.Destinations[0].Quality = "" }, ErrRecipients},
		"NIHII as user":      {func(r *SendMessageRequest) { r.Destinations[0].User = &User{Hide("19999123"), Hide("J"), Hide("S")} }, ErrRecipients},
		"all, encrypted":     {func(r *SendMessageRequest) { r.Destinations[0].ID = Hide("ALL"); r.Specification.Encrypted = true }, ErrRecipients},
		"no title":           {func(r *SendMessageRequest) { r.Document.Title = Private{} }, ErrText},
		"long title":         {func(r *SendMessageRequest) { r.Document.Title = Hide(strings.Repeat("é", 401)) }, ErrText},
		"long application":   {func(r *SendMessageRequest) { r.Specification.Application = strings.Repeat("a", 26) }, ErrText},
		"empty meta":         {func(r *SendMessageRequest) { r.CustomMetas = []CustomMeta{{Key: "k"}} }, ErrText},
		"many metas":         {func(r *SendMessageRequest) { r.CustomMetas = make([]CustomMeta, 51) }, ErrText},
		"acknowledgment":     {func(r *SendMessageRequest) { r.Specification.Type = AcknowledgmentContent }, ErrRequest},
		"wrong digest":       {func(r *SendMessageRequest) { r.Document.Digest = Digest(nil) }, ErrRequest},
		"no digest":          {func(r *SendMessageRequest) { r.Document.Digest = Data{} }, ErrRequest},
		"patient in clear":   {func(r *SendMessageRequest) { d := NewData([]byte("1")); r.PatientINSS = &d }, ErrRequest},
		"reference, no part": {func(r *SendMessageRequest) { r.Document.Content = Content{Ref: "cid:a"} }, ErrParts},
		"part, no reference": {func(r *SendMessageRequest) { r.Parts = []Part{Part(mime.Bytes("a", "x/y", nil))} }, ErrParts},
		"too large": {func(r *SendMessageRequest) {
			r.Document.Content = Content{Ref: "cid:a"}
			p := Part(mime.Bytes("a", "x/y", nil))
			p.Size = MaxMessage + 1
			r.Parts = []Part{p}
		}, ErrSize},
	} {
		t.Run(name, func(t *testing.T) {
			cl, p := client(t, always(t, "sendMessage-response.xml"))
			r := plainRequest()
			c.change(&r)
			_, err := cl.SendMessage(context.Background(), r)
			if !errors.Is(err, c.want) || !errors.Is(err, fault.ErrNotSent) || !errors.Is(err, fault.ErrInvalid) || p.count() != 0 {
				t.Errorf("%d requests, %v", p.count(), err)
			}
		})
	}
	ctx := context.Background()
	cl, p := client(t, always(t, "moveMessage-response.xml"))
	for name, err := range map[string]error{
		"window":     second(cl.GetMessagesList(ctx, GetMessagesListRequest{Start: 1, End: 101})),
		"reversed":   second(cl.GetMessagesList(ctx, GetMessagesListRequest{Start: 5, End: 4})),
		"history":    second(cl.GetMessagesList(ctx, GetMessagesListRequest{Folder: History})),
		"bin":        second(cl.GetFullMessage(ctx, MessageRequest{Folder: BinInbox, MessageID: "9Y00000000A01"})),
		"id":         second(cl.GetFullMessage(ctx, MessageRequest{MessageID: "short"})),
		"pair":       second(cl.MoveMessage(ctx, MoveMessageRequest{From: Inbox, To: Sentbox, MessageIDs: ids("9Y00000000A01")})),
		"nothing":    second(cl.MoveMessage(ctx, MoveMessageRequest{From: Inbox, To: BinInbox})),
		"no folder":  second(cl.DeleteMessage(ctx, DeleteMessageRequest{MessageIDs: ids("9Y00000000A01")})),
		"no absence": second(cl.DeleteOoO(ctx, DeleteOoORequest{})),
		"no dates":   second(cl.InsertOoO(ctx, InsertOoORequest{})),
		"backwards":  second(cl.InsertOoO(ctx, InsertOoORequest{Start: Day(2030, 2, 1), End: Day(2030, 1, 1)})),
	} {
		if !errors.Is(err, fault.ErrNotSent) || !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.count() != 0 {
		t.Errorf("%d requests", p.count())
	}
}

func second[A any](_ A, err error) error { return err }

// Partial success is told with what was not done; after a repeat nobody knows.
func TestPartial(t *testing.T) {
	ctx := context.Background()
	req := MoveMessageRequest{From: Inbox, To: BinInbox, MessageIDs: ids("9Y00000000A01", "9Y00000000A02")}
	c, _ := client(t, always(t, "moveMessage-response-813-partial.xml"))
	v, err := c.MoveMessage(ctx, req)
	pe, ok := errors.AsType[*PartialError](err)
	if !ok || len(pe.MessageIDs) != 1 || v == nil || v.Unsure || !errors.Is(err, fault.ErrDone) {
		t.Fatalf("got %+v, %v", v, err)
	}

	n := 0
	doc := sample(t, "moveMessage-response-813-partial.xml")
	c, p := client(t, func(asked) answer {
		if n++; n == 1 {
			return answer{err: io.ErrUnexpectedEOF}
		}
		return answer{doc: doc}
	})
	v, err = c.MoveMessage(ctx, req)
	if err != nil || !v.Unsure || len(v.NotDone) != 1 || p.count() != 2 {
		t.Errorf("got %+v, %v after %d requests", v, err, p.count())
	}

	c, _ = client(t, always(t, "deleteOoO-response-840-invalid.xml"))
	if _, err := c.DeleteOoO(ctx, DeleteOoORequest{OoOIDs: []string{"1005"}}); !errors.Is(err, fault.ErrDone) {
		t.Errorf("got %v", err)
	}
	c, _ = client(t, always(t, "insertOoO-response-824-substitute-absent.xml"))
	w, err := c.InsertOoO(ctx, InsertOoORequest{Start: Day(2030, 7, 3), End: Day(2030, 7, 17), Substitutes: []BoxID{{ID: Hide("99123099506"), Type: TypeINSS, Quality: Doctor}}})
	if s, ok := errors.AsType[*StatusError](err); !ok || s.Code != SubstituteAbsent || len(w.Substitutes) != 1 {
		t.Errorf("got %+v, %v", w, err)
	}
}

// Both positions of a code mean the same, for every code of the table.
func TestCodes(t *testing.T) {
	ctx := context.Background()
	for _, rule := range Codes() {
		if rule.Class == Accepted || rule.Op == opInsertOoO {
			continue
		}
		t.Run(string(rule.Code), func(t *testing.T) {
			status := []byte(`<p:SendMessageResponse xmlns:p="` + nsPublication + `" Id="T" SentPublicationId="7F3K9Q2M4X8ZP"><Status><Code>` + string(rule.Code) + `</Code><Message Lang="EN">text about Jan Synthetisch</Message></Status></p:SendMessageResponse>`)
			doc := bytes.ReplaceAll(sample(t, "fault-business-803.xml"), []byte("803"), []byte(rule.Code))
			for i, a := range []answer{{doc: status}, {doc: doc, status: 500}} {
				c, _ := client(t, func(asked) answer { return a })
				_, err := c.SendMessage(ctx, plainRequest())
				e, ok := errors.AsType[*fault.Error](err)
				if !ok || e.Kind != rule.Kind || e.Code != string(rule.Code) || e.Message == "" {
					t.Fatalf("position %d: %v", i, err)
				}
				if s, ok := errors.AsType[*StatusError](err); !ok || s.Class != rule.Class || s.Meaning != rule.Meaning {
					t.Errorf("position %d: %v", i, s)
				}
				if strings.Contains(err.Error(), "Jan") {
					t.Errorf("prints %v", err)
				}
			}
		})
	}
	if r, known := Code("839").Rule(opSend); known || r.Class != Permanent || r.Kind != fault.Invalid {
		t.Errorf("unknown code: %+v", r)
	}
	if r, _ := Code("826").Rule(opInsertOoO); r.Class != Permanent {
		t.Errorf("826 after InsertOoO: %+v", r)
	}
}

// Attachments of a message that is read come with it.
func TestReadAttachments(t *testing.T) {
	pdf := []byte("%PDF-1.4\r\n--x")
	doc := sample(t, "getFullMessage-response-document-annex-swaref.xml")
	c, p := client(t, func(asked) answer {
		return answer{doc: doc, parts: []mime.Part{mime.Bytes("annex-1@sandbox.example", "application/pdf", pdf)}}
	})
	v, err := c.GetFullMessage(context.Background(), MessageRequest{MessageID: "9Y00000000A04"})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Parts) != 1 || v.Parts[0].Size != int64(len(pdf)) || v.Message.Annexes[0].Content.Ref != "cid:annex-1@sandbox.example" {
		t.Errorf("parts %v", v.Parts)
	}
	if !p.last().root.Is(nsConsultation, "GetFullMessageRequest") {
		t.Error("another request")
	}
}

func TestSameBox(t *testing.T) {
	a := BoxID{ID: Hide("19999123"), Type: TypeNIHII, Quality: Doctor}
	for name, c := range map[string]struct {
		b    BoxID
		same bool
	}{
		"itself":          {a, true},
		"11 digits":       {BoxID{ID: Hide("19999123004"), Type: TypeNIHII, Quality: Doctor}, true},
		"leading zero":    {BoxID{ID: Hide("019999123"), Type: TypeNIHII, Quality: Doctor}, true},
		"subtype on one":  {BoxID{ID: Hide("19999123"), Type: TypeNIHII, SubType: "X", Quality: Doctor}, true},
		"another number":  {BoxID{ID: Hide("19999124"), Type: TypeNIHII, Quality: Doctor}, false},
		"another type":    {BoxID{ID: Hide("19999123"), Type: TypeCBE, Quality: Doctor}, false},
		"another quality": {BoxID{ID: Hide("19999123"), Type: TypeNIHII, Quality: Dentist}, false},
		"nobody":          {BoxID{Type: TypeNIHII, Quality: Doctor}, false},
	} {
		if got := a.Same(c.b); got != c.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDate(t *testing.T) {
	for in, want := range map[string]string{
		"2030-01-15+01:00": "2030-01-15+01:00", "2030-01-15": "2030-01-15", "2030-01-15Z": "2030-01-15Z",
		" 2030-01-15T10:00:00.5-05:00 ": "2030-01-15-05:00", "2030-01-15T10:00:00Z": "2030-01-15Z",
	} {
		if d, err := ParseDate(in); err != nil || d.String() != want {
			t.Errorf("%q: %q, %v", in, d, err)
		}
	}
	for _, in := range []string{"", "2030", "2030-02-30", "2030-01-15+1", "15/01/2030x"} {
		if d, err := ParseDate(in); err == nil {
			t.Errorf("%q is %v", in, d)
		}
	}
	if d := Day(2030, 7, 3); d.String() != "2030-07-03+02:00" || !DateOf(d.Start()).Start().Equal(d.Start()) {
		t.Errorf("got %s", d)
	}
}
