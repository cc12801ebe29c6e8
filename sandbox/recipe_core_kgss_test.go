package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"io"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// rxReaders is the access list of dossier 04 9.3; pharmacies says whether it has row 2.
func (w *rxWorld) rxReaders(pharmacies bool) string {
	out := kgssReaderXML("AllowedReader", nsCertified, claimPSE+"doctor:nihii11", "")
	if pharmacies {
		out += kgssReaderXML("AllowedReader", nsCertified, claimIsPharmacy, "true")
	}
	return out + kgssReaderXML("AllowedReader", nsIdentification, claimPS, w.patient)
}

// rxKey asks the KGSS for the key of a prescription; nil when it refuses.
func (w *rxWorld) rxKey(tk token, keyID string) []byte {
	w.t.Helper()
	id, err := base64.StdEncoding.DecodeString(keyID)
	if err != nil {
		w.t.Fatal(err)
	}
	kek := make([]byte, 16)
	_, _ = rand.Read(kek)
	ask := "<k:KeyIdentifier>" + b64(id) + "</k:KeyIdentifier><k:KeyEncryptionKey>" + b64(kek) + "</k:KeyEncryptionKey>"
	rs := w.call(pathKGSS, "", w.message(w.kgssMessage("GetKeyRequest", ask, tk.key), tk))
	if m, err := soap.Parse(rs.Body, xmltree.Limits{}); err != nil {
		w.t.Fatal(err)
	} else if _, denied := m.Fault(); denied {
		return nil
	}
	sealed, code := w.kgssAnswer(rs)
	if code != "" {
		w.t.Fatal(code)
	}
	return binaryOf(parsed(w.t, openKEK(w.t, sealed, kek)).Child(nsKGSS, "Key"))
}

// TestRecipeContent: a document goes from the prescriber to the pharmacy through every layer: gzip, seal with a key of the key
// service, param, seal for Recip-e, and back with the pharmacy's own right to the key (dossier 04 section 1).
func TestRecipeContent(t *testing.T) {
	w := newRxWorld(t)
	document := []byte("<kmehrmessage>a medicine</kmehrmessage>")
	create := func(pharmacies bool) string {
		id, key := w.newKGSSKey(w.authors[0], w.rxReaders(pharmacies))
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		if _, err := z.Write(document); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		sealed, err := seal(zipped.Bytes(), w.doctors[0].key, time.Now(), cms.ForKEK{ID: id, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return w.rxCreated(rxDraft{keyID: b64(id), sealed: b64(sealed)})
	}
	read := func(tk token, result *xmltree.Node) bool {
		key := w.rxKey(tk, textOf(result.Child("", "encryptionKeyId")))
		if key == nil {
			return false
		}
		z, err := gzip.NewReader(bytes.NewReader(openKEK(t, binaryOf(result.Child("", "prescription")), key)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(got, document) {
			t.Errorf("another document: %v", err)
		}
		return true
	}
	for _, pharmacies := range []bool{true, false} {
		rid := create(pharmacies)
		q := rxWith("getPrescriptionForExecutor", rid)
		q.param = "<rid>" + rid + "</rid><version>v1</version>"
		if got := read(w.pharmacies[0], w.rxOK(w.pharmacies[0], q)); got != pharmacies {
			t.Errorf("pharmacies among the readers: %v, a pharmacy could read: %v", pharmacies, got)
		}
		if !read(w.doctors[0], w.rxOK(w.doctors[0], rxOf("getPrescription", rid))) {
			t.Error("the prescriber cannot read what he wrote")
		}
		p, _ := w.s.Prescription(rid)
		if bytes.Contains(p.Sealed, document) || len(p.Sealed) == 0 {
			t.Error("not kept sealed")
		}
	}
}
