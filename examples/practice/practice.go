package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// practice is what a patient record needs of eHealthBox and Recip-e.
type practice struct {
	platform *ehealth.Platform
	archive  *archive
	desk     desk

	mu     sync.Mutex
	screen []notice.ID // what the person was told beside the answers, newest last
}

// openPractice opens the platform. It succeeds while everything is down, and goes on with what waits.
func openPractice(ctx context.Context, cfg ehealth.Config, at desk) (*practice, error) {
	p := &practice{desk: at}
	cfg.Mail, cfg.Recipe = &ehealth.Mail{}, &ehealth.Recipe{}
	cfg.Outbox = &ehealth.Outbox{OnEvent: func(e ehealth.QueueEvent) { p.show(e.Notice) }}
	var err error
	if p.archive, err = openArchive(filepath.Join(cfg.DataDir, "archive")); err != nil {
		return nil, err
	}
	if p.platform, err = ehealth.Open(ctx, cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// Close keeps what waits.
func (p *practice) Close() error { return p.platform.Close() }

// show is where a real program shows a message, n.Text(p.desk.lang), until the person has seen it.
func (p *practice) show(n notice.Notice) {
	if n.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen = append(p.screen, n.ID())
}

// receive fetches what is new and returns the results that were filed. It is called every few minutes; when it fails, the
// next call goes on where this one ended.
func (p *practice) receive(ctx context.Context) (filed []ehbox.MessageID, err error) {
	for m, err := range p.platform.Mail.Sync(ctx, p.archive, ehbox.SyncOptions{Remove: true}) {
		switch {
		case err != nil:
			return filed, err
		case m.Aside != nil: // one bad message holds up no other
			p.show(notice.MessageSetAside())
		case m.Message != nil && isResult(m.Message):
			filed = append(filed, m.Message.MessageID)
		}
	}
	return filed, nil
}

// write sends a letter about a visit, and returns what to tell the person who waits for it. The visit is the letter's
// reference: whoever is not sure whether the letter was given, because the computer stopped, gives it again.
func (p *practice) write(ctx context.Context, visit string, to ehbox.BoxID, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sent, err := p.platform.Mail.Send(ctx, ehbox.Letter{
		Reference: "letter of " + visit, To: []ehbox.Destination{ehbox.To(to)},
		Title: ehbox.Hide("Letter"), Body: ehbox.NewData([]byte(text)),
	})
	var absent *ehbox.OutOfOfficeError
	switch {
	case err == nil:
		return sent.State.String(), nil
	case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown): // it goes by itself, or is being found out
		if n, ok := notice.FromError(err, notice.EHealthBox); ok {
			return n.Text(p.desk.lang), nil
		}
		return sent.State.String(), nil
	case errors.As(err, &absent): // ask whom to send it to; see ehbox.Letter.Despite
		return "the recipient is out of office", nil
	}
	return "", err
}

// undelivered tells which letters the platform had accepted and could not deliver. Look before receive does, which clears the
// INBOX.
func (p *practice) undelivered(ctx context.Context) (out []*ehbox.Failed, err error) {
	for f, err := range p.platform.Mail.LateErrors(ctx, nil) {
		if err != nil {
			return out, err
		}
		if f.Action != ehbox.ActNothing {
			out = append(out, f)
		}
	}
	return out, nil
}
