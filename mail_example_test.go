package ehealth_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// A doctor writes to a hospital: sealed, and exactly once. The second letter is given while eHealthBox does not take any; it
// is on disk, and goes by itself.
func ExampleMailbox_Send() {
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sb.Close()
	cfg, err := doctor(sb)
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := sb.Person(identity.Doctor, 0).Keystore("password")
	if err != nil {
		fmt.Println(err)
		return
	}
	if cfg.Identity, err = keystore.Load(file, "password"); err != nil { // with the encryption keys
		fmt.Println(err)
		return
	}
	dir, done := tempDir()
	defer done()
	cfg.DataDir, cfg.Outbox, cfg.Mail = dir, &ehealth.Outbox{}, &ehealth.Mail{}

	ctx := context.Background()
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	hospital := ehbox.ByNIHII(identity.MustNIHII(sb.Organisation(identity.Hospital, 0).Number), ehbox.Hospital)
	for _, visit := range []string{"visit 1", "visit 2"} {
		sent, err := p.Mail.Send(ctx, ehbox.Letter{
			Reference: visit, To: []ehbox.Destination{ehbox.To(hospital)}, Title: ehbox.Hide("Referral"),
			Body: ehbox.NewData([]byte("Dear colleague, …")),
		})
		switch {
		case err == nil:
			fmt.Println(sent.State)
		case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown):
			n, _ := notice.FromError(err, notice.EHealthBox)
			fmt.Println(sent.State, n.Text(notice.EN))
		default:
			fmt.Println(err)
		}
		heal, err := sb.Inject(sandbox.Step{Service: "ehbox-pub", Fault: sandbox.Refuse{P: 1}})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer heal()
		var enough context.CancelFunc
		ctx, enough = context.WithTimeout(ctx, 3*time.Second) // how long the person waits
		defer enough()
	}

	// Output:
	// accepted
	// queued 1 message is waiting and will be sent by itself. Urgent? Please phone.
}
