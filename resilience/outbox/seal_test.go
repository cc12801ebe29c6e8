package outbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
)

// The digests of keys and references are what finds everything that was ever stored: whoever makes them, and however often.
func TestDigests(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	x := newIndex(secret)
	plain := func(text string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	long := strings.Repeat("x", MaxText)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				for _, c := range []struct {
					got  [16]byte
					want string
				}{
					{x.digest("id", "recipe.create", "ref/1"), "id\x00\x00\x00\x0drecipe.create\x00\x00\x00\x05ref/1"},
					{x.digest("line", long), "line\x00\x00\x02\x00" + long},
					{x.digest("line", ""), "line\x00\x00\x00\x00"},
				} {
					if !bytes.Equal(c.got[:], plain(c.want)[:16]) {
						t.Errorf("another digest of %d bytes", len(c.want))
					}
				}
				if !bytes.Equal(x.sum([]byte("content")), plain("payloadcontent")) {
					t.Error("another sum")
				}
			}
		})
	}
	wg.Wait()
}
