package keystore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"
)

const (
	// MaxSize is the largest file that is read: 1 MiB, some two hundred times an
	// eHealth certificate with three keys.
	MaxSize = 1 << 20

	// maxIterations bounds the work that a file can make us do before its MAC is
	// checked. 5 000 000 is where the JDK stops too; eHealth files have 100 000.
	maxIterations = 5_000_000

	maxChain = 8 // certificates above a key; eHealth has two
)

// Password is the secret of a key store. As []byte it can be wiped by the caller;
// the library below still makes strings of it for the time of the call.
type Password interface{ ~string | ~[]byte }

// File is the [Source] of a PKCS#12 file, which is read at every Open, so that a
// renewed certificate is picked up. It keeps a copy of the password.
func File[P Password](path string, password P) Source {
	secret := bytes.Clone([]byte(password))
	return SourceFunc(func(ctx context.Context) (*Store, error) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("keystore: %w", err)
		}
		return OpenFile(path, secret)
	})
}

// OpenFile reads a PKCS#12 file of at most [MaxSize] bytes and calls [Load]. Errors
// of the operating system can be asked for ([fs.ErrNotExist]) but do not show the
// path.
func OpenFile[P Password](path string, password P) (*Store, error) {
	data, err := readFile(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("keystore: read file: %w", err)
	}
	return Load(data, password)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// Load reads a PKCS#12 file with any number of RSA and ECDSA keys, protected by one
// password, in the old algorithms (3DES, RC2, SHA-1) and the new (PBES2). Keys
// without a certificate are left out. A store without authentication key is no
// error here: it may be an old one, opened for its encryption keys.
//
// Errors wrap [ErrPassword], [ErrNotKeystore] or [ErrNoKey].
func Load[P Password](file []byte, password P) (*Store, error) {
	if len(file) > MaxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrNotKeystore, MaxSize)
	}
	if err := checkMAC(file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKeystore, err)
	}
	//lint:ignore SA1019 Decode and DecodeChain refuse files with more than one key
	blocks, err := pkcs12.ToPEM(file, string(password))
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, ErrPassword
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotKeystore, err)
	}
	all, err := pair(blocks)
	for _, b := range blocks {
		clear(b.Bytes)
	}
	if err != nil {
		return nil, err
	}
	return newStore(all, authentication(all)), nil
}

// checkMAC looks at the outside of a PFX (RFC 7292 section 4): it must have a MAC,
// whose check then vouches for everything inside, and the rounds of that MAC must
// be bearable. Every INTEGER of MacData is compared, wherever it stands: in the
// classic form the rounds are a field, in PBMAC1 (RFC 9579) an algorithm parameter.
func checkMAC(file []byte) error {
	var pfx, mac cryptobyte.String
	in := cryptobyte.String(file)
	if !in.ReadASN1(&pfx, cbasn1.SEQUENCE) || !in.Empty() {
		return errors.New("not DER, or cut off")
	}
	if !pfx.SkipASN1(cbasn1.INTEGER) || !pfx.SkipASN1(cbasn1.SEQUENCE) {
		return errors.New("not a PFX")
	}
	if !pfx.ReadASN1(&mac, cbasn1.SEQUENCE) {
		return errors.New("no MAC")
	}
	return checkIntegers(mac, 0)
}

func checkIntegers(in cryptobyte.String, depth int) error {
	const deepest = 8 // PBMAC1 needs 5
	for !in.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		whole := in
		if depth > deepest || !in.ReadAnyASN1(&value, &tag) {
			return errors.New("MAC data damaged")
		}
		if tag == cbasn1.INTEGER {
			var n big.Int
			if !whole.ReadASN1Integer(&n) || n.Sign() < 0 || n.Cmp(big.NewInt(maxIterations)) > 0 {
				return fmt.Errorf("more than %d iterations", maxIterations)
			}
		} else if tag&cbasn1.Tag(0x20) != 0 { // constructed
			if err := checkIntegers(value, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// bag is a parsed PEM block: one of key and certificate is set.
type bag struct {
	alias, id   string
	key         crypto.Signer
	certificate *x509.Certificate
}

// pair finds the certificate and the chain of every key.
func pair(blocks []*pem.Block) ([]Credential, error) {
	var keys, certs []bag
	for _, b := range blocks {
		parsed := bag{alias: b.Headers["friendlyName"], id: b.Headers["localKeyId"]}
		if b.Type == "CERTIFICATE" {
			// A copy, since a certificate keeps the bytes it was parsed from. One
			// that cannot be read is of no use and does no harm.
			if c, err := x509.ParseCertificate(bytes.Clone(b.Bytes)); err == nil {
				parsed.certificate = c
				certs = append(certs, parsed)
			}
			continue
		}
		key, err := parseKey(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotKeystore, err)
		}
		parsed.key = key
		keys = append(keys, parsed)
	}
	var all []Credential
	for _, k := range keys {
		own, ok := ownCertificate(k, certs)
		if !ok {
			continue
		}
		alias := k.alias
		if alias == "" {
			alias = own.alias
		}
		if alias == "" {
			alias = own.certificate.SerialNumber.String()
		}
		all = append(all, Credential{alias, own.certificate, chain(own.certificate, certs), k.key})
	}
	if len(all) == 0 {
		return nil, ErrNoKey
	}
	return all, nil
}

// parseKey reads a "PRIVATE KEY" block of ToPEM, which holds PKCS#1 or SEC 1 bytes
// and not PKCS#8 (dossier 07 section 8); PKCS#8 is read as well should that change.
func parseKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	return nil, errors.New("private key of an unknown kind")
}

// ownCertificate finds the certificate of a key: the one with the same localKeyId,
// else with the same alias, else any; always with the same public key, since a
// wrong pair would sign what nobody can verify. Among equals the newest.
func ownCertificate(key bag, certs []bag) (bag, bool) {
	rank := func(c bag) int {
		switch {
		case key.id != "" && c.id == key.id:
			return 2
		case key.alias != "" && c.alias == key.alias:
			return 1
		}
		return 0
	}
	var best bag
	for _, c := range certs {
		if !samePublic(c.certificate, key.key) {
			continue
		}
		if best.certificate == nil || rank(c) > rank(best) ||
			rank(c) == rank(best) && c.certificate.NotBefore.After(best.certificate.NotBefore) {
			best = c
		}
	}
	return best, best.certificate != nil
}

// chain follows the issuers among the certificates of the file. An encryption
// certificate has the same subject and issuer name as the authentication
// certificate that signed it (dossier 02 A.1), so names alone do not do: the
// signature decides.
func chain(c *x509.Certificate, certs []bag) []*x509.Certificate {
	var out []*x509.Certificate
	for len(out) < maxChain {
		next := issuer(c, certs)
		if next == nil || slices.ContainsFunc(out, next.Equal) {
			break
		}
		out = append(out, next)
		c = next
	}
	return out
}

func issuer(c *x509.Certificate, certs []bag) *x509.Certificate {
	for _, b := range certs {
		p := b.certificate
		if p.Equal(c) || !bytes.Equal(p.RawSubject, c.RawIssuer) {
			continue
		}
		err := p.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
		var insecure x509.InsecureAlgorithmError
		if err == nil || errors.As(err, &insecure) && bytes.Equal(p.SubjectKeyId, c.AuthorityKeyId) {
			return p // old certificates carry SHA-1, which is not checked but still links
		}
	}
	return nil
}
