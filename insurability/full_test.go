package insurability

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

func fullOrigin() Origin {
	n := &NIHII{Quality: "hospital", Value: Hide("70999941000")}
	return Origin{
		Package: Package{Name: "pkg", Licence: NewLicence("u<&>ser", "s\rec\"ret")},
		CareProvider: &CareProvider{
			NIHII:          *n,
			PhysicalPerson: &Party{Name: Hide("N"), NIHII: n, SSIN: Hide("90022999836"), CBE: Hide("0999999922")},
			Organization:   &Party{Name: Hide("O"), NIHII: n, SSIN: Hide("90022999836"), CBE: Hide("0999999922")},
		},
	}
}

func fullHeader() MessageHeader {
	return MessageHeader{
		MessageName: "M801000", Version: "01", Duplicate: Yes, TestFlag: No,
		SenderReference: "1", ReceiverReference: "2", Synchronous: Yes,
	}
}

func fullRequest() *GenInsRequest {
	o := fullOrigin()
	o.SiteID = "SITE-1"
	return &GenInsRequest{
		CommonInput:       CommonInput{IsTest: true, Origin: o, InputReference: "ABCD1234567890", NIPReference: "N"},
		RecordCommonInput: RecordCommonInput{InputReference: sampleRef},
		Request: SingleRequest{
			Header:       fullHeader(),
			CareReceiver: CareReceiverID{SSIN: Hide("85073199704"), RegNr: Hide("9999999999999"), Mutuality: "319"},
			Detail:       fullDetail(),
		},
	}
}

func fullDetail() RequestDetail {
	return RequestDetail{
		RequestType: Invoicing, ContactType: HospitalizedForDay, Reference: "REF Ë<1>",
		Period: Period{Start: sampleDay, End: sampleDay.AddDays(30)},
	}
}

func fullPerson() Person {
	return Person{
		FirstName: Hide("Zoë & Co"), LastName: Hide("L"), Birthday: Day(1985, 7, 31), Deceased: sampleDay, Sex: Female,
	}
}

func fullResponse() *GenInsResponse {
	item := InsurabilityItem{
		RegNr: Hide("9999999999999"), Mutuality: "319", Period: Period{sampleDay, sampleDay}, CT1: "110", CT2: "114",
		PaymentApproval: "P", Date: sampleDay,
	}
	open := item
	open.Period.End = Date{}
	return &GenInsResponse{
		ID:                 "id",
		Status:             Status{Code: "200", Messages: []Text{{Lang: "NL", Value: Hide("ok")}, {Value: Hide("ok")}}},
		CommonOutput:       CommonOutput{InputReference: "a", NIPReference: "b", OutputReference: "c"},
		RecordCommonOutput: RecordCommonOutput{InputReference: "1", OutputReference: "2"},
		Response: SingleResponse{
			Header:  fullHeader(),
			Patient: &CareReceiverDetail{SSIN: Hide("85073199704"), Person: fullPerson()},
			Detail: &ResponseDetail{
				Situation: &GeneralSituation{Event: Multiple, Transfers: []Transfer{
					{Direction: ToOtherIO, Insurer: "300", Date: sampleDay},
					{Direction: FromOtherIO},
				}},
				Payment:      Payment{ByIO: true, MaxInvoiced: []int{2027, 2028, 2029}, SpecialSocialCategory: Yes},
				Hospitalized: &Hospitalized{Hospital: "070999941000", Admission: sampleDay, Service: "210"},
				MedicalHouse: &MedicalHouse{Nurse: Yes, Medical: No, Kine: Yes, Period: Period{sampleDay, sampleDay}},
				List:         &InsurabilityList{Truncated: Yes, Items: []InsurabilityItem{item, open, item, item, item}},
			},
			RequestDetail: fullDetail(),
		},
	}
}

func fullFault() *GenInsResponse {
	r := fullResponse()
	text := Text{Lang: "nl", Value: Hide("fout")}
	r.Response.Patient, r.Response.Detail = nil, nil
	r.Response.CareReceiver = &CareReceiverID{SSIN: Hide("85073199704"), RegNr: Hide("1"), Mutuality: "319"}
	r.Response.Fault = &MessageFault{
		FaultCode: MultiIOError, Source: "MYCARENET", MultiIO: []string{"1", "3", "9"}, Message: text,
		Details: []FaultDetail{{Code: "44", Location: "../../../../CareReceiverId/Inss", Message: &text}, {Code: "99"}},
	}
	return r
}

func fullPharmacistRequest() *PharmacistRequest {
	return &PharmacistRequest{
		IsTest: Yes, Origin: fullOrigin(),
		Record: PharmacistRecord{Reference: sampleRef, UserReference: "TILL-1"},
		Request: PharmacistQuestion{
			Date: sampleDay, RequestType: "1",
			CareReceiver: CareReceiverID{SSIN: Hide("85073199704"), RegNr: Hide("9"), Mutuality: "319"},
		},
		Information: fullInformation(),
	}
}

func fullInformation() *ExtendedInformation {
	return &ExtendedInformation{Attributes: []Attribute{
		{Name: "n", NameFormat: "urn:f", FriendlyName: "friend", Values: []Private{Hide("v"), Hide("w")}},
	}}
}

func fullPharmacistResponse() *PharmacistResponse {
	return &PharmacistResponse{
		ID:     "id",
		Status: Status{Code: "200", Messages: []Text{{Lang: "NA", Value: Hide("ok")}}},
		Body: &PharmacistBody{
			CommonOutput:       PharmacistOutput{Reference: "12345678901234", IOReference: "12345678901235"},
			RecordCommonOutput: PharmacistRecordOutput{Reference: "1", IOReference: "2", UserReference: "U"},
			ReturnInfo: ReturnInfo{
				Code: ReturnCode{Major: "01", Minor: "00", Detail: "00000"}, MultipleIO: []string{"1", "9"},
			},
			Response: PharmacistAnswer{
				Requested: sampleDay,
				CareReceiver: PharmacistPatient{
					ID:     CareReceiverID{SSIN: Hide("85073199704"), RegNr: Hide("9"), Mutuality: "319"},
					Person: fullPerson(),
				},
				Coverage: &Coverage{
					Communicated: sampleDay, Period: Period{sampleDay, sampleDay.AddDays(30)},
					Code1: "111", Code2: "114", ThirdParty: ThirdPartyElevated,
				},
				Verification: &Verification{
					PaymentApproval: strings.Repeat("A", 32), PaymentApprovalSeed: "2030011501", InvoicingOfficeCheckDigit: "42",
				},
			},
			Information: fullInformation(),
		},
	}
}

// Messages with every field set are valid and come back equal: no field is forgotten in either direction.
func TestEveryField(t *testing.T) {
	for name, m := range map[string]any{
		"request":             fullRequest(),
		"response":            fullResponse(),
		"fault":               fullFault(),
		"pharmacist request":  fullPharmacistRequest(),
		"pharmacist response": fullPharmacistResponse(),
	} {
		t.Run(name, func(t *testing.T) {
			doc := encodeAny(t, m)
			oracle.ValidateXSD(t, schema(t, doc), doc)
			if again := decodeAny(t, m, doc); !reflect.DeepEqual(m, again) {
				t.Errorf("message changed on its way: %s", doc)
			}
			if name != "fault" {
				assertFilled(t, name, reflect.ValueOf(m).Elem())
			}
		})
	}
}

// assertFilled fails for a field that the test above leaves empty and so does not test.
func assertFilled(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			t.Errorf("%s is not set", path)
			return
		}
		assertFilled(t, path, v.Elem())
	case reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is empty", path)
			return
		}
		assertFilled(t, path, v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Date]() || v.Type() == reflect.TypeFor[Private]() {
			break
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			// What the choice of the answer excludes, what is not on the wire, and the site that pharmacists lack.
			if !f.IsExported() || f.Name == "Provenance" || f.Name == "CareReceiver" && f.Type.Kind() == reflect.Pointer ||
				f.Type == reflect.TypeFor[*MessageFault]() || f.Name == "SiteID" && strings.HasPrefix(path, "pharmacist") {
				continue
			}
			assertFilled(t, path+"."+f.Name, v.Field(i))
		}
		return
	}
	if v.IsZero() {
		t.Errorf("%s is not set", path)
	}
}

func encodeAny(t *testing.T, m any) []byte {
	t.Helper()
	var doc []byte
	var err error
	switch m := m.(type) {
	case *GenInsRequest:
		doc, err = m.encode()
	case *GenInsResponse:
		doc, err = encode(genInsProtocol, genInsCore, "GetInsurabilityResponse", m, (*GenInsResponse).wire)
	case *PharmacistRequest:
		doc, err = m.encode()
	case *PharmacistResponse:
		doc, err = encode(pharmacistProtocol, pharmacistCore, "GetInsurabilityForPharmacistResponse", m, (*PharmacistResponse).wire)
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func decodeAny(t *testing.T, like any, doc []byte) any {
	t.Helper()
	n := parse(t, doc)
	var m any
	var err error
	switch like.(type) {
	case *GenInsRequest:
		r := new(GenInsRequest)
		m, err = r, decode(n, genInsProtocol, genInsCore, n.Local(), r, (*GenInsRequest).wire)
	case *GenInsResponse:
		m, err = decodeGenIns(n)
	case *PharmacistRequest:
		r := new(PharmacistRequest)
		m, err = r, decode(n, pharmacistProtocol, pharmacistCore, n.Local(), r, (*PharmacistRequest).wire)
	case *PharmacistResponse:
		m, err = decodePharmacist(n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecodeRefuses(t *testing.T) {
	insured := string(sample(t, "genins-response-insured.xml"))
	pharmacist := string(sample(t, "pharmacist-response-insured.xml"))
	for _, tt := range []struct{ name, doc, from, to, path string }{
		{"status in the protocol namespace", insured, "<Status>", `<Status xmlns="urn:be:fgov:ehealth:genericinsurability:protocol:v1">`, "Status"},
		{"status code in the core namespace", insured, "<Code>200</Code>", "<c:Code>200</c:Code>", "Status/Code"},
		{"response in the core namespace", insured, "p:Response", "c:Response", "Response"},
		{"payment in the protocol namespace", insured, "c:Payment>", "p:Payment>", "Payment"},
		{"payment missing", insured, "<c:Payment><c:PaymentByIo>true</c:PaymentByIo><c:MaxInvoiced>2029</c:MaxInvoiced><c:SpecialSocialCategory>false</c:SpecialSocialCategory></c:Payment>", "", "Payment"},
		{"comment inside a number", insured, "<c:Inss>85073199704", "<c:Inss>850731<!-- x -->99704", "Inss"},
		{"element inside a number", insured, "<c:Inss>85073199704", "<c:Inss>850731<c:x/>99704", "Inss"},
		{"two patients", insured, "<c:InsurabilityResponseDetail>", "<c:CareReceiverDetail/><c:InsurabilityResponseDetail>", "CareReceiverDetail"},
		{"two numbers", insured, "<c:FirstName>", "<c:Inss>15073199817</c:Inss><c:FirstName>", "Inss"},
		{"both alternatives", insured, "<c:CareReceiverDetail>", "<c:CareReceiverId/><c:CareReceiverDetail>", "Response"},
		{"bad date", insured, "<c:Birthday>1985-07-31", "<c:Birthday>1985-02-30", "Birthday"},
		{"bad zone", insured, "<c:Birthday>1985-07-31", "<c:Birthday>1985-07-31T00:00", "Birthday"},
		{"bad boolean", insured, "PaymentByIo>true", "PaymentByIo>yes", "PaymentByIo"},
		{"bad year", insured, ">2029<", ">29<", "MaxInvoiced"},
		{"bad flag", insured, `Truncated="false"`, `Truncated="no"`, "@Truncated"},
		{"no return code", pharmacist, "c:ReturnCode>", "c:Other>", "ReturnCode"},
		{"no end of coverage", pharmacist, "<c:EndDate>2030-02-14</c:EndDate>", "", "EndDate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.ReplaceAll(tt.doc, tt.from, tt.to)
			if doc == tt.doc {
				t.Fatal("the case changes nothing")
			}
			_, err := recode(parse(t, []byte(doc)))
			me, ok := err.(*MessageError)
			if !ok {
				t.Fatalf("got %v, want a MessageError", err)
			}
			if !strings.HasSuffix(me.Path, tt.path) {
				t.Errorf("path %q, want …%s", me.Path, tt.path)
			}
			if strings.Contains(me.Error(), "850731") {
				t.Errorf("error quotes content: %v", me)
			}
		})
	}
}

// What later versions of the schemas may add does not stop us.
func TestDecodeTolerates(t *testing.T) {
	insured := string(sample(t, "genins-response-insured.xml"))
	want := compact(t, []byte(insured))
	for _, tt := range []struct{ name, from, to string }{
		{"unknown element", "<c:FirstName>", "<c:New>x<c:y/></c:New><c:FirstName>"},
		{"unknown element of another namespace", "<c:Payment>", `<x:Payment xmlns:x="urn:x"/><c:Payment>`},
		{"unknown attribute", "<c:Payment>", `<c:Payment new="1">`},
		{"comment between elements", "<c:Payment>", `<c:Payment><!-- c -->`},
		{"white space around a date", "<c:Birthday>1985-07-31", "<c:Birthday>\n 1985-07-31 "},
		{"zone of a date", "<c:Birthday>1985-07-31", "<c:Birthday>1985-07-31+02:00"},
		{"number for a boolean", "PaymentByIo>true", "PaymentByIo>1"},
		{"capital boolean", "PaymentByIo>true", "PaymentByIo>True"},
		{"zone of a year", ">2029<", ">2029Z<"},
		{"other prefixes", "c:", "core:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.ReplaceAll(insured, tt.from, tt.to)
			if tt.name == "other prefixes" {
				doc = strings.ReplaceAll(doc, "xmlns:c=", "xmlns:core=")
			}
			if doc == insured {
				t.Fatal("the case changes nothing")
			}
			b, err := recode(parse(t, []byte(doc)))
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(t, b); got != want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestUnknownEnumerationsAreKept(t *testing.T) {
	doc := strings.ReplaceAll(string(sample(t, "genins-response-not-insured.xml")), "closedBefore", "newEvent")
	r, err := decodeGenIns(parse(t, []byte(doc)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Response.Detail.Situation.Event != "newEvent" {
		t.Errorf("event %q", r.Response.Detail.Situation.Event)
	}
	a := answerGenIns(&GenInsRequest{Request: SingleRequest{Detail: RequestDetail{Period: OneDay(sampleDay)}}}, r)
	if a.Insured != NotKnown {
		t.Errorf("an unknown event is read as %v", a.Insured)
	}
}

func TestUnwritableText(t *testing.T) {
	r := fullRequest()
	r.CommonInput.Origin.Package.Name = "a\x00b"
	if _, err := r.encode(); err == nil {
		t.Error("a control character was written")
	}
}

func TestDates(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Date
		ok   bool
	}{
		{"2030-01-15", sampleDay, true},
		{"2030-01-15Z", sampleDay, true},
		{"2030-01-15-11:00", sampleDay, true},
		{"9999-12-31", Day(9999, 12, 31), true},
		{"1916-05-01", Day(1916, 5, 1), true}, // a midnight that Brussels never had
		{"2030-02-29", Date{}, false},
		{"0000-01-01", Date{}, false},
		{"-2030-01-15", Date{}, false},
		{"12030-01-15", Date{}, false},
		{"2030-1-15", Date{}, false},
		{"2030-01-15T00:00:00", Date{}, false},
		{"", Date{}, false},
	} {
		got, err := ParseDate(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseDate(%q) = %v, %v", tt.in, got, err)
		}
		if tt.ok && got.String() != tt.in[:10] {
			t.Errorf("%q comes back as %q", tt.in, got)
		}
	}
	// 23:30 in Brussels on the evening before, in winter and in summer.
	for utc, want := range map[string]string{
		"2030-01-14T22:59:59Z": "2030-01-14", "2030-01-14T23:00:00Z": "2030-01-15",
		"2030-07-14T21:59:59Z": "2030-07-14", "2030-07-14T22:00:00Z": "2030-07-15",
	} {
		ts, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			t.Fatal(err)
		}
		if got := DateOf(ts).String(); got != want {
			t.Errorf("DateOf(%s) = %s, want %s", utc, got, want)
		}
	}
	if got := sampleDay.Start().UTC().Format(time.RFC3339); got != "2030-01-14T23:00:00Z" {
		t.Errorf("start of day %s", got)
	}
	if got := Day(2030, 2, 28).AddDays(1); got != Day(2030, 3, 1) {
		t.Errorf("AddDays gives %v", got)
	}
}

func TestDateAsText(t *testing.T) {
	var got struct{ A, B Date }
	if err := json.Unmarshal([]byte(`{"A":"2030-01-15","B":""}`), &got); err != nil || got.A != sampleDay || !got.B.IsZero() {
		t.Errorf("got %v, %v", got, err)
	}
	b, err := json.Marshal(got)
	if err != nil || string(b) != `{"A":"2030-01-15","B":""}` {
		t.Errorf("got %s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`{"A":"15/01/2030"}`), &got); err == nil {
		t.Error("another notation was accepted")
	}
	if got := Day(10000, 1, 1); !got.IsZero() {
		t.Errorf("a year of five digits gives %v", got)
	}
	if y, m, d := sampleDay.Date(); y != 2030 || m != time.January || d != 15 {
		t.Errorf("parts %d %d %d", y, m, d)
	}
	if got := DateOf(time.Time{}); !got.IsZero() || !got.Start().IsZero() {
		t.Errorf("no instant is %v", got)
	}
	if got := (Period{sampleDay, Date{}}).String(); got != "2030-01-15…" {
		t.Errorf("period %s", got)
	}
}
