package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// Feedback is what a pharmacy writes to a prescriber about a prescription.
type Feedback struct {
	RID        identity.RID
	Prescriber identity.NIHII // of the prescription
	Hospital   bool           // the prescriber is a hospital
	Text       identity.Private
}

// maxNote bounds the text of a feedback, in bytes.
const maxNote = 64 << 10

func (f Feedback) valid() bool {
	return !f.RID.IsZero() && !f.Prescriber.IsZero() && !f.Text.IsZero() && len(f.Text.Reveal()) <= maxNote
}

// identifier is under which the prescriber is in the ETK depot (dossier 04 section 9.1).
func (f Feedback) identifier() (etee.Identifier, error) {
	t := identity.TypeNIHII
	if f.Hospital {
		t = identity.TypeHospital
	}
	return etee.NewIdentifier(t, f.Prescriber.Reveal(), "")
}

// Feedback sends a message to the prescriber of a prescription, sealed for him. It is not repeated when nobody knows whether
// it arrived: a message twice is a nuisance.
func (x *Executor) Feedback(ctx context.Context, f Feedback) error {
	op := opExecutorFeedback
	if !f.valid() {
		return x.invalid(op.name, ErrRequest)
	}
	to, err := f.identifier()
	if err != nil {
		return x.invalid(op.name, err)
	}
	doc, err := (&protocol.Feedback{Text: f.Text}).Encode()
	if err != nil {
		return x.invalid(op.name, err)
	}
	sealed, err := x.sealFor(ctx, op.name, doc, to)
	if err != nil {
		return err
	}
	party := x.party()
	party.PrescriberID = f.Prescriber
	return askAbout(ctx, x.client, f.RID, question[*protocol.CreateFeedbackResult]{
		op: op, result: func() *protocol.CreateFeedbackResult { return new(protocol.CreateFeedbackResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.CreateFeedbackParam{Party: party, RID: f.RID, Content: sealed, Keyed: k}
		},
	})
}

// ReceivedNotification is what a prescriber wrote to this pharmacy.
type ReceivedNotification struct {
	SentBy identity.Private
	SentAt time.Time
	// Notification is its content; nil when it could not be opened, see Err.
	Notification *protocol.Notification
	// Seal is who sealed it.
	Seal *etee.Report
	// Err is why it could not be opened. The others of the list are not touched by it.
	Err error
}

const shownNotification = "recipe.ReceivedNotification(redacted)"

// Format writes a fixed text whatever the verb.
func (ReceivedNotification) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownNotification) }

// LogValue returns a fixed text.
func (ReceivedNotification) LogValue() slog.Value { return slog.StringValue(shownNotification) }

// MarshalJSON writes a fixed text.
func (ReceivedNotification) MarshalJSON() ([]byte, error) { return json.Marshal(shownNotification) }

// Notifications returns what prescribers wrote to this pharmacy. read is the readFlag of the protocol: which of them it
// selects, and whether asking marks them as read, is not published (dossier 04 section 14.3). When an answer was lost, ask
// again with the flag that returns more, and drop what is there already.
func (x *Executor) Notifications(ctx context.Context, read bool) ([]ReceivedNotification, error) {
	a, err := ask(ctx, x.client, question[*protocol.ListNotificationsResult]{
		op: opExecutorNotes, result: func() *protocol.ListNotificationsResult { return new(protocol.ListNotificationsResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.ListNotificationsParam{Party: x.party(), ReadFlag: read, Keyed: k}
		},
	})
	if err != nil {
		return nil, err
	}
	var out []ReceivedNotification
	for _, n := range a.Result.Notifications {
		r := ReceivedNotification{SentBy: n.SentBy, SentAt: n.SentDate}
		content, err := x.openOwn(opExecutorNotes.name, n.Content, received(n.SentDate))
		if err == nil {
			r.Seal = content.report
			if r.Notification, _, err = protocol.DecodeNotification(content.plain); err != nil {
				err = x.damaged(opExecutorNotes.name, err)
			}
		}
		r.Err = err
		out = append(out, r)
	}
	return out, nil
}
