package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

const (
	naiveTries   = 1 + 4            // a first try and four repeats
	naiveTimeout = 30 * time.Second // of each try, the default of the official connector
	answerLimit  = 1 << 20

	serviceCheck = ehealth.ServiceInsurability
)

var errNoAnswer = errors.New("drill: no answer")

// naive is a client as they are often written: one address, a long time-out, repeats at once,
// and whatever comes back is the answer. Its messages are as good as ours; they go through the
// same sandbox with the same checks.
type naive struct {
	p    *ehealth.Platform // for the login only
	user ehealth.Config
	http *http.Client
	urls map[string]string
	ask  *questions
}

func joinNaive(s *sandbox.Sandbox, o *sandbox.Organisation) (counter, error) {
	c, err := startNaive(s, atPharmacy(o))
	if err != nil {
		return nil, err
	}
	return c, nil
}

func startNaive(s *sandbox.Sandbox, at station) (*naive, error) {
	cfg, err := at.config(s)
	if err != nil {
		return nil, err
	}
	c := &naive{user: cfg, http: &http.Client{Transport: transport(s, naiveTimeout)}, ask: newQuestions(at.org), urls: map[string]string{}}
	for id := range s.Services() {
		c.urls[id] = s.URL(id, 0)
	}
	if c.user.Login, err = source(at.person.EID()); err != nil {
		return nil, err
	}
	c.p, err = ehealth.Open(context.Background(), cfg)
	return c, err
}

func (c *naive) close() {
	_ = c.p.Close()
	c.http.CloseIdleConnections()
}

func (c *naive) check(ctx context.Context, p sandbox.Patient) (shown, error) {
	return c.again(ctx, serviceCheck, c.ask.insurability(p), "Ssin")
}

func (c *naive) login(ctx context.Context) (err error) {
	for range naiveTries {
		if err = logIn(ctx, c.user); err == nil {
			return nil
		}
	}
	return err
}

func (c *naive) put(ctx context.Context, reference string) (shown, error) {
	body, err := putBody(reference, "", payload)
	if err != nil {
		return shown{}, err
	}
	return c.again(ctx, ServiceApp, body, "Reference")
}

// again sends a message until there is an answer, and shows the element of that name.
func (c *naive) again(ctx context.Context, service string, body []byte, element string) (got shown, err error) {
	for range naiveTries {
		if got.of, err = c.try(ctx, c.urls[service], body, element); err == nil {
			return got, nil
		}
	}
	return shown{}, fmt.Errorf("drill: given up: %w", err)
}

func (c *naive) try(ctx context.Context, url string, body []byte, element string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, naiveTimeout)
	defer cancel()
	tok, err := c.p.Tokens.Token(ctx)
	if err != nil {
		return "", err
	}
	msg, err := wsse.HolderOfKey(body, tok.Raw, tok.ID, wsse.Credential{Certificate: tok.Credential.Certificate, Signer: tok.Credential.Signer}, wsse.Stamp{Now: time.Now()})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(msg))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", soap.ContentType)
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return "", err
	}
	m, err := soap.Parse(doc, xmltree.Limits{})
	if err != nil {
		return "", err
	}
	return firstText(m.Payload, element)
}

// questions writes the pharmacist's question of dossier 05 section 2.2, for clients that do not use package
// insurability.
type questions struct {
	o     *sandbox.Organisation
	count atomic.Uint64
}

func newQuestions(o *sandbox.Organisation) *questions { return &questions{o: o} }

func (q *questions) insurability(p sandbox.Patient) []byte {
	h := q.o.Holder
	return fmt.Appendf(nil, `<p:GetInsurabilityForPharmacistRequest xmlns:p="urn:be:fgov:ehealth:insurability:protocol:v2" xmlns:c="urn:be:fgov:ehealth:insurability:core:v2">`+
		`<p:CommonInput><c:Request><c:IsTest>false</c:IsTest></c:Request><c:Origin>`+
		`<c:Package><c:Name>Naive</c:Name><c:License><c:Username>drill</c:Username><c:Password>drill</c:Password></c:License></c:Package>`+
		`<c:CareProvider><c:Nihii><c:Quality>PHARMACY-HOLDER</c:Quality><c:Value>%s</c:Value></c:Nihii>`+
		`<c:PhysicalPerson><c:Name>%s</c:Name><c:Ssin>%s</c:Ssin></c:PhysicalPerson>`+
		`<c:Organization><c:Name>%s</c:Name><c:Nihii><c:Quality>PHARMACY</c:Quality><c:Value>%s</c:Value></c:Nihii></c:Organization></c:CareProvider>`+
		`</c:Origin></p:CommonInput>`+
		`<p:RecordCommonInput><c:Reference>%d</c:Reference></p:RecordCommonInput>`+
		`<p:InsurabilityRequest><c:Date>%s</c:Date><c:RequestType>1</c:RequestType><c:CareReceiver><c:Ssin>%s</c:Ssin></c:CareReceiver></p:InsurabilityRequest>`+
		`</p:GetInsurabilityForPharmacistRequest>`,
		h.NIHII.Full(), h.Name(), h.SSIN.Reveal(), q.o.Name, q.o.Number, q.count.Add(1), insurability.Today(), p.SSIN.Reveal())
}
