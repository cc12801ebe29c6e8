package recipe

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// createRecord is what the outbox keeps of a prescription that is being created, sealed: all that is needed to send it, and
// to find it again (dossier 04 section 14.2).
type createRecord struct {
	Version   int       `json:"v"`
	Reference string    `json:"ref"`
	Author    string    `json:"author,omitempty"` // see [Prescriber.own]
	Patient   string    `json:"patient"`
	Type      string    `json:"type"`
	Expires   string    `json:"expires"`
	KMEHR     string    `json:"kmehr"` // header ids
	Local     string    `json:"local"`
	Digest    []byte    `json:"sha256"` // of the document
	KeyID     string    `json:"key"`
	Known     []string  `json:"known,omitempty"` // open prescriptions of the patient before, when they were asked for
	Start     time.Time `json:"start"`
	Content   string    `json:"content"` // what makes two requests the same
	Medical   string    `json:"medical,omitempty"`

	Sealed       []byte `json:"sealed"`
	Feedback     bool   `json:"feedback,omitempty"`
	Label        string `json:"label,omitempty"`
	Vision       string `json:"vision,omitempty"`
	VisionOthers string `json:"others,omitempty"`
	KMEHRVersion string `json:"kmehrVersion"`
	Source       string `json:"source"`
	Pin          string `json:"pin,omitempty"`   // address at which the probe was answered
	Later        bool   `json:"later,omitempty"` // it was held and confirmed: it may be sent while nobody waits
}

const createVersion = 1

// encode writes what json.Marshal writes, byte for byte. An ordinary record, without texts that have to be escaped, it writes by
// itself, since a person waits and looking at types takes longer than all else; TestCreateRecordIsJSON compares them, also when a
// field is new.
func (r *createRecord) encode() ([]byte, error) {
	w := jsonWriter{b: make([]byte, 0, 1024+base64.StdEncoding.EncodedLen(len(r.Sealed))), plain: r.Digest != nil && r.Sealed != nil && len(r.Known) == 0}
	w.b = strconv.AppendInt(append(w.b, `{"v":`...), int64(r.Version), 10)
	w.text("ref", r.Reference, false)
	w.text("author", r.Author, true)
	w.text("patient", r.Patient, false)
	w.text("type", r.Type, false)
	w.text("expires", r.Expires, false)
	w.text("kmehr", r.KMEHR, false)
	w.text("local", r.Local, false)
	w.octets("sha256", r.Digest)
	w.text("key", r.KeyID, false)
	w.instant("start", r.Start)
	w.text("content", r.Content, false)
	w.text("medical", r.Medical, true)
	w.octets("sealed", r.Sealed)
	w.truth("feedback", r.Feedback)
	w.text("label", r.Label, true)
	w.text("vision", r.Vision, true)
	w.text("others", r.VisionOthers, true)
	w.text("kmehrVersion", r.KMEHRVersion, false)
	w.text("source", r.Source, false)
	w.text("pin", r.Pin, true)
	w.truth("later", r.Later)
	if !w.plain {
		return json.Marshal(r)
	}
	return append(w.b, '}'), nil
}

// jsonWriter writes an object as encoding/json does, as long as plain is true.
type jsonWriter struct {
	b     []byte
	plain bool
}

func (w *jsonWriter) name(s string) {
	w.b = append(append(append(w.b, ',', '"'), s...), '"', ':')
}

func (w *jsonWriter) text(name, s string, omitEmpty bool) {
	if omitEmpty && s == "" {
		return
	}
	for i := range len(s) {
		c := s[i]
		w.plain = w.plain && c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	w.name(name)
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *jsonWriter) octets(name string, v []byte) {
	w.name(name)
	w.b = append(base64.StdEncoding.AppendEncode(append(w.b, '"'), v), '"')
}

func (w *jsonWriter) instant(name string, t time.Time) {
	w.plain = w.plain && t.Year() >= 0 && t.Year() <= 9999
	w.name(name)
	w.b = append(t.AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"')
}

func (w *jsonWriter) truth(name string, v bool) {
	if v {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

const errRecord reason = "recipe: what the outbox kept cannot be read"

func decodeCreate(b []byte) (*createRecord, error) {
	var r createRecord
	if err := json.Unmarshal(b, &r); err != nil || r.Version != createVersion {
		return nil, errRecord
	}
	return &r, nil
}

// createAnswer is what the outbox keeps when it was created.
type createAnswer struct {
	RID     string   `json:"rid"`
	Content string   `json:"content"`
	Surplus []string `json:"surplus,omitempty"` // others with the same key
	Later   bool     `json:"later,omitempty"`   // it was held and confirmed
	Expires string   `json:"expires,omitempty"` // the day that it was sent with
}

func (a *createAnswer) rid() identity.RID { return ridOf(a.RID) }

// decodeCreateAnswer reads it. There is none when a person has found out that it was created: then nobody knows the number.
func decodeCreateAnswer(b []byte) (*createAnswer, error) {
	var a createAnswer
	if len(b) == 0 {
		return &a, nil
	}
	if err := json.Unmarshal(b, &a); err != nil || a.RID == "" {
		return nil, errRecord
	}
	return &a, nil
}

// heldRecord is a prescription that waits for a confirmation. It is made ready to be sent only then.
type heldRecord struct {
	Version      int    `json:"v"`
	Reference    string `json:"ref"`
	Author       string `json:"author,omitempty"`  // see [Prescriber.own]
	Content      string `json:"content,omitempty"` // as the call that held it has it
	Medical      string `json:"medical,omitempty"`
	Document     []byte `json:"document"`
	Type         string `json:"type"`
	Feedback     bool   `json:"feedback,omitempty"`
	Label        string `json:"label,omitempty"`
	Vision       string `json:"vision,omitempty"`
	VisionOthers string `json:"others,omitempty"`
}

func decodeHeld(b []byte) (*heldRecord, error) {
	var r heldRecord
	if err := json.Unmarshal(b, &r); err != nil || r.Version != createVersion {
		return nil, errRecord
	}
	return &r, nil
}
