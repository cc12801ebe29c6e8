package ehbox

import (
	"errors"
	"testing"
)

// Whatever travels counts, and the limit itself is still allowed.
func TestSize(t *testing.T) {
	half := NewData(make([]byte, MaxMessage/2))
	for name, with := range map[string]func(*SendMessageRequest, Data){
		"document":    func(r *SendMessageRequest, d Data) { r.Document.Content.Text = d },
		"annex":       func(r *SendMessageRequest, d Data) { r.Annexes = []Annex{{Content: Content{Text: d}}} },
		"annex title": func(r *SendMessageRequest, d Data) { r.Annexes = []Annex{{Title: d}} },
		"patient":     func(r *SendMessageRequest, d Data) { r.PatientINSS = &d },
		"text":        func(r *SendMessageRequest, d Data) { r.Free = &FreeInformations{Text: &d} },
		"old text":    func(r *SendMessageRequest, d Data) { r.Free = &FreeInformations{Old: &OldFreeInformation{Data: d}} },
		"left": func(r *SendMessageRequest, d Data) {
			r.Free = &FreeInformations{Table: &Table{Rows: []Row{{Left: d}}}}
		},
		"right": func(r *SendMessageRequest, d Data) {
			r.Free = &FreeInformations{Table: &Table{Rows: []Row{{Right: d}}}}
		},
	} {
		r := &SendMessageRequest{Parts: []Part{{Size: MaxMessage / 2}}}
		with(r, half)
		if err := r.validateSize(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		with(r, NewData(make([]byte, MaxMessage/2+1)))
		if err := r.validateSize(); !errors.Is(err, ErrSize) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
