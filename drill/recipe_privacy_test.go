package drill

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// secrets are what must be found nowhere: numbers of patients and prescriptions, names of patients and medicines, and the text
// of prescriptions. They are looked for in clear and in base64.
type secrets struct {
	numbers map[string]string // runs of digits: what they are
	rids    map[string]bool
	words   map[string]bool // names of patients
	texts   []string
}

func newSecrets() *secrets {
	x := &secrets{numbers: map[string]string{}, rids: map[string]bool{}, words: map[string]bool{}}
	for _, m := range medicines {
		x.numbers[m.cnk] = "CNK"
		x.texts = append(x.texts, m.name, strings.Fields(m.name)[0])
	}
	x.texts = append(x.texts, posology, "standards/kmehr/schema", "kmehrmessage")
	return x
}

// learn adds the patients and prescriptions of a sandbox.
func (x *secrets) learn(s *sandbox.Sandbox) {
	for _, p := range s.Patients() {
		x.numbers[p.SSIN.Reveal()] = "SSIN"
		x.name(p.FirstName + " " + p.LastName)
	}
	for _, p := range s.Prescriptions() {
		x.rids[p.RID] = true
	}
	for _, p := range s.People() {
		x.numbers[p.SSIN.Reveal()] = "SSIN"
		for _, w := range wordRuns.FindAllString(p.Name(), -1) { // their certificates name them
			delete(x.words, w)
		}
	}
}

// name adds the words of a name. Short ones stand in every dictionary, and by chance in every large file.
func (x *secrets) name(full string) {
	for _, w := range wordRuns.FindAllString(full, -1) {
		if len(w) >= 5 {
			x.words[w] = true
		}
	}
}

var (
	digitRuns  = regexp.MustCompile(`[0-9]+`)
	ridForms   = regexp.MustCompile(`BE[PKN][P0-9][0-9A-Z]{8}`)
	wordRuns   = regexp.MustCompile(`[A-Za-zÀ-ÿ]+`)
	emptied    = regexp.MustCompile(`\x00{32,}`) // pages of a database that were never used
	base64Runs = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}`)
)

// in names the first kinds of secrets that a text holds in clear.
func (x *secrets) in(text []byte) (found []string) {
	for _, run := range digitRuns.FindAll(text, -1) {
		if what, ok := x.numbers[string(run)]; ok {
			found = append(found, what)
		}
	}
	for _, rid := range ridForms.FindAll(text, -1) {
		if x.rids[string(rid)] {
			found = append(found, "RID")
		}
	}
	for _, w := range wordRuns.FindAll(text, -1) {
		if x.words[string(w)] {
			found = append(found, "name")
		}
	}
	for _, t := range x.texts {
		if bytes.Contains(text, []byte(t)) {
			found = append(found, "text of a prescription")
		}
	}
	return found
}

// search looks in clear and in base64, wherever the base64 began.
func (x *secrets) search(text []byte) []string {
	text = emptied.ReplaceAll(text, nil)
	found := x.in(text)
	for _, run := range base64Runs.FindAll(text, -1) {
		for shift := range 4 {
			part := bytes.Map(func(r rune) rune {
				switch r {
				case '-':
					return '+'
				case '_':
					return '/'
				}
				return r
			}, run[min(shift, len(run)):])
			plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(part)))
			n, _ := base64.RawStdEncoding.Decode(plain, part[:len(part)-len(part)%4])
			found = append(found, x.in(plain[:n])...)
		}
	}
	return found
}

// recorder keeps everything that programs of ours say and write.
type recorder struct {
	dir     string
	spans   *tracetest.InMemoryExporter
	metrics []*sdkmetric.ManualReader

	mu     sync.Mutex
	log    bytes.Buffer
	errors bytes.Buffer
	n      int
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	return &recorder{dir: t.TempDir(), spans: tracetest.NewInMemoryExporter()}
}

// configure lets a program of ours log, trace, measure, and keep everything on disk.
func (r *recorder) configure(cfg *ehealth.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	reader := sdkmetric.NewManualReader()
	r.metrics = append(r.metrics, reader)
	cfg.DataDir = filepath.Join(r.dir, fmt.Sprint(r.n))
	cfg.Logger = slog.New(slog.NewJSONHandler(writer(func(b []byte) (int, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.log.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
}

// told keeps an error in every form in which a program may show it.
func (r *recorder) told(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&r.errors, "%v\n%+v\n%#v\n", err, err, err)
		if b, jerr := json.Marshal(err); jerr == nil {
			r.errors.Write(b)
		}
	}
}

// all is everything that was kept, by where it was found.
func (r *recorder) all(t *testing.T) map[string][]byte {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]byte{"log": bytes.Clone(r.log.Bytes()), "errors": bytes.Clone(r.errors.Bytes())}
	var spans bytes.Buffer
	for _, s := range r.spans.GetSpans() {
		fmt.Fprintf(&spans, "%s %v %v %v\n", s.Name, s.Attributes, s.Status, s.Events)
	}
	out["traces"] = spans.Bytes()
	var all bytes.Buffer
	for _, reader := range r.metrics {
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Error(err)
		}
		b, err := json.Marshal(rm.ScopeMetrics)
		if err != nil {
			t.Error(err)
		}
		all.Write(b)
	}
	out["metrics"] = all.Bytes()
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path) //nolint:gosec // of this test
		name, _ := filepath.Rel(r.dir, path)
		out["file "+name] = append([]byte(name+"\n"), b...)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

// silent: in a whole drill nothing that programs of ours log, tell, trace, measure or write to disk holds the number or the
// name of a patient, the number of a prescription, or what is prescribed.
func (r *recorder) silent(t *testing.T, x *secrets) {
	t.Helper()
	if len(x.rids) == 0 || len(x.words) == 0 {
		t.Fatalf("%d prescriptions, %d names", len(x.rids), len(x.words))
	}
	size, files := 0, 0
	for where, text := range r.all(t) {
		size += len(text)
		if strings.HasPrefix(where, "file ") {
			files++
		} else if len(text) == 0 {
			t.Errorf("%s: nothing was recorded", where)
		}
		if found := x.search(text); len(found) > 0 {
			t.Errorf("%s: %d times, first a %s", where, len(found), found[0])
		}
	}
	if files == 0 {
		t.Error("no files")
	}
	t.Logf("%d bytes in logs, errors, traces, metrics and %d files, searched for %d numbers, %d RIDs, %d names", size, files, len(x.numbers), len(x.rids), len(x.words))
	x.control(t)
}

// control shows that the search finds what is there.
func (x *secrets) control(t *testing.T) {
	t.Helper()
	var planted []string
	for n := range x.numbers {
		planted = append(planted, n)
	}
	for rid := range x.rids {
		planted = append(planted, rid)
	}
	for w := range x.words {
		planted = append(planted, w)
	}
	planted = append(planted, x.texts...)
	for _, p := range planted {
		for shift := range 3 {
			text := strings.Repeat("=", shift) + "<" + p + ">, further text"
			for how, form := range map[string]string{"clear": text, "base64": "x " + base64.StdEncoding.EncodeToString([]byte(text)), "URL": base64.RawURLEncoding.EncodeToString([]byte(text))} {
				if len(x.search([]byte(form))) == 0 {
					t.Errorf("a secret of %d characters in %s, shifted by %d, is not found", len(p), how, shift)
				}
			}
		}
	}
}
