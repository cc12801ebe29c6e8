package insurability_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/resilience"
)

func ExampleClient_Check() {
	client := exampleClient(insurer{})

	a, err := client.Check(context.Background(), insurability.Query{Patient: identity.MustSSIN("85073199704")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a)
	fmt.Println("mutuality", a.Mutuality, "codes", a.CT1, a.CT2, "preferential", a.Preferential)
	fmt.Println("the patient's name:", a.Person.LastName, "- on purpose:", a.Person.LastName.Reveal())
	// Output:
	// insurability answer: live, insured: yes
	// mutuality 319 codes 111 111 preferential yes
	// the patient's name: [private] - on purpose: SYNTHETIC
}

// What was asked before stands in while nothing answers; below that, the answer says what to do.
func ExampleWithStored() {
	key, err := cache.KeyFromBytes(bytes.Repeat([]byte{1}, cache.KeySize))
	if err != nil {
		panic(err)
	}
	answers, err := cache.NewAnswers(context.Background(), nil, key) // cache.OpenAnswers keeps them on disk
	if err != nil {
		panic(err)
	}
	defer answers.Close()
	ctx, known := context.Background(), insurability.Query{Patient: identity.MustSSIN("85073199704")}

	if _, err := exampleClient(insurer{}, insurability.WithStored(answers)).Check(ctx, known); err != nil {
		panic(err)
	}
	offline := exampleClient(unplugged{}, insurability.WithStored(answers), insurability.WithTimeout(time.Second))
	defer offline.Close()
	for _, q := range []insurability.Query{known, {Patient: identity.MustSSIN("15073199817")}} {
		a, err := offline.Check(ctx, q)
		if a == nil {
			fmt.Println(err) // refused
			continue
		}
		text, _ := a.Message()
		fmt.Println(a.Source, a.Insured, text.ID())
	}
	fmt.Println(offline.RechecksWaiting(), "questions are asked again later")
	// Output:
	// stored yes D-INS-CACHED
	// unknown not known D-INS-UNKNOWN
	// 2 questions are asked again later
}

func ExampleClient_Check_unavailable() {
	client := exampleClient(unplugged{}, insurability.WithTimeout(time.Second))

	_, err := client.Check(context.Background(), insurability.Query{Patient: identity.MustSSIN("85073199704")})
	var e *fault.Error
	if errors.As(err, &e) {
		fmt.Println(e.Kind, e.Notice)
	}
	// Output:
	// unavailable D-INS-UNKNOWN
}

func exampleClient(network http.RoundTripper, opts ...insurability.Option) *insurability.Client {
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: network}, UserAgent: "MyPractice/4.2", From: "support@example.be",
		Directory: resilience.Static{
			insurability.ServiceGenIns:     {{URL: "https://services.example.test/GenericInsurability/v1"}},
			insurability.ServiceMemberData: {{URL: "https://services.example.test/MyCareNet/MemberData/v1"}},
		},
	})
	if err != nil {
		panic(err)
	}
	c, err := insurability.New(x, unsecured{}, insurability.Caller{
		Quality: identity.Doctor, NIHII: identity.MustNIHII("19999915001"), Name: "Synthetic Doctor", SSIN: identity.MustSSIN("90022999836"),
	}, insurability.Software{Name: "MyPractice", Licence: insurability.NewLicence("user", "secret")}, opts...)
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

// insurer answers every question with the same patient, insured on the asked day.
type insurer struct{}

func (insurer) RoundTrip(r *http.Request) (*http.Response, error) {
	question, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, detail, _ := strings.Cut(string(question), "<c:InsurabilityRequestDetail>")
	detail, _, _ = strings.Cut(detail, "</c:InsurabilityRequestDetail>")
	_, period, _ := strings.Cut(detail, "<c:Period>")
	period, _, _ = strings.Cut(period, "</c:Period>")
	answer, err := soap.Envelope(nil, fmt.Appendf(nil, `<p:GetInsurabilityResponse
  xmlns:p="urn:be:fgov:ehealth:genericinsurability:protocol:v1" xmlns:c="urn:be:fgov:ehealth:genericinsurability:core:v1">
  <Status><Code>200</Code><Message Lang="EN">Success</Message></Status>
  <p:CommonOutput/><p:RecordCommonOutput/>
  <p:Response>
    <c:CareReceiverDetail><c:Inss>85073199704</c:Inss><c:LastName>SYNTHETIC</c:LastName></c:CareReceiverDetail>
    <c:InsurabilityResponseDetail>
      <c:Payment><c:PaymentByIo>true</c:PaymentByIo></c:Payment>
      <c:InsurabilityList><c:InsurabilityItem><c:Mutuality>319</c:Mutuality><c:Period>%s</c:Period><c:CT1>111</c:CT1><c:CT2>111</c:CT2>
        <c:InsurabilityDate>2030-01-15</c:InsurabilityDate></c:InsurabilityItem></c:InsurabilityList>
    </c:InsurabilityResponseDetail>
    <c:InsurabilityRequestDetail>%s</c:InsurabilityRequestDetail>
  </p:Response>
</p:GetInsurabilityResponse>`, period, detail))
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {soap.ContentType}},
		Body: io.NopCloser(strings.NewReader(string(answer))), Request: r,
	}, nil
}
