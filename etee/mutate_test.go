package etee_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// seed is a message with all that is needed to open it, and the truth about it.
type seed struct {
	name    string
	sealed  []byte
	openers []*etee.Opener
	opts    []etee.OpenOption
	plain   []byte
	signer  []byte // the certificate; nil when nobody must open the message
}

func seeds(t testing.TB) (out []seed) {
	t.Helper()
	sets := []*manifest{own(t)}
	if os.Getenv("CI") == "true" || sharedExists(t) { // our own are enough where nobody insists
		sets = append(sets, sharedManifest(t))
	}
	for _, m := range sets {
		for _, v := range m.Messages {
			s := seed{name: filepath.Base(v.File), sealed: m.read(t, v.File), plain: m.read(t, v.Plain)}
			for _, p := range []etee.Policy{{}, lenient(false)} {
				var o *etee.Opener
				o, s.opts = m.opener(t, v, p)
				s.openers = append(s.openers, o)
			}
			if got, err := s.openers[0].Open(s.sealed, s.opts...); err == nil {
				s.signer = got.Report.Authentication.Raw
			} else if v.Accept {
				t.Fatalf("%s: %v", s.name, err)
			}
			out = append(out, s)
		}
	}
	return out
}

func sharedExists(t testing.TB) bool {
	base := os.Getenv("EHEALTH_SHARED")
	if base == "" {
		base = filepath.Join(filepath.Dir(oracle.ModuleRoot(t)), "shared")
	}
	_, err := os.Stat(filepath.Join(base, "vectors", "etee"))
	return err == nil
}

// TestMutated changes vectors at random, in their bytes and in their structure, and opens them strictly and leniently. What is
// still accepted must have the content and the signer of the original. Nothing may take longer than a second (the
// slowest good message takes a few milliseconds) or more memory than it should.
func TestMutated(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	all := seeds(t)
	n := 1000
	if *long {
		n = 10_000
	}
	r := rand.New(rand.NewPCG(5, 2026))
	accepted := 0
	for i := range n {
		s := all[i%len(all)]
		changed := mutate(r, s.sealed, all)
		for _, o := range s.openers {
			got, err := timed(t, s, changed, o)
			if err != nil {
				continue
			}
			if s.signer == nil || !bytes.Equal(got.Content, s.plain) || !bytes.Equal(got.Report.Authentication.Raw, s.signer) {
				dump := filepath.Join(os.TempDir(), "mutated.cms")
				check(t, os.WriteFile(dump, changed, 0o600))
				t.Fatalf("%s, mutation %d: accepted with another content (%t) or signer (%t): %v; kept as %s", s.name, i,
					!bytes.Equal(got.Content, s.plain), !bytes.Equal(got.Report.Authentication.Raw, s.signer), got.Report, dump)
			}
			if !bytes.Equal(changed, s.sealed) {
				accepted++
			}
		}
	}
	// What is outside the signatures can be changed without harm: lengths, the order of certificates. That some are
	// accepted shows that the mutations are not all crude.
	if accepted == 0 {
		t.Error("no mutated message was accepted at all")
	}
	t.Logf("%d messages, %d accepted after a harmless change", n, accepted)
}

func timed(t *testing.T, s seed, changed []byte, o *etee.Opener) (*etee.Message, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	got, err := o.Open(changed, s.opts...)
	if d := time.Since(start); d > time.Second {
		t.Errorf("%s: took %v", s.name, d)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
		t.Errorf("%s: %d bytes allocated for %d", s.name, took, len(changed))
	}
	return got, err
}

// mutate returns a changed copy.
func mutate(r *rand.Rand, b []byte, all []seed) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		if n := parseTree(b); n != nil && r.IntN(2) == 0 {
			b = mutateTree(r, n, all)
		} else {
			b = mutateBytes(r, b, all)
		}
	}
	return b
}

func mutateBytes(r *rand.Rand, b []byte, all []seed) []byte {
	at := r.IntN(len(b))
	end := min(len(b), at+1+r.IntN(40))
	switch r.IntN(7) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b[at] = byte(r.Uint32())
	case 2:
		b[at] = []byte{0x00, 0x80, 0x24, 0x30, 0x31, 0xa0, 0xff, 0x84}[r.IntN(8)]
	case 3:
		b = b[:at]
	case 4:
		b = append(b[:at], b[end:]...)
	case 5:
		b = append(b[:end:end], b[at:]...)
	case 6:
		other := all[r.IntN(len(all))].sealed
		from := r.IntN(len(other))
		n := min(len(other)-from, len(b)-at, 1+r.IntN(200))
		copy(b[at:at+n], other[from:])
	}
	return b
}

// mutateTree changes one element and encodes the whole anew, so that the lengths around it are right.
func mutateTree(r *rand.Rand, n *node, all []seed) []byte {
	var list []*node
	n.all(func(e *node) { list = append(list, e) })
	e, other := list[r.IntN(len(list))], list[r.IntN(len(list))]
	switch r.IntN(8) {
	case 0:
		e.tag ^= 1 << r.IntN(8)
		if e.tag&0x20 == 0 {
			e.kids = nil
		}
	case 1:
		if len(e.body) > 0 {
			e.body = bytes.Clone(e.body)
			e.body[r.IntN(len(e.body))] ^= 1 << r.IntN(8)
		}
	case 2:
		if len(e.kids) > 0 {
			i := r.IntN(len(e.kids))
			e.kids = append(e.kids[:i:i], e.kids[i+1:]...)
		}
	case 3:
		if len(e.kids) > 0 {
			e.kids = append(e.kids, e.kids[r.IntN(len(e.kids))])
		}
	case 4:
		r.Shuffle(len(e.kids), func(i, j int) { e.kids[i], e.kids[j] = e.kids[j], e.kids[i] })
	case 5:
		if e.tag&0x20 == 0 && other.tag&0x20 == 0 {
			e.tag, e.body = other.tag, other.body
		}
	case 6: // an element of another message, but not the whole of it, which would be a good message
		if m := parseTree(all[r.IntN(len(all))].sealed); m != nil && len(m.kids) == 2 && len(m.kids[1].kids) == 1 {
			var theirs []*node
			for _, k := range m.at(1, 0).kids {
				k.all(func(x *node) { theirs = append(theirs, x) })
			}
			if len(theirs) > 0 {
				*e = *theirs[r.IntN(len(theirs))]
			}
		}
	case 7:
		return n.ber(r, func(x *node) bool { return x.tag == 0xa0 && r.IntN(4) == 0 })
	}
	return n.der()
}

// TestAnyBEROpens encodes messages in random forms of BER, all layers of them. What is signed as DER stays: signed
// attributes, certificates and names.
func TestAnyBEROpens(t *testing.T) {
	o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), etee.Policy{})
	check(t, err)
	doctor, hospital := auth(t, "doctor"), encryption(t, "hospital").Certificate
	r := rand.New(rand.NewPCG(1, 2))
	signedKeep := func(root *node) func(*node) bool {
		data := root.at(1, 0)
		i := signerInfo(root)
		keep := map[*node]bool{i.at(1): true, i.at(3): true, i.at(4): true} // identifier, attributes, algorithm that they protect
		for _, k := range data.kids {
			if k.tag == 0xa0 && k != data.at(2) {
				for _, c := range k.kids {
					keep[c] = true
				}
			}
		}
		return keepThese(keep)
	}
	anyForm := func(b []byte) []byte {
		n := mustTree(t, b)
		if len(n.at(1, 0).kids) == 3 { // EnvelopedData: recipients have a name
			return n.ber(r, keepThese(map[*node]bool{n.at(1, 0, 1, 0, 1): true}))
		}
		return n.ber(r, signedKeep(n))
	}
	for i := range 60 {
		f := newForge(doctor, hospital, time.Now())
		f = f.in(cms.DER).with(func(f *forge) {
			f.content = bytes.Repeat([]byte("x"), r.IntN(300))
			f.onInner, f.onEnvelope, f.onOuter = anyForm, anyForm, anyForm
		})
		got, err := o.Open(f.build(t))
		if err != nil {
			t.Fatalf("%d: %v", i, err.(*etee.Refusal).Report)
		}
		if !bytes.Equal(got.Content, f.content) {
			t.Fatalf("%d: another content", i)
		}
	}
}

func keepThese(list map[*node]bool) func(*node) bool {
	return func(n *node) bool { return list[n] }
}
