package recipe_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

var errWreck = errors.New("the disk is gone")

// wreck is a store that does not work any more.
type wreck struct {
	outbox.Store
	gone atomic.Bool
}

func wrecked[T any](w *wreck, f func() (T, error)) (v T, err error) {
	if w.gone.Load() {
		return v, errWreck
	}
	return f()
}

func (w *wreck) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	return wrecked(w, func() (outbox.Inserted, error) { return w.Store.Insert(ctx, e, c) })
}

func (w *wreck) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	return wrecked(w, func() (outbox.Entry, error) { return w.Store.Load(ctx, id) })
}

func (w *wreck) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	return wrecked(w, func() ([]outbox.Entry, error) { return w.Store.Headers(ctx, ids) })
}

func (w *wreck) List(ctx context.Context, q outbox.Query) (outbox.Page, error) {
	return wrecked(w, func() (outbox.Page, error) { return w.Store.List(ctx, q) })
}

func (w *wreck) Count(ctx context.Context) (outbox.Counts, error) {
	return wrecked(w, func() (outbox.Counts, error) { return w.Store.Count(ctx) })
}

// tries calls every exported method that can fail, with arguments of its types, and gives each error to see.
func tries(t *testing.T, ctx context.Context, on any, args map[reflect.Type]reflect.Value, see func(name string, err error)) (n int) {
	t.Helper()
	failure := reflect.TypeFor[error]()
	v := reflect.ValueOf(on)
	for i := range v.NumMethod() {
		m, name := v.Type().Method(i), v.Type().Method(i).Name
		var in []reflect.Value
		for j := 1; j < m.Type.NumIn(); j++ {
			switch arg, known := args[m.Type.In(j)]; {
			case m.Type.In(j) == reflect.TypeFor[context.Context]():
				in = append(in, reflect.ValueOf(ctx))
			case known:
				in = append(in, arg)
			default:
				in = append(in, reflect.Zero(m.Type.In(j)))
			}
		}
		if m.Type.NumOut() == 0 || name == "Use" || len(in) == 0 || m.Type.In(1) != reflect.TypeFor[context.Context]() {
			continue
		}
		n++
		out := v.Method(i).Call(in)
		switch last := out[len(out)-1]; {
		case last.Type() == failure:
			err, _ := last.Interface().(error)
			see(name, err)
		case last.Kind() == reflect.Func: // a list: the first of it
			last.Call([]reflect.Value{reflect.MakeFunc(last.Type().In(0), func(args []reflect.Value) []reflect.Value {
				err, _ := args[1].Interface().(error)
				see(name, err)
				return []reflect.Value{reflect.ValueOf(false)}
			})})
		case last.Kind() == reflect.Slice:
			for k := range last.Len() {
				err, _ := last.Index(k).FieldByName("Err").Interface().(error)
				see(name, err)
			}
		default:
			t.Errorf("%s gives %v", name, last.Type())
		}
	}
	return n
}

type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no network")
}

// Whatever fails, the platform or the outbox, the error says which operation of which service it was and whether it may have been
// carried out.
func TestEveryErrorIsAFault(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.close()
		nowhere := &http.Client{Transport: unreachable{}}
		link, _ := link(t, s.sb, s.person, nowhere)
		prescriber, err := recipe.NewPrescriber(link, recipe.Caller{NIHII: s.person.NIHII, Quality: s.person.Role}, s.options...)
		ok(t, err)
		rid := identity.MustRID("BEP0AAAAAAAA")
		pharmacy, err := identity.ParseNIHII(s.sb.Organisation(identity.Pharmacy, 0).Number)
		ok(t, err)
		executor, err := recipe.NewExecutor(link, recipe.Caller{NIHII: pharmacy, Quality: identity.Pharmacy}, s.options...)
		ok(t, err)
		dispenser, err := recipe.NewDispenser(executor)
		ok(t, err)
		patient, err := recipe.NewPatient(link, recipe.Caller{SSIN: s.patient.SSIN}, s.options...)
		ok(t, err)
		vision := protocol.VisionLocked
		args := map[reflect.Type]reflect.Value{}
		for _, v := range []any{
			rid,
			[]identity.RID{rid},
			pharmacy, s.patient.SSIN, identity.Hide("text"), "reference", 1, time.Now(), s.request("one"),
			[]recipe.CreateRequest{s.request("two")},
			recipe.Dispensing{RID: rid},
			recipe.Report{ID: outbox.ID{1}, RID: rid},
			recipe.Visibility{Vision: &vision},
			vision,
			recipe.Feedback{RID: rid, Prescriber: s.person.NIHII, Text: identity.Hide("text")},
			recipe.ListQuery{Patient: s.patient.SSIN},
			recipe.OutgoingNotification{Pharmacy: pharmacy, Patient: s.patient.SSIN, Text: identity.Hide("text")},
		} {
			args[reflect.TypeOf(v)] = reflect.ValueOf(v)
		}
		key, err := outbox.KeyFromBytes(make([]byte, 32))
		ok(t, err)
		open := func() (*wreck, func()) {
			w := &wreck{Store: outboxtest.NewMemory()}
			a, err := outbox.Open(t.Context(), w, outbox.NewKeys(key), append(prescriber.Handle(), dispenser.Handle()...)...)
			ok(t, err)
			prescriber.Use(a)
			dispenser.Use(a)
			return w, func() { ok(t, a.Close()) }
		}
		for _, scene := range []struct {
			name string
			make func() func()
		}{
			{"no outbox", func() func() { return func() {} }},
			{"no platform", func() func() { _, end := open(); return end }},
			{"a broken outbox", func() func() { w, end := open(); w.gone.Store(true); return end }},
			{"a closed outbox", func() func() { _, end := open(); end(); return func() {} }},
		} {
			end := scene.make()
			n := 0
			for _, on := range []any{prescriber, executor, dispenser, patient} {
				n += tries(t, t.Context(), on, args, func(name string, err error) {
					if err == nil {
						return // it needs neither
					}
					e, is := err.(*fault.Error) //nolint:errorlint // itself, not what it wraps
					if !is || e.Op == "" || e.Service == "" || e.Kind == 0 || e.Outcome == fault.Done || errors.Is(err, errWreck) && e.Outcome == fault.Unknown {
						t.Errorf("%s: %T.%s: %#v", scene.name, on, name, err)
					}
				})
			}
			if n < 50 {
				t.Errorf("%d methods", n)
			}
			end()
		}
	})
}
