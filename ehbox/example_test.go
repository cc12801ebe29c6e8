package ehbox_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// A letter is given while eHealthBox is down: it is on disk, and goes by itself once eHealthBox is back.
func ExampleMailer_Send() {
	client := exampleClient(unplugged{})
	mailer, err := ehbox.NewMailer(client, hospitalKeys{}, exampleSealer())
	if err != nil {
		panic(err)
	}
	dir, _ := os.MkdirTemp("", "outbox")
	defer os.RemoveAll(dir)
	disk, err := outbox.OpenBolt(filepath.Join(dir, "outbox.db"))
	if err != nil {
		panic(err)
	}
	key, _ := outbox.KeyFromBytes(bytes.Repeat([]byte{1}, outbox.KeySize)) // a real one is random, or derived from the key store
	box, err := outbox.Open(context.Background(), disk, outbox.NewKeys(key), mailer.Handle())
	if err != nil {
		panic(err)
	}
	defer box.Close()
	mailer.Use(box)

	hospital := ehbox.ByNIHII(identity.MustNIHII("70999941"), ehbox.Hospital)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // so long a person waits
	defer cancel()
	sent, err := mailer.Send(ctx, ehbox.Letter{
		Reference: "letter/4711", To: []ehbox.Destination{ehbox.To(hospital)},
		Title: ehbox.Hide("Referral"), Body: ehbox.NewData([]byte("Dear colleague, …")),
	})
	fmt.Println(sent.State, sent.Notice, errors.Is(err, outbox.ErrQueued))
	fmt.Println(hospital)
	// Output:
	// queued D-MSG-QUEUED true
	// {[private] NIHII HOSPITAL HOSPITAL}
}

func exampleClient(network http.RoundTripper) *ehbox.Client {
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: network}, UserAgent: "MyPractice/4.2", From: "support@example.be",
		Directory: resilience.Static{
			ehbox.ServiceConsultation: {{URL: "https://services.example.test/ehBoxConsultation/v3"}},
			ehbox.ServicePublication:  {{URL: "https://services.example.test/ehBoxPublication/v3"}},
		},
	})
	if err != nil {
		panic(err)
	}
	c, err := ehbox.New(x, unsecured{}, []ehbox.BoxID{ehbox.ByINSS(identity.MustSSIN("90022999836"), ehbox.Doctor)})
	if err != nil {
		panic(err)
	}
	return c
}

// unsecured stands for the holder-of-key security that the Platform provides.
type unsecured struct{}

func (unsecured) Secure(_ context.Context, body []byte) ([]byte, error) {
	return soap.Envelope(nil, body)
}
func (unsecured) Refused(context.Context, *fault.Error) bool { return false }

type unplugged struct{}

func (unplugged) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no network")
}

// hospitalKeys stands for the ETK depot.
type hospitalKeys struct{}

func (hospitalKeys) For(context.Context, []ehbox.BoxID) (ehbox.Keyring, error) {
	store, err := keystore.OpenFile("../etee/testdata/vectors/keystores/hospital.p12", "ehealth-test")
	if err != nil {
		return ehbox.Keyring{}, err
	}
	var certificates []*x509.Certificate
	for _, c := range store.Encryption() {
		certificates = append(certificates, c.Certificate)
	}
	return ehbox.Keyring{Recipients: []etee.Recipient{etee.ForCertificate(certificates[0])}, Key: "hospital"}, nil
}

func exampleSealer() *etee.Sealer {
	store, err := keystore.OpenFile("../etee/testdata/vectors/keystores/doctor.p12", "ehealth-test")
	if err != nil {
		panic(err)
	}
	auth, err := store.Authentication()
	if err != nil {
		panic(err)
	}
	s, err := etee.NewSealer(auth)
	if err != nil {
		panic(err)
	}
	return s
}
