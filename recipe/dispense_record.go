package recipe

import (
	"encoding/json"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// DispensedItem is what a pharmacy gave, as far as it is to be compared with what was prescribed.
type DispensedItem struct {
	CNK      identity.CNK     // of the package; zero for what has none, such as a preparation
	Name     identity.Private // for the record of the pharmacy
	Quantity int              // packages; 0 counts as 1
}

const (
	recordVersion = 1
	// maxDispensed bounds the items of one dispensing: a prescription has at most ten.
	maxDispensed = 50
	// maxDocument bounds a document that is kept in the outbox, in bytes.
	maxDocument = 4 << 20
)

var errDispenseRecord = reason("recipe: queued dispensing cannot be read")

// dispenseRecord is an item of the Dispenser as it lies in the outbox, which encrypts it.
type dispenseRecord struct {
	Version   int           `json:"v"`
	RID       string        `json:"rid"`
	Reference string        `json:"ref,omitempty"` // of the caller
	At        time.Time     `json:"at"`
	Force     bool          `json:"force,omitempty"`
	Archive   ArchiveWhen   `json:"archive,omitempty"`
	Items     []itemRecord  `json:"items,omitempty"`
	Fetched   *fetchRecord  `json:"fetched,omitempty"`
	Feedback  *messageToOne `json:"feedback,omitempty"`
}

type itemRecord struct {
	CNK      string `json:"cnk,omitempty"`
	Name     string `json:"name,omitempty"`
	Quantity int    `json:"n,omitempty"`
}

// fetchRecord is what is kept of a prescription that was fetched.
type fetchRecord struct {
	Document    []byte       `json:"doc,omitempty"` // as Recip-e gave it; nil when it was too large to keep
	KeyID       string       `json:"key,omitempty"`
	Compared    bool         `json:"compared,omitempty"`
	Differences []Difference `json:"diff,omitempty"`
	Created     time.Time    `json:"created,omitzero"`
	Alarm       string       `json:"alarm,omitempty"`  // label of an AuthorMismatchError, or "stamp"
	Unread      string       `json:"unread,omitempty"` // why it could not be opened: a fault.Kind
}

// messageToOne is a feedback.
type messageToOne struct {
	Prescriber string `json:"to"`
	Hospital   bool   `json:"hospital,omitempty"`
	Text       string `json:"text"`
}

func (r *dispenseRecord) encode() ([]byte, error) { return json.Marshal(r) }

func decodeDispense(b []byte) (*dispenseRecord, error) {
	r := new(dispenseRecord)
	if err := json.Unmarshal(b, r); err != nil || r.Version != recordVersion {
		return nil, errDispenseRecord
	}
	return r, nil
}

// rid is who it is about. Numbers were checked when they were put.
func (r *dispenseRecord) rid() (identity.RID, error) {
	rid, err := identity.ParseRIDLenient(r.RID)
	if err != nil {
		return rid, errDispenseRecord
	}
	return rid, nil
}

func (r *dispenseRecord) items() []DispensedItem {
	var out []DispensedItem
	for _, i := range r.Items {
		cnk, _ := identity.ParseCNKLenient(i.CNK) // an item without a number has none
		out = append(out, DispensedItem{CNK: cnk, Name: identity.Hide(i.Name), Quantity: i.Quantity})
	}
	return out
}

func itemRecords(items []DispensedItem) []itemRecord {
	var out []itemRecord
	for _, i := range items {
		out = append(out, itemRecord{CNK: i.CNK.Reveal(), Name: i.Name.Reveal(), Quantity: i.Quantity})
	}
	return out
}

// dispenseAnswer is what the outbox keeps as the answer, sealed like all it keeps.
type dispenseAnswer struct {
	Version   int                         `json:"v"`
	RID       string                      `json:"rid"`
	Reference string                      `json:"ref,omitempty"`
	At        time.Time                   `json:"at"` // when it was dispensed
	Found     time.Time                   `json:"found"`
	Force     bool                        `json:"force,omitempty"`
	State     protocol.PrescriptionStatus `json:"state"` // where the prescription stood last
	Updater   string                      `json:"by,omitempty"`
	Conflict  Conflict                    `json:"conflict,omitempty"`
	Before    bool                        `json:"before,omitempty"` // this pharmacy had delivered it before
	Fetched   *fetchRecord                `json:"fetched,omitempty"`
}

func decodeDispenseAnswer(b []byte) (*dispenseAnswer, error) {
	a := new(dispenseAnswer)
	if err := json.Unmarshal(b, a); err != nil || a.Version != recordVersion {
		return nil, &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Local, Outcome: fault.Done, Err: errDispenseRecord}
	}
	return a, nil
}

func (a *dispenseAnswer) encode() (outbox.Answer, error) { return json.Marshal(a) }
