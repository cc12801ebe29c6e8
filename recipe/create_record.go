package recipe

import (
	"encoding/json"
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
