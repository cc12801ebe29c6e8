package oracle

import (
	"strconv"
	"strings"
	"testing"
)

// C14NJob asks the JDK for one canonical form.
type C14NJob struct {
	Doc       []byte
	Apex      int // index of the apex among the elements in document order; 0 = root
	Inclusive bool
	Comments  bool
	Prefixes  []string // PrefixList of the exclusive form
}

// JavaC14N returns the canonical form of each job, in one batch. A
// document that the JDK cannot read stops the test.
func JavaC14N(t testing.TB, jobs []C14NJob) [][]byte {
	t.Helper()
	requests := make([][][]byte, len(jobs))
	for i, j := range jobs {
		requests[i] = [][]byte{
			j.Doc, []byte(strconv.Itoa(j.Apex)), flag(j.Inclusive), flag(j.Comments),
			[]byte(strings.Join(j.Prefixes, " ")),
		}
	}
	out := make([][]byte, len(jobs))
	for i, a := range java(t, "c14n", requests) {
		if len(a) != 2 || string(a[0]) != "ok" {
			t.Fatalf("oracle: JDK: job %d: %s\n%s", i, a[len(a)-1], jobs[i].Doc)
		}
		out[i] = a[1]
	}
	return out
}

func flag(b bool) []byte { return []byte(strconv.FormatBool(b)) }

// VerifyJob asks the JDK about one XML signature.
type VerifyJob struct {
	Doc  []byte
	Cert []byte // DER certificate of the signer; KeyInfo is not looked at
	// Signature selects among the ds:Signature elements in document order,
	// counted from 1. 0 is the one inside wsse:Security, or else the first.
	Signature int
	// AllowSHA1 switches the JDK's secure validation off, which refuses SHA-1.
	AllowSHA1 bool
}

// VerifyResult is the JDK's answer.
type VerifyResult struct {
	Valid          bool // signature value and all references
	SignatureValue bool
	References     []Reference
	Error          string // the JDK refused to look at it; "" otherwise
}

// Reference is one ds:Reference of a VerifyResult.
type Reference struct {
	URI   string
	Valid bool
}

// JavaVerify verifies signatures with the JDK, all in one batch. Attributes
// wsu:Id, and Id and AssertionID without namespace, are ids.
func JavaVerify(t testing.TB, jobs ...VerifyJob) []VerifyResult {
	t.Helper()
	requests := make([][][]byte, len(jobs))
	for i, j := range jobs {
		requests[i] = [][]byte{j.Doc, j.Cert, []byte(strconv.Itoa(j.Signature)), flag(j.AllowSHA1)}
	}
	out := make([]VerifyResult, len(jobs))
	for i, a := range java(t, "verify", requests) {
		if string(a[0]) != "ok" {
			out[i].Error = string(a[1])
			continue
		}
		out[i].Valid, out[i].SignatureValue = string(a[1]) == "true", string(a[2]) == "true"
		for r := a[3:]; len(r) >= 2; r = r[2:] {
			out[i].References = append(out[i].References, Reference{string(r[0]), string(r[1]) == "true"})
		}
	}
	return out
}

// SignJob asks the JDK for a detached signature over elements of a document.
type SignJob struct {
	Doc  []byte
	IDs  []string // ids of the elements to sign, one reference each
	Key  []byte   // PKCS#8 DER; RSA signs RSA-SHA256, EC signs ECDSA-SHA256
	Cert []byte   // DER; stands in KeyInfo/X509Data when KeyInfo is empty
	// ParentSpace and ParentLocal name the element that the signature is
	// appended to; empty = wsse:Security.
	ParentSpace, ParentLocal string
	// KeyInfo is the element to put into ds:KeyInfo, with its declarations,
	// for instance a wsse:SecurityTokenReference.
	KeyInfo []byte
	// Prefixes is written as InclusiveNamespaces of the canonicalisation and of
	// each reference; nil = no such element.
	Prefixes []string
	// Enveloped adds the enveloped-signature transform to each reference.
	Enveloped bool
}

// JavaSign returns the document with a ds:Signature: exclusive canonicalisation,
// SHA-256 digests. The ids are those of JavaVerify.
func JavaSign(t testing.TB, j SignJob) []byte {
	t.Helper()
	if j.ParentLocal == "" {
		j.ParentSpace = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
		j.ParentLocal = "Security"
	}
	a := java(t, "sign", [][][]byte{{
		j.Doc, j.Key, j.Cert, []byte(j.ParentSpace), []byte(j.ParentLocal), j.KeyInfo,
		[]byte(strings.Join(j.IDs, " ")), []byte(strings.Join(j.Prefixes, " ")), flag(j.Enveloped),
	}})[0]
	if len(a) != 2 || string(a[0]) != "ok" {
		t.Fatalf("oracle: JDK cannot sign: %s", a[len(a)-1])
	}
	return a[1]
}
