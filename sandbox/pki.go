package sandbox

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // subject key identifiers only (RFC 5280 4.2.1.2)
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Validity of every certificate, around the instant the sandbox was made.
const (
	certBefore = 24 * time.Hour
	certAfter  = 5 * 365 * 24 * time.Hour
)

// eHealthCBE is the enterprise number of the eHealth platform (public).
const eHealthCBE = "0809394427"

// Credential is a certificate with its key and the certificates of its issuers.
type Credential struct {
	Alias       string // alias in a key store: "authentication", or the decimal serial number of an encryption key
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // issuing CA, root
	Key         crypto.Signer       // *rsa.PrivateKey, except for TLS servers
}

// TLS returns the credential as crypto/tls wants it.
func (c Credential) TLS() tls.Certificate {
	out := tls.Certificate{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.Key, Leaf: c.Certificate}
	for _, i := range c.Chain {
		out.Certificate = append(out.Certificate, i.Raw)
	}
	return out
}

// pki is the certificate world of one sandbox: a root, the CA that issues eHealth certificates, the CA of identity
// cards, the CA of TLS servers, and what they issue. Everything below the CAs is made when it is asked for.
type pki struct {
	keys   KeySource
	name   string       // OU of the authorities: keys are shared by the sandboxes of a process, and what one issued is foreign to another
	next   atomic.Int64 // next index of keys
	serial atomic.Int64
	from   time.Time // NotBefore of everything
	to     time.Time // NotAfter of everything

	root    authority // in ca.pem
	ehealth authority // "eHealth issuing CA": people, organisations, STS and list signer; in ca.pem
	citizen authority // identity cards
	web     authority // TLS servers
	other   authority // a second root, not in ca.pem: tls_rotate new_issuer=1, and foreign certificates

	sts  lazyCredentials
	list lazyCredentials
	ra   lazyCredentials
}

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newPKI makes the CAs. Their keys are ECDSA P-256 where only our own TLS stack reads them and for the root, which
// only signs; the issuing CA of eHealth certificates has an RSA key, as clients of the real platform expect.
func newPKI(keys KeySource, now time.Time) (*pki, error) {
	p := &pki{keys: keys, name: "Sandbox " + randomHex(4), from: now.Add(-certBefore).Truncate(time.Second), to: now.Add(certAfter).Truncate(time.Second)}
	p.serial.Store(1 << 40)
	var err error
	if p.root, err = p.newAuthority("Sandbox Root CA", nil, false); err != nil {
		return nil, err
	}
	if p.other, err = p.newAuthority("Another Sandbox Root CA", nil, false); err != nil {
		return nil, err
	}
	if p.ehealth, err = p.newAuthority("SANDBOX eHealth issuing CA 001", &p.root, true); err != nil {
		return nil, err
	}
	if p.citizen, err = p.newAuthority("SANDBOX Citizen CA", &p.root, false); err != nil {
		return nil, err
	}
	p.web, err = p.newAuthority("SANDBOX Server CA", &p.root, false)
	return p, err
}

// roots is the pool of ca.pem: the root and the issuing CA.
func (p *pki) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root.cert)
	pool.AddCert(p.ehealth.cert)
	return pool
}

// stsSigner is the credential that signs assertions: CN "CBE=0809394427, IAMSBX".
func (p *pki) stsSigner() (Credential, error) {
	return p.sts.get(func() ([]Credential, error) { return p.application("IAMSBX") })
}

// listSigner is the credential that signs service lists: CN "CBE=0809394427, SERVICELIST" (dossier 01 D.5).
func (p *pki) listSigner() (Credential, error) {
	return p.list.get(func() ([]Credential, error) { return p.application("SERVICELIST") })
}

// registrar is the registration authority, which signs ETKs (dossier 02 A.1).
func (p *pki) registrar() (Credential, error) {
	return p.ra.get(func() ([]Credential, error) {
		key, err := p.rsaKey()
		if err != nil {
			return nil, err
		}
		name := rdn("C", "BE", "O", "Federal Government", "OU", "eHealth-platform Belgium", "CN", "ETK-RA")
		c, err := p.issue(p.ehealth, name, key, leaf{usage: x509.KeyUsageDigitalSignature, from: p.from, to: p.to})
		return []Credential{c}, err
	})
}

// Errors of clientChain.
var (
	errCertForeign = errors.New("certificate of another issuer")
	errCertExpired = errors.New("certificate not valid at this time")
	errCertUsage   = errors.New("certificate not meant for signatures")
)

// clientChain checks that cert was issued by this sandbox to a person or an organisation, is valid at now, and may
// sign. eid is true for the certificate of an identity card.
func (p *pki) clientChain(cert *x509.Certificate, now time.Time) (eid bool, err error) {
	var issuer *x509.Certificate
	switch {
	case issued(p.ehealth.cert, cert):
		issuer = p.ehealth.cert
	case issued(p.citizen.cert, cert):
		issuer, eid = p.citizen.cert, true
	default:
		return false, errCertForeign
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) || now.Before(issuer.NotBefore) || now.After(issuer.NotAfter) {
		return eid, errCertExpired
	}
	if cert.IsCA || cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return eid, errCertUsage
	}
	return eid, nil
}

// issued tells whether an authority issued a certificate: by its key, under its name.
func issued(by, cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, by.RawSubject) && cert.CheckSignatureFrom(by) == nil
}

// application issues a certificate of the platform itself (dossier 01 D.5 for the order of the names).
func (p *pki) application(app string) ([]Credential, error) {
	key, err := p.rsaKey()
	if err != nil {
		return nil, err
	}
	id := "CBE=" + eHealthCBE
	name := rdn("C", "BE", "O", "Federal Government", "OU", app, "OU", id, "OU", "EHEALTH-PLATFORM",
		"OU", "eHealth-platform Belgium", "CN", id+", "+app)
	c, err := p.issue(p.ehealth, name, key, leaf{usage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, from: p.from, to: p.to})
	return []Credential{c}, err
}

// subject is who a certificate of the eHealth layout names (dossier 01 B.4).
type subject struct {
	typ  string // "SSIN", "CBE", "NIHII-PHARMACY", …
	num  string
	name string
	app  string // application id, "" = none
}

func (s subject) rdn() pkix.RDNSequence {
	id := s.typ + "=" + s.num
	cn := id
	parts := []string{"C", "BE", "O", "Federal Government"}
	if s.app != "" {
		cn += ", " + s.app
		parts = append(parts, "OU", s.app)
	}
	return rdn(append(parts, "OU", id, "OU", s.name, "OU", "eHealth-platform Belgium", "CN", cn)...)
}

// issueEHealth makes what an eHealth keystore of one subject holds: the authentication credential first, then
// encryption keys, the newest first.
func (p *pki) issueEHealth(s subject, encryption int) ([]Credential, error) {
	auth, err := p.issueAuthentication(s)
	if err != nil {
		return nil, err
	}
	out := []Credential{auth}
	for i := range encryption {
		from, to := p.from, p.to
		if i > 0 { // an older key, replaced when the current one was made
			from, to = p.from.AddDate(-i-1, 0, 0), p.from.AddDate(0, i+1, 0)
		}
		c, err := p.issueEncryption(auth, from, to)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// issueAuthentication makes the credential of the alias "authentication".
func (p *pki) issueAuthentication(s subject) (Credential, error) {
	key, err := p.rsaKey()
	if err != nil {
		return Credential{}, err
	}
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	c, err := p.issue(p.ehealth, s.rdn(), key, leaf{usage: usage, from: p.from, to: p.to})
	c.Alias = "authentication"
	return c, err
}

// issueEncryption makes an encryption key. Its certificate is issued by the holder's own authentication key, has the
// holder's name as issuer and subject, and no extension but the key usage (dossier 02 A.1).
func (p *pki) issueEncryption(auth Credential, from, to time.Time) (Credential, error) {
	key, err := p.rsaKey()
	if err != nil {
		return Credential{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), encryptionSerialBits))
	if err != nil {
		return Credential{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial.SetBit(serial, encryptionSerialBits, 1), RawSubject: auth.Certificate.RawSubject, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment,
	}
	cert, err := create(t, auth.Certificate, key.Public(), auth.Key)
	if err != nil {
		return Credential{}, err
	}
	chain := append([]*x509.Certificate{auth.Certificate}, auth.Chain...)
	return Credential{Alias: cert.SerialNumber.String(), Certificate: cert, Key: key, Chain: chain}, nil
}

// encryptionSerialBits: serial numbers of encryption certificates have up to 127 bits (dossier 02 A.1), more than
// clients can hold in an integer.
const encryptionSerialBits = 126

// issueEID makes the authentication certificate of an identity card (subject with SERIALNUMBER).
func (p *pki) issueEID(ssin, first, last string) ([]Credential, error) {
	key, err := p.rsaKey()
	if err != nil {
		return nil, err
	}
	name := rdn("C", "BE", "CN", first+" "+last+" (Authentication)", "SN", last, "GN", first, "SERIALNUMBER", ssin)
	c, err := p.issue(p.citizen, name, key, leaf{usage: x509.KeyUsageDigitalSignature, from: p.from, to: p.to})
	c.Alias = "eid"
	return []Credential{c}, err
}

// issueTLS makes a server certificate for the given names and addresses.
func (p *pki) issueTLS(names []string, ips []net.IP, foreign bool) (Credential, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Credential{}, err
	}
	by := p.web
	if foreign {
		by = p.other
	}
	cn := "localhost"
	if len(names) > 0 {
		cn = names[0]
	}
	return p.issue(by, rdn("C", "BE", "O", "Sandbox", "CN", cn), key, leaf{
		usage: x509.KeyUsageDigitalSignature, ext: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		from: p.from, to: p.to, dns: names, ips: ips,
	})
}

// rsaKey takes the next key of the source.
func (p *pki) rsaKey() (*rsaKey, error) {
	i := int(p.next.Add(1) - 1)
	k, err := p.keys.RSA(i)
	if err != nil {
		return nil, fmt.Errorf("sandbox: key %d: %w", i, err)
	}
	return k, nil
}

// leaf is what differs between end-entity certificates.
type leaf struct {
	usage    x509.KeyUsage
	ext      []x509.ExtKeyUsage
	from, to time.Time
	dns      []string
	ips      []net.IP
}

// issue signs a certificate for key.
func (p *pki) issue(by authority, name pkix.RDNSequence, key crypto.Signer, l leaf) (Credential, error) {
	raw, err := marshalName(name)
	if err != nil {
		return Credential{}, err
	}
	t := &x509.Certificate{
		SerialNumber: p.nextSerial(), RawSubject: raw, NotBefore: l.from, NotAfter: l.to,
		KeyUsage: l.usage, ExtKeyUsage: l.ext, DNSNames: l.dns, IPAddresses: l.ips, BasicConstraintsValid: true,
	}
	cert, err := create(t, by.cert, key.Public(), by.key)
	if err != nil {
		return Credential{}, err
	}
	c := Credential{Certificate: cert, Key: key, Chain: []*x509.Certificate{by.cert}}
	if by.cert != p.root.cert && by.cert != p.other.cert {
		c.Chain = append(c.Chain, p.root.cert)
	}
	return c, nil
}

// newAuthority makes a CA, self-signed when by is nil.
func (p *pki) newAuthority(cn string, by *authority, withRSA bool) (authority, error) {
	var key crypto.Signer
	var err error
	if withRSA {
		key, err = p.rsaKey()
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return authority{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return authority{}, err
	}
	ski := sha1.Sum(spki) //nolint:gosec // an identifier, not a digest that protects something
	t := &x509.Certificate{
		SerialNumber: p.nextSerial(), Subject: pkix.Name{
			Country: []string{"BE"}, Organization: []string{"Sandbox, not eHealth"}, OrganizationalUnit: []string{p.name}, CommonName: cn,
		},
		// Older than what it issues, because encryption keys of former years hang below it.
		NotBefore: p.from.AddDate(-5, 0, 0), NotAfter: p.to, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: ski[:],
	}
	parent, signer := t, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	cert, err := create(t, parent, key.Public(), signer)
	return authority{cert: cert, key: key}, err
}

// nextSerial gives serial numbers that are unique within the sandbox, and long enough to be seen as numbers of more
// than 32 bits by clients that hold them as strings.
func (p *pki) nextSerial() *big.Int { return big.NewInt(p.serial.Add(7919)) }

// create signs the template and parses the result.
func create(t, parent *x509.Certificate, pub crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, signer)
	if err != nil {
		return nil, fmt.Errorf("sandbox: certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// lazyCredentials makes credentials once, on first use.
type lazyCredentials struct {
	once  sync.Once
	creds []Credential
	err   error
}

func (l *lazyCredentials) all(make func() ([]Credential, error)) ([]Credential, error) {
	l.once.Do(func() { l.creds, l.err = make() })
	return l.creds, l.err
}

func (l *lazyCredentials) get(make func() ([]Credential, error)) (Credential, error) {
	cs, err := l.all(make)
	if err != nil {
		return Credential{}, err
	}
	return cs[0], nil
}

// special issues a credential that is wrong in one way, for tests of refusals.
func (p *pki) special(by authority, s subject, from, to time.Time) (Credential, error) {
	key, err := p.rsaKey()
	if err != nil {
		return Credential{}, err
	}
	c, err := p.issue(by, s.rdn(), key, leaf{usage: x509.KeyUsageDigitalSignature, from: from, to: to})
	c.Alias = "authentication"
	return c, err
}
