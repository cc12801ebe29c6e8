package drill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

const (
	nsMailSend = "urn:be:fgov:ehealth:ehbox:publication:protocol:v3"
	nsMailRead = "urn:be:fgov:ehealth:ehbox:consultation:protocol:v3"
)

// plainMail is the mail of clients that do not use package ehbox. It sends unsealed letters, keeps nothing to be sent
// later, and reads the first page of a box, its newest 100 messages, from the oldest new one on until one cannot be read
// (INC-2025-11-POISON).
type plainMail struct {
	room *mailroom
	ask  func(ctx context.Context, service, action string, body []byte) (*xmltree.Node, error)
	end  func()
}

// joinMailNaive sends and reads as the naive client does everything.
func joinMailNaive(s *sandbox.Sandbox, o *sandbox.Organisation, room *mailroom) (correspondent, error) {
	n, err := startNaive(s, atPharmacy(o))
	if err != nil {
		return nil, err
	}
	m := &plainMail{room: room, end: n.close}
	m.ask = func(ctx context.Context, service, action string, body []byte) (p *xmltree.Node, err error) {
		for range naiveTries {
			if p, err = n.post(ctx, service, action, body, secured); err == nil {
				return p, nil
			}
		}
		return nil, fmt.Errorf("drill: given up: %w", err)
	}
	return m, nil
}

// joinMailConnector sends and reads as the connector does: the session is checked here, there is one address, and no
// second try but that of the JDK.
func joinMailConnector(s *sandbox.Sandbox, o *sandbox.Organisation, room *mailroom) (correspondent, error) {
	c, err := startConnector(s, o, connectorOptions{})
	if err != nil {
		return nil, err
	}
	return c.mail(room), nil
}

// mail is the mailbox of a connector-like client.
func (c *connector) mail(room *mailroom) *plainMail {
	return &plainMail{room: room, end: c.close, ask: func(ctx context.Context, service, action string, body []byte) (*xmltree.Node, error) {
		tok, err := c.session(ctx)
		if err != nil {
			return nil, err
		}
		if !tok.Valid(time.Now(), 0) {
			return nil, errSessionOver
		}
		p, _, err := c.call(ctx, service, action, body, tok)
		return p, err
	}}
}

// How a message is protected.
type protection bool

const (
	secured protection = true  // signed, with the token of the session
	bare    protection = false // as it is: the ETK depot, new keys of the key service
)

// message is an envelope as it travels.
func (c *naive) message(ctx context.Context, body []byte, how protection) ([]byte, error) {
	if how == bare {
		return wsse.Plain(body)
	}
	tok, err := c.p.Tokens.Token(ctx)
	if err != nil {
		return nil, err
	}
	return wsse.HolderOfKey(body, tok.Raw, tok.ID, wsse.Credential{Certificate: tok.Credential.Certificate, Signer: tok.Credential.Signer}, wsse.Stamp{Now: time.Now()})
}

// post sends a message once and returns what the answer holds.
func (c *naive) post(ctx context.Context, service, action string, body []byte, how protection) (*xmltree.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, naiveTimeout)
	defer cancel()
	msg, err := c.message(ctx, body, how)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.urls[service], bytes.NewReader(msg))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", soap.ContentType)
	if action != "" {
		req.Header.Set("SOAPAction", `"`+action+`"`)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	m, err := soap.Parse(doc, xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	if f, ok := m.Fault(); ok {
		return nil, &soapError{f}
	}
	return m.Payload, nil
}

// done makes a call whose answer says that all is well.
func (m *plainMail) done(ctx context.Context, service, operation string, body []byte) (*xmltree.Node, error) {
	ns := nsMailRead
	if service == ehbox.ServicePublication {
		ns = nsMailSend
	}
	p, err := m.ask(ctx, service, ns+":"+operation, body)
	if err != nil {
		return nil, err
	}
	if code, err := firstText(p, "Code"); err != nil || code != "100" {
		return nil, fmt.Errorf("drill: refused with status %q", code)
	}
	return p, nil
}

func (m *plainMail) letter(ctx context.Context, to *mailroom, reference string) (shown, error) {
	sum := sha256.Sum256([]byte(reference))
	body := fmt.Appendf(nil, `<p:SendMessageRequest xmlns:p=%q PublicationId=%q><DestinationContext><Id>%s</Id><Type>%s</Type><Quality>%s</Quality></DestinationContext>`+
		`<ContentContext><Content><Document><Title>%s</Title><EncryptableTextContent>%s</EncryptableTextContent>`+
		`<DownloadFileName>body.txt</DownloadFileName><MimeType>text/plain</MimeType><Digest>%s</Digest></Document></Content>`+
		`<ContentSpecification><ApplicationName>Drill</ApplicationName><ContentType>DOCUMENT</ContentType><IsImportant>false</IsImportant><IsEncrypted>false</IsEncrypted>`+
		`<PublicationReceipt>false</PublicationReceipt><ReceivedReceipt>false</ReceivedReceipt><ReadReceipt>false</ReadReceipt></ContentSpecification>`+
		`</ContentContext></p:SendMessageRequest>`,
		nsMailSend, ehbox.PublicationID(m.room.box, reference), to.box.ID.Reveal(), to.box.Type, to.box.Quality,
		reference, base64.StdEncoding.EncodeToString([]byte(reference)), base64.StdEncoding.EncodeToString(sum[:]))
	if _, err := m.done(ctx, ehbox.ServicePublication, "sendMessage", body); err != nil {
		return shown{}, err
	}
	return shown{of: reference}, nil
}

func (m *plainMail) look(ctx context.Context, all bool) (out looked, err error) {
	_ = all // it has no other way
	body := fmt.Appendf(nil, `<c:GetMessagesListRequest xmlns:c=%q><Source>INBOX</Source></c:GetMessagesListRequest>`, nsMailRead)
	list, err := m.done(ctx, ehbox.ServiceConsultation, "getMessagesList", body)
	if err != nil {
		return out, err
	}
	var ids []string
	for n := range list.Descendants() {
		if n.Local() != "MessageId" {
			continue
		}
		id, err := n.Text()
		if err != nil {
			return out, err
		}
		ids = append(ids, id)
	}
	for _, id := range slices.Backward(ids) {
		m.room.mu.Lock()
		known := m.room.kept[ehbox.MessageID(id)]
		m.room.mu.Unlock()
		if known {
			continue
		}
		kind, title, err := m.open(ctx, id)
		if err != nil {
			return out, err
		}
		if m.room.keep(ehbox.MessageID(id), title) && kind == string(ehbox.DocumentContent) {
			out.read++
		}
	}
	return out, nil
}

// open reads one message and returns what it is and its title.
func (m *plainMail) open(ctx context.Context, id string) (kind, title string, err error) {
	body := fmt.Appendf(nil, `<c:GetFullMessageRequest xmlns:c=%q><Source>INBOX</Source><MessageId>%s</MessageId></c:GetFullMessageRequest>`, nsMailRead, id)
	p, err := m.done(ctx, ehbox.ServiceConsultation, "getFullMessage", body)
	if err != nil {
		return "", "", err
	}
	if kind, err = firstText(p, "ContentType"); err != nil {
		return "", "", err
	}
	if title, err = firstText(p, "Title"); err != nil {
		return "", "", err
	}
	if sealed, err := firstText(p, "IsEncrypted"); err != nil || sealed != "true" {
		return kind, title, nil //nolint:nilerr // messages of the platform itself do not say
	}
	text, err := firstText(p, "EncryptableTextContent")
	if err != nil {
		return "", "", err
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", "", err
	}
	o, err := m.room.opener()
	if err != nil {
		return "", "", err
	}
	if _, err := o.Open(content); err != nil {
		return "", "", errors.Join(errNoAnswer, err)
	}
	return kind, title, nil
}

func (m *plainMail) settle(time.Duration) {} // nothing waits

func (m *plainMail) close() { m.end() }
