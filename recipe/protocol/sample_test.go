package protocol

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func shared(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(oracle.Shared(t, append([]string{"samples", "recipe"}, strings.Split(name, "/")...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tree(t testing.TB, doc []byte) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse(doc, limits)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return n
}

// compact is the canonical form without white space between elements.
func compact(t testing.TB, doc []byte) string {
	t.Helper()
	w := xmltree.NewWriter()
	copyTree(w, tree(t, doc), func(n *xmltree.Node) []*xmltree.Node { return slices.Collect(n.Children()) })
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(c14n.Append(nil, tree(t, b), c14n.Options{}))
}

// copyTree writes n again; children yields what to write of an element.
func copyTree(w *xmltree.Writer, n *xmltree.Node, children func(*xmltree.Node) []*xmltree.Node) {
	w.Start(n.Prefix(), n.Local())
	for _, ns := range n.Namespaces() {
		w.NS(ns.Prefix, ns.URI)
	}
	for _, a := range n.Attrs() {
		w.Attr(a.Prefix, a.Local, a.Value)
	}
	kids := children(n)
	leaf := !slices.ContainsFunc(kids, func(c *xmltree.Node) bool { return c.Kind() == xmltree.Element })
	for _, c := range kids {
		switch {
		case c.Kind() == xmltree.Element:
			copyTree(w, c, children)
		case c.Kind() == xmltree.Text && (leaf || strings.TrimSpace(c.Data()) != ""):
			w.Text(c.Data())
		}
	}
	w.End()
}

var roles = []Role{Prescriber, Executor, Patient}

// roleOf reads the role from the folder of a sample.
func roleOf(file string) Role {
	for _, r := range roles {
		if strings.Contains(file, "/"+r.String()+"/") {
			return r
		}
	}
	return 0
}

// generationOf reads the generation from the name of a sample.
func generationOf(file string) Generation {
	if strings.Contains(file, "-2021") {
		return Gen2021
	}
	return Gen2023
}

// payloadOf makes the empty payload that a sample of sealed/ holds.
func payloadOf(file string) Payload {
	name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".xml"), "-")
	if f := shapes[name]; f != nil {
		return f()
	}
	return nil
}

func operationOf(file string) Operation {
	stem, _, _ := strings.Cut(filepath.Base(file), ".")
	stem, _, _ = strings.Cut(stem, "-")
	for _, o := range operations {
		if o.Role == roleOf(file) && (stem == o.Stem+"Request" || stem == o.Stem+"Response") {
			return o
		}
	}
	return Operation{}
}

// elsewhere lists the samples that other packages read; here they are only well-formed.
var elsewhere = map[string]string{
	"kmehr/prescription-cnk.xml":              "recipe/kmehr",
	"kmehr/prescription-vmpgroup.xml":         "recipe/kmehr",
	"kmehr/prescription-cnk-samproof.xml":     "recipe/kmehr",
	"kmehr/prescription-magistral.xml":        "recipe/kmehr",
	"kgss/getNewKeyRequestContent-recipe.xml": "etee",
	"soap/createPrescription-envelope.xml":    "internal/soap",
	"soap/fault-temporarily-unavailable.xml":  "internal/soap",
	"soap/fault-no-access.xml":                "internal/soap",
}

// Every file of the folder of samples belongs to exactly one of the tests below, so that none can be added unseen.
func TestSamplesAreAllCovered(t *testing.T) {
	root := oracle.Shared(t, "samples", "recipe")
	counts := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case elsewhere[name] != "":
			tree(t, shared(t, name))
			counts["elsewhere"]++
		case strings.HasPrefix(name, "sealed/") && payloadOf(name) != nil && roleOf(name) != 0:
			counts["sealed"]++
		case strings.HasPrefix(name, "outer/") && !operationOf(name).IsZero():
			counts["outer"]++
		case slices.Contains([]string{"README.md", "notification.xml", "feedback.xml", "vectors/response-3des.txt"}, name):
			counts["others"]++
		default:
			t.Errorf("%s: no test reads it", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 171 || counts["elsewhere"] != len(elsewhere) {
		t.Errorf("%d files, %v; want 171", total, counts)
	}
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(oracle.Shared(t, "samples", "recipe"), folder, "*", "*.xml"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	return paths
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealedSchema is the schema that judges a sealed payload; the newer shapes are in schemas of our own.
func sealedSchema(t testing.TB, r Role, g Generation, root string) string {
	t.Helper()
	newer := []string{"createPrescriptionParam", "putVisionParam", "listPrescriptionsParam", "listPrescriptionsResult"}
	switch {
	case root == "getPrescriptionForExecutorResultSealed":
		return oracle.Shared(t, "schemas", "recipe", "derived", "recipe-executor-derived.xsd")
	case r == Prescriber && g == Gen2023 && slices.Contains(newer, root):
		return oracle.Shared(t, "schemas", "recipe", "derived", "recipe-prescriber-2023-derived.xsd")
	}
	name := strings.ToUpper(r.String()[:1]) + r.String()[1:]
	return oracle.Shared(t, "schemas", "recipe", "wsdl", "recipe-central-system-unsealed", "XSD",
		"Unsealed"+name+"ServicesV4_schema1.xsd")
}

// invalid are the samples that the schemas refuse on purpose (README of the samples).
var invalid = []string{"createPrescriptionParam-2021order.xml", "createPrescriptionResult-error.xml"}

// silent are the results without hasMoreResults, which we always write.
var silent = []string{"executor/listRelationsResult.xml", "patient/listRelationsResult.xml", "patient/listPatientPrescriptionsResult.xml"}

// Every sealed sample decodes without a deviation; what is written back is the same message, and valid.
func TestSealedSamples(t *testing.T) {
	for _, file := range files(t, "sealed") {
		role, gen, doc := roleOf(file), generationOf(file), read(t, file)
		t.Run(role.String()+"/"+filepath.Base(file), func(t *testing.T) {
			p := payloadOf(file)
			dev, err := Decode(doc, p)
			if err != nil || !dev.None() {
				t.Fatalf("%v, %+v", err, dev)
			}
			b, err := Encode(role, gen, p)
			if err != nil {
				t.Fatal(err)
			}
			same := compact(t, b) == compact(t, doc)
			quiet := slices.Contains(silent, role.String()+"/"+filepath.Base(file))
			if same == quiet {
				t.Errorf("written back: same is %v\n%s\n%s", same, compact(t, b), compact(t, doc))
			}
			q := payloadOf(file)
			if _, err := Decode(b, q); err != nil || !reflect.DeepEqual(plain(p), plain(q)) {
				t.Errorf("read again: %v\n%+v\n%+v", err, p, q)
			}
			schema := sealedSchema(t, role, gen, tree(t, doc).Local())
			bad := slices.Contains(invalid, filepath.Base(file))
			for what, x := range map[string][]byte{"sample": doc, "written": b} {
				if err := oracle.XSDError(t, schema, x); (err != nil) != bad {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// Every outer sample decodes without a deviation; what is written back is the same message, and valid.
func TestOuterSamples(t *testing.T) {
	for _, file := range files(t, "outer") {
		op, doc := operationOf(file), read(t, file)
		t.Run(op.Role.String()+"/"+filepath.Base(file), func(t *testing.T) {
			var b []byte
			var dev Deviations
			var err error
			if strings.Contains(filepath.Base(file), "Request") {
				var r *Request
				if r, dev, err = DecodeRequest(op.Role, tree(t, doc)); err == nil {
					b, err = r.Encode()
				}
			} else {
				var r *Response
				if r, dev, err = DecodeResponse(op, tree(t, doc)); err == nil {
					b, err = r.Encode()
				}
			}
			if err != nil || !dev.None() {
				t.Fatalf("%v, %+v", err, dev)
			}
			if got, want := compact(t, b), compact(t, doc); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			oracle.ValidateXSD(t, outerSchema(t, op), b)
		})
	}
}

func outerSchema(t testing.TB, o Operation) string {
	t.Helper()
	if o.Since == Gen2023 {
		return oracle.Shared(t, "schemas", "recipe", "derived", "recipe-protocol-2023-derived.xsd")
	}
	return oracle.Shared(t, "schemas", "recipe", "wsdl", "ehealth-recipe-services", "WSDL", "recipeservices_protocol-4_0.xsd")
}

// unsealed are the results that have no sample of their own, only the sealed one; they hold a status and nothing else.
var unsealed = []string{
	"patient/createRelationResult", "patient/updateFeedbackFlagResult", "patient/revokePrescriptionResult", "patient/revokeRelationResult",
}

// What the samples of answers carry opens with the key of the vector, and is the sealed sample, byte by byte.
func TestAnswersOpen(t *testing.T) {
	key := vector(t).key
	n := 0
	for _, file := range files(t, "outer") {
		if !strings.Contains(file, "Response") {
			continue
		}
		op := operationOf(file)
		t.Run(op.Role.String()+"/"+filepath.Base(file), func(t *testing.T) {
			r, _, err := DecodeResponse(op, tree(t, read(t, file)))
			if err != nil {
				t.Fatal(err)
			}
			if !r.Status.OK() {
				if r.SecuredContent != nil || r.Status.SafeCode() != "Responder/SampleSubcode" {
					t.Errorf("%s, %d bytes", r.Status.SafeCode(), len(r.SecuredContent))
				}
				return
			}
			n++
			plain, err := key.Decrypt(r.SecuredContent)
			if err != nil {
				t.Fatal(err)
			}
			name := op.Result
			if strings.Contains(file, "innerError") {
				name += "-error"
			}
			name = op.Role.String() + "/" + name
			if slices.Contains(unsealed, name) {
				if _, err := os.Stat(filepath.Join(oracle.Shared(t, "samples", "recipe"), "sealed", name+".xml")); err == nil {
					t.Errorf("%s is there now", name)
				}
			} else if want := shared(t, "sealed/"+name+".xml"); !bytes.Equal(plain, want) {
				t.Errorf("got\n%s\nwant\n%s", plain, want)
			}
			res := op.NewResult()
			if dev, err := key.Open(r.SecuredContent, res); err != nil || !dev.None() {
				t.Fatal(err, dev)
			}
			if res.Outcome().OK() == strings.Contains(file, "innerError") {
				t.Error(res.Outcome().Code)
			}
			if _, err := NewResponseKey().Open(r.SecuredContent, op.NewResult()); err == nil {
				t.Error("opened with another key")
			}
		})
	}
	if n != len(operations)+1 {
		t.Errorf("%d answers opened, want one for each of %d operations, and a refusal", n, len(operations))
	}
}

func TestContents(t *testing.T) {
	n, dev, err := DecodeNotification(shared(t, "notification.xml"))
	if err != nil || !dev.None() || n.Text.Reveal() != "Sample notification text" {
		t.Fatal(n, dev, err)
	}
	n.KMEHRMessage = []byte(`<kmehrmessage xmlns:k="http://www.ehealth.fgov.be/standards/kmehr/schema/v1"><k:header/></kmehrmessage>`)
	b, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := DecodeNotification(b)
	if err != nil || string(again.KMEHRMessage) != string(n.KMEHRMessage) || again.Text != n.Text {
		t.Errorf("%v\n%s", err, b)
	}
	for _, bad := range []string{"", "text", "<a/>", `<kmehrmessage xmlns="x"/>`, "<kmehrmessage>"} {
		if _, err := (&Notification{KMEHRMessage: []byte(bad)}).Encode(); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
	f, dev, err := DecodeFeedback(shared(t, "feedback.xml"))
	if err != nil || !dev.None() || f.Text.Reveal() != "Sample feedback text" {
		t.Fatal(f, dev, err)
	}
	n.KMEHRMessage = nil
	for name, doc := range map[string]func() ([]byte, error){"notification": n.Encode, "feedback": f.Encode} {
		b, err := doc()
		if err != nil {
			t.Fatal(err)
		}
		oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "recipe", "conf", "XSD", "20170403-recipe", name+".xsd"), b)
		if compact(t, b) != compact(t, shared(t, name+".xml")) {
			t.Errorf("%s\n%s", name, b)
		}
	}
	if _, _, err := DecodeFeedback([]byte("no")); !errors.Is(err, xmltree.ErrSyntax) {
		t.Error(err)
	}
}
