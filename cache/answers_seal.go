package cache

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A record of an answer is: version 1, key id, until, nonce, sealed part. Authenticated with it are
// the version, the key id, until and the id under which it is stored. The sealed part is: at, whether
// the address was an alternate, service, endpoint, value.
const (
	answerVersion = 1
	answerHead    = 1 + keyIDSize + stampSize
	answerNonce   = chacha20poly1305.NonceSizeX
	answerMin     = answerHead + answerNonce + chacha20poly1305.Overhead
)

// headID is where a store says with which key it was filled. It is not a digest: whoever has another
// key must find it too.
var headID = AnswerID{'e', 'h', 'e', 'a', 'l', 't', 'h', ' ', 'a', 'n', 's', 'w', 'e', 'r', 's', ' ', 'v', '1'}

// never is later than every answer's end.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func (a *Answers) seal(id AnswerID, s Stored) []byte {
	plain := make([]byte, 0, stampSize+1+2*binary.MaxVarintLen64+len(s.Service)+len(s.Endpoint)+len(s.Value))
	plain = append(plain, stamp(s.At)...)
	flag := byte(0)
	if s.Alternate {
		flag = 1
	}
	plain = append(plain, flag)
	for _, t := range []string{s.Service, s.Endpoint} {
		plain = binary.AppendUvarint(plain, uint64(len(t)))
		plain = append(plain, t...)
	}
	plain = append(plain, s.Value...)

	out := make([]byte, 0, answerMin+len(plain))
	out = append(out, answerVersion)
	out = append(out, a.keyID[:]...)
	out = append(out, stamp(s.Until)...)
	nonce := make([]byte, answerNonce)
	_, _ = rand.Read(nonce) // never fails
	ad := append(out[:answerHead:answerHead], id[:]...)
	return a.aead.Seal(append(out, nonce...), nonce, plain, ad)
}

func (a *Answers) open(id AnswerID, b []byte) (s Stored, err error) {
	switch {
	case len(b) < answerMin:
		return s, ErrCorrupt
	case b[0] > answerVersion:
		return s, ErrVersion
	case b[0] != answerVersion:
		return s, ErrCorrupt
	case string(b[1:1+keyIDSize]) != string(a.keyID[:]):
		return s, ErrKey
	}
	nonce, sealed := b[answerHead:answerHead+answerNonce], b[answerHead+answerNonce:]
	plain, err := a.aead.Open(nil, nonce, sealed, append(b[:answerHead:answerHead], id[:]...))
	if err != nil || len(plain) < stampSize+1 {
		return s, ErrCorrupt
	}
	s.At, s.Until, s.Alternate = unstamp(plain), unstamp(b[1+keyIDSize:]), plain[stampSize] == 1
	rest := plain[stampSize+1:]
	for _, t := range []*string{&s.Service, &s.Endpoint} {
		n, k := binary.Uvarint(rest)
		if k <= 0 || n > uint64(len(rest)-k) {
			return Stored{}, ErrCorrupt
		}
		*t, rest = string(rest[k:k+int(n)]), rest[k+int(n):]
	}
	s.Value = rest
	return s, nil
}

// claim checks that the store was filled with our key, or marks an empty one as ours.
func (a *Answers) claim(ctx context.Context, store RecordStore) error {
	b, err := store.Load(ctx, headID)
	if err != nil {
		return err
	}
	if b == nil {
		if err := store.Save(ctx, headID, a.seal(headID, Stored{Until: never}), never); err != nil {
			return err
		}
		// Another node may have done the same at the same moment, with another key.
		if b, err = store.Load(ctx, headID); err != nil {
			return err
		}
	}
	if _, err := a.open(headID, b); err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: the head of the answers", err)
	}
	return nil
}
