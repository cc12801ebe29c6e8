package sandbox

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/p12"
)

// The JSON of sandbox.json. It is a valid configuration file of the clients: environment, ca, trust, services,
// serviceList, software, identity and caller are theirs; people, patients and admin are for those who drive the sandbox.
type (
	envFile struct {
		Environment string                   `json:"environment"`
		CA          string                   `json:"ca"`
		Trust       envTrust                 `json:"trust"`
		Services    map[string][]envEndpoint `json:"services"`
		ServiceList envList                  `json:"serviceList"`
		Software    envSoftware              `json:"software"`
		Identity    envKeystore              `json:"identity"`
		Caller      envCaller                `json:"caller"`
		People      []envPerson              `json:"people"`
		Orgs        []envOrganisation        `json:"organisations"`
		Patients    []envPatient             `json:"patients"`
		Admin       string                   `json:"admin"`
	}
	envTrust struct {
		STS         string `json:"sts"`
		ServiceList string `json:"serviceList"`
		ETK         string `json:"etk"` // holders and the registration authority of encryption tokens, signers of sealed messages
	}
	envMailbox struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		SubType string `json:"subType,omitempty"`
		Quality string `json:"quality"`
	}
	envEndpoint struct {
		URL    string `json:"url"`
		Order  int    `json:"order"`
		Status string `json:"status"`
	}
	envList struct {
		V1 string `json:"v1"`
		V2 string `json:"v2"`
	}
	envSoftware struct {
		Name    string     `json:"name"`
		Contact string     `json:"contact"`
		Licence envLicence `json:"licence"`
	}
	envLicence struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	envKeystore struct {
		Keystore string `json:"keystore"`
		Password string `json:"password"`
	}
	envCaller struct {
		Quality string     `json:"quality"` // "" = a patient
		NIHII   string     `json:"nihii"`
		Name    string     `json:"name"`
		SSIN    string     `json:"ssin,omitempty"`
		Holder  *envHolder `json:"holder,omitempty"`
	}
	envHolder struct {
		NIHII string `json:"nihii"`
		Name  string `json:"name"`
		SSIN  string `json:"ssin"`
	}
	// envPerson says everything twice: flat, for people and scripts, and as identity, login and caller, in the words of
	// a client's configuration. A pharmacist logs in with a certificate of his own and calls with the pharmacy's.
	envPerson struct {
		Role     string       `json:"role"`
		Name     string       `json:"name"`
		SSIN     string       `json:"ssin"`
		NIHII    string       `json:"nihii"`
		Keystore string       `json:"keystore"`
		Password string       `json:"password"`
		Pharmacy *envPharmacy `json:"pharmacy,omitempty"`
		Identity envKeystore  `json:"identity"`
		Login    *envKeystore `json:"login,omitempty"`
		Caller   envCaller    `json:"caller"`
		Mailbox  envMailbox   `json:"mailbox,omitzero"` // patients have none
	}
	envPharmacy struct {
		NIHII      string `json:"nihii"`
		Name       string `json:"name"`
		HolderSSIN string `json:"holderSsin"`
		Keystore   string `json:"keystore"`
		Password   string `json:"password"`
	}
	envOrganisation struct {
		Role     string `json:"role"`
		Type     string `json:"type"`
		Number   string `json:"number"`
		Name     string `json:"name"`
		Keystore string `json:"keystore"`
		Password string `json:"password"`

		Identity envKeystore  `json:"identity"`
		Login    *envKeystore `json:"login,omitempty"`
		Caller   envCaller    `json:"caller"`
		Mailbox  envMailbox   `json:"mailbox"`
	}
	envPatient struct {
		SSIN     string   `json:"ssin"`
		Scenario Scenario `json:"scenario"`
		// What a prescription says about its patient.
		FirstName string `json:"firstName"`
		LastName  string `json:"lastName"`
		Birth     string `json:"birth"`
		Sex       string `json:"sex"`
	}
)

// Names of the files of an environment.
const (
	environmentName = "sandbox.json"
	caName          = "ca.pem"
	peopleDir       = "people"

	// roleOfPatients is what sandbox.json calls the patients who have a key store, and soManyPatients is how many have.
	roleOfPatients = "patient"
	soManyPatients = 2
)

// WriteEnvironment writes what a client needs to use this sandbox into dir, which is made when absent: ca.pem, one
// key store in the eHealth layout per person and organisation, and for the first two patients (alias "authentication",
// encryption keys by decimal serial number), and sandbox.json, last. Key stores and sandbox.json, which holds their password, are written with mode 0600,
// every file atomically, and no file name holds a number or a name of a person. Files of an earlier sandbox in dir
// are replaced.
//
// It makes the certificates of everybody, which takes some seconds of RSA keys the first time.
func (s *Sandbox) WriteEnvironment(dir string) error {
	people := filepath.Join(dir, peopleDir)
	if err := os.MkdirAll(people, 0o700); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	var ca []byte
	for _, c := range s.CA() {
		ca = append(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := writeFile(filepath.Join(dir, caName), ca, 0o644); err != nil {
		return err
	}
	password, err := newPassword()
	if err != nil {
		return err
	}
	if err := s.writeKeystores(people, password); err != nil {
		return err
	}
	doc, err := json.MarshalIndent(s.environmentFile(password), "", "  ")
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return writeFile(filepath.Join(dir, environmentName), append(doc, '\n'), 0o600)
}

// writeKeystores writes everybody's store, two at a time: making keys is what takes the time.
func (s *Sandbox) writeKeystores(dir, password string) error {
	var all []*certified
	for _, p := range s.people.people {
		all = append(all, &p.certified)
	}
	for _, p := range s.citizensWithKeys() {
		all = append(all, &p.certified)
	}
	for _, o := range s.people.organisations {
		all = append(all, &o.certified)
	}
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i, h := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = h.write(dir, password)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// citizensWithKeys are the patients who can log in with what is in the directory.
func (s *Sandbox) citizensWithKeys() (out []*Person) {
	for _, p := range s.people.patients[:min(soManyPatients, len(s.people.patients))] {
		out = append(out, s.Citizen(p.SSIN))
	}
	return out
}

// write stores the credentials as dir/<stem>.p12.
func (h *certified) write(dir, password string) error {
	der, err := h.Keystore(password)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, h.stem+".p12"), der, 0o600)
}

// Keystore returns the key store of the person or organisation in the eHealth layout, as PKCS#12.
func (h *certified) Keystore(password string) ([]byte, error) {
	creds, err := h.credentials()
	if err != nil {
		return nil, err
	}
	var entries []p12.Entry
	for _, c := range creds {
		entries = append(entries, p12.Entry{Alias: c.Alias, Key: c.Key, Certificate: c.Certificate, Chain: c.Chain})
	}
	return p12.Encode(entries, password, p12.Iterations(keystoreRounds))
}

// keystoreRounds are OpenSSL's default: what is made up need not withstand more, and tests open many.
const keystoreRounds = 2048

func (h *certified) path() string { return peopleDir + "/" + h.stem + ".p12" }

// environmentFile is the content of sandbox.json.
func (s *Sandbox) environmentFile(password string) envFile {
	f := envFile{
		Environment: "sandbox", CA: caName, Trust: envTrust{STS: caName, ServiceList: caName, ETK: caName},
		Services:    map[string][]envEndpoint{},
		ServiceList: envList{V1: s.ListURL(1), V2: s.ListURL(2)},
		Software: envSoftware{
			Name: "Example/1.0", Contact: "support@example.be", Licence: envLicence{Username: "example", Password: "example"},
		},
		Admin: s.AdminURL(),
	}
	for id, eps := range s.Services() {
		for _, e := range eps {
			f.Services[id] = append(f.Services[id], envEndpoint{URL: e.URL, Order: e.Order, Status: status(e.Active)})
		}
	}
	for _, p := range s.people.people {
		f.People = append(f.People, personEntry(p, password))
	}
	for _, p := range s.citizensWithKeys() {
		e := personEntry(p, password)
		e.Role, e.Mailbox = roleOfPatients, envMailbox{}
		f.People = append(f.People, e)
	}
	for _, o := range s.people.organisations {
		f.Orgs = append(f.Orgs, organisationEntry(o, password))
	}
	for _, p := range s.people.patients {
		f.Patients = append(f.Patients, envPatient{
			SSIN: p.SSIN.Reveal(), Scenario: p.Scenario, FirstName: p.FirstName, LastName: p.LastName, Birth: p.Birth.Format(time.DateOnly), Sex: p.Sex,
		})
	}
	if d := s.Person(identity.Doctor, 0); d != nil {
		e := personEntry(d, password)
		f.Identity, f.Caller = e.Identity, e.Caller
	}
	return f
}

func personEntry(p *Person, password string) envPerson {
	e := envPerson{
		Role: string(p.Role), Name: p.Name(), SSIN: p.SSIN.Reveal(), NIHII: p.NIHII.Reveal(), Keystore: p.path(), Password: password,
		Identity: envKeystore{Keystore: p.path(), Password: password},
		Caller:   envCaller{Quality: string(p.Role), NIHII: p.NIHII.Reveal(), Name: p.Name(), SSIN: p.SSIN.Reveal()},
		Mailbox:  envMailbox(p.Mailbox()),
	}
	o := p.Pharmacy
	if o == nil {
		return e
	}
	h := o.Holder
	e.Pharmacy = &envPharmacy{
		NIHII: o.Number, Name: o.Name, HolderSSIN: h.SSIN.Reveal(), Keystore: o.path(), Password: password,
	}
	e.Identity, e.Login = envKeystore{Keystore: o.path(), Password: password}, &envKeystore{Keystore: p.path(), Password: password}
	e.Caller.NIHII, e.Caller.Name = o.Number, o.Name
	e.Mailbox = envMailbox(o.Mailbox()) // the token is the pharmacy's, too
	e.Caller.Holder = holderEntry(h)
	return e
}

func holderEntry(h *Person) *envHolder {
	return &envHolder{NIHII: h.NIHII.Reveal(), Name: h.Name(), SSIN: h.SSIN.Reveal()}
}

// organisationEntry: a pharmacy logs in with the certificate of a person, who is its holder here (dossier 01 A.12).
func organisationEntry(o *Organisation, password string) envOrganisation {
	e := envOrganisation{
		Role: string(o.Role), Type: string(o.Type), Number: o.Number, Name: o.Name, Keystore: o.path(), Password: password,
		Identity: envKeystore{Keystore: o.path(), Password: password},
		Caller:   envCaller{Quality: string(o.Role), NIHII: o.Number, Name: o.Name},
		Mailbox:  envMailbox(o.Mailbox()),
	}
	if h := o.Holder; h != nil {
		e.Login = &envKeystore{Keystore: h.path(), Password: password}
		e.Caller.SSIN, e.Caller.Holder = h.SSIN.Reveal(), holderEntry(h)
	}
	return e
}

// newPassword makes a password for the key stores of one environment.
func newPassword() (string, error) {
	b := make([]byte, 15)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("sandbox: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(b)), nil
}

// writeFile writes a file in one step: readers see the former content or the new one.
func writeFile(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("sandbox: %w", err)
		}
	}()
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
