package main

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// kekFlags name a symmetric key of the platform's key service.
type kekFlags struct {
	KEKFile string `help:"File with a key-encryption key of 16 bytes, in base64." name:"kek-file" placeholder:"FILE"`
	KEKID   string `help:"Identifier of that key, in base64." name:"kek-id" placeholder:"BASE64"`
}

// kek reads the key; ok is false when none was named.
func (f kekFlags) kek() (k etee.KEK, ok bool, err error) {
	if f.KEKFile == "" {
		if f.KEKID != "" {
			return k, false, usageError{errors.New("--kek-id: needs --kek-file")}
		}
		return k, false, nil
	}
	text, err := readSmall("--kek-file", f.KEKFile)
	if err != nil {
		return k, false, err
	}
	key, err := base64.StdEncoding.DecodeString(string(text))
	clear(text)
	if err != nil {
		return k, false, usageError{errors.New("--kek-file: not base64")}
	}
	id, err := base64.StdEncoding.DecodeString(f.KEKID)
	if err != nil {
		return k, false, usageError{errors.New("--kek-id: not base64")}
	}
	if k, err = etee.NewKEK(id, key); err != nil {
		return k, false, usageError{fmt.Errorf("--kek-file: %w", err)}
	}
	return k, true, nil
}

// storeFlags name a key store.
type storeFlags struct {
	Keystore     string `help:"Key store of an eHealth certificate (PKCS#12)." placeholder:"P12"`
	PasswordFile string `help:"File with its password." name:"password-file" placeholder:"FILE"`
	Trust        string `help:"Certificate authorities to trust; those in the key store when absent." placeholder:"PEM"`
}

func (f storeFlags) open() (*keystore.Store, error) {
	if f.PasswordFile == "" {
		return nil, usageError{errors.New("--keystore: needs --password-file")}
	}
	password, err := readSmall("--password-file", f.PasswordFile)
	if err != nil {
		return nil, err
	}
	defer clear(password)
	s, err := keystore.OpenFile(f.Keystore, password)
	if err != nil {
		return nil, usageError{fmt.Errorf("--keystore: %w", pathless(err))}
	}
	return s, nil
}

// trust is whom certificates must come from. The key store may be nil.
func (f storeFlags) trust(s *keystore.Store) (etee.Trust, error) {
	roots := x509.NewCertPool()
	if f.Trust != "" {
		pem, err := readSmall("--trust", f.Trust)
		if err != nil {
			return etee.Trust{}, err
		}
		if !roots.AppendCertsFromPEM(pem) {
			return etee.Trust{}, usageError{errors.New("--trust: no certificate")}
		}
		return etee.Trust{Roots: roots}, nil
	}
	found := false
	if s != nil {
		all := s.Encryption()
		if auth, err := s.Authentication(); err == nil {
			all = append(all, auth)
		}
		for _, c := range all {
			for _, ca := range c.Chain {
				if ca.IsCA {
					roots.AddCert(ca)
					found = true
				}
			}
		}
	}
	if !found {
		return etee.Trust{}, usageError{errors.New("--trust: needed, there is no certificate authority in a key store")}
	}
	return etee.Trust{Roots: roots}, nil
}

// sealCmd seals a file.
type sealCmd struct {
	storeFlags
	To   []string `help:"Files with the ETKs of recipients, as the depot has them or in base64; may be repeated." placeholder:"ETK" sep:"none"`
	More []string `arg:"" name:"etk" optional:"" help:"More of them."`
	kekFlags
	In  string `help:"File to seal." placeholder:"PLAIN" required:""`
	Out string `help:"File to write." placeholder:"SEALED" required:""`
}

// Run seals. Nothing is written when it fails.
func (c *sealCmd) Run(s streams) error {
	if c.Keystore == "" {
		return usageError{errors.New("--keystore: needed to sign")}
	}
	store, err := c.storeFlags.open()
	if err != nil {
		return err
	}
	auth, err := store.Authentication()
	if err != nil {
		return usageError{fmt.Errorf("--keystore: %w", err)}
	}
	sealer, err := etee.NewSealer(auth)
	if err != nil {
		return usageError{fmt.Errorf("--keystore: %w", err)}
	}
	to, err := c.recipients(s, store)
	if err != nil {
		return err
	}
	in, err := openInput("--in", c.In)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(c.Out, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 64<<10)
		if err := sealer.SealTo(b, in, to...); err != nil {
			return sealFailed(pathless(err))
		}
		return b.Flush()
	})
}

// sealFailed tells mistakes in what was named from failures on the way.
func sealFailed(err error) error {
	for _, mistake := range []error{etee.ErrNoRecipient, etee.ErrRecipient, etee.ErrKEK, etee.ErrSigner} {
		if errors.Is(err, mistake) {
			return usageError{err}
		}
	}
	return err
}

// recipients reads and checks the ETKs and the key.
func (c *sealCmd) recipients(s streams, store *keystore.Store) ([]etee.Recipient, error) {
	var to []etee.Recipient
	files := append(append([]string{}, c.To...), c.More...)
	if len(files) > 0 {
		trust, err := c.trust(store)
		if err != nil {
			return nil, err
		}
		for i, file := range files {
			r, err := readRecipient(file, trust)
			if err != nil {
				return nil, fmt.Errorf("--to, number %d: %w", i+1, err)
			}
			for _, w := range r.Warnings() {
				fmt.Fprintf(s.err, "ehealth: --to, number %d: warning: %s\n", i+1, string(w))
			}
			to = append(to, r)
		}
	}
	k, ok, err := c.kek()
	if err != nil {
		return nil, err
	}
	if ok {
		if len(k.ID()) == 0 {
			return nil, usageError{errors.New("--kek-id: needed, a reader asks for the key by it")}
		}
		to = append(to, etee.ForKEK(k))
	}
	if len(to) == 0 {
		return nil, usageError{errors.New("--to or --kek-file: somebody must be able to open the message")}
	}
	return to, nil
}

func readRecipient(file string, trust etee.Trust) (etee.Recipient, error) {
	b, err := readSmall("file", file)
	if err != nil {
		return etee.Recipient{}, err
	}
	parse := etee.ParseETK
	if len(b) > 0 && b[0] != 0x30 { // not the beginning of a CMS message
		parse = etee.ParseETKBase64
	}
	k, err := parse(b)
	if err != nil {
		return etee.Recipient{}, usageError{err}
	}
	r, err := k.Check(trust, etee.Policy{}, time.Now())
	return r, refusedBy("etee.Check", err)
}

// refusedBy makes exit code 3 of a refusal.
func refusedBy(op string, err error) error {
	if refusal, ok := errors.AsType[*etee.Refusal](err); ok {
		return &fault.Error{
			Op: op, Kind: fault.Security, Outcome: fault.Rejected,
			Err: fault.AsSafe(errors.New(refusal.Report.String())),
		}
	}
	return err
}
