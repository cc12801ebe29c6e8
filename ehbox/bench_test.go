package ehbox

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// swallow takes everything that is sent and says that it was accepted.
type swallow struct{ id string }

func (s swallow) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	doc, err := soap.Envelope(nil, []byte(`<p:SendMessageResponse xmlns:p="`+nsPublication+`" Id="5H00000000S01" SentPublicationId="`+s.id+`"><Status><Code>100</Code><Message Lang="EN">SUCCESS</Message></Status></p:SendMessageResponse>`))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(string(doc))), Request: r}, nil
}

// zeros is an endless source of content that is not in memory.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// BenchmarkSendLarge seals an annex of nearly 10 MB, which is read as a stream, and sends it. x-floor is the throughput as a
// share of that of the passes that must be made (three SHA-256, one AES-128-CBC) run back to back in the same run; peak-MB
// is the largest resident size of the process so far.
func BenchmarkSendLarge(b *testing.B) {
	const size = 9_900_000
	const id = "7F3K9Q2M4X8ZP"
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: swallow{id}}, UserAgent: "test/1.0", From: "test@example.be",
		Directory: resilience.Static{ServicePublication: {{URL: "https://box.test/", Active: true}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(x, unsecured{}, []BoxID{doctorINSS})
	if err != nil {
		b.Fatal(err)
	}
	s, to := sealer(b, "doctor"), []etee.Recipient{recipient(b, "hospital")}
	l := Letter{To: plainRequest().Destinations, Body: NewData([]byte("body")), Annexes: []LetterAnnex{{FileName: Hide("a.pdf"), MimeType: "application/pdf", Content: NewData([]byte{1})}}}
	plain := l.request(id)
	plain.Parts = []Part{{ID: plain.Parts[0].ID, Type: "application/pdf", Size: size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, size)), nil
	}}}
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	chunk := make([]byte, 1<<16)
	b.SetBytes(size)
	var ours, floor time.Duration
	for b.Loop() {
		t0 := time.Now()
		sealed, err := plain.seal(s, to)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.SendMessage(context.Background(), *sealed); err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		mode := cipher.NewCBCEncrypter(block, make([]byte, 16))
		for range 3 {
			h := sha256.New()
			for n := 0; n < size; n += len(chunk) {
				h.Write(chunk)
			}
		}
		for n := 0; n < size; n += len(chunk) {
			mode.CryptBlocks(chunk, chunk)
		}
		ours += t1.Sub(t0)
		floor += time.Since(t1)
	}
	b.ReportMetric(float64(floor)/float64(ours), "x-floor")
	b.ReportMetric(peak(b), "peak-MB")
}

// peak is VmHWM of this process.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc:", err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kb) / 1024
}
