package drill

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
)

// mailTables are those of one fleet, checked for what must hold of every drill with letters of ours.
func mailTables(t *testing.T, r *Report, name string) (mail, inbox Phase) {
	t.Helper()
	mail, inbox = table(t, r, name, Mail).Total(), table(t, r, name, Inbox).Total()
	if name != Ours {
		return mail, inbox
	}
	if mail.Lost != 0 || mail.Doubled != 0 || mail.Done == 0 || mail.Done != mail.Live+mail.Kept+mail.Unsure || mail.Kept+mail.Unsure != mail.Failed {
		t.Errorf("%s: not each letter once: %+v", r.Incident, mail)
	}
	if inbox.Unread != 0 || inbox.Read != mail.Done {
		t.Errorf("%s: not each letter read once: %+v, of %d", r.Incident, inbox, mail.Done)
	}
	return mail, inbox
}

// TestMailSAN is INC-2018-08-09-SAN with letters: what is written in the two waves is kept and sent once.
func TestMailSAN(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "INC-2018-08-09-SAN", Seed: 21, Pharmacies: 2, Every: 20 * time.Minute, Traffic: []Traffic{Mail, Inbox}})
	mail, inbox := mailTables(t, r, Ours)
	if mail.Kept == 0 || mail.Slowest > sendLimit || inbox.Failed == 0 {
		t.Errorf("ours: %+v, %+v", mail, inbox)
	}
	if naive, _ := mailTables(t, r, Naive); naive.Failed == 0 || naive.Kept != 0 || naive.Slowest < naiveTries*naiveTimeout {
		t.Errorf("naive: the incident was not replayed: %+v", naive)
	}
}

// sendLimit is how long somebody who sends a letter waits for what became of it: for the tokens of the recipient and of the
// sender, and for the mailbox.
const sendLimit = 2*etee.DefaultDepotTimeout + 15*time.Second

// TestMailLostAnswer is SYN-LOSTACK-EHBOX: the one whose answer is lost is found out, not sent again.
func TestMailLostAnswer(t *testing.T) {
	r := replay(t, Options{Incident: "SYN-LOSTACK-EHBOX", Seed: 5, Pharmacies: 2, Every: 2 * time.Minute, Fleets: []string{Ours, Naive, ConnectorLike}})
	if mail, _ := mailTables(t, r, Ours); mail.Slowest > sendLimit {
		t.Errorf("ours: %+v", mail)
	}
}

// TestMailPoison is INC-2025-11-POISON: the others are read.
func TestMailPoison(t *testing.T) {
	r := replay(t, Options{Incident: "INC-2025-11-POISON", Seed: 5, Pharmacies: 4, Every: 2 * time.Minute})
	if _, inbox := mailTables(t, r, Ours); inbox.Aside != 2 || inbox.Failed != 0 {
		t.Errorf("ours: one of each box is set aside: %+v", inbox)
	}
	if _, inbox := mailTables(t, r, Naive); inbox.Failed == 0 || inbox.Unread == 0 {
		t.Errorf("naive: the incident was not replayed: %+v", inbox)
	}
}

// TestMailKeys is INC-2026-02-04-ETK with a renewal of a recipient's own key: everything is read, and the depot is asked
// no more often than the tokens' age wants.
func TestMailKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole platform for hours: run without -short")
	}
	r := replay(t, Options{Incident: "INC-2026-02-04-ETK", Seed: 38, Pharmacies: 2, Every: 30 * time.Minute, Traffic: []Traffic{Mail, Inbox}, Fleets: []string{Ours}})
	mail, inbox := mailTables(t, r, Ours)
	const ages = 5 // 33 hours, and a token is used for 8
	if mail.Failed != 0 || inbox.Failed != 0 || inbox.Aside != 0 || mail.Tokens == 0 || mail.Tokens > ages*2*2 {
		t.Errorf("%+v, %+v", mail, inbox)
	}
}
