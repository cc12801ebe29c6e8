package insurability_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/soap"
)

func ExampleClient_MemberData() {
	client := exampleClient(member{})

	a, err := client.MemberData(context.Background(), insurability.MemberDataQuery{
		Patient: identity.MustSSIN("85073199704"),
		Facets:  []insurability.FacetID{insurability.FacetInsurability, insurability.FacetChronicCondition},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a)
	fmt.Println("mutuality", a.Mutuality, "codes", a.CT1, a.CT2, "pays directly", a.ThirdPartyPayer)
	for _, w := range a.Warnings {
		fmt.Println("missing:", w.Meaning())
	}
	// Output:
	// member data answer: live, insured: yes, partial
	// mutuality 319 codes 110 110 pays directly no
	// missing: not all facets were answered
}

// member answers every question with the same patient, insured today, and without the second facet.
type member struct{}

func (member) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	between := func(s, from, to string) string {
		_, s, _ = strings.Cut(s, from)
		s, _, _ = strings.Cut(s, to)
		return s
	}
	question := string(b)
	query, err := base64.StdEncoding.DecodeString(between(between(question, "<mcp:Detail ", "</mcp:Detail>"), ">", "<"))
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	assertion := func(typ, attributes string) string {
		return `<saml:Assertion ID="_` + typ + `" IssueInstant="` + now + `" Version="2.0"><saml:Issuer>urn:nip:issuer:io:300</saml:Issuer><saml:Subject>` +
			between(string(query), "<saml:Subject>", "</saml:Subject>") + `</saml:Subject><saml:Advice><ext:AssertionType>urn:be:cin:nippin:insurability:` + typ +
			`</ext:AssertionType><ext:Facet id="urn:be:cin:nippin:insurability"/></saml:Advice><saml:AttributeStatement>` + attributes + `</saml:AttributeStatement></saml:Assertion>`
	}
	attribute := func(name, value string) string {
		return `<saml:Attribute Name="urn:be:cin:nippin:` + name + `"><saml:AttributeValue>` + value + `</saml:AttributeValue></saml:Attribute>`
	}
	document := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"
  xmlns:ext="urn:be:cin:nippin:memberdata:saml:extension" ID="_1" InResponseTo="` + between(string(query), ` ID="`, `"`) + `" IssueInstant="` + now + `" Version="2.0">
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"><samlp:StatusCode Value="urn:be:cin:nippin:SAML:status:PartialAnswer"/></samlp:StatusCode>
  <samlp:StatusDetail><cin:Fault xmlns:cin="urn:be:cin:types:v1"><cin:FaultCode>WARNING</cin:FaultCode><cin:FaultSource>MYCARENET</cin:FaultSource>
  <cin:Details><cin:Detail><cin:DetailCode>MISSING_FACETS</cin:DetailCode></cin:Detail></cin:Details></cin:Fault></samlp:StatusDetail></samlp:Status>` +
		assertion("period", attribute("careReceiver:mutuality", "319")+attribute("cb1", "110")+attribute("cb2", "110")) +
		assertion("payment", attribute("payment:byIO", "False")) + `</samlp:Response>`
	answer, err := soap.Envelope(nil, fmt.Appendf(nil, `<md:MemberDataConsultationResponse xmlns:md="urn:be:fgov:ehealth:mycarenet:memberdata:protocol:v1"
  xmlns:mcp="urn:be:fgov:ehealth:mycarenet:commons:protocol:v3" Id="ID_1" InResponseTo=%q IssueInstant=%q>
  <mcp:Return><mcp:CommonOutput/><mcp:Detail ContentType="text/xml" ContentEncoding="none">%s</mcp:Detail></mcp:Return>
</md:MemberDataConsultationResponse>`, between(question, ` Id="`, `"`), now, base64.StdEncoding.EncodeToString([]byte(document))))
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {soap.ContentType}},
		Body: io.NopCloser(strings.NewReader(string(answer))), Request: r,
	}, nil
}
