package wsse_test

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"io"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// signature is a signer that costs nothing, so that what is measured is what is done around it.
type signature struct {
	crypto.Signer
	value []byte
}

func (s signature) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.value, nil }

// BenchmarkSealed builds a holder-of-key message around one sealed parameter of 16 kB, as the prescription services have them,
// but for the signature itself; and reads it back.
func BenchmarkSealed(b *testing.B) {
	sealed := make([]byte, 12<<10)
	_, _ = rand.Read(sealed)
	body := []byte(`<p:createPrescription xmlns:p="http:/services.recipe.be"><SecuredCreatePrescriptionRequest><SecuredContent>` +
		base64.StdEncoding.EncodeToString(sealed) + `</SecuredContent></SecuredCreatePrescriptionRequest></p:createPrescription>`)
	cred := wsse.Credential{Certificate: rsaID().cred.Certificate, Signer: signature{rsaID().cred.Signer, make([]byte, 256)}}
	tok := []byte(assertion(rsaID()))
	msg, err := wsse.HolderOfKey(body, tok, assertionID, cred, wsse.Stamp{Now: now})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("HolderOfKey", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wsse.HolderOfKey(body, tok, assertionID, cred, wsse.Stamp{Now: now}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Assertion", func(b *testing.B) {
		a, err := wsse.NewAssertion(tok, assertionID)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.HolderOfKey(body, cred, wsse.Stamp{Now: now}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := soap.Parse(msg, xmltree.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
