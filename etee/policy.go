package etee

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

// Defaults of [Policy], those of the official library (dossier 02 B.4).
const (
	DefaultWindow = 5 * time.Minute
	DefaultSkew   = 5 * time.Minute
)

// ErrPolicy: no policy or strictness of that name.
var ErrPolicy = errors.New("etee: unknown policy")

// Policy says what an opened message must fulfil. The zero value is the policy "without-non-repudiation".
type Policy struct {
	// NonRepudiation demands that the certificate of the inner signature has the key usage nonRepudiation. eHealthBox,
	// Recip-e, chapter IV and the hubs want it (dossier 02 E). Without it, digitalSignature will do.
	NonRepudiation bool
	// Profiles are the signature policies that are accepted; nil = both.
	Profiles []Profile
	// Off switches parts of [Advised] off, Also switches others on.
	Off, Also Strictness
	// Refuse are warnings that are errors for this caller.
	Refuse []Code
	// Window is the age up to which a claimed signing time gives no warning, Skew how far clocks may differ: 0 =
	// [DefaultWindow] and [DefaultSkew]. A negative window gives no warning whatever the age, as is right for who reads an archive.
	Window, Skew time.Duration
}

// Names of policies for [ParsePolicy].
const (
	NameNonRepudiation        = "non-repudiation"
	NameWithoutNonRepudiation = "without-non-repudiation"
)

// Name returns the name of the policy with its switches, as ParsePolicy reads it.
func (p Policy) Name() string {
	name := NameWithoutNonRepudiation
	if p.NonRepudiation {
		name = NameNonRepudiation
	}
	for i, s := range strictnessNames {
		switch bit := Strictness(1) << i; {
		case bit&Advised != 0 && p.strict()&bit == 0:
			name += ",-" + s
		case bit&Advised == 0 && p.strict()&bit != 0:
			name += ",+" + s
		}
	}
	return name
}

// ParsePolicy reads the name of a policy, followed by any number of switches after commas: "-" and the name of a
// strictness switches it off, "+" on. The error wraps [ErrPolicy].
//
//	non-repudiation
//	without-non-repudiation,-salt-32,+exact-recipient
func ParsePolicy(text string) (Policy, error) {
	parts := strings.Split(text, ",")
	var p Policy
	switch parts[0] {
	case NameNonRepudiation:
		p.NonRepudiation = true
	case NameWithoutNonRepudiation:
	default:
		return p, fmt.Errorf("%w %q", ErrPolicy, parts[0])
	}
	for _, part := range parts[1:] {
		name, on := strings.CutPrefix(part, "+")
		if !on {
			if name, on = strings.CutPrefix(part, "-"); !on {
				return p, fmt.Errorf("%w: switch without sign: %q", ErrPolicy, part)
			}
			on = false
		}
		s, err := ParseStrictness(name)
		if err != nil {
			return p, err
		}
		if on {
			p.Also, p.Off = p.Also|s, p.Off&^s
		} else {
			p.Off, p.Also = p.Off|s, p.Also&^s
		}
	}
	return p, nil
}

func (p Policy) strict() Strictness { return Advised&^p.Off | p.Also }

func (p Policy) is(s Strictness) bool { return p.strict()&s == s }

// Strictness is a set of checks that the official library does not make.
type Strictness uint16

// The checks, with their names for [ParseStrictness].
const (
	// VerifyFirst ("verify-first") decrypts nothing before the outer signature, its certificate and its chain were
	// found good. Without it the inner layer is looked at all the same, so that the report tells more; the content is
	// given out in no case.
	VerifyFirst Strictness = 1 << iota
	// Salt32 ("salt-32") demands a PSS salt as long as the digest, which is what everybody writes.
	Salt32
	// AlgorithmProtection ("algorithm-protection") compares that attribute, when there is one, with the algorithms used.
	AlgorithmProtection
	// KEKIdentifier ("kek-identifier") uses a KEK only for recipients with its identifier, if it has one.
	KEKIdentifier
	// SingleKEK ("single-kek") refuses messages with more than one KEK recipient.
	SingleKEK
	// RASignature ("ra-signature") demands that the registration authority's signature of an ETK verifies.
	RASignature
	// ExactRecipient ("exact-recipient"), not part of [Advised], finds the private key by issuer and serial number
	// together. Without it the serial number alone is tried next, as old key stores need it.
	ExactRecipient
	// SignedAttributes ("signed-attributes"), not part of Advised, refuses messages whose signatures have no signed
	// attributes: those of version 1 of the official library.
	SignedAttributes

	// Advised is what dossier 02 advises, and the default.
	Advised = VerifyFirst | Salt32 | AlgorithmProtection | KEKIdentifier | SingleKEK | RASignature
)

var strictnessNames = [...]string{
	"verify-first", "salt-32", "algorithm-protection", "kek-identifier", "single-kek", "ra-signature", "exact-recipient",
	"signed-attributes",
}

// ParseStrictness returns the one check of that name. The error wraps [ErrPolicy].
func ParseStrictness(name string) (Strictness, error) {
	if i := slices.Index(strictnessNames[:], name); i >= 0 {
		return 1 << i, nil
	}
	return 0, fmt.Errorf("%w: strictness %q", ErrPolicy, name)
}

// String lists the names.
func (s Strictness) String() string {
	var names []string
	for i, n := range strictnessNames {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

// Profile is one of the signature policies of the official library (dossier 02 B.2); 0 = none. It follows from the
// signature algorithm.
type Profile uint8

const (
	// EHealthCertificate: RSASSA-PSS with SHA-256, keys of 2048 bits or more.
	EHealthCertificate Profile = iota + 1
	// EID: PKCS #1 v1.5 with SHA-256, keys of 1024 bits or more, for Belgian identity cards.
	EID
)

// String returns the name that the official library has for it.
func (p Profile) String() string {
	switch p {
	case EHealthCertificate:
		return "EHEALTH_CERT"
	case EID:
		return "EID"
	}
	return "none"
}

func (p Profile) scheme() cms.Scheme {
	if p == EID {
		return cms.PKCS1v15WithSHA256
	}
	return cms.PSSWithSHA256
}

// minBits is the shortest signing key.
func (p Profile) minBits() int {
	if p == EID {
		return 1024
	}
	return minRecipientBits
}

// minRecipientBits is the shortest key to encrypt for (policy KNOWN_RECIPIENT).
const minRecipientBits = 2048

const digestAlgorithm = crypto.SHA256

func profileOf(oid cms.OID) Profile {
	switch oid {
	case cms.OIDRSAPSS:
		return EHealthCertificate
	case cms.OIDSHA256WithRSA, cms.OIDRSAEncryption:
		return EID
	}
	return 0
}
