package appclient

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Kind is the kind of this application's items.
const Kind outbox.Kind = "app"

// errReceipt reports an answer in an outbox that no handler of this package wrote.
var errReceipt = fault.AsSafe(errors.New("appclient: not a receipt"))

// Policy is that of the application: a write whose outcome is unknown is asked for.
func Policy() outbox.Policy { return outbox.Policy{Class: resilience.ResolvableWrite} }

// Handler sends items of an outbox to the application and finds out what became of them. The item's payload is what
// is put; its answer is a [Receipt], see [ParseReceipt].
func (a *App) Handler() outbox.Handler { return handler{a} }

type handler struct{ app *App }

// Send implements outbox.Sender. The message expires with the attempt.
func (h handler) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	r, err := h.app.Put(exchange.WithExpires(ctx, a.Expires), Reference(it.Ref), orderingKey(it.Key), it.Payload)
	if err != nil {
		return nil, err
	}
	return r.answer()
}

// Resolve implements outbox.Resolver.
func (h handler) Resolve(ctx context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Verdict, error) {
	r, found, err := h.app.Query(ctx, Reference(it.Ref))
	switch {
	case err != nil:
		return outbox.Verdict{}, err
	case !found:
		return outbox.Verdict{Found: outbox.NotThere}, nil
	}
	ans, err := r.answer()
	return outbox.Verdict{Found: outbox.Happened, Answer: ans}, err
}

func (r *Receipt) answer() (outbox.Answer, error) { return json.Marshal(r) }

// ParseReceipt reads the answer of an item of kind [Kind].
func ParseReceipt(a outbox.Answer) (*Receipt, error) {
	r := new(Receipt)
	if err := json.Unmarshal(a, r); err != nil {
		return nil, errReceipt
	}
	return r, nil
}

// Reference is what the application knows an item's reference as: itself, or its digest when the application does not
// take it.
func Reference(ref string) string {
	if ref != "" && utf8.RuneCountInString(ref) <= MaxReference {
		return ref
	}
	return digest(ref)
}

// orderingKey is always a digest: a key may be a person's number.
func orderingKey(key string) string {
	if key == "" {
		return ""
	}
	return digest(key)
}

// digest is MaxReference characters.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
