package recipe

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// TestCreateRecordIsJSON: a record is written as json.Marshal writes it, whatever stands in its fields, and reads back.
func TestCreateRecordIsJSON(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "a", "2026-11-22", "x/y+z=", `q"uote`, `back\\slash`, "é", "<&>", "\x00", "\x7f", "\u2028", "tab\t"}
	written := 0
	for n := range 5000 {
		var r createRecord
		v := reflect.ValueOf(&r).Elem()
		for i := range v.NumField() {
			usual := n%2 == 0 // every other one has nothing that must be escaped
			switch f := v.Field(i); p := f.Addr().Interface().(type) {
			case *int:
				*p = rnd.IntN(3)
			case *bool:
				*p = rnd.IntN(2) == 0
			case *string:
				*p = texts[rnd.IntN(len(texts))]
				if usual {
					*p = texts[rnd.IntN(4)]
				}
			case *[]byte:
				if *p = []byte(texts[rnd.IntN(len(texts))]); !usual && rnd.IntN(4) == 0 {
					*p = nil
				}
			case *[]string:
				if !usual {
					*p = texts[:rnd.IntN(3)]
				}
			case *time.Time:
				*p = time.Unix(rnd.Int64N(1<<33), rnd.Int64N(1e9)).In(time.FixedZone("", 60*(rnd.IntN(120)-60)))
			default:
				t.Fatalf("a field of type %T", p)
			}
		}
		want, err := json.Marshal(&r)
		got, gotErr := r.encode()
		if err != nil || gotErr != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v %v\n%s\n%s", err, gotErr, got, want)
		}
		if r.Known == nil && r.Digest != nil && r.Sealed != nil {
			written++
		}
	}
	if written < 1000 {
		t.Errorf("only %d ordinary records", written)
	}
}
