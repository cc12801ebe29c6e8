package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
)

// Answered counts an answer to a person's question by where it came from, as insurability.Source
// prints it.
func (t *Telemetry) Answered(service, source string) {
	ctx := context.Background()
	if t.in.answered.Enabled(ctx) {
		t.in.answered.Add(ctx, 1, t.rare(keyService.String(t.name(service)), keyAnswer.String(t.name(source))))
	}
}

// Stored counts and logs an event of the stored answers: kind as cache.AnswersEventKind prints it,
// reason a word for why, "" = nothing failed.
func (t *Telemetry) Stored(kind, reason string) {
	ctx := context.Background()
	l, word := storedLines[kind], words(kind)
	if l == nil || kind == "unknown" {
		l, word = storedLines["unknown"], other
	}
	reason = nameLike(reason)
	if t.in.stored.Enabled(ctx) {
		kvs := []attribute.KeyValue{keyStored.String(word)}
		if reason != "" {
			kvs = append(kvs, keyStoredError.String(reason))
		}
		t.in.stored.Add(ctx, 1, t.rare(kvs...))
	}
	if t.logs(ctx, l) {
		t.write(ctx, l, text(nil, logReason, reason))
	}
}
