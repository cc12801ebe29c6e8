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
)

var errNoAnswer = errors.New("drill: no answer")

// naive is a client as they are often written: one address, a long time-out, repeats at once,
// and whatever comes back is the answer. Its messages are as good as ours; they go through the
// same sandbox with the same checks.
type naive struct {
	p     *ehealth.Platform // for the login only
	http  *http.Client
	url   string
	o     *sandbox.Organisation
	count atomic.Uint64
}

func joinNaive(s *sandbox.Sandbox, o *sandbox.Organisation) (counter, error) {
	cfg, err := configFor(s, o)
	if err != nil {
		return nil, err
	}
	p, err := ehealth.Open(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	return &naive{p: p, http: s.HTTPClient(), url: s.URL(ehealth.ServiceInsurability, 0), o: o}, nil
}

func (c *naive) close() { _ = c.p.Close() }

func (c *naive) ask(ctx context.Context, p sandbox.Patient) (got shown, err error) {
	question := c.question(p)
	for range naiveTries {
		if got, err = c.try(ctx, question); err == nil {
			return got, nil
		}
	}
	return shown{}, err
}

func (c *naive) try(ctx context.Context, question []byte) (shown, error) {
	ctx, cancel := context.WithTimeout(ctx, naiveTimeout)
	defer cancel()
	tok, err := c.p.Tokens.Token(ctx)
	if err != nil {
		return shown{}, err
	}
	msg, err := wsse.HolderOfKey(question, tok.Raw, tok.ID, wsse.Credential{Certificate: tok.Credential.Certificate, Signer: tok.Credential.Signer}, wsse.Stamp{Now: time.Now()})
	if err != nil {
		return shown{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(msg))
	if err != nil {
		return shown{}, err
	}
	req.Header.Set("Content-Type", soap.ContentType)
	resp, err := c.http.Do(req)
	if err != nil {
		return shown{}, err
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return shown{}, err
	}
	m, err := soap.Parse(doc, xmltree.Limits{})
	if err != nil {
		return shown{}, err
	}
	for n := range m.Payload.Descendants() {
		if n.Local() == "Ssin" {
			ssin, err := n.Text()
			return shown{ssin: ssin}, err
		}
	}
	return shown{}, errNoAnswer
}

// question is the pharmacist's question of dossier 05 section 2.2.
func (c *naive) question(p sandbox.Patient) []byte {
	h := c.o.Holder
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
		h.NIHII.Full(), h.Name(), h.SSIN.Reveal(), c.o.Name, c.o.Number, c.count.Add(1), insurability.Today(), p.SSIN.Reveal())
}
