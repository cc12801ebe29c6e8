package protocol

import (
	"bytes"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// seeds are small documents of our own, so that fuzzing does not need the shared samples.
func seeds(f *testing.F) {
	f.Helper()
	for root := range shapes {
		f.Add([]byte("<r:" + root + ` xmlns:r="http:/services.recipe.be/prescriber"><status><code>100</code><messages lang="FR">x</messages></status>` +
			"<rid>BEP0ABCDEFGH</rid><symmKey>TsD3mK7vLjT+wGw8rIGXBBY/7MoOXY4d</symmKey><items><rid>BEP0ABCDEFGH</rid></items><session>AA==</session></r:" + root + ">"))
	}
	f.Add([]byte(timestamped))
}

// Whatever is read as a payload can be written, when nothing is missing, and then reads as the same.
func FuzzPayload(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 16})
		if err != nil {
			return
		}
		shape := shapes[n.Local()]
		if shape == nil {
			return
		}
		p := shape()
		if _, err := Decode(doc, p); err != nil {
			return
		}
		for _, r := range roles {
			b, err := Encode(r, Gen2023, p)
			if err != nil {
				continue
			}
			q := shape()
			dev, err := Decode(b, q)
			if err != nil {
				t.Fatalf("%v, %+v\n%s", err, dev, b)
			}
			if c, err := Encode(r, Gen2023, q); err != nil || !bytes.Equal(b, c) {
				t.Fatalf("%v\n%s\n%s", err, b, c)
			}
		}
	})
}

// No outer message, content or record makes a reader panic.
func FuzzOthers(f *testing.F) {
	seeds(f)
	f.Add([]byte(`<CreatePrescriptionRequest Id="a"><SecuredCreatePrescriptionRequest><SecuredContent>AA==</SecuredContent></SecuredCreatePrescriptionRequest></CreatePrescriptionRequest>`))
	f.Add([]byte(`<CreatePrescriptionResponse><Status><StatusCode Value="x"><StatusCode Value="y"/></StatusCode></Status></CreatePrescriptionResponse>`))
	f.Add([]byte(`<notification><text>x</text><kmehrmessage><a/></kmehrmessage></notification>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if m, _, err := DecodeNotification(doc); err == nil {
			if _, err := m.Encode(); err == nil {
				return
			}
		}
		if _, _, err := DecodeFeedback(doc); err == nil && IsTimestamped(doc) {
			if p, _, err := DecodeTimestamped(doc); err == nil && !bytes.Equal(p.Raw, doc) {
				t.Fatal("record changed")
			}
		}
		n, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 16})
		if err != nil {
			return
		}
		for _, o := range operations {
			if r, _, err := DecodeResponse(o, n); err == nil {
				_ = r.Status.SafeCode()
			}
			if r, _, err := DecodeRequest(o.Role, n); err == nil {
				_, _ = r.Encode()
			}
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	k, err := ParseResponseKey([]byte("0123456789abcdef01234567"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("12345678"))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		p, err := k.Decrypt(sealed)
		if err != nil {
			return
		}
		if c, err := k.Encrypt(p); err != nil || !bytes.Equal(c, sealed) {
			t.Fatalf("%v: %x and %x", err, c, sealed)
		}
	})
}
