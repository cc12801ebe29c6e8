package exchange

import (
	"context"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// X509 secures messages with the X.509 token profile (dossier 01 A.6).
func X509(c wsse.Credential) Security { return x509Security{c} }

type x509Security struct{ credential wsse.Credential }

func (s x509Security) Secure(_ context.Context, body []byte) ([]byte, error) {
	return wsse.X509(body, s.credential, wsse.Stamp{Now: time.Now()})
}

// Refused has nothing to renew: with this profile it is the certificate that was refused.
func (x509Security) Refused(context.Context, *fault.Error) bool { return false }
