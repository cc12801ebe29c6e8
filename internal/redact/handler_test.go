package redact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// noTime leaves out what differs from run to run.
func noTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
		return slog.Attr{}
	}
	return a
}

// line logs through a text handler and returns the line.
func line(f func(*slog.Logger)) string {
	var b bytes.Buffer
	f(slog.New(New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime}))))
	return strings.TrimSuffix(b.String(), "\n")
}

// jsonLine is line with a JSON handler.
func jsonLine(f func(*slog.Logger)) string {
	var b bytes.Buffer
	f(slog.New(New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime}))))
	return strings.TrimSuffix(b.String(), "\n")
}

func TestIsAHandler(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return New(slog.NewJSONHandler(&b, nil))
	}, func(t *testing.T) map[string]any {
		m := map[string]any{}
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

type (
	stringer  struct{ S string }
	valuer    struct{ v slog.Value }
	texter    struct{ S string }
	marshaler struct{ S string }
	formatter struct{ plus string }
	panics    struct{}
	nested    struct{ depth int }
	person    struct {
		Name string
		SSIN string
		Note *string
	}
	hash [16]byte
)

func (s stringer) String() string                { return "stringer " + s.S }
func (v valuer) LogValue() slog.Value            { return v.v }
func (t texter) MarshalText() ([]byte, error)    { return []byte("text " + t.S), nil }
func (m marshaler) Error() string                { return "clean" }
func (m marshaler) MarshalJSON() ([]byte, error) { return json.Marshal(m.S) }
func (f formatter) Error() string                { return "clean" }
func (f formatter) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, f.plus) }
func (panics) Error() string                     { panic(ssin) }
func (n nested) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("g", nested{n.depth + 1}), slog.String("s", ssin))
}

func TestAttributes(t *testing.T) {
	note := "for " + ssin
	for _, w := range []struct {
		name string
		a    slog.Attr
		want string // of the text handler, after "msg=m "
	}{
		{"string", slog.String("a", "x "+ssin), `a="x [ssin]"`},
		{"clean string", slog.String("a", "x"), `a=x`},
		{"key", slog.String("a"+ssin, "x"), `a[ssin]=x`},
		{"int", slog.Int64("a", 85073199704), `a=[ssin]`},
		{"negative int", slog.Int64("a", -85073199704), `a=[ssin]`},
		{"smallest int", slog.Int64("a", -1<<63), `a=-9223372036854775808`},
		{"uint", slog.Uint64("a", 85073199704), `a=[ssin]`},
		{"float", slog.Float64("a", 85073199704), `a=[ssin]`},
		{"other numbers", slog.Group("", slog.Int("a", 85073199705), slog.Float64("b", 1.5), slog.Float64("c", 1e300)), `a=85073199705 b=1.5 c=1e+300`},
		{"duration", slog.Duration("a", 85073199704), `a=1m25.073199704s`},
		{"time", slog.Time("a", time.Date(2018, 8, 9, 10, 0, 0, 0, time.UTC)), `a=2018-08-09T10:00:00.000Z`},
		{"bool and nil", slog.Group("", slog.Bool("a", true), slog.Any("b", nil)), `a=true b=<nil>`},

		{"secret", slog.String("password", "x"), `password=[masked]`},
		{"secret of any type", slog.Any("token", person{Name: "Jan"}), `token=[masked]`},
		{"secret number", slog.Int("pin", 1234), `pin=[masked]`},
		{"secret float", slog.Float64("pin", 1234), `pin=[masked]`},
		{"empty secret", slog.String("password", ""), `password=""`},
		{"nil secret", slog.Any("token", nil), `token=<nil>`},
		{"about a secret", slog.Group("", slog.Int("token_count", 3), slog.Duration("token_age", time.Second), slog.Bool("token_valid", true)), `token_count=3 token_age=1s token_valid=true`},
		{"birth", slog.Time("birthdate", time.Unix(0, 0)), `birthdate=[masked]`},
		{"secret group", slog.Group("assertion", slog.String("id", "x"), slog.Group("g", slog.Int("n", 1))), `assertion.id=[masked] assertion.g.n=[masked]`},
		{"groups", slog.Group("g", slog.Int("n", 1), slog.Group("h", slog.String("a", ssin), slog.Int("b", 2)), slog.String("c", ssin)), `g.n=1 g.h.a=[ssin] g.h.b=2 g.c=[ssin]`},

		{"error", slog.Any("err", errors.New("no "+ssin)), `err="no [ssin]"`},
		{"wrapped error", slog.Any("err", fmt.Errorf("x: %w", errors.New(ssin))), `err="x: [ssin]"`},
		{"clean error", slog.Any("err", io.EOF), `err=EOF`},
		{"error with a body", slog.Any("err", errors.New("got <a>Jan</a>")), `err="got [xml]"`},
		{"error that panics", slog.Any("err", panics{}), `err="[unprintable redact.panics]"`},
		{"fault", slog.Any("err", &fault.Error{Op: "x", Kind: fault.Denied, Ticket: aUUID}), `err.op=x err.ticket=` + aUUID + ` err.kind=denied err.outcome=unknown`},
		{"stringer", slog.Any("a", stringer{ssin}), `a="stringer [ssin]"`},
		{"clean stringer", slog.Any("a", stringer{"x"}), `a="stringer x"`},
		{"text", slog.Any("a", texter{ssin}), `a="text [ssin]"`},
		{"clean text", slog.Any("a", texter{"x"}), `a="text x"`},
		{"only its JSON", slog.Any("a", marshaler{ssin}), `a=clean`},
		{"formatter", slog.Any("a", formatter{"stack " + ssin}), `a=clean`},
		{"bytes", slog.Any("a", []byte("<a>Jan</a>")), `a=[xml]`},
		{"no text bytes", slog.Any("a", []byte{0xff, 0xfe}), `a="[2 bytes]"`},
		{"raw JSON", slog.Any("a", json.RawMessage(`{"ssin":"x","b":1}`)), `a="{\"ssin\":[masked],\"b\":1}"`},
		{"address", slog.Any("a", net.IPv4(192, 0, 2, 1)), `a=192.0.2.1`},
		{"struct", slog.Any("a", person{"Jan", "x", nil}), `a="{\"Name\":\"Jan\",\"SSIN\":[masked],\"Note\":null}"`},
		{"struct behind a pointer", slog.Any("a", person{Note: &note}), `a="{\"Name\":\"\",\"SSIN\":[masked],\"Note\":\"for [ssin]\"}"`},
		{"clean struct", slog.Any("a", struct{ A, B int }{1, 2}), `a="{A:1 B:2}"`},
		{"list", slog.Any("a", []string{"x", ssin}), `a="[\"x\",\"[ssin]\"]"`},
		{"map", slog.Any("a", map[string]any{"pin": 12, "x": []any{ssin}}), `a="{\"pin\":[masked],\"x\":[\"[ssin]\"]}"`},
		{"bytes as numbers", slog.Any("a", struct{ B []byte }{[]byte(ssin)}), `a="[unprintable struct { B []uint8 }]"`},
		{"array of bytes", slog.Any("a", hash{1, 2, 3}), `a="[unprintable redact.hash]"`},
		{"no JSON", slog.Any("a", struct{ F func() }{nil}), `a={F:<nil>}`},
		{"no JSON, dirty", slog.Any("a", struct {
			F func()
			S string
		}{nil, ssin}), `a="[unprintable struct { F func(); S string }]"`},

		{"log valuer", slog.Any("a", valuer{slog.StringValue(ssin)}), `a=[ssin]`},
		{"clean log valuer", slog.Any("a", valuer{slog.IntValue(3)}), `a=3`},
		{"log valuer of a group", slog.Any("a", valuer{slog.GroupValue(slog.String("password", "x"), slog.Any("b", valuer{slog.StringValue("y")}))}), `a.password=[masked] a.b=y`},
		{"log valuer under a secret", slog.Any("token", valuer{slog.StringValue("x")}), `token=[masked]`},
	} {
		t.Run(w.name, func(t *testing.T) {
			if got := line(func(l *slog.Logger) { l.LogAttrs(context.Background(), slog.LevelInfo, "m", w.a) }); got != "msg=m "+w.want {
				t.Errorf("\n got %s\nwant msg=m %s", got, w.want)
			}
			if got := line(func(l *slog.Logger) { l.With(w.a).Info("m") }); got != "msg=m "+w.want {
				t.Errorf("With:\n got %s\nwant msg=m %s", got, w.want)
			}
			got := jsonLine(func(l *slog.Logger) { l.LogAttrs(context.Background(), slog.LevelInfo, "m", w.a) })
			if strings.Contains(got, ssin) && !strings.Contains(w.name, "duration") || strings.Contains(got, "Jan<") || !json.Valid([]byte(got)) {
				t.Errorf("JSON: %s", got)
			}
			if w.name == "key" {
				return // its mark is a telling name itself
			}
			if got := line(func(l *slog.Logger) { l.LogAttrs(context.Background(), slog.LevelInfo, "m", Attr(w.a)) }); got != "msg=m "+w.want {
				t.Errorf("Attr: %s", got)
			}
		})
	}
}

func TestMessagesAndGroups(t *testing.T) {
	got := line(func(l *slog.Logger) { l.Info("asked for "+ssin, "n", 1, "a", anAddress) })
	if want := `msg="asked for [ssin]" n=1 a=[email]`; got != want {
		t.Errorf("%s", got)
	}
	got = line(func(l *slog.Logger) {
		l = l.With("a", ssin).WithGroup("g"+ssin).With("b", "x").WithGroup("token")
		l.WithGroup("h").Info("m", "n", 7, "ok", true)
		l.Info("m", "c", "y")
	})
	if want := "msg=m a=[ssin] g[ssin].b=x g[ssin].token.h.n=[masked] g[ssin].token.h.ok=true\nmsg=m a=[ssin] g[ssin].b=x g[ssin].token.c=[masked]"; got != want {
		t.Errorf("%s", got)
	}
	h := New(slog.DiscardHandler)
	if h.WithGroup("") != slog.Handler(h) || h.WithAttrs(nil) != slog.Handler(h) {
		t.Error("nothing to add makes another handler")
	}
	if New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})).Enabled(t.Context(), slog.LevelInfo) {
		t.Error("the level is that of the next handler")
	}
}

// A value that unfolds without end must not.
func TestNestedWithoutEnd(t *testing.T) {
	got := line(func(l *slog.Logger) { l.Info("m", "a", nested{}) })
	if strings.Contains(got, ssin) || !strings.Contains(got, "[nested too deep]") {
		t.Error(got)
	}
}

// failing is a handler that returns an error.
type failing struct{ slog.Handler }

var errFull = errors.New("disk full")

func (failing) Handle(context.Context, slog.Record) error { return errFull }

func TestErrorsOfTheNextHandler(t *testing.T) {
	h := New(failing{slog.DiscardHandler})
	for _, msg := range []string{"x", ssin} {
		if err := h.Handle(t.Context(), slog.NewRecord(time.Time{}, slog.LevelInfo, msg, 0)); !errors.Is(err, errFull) {
			t.Errorf("%q: %v", msg, err)
		}
	}
}

// The record of the caller and its attributes stay as they are.
func TestNothingIsModified(t *testing.T) {
	attrs := []slog.Attr{slog.Int("n", 1), slog.String("a", ssin)}
	g := slog.Attr{Key: "g", Value: slog.GroupValue(attrs...)}
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, ssin, 0)
	r.AddAttrs(g)
	h := New(slog.DiscardHandler)
	_ = h.Handle(t.Context(), r)
	h.WithAttrs(attrs)
	if attrs[1].Value.String() != ssin || g.Value.Group()[1].Value.String() != ssin || r.Message != ssin {
		t.Error("modified")
	}
}

// pass is a handler that does nothing, to measure what is in front of it.
type pass struct{}

func (pass) Enabled(context.Context, slog.Level) bool  { return true }
func (pass) Handle(context.Context, slog.Record) error { return nil }
func (pass) WithAttrs([]slog.Attr) slog.Handler        { return pass{} }
func (pass) WithGroup(string) slog.Handler             { return pass{} }

func record(text string) slog.Record {
	r := slog.NewRecord(time.Unix(0, 0), slog.LevelInfo, "call done", 0)
	r.AddAttrs(
		slog.String("op", "insurability.Check"), slog.String("endpoint", "services.example/GenericInsurability/v1"), slog.Int("attempts", 2),
		slog.Duration("took", time.Second), slog.String("ticket", aUUID), slog.Any("err", io.EOF), slog.String("text", text),
	)
	return r
}

func TestCleanRecordsAllocateNothing(t *testing.T) {
	h, r := New(pass{}), record("nothing to see")
	if n := testing.AllocsPerRun(100, func() { _ = h.Handle(context.Background(), r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHandle(b *testing.B) {
	for name, text := range map[string]string{"clean": "nothing to see", "dirty": "asked for " + ssin} {
		b.Run(name, func(b *testing.B) {
			h, r := New(pass{}), record(text)
			b.ReportAllocs()
			for b.Loop() {
				_ = h.Handle(context.Background(), r)
			}
		})
	}
}

func BenchmarkString(b *testing.B) {
	clean := "insurability.Check: unavailable, service genericinsurability at services.example/GenericInsurability/v1 (outcome rejected, code SOA-02002)"
	for name, s := range map[string]string{"clean": clean, "ssin": clean + ssin, "document": "<a>" + strings.Repeat("<b>x</b>", 2000) + "</a>"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				_ = String(s)
			}
		})
	}
}

func ExampleNew() {
	var b bytes.Buffer
	log := slog.New(New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime})))
	log.Warn("refused for 85.07.31-997.04", "password", "hunter2", "err", errors.New("answer was <Patient>...</Patient>"))
	fmt.Print(b.String())
	// Output: msg="refused for [ssin]" password=[masked] err="answer was [xml]"
}
