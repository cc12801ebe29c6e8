package drill

import (
	"context"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// ServiceApp is the UDDI id of the sandbox's generic stateful application.
const ServiceApp = appclient.Service

const nsApp = appclient.NS

// App is a client of the application that the sandbox offers for trying writes; see package appclient.
type App = appclient.App

// NewApp returns a client of the application whose calls go through p.
func NewApp(p *ehealth.Platform) *App {
	return appclient.Over(func(ctx context.Context, q appclient.Question) (bool, error) {
		r, err := p.Call(ctx, ehealth.Call{
			Service: ServiceApp, Op: q.Op, Action: q.Action, Class: q.Class, Body: q.Body, Correlate: q.Correlate, Notice: q.Notice,
		})
		return err == nil && r.Alternate, err
	})
}

// AppQueued lets an outbox send items of the application's kind; it is a handler of [ehealth.Outbox].
func AppQueued(p *ehealth.Platform) ([]ehealth.Queued, error) {
	return []ehealth.Queued{{
		Kind: appclient.Kind, Handler: NewApp(p).Handler(), Policy: appclient.Policy(), Service: ServiceApp, Waiting: notice.MessagesQueued,
	}}, nil
}

// queued adds an outbox to a configuration. It is kept in memory: the time that a disk takes does not pass on a virtual
// clock, and a fleet has many.
func queued(cfg ehealth.Config) ehealth.Config {
	cfg.Outbox = &ehealth.Outbox{Handlers: AppQueued, Store: outboxtest.NewMemory()}
	return cfg
}

// putBody is the PutRequest; every kind of client sends the same.
var putBody = appclient.PutBody
