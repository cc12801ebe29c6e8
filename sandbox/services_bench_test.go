package sandbox

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkGenIns is what one question costs the sandbox, without HTTP: drills ask hundreds of thousands.
func BenchmarkGenIns(b *testing.B) {
	w := newWorld(b)
	p, tk := w.doctorToken(0)
	msg := w.message(geninsQuestion(doctorOrigin(p), "85073199704"), tk)
	v := newServices()
	b.ReportAllocs()
	for b.Loop() {
		v.replays.seen = nil // the same message again and again
		r := v.genins(b.Context(), w.s, &request{Service: "genins", Path: pathGenIns, Body: msg, At: time.Now()})
		if r.Status != http.StatusOK {
			b.Fatalf("%s", r.Body)
		}
	}
}
