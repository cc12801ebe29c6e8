package insurability

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

var goldenCases = []struct {
	dir    string // testdata/golden/…
	caller Caller
	query  Query
	answer string // sample whose content the golden answer has
}{
	{"genins/insured", doctor, Query{Patient: ssinInsured}, "genins-response-insured.xml"},
	{"genins/not-insured", doctor, Query{Patient: ssinInsured, Date: sampleDay.AddDays(-40)}, "genins-response-not-insured.xml"},
	{"genins/registration-number", doctor, Query{RegNr: Hide("9999999999999"), Mutuality: mutuality}, "genins-response-insured.xml"},
	{"genins/one-insurer", doctor, Query{Patient: ssinInsured, Mutuality: mutuality, Reference: "VISIT 12/B"}, "genins-response-insured.xml"},
	{"genins/hospitalized", hospital, Query{Patient: ssinInsured, ContactType: HospitalizedElsewhere}, "genins-response-hospitalized.xml"},
	{
		"genins/medical-house-year", medicalHouse,
		Query{Patient: ssinInsured, Period: Period{Day(2029, time.January, 16), sampleDay}},
		"genins-response-transfer-medicalhouse.xml",
	},
	{"genins/fault-input", doctor, Query{Patient: ssinInsured}, "genins-response-fault-input.xml"},
	{"genins/fault-noio", doctor, Query{Patient: ssinInsured}, "genins-response-fault-noio.xml"},
	{"genins/fault-multiio", doctor, Query{Patient: ssinInsured}, "genins-response-fault-multiio.xml"},
	{"pharmacist/insured", pharmacy, Query{Patient: ssinInsured, Reference: "TILL-1-0001"}, "pharmacist-response-insured.xml"},
	{"pharmacist/preferential", pharmacy, Query{Patient: ssinInsured}, "pharmacist-response-preferential.xml"},
	{"pharmacist/registration-number", pharmacy, Query{RegNr: Hide("9999999999999"), Mutuality: mutuality}, "pharmacist-response-insured.xml"},
}

func client(t testing.TB, caller Caller) *Client {
	t.Helper()
	if err := caller.validate(); err != nil {
		t.Fatal(err)
	}
	return &Client{
		caller: caller,
		origin: Origin{
			Package: Package(software), SiteID: caller.SiteID,
			CareProvider: caller.careProvider(),
		},
		conf: Config{PharmacistRequestType: DefaultRequestType},
	}
}

// The requests that Check builds, byte for byte, and the answers that belong to them; all valid for the real schemas.
func TestGolden(t *testing.T) {
	for _, tt := range goldenCases {
		t.Run(tt.dir, func(t *testing.T) {
			c := client(t, tt.caller)
			answerDoc := sample(t, tt.answer)
			var req, ans []byte
			if c.caller.pharmacy() {
				q, err := c.buildPharmacist(tt.query, sampleDay, sampleRef)
				if err != nil {
					t.Fatal(err)
				}
				r, err := decodePharmacist(parse(t, answerDoc))
				if err != nil {
					t.Fatal(err)
				}
				r.Body.RecordCommonOutput.UserReference = q.Record.UserReference
				req, ans = encodeAny(t, q), encodeAny(t, r)
				if err := correlatePharmacist(q)(parse(t, ans)); err != nil {
					t.Error(err)
				}
			} else {
				q, err := c.buildGenIns(tt.query, sampleDay, sampleRef)
				if err != nil {
					t.Fatal(err)
				}
				r, err := decodeGenIns(parse(t, answerDoc))
				if err != nil {
					t.Fatal(err)
				}
				r.CommonOutput.InputReference, r.Response.RequestDetail = sampleRef, q.Request.Detail
				req, ans = encodeAny(t, q), encodeAny(t, r)
				if err := correlateGenIns(q)(parse(t, ans)); err != nil {
					t.Error(err)
				}
			}
			checkGolden(t, filepath.Join(tt.dir, "request.xml"), req)
			checkGolden(t, filepath.Join(tt.dir, "answer.xml"), ans)
		})
	}
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", "golden", name)
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
	oracle.ValidateXSD(t, schema(t, want), want)
}
