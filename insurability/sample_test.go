package insurability

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func messageSamples(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"genins-re*.xml", "pharmacist-re*.xml"} {
		m, err := filepath.Glob(filepath.Join("testdata", "samples", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m {
			names = append(names, filepath.Base(f))
		}
	}
	if len(names) != 13 {
		t.Fatalf("%d samples, want 13", len(names))
	}
	return names
}

// Every sample decodes; what we write back is the same message and valid for the real schema.
func TestSamplesRoundTrip(t *testing.T) {
	for _, name := range messageSamples(t) {
		t.Run(name, func(t *testing.T) {
			doc := sample(t, name)
			again := rewrite(t, doc)
			canon := string(c14n.Append(nil, parse(t, again), c14n.Options{}))
			if want := compact(t, doc); canon != want {
				t.Errorf("rewritten message differs\n got %s\nwant %s", canon, want)
			}
			oracle.ValidateXSD(t, schema(t, doc), again)
		})
	}
}

// The copies in testdata are those of the project's sample collection.
func TestSamplesAreCurrent(t *testing.T) {
	for _, name := range append(messageSamples(t), "genins-soapfault-SOA-02002.xml", "genins-systemerror-SOA-02002.xml") {
		b, err := os.ReadFile(oracle.Shared(t, "samples", "insurability", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != string(sample(t, name)) {
			t.Errorf("%s differs from the collection", name)
		}
	}
}

func TestSoapFaultSample(t *testing.T) {
	m, err := soap.Parse(sample(t, "genins-soapfault-SOA-02002.xml"), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f, ok := m.Fault()
	if !ok || f.SOA == nil {
		t.Fatal("no platform fault found")
	}
	if f.SOA.Code != "SOA-02002" || f.SOA.ID != "sandbox-ticket-0001" || f.SOA.Business || f.SOA.Environment != "Simulation" {
		t.Errorf("got %+v", f.SOA)
	}
	if _, err := decodeGenIns(m.Payload); err == nil {
		t.Error("a fault decodes as an answer")
	}
}

func TestBusinessFaultSamples(t *testing.T) {
	for _, tt := range []struct {
		name, code, field string
		io                int
	}{
		{"genins-response-fault-input.xml", "INPUT_ERROR/12", "CareReceiverId/Inss", 0},
		{"genins-response-fault-noio.xml", "NO_IO_ERROR/43", "InsurabilityRequestDetail/Period/PeriodStart", 0},
		{"genins-response-fault-multiio.xml", "MULTIIO_ERROR/44", "InsurabilityRequestDetail/Period/PeriodStart", 2},
	} {
		r, err := decodeGenIns(parse(t, sample(t, tt.name)))
		if err != nil {
			t.Fatal(err)
		}
		f := r.Response.Fault
		if f == nil || f.Code() != tt.code || f.Source != "MYCARENET" || len(f.MultiIO) != tt.io || len(f.Details) != 1 {
			t.Fatalf("%s: got %+v", tt.name, f)
		}
		if got := f.Details[0].Field(); got != tt.field {
			t.Errorf("%s: field %q, want %q", tt.name, got, tt.field)
		}
		if r.verdict() != refusal(f) {
			t.Errorf("%s: the fault is not the verdict", tt.name)
		}
	}
}
