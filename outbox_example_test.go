package ehealth_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// appService is the sandbox's own application: it does something once, and tells what it did.
const appService = "uddi:ehealth-fgov-be:business:app:v1"

// app is a vendor's client of a service for which this module has none, made of [ehealth.Platform.Call].
type app struct{ p *ehealth.Platform }

type appRequest struct {
	XMLName   xml.Name
	Reference string `xml:"urn:be:ehealth-continuity:app:v1 Reference"`
	Payload   []byte `xml:"urn:be:ehealth-continuity:app:v1 Payload,omitempty"`
}

type appResponse struct {
	Reference    string
	Found        bool
	ResultNumber int
}

// ask makes one call; operation is Put or Query.
func (a app) ask(ctx context.Context, c ehealth.Call, operation, ref string, payload string) (r appResponse, err error) {
	const ns = "urn:be:ehealth-continuity:app:v1"
	q := appRequest{XMLName: xml.Name{Space: ns, Local: operation + "Request"}, Reference: ref, Payload: []byte(payload)}
	if c.Body, err = xml.Marshal(q); err != nil {
		return r, err
	}
	c.Service, c.Op, c.Action = appService, "app."+operation, ns+":"+operation
	c.Correlate = func(payload []byte) error {
		if err := xml.Unmarshal(payload, &r); err != nil {
			return err
		}
		if r.Reference != ref {
			return errors.New("answer to another question")
		}
		return nil
	}
	_, err = a.p.Call(ctx, c)
	return r, err
}

// Send implements outbox.Sender.
func (a app) Send(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	// The payload is sent in base64: the sandbox does not look into it.
	r, err := a.ask(ctx, ehealth.Call{Class: resilience.ResolvableWrite, Expires: at.Expires}, "Put", it.Ref, "c2VjcmV0")
	return fmt.Append(nil, r.ResultNumber), err
}

// Resolve implements outbox.Resolver.
func (a app) Resolve(ctx context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Verdict, error) {
	r, err := a.ask(ctx, ehealth.Call{Class: resilience.Read}, "Query", it.Ref, "")
	switch {
	case err != nil:
		return outbox.Verdict{}, err
	case !r.Found:
		return outbox.Verdict{Found: outbox.NotThere}, nil
	}
	return outbox.Verdict{Found: outbox.Happened, Answer: fmt.Append(nil, r.ResultNumber)}, nil
}

// queued is what the platform must know about the application.
func (a app) queued() ehealth.Queued {
	return ehealth.Queued{
		Kind: "example.app", Handler: a, Policy: outbox.Policy{Class: resilience.ResolvableWrite},
		Service: appService, Name: notice.Platform, Waiting: notice.MessagesQueued,
	}
}

// A vendor's own service behind the outbox: what is written survives an outage and a restart, and
// happens once.
func ExampleOutbox() {
	platform, err := sandbox.New(sandbox.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer platform.Close()
	cfg, err := doctor(platform)
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, done := tempDir()
	defer done()
	cfg.DataDir = dir
	cfg.Outbox = &ehealth.Outbox{
		Handlers: func(p *ehealth.Platform) ([]ehealth.Queued, error) { return []ehealth.Queued{app{p}.queued()}, nil },
	}

	ctx := context.Background()
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	res, err := p.Write(ctx, outbox.Item{Kind: "example.app", Key: "one patient", Ref: "visit 1", Payload: []byte("secret")})
	switch e, _ := errors.AsType[*ehealth.Error](err); {
	case err == nil:
		fmt.Printf("done, number %s\n", res.Answer)
	case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown):
		fmt.Println("kept; show notice", e.Notice)
	default:
		fmt.Println("not done; show notice", e.Notice)
	}

	// Output:
	// done, number 1
}

// One call of a service for which there is no client.
func ExamplePlatform_Call() {
	platform, err := sandbox.New(sandbox.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer platform.Close()
	cfg, err := doctor(platform)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	r, err := p.Call(ctx, ehealth.Call{
		Service: appService, Op: "app.Query", Action: "urn:be:ehealth-continuity:app:v1:Query", Class: resilience.Read,
		Body: []byte(`<QueryRequest xmlns="urn:be:ehealth-continuity:app:v1"><Reference>visit 1</Reference></QueryRequest>`),
		Correlate: func(payload []byte) error {
			var r appResponse
			if err := xml.Unmarshal(payload, &r); err != nil {
				return err
			}
			if r.Reference != "visit 1" {
				return errors.New("answer to another question")
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(r.Payload))

	// Output:
	// <app:QueryResponse xmlns:app="urn:be:ehealth-continuity:app:v1" xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><app:Reference>visit 1</app:Reference><app:Found>false</app:Found></app:QueryResponse>
}
