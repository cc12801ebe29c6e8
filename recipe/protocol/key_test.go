package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

type vectors struct {
	key                         ResponseKey
	cipher                      []byte
	keyID, keyIDHex, identifier string
}

// vector reads the file of vectors: "name : value" lines.
func vector(t testing.TB) vectors {
	t.Helper()
	fields := map[string]string{}
	for line := range strings.Lines(string(shared(t, "vectors/response-3des.txt"))) {
		if name, value, ok := strings.Cut(line, " : "); ok {
			value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
			fields[strings.TrimSpace(name)] = value
		} else if name, value, ok := strings.Cut(line, ": "); ok {
			value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
			fields[strings.TrimSpace(name)] = value
		}
	}
	raw, err := hex.DecodeString(fields["key (hex)"])
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseResponseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := base64.StdEncoding.DecodeString(fields["ciphertext (base64)"])
	if err != nil || len(cipher) == 0 || base64.StdEncoding.EncodeToString(raw) != fields["key (base64)"] {
		t.Fatal(err, fields)
	}
	return vectors{
		key, cipher, fields["keyId (string of 24 chars)"], fields["keyId bytes used as KEKIdentifier (hex)"],
		fields["AdministrativeInformation/KeyIdentifier"],
	}
}

func TestVectors(t *testing.T) {
	v := vector(t)
	want := shared(t, "sealed/prescriber/createPrescriptionResult.xml")
	plain, err := v.key.Decrypt(v.cipher)
	if err != nil || !bytes.Equal(plain, want) {
		t.Errorf("%v\n%s", err, plain)
	}
	if c, err := v.key.Encrypt(want); err != nil || !bytes.Equal(c, v.cipher) {
		t.Errorf("%v: %x", err, c)
	}
	raw, err := hex.DecodeString(v.keyIDHex)
	if err != nil || EncodeKeyID(raw) != v.keyID {
		t.Errorf("%v: %s", err, EncodeKeyID(raw))
	}
	if b, err := DecodeKeyID(v.keyID); err != nil || !bytes.Equal(b, raw) {
		t.Errorf("%v: %x", err, b)
	}
	if AdministrativeKeyIdentifier(v.keyID) != v.identifier {
		t.Error(AdministrativeKeyIdentifier(v.keyID))
	}
	for _, bad := range []string{"", "====", "?", "a"} {
		if _, err := DecodeKeyID(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// The same vector without the shared file.
func TestVectorHere(t *testing.T) {
	const (
		rawKey = "TsD3mK7vLjT+wGw8rIGXBBY/7MoOXY4d"
		cipher = "UY06N2BTJZz+AimeJPS2H0aKPoaPU5r21JPGKUeN783hW6kq4ULZI8yOa9ekuHRHrmR0fRPpqdfXtwiVx9vabflTTgxhsU7hzL8satSHQ1BtYWHq8Syo" +
			"KXwFqDqJbhP15LHQJe24IhJT8YCHaeEFdDPq/bmsNGgikt+o28lzAbkzmn1OX9LyeUx7pWr2NHmk4+TTqwVp1nFxBbuoKfYGaaY+RGHoFWYywfWvaWALK5eS" +
			"FvDd4QuGAz3F7X6ibGz0Wjz/reI2hG8VREqjNNlErA=="
		plain = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r:createPrescriptionResult xmlns:r=\"http:/services.recipe.be/prescriber\">\n" +
			"  <status><code>100</code></status>\n  <rid>BEP0ABCDEFGH</rid>\n</r:createPrescriptionResult>\n"
	)
	raw, err := base64.StdEncoding.DecodeString(rawKey)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseResponseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := k.Encrypt([]byte(plain)); err != nil || base64.StdEncoding.EncodeToString(c) != cipher {
		t.Errorf("%v: %x", err, c)
	}
	sealed, err := base64.StdEncoding.DecodeString(cipher)
	if err != nil {
		t.Fatal(err)
	}
	r := new(CreatePrescriptionResult)
	if dev, err := k.Open(sealed, r); err != nil || !dev.None() || !r.Outcome().OK() || r.RID.Reveal() != "BEP0ABCDEFGH" {
		t.Errorf("%v, %+v, %+v", err, dev, r)
	}
	const id = "AAECAwQFBgcICQoLDA0ODw=="
	if EncodeKeyID([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}) != id || AdministrativeKeyIdentifier(id) != "QUFFQ0F3UUZCZ2NJQ1FvTERBME9Edz09" {
		t.Error("identifiers of keys")
	}
}

// OpenSSL opens what we seal, and we open what it seals.
func TestOpenSSLAgrees(t *testing.T) {
	tool := oracle.Tool(t, "openssl")
	run := func(k ResponseKey, in []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), tool, append([]string{"enc", "-des-ede3", "-K", hex.EncodeToString(k.Bytes())}, args...)...)
		cmd.Stdin = bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.Bytes())
		}
		return out
	}
	for n := range 18 {
		k, plain := NewResponseKey(), bytes.Repeat([]byte("x"), n*n)
		sealed, err := k.Encrypt(plain)
		if err != nil {
			t.Fatal(err)
		}
		if theirs := run(k, plain, "-e"); !bytes.Equal(theirs, sealed) {
			t.Errorf("%d bytes: sealed %x and %x", len(plain), sealed, theirs)
		}
		if opened := run(k, sealed, "-d"); !bytes.Equal(opened, plain) {
			t.Errorf("%d bytes: OpenSSL opened %q", len(plain), opened)
		}
		if opened, err := k.Decrypt(run(k, plain, "-e")); err != nil || !bytes.Equal(opened, plain) {
			t.Errorf("%d bytes: %v, %q", len(plain), err, opened)
		}
	}
}

func TestSealRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		k := NewResponseKey()
		c, err := k.Encrypt(plain)
		if err != nil {
			t.Fatal(err)
		}
		p, err := k.Decrypt(c)
		if err != nil || !bytes.Equal(p, plain) {
			t.Fatalf("%v: %x", err, p)
		}
	})
}

func TestDecryptRefuses(t *testing.T) {
	k := NewResponseKey()
	good, err := k.Encrypt([]byte("0123456"))
	if err != nil {
		t.Fatal(err)
	}
	// A whole block of zeros has no padding.
	unpadded, err := k.Encrypt(make([]byte, 8))
	if err != nil {
		t.Fatal(err)
	}
	// The last byte announces three bytes of padding, the others are not.
	uneven, err := k.Encrypt([]byte{0, 0, 0, 0, 0, 1, 3, 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		k    ResponseKey
		in   []byte
		want error
	}{
		"empty":        {k, nil, ErrCipherLength},
		"part":         {k, good[:7], ErrCipherLength},
		"block and":    {k, append(bytes.Clone(good), 0), ErrCipherLength},
		"no padding":   {k, unpadded[:8], ErrPadding},
		"uneven":       {k, uneven[:8], ErrPadding},
		"without key":  {ResponseKey{}, good, ErrPadding},
		"too long pad": {k, mustEncrypt(t, k, []byte{9, 9, 9, 9, 9, 9, 9, 9})[:8], ErrPadding},
	} {
		if p, err := c.k.Decrypt(c.in); !errors.Is(err, c.want) || p != nil {
			t.Errorf("%s: %v, %q", name, err, p)
		}
	}
	if _, err := (ResponseKey{}).Encrypt(nil); err == nil {
		t.Error("sealed without a key")
	}
	for _, n := range []int{0, 8, 16, 23, 25} {
		if _, err := ParseResponseKey(make([]byte, n)); err == nil {
			t.Errorf("%d bytes passed", n)
		}
	}
}

func mustEncrypt(t testing.TB, k ResponseKey, plain []byte) []byte {
	t.Helper()
	c, err := k.Encrypt(plain)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Of many answers to others, hardly one has good padding by chance, and none reads as an answer.
func TestAnotherKeyOpensNothing(t *testing.T) {
	doc := shared(t, "sealed/prescriber/createPrescriptionResult.xml")
	padded := 0
	for range 2000 {
		sealed, other := mustEncrypt(t, NewResponseKey(), doc), NewResponseKey()
		if _, err := other.Decrypt(sealed); err == nil {
			padded++
		}
		r := new(CreatePrescriptionResult)
		if _, err := other.Open(sealed, r); err == nil || !r.RID.IsZero() {
			t.Fatal("opened")
		}
	}
	if padded > 60 { // expected about 8; 60 is beyond any chance
		t.Errorf("%d of 2000 had good padding", padded)
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	k := NewResponseKey()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "k", k, "p", &Keyed{k})
	j, err := json.Marshal(map[string]any{"k": k, "p": &Keyed{k}})
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct{ k ResponseKey }
	out := log.String() + string(j)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b"} {
		out += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, &k) + fmt.Sprintf(verb, Keyed{k}) + fmt.Sprintf(verb, hidden{k})
	}
	raw := k.Bytes()
	for _, secret := range []string{
		string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), base64.StdEncoding.EncodeToString(raw),
		strings.Trim(fmt.Sprint(raw), "[]"), fmt.Sprintf("%b", raw),
	} {
		if strings.Contains(out, secret) {
			t.Errorf("%q is in %s", secret, out)
		}
	}
	if !strings.Contains(out, redactedKey) {
		t.Error(out)
	}
	if c, err := ParseResponseKey(raw); err != nil || !c.Equal(k) || c.Equal(NewResponseKey()) || c.Equal(ResponseKey{}) || !(ResponseKey{}).Equal(ResponseKey{}) {
		t.Error(err, "Equal")
	}
	raw[0]++
	if bytes.Equal(raw, k.Bytes()) {
		t.Error("Bytes is not a copy")
	}
	if (ResponseKey{}).Bytes() != nil {
		t.Error("bytes of no key")
	}
}
