package exchange

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/soap"
)

// accept is what an answer may be: an envelope, or one with attachments.
const accept = "text/xml, multipart/related"

// outgoing is what one attempt posts. open gives its bytes from the start, each time anew: the HTTP stack asks a second
// time only when nothing was written or the server said that nothing was processed.
type outgoing struct {
	contentType string
	size        int64
	open        func() io.ReadCloser
}

// bareEnvelope is an envelope without attachments.
func bareEnvelope(envelope []byte) *outgoing {
	return &outgoing{
		contentType: soap.ContentType, size: int64(len(envelope)),
		open: func() io.ReadCloser { return io.NopCloser(bytes.NewReader(envelope)) },
	}
}

func newOutgoing(envelope []byte, attachments []mime.Part) (*outgoing, error) {
	if len(attachments) == 0 {
		return bareEnvelope(envelope), nil
	}
	m, err := mime.New(envelope, attachments...)
	if err != nil {
		return nil, err
	}
	return &outgoing{contentType: m.ContentType(), size: m.Size(), open: m.Reader}, nil
}

// attachmentError is a source of an attachment that failed while it was sent: a fault of this computer.
type attachmentError struct{ err error }

func (e *attachmentError) Error() string { return "exchange: an attachment cannot be read" }

// SafeError is Error: what the source said may name a file.
func (e *attachmentError) SafeError() string { return e.Error() }

func (e *attachmentError) Unwrap() error { return e.err }

func (x *Exchanger) limit(c *Call) int64 { return cmp.Or(max(c.MaxAnswer, 0), x.maxAnswer) }

// read takes the answer apart: an envelope, or one with attachments.
func (x *Exchanger) read(resp *http.Response, c *Call) (reply, fault.Stage, error) {
	limit := x.limit(c)
	typ := resp.Header.Get("Content-Type")
	if !mime.Is(typ) {
		doc, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
		if err != nil {
			return reply{}, fault.Reading, err
		}
		if int64(len(doc)) > limit {
			return reply{}, fault.Reading, ErrTooLarge
		}
		return reply{status: resp.StatusCode, header: resp.Header, doc: doc}, fault.Reading, nil
	}
	got, err := mime.Read(typ, resp.Body, mime.Limits{Root: limit, Total: limit, Spill: c.Spill})
	switch {
	case errors.Is(err, mime.ErrLimit):
		return reply{}, fault.Reading, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, mime.ErrMedia), errors.Is(err, mime.ErrSyntax):
		return reply{}, fault.Reading, fault.AsSafe(fmt.Errorf("%w: %w", ErrParts, err))
	case err != nil:
		return reply{}, fault.Reading, err
	}
	return reply{status: resp.StatusCode, header: resp.Header, doc: got.Root, parts: got.Parts}, fault.Reading, nil
}
