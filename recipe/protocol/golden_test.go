package protocol

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed are the values of the golden messages, by type.
var fixed = map[reflect.Type]any{
	reflect.TypeFor[identity.SSIN]():             identity.MustSSIN("00000000196"),
	reflect.TypeFor[identity.NIHII]():            identity.MustNIHII("10000007004"),
	reflect.TypeFor[identity.RID]():              identity.MustRID("BEP0ABCDEFGH"),
	reflect.TypeFor[identity.Private]():          identity.Hide("00000000394"),
	reflect.TypeFor[ResponseKey]():               must1(ParseResponseKey([]byte("0123456789abcdef01234567"))),
	reflect.TypeFor[Date]():                      Day(2030, 4, 14),
	reflect.TypeFor[time.Time]():                 time.Date(2030, 1, 15, 9, 30, 0, 5e6, brussels),
	reflect.TypeFor[[]byte]():                    []byte("content"),
	reflect.TypeFor[Session]():                   Session("session"),
	reflect.TypeFor[PrescriptionStatus]():        InProcess,
	reflect.TypeFor[Vision]():                    VisionLocked,
	reflect.TypeFor[VisionOthers]():              OthersGMD,
	reflect.TypeFor[VisionType]():                VisionTypePrescriber,
	reflect.TypeFor[ContactPreference]():         EmailAddress,
	reflect.TypeFor[Status]():                    Status{Code: CodeRefuse, MessageCode: "error.sample", Messages: []Message{{"NL", identity.Hide("<&>")}, {Text: identity.Hide("é")}}, StatusUpdater: identity.Hide("20000014"), PrescriptionStatus: Revoked},
	reflect.TypeFor[Message]():                   Message{"FR", identity.Hide("texte")},
	reflect.TypeFor[SortedBy]():                  SortedBy{ByPrescriptionDate, Descending},
	reflect.TypeFor[Page]():                      Page{4, 2030, 2, []byte("context")},
	reflect.TypeFor[identity.PrescriptionType](): identity.PrescriptionP0,
}

// fillFixed fills everything.
func fillFixed(v reflect.Value) {
	if x, ok := fixed[v.Type()]; ok {
		v.Set(reflect.ValueOf(x))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillFixed(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillFixed(v.Index(0))
		fillFixed(v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			fillFixed(v.Field(i))
		}
	case reflect.Int: // counts are not on the wire
	default:
		panic(v.Type().String())
	}
}

// Every message with all that its role and generation know, one a line, as reviewed. A line ends at a root element, so
// that the files are read and compared without the code.
func TestGolden(t *testing.T) {
	got := map[string]*strings.Builder{}
	shapesOf(func(name string, r Role, g Generation, shape func() Payload) {
		p := shape()
		fillFixed(reflect.ValueOf(p).Elem())
		fit(r, g, p)
		b, err := Encode(r, g, p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := fmt.Sprintf("%v-%v.txt", r, g)
		if got[file] == nil {
			got[file] = new(strings.Builder)
		}
		got[file].Write(append(b, '\n'))
	})
	requests := new(strings.Builder)
	for _, o := range operations {
		q := &Request{
			Operation: o, ID: "id00000000-0000-4000-8000-000000000001", ProgramID: "vendor/1.0", SecuredContent: []byte("sealed"),
			IssueInstant:   time.Date(2030, 1, 15, 9, 30, 0, 0, brussels),
			Administrative: &Administrative{"P0", "kmehr_1.29", "samv2:SAMPLE", "AAECAwQFBgcICQoLDA0ODw=="},
		}
		b, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		requests.Write(append(b, '\n'))
	}
	got["requests.txt"] = requests
	for file, text := range got {
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text.String() != string(want) {
			t.Errorf("%s differs; look at the change and run with -update\n%s", file, text)
		}
	}
	if found, err := filepath.Glob("testdata/*.txt"); err != nil || len(found) != len(got) {
		t.Errorf("%v, %v: want %d files", found, err, len(got))
	}
}

// The golden messages are valid, but for the date of the older schema.
func TestGoldenIsValid(t *testing.T) {
	for _, r := range roles {
		for _, g := range []Generation{Gen2021, Gen2023} {
			for line := range strings.Lines(string(read(t, filepath.Join("testdata", fmt.Sprintf("%v-%v.txt", r, g))))) {
				root := tree(t, []byte(line)).Local()
				err := oracle.XSDError(t, sealedSchema(t, r, g, root), []byte(line))
				if dated := root == "createPrescriptionParam" && g == Gen2021; (err != nil) != dated {
					t.Errorf("%v, %v: %v\n%s", r, g, err, line)
				}
			}
		}
	}
	for i, o := range operations {
		line := strings.Split(string(read(t, filepath.Join("testdata", "requests.txt"))), "\n")[i]
		oracle.ValidateXSD(t, outerSchema(t, o), []byte(line))
	}
}
