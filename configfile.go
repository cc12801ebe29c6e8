package ehealth

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sts"
)

// maxConfigFile bounds a configuration file, in bytes. A sandbox with a large population
// writes some hundred kilobytes.
const maxConfigFile = 8 << 20

// File is the JSON form of a configuration. Paths in it are relative to the file itself.
// Unknown fields are ignored, so that a sandbox.json with more in it is a valid one.
type File struct {
	// Environment is sandbox, integration, acceptance or production.
	Environment string `json:"environment"`
	// CA is a PEM file with the roots for TLS; "" = those of the operating system.
	CA string `json:"ca"`
	// Trust names PEM files with the authorities of the login service ("" = CA), of the
	// service list ("" = no list is read), and of encryption tokens and seals ("" = STS).
	Trust struct {
		STS         string `json:"sts"`
		ServiceList string `json:"serviceList"`
		ETK         string `json:"etk"`
	} `json:"trust"`
	// ServiceList gives the bases of the list, without suffix; absent = those of the environment.
	// V2 is asked first.
	ServiceList struct {
		V1 string `json:"v1"`
		V2 string `json:"v2"`
	} `json:"serviceList"`
	// DataDir is [Config.DataDir].
	DataDir string `json:"dataDir"`
	// NoStoredAnswers is [Config.NoStoredAnswers].
	NoStoredAnswers bool `json:"noStoredAnswers"`
	// Outbox sets [Config.Outbox], whose handlers are the program's to add. File is relative to this
	// file; Postgres is the address of a database, or PostgresFile a file that holds it.
	Outbox *struct {
		File         string `json:"file"`
		Postgres     string `json:"postgres"`
		PostgresFile string `json:"postgresFile"`
	} `json:"outbox"`
	// Mail sets [Config.Mail]; {} is enough.
	Mail *FileMail `json:"mail"`
	// Recipe sets [Config.Recipe]; {} is enough.
	Recipe *FileRecipe `json:"recipe"`
	// Services gives addresses by UDDI id, over the built-in ones of the environment.
	Services map[string][]FileEndpoint `json:"services"`
	Software struct {
		Name    string `json:"name"`
		Contact string `json:"contact"`
		Licence struct {
			Username     string `json:"username"`
			Password     string `json:"password"`
			PasswordFile string `json:"passwordFile"`
		} `json:"licence"`
	} `json:"software"`
	// Identity is the eHealth certificate; Login another credential to log in with, if any, and
	// Fallback one for when that is refused.
	Identity FileKeystore  `json:"identity"`
	Login    *FileKeystore `json:"login"`
	Fallback *FileKeystore `json:"fallback"`
	Caller   FileCaller    `json:"caller"`
	// People and Organisations are further callers that [LoadConfigAs] can choose by role.
	People        []FilePerson `json:"people"`
	Organisations []FilePerson `json:"organisations"`
	// TokenValidity and InsurabilityTimeout are durations such as "12h" or "5s"; "" = default.
	TokenValidity       string `json:"tokenValidity"`
	InsurabilityTimeout string `json:"insurabilityTimeout"`
}

// FileEndpoint is one address of a service. Status is ACTIVE or INACTIVE.
type FileEndpoint struct {
	URL    string `json:"url"`
	Order  int    `json:"order"`
	Status string `json:"status"`
}

// FileKeystore names a PKCS#12 file and its password, in the file or in another one.
type FileKeystore struct {
	Keystore     string `json:"keystore"`
	Password     string `json:"password"`
	PasswordFile string `json:"passwordFile"`
}

// FileCaller is the care provider who calls.
type FileCaller struct {
	Quality string      `json:"quality"`
	NIHII   string      `json:"nihii"`
	Name    string      `json:"name"`
	SSIN    string      `json:"ssin"` // of a pharmacist: who logs in
	SiteID  string      `json:"siteId"`
	Holder  *FileHolder `json:"holder"` // of a pharmacy
}

// FileHolder is the holder of a pharmacy.
type FileHolder struct {
	NIHII string `json:"nihii"`
	Name  string `json:"name"`
	SSIN  string `json:"ssin"`
}

// FilePerson is a caller with the key stores to call with.
type FilePerson struct {
	Role     string        `json:"role"`
	Identity FileKeystore  `json:"identity"`
	Login    *FileKeystore `json:"login"`
	Caller   FileCaller    `json:"caller"`
}

// LoadConfig reads a configuration file. Errors name the field, never its content.
func LoadConfig(path string) (Config, error) { return LoadConfigAs(path, "") }

// LoadConfigAs reads a configuration file and takes the first of its people, then of its
// organisations, whose role is as for the caller; "" means the caller of the file itself.
func LoadConfigAs(path, as string) (Config, error) {
	f, err := readFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("ehealth: configuration file: %w", err)
	}
	if as != "" {
		if err := f.become(as); err != nil {
			return Config{}, fmt.Errorf("ehealth: configuration file: %w", err)
		}
	}
	cfg, err := f.config(filepath.Dir(path))
	if err != nil {
		return Config{}, fmt.Errorf("ehealth: configuration file: %w", err)
	}
	return cfg, nil
}

func readFile(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxConfigFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxConfigFile {
		return nil, errors.New("file is too large")
	}
	f := new(File)
	if err := json.Unmarshal(b, f); err != nil {
		// The text of a JSON error may quote a value; the place is enough to find it.
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("not JSON at byte %d", syntax.Offset)
		}
		if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, fmt.Errorf("field %s has the wrong type", typ.Field)
		}
		return nil, errors.New("not JSON")
	}
	return f, nil
}

func (f *File) become(role string) error {
	for _, p := range append(slices.Clone(f.People), f.Organisations...) {
		if p.Role == role {
			f.Identity, f.Login, f.Fallback, f.Caller = p.Identity, p.Login, nil, p.Caller
			return nil
		}
	}
	return fmt.Errorf("nobody has the role %q", role)
}

func (f *File) config(dir string) (cfg Config, err error) {
	at := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	if cfg.Environment, err = ParseEnvironment(f.Environment); err != nil {
		return cfg, err
	}
	cfg.Software.Name, cfg.Software.Contact = f.Software.Name, f.Software.Contact
	licence, err := secret(f.Software.Licence.Password, at(f.Software.Licence.PasswordFile))
	if err != nil {
		return cfg, fmt.Errorf("software.licence: %w", err)
	}
	cfg.Software.Licence = insurability.NewLicence(f.Software.Licence.Username, licence)
	if cfg.Trust.TLS, err = pool(at(f.CA)); err != nil {
		return cfg, fmt.Errorf("ca: %w", err)
	}
	if cfg.Trust.STS, err = pool(at(f.Trust.STS)); err != nil {
		return cfg, fmt.Errorf("trust.sts: %w", err)
	}
	if cfg.Trust.STS == nil {
		cfg.Trust.STS = cfg.Trust.TLS
	}
	if cfg.Trust.ServiceList, err = pool(at(f.Trust.ServiceList)); err != nil {
		return cfg, fmt.Errorf("trust.serviceList: %w", err)
	}
	if cfg.Trust.ETK, err = pool(at(f.Trust.ETK)); err != nil {
		return cfg, fmt.Errorf("trust.etk: %w", err)
	}
	for _, u := range []string{f.ServiceList.V2, f.ServiceList.V1} {
		if u != "" {
			cfg.ServiceList.URLs = append(cfg.ServiceList.URLs, u)
		}
	}
	cfg.DataDir, cfg.NoStoredAnswers = at(f.DataDir), f.NoStoredAnswers
	if o := f.Outbox; o != nil {
		cfg.Outbox = &Outbox{File: at(o.File)}
		if cfg.Outbox.Postgres, err = secret(o.Postgres, at(o.PostgresFile)); err != nil {
			return cfg, fmt.Errorf("outbox: %w", err)
		}
	}
	if cfg.Mail, err = f.Mail.parse(at); err != nil {
		return cfg, fmt.Errorf("mail: %w", err)
	}
	if cfg.Recipe, err = f.Recipe.parse(at); err != nil {
		return cfg, fmt.Errorf("recipe: %w", err)
	}
	if cfg.Identity, err = f.Identity.source(at); err != nil {
		return cfg, fmt.Errorf("identity: %w", err)
	}
	if cfg.Login, err = f.Login.optional(at); err != nil {
		return cfg, fmt.Errorf("login: %w", err)
	}
	if cfg.Fallback, err = f.Fallback.optional(at); err != nil {
		return cfg, fmt.Errorf("fallback: %w", err)
	}
	if cfg.Caller, cfg.Session, err = f.Caller.parse(); err != nil {
		return cfg, fmt.Errorf("caller: %w", err)
	}
	if cfg.Services, err = services(f.Services); err != nil {
		return cfg, fmt.Errorf("services: %w", err)
	}
	if cfg.TokenValidity, err = duration(f.TokenValidity); err != nil {
		return cfg, errors.New("tokenValidity is not a duration")
	}
	if cfg.InsurabilityTimeout, err = duration(f.InsurabilityTimeout); err != nil {
		return cfg, errors.New("insurabilityTimeout is not a duration")
	}
	return cfg, nil
}

func services(in map[string][]FileEndpoint) (map[string][]resilience.Endpoint, error) {
	out := make(map[string][]resilience.Endpoint, len(in))
	for id, eps := range in {
		for _, e := range eps {
			if !strings.HasPrefix(e.URL, "https://") {
				return nil, fmt.Errorf("%s: only https addresses are allowed", id)
			}
			out[id] = append(out[id], resilience.Endpoint{URL: e.URL, Order: e.Order, Active: strings.EqualFold(e.Status, "ACTIVE")})
		}
	}
	return out, nil
}

func (k FileKeystore) source(at func(string) string) (keystore.Source, error) {
	if k.Keystore == "" {
		return nil, errors.New("keystore is required")
	}
	password, err := secret(k.Password, at(k.PasswordFile))
	if err != nil {
		return nil, err
	}
	return keystore.File(at(k.Keystore), password), nil
}

func (k *FileKeystore) optional(at func(string) string) (keystore.Source, error) {
	if k == nil {
		return nil, nil
	}
	return k.source(at)
}

// parse turns the text of the file into identifiers. Of a pharmacy, SSIN is who logs in.
func (c FileCaller) parse() (out insurability.Caller, session sts.Identity, err error) {
	out = insurability.Caller{Quality: identity.Quality(c.Quality), Name: c.Name, SiteID: c.SiteID}
	if out.NIHII, err = parseIf(c.NIHII, identity.ParseNIHII); err != nil {
		return out, session, fmt.Errorf("nihii: %w", err)
	}
	ssin, err := parseIf(c.SSIN, identity.ParseSSIN)
	if err != nil {
		return out, session, fmt.Errorf("ssin: %w", err)
	}
	if c.Holder == nil {
		out.SSIN = ssin
		return out, session, nil
	}
	h := &insurability.Holder{Name: c.Holder.Name}
	if h.NIHII, err = parseIf(c.Holder.NIHII, identity.ParseNIHII); err != nil {
		return out, session, fmt.Errorf("holder.nihii: %w", err)
	}
	if h.SSIN, err = parseIf(c.Holder.SSIN, identity.ParseSSIN); err != nil {
		return out, session, fmt.Errorf("holder.ssin: %w", err)
	}
	if ssin.IsZero() {
		ssin = h.SSIN
	}
	out.Holder = h
	session = sts.Identity{Quality: out.Quality, SSIN: ssin, NIHII: out.NIHII, Holder: h.SSIN}
	return out, session, nil
}

func parseIf[T any](s string, parse func(string) (T, error)) (zero T, err error) {
	if s == "" {
		return zero, nil
	}
	return parse(s)
}

func duration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	return time.ParseDuration(s)
}

// secret returns the value itself, or the first line of the file that holds it.
func secret(value, file string) (string, error) {
	if value != "" || file == "" {
		return value, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return string(bytes.TrimRight(line, "\r")), nil
}

func pool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		return nil, errors.New("no certificate in it")
	}
	return p, nil
}
