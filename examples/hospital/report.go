package main

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// The service that gets the reports is the sandbox's own application, which does something once and
// can be asked what it did. This module has no client for it: this file is one.
const (
	reportKind    = "hospital.discharge"
	reportService = "uddi:ehealth-fgov-be:business:app:v1"
	reportNS      = "urn:be:ehealth-continuity:app:v1"
)

// reports sends discharge reports, and finds out what became of those that got no answer.
type reports struct{ platform *ehealth.Platform }

type request struct {
	XMLName     xml.Name
	Reference   string `xml:"urn:be:ehealth-continuity:app:v1 Reference"`
	OrderingKey string `xml:"urn:be:ehealth-continuity:app:v1 OrderingKey,omitempty"`
	Payload     []byte `xml:"urn:be:ehealth-continuity:app:v1 Payload,omitempty"`
}

type response struct {
	Reference    string
	Found        bool
	ResultNumber int
}

// Send implements outbox.Sender.
func (r reports) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	call := ehealth.Call{Op: "report.Put", Action: reportNS + ":Put", Class: resilience.ResolvableWrite, Expires: a.Expires}
	rs, err := r.ask(ctx, call, request{
		XMLName: xml.Name{Space: reportNS, Local: "PutRequest"}, Reference: it.Ref, OrderingKey: it.Key, Payload: base64.StdEncoding.AppendEncode(nil, it.Payload),
	})
	return fmt.Append(nil, rs.ResultNumber), err
}

// Resolve implements outbox.Resolver.
func (r reports) Resolve(ctx context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Verdict, error) {
	call := ehealth.Call{Op: "report.Query", Action: reportNS + ":Query", Class: resilience.Read}
	rs, err := r.ask(ctx, call, request{XMLName: xml.Name{Space: reportNS, Local: "QueryRequest"}, Reference: it.Ref})
	switch {
	case err != nil:
		return outbox.Verdict{}, err
	case !rs.Found:
		return outbox.Verdict{Found: outbox.NotThere}, nil
	}
	return outbox.Verdict{Found: outbox.Happened, Answer: fmt.Append(nil, rs.ResultNumber)}, nil
}

// ask makes one call.
func (r reports) ask(ctx context.Context, c ehealth.Call, q request) (rs response, err error) {
	if c.Body, err = xml.Marshal(q); err != nil {
		return rs, err
	}
	c.Service = reportService
	c.Correlate = func(payload []byte) error {
		if err := xml.Unmarshal(payload, &rs); err != nil {
			return err
		}
		if rs.Reference != q.Reference {
			return errors.New("an answer about another report")
		}
		return nil
	}
	_, err = r.platform.Call(ctx, c)
	return rs, err
}
