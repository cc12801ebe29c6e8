package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Item counts and logs a change of a queued write; it is what to give to [outbox.WithEvents].
func (t *Telemetry) Item(e outbox.Event) {
	ctx := context.Background()
	kind := t.name(string(e.Kind))
	if t.in.items.Enabled(ctx) {
		t.in.items.Add(ctx, 1, t.rare(keyItemKind.String(kind), keyItemState.String(e.To.String())))
	}
	l := itemLines[e.To.String()]
	if l == nil || !t.logs(ctx, l) {
		return
	}
	attrs := []slog.Attr{slog.String(logItem, e.ID.String()), slog.String(logWhat, kind), slog.String(logFrom, e.From.String())}
	t.write(ctx, l, text(attrs, logReason, string(e.Reason)))
}

// Outbox connects the numbers of an outbox, read whenever metrics are collected; what cannot be read
// is left out. stop disconnects them.
func (t *Telemetry) Outbox(source func() (outbox.Counts, error)) (stop func(), err error) {
	g, err := t.meter.Int64ObservableGauge(mQueue.Name, metric.WithUnit(mQueue.Unit), metric.WithDescription(mQueue.About))
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	reg, err := t.meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		c, err := source()
		if err != nil {
			return err
		}
		for kind, states := range c.By {
			for state, n := range states {
				to.ObserveInt64(g, int64(n), t.rare(keyItemKind.String(t.name(string(kind))), keyItemState.String(state.String())))
			}
		}
		return nil
	}, g)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil // an error would say that it was not registered
}
