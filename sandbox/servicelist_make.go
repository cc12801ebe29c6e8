package sandbox

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Namespaces of service lists (dossier 01 D.2, D.3, D.5).
const (
	nsList1 = "urn:be:fgov:ehealth:bcp:protocol:v1"
	nsList2 = "urn:be:fgov:ehealth:bcp:protocol:v2"
	nsXAdES = "http://uri.etsi.org/01903/v1.3.2#"

	typeSignedProperties = "http://uri.etsi.org/01903#SignedProperties"
)

// instantFormat writes xs:dateTime as the platform does, in UTC with milliseconds.
const instantFormat = "2006-01-02T15:04:05.000Z"

// listed is one service of a list.
type listed struct {
	id, name  string
	endpoints []Endpoint
}

// makeList writes and signs a list.
func (s *Sandbox) makeList(version int, st ListState, issued time.Time) ([]byte, error) {
	env := s.environment()
	switch st.Defect {
	case ListOld:
		issued = issued.AddDate(-1, 0, 0)
	case ListEnvironment:
		if env = "Production"; s.environment() == env {
			env = "Acceptation"
		}
	}
	services := s.listed(st)
	if st.Defect == ListUnknownHost {
		hijack(services)
	}
	id := fmt.Sprintf("_sl%d-%d", version, issued.UnixMilli())
	doc, err := writeList(version, id, issued, env, services, nil)
	if err != nil || st.Defect == ListUnsigned {
		return doc, err
	}
	by, err := s.listCredential(st.Defect)
	if err != nil {
		return nil, err
	}
	if doc, err = signList(doc, id, issued, by); err != nil {
		return nil, err
	}
	switch st.Defect {
	case ListBadSignature:
		doc = bytes.Replace(doc, []byte(">https://"), []byte(">https://x."), 1)
	case ListWrapped:
		return wrapList(version, issued, env, services, doc)
	case ListDTD:
		doc = append([]byte("<!DOCTYPE ServiceList [<!ENTITY e \"e\">]>\n"), doc...)
	}
	return doc, nil
}

// listed is the services with the addresses and states of the list.
func (s *Sandbox) listed(st ListState) []listed {
	var out []listed
	at := map[string]int{}
	family := map[string]string{} // UDDI -> service of its Order 0
	for _, r := range s.routes {
		if r.UDDI == "" || r.Unlisted {
			continue
		}
		i, ok := at[r.UDDI]
		if !ok {
			i = len(out)
			at[r.UDDI] = i
			out = append(out, listed{id: r.UDDI, name: displayName(r)})
		}
		if r.Order == 0 {
			family[r.UDDI] = r.Service
		}
		out[i].endpoints = append(out[i].endpoints, Endpoint{URL: s.net.url(r), Order: r.Order, Active: r.Order == 0})
	}
	for i := range out {
		applyEntries(out[i].endpoints, family[out[i].id], st.Set)
	}
	return out
}

func displayName(r route) string {
	if r.Name != "" {
		return r.Name
	}
	return r.UDDI[strings.LastIndexAny(strings.TrimRight(r.UDDI, "0123456789v:"), ":")+1:]
}

// applyEntries sets the states that entries for a service name; see ListEntry.
func applyEntries(eps []Endpoint, service string, set []ListEntry) {
	named, activates := map[int]bool{}, false
	for _, e := range set {
		if e.Service == service {
			named[e.Order] = e.Active
			activates = activates || e.Active
		}
	}
	for i := range eps {
		if active, ok := named[eps[i].Order]; ok {
			eps[i].Active = active
		} else if activates {
			eps[i].Active = false
		}
	}
}

// hijack points every address elsewhere. The domain is reserved by RFC 2606.
func hijack(services []listed) {
	for i := range services {
		for j := range services[i].endpoints {
			services[i].endpoints[j].URL = fmt.Sprintf("https://services.example.invalid/%d/%d", i, j)
		}
	}
}

// writeList writes the unsigned list, with first in front of the services.
func writeList(version int, id string, issued time.Time, env string, services []listed, first []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("", "ServiceList")
	if version == 2 {
		w.NS("", nsList2)
	} else {
		w.NS("", nsList1)
	}
	w.Attr("", "Id", id)
	w.Attr("", "IssueInstant", issued.UTC().Format(instantFormat))
	w.Attr("", "Environment", env)
	if first != nil {
		w.Raw(first)
	}
	for _, sv := range services {
		w.Start("", "Service")
		w.Attr("", "Id", sv.id)
		w.Attr("", "Name", sv.name)
		if version == 2 {
			w.Start("", "EndpointList")
		}
		for _, e := range sv.endpoints {
			w.Start("", "Endpoint")
			w.Attr("", "Order", strconv.Itoa(e.Order))
			w.Attr("", "Status", status(e.Active))
			w.Text(e.URL)
			w.End()
		}
		if version == 2 {
			w.End()
		}
		w.End()
	}
	w.End()
	return w.Bytes()
}

// signList adds the XAdES signature as last child of the root: reference to the root with enveloped-signature and
// exclusive C14N, and to the signed properties (dossier 01 D.5).
func signList(doc []byte, id string, at time.Time, by Credential) ([]byte, error) {
	root, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	sigID, propID := "sig"+id, "xades"+id
	sig, err := dsig.Sign(by.Key, []dsig.Ref{
		{Node: root, URI: "#" + id, Enveloped: true},
		{URI: "#" + propID, Type: typeSignedProperties},
	}, dsig.SignOptions{
		ID: sigID,
		KeyInfo: func(w *xmltree.Writer) {
			dsig.WriteX509Data(w, by.Certificate)
			if len(by.Chain) > 0 {
				dsig.WriteX509Data(w, by.Chain[0])
			}
		},
		Objects: func(w *xmltree.Writer) { writeXAdES(w, sigID, propID, at, by.Certificate) },
	})
	if err != nil {
		return nil, err
	}
	head, tail := splitLast(doc)
	return bytes.Join([][]byte{head, sig, tail}, nil), nil
}

// writeXAdES writes the qualifying properties: time and certificate of the signature (ETSI TS 101 903 v1.3.2).
func writeXAdES(w *xmltree.Writer, sigID, propID string, at time.Time, cert *x509.Certificate) {
	w.Start("ds", "Object")
	w.Start("xades", "QualifyingProperties")
	w.NS("xades", nsXAdES)
	w.Attr("", "Target", "#"+sigID)
	w.Start("xades", "SignedProperties")
	w.Attr("", "Id", propID)
	w.Start("xades", "SignedSignatureProperties")
	w.Leaf("xades", "SigningTime", at.UTC().Format(instantFormat))
	w.Start("xades", "SigningCertificate")
	w.Start("xades", "Cert")
	w.Start("xades", "CertDigest")
	w.Start("ds", "DigestMethod")
	w.Attr("", "Algorithm", dsig.SHA256)
	w.End()
	sum := sha256.Sum256(cert.Raw)
	w.Leaf("ds", "DigestValue", base64.StdEncoding.EncodeToString(sum[:]))
	w.End()
	w.Start("xades", "IssuerSerial")
	w.Leaf("ds", "X509IssuerName", cert.Issuer.String())
	w.Leaf("ds", "X509SerialNumber", cert.SerialNumber.String())
	for range 6 { // IssuerSerial, Cert, SigningCertificate, SignedSignatureProperties, SignedProperties, QualifyingProperties
		w.End()
	}
	w.End()
}

// listCredential is who signs.
func (s *Sandbox) listCredential(d Defect) (Credential, error) {
	good, err := s.pki.listSigner()
	if err != nil {
		return Credential{}, err
	}
	switch d {
	case ListPerson:
		return s.people.people[0].Authentication()
	case ListSelfSigned, ListForeignCA:
		return s.pki.impostor(good, d == ListSelfSigned)
	}
	return good, nil
}

// wrapList puts a signed list into an unsigned root whose own services name other addresses.
func wrapList(version int, issued time.Time, env string, services []listed, signed []byte) ([]byte, error) {
	hijack(services)
	return writeList(version, fmt.Sprintf("_w%d", issued.UnixMilli()), issued, env, services, signed)
}

// impostor is a certificate with the subject of c that another CA issued, or nobody.
func (p *pki) impostor(c Credential, selfSigned bool) (Credential, error) {
	key, err := p.rsaKey()
	if err != nil {
		return Credential{}, err
	}
	t := &x509.Certificate{
		SerialNumber: p.nextSerial(), RawSubject: c.Certificate.RawSubject, NotBefore: p.from, NotAfter: p.to,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	by, signer := p.other.cert, p.other.key
	if selfSigned {
		by, signer = t, key
	}
	cert, err := create(t, by, key.Public(), signer)
	if err != nil {
		return Credential{}, err
	}
	out := Credential{Certificate: cert, Key: key}
	if !selfSigned {
		out.Chain = []*x509.Certificate{p.other.cert}
	}
	return out, nil
}
