package telemetry

import (
	"context"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Observer returns what to give to [resilience.Engine.Observe]: it counts and times calls and
// attempts, and logs one line per call.
func (t *Telemetry) Observer() func(resilience.Event) { return t.observe }

func (t *Telemetry) observe(ev resilience.Event) {
	ctx := context.Background()
	count, times := t.in.attempts, t.in.tryTime
	if ev.Call {
		count, times = t.in.calls, t.in.callTime
		t.logCall(ctx, &ev)
	}
	counted, timed := count.Enabled(ctx), times.Enabled(ctx)
	if !counted && !timed && (!ev.Call || !t.in.refusals.Enabled(ctx)) {
		return
	}
	s := t.setsOf(&ev)
	if counted {
		count.Add(ctx, 1, s.count...)
	}
	if timed {
		times.Record(ctx, ev.Latency.Seconds(), s.time...)
	}
	if s.refusal != nil {
		t.in.refusals.Add(ctx, 1, s.refusal...)
	}
}

func callLine(ev *resilience.Event) *lineDef {
	switch {
	case ev.Kind == 0 && (ev.Attempt > 1 || ev.Hedged):
		return lineDegraded
	case ev.Kind == 0:
		return lineDone
	case ev.Kind == fault.Canceled:
		return lineCanceled
	case ev.Kind == fault.Security:
		return lineUnsafe
	}
	return lineFailed
}

func (t *Telemetry) logCall(ctx context.Context, ev *resilience.Event) {
	l := callLine(ev)
	if !t.logs(ctx, l) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String(logOp, nameLike(ev.Op)), slog.String(logService, nameLike(ev.Service)), slog.String(logClass, ev.Class.String()))
	attrs = text(attrs, logEndpoint, hostLike(ev.Endpoint))
	attrs = append(attrs, slog.String(logOutcome, ev.Outcome.String()))
	if ev.Kind != 0 {
		attrs = append(attrs, slog.String(logKind, ev.Kind.String()))
		attrs = text(attrs, logCode, codeLike(ev.Code))
		attrs = text(attrs, logWhy, string(knownWhy(ev.Why)))
	}
	attrs = append(attrs, slog.Int(logAttempts, ev.Attempt))
	if ev.Hedged {
		attrs = append(attrs, slog.Bool(logHedged, true))
	}
	t.write(ctx, l, append(attrs, slog.Duration(logLatency, ev.Latency)))
}

// Breaker returns what to give to [resilience.Engine.OnChange]. The last error is not logged: the
// call that it ended has a line of its own.
func (t *Telemetry) Breaker() func(resilience.Change) { return t.breakerChanged }

func (t *Telemetry) breakerChanged(c resilience.Change) {
	ctx := context.Background()
	if t.in.changes.Enabled(ctx) {
		host, port := t.host(hostOf(c.To.Endpoint))
		kvs := append(address(host, port), keyService.String(t.name(c.To.Service)), keyFrom.String(stateName(c.From)), keyTo.String(stateName(c.To.State)))
		t.in.changes.Add(ctx, 1, t.rare(kvs...))
	}
	l := breakerLines[c.To.State.String()]
	if l == nil || !t.logs(ctx, l) {
		return
	}
	attrs := []slog.Attr{slog.String(logService, nameLike(c.To.Service)), slog.String(logEndpoint, hostLike(hostOf(c.To.Endpoint))), slog.String(logFrom, c.From.String())}
	attrs = instant(attrs, logUntil, c.To.Until)
	attrs = text(attrs, logReason, c.To.Reason)
	if c.To.Failures > 0 {
		attrs = append(attrs, slog.Int(logFailures, c.To.Failures))
	}
	t.write(ctx, l, attrs)
}

func stateName(s resilience.BreakerState) string {
	if s > resilience.ForcedOpen {
		return other
	}
	return words(s.String())
}

// Health returns what to give to [resilience.Health.Watch]. Hand it the status of every function
// once at the start, so that the gauge knows those that never change; [Telemetry.Attach] does.
func (t *Telemetry) Health() func(resilience.Status) { return t.healthChanged }

func (t *Telemetry) healthChanged(s resilience.Status) {
	t.mu.Lock()
	was, known := t.health[s.Function]
	if known || len(t.health) < maxNames {
		t.health[s.Function] = s
	}
	t.gauge(s) // with the lock, so that the newest one is the last one
	t.mu.Unlock()
	news := was.Condition != s.Condition || was.With != s.With || was.Where != s.Where || was.Notice != s.Notice
	if !news || !known && s.Condition == resilience.OK {
		return
	}
	ctx, l := context.Background(), healthLines[s.Condition.String()]
	if !t.logs(ctx, l) {
		return
	}
	attrs := text([]slog.Attr{slog.String(logFunction, nameLike(s.Function))}, logWith, s.With)
	if s.Where != resilience.Nowhere {
		attrs = append(attrs, slog.String(logWhere, s.Where.String()))
	}
	attrs = text(attrs, logService, nameLike(s.Service))
	attrs = instant(attrs, logNextCheck, s.NextCheck)
	t.write(ctx, l, text(attrs, logNotice, noticeLike(s.Notice)))
}

func (t *Telemetry) gauge(s resilience.Status) {
	if ctx := context.Background(); t.in.health.Enabled(ctx) {
		t.in.health.Record(ctx, int64(min(s.Condition, resilience.Down)), t.rare(keyFunction.String(t.name(s.Function))))
	}
}

// seed takes in the status at the start, unless a newer one was told already.
func (t *Telemetry) seed(s resilience.Status) {
	t.mu.Lock()
	_, known := t.health[s.Function]
	t.mu.Unlock()
	if !known {
		t.healthChanged(s)
	}
}

// logs reports whether a line would be written.
func (t *Telemetry) logs(ctx context.Context, l *lineDef) bool {
	return t.log != nil && t.log.Enabled(ctx, l.Level)
}

func (t *Telemetry) write(ctx context.Context, l *lineDef, attrs []slog.Attr) {
	t.log.LogAttrs(ctx, l.Level, l.Msg, attrs...)
}

// text adds a string that is not empty.
func text(attrs []slog.Attr, key, v string) []slog.Attr {
	if v == "" {
		return attrs
	}
	return append(attrs, slog.String(key, v))
}

// instant adds a time that is not zero.
func instant(attrs []slog.Attr, key string, v time.Time) []slog.Attr {
	if v.IsZero() {
		return attrs
	}
	return append(attrs, slog.Time(key, v))
}
