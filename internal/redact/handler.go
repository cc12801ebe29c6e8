package redact

import (
	"context"
	"log/slog"
)

// maxDepth bounds how deep groups are followed.
const maxDepth = 16

// Handler is a slog.Handler that cleans records before it hands them to another.
type Handler struct {
	next slog.Handler
	rank rank // of the groups it is in
}

// New returns a Handler in front of next, which must not be nil. A level, a format and a place
// are those of next. Records with nothing to replace are handed on as they are, without
// allocating.
func New(next slog.Handler) *Handler { return &Handler{next: next} }

// Enabled asks the next handler.
func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle cleans the message and all attributes.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	msg := String(r.Message)
	dirty := msg != r.Message
	if !dirty {
		r.Attrs(func(a slog.Attr) bool {
			_, dirty = attr(a, h.rank, 0)
			return !dirty
		})
	}
	if !dirty {
		return h.next.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, msg, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a, _ = attr(a, h.rank, 0)
		clean.AddAttrs(a)
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs cleans the attributes and returns a Handler that has them.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	attrs, _ = all(attrs, h.rank, 0)
	return &Handler{next: h.next.WithAttrs(attrs), rank: h.rank}
}

// WithGroup returns a Handler in the group; under a sensitive name all its attributes are masked.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	r, _ := judge(name)
	return &Handler{next: h.next.WithGroup(String(name)), rank: max(h.rank, r)}
}

// Attr cleans one attribute; for ReplaceAttr functions and handlers of others.
func Attr(a slog.Attr) slog.Attr {
	a, _ = attr(a, plain, 0)
	return a
}

// attr cleans an attribute in a group of rank r and says whether it changed.
func attr(a slog.Attr, r rank, depth int) (slog.Attr, bool) {
	key := String(a.Key)
	own, counting := judge(a.Key)
	v, changed := value(a.Value, max(r, own), counting, depth)
	if !changed && key == a.Key {
		return a, false
	}
	return slog.Attr{Key: key, Value: v}, true
}

// all cleans attributes; it returns the slice itself when none changed.
func all(attrs []slog.Attr, r rank, depth int) ([]slog.Attr, bool) {
	for i := range attrs {
		a, changed := attr(attrs[i], r, depth)
		if !changed {
			continue
		}
		out := make([]slog.Attr, len(attrs))
		copy(out, attrs[:i])
		out[i] = a
		for i++; i < len(attrs); i++ {
			out[i], _ = attr(attrs[i], r, depth)
		}
		return out, true
	}
	return attrs, false
}

var masked = slog.StringValue(maskedMark)

// value cleans a value under a key of rank r.
func value(v slog.Value, r rank, counting bool, depth int) (slog.Value, bool) {
	switch v.Kind() {
	case slog.KindGroup:
		return group(v, r, depth)
	case slog.KindLogValuer:
		if depth >= maxDepth {
			return slog.StringValue("[nested too deep]"), true
		}
		v, _ = value(v.Resolve(), r, counting, depth+1)
		return v, true
	case slog.KindBool, slog.KindDuration, slog.KindTime:
		if r == personal {
			return masked, true
		}
		return v, false
	case slog.KindInt64:
		n := v.Int64()
		return number(v, uint64(max(n, -n)), r, counting)
	case slog.KindUint64:
		return number(v, v.Uint64(), r, counting)
	case slog.KindFloat64:
		if f := v.Float64(); f > -1e12 && f < 1e12 {
			return number(v, uint64(max(f, -f)), r, counting)
		}
		return number(v, 0, r, counting)
	}
	if v.Kind() == slog.KindString {
		return str(v, r)
	}
	x := v.Any()
	if x == nil {
		return v, false
	}
	if r != plain {
		return masked, true
	}
	return anything(v, x)
}

func group(v slog.Value, r rank, depth int) (slog.Value, bool) {
	if depth >= maxDepth {
		return slog.StringValue("[nested too deep]"), true
	}
	attrs, changed := all(v.Group(), r, depth+1)
	if !changed {
		return v, false
	}
	return slog.GroupValue(attrs...), true
}

func number(v slog.Value, n uint64, r rank, counting bool) (slog.Value, bool) {
	switch {
	case r != plain && !counting:
		return masked, true
	case ssinNumber(n):
		return slog.StringValue(ssinMark), true
	}
	return v, false
}

func str(v slog.Value, r rank) (slog.Value, bool) {
	s := v.String()
	if s == "" {
		return v, false
	}
	if r != plain {
		return masked, true
	}
	if clean := String(s); clean != s {
		return slog.StringValue(clean), true
	}
	return v, false
}
