package recipe

import (
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sts"
)

// UDDI ids of the services (dossier 04 section 2.1). That of the patient is in no list and follows the other two.
const (
	ServicePrescriber = "uddi:ehealth-fgov-be:business:recip-eprescriber:v4"
	ServiceExecutor   = "uddi:ehealth-fgov-be:business:recip-eexecutor:v4"
	ServicePatient    = "uddi:ehealth-fgov-be:business:recip-epatient:v4"
)

const (
	// DefaultTimeout bounds a call over all its attempts (dossier 06 B.5, BCP-01).
	DefaultTimeout = 15 * time.Second
	// DefaultMaxAnswer bounds an answer: lists carry the sealed content of a hundred prescriptions.
	DefaultMaxAnswer = 16 << 20
	// maxKMEHR bounds what a sealed content may become when it is unpacked.
	maxKMEHR = 4 << 20
)

// Platform is what the clients need of the eHealth platform. All but Engine and Tokens is required.
type Platform struct {
	Exchange *exchange.Exchanger
	// Security secures messages with the caller's login token (holder-of-key).
	Security exchange.Security
	// Depot has the token of Recip-e, and those of pharmacies and prescribers.
	Depot *etee.Depot
	// KGSS has the keys of prescriptions. It belongs to the same caller.
	KGSS *etee.KGSS
	// Sealer signs in the caller's name.
	Sealer *etee.Sealer
	// Opener opens what is sealed for the caller, and prescriptions with their key. Its policy asks for non-repudiation
	// (dossier 02 E).
	Opener *etee.Opener
	// Tokens is where Security has its token from: asked before a prescription is put into the outbox, so that a login that
	// is missing is known before. nil = Security finds out.
	Tokens sts.TokenSource
	// Engine knows which addresses failed lately, so that no prescription is the first message to one. nil = nobody knows.
	Engine *resilience.Engine
}

// Caller is who calls: the login token says the same.
type Caller struct {
	// NIHII is the number with eleven digits of a prescriber, or with eight of a pharmacy or a hospital.
	NIHII identity.NIHII
	// Quality says which profession or organisation it is.
	Quality identity.Quality
	// SSIN is the person's number. A patient has no other.
	SSIN identity.SSIN
}

// Config is the resolved configuration of a client.
type Config struct {
	// Timeout bounds a call over all its attempts, MaxAnswer one answer in bytes.
	Timeout   time.Duration
	MaxAnswer int64
	// ProgramID names the software, "<vendor>/<version>" (dossier 04 section 3.3).
	ProgramID string
	// Recipients is who Recip-e is in the ETK depot, candidates in order (dossier 04 section 9.1).
	Recipients []etee.Identifier
	// Generation is that of the sealed payloads.
	Generation protocol.Generation
	// PrescriptionVersion is sent as it is; "" = "kmehr_" and the version that the document names.
	PrescriptionVersion string
	// Readers are who may read a prescription, its patient left out; nil = [DefaultReaders] for the caller.
	Readers []etee.Reader
	// VisionAdministrative sends AdministrativeInformation with putVision, as the schema asks and no known client does.
	VisionAdministrative bool
	// TrustedRefusals, see [WithTrustedRefusals].
	TrustedRefusals bool
	// OnEvent is told what became of prescriptions after their call had ended. It must not block.
	OnEvent func(Event)
	// Properties keeps the rules that the platform publishes; nil = memory.
	Properties PropertiesStore
}

// Option changes a default.
type Option func(*Config) error

// WithTimeout bounds a call over all its attempts. 0 means the default; negative is an error, because a call must end.
func WithTimeout(d time.Duration) Option {
	return func(c *Config) error {
		if d < 0 {
			return reason("recipe: a timeout cannot be switched off")
		}
		if c.Timeout = d; d == 0 {
			c.Timeout = DefaultTimeout
		}
		return nil
	}
}

// WithMaxAnswer bounds one answer in bytes; 0 = the default.
func WithMaxAnswer(n int64) Option {
	return func(c *Config) error {
		if n < 0 {
			return reason("recipe: answers must be bounded")
		}
		if c.MaxAnswer = n; n == 0 {
			c.MaxAnswer = DefaultMaxAnswer
		}
		return nil
	}
}

// WithProgramID sets Config.ProgramID. It is required.
func WithProgramID(id string) Option {
	return func(c *Config) error { c.ProgramID = id; return nil }
}

// WithRecipients sets Config.Recipients; none = [etee.RecipeIdentifier] alone.
func WithRecipients(candidates ...etee.Identifier) Option {
	return func(c *Config) error {
		if len(candidates) > 0 {
			c.Recipients = slices.Clone(candidates)
		}
		return nil
	}
}

// WithGeneration sets Config.Generation; the default is that of 2023.
func WithGeneration(g protocol.Generation) Option {
	return func(c *Config) error { c.Generation = g; return nil }
}

// WithPrescriptionVersion sets Config.PrescriptionVersion.
func WithPrescriptionVersion(v string) Option {
	return func(c *Config) error { c.PrescriptionVersion = v; return nil }
}

// WithReaders sets Config.Readers. Without [ReaderPharmacy] no pharmacy can read what is prescribed, although it is accepted;
// without a reader for the own profession the prescriber cannot read it himself.
func WithReaders(readers ...etee.Reader) Option {
	return func(c *Config) error { c.Readers = slices.Clone(readers); return nil }
}

// WithVisionAdministrative sets Config.VisionAdministrative.
func WithVisionAdministrative() Option {
	return func(c *Config) error { c.VisionAdministrative = true; return nil }
}

// WithTrustedRefusals believes the platform when it refuses a new prescription because Recip-e is not available (SOA-02001,
// SOA-02002, HTTP 503 and 429): then it counts as not sent, the other address is asked, and paper may be given at once. It is
// off by default: such an answer mostly comes from the gateway before anything was forwarded, but does not prove it (dossier
// 04 section 14.1), and a prescription that was made all the same would be a second one. Without the option the outcome is
// found out first.
func WithTrustedRefusals() Option {
	return func(c *Config) error { c.TrustedRefusals = true; return nil }
}

// WithEvents sets Config.OnEvent.
func WithEvents(f func(Event)) Option {
	return func(c *Config) error { c.OnEvent = f; return nil }
}

// WithProperties sets Config.Properties.
func WithProperties(s PropertiesStore) Option {
	return func(c *Config) error { c.Properties = s; return nil }
}

func configure(opts []Option) (Config, error) {
	c := Config{
		Timeout: DefaultTimeout, MaxAnswer: DefaultMaxAnswer, Generation: protocol.Gen2023,
		Recipients: []etee.Identifier{etee.RecipeIdentifier},
	}
	for _, o := range opts {
		if err := o(&c); err != nil {
			return c, err
		}
	}
	if strings.TrimSpace(c.ProgramID) == "" {
		return c, reason("recipe: the name of the program is required (WithProgramID)")
	}
	return c, nil
}

// ReaderPharmacy lets every recognised pharmacy read (dossier 04 section 9.3, row 2).
func ReaderPharmacy() etee.Reader {
	return certified("urn:be:fgov:ehealth:1.0:pharmacy:nihii-number:recognisedpharmacy:boolean", "true")
}

// ReaderHospital lets every hospital read (row 5, which not all clients write).
func ReaderHospital() etee.Reader { return certified("urn:be:fgov:ehealth:1.0:hospital:nihii-number") }

// ReaderRecognisedHospital lets every hospital read by the claim that its login token certifies (dossier 01 A.12): the number of
// row 5 is one that a hospital asserts itself, in the other namespace, so that row alone does not let it read what it wrote.
func ReaderRecognisedHospital() etee.Reader {
	return certified("urn:be:fgov:ehealth:1.0:hospital:nihii-number:recognisedhospital:nihii11")
}

// ReaderDoctor lets every doctor read (rows 1 and 4).
func ReaderDoctor() etee.Reader {
	return certified("urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11")
}

// ReaderProfession lets everybody of a profession read: doctors, dentists, midwives, nurses and physiotherapists (row 1).
// ok is false for any other.
func ReaderProfession(q identity.Quality) (r etee.Reader, ok bool) {
	if q == identity.Doctor {
		return ReaderDoctor(), true
	}
	name, ok := map[identity.Quality]string{
		identity.Dentist: "dentist", identity.Midwife: "midwife", identity.Nurse: "nurse", identity.Physiotherapist: "physiotherapist",
	}[q]
	return certified("urn:be:fgov:person:ssin:ehealth:1.0:nihii:" + name + ":nihii11"), ok
}

// DefaultReaders are the readers of the official module with the author's own profession: that one, doctors and pharmacies
// (rows 1, 2 and 4), and hospitals when the author is one.
func DefaultReaders(q identity.Quality) []etee.Reader {
	var out []etee.Reader
	if r, ok := ReaderProfession(q); ok {
		out = append(out, r)
	}
	out = append(out, ReaderPharmacy())
	if q != identity.Doctor {
		out = append(out, ReaderDoctor())
	}
	if q == identity.Hospital {
		out = append(out, ReaderHospital(), ReaderRecognisedHospital())
	}
	return out
}

func certified(name string, values ...string) etee.Reader {
	return etee.Reader{Namespace: etee.NamespaceCertified, Name: name, Values: values}
}

// acl is who may read a prescription of a patient.
func (c *client) acl(patient identity.SSIN) etee.ACL {
	readers := c.conf.Readers
	if readers == nil {
		readers = DefaultReaders(c.who.Quality)
	}
	return etee.ACL{Allowed: append(slices.Clone(readers), etee.Reader{
		Namespace: etee.NamespaceIdentification, Name: "urn:be:fgov:person:ssin", Values: []string{patient.Reveal()},
	})}
}
