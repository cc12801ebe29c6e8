package recipe_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

var long = flag.Bool("long", false, "hold creating to its bound")

// stopwatch leaves the time that a request is on its way, and at the platform, out of account.
type stopwatch struct {
	http.RoundTripper
	away time.Duration
}

func (w *stopwatch) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	defer func() { w.away += time.Since(began) }()
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// BenchmarkCreate creates a prescription whose login, tokens and key are there, without the time that the request is away: rules,
// document, two seals, signature, outbox in memory, answer. Its floor are the RSA-2048 operations that it must do: two PSS
// signatures of the content's seal, two of the param's, the encryption for Recip-e, and the signature of the message. The
// signatures by which Recip-e's token is checked were verified within the minute, and are not in it. Medians, since other programs
// take from some of them. The outbox is a new one now and then: the one in memory looks through all that it holds.
//
// While one processor makes the prescription ready, another one holds its document to schema and rules: the time on the clock is
// shorter than the work. With -cpu 1 there is no other one, and the figure is that of the work.
//
// Bound: 1.15, see TestBounds. Measured on two virtual processors that others share: medians of 1.16 to 1.27, and 1.20 to 1.30 on one;
// the least disturbed twentieth of either side gives 1.15 to 1.23 and 1.17 to 1.23. That is 0.75 ms beside a floor of 4.9 ms: document
// and ledger 0.23, both seals 0.09, outbox before and after sending 0.11, message and its signature, answer, the rest 0.32. Work of
// 0.1 ms given to the other processor is not taken up there before it is needed.
func BenchmarkCreate(b *testing.B) {
	sb, err := sandbox.New(sandbox.Config{Seed: 5, Patients: 20})
	check(b, err)
	defer sb.Close()
	t := &testing.T{}
	s := &surgery{t: t, sb: sb, person: sb.Person(identity.Doctor, 0), patient: sb.Patients()[0]}
	client := sb.HTTPClient()
	defer client.CloseIdleConnections()
	w := &stopwatch{RoundTripper: client.Transport}
	client.Transport = w
	s.link, s.engine = link(t, sb, s.person, client)
	s.p, err = recipe.NewPrescriber(s.link, recipe.Caller{NIHII: s.person.NIHII, Quality: identity.Doctor}, recipe.WithProgramID("test/1.0"))
	check(b, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	check(b, err)
	_, auth := load(t, s.person)
	private := auth.Signer.(*rsa.PrivateKey)
	digest := sha256.Sum256([]byte("digest"))
	request := s.request("")
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the platform in the same process makes most of the garbage
	ctx := context.Background()
	var ours, floor []time.Duration
	n := 0
	for b.Loop() {
		if n%16 == 0 {
			check(b, s.p.Prepare(ctx, s.patient.SSIN, 16))
			s.box, err = outbox.Open(ctx, outboxtest.NewMemory(), outbox.NewKeys(key), s.p.Handle()...)
			check(b, err)
			defer s.box.Close()
			s.p.Use(s.box)
		}
		n++
		request.Reference = strconv.Itoa(n)
		w.away = 0
		t0 := time.Now()
		_, err := s.p.Create(ctx, request)
		check(b, err)
		ours = append(ours, time.Since(t0)-w.away)
		t1 := time.Now()
		for range 4 {
			_, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
			check(b, err)
		}
		_, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		check(b, err)
		//lint:ignore SA1019 the operation that is measured
		_, err = rsa.EncryptPKCS1v15(rand.Reader, &private.PublicKey, digest[:16])
		check(b, err)
		floor = append(floor, time.Since(t1))
	}
	b.ReportMetric(float64(median(ours)), "ours-ns/op")
	b.ReportMetric(float64(median(floor)), "floor-ns/op")
	b.ReportMetric(float64(median(ours))/float64(median(floor)), "ours/floor")
}

// median leaves out what other programs, and the platform in the same process, take from some of them.
func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// TestBounds holds BenchmarkCreate to 1.15 times its floor: the best of three runs, in processes of their own, since other
// programs can only add to one.
func TestBounds(t *testing.T) {
	if !*long {
		t.Skip("a measurement: only with -long")
	}
	const most = 1.15
	t.Logf("%.2f times the floor on one processor, which is no bound", creating(t, 1))
	for n := 1; ; n++ {
		ratio := creating(t, runtime.GOMAXPROCS(0))
		t.Logf("%.2f times the floor", ratio)
		if ratio <= most {
			return
		}
		if n == 3 {
			t.Fatalf("%.2f times the floor, at most %.2f", ratio, most)
		}
	}
}

// creating runs BenchmarkCreate on so many processors and returns how many times its floor it took.
func creating(t *testing.T, processors int) float64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkCreate$", "-test.benchtime=200x", "-test.count=1",
		"-test.cpu="+strconv.Itoa(processors))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`([0-9.]+) ours/floor`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no figure in\n%s", out)
	}
	ratio, err := strconv.ParseFloat(strings.TrimSpace(string(m[1])), 64)
	ok(t, err)
	return ratio
}
