package cache_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
)

// patterns finds many texts at once, by their last eight bytes, in which they differ most: a bit per hash
// of four of them sorts out nearly every place of the file, a map the rest.
type patterns struct {
	bits  []uint64
	texts map[[8]byte][]string
}

func newPatterns() *patterns {
	return &patterns{bits: make([]uint64, 1<<18), texts: map[[8]byte][]string{}}
}

func bit(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 2654435761 >> 8 }

func (p *patterns) add(s string) {
	k := [8]byte([]byte(s[len(s)-8:]))
	h := bit(k[:])
	p.bits[h>>6] |= 1 << (h & 63)
	p.texts[k] = append(p.texts[k], s)
}

// find returns how many of the texts stand in b.
func (p *patterns) find(b []byte) int {
	found := map[string]bool{}
	for i := range len(b) - 7 {
		h := bit(b[i:])
		if p.bits[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, s := range p.texts[[8]byte(b[i:])] {
			if bytes.HasSuffix(b[:i+8], []byte(s)) {
				found[s] = true
			}
		}
	}
	return len(found)
}

// ssin makes a number with right check digits.
func ssin(r *rand.Rand) string {
	n := uint64(r.IntN(100))*1e7 + uint64(1+r.IntN(12))*1e5 + uint64(1+r.IntN(28))*1e3 + uint64(r.IntN(998))
	return fmt.Sprintf("%09d%02d", n, 97-n%97)
}

var long = flag.Bool("long", false, "store 100 000 answers instead of 20 000")

// TestReader stores many answers and looks for every number, name and token of them in the file.
// None is there in clear. With another key the file is refused, and stays as it is to the byte.
func TestReader(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	n := 20_000
	if *long {
		n = 100_000
	}
	first := []string{"Marieke", "Jean-Baptiste", "Ingeborg", "François", "Svetlana", "Maximilien", "Aleksandra", "Rosalinde"}
	last := []string{"Vandenbroucke", "De Keersmaecker", "Delahaye-Dupont", "Van Cauwenberghe", "Peeters", "Nguyen", "El Bakkali", "Müller"}
	path := filepath.Join(t.TempDir(), "answers.db")
	a := openAnswers(t, path, cache.WithMemory(1), cache.OnAnswers(func(e cache.AnswersEvent) { t.Error(e.Kind, e.Err) }))
	r := rand.New(rand.NewPCG(1, 2))
	p := newPatterns()
	var clear bytes.Buffer
	now := time.Now()
	for i := range n {
		number := ssin(r)
		name := first[r.IntN(len(first))] + " " + last[r.IntN(len(last))] + fmt.Sprintf("-%05d", i)
		token := fmt.Sprintf("_%016x%016x", r.Uint64(), r.Uint64())
		value := fmt.Appendf(nil, `<Inss>%s</Inss><Name>%s</Name><PaymentApproval>%s</PaymentApproval>`, number, name, token)
		for _, s := range []string{number, name, token} {
			p.add(s)
		}
		clear.Write(value)
		a.Keep(a.ID("21999994", number, name), cache.Stored{Value: value, At: now, Until: now.Add(720*time.Hour + time.Duration(i)*time.Second), Service: "insurability", Endpoint: token})
		if i%cache.MaxWaiting == cache.MaxWaiting-1 {
			if err := a.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if total := p.find(clear.Bytes()); total < 3*n-n/50 { // numbers may be drawn twice
		t.Fatalf("the search finds only %d of %d texts where all stand", total, 3*n)
	}
	if found := p.find(file); found != 0 {
		t.Errorf("%d texts stand in the file in clear", found)
	}
	if got := count(t, path); got < n-n/50 {
		t.Errorf("only %d answers are stored", got)
	}
	t.Logf("%d answers, %d MB searched", n, len(file)>>20)

	if file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.OpenAnswers(t.Context(), path, key(t, 2)); !errors.Is(err, cache.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, file) {
		t.Error("another key changed the file", err)
	}
	openAnswers(t, path)
}
