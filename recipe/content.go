package recipe

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// packers are writers that were used, for long documents: a new one clears a megabyte.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level exists
	return w
}}

// pack compresses content; sealing comes after it (dossier 04 section 1).
func pack(content []byte) ([]byte, error) {
	if len(content) <= maxFixed {
		return gzipFixed(content), nil
	}
	var out bytes.Buffer
	w := packers.Get().(*gzip.Writer) //nolint:forcetypeassert // nothing else is in there
	defer packers.Put(w)
	w.Reset(&out)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack is the reverse of pack, within a bound. The error is [ErrContent].
func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, ErrContent
	}
	out, err := io.ReadAll(io.LimitReader(r, maxKMEHR+1))
	if err != nil || len(out) > maxKMEHR {
		return nil, ErrContent
	}
	return out, nil
}

// Sealed is a content that was opened: what stands in it, who sealed it.
type sealedContent struct {
	plain  []byte
	report *etee.Report
}

// open opens the content of a prescription with its key and unpacks it. The key is asked of the key service unless it is
// remembered; who may not read it gets an error of Kind Denied. received is when Recip-e took it in; zero = not known.
func (c *client) open(ctx context.Context, op, keyID string, sealed []byte, received time.Time) (*sealedContent, error) {
	id, err := protocol.DecodeKeyID(keyID)
	if err != nil {
		return nil, c.damaged(op, err)
	}
	key, err := c.p.KGSS.Key(ctx, id)
	if err != nil {
		return nil, c.unopened(op, err)
	}
	m, err := c.p.Opener.Open(sealed, etee.WithKEK(key), etee.ReceivedAt(received))
	if err != nil {
		return nil, c.damaged(op, err)
	}
	plain, err := unpack(m.Content)
	if err != nil {
		return nil, c.damaged(op, err)
	}
	return &sealedContent{plain, m.Report}, nil
}

// openOwn opens what was sealed for the caller's own token: a notification or a feedback.
func (c *client) openOwn(op string, sealed []byte, received time.Time) (*sealedContent, error) {
	m, err := c.p.Opener.Open(sealed, etee.ReceivedAt(received))
	if err != nil {
		return nil, c.damaged(op, err)
	}
	plain, err := unpack(m.Content)
	if err != nil {
		return nil, c.damaged(op, err)
	}
	return &sealedContent{plain, m.Report}, nil
}

// sealFor seals what was packed for the holders of tokens: a pharmacy or a prescriber.
func (c *client) sealFor(ctx context.Context, op string, content []byte, to etee.Identifier) ([]byte, error) {
	found, err := c.p.Depot.Get(ctx, to)
	if err != nil {
		return nil, c.notSent(op, "", err)
	}
	packed, err := pack(content)
	if err != nil {
		return nil, c.local(op, fault.Local, err)
	}
	sealed, err := c.p.Sealer.Seal(packed, found.Recipients()...)
	if err != nil {
		return nil, c.local(op, fault.Local, err)
	}
	return sealed, nil
}

// damaged is the error of a content that was received and is not what it should be.
func (c *client) damaged(op string, err error) *fault.Error {
	kind := fault.Protocol
	if errors.Is(err, fault.ErrSecurity) {
		kind = fault.Security
	}
	return &fault.Error{Op: op, Service: c.service, Kind: kind, Outcome: fault.Done, Err: fault.AsSafe(err)}
}

// unopened is the error of a content whose key could not be had: the call itself was carried out.
func (c *client) unopened(op string, err error) *fault.Error {
	out := c.notSent(op, "", err)
	out.Outcome = fault.Done
	return out
}
