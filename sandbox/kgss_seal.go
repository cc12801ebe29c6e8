package sandbox

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

// errSealed says that a sealed message is not accepted. The reasons stay here: told to a sender they would be an oracle.
var errSealed = errors.New("sandbox: sealed message not accepted")

// minRSABits is what the policy EHEALTH_CERT asks of signers and recipients (dossier 02 B.2).
const minRSABits = 2048

// unseal opens a sealed message as a central service does (dossier 02 B.4): eHealth certificates only, PSS with SHA-256
// and salt 32 in both layers, RSA PKCS #1 v1.5 and AES-128-CBC. It stops at the first thing that is wrong.
func (s *Sandbox) unseal(msg []byte, keys []Credential, now time.Time) (content []byte, signer *x509.Certificate, err error) {
	outer, err := cms.ParseSignedData(bytes.Clone(msg), cms.Limits{})
	if err != nil || outer.Detached || len(outer.Signers) != 1 {
		return nil, nil, errSealed
	}
	signer, _, _ = outer.Signer(&outer.Signers[0])
	if signer == nil || !s.maySeal(signer, now) || !signedBy(outer, signer) {
		return nil, nil, errSealed
	}
	e, err := cms.ParseEnvelopedData(outer.Content.Compact(), cms.Limits{})
	if err != nil || e.Cipher() != cms.AES128CBC {
		return nil, nil, errSealed
	}
	key, err := contentKey(e, keys)
	if err != nil {
		return nil, nil, errSealed
	}
	plain, err := e.DecryptInPlace(key)
	if err != nil {
		return nil, nil, errSealed
	}
	inner, err := cms.ParseSignedData(plain, cms.Limits{})
	if err != nil || inner.Detached || len(inner.Signers) != 1 || !inner.Signers[0].ID.Matches(signer) || !signedBy(inner, signer) {
		return nil, nil, errSealed
	}
	return inner.Content.Bytes(), signer, nil
}

// maySeal checks the certificate of a sender.
func (s *Sandbox) maySeal(cert *x509.Certificate, now time.Time) bool {
	eid, err := s.pki.clientChain(cert, now)
	k, ok := cert.PublicKey.(*rsa.PublicKey)
	return err == nil && !eid && ok && k.N.BitLen() >= minRSABits
}

func signedBy(d *cms.SignedData, cert *x509.Certificate) bool {
	return d.Signers[0].Verify(d.Content.Digest(crypto.SHA256), cert.PublicKey, cms.VerifyOptions{
		Accept: []cms.Scheme{cms.PSSWithSHA256}, Salt: 32,
	}) == nil
}

// contentKey finds the recipient that is ours and unwraps.
func contentKey(e *cms.EnvelopedData, keys []Credential) ([]byte, error) {
	for _, r := range e.Recipients {
		if r.KeyTrans == nil {
			continue
		}
		for _, k := range keys {
			if !r.KeyTrans.ID.Matches(k.Certificate) {
				continue
			}
			d, ok := k.Key.(crypto.Decrypter)
			if p, _, _ := r.KeyTrans.Padding(); !ok || p != cms.PKCS1v15 {
				return nil, errSealed
			}
			return r.KeyTrans.Unwrap(d, e.Cipher().KeySize())
		}
	}
	return nil, errSealed
}

// seal makes a sealed message (dossier 02 B.3): the outer layer has the certificates, the inner one has none.
func seal(content []byte, by Credential, now time.Time, to ...cms.Target) ([]byte, error) {
	inner := cms.SignOptions{Certificate: by.Certificate, Signer: by.Key, SigningTime: now}
	outer := inner
	outer.Include = []*x509.Certificate{by.Certificate, by.Chain[0]}
	var b bytes.Buffer
	w3, err := cms.NewSignedWriter(&b, 0, outer)
	if err != nil {
		return nil, err
	}
	w2, err := cms.NewEnvelopedWriter(w3, 0, cms.EnvelopeOptions{Targets: to})
	if err != nil {
		return nil, err
	}
	w1, err := cms.NewSignedWriter(w2, 0, inner)
	if err != nil {
		return nil, err
	}
	if _, err := w1.Write(content); err != nil {
		return nil, err
	}
	for _, w := range []io.Closer{w1, w2, w3} {
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// recipientOf is the encryption certificate of an ETK that may be sealed for: one of this sandbox, intact, valid now.
func (s *Sandbox) recipientOf(token []byte, now time.Time) (*x509.Certificate, error) {
	d, err := cms.ParseSignedData(bytes.Clone(token), cms.Limits{Bytes: 64 << 10, Certificates: 16})
	if err != nil || d.Detached || len(d.Signers) != 1 {
		return nil, errSealed
	}
	content := d.Content.Bytes()
	enc, err := cms.ParseCertificate(content)
	if err != nil {
		return nil, errSealed
	}
	ra, others, _ := d.Signer(&d.Signers[0])
	registrar, err := s.pki.registrar()
	if err != nil || ra == nil || !ra.Equal(registrar.Certificate) {
		return nil, errSealed
	}
	if d.Signers[0].Verify(d.Content.Digest(crypto.SHA256), ra.PublicKey, cms.VerifyOptions{Accept: []cms.Scheme{cms.PKCS1v15WithSHA256}}) != nil {
		return nil, errSealed
	}
	k, ok := enc.PublicKey.(*rsa.PublicKey)
	enciphers := enc.KeyUsage&x509.KeyUsageKeyEncipherment != 0 && enc.KeyUsage&x509.KeyUsageDataEncipherment != 0
	if !ok || k.N.BitLen() < minRSABits || !enciphers || now.Before(enc.NotBefore) || now.After(enc.NotAfter) {
		return nil, errSealed
	}
	for _, auth := range others {
		if auth.Equal(ra) || auth.IsCA {
			continue
		}
		if _, err := s.pki.clientChain(auth, now); err == nil &&
			auth.CheckSignature(enc.SignatureAlgorithm, enc.RawTBSCertificate, enc.Signature) == nil {
			return enc, nil
		}
	}
	return nil, errSealed
}

// Seal seals content as somebody of the sandbox, for others of the sandbox, under their current keys: what a laboratory
// sends to a practice, say.
//
// It serves tests and demonstrations; a client seals with package etee. The error is ErrNobody when one of them is not
// there.
func (s *Sandbox) Seal(content []byte, by Holder, to ...Holder) ([]byte, error) {
	from := s.holder(string(by.Type), by.Number, by.Application)
	if from == nil {
		return nil, ErrNobody
	}
	mine, err := from.credentials()
	if err != nil {
		return nil, err
	}
	var targets []cms.Target
	for _, h := range to {
		c := s.holder(string(h.Type), h.Number, h.Application)
		if c == nil {
			return nil, ErrNobody
		}
		keys, err := c.credentials()
		if err != nil {
			return nil, err
		}
		targets = append(targets, cms.ForCertificate{Certificate: keys[1].Certificate})
	}
	return seal(content, mine[0], time.Now(), targets...)
}

// sealedForNobody is a message that looks right and that nobody here can open.
func sealedForNobody(content []byte, by Credential, now time.Time) ([]byte, error) {
	stranger := *by.Certificate // same name and key, another serial number: no store has it
	stranger.SerialNumber = new(big.Int).SetBit(new(big.Int), encryptionSerialBits, 1)
	return seal(content, by, now, cms.ForCertificate{Certificate: &stranger})
}
