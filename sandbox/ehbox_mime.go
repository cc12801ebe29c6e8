package sandbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/soap"
)

// mailParts bounds the parts of a message with attachments.
const mailParts = 1000

var errMailMIME = errors.New("sandbox: not a SOAP message with attachments")

// takeApart splits a message with attachments (dossier 03 section 9) into its SOAP part, which takes the place of the
// body, and the attachments by Content-ID without angle brackets. A message without attachments stays as it is.
func takeApart(rq *request) (parts map[string][]byte, r *refused) {
	kind, params, err := mime.ParseMediaType(rq.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return nil, nil
	}
	bad := refuse("SOA-03002", "not a SOAP message with attachments")
	if kind != "multipart/related" || params["boundary"] == "" {
		return nil, bad
	}
	if t := params["type"]; t != "" && !strings.EqualFold(t, "text/xml") {
		return nil, refuse("SOA-03002", "attachments are not taken as XOP")
	}
	parts = map[string][]byte{}
	var root []byte
	mr := multipart.NewReader(bytes.NewReader(rq.Body), params["boundary"])
	for n := 0; ; n++ {
		p, err := mr.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n >= mailParts {
			return nil, bad
		}
		body, err := partBody(p)
		if err != nil {
			return nil, bad
		}
		id := bareID(p.Header.Get("Content-ID"))
		start, named := params["start"]
		if root == nil && (!named || bareID(start) == id) {
			t, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
			if t != "" && t != "text/xml" {
				return nil, bad
			}
			root = body
			continue
		}
		if _, twice := parts[id]; twice || id == "" {
			return nil, bad
		}
		parts[id] = body
	}
	if root == nil {
		return nil, bad
	}
	rq.Body = root
	return parts, nil
}

// partBody undoes the transfer encoding.
func partBody(p *multipart.Part) ([]byte, error) {
	var r io.Reader = p
	switch strings.ToLower(strings.TrimSpace(p.Header.Get("Content-Transfer-Encoding"))) {
	case "", "binary", "8bit", "7bit":
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, p)
	case "quoted-printable":
		r = quotedprintable.NewReader(p)
	default:
		return nil, errMailMIME
	}
	return io.ReadAll(r)
}

// bareID takes the angle brackets off; senders in the field leave them out.
func bareID(id string) string {
	id = strings.TrimSpace(id)
	if inner, ok := strings.CutPrefix(id, "<"); ok {
		return strings.TrimSuffix(inner, ">")
	}
	return id
}

// attachment finds what a swaRef means.
func attachment(parts map[string][]byte, ref string) ([]byte, bool) {
	id, ok := strings.CutPrefix(collapse(ref), "cid:")
	if !ok {
		return nil, false
	}
	if plain, err := url.PathUnescape(id); err == nil {
		id = plain
	}
	b, ok := parts[id]
	return b, ok
}

// outPart is one attachment of an answer.
type outPart struct {
	id, mimeType string
	content      []byte
}

// withAttachments makes an answer of SOAP and attachments.
func withAttachments(rs *response, parts []outPart, bare bool) (*response, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	root := "root." + randomHex(8) + "@ehealth.fgov.be"
	write := func(contentType, encoding, id string, body []byte) error {
		if !bare {
			id = "<" + id + ">"
		}
		p, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Type": {contentType}, "Content-Transfer-Encoding": {encoding}, "Content-ID": {id},
		})
		if err == nil {
			_, err = p.Write(body)
		}
		return err
	}
	if err := write(soap.ContentType, "8bit", root, rs.Body); err != nil {
		return nil, err
	}
	for _, p := range parts {
		if strings.ContainsAny(p.mimeType, "\r\n") { // what a sender wrote must not make headers
			p.mimeType = "application/octet-stream"
		}
		if err := write(p.mimeType, "binary", p.id, p.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	out := *rs
	out.ContentType = `multipart/related; type="text/xml"; start="<` + root + `>"; boundary="` + w.Boundary() + `"`
	out.Body = b.Bytes()
	return &out, nil
}
