package integration

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync"
)

// http11 is a plain transport for tests that need one of their own.
type http11 struct {
	roots *x509.CertPool

	once sync.Once
	t    *http.Transport
}

func (h *http11) client() *http.Client {
	h.once.Do(func() {
		h.t = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.roots, MinVersion: tls.VersionTLS12}}
	})
	return &http.Client{Transport: h.t}
}

func (h *http11) close() {
	if h.t != nil {
		h.t.CloseIdleConnections()
	}
}
