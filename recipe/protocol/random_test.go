package protocol

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/identity"
)

// filler draws values by type. With full set nothing is absent.
type filler struct {
	t    *rapid.T
	full bool
}

func (f filler) absent() bool { return !f.full && rapid.IntRange(0, 9).Draw(f.t, "absent") == 0 }

func digits(t *rapid.T, n int) string {
	return rapid.StringMatching(fmt.Sprintf("[1-9][0-9]{%d}", n-1)).Draw(t, "digits")
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// leaf draws a value of a type that has no fields of its own.
func (f filler) leaf(name string, typ reflect.Type) (any, bool) {
	t := f.t
	free := rapid.StringMatching(`[a-z0-9<>&"'é€]([ a-z0-9<>&"'é€\t]{0,10}[a-z0-9<>&"'é€])?`)
	switch typ {
	case reflect.TypeFor[identity.SSIN]():
		return must1(identity.NewSSIN(rapid.IntRange(1900, 2026).Draw(t, "y"), 3, 4, rapid.IntRange(0, 999).Draw(t, "n"))), true
	case reflect.TypeFor[identity.NIHII]():
		return must1(identity.NewNIHII(digits(t, 6), rapid.SampledFrom([]string{"", "004", "000"}).Draw(t, "q"))), true
	case reflect.TypeFor[identity.RID]():
		return must1(identity.NewRID(identity.PrescriptionP1, uint64(rapid.IntRange(0, 1<<30).Draw(t, "rid")))), true
	case reflect.TypeFor[identity.Private]():
		switch name {
		case "PatientID", "MandateHolderID":
			return identity.Hide(digits(t, 11)), true
		case "PrescriberID", "ExecutorID", "StatusUpdater", "SentBy", "ReservedAtNIHII":
			return identity.Hide(digits(t, rapid.SampledFrom([]int{8, 11}).Draw(t, "len"))), true
		}
		return identity.Hide(free.Draw(t, name)), true
	case reflect.TypeFor[ResponseKey]():
		return must1(ParseResponseKey(rapid.SliceOfN(rapid.Byte(), 24, 24).Draw(t, "key"))), true
	case reflect.TypeFor[Date]():
		return Day(rapid.IntRange(1990, 2090).Draw(t, "y"), time.Month(rapid.IntRange(1, 12).Draw(t, "m")), rapid.IntRange(1, 28).Draw(t, "d")), true
	case reflect.TypeFor[time.Time]():
		return time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "time")).In(brussels), true
	case reflect.TypeFor[[]byte](), reflect.TypeFor[Session]():
		b := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "bytes")
		return reflect.ValueOf(b).Convert(typ).Interface(), true
	case reflect.TypeFor[PrescriptionStatus]():
		return rapid.SampledFrom([]PrescriptionStatus{NotDelivered, InProcess, Delivered, Revoked, Expired, Archived}).Draw(t, "s"), true
	case reflect.TypeFor[VisionOthers]():
		return rapid.SampledFrom([]VisionOthers{OthersOpen, OthersLocked, OthersGMD}).Draw(t, "vo"), true
	case reflect.TypeFor[VisionType]():
		return rapid.SampledFrom([]VisionType{VisionTypePrescriber, VisionTypeExecutor}).Draw(t, "vt"), true
	case reflect.TypeFor[ContactPreference]():
		return rapid.SampledFrom([]ContactPreference{NoPreference, EmailAddress, TelephoneNumber}).Draw(t, "cp"), true
	case reflect.TypeFor[Message]():
		return Message{rapid.SampledFrom(languages).Draw(t, "lang"), identity.Hide(free.Draw(t, "text"))}, true
	case reflect.TypeFor[SortedBy]():
		return SortedBy{ByPrescriptionDate, rapid.SampledFrom([]string{Ascending, Descending}).Draw(t, "order")}, true
	case reflect.TypeFor[Page]():
		return Page{rapid.IntRange(1, 12).Draw(t, "m"), rapid.IntRange(2000, 2100).Draw(t, "y"), rapid.IntRange(0, 99).Draw(t, "n"), []byte("context")}, true
	}
	switch typ.Kind() {
	case reflect.String:
		s := reflect.New(typ).Elem()
		s.SetString(base64.StdEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, name)))
		return s.Interface(), true
	case reflect.Bool:
		return rapid.Bool().Draw(t, name), true
	}
	return nil, false
}

func (f filler) fill(name string, v reflect.Value) {
	if v.Type() == reflect.TypeFor[Status]() {
		v.Addr().Interface().(*Status).Code = rapid.SampledFrom([]string{CodeOK, CodeOKToo, CodeRefuse}).Draw(f.t, "code")
		for _, n := range []string{"MessageCode", "Messages", "StatusUpdater", "PrescriptionStatus"} {
			f.fill(n, v.FieldByName(n))
		}
		return
	}
	if v.Kind() != reflect.Struct && f.absent() || v.Kind() == reflect.Struct && v.NumField() == 1 && f.absent() {
		return
	}
	if x, ok := f.leaf(name, v.Type()); ok {
		v.Set(reflect.ValueOf(x))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(name, v.Elem())
	case reflect.Slice:
		n := rapid.IntRange(1, 3).Draw(f.t, "len")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(name, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Int: // counts are not on the wire
	default:
		f.t.Fatalf("no values of type %v", v.Type())
	}
}

// fit takes away what a role or generation does not have.
func fit(r Role, g Generation, p Payload) {
	switch p := p.(type) {
	case *GetPrescriptionStatusParam:
		p.Party = onlyIf(r != Patient, p.Party)
	case *ListRidsHistoryParam:
		p.Party = onlyIf(r != Patient, p.Party)
	case *ListRelationsParam:
		p.MandateHolderID = onlyIf(r == Executor, p.MandateHolderID)
	case *PutVisionParam:
		p.Party = onlyIf(r == Prescriber && g == Gen2021, p.Party)
		p.Type = onlyIf(r == Prescriber && g == Gen2023, p.Type)
		p.VisionOthers = onlyIf(r == Prescriber && g == Gen2023, p.VisionOthers)
	case *CreatePrescriptionParam:
		p.Party = onlyIf(g == Gen2021, p.Party, Party{PatientID: p.PatientID})
		p.VisionOthers = onlyIf(g == Gen2023, p.VisionOthers)
	case *ListOpenRidsResult:
		p.Prescriptions = onlyIf(r == Prescriber, p.Prescriptions)
		p.Items = onlyIf(r == Patient, p.Items)
	case *ListRelationsResult:
		for i := range p.Items {
			p.Items[i].EndDate = onlyIf(r == Patient, p.Items[i].EndDate)
		}
	case *GetPrescriptionForPrescriberResult:
		p.PrescriptionType, p.PrescriberID = "", identity.Private{}
	}
}

func onlyIf[T any](ok bool, v T, otherwise ...T) T {
	var zero T
	switch {
	case ok:
		return v
	case len(otherwise) > 0:
		return otherwise[0]
	}
	return zero
}

// plain is a payload with its instants in one zone, for comparisons.
func plain(p Payload) Payload {
	c := reflect.New(reflect.TypeOf(p).Elem())
	c.Elem().Set(utc(reflect.ValueOf(p).Elem()))
	return c.Interface().(Payload)
}

func utc(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	if t, ok := v.Interface().(time.Time); ok {
		out.Set(reflect.ValueOf(t.UTC()))
		return out
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(utc(v.Elem()))
		}
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return out
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(utc(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(utc(v.Field(i)))
			}
		}
	}
	return out
}

// shapesOf yields every payload that a role and generation have.
func shapesOf(yield func(string, Role, Generation, func() Payload)) {
	for _, o := range operations {
		for _, g := range []Generation{Gen2021, Gen2023} {
			if o.Since == Gen2023 && g == Gen2021 {
				continue
			}
			for _, root := range []string{o.Param, o.Result} {
				yield(fmt.Sprintf("%v/%v/%s", o.Role, g, root), o.Role, g, shapes[root])
			}
		}
	}
}

// What is written reads back as the same value, for every type, role and generation.
func TestRoundTrip(t *testing.T) {
	shapesOf(func(name string, r Role, g Generation, shape func() Payload) {
		t.Run(name, func(t *testing.T) {
			written := 0
			rapid.Check(t, func(t *rapid.T) {
				p := shape()
				f := filler{t, rapid.Bool().Draw(t, "full")}
				f.fill("", reflect.ValueOf(p).Elem())
				fit(r, g, p)
				b, err := Encode(r, g, p)
				if err != nil {
					// Only something absent that must be there may be refused.
					if f.full || !strings.Contains(err.Error(), errMissing.Error()) {
						t.Fatal(err)
					}
					return
				}
				written++
				q := shape()
				dev, err := Decode(b, q)
				if err != nil || !dev.None() {
					t.Fatalf("%v, %+v\n%s", err, dev, b)
				}
				if !reflect.DeepEqual(plain(p), plain(q)) {
					t.Fatalf("%s\n%+v\n%+v", b, plain(p), plain(q))
				}
			})
			if written < 30 && !testing.Short() { // rapid makes fewer then
				t.Errorf("only %d messages were written", written)
			}
		})
	})
}
