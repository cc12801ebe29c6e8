package protocol

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// wsdl yields name, SOAPAction and element of every operation of a published description.
func wsdl(t *testing.T, r Role) map[string][2]string {
	t.Helper()
	b, err := os.ReadFile(oracle.Shared(t, "schemas", "recipe", "wsdl", "ehealth-recipe-services", "WSDL",
		"RecipeWebService-"+r.String()+"-4_0.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	inputs, found := map[string]string{}, map[string][2]string{}
	root := tree(t, b)
	for n := range root.Descendants() {
		if n.Local() == "part" {
			name, _ := n.Parent().Attr("", "name")
			element, _ := n.Attr("", "element")
			_, inputs[name], _ = strings.Cut(element, ":")
		}
	}
	message := map[string]string{}
	for n := range root.Descendants() {
		if n.Local() == "input" && n.Parent().Parent().Local() == "portType" {
			op, _ := n.Parent().Attr("", "name")
			m, _ := n.Attr("", "message")
			_, m, _ = strings.Cut(m, ":")
			message[op] = inputs[m]
		}
	}
	const soap11 = "http://schemas.xmlsoap.org/wsdl/soap/"
	for n := range root.Descendants() {
		if n.Is(soap11, "operation") {
			op, _ := n.Parent().Attr("", "name")
			action, _ := n.Attr("", "soapAction")
			found[op] = [2]string{action, message[op]}
		}
	}
	return found
}

// The table is that of the published descriptions, and one operation more.
func TestOperationsAreThoseOfTheWSDLs(t *testing.T) {
	for _, r := range roles {
		published := wsdl(t, r)
		if len(published) < 10 {
			t.Fatalf("%v: only %d operations were found", r, len(published))
		}
		actions := map[string]string{}
		for _, p := range published {
			actions[p[0]] = p[1]
		}
		n := 0
		for _, o := range Operations() {
			if o.Role != r {
				continue
			}
			n++
			element, ok := actions[o.SOAPAction()]
			if o.Since == Gen2023 {
				if ok {
					t.Errorf("%v %s is published now", r, o.Name)
				}
				n--
				continue
			}
			if !ok || element != o.Stem+"Request" {
				t.Errorf("%v %s: published %v with %q", r, o.Name, ok, element)
			}
		}
		if n != len(published) {
			t.Errorf("%v: %d operations, %d are published", r, n, len(published))
		}
	}
}

// Every operation has both payloads, and is found by name and by param.
func TestOperationsAreComplete(t *testing.T) {
	if len(Operations()) != 39 {
		t.Error(len(Operations()))
	}
	used := map[string]bool{}
	for _, o := range Operations() {
		used[o.Param], used[o.Result] = true, true
		p, r := o.NewParam(), o.NewResult()
		if p == nil || r == nil || p.root(o.Role) != o.Param || r.root(o.Role) != o.Result || r.roots()[0] != o.Result {
			t.Errorf("%v %s", o.Role, o.Name)
			continue
		}
		if f, ok := Find(o.Role, o.Name); !ok || f != o {
			t.Errorf("%v %s is not found", o.Role, o.Name)
		}
		if f, ok := Of(o.Role, p); !ok || f != o {
			t.Errorf("%v %s is not found by its param", o.Role, o.Name)
		}
	}
	for root := range shapes {
		if !used[root] {
			t.Errorf("%s belongs to no operation", root)
		}
	}
	if _, ok := Find(Executor, "createPrescription"); ok {
		t.Error("pharmacies prescribe")
	}
	if _, ok := Of(Executor, new(CreatePrescriptionParam)); ok {
		t.Error("pharmacies prescribe")
	}
	if (Operation{}).NewParam() != nil || (Operation{}).NewResult() != nil || !(Operation{}).IsZero() {
		t.Error("no operation has payloads")
	}
}

// The table in the comment of the package is the table of the code.
func TestDocumentedTable(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, b := range new(comment.Parser).Parse(docText(f)).Content {
		if c, ok := b.(*comment.Code); ok && strings.HasPrefix(c.Text, "role") {
			lines = strings.Split(strings.TrimSuffix(c.Text, "\n"), "\n")[1:]
		}
	}
	if len(lines) != len(operations) {
		t.Fatalf("%d lines, %d operations", len(lines), len(operations))
	}
	for i, o := range operations {
		want := []string{o.Role.String(), o.Action, o.Stem, o.Param, o.Result}
		if got := strings.Fields(lines[i]); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

func docText(f *ast.File) string { return f.Doc.Text() }

func TestRequest(t *testing.T) {
	for _, role := range append(roles, 0, 9) {
		for _, doc := range []string{"<a/>", "<UploadFileRequest/>", "<CreatePrescriptionResponse/>"} {
			if r, _, err := DecodeRequest(role, tree(t, []byte(doc))); err == nil || r != nil {
				t.Errorf("%v read %s", role, doc)
			}
		}
	}
	if _, _, err := DecodeRequest(Prescriber, nil); err == nil {
		t.Error("nothing was read as a request")
	}
	create, _ := Find(Prescriber, "createPrescription")
	vision, _ := Find(Prescriber, "putVisionForPrescriber")
	get, _ := Find(Executor, "getPrescriptionForExecutor")
	at := parseTimeOrFatal(t, "2030-01-15T09:30:00.000+01:00")
	base := Request{ID: "id1", IssueInstant: at, ProgramID: "p", SecuredContent: []byte("s")}
	with := func(o Operation, change func(*Request)) *Request {
		r := base
		r.Operation = o
		change(&r)
		return &r
	}
	for _, c := range []struct {
		name, want string
		r          *Request
	}{
		{"no operation", "no operation", with(Operation{}, func(*Request) {})},
		{"no administrative information", "AdministrativeInformation: part is missing", with(create, func(*Request) {})},
		{"no key", "KeyIdentifier: part is missing", with(create, func(r *Request) { r.Administrative = &Administrative{PrescriptionType: "P0"} })},
		{"no id", "@Id: part is missing", with(vision, func(r *Request) { r.ID = "" })},
		{"no program", "@ProgramId: part is missing", with(vision, func(r *Request) { r.ProgramID = "" })},
		{"no instant", "@IssueInstant: part is missing", with(vision, func(r *Request) { r.IssueInstant = parseTimeOrFatal(t, "0001-01-01T00:00:00Z") })},
		{"nothing sealed", "SecuredContent: part is missing", with(vision, func(r *Request) { r.SecuredContent = nil })},
		{"vision without information", "", with(vision, func(*Request) {})},
		{"insurability", "", with(get, func(r *Request) { r.DisableInsurabilityCheck = true })},
	} {
		b, err := c.r.Encode()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v\n%s", c.name, err, b)
		}
	}
}

func TestResponse(t *testing.T) {
	get, _ := Find(Executor, "getPrescriptionForExecutor")
	const head = `<GetPrescriptionForExecutorResponse Id="a" IssueInstant="2030-01-15T09:30:00Z"><Status><StatusCode Value="`
	const tail = `</GetPrescriptionForExecutorResponse>`
	doc := head + StatusSuccess + `"/></Status><PrescriptionType>P1</PrescriptionType><SecuredGetPrescriptionForExecutorResponse><SecuredContent>QQ==</SecuredContent>` +
		`</SecuredGetPrescriptionForExecutorResponse><GetInsurabilityForPharmacistResponse><x/></GetInsurabilityForPharmacistResponse>` + tail
	r, dev, err := DecodeResponse(get, tree(t, []byte(doc)))
	if err != nil || !dev.None() || !r.Status.OK() || string(r.SecuredContent) != "A" || r.PrescriptionType != "P1" ||
		r.Insurability.Child("", "x") == nil {
		t.Errorf("%v, %+v, %+v", err, dev, r)
	}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := DecodeResponse(get, tree(t, b))
	if err != nil || again.Insurability.Child("", "x") == nil || again.PrescriptionType != "P1" {
		t.Errorf("%v\n%s", err, b)
	}
	if _, err := (&Response{}).Encode(); err == nil {
		t.Error("an answer to nothing was written")
	}
	for name, c := range map[string]struct {
		doc  string
		want string
		ok   func(*Response) bool
	}{
		"another operation": {"<MarkAsDeliveredResponse/>", "another element", nil},
		"no status":         {"<GetPrescriptionForExecutorResponse/>", "Status: part is missing", nil},
		"no code":           {"<GetPrescriptionForExecutorResponse><Status/></GetPrescriptionForExecutorResponse>", "StatusCode: part is missing", nil},
		"nothing sealed":    {head + `100"/></Status>` + tail, "", func(r *Response) bool { return r.Status.OK() && r.SecuredContent == nil }},
		"seal is empty": {
			head + `100"/></Status><SecuredGetPrescriptionForExecutorResponse><SecuredContent/></SecuredGetPrescriptionForExecutorResponse>` + tail,
			"SecuredContent: part is missing", nil,
		},
		"seal is not base64": {
			head + `100"/></Status><SecuredGetPrescriptionForExecutorResponse><SecuredContent>?</SecuredContent></SecuredGetPrescriptionForExecutorResponse>` + tail,
			"not base64", nil,
		},
		"failure": {
			head + `urn:x:Requester"><StatusCode Value="urn:x:Bad thing"/></StatusCode><StatusMessage>m</StatusMessage><StatusDetail><a/></StatusDetail></Status>` + tail, "",
			func(r *Response) bool {
				return !r.Status.OK() && r.Status.SafeCode() == "Requester/unprintable" && r.Status.Message.Reveal() == "m"
			},
		},
	} {
		r, _, err := DecodeResponse(get, tree(t, []byte(c.doc)))
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || !c.ok(r):
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
	if _, _, err := DecodeResponse(get, nil); err == nil {
		t.Error("nothing was read as an answer")
	}
	if _, _, err := DecodeResponse(Operation{}, tree(t, []byte("<Response/>"))); err == nil {
		t.Error("an answer to nothing was read")
	}
}
