package bcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxToken bounds the .sha2 answer, which is one line.
const maxToken = 4 << 10

// answer is one HTTP answer, whole.
type answer struct {
	status       int
	body         []byte
	etag         string
	lastModified string
}

// conditions make a request conditional; zero fields are left out.
type conditions struct{ etag, lastModified string }

// fetch gets one resource. The whole exchange, body included, must end within the deadline of ctx; a body that is longer
// than limit is given up at once. Errors are ErrTooLarge, ErrEndless (the answer began but did not end in time) and
// ErrUnreachable.
func fetch(ctx context.Context, client *http.Client, url string, limit int64, c conditions) (*answer, error) {
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%w: address", ErrUnreachable)
	}
	if c.etag != "" {
		rq.Header.Set("If-None-Match", c.etag)
	}
	if c.lastModified != "" {
		rq.Header.Set("If-Modified-Since", c.lastModified)
	}
	rs, err := client.Do(rq)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, cause(ctx, err))
	}
	defer rs.Body.Close()
	if rs.StatusCode != http.StatusOK {
		return &answer{status: rs.StatusCode}, nil
	}
	if rs.ContentLength > limit {
		return nil, ErrTooLarge
	}
	// Read grows with what arrives, not with what is announced.
	body, err := io.ReadAll(io.LimitReader(rs.Body, limit+1))
	switch {
	case int64(len(body)) > limit:
		return nil, ErrTooLarge
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, ErrEndless
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, cause(ctx, err))
	}
	return &answer{rs.StatusCode, body, rs.Header.Get("ETag"), rs.Header.Get("Last-Modified")}, nil
}

// cause keeps the deadline of the fetch visible, which the HTTP client words in its own way.
func cause(ctx context.Context, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	return err
}

// statusError is an answer that holds no list.
func statusError(status int) error {
	return fmt.Errorf("%w: HTTP status %d", ErrUnreachable, status)
}

// fetchToken gets the change token: opaque text, trimmed (dossier 01 D.1). known is false when the server has none.
func (d *Directory) fetchToken(ctx context.Context, base string) (token string, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	a, err := fetch(ctx, d.http, base+".sha2", maxToken, conditions{})
	switch {
	case errors.Is(err, ErrTooLarge):
		return "", false, nil // a web page, say: the list itself will tell
	case errors.Is(err, ErrEndless):
		return "", false, fmt.Errorf("%w: the change token did not end in time", ErrUnreachable)
	case err != nil:
		return "", false, err
	case a.status != http.StatusOK:
		return "", false, nil
	}
	token = strings.TrimSpace(string(a.body))
	return token, token != "", nil
}

// fetchList gets the list. unchanged is true when the server says that it is the one of the conditions.
func (d *Directory) fetchList(ctx context.Context, base string, c conditions) (a *answer, unchanged bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	a, err = fetch(ctx, d.http, base+".xml", MaxBytes, c)
	switch {
	case err != nil:
		return nil, false, err
	case a.status == http.StatusNotModified && c != (conditions{}):
		return nil, true, nil
	case a.status != http.StatusOK:
		return nil, false, statusError(a.status)
	}
	return a, false, nil
}
