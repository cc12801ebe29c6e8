package cms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func small(b []byte) *reader { return newReader(b, Limits{Depth: 4, Elements: 30}.withDefaults()) }

func TestOctets(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		err            error
	}{
		{"primitive", "04 02 6869", "6869", nil},
		{"empty", "04 00", "", nil},
		{"long form of length", "04 81 02 6869", "6869", nil},
		{"leading zeros in the length", "04 84 00000002 6869", "6869", nil},
		{"eight length octets", "04 88 0000000000000002 6869", "6869", nil},
		{"nine length octets", "04 89 000000000000000002 6869", "", ErrSyntax},
		{"reserved length", "04 ff", "", ErrSyntax},
		{"segments", "24 06 0401 68 0401 69", "6869", nil},
		{"segments, indefinite", "24 80 0401 68 0401 69 0000", "6869", nil},
		{"segments of segments", "24 80 2403 0401 68 2480 0401 69 0000 0000", "6869", nil},
		{"empty segments", "24 80 0400 0401 68 0400 0000", "68", nil},
		{"no segments", "24 80 0000", "", nil},
		{"no segments, definite", "24 00", "", nil},
		{"end-of-contents missing", "24 80 0401 68", "", ErrSyntax},
		{"end-of-contents cut off", "24 80 0401 68 00", "", ErrSyntax},
		{"end-of-contents in definite", "24 05 0401 68 0000", "", ErrSyntax},
		{"segment of another kind", "24 03 0c01 68", "", ErrSyntax},
		{"primitive of indefinite length", "04 80 0000", "", ErrSyntax},
		{"longer than the input", "04 03 6869", "", ErrSyntax},
		{"segment longer than the string", "24 03 0402 6869", "", ErrSyntax},
		{"length of 2^31", "04 84 80000000", "", ErrLimit},
		{"length of 2^63", "04 88 8000000000000000", "", ErrLimit},
		{"cut off in the length", "04 82 01", "", ErrSyntax},
		{"cut off in the identifier", "", "", ErrSyntax},
		{"too deep", "24 80 24 80 24 80 24 80 24 80 0000 0000 0000 0000 0000", "", ErrLimit},
		{"too many", "24 80" + strings.Repeat("0400", 40) + "0000", "", ErrLimit},
	} {
		in := unhex(t, c.in)
		r := small(in)
		o, err := r.octets(tagOctetString)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		want := unhex(t, c.want)
		if r.done() != nil || o.Len() != len(want) || !bytes.Equal(o.Bytes(), want) {
			t.Errorf("%s: %x", c.name, o.Bytes())
		}
		if got := o.Compact(); !bytes.Equal(got, want) {
			t.Errorf("%s: compact %x", c.name, got)
		}
	}
}

func TestRaw(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"definite", "30 02 0500 ff", "30020500"},
		{"indefinite", "30 80 0500 0000 ff", "308005000000"},
		{"nested", "30 80 3080 0000 3003 020100 0000 ff", "308030800000300302010000 00"},
		{"high tag number", "bf 8f01 02 0500 ff", "bf8f01020500"},
		{"zeros inside a definite one", "30 80 3004 00000000 0000 ff", "3080300400000000 0000"},
	} {
		r := small(unhex(t, c.in))
		got, err := r.raw()
		if err != nil || !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: %x, %v", c.name, got, err)
		}
	}
	for _, in := range []string{"30 80", "30 80 00", "00 00", "bf 8f8f8f8f01 00", "30 80 04 80 0000 0000", "1f"} {
		if got, err := small(unhex(t, in)).raw(); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %x, %v", in, got, err)
		}
	}
	if _, err := small(bytes.Repeat([]byte{0x30, 0x80}, 1000)).raw(); !errors.Is(err, ErrLimit) {
		t.Errorf("deep: %v", err)
	}
}

// An element that claims to end after the one around it must not be let out, whatever lies between.
func TestNothingCrossesItsBound(t *testing.T) {
	for _, in := range []string{
		"30 04 3080 0000 0500",    // fits
		"30 03 3080 00 00 0500",   // end-of-contents across the end
		"30 04 3080 0401 41 0000", // content of an indefinite one across the end of the definite one around
	} {
		r := small(unhex(t, in))
		err := r.inside(tagSequence, func() error {
			_, err := r.raw()
			return err
		})
		if fits := strings.HasPrefix(in, "30 04 3080 0000"); (err == nil) != fits {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestSerials(t *testing.T) {
	for _, text := range []string{"0", "1", "127", "128", "255", "256", "-1", "-128", "-129", "-32768", "-32769", "170141183460469231731687303715884105727"} {
		v, _ := new(big.Int).SetString(text, 10)
		der := derSerial(v)
		got, err := small(der).integer()
		if err != nil || got.Cmp(v) != 0 {
			t.Errorf("%s: %x gives %v, %v", text, der, got, err)
		}
		if len(der) > 3 && (der[2] == 0 && der[3] < 0x80 || der[2] == 0xff && der[3] >= 0x80) {
			t.Errorf("%s: %x is not the shortest form", text, der)
		}
	}
}

func TestOIDString(t *testing.T) {
	for o, want := range map[OID]string{
		OIDSignedData: "1.2.840.113549.1.7.2", OIDSHA256: "2.16.840.1.101.3.4.2.1", OIDSHA1: "1.3.14.3.2.26",
		OIDAES128Wrap: "2.16.840.1.101.3.4.1.5", OIDAlgorithmProtection: "1.2.840.113549.1.9.52", "": "",
	} {
		if o.String() != want {
			t.Errorf("%x: %s", string(o), o)
		}
	}
}

func TestHeaders(t *testing.T) {
	for n, want := range map[int]string{0: "0400", 127: "047f", 128: "048180", 255: "0481ff", 256: "04820100", 65536: "0483010000", 1 << 24: "048401000000"} {
		got := appendHeader(nil, tagOctetString, n)
		if !bytes.Equal(got, unhex(t, want)) || headerSize(int64(n)) != int64(len(got)) {
			t.Errorf("%d: %x, size %d", n, got, headerSize(int64(n)))
		}
	}
}

// RFC 3394 section 4.
func TestKeyWrap(t *testing.T) {
	for _, c := range []struct{ kek, key, wrapped string }{
		{"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF", "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF", "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF", "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF0001020304050607", "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F", "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
	} {
		kek, key, wrapped := unhex(t, c.kek), unhex(t, c.key), unhex(t, c.wrapped)
		if got, err := WrapKey(kek, key); err != nil || !bytes.Equal(got, wrapped) {
			t.Errorf("wrap: %x, %v", got, err)
		}
		if got, err := UnwrapKey(kek, wrapped); err != nil || !bytes.Equal(got, key) {
			t.Errorf("unwrap: %x, %v", got, err)
		}
		for i := range wrapped {
			other := bytes.Clone(wrapped)
			other[i] ^= 1
			if _, err := UnwrapKey(kek, other); !errors.Is(err, ErrDecrypt) {
				t.Errorf("bit of byte %d: %v", i, err)
			}
		}
	}
	kek := make([]byte, 16)
	for _, n := range []int{0, 8, 15, 17} {
		if _, err := WrapKey(kek, make([]byte, n)); !errors.Is(err, ErrKey) {
			t.Errorf("wrap %d bytes: %v", n, err)
		}
		if _, err := UnwrapKey(kek, make([]byte, n+8)); !errors.Is(err, ErrKey) && n > 15 || err == nil {
			t.Errorf("unwrap %d bytes: %v", n, err)
		}
	}
	if _, err := WrapKey(kek[:15], make([]byte, 16)); !errors.Is(err, ErrKey) {
		t.Errorf("KEK of 15 bytes: %v", err)
	}
}

func TestUnpad(t *testing.T) {
	block := func(last ...byte) []byte { return append(make([]byte, 16-len(last), 32), last...) }
	for _, c := range []struct {
		in   []byte
		want int
	}{
		{block(1), 15},
		{block(2, 2), 14},
		{bytes.Repeat([]byte{16}, 16), 0},
		{append(make([]byte, 16), bytes.Repeat([]byte{16}, 16)...), 16},
		{block(0), -1},
		{block(1, 2), -1},
		{block(2, 3, 3), -1},
		{block(17), -1},
		{bytes.Repeat([]byte{17}, 32), -1},
		{block(255), -1},
		{append([]byte{15}, bytes.Repeat([]byte{16}, 15)...), -1},
	} {
		if got := unpad(c.in); got != c.want {
			t.Errorf("%x: %d, want %d", c.in, got, c.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"3080 0000", "2480 0401 41 0000", "30 03 020101", "bf8f01 00", "3080 2480 2480 0400 0000 0000 0000"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		l := Limits{}.withDefaults()
		r := newReader(in, l)
		if b, err := r.raw(); err == nil && (len(b) == 0 || !bytes.HasPrefix(in, b) || r.pos != len(b)) {
			t.Fatalf("raw %x of %x", b, in)
		}
		for _, tag := range []byte{tagOctetString, context0} {
			r := newReader(in, l)
			o, err := r.octets(tag)
			if err != nil {
				continue
			}
			b := o.Bytes()
			if len(b) != o.Len() || len(b) > len(in) || r.pos > len(in) {
				t.Fatalf("octets: %d of %d announced", len(b), o.Len())
			}
			// What was read, written in DER, reads the same.
			again, err := newReader(der(tag, b), l).octets(tag)
			if err != nil || !bytes.Equal(again.Bytes(), b) {
				t.Fatalf("not the same again: %v", err)
			}
			// Compacting works within the input.
			if o = (Octets{bytes.Clone(o.b), o.n, o.whole}); !bytes.Equal(o.Compact(), b) {
				t.Fatal("compact gives something else")
			}
		}
	})
}
