package sandbox

import (
	"crypto/x509"
	"testing"
	"time"
)

// TestOtherEnvironment: sandboxes share their keys, and what one of them issued is worth nothing in another: no token, no
// certificate, no seal.
func TestOtherEnvironment(t *testing.T) {
	here, there := newRxWorld(t), newRxWorld(t)
	here.refusedWith(here.rxSend(there.doctors[0], here.rxCreate(rxDraft{})), "SOA-01001")
	q := here.rxCreate(rxDraft{})
	q.by = &there.doctors[0].key
	if _, code := here.rxCall(here.doctors[0], q); code != "Requester" {
		t.Errorf("a param sealed in another environment: %s", code)
	}
	cert := there.doctors[0].key.Certificate
	if _, err := here.s.pki.clientChain(cert, time.Now()); err != errCertForeign { //nolint:errorlint // the value itself
		t.Errorf("certificate: %v", err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: here.s.Roots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("clients of one sandbox trust the certificates of another")
	}
	if len(here.s.Prescriptions()) != 0 {
		t.Error("something was made")
	}
}
