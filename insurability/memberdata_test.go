package insurability

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const (
	memberRef    = "20300115103000"
	memberDetail = "_5f0e8f5e-0000-4000-8000-000000000001"
)

var (
	memberNow    = time.Date(2030, time.January, 15, 10, 30, 0, 0, brussels)
	sampleFacets = []FacetID{FacetInsurability, FacetChronicCondition}
)

func memberSchema(t testing.TB) string {
	return oracle.Shared(t, "schemas", "ehealth-mycarenet-memberdata", "XSD", "mycarenet-memberdata-protocol-1_0.xsd")
}

func samlSchema(t testing.TB) string {
	return oracle.Shared(t, "schemas", "mycarenet-memberdata", "XSD", "Extensions-simplified.xsd")
}

func memberRequest(t testing.TB, caller Caller, q MemberDataQuery) *MemberDataRequest {
	t.Helper()
	r, err := client(t, caller).buildMemberData(q, memberNow, memberRef, memberDetail)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The requests that MemberData builds, byte for byte; envelope and question are valid for the real schemas.
func TestMemberDataGolden(t *testing.T) {
	everything := []FacetID{
		FacetInsurability, FacetCarePath, FacetChronicCondition, FacetReferencePharmacy, FacetGlobalMedicalFile, FacetPalliativeStatus,
	}
	for _, tt := range []struct {
		dir    string
		caller Caller
		query  MemberDataQuery
		like   string // sample of the question
	}{
		{"ssin", doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets}, "memberdata-attributequery-ssin.xml"},
		{"registration-number", doctor, MemberDataQuery{RegNr: Hide("9999999999999"), Mutuality: mutuality, Facets: sampleFacets}, "memberdata-attributequery-regnr.xml"},
		{"one-insurer", doctor, MemberDataQuery{Patient: ssinInsured, Mutuality: mutuality, Facets: sampleFacets}, "memberdata-attributequery-ssin-at-mut.xml"},
		{"least", doctor, MemberDataQuery{Patient: ssinInsured}, ""},
		{"every-facet", doctor, MemberDataQuery{
			Patient: ssinInsured, Facets: everything, CarePaths: []CarePath{CarePathDiabetes, CarePathRenalInsufficiency},
		}, ""},
		{"hospital-invoicing", hospital, MemberDataQuery{Patient: ssinInsured, RequestType: Invoicing, ContactType: MemberHospitalized}, ""},
		{"medical-house-year", medicalHouse, MemberDataQuery{Patient: ssinInsured, Period: Period{Day(2029, time.January, 16), sampleDay}}, ""},
		{"day-of-23-hours", doctor, MemberDataQuery{Patient: ssinInsured, Date: Day(2029, time.March, 25)}, ""},
		{"day-of-25-hours", doctor, MemberDataQuery{Patient: ssinInsured, Date: Day(2029, time.October, 28)}, ""},
	} {
		t.Run(tt.dir, func(t *testing.T) {
			r := memberRequest(t, tt.caller, tt.query)
			got, err := r.encode()
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join("testdata", "golden", "memberdata", tt.dir, "request.xml")
			if *update {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if want = bytes.TrimRight(want, "\r\n"); !bytes.Equal(got, want) {
				t.Errorf("%s differs\n got %s\nwant %s", name, got, want)
			}
			oracle.ValidateXSD(t, memberSchema(t), want)
			q, err := r.Query.encode()
			if err != nil {
				t.Fatal(err)
			}
			oracle.ValidateXSD(t, samlSchema(t), q)
			if tt.like != "" {
				like := bytes.Replace(sample(t, tt.like), sampleID(t, tt.like), []byte("_"+memberRef), 1)
				if got, want := string(c14n.Append(nil, parse(t, q), c14n.Options{})), compact(t, like); got != want {
					t.Errorf("question differs from the sample\n got %s\nwant %s", got, want)
				}
			}
			again := new(MemberDataRequest)
			if err := decodeMemberData(parse(t, got), "MemberDataConsultationRequest", again, (*MemberDataRequest).wire); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again, r) {
				t.Error("decoded request differs from the one that was written")
			}
		})
	}
}

func sampleID(t testing.TB, name string) []byte {
	id, _ := parse(t, sample(t, name)).Attr("", "ID")
	return []byte(id)
}

// resaml decodes a question or an answer and writes it again.
func resaml(n *xmltree.Node) ([]byte, error) {
	if n.Local() == "AttributeQuery" {
		q := new(AttributeQuery)
		if err := decodeSAMLNode(n, n.Local(), q, (*AttributeQuery).wire); err != nil {
			return nil, err
		}
		return q.encode()
	}
	r := new(SAMLResponse)
	if err := decodeSAMLNode(n, "Response", r, (*SAMLResponse).wire); err != nil {
		return nil, err
	}
	return r.encode()
}

// Every sample decodes, and what we write back is the same message and valid for the real schemas.
func TestMemberDataSamples(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "samples", "memberdata-*.xml"))
	if err != nil || len(names) != 12 {
		t.Fatalf("%d samples, %v", len(names), err)
	}
	for _, name := range names {
		name = filepath.Base(name)
		t.Run(name, func(t *testing.T) {
			doc := sample(t, name)
			if current, err := os.ReadFile(oracle.Shared(t, "samples", "insurability", name)); err != nil || !bytes.Equal(current, doc) {
				t.Errorf("differs from the collection: %v", err)
			}
			n := parse(t, doc)
			switch {
			case n.Is(nsMemberData, "MemberDataConsultationRequest"):
				r := new(MemberDataRequest)
				err := decodeMemberData(n, n.Local(), r, (*MemberDataRequest).wire)
				if strings.Contains(name, "encrypted") {
					if err == nil || !strings.Contains(err.Error(), errSealed.Error()) {
						t.Errorf("a sealed question decodes: %v", err)
					}
					return
				}
				again, err2 := r.encode()
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				oracle.ValidateXSD(t, memberSchema(t), again)
			case n.Is(nsMemberData, "MemberDataConsultationResponse"):
				r, err := decodeMemberDataResponse(n)
				if err != nil {
					t.Fatal(err)
				}
				again, err := encodeMemberData(n.Local(), r, (*MemberDataResponse).wire)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := string(c14n.Append(nil, parse(t, again), c14n.Options{})), compact(t, doc); got != want {
					t.Errorf("rewritten\n got %s\nwant %s", got, want)
				}
				oracle.ValidateXSD(t, memberSchema(t), again)
			case n.Is(nsMemberExt, n.Local()): // the lists of the batch service
				for e := range n.Elements() {
					again, err := resaml(e)
					if err != nil {
						t.Fatal(err)
					}
					oracle.ValidateXSD(t, samlSchema(t), again)
				}
			default:
				again, err := resaml(n)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := string(c14n.Append(nil, parse(t, again), c14n.Options{})), compact(t, doc); got != want {
					t.Errorf("rewritten\n got %s\nwant %s", got, want)
				}
				oracle.ValidateXSD(t, samlSchema(t), again)
			}
		})
	}
}

// memberResponse is a sample's document in an envelope that answers memberRef.
func memberResponse(t testing.TB, name string, change func(*SAMLResponse)) *MemberDataResponse {
	t.Helper()
	r, err := decodeMemberDataResponse(parse(t, sample(t, "memberdata-response-plain.xml")))
	if err != nil {
		t.Fatal(err)
	}
	r.ID, r.InResponseTo = "ID_1", "ID_"+memberRef
	s := new(SAMLResponse)
	if err := s.decode(sample(t, name)); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	doc, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	r.Detail.Content, r.Detail.HashValue = doc, ""
	return r
}

func memberNode(t testing.TB, r *MemberDataResponse) *xmltree.Node {
	t.Helper()
	b, err := encodeMemberData("MemberDataConsultationResponse", r, (*MemberDataResponse).wire)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b)
}

// readMember does with an answer what the client does.
func readMember(t testing.TB, req *MemberDataRequest, r *MemberDataResponse) (*MemberDataAnswer, error) {
	t.Helper()
	n := memberNode(t, r)
	if err := correlateMemberData(req, func() time.Time { return memberNow })(n); err != nil {
		return nil, err
	}
	r, err := decodeMemberDataResponse(n)
	if err != nil {
		return nil, err
	}
	if v, err := r.verdict(); err != nil || v != nil {
		return nil, errors.Join(v, err)
	}
	return answerMemberData(req, r)
}

func TestMemberDataAnswer(t *testing.T) {
	req := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets})
	a, err := readMember(t, req, memberResponse(t, "memberdata-inner-response-success.xml", nil))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"insured":    a.Insured == Yes && a.Positive() && a.Covers(sampleDay) && !a.Covers(sampleDay.AddDays(1)),
		"asked":      a.Asked == OneDay(sampleDay) && slices.Equal(a.Facets, sampleFacets),
		"codes":      a.CT1 == "110" && a.CT2 == "110" && a.Preferential == No && a.Mutuality == "319",
		"number":     a.RegNr.Reveal() == "9999999999999" && a.SSIN.Reveal() == "85073199704",
		"dates":      a.Communicated == sampleDay && a.Coverage == OneDay(sampleDay),
		"payer":      a.ThirdPartyPayer == Yes,
		"events":     slices.Equal(a.Events, []Event{ChangeDuring}),
		"house":      len(a.MedicalHouses) == 1 && slices.Equal(a.MedicalHouses[0].Types, []string{"Kine", "Nurse"}) && a.MedicalHouses[0].Period == OneDay(sampleDay),
		"chronic":    slices.Equal(a.ChronicYears, []int{2029, 2030}) && a.Has(FacetChronicCondition) && !a.Has(FacetCarePath),
		"person":     a.Person.LastName.Reveal() == "SYNTHETIC" && a.Person.FirstName.Reveal() == "SAMPLE" && a.Person.Sex == Male && a.Person.Birthday == Day(1985, 7, 31),
		"references": a.References == References{Ours: memberRef, NIP: "SBX00000000001", Output: "SBX00000000002"},
		"all kept":   len(a.Message.Response.Assertions) == 6,
		"whole":      !a.Partial && len(a.Warnings) == 0,
	} {
		if !ok {
			t.Errorf("%s is wrong", what)
		}
	}
}

// What the insurers say about the asked day, and what may be concluded from it.
func TestMemberDataInsured(t *testing.T) {
	day := func(n int) time.Time { return sampleDay.AddDays(n).Start() }
	period := func(from, to int) Assertion {
		a := Assertion{ID: "_p", Type: typePeriod, Subject: &Subject{
			NameID: NameID{formatSSIN, Hide("85073199704")}, Method: methodMember, NotBefore: day(from), NotOnOrAfter: day(to),
		}}
		if to == 0 {
			a.Subject.NotOnOrAfter = time.Time{}
		}
		return a
	}
	event := func(e Event) Assertion {
		a := period(0, 1)
		a.Type, a.Attributes = typeSituation, []MemberAttribute{{attrEvent, []Private{Hide(string(e))}}}
		return a
	}
	warned := &MemberDataFault{Code: "WARNING", Source: "MYCARENET", Details: []MemberDataDetail{{Code: "BO_MISSING_FACET"}}}
	for _, tt := range []struct {
		name string
		list []Assertion
		warn *MemberDataFault
		want Tristate
	}{
		{"the day", []Assertion{period(0, 1)}, nil, Yes},
		{"an open end", []Assertion{period(-9, 0)}, nil, Yes},
		{"ends the day before", []Assertion{period(-9, 0), period(-9, -1)}[1:], nil, No},
		{"its last instant is the day's first: exclusive", []Assertion{{ID: "_x", Type: typePeriod, Subject: &Subject{
			NameID: NameID{formatSSIN, Hide("85073199704")}, Method: methodMember, NotBefore: day(-5), NotOnOrAfter: day(0),
		}}}, nil, No},
		{"starts the day after", []Assertion{period(1, 3)}, nil, No},
		{"closed before", []Assertion{event(ClosedBefore)}, nil, No},
		{"starts later", []Assertion{event(StartLater)}, nil, No},
		{"something changes", []Assertion{event(ChangeDuring)}, nil, NotKnown},
		{"nothing said", nil, nil, NotKnown},
		{"closed before, but a part is missing", []Assertion{event(ClosedBefore)}, warned, NotKnown},
		{"other days, but a part is missing", []Assertion{period(1, 3)}, warned, NotKnown},
		{"the day, and a part is missing", []Assertion{period(0, 1)}, warned, Yes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured})
			a, err := readMember(t, req, memberResponse(t, "memberdata-inner-response-success.xml", func(r *SAMLResponse) {
				r.Assertions, r.Status.Fault = tt.list, tt.warn
				if tt.warn != nil {
					r.Status.Sub = "urn:be:cin:nippin:SAML:status:PartialAnswer"
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			if a.Insured != tt.want || a.Partial != (tt.warn != nil) {
				t.Errorf("insured %v, partial %v, want %v", a.Insured, a.Partial, tt.want)
			}
		})
	}
}

// Fault samples are typed errors with their code, kind and nothing else in the text.
func TestMemberDataFaultSamples(t *testing.T) {
	req := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured})
	for _, tt := range []struct {
		name, code string
		kind       fault.Kind
		down, bare bool
	}{
		{"memberdata-inner-response-input-error.xml", "INPUT_ERROR/INVALID_INSS_FORMAT", fault.Invalid, false, false},
		{"memberdata-inner-response-io-down.xml", "SEND_ERROR/SEND_TO_IM_EXCEPTION", fault.Unavailable, true, true},
	} {
		_, err := readMember(t, req, memberResponse(t, tt.name, nil))
		f, ok := errors.AsType[*MemberDataFault](err)
		if !ok || f.FullCode() != tt.code || f.kind() != tt.kind || f.InsurerDown() != tt.down || f.unqualified != tt.bare || f.Source != "MYCARENET" {
			t.Errorf("%s: %v %+v", tt.name, err, f)
		}
	}
	a, err := readMember(t, req, memberResponse(t, "memberdata-inner-response-partial.xml", nil))
	if err != nil || !a.Partial || !a.Warned("MISSING_FACETS") || a.Warned("MUTATION") || a.Warnings[0].Meaning() == "" {
		t.Errorf("partial: %v %v", a, err)
	}
}

// Every code of dossier 05 section 3.6 has a meaning and a kind.
func TestMemberDataCodes(t *testing.T) {
	kinds := map[fault.Kind]int{}
	for code, m := range memberDetails {
		if m.text == "" && m.kind != 0 {
			t.Errorf("%s has no meaning", code)
		}
		kinds[m.kind]++
		f := &MemberDataFault{Top: statusRequester, Code: "INPUT_ERROR", Details: []MemberDataDetail{{Code: code}}}
		if strings.Contains(f.Error(), "?") || !strings.Contains(f.Error(), code) {
			t.Errorf("%s: %s", code, f)
		}
	}
	if kinds[fault.Unavailable] != 4 || kinds[fault.Denied] != 4 || kinds[fault.Invalid] < 38 {
		t.Errorf("kinds %v", kinds)
	}
	for _, tt := range []struct {
		f    MemberDataFault
		code string
		kind fault.Kind
	}{
		{MemberDataFault{Top: statusResponder, Sub: "urn:be:cin:nippin:SAML:status:InternalError", Code: "GENERIC_ERROR"}, "GENERIC_ERROR", fault.Unavailable},
		{MemberDataFault{Top: statusResponder, Sub: "urn:be:cin:nippin:SAML:status:InternalError", Code: "INPUT_ERROR"}, "INPUT_ERROR", fault.Invalid},
		{MemberDataFault{Top: statusRequester}, "?", fault.Invalid},
		{MemberDataFault{Code: "85073199704", Details: []MemberDataDetail{{Code: "Mr Jones of 85073199704"}}}, "?/?", fault.Invalid},
		{MemberDataFault{Code: "INPUT_ERROR", Details: []MemberDataDetail{{Code: "NEW_CODE"}, {Code: "MULTIPLE_IO"}}}, "INPUT_ERROR/NEW_CODE", fault.Conflict},
	} {
		if tt.f.FullCode() != tt.code || tt.f.kind() != tt.kind {
			t.Errorf("%s %v, want %s %v", tt.f.FullCode(), tt.f.kind(), tt.code, tt.kind)
		}
	}
}

// What binds an answer to its question, and what unbinds it.
func TestMemberDataCorrelation(t *testing.T) {
	bySSIN := MemberDataQuery{Patient: ssinInsured}
	byRegNr := MemberDataQuery{RegNr: Hide("0009999999999"), Mutuality: mutuality}
	subject := func(format, value string) func(*MemberDataResponse, *SAMLResponse) {
		return func(_ *MemberDataResponse, s *SAMLResponse) {
			for i := range s.Assertions {
				s.Assertions[i].Subject.NameID = NameID{format, Hide(value)}
			}
		}
	}
	last := func(change func(*Assertion)) func(*MemberDataResponse, *SAMLResponse) {
		return func(_ *MemberDataResponse, s *SAMLResponse) { change(&s.Assertions[len(s.Assertions)-1]) }
	}
	for _, tt := range []struct {
		name   string
		query  MemberDataQuery
		change func(*MemberDataResponse, *SAMLResponse)
		field  string // "" = ours
	}{
		{"as it is", bySSIN, func(*MemberDataResponse, *SAMLResponse) {}, ""},
		{"no references in the envelope", bySSIN, func(r *MemberDataResponse, _ *SAMLResponse) {
			r.InResponseTo, r.CommonOutput.InputReference = "", ""
		}, ""},
		{"no reference in the document", bySSIN, func(_ *MemberDataResponse, s *SAMLResponse) { s.InResponseTo = "" }, ""},
		{"another request", bySSIN, func(r *MemberDataResponse, _ *SAMLResponse) { r.InResponseTo = "ID_1" }, "InResponseTo"},
		{"another reference", bySSIN, func(r *MemberDataResponse, _ *SAMLResponse) { r.CommonOutput.InputReference = "1" }, "CommonOutput/InputReference"},
		{"another query", bySSIN, func(_ *MemberDataResponse, s *SAMLResponse) { s.InResponseTo = "_1" }, "Response/InResponseTo"},
		{"a success that only the envelope ties to us", bySSIN, func(_ *MemberDataResponse, s *SAMLResponse) {
			s.InResponseTo, s.Assertions = "", nil
		}, "neither a reference of ours nor the patient is in it"},
		{"a refusal that only the envelope ties to us", bySSIN, func(_ *MemberDataResponse, s *SAMLResponse) {
			s.InResponseTo, s.Assertions, s.Status.Top = "", nil, statusRequester
		}, ""},
		{"the patient with his insurer", bySSIN, subject(formatSSINMut, "85073199704@319"), ""},
		{"the patient with another insurer than ours", MemberDataQuery{Patient: ssinInsured, Mutuality: mutuality}, subject(formatSSINMut, "85073199704@101"), "Assertion/Subject"},
		{"another patient", bySSIN, subject(formatSSIN, "15073199817"), "Assertion/Subject"},
		{"another kind of number", bySSIN, subject(formatRegNr, "9999999999999@319"), "Assertion/Subject"},
		{"a kind that is not known", bySSIN, subject("urn:x", "85073199704"), "Assertion/Subject"},
		{"one assertion without subject", bySSIN, last(func(a *Assertion) { a.Subject = nil }), "Assertion/Subject"},
		{"one assertion about another", bySSIN, last(func(a *Assertion) { a.Subject.NameID.Value = Hide("15073199817") }), "Assertion/Subject"},
		{"one attribute of another", bySSIN, last(func(a *Assertion) {
			a.Attributes = append(a.Attributes, MemberAttribute{attrSSIN, []Private{Hide("15073199817")}})
		}), "Attribute/ssin"},
		{"used in time", bySSIN, last(func(a *Assertion) {
			a.Conditions = &Conditions{memberNow.Add(ConditionsSkew), memberNow.Add(-ConditionsSkew + time.Second)}
		}), ""},
		{"expired", bySSIN, last(func(a *Assertion) { a.Conditions = &Conditions{NotOnOrAfter: memberNow.Add(-ConditionsSkew)} }), "Assertion/Conditions"},
		{"not yet valid", bySSIN, last(func(a *Assertion) { a.Conditions = &Conditions{NotBefore: memberNow.Add(ConditionsSkew + time.Second)} }), "Assertion/Conditions"},
		{"by number", byRegNr, subject(formatRegNr, "9999999999@319"), "Attribute/registrationNumber"},
		{"by number of another insurer", byRegNr, subject(formatRegNr, "0009999999999@101"), "Assertion/Subject"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := memberRequest(t, doctor, tt.query)
			r := memberResponse(t, "memberdata-inner-response-success.xml", nil)
			s := new(SAMLResponse)
			if err := s.decode(r.Detail.Content); err != nil {
				t.Fatal(err)
			}
			tt.change(r, s)
			doc, err := s.encode()
			if err != nil {
				t.Fatal(err)
			}
			r.Detail.Content = doc
			err = correlateMemberData(req, func() time.Time { return memberNow })(memberNode(t, r))
			if tt.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var m *MismatchError
			if !errors.As(err, &m) || m.Field != tt.field {
				t.Errorf("got %v, want %s", err, tt.field)
			}
		})
	}
	// The same number with other padding, in subject and period.
	req := memberRequest(t, doctor, MemberDataQuery{RegNr: Hide("9999999999999"), Mutuality: mutuality})
	r := memberResponse(t, "memberdata-inner-response-success.xml", func(s *SAMLResponse) {
		for i := range s.Assertions {
			s.Assertions[i].Subject.NameID = NameID{formatRegNr, Hide("9999999999999@319")}
		}
	})
	if err := correlateMemberData(req, time.Now)(memberNode(t, r)); err != nil {
		t.Error(err)
	}
}

func TestMemberDataBlob(t *testing.T) {
	squeeze := func(s string) []byte {
		var b bytes.Buffer
		z, _ := flate.NewWriter(&b, flate.BestCompression)
		_, _ = z.Write([]byte(s))
		_ = z.Close()
		return b.Bytes()
	}
	const doc, digest = "<x/>", "KjH0TaS9fey70939GjeuBNAuxmXiwmiIFszGVjFYbtE="
	for _, tt := range []struct {
		name string
		b    Blob
		want error
	}{
		{"none", Blob{ContentEncoding: "none", Content: []byte(doc)}, nil},
		{"none, but deflated", Blob{ContentEncoding: "none", Content: squeeze(doc)}, nil},
		{"deflate", Blob{ContentEncoding: "deflate", Content: squeeze(doc)}, nil},
		{"the default", Blob{Content: squeeze(doc)}, nil},
		{"with its digest", Blob{ContentEncoding: "deflate", HashValue: digest, Content: squeeze(doc)}, nil},
		{"deflate, but clear", Blob{ContentEncoding: "deflate", Content: []byte(doc)}, nil},
		{"another encoding", Blob{ContentEncoding: "gzip", Content: []byte(doc)}, errEncoding},
		{"sealed", Blob{ContentEncoding: "none", ContentEncryption: "encryptedForKnownBED", Content: []byte(doc)}, errSealed},
		{"neither", Blob{ContentEncoding: "none", Content: []byte("hello")}, errInflate},
		{"wrong digest", Blob{ContentEncoding: "none", HashValue: "AAAA", Content: []byte(doc)}, errHash},
		{"a bomb", Blob{ContentEncoding: "deflate", Content: squeeze(strings.Repeat("<x/>", maxDocument/4+1))}, errInflate},
	} {
		got, err := tt.b.Open()
		if !errors.Is(err, tt.want) || err == nil && string(got) != doc {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if _, err := unbase64("PHgv\r\n Pg=="); err != nil {
		t.Error(err)
	}
	if _, err := unbase64(base64.StdEncoding.EncodeToString([]byte(doc)) + "!"); err == nil {
		t.Error("not base64, and it is read")
	}
}

// Questions that are not sent, with their reason.
func TestMemberDataValidation(t *testing.T) {
	c := client(t, doctor)
	for _, tt := range []struct {
		name string
		q    MemberDataQuery
		want error
	}{
		{"nobody", MemberDataQuery{}, ErrNoPatient},
		{"number without insurer", MemberDataQuery{RegNr: Hide("1")}, ErrNoPatient},
		{"two numbers", MemberDataQuery{Patient: ssinInsured, RegNr: Hide("1"), Mutuality: mutuality}, ErrNoPatient},
		{"long number", MemberDataQuery{RegNr: Hide("12345678901234"), Mutuality: mutuality}, ErrRegNr},
		{"tomorrow", MemberDataQuery{Patient: ssinInsured, Date: sampleDay.AddDays(1)}, ErrPeriodInFuture},
		{"two days of a person", MemberDataQuery{Patient: ssinInsured, Period: Period{sampleDay.AddDays(-1), sampleDay}}, ErrPeriodForSector},
		{"day and period", MemberDataQuery{Patient: ssinInsured, Date: sampleDay, Period: OneDay(sampleDay)}, ErrPeriod},
		{"open end", MemberDataQuery{Patient: ssinInsured, Period: Period{Start: sampleDay}}, ErrPeriod},
		{"reversed", MemberDataQuery{Patient: ssinInsured, Period: Period{sampleDay, sampleDay.AddDays(-2)}}, ErrPeriodReversed},
		{"a facet twice", MemberDataQuery{Patient: ssinInsured, Facets: []FacetID{FacetCarePath, FacetCarePath}}, ErrFacet},
		{"dimension without facet", MemberDataQuery{Patient: ssinInsured, Facets: []FacetID{FacetChronicCondition}, RequestType: Invoicing}, ErrFacet},
		{"path without facet", MemberDataQuery{Patient: ssinInsured, CarePaths: []CarePath{CarePathDiabetes}}, ErrFacet},
	} {
		if _, err := c.buildMemberData(tt.q, memberNow, memberRef, memberDetail); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for name, change := range map[string]func(*MemberDataRequest){
		"id":        func(r *MemberDataRequest) { r.Query.ID = "_1" },
		"reference": func(r *MemberDataRequest) { r.CommonInput.InputReference += "1"; r.Query.ID += "1" },
		"no facet":  func(r *MemberDataRequest) { r.Query.Facets = nil },
		"licence":   func(r *MemberDataRequest) { r.CommonInput.Origin.Package.Licence.Password = Private{} },
		"patient":   func(r *MemberDataRequest) { r.Query.Subject.NameID.Value = Private{} },
		"period":    func(r *MemberDataRequest) { r.Query.Subject.NotOnOrAfter = time.Time{} },
	} {
		r := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured})
		change(r)
		if err := r.validate(sampleDay); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	for _, q := range []identity.Quality{identity.Pharmacy, identity.Pharmacist} {
		caller := pharmacy
		caller.Quality = q
		if _, err := client(t, caller).NewMemberDataRequest(MemberDataQuery{Patient: ssinInsured}); !errors.Is(err, ErrCaller) || !errors.Is(err, fault.ErrNotSent) {
			t.Errorf("%s: %v", q, err)
		}
	}
	psychologist := doctor
	psychologist.Quality = identity.ClinicalPsychologist
	if _, err := client(t, psychologist).buildMemberData(MemberDataQuery{Patient: ssinInsured}, memberNow, memberRef, memberDetail); err != nil {
		t.Error(err)
	}
	if _, err := client(t, psychologist).NewGenInsRequest(Query{Patient: ssinInsured}); !errors.Is(err, ErrCaller) {
		t.Errorf("a psychologist asks generic insurability: %v", err)
	}
	for action, ok := range map[string]bool{"": true, "urn:x:MemberDataConsultation": true, `"x"`: false, "a b": false, "a\r\nb": false} {
		if err := WithMemberDataAction(action)(new(Config)); (err == nil) != ok {
			t.Errorf("action %q: %v", action, err)
		}
	}
}

// No value of MemberData can be printed with anybody in it.
func TestMemberDataPrints(t *testing.T) {
	req := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets})
	r := memberResponse(t, "memberdata-inner-response-success.xml", nil)
	a, err := readMember(t, req, r)
	if err != nil {
		t.Fatal(err)
	}
	down := memberResponse(t, "memberdata-inner-response-io-down.xml", nil)
	partial, err := readMember(t, req, memberResponse(t, "memberdata-inner-response-partial.xml", func(r *SAMLResponse) {
		r.Status.Fault.Details[0].Location = "85073199704"
	}))
	if err != nil {
		t.Fatal(err)
	}
	loud := &MemberDataFault{
		Top: statusRequester, Code: "SYNTHETIC", Source: "85073199704", Message: &Text{Value: Hide("SAMPLE")},
		Details: []MemberDataDetail{{Code: "85073199704", Location: "SYNTHETIC", Message: &Text{Value: Hide("SAMPLE")}}},
	}
	for _, v := range []any{
		req, *req, req.Query, req.Query.Subject, r, *r, r.Detail, a, *a, a.Message, a.Message.Response, a.Message.Response.Assertions, a.question.key(),
		a.Items, partial.Warnings, partial, loud, *loud, down.Response,
		MemberDataQuery{Patient: ssinInsured, RegNr: Hide("9999999999999")},
	} {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		if _, ok := v.(MemberDataQuery); ok {
			v = nil // identity.SSIN refuses to be written
		}
		dump, err := json.Marshal(v)
		if err != nil || regexp.MustCompile(`[A-Za-z0-9+/]{80,}`).Match(dump) {
			t.Errorf("%T as JSON: %v %s", v, err, dump)
		}
		for verb, text := range append(texts, string(dump)) {
			for _, secret := range []string{
				"85073199704", "9999999999999", "SYNTHETIC", "SAMPLE", "sandbox-secret", "19999915001",
				fmt.Sprintf("%x", "85073199704"), fmt.Sprintf("%x", "SYNTHETIC"),
			} {
				if strings.Contains(text, secret) {
					t.Errorf("%T in form %d shows %q: %s", v, verb, secret, text)
				}
			}
		}
	}
}

// An answer survives a store without loss.
func TestMemberDataStored(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	req := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets})
	for _, name := range []string{"memberdata-inner-response-success.xml", "memberdata-inner-response-partial.xml"} {
		r := memberResponse(t, name, nil)
		r.XadesT = Hide("AAAA")
		a, err := readMember(t, req, r)
		if err != nil {
			t.Fatal(err)
		}
		a.Message.Provenance = Provenance{
			Source: Alternate, Endpoint: "https://x.example.test/", ConsultedAt: memberNow.Add(123456789), Attempts: 3, MessageID: "urn:uuid:1", Notice: NoticeDirect,
		}
		a.Provenance = a.Message.Provenance
		b, err := a.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again := new(MemberDataAnswer)
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if !again.ConsultedAt.Equal(a.ConsultedAt) {
			t.Errorf("consulted at %v, want %v", again.ConsultedAt, a.ConsultedAt)
		}
		again.ConsultedAt, again.Message.Provenance.ConsultedAt = a.ConsultedAt, a.ConsultedAt
		if !reflect.DeepEqual(again, a) {
			t.Errorf("%s came back changed\n got %#v\nwant %#v", name, *again.Message, *a.Message)
		}
		if again.question.key() != req.Query.key() {
			t.Error("the key changed")
		}
		for i := range b {
			_ = new(MemberDataAnswer).UnmarshalBinary(b[:i])
		}
		if err := again.UnmarshalBinary(b[:len(b)-1]); !errors.Is(err, ErrStoredAnswer) {
			t.Errorf("half a record is read: %v", err)
		}
	}
	if _, err := new(MemberDataAnswer).MarshalBinary(); !errors.Is(err, ErrStoredAnswer) {
		t.Error(err)
	}
	// The key differs with asker, patient, insurer and what is asked, and does not with the days.
	key := func(c Caller, q MemberDataQuery) memberKey { return memberRequest(t, c, q).Query.key() }
	base := MemberDataQuery{Patient: ssinInsured}
	if key(doctor, base) != key(doctor, MemberDataQuery{Patient: ssinInsured, Date: sampleDay.AddDays(-3)}) {
		t.Error("the key depends on the day")
	}
	seen := map[memberKey]bool{key(doctor, base): true}
	for i, k := range []memberKey{
		key(hospital, base), key(doctor, MemberDataQuery{Patient: ssinDoctor}), key(doctor, MemberDataQuery{Patient: ssinInsured, Mutuality: mutuality}),
		key(doctor, MemberDataQuery{Patient: ssinInsured, RequestType: Invoicing}), key(doctor, MemberDataQuery{Patient: ssinInsured, ContactType: MemberHospitalized}),
		key(doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets}),
	} {
		if seen[k] {
			t.Errorf("key %d is that of another question", i)
		}
		seen[k] = true
	}
}

// What decodes can be written, what was written decodes to the same bytes, and nothing that a peer sends makes the reader
// panic or show what is not ours.
func FuzzMemberData(f *testing.F) {
	for _, name := range []string{"success", "partial", "input-error", "io-down"} {
		f.Add(sample(f, "memberdata-inner-response-"+name+".xml"))
	}
	f.Add(sample(f, "memberdata-attributequery-ssin.xml"))
	f.Add(sample(f, "memberdata-response-plain.xml"))
	f.Add(sample(f, "memberdata-request-plain.xml"))
	req := memberRequest(f, doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets})
	envelope := memberResponse(f, "memberdata-inner-response-success.xml", nil)
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := xmltree.Parse(bytes.Clone(doc), xmltree.Limits{Bytes: 1 << 16, Nodes: 1 << 12})
		if err != nil {
			return
		}
		_ = correlateMemberData(req, time.Now)(n)
		if n.Is(nsMemberData, "MemberDataConsultationRequest") {
			_ = decodeMemberData(n, n.Local(), new(MemberDataRequest), (*MemberDataRequest).wire)
		}
		if !n.Is(nsSAMLP, "AttributeQuery") && !n.Is(nsSAMLP, "Response") {
			return
		}
		once, err := resaml(n)
		if err != nil {
			return
		}
		n, err = xmltree.Parse(bytes.Clone(once), xmltree.Limits{})
		if err != nil {
			t.Fatalf("what we write does not parse: %v\n%s", err, once)
		}
		twice, err := resaml(n)
		if err != nil {
			t.Fatalf("what we write does not decode: %v\n%s", err, once)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("written twice, not the same\n%s\n%s", once, twice)
		}
		if !n.Is(nsSAMLP, "Response") {
			return
		}
		r := *envelope
		r.Detail.Content = doc
		a, err := readMember(t, req, &r)
		if err != nil {
			return
		}
		for _, s := range a.Message.Response.Assertions {
			if memberOf(s.Subject.NameID).ssin != "85073199704" {
				t.Fatalf("an assertion of another is shown")
			}
		}
		b, err := a.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again := new(MemberDataAnswer)
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatalf("what was stored is not read: %v", err)
		}
		if again.Insured != a.Insured || len(again.Items) != len(a.Items) || again.Partial != a.Partial {
			t.Fatal("what was stored comes back as something else")
		}
	})
}
